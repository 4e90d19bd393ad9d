/* Locks outlive this process: in two files, written in turns, of which the newest complete one
 * counts. They were opened before home shut itself in (home/state.h); no folder is open, and no
 * name is looked up again.
 *
 * Who has changed a lock waits until it is written, and where `durable` on the disk, before he
 * tells the client. Many at once wait for one write. After an error what has been changed since the
 * last one does not count, neither for this file's next reader nor for the next write, which is
 * made of the table as it is then.
 */
#pragma once

#include "files/locks_text.h"
#include "rt/task.h"

struct locks_file {
    struct locks *locks;
    int fds[2]; /* -1: nothing is kept */
    bool durable;
    char boot[LOCKS_TEXT_BOOT_CHARS + 1]; /* of the machine */
    _Atomic bool is_writing;
    _Atomic uint64_t saved; /* the version that is in a file */
    uint64_t generation;    /* of the next text; of who is writing */
};

/* Reads what was kept into the table, which is empty. The descriptors become the file's; both are
 * -1 where nothing can be kept. `boot` as locks_text.h has it. Blocks: before there are rings.
 * Returns 0; -EBADMSG where there was something and none of it is complete: the table stays empty;
 * or another -errno: it could not be read, and nothing will be kept. */
int locks_file_init(struct locks_file *f, struct locks *locks, const int fds[2], const char *boot,
                    bool durable);
void locks_file_finish(struct locks_file *f);

/* Returns when what has been changed so far is kept: 0, also where nothing is kept at all, or
 * -errno. At once where nothing has changed. Also for a cancelled task: what has been changed may
 * be kept by what others write, so that it cannot be left as it is. On the loop. */
int locks_save(struct task *t, struct locks_file *f);

/* What that does, without waiting for others: for who is alone. Blocks. */
int locks_file_write(struct locks_file *f);
