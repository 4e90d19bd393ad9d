/* Records of zip archives. That they can be read again whatever is in them: fuzz_archive.c. */
#include "assert_span.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "files/zip.h"

static char memory[ARCHIVE_PATH_BYTES + 4 * ZIP_RECORD_BYTES];
static struct buf out;
static struct zip_directory directory;

static struct buf *fresh(void)
{
    buf_init_fixed(&out, memory, sizeof(memory));
    return &out;
}

static uint64_t number_at(size_t at, size_t bytes)
{
    uint64_t value = 0;

    assert_true(at + bytes <= out.len);
    while (bytes-- > 0)
        value = value << 8 | (unsigned char)memory[at + bytes];
    return value;
}

static const struct archive_entry file = {
    .path = SPAN("a.txt"), .mode = 0100640, .mtime_s = 1600000000, .size = 5};

static int set_up(void **state)
{
    (void)state;
    setenv("TZ", "CET-1", 1);
    tzset();
    zip_directory_init(&directory, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    zip_directory_finish(&directory);
    return 0;
}

static void around_the_content(void **state)
{
    (void)state;
    zip_append_local(fresh(), &file);
    assert_int_equal(number_at(0, 4), 0x04034b50);
    assert_int_equal(number_at(4, 2), 20);
    assert_int_equal(number_at(6, 2), 1 << 3 | 1 << 11); /* the CRC comes later; UTF-8 */
    assert_int_equal(number_at(8, 2), 0);                /* stored */
    assert_int_equal(number_at(10, 2), 13 << 11 | 26 << 5 | 40 / 2);
    assert_int_equal(number_at(12, 2), 40 << 9 | 9 << 5 | 13);
    assert_int_equal(number_at(14, 4), 0);
    assert_int_equal(number_at(18, 4), 5); /* the sizes are there all the same */
    assert_int_equal(number_at(22, 4), 5);
    zip_append_descriptor(fresh(), &file, 0xcafe);
    assert_int_equal(out.len, 16);
    assert_int_equal(out.len, zip_descriptor_bytes(&file));
    assert_int_equal(number_at(0, 4), 0x08074b50);
    assert_int_equal(number_at(4, 4), 0xcafe);
    assert_int_equal(number_at(8, 4), 5);
    assert_int_equal(number_at(12, 4), 5);
}

static void nothing_follows_where_nothing_is(void **state)
{
    struct archive_entry entry = file;

    (void)state;
    entry.size = 0;
    assert_int_equal(zip_descriptor_bytes(&entry), 0);
    zip_append_local(fresh(), &entry);
    assert_int_equal(number_at(6, 2), 1 << 11);
    entry.path = SPAN("\xff");
    zip_append_local(fresh(), &entry);
    assert_int_equal(number_at(6, 2), 0);
}

static void large_files(void **state)
{
    struct archive_entry entry = file;

    (void)state;
    entry.size = UINT32_MAX - 1;
    zip_append_local(fresh(), &entry);
    assert_int_equal(number_at(4, 2), 20);
    assert_int_equal(zip_descriptor_bytes(&entry), 16);
    entry.size = UINT32_MAX; /* which itself says "see zip64" */
    zip_append_local(fresh(), &entry);
    assert_int_equal(number_at(4, 2), 45);
    assert_int_equal(number_at(18, 4), UINT32_MAX);
    assert_int_equal(number_at(35, 2), 1);
    assert_int_equal(number_at(37, 2), 16);
    assert_int_equal(number_at(39, 8), UINT32_MAX);
    assert_int_equal(number_at(47, 8), UINT32_MAX);
    zip_append_descriptor(fresh(), &entry, 1);
    assert_int_equal(out.len, 24);
    assert_int_equal(number_at(8, 8), UINT32_MAX);
}

/* The field for the time, in the central directory's place for it. */
static unsigned dos_date(int64_t mtime_s)
{
    struct archive_entry entry = file;

    entry.mtime_s = mtime_s;
    zip_append_local(fresh(), &entry);
    return (unsigned)number_at(12, 2);
}

static void times_that_zip_cannot_say(void **state)
{
    (void)state;
    assert_int_equal(dos_date(-1), 1 << 5 | 1);
    assert_int_equal(number_at(10, 2), 0);
    assert_int_equal(number_at(28, 2), 0); /* no other time either */
    assert_int_equal(dos_date(0), 1 << 5 | 1);
    assert_int_equal(number_at(28, 2), 9);
    assert_int_equal(dos_date(INT64_C(5000000000)), 127 << 9 | 12 << 5 | 31);
    assert_int_equal(dos_date(INT64_MAX), 1 << 5 | 1); /* no year at all */
}

static void the_directory(void **state)
{
    static const struct {
        const char *path;
        bool is_folder;
        uint64_t offset;
    } entries[] = {
        {"sub", true, 0},
        {"sub/one.txt", false, 100},
        {"sub/other.txt", false, 200},
        {"s", false, UINT32_MAX - 1},
        {"", true, UINT32_MAX},
        {"sub/one.txt.old", false, UINT64_C(1) << 40},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(entries); i++) {
        const struct archive_entry entry = {
            .path = span_str(entries[i].path), .is_folder = entries[i].is_folder, .mode = 0644};
        assert_int_equal(zip_remember(&directory, &entry, entries[i].offset, (uint32_t)i), 0);
    }
    for (size_t i = 0; i < COUNT(entries); i++) {
        bool large = entries[i].offset >= UINT32_MAX;
        assert_true(zip_append_central(fresh(), &directory));
        assert_int_equal(number_at(0, 4), 0x02014b50);
        assert_int_equal(number_at(4, 2), 3 << 8 | 45);
        assert_int_equal(number_at(6, 2), large ? 45 : 20);
        assert_int_equal(number_at(16, 4), i);
        assert_int_equal(number_at(38, 4),
                         entries[i].is_folder ? 0040644U << 16 | 0x10 : 0100644U << 16);
        assert_int_equal(number_at(42, 4), large ? UINT32_MAX : entries[i].offset);
        struct span path = span_of(memory + 46, number_at(28, 2) - entries[i].is_folder);
        assert_span(path, entries[i].path);
        if (large)
            assert_int_equal(number_at(46 + number_at(28, 2) + 4, 8), entries[i].offset);
    }
    assert_false(zip_append_central(fresh(), &directory));
    zip_append_end(fresh(), &directory, 1000, 1500);
    assert_int_equal(out.len, 22);
    assert_int_equal(number_at(8, 2), COUNT(entries));
    assert_int_equal(number_at(12, 4), 500);
    assert_int_equal(number_at(16, 4), 1000);
}

static void the_end_of_a_large_archive(void **state)
{
    static const struct {
        uint64_t count, begin, end;
        bool zip64;
    } cases[] = {
        {UINT16_MAX - 1, 0, UINT32_MAX - 1, false},
        {UINT16_MAX, 0, 100, true},
        {1, UINT32_MAX, UINT64_C(5) << 30, true},
        {1, 0, UINT32_MAX, true},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        directory.count = cases[i].count;
        zip_append_end(fresh(), &directory, cases[i].begin, cases[i].end);
        assert_int_equal(out.len, cases[i].zip64 ? 56 + 20 + 22 : 22);
        if (!cases[i].zip64)
            continue;
        assert_int_equal(number_at(4, 8), 44);
        assert_int_equal(number_at(32, 8), cases[i].count);
        assert_int_equal(number_at(40, 8), cases[i].end - cases[i].begin);
        assert_int_equal(number_at(48, 8), cases[i].begin);
        assert_int_equal(number_at(56 + 8, 8), cases[i].end);
        assert_int_equal(number_at(76, 4), 0x06054b50);
    }
}

static void the_directory_has_an_end(void **state)
{
    (void)state;
    int r, count = 0;
    while ((r = zip_remember(&directory, &file, 0, 0)) == 0)
        count++;
    assert_int_equal(r, -EFBIG);
    /* The path is remembered once. */
    assert_int_equal(count, (4096 - 5) / ZIP_MEMORY_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(around_the_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_follows_where_nothing_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_that_zip_cannot_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_large_archive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_directory_has_an_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
