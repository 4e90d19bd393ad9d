/* /.fastfile/account: what a browser that has logged in may see and change of its user's account.
 * The answers are the monitor's (monitor/account.h); here they are only asked for.
 */
#pragma once

#include "http/exchange.h"

/* Per ring: the questions that wait for their answers. */
struct account_calls {
    struct list waiting;
    unsigned count;
    uint64_t last_token;
};

void account_calls_init(struct account_calls *calls);

/* Whose request it is. */
struct account_asker {
    struct span user;
    bool writable;
    bool has_session; /* not an app password, nor Basic: these must not make others */
};

bool account_is_meant(struct span path);

enum conn_after account_handle(struct task *t, struct exchange *x, struct account_calls *calls,
                               const struct account_asker *asker);

/* Takes the monitor's answer to whoever waits for it, if somebody still does. */
void account_answered(struct account_calls *calls, const struct message_account_answer *answer);
