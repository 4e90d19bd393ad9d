/* Reading an open folder a batch at a time, in the order in which the file system has it, nothing
 * remembered: constant memory for any number of entries. While a batch is in the caller's hands a
 * helper reads the next one.
 *
 * What is listed is what files/entry.h finds, but for the server's own. What others add or remove
 * meanwhile may be in it or not.
 */
#pragma once

#include "files/entry.h"
#include "files/root.h"

enum {
    SCAN_ENTRIES = 256,
    SCAN_DENTS_BYTES = 32 * 1024,
    SCAN_ATTRIBUTE_BYTES = 64 * 1024,
    SCAN_SLICE_MS = 10, /* for a batch at most, but for one entry */
};

struct scan_batch {
    size_t count;
    const struct folder_entry *entries;
    const struct span *attributes; /* of each, files/xattrs.h; NULL: not asked for */
    struct timespec before;        /* CLOCK_REALTIME_COARSE, before they were looked at */
    bool watchable; /* a watch tells the changes of what was found and is not listed */
    bool is_last;
};

struct scan;

struct scan_options {
    const struct root *root;
    const struct file *dir; /* stays the caller's and open */
    struct span path;       /* its own, relative to the root */
    unsigned mask;          /* as in struct entry_source */
    bool attributes;        /* our extended attribute of each, which opens it */
};

/* Begins reading the folder from its beginning. Returns 0 or -errno. */
int scan_create(struct task *t, const struct scan_options *o, struct scan **ret_scan);

/* The next batch, which lasts until the next call; it may be empty. Not after the last. Returns 0,
 * the -errno of the folder or of a shortage, or the reason of a cancellation. */
int scan_next(struct task *t, struct scan *s, struct scan_batch *ret_batch);

/* Waits for the helper. NULL is allowed. */
void scan_destroy(struct task *t, struct scan *s);
