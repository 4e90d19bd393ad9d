/* What gate does with a request: almost nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/csrf.h"
#include "gate/gate.h"
#include "http/allow.h"
#include "http/cookie.h"
#include "http/form.h"
#include "http/uri.h"
#include "ui/asset.h"
#include "ui/login.h"

static struct gate *gate_of(const struct exchange *x)
{
    return x->conn->server->role_state;
}

/* --- without a credential, or with a wrong one --- */

static bool from_script(const struct request *q)
{
    return q->sec_fetch_mode.data && !span_equal(q->sec_fetch_mode, SPAN("navigate"));
}

static bool wants_page(const struct request *q)
{
    return q->method == METHOD_GET && !from_script(q) && response_form(q) == BODY_HTML;
}

/* To the login page, and back to where it was going; to the top if that is too long to say. */
static int send_to_login(struct task *t, struct exchange *x)
{
    struct buf location;

    buf_init_growing(&location, EXCHANGE_LOCATION_BYTES);
    buf_append(&location, SPAN("/.fastfile/login?next="));
    uri_encode_path(&location, x->request.target);
    exchange_status(x, 303);
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    int r = exchange_redirect(
        t, x, 303, buf_failed(&location) ? SPAN("/.fastfile/login") : buf_span(&location));
    buf_finish(&location);
    return r;
}

/* Office looks whether there is WebDAV, and the document, before it opens one that is on a drive of
 * Windows' own client. It says "Bearer" or nothing, and for 401 it asks for a password that the
 * drive has long been given, or refuses to open a document that Basic guards. */
static bool is_office_probe(const struct request *q)
{
    return (q->method == METHOD_OPTIONS || q->method == METHOD_HEAD) &&
           span_starts_with(q->user_agent, SPAN("Microsoft Office")) &&
           (!q->authorization.data ||
            span_equal_nocase(span_trim(q->authorization), SPAN("Bearer")));
}

/* The same whatever is there or is not: strangers learn nothing. */
static int answer_office_probe(struct task *t, struct exchange *x)
{
    exchange_status(x, 200);
    exchange_field(x, SPAN("Allow"), allow_methods(ALLOW_SERVER, true));
    exchange_field(x, SPAN("DAV"), SPAN("1, 2, 3"));
    exchange_field(x, SPAN("MS-Author-Via"), SPAN("DAV"));
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static int ask_for_credential(struct task *t, struct exchange *x)
{
    if (wants_page(&x->request))
        return send_to_login(t, x);
    if (is_office_probe(&x->request))
        return answer_office_probe(t, x);
    exchange_status(x, 401);
    /* A browser would open a window of its own for a request of a page's script. */
    if (!x->request.sec_fetch_mode.data)
        exchange_field(x, SPAN("WWW-Authenticate"),
                       SPAN("Basic realm=\"Fast File\", charset=\"UTF-8\""));
    return exchange_error(t, x, 401, SPAN("Log in to see this."));
}

/* The status and when to come back. */
static void begin_wait(struct exchange *x, int status)
{
    uint32_t seconds = x->conn->approval.retry_after_s;
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", seconds ? seconds : 1);

    exchange_status(x, status);
    exchange_field(x, SPAN("Retry-After"), span_of(text, (size_t)length));
}

static int ask_to_wait(struct task *t, struct exchange *x, int status)
{
    begin_wait(x, status);
    return exchange_error(t, x, status,
                          status == 429 ? SPAN("Too many wrong passwords. Try again in a moment.")
                                        : SPAN("Too busy at the moment. Try again soon."));
}

/* --- handing over --- */

static enum conn_after hand_over(struct task *t, struct exchange *x,
                                 const struct credential *credential)
{
    uint64_t token;

    if (exchange_flush(t, x) < 0 || conn_take_token(x->conn, &token) < 0)
        return CONN_BROKEN;
    if (conn_hand_over(t, x->conn, token, credential) < 0) {
        conn_forget_token(x->conn);
        return CONN_BROKEN;
    }
    return CONN_PARKED;
}

static int answer_verdict(struct task *t, struct exchange *x)
{
    switch (x->conn->approval.verdict) {
    case APPROVAL_THROTTLED:
        return ask_to_wait(t, x, 429);
    case APPROVAL_BUSY:
        return ask_to_wait(t, x, 503);
    default:
        return ask_for_credential(t, x);
    }
}

/* --- the login form --- */

struct login_form {
    struct span user, password, next;
    char bytes[3][LIMIT_FORM_BYTES / 4];
};

static int read_form(struct task *t, struct exchange *x, struct login_form *form)
{
    struct span body;

    if (!form_is_urlencoded(x->request.content_type))
        return -EINVAL;
    int r = exchange_peek_body(t, x, LIMIT_FORM_BYTES, &body);
    if (r < 0)
        return r;
    const size_t size = sizeof(form->bytes[0]);
    if (!form_get(body, SPAN("user"), form->bytes[0], size, &form->user) ||
        !form_get(body, SPAN("password"), form->bytes[1], size, &form->password))
        return -EINVAL;
    if (!form_get(body, SPAN("next"), form->bytes[2], size, &form->next) ||
        !login_next_valid(form->next))
        form->next = SPAN("/");
    return 0;
}

static int welcome(struct task *t, struct exchange *x, const struct login_form *form)
{
    const struct gate *gate = gate_of(x);
    char memory[256];
    struct buf cookie;

    buf_init_fixed(&cookie, memory, sizeof(memory));
    /* Over plain HTTP a browser would throw a Secure cookie away, and __Host- demands Secure. */
    buf_printf(&cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s", gate->cookie_name,
               x->conn->approval.session_token, LIMIT_SESSION_S, x->conn->is_tls ? "; Secure" : "");
    exchange_status(x, 303);
    exchange_field(x, SPAN("Set-Cookie"), buf_span(&cookie));
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    return exchange_redirect(t, x, 303, form->next);
}

static enum conn_after answer_login(struct task *t, struct exchange *x,
                                    const struct login_form *form)
{
    struct approval *approval = &x->conn->approval;
    int r;

    switch (approval->verdict) {
    case APPROVAL_ACCEPTED:
        r = welcome(t, x, form);
        break;
    case APPROVAL_THROTTLED:
        begin_wait(x, 429);
        r = login_page_respond(t, x, 429, form->next, form->user,
                               SPAN("Too many wrong passwords. Wait a moment, then try again."));
        break;
    case APPROVAL_BUSY:
        begin_wait(x, 503);
        r = login_page_respond(t, x, 503, form->next, form->user,
                               SPAN("The server is busy. Try again in a moment."));
        break;
    default:
        r = login_page_respond(t, x, 403, form->next, form->user,
                               SPAN("That name and password do not belong together."));
        break;
    }
    explicit_bzero(approval->session_token, sizeof(approval->session_token));
    return exchange_after(r);
}

static struct span session_token(const struct exchange *x)
{
    struct span token = {NULL, 0};

    cookie_get(x->request.cookie, span_str(gate_of(x)->cookie_name), &token);
    return token;
}

static enum conn_after log_in_with(struct task *t, struct exchange *x, struct login_form *form)
{
    struct credential credential;

    int r = read_form(t, x, form);
    if (r == -E2BIG || r == -EINVAL)
        return exchange_after(exchange_error(t, x, r == -E2BIG ? 413 : 400,
                                             SPAN("This is not what the login page sends.")));
    if (r < 0)
        return CONN_BROKEN;
    if (x->conn->reviewed) {
        x->conn->reviewed = false;
        return answer_login(t, x, form);
    }
    r = credential_from_login(form->user, form->password, session_token(x), &credential);
    if (r < 0)
        return exchange_after(
            login_page_respond(t, x, 403, form->next, form->user,
                               SPAN("That name and password do not belong together.")));
    enum conn_after after = hand_over(t, x, &credential);
    credential_wipe(&credential);
    return after;
}

static enum conn_after log_in(struct task *t, struct exchange *x)
{
    const struct request *q = &x->request;

    if (!csrf_allowed(true, x->conn->is_tls, q->sec_fetch_site, q->origin, q->host))
        return exchange_after(
            exchange_error(t, x, 403, SPAN("This form was sent from another site.")));
    struct login_form *form = malloc(sizeof(*form));
    if (!form)
        return CONN_BROKEN;
    enum conn_after after = log_in_with(t, x, form);
    explicit_bzero(form, sizeof(*form));
    free(form);
    return after;
}

static int show_login(struct task *t, struct exchange *x)
{
    char memory[LIMIT_PATH_BYTES];
    struct span next;

    if (!uri_query_get(x->request.query, SPAN("next"), memory, sizeof(memory), &next) ||
        !login_next_valid(next))
        next = SPAN("/");
    return login_page_respond(t, x, 200, next, SPAN(""), SPAN(""));
}

/* --- the table of contents --- */

/* What strangers may have. Returns true when the request was one of these. */
static bool answer_stranger(struct task *t, struct exchange *x, enum conn_after *ret_after)
{
    const struct request *q = &x->request;
    bool get = q->method == METHOD_GET || q->method == METHOD_HEAD, current;

    if (!span_starts_with(q->path, SPAN("/.fastfile/")))
        return false;
    struct span name = span_skip(q->path, sizeof("/.fastfile/") - 1);
    if (get && span_equal(name, SPAN("health")))
        *ret_after = exchange_after(
            exchange_respond(t, x, 200, SPAN("text/plain; charset=utf-8"), SPAN("ok\n")));
    else if (get && asset_at(name, &current))
        *ret_after = exchange_after(asset_respond(t, x, name));
    else if (span_equal(name, SPAN("login")) && q->method == METHOD_POST)
        *ret_after = log_in(t, x);
    else
        return false;
    return true;
}

enum conn_after gate_handle(struct task *t, struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct gate *gate = gate_of(x);
    struct credential credential;
    enum conn_after after;

    if (!gate->boot->no_auth && answer_stranger(t, x, &after)) {
        conn->adopted = false;
        return after;
    }
    if (conn->reviewed || conn->adopted) {
        conn->reviewed = conn->adopted = false;
        if (span_equal(x->request.path, SPAN("/.fastfile/login")))
            return exchange_after(show_login(t, x));
        return exchange_after(answer_verdict(t, x));
    }
    int r = credential_from_fields(x->request.authorization, session_token(x), &credential);
    if (r < 0 && !gate->boot->no_auth)
        return exchange_after(ask_for_credential(t, x));
    if (r < 0)
        credential = (struct credential){.kind = CREDENTIAL_NONE};
    if (credential.kind == CREDENTIAL_NONE && !gate->boot->no_auth) {
        if (span_equal(x->request.path, SPAN("/.fastfile/login")))
            return exchange_after(show_login(t, x));
        return exchange_after(ask_for_credential(t, x));
    }
    after = hand_over(t, x, &credential);
    credential_wipe(&credential);
    return after;
}
