/* A TLS connection after its handshake: two directions of keys, alerts and KeyUpdate.
 *
 * A session is small and movable: session_rest() reduces it to plain data, session_init() makes one
 * from keys that came from another process. It does no I/O; the caller moves the bytes. Application
 * data is sent with record_seal(&s->tx, …). The caller owns the struct and ends it with
 * session_wipe(). One thread at a time.
 */
#pragma once

#include "tls/record.h"

enum {
    /* Records that carry nothing (KeyUpdate, empty data, warnings) a peer may have in advance of
     * its data: each costs us as much as a full one, and some JDKs send storms of KeyUpdate
     * (JDK-8329548). Every SESSION_BARREN_BYTES of application data earn one more. */
    SESSION_BARREN_MAX = 32,
    SESSION_BARREN_BYTES = 1024,
    /* What session_key_update() and session_alert() write at most. */
    SESSION_MESSAGE_MAX = 64,
};

struct tls_session {
    struct tls_direction rx, tx;
    uint16_t max_fragment;  /* payload bytes per record, both ways: TLS_PLAINTEXT_MAX or what was
                               negotiated */
    uint16_t barren;        /* records that carried nothing, less what data has earned */
    uint32_t barren_credit; /* data bytes towards the next one earned */
    bool key_update_owed;   /* the peer asked: session_key_update() before the next data */
    bool close_received;    /* close_notify came in: nothing that follows counts */
    bool close_sent;        /* our close_notify or fatal alert is out: nothing may follow */
};

enum session_kind {
    SESSION_DATA,             /* application data in `data`, at least one byte */
    SESSION_NOTHING,          /* nothing for the caller: go on with the next record */
    SESSION_REPLY_KEY_UPDATE, /* as NOTHING, and key_update_owed is set */
    SESSION_CLOSED,           /* close_notify: the peer will send no more */
    SESSION_ALERT,            /* a fatal alert from the peer, in `alert`: close without answering */
};

struct session_event {
    enum session_kind kind;
    uint8_t alert;
    struct span data; /* inside the bytes given to session_open(), or at the start of `out` */
};

/* `max_fragment` 0 means TLS_PLAINTEXT_MAX. Copies the keys. Returns 0, or -EINVAL for keys that
 * cannot be. */
int session_init(struct tls_session *s, const struct tls_keys *rx, const struct tls_keys *tx,
                 uint16_t max_fragment);

/* Opens the first record of `data` in place. Returns the bytes consumed (> 0), 0 when more bytes
 * are needed, or a negated enum tls_alert: send it with session_alert() and close. */
int session_open(struct tls_session *s, uint8_t *data, size_t len, struct session_event *ret);

/* The same, with the payload in `out` where it fits: as record_open_to(). */
int session_open_to(struct tls_session *s, uint8_t *data, size_t len, uint8_t *out, size_t room,
                    struct session_event *ret);

/* TLS 1.3: writes a sealed KeyUpdate (RFC 8446 section 4.6.3) to `out` and moves tx to the next
 * keys. With `request` the peer is asked to do the same. Returns the length, at most
 * SESSION_MESSAGE_MAX, or -errno: -ENOTSUP in TLS 1.2. */
int session_key_update(struct tls_session *s, bool request, uint8_t *out);

/* Writes a sealed alert to `out`; level and description as in RFC 8446 section 6 (close_notify:
 * warning, 0). Returns the length, at most SESSION_MESSAGE_MAX; 0 when nothing may follow any more;
 * or -errno. */
int session_alert(struct tls_session *s, uint8_t level, uint8_t description, uint8_t *out);

/* Frees both cipher contexts: for an idle connection, and before its keys are copied. */
void session_rest(struct tls_session *s);

/* Frees and overwrites everything. */
void session_wipe(struct tls_session *s);
