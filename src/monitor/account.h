/* What the monitor does for the account of somebody who is logged in: app passwords, asked for by
 * home, in a message with the digest of a session.
 *
 * Whose account it is says the session, never home. What is asked for is checked like everything
 * that comes from a child. To tell the app passwords takes what is in memory; changes are made by
 * the clerk, one after the other, are in force before their answer leaves, and are bounded in
 * number and time. No processes here: the monitor gives and takes those by the functions below.
 */
#pragma once

#include "auth/verify.h"
#include "base/list.h"
#include "monitor/clerk.h"
#include "net/channel.h"

/* The ring of home that asked, and home's life: the next one has other tokens, and none of the
 * people who asked. */
struct account_source {
    unsigned ring, life;
};

struct account {
    struct verifier *verifier;
    const char *users_path;
    unsigned home_life;  /* of the home that lives: changes for another one are not begun */
    struct list waiting; /* changes, the oldest first */
    unsigned waiting_count;
    struct account_change *current; /* what the clerk is doing, or NULL */
    uint64_t kill_ms;               /* when it has taken too long */
    bool killed;
    uint64_t complain_ms; /* when it may be said again in the log that changes fail */

    /* Starts the clerk. Returns 0 or -errno. */
    int (*start_clerk)(const struct clerk_job *job, void *context);
    void (*kill_clerk)(void *context);
    /* The users file has changed: reads it. Returns 0 or -errno. */
    int (*reload_users)(void *context);
    void (*answer)(struct account_source to, const struct message_account_answer *answer,
                   void *context);
    void *context;
};

#define ACCOUNT_NOTHING_DUE UINT64_MAX

/* Zeroed but for the functions, `verifier` and `users_path` before. */
void account_init(struct account *a);
void account_finish(struct account *a);

/* Handles ACCOUNT. Returns 0, or -EBADMSG and a constant text about a message that no sound home
 * sends. */
int account_message(struct account *a, struct account_source from, struct span payload,
                    struct verify_time now, const char **ret_why);

/* The clerk has ended. */
void account_clerk_ended(struct account *a, const struct clerk_answer *answer,
                         struct verify_time now);

/* Ends what takes too long. Returns when to call it again, ACCOUNT_NOTHING_DUE where nothing does.
 */
uint64_t account_run_due(struct account *a, struct verify_time now);
