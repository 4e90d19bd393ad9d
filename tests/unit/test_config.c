/* Options, the configuration file, and what is refused. What it says goes to standard error and is
 * not looked at here; the end-to-end tests do. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assert_span.h"
#include "config.h"

static char dir[] = "/tmp/fastfile-test-config-XXXXXX";
static char file_path[64];
static struct config config;

/* Reads the options, ended by NULL, with the test's folder as DIR where `with_dir`. */
static int read_options(bool with_dir, const char *const *options)
{
    static char name[] = "fastfile";
    char *argv[20] = {name};
    int argc = 1;

    for (; options[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)options[argc - 1];
    if (with_dir)
        argv[argc++] = dir;
    config_finish(&config);
    return config_read(argc, argv, &config);
}

#define READ(...) read_options(true, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void write_file(const char *text)
{
    FILE *file = fopen(file_path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int read_file(const char *text)
{
    write_file(text);
    return READ("-c", file_path);
}

/* --- addresses --- */

static void assert_listen(const char *text, int family, const char *host, unsigned port)
{
    struct listen_address l;
    char found[INET6_ADDRSTRLEN];
    unsigned found_port;

    assert_int_equal(config_parse_listen(text, &l), 0);
    assert_int_equal(l.address.ss_family, family);
    if (family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l.address;
        inet_ntop(family, &v4->sin_addr, found, sizeof(found));
        found_port = ntohs(v4->sin_port);
        assert_int_equal(l.length, sizeof(*v4));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l.address;
        inet_ntop(family, &v6->sin6_addr, found, sizeof(found));
        found_port = ntohs(v6->sin6_port);
        assert_int_equal(l.length, sizeof(*v6));
    }
    assert_string_equal(found, host);
    assert_int_equal(found_port, port);
}

static void listen_forms(void **state)
{
    (void)state;
    assert_listen("8443", AF_INET6, "::", 8443);
    assert_listen(":443", AF_INET6, "::", 443);
    assert_listen("127.0.0.1:1", AF_INET, "127.0.0.1", 1);
    assert_listen("0.0.0.0:65535", AF_INET, "0.0.0.0", 65535);
    assert_listen("[::1]:0", AF_INET6, "::1", 0);
    assert_listen("[fe80::1]:8443", AF_INET6, "fe80::1", 8443);
    static const char *const wrong[] = {
        "",
        ":",
        "x",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "[::1]",
        "[::1:8443",
        "::1:8443",
        "localhost:8443",
        "127.0.0.1:-1",
        "127.0.0.1: 1",
        "[]:1",
        "[127.0.0.1]:1",
        "1.2.3:1",
        "+1",
        "1 ",
        "127.0.0.1:1:",
    };
    struct listen_address l;
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(config_parse_listen(wrong[i], &l), -EINVAL);
}

/* --- both sources --- */

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(READ(), 0);
    assert_string_equal(config.dir, dir);
    assert_int_equal(config.listen_count, 1);
    assert_true(config.listen[0].is_default);
    assert_true(config.threads >= 1 && config.threads <= CONFIG_THREADS_MAX);
    assert_string_equal(config.users_path, "/nonexistent/config/fastfile/users");
    assert_true(config.users_by_default);
    assert_string_equal(config.state_dir, "/nonexistent/state/fastfile");
    assert_null(config.cert_path);
    assert_null(config.access_log);
    assert_false(config.read_only || config.no_auth || config.plain);
}

static void the_command_line_wins_over_the_file(void **state)
{
    (void)state;
    write_file("; a comment\n"
               "listen = 127.0.0.1:1000\n"
               "listen = 127.0.0.1:1001\n"
               "threads = 3\n"
               "read-only = yes\n"
               "log-format=json\n"
               "users = /etc/users\n");
    assert_int_equal(READ("-c", file_path), 0);
    assert_int_equal(config.listen_count, 2);
    assert_int_equal(config.threads, 3);
    assert_true(config.read_only);
    assert_int_equal(config.log_format, LOG_FORMAT_JSON);
    assert_string_equal(config.users_path, "/etc/users");
    assert_int_equal(READ("--listen", "127.0.0.1:2000", "-c", file_path, "--threads=4"), 0);
    assert_int_equal(config.listen_count, 1); /* replaced, not added to */
    assert_int_equal(config.threads, 4);
    assert_true(config.read_only);
}

static void bad_files(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "nonsense = 1\n",      "threads = many\n",  "threads = 0\n",    "threads = 33\n",
        "read-only = maybe\n", "[section]\n",       "[x]\nthreads=1\n", "[x\nthreads = 1\n",
        "threads\n",           "config = /etc/x\n", "help = yes\n",     "listen = x\n",
        "tls = hardware\n",    "io = kqueue\n",     "users =\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (read_file(texts[i]) != -EINVAL && strcmp(texts[i], "[section]\n") != 0) {
            print_error("accepted: %s", texts[i]);
            fail();
        }
    char line[600] = "users = /";
    memset(line + 9, 'x', sizeof(line) - 10);
    line[sizeof(line) - 1] = '\0';
    assert_int_equal(read_file(line), -EINVAL);
    assert_int_equal(READ("-c", "/nonexistent/file"), -EINVAL);
}

static void bad_options(void **state)
{
    (void)state;
    assert_int_equal(READ("--nonsense"), -EINVAL);
    assert_int_equal(READ("-x"), -EINVAL);
    assert_int_equal(READ("--threads", "33"), -EINVAL);
    assert_int_equal(READ("--tls", "hardware"), -EINVAL);
    assert_int_equal(READ("--io", "kqueue"), -EINVAL);
    assert_int_equal(READ("--read-only=yes"), -EINVAL);
    assert_int_equal(READ("/tmp"), -EINVAL); /* two folders */
    assert_int_equal(read_options(false, (const char *const[]){"--listen", NULL}), -EINVAL);
    assert_int_equal(read_options(false, (const char *const[]){"/nonexistent", NULL}), -EINVAL);
    assert_int_equal(read_options(false, (const char *const[]){"/dev/null", NULL}), -EINVAL);
    assert_int_equal(read_options(false, (const char *const[]){"", NULL}), -EINVAL);
    assert_int_equal(READ("-l1", "-l2", "-l3", "-l4"), 0);
    assert_int_equal(READ("-l1", "-l2", "-l3", "-l4", "-l5"), -EINVAL);
    assert_int_equal(READ("--tls", "user", "--io=uring", "--durability", "none"), 0);
    assert_int_equal(READ("--io", "epoll"), 0);
}

/* --- what must not be --- */

static void nobody_is_let_in_from_afar(void **state)
{
    (void)state;
    assert_int_equal(READ("--no-auth"), -EINVAL); /* listens everywhere */
    assert_int_equal(READ("--no-auth", "-l", "0.0.0.0:8443"), -EINVAL);
    assert_int_equal(READ("--no-auth", "-l", "127.0.0.1:1", "-l", "192.168.1.1:1"), -EINVAL);
    assert_int_equal(READ("--no-auth", "-l", "[::ffff:192.168.1.1]:1"), -EINVAL);
    assert_int_equal(READ("--no-auth", "-l", "127.3.2.1:1", "-l", "[::1]:1"), 0);
    assert_int_equal(READ("--no-auth", "-l", "[::ffff:127.0.0.1]:1"), 0);
    assert_int_equal(READ("--no-auth", "--read-only"), 0);
    assert_null(config.users_path);
}

static void plain_stays_here(void **state)
{
    (void)state;
    assert_int_equal(READ("--plain"), -EINVAL);
    assert_int_equal(READ("--plain", "-l", "127.0.0.1:1"), 0);
    assert_int_equal(READ("--plain-anywhere"), 0);
    assert_true(config.plain);
    assert_int_equal(READ("--plain-anywhere", "--cert", "/c", "--key", "/k"), -EINVAL);
    assert_int_equal(READ("--plain-anywhere", "--no-auth"), -EINVAL);
}

static void certificate_and_key_belong_together(void **state)
{
    (void)state;
    assert_int_equal(READ("--cert", "/c"), -EINVAL);
    assert_int_equal(READ("--key", "/k"), -EINVAL);
    assert_int_equal(READ("--cert", "c", "--key", "/k"), 0);
    assert_int_equal(config.cert_path[0], '/'); /* made absolute */
}

static void whose_rights(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        assert_int_equal(READ("--run-as", "root"), -EINVAL);
        assert_int_equal(READ(), 0);
        assert_null(config.run_as);
        return;
    }
    assert_int_equal(READ(), 0);
    assert_string_equal(config.run_as, "daemon"); /* the folder's owner */
    assert_int_equal(READ("--run-as", "nobody"), 0);
    assert_int_equal(READ("--run-as", "54321"), 0);
    assert_int_equal(READ("--run-as", "no such user"), -EINVAL);
    assert_int_equal(chown(dir, 0, 0), 0);
    assert_int_equal(READ(), -EINVAL); /* root's own */
    assert_int_equal(READ("--run-as", "root"), 0);
    assert_int_equal(chown(dir, 1, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir) || (geteuid() == 0 && chown(dir, 1, 1) < 0))
        return -1;
    snprintf(file_path, sizeof(file_path), "%s/fastfile.ini", dir);
    setenv("XDG_CONFIG_HOME", "/nonexistent/config", 1);
    setenv("XDG_STATE_HOME", "/nonexistent/state", 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_finish(&config);
    unlink(file_path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_forms),
        cmocka_unit_test(defaults),
        cmocka_unit_test(the_command_line_wins_over_the_file),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(nobody_is_let_in_from_afar),
        cmocka_unit_test(plain_stays_here),
        cmocka_unit_test(certificate_and_key_belong_together),
        cmocka_unit_test(whose_rights),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
