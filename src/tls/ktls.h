/* Kernel TLS, for sending: the socket seals what is written to it (Linux 4.13, CONFIG_TLS).
 *
 * A connection is switched once, at a record boundary, from its key state, and never back. From
 * then on the kernel counts the records; control records go out as ancillary data. Receiving stays
 * in our record layer. No state of its own; any thread may call any function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls/keys.h"

/* What the kernel can do: a set of version and cipher (ktls_bit()), and KTLS_REKEY. */
typedef uint32_t ktls_support;

#define KTLS_REKEY ((ktls_support)1 << 31) /* keys can be changed (6.14) */

static inline ktls_support ktls_bit(uint16_t version, uint8_t cipher)
{
    return (ktls_support)1 << (cipher + (version == TLS_VERSION_1_3 ? 8 : 0));
}

/* Tries it out on a connection to itself over the loopback, before any sandbox. Returns 0 and what
 * works, or -errno: -ENOENT where the kernel has no TLS or its module is not loaded (which happens
 * by itself for root only). */
int ktls_probe(ktls_support *ret_support);

/* Whether this kernel has the corrections that sending files into it needs; `version` is 6012104
 * for 6.12.104. Lines of which we do not know that are not trusted. */
bool ktls_trusted(unsigned version);

/* Hands the sending direction to the kernel. Everything sent so far must have been taken by the
 * socket. Returns 0, or -errno, after which the socket sends as before: -ENOTCONN (the peer has
 * closed), -ENOENT, -EOPNOTSUPP, -ENOMEM. */
int ktls_start(int fd, const struct tls_keys *tx);

/* The next keys, after the KeyUpdate that announces them. Returns 0 or -errno. */
int ktls_rekey(int fd, const struct tls_keys *tx);

/* Sends one record of another type than application data, without waiting. Returns 0 or -errno. */
int ktls_send_control(int fd, uint8_t type, const void *data, size_t len);
