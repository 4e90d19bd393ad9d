/* Connections leave by conn_hand_over() and arrive by conn_adopt(). */
#include <errno.h>
#include <unistd.h>

#include "net/conn.h"

int conn_hand_over(struct task *t, struct conn *conn, uint64_t token,
                   const struct credential *credential)
{
    struct span plain = input_plain(&conn->input);
    struct span sealed = input_sealed(&conn->input);
    struct handover h = {
        .token = token,
        .flags = (conn->is_tls ? HANDOVER_TLS : 0) | (conn->kernel_tx ? HANDOVER_KERNEL_TX : 0),
        .plaintext_bytes = (uint32_t)plain.len,
        .ciphertext_bytes = (uint32_t)sealed.len,
        .credential = *credential,
    };
    if (conn->is_tls) {
        h.tls.rx = conn->session.rx.keys;
        h.tls.tx = conn->session.tx.keys;
        h.tls.max_fragment = conn->session.max_fragment;
        h.tls.key_update_owed = conn->session.key_update_owed;
    }
    /* Opened and sealed bytes stand in this order in one piece of memory, perhaps with a gap. */
    input_close_gap(&conn->input);
    struct span bytes = span_of(input_plain(&conn->input).data, plain.len + sealed.len);
    int r = server_send(t, conn->server, MESSAGE_CONNECTION, span_of(&h, sizeof(h)), bytes,
                        &conn->fd, 1);
    explicit_bzero(&h, sizeof(h));
    return r;
}

bool handover_valid(const struct handover *h, struct span bytes)
{
    if (h->plaintext_bytes > HANDOVER_BYTES_MAX || h->ciphertext_bytes > HANDOVER_BYTES_MAX ||
        h->plaintext_bytes + h->ciphertext_bytes != bytes.len || !credential_valid(&h->credential))
        return false;
    if (h->flags & HANDOVER_TLS)
        return keys_valid(&h->tls.rx) && keys_valid(&h->tls.tx);
    return h->ciphertext_bytes == 0;
}
