/* The record layer: RFC 8448's records byte for byte, sizes, types, padding, tampering, limits. */
#include <errno.h>

#include "tls/record.h"
#include "tls_peer.h"

static size_t unhex(const char *hex, uint8_t *ret)
{
    size_t n = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        ret[n++] = (uint8_t)byte;
    return n;
}

/* RFC 8448 section 3: the client's and the server's application data (bytes 0 to 49) and
 * close_notify. */
static void rfc8448_records(void **state)
{
    static const struct {
        const char *secret, *data, *alert;
        uint64_t sequence; /* the server has sent its ticket before */
    } cases[] = {
        {"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
         "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a2"
         "0"
         "441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
         "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3", 0},
        {"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
         "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb5"
         "0"
         "1a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
         "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9", 1},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_direction rx = {0}, tx = {0};
        uint8_t secret[32], data[128], alert[64], ours[128];
        size_t data_len = unhex(cases[i].data, data), alert_len = unhex(cases[i].alert, alert);
        struct tls_record rec;

        unhex(cases[i].secret, secret);
        assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, secret, 32, &rx.keys), 0);
        rx.keys.sequence = cases[i].sequence;
        tx.keys = rx.keys;
        assert_int_equal(record_prefix(&tx), 5);
        assert_int_equal(record_suffix(&tx), 17);
        for (int n = 0; n < 50; n++)
            ours[5 + n] = (uint8_t)n;
        assert_int_equal(record_seal(&tx, TLS_TYPE_APPLICATION_DATA, ours, 50), data_len);
        assert_memory_equal(ours, data, data_len);
        ours[5] = 1;
        ours[6] = 0;
        assert_int_equal(record_seal(&tx, TLS_TYPE_ALERT, ours, 2), alert_len);
        assert_memory_equal(ours, alert, alert_len);

        assert_int_equal(record_open(&rx, data, data_len, &rec), data_len);
        assert_int_equal(rec.type, TLS_TYPE_APPLICATION_DATA);
        assert_int_equal(rec.payload_len, 50);
        for (int n = 0; n < 50; n++)
            assert_int_equal(rec.payload[n], n);
        tls_direction_rest(&rx); /* a rest in between must not be seen */
        assert_int_equal(record_open(&rx, alert, alert_len, &rec), alert_len);
        assert_int_equal(rec.type, TLS_TYPE_ALERT);
        assert_int_equal(rec.payload_len, 2);
        tls_direction_rest(&rx);
        tls_direction_rest(&tx);
    }
}

static void make(uint16_t version, uint8_t cipher, struct tls_direction *d)
{
    static const uint8_t secret[48] = {7}, random[32] = {8};
    struct tls_keys other;

    memset(d, 0, sizeof(*d));
    if (version == TLS_VERSION_1_3)
        assert_int_equal(
            keys_from_secret(cipher, secret, cipher == TLS_CIPHER_AES_256_GCM ? 48 : 32, &d->keys),
            0);
    else
        keys_from_master(cipher, secret, random, random, &d->keys, &other);
}

typedef void each_fn(struct tls_direction *tx, struct tls_direction *rx);

/* Runs `fn` with every version and cipher. */
static void for_each(each_fn *fn)
{
    for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++) {
        for (uint8_t cipher = 1; cipher <= 3; cipher++) {
            struct tls_direction tx, rx;

            make(version, cipher, &tx);
            make(version, cipher, &rx);
            fn(&tx, &rx);
            tls_direction_rest(&tx);
            tls_direction_rest(&rx);
        }
    }
}

static uint8_t record[TLS_RECORD_MAX + 64], copy[TLS_RECORD_MAX + 64];

static int seal(struct tls_direction *tx, size_t len)
{
    for (size_t i = 0; i < len; i++)
        record[record_prefix(tx) + i] = (uint8_t)(i * 7 + len);
    return record_seal(tx, TLS_TYPE_APPLICATION_DATA, record, len);
}

static void sizes_each(struct tls_direction *tx, struct tls_direction *rx)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 256, 1000, 16383, 16384};
    struct tls_record rec;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int n = seal(tx, sizes[i]);

        assert_int_equal(n, record_prefix(tx) + sizes[i] + record_suffix(tx));
        assert_true(n <= TLS_RECORD_MAX);
        assert_int_equal(record[3] << 8 | record[4], n - 5);
        for (size_t part = 0; part < (size_t)n; part += part < 40 ? 1 : 997)
            assert_int_equal(record_open(rx, record, part, &rec), 0);
        /* Bytes behind the record are not its business. */
        assert_int_equal(record_open(rx, record, (size_t)n + 10, &rec), n);
        assert_int_equal(rec.type, TLS_TYPE_APPLICATION_DATA);
        assert_int_equal(rec.payload_len, sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(rec.payload[j], (uint8_t)(j * 7 + sizes[i]));
        assert_int_equal(tx->keys.sequence, i + 1);
        assert_int_equal(rx->keys.sequence, i + 1);
    }
}

static void sizes(void **state)
{
    (void)state;
    for_each(sizes_each);
}

static void tampering_each(struct tls_direction *tx, struct tls_direction *rx)
{
    struct tls_record rec;
    int n = seal(tx, 20);

    for (int at = 0; at < n; at++) {
        int r;

        memcpy(copy, record, (size_t)n);
        copy[at] ^= 1;
        r = record_open(rx, copy, (size_t)n, &rec);
        if (at == 1 || at == 2)
            assert_int_equal(r, -TLS_ALERT_PROTOCOL_VERSION);
        else if (at == 0)
            assert_true(r == -TLS_ALERT_UNEXPECTED_MESSAGE || r == -TLS_ALERT_BAD_RECORD_MAC);
        else if (at == 3)
            assert_int_equal(r, 0); /* 256 bytes more: not there yet */
        else if (at == 4)
            assert_true(r == 0 || r == -TLS_ALERT_BAD_RECORD_MAC);
        else
            assert_int_equal(r, -TLS_ALERT_BAD_RECORD_MAC);
        assert_int_equal(rx->keys.sequence, 0);
    }
    memcpy(copy, record, (size_t)n);
    assert_int_equal(record_open(rx, copy, (size_t)n, &rec), n);
    /* Replayed, and from the wrong place. */
    memcpy(copy, record, (size_t)n);
    assert_int_equal(record_open(rx, copy, (size_t)n, &rec), -TLS_ALERT_BAD_RECORD_MAC);
}

static void tampering(void **state)
{
    (void)state;
    for_each(tampering_each);
}

static void headers_each(struct tls_direction *tx, struct tls_direction *rx)
{
    bool tls13 = rx->keys.version == TLS_VERSION_1_3;
    size_t overhead = record_prefix(rx) - 5 + 16;
    size_t max = 16384 + (tls13 ? 256 : overhead);
    struct tls_record rec;

    (void)tx;
    for (int type = 0; type < 256; type++) {
        uint8_t header[5] = {(uint8_t)type, 3, 3, 0, 100};
        bool fine = type == 23 || (!tls13 && (type == 21 || type == 22));

        assert_int_equal(record_open(rx, header, 5, &rec),
                         fine ? 0 : -TLS_ALERT_UNEXPECTED_MESSAGE);
    }
    for (size_t len = 0; len < 65536; len++) {
        uint8_t header[5] = {23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};
        int expected = len > max        ? -TLS_ALERT_RECORD_OVERFLOW
                       : len < overhead ? -TLS_ALERT_BAD_RECORD_MAC
                                        : 0;

        assert_int_equal(record_open(rx, header, 5, &rec), expected);
    }
}

static void headers(void **state)
{
    (void)state;
    for_each(headers_each);
}

/* Seals `len` bytes as they are as the inner plaintext of TLS 1.3: the last one serves as the type.
 */
static int seal_inner(struct tls_direction *tx, const uint8_t *inner, size_t len)
{
    memcpy(record + 5, inner, len - 1);
    return record_seal(tx, inner[len - 1], record, len - 1);
}

static void padding(void **state)
{
    static uint8_t inner[TLS_PLAINTEXT_MAX + 1];
    struct tls_direction tx, rx;
    struct tls_record rec;
    int n;

    (void)state;
    make(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, &tx);
    make(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, &rx);
    memcpy(inner, "hello\x17", 6);
    for (size_t zeros = 0; zeros < sizeof(inner) - 6; zeros = zeros * 2 + 1) {
        n = seal_inner(&tx, inner, 6 + zeros);
        assert_int_equal(record_open(&rx, record, (size_t)n, &rec), n);
        assert_int_equal(rec.type, 23);
        assert_int_equal(rec.payload_len, 5);
        assert_memory_equal(rec.payload, "hello", 5);
    }
    n = seal_inner(&tx, inner, sizeof(inner));
    assert_int_equal(record_open(&rx, record, (size_t)n, &rec), n);

    memset(inner, 0, sizeof(inner));
    n = seal_inner(&tx, inner, 100);
    assert_int_equal(record_open(&rx, record, (size_t)n, &rec), -TLS_ALERT_UNEXPECTED_MESSAGE);
    n = seal_inner(&tx, inner, 1);
    assert_int_equal(record_open(&rx, record, (size_t)n, &rec), -TLS_ALERT_UNEXPECTED_MESSAGE);
    for (int type = 1; type < 256; type++) {
        inner[0] = (uint8_t)type;
        n = seal_inner(&tx, inner, 1);
        if (type >= TLS_TYPE_ALERT && type <= TLS_TYPE_APPLICATION_DATA)
            assert_int_equal(record_open(&rx, record, (size_t)n, &rec), n);
        else
            assert_int_equal(record_open(&rx, record, (size_t)n, &rec),
                             -TLS_ALERT_UNEXPECTED_MESSAGE);
    }
    tls_direction_rest(&tx);
    tls_direction_rest(&rx);
}

/* Opened to another place: there if all of it fits, with the type behind it; else where it lay. Not
 * a byte behind the room is touched. */
static void elsewhere_each(struct tls_direction *tx, struct tls_direction *rx)
{
    enum { GUARD = 16 };
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 1000, 16383, 16384};
    static const int rooms[] = {-1000000, -17, -1, 0, 1, 2, 1000}; /* than the record holds */
    static uint8_t out[TLS_PLAINTEXT_MAX + 2000 + GUARD];
    size_t type_bytes = record_suffix(rx) - TLS_TAG_SIZE;
    struct tls_record rec;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t j = 0; j < sizeof(rooms) / sizeof(rooms[0]); j++) {
            int n = seal(tx, sizes[i]);
            int wanted = (int)(sizes[i] + type_bytes) + rooms[j];
            size_t room = wanted < 0 ? 0 : (size_t)wanted;

            memset(out, 0xa5, sizeof(out));
            assert_int_equal(record_open_to(rx, record, (size_t)n - 1, out, room, &rec), 0);
            assert_int_equal(record_open_to(rx, record, (size_t)n, out, room, &rec), n);
            assert_int_equal(rec.type, TLS_TYPE_APPLICATION_DATA);
            assert_int_equal(rec.payload_len, sizes[i]);
            if (room >= sizes[i] + type_bytes)
                assert_ptr_equal(rec.payload, out);
            else
                assert_ptr_equal(rec.payload, record + record_prefix(rx));
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(rec.payload[k], (uint8_t)(k * 7 + sizes[i]));
            for (size_t k = room; k < room + GUARD; k++)
                assert_int_equal(out[k], 0xa5);
        }
    }
    /* Neither place makes a forged record a true one, and the next is opened all the same. */
    int n = seal(tx, 100);
    memcpy(copy, record, (size_t)n);
    copy[n - 1] ^= 1;
    assert_int_equal(record_open_to(rx, copy, (size_t)n, out, sizeof(out), &rec),
                     -TLS_ALERT_BAD_RECORD_MAC);
    assert_int_equal(record_open_to(rx, record, (size_t)n, out, sizeof(out), &rec), n);
    assert_ptr_equal(rec.payload, out);
}

static void elsewhere(void **state)
{
    (void)state;
    for_each(elsewhere_each);
}

/* What is padded takes the room of its padding too. */
static void elsewhere_padded(void **state)
{
    static uint8_t inner[1000], out[1000];
    struct tls_direction tx, rx;
    struct tls_record rec;

    (void)state;
    make(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, &tx);
    make(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, &rx);
    memcpy(inner, "hello\x17", 6);
    for (size_t room = 0; room <= sizeof(out); room += 100) {
        int n = seal_inner(&tx, inner, 700);
        assert_int_equal(record_open_to(&rx, record, (size_t)n, out, room, &rec), n);
        assert_ptr_equal(rec.payload, room >= 700 ? out : record + 5);
        assert_int_equal(rec.payload_len, 5);
        assert_memory_equal(rec.payload, "hello", 5);
    }
    tls_direction_rest(&tx);
    tls_direction_rest(&rx);
}

/* One byte more than a record may hold, sealed with OpenSSL directly. */
static void inner_overflow(void **state)
{
    struct tls_direction rx;
    struct tls_record rec;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    size_t inner = TLS_PLAINTEXT_MAX + 2, body = inner + 16;
    int n;

    (void)state;
    make(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, &rx);
    memset(record, 23, sizeof(record));
    memcpy(record + 1, "\3\3", 2);
    record[3] = (uint8_t)(body >> 8);
    record[4] = (uint8_t)body;
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, rx.keys.key, rx.keys.iv), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, record, 5), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, record + 5, &n, record + 5, (int)inner), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, record + 5 + inner, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, record + 5 + inner), 1);
    assert_int_equal(record_open(&rx, record, 5 + body, &rec), -TLS_ALERT_RECORD_OVERFLOW);
    EVP_CIPHER_CTX_free(ctx);
    tls_direction_rest(&rx);
}

static void limits_each(struct tls_direction *tx, struct tls_direction *rx)
{
    struct tls_record rec;
    int n;

    tx->keys.sequence = rx->keys.sequence = TLS_RECORDS_REKEY - 1;
    assert_false(record_needs_rekey(tx));
    n = seal(tx, 10);
    assert_true(record_needs_rekey(tx));
    assert_int_equal(record_open(rx, record, (size_t)n, &rec), n);

    tx->keys.sequence = rx->keys.sequence = TLS_RECORDS_MAX - 1;
    n = seal(tx, 10);
    assert_int_equal(record_open(rx, record, (size_t)n, &rec), n);
    assert_int_equal(seal(tx, 10), -EKEYEXPIRED);

    rx->keys.sequence = UINT64_MAX; /* would wrap */
    memcpy(record, "\x17\3\3\0\x20", 5);
    assert_int_equal(record_open(rx, record, 37, &rec), -TLS_ALERT_INTERNAL_ERROR);
}

static void limits(void **state)
{
    (void)state;
    for_each(limits_each);
}

static void explicit_nonce(void **state)
{
    struct tls_direction tx, rx;
    struct tls_record rec;
    int n;

    (void)state;
    make(TLS_VERSION_1_2, TLS_CIPHER_AES_128_GCM, &tx);
    make(TLS_VERSION_1_2, TLS_CIPHER_AES_128_GCM, &rx);
    assert_int_equal(record_prefix(&tx), 13);
    assert_int_equal(record_suffix(&tx), 16);
    tx.keys.sequence = rx.keys.sequence = 0x0102;
    n = seal(&tx, 3);
    assert_memory_equal(record + 5, "\0\0\0\0\0\0\1\2", 8);
    assert_int_equal(record_open(&rx, record, (size_t)n, &rec), n);
    tls_direction_rest(&tx);
    tls_direction_rest(&rx);

    make(TLS_VERSION_1_2, TLS_CIPHER_CHACHA20_POLY1305, &tx);
    assert_int_equal(record_prefix(&tx), 5);
    assert_int_equal(record_suffix(&tx), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8448_records), cmocka_unit_test(sizes),
        cmocka_unit_test(tampering),       cmocka_unit_test(headers),
        cmocka_unit_test(elsewhere),       cmocka_unit_test(elsewhere_padded),
        cmocka_unit_test(padding),         cmocka_unit_test(inner_overflow),
        cmocka_unit_test(limits),          cmocka_unit_test(explicit_nonce),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
