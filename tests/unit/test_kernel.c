/* Versions of kernels, and which of them are trusted with TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/kernel.h"
#include "tls/ktls.h"

static void releases(void **state)
{
    static const struct {
        const char *release;
        unsigned version;
    } cases[] = {
        {"6.12.104", 6012104},
        {"6.12.117+deb13-amd64", 6012117},
        {"6.12.104-rpi", 6012104},
        {"6.18.50+rpt-rpi-2712", 6018050},
        {"6.1.0-40-amd64", 6001000},
        {"6.18.5", 6018005},
        {"7.3.4+deb13-cloud-amd64", 7003004},
        {"10.0.0", 10000000},
        {"6.12", 6012000},
        {"6.13-rc1", 6013000},
        {"6", 6000000},
        {"6.12.", 6012000},
        {"6.12.104.3", 6012104},
        /* numbers that do not fit */
        {"6.12.1000", 6012999},
        {"6.1000.1", 6999001},
        {"6.12.99999999999999999999999", 6012999},
        /* no versions */
        {"", 0},
        {"linux", 0},
        {".12.104", 0},
        {"-6.12.104", 0},
        {" 6.12.104", 0},
        {"6.-12.104", 6000000},
        {"6.12.-104", 6012000},
        {"6.12.+104", 6012000},
        {"6.12. 104", 6012000},
        {"6..104", 6000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (kernel_version_parse(cases[i].release) != cases[i].version)
            fail_msg("'%s' is %u", cases[i].release, kernel_version_parse(cases[i].release));
    assert_true(kernel_version() > 4000000); /* there is one here */
}

static void trust(void **state)
{
    static const struct {
        const char *release;
        bool trusted;
    } cases[] = {
        {"6.12.103", false},
        {"6.12.104", true},
        {"6.12.104-rpi", true},
        {"6.12.117+deb13-amd64", true},
        {"6.12.999", true},
        {"6.13.0", false},
        {"6.13.104", false},
        {"6.17.13", false},
        {"6.18.0", false},
        {"6.18.44", false},
        {"6.18.45", true},
        {"6.18.50+rpt-rpi-2712", true},
        {"6.19.45", false},
        {"7.0.45", false},
        {"7.1.9", false},
        {"7.3.4+deb13-cloud-amd64", false},
        /* older lines, whatever was corrected there */
        {"6.6.152", false},
        {"6.1.0-40-amd64", false},
        {"5.15.216", false},
        /* which nobody can tell */
        {"6.12", false},
        {"6.12.-104", false},
        {"", false},
        {"linux", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (ktls_trusted(kernel_version_parse(cases[i].release)) != cases[i].trusted)
            fail_msg("'%s' is %strusted", cases[i].release, cases[i].trusted ? "not " : "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases),
        cmocka_unit_test(trust),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
