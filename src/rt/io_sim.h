/* A backend for tests: real descriptors, but time, order and failure are what a seed says.
 *
 * Operations are done by non-blocking system calls on the loop's own thread, each when its turn
 * comes, and complete when theirs comes; so do the helpers' works, for which the loop gets a pool
 * without threads. Time stands still while anything moves, and when nothing does it jumps to the
 * loop's next deadline. The test's program has to take clock_gettime(CLOCK_MONOTONIC) from
 * io_sim_now_ms() (ld --wrap). With the same seed, the same happens.
 *
 * Not in the program: tests link it to themselves and set loop_options.backend. One loop at a time.
 */
#pragma once

#include "rt/backend.h"

/* Where the test may step in. */
enum io_sim_moment {
    IO_SIM_START,   /* start() is called: a result is what it returns */
    IO_SIM_PERFORM, /* the operation is about to be tried for the first time */
    IO_SIM_HELP,    /* the work of a helper is about to begin; only IO_SIM_HOLD counts */
};

enum io_sim_verdict {
    IO_SIM_GO_ON,
    IO_SIM_FAIL, /* completes with *ret_result, without having been tried */
    IO_SIM_HOLD, /* waits some turns, so that something else comes first */
};

struct io_sim_options {
    uint64_t seed;
    bool shuffle; /* operations wait, complete in another order, and transfer less than asked */
    struct offload_pool *pool; /* without threads; NULL: none */
    void *context;
    /* `kind` is 0 for IO_SIM_HELP. */
    enum io_sim_verdict (*decide)(void *context, enum io_sim_moment moment, enum io_kind kind,
                                  int *ret_result);
    /* The rest of the world moves, once a turn. Returns when it wants to move again: now for at
     * once, UINT64_MAX for when something has happened to it. */
    uint64_t (*outside)(void *context);
};

extern const struct io_backend io_sim_backend;

/* For the loop that is made next. */
void io_sim_configure(const struct io_sim_options *options);

/* The time that the loop goes by, and letting some of it pass. */
uint64_t io_sim_now_ms(void);
void io_sim_pass(uint64_t duration_ms);

/* From now on a receive waits for the low-water mark. The socket must have room for so much. */
void io_sim_mind_low_water(void);

/* Operations in flight on a descriptor. */
unsigned io_sim_in_flight(int fd);

/* The numbers of the seed `*state` (splitmix64). */
uint64_t io_sim_random(uint64_t *state);
