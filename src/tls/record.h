/* The record layer: seals and opens TLS 1.3 and TLS 1.2 (AEAD) records in place.
 *
 * No I/O and no memory but OpenSSL's cipher context, which is made at a direction's first record
 * and freed by tls_direction_rest(), so that an idle connection holds its keys only. A direction
 * either seals or opens, never both. One thread at a time per direction.
 */
#pragma once

#include "base/span.h"
#include "tls/keys.h"

struct evp_cipher_ctx_st;

enum {
    TLS_RECORD_HEADER = 5,
    TLS_PLAINTEXT_MAX = 16384,
    TLS_RECORD_MAX = TLS_RECORD_HEADER + TLS_PLAINTEXT_MAX + 256, /* RFC 8446 section 5.2 */
    TLS_TAG_SIZE = 16,
    TLS_EXPLICIT_NONCE = 8,
    TLS_PREFIX_MAX = TLS_RECORD_HEADER + TLS_EXPLICIT_NONCE, /* the larger of record_prefix() */
    TLS_SUFFIX_MAX = 1 + TLS_TAG_SIZE,                       /* the larger of record_suffix() */
};

enum tls_type {
    TLS_TYPE_CHANGE_CIPHER_SPEC = 20,
    TLS_TYPE_ALERT = 21,
    TLS_TYPE_HANDSHAKE = 22,
    TLS_TYPE_APPLICATION_DATA = 23,
};

/* Alert descriptions (RFC 8446 section 6); functions that open return them negated. */
enum tls_alert {
    TLS_ALERT_CLOSE_NOTIFY = 0,
    TLS_ALERT_UNEXPECTED_MESSAGE = 10,
    TLS_ALERT_BAD_RECORD_MAC = 20,
    TLS_ALERT_RECORD_OVERFLOW = 22,
    TLS_ALERT_ILLEGAL_PARAMETER = 47,
    TLS_ALERT_DECODE_ERROR = 50,
    TLS_ALERT_PROTOCOL_VERSION = 70,
    TLS_ALERT_INTERNAL_ERROR = 80,
    TLS_ALERT_USER_CANCELED = 90,
};

enum {
    TLS_ALERT_LEVEL_WARNING = 1,
    TLS_ALERT_LEVEL_FATAL = 2,
};

/* How many records one key may seal. RFC 8446 section 5.5: with AES-GCM about 2^24.5 full records
 * keep the attacker's advantage below 2^-57. At half of that the caller is asked for new keys. The
 * same for ChaCha20-Poly1305, which could do more: one rule, and a rekey each 128 GiB costs
 * nothing. */
#define TLS_RECORDS_MAX (UINT64_C(1) << 24)
#define TLS_RECORDS_REKEY (UINT64_C(1) << 23)

struct tls_direction {
    struct tls_keys keys;
    struct evp_cipher_ctx_st *aead; /* NULL while at rest */
};

struct tls_record {
    uint8_t type; /* enum tls_type; TLS 1.3: the inner one */
    uint8_t *payload;
    size_t payload_len;
};

/* Bytes in front of the payload: 5, and 13 with TLS 1.2 GCM. */
static inline size_t record_prefix(const struct tls_direction *d)
{
    return keys_nonce_explicit(&d->keys) ? TLS_PREFIX_MAX : TLS_RECORD_HEADER;
}

/* Bytes behind the payload: the tag, and TLS 1.3's content type. */
static inline size_t record_suffix(const struct tls_direction *d)
{
    return d->keys.version == TLS_VERSION_1_3 ? TLS_SUFFIX_MAX : TLS_TAG_SIZE;
}

/* Time for new keys: session_key_update() in TLS 1.3, closing in TLS 1.2. */
static inline bool record_needs_rekey(const struct tls_direction *tx)
{
    return tx->keys.sequence >= TLS_RECORDS_REKEY;
}

/* Fetches the ciphers, so that later calls need no files. Returns 0 or -errno. */
int record_warm_up(void);

/* Seals in place: `payload_len` bytes (at most TLS_PLAINTEXT_MAX and the negotiated maximum) lie at
 * record + record_prefix(tx), and record_suffix(tx) bytes behind them are free. Returns the length
 * of the whole record or -errno: -EKEYEXPIRED beyond TLS_RECORDS_MAX, -ENOMEM. */
int record_seal(struct tls_direction *tx, uint8_t type, uint8_t *record, size_t payload_len);

/* Opens the record at `data` in place. Returns the bytes consumed (> 0), 0 when the record is not
 * there in full, or a negated enum tls_alert, after which the connection is over. `ret` points into
 * `data`. */
int record_open(struct tls_direction *rx, uint8_t *data, size_t len, struct tls_record *ret);

/* The same, and the payload is written to `out`, which does not overlap `data`, if all that the
 * record holds, with TLS 1.3's type and padding, fits in its `room`; else it stays in place. After
 * an alert what is in `out` means nothing. */
int record_open_to(struct tls_direction *rx, uint8_t *data, size_t len, uint8_t *out, size_t room,
                   struct tls_record *ret);

/* Frees the cipher context; the next record makes a new one. */
void tls_direction_rest(struct tls_direction *d);
