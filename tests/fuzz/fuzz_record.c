/* The record layer and the session, with fixed keys.
 *
 * First byte: bits 0 and 1 choose the cipher, bit 2 the version, bit 3 what the rest is.
 * Bit 3 clear: the bytes as they come from the network. Set: a list of records, each a type byte, a
 * change byte, a length byte and the payload. They are sealed correctly, as by a peer that has the
 * keys but not our good will; a change byte other than 0 then flips that byte of the record. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define check(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

static void make_session(uint8_t choice, struct tls_session *ret)
{
    static const uint8_t secret[48] = {1}, random[TLS_RANDOM_SIZE] = {2};
    uint8_t cipher = (uint8_t)(1 + (choice & 3) % 3);
    struct tls_keys rx, tx;

    if (choice & 4)
        keys_from_master(cipher, secret, random, random, &rx, &tx);
    else
        check(keys_from_secret(cipher, secret, cipher == TLS_CIPHER_AES_256_GCM ? 48 : 32, &rx) ==
              0);
    if (!(choice & 4))
        tx = rx;
    check(session_init(ret, &rx, &tx, 0) == 0);
}

/* Opens everything in `data`, as a connection would. False when it is over. */
static bool open_all(struct tls_session *s, uint8_t *data, size_t len)
{
    uint8_t out[SESSION_MESSAGE_MAX];
    struct session_event event;
    int n;

    for (size_t at = 0; at < len; at += (size_t)n) {
        n = session_open(s, data + at, len - at, &event);
        if (n < 0) {
            check(n >= -255);
            check(session_alert(s, TLS_ALERT_LEVEL_FATAL, (uint8_t)-n, out) > 0);
            return false;
        }
        if (n == 0)
            return true;
        check((size_t)n <= len - at);
        if (event.kind == SESSION_DATA) {
            check(event.data.len > 0 && event.data.len <= TLS_PLAINTEXT_MAX);
            check((const uint8_t *)event.data.data > data + at);
            check((const uint8_t *)event.data.data + event.data.len <= data + at + n);
        }
        check(s->barren <= SESSION_BARREN_MAX);
        if (s->key_update_owed)
            check(session_key_update(s, false, out) > 0);
        if (event.kind == SESSION_CLOSED || event.kind == SESSION_ALERT)
            return false;
    }
    return true;
}

/* Seals the next record of the list with the peer's keys and opens it. */
static bool one_record(struct tls_session *s, struct tls_direction *peer, const uint8_t **data,
                       size_t *size)
{
    uint8_t type = (*data)[0], change = (*data)[1];
    size_t len = (*data)[2] < *size - 3 ? (*data)[2] : *size - 3;
    size_t record_len = record_prefix(peer) + len + record_suffix(peer);
    uint8_t *record = malloc(record_len); /* exactly as long, for AddressSanitizer */
    bool more;

    check(record);
    memcpy(record + record_prefix(peer), *data + 3, len);
    check(record_seal(peer, type, record, len) == (int)record_len);
    if (change && change < record_len)
        record[change] ^= change;
    more = open_all(s, record, record_len);
    free(record);
    *data += 3 + len;
    *size -= 3 + len;

    /* The peer follows its own KeyUpdate. */
    if (more && s->rx.keys.sequence == 0 && s->rx.keys.version == TLS_VERSION_1_3) {
        tls_direction_rest(peer);
        peer->keys = s->rx.keys;
    }
    return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_session s;
    uint8_t choice;

    if (size < 1)
        return 0;
    choice = *data++;
    size--;
    make_session(choice, &s);
    if (choice & 8) {
        struct tls_direction peer = {.keys = s.rx.keys};

        while (size >= 3 && one_record(&s, &peer, &data, &size))
            ;
        tls_direction_rest(&peer);
    } else {
        uint8_t *copy = malloc(size ? size : 1);

        check(copy);
        memcpy(copy, data, size);
        open_all(&s, copy, size);
        free(copy);
    }
    session_wipe(&s);
    return 0;
}
