/* The self-signed certificate that a server without one makes for itself, and what to say about
 * any.
 *
 * Only memory: the caller reads and writes the files. Lists of names are text, one DNS name or IP
 * address per line, so that they can be compared, logged and kept.
 */
#pragma once

#include "base/buf.h"

enum {
    /* Apple's limit for any server certificate is 825 days. */
    CERTIFICATE_DAYS = 820,
    CERTIFICATE_RENEW_DAYS = 30,
    /* "AA:BB:…" of SHA-256, with its NUL. */
    CERTIFICATE_FINGERPRINT_SIZE = 32 * 3,
};

/* Appends this machine's names: host name, host name.local, localhost, and its addresses. */
int certificate_local_names(struct buf *names);

/* Appends a certificate for `names` to `cert_pem` and its private key to `key_pem`. `old_key_pem`
 * is kept as the key where it is one; empty: a new P-256 key. `now_s` is CLOCK_REALTIME. Returns 0
 * or -errno: -EINVAL for an unusable key or name, -ENOBUFS. Key bytes in `key_pem` are the caller's
 * to wipe. */
int certificate_make(struct span old_key_pem, struct span names, int64_t now_s,
                     struct buf *cert_pem, struct buf *key_pem);

/* True when it ends within CERTIFICATE_RENEW_DAYS, lacks one of `names`, or is no certificate. */
bool certificate_needs_renewal(struct span cert_pem, struct span names, int64_t now_s);

/* SHA-256 of the first certificate, as browsers show it. Returns 0 or -EINVAL. */
int certificate_fingerprint(struct span cert_pem, char ret[CERTIFICATE_FINGERPRINT_SIZE]);

/* Appends "CN=nas, valid until 2028-02-01" for messages. Returns 0 or -EINVAL. */
int certificate_describe(struct span cert_pem, struct buf *out);
