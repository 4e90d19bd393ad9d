#include "files/tar.h"

#include <assert.h>
#include <stdio.h>

#include "base/utf8.h"

/* A block before its entry or before pax records. */
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type;
    char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
    char prefix[155], unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "as POSIX has it");

enum {
    TYPE_FILE = '0',
    TYPE_FOLDER = '5',
    TYPE_PAX = 'x',
    PERMISSIONS = 0777,
};

#define SIZE_MAX_OCTAL UINT64_C(077777777777) /* 8 GiB - 1; also the last second there is */

/* Octal, as many digits as fit in front of a NUL. */
static void put_octal(char *field, size_t size, uint64_t value)
{
    field[size - 1] = '\0';
    for (size_t i = size - 1; i > 0; i--, value >>= 3)
        field[i - 1] = (char)('0' + (value & 7));
}

/* Blanks stand for the sum while it is made. */
static void put_checksum(struct ustar *head)
{
    const unsigned char *bytes = (const unsigned char *)head;
    unsigned sum = 0;

    memset(head->checksum, ' ', sizeof(head->checksum));
    for (size_t i = 0; i < sizeof(*head); i++)
        sum += bytes[i];
    put_octal(head->checksum, sizeof(head->checksum) - 1, sum);
}

/* Where the path can be cut at a slash, so that both parts fit; 0: it fits into `name` as it is;
 * -1: nowhere. `room` is that of the name, which has a slash of its own if it is a folder's. */
static int split_path(struct span path, size_t room)
{
    const size_t prefix_most = sizeof(((struct ustar *)NULL)->prefix);

    if (path.len <= room)
        return 0;
    for (size_t at = path.len - room - 1; at <= prefix_most && at < path.len - 1; at++)
        if (at > 0 && path.data[at] == '/')
            return (int)at;
    return -1;
}

/* As much of it as there is room for: where it is cut, the pax record has all. */
static void put_path(struct ustar *head, struct span path, bool is_folder)
{
    size_t room = sizeof(head->name) - is_folder;
    int at = split_path(path, room);
    struct span name = at > 0 ? span_skip(path, (size_t)at + 1) : path;

    if (at > 0)
        memcpy(head->prefix, path.data, (size_t)at);
    if (name.len > room)
        name = span_first(name, room);
    memcpy(head->name, name.data, name.len);
    if (is_folder)
        head->name[name.len] = '/';
}

static void append_block(struct buf *out, char type, const struct archive_entry *e)
{
    struct ustar head = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    bool in_time = e->mtime_s >= 0 && (uint64_t)e->mtime_s <= SIZE_MAX_OCTAL;

    put_path(&head, e->path, e->is_folder);
    put_octal(head.mode, sizeof(head.mode), e->mode & PERMISSIONS);
    put_octal(head.uid, sizeof(head.uid), 0);
    put_octal(head.gid, sizeof(head.gid), 0);
    put_octal(head.devmajor, sizeof(head.devmajor), 0);
    put_octal(head.devminor, sizeof(head.devminor), 0);
    put_octal(head.size, sizeof(head.size), e->size <= SIZE_MAX_OCTAL ? e->size : 0);
    put_octal(head.mtime, sizeof(head.mtime), in_time ? (uint64_t)e->mtime_s : 0);
    put_checksum(&head);
    buf_append(out, span_of(&head, sizeof(head)));
}

/* --- pax records: "LENGTH KEY=VALUE\n", where the length counts itself --- */

static size_t digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10)
        digits++;
    return digits;
}

/* `slash`: one more byte of the value, a slash. */
static void append_record(struct buf *out, struct span key, struct span value, bool slash)
{
    size_t rest = key.len + value.len + slash + sizeof(" =\n") - 1;
    size_t length = rest + digits_of(rest);

    length = rest + digits_of(length); /* its own digits may make it longer by one */
    buf_append_u64(out, length);
    buf_append_char(out, ' ');
    buf_append(out, key);
    buf_append_char(out, '=');
    buf_append(out, value);
    buf_append_str(out, slash ? "/\n" : "\n");
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] > 0x7f)
            return false;
    return true;
}

/* What is not UTF-8 stays outside as long as it fits: GNU tar takes the bytes of a ustar head as
 * they are, and warns of "hdrcharset". */
static bool needs_path_record(const struct archive_entry *e)
{
    if (split_path(e->path, sizeof(((struct ustar *)NULL)->name) - e->is_folder) < 0)
        return true;
    return !is_ascii(e->path) && utf8_is_valid(e->path);
}

static void append_records(struct buf *out, const struct archive_entry *e)
{
    char number[24];
    int length;

    if (needs_path_record(e)) {
        /* Names are UTF-8 there; others have to be announced. */
        if (!utf8_is_valid(e->path))
            append_record(out, SPAN("hdrcharset"), SPAN("BINARY"), false);
        append_record(out, SPAN("path"), e->path, e->is_folder);
    }
    if (e->size > SIZE_MAX_OCTAL) {
        length = snprintf(number, sizeof(number), "%llu", (unsigned long long)e->size);
        append_record(out, SPAN("size"), span_of(number, (size_t)length), false);
    }
    if (e->mtime_s < 0 || (uint64_t)e->mtime_s > SIZE_MAX_OCTAL) {
        length = snprintf(number, sizeof(number), "%lld", (long long)e->mtime_s);
        append_record(out, SPAN("mtime"), span_of(number, (size_t)length), false);
    }
}

static void append_zeros(struct buf *out, size_t count)
{
    char *room = buf_reserve(out, count);

    if (!room)
        return;
    memset(room, 0, count);
    out->len += count;
}

/* --- */

size_t tar_padding(uint64_t size)
{
    return (size_t)(-size % TAR_BLOCK_BYTES);
}

void tar_append_head(struct buf *out, const struct archive_entry *entry)
{
    char memory[ARCHIVE_PATH_BYTES + TAR_BLOCK_BYTES / 2];
    struct buf records;

    assert(entry->path.len <= ARCHIVE_PATH_BYTES);
    buf_init_fixed(&records, memory, sizeof(memory));
    append_records(&records, entry);
    assert(!buf_failed(&records));
    if (records.len > 0) {
        const struct archive_entry pax = {
            .path = SPAN("PaxHeader"),
            .mode = 0644,
            .mtime_s = entry->mtime_s > 0 ? entry->mtime_s : 0,
            .size = records.len,
        };
        append_block(out, TYPE_PAX, &pax);
        buf_append(out, buf_span(&records));
        append_zeros(out, tar_padding(records.len));
    }
    append_block(out, entry->is_folder ? TYPE_FOLDER : TYPE_FILE, entry);
}
