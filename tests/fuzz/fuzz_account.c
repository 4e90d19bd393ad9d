/* Questions about accounts into the monitor: the first byte says how the clerk ends, the rest is
 * the payload, with the digest of alice's session where it has room for one. Whatever it is, there
 * is one answer to a sound message and none to others, and the clerk gets names that may be in the
 * file.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "monitor/account.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct account account;
static const struct verify_time now = {1000, 1000};
static uint8_t session[DIGEST_BYTES];
static unsigned jobs, answers;

static int start_clerk(const struct clerk_job *job, void *context)
{
    (void)context;
    assert(strcmp(job->user, "alice") == 0 && users_label_valid(span_str(job->label)));
    jobs++;
    return 0;
}

static int reload_users(void *context)
{
    (void)context;
    return 0;
}

static void take_answer(struct account_source to, const struct message_account_answer *answer,
                        void *context)
{
    (void)context;
    assert(to.ring == 1 && to.life == 2);
    assert(answer->app_count <= 1 && answer->result <= 0);
    answers++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char text[] = "alice:$y$j9T$0123456789012345678901$"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ\n"
                               "alice/tv:{SHA256}"
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    const struct verifier_options options = {0};
    char token[CREDENTIAL_TOKEN_CHARS + 1];
    struct users_error error;
    struct users users;

    (void)argc;
    (void)argv;
    account = (struct account){.users_path = "/users",
                               .home_life = 2,
                               .start_clerk = start_clerk,
                               .reload_users = reload_users,
                               .answer = take_answer};
    account_init(&account);
    if (users_parse(span_str(text), &users, &error) < 0 ||
        verifier_create(&options, &users, &account.verifier) < 0)
        abort();
    const struct user *alice = users_find(verifier_users(account.verifier), SPAN("alice"));
    if (!alice || session_create(verifier_sessions(account.verifier), alice->name, alice->stamp,
                                 now.wall_s, token, session) < 0)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clerk_answer clerk = {.password = "abcd-efgh"};
    struct message_account *m;
    const char *why;

    if (size == 0)
        return 0;
    size--;
    m = malloc(size > sizeof(*m) ? size : sizeof(*m));
    if (!m)
        abort();
    memcpy(m, data + 1, size);
    if (size == sizeof(*m) && data[0] & 1)
        memcpy(m->digest, session, sizeof(session));
    clerk.result = data[0] & 2 ? -EEXIST : 0;
    jobs = answers = 0;
    int r = account_message(&account, (struct account_source){1, 2}, span_of(m, size), now, &why);
    assert((r < 0) == (why != NULL) && jobs <= 1);
    if (jobs > 0)
        account_clerk_ended(&account, &clerk, now);
    assert(answers == (r == 0) && !account.current);
    free(m);
    return 0;
}
