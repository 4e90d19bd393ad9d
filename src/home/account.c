#include "home/account.h"

#include <errno.h>

#include "auth/csrf.h"
#include "auth/users.h"
#include "base/cleanup.h"
#include "http/escape.h"
#include "http/form.h"
#include "http/uri.h"

static const struct span retry_after_s = {"2", 1}; /* a change takes much less */

/* --- questions to the monitor --- */

/* On the stack of the task that waits. */
struct account_call {
    struct list in_calls;
    struct task *task;
    uint64_t token;
    bool answered;
    struct message_account_answer *answer;
};

void account_calls_init(struct account_calls *calls)
{
    *calls = (struct account_calls){0};
    list_init(&calls->waiting);
}

void account_answered(struct account_calls *calls, const struct message_account_answer *answer)
{
    for (struct list *node = calls->waiting.next; node != &calls->waiting; node = node->next) {
        struct account_call *call = container_of(node, struct account_call, in_calls);

        if (call->token == answer->token && !call->answered) {
            *call->answer = *answer;
            call->answered = true;
            io_wake(call->task);
        }
    }
}

_Static_assert((int)LIMIT_ACCOUNT_MS > (int)LIMIT_ACCOUNT_TURN_MS + (int)LIMIT_ACCOUNT_CHANGE_MS,
               "whoever waits sees how a change ends that the monitor has taken on");
_Static_assert((int)LIMIT_ACCOUNT_CALLS > (int)LIMIT_ACCOUNT_CHANGES + 1,
               "there is room for calls that the monitor answers at once");

static int wait_for_answer(struct task *t, const struct account_call *call)
{
    uint64_t end_ms = loop_now_ms(task_loop(t)) + LIMIT_ACCOUNT_MS;

    while (!call->answered) {
        uint64_t now_ms = loop_now_ms(task_loop(t));
        int r = now_ms < end_ms ? io_sleep(t, end_ms - now_ms) : -ETIME;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Asks about the account of whoever has this connection's session. Returns 0 with an answer, whose
 * `result` may be an error; -ECANCELED and the like for a connection that is to end. */
static int ask(struct task *t, struct exchange *x, struct account_calls *calls,
               struct message_account *m, struct message_account_answer *ret_answer)
{
    struct account_call call = {.task = t, .answer = ret_answer};

    ret_answer->result = -EBUSY;
    if (calls->count >= LIMIT_ACCOUNT_CALLS)
        return 0;
    int r = exchange_flush(t, x); /* answers to earlier requests do not wait too */
    if (r < 0)
        return r;
    memcpy(m->digest, x->conn->approval.digest, sizeof(m->digest));
    m->token = call.token = ++calls->last_token;
    list_append(&calls->waiting, &call.in_calls);
    calls->count++;
    r = server_send(t, x->conn->server, MESSAGE_ACCOUNT, span_of(m, sizeof(*m)), (struct span){0},
                    NULL, 0);
    if (r == 0)
        r = wait_for_answer(t, &call);
    list_remove(&call.in_calls);
    calls->count--;
    return r == -ETIME ? 0 : r;
}

/* --- answers --- */

static int refuse(struct task *t, struct exchange *x, int result)
{
    switch (result) {
    case -EEXIST:
        return exchange_error(t, x, 409, SPAN("There is an app password of that name already."));
    case -ENOENT:
        return exchange_error(t, x, 404, SPAN("There is no app password of that name."));
    case -E2BIG:
        return exchange_error(t, x, 507,
                              SPAN("You have as many app passwords as there may be. Remove one."));
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return exchange_error(t, x, 507, SPAN("The server has no room left to write that down."));
    case -EBUSY:
    case -ETIMEDOUT:
        exchange_status(x, 503);
        exchange_field(x, SPAN("Retry-After"), retry_after_s);
        return exchange_error(t, x, 503, SPAN("Too busy at the moment. Try again soon."));
    case -ENOKEY:
        return exchange_error(t, x, 403, SPAN("You have been logged out meanwhile."));
    default:
        return exchange_error(t, x, 500,
                              SPAN("The server cannot change its users file; its log says why. "
                                   "Whoever runs it can do this by \"fastfile passwd\"."));
    }
}

enum { BODY_BYTES = 16 * 1024 }; /* LIMIT_APP_PASSWORDS labels, escaped */

static int respond_json(struct task *t, struct exchange *x, int status, struct buf *body)
{
    if (buf_failed(body))
        return -ENOMEM;
    exchange_status(x, status);
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    return exchange_respond(t, x, status, SPAN("application/json"), buf_span(body));
}

static void print_account(struct buf *out, const struct account_asker *asker,
                          const struct message_account_answer *answer)
{
    buf_append_str(out, "{\"user\":\"");
    escape_json(out, asker->user);
    buf_append_str(out, asker->writable ? "\",\"writable\":true" : "\",\"writable\":false");
    buf_append_str(out, ",\"session\":true,\"apps\":[");
    for (uint32_t i = 0; i < answer->app_count; i++) {
        const struct account_app *app = &answer->apps[i];
        buf_append_str(out, i == 0 ? "\n{\"label\":\"" : ",\n{\"label\":\"");
        escape_json(out, span_str(app->label));
        buf_append_str(out, app->read_only ? "\",\"readOnly\":true}" : "\",\"readOnly\":false}");
    }
    buf_append_str(out, "\n]}\n");
}

/* --- what may be asked for --- */

static int show(struct task *t, struct exchange *x, struct account_calls *calls,
                const struct account_asker *asker)
{
    struct message_account m = {.action = ACCOUNT_LIST};
    struct message_account_answer answer = {0};
    struct buf body;

    int r = ask(t, x, calls, &m, &answer);
    if (r < 0 || answer.result < 0)
        return r < 0 ? r : refuse(t, x, answer.result);
    buf_init_growing(&body, BODY_BYTES);
    print_account(&body, asker, &answer);
    r = respond_json(t, x, 200, &body);
    buf_finish(&body);
    return r;
}

/* "." and ".." are no names in a URL: nobody could remove them. */
static bool label_allowed(struct span label)
{
    return users_label_valid(label) && !span_equal(label, SPAN(".")) &&
           !span_equal(label, SPAN(".."));
}

/* Returns 0, an HTTP status, or -errno. */
static int read_form(struct task *t, struct exchange *x, struct message_account *m)
{
    struct span body, label, value;
    char flag[4];

    if (!form_is_urlencoded(x->request.content_type))
        return 400;
    int r = exchange_peek_body(t, x, LIMIT_FORM_BYTES, &body);
    if (r < 0)
        return r == -E2BIG ? 413 : r;
    if (!form_get(body, SPAN("label"), m->label, LIMIT_APP_LABEL_BYTES, &label) ||
        !label_allowed(label))
        return 400;
    m->label[label.len] = '\0';
    m->read_only = form_get(body, SPAN("readOnly"), flag, sizeof(flag), &value) &&
                   span_equal(value, SPAN("1"));
    return 0;
}

static int tell_password(struct task *t, struct exchange *x, const char *label,
                         const char *password)
{
    char memory[1024];
    struct buf body;

    buf_init_fixed(&body, memory, sizeof(memory));
    buf_append_str(&body, "{\"label\":\"");
    escape_json(&body, span_str(label));
    buf_append_str(&body, "\",\"password\":\"");
    buf_append_str(&body, password);
    buf_append_str(&body, "\"}\n");
    int r = respond_json(t, x, 201, &body);
    explicit_bzero(memory, sizeof(memory));
    return r;
}

static void wipe_answer(struct message_account_answer *answer)
{
    explicit_bzero(answer, sizeof(*answer));
}

static int add(struct task *t, struct exchange *x, struct account_calls *calls)
{
    struct message_account m = {.action = ACCOUNT_ADD};
    /* Also where the task was canceled when the answer was there: others use its stack after it. */
    _cleanup_(wipe_answer) struct message_account_answer answer = {0};

    int r = read_form(t, x, &m);
    if (r == 413)
        return exchange_error(t, x, r, SPAN("This form is too large."));
    if (r > 0)
        return exchange_error(t, x, r, SPAN("Give it a name of up to 64 bytes, without a colon."));
    if (r == 0)
        r = ask(t, x, calls, &m, &answer);
    if (r < 0 || answer.result < 0)
        return r < 0 ? r : refuse(t, x, answer.result);
    return tell_password(t, x, m.label, answer.password);
}

static int remove_app(struct task *t, struct exchange *x, struct account_calls *calls,
                      struct span name)
{
    struct message_account m = {.action = ACCOUNT_REMOVE};
    struct message_account_answer answer = {0};
    struct span label;

    if (!uri_decode_component(name, false, m.label, LIMIT_APP_LABEL_BYTES, &label) ||
        !users_label_valid(label))
        return refuse(t, x, -ENOENT);
    m.label[label.len] = '\0';
    int r = ask(t, x, calls, &m, &answer);
    if (r < 0 || answer.result < 0)
        return r < 0 ? r : refuse(t, x, answer.result);
    exchange_status(x, 204);
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static int refuse_method(struct task *t, struct exchange *x, struct span allowed)
{
    exchange_status(x, 405);
    exchange_field(x, SPAN("Allow"), allowed);
    return exchange_error(t, x, 405, SPAN(""));
}

static const struct span account_path = {"/.fastfile/account", sizeof("/.fastfile/account") - 1};

bool account_is_meant(struct span path)
{
    struct span rest =
        span_starts_with(path, account_path) ? span_skip(path, account_path.len) : SPAN("x");

    return rest.len == 0 || rest.data[0] == '/';
}

static int handle(struct task *t, struct exchange *x, struct account_calls *calls,
                  const struct account_asker *asker)
{
    const struct request *q = &x->request;
    struct span rest = span_skip(q->path, account_path.len);
    bool is_look = q->method == METHOD_GET || q->method == METHOD_HEAD;

    if (!asker->has_session)
        return exchange_error(t, x, 403, SPAN("For this one has to be logged in by the page."));
    if (!csrf_allowed(!is_look, x->conn->is_tls, q->sec_fetch_site, q->origin, q->host))
        return exchange_error(t, x, 403, SPAN("This request was made by another site."));
    if (rest.len == 0)
        return is_look ? show(t, x, calls, asker) : refuse_method(t, x, SPAN("GET, HEAD"));
    if (span_equal(rest, SPAN("/apps")))
        return q->method == METHOD_POST ? add(t, x, calls) : refuse_method(t, x, SPAN("POST"));
    if (span_starts_with(rest, SPAN("/apps/")))
        return q->method == METHOD_DELETE
                   ? remove_app(t, x, calls, span_skip(rest, sizeof("/apps/") - 1))
                   : refuse_method(t, x, SPAN("DELETE"));
    return exchange_error(t, x, 404, SPAN(""));
}

enum conn_after account_handle(struct task *t, struct exchange *x, struct account_calls *calls,
                               const struct account_asker *asker)
{
    return exchange_after(handle(t, x, calls, asker));
}
