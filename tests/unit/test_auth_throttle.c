/* The throttle's arithmetic over simulated time, and the attacks it has to withstand. */
#include "assert_span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/throttle.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static int make_throttle(void **state)
{
    struct throttle *t = calloc(1, sizeof(*t));

    assert_int_equal(throttle_init(t), 0);
    *state = t;
    return 0;
}

static int free_throttle(void **state)
{
    throttle_finish(*state);
    free(*state);
    return 0;
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        ss.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        ss.ss_family = AF_INET6;
    return ss;
}

/* A try of password number `password`. */
static struct throttle_attempt attempt(const struct throttle *t, const char *from, const char *user,
                                       uint64_t password)
{
    struct sockaddr_storage ss = address(from);

    return throttle_attempt(t, &ss, span_str(user), span_of(&password, sizeof(password)));
}

/* The source number i, each a different one. */
static struct throttle_attempt attempt_from(const struct throttle *t, uint32_t i, const char *user,
                                            uint64_t password)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};

    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(0x0b000000 + i);
    return throttle_attempt(t, &ss, span_str(user), span_of(&password, sizeof(password)));
}

/* One try that fails where it is allowed; returns what throttle_check() said. */
static int try_wrong(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms)
{
    int r = throttle_check(t, a, now_ms);

    if (r == 0)
        throttle_failure(t, a, now_ms);
    return r;
}

static void addresses_are_told_apart(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"::ffff:192.0.2.2", "::ffff:192.0.2.1", false},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"unix", "unix", true},
        {"unix", "0.0.0.0", false},
    };
    const struct throttle *t = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct throttle_attempt a = attempt(t, cases[i].a, "u", 1);
        struct throttle_attempt b = attempt(t, cases[i].b, "u", 1);

        if ((a.source == b.source) != cases[i].same || (a.pair == b.pair) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        assert_int_equal(a.account, b.account);
    }
}

static void waiting_doubles(void **state)
{
    static const int waits_s[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
    struct throttle *t = *state;
    uint64_t now = 5;
    uint64_t password = 0;
    struct throttle_attempt a = attempt(t, "192.0.2.1", "alice", password++);

    for (int i = 0; i < LIMIT_THROTTLE_FREE; i++) {
        a = attempt(t, "192.0.2.1", "alice", password++);
        assert_int_equal(try_wrong(t, &a, now), 0);
    }
    for (size_t i = 0; i < COUNT(waits_s); i++) {
        a = attempt(t, "192.0.2.1", "alice", password++);
        uint64_t wait_ms = (uint64_t)waits_s[i] * 1000;
        /* A failure is forgotten each ten minutes, so the longest waits are never reached by
         * waiting. */
        if (now + wait_ms >= LIMIT_THROTTLE_FORGET_S * 1000)
            break;
        assert_int_equal(throttle_check(t, &a, now), waits_s[i]);
        assert_int_equal(throttle_check(t, &a, now + wait_ms - 1), 1);
        now += wait_ms;
        assert_int_equal(try_wrong(t, &a, now), 0);
    }
    assert_true(now > 120 * 1000);
}

/* A source that tries as often as it may: never more than 10 failures in any 60 s, and few in a
 * day. */
static void ten_failures_a_minute_at_most(void **state)
{
    struct throttle *t = *state;
    static uint64_t failed_ms[100000];
    size_t count = 0;

    for (uint64_t now = 0; now < 24 * HOUR; now += 100) {
        for (;;) {
            struct throttle_attempt a = attempt(t, "192.0.2.1", "alice", count);

            if (try_wrong(t, &a, now) != 0)
                break;
            failed_ms[count++] = now;
            assert_true(count < COUNT(failed_ms));
            if (count > 10)
                assert_true(now - failed_ms[count - 11] > MINUTE);
        }
        if (now > 5 * MINUTE && now % (61 * 1000) != 0)
            now += 900; /* it need not be asked ten times a second all day */
    }
    print_message("%zu failures in a day\n", count);
    assert_true(count >= 100 && count <= 10 + 6 * 24 + 10);
}

/* The same, with every pause an attacker may choose between bursts. */
static void pausing_gains_nothing(void **state)
{
    struct throttle *t = *state;
    uint64_t password = 0;

    for (uint64_t pause = MINUTE / 4; pause < 3 * HOUR; pause = pause * 3 / 2) {
        static uint64_t failed_ms[4096];
        size_t count = 0;
        char from[32];

        snprintf(from, sizeof(from), "198.51.100.%u", (unsigned)(password % 250));
        for (uint64_t start = 0; start < 12 * HOUR; start += pause + MINUTE) {
            for (uint64_t now = start; now < start + MINUTE; now += 500) {
                struct throttle_attempt a = attempt(t, from, "alice", password++);

                if (try_wrong(t, &a, now) != 0)
                    continue;
                failed_ms[count++] = now;
                if (count > 10)
                    assert_true(now - failed_ms[count - 11] > MINUTE);
            }
        }
        throttle_finish(t);
        assert_int_equal(throttle_init(t), 0);
    }
}

static void all_at_once_gains_nothing(void **state)
{
    struct throttle *t = *state;
    static struct throttle_attempt started[1000];
    size_t count = 0;

    for (uint64_t i = 0; i < COUNT(started); i++) {
        started[count] = attempt(t, "192.0.2.1", "alice", i);
        int r = throttle_check(t, &started[count], 0);
        assert_true(r == 0 || r == -EBUSY);
        count += r == 0;
    }
    assert_int_equal(count, LIMIT_THROTTLE_FREE);
    assert_int_equal(throttle_pending(t, &started[0]), LIMIT_THROTTLE_FREE);
    for (size_t i = 0; i < count; i++)
        throttle_failure(t, &started[i], 20);
    struct throttle_attempt next = attempt(t, "192.0.2.1", "alice", 5000);
    assert_int_equal(throttle_check(t, &next, 20), 1);
    assert_int_equal(throttle_check(t, &next, 1020), 0);
    struct throttle_attempt beside = attempt(t, "192.0.2.1", "alice", 5001);
    assert_int_equal(throttle_check(t, &beside, 1020), -EBUSY); /* one at a time from here on */
    throttle_abandon(t, &next, 1020);
    assert_int_equal(throttle_check(t, &beside, 1020), 0);
    throttle_success(t, &beside, 1020);
}

static void the_same_wrong_password_counts_once(void **state)
{
    struct throttle *t = *state;
    struct throttle_attempt phone = attempt(t, "192.0.2.1", "alice", 77);

    assert_int_equal(try_wrong(t, &phone, 0), 0);
    for (uint64_t now = 1; now < 1000; now++)
        assert_int_equal(throttle_check(t, &phone, now), -EALREADY);
    /* The owner beside it may still try as if the phone had failed once. */
    for (uint64_t i = 1; i < LIMIT_THROTTLE_FREE; i++) {
        struct throttle_attempt a = attempt(t, "192.0.2.1", "alice", i);
        assert_int_equal(try_wrong(t, &a, 1000), 0);
    }
    struct throttle_attempt owner = attempt(t, "192.0.2.1", "alice", 100);
    assert_int_equal(throttle_check(t, &owner, 1000), 1);
    assert_int_equal(throttle_check(t, &phone, 1000), -EALREADY); /* no need to wait for that */

    /* From another address it is not known, nor after the passwords were changed. */
    struct throttle_attempt elsewhere = attempt(t, "192.0.2.2", "alice", 77);
    assert_int_equal(try_wrong(t, &elsewhere, 1000), 0);
    throttle_forget_wrong(t);
    assert_int_equal(throttle_check(t, &phone, 2000), 0);
    throttle_success(t, &phone, 2000);
}

static void success_does_not_forgive(void **state)
{
    struct throttle *t = *state;
    uint64_t now = 0;
    int failures = 0;

    /* Somebody with an account of his own guesses at another's. */
    for (uint64_t i = 0; i < 1000; i++) {
        struct throttle_attempt own = attempt(t, "192.0.2.1", "mallory", 1000000 + i);
        struct throttle_attempt other = attempt(t, "192.0.2.1", "alice", i);

        failures += try_wrong(t, &other, now) == 0;
        if (throttle_check(t, &own, now) == 0)
            throttle_success(t, &own, now);
        now += 50;
    }
    assert_true(failures <= 10);
}

static void success_leaves_no_entry(void **state)
{
    struct throttle *t = *state;

    for (uint32_t i = 0; i < 3 * LIMIT_THROTTLE_ENTRIES; i++) {
        struct throttle_attempt a = attempt_from(t, i, "alice", 1);
        assert_int_equal(throttle_check(t, &a, i), 0);
        throttle_success(t, &a, i);
        assert_int_equal(throttle_pending(t, &a), 0);
    }
}

/* One stranger, or a few, cannot make the owner wait at all; thousands can make him wait 5 s where
 * he never logged in before, and not at all where he did. */
static void strangers_cannot_lock_an_owner_out(void **state)
{
    struct throttle *t = *state;
    uint64_t password = 0;
    struct throttle_attempt home = attempt(t, "192.0.2.1", "alice", 1u << 30);
    struct throttle_attempt away = attempt(t, "192.0.2.9", "alice", 1u << 30);

    assert_int_equal(throttle_check(t, &home, 0), 0);
    throttle_success(t, &home, 0);

    for (uint64_t now = 0; now < 24 * HOUR; now += 1000) {
        struct throttle_attempt stranger = attempt(t, "203.0.113.1", "alice", password++);

        try_wrong(t, &stranger, now);
        if (now % MINUTE != 0)
            continue;
        assert_int_equal(throttle_check(t, &away, now), 0);
        throttle_abandon(t, &away, now);
    }

    uint64_t now = 48 * HOUR;
    for (uint32_t i = 0; i < 2000; i++) {
        struct throttle_attempt botnet = attempt_from(t, i, "alice", password++);
        try_wrong(t, &botnet, now);
    }
    assert_in_range(throttle_check(t, &away, now), 1, LIMIT_THROTTLE_ACCOUNT_HOLD_S);
    assert_int_equal(throttle_check(t, &home, now), 0);
    throttle_abandon(t, &home, now);
    now += LIMIT_THROTTLE_ACCOUNT_HOLD_S * 1000;
    assert_int_equal(throttle_check(t, &away, now), 0);
    throttle_abandon(t, &away, now);
}

/* An account under attack from ever new addresses: 100 tries and then one in 5 s. */
static void a_distributed_attack_is_slowed_down(void **state)
{
    struct throttle *t = *state;
    size_t count = 0;
    uint32_t i = 0;

    for (uint64_t now = 0; now < 10 * MINUTE; now += 100, i++) {
        struct throttle_attempt a = attempt_from(t, i, "alice", i);
        count += try_wrong(t, &a, now) == 0;
    }
    assert_in_range(count, 200, 100 + 10 * 60 / 4 + 10);
}

static void an_unknown_account_is_treated_alike(void **state)
{
    struct throttle *t = *state;

    for (uint32_t i = 0; i < LIMIT_THROTTLE_ACCOUNT_FREE; i++) {
        struct throttle_attempt a = attempt_from(t, i, "no such user", i);
        assert_int_equal(try_wrong(t, &a, 0), 0);
    }
    struct throttle_attempt next = attempt_from(t, 5000, "no such user", 5000);
    assert_in_range(throttle_check(t, &next, 0), 1, LIMIT_THROTTLE_ACCOUNT_HOLD_S);
}

/* Failing once from very many addresses does not make the table forget who failed often. */
static void many_addresses_do_not_erase_one(void **state)
{
    struct throttle *t = *state;
    struct throttle_attempt a = {0};

    for (uint64_t i = 0; i < 5; i++) {
        a = attempt(t, "192.0.2.1", "alice", i);
        assert_int_equal(try_wrong(t, &a, i), 0);
    }
    a = attempt(t, "192.0.2.1", "alice", 99);
    for (uint32_t i = 0; i < 3 * LIMIT_THROTTLE_ENTRIES; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%u", i);
        struct throttle_attempt other = attempt_from(t, i, user, i);
        assert_int_equal(try_wrong(t, &other, 10), 0);
        assert_int_equal(throttle_check(t, &a, 10), 1);
    }
}

static void tries_under_way_are_never_evicted(void **state)
{
    struct throttle *t = *state;
    struct throttle_attempt a = attempt(t, "192.0.2.1", "alice", 1);

    assert_int_equal(throttle_check(t, &a, 0), 0);
    for (uint32_t i = 0; i < 2 * LIMIT_THROTTLE_ENTRIES; i++) {
        char user[16];

        snprintf(user, sizeof(user), "u%u", i);
        struct throttle_attempt other = attempt_from(t, i, user, i);
        assert_int_equal(try_wrong(t, &other, 10), 0);
    }
    assert_int_equal(throttle_pending(t, &a), 1);
    throttle_failure(t, &a, 20);
    assert_int_equal(throttle_check(t, &a, 20), -EALREADY);
}

static void time_forgives(void **state)
{
    struct throttle *t = *state;
    uint64_t now = 0, password = 0;

    for (; now < 2 * HOUR; now += 1000) {
        struct throttle_attempt a = attempt(t, "192.0.2.1", "alice", password++);
        try_wrong(t, &a, now);
    }
    now += (LIMIT_THROTTLE_FREE + 10) * LIMIT_THROTTLE_FORGET_S * 1000ul;
    for (int i = 0; i < LIMIT_THROTTLE_FREE; i++) {
        struct throttle_attempt a = attempt(t, "192.0.2.1", "alice", password++);
        assert_int_equal(try_wrong(t, &a, now), 0);
    }
}

int main(void)
{
#define THROTTLE_TEST(name) cmocka_unit_test_setup_teardown(name, make_throttle, free_throttle)
    const struct CMUnitTest tests[] = {
        THROTTLE_TEST(addresses_are_told_apart),
        THROTTLE_TEST(waiting_doubles),
        THROTTLE_TEST(ten_failures_a_minute_at_most),
        THROTTLE_TEST(pausing_gains_nothing),
        THROTTLE_TEST(all_at_once_gains_nothing),
        THROTTLE_TEST(the_same_wrong_password_counts_once),
        THROTTLE_TEST(success_does_not_forgive),
        THROTTLE_TEST(success_leaves_no_entry),
        THROTTLE_TEST(strangers_cannot_lock_an_owner_out),
        THROTTLE_TEST(a_distributed_attack_is_slowed_down),
        THROTTLE_TEST(an_unknown_account_is_treated_alike),
        THROTTLE_TEST(many_addresses_do_not_erase_one),
        THROTTLE_TEST(tries_under_way_are_never_evicted),
        THROTTLE_TEST(time_forgives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
