/* Heads of tar and zip entries, read again by readers of our own: whatever path, size and time went
 * in comes out. The input is a list of entries, see take_entry(). */
#include <assert.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "files/tar.h"
#include "files/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES_MAX = 64, MEMORY_BYTES = 64 * 1024 };

struct given {
    struct archive_entry entry;
    uint64_t offset; /* in a zip archive */
    uint32_t crc;
};

static char memory[MEMORY_BYTES];

static uint64_t little(const char *at, size_t bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | (unsigned char)at[bytes];
    return value;
}

/* Four bytes of which the last says how many bits they are moved up: all magnitudes. */
static uint64_t take_number(struct span *rest)
{
    uint64_t number = little(rest->data, 3) << ((unsigned char)rest->data[3] % 41);

    *rest = span_skip(*rest, 4);
    return number;
}

static bool take_entry(struct span *rest, struct given *ret)
{
    enum { FIXED = 4 + 4 * 4 };

    if (rest->len < FIXED + 1)
        return false;
    unsigned flags = (unsigned char)rest->data[0];
    size_t len = little(rest->data + 1, 2) % ARCHIVE_PATH_BYTES + 1;
    *ret = (struct given){.entry = {.is_folder = flags & 1, .mode = flags * 2}};
    *rest = span_skip(*rest, 4);
    ret->entry.size = take_number(rest);
    ret->entry.mtime_s = (int64_t)take_number(rest) * (flags & 2 ? -1 : 1);
    ret->offset = take_number(rest);
    ret->crc = (uint32_t)take_number(rest);
    if (ret->entry.is_folder)
        ret->entry.size = 0;
    if (len > rest->len)
        len = rest->len;
    ret->entry.path = span_first(*rest, len);
    *rest = span_skip(*rest, len);
    /* As names below a folder are. */
    struct span p = ret->entry.path;
    return !memchr(p.data, '\0', p.len) && p.data[0] != '/' && p.data[p.len - 1] != '/';
}

/* --- tar --- */

static uint64_t octal(const char *field, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size - 1; i++) {
        assert(field[i] >= '0' && field[i] <= '7');
        value = value * 8 + (uint64_t)(field[i] - '0');
    }
    assert(field[size - 1] == '\0');
    return value;
}

static void check_block(const char *block)
{
    unsigned sum = 0;

    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)block[i];
    assert(octal(block + 148, 7) == sum);
    assert(memcmp(block + 257,
                  "ustar\0"
                  "00",
                  8) == 0);
}

struct found {
    struct span path;
    uint64_t size;
    int64_t mtime_s;
    char ustar_path[300];
};

static struct span field(const char *at, size_t size)
{
    return span_of(at, strnlen(at, size));
}

static void read_records(struct span records, struct found *found)
{
    bool binary = false;

    while (records.len > 0) {
        struct span length = span_first(records, span_find(records, ' '));
        uint64_t bytes;
        assert(span_to_u64(length, &bytes) == 0 && bytes <= records.len);
        struct span record = span_skip(span_first(records, bytes), length.len + 1);
        assert(record.data[record.len - 1] == '\n');
        record.len--;
        struct span key = span_split(&record, '=');
        if (span_equal(key, SPAN("path")))
            found->path = record;
        else if (span_equal(key, SPAN("size")))
            assert(span_to_u64(record, &found->size) == 0);
        else if (span_equal(key, SPAN("mtime")))
            found->mtime_s = strtoll(record.data, NULL, 10);
        else
            assert(span_equal(key, SPAN("hdrcharset")));
        binary = binary || span_equal(key, SPAN("hdrcharset"));
        records = span_skip(records, bytes);
    }
    assert(found->path.len == 0 || binary == !utf8_is_valid(found->path));
}

static void check_tar(const struct archive_entry *e)
{
    static struct found found;
    const char *at = memory;
    struct buf out;

    found = (struct found){0};
    buf_init_fixed(&out, memory, TAR_HEAD_BYTES);
    tar_append_head(&out, e);
    assert(!buf_failed(&out) && out.len % TAR_BLOCK_BYTES == 0);
    check_block(at);
    const uint64_t size = octal(at + 124, 12);
    const int64_t mtime_s = (int64_t)octal(at + 136, 12);
    if (at[156] == 'x') {
        assert(out.len == 2 * TAR_BLOCK_BYTES + size + tar_padding(size));
        found.size = octal(memory + out.len - TAR_BLOCK_BYTES + 124, 12);
        found.mtime_s = (int64_t)octal(memory + out.len - TAR_BLOCK_BYTES + 136, 12);
        read_records(span_of(at + TAR_BLOCK_BYTES, size), &found);
        at = memory + out.len - TAR_BLOCK_BYTES;
        check_block(at);
    } else {
        found.size = size;
        found.mtime_s = mtime_s;
    }
    if (!found.path.data) {
        struct span prefix = field(at + 345, 155), name = field(at, 100);
        memcpy(found.ustar_path, prefix.data, prefix.len);
        size_t len = prefix.len;
        if (len > 0)
            found.ustar_path[len++] = '/';
        memcpy(found.ustar_path + len, name.data, name.len);
        found.path = span_of(found.ustar_path, len + name.len);
    }
    if (e->is_folder)
        assert(found.path.data[--found.path.len] == '/');
    assert(at[156] == (e->is_folder ? '5' : '0'));
    assert(span_equal(found.path, e->path));
    assert(found.size == e->size && found.mtime_s == e->mtime_s);
    assert(octal(at + 100, 8) == (e->mode & 0777));
}

/* --- zip --- */

/* Sizes and offset, as the fields of 32 bits or those of zip64 have them. */
static void check_numbers(const char *sizes, uint64_t offset_32, struct span extra,
                          const struct given *g)
{
    uint64_t packed = little(sizes, 4), plain = little(sizes + 4, 4), offset = offset_32;

    while (extra.len > 0) {
        assert(extra.len >= 4);
        uint64_t id = little(extra.data, 2), length = little(extra.data + 2, 2);
        struct span value = span_first(span_skip(extra, 4), length);
        assert(length <= extra.len - 4);
        if (id == 1 && plain == UINT32_MAX) {
            plain = little(value.data, 8);
            packed = little(value.data + 8, 8);
            value = span_skip(value, 16);
        }
        if (id == 1 && offset == UINT32_MAX) {
            offset = little(value.data, 8);
            value = span_skip(value, 8);
        }
        assert(id == 1 ? value.len == 0 : id == 0x5455);
        if (id == 0x5455)
            assert((int64_t)little(value.data + 1, 4) == g->entry.mtime_s);
        extra = span_skip(extra, length + 4);
    }
    assert(packed == g->entry.size && plain == g->entry.size && offset == g->offset);
}

static void check_path(struct span path, const struct archive_entry *e)
{
    if (e->is_folder)
        assert(path.data[--path.len] == '/');
    assert(span_equal(path, e->path));
}

static void check_local(const struct given *g)
{
    struct given at_zero = *g;
    struct buf out;

    buf_init_fixed(&out, memory, ARCHIVE_PATH_BYTES + ZIP_RECORD_BYTES);
    zip_append_local(&out, &g->entry);
    assert(!buf_failed(&out) && little(memory, 4) == 0x04034b50);
    size_t path = little(memory + 26, 2), extra = little(memory + 28, 2);
    assert(out.len == 30 + path + extra && little(memory + 14, 4) == 0);
    check_path(span_of(memory + 30, path), &g->entry);
    at_zero.offset = 0;
    check_numbers(memory + 18, 0, span_of(memory + 30 + path, extra), &at_zero);
    if (zip_descriptor_bytes(&g->entry) == 0)
        return;
    buf_init_fixed(&out, memory, ZIP_DESCRIPTOR_BYTES);
    zip_append_descriptor(&out, &g->entry, g->crc);
    assert(out.len == zip_descriptor_bytes(&g->entry));
    assert(little(memory + 4, 4) == g->crc);
    assert(little(memory + 8, (out.len - 8) / 2) == g->entry.size);
}

static void check_central(struct zip_directory *d, const struct given *g)
{
    struct buf out;

    buf_init_fixed(&out, memory, ARCHIVE_PATH_BYTES + ZIP_RECORD_BYTES);
    assert(zip_append_central(&out, d));
    assert(!buf_failed(&out) && little(memory, 4) == 0x02014b50);
    size_t path = little(memory + 28, 2), extra = little(memory + 30, 2);
    assert(out.len == 46 + path + extra && little(memory + 16, 4) == g->crc);
    assert((little(memory + 38, 4) >> 16 & 0777) == (g->entry.mode & 0777));
    check_path(span_of(memory + 46, path), &g->entry);
    check_numbers(memory + 20, little(memory + 42, 4), span_of(memory + 46 + path, extra), g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct given entries[ENTRIES_MAX];
    static struct zip_directory directory;
    struct span rest = span_of(data, size);
    size_t count = 0;
    struct buf none;

    zip_directory_init(&directory, 1024 * 1024);
    while (count < ENTRIES_MAX && take_entry(&rest, &entries[count])) {
        struct given *g = &entries[count++];
        check_tar(&g->entry);
        check_local(g);
        assert(zip_remember(&directory, &g->entry, g->offset, g->crc) == 0);
    }
    for (size_t i = 0; i < count; i++)
        check_central(&directory, &entries[i]);
    buf_init_fixed(&none, memory, 0);
    assert(!zip_append_central(&none, &directory));
    zip_directory_finish(&directory);
    return 0;
}
