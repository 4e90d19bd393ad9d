#include "files/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int file_stat(int fd, struct stat *ret_stat)
{
    return syscall(SYS_fstat, fd, ret_stat) < 0 ? -errno : 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_same_bytes(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim);
}

bool file_same(const struct stat *a, const struct stat *b)
{
    return file_same_bytes(a, b) && same_time(&a->st_ctim, &b->st_ctim);
}

struct look {
    int fd;
    struct stat *st;
};

static int look_slowly(void *arg)
{
    struct look *l = arg;

    return file_stat(l->fd, l->st);
}

int file_look(struct task *t, const struct file *file, struct stat *ret_stat)
{
    struct look l = {file->fd, ret_stat};

    return file->lane == OFFLOAD_FAST ? look_slowly(&l) : offload(t, OFFLOAD_SLOW, look_slowly, &l);
}

struct closing {
    struct offload_work work;
    int fd;
};

static int close_slowly(void *arg)
{
    struct closing *c = arg;

    close(c->fd);
    free(c);
    return 0;
}

void file_close(struct task *t, const struct file *file)
{
    struct closing *c = file->lane == OFFLOAD_FAST ? NULL : malloc(sizeof(*c));

    if (!c) {
        close(file->fd);
        return;
    }
    *c = (struct closing){
        .work = {OFFLOAD_SLOW, .fn = close_slowly, .arg = c},
        .fd = file->fd,
    };
    offload_start(task_loop(t), &c->work);
}
