#include "tls/session.h"

#include <errno.h>
#include <limits.h>

#include <openssl/crypto.h>

enum {
    HANDSHAKE_KEY_UPDATE = 24,
    KEY_UPDATE_SIZE = 4 + 1, /* type, uint24 length, request_update */
    ALERT_SIZE = 2,
};

_Static_assert(TLS_PREFIX_MAX + KEY_UPDATE_SIZE + TLS_SUFFIX_MAX <= SESSION_MESSAGE_MAX,
               "the callers' buffers hold the longest message");

int session_init(struct tls_session *s, const struct tls_keys *rx, const struct tls_keys *tx,
                 uint16_t max_fragment)
{
    if (!keys_valid(rx) || !keys_valid(tx) || rx->version != tx->version ||
        rx->cipher != tx->cipher || max_fragment > TLS_PLAINTEXT_MAX)
        return -EINVAL;
    *s = (struct tls_session){
        .rx.keys = *rx,
        .tx.keys = *tx,
        .max_fragment = max_fragment ? max_fragment : TLS_PLAINTEXT_MAX,
    };
    return 0;
}

/* One more record that carried nothing. A peer with too many gets unexpected_message. */
static int count_barren(struct tls_session *s)
{
    return ++s->barren > SESSION_BARREN_MAX ? -TLS_ALERT_UNEXPECTED_MESSAGE : 0;
}

static int take_data(struct tls_session *s, const struct tls_record *rec, struct session_event *ret)
{
    uint32_t earned;

    if (rec->payload_len == 0)
        return count_barren(s);
    s->barren_credit += (uint32_t)rec->payload_len;
    earned = s->barren_credit / SESSION_BARREN_BYTES;
    s->barren_credit %= SESSION_BARREN_BYTES;
    s->barren = s->barren > earned ? (uint16_t)(s->barren - earned) : 0;

    ret->kind = SESSION_DATA;
    ret->data = span_of(rec->payload, rec->payload_len);
    return 0;
}

static int take_alert(struct tls_session *s, const struct tls_record *rec,
                      struct session_event *ret)
{
    uint8_t level, description;

    if (rec->payload_len != ALERT_SIZE)
        return -TLS_ALERT_DECODE_ERROR;
    level = rec->payload[0];
    description = rec->payload[1];
    if (description == TLS_ALERT_CLOSE_NOTIFY) {
        s->close_received = true;
        ret->kind = SESSION_CLOSED;
        return 0;
    }
    /* TLS 1.3 ignores the level: all but user_canceled are fatal (RFC 8446 section 6). */
    if (s->rx.keys.version == TLS_VERSION_1_3 ? description == TLS_ALERT_USER_CANCELED
                                              : level == TLS_ALERT_LEVEL_WARNING)
        return count_barren(s);
    s->close_received = true;
    s->close_sent = true; /* an alert is not answered */
    ret->kind = SESSION_ALERT;
    ret->alert = description;
    return 0;
}

/* KeyUpdate is the only handshake message a TLS 1.3 client may send now: we ask for no certificate
 * later. In TLS 1.2 any is a renegotiation; since we never begin one, only attackers do, and they
 * get unexpected_message instead of the no_renegotiation warning that would let them go on.
 *
 * The message must end its record, as keys change behind it (RFC 8446 section 5.1). It could be
 * split over records; nobody splits five bytes, and refusing keeps a session free of half messages.
 */
static int take_handshake(struct tls_session *s, const struct tls_record *rec,
                          struct session_event *ret)
{
    static const uint8_t key_update[] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1};

    if (s->rx.keys.version != TLS_VERSION_1_3 || rec->payload_len != KEY_UPDATE_SIZE ||
        rec->payload[0] != HANDSHAKE_KEY_UPDATE)
        return -TLS_ALERT_UNEXPECTED_MESSAGE;
    if (memcmp(rec->payload, key_update, sizeof(key_update)) != 0)
        return -TLS_ALERT_DECODE_ERROR;
    if (rec->payload[4] > 1)
        return -TLS_ALERT_ILLEGAL_PARAMETER;

    tls_direction_rest(&s->rx);
    keys_update(&s->rx.keys);
    if (rec->payload[4] == 1) { /* update_requested; one answer serves several requests */
        s->key_update_owed = true;
        ret->kind = SESSION_REPLY_KEY_UPDATE;
    }
    return count_barren(s);
}

int session_open(struct tls_session *s, uint8_t *data, size_t len, struct session_event *ret)
{
    return session_open_to(s, data, len, NULL, 0, ret);
}

int session_open_to(struct tls_session *s, uint8_t *data, size_t len, uint8_t *out, size_t room,
                    struct session_event *ret)
{
    struct tls_record rec;
    int n, r;

    *ret = (struct session_event){.kind = SESSION_NOTHING};
    if (s->close_received) { /* RFC 8446 section 6.1: what follows is ignored */
        ret->kind = SESSION_CLOSED;
        return len > INT_MAX ? INT_MAX : (int)len;
    }
    n = record_open_to(&s->rx, data, len, out, room, &rec);
    if (n <= 0)
        return n;
    if (rec.payload_len > s->max_fragment) /* RFC 6066 section 4 */
        return -TLS_ALERT_RECORD_OVERFLOW;

    if (rec.type == TLS_TYPE_APPLICATION_DATA)
        r = take_data(s, &rec, ret);
    else if (rec.type == TLS_TYPE_ALERT)
        r = take_alert(s, &rec, ret);
    else
        r = take_handshake(s, &rec, ret);
    return r < 0 ? r : n;
}

static int seal_message(struct tls_session *s, uint8_t type, const uint8_t *message, size_t len,
                        uint8_t *out)
{
    memcpy(out + record_prefix(&s->tx), message, len);
    return record_seal(&s->tx, type, out, len);
}

int session_key_update(struct tls_session *s, bool request, uint8_t *out)
{
    const uint8_t message[KEY_UPDATE_SIZE] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1, request ? 1 : 0};
    int n;

    if (s->tx.keys.version != TLS_VERSION_1_3)
        return -ENOTSUP;
    n = seal_message(s, TLS_TYPE_HANDSHAKE, message, sizeof(message), out);
    if (n < 0)
        return n;
    tls_direction_rest(&s->tx);
    keys_update(&s->tx.keys);
    s->key_update_owed = false;
    return n;
}

int session_alert(struct tls_session *s, uint8_t level, uint8_t description, uint8_t *out)
{
    const uint8_t message[ALERT_SIZE] = {level, description};

    if (s->close_sent)
        return 0;
    if (level == TLS_ALERT_LEVEL_FATAL || description == TLS_ALERT_CLOSE_NOTIFY)
        s->close_sent = true;
    return seal_message(s, TLS_TYPE_ALERT, message, sizeof(message), out);
}

void session_rest(struct tls_session *s)
{
    tls_direction_rest(&s->rx);
    tls_direction_rest(&s->tx);
}

void session_wipe(struct tls_session *s)
{
    session_rest(s);
    OPENSSL_cleanse(s, sizeof(*s));
}
