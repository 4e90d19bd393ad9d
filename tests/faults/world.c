#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rt/io_sim.h"
#include "world_inner.h"

enum {
    DESCRIPTORS_MAX = 256, /* looked at; the harness has ten */
    /* On a slow file system each look at the clock takes so long: a folder's slices end. */
    SLOW_CLOCK_MS = 4,
    SHORT_ONE_IN = 3,
    RESTED_S = 10,
};

static struct world world;
static uint64_t random_state;
static long memory_count, mapping_count;
static unsigned wrong_closes;

void world_set(const struct world *w)
{
    world = *w;
    random_state = w->seed;
    world_forget_writes();
}

const struct world *world_now(void)
{
    return &world;
}

size_t world_shortened(size_t len)
{
    if (!world.shuffle || len < 2 || io_sim_random(&random_state) % SHORT_ONE_IN != 0)
        return len;
    return 1 + io_sim_random(&random_state) % (len - 1);
}

bool world_fails(enum fault_site site)
{
    int error = fault_at(site);

    if (error > 0)
        errno = error;
    return error > 0;
}

/* --- memory --- */

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *memory, size_t size);
void *REAL(reallocarray)(void *memory, size_t count, size_t size);
void REAL(free)(void *memory);
void *WRAPPED(malloc)(size_t size);
void *WRAPPED(calloc)(size_t count, size_t size);
void *WRAPPED(realloc)(void *memory, size_t size);
void *WRAPPED(reallocarray)(void *memory, size_t count, size_t size);
void WRAPPED(free)(void *memory);

static void *counted(void *memory)
{
    memory_count += memory != NULL;
    return memory;
}

void *WRAPPED(malloc)(size_t size)
{
    return world_fails(FAULT_MEMORY) ? NULL : counted(REAL(malloc)(size));
}

void *WRAPPED(calloc)(size_t count, size_t size)
{
    return world_fails(FAULT_MEMORY) ? NULL : counted(REAL(calloc)(count, size));
}

void *WRAPPED(realloc)(void *memory, size_t size)
{
    if (world_fails(FAULT_MEMORY))
        return NULL;
    return memory ? REAL(realloc)(memory, size) : counted(REAL(malloc)(size));
}

void *WRAPPED(reallocarray)(void *memory, size_t count, size_t size)
{
    if (world_fails(FAULT_MEMORY))
        return NULL;
    return memory ? REAL(reallocarray)(memory, count, size) : counted(REAL(calloc)(count, size));
}

void WRAPPED(free)(void *memory)
{
    memory_count -= memory != NULL;
    REAL(free)(memory);
}

void *REAL(mmap64)(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int REAL(munmap)(void *at, size_t len);
int REAL(mprotect)(void *at, size_t len, int protection);
void *WRAPPED(mmap64)(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int WRAPPED(munmap)(void *at, size_t len);
int WRAPPED(mprotect)(void *at, size_t len, int protection);

void *WRAPPED(mmap64)(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (world_fails(FAULT_MEMORY))
        return MAP_FAILED;
    void *memory = REAL(mmap64)(at, len, protection, flags, fd, offset);
    mapping_count += memory != MAP_FAILED;
    return memory;
}

int WRAPPED(munmap)(void *at, size_t len)
{
    mapping_count--;
    return REAL(munmap)(at, len);
}

int WRAPPED(mprotect)(void *at, size_t len, int protection)
{
    return world_fails(FAULT_MEMORY) ? -1 : REAL(mprotect)(at, len, protection);
}

/* --- time and chance --- */

int REAL(clock_gettime)(clockid_t clock, struct timespec *ret_time);
int WRAPPED(clock_gettime)(clockid_t clock, struct timespec *ret_time);
int WRAPPED(clock_nanosleep)(clockid_t clock, int flags, const struct timespec *time,
                             struct timespec *ret_left);
ssize_t REAL(getrandom)(void *bytes, size_t len, unsigned flags);
ssize_t WRAPPED(getrandom)(void *bytes, size_t len, unsigned flags);

/* The simulated time, and for the calendar's clocks so much after the real beginning, and a little
 * more: so long after any change of a file, which has the kernel's time, that all has rested. */
int WRAPPED(clock_gettime)(clockid_t clock, struct timespec *ret_time)
{
    static time_t begin_s;
    uint64_t now_ms = io_sim_now_ms();

    if (clock != CLOCK_MONOTONIC && begin_s == 0) {
        REAL(clock_gettime)(CLOCK_REALTIME, ret_time);
        begin_s = ret_time->tv_sec;
    }
    if (clock == CLOCK_MONOTONIC && world.slow && fault_is_armed())
        io_sim_pass(SLOW_CLOCK_MS);
    *ret_time = (struct timespec){(time_t)(now_ms / 1000), (long)(now_ms % 1000) * 1000000};
    if (clock != CLOCK_MONOTONIC)
        ret_time->tv_sec += begin_s + RESTED_S;
    return 0;
}

int WRAPPED(clock_nanosleep)(clockid_t clock, int flags, const struct timespec *time,
                             struct timespec *ret_left)
{
    (void)clock, (void)flags, (void)ret_left;
    io_sim_pass((uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_nsec / 1000000);
    return 0;
}

ssize_t WRAPPED(getrandom)(void *bytes, size_t len, unsigned flags)
{
    (void)flags;
    if (world_fails(FAULT_RANDOM))
        return -1;
    memset(bytes, WORLD_RANDOM_BYTE, len);
    return (ssize_t)len;
}

/* --- descriptors and sockets --- */

int REAL(close)(int fd);
int WRAPPED(close)(int fd);
int REAL(fcntl64)(int fd, int command, ...);
int WRAPPED(fcntl64)(int fd, int command, ...);
int REAL(getpeername)(int fd, struct sockaddr *ret_address, socklen_t *length);
int WRAPPED(getpeername)(int fd, struct sockaddr *ret_address, socklen_t *length);
int REAL(shutdown)(int fd, int how);
int WRAPPED(shutdown)(int fd, int how);
ssize_t REAL(send)(int fd, const void *data, size_t len, int flags);
ssize_t WRAPPED(send)(int fd, const void *data, size_t len, int flags);
ssize_t REAL(sendmsg)(int fd, const struct msghdr *message, int flags);
ssize_t WRAPPED(sendmsg)(int fd, const struct msghdr *message, int flags);
ssize_t REAL(recvmsg)(int fd, struct msghdr *message, int flags);
ssize_t WRAPPED(recvmsg)(int fd, struct msghdr *message, int flags);
ssize_t REAL(recv)(int fd, void *memory, size_t len, int flags);
ssize_t WRAPPED(recv)(int fd, void *memory, size_t len, int flags);

static int answering_fd = -1;
static void (*answer_there)(void);

void world_set_answering(int fd, void (*answer)(void))
{
    answering_fd = fd;
    answer_there = answer;
}

ssize_t WRAPPED(recv)(int fd, void *memory, size_t len, int flags)
{
    if (fd == answering_fd)
        answer_there();
    return REAL(recv)(fd, memory, len, flags);
}

int WRAPPED(close)(int fd)
{
    int r = REAL(close)(fd);

    wrong_closes += r < 0 && errno == EBADF;
    return r;
}

int WRAPPED(fcntl64)(int fd, int command, ...)
{
    va_list args;

    va_start(args, command);
    int value = va_arg(args, int);
    va_end(args);
    return world_fails(FAULT_MODE) ? -1 : REAL(fcntl64)(fd, command, value);
}

int WRAPPED(getpeername)(int fd, struct sockaddr *ret_address, socklen_t *length)
{
    return world_fails(FAULT_PEER_NAME) ? -1 : REAL(getpeername)(fd, ret_address, length);
}

int WRAPPED(shutdown)(int fd, int how)
{
    return world_fails(FAULT_SHUTDOWN) ? -1 : REAL(shutdown)(fd, how);
}

ssize_t WRAPPED(send)(int fd, const void *data, size_t len, int flags)
{
    return world_fails(FAULT_SEND_NOW) ? -1 : REAL(send)(fd, data, len, flags);
}

ssize_t WRAPPED(sendmsg)(int fd, const struct msghdr *message, int flags)
{
    return world_fails(FAULT_MESSAGE_OUT) ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t WRAPPED(recvmsg)(int fd, struct msghdr *message, int flags)
{
    return world_fails(FAULT_MESSAGE_IN) ? -1 : REAL(recvmsg)(fd, message, flags);
}

/* --- the balance --- */

struct world_balance world_balance(void)
{
    struct world_balance balance = {.memory = memory_count, .mappings = mapping_count};

    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        balance.descriptors += REAL(fcntl64)(fd, F_GETFD, 0) >= 0;
    return balance;
}

unsigned world_wrong_closes(void)
{
    return wrong_closes;
}
