/* What the parts of a connection want of each other; conn.h says what others want of it. */
#pragma once

#include "net/conn.h"

/* --- conn_handshake.c --- */

/* From the first bytes to session keys. Returns 0 or -errno; the client has been told why. */
int conn_handshake(struct task *t, struct conn *conn);

/* --- conn_receive.c --- */

/* Receives into conn->input. Returns the number of bytes, 0 at the end of the stream, or -errno. */
int conn_receive(struct task *t, struct conn *conn);

/* --- conn_send.c --- */

/* The ring waits by itself and takes a non-blocking socket for one that shall not wait; sendfile(2)
 * waits unless the socket is non-blocking. So each says what it needs, and a long file says it
 * once. Returns 0 or -errno. */
int conn_set_nonblocking(struct conn *conn, bool nonblocking);

/* --- conn_close.c --- */

/* Says close_notify, or a fatal alert, if the socket takes it at once. */
void conn_say_alert(struct conn *conn, uint8_t level, uint8_t description);

/* Says close_notify and ends our half of the stream, without waiting. */
void conn_say_close(struct conn *conn);

/* The same with what it takes to be heard: all that was sent before gets through, and the peer has
 * the time to close too. */
void conn_close(struct task *t, struct conn *conn);

/* Waits for the peer to close too. While it still sends, closing would answer its data with a
 * reset, which throws away what it has not read of our answer (RFC 9112 section 9.6). So what comes
 * is read and dropped for a while; and then nothing is read any more, which stops the peer's
 * sending and lets it look at what it got. */
void conn_linger(struct task *t, struct conn *conn);
