/* Where MOVE and COPY go to: the paths that Destination may say, and whose. */
#include "assert_span.h"

#include "http/destination.h"
#include "http/origin.h"

static struct request request_with(const char *destination, const char *host)
{
    struct request r = {.minor_version = 1};

    if (destination)
        r.destination = span_str(destination);
    if (host)
        r.host = span_str(host);
    return r;
}

static void destinations_are_paths_of_this_server(void **state)
{
    static const struct {
        const char *field, *host;
        bool is_tls;
        int result;
        const char *path;
        bool folder;
    } cases[] = {
        {"/a/b", "nas", true, 0, "a/b", false},
        {"/a/b/", "nas", true, 0, "a/b", true},
        {"/", "nas", true, 0, "", true},
        {"/a%20b/%c3%a4", NULL, true, 0, "a b/\xc3\xa4", false},
        {"/a/../b//c/.", "nas", true, 0, "b/c", true},
        {"/a%09b%0A%0d%7F/%1b", "nas", true, 0, "a\tb\n\r\x7f/\x1b", false},
        {"https://nas/a", "nas", true, 0, "a", false},
        {"https://nas", "nas", true, 0, "", true},
        {"https://nas:443/a", "nas", true, 0, "a", false},
        {"HTTPS://NAS:8443/a", "nas:8443", true, 0, "a", false},
        {"https://[fe80::1]:8443/a", "[fe80::1]:8443", true, 0, "a", false},
        {"http://nas/a", "nas:80", false, 0, "a", false},
        {"https://nas/a", "nas", false, 0, "a", false},
        /* malformed */
        {NULL, "nas", true, -400, NULL, false},
        {"", "nas", true, -400, NULL, false},
        {"a", "nas", true, -400, NULL, false},
        {"a/b", "nas", true, -400, NULL, false},
        {"//nas/a", "nas", true, -400, NULL, false},
        {"/a?b", "nas", true, -400, NULL, false},
        {"/a#b", "nas", true, -400, NULL, false},
        {"https://nas/a?b", "nas", true, -400, NULL, false},
        {"/a%2fb", "nas", true, -400, NULL, false},
        {"/a%00", "nas", true, -400, NULL, false},
        {"/a\tb", "nas", true, -400, NULL, false},
        {"/a\nb", "nas", true, -400, NULL, false},
        {"/a\x7f", "nas", true, -400, NULL, false},
        {"/a%", "nas", true, -400, NULL, false},
        {"/../a", "nas", true, -400, NULL, false},
        {"https://nas/%2e%2e/a", "nas", true, -400, NULL, false},
        /* elsewhere */
        {"https://other/a", "nas", true, -502, NULL, false},
        {"https://nas:8444/a", "nas:8443", true, -502, NULL, false},
        {"https://nas.evil.example/a", "nas", true, -502, NULL, false},
        {"https://user@nas/a", "nas", true, -502, NULL, false},
        {"https://nas@evil/a", "nas", true, -502, NULL, false},
        {"https://nas?/a", "nas", true, -502, NULL, false},
        {"https:///a", "nas", true, -502, NULL, false},
        {"https:/a", "nas", true, -502, NULL, false},
        {"https://nas/a", NULL, true, -502, NULL, false},
        {"http://nas/a", "nas", true, -502, NULL, false},
        {"ftp://nas/a", "nas", false, -502, NULL, false},
        {"file:/etc/passwd", "nas", false, -502, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct request r = request_with(cases[i].field, cases[i].host);
        char out[LIMIT_PATH_BYTES];
        struct span path;
        bool folder;
        int result = destination_parse(&r, cases[i].is_tls, out, &path, &folder);
        if (result != cases[i].result)
            fail_msg("case %zu (%s): %d", i, cases[i].field, result);
        if (result < 0)
            continue;
        assert_span(path, cases[i].path);
        assert_int_equal(folder, cases[i].folder);
    }
}

static void overwrite_is_t_or_f(void **state)
{
    static const struct {
        const char *field;
        int result;
        bool overwrite;
    } cases[] = {
        {NULL, 0, true},      {"T", 0, true},       {"F", 0, false},
        {"t", 0, true},       {"f", 0, false},      {"", -400, false},
        {"TRUE", -400, true}, {"T F", -400, false}, {"0", -400, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct request r = {0};
        bool overwrite;
        if (cases[i].field)
            r.overwrite = span_str(cases[i].field);
        int result = overwrite_parse(&r, &overwrite);
        if (result != cases[i].result || (result == 0 && overwrite != cases[i].overwrite))
            fail_msg("case %zu (%s): %d", i, cases[i].field, result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destinations_are_paths_of_this_server),
        cmocka_unit_test(overwrite_is_t_or_f),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
