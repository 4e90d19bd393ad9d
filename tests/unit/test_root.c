/* Names that are the server's own, and those by which some file systems know them besides. */
#include "assert_span.h"

#include "files/root.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
