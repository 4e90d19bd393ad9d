/* Folders that were just listed are remembered for the next request, per ring.
 *
 * Most of a listing's cost is asking the kernel about each entry. What was found out is used again
 * as long as nothing has changed: the folder is watched (files/changes.h) from before it is read,
 * and before each use it is asked whether there was a change, so one by another program is seen by
 * the request that follows it. Only folders on the root's own fast file system are kept, and none
 * in which a change could come from elsewhere (struct folder, `watchable`). Subfolders are looked
 * at anew each time, because what is made in one changes its time without notice.
 *
 * What no watch can see (files/changes.h) shows FOLDER_CACHE_KEEP_MS late at most: nothing is
 * older. And it shows at once while it goes on: a folder in which something changed in the last
 * seconds is not kept.
 *
 * A ring has its own watches and shares nothing, so nobody waits for a lock and no ring fetches the
 * notice that another one needs. After FOLDER_CACHE_KEEP_MS all folders are forgotten together with
 * all watches: that takes no descriptor of each, which would hold up an umount.
 */
#pragma once

#include "files/changes.h"
#include "files/folder.h"
#include "files/root.h"
#include "rt/loop.h"

enum {
    /* Folders, each in one order. People look at one, and go up and down. */
    FOLDER_CACHE_ENTRIES = 4,
    /* Their memory: 50,000 files in all. Larger folders are read each time. */
    FOLDER_CACHE_BYTES = 8 * 1024 * 1024,
    FOLDER_CACHE_KEEP_MS = 2 * 1000,
    /* A folder with more subfolders is not kept: so many are looked at, on the loop, in 100 us. */
    FOLDER_CACHE_SUBFOLDERS = 64,
    /* Folders watched until all are forgotten: whoever walks through a tree shall not leave a mark
     * on all of it. */
    FOLDER_CACHE_WATCHES = 64,
};

struct kept_folder {
    struct folder *folder; /* NULL: empty */
    ino_t ino;
    bool as_found; /* in no order */
    enum folder_sort sort;
    bool descending;
    uint64_t used; /* number of its last use */
};

struct folder_cache {
    const struct root *root;
    struct loop *loop;
    struct timer timer;
    struct changes changes;
    unsigned watches;    /* at least so many marks as there are, since all were forgotten */
    uint64_t expires_ms; /* of all that is kept */
    struct list readings;
    bool has_offer;
    size_t bytes, bytes_max; /* FOLDER_CACHE_BYTES; tests set less */
    uint64_t uses;
    struct kept_folder kept[FOLDER_CACHE_ENTRIES];
};

/* Before home's system call filter closes. Without fanotify nothing is ever kept. */
void folder_cache_init(struct folder_cache *cache, const struct root *root, struct loop *loop);
void folder_cache_finish(struct folder_cache *cache);

/* As folder_read() of the open folder `dir`, perhaps without reading it; `lane`, `root_fd` and
 * `device` of the options are set here. What it finds is shared, and given back with folder_free().
 */
int folder_cache_read(struct task *t, struct folder_cache *cache, const struct file *dir,
                      const struct folder_options *o, const struct folder **ret_folder);

/* What is known of the open folder `dir`, in whatever order; NULL: nothing. It is shared as above.
 */
const struct folder *folder_cache_find(struct folder_cache *cache, const struct file *dir);

/* A folder that is being read in order to be kept. */
struct folder_reading {
    struct list link;
    ino_t ino;
    bool spoilt; /* something has changed meanwhile, or nobody would hear of it */
};

/* Somebody else reads the open folder `dir`, and offers what he finds: it begins before he reads,
 * each entry is added as he finds it, and it ends when he has all of them. There is one offer at a
 * time, so that a ring never holds more than twice what it may keep. */
struct folder_offer {
    struct folder_cache *cache; /* NULL: there is no offer */
    struct folder *folder;      /* NULL: it will not be kept */
    struct folder_reading reading;
};

/* False where it would not be kept. */
bool folder_cache_offer(struct folder_cache *cache, const struct file *dir,
                        struct folder_offer *ret_offer);

/* All of these are harmless where there is no offer. An entry has all that ENTRY_STAT_ALL asks for.
 */
void folder_cache_add(struct folder_offer *offer, const struct folder_entry *entry);

/* Something was found that no watch tells the changes of: nothing will be kept. */
void folder_cache_spoil(struct folder_offer *offer);

void folder_cache_end(struct folder_offer *offer, const struct file *dir, bool complete);
