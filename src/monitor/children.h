/* The monitor's child processes: gate, home and the hasher. Started from the monitor's own binary,
 * told apart by argv[0], connected by channels; started again with back-off when they die.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "config.h"
#include "monitor/outbox.h"
#include "monitor/watch.h"

enum child_role { CHILD_GATE, CHILD_HOME, CHILD_HASHER, CHILD_COUNT };

struct child;

/* The monitor's end of one channel. */
struct child_ring {
    struct watch watch;
    struct outbox outbox;
    struct child *child;
    unsigned number;
};

struct children;

struct child {
    struct children *all;
    enum child_role role;
    pid_t pid; /* 0: not running */
    unsigned life;
    bool ready;      /* sandboxed and serving */
    bool complained; /* a bad message was logged in this life */
    uint64_t ready_ms, restart_ms, back_off_ms;
    unsigned ring_count;
    struct child_ring rings[CONFIG_THREADS_MAX];
};

struct children {
    int epoll_fd;
    int binary_fd;
    bool stopping; /* nobody is started again */
    bool hopeless; /* a child could not even start the first time; it has said why */
    struct child child[CHILD_COUNT];
    void *memory; /* of one incoming message */

    /* Sends a child its first messages; `ring_fds` are the child's ends of the channels of rings 1
     * … Returns 0 or -errno. */
    int (*started)(struct child *child, const int *ring_fds, void *context);
    /* A message came. Takes over the descriptors. Returns 0 or -errno with a text for the log. */
    int (*message)(struct child_ring *ring, enum message_kind kind, struct span payload,
                   const int *fds, size_t fd_count, const char **ret_why, void *context);
    /* The hasher answered, with `len` bytes. */
    void (*hashed)(const void *bytes, size_t len, void *context);
    void (*ready)(struct child *child, void *context);
    void (*died)(struct child *child, void *context);
    void *context;
};

/* Opens the program's own binary, so that children are the same program even after an upgrade has
 * replaced the file. Returns a descriptor or -errno. */
int children_open_binary(void);

/* Starts that binary in a process that calls itself `title` and has `channel_fd` as its
 * CHANNEL_CHILD_FD. Returns its id or -errno. */
pid_t children_fork(int binary_fd, int channel_fd, const char *title);

/* `rings`: of gate and home. The callbacks, epoll_fd and binary_fd are set by the caller before. */
int children_init(struct children *c, unsigned rings);
void children_finish(struct children *c);

/* Starts those whose time has come. Returns when the next one's will, or UINT64_MAX. */
uint64_t children_start_due(struct children *c, uint64_t now_ms);

/* After SIGCHLD: collects who has died, says why, and plans the restart. */
void children_reap(struct children *c, uint64_t now_ms);

/* Sends what waits and adapts what is watched; once per turn of the loop. Returns true while a ring
 * is stalled, and has to be tried again soon without an event. */
bool children_flush(struct children *c);

void child_kill(struct child *child);
bool child_alive(const struct child *child);
const char *child_name(enum child_role role);
