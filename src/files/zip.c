#include "files/zip.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/utf8.h"

enum {
    /* "Version needed to extract" (4.4.3): 2.0 for folders, 4.5 for zip64. */
    VERSION_PLAIN = 20,
    VERSION_ZIP64 = 45,
    MADE_BY_UNIX = 3 << 8,
    FLAG_DESCRIPTOR = 1 << 3,
    FLAG_UTF8 = 1 << 11,
    METHOD_STORED = 0,
    EXTRA_ZIP64 = 0x0001,
    EXTRA_TIME = 0x5455, /* Info-ZIP's "extended timestamp": seconds since 1970 */
    EXTRA_TIME_MTIME = 1,
    DOS_FOLDER = 0x10, /* an attribute of MS-DOS */
    PERMISSIONS = 0777,
    /* The end of the zip64 directory, from behind its own size. */
    END64_SIZE = 44,
};

#define SIGNATURE_LOCAL UINT32_C(0x04034b50)
#define SIGNATURE_DESCRIPTOR UINT32_C(0x08074b50)
#define SIGNATURE_CENTRAL UINT32_C(0x02014b50)
#define SIGNATURE_END UINT32_C(0x06054b50)
#define SIGNATURE_END64 UINT32_C(0x06064b50)
#define SIGNATURE_LOCATOR64 UINT32_C(0x07064b50)

/* These values themselves say "see zip64". */
#define MOST_32 UINT32_C(0xffffffff)
#define MOST_16 UINT16_C(0xffff)

/* Little endian, as all of zip. */
static void put(struct buf *out, uint64_t value, int bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        buf_append_char(out, (char)(value & 0xff));
}

static void put_16(struct buf *out, uint64_t value)
{
    put(out, value, 2);
}

static void put_32(struct buf *out, uint64_t value)
{
    put(out, value, 4);
}

static void put_64(struct buf *out, uint64_t value)
{
    put(out, value, 8);
}

static void put_32_or_most(struct buf *out, uint64_t value)
{
    put_32(out, value < MOST_32 ? value : MOST_32);
}

/* --- what local headers and the central directory have in common --- */

static bool is_large(const struct archive_entry *e)
{
    return e->size >= MOST_32;
}

/* Two seconds are the grain, 1980 to 2107 the range. */
static void put_dos_time(struct buf *out, int64_t mtime_s)
{
    time_t seconds = (time_t)mtime_s;
    struct tm tm;
    unsigned date = 1 << 5 | 1, time = 0; /* 1980-01-01 */

    if (localtime_r(&seconds, &tm) && tm.tm_year >= 80) {
        bool later = tm.tm_year > 80 + 127;
        date = later ? 127 << 9 | 12 << 5 | 31
                     : (unsigned)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday);
        time = later ? 23 << 11 | 59 << 5 | 29
                     : (unsigned)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2);
    }
    put_16(out, time);
    put_16(out, date);
}

/* From "version needed" to the CRC, which is known in the central directory only. */
static void put_common(struct buf *out, const struct archive_entry *e, uint64_t offset,
                       uint32_t crc)
{
    bool zip64 = is_large(e) || offset >= MOST_32;
    unsigned flags = zip_descriptor_bytes(e) > 0 ? FLAG_DESCRIPTOR : 0;

    if (utf8_is_valid(e->path))
        flags |= FLAG_UTF8;
    put_16(out, zip64 ? VERSION_ZIP64 : VERSION_PLAIN);
    put_16(out, flags);
    put_16(out, METHOD_STORED);
    put_dos_time(out, e->mtime_s);
    put_32(out, crc);
    /* Compressed and not: the same. If one is large both are in zip64's extra field. */
    put_32_or_most(out, e->size);
    put_32_or_most(out, e->size);
    put_16(out, e->path.len + e->is_folder);
}

static void put_path(struct buf *out, const struct archive_entry *e)
{
    buf_append(out, e->path);
    if (e->is_folder)
        buf_append_char(out, '/');
}

static void make_extra(struct buf *extra, const struct archive_entry *e, uint64_t offset)
{
    bool large_offset = offset >= MOST_32;

    if (is_large(e) || large_offset) {
        put_16(extra, EXTRA_ZIP64);
        put_16(extra, (is_large(e) ? 16U : 0U) + (large_offset ? 8U : 0U));
        if (is_large(e)) {
            put_64(extra, e->size);
            put_64(extra, e->size);
        }
        if (large_offset)
            put_64(extra, offset);
    }
    /* Signed to some and unsigned to others: until 2038 it is the same. */
    if (e->mtime_s >= 0 && e->mtime_s <= INT32_MAX) {
        put_16(extra, EXTRA_TIME);
        put_16(extra, 1 + 4);
        put(extra, EXTRA_TIME_MTIME, 1);
        put_32(extra, (uint64_t)e->mtime_s);
    }
}

/* --- around the content --- */

size_t zip_descriptor_bytes(const struct archive_entry *entry)
{
    if (entry->size == 0)
        return 0;
    return is_large(entry) ? ZIP_DESCRIPTOR_BYTES : ZIP_DESCRIPTOR_BYTES - 8;
}

void zip_append_local(struct buf *out, const struct archive_entry *entry)
{
    char memory[ZIP_RECORD_BYTES];
    struct buf extra;

    buf_init_fixed(&extra, memory, sizeof(memory));
    make_extra(&extra, entry, 0);
    put_32(out, SIGNATURE_LOCAL);
    put_common(out, entry, 0, 0);
    put_16(out, extra.len);
    put_path(out, entry);
    buf_append(out, buf_span(&extra));
}

void zip_append_descriptor(struct buf *out, const struct archive_entry *entry, uint32_t crc)
{
    int bytes = is_large(entry) ? 8 : 4; /* 4.3.9.2 */

    put_32(out, SIGNATURE_DESCRIPTOR);
    put_32(out, crc);
    put(out, entry->size, bytes);
    put(out, entry->size, bytes);
}

/* --- the central directory --- */

/* What is remembered of an entry; what its path has beyond the one before follows. */
struct memory {
    uint64_t offset, size;
    int64_t mtime_s;
    uint32_t crc;
    uint16_t mode;
    uint16_t is_folder;
    uint16_t shared, rest; /* bytes of the path */
    uint32_t unused;
};

_Static_assert(sizeof(struct memory) == ZIP_MEMORY_BYTES, "as the header says");

void zip_directory_init(struct zip_directory *d, size_t most)
{
    d->count = 0;
    d->read_at = d->path_len = 0;
    buf_init_growing(&d->memory, most);
}

void zip_directory_finish(struct zip_directory *d)
{
    buf_finish(&d->memory);
}

static size_t shared_with_last(const struct zip_directory *d, struct span path)
{
    size_t shared = 0;

    while (shared < path.len && shared < d->path_len && path.data[shared] == d->path[shared])
        shared++;
    return shared;
}

int zip_remember(struct zip_directory *d, const struct archive_entry *entry, uint64_t offset,
                 uint32_t crc)
{
    size_t shared = shared_with_last(d, entry->path);
    struct span rest = span_skip(entry->path, shared);
    const struct memory m = {
        .offset = offset,
        .size = entry->size,
        .mtime_s = entry->mtime_s,
        .crc = crc,
        .mode = (uint16_t)(entry->mode & PERMISSIONS),
        .is_folder = entry->is_folder,
        .shared = (uint16_t)shared,
        .rest = (uint16_t)rest.len,
    };

    assert(entry->path.len <= ARCHIVE_PATH_BYTES && d->read_at == 0);
    buf_append(&d->memory, span_of(&m, sizeof(m)));
    buf_append(&d->memory, rest);
    if (buf_failed(&d->memory))
        return -EFBIG;
    memcpy(d->path + shared, rest.data, rest.len);
    d->path_len = entry->path.len;
    d->count++;
    return 0;
}

static void append_central(struct buf *out, const struct archive_entry *e, uint64_t offset,
                           uint32_t crc)
{
    char memory[ZIP_RECORD_BYTES];
    struct buf extra;
    uint64_t kind = e->is_folder ? S_IFDIR : S_IFREG;

    buf_init_fixed(&extra, memory, sizeof(memory));
    make_extra(&extra, e, offset);
    put_32(out, SIGNATURE_CENTRAL);
    put_16(out, MADE_BY_UNIX | VERSION_ZIP64);
    put_common(out, e, offset, crc);
    put_16(out, extra.len);
    put_16(out, 0); /* of a comment */
    put_16(out, 0); /* the first disk */
    put_16(out, 0); /* internal attributes */
    put_32(out, (kind | (e->mode & PERMISSIONS)) << 16 | (e->is_folder ? DOS_FOLDER : 0));
    put_32_or_most(out, offset);
    put_path(out, e);
    buf_append(out, buf_span(&extra));
}

bool zip_append_central(struct buf *out, struct zip_directory *d)
{
    struct memory m;

    if (d->read_at == d->memory.len)
        return false;
    memcpy(&m, d->memory.data + d->read_at, sizeof(m));
    memcpy(d->path + m.shared, d->memory.data + d->read_at + sizeof(m), m.rest);
    d->read_at += sizeof(m) + m.rest;
    const struct archive_entry entry = {
        .path = span_of(d->path, (size_t)m.shared + m.rest),
        .is_folder = m.is_folder,
        .mode = m.mode,
        .mtime_s = m.mtime_s,
        .size = m.size,
    };
    append_central(out, &entry, m.offset, m.crc);
    return true;
}

void zip_append_end(struct buf *out, const struct zip_directory *d, uint64_t begin, uint64_t end)
{
    uint64_t count = d->count, size = end - begin;
    uint64_t short_count = count < MOST_16 ? count : MOST_16;

    if (count >= MOST_16 || size >= MOST_32 || begin >= MOST_32) {
        put_32(out, SIGNATURE_END64);
        put_64(out, END64_SIZE);
        put_16(out, MADE_BY_UNIX | VERSION_ZIP64);
        put_16(out, VERSION_ZIP64);
        put_32(out, 0); /* this disk, and that of the directory */
        put_32(out, 0);
        put_64(out, count);
        put_64(out, count);
        put_64(out, size);
        put_64(out, begin);
        put_32(out, SIGNATURE_LOCATOR64);
        put_32(out, 0);
        put_64(out, end);
        put_32(out, 1); /* disks in all */
    }
    put_32(out, SIGNATURE_END);
    put_16(out, 0);
    put_16(out, 0);
    put_16(out, short_count);
    put_16(out, short_count);
    put_32_or_most(out, size);
    put_32_or_most(out, begin);
    put_16(out, 0); /* of a comment */
}
