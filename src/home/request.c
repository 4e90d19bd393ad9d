/* What stands before the folder: is this still the person whom the monitor approved? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/csrf.h"
#include "auth/digest.h"
#include "home/home.h"
#include "http/cookie.h"
#include "http/form.h"

static struct home *home_of(const struct exchange *x)
{
    return x->conn->server->role_state;
}

/* The connection goes back, and the monitor finds out whose it is now. */
static enum conn_after send_back(struct task *t, struct exchange *x,
                                 const struct credential *credential)
{
    if (exchange_flush(t, x) < 0 || conn_hand_over(t, x->conn, 0, credential) < 0)
        return CONN_BROKEN;
    return CONN_GONE;
}

/* Whether all of the user's sessions are to end. Whatever else comes as a body, none included, is a
 * wish to leave here. Returns 0 or -errno. */
static int read_everywhere(struct task *t, struct exchange *x, bool *ret)
{
    struct span body, value;
    char memory[4];

    *ret = false;
    if (!form_is_urlencoded(x->request.content_type))
        return 0;
    int r = exchange_peek_body(t, x, LIMIT_FORM_BYTES, &body);
    if (r == -E2BIG) /* or of a length that is not told before */
        return 0;
    if (r == 0)
        *ret = form_get(body, SPAN("everywhere"), memory, sizeof(memory), &value) &&
               span_equal(value, SPAN("1"));
    return r;
}

static enum conn_after log_out(struct task *t, struct exchange *x, bool has_session)
{
    const struct home *home = home_of(x);
    const struct request *q = &x->request;
    struct message_logout m = {0};
    char memory[128];
    struct buf cookie;
    bool everywhere;

    if (!csrf_allowed(true, x->conn->is_tls, q->sec_fetch_site, q->origin, q->host))
        return exchange_after(
            exchange_error(t, x, 403, SPAN("This request was made by another site.")));
    int r = read_everywhere(t, x, &everywhere);
    if (r < 0)
        return exchange_after(r);
    if (everywhere && !has_session)
        return exchange_after(
            exchange_error(t, x, 403, SPAN("For this one has to be logged in by the page.")));
    m.everywhere = everywhere;
    memcpy(m.digest, x->conn->approval.digest, sizeof(m.digest));
    /* First, so that this connection is not among those that the monitor has closed. */
    explicit_bzero(&x->conn->approval.digest, sizeof(x->conn->approval.digest));
    x->conn->approval.user[0] = '\0';
    r = server_send(t, x->conn->server, MESSAGE_LOGOUT, span_of(&m, sizeof(m)), (struct span){0},
                    NULL, 0);
    if (r < 0)
        return CONN_BROKEN;
    buf_init_fixed(&cookie, memory, sizeof(memory));
    buf_printf(&cookie, "%s=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0%s", home->cookie_name,
               x->conn->is_tls ? "; Secure" : "");
    exchange_status(x, 303);
    exchange_field(x, SPAN("Set-Cookie"), buf_span(&cookie));
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    /* Pages that the browser keeps alive for its "back" button go too. */
    exchange_field(x, SPAN("Clear-Site-Data"), SPAN("\"cache\""));
    return exchange_after(exchange_redirect(t, x, 303, SPAN("/.fastfile/login")));
}

enum conn_after home_handle(struct task *t, struct exchange *x)
{
    struct home *home = home_of(x);
    const struct request *q = &x->request;
    const struct approval *approval = &x->conn->approval;
    struct credential credential;
    uint8_t digest[DIGEST_BYTES];
    struct span token = {NULL, 0};

    cookie_get(q->cookie, span_str(home->cookie_name), &token);
    int r = credential_from_fields(q->authorization, token, &credential);
    bool logs_in = q->method == METHOD_POST && span_equal(q->path, SPAN("/.fastfile/login"));
    if (r < 0 || (logs_in && !home->boot->no_auth))
        /* Nobody's: gate knows what to answer. */
        credential = (struct credential){.kind = CREDENTIAL_NONE};
    credential_digest(&credential, digest);
    if (!digest_equal(digest, approval->digest) ||
        (credential.kind == CREDENTIAL_NONE && !home->boot->no_auth)) {
        enum conn_after after = send_back(t, x, &credential);
        credential_wipe(&credential);
        return after;
    }
    struct visitor visitor = {
        .user = span_str(approval->user),
        .read_only = approval->read_only,
        .has_session = credential.kind == CREDENTIAL_SESSION,
    };
    credential_wipe(&credential);
    memcpy(x->user, approval->user, sizeof(x->user));
    if (span_equal(q->path, SPAN("/.fastfile/logout")) && q->method == METHOD_POST)
        return log_out(t, x, visitor.has_session);
    if (account_is_meant(q->path) && home->has_accounts) {
        const struct account_asker asker = {
            .user = visitor.user,
            .writable = !visitor.read_only && !home->boot->read_only,
            .has_session = visitor.has_session,
        };
        return account_handle(t, x, &home->account_calls, &asker);
    }
    if (span_equal(q->path, SPAN("/.fastfile/login")))
        return exchange_after(exchange_redirect(t, x, 303, SPAN("/")));
    return route_handle(t, x, &home->site, &visitor);
}
