/* How often passwords may be tried.
 *
 * Asked only before a password is hashed: sessions, app passwords and passwords verified a moment
 * ago are never held back. Failures are counted for the address (an IPv6 address by its /64, an
 * IPv4-mapped one as IPv4) and for the account (whether it exists or not). Beyond the free ones
 * each failure doubles the time until the next try; time forgives, success does not, or whoever has
 * one account could try the others without end. The same wrong password from the same address is
 * known to be wrong: it is refused at once and counts once, so a phone with an old password does
 * not lock its owner out.
 *
 * Tries under way count as failures until their result is known, so a thousand at once gain
 * nothing.
 *
 * Nobody can lock an owner out of an account: the wait for an account starts only after more
 * failures than one address can make, is at most LIMIT_THROTTLE_ACCOUNT_HOLD_S, and does not apply
 * to addresses from which the account was logged in to before.
 *
 * Tables are bounded. What makes room is an entry with the fewest failures, among those the one
 * that failed longest ago: to have an entry forgotten one must fail as often with every other entry
 * of the table. Times are monotonic milliseconds.
 */
#pragma once

#include <sys/socket.h>

#include "auth/digest.h"
#include "base/limits.h"
#include "base/span.h"

struct throttle_table;

struct throttle {
    struct digest_key key;
    struct throttle_table *sources, *accounts;
    uint64_t known[LIMIT_THROTTLE_KNOWN]; /* pairs of address and account that logged in */
};

/* One try of one password: names under the throttle's key. */
struct throttle_attempt {
    uint64_t source, account;
    uint64_t pair;     /* both together */
    uint64_t password; /* the wrong password, if it is one, never 0 */
};

int throttle_init(struct throttle *t);
void throttle_finish(struct throttle *t);

/* `credential` stands for name and password together, for example their HMAC. */
struct throttle_attempt throttle_attempt(const struct throttle *t,
                                         const struct sockaddr_storage *peer, struct span user,
                                         struct span credential);

/* Whether the password may be tried now:
 *   0           yes, and it counts as under way until throttle_failure, _success or _abandon
 *   > 0         not before so many seconds
 *   -EBUSY      not while so many others of this address or account are under way
 *   -EALREADY   no need: known to be wrong */
int throttle_check(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms);

/* The results of a try that throttle_check() let pass; abandoned: never found out. */
void throttle_failure(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms);
void throttle_success(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms);
void throttle_abandon(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms);

/* Tries of this address under way. */
unsigned throttle_pending(const struct throttle *t, const struct throttle_attempt *a);

/* Passwords were changed: what was wrong may be right now. Counts stay. */
void throttle_forget_wrong(struct throttle *t);
