/* Names that are the server's own, and those by which some file systems know them besides; and
 * opening what has to be tried again. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/root.h"

static struct {
    int error, times; /* what openat2() says, and how often, before it does it */
    int calls;
} refused;

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    assert_int_equal(number, SYS_openat2);
    if (refused.calls++ >= refused.times)
        return __real_syscall(number, a, b, c, d, e, f);
    errno = refused.error;
    return -1;
}

enum { OTHERS, DOUBTFUL, RESERVED };

static void names(void **state)
{
    static const struct {
        const char *path;
        int is;
    } cases[] = {
        {"", OTHERS},
        {"a", OTHERS},
        {".", OTHERS},
        {".fastfil", OTHERS},
        {".fastfiles", OTHERS},
        {".fastfile_", OTHERS},
        {".fastfile.x", OTHERS},
        {".fastfile .-", OTHERS},
        {"x.fastfile", OTHERS},
        {"fastfile.c", OTHERS},

        {".fastfile", RESERVED},
        {"a/.fastfile/b", RESERVED},
        {"a/b/.fastfile", RESERVED},
        {".fastfile-", RESERVED},
        {".fastfile-0123456789abcdef", RESERVED},
        /* vfat, exFAT, NTFS, CIFS */
        {".FASTFILE/uploads", RESERVED},
        {"a/.FastFile-0", RESERVED},
        {".fastfile.", RESERVED},
        {".fastfile ", RESERVED},
        {".fastFILE. ../x", RESERVED},
        {".fastfile:stream", RESERVED},
        {".fastfile::$INDEX_ALLOCATION/uploads", RESERVED},

        {"FASTFI~1", DOUBTFUL},
        {"a/FA12CD~3/uploads", DOUBTFUL},
        {"x~1.txt", DOUBTFUL},
        {"fastfile", DOUBTFUL},
        {"FastFile/uploads", DOUBTFUL},
        {"x~", OTHERS},
        {"PXL_2026~2.jpg", OTHERS},
        {"~user", DOUBTFUL},
        /* ext4 with casefold, HFS+ */
        {".fa\xc5\xbftfile", DOUBTFUL},              /* long s */
        {".fa\xef\xac\x86\xef\xac\x81le", DOUBTFUL}, /* ligatures */
        {".fast\xe2\x80\x8d"
         "file/uploads",
         DOUBTFUL}, /* zero width joiner */
        {"\xe2\x80\x8d.FASTFILE", DOUBTFUL},
        {".\xd1\x84\xd0\xb0\xd0\xb9\xd0\xbb.txt", OTHERS},
        {"f\xc3\xa4st", OTHERS},
        {"\xe6\x97\xa5\xe6\x9c\xac", OTHERS},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span path = span_str(cases[i].path);
        int is = root_path_reserved(path)      ? RESERVED
                 : root_path_is_doubtful(path) ? DOUBTFUL
                                               : OTHERS;
        if (is != cases[i].is)
            fail_msg("%s: %d, not %d", cases[i].path, is, cases[i].is);
    }
}

/* Returns 0 where it was opened, or -errno. */
static int open_refused(int error, int times, uint64_t resolve)
{
    int root = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(root >= 0);
    refused.error = error;
    refused.times = times;
    refused.calls = 0;
    int fd = root_open_raw(root, "", O_PATH, 0, resolve);
    if (fd >= 0)
        close(fd);
    close(root);
    return fd < 0 ? fd : 0;
}

static void what_renames_disturb_is_tried_again(void **state)
{
    (void)state;
    assert_int_equal(open_refused(EAGAIN, 10, 0), 0);
    assert_int_equal(open_refused(EINTR, 10, RESOLVE_CACHED), 0);
    assert_int_equal(open_refused(EAGAIN, 1000, 0), -EAGAIN);
    assert_in_range(refused.calls, 11, 100);
    /* Not cached: waiting here does not help. */
    assert_int_equal(open_refused(EAGAIN, 1000, RESOLVE_CACHED), -EAGAIN);
    assert_int_equal(refused.calls, 1);
    assert_int_equal(open_refused(EACCES, 1000, 0), -EACCES);
    assert_int_equal(refused.calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names),
                                       cmocka_unit_test(what_renames_disturb_is_tried_again)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
