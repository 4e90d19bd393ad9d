/* Stackful coroutines: code that waits reads top to bottom like code that blocks.
 *
 * A task runs on its own stack until it suspends, and then the loop runs on. Only a function whose
 * first parameter is `struct task *` may suspend. A task belongs to the loop (and thread) that
 * spawned it. It is never destroyed from outside: task_cancel() makes its pending operations
 * complete, and the task unwinds through its own clean-up; so its local buffers live exactly as
 * long as the kernel needs them.
 *
 * Stacks have a guard page below, are pooled by the loop, and never move between threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/sanitize.h"

struct loop;
struct task;

typedef void task_fn(struct task *t, void *arg);

enum {
/* An OpenSSL handshake, the deepest thing that runs on a stack, needs 13 KiB on x86-64. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    TASK_STACK_BYTES = 512 * 1024,
#else
    TASK_STACK_BYTES = 64 * 1024,
#endif
    /* Stacks that a loop keeps for the next tasks: a burst of connections shall not map and unmap
     * one each (6 us). After a quiet second or two only TASK_STACKS_RESTING are kept. */
    TASK_STACKS_POOLED = 1024,
    TASK_STACKS_RESTING = 4,
};

/* Starts fn(t, arg) at once, on the loop's thread: it has run to its first suspension, or to its
 * end, when this returns. Returns 0 or -ENOMEM. */
int task_spawn(struct loop *loop, task_fn *fn, void *arg);

struct loop *task_loop(const struct task *t);

/* Asks the task to end: what it waits for, and every suspending call after it, returns `reason`:
 * -ETIMEDOUT, which the task may take back, or -ECANCELED, which is final and replaces the other.
 */
void task_cancel(struct task *t, int reason);

/* The reason, or 0. */
int task_cancelled(const struct task *t);

/* Takes -ETIMEDOUT back, by the task itself: it still has something to do. */
void task_revive(struct task *t);

/* Cancels the task with -ETIMEDOUT when the loop's clock reaches `deadline_ms`; UINT64_MAX: never.
 */
void task_set_deadline(struct task *t, uint64_t deadline_ms);

/* Gives control back to the loop until task_resume(). For the rt modules only: everybody else waits
 * through io.h. May return early, so wait in a loop for what is awaited. */
void task_suspend(struct task *t);

/* Runs a suspended task until it suspends again or ends. From the loop only. */
void task_resume(struct task *t);
