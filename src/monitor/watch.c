#include "monitor/watch.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

int watch_set(struct watch *watch, int epoll_fd, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int operation = watch->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (watch->fd == fd && watch->events == events)
        return 0;
    if (epoll_ctl(epoll_fd, operation, fd, &event) < 0)
        return -errno;
    watch->fd = fd;
    watch->events = events;
    return 0;
}

void watch_end(struct watch *watch, int epoll_fd)
{
    if (watch->fd >= 0)
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    watch->events = 0;
}

int watch_wait(int epoll_fd, int timeout_ms)
{
    struct epoll_event events[64];
    int count = epoll_wait(epoll_fd, events, 64, timeout_ms);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        /* An earlier one of this batch may have ended it. Owners live as long as the loop. */
        if (watch->fd >= 0)
            watch->ready(watch, events[i].events);
    }
    return 0;
}
