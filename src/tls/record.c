#include "tls/record.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>

#include <openssl/evp.h>

/* Fetched once: a fetch per connection would take OpenSSL's global locks. Never freed. */
static struct {
    pthread_once_t once;
    EVP_CIPHER *by_id[TLS_CIPHER_CHACHA20_POLY1305 + 1];
} aeads = {.once = PTHREAD_ONCE_INIT};

static void fetch(void)
{
    aeads.by_id[TLS_CIPHER_AES_128_GCM] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    aeads.by_id[TLS_CIPHER_AES_256_GCM] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    aeads.by_id[TLS_CIPHER_CHACHA20_POLY1305] = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

int record_warm_up(void)
{
    pthread_once(&aeads.once, fetch);
    for (int id = TLS_CIPHER_AES_128_GCM; id <= TLS_CIPHER_CHACHA20_POLY1305; id++)
        if (!aeads.by_id[id])
            return -ENOTSUP;
    return 0;
}

/* Makes the cipher context with its key, unless it is there. Setting the key costs as much as
 * sealing a kilobyte, so it happens once, and each record sets its nonce only. */
static int aead_wake(struct tls_direction *d, int encrypt)
{
    EVP_CIPHER_CTX *ctx;

    if (d->aead)
        return 0;
    if (record_warm_up() < 0)
        return -ENOTSUP;
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return -ENOMEM;
    if (EVP_CipherInit_ex(ctx, aeads.by_id[d->keys.cipher], NULL, d->keys.key, NULL, encrypt) !=
        1) {
        EVP_CIPHER_CTX_free(ctx);
        return -ENOMEM;
    }
    d->aead = ctx;
    return 0;
}

void tls_direction_rest(struct tls_direction *d)
{
    EVP_CIPHER_CTX_free(d->aead); /* wipes the key schedule */
    d->aead = NULL;
}

static void put_u16(uint8_t *to, size_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put_u64(uint8_t *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof(value));
}

/* What AEAD takes besides key and payload, for the record that begins at `record`. */
struct aead_input {
    uint8_t nonce[TLS_IV_SIZE];
    uint8_t aad[8 + TLS_RECORD_HEADER];
    int aad_len;
};

static void aead_input_make(const struct tls_keys *k, const uint8_t *record, size_t payload_len,
                            struct aead_input *ret)
{
    uint8_t sequence[8];

    put_u64(sequence, k->sequence);
    memcpy(ret->nonce, k->iv, TLS_IV_SIZE);
    if (keys_nonce_explicit(k)) /* RFC 5288 section 3: salt, then what the record carries */
        memcpy(ret->nonce + TLS_SALT_SIZE, record + TLS_RECORD_HEADER, TLS_EXPLICIT_NONCE);
    else /* RFC 8446 section 5.3, RFC 7905 section 2 */
        for (size_t i = 0; i < sizeof(sequence); i++)
            ret->nonce[TLS_IV_SIZE - sizeof(sequence) + i] ^= sequence[i];

    if (k->version == TLS_VERSION_1_3) { /* RFC 8446 section 5.2: the header as it is sent */
        memcpy(ret->aad, record, TLS_RECORD_HEADER);
        ret->aad_len = TLS_RECORD_HEADER;
    } else { /* RFC 5246 section 6.2.3.3: seq_num + type + version + length of the plaintext */
        memcpy(ret->aad, sequence, sizeof(sequence));
        memcpy(ret->aad + sizeof(sequence), record, 3);
        put_u16(ret->aad + sizeof(sequence) + 3, payload_len);
        ret->aad_len = sizeof(ret->aad);
    }
}

/* Sets nonce and AAD and transforms `len` bytes, in place or not; the tag is left to the caller. */
static bool aead_run(EVP_CIPHER_CTX *ctx, const struct aead_input *in, uint8_t *out,
                     const uint8_t *data, size_t len)
{
    int n;

    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, in->nonce, -1) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, in->aad, in->aad_len) == 1 &&
           EVP_CipherUpdate(ctx, out, &n, data, (int)len) == 1;
}

int record_seal(struct tls_direction *tx, uint8_t type, uint8_t *record, size_t payload_len)
{
    bool tls13 = tx->keys.version == TLS_VERSION_1_3;
    uint8_t *payload = record + record_prefix(tx);
    size_t record_len = record_prefix(tx) + payload_len + record_suffix(tx);
    uint8_t *tag = record + record_len - TLS_TAG_SIZE;
    struct aead_input in;
    int n, r;

    assert(payload_len <= TLS_PLAINTEXT_MAX);
    if (tx->keys.sequence >= TLS_RECORDS_MAX)
        return -EKEYEXPIRED;
    r = aead_wake(tx, 1);
    if (r < 0)
        return r;

    record[0] = tls13 ? TLS_TYPE_APPLICATION_DATA : type;
    put_u16(record + 1, TLS_VERSION_1_2);
    put_u16(record + 3, record_len - TLS_RECORD_HEADER);
    if (tls13)
        payload[payload_len] = type;
    /* The sequence number is as good a nonce as any and the kernel can go on with it. OpenSSL's
     * Finished used a random one: 2^24 of 2^64 values cannot be expected to meet it. */
    if (keys_nonce_explicit(&tx->keys))
        put_u64(record + TLS_RECORD_HEADER, tx->keys.sequence);

    aead_input_make(&tx->keys, record, payload_len, &in);
    if (!aead_run(tx->aead, &in, payload, payload, (size_t)(tag - payload)) ||
        EVP_CipherFinal_ex(tx->aead, tag, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(tx->aead, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_SIZE, tag) != 1)
        return -EIO;
    tx->keys.sequence++;
    return (int)record_len;
}

/* Checks the header before anything is decrypted. Returns the payload's length with padding, or an
 * alert. */
static int header_check(const struct tls_keys *k, const uint8_t *data, size_t body, size_t overhead)
{
    bool tls13 = k->version == TLS_VERSION_1_3;
    /* Padding may fill a TLS 1.3 record up to one type byte more than the payload's maximum. */
    size_t max = TLS_PLAINTEXT_MAX + (tls13 ? 256 : overhead);

    /* After the handshake TLS 1.3 has encrypted records only: a change_cipher_spec, tolerated
     * before, is now an error (RFC 8446 section 5). In TLS 1.2 it would be part of a renegotiation.
     */
    if (tls13 ? data[0] != TLS_TYPE_APPLICATION_DATA
              : data[0] < TLS_TYPE_ALERT || data[0] > TLS_TYPE_APPLICATION_DATA)
        return -TLS_ALERT_UNEXPECTED_MESSAGE;
    if (data[1] != TLS_VERSION_1_2 >> 8 || data[2] != (TLS_VERSION_1_2 & 0xff))
        return -TLS_ALERT_PROTOCOL_VERSION;
    if (body > max)
        return -TLS_ALERT_RECORD_OVERFLOW;
    if (body < overhead)
        return -TLS_ALERT_BAD_RECORD_MAC; /* it cannot hold a tag that fits */
    return (int)(body - overhead);
}

/* TLSInnerPlaintext (RFC 8446 section 5.2): content, type, zeros. `payload_len` bytes include them
 * all. */
static int inner_parse(struct tls_record *rec)
{
    size_t len = rec->payload_len;

    if (len > TLS_PLAINTEXT_MAX + 1)
        return -TLS_ALERT_RECORD_OVERFLOW;
    while (len > 0 && rec->payload[len - 1] == 0)
        len--;
    if (len == 0)
        return -TLS_ALERT_UNEXPECTED_MESSAGE;
    rec->type = rec->payload[len - 1];
    rec->payload_len = len - 1;
    if (rec->type < TLS_TYPE_ALERT || rec->type > TLS_TYPE_APPLICATION_DATA)
        return -TLS_ALERT_UNEXPECTED_MESSAGE;
    return 0;
}

int record_open(struct tls_direction *rx, uint8_t *data, size_t len, struct tls_record *ret)
{
    return record_open_to(rx, data, len, NULL, 0, ret);
}

int record_open_to(struct tls_direction *rx, uint8_t *data, size_t len, uint8_t *out, size_t room,
                   struct tls_record *ret)
{
    size_t body, overhead = record_prefix(rx) - TLS_RECORD_HEADER + TLS_TAG_SIZE;
    struct aead_input in;
    int payload_len, n;

    if (len < TLS_RECORD_HEADER)
        return 0;
    body = (size_t)data[3] << 8 | data[4];
    payload_len = header_check(&rx->keys, data, body, overhead);
    if (payload_len < 0)
        return payload_len;
    if (len < TLS_RECORD_HEADER + body)
        return 0;
    if (rx->keys.sequence == UINT64_MAX || aead_wake(rx, 0) < 0)
        return -TLS_ALERT_INTERNAL_ERROR;

    uint8_t *sealed = data + record_prefix(rx), *tag = sealed + payload_len;
    bool fits = out && (size_t)payload_len <= room;
    *ret = (struct tls_record){data[0], fits ? out : sealed, (size_t)payload_len};
    aead_input_make(&rx->keys, data, ret->payload_len, &in);
    if (!aead_run(rx->aead, &in, ret->payload, sealed, ret->payload_len) ||
        EVP_CIPHER_CTX_ctrl(rx->aead, EVP_CTRL_AEAD_SET_TAG, TLS_TAG_SIZE, tag) != 1 ||
        EVP_CipherFinal_ex(rx->aead, tag, &n) != 1)
        return -TLS_ALERT_BAD_RECORD_MAC;
    rx->keys.sequence++;

    if (rx->keys.version == TLS_VERSION_1_3) {
        n = inner_parse(ret);
        if (n < 0)
            return n;
    }
    return (int)(TLS_RECORD_HEADER + body);
}
