/* What the monitor does with a connection: checks the message, judges its credential, sends it on.
 *
 *     from gate ─► accepted ─► to a ring of home, and DEPARTED to gate soon after
 *               ─► refused, or a login ─► VERDICT to gate, which still has the connection
 *     from home ─► accepted ─► to a ring of home
 *               ─► refused, or a login ─► to a ring of gate, approval included
 *
 * A connection whose password is being hashed is parked here with its message and descriptor.
 * Nothing waits, everything is bounded, and nobody who sends is trusted: neither lengths nor
 * descriptors nor kinds. Every descriptor that comes in is either sent on or closed.
 */
#pragma once

#include "auth/verify.h"
#include "config.h"
#include "monitor/outbox.h"

#define FORWARD_NOTHING_DUE UINT64_MAX

enum forward_role { FORWARD_GATE, FORWARD_HOME };

/* Where a message came from. */
struct forward_source {
    enum forward_role role;
    unsigned ring;
    unsigned life; /* of gate: a verdict must not reach its next life, which has other tokens */
};

/* Connections of a ring of gate that have gone to home, which it is yet to be told. */
struct departures {
    unsigned life; /* of gate */
    uint64_t tell_ms;
    struct message_departed message;
};

struct forward {
    struct verifier *verifier;
    unsigned rings;
    struct outbox *gate[CONFIG_THREADS_MAX], *home[CONFIG_THREADS_MAX];
    unsigned gate_life;
    unsigned next_home, next_gate;
    struct list parked;
    size_t parked_count, parked_bytes;
    struct departures departures[CONFIG_THREADS_MAX];
    /* Hands a job to the hasher. Returns 0 or -errno. */
    int (*start_hash)(const struct hash_job *job, void *context);
    /* A ring of home did not take a revocation: its connections can be ended by ending home only.
     */
    void (*home_is_stuck)(void *context);
    void *context;
};

void forward_init(struct forward *f);
void forward_finish(struct forward *f);

/* Whether a CONNECTION's payload is what it should be. Pure. Its memory is aligned for the struct.
 * Returns the struct, or NULL and a constant text that says what is wrong. */
struct handover *forward_check(struct span payload, const char **ret_why);

/* Handles CONNECTION and LOGOUT. The payload is written to; all descriptors are taken over. Returns
 * 0, or -EBADMSG and a constant text about a message that no sound child sends. */
int forward_message(struct forward *f, struct forward_source from, enum message_kind kind,
                    struct span payload, const int *fds, size_t fd_count, const char **ret_why);

/* The hasher's answer, and its death. */
void forward_hash_done(struct forward *f, uint64_t job_id, enum hash_outcome outcome);
void forward_hash_lost(struct forward *f);

/* Tells gate of the departures that are due. Returns when to call it again, FORWARD_NOTHING_DUE if
 * there are none. */
uint64_t forward_tell_departures(struct forward *f, uint64_t now_ms);

/* For the verifier's `revoke`: tells all rings of home. `context` is the struct forward. */
void forward_revoke(const struct revocation *revocation, void *context);

/* Now, for the verifier. */
struct verify_time forward_now(void);
