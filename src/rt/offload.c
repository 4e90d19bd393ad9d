#include "rt/offload.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rt/backend.h"

struct lane {
    struct offload_pool *pool;
    pthread_cond_t more;
    struct list queue;
};

struct offload_pool {
    pthread_mutex_t mutex;
    struct lane lanes[OFFLOAD_LANES];
    bool ending;
    unsigned threads;
    pthread_t ids[];
};

/* A loop's end: where finished work is laid down, and the descriptor that wakes the loop. */
struct offload_port {
    struct loop *loop;
    struct io_watch wake;
    int event_fd;
    pthread_mutex_t mutex;
    struct list finished;
};

static void finish(struct offload_work *work)
{
    struct offload_port *port = work->port;
    uint64_t one = 1;

    pthread_mutex_lock(&port->mutex);
    bool first = list_empty(&port->finished);
    list_append(&port->finished, &work->link);
    /* Under the lock: the loop cannot have taken the work, resumed and gone before the wake is
     * sent. */
    if (first && write(port->event_fd, &one, sizeof(one)) < 0)
        abort(); /* an eventfd takes 2^64 - 2 of these */
    pthread_mutex_unlock(&port->mutex);
}

/* Does the first work in the queue; false when there is none. The mutex is held, but not
 * meanwhile. */
static bool run_first(struct lane *lane)
{
    struct list *node = list_pop_first(&lane->queue);

    if (!node)
        return false;
    pthread_mutex_unlock(&lane->pool->mutex);
    struct offload_work *work = container_of(node, struct offload_work, link);
    bool somebody_waits = work->finished != NULL;
    int result = work->fn(work->arg);
    if (somebody_waits) {
        work->result = result;
        finish(work);
    }
    pthread_mutex_lock(&lane->pool->mutex);
    return true;
}

static void *helper_main(void *arg)
{
    struct lane *lane = arg;
    struct offload_pool *pool = lane->pool;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        if (run_first(lane))
            continue;
        if (pool->ending)
            break;
        pthread_cond_wait(&lane->more, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

bool offload_run_one(struct offload_pool *pool, enum offload_lane lane)
{
    pthread_mutex_lock(&pool->mutex);
    bool ran = run_first(&pool->lanes[lane]);
    pthread_mutex_unlock(&pool->mutex);
    return ran;
}

bool offload_is_waiting(struct offload_pool *pool, enum offload_lane lane)
{
    pthread_mutex_lock(&pool->mutex);
    bool waiting = !list_empty(&pool->lanes[lane].queue);
    pthread_mutex_unlock(&pool->mutex);
    return waiting;
}

static int start_helpers(struct offload_pool *pool, struct lane *lane, unsigned count)
{
    int r = 0;

    for (unsigned i = 0; i < count && r == 0; i++) {
        r = pthread_create(&pool->ids[pool->threads], NULL, helper_main, lane);
        pool->threads += r == 0;
    }
    return r;
}

int offload_pool_create(const unsigned helpers[OFFLOAD_LANES], struct offload_pool **ret_pool)
{
    unsigned threads = 0;
    sigset_t all, before;

    for (unsigned i = 0; i < OFFLOAD_LANES; i++)
        threads += helpers[i];
    struct offload_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));
    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->mutex, NULL);
    for (unsigned i = 0; i < OFFLOAD_LANES; i++) {
        pool->lanes[i].pool = pool;
        pthread_cond_init(&pool->lanes[i].more, NULL);
        list_init(&pool->lanes[i].queue);
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    for (unsigned i = 0; i < OFFLOAD_LANES && r == 0; i++)
        r = start_helpers(pool, &pool->lanes[i], helpers[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        offload_pool_destroy(pool);
        return -r;
    }
    *ret_pool = pool;
    return 0;
}

void offload_pool_destroy(struct offload_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->ending = true;
    for (unsigned i = 0; i < OFFLOAD_LANES; i++)
        pthread_cond_broadcast(&pool->lanes[i].more);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->ids[i], NULL);
    for (unsigned i = 0; i < OFFLOAD_LANES; i++)
        pthread_cond_destroy(&pool->lanes[i].more);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

static void port_woken(struct io_watch *w, int result, struct span data)
{
    struct offload_port *port = container_of(w, struct offload_port, wake);
    struct list finished;
    uint64_t count;

    (void)data;
    (void)result;
    if (read(port->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort();
    list_init(&finished);
    pthread_mutex_lock(&port->mutex);
    for (struct list *node; (node = list_pop_first(&port->finished));)
        list_append(&finished, node);
    pthread_mutex_unlock(&port->mutex);
    for (struct list *node; (node = list_pop_first(&finished));) {
        struct offload_work *work = container_of(node, struct offload_work, link);
        work->finished(work);
    }
    if (!io_watch_armed(w))
        io_watch_readable(port->loop, w, port->event_fd);
}

int offload_port_create(struct loop *loop, struct offload_port **ret_port)
{
    struct offload_port *port = calloc(1, sizeof(*port));

    if (!port)
        return -ENOMEM;
    port->loop = loop;
    port->wake.event = port_woken;
    pthread_mutex_init(&port->mutex, NULL);
    list_init(&port->finished);
    port->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int r = port->event_fd < 0 ? -errno : io_watch_readable(loop, &port->wake, port->event_fd);
    if (r < 0) {
        offload_port_destroy(port);
        return r;
    }
    *ret_port = port;
    return 0;
}

void offload_port_destroy(struct offload_port *port)
{
    if (port->event_fd >= 0)
        close(port->event_fd);
    pthread_mutex_destroy(&port->mutex);
    free(port);
}

void offload_start(struct loop *loop, struct offload_work *work)
{
    struct offload_pool *pool = loop->offload;
    struct lane *lane = &pool->lanes[work->lane];

    work->port = loop->offload_port;
    pthread_mutex_lock(&pool->mutex);
    list_append(&lane->queue, &work->link);
    pthread_mutex_unlock(&pool->mutex);
    pthread_cond_signal(&lane->more);
}

/* --- a task that waits --- */

static void finished(struct offload_work *work)
{
    struct offload_aside *aside = container_of(work, struct offload_aside, work);

    aside->done = true;
    if (aside->waiting)
        task_resume(aside->waiting);
}

void offload_begin(struct task *t, struct offload_aside *aside, enum offload_lane lane,
                   int (*fn)(void *arg), void *arg)
{
    *aside = (struct offload_aside){.work = {lane, .fn = fn, .arg = arg, .finished = finished}};
    offload_start(t->loop, &aside->work);
}

int offload_await(struct task *t, struct offload_aside *aside)
{
    aside->waiting = t;
    while (!aside->done)
        task_suspend(t);
    return aside->work.result;
}

int offload(struct task *t, enum offload_lane lane, int (*fn)(void *arg), void *arg)
{
    return t->cancelled ? t->cancelled : offload_always(t, lane, fn, arg);
}

int offload_always(struct task *t, enum offload_lane lane, int (*fn)(void *arg), void *arg)
{
    struct offload_aside aside;

    offload_begin(t, &aside, lane, fn, arg);
    return offload_await(t, &aside);
}
