/* HMAC and HKDF (RFC 2104, RFC 5869) over OpenSSL's SHA-256 and SHA-384, and TLS 1.3's labels (RFC
 * 8446 section 7.1).
 *
 * OpenSSL has all of this behind its EVP interface, where each of the 25 derivations of a handshake
 * looks an algorithm up, takes locks and allocates: four times the work of the hashing itself. Here
 * everything lies on the stack and nothing can fail. What was secret on the stack is overwritten.
 * Any thread may call any function.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum hkdf_hash { HKDF_SHA256, HKDF_SHA384 };

enum {
    HKDF_SIZE_MAX = 48,
    HKDF_INFO_MAX = 2 + 1 + 255 + 1 + 255, /* struct HkdfLabel at its longest */
};

/* The hash's output: 32 or 48 bytes. */
size_t hkdf_size(enum hkdf_hash hash);

/* The hash of `data` into ret[hkdf_size()]. */
void hkdf_digest(enum hkdf_hash hash, struct span data, uint8_t *ret);

/* HMAC of the two pieces, one behind the other, into ret[hkdf_size()]. The key has at most a block
 * (64 or 128 bytes), as all keys of TLS have. */
void hkdf_hmac(enum hkdf_hash hash, struct span key, struct span first, struct span second,
               uint8_t *ret);

/* HKDF-Extract into ret[hkdf_size()]; `salt` as a key of hkdf_hmac(). */
void hkdf_extract(enum hkdf_hash hash, struct span salt, struct span input, uint8_t *ret);

/* HKDF-Expand-Label: `label` comes with its prefix ("tls13 "), label and context have at most 255
 * bytes, and `len` is at most 255 times hkdf_size(). */
void hkdf_expand_label(enum hkdf_hash hash, struct span secret, struct span prefix,
                       struct span label, struct span context, uint8_t *ret, size_t len);
