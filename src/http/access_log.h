/* The access log: one line per request, as text (the combined format) or JSON.
 *
 * Lines of a ring are collected and written together, at the latest after a second, so that logging
 * costs no system call per request. Everything that a peer chose is escaped.
 */
#pragma once

#include "base/buf.h"
#include "rt/io.h"

struct exchange;

enum access_log_format { ACCESS_LOG_TEXT, ACCESS_LOG_JSON };

struct access_log {
    struct loop *loop;
    int fd;         /* O_APPEND */
    int writing_fd; /* of the write that is on its way; another one after a change of file */
    enum access_log_format format;
    struct buf lines;   /* collected */
    struct buf writing; /* on their way to the file */
    bool busy;
    struct timer timer;
    uint64_t dropped; /* lines that did not fit because the disk is too slow */
};

enum {
    ACCESS_LOG_BUFFER_BYTES = 256 * 1024,
    ACCESS_LOG_FLUSH_BYTES = 16 * 1024,
    ACCESS_LOG_FLUSH_MS = 1000,
    /* Of a target or a user agent. */
    ACCESS_LOG_TEXT_BYTES = 1024,
};

/* `fd` becomes the log's. */
void access_log_init(struct access_log *log, struct loop *loop, int fd,
                     enum access_log_format format);

/* Another file from now on; the old descriptor is closed when nothing is on its way to it. */
void access_log_reopen(struct access_log *log, int fd);

/* Writes what is left, waiting for the disk, and closes. For the end of the process, when no task
 * runs. */
void access_log_finish(struct access_log *log);

/* Logs the exchange's request and response, if its server has a log. */
void access_log_request(const struct exchange *x);
