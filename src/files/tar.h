/* Heads of tar entries: ustar, with pax records for what does not fit (POSIX.1-2017, pax, "ustar
 * Interchange Format" and "pax Extended Header").
 *
 * An entry is its head, its content, and tar_padding() zero bytes; TAR_END_BYTES zero bytes end it
 * all. Owners are left out, since they mean nothing elsewhere; times are whole seconds, as GNU tar
 * writes them: with pax records each entry would take another KiB.
 */
#pragma once

#include "base/buf.h"
#include "files/archive_entry.h"

enum {
    TAR_BLOCK_BYTES = 512,
    TAR_END_BYTES = 2 * TAR_BLOCK_BYTES,
    /* The head, a pax head, and its records. */
    TAR_HEAD_BYTES = 2 * TAR_BLOCK_BYTES + ARCHIVE_PATH_BYTES + TAR_BLOCK_BYTES,
};

/* Appends the head of an entry. */
void tar_append_head(struct buf *out, const struct archive_entry *entry);

/* How many zero bytes follow the content. */
size_t tar_padding(uint64_t size);
