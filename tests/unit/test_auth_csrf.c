/* Which requests of foreign pages are refused. */
#include "assert_span.h"

#include "auth/csrf.h"

static struct span field(const char *text)
{
    return text ? span_str(text) : (struct span){0};
}

static void changes_of_foreign_pages_are_refused(void **state)
{
    static const struct {
        const char *site, *origin, *host;
        bool is_tls, allowed;
    } cases[] = {
        /* curl, WebDAV */
        {NULL, NULL, "nas:8443", true, true},
        {NULL, NULL, NULL, true, true},
        /* Sec-Fetch-Site */
        {"same-origin", NULL, "nas", true, true},
        {"none", NULL, "nas", true, true},
        {"same-site", NULL, "nas", true, false},
        {"cross-site", NULL, "nas", true, false},
        {"", NULL, "nas", true, false},
        {"Same-Origin", NULL, "nas", true, false},
        {"cross-site", "https://nas", "nas", true, false},
        /* Origin */
        {NULL, "https://nas:8443", "nas:8443", true, true},
        {"same-origin", "https://nas:8443", "nas:8443", true, true},
        {"same-origin", "https://evil", "nas", true, false},
        {NULL, "https://NAS", "nas:443", true, true},
        {NULL, "https://nas:443", "nas", true, true},
        {NULL, "https://nas", "nas:8443", true, false},
        {NULL, "https://nas:8444", "nas:8443", true, false},
        {NULL, "https://nas.evil.example", "nas", true, false},
        {NULL, "https://na", "nas", true, false},
        {NULL, "https://[fe80::1]:8443", "[fe80::1]:8443", true, true},
        {NULL, "https://[fe80::1]", "[fe80::1]:443", true, true},
        {NULL, "https://[fe80::2]:8443", "[fe80::1]:8443", true, false},
        {NULL, "null", "nas", true, false},
        {NULL, "null", "null", true, false},
        {NULL, "", "nas", true, false},
        {NULL, "https://", "nas", true, false},
        {NULL, "https://", "", true, false},
        {NULL, "https://nas", NULL, true, false},
        {NULL, "ftp://nas", "nas", true, false},
        {NULL, "https://[", "[", true, true}, /* nonsense, but the same nonsense */
        /* the page without encryption is another one, unless there may be a proxy */
        {NULL, "http://nas", "nas", true, false},
        {NULL, "http://nas:8443", "nas:8443", true, false},
        {NULL, "http://nas:8080", "nas:8080", false, true},
        {NULL, "http://nas", "nas:80", false, true},
        {NULL, "https://nas", "nas", false, true},
        {NULL, "http://evil", "nas", false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool allowed = csrf_allowed(true, cases[i].is_tls, field(cases[i].site),
                                    field(cases[i].origin), field(cases[i].host));

        if (allowed != cases[i].allowed)
            fail_msg("case %zu: Origin %s, Host %s", i, cases[i].origin, cases[i].host);
        assert_true(csrf_allowed(false, cases[i].is_tls, field(cases[i].site),
                                 field(cases[i].origin), field(cases[i].host)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_foreign_pages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
