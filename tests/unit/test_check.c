/* What `fastfile check` says of kernel TLS, on kernels that differ in what they have of it
 * (kernel_tls.h) and in their version. */
#include "kernel_tls.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

static const char *release;

int __real_uname(struct utsname *ret);
int __wrap_uname(struct utsname *ret);

int __wrap_uname(struct utsname *ret)
{
    int r = __real_uname(ret);

    snprintf(ret->release, sizeof(ret->release), "%s", release);
    return r;
}

/* Everything that it says, on such a kernel. */
static const char *said(const char *kernel_release, bool has_tls, bool rekeys)
{
    static char text[16 * 1024];
    char name[] = "check", *argv[] = {name, NULL};
    FILE *file = tmpfile();
    int terminal = dup(STDOUT_FILENO);

    assert_non_null(file);
    assert_true(terminal >= 0);
    release = kernel_release;
    kernel_reset(has_tls, rekeys);
    fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    check_main(1, argv);
    fflush(stdout);
    assert_true(dup2(terminal, STDOUT_FILENO) >= 0);
    close(terminal);
    rewind(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}

static void says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is missing in:\n%s", part, text);
}

static void does_not_say(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" should not be in:\n%s", part, text);
}

static const char missing[] =
    "Kernel TLS        no: No such file or directory\n"
    "                  -> Where the kernel has it: modprobe tls, and a line \"tls\" in "
    "/etc/modules-load.d/tls.conf. Until then the program seals records itself.\n";

static const char not_used[] =
    "Kernel TLS        there, but not used: this kernel may lack corrections (6.12.104, 6.18.45)\n"
    "                  -> The program seals records itself; --tls kernel trusts the kernel all the "
    "same.\n";

static void no_module(void **state)
{
    (void)state;
    says(said("6.12.117+deb13-amd64", false, false), missing);
    says(said("6.1.0-40-amd64", false, false), missing);
}

static void not_trusted(void **state)
{
    static const char *const releases[] = {"6.1.0-40-amd64", "6.12.103", "6.13.0", "6.18.44",
                                           "7.3.4"};

    (void)state;
    for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        says(said(releases[i], true, true), not_used);
        does_not_say(said(releases[i], true, true), "modprobe");
    }
}

static void used(void **state)
{
    (void)state;
    says(said("6.12.117+deb13-amd64", true, false),
         "Kernel TLS        yes: large files go out without a copy\n");
    says(said("6.18.50+rpt-rpi-2712", true, true),
         "Kernel TLS        yes: large files go out without a copy, and keys can be renewed\n");
    does_not_say(said("6.12.104", true, false), "modprobe");
    does_not_say(said("6.12.104", true, false), "--tls kernel");
}

static void old_kernel(void **state)
{
    static const char advice[] = "-> Linux 6.1 (Debian 12) is the oldest that is tested.";

    (void)state;
    says(said("5.19.17", false, false), advice);
    does_not_say(said("6.1.0-40-amd64", false, false), advice);
}

static int forget(void **state)
{
    (void)state;
    kernel_reset(false, false);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_module),
        cmocka_unit_test(not_trusted),
        cmocka_unit_test(used),
        cmocka_unit_test(old_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
