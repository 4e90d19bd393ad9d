#include "monitor/account.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

_Static_assert((int)ACCOUNT_PASSWORD_BYTES >= (int)PASSWORD_APP_BYTES,
               "a new app password fits in");

struct account_change {
    struct list in_queue;
    struct account_source from;
    struct message_account message;
    char user[LIMIT_USER_NAME_BYTES + 1]; /* whose it was when it came */
    uint64_t until_ms;                    /* it is begun by then, or not at all */
};

void account_init(struct account *a)
{
    list_init(&a->waiting);
}

static void forget(struct account_change *change)
{
    explicit_bzero(change, sizeof(*change));
    free(change);
}

void account_finish(struct account *a)
{
    for (struct list *node; (node = list_pop_first(&a->waiting));)
        forget(container_of(node, struct account_change, in_queue));
    if (a->current)
        forget(a->current);
    a->current = NULL;
}

/* --- answers --- */

static void copy_string(char *to, size_t size, struct span from)
{
    assert(from.len < size);
    memcpy(to, from.data, from.len);
    to[from.len] = '\0';
}

static void answer_result(struct account *a, struct account_source to, uint64_t token, int result)
{
    struct message_account_answer answer = {.token = token, .result = result};

    a->answer(to, &answer, a->context);
}

static void answer_list(struct account *a, struct account_source to, uint64_t token,
                        const struct user *user)
{
    struct message_account_answer answer = {.token = token};

    assert(user->app_count <= LIMIT_APP_PASSWORDS);
    for (size_t i = 0; i < user->app_count; i++) {
        struct account_app *app = &answer.apps[answer.app_count++];
        copy_string(app->label, sizeof(app->label), user->apps[i].label);
        app->read_only = user->read_only || user->apps[i].read_only;
    }
    a->answer(to, &answer, a->context);
}

/* --- changes --- */

static void complain(struct account *a, const char *why, struct verify_time now)
{
    if (now.mono_ms < a->complain_ms)
        return;
    a->complain_ms = now.mono_ms + LIMIT_ACCOUNT_COMPLAINT_MS;
    log_error("The users file %s could not be changed for an app password: %s.", a->users_path,
              why);
}

static int start_clerk(struct account *a, const struct message_account *m, const struct user *user,
                       struct verify_time now)
{
    struct clerk_job job = {
        .action = m->action == ACCOUNT_ADD ? CLERK_ADD_APP : CLERK_REMOVE_APP,
        .stamp = user->stamp,
        .read_only = m->read_only != 0,
    };

    assert(strlen(a->users_path) < sizeof(job.path));
    copy_string(job.path, sizeof(job.path), span_str(a->users_path));
    copy_string(job.user, sizeof(job.user), user->name);
    copy_string(job.label, sizeof(job.label), span_str(m->label));
    int r = a->start_clerk(&job, a->context);
    if (r < 0)
        complain(a, strerror(-r), now);
    return r;
}

/* Only now is it looked up whose change it is: the session may have ended while the change waited.
 */
static int begin(struct account *a, const struct account_change *change, struct verify_time now)
{
    const struct user *user = verifier_session_user(a->verifier, change->message.digest, now);
    return user ? start_clerk(a, &change->message, user, now) : -ENOKEY;
}

/* Those whom nobody waits for any more: home has died, and its connections with it. */
static void drop_orphans(struct account *a)
{
    for (struct list *node = a->waiting.next, *next; node != &a->waiting; node = next) {
        struct account_change *change = container_of(node, struct account_change, in_queue);
        next = node->next;
        if (change->from.life == a->home_life)
            continue;
        list_remove(&change->in_queue);
        a->waiting_count--;
        forget(change);
    }
}

/* Those whose turn has not come in time. */
static void end_overdue(struct account *a, struct verify_time now)
{
    while (!list_empty(&a->waiting)) {
        struct account_change *change =
            container_of(a->waiting.next, struct account_change, in_queue);
        if (now.mono_ms < change->until_ms)
            return;
        list_remove(&change->in_queue);
        a->waiting_count--;
        answer_result(a, change->from, change->message.token, -ETIMEDOUT);
        forget(change);
    }
}

static void begin_next(struct account *a, struct verify_time now)
{
    drop_orphans(a);
    end_overdue(a, now);
    while (!a->current && !list_empty(&a->waiting)) {
        struct account_change *change =
            container_of(list_pop_first(&a->waiting), struct account_change, in_queue);
        a->waiting_count--;
        int r = begin(a, change, now);
        if (r == 0) {
            a->current = change;
            a->kill_ms = now.mono_ms + LIMIT_ACCOUNT_CHANGE_MS;
            a->killed = false;
        } else {
            answer_result(a, change->from, change->message.token, r);
            forget(change);
        }
    }
}

/* Whether another one may wait: nobody takes the places of all others. */
static bool has_room(const struct account *a, struct span user)
{
    unsigned theirs = 0;

    for (const struct list *node = a->waiting.next; node != &a->waiting; node = node->next)
        theirs += span_equal(
            span_str(container_of(node, const struct account_change, in_queue)->user), user);
    return a->waiting_count < LIMIT_ACCOUNT_CHANGES && theirs < LIMIT_ACCOUNT_CHANGES_OF_ONE;
}

static int enqueue(struct account *a, struct account_source from, const struct message_account *m,
                   const struct user *user, struct verify_time now)
{
    struct account_change *change = has_room(a, user->name) ? malloc(sizeof(*change)) : NULL;

    if (!change)
        return -EBUSY;
    *change = (struct account_change){
        .from = from, .message = *m, .until_ms = now.mono_ms + LIMIT_ACCOUNT_TURN_MS};
    copy_string(change->user, sizeof(change->user), user->name);
    list_append(&a->waiting, &change->in_queue);
    a->waiting_count++;
    begin_next(a, now);
    return 0;
}

static bool is_for_the_asker(int result)
{
    return result == 0 || result == -EEXIST || result == -ENOENT || result == -E2BIG ||
           result == -ENOKEY;
}

/* One that failed may have got as far as the rename, unless it was never to come to that. */
static bool may_be_written(int result)
{
    return result == 0 || (!is_for_the_asker(result) && result != -EBADMSG && result != -ENODATA &&
                           result != -EPERM);
}

/* What there is to tell when the clerk has ended. Who has been logged out meanwhile is told nothing
 * but that. */
static int conclude(struct account *a, const struct account_change *change, int result,
                    struct verify_time now)
{
    int r = may_be_written(result) ? a->reload_users(a->context) : 0;

    if (!verifier_session_user(a->verifier, change->message.digest, now))
        return -ENOKEY;
    return result == 0 && r < 0 ? -EIO : result;
}

void account_clerk_ended(struct account *a, const struct clerk_answer *clerk,
                         struct verify_time now)
{
    struct account_change *change = a->current;
    int result = a->killed && clerk->result < 0 ? -ETIMEDOUT : clerk->result;
    struct message_account_answer answer = {.token = change->message.token};

    a->current = NULL;
    if (!is_for_the_asker(result))
        complain(a, result == -ETIMEDOUT ? "it took too long" : strerror(-result), now);
    answer.result = conclude(a, change, result, now);
    if (answer.result == 0 && change->message.action == ACCOUNT_ADD)
        copy_string(answer.password, sizeof(answer.password), span_str(clerk->password));
    a->answer(change->from, &answer, a->context);
    explicit_bzero(&answer, sizeof(answer));
    forget(change);
    begin_next(a, now);
}

uint64_t account_run_due(struct account *a, struct verify_time now)
{
    if (!a->current)
        return ACCOUNT_NOTHING_DUE;
    end_overdue(a, now);
    if (now.mono_ms >= a->kill_ms) {
        a->kill_clerk(a->context);
        a->killed = true;
        a->kill_ms = UINT64_MAX; /* where it hangs in the kernel, more of it would not help */
    }
    if (list_empty(&a->waiting))
        return a->kill_ms;
    uint64_t until_ms = container_of(a->waiting.next, struct account_change, in_queue)->until_ms;
    return until_ms < a->kill_ms ? until_ms : a->kill_ms;
}

/* --- messages --- */

static const char *find_fault(struct span payload)
{
    const struct message_account *m = (const void *)payload.data;

    if (payload.len != sizeof(*m))
        return "a message about an account of impossible length";
    if (m->action > ACCOUNT_REMOVE)
        return "an account to do with it what nobody knows";
    size_t len = strnlen(m->label, sizeof(m->label));
    if (len == sizeof(m->label) || (m->action == ACCOUNT_LIST) != (len == 0) ||
        (len > 0 && !users_label_valid(span_of(m->label, len))))
        return "an account with a label that cannot be";
    return NULL;
}

int account_message(struct account *a, struct account_source from, struct span payload,
                    struct verify_time now, const char **ret_why)
{
    const struct message_account *m = (const void *)payload.data;
    int r = 0;

    *ret_why = find_fault(payload);
    if (*ret_why)
        return -EBADMSG;
    const struct user *user = verifier_session_user(a->verifier, m->digest, now);
    if (!user)
        r = -ENOKEY;
    else if (m->action == ACCOUNT_LIST)
        answer_list(a, from, m->token, user);
    else
        r = enqueue(a, from, m, user, now);
    if (r < 0)
        answer_result(a, from, m->token, r);
    return 0;
}
