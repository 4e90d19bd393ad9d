/* How much of a file was really written, on a file system that tells. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "files/extents.h"

enum { BLOCK = 64 * 1024, FS_EXT4 = 0xEF53, FS_XFS = 0x58465342, FS_TMPFS = 0x01021994 };

/* A file without a name below `folder`. */
static int make_file(const char *folder)
{
    char path[64];

    strcpy(path, folder);
    strcat(path, "/fastfile-extents-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static long kind(int fd)
{
    struct statfs fs;

    assert_int_equal(fstatfs(fd, &fs), 0);
    return (long)(unsigned)fs.f_type;
}

static void write_block(int fd, off_t at)
{
    static char block[BLOCK];

    memset(block, 'x', sizeof(block));
    assert_int_equal(pwrite(fd, block, sizeof(block), at), sizeof(block));
}

static void assert_written(int fd, uint64_t size, uint64_t expected)
{
    uint64_t end = 1;

    assert_int_equal(extents_written(fd, size, &end), 0);
    assert_int_equal(end, expected);
}

/* On ext4 as a power cut leaves it: the length is there, the block is not valid. */
static void what_was_not_written_does_not_count(void **state)
{
    (void)state;
    int fd = make_file("/tmp");

    if (kind(fd) != FS_EXT4 && kind(fd) != FS_XFS) {
        close(fd);
        skip();
    }
    assert_written(fd, 0, 0);
    write_block(fd, 0);
    assert_written(fd, BLOCK, BLOCK);
    assert_int_equal(posix_fallocate(fd, BLOCK, BLOCK), 0);
    assert_written(fd, 2L * BLOCK, BLOCK);
    write_block(fd, BLOCK);
    assert_written(fd, 2L * BLOCK, 2L * BLOCK);
    assert_int_equal(ftruncate(fd, 3L * BLOCK), 0);
    write_block(fd, 3L * BLOCK);
    assert_written(fd, 4L * BLOCK, 2L * BLOCK);
    close(fd);
}

static void many_pieces_are_followed(void **state)
{
    enum { PIECES = 300 };
    (void)state;
    int fd = make_file("/tmp");

    if (kind(fd) != FS_EXT4 && kind(fd) != FS_XFS) {
        close(fd);
        skip();
    }
    /* Every second block first: none of them can lie beside the next one. */
    for (off_t i = 0; i < PIECES; i += 2)
        write_block(fd, i * BLOCK);
    assert_int_equal(fsync(fd), 0);
    assert_written(fd, (uint64_t)PIECES * BLOCK, BLOCK);
    for (off_t i = 1; i < PIECES; i += 2)
        write_block(fd, i * BLOCK);
    assert_written(fd, (uint64_t)PIECES * BLOCK, (uint64_t)PIECES * BLOCK);
    close(fd);
}

static void where_nobody_tells_all_counts(void **state)
{
    (void)state;
    int fd = make_file("/dev/shm");

    if (kind(fd) != FS_TMPFS) {
        close(fd);
        skip();
    }
    assert_int_equal(ftruncate(fd, BLOCK), 0);
    assert_written(fd, BLOCK, BLOCK);
    close(fd);
}

static void errors_are_told(void **state)
{
    uint64_t end = 7;
    (void)state;

    assert_int_equal(extents_written(-1, 1, &end), -EBADF);
    assert_int_equal(end, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_written_does_not_count),
        cmocka_unit_test(many_pieces_are_followed),
        cmocka_unit_test(where_nobody_tells_all_counts),
        cmocka_unit_test(errors_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
