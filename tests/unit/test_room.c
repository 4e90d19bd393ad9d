/* Room that is reserved ahead, on a file system that can; and whether there is any. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "files/room.h"

#define MIB (1024ull * 1024)
#define STEP ((uint64_t)ROOM_RESERVE_STEP)

static int make_file(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

/* Where so much of it can be reserved, -1 elsewhere. */
static int make_file_with_room(uint64_t bytes)
{
    struct statfs fs;
    int fd = make_file("/tmp");

    assert_int_equal(fstatfs(fd, &fs), 0);
    if ((fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC) &&
        fs.f_bavail * (uint64_t)fs.f_bsize > bytes)
        return fd;
    close(fd);
    return -1;
}

static uint64_t allocated(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 0);
    return (uint64_t)st.st_blocks * 512;
}

static void what_is_large_is_reserved_step_by_step(void **state)
{
    const uint64_t length = 2 * STEP + 100 * MIB;
    uint64_t reserved = 0;
    (void)state;

    int fd = make_file_with_room(length);
    if (fd < 0)
        skip();
    for (uint64_t expected = STEP; expected <= 2 * STEP; expected += STEP) {
        assert_int_equal(room_reserve(fd, length, &reserved), 0);
        assert_int_equal(reserved, expected);
        assert_true(allocated(fd) >= expected && allocated(fd) < expected + MIB);
    }
    assert_int_equal(room_reserve(fd, length, &reserved), 0);
    assert_int_equal(reserved, length);
    assert_true(allocated(fd) >= length && allocated(fd) < length + MIB);
    close(fd);
}

static void what_is_small_is_not(void **state)
{
    uint64_t reserved = 0;
    (void)state;

    int fd = make_file_with_room(MIB);
    if (fd < 0)
        skip();
    assert_int_equal(room_reserve(fd, ROOM_RESERVE_LEAST - 1, &reserved), 0);
    assert_int_equal(reserved, ROOM_RESERVE_LEAST - 1);
    assert_int_equal(allocated(fd), 0);
    close(fd);
}

static void other_file_systems_are_left_alone(void **state)
{
    uint64_t reserved = 0;
    (void)state;

    int fd = make_file("/dev/shm");
    assert_int_equal(room_reserve(fd, MIB, &reserved), 0);
    assert_int_equal(reserved, MIB);
    assert_int_equal(allocated(fd), 0);
    close(fd);
}

/* A file that nothing can be reserved for, as where a filter forbids it: writing will tell. */
static void what_cannot_be_reserved_is_no_error(void **state)
{
    uint64_t reserved = 0;
    (void)state;

    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(room_reserve(fd, MIB, &reserved), 0);
    assert_int_equal(reserved, MIB);
    close(fd);
}

static void more_than_there_is_has_no_room(void **state)
{
    (void)state;

    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(room_check(fd, 0), 0);
    assert_int_equal(room_check(fd, UINT64_MAX), 507);
    assert_int_equal(room_check(-1, UINT64_MAX), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_large_is_reserved_step_by_step),
        cmocka_unit_test(what_is_small_is_not),
        cmocka_unit_test(other_file_systems_are_left_alone),
        cmocka_unit_test(what_cannot_be_reserved_is_no_error),
        cmocka_unit_test(more_than_there_is_has_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
