/* An open file or folder, and what was seen of it. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "rt/offload.h"
#include "rt/task.h"

struct file {
    int fd;
    bool fast;              /* reads of cached data may be tried from the loop */
    enum offload_lane lane; /* whose helpers do what may wait for its file system */
    struct stat st;
    struct timespec
        before;          /* CLOCK_REALTIME_COARSE, which time stamps are taken from, before `st` */
    const char *content; /* all of it, where it is remembered; else NULL */
    struct cached_file *cached; /* NULL: the descriptor is the opener's */
};

/* Looks at an open file again: fstat(2). Returns 0 or -errno. */
int file_look(struct task *t, const struct file *file, struct stat *ret_stat);

/* close(2), which may wait for the file system too, but nobody waits for it here. */
void file_close(struct task *t, const struct file *file);

/* fstat(2) by its own system call: glibc makes newfstatat() of it, which costs a path look-up of
 * nothing and a run through the system call filter. Returns 0 or -errno. */
int file_stat(int fd, struct stat *ret_stat);

/* Whether two looks at a file saw the same bytes; and the same names and rights. */
bool file_same_bytes(const struct stat *a, const struct stat *b);
bool file_same(const struct stat *a, const struct stat *b);
