/* The users file: its text, its edits, and the file itself. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/users_file.h"

#define HASH_A "$y$j9T$aaaaaaaaaaaaaaaaaaaaa/$TJRjgOOkP7YqSb0NY1gkDP1P9TtA6jMzy7Mp7NqLWb/"
#define HASH_B "$6$abcdefgh$abcdefgh"
#define D0 "{SHA256}0000000000000000000000000000000000000000000000000000000000000000"
#define D1 "{SHA256}1111111111111111111111111111111111111111111111111111111111111111"

static struct users parse_good(const char *text)
{
    struct users users;
    struct users_error error;

    int r = users_parse(span_str(text), &users, &error);
    if (r < 0)
        fail_msg("line %u: %s", error.line, error.what);
    assert_null(error.what);
    return users;
}

static void a_file_is_understood(void **state)
{
    struct users users = parse_good("# people\n"
                                    "\n"
                                    "zoe:" HASH_A ":ro\r\n"
                                    "alice:" HASH_B "\n"
                                    "  # indented\n"
                                    "alice/phone:" D0 "\n"
                                    "alice/tv/kitchen:" D1 ":ro\n"
                                    "J\xc3\xbcrgen M:!" HASH_A "\n"
                                    "nobody/phone:" D0 "\n"
                                    "mallory:*");
    uint8_t digest[DIGEST_BYTES];

    (void)state;
    assert_int_equal(users.count, 4);
    const struct user *alice = users_find(&users, SPAN("alice"));
    assert_non_null(alice);
    assert_span(alice->hash, HASH_B);
    assert_false(alice->read_only || alice->locked);
    assert_int_equal(alice->app_count, 2);
    memset(digest, 0x11, sizeof(digest));
    const struct app_password *tv = user_find_app(alice, digest);
    assert_non_null(tv);
    assert_span(tv->label, "tv/kitchen");
    assert_true(tv->read_only);
    memset(digest, 0x22, sizeof(digest));
    assert_null(user_find_app(alice, digest));

    const struct user *zoe = users_find(&users, SPAN("zoe"));
    assert_true(zoe && zoe->read_only && !zoe->locked && zoe->app_count == 0);
    assert_int_not_equal(zoe->stamp, alice->stamp);
    assert_true(users_find(&users, SPAN("J\xc3\xbcrgen M"))->locked);
    assert_true(users_find(&users, SPAN("mallory"))->locked);
    static const char *const unknown[] = {"", "a", "alicea", "alic", "nobody", "zzz", "ALICE"};
    for (size_t i = 0; i < COUNT(unknown); i++)
        assert_null(users_find(&users, span_str(unknown[i])));
    users_finish(&users);
    assert_null(users_find(&users, SPAN("alice")));
}

static void every_user_is_found(void **state)
{
    enum { N = 1000 };
    static char text[N * 100];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, text, sizeof(text));
    for (int i = 0; i < N; i++)
        buf_printf(&b, "user%d:%s\n", i * 7919 % N, HASH_B);
    buf_append_char(&b, '\0');
    struct users users = parse_good(text);
    assert_int_equal(users.count, N);
    for (int i = 0; i < N; i++) {
        char name[16];

        snprintf(name, sizeof(name), "user%d", i);
        const struct user *user = users_find(&users, span_str(name));
        assert_non_null(user);
        assert_span(user->name, name);
        strcat(name, "x");
        assert_null(users_find(&users, span_str(name)));
    }
    users_finish(&users);
}

static void damage_is_reported_with_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"alice\n", 1},
        {"# x\n\nalice:secret\n", 3}, /* a password in plain text */
        {"alice:\n", 1},
        {":" HASH_A "\n", 1},
        {"alice:" HASH_A ":rw\n", 1},
        {"alice:" HASH_A ":ro:x\n", 1},
        {"alice:" HASH_A ":\n", 1},
        {"alice:$unknown$x\n", 1},
        {"alice:" HASH_A " \n", 1},
        {" alice:" HASH_A "\n", 1},
        {"al\x01ice:" HASH_A "\n", 1},
        {"al\x7fice:" HASH_A "\n", 1},
        {"al\xc2\x85ice:" HASH_A "\n", 1},
        {"al\xffice:" HASH_A "\n", 1},
        {"al\xc0\xafice:" HASH_A "\n", 1},
        {"al\xed\xa0\x80ice:" HASH_A "\n", 1},
        {"al\xf5\x80\x80\x80ice:" HASH_A "\n", 1},
        {"al\xe2\x82:" HASH_A "\n", 1},
        {"a:" HASH_A "\na:" HASH_B "\n", 2},
        {"a:" HASH_A "\na/x:" D0 "\nb:" HASH_B "\na/x:" D1 "\n", 4},
        {"a:" HASH_A "\na/:" D0 "\n", 2},
        {"a:" HASH_A "\n/x:" D0 "\n", 2},
        {"a:" HASH_A "\na/x:" HASH_A "\n", 2},
        {"a:" HASH_A "\na/x:{SHA256}00\n", 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct users users;
        struct users_error error;

        if (users_parse(span_str(cases[i].text), &users, &error) != -EBADMSG)
            fail_msg("accepted: %s", cases[i].text);
        assert_int_equal(error.line, cases[i].line);
        assert_non_null(error.what);
    }
}

static void limits_hold(void **state)
{
    static char text[LIMIT_USERS_FILE_BYTES + 1];
    struct users users;
    struct users_error error;
    struct buf b;

    (void)state;
    buf_init_fixed(&b, text, sizeof(text));
    for (int i = 0; i <= LIMIT_USERS; i++)
        buf_printf(&b, "user%d:%s\n", i, HASH_B);
    assert_int_equal(users_parse(buf_span(&b), &users, &error), -EBADMSG);
    assert_int_equal(error.line, LIMIT_USERS + 1);

    b.len = 0;
    buf_printf(&b, "a:%s\n", HASH_B);
    for (int i = 0; i <= LIMIT_APP_PASSWORDS; i++)
        buf_printf(&b, "a/%d:%s\n", i, D0);
    assert_int_equal(users_parse(buf_span(&b), &users, &error), -EBADMSG);
    assert_int_equal(error.line, 1);

    memset(text, '\n', sizeof(text));
    assert_int_equal(users_parse(span_of(text, sizeof(text)), &users, &error), -EBADMSG);
    assert_int_equal(users_parse(span_of(text, sizeof(text) - 1), &users, &error), 0);
    users_finish(&users);

    char name[LIMIT_USER_NAME_BYTES + 1];
    memset(name, 'n', sizeof(name));
    assert_true(users_name_valid(span_of(name, sizeof(name) - 1)));
    assert_false(users_name_valid(span_of(name, sizeof(name))));
}

static void edits_keep_everything_else(void **state)
{
    static const char before[] = "# head\nbob:" HASH_A "\n\nalice:" HASH_A ":ro # no\r\n"
                                 "carl:" HASH_A "\ncarl/x:" D0 "\n# tail";
    /* A damaged line (alice's) is nobody's; users_file_update() refuses to touch such a file at
     * all. */
    char memory[2048];
    struct buf out;
    const struct span text = span_str(before);
    uint8_t ones[DIGEST_BYTES];

    (void)state;
    memset(ones, 0x11, sizeof(ones));
#define RESULT(call, expected, becomes)               \
    do {                                              \
        buf_init_fixed(&out, memory, sizeof(memory)); \
        assert_int_equal(call, expected);             \
        if ((expected) == 0)                          \
            assert_span(buf_span(&out), becomes);     \
    } while (0)

    RESULT(users_edit_set(text, SPAN("bob"), SPAN(HASH_B), true, &out), 0,
           "# head\nbob:" HASH_B ":ro\n\nalice:" HASH_A ":ro # no\r\n"
           "carl:" HASH_A "\ncarl/x:" D0 "\n# tail\n");
    RESULT(users_edit_set(text, SPAN("dora"), SPAN(HASH_B), false, &out), 0,
           "# head\nbob:" HASH_A "\n\nalice:" HASH_A ":ro # no\r\n"
           "carl:" HASH_A "\ncarl/x:" D0 "\n# tail\ndora:" HASH_B "\n");
    RESULT(users_edit_set(text, SPAN("do:ra"), SPAN(HASH_B), false, &out), -EINVAL, "");
    RESULT(users_edit_set(text, SPAN("dora"), SPAN("x\ny"), false, &out), -EINVAL, "");
    RESULT(users_edit_delete(text, SPAN("carl"), &out), 0,
           "# head\nbob:" HASH_A "\n\nalice:" HASH_A ":ro # no\r\n# tail\n");
    RESULT(users_edit_delete(text, SPAN("x"), &out), -ENOENT, "");
    RESULT(users_edit_add_app(text, SPAN("carl"), SPAN("tv"), ones, true, &out), 0,
           "# head\nbob:" HASH_A "\n\nalice:" HASH_A ":ro # no\r\n"
           "carl:" HASH_A "\ncarl/x:" D0 "\ncarl/tv:" D1 ":ro\n# tail");
    RESULT(users_edit_add_app(SPAN("carl:" HASH_A), SPAN("carl"), SPAN("tv"), ones, false, &out), 0,
           "carl:" HASH_A "\ncarl/tv:" D1 "\n");
    RESULT(users_edit_add_app(text, SPAN("carl"), SPAN("x"), ones, true, &out), -EEXIST, "");
    RESULT(users_edit_add_app(text, SPAN("x"), SPAN("x"), ones, true, &out), -ENOENT, "");
    RESULT(users_edit_add_app(text, SPAN("carl"), SPAN("a:b"), ones, true, &out), -EINVAL, "");
    RESULT(users_edit_delete_app(text, SPAN("carl"), SPAN("x"), &out), 0,
           "# head\nbob:" HASH_A "\n\nalice:" HASH_A ":ro # no\r\n"
           "carl:" HASH_A "\n# tail\n");
    RESULT(users_edit_delete_app(text, SPAN("bob"), SPAN("x"), &out), -ENOENT, "");
#undef RESULT
}

/* --- the file --- */

struct place {
    char folder[32], users[64];
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    strcpy(p->folder, "/tmp/fastfile-users-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->users, sizeof(p->users), "%s/a/b/users", p->folder);
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

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void a_users_file_is_made_and_changed(void **state)
{
    const struct place *p = *state;
    struct users users;
    struct users_error error;
    char app[PASSWORD_APP_BYTES], folder[64];
    uint8_t digest[DIGEST_BYTES];

    assert_int_equal(users_file_load(p->users, &users, &error), -ENOENT);
    assert_int_equal(users_file_set(p->users, SPAN("alice"), SPAN("sesame"), true, &error), 0);
    assert_int_equal(mode_of(p->users), 0600);
    snprintf(folder, sizeof(folder), "%s/a/b", p->folder);
    assert_int_equal(mode_of(folder), 0700);

    assert_int_equal(
        users_file_add_app(p->users, SPAN("alice"), SPAN("tv"), false, NULL, app, &error), 0);
    assert_int_equal(users_file_load(p->users, &users, &error), 0);
    assert_false(users.others_can_read);
    const struct user *alice = users_find(&users, SPAN("alice"));
    assert_true(alice && alice->read_only && alice->app_count == 1);
    assert_true(password_app_digest(span_str(app), digest));
    assert_non_null(user_find_app(alice, digest));
    char hash[PASSWORD_HASH_BYTES] = {0};
    memcpy(hash, alice->hash.data, alice->hash.len);
    assert_int_equal(password_verify("sesame", hash), 1);
    users_finish(&users);

    assert_int_equal(users_file_delete_app(p->users, SPAN("alice"), SPAN("tv"), NULL, &error), 0);
    assert_int_equal(users_file_delete_app(p->users, SPAN("alice"), SPAN("tv"), NULL, &error),
                     -ENOENT);
    assert_int_equal(users_file_delete(p->users, SPAN("alice"), &error), 0);
    assert_int_equal(users_file_delete(p->users, SPAN("alice"), &error), -ENOENT);
    assert_int_equal(users_file_set(p->users, SPAN("a:b"), SPAN("x"), true, &error), -EINVAL);
    assert_int_equal(users_file_set(p->users, SPAN("ab"), SPAN("x\n"), true, &error), -EINVAL);
}

static void a_damaged_file_is_left_alone(void **state)
{
    const struct place *p = *state;
    struct users_error error;
    char path[64], text[64] = {0};

    snprintf(path, sizeof(path), "%s/users", p->folder);
    write_file(path, "# mine\nalice:secret\n", 0600);
    assert_int_equal(users_file_set(path, SPAN("bob"), SPAN("sesame"), false, &error), -EBADMSG);
    assert_int_equal(error.line, 2);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_string_equal(text, "# mine\nalice:secret\n");
}

static void modes_and_links_survive(void **state)
{
    const struct place *p = *state;
    struct users users;
    struct users_error error;
    struct stat st;
    char path[64], link_path[64];

    snprintf(path, sizeof(path), "%s/users", p->folder);
    snprintf(link_path, sizeof(link_path), "%s/link", p->folder);
    write_file(path, "alice:" HASH_A "\n", 0644);
    assert_int_equal(symlink("users", link_path), 0);
    assert_int_equal(users_file_load(link_path, &users, &error), 0);
    assert_true(users.others_can_read);
    users_finish(&users);
    assert_int_equal(users_file_delete(link_path, SPAN("alice"), &error), 0);
    assert_int_equal(mode_of(path), 0640);
    assert_true(lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode));

    assert_int_equal(users_file_load(p->folder, &users, &error), -EINVAL);
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/fifo", p->folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(users_file_load(fifo, &users, &error), -EINVAL);
}

static void too_large_a_file_is_an_error(void **state)
{
    const struct place *p = *state;
    struct users users;
    struct users_error error;
    char path[64];

    snprintf(path, sizeof(path), "%s/users", p->folder);
    write_file(path, "", 0600);
    assert_int_equal(truncate(path, LIMIT_USERS_FILE_BYTES + 1), 0);
    assert_int_equal(users_file_load(path, &users, &error), -EFBIG);
    assert_int_equal(truncate(path, LIMIT_USERS_FILE_BYTES),
                     0); /* NULs: fits, but is no users file */
    assert_int_equal(users_file_load(path, &users, &error), -EBADMSG);
}

static uint64_t stamp_of(const char *path, struct span name)
{
    struct users users;
    struct users_error error;

    assert_int_equal(users_file_load(path, &users, &error), 0);
    const struct user *user = users_find(&users, name);
    assert_non_null(user);
    uint64_t stamp = user->stamp;
    users_finish(&users);
    return stamp;
}

/* Adds and removes an app password with that stamp: the result is the same for both. */
static int change_with(const char *path, struct span name, uint64_t stamp)
{
    struct users_error error;
    char app[PASSWORD_APP_BYTES];
    int r = users_file_add_app(path, name, SPAN("tv"), false, &stamp, app, &error);

    assert_int_equal(users_file_delete_app(path, name, SPAN("tv"), &stamp, &error), r);
    return r;
}

static void on_behalf_of_somebody_the_password_must_still_be_the_same(void **state)
{
    const struct place *p = *state;
    char path[64];

    snprintf(path, sizeof(path), "%s/users", p->folder);
    assert_int_equal(change_with(path, SPAN("alice"), 1), -ENODATA);
    assert_int_equal(access(path, F_OK), -1); /* not made anew */
    write_file(path, "alice:" HASH_A "\n", 0600);
    uint64_t stamp = stamp_of(path, SPAN("alice"));
    assert_int_equal(change_with(path, SPAN("alice"), stamp), 0);
    assert_int_equal(change_with(path, SPAN("bob"), stamp), -ENOKEY);
    write_file(path, "alice:!" HASH_A "\n", 0600);
    assert_int_equal(change_with(path, SPAN("alice"), stamp_of(path, SPAN("alice"))), -ENOKEY);
    write_file(path, "alice:" HASH_B "\n", 0600);
    assert_int_equal(change_with(path, SPAN("alice"), stamp), -ENOKEY);
}

/* As an ordinary user who owns a file of a group that is not theirs. Returns 0 where a change on
 * somebody's behalf is refused and one by hand is not. */
static int change_as(uid_t uid, const char *path, uint64_t stamp)
{
    struct users_error error;
    char app[PASSWORD_APP_BYTES];

    if (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
        return 1;
    if (users_file_add_app(path, SPAN("alice"), SPAN("tv"), false, &stamp, app, &error) != -EPERM)
        return 2;
    return users_file_set(path, SPAN("alice"), SPAN("sesame"), false, &error) == 0 ? 0 : 3;
}

static void on_behalf_of_somebody_the_file_stays_its_groups(void **state)
{
    enum { NOBODY = 65534, OTHER_GROUP = 4711 };
    const struct place *p = *state;
    struct stat st;
    char path[64];
    int status;

    if (geteuid() != 0)
        skip(); /* nobody else can make such a file */
    snprintf(path, sizeof(path), "%s/users", p->folder);
    write_file(path, "alice:" HASH_A "\n", 0640);
    uint64_t stamp = stamp_of(path, SPAN("alice"));
    assert_int_equal(chown(path, 0, OTHER_GROUP), 0);
    assert_int_equal(change_with(path, SPAN("alice"), stamp), 0);
    assert_true(stat(path, &st) == 0 && st.st_gid == OTHER_GROUP);
    assert_int_equal(chown(path, NOBODY, OTHER_GROUP), 0);
    assert_int_equal(change_with(path, SPAN("alice"), stamp), -EPERM); /* not ours */
    assert_int_equal(chown(p->folder, NOBODY, NOBODY), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(change_as(NOBODY, path, stamp));
    assert_true(waitpid(pid, &status, 0) == pid);
    assert_int_equal(status, 0);
}

static void what_the_killed_left_behind_is_removed(void **state)
{
    const struct place *p = *state;
    static const struct {
        const char *name;
        bool stays;
    } files[] = {{".users.new-a1B2c3", false}, {".users.new-a1B2c", true},
                 {".users.new-a1B2c3d", true}, {".users.backup", true},
                 {"users.new-a1B2c3", true},   {".other.new-a1B2c3", true}};
    struct users_error error;
    char path[64];

    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", p->folder, files[i].name);
        write_file(path, "", 0600);
    }
    snprintf(path, sizeof(path), "%s/users", p->folder);
    assert_int_equal(users_file_set(path, SPAN("alice"), SPAN("sesame"), false, &error), 0);
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", p->folder, files[i].name);
        assert_int_equal(access(path, F_OK) == 0, files[i].stays);
    }
}

static int add_line(struct span text, struct buf *out, void *context)
{
    return users_edit_set(text, span_str(context), SPAN(HASH_B), false, out);
}

static void updates_at_the_same_time_are_all_kept(void **state)
{
    enum { PROCESSES = 8, USERS = 10 };
    const struct place *p = *state;
    struct users users;
    struct users_error error;

    for (int i = 0; i < PROCESSES; i++) {
        if (fork() > 0)
            continue;
        for (int j = 0; j < USERS; j++) {
            char name[16];

            snprintf(name, sizeof(name), "user%d-%d", i, j);
            if (users_file_update(p->users, add_line, name, &error) < 0)
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0, status; i < PROCESSES; i++)
        assert_true(wait(&status) > 0 && status == 0);
    assert_int_equal(users_file_load(p->users, &users, &error), 0);
    assert_int_equal(users.count, PROCESSES * USERS);
    users_finish(&users);
}

static void the_default_path_follows_the_environment(void **state)
{
    char path[PATH_MAX];

    (void)state;
    setenv("XDG_CONFIG_HOME", "/x", 1);
    assert_int_equal(users_default_path(path), 0);
    assert_string_equal(path, "/x/fastfile/users");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    setenv("HOME", "/h", 1);
    assert_int_equal(users_default_path(path), 0);
    assert_string_equal(path, "/h/.config/fastfile/users");
    unsetenv("HOME");
    assert_int_equal(users_default_path(path), 0); /* from the password database */
    assert_non_null(strstr(path, "/.config/fastfile/users"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_understood),
        cmocka_unit_test(every_user_is_found),
        cmocka_unit_test(damage_is_reported_with_its_line),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(edits_keep_everything_else),
        cmocka_unit_test_setup_teardown(a_users_file_is_made_and_changed, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_left_alone, make_place, remove_place),
        cmocka_unit_test_setup_teardown(modes_and_links_survive, make_place, remove_place),
        cmocka_unit_test_setup_teardown(on_behalf_of_somebody_the_password_must_still_be_the_same,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(on_behalf_of_somebody_the_file_stays_its_groups, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(what_the_killed_left_behind_is_removed, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(too_large_a_file_is_an_error, make_place, remove_place),
        cmocka_unit_test_setup_teardown(updates_at_the_same_time_are_all_kept, make_place,
                                        remove_place),
        cmocka_unit_test(the_default_path_follows_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
