/* The records of a zip archive (PKWARE's APPNOTE 6.3.10), for content that is stored as it is.
 *
 * A file's CRC is known only when it has been read, so it follows the content in a data descriptor
 * (bit 3 of the flags). The sizes are known before and stand in the local header all the same,
 * where APPNOTE (4.4.4) has zeros: who reads from front to back has no other way to see where
 * stored content ends, and macOS's Archive Utility wants them there. Who reads the central
 * directory first (Windows, unzip, Python) does not look at them.
 *
 * Zip64 records are there only where a size, an offset or a number needs them.
 */
#pragma once

#include "base/buf.h"
#include "files/archive_entry.h"

enum {
    /* A local header, or an entry of the central directory: at most so much without the path. */
    ZIP_RECORD_BYTES = 128,
    ZIP_DESCRIPTOR_BYTES = 24,
    /* What is remembered of an entry, without the rest of its path. */
    ZIP_MEMORY_BYTES = 40,
};

/* Appends what stands before an entry's content; times also in this machine's time zone. tzset()
 * has to have been called. */
void zip_append_local(struct buf *out, const struct archive_entry *entry);

/* What follows the content: nothing where there is none. */
size_t zip_descriptor_bytes(const struct archive_entry *entry);
void zip_append_descriptor(struct buf *out, const struct archive_entry *entry, uint32_t crc);

/* What the central directory will say: kept while entries are written, 40 bytes for each and so
 * much of its path as the one before does not have. */
struct zip_directory {
    struct buf memory;
    uint64_t count;
    size_t read_at; /* for zip_append_central() */
    size_t path_len;
    char path[ARCHIVE_PATH_BYTES]; /* of the last entry remembered, or read */
};

/* Remembers at most `most` bytes. */
void zip_directory_init(struct zip_directory *d, size_t most);
void zip_directory_finish(struct zip_directory *d);

/* `offset` is that of the local header. Returns 0 or -EFBIG: there is no room for it. */
int zip_remember(struct zip_directory *d, const struct archive_entry *entry, uint64_t offset,
                 uint32_t crc);

/* The entries one by one; false after the last one. Nothing is remembered once this has begun. */
bool zip_append_central(struct buf *out, struct zip_directory *d);

/* The end, with where the central directory began and ended. */
void zip_append_end(struct buf *out, const struct zip_directory *d, uint64_t begin, uint64_t end);
