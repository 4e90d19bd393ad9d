#include "files/upload_claim.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

enum {
    /* As long as a commit or the write of a piece may take on a disk that has to wake up. */
    WAIT_MS = 15 * 1000,
    WAIT_STEP_MS = 5,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list claims = {&claims, &claims};

static struct upload_claim *find(const char *name)
{
    for (struct list *node = claims.next; node != &claims; node = node->next) {
        struct upload_claim *claim = container_of(node, struct upload_claim, link);
        if (strcmp(claim->name, name) == 0)
            return claim;
    }
    return NULL;
}

/* What is to come of its body ends here. It can still answer. */
static void stop(struct upload_claim *claim)
{
    if (claim->is_receiving && !claim->stopped)
        shutdown(claim->socket_fd, SHUT_RD);
    claim->stopped = true;
}

static bool try_to_take(struct upload_claim *claim)
{
    pthread_mutex_lock(&mutex);
    struct upload_claim *earlier = find(claim->name);
    if (earlier)
        stop(earlier);
    else
        list_append(&claims, &claim->link);
    claim->is_held = !earlier;
    pthread_mutex_unlock(&mutex);
    return claim->is_held;
}

int upload_claim_take(struct task *t, struct upload_claim *claim, const char *name, int socket_fd)
{
    claim->socket_fd = socket_fd;
    claim->stopped = claim->is_receiving = false;
    memcpy(claim->name, name, strlen(name) + 1);
    for (unsigned waited_ms = 0; !try_to_take(claim); waited_ms += WAIT_STEP_MS) {
        int r = waited_ms < WAIT_MS ? io_sleep(t, WAIT_STEP_MS) : 423;
        if (r != 0)
            return r;
    }
    return 0;
}

int upload_claim_receive(struct upload_claim *claim)
{
    pthread_mutex_lock(&mutex);
    claim->is_receiving = true;
    int r = claim->stopped ? -EINTR : 0;
    pthread_mutex_unlock(&mutex);
    return r;
}

void upload_claim_received(struct upload_claim *claim)
{
    pthread_mutex_lock(&mutex);
    claim->is_receiving = false;
    pthread_mutex_unlock(&mutex);
}

void upload_claim_release(struct upload_claim *claim)
{
    if (!claim->is_held)
        return;
    pthread_mutex_lock(&mutex);
    list_remove(&claim->link);
    claim->is_held = false;
    pthread_mutex_unlock(&mutex);
}
