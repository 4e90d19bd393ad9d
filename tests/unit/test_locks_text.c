/* The lock table as bytes, and in two files: what was written comes back, what is torn does not,
 * and the newest complete one counts. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files/locks_file.h"
#include "rt/io.h"

#define BOOT "0aa9a5ca-1d36-4f0d-a2c0-4b1fdd7a3a5e"
#define OTHER_BOOT "9a0e4c0e-7d5b-4f57-8d2c-b1f4bb1b6a11"

enum { NOW = 5000 * 1000 };

static struct locks *new_table(void)
{
    struct locks *locks;

    assert_int_equal(locks_create(&locks), 0);
    return locks;
}

static void grant_at(struct locks *locks, const char *path, const char *scope, uint32_t seconds,
                     uint64_t now_ms)
{
    struct lock wish = {
        .user = SPAN("alice"),
        .path = span_str(path),
        .owner = SPAN("<D:href>\n end 1 \0</D:href>"),
        .is_shared = scope[0] == 's',
        .is_infinite = scope[1] == '*',
    };

    assert_int_equal(locks_grant(locks, &wish, seconds, now_ms, NULL), 0);
}

static void fill(struct locks *locks)
{
    grant_at(locks, "a", "x0", 100, NOW);
    grant_at(locks, "b c\n/\xff", "s0", 200, NOW);
    grant_at(locks, "b c\n/\xff", "s*", 300, NOW);
    grant_at(locks, "", "s0", 400, NOW);
    grant_at(locks, "end 1", "x*", 500, NOW);
}

static struct locks_text make_head(uint64_t generation, const char *boot, uint64_t now_ms)
{
    struct locks_text head = {.generation = generation, .now_ms = now_ms};

    memcpy(head.boot, boot, sizeof(head.boot));
    return head;
}

static void format(struct locks *locks, const struct locks_text *head, struct buf *out)
{
    buf_init_growing(out, LOCKS_TEXT_BYTES_MAX);
    assert_true(locks_text_format(locks, head, out) == locks_version(locks));
    assert_false(buf_failed(out));
}

static void round_trip(void **state)
{
    struct locks *locks = new_table(), *again = new_table();
    struct locks_text head = make_head(7, BOOT, NOW), read;
    struct buf text, second;

    (void)state;
    fill(locks);
    format(locks, &head, &text);
    assert_int_equal(locks_text_check(buf_span(&text), &read), 0);
    assert_true(read.generation == 7 && read.now_ms == NOW);
    assert_string_equal(read.boot, BOOT);
    assert_int_equal(locks_text_restore(buf_span(&text), again, &head), 0);
    format(again, &head, &second);
    assert_true(span_equal(buf_span(&text), buf_span(&second)));
    /* Into a table that has them: all are left out. */
    assert_int_equal(locks_text_restore(buf_span(&text), again, &head), 5);
    buf_finish(&text);
    buf_finish(&second);
    locks_destroy(locks);
    locks_destroy(again);
}

static void nothing_is_complete_too(void **state)
{
    struct locks *locks = new_table();
    struct locks_text head = make_head(0, BOOT, 0), read;
    struct buf text;

    (void)state;
    format(locks, &head, &text);
    assert_int_equal(locks_text_check(buf_span(&text), &read), 0);
    assert_int_equal(locks_text_restore(buf_span(&text), locks, &head), 0);
    assert_false(locks_any(locks));
    buf_finish(&text);
    locks_destroy(locks);
}

/* What a crash may leave: a beginning; with the end of an older text behind it; other bytes. */
static void torn(void **state)
{
    struct locks *locks = new_table();
    struct locks_text head = make_head(7, BOOT, NOW), read;
    struct buf text;

    (void)state;
    fill(locks);
    format(locks, &head, &text);
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(locks_text_check(span_first(buf_span(&text), len), &read), -EBADMSG);
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        assert_int_equal(locks_text_check(buf_span(&text), &read), -EBADMSG);
        text.data[i] ^= 1;
    }
    size_t len = text.len;
    buf_append(&text, SPAN("\n"));
    assert_int_equal(locks_text_check(buf_span(&text), &read), -EBADMSG);
    text.len = len;
    assert_non_null(buf_reserve(&text, len)); /* so that it stays where it is */
    buf_append(&text, span_first(buf_span(&text), len));
    assert_int_equal(locks_text_check(buf_span(&text), &read), -EBADMSG);
    assert_int_equal(locks_text_check(span_first(buf_span(&text), len), &read), 0);
    buf_finish(&text);
    locks_destroy(locks);
}

static void count_one(void *context, const struct lock *lock, uint32_t seconds)
{
    (void)lock;
    *(uint64_t *)context += 1000000 + seconds;
}

/* Their number in millions, and all their seconds. */
static uint64_t sum(struct locks *locks, uint64_t now_ms)
{
    uint64_t result = 0;

    locks_each(locks, now_ms, count_one, &result);
    return result;
}

static void time_goes_on(void **state)
{
    struct locks *locks = new_table();
    struct locks_text head = make_head(1, BOOT, NOW);
    const struct {
        const char *boot;
        uint64_t now, sum;
    } cases[] = {
        {BOOT, NOW, 5001500},
        {BOOT, NOW + 50 * 1000, 5001250},
        {BOOT, NOW + 100 * 1000, 4001000},
        {BOOT, NOW + 499 * 1000, 1000001},
        {BOOT, NOW + 5000 * 1000, 0},
        {OTHER_BOOT, 10, 5001500}, /* the clock has begun anew */
        {OTHER_BOOT, NOW + 5000 * 1000, 5001500},
        {BOOT, NOW - 1000, 5001500},
    };
    struct buf text;

    (void)state;
    fill(locks);
    format(locks, &head, &text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct locks *again = new_table();
        struct locks_text now = make_head(0, cases[i].boot, cases[i].now);
        assert_int_equal(locks_text_restore(buf_span(&text), again, &now), 0);
        if (sum(again, cases[i].now) != cases[i].sum)
            fail_msg("%zu: %lu", i, (unsigned long)sum(again, cases[i].now));
        locks_destroy(again);
    }
    buf_finish(&text);
    locks_destroy(locks);
}

/* The largest table is not too long for a file. */
static void longest(void **state)
{
    struct locks *locks = new_table();
    struct locks_text head = make_head(INT64_MAX, BOOT, INT64_MAX / 2);
    char path[512], user[LIMIT_USER_NAME_BYTES];
    struct buf text;

    (void)state;
    memset(path, 'p', sizeof(path));
    memset(user, 'u', sizeof(user));
    for (unsigned i = 0; i < LIMIT_LOCKS; i++) {
        struct lock wish = {.path = SPAN(""), .user = span_of(user, sizeof(user))};
        snprintf(user, 8, "%07u", i / 500);
        wish.path = span_of(path, (size_t)snprintf(path, sizeof(path), "%u", i) + 250);
        wish.is_infinite = true;
        if (locks_grant(locks, &wish, UINT32_MAX, INT64_MAX / 2, NULL) != 0)
            break;
    }
    format(locks, &head, &text);
    assert_true(text.len > LIMIT_LOCK_BYTES / 2);
    buf_finish(&text);
    locks_destroy(locks);
}

/* --- files --- */

struct pair {
    int fds[2];
};

static struct pair new_pair(void)
{
    struct pair p;

    for (int i = 0; i < 2; i++) {
        p.fds[i] = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        assert_true(p.fds[i] >= 0);
    }
    return p;
}

/* The same files, for a process that is started now. */
static int start(struct locks_file *f, const struct pair *p)
{
    const int fds[2] = {dup(p->fds[0]), dup(p->fds[1])};

    assert_true(fds[0] >= 0 && fds[1] >= 0);
    return locks_file_init(f, new_table(), fds, BOOT, true);
}

static void stop(struct locks_file *f)
{
    locks_file_finish(f);
    locks_destroy(f->locks);
}

static void close_pair(struct pair *p)
{
    close(p->fds[0]);
    close(p->fds[1]);
}

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void lock_and_write(struct locks_file *f, const char *path)
{
    grant_at(f->locks, path, "x0", 0, clock_ms());
    assert_int_equal(locks_file_write(f), 0);
}

static unsigned count(struct locks_file *f)
{
    return (unsigned)(sum(f->locks, clock_ms()) / 1000000);
}

static void kept(void **state)
{
    struct pair p = new_pair();
    struct locks_file f;
    char path[8];

    (void)state;
    assert_int_equal(start(&f, &p), 0);
    stop(&f);
    for (unsigned i = 0; i < 5; i++) { /* each time another one, in a process of its own */
        assert_int_equal(start(&f, &p), 0);
        assert_int_equal(count(&f), i);
        snprintf(path, sizeof(path), "%u", i);
        lock_and_write(&f, path);
        stop(&f);
    }
    assert_int_equal(start(&f, &p), 0);
    assert_int_equal(count(&f), 5);
    /* Fewer make a shorter file. */
    for (unsigned i = 0; i < 4; i++)
        locks_forget(f.locks, span_of(&"0123"[i], 1));
    assert_int_equal(locks_file_write(&f), 0);
    stop(&f);
    assert_int_equal(start(&f, &p), 0);
    assert_int_equal(count(&f), 1);
    stop(&f);
    close_pair(&p);
}

/* Whatever of a file a crash has left: the table is that of before or that of after. */
static void crash_while_writing(void **state)
{
    struct pair p = new_pair();
    struct locks_file f;
    char bytes[2][4096];
    struct stat st;

    (void)state;
    assert_int_equal(start(&f, &p), 0);
    lock_and_write(&f, "a");
    lock_and_write(&f, "b");
    assert_int_equal(fstat(p.fds[0], &st), 0);
    ssize_t before = pread(p.fds[0], bytes[0], sizeof(bytes[0]), 0);
    lock_and_write(&f, "c");
    ssize_t after = pread(p.fds[0], bytes[1], sizeof(bytes[1]), 0);
    stop(&f);
    assert_true(before > 0 && after > before);
    for (ssize_t at = 0; at <= after; at++) { /* so much of it has been written */
        assert_int_equal(ftruncate(p.fds[0], 0), 0);
        assert_int_equal(pwrite(p.fds[0], bytes[0], (size_t)before, 0), before);
        assert_int_equal(pwrite(p.fds[0], bytes[1], (size_t)at, 0), at);
        assert_int_equal(start(&f, &p), 0);
        assert_int_equal(count(&f), at == after ? 3 : 2);
        /* And it goes on: the complete one is not written over first. */
        if (at < after)
            assert_int_equal(f.generation % 2, 0);
        stop(&f);
    }
    /* Nothing of either. */
    assert_int_equal(ftruncate(p.fds[0], 10), 0);
    assert_int_equal(ftruncate(p.fds[1], 10), 0);
    assert_int_equal(start(&f, &p), -EBADMSG);
    assert_int_equal(count(&f), 0);
    lock_and_write(&f, "d");
    stop(&f);
    assert_int_equal(start(&f, &p), 0);
    assert_int_equal(count(&f), 1);
    stop(&f);
    close_pair(&p);
}

/* An error leaves the other file as it was, and its turn comes again. */
static void disk_full(void **state)
{
    struct pair p = new_pair();
    struct locks_file f;

    (void)state;
    assert_int_equal(start(&f, &p), 0);
    lock_and_write(&f, "a");
    int good = f.fds[1];
    f.fds[1] = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_true(f.fds[1] >= 0);
    uint64_t saved = f.saved;
    for (int i = 0; i < 3; i++) {
        grant_at(f.locks, i == 0 ? "b" : i == 1 ? "c" : "d", "x0", 0, clock_ms());
        assert_int_equal(locks_file_write(&f), -ENOSPC);
        assert_true(f.saved == saved);
    }
    struct locks_file other;
    assert_int_equal(start(&other, &p), 0);
    assert_int_equal(count(&other), 1);
    stop(&other);
    close(f.fds[1]);
    f.fds[1] = good;
    assert_int_equal(locks_file_write(&f), 0);
    stop(&f);
    assert_int_equal(start(&f, &p), 0);
    assert_int_equal(count(&f), 4);
    stop(&f);
    close_pair(&p);
}

static void far_too_long(void **state)
{
    struct pair p = new_pair();
    struct locks_file f;

    (void)state;
    assert_int_equal(ftruncate(p.fds[0], (off_t)1 << 40), 0);
    assert_int_equal(start(&f, &p), -EBADMSG);
    stop(&f);
    close_pair(&p);
}

/* --- many at once --- */

enum { SAVERS = 200 };

static struct locks_file shared;
static unsigned running, saved_well;

static void saver(struct task *t, void *arg)
{
    char path[16];

    snprintf(path, sizeof(path), "%u", (unsigned)(uintptr_t)arg);
    grant_at(shared.locks, path, "x0", 0, clock_ms());
    uint64_t mine = locks_version(shared.locks);
    if ((uintptr_t)arg % 4 == 3) /* all the same */
        task_cancel(t, -ECANCELED);
    if (locks_save(t, &shared) == 0 && shared.saved >= mine)
        saved_well++;
    if (--running == 0)
        loop_stop(task_loop(t));
}

static void many_save(void **state)
{
    struct loop_options options = {.io = LOOP_IO_EPOLL};
    struct pair p = new_pair();
    struct loop *loop;

    (void)state;
    assert_int_equal(start(&shared, &p), 0);
    assert_int_equal(
        offload_pool_create((const unsigned[OFFLOAD_LANES]){1, 2, 2}, &options.offload), 0);
    assert_int_equal(loop_create(&options, &loop), 0);
    running = SAVERS;
    for (uintptr_t i = 0; i < SAVERS; i++)
        assert_int_equal(task_spawn(loop, saver, (void *)i), 0);
    alarm(60);
    assert_int_equal(loop_run(loop), 0);
    alarm(0);
    assert_int_equal(saved_well, SAVERS);
    assert_true(shared.generation < SAVERS / 2); /* most have waited for one that others wrote */
    loop_destroy(loop);
    offload_pool_destroy(options.offload);
    stop(&shared);
    assert_int_equal(start(&shared, &p), 0);
    assert_int_equal(count(&shared), SAVERS);
    stop(&shared);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(nothing_is_complete_too),
        cmocka_unit_test(torn),
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(longest),
        cmocka_unit_test(kept),
        cmocka_unit_test(crash_while_writing),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(far_too_long),
        cmocka_unit_test(many_save),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
