/* `fastfile passwd` as a person or a script runs it. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "auth/passwd.h"
#include "auth/users_file.h"

struct place {
    char folder[32], users[64], output[4096];
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    strcpy(p->folder, "/tmp/fastfile-passwd-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->users, sizeof(p->users), "%s/fastfile/users", p->folder);
    setenv("XDG_CONFIG_HOME", p->folder, 1);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", p->folder);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static int run_child(const char *const *args)
{
    char *argv[8] = {(char[]){"passwd"}};
    int argc = 1;

    for (; args[argc - 1]; argc++)
        argv[argc] = strdup(args[argc - 1]);
    int status = passwd_main(argc, argv);
    fflush(NULL);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return status;
}

static void collect(struct place *p, int fd)
{
    size_t len = 0;

    for (ssize_t n; len < sizeof(p->output) - 1 &&
                    (n = read(fd, p->output + len, sizeof(p->output) - 1 - len)) > 0;)
        len += (size_t)n;
    p->output[len] = '\0';
    close(fd);
}

/* Runs the command with that input and collects both outputs; returns the exit status. */
static int run(struct place *p, const char *input, const char *const *args)
{
    int in[2], out[2], status;

    assert_true(pipe(in) == 0 && pipe(out) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(in[1]);
        close(out[0]);
        _exit(run_child(args));
    }
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    close(in[1]);
    collect(p, out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RUN(p, input, ...) run(p, input, (const char *const[]){__VA_ARGS__, NULL})

static void assert_said(const struct place *p, const char *text)
{
    if (!strstr(p->output, text))
        fail_msg("\"%s\" is not in: %s", text, p->output);
}

static void assert_password(const struct place *p, const char *name, const char *password)
{
    struct users users;
    struct users_error error;
    char hash[PASSWORD_HASH_BYTES] = {0};

    assert_int_equal(users_file_load(p->users, &users, &error), 0);
    const struct user *user = users_find(&users, span_str(name));
    assert_non_null(user);
    memcpy(hash, user->hash.data, user->hash.len);
    assert_int_equal(password_verify(password, hash), 1);
    users_finish(&users);
}

static void a_script_pipes_the_password(void **state)
{
    struct place *p = *state;
    struct stat st;

    assert_int_equal(RUN(p, "open sesame\nmore", "alice"), 0);
    assert_string_equal(p->output, "");
    assert_password(p, "alice", "open sesame");
    assert_int_equal(stat(p->users, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(RUN(p, "another one", "--read-only", "bob"), 0);
    assert_password(p, "bob", "another one");
    assert_int_equal(RUN(p, "new sesame\r\n", "alice"), 0);
    assert_password(p, "alice", "new sesame");
    assert_int_equal(RUN(p, "", "--list"), 0);
    assert_string_equal(p->output, "alice\nbob (read-only)\n");
    assert_int_equal(RUN(p, "", "--delete", "bob"), 0);
    assert_int_equal(RUN(p, "", "--list"), 0);
    assert_string_equal(p->output, "alice\n");
    assert_int_equal(RUN(p, "short\n", "alice"), 0);
    assert_said(p, "short");
}

static void app_passwords_come_and_go(void **state)
{
    struct place *p = *state;

    assert_int_equal(RUN(p, "open sesame\n", "alice"), 0);
    assert_int_equal(RUN(p, "", "--app", "my phone", "--read-only", "alice"), 0);
    assert_said(p, "shown this once");
    assert_int_equal(RUN(p, "", "--app", "my phone", "alice"), 1);
    assert_said(p, "already");
    assert_int_equal(RUN(p, "", "--list"), 0);
    assert_string_equal(p->output, "alice\n    my phone (read-only)\n");
    assert_int_equal(RUN(p, "", "--revoke", "my phone", "alice"), 0);
    assert_int_equal(RUN(p, "", "--revoke", "my phone", "alice"), 1);
    assert_said(p, "no app password");
    assert_int_equal(RUN(p, "", "--app", "x", "nobody"), 1);
    assert_said(p, "no user \"nobody\"");
}

static void app_passwords_are_not_without_number(void **state)
{
    struct place *p = *state;
    char label[16];

    assert_int_equal(RUN(p, "open sesame\n", "alice"), 0);
    for (int i = 0; i < LIMIT_APP_PASSWORDS; i++) {
        snprintf(label, sizeof(label), "%d", i);
        assert_int_equal(RUN(p, "", "--app", label, "alice"), 0);
    }
    assert_int_equal(RUN(p, "", "--app", "one more", "alice"), 1);
    assert_said(p, "32 app passwords already");
    assert_int_equal(RUN(p, "", "--app", "0", "alice"), 1);
    assert_said(p, "\"0\" already");
    assert_int_equal(RUN(p, "", "--revoke", "0", "alice"), 0);
    assert_int_equal(RUN(p, "", "--app", "one more", "alice"), 0);
}

static void mistakes_are_explained(void **state)
{
    struct place *p = *state;

    assert_int_equal(RUN(p, "", "--list"), 1);
    assert_said(p, "no users file yet");
    assert_int_equal(run(p, "", (const char *const[]){NULL}), 2);
    assert_said(p, "which user?");
    assert_int_equal(RUN(p, "", "a", "b"), 2);
    assert_int_equal(RUN(p, "", "--nonsense"), 2);
    assert_int_equal(RUN(p, "", "--list", "alice"), 2);
    assert_int_equal(RUN(p, "", "--list", "--delete", "alice"), 2);
    assert_int_equal(RUN(p, "", "a:b"), 2);
    assert_said(p, "no ':' or '/'");
    assert_int_equal(RUN(p, "", "--app", "a:b", "alice"), 2);
    assert_int_equal(RUN(p, "", "alice"), 1);
    assert_said(p, "empty");
    assert_int_equal(RUN(p, "\n", "alice"), 1);
    assert_said(p, "empty");
    assert_int_equal(RUN(p, "tab\there\n", "alice"), 1);
    assert_said(p, "control characters");
    assert_int_equal(RUN(p, "", "--delete", "alice"), 1);
    assert_said(p, "no user \"alice\"");
    assert_int_equal(RUN(p, "sesame sesame\n", "--users", "/proc/users", "alice"), 1);
    assert_said(p, "/proc/users");
    assert_int_equal(RUN(p, "", "--help"), 0);
    assert_said(p, "Usage: fastfile passwd");
}

static void a_damaged_file_is_explained(void **state)
{
    struct place *p = *state;
    struct stat st;

    assert_int_equal(RUN(p, "open sesame\n", "alice"), 0);
    FILE *file = fopen(p->users, "a");
    fputs("bob:builder\n", file);
    fclose(file);
    assert_int_equal(chmod(p->users, 0644), 0);
    assert_int_equal(RUN(p, "", "--list"), 1);
    assert_said(p, "line 2");
    assert_int_equal(RUN(p, "new sesame\n", "alice"), 1);
    assert_said(p, "line 2: not a password hash");

    /* Once the line is gone by hand: the old password is the one that counts. */
    assert_int_equal(stat(p->users, &st), 0);
    assert_int_equal(truncate(p->users, st.st_size - (off_t)strlen("bob:builder\n")), 0);
    assert_password(p, "alice", "open sesame");
    assert_int_equal(RUN(p, "", "--list"), 0);
    assert_said(p, "chmod 600");
}

/* Waits until `text` was printed on the terminal. */
static void await_prompt(int terminal, const char *text)
{
    char seen[512] = {0};
    size_t len = 0;

    while (!strstr(seen, text)) {
        ssize_t n = read(terminal, seen + len, sizeof(seen) - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_null(strstr(seen, "sesame")); /* never echoed */
}

static bool has_echo(int terminal)
{
    struct termios t;

    assert_int_equal(tcgetattr(terminal, &t), 0);
    return t.c_lflag & ECHO;
}

/* Answers both questions on a terminal; "\003" is Ctrl-C. */
static int run_on_terminal(const char *first, const char *second)
{
    int terminal, status;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

    if (pid == 0) {
        int r = run_child((const char *const[]){"alice", NULL});
        char c;
        if (read(0, &c, 1) < 0) /* stay until the terminal was looked at */
            _exit(9);
        _exit(r);
    }
    await_prompt(terminal, "New password: ");
    while (has_echo(terminal))
        usleep(1000);
    assert_int_equal(write(terminal, first, strlen(first)), strlen(first));
    if (second) {
        await_prompt(terminal, "same again: ");
        while (has_echo(terminal))
            usleep(1000);
        assert_int_equal(write(terminal, second, strlen(second)), strlen(second));
    }
    while (!has_echo(terminal))
        usleep(1000);
    assert_int_equal(write(terminal, "\n", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(terminal);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_person_is_asked_twice_without_echo(void **state)
{
    struct place *p = *state;

    assert_int_equal(run_on_terminal("open sesame\n", "open sesame\n"), 0);
    assert_password(p, "alice", "open sesame");
    assert_int_equal(run_on_terminal("new sesame\n", "other sesame\n"), 1);
    assert_int_equal(run_on_terminal("new ses\003", NULL), 1);
    assert_password(p, "alice", "open sesame");
}

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        PLACE_TEST(a_script_pipes_the_password),
        PLACE_TEST(app_passwords_come_and_go),
        PLACE_TEST(app_passwords_are_not_without_number),
        PLACE_TEST(mistakes_are_explained),
        PLACE_TEST(a_damaged_file_is_explained),
        PLACE_TEST(a_person_is_asked_twice_without_echo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
