/* What the monitor's loop waits for: a descriptor and what to call when something is there.
 * Embedded in whatever owns the descriptor.
 */
#pragma once

#include <stdint.h>

struct watch {
    int fd; /* -1: not watched. Not owned. */
    uint32_t events;
    void (*ready)(struct watch *watch, uint32_t events);
};

/* Sets the events (EPOLLIN, EPOLLOUT, or 0 for none but hang-up) to be told about, level-triggered.
 * Costs nothing where they are the same as before. Returns 0 or -errno. */
int watch_set(struct watch *watch, int epoll_fd, int fd, uint32_t events);
/* Before the descriptor is closed. Harmless where nothing is watched. */
void watch_end(struct watch *watch, int epoll_fd);

/* Waits and calls `ready` of what is there. Returns 0 or -errno. */
int watch_wait(int epoll_fd, int timeout_ms);
