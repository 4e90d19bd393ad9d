/* Locks of names: one at a time has a name, whatever way and spelling leads to it; two of them are
 * taken in any order, and nobody waits for a slower file system. */
#include "assert_span.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files/name_lock.h"

enum { ROOT_DEVICE = 1, OTHER_DEVICE = 3 };

static const struct root fast = {.fd = -1, .fast = true, .device = ROOT_DEVICE};
static const struct root slow = {.fd = -1, .fast = false, .device = ROOT_DEVICE};

static struct place make_place(dev_t device, ino_t ino, const char *name)
{
    struct place p = {.dir_fd = -1, .dir = {.st_dev = device, .st_ino = ino}};

    assert_true(strlen(name) < sizeof(p.name));
    strcpy(p.name, name);
    return p;
}

/* Of one place. */
static unsigned number_of(const struct root *root, dev_t device, ino_t ino, const char *name)
{
    struct place p = make_place(device, ino, name);
    struct name_lock lock = name_lock_take(root, &p, NULL);

    name_lock_release(lock);
    assert_int_equal(lock.first, lock.second);
    return lock.first;
}

/* Another descriptor of the folder, its times others, found by another way. */
static void the_same_name_is_the_same_lock(void **state)
{
    struct place a = make_place(ROOT_DEVICE, 2, "name"), same = make_place(ROOT_DEVICE, 2, "name");

    (void)state;
    same.dir_fd = 99;
    same.dir.st_mtim.tv_sec = 5;
    same.resolve = 1;
    struct name_lock one = name_lock_take(&fast, &a, NULL);
    name_lock_release(one);
    struct name_lock two = name_lock_take(&fast, &same, NULL);
    name_lock_release(two);
    assert_int_equal(one.first, two.first);
}

/* What a folder that ignores case, or a file system with names of its own kind, takes for one. */
static void other_spellings(void **state)
{
    static const char *const on_root[][2] = {
        {"name", "NAME"}, {"Name.TXT", "nAME.txt"}, {"\xc3\xa4.x", "\xc3\x84.X"}};
    static const char *const elsewhere[][2] = {
        {"name", "NAME"}, {"name", "name."}, {"long name.text", "LONGNA~1.TEX"}};

    (void)state;
    for (unsigned i = 0; i < COUNT(on_root); i++)
        assert_int_equal(number_of(&fast, ROOT_DEVICE, 2, on_root[i][0]),
                         number_of(&fast, ROOT_DEVICE, 2, on_root[i][1]));
    for (unsigned i = 0; i < COUNT(elsewhere); i++) {
        assert_int_equal(number_of(&fast, OTHER_DEVICE, 2, elsewhere[i][0]),
                         number_of(&fast, OTHER_DEVICE, 2, elsewhere[i][1]));
        assert_int_equal(number_of(&slow, ROOT_DEVICE, 2, elsewhere[i][0]),
                         number_of(&slow, ROOT_DEVICE, 2, elsewhere[i][1]));
    }
}

/* They are spread over the locks, by name and by folder. */
static void different_names(void **state)
{
    enum { KINDS = 4 };
    bool used[256][KINDS] = {{false}};
    unsigned counts[KINDS] = {0};
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "file%u", i);
        const unsigned numbers[KINDS] = {number_of(&fast, ROOT_DEVICE, 2, name),
                                         number_of(&fast, ROOT_DEVICE, 1000 + i, "x"),
                                         number_of(&fast, OTHER_DEVICE, 1000 + i, "x"),
                                         number_of(&slow, ROOT_DEVICE, 1 + i, "x")};
        for (unsigned n = 0; n < KINDS; n++) {
            assert_in_range(numbers[n], 0, COUNT(used) - 1);
            counts[n] += !used[numbers[n]][n];
            used[numbers[n]][n] = true;
        }
    }
    for (unsigned n = 0; n < KINDS; n++)
        assert_true(counts[n] > 50);
    for (unsigned i = 0; i < COUNT(used); i++)
        assert_false((used[i][0] || used[i][1]) && (used[i][2] || used[i][3]));
}

enum { THREADS = 4, ROUNDS = 20000, NAMES = 5 };

static struct place names[NAMES];
static unsigned holders[NAMES], taken[NAMES]; /* under the names' locks, or not at all */
static _Atomic unsigned collisions;

static void enter(unsigned i)
{
    collisions += holders[i]++ != 0;
    taken[i]++;
}

static void *take_names(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        random = random * 1103515245 + 12345;
        unsigned a = random >> 16 & 7, b = random >> 20 & 7;
        a %= NAMES;
        b %= NAMES;
        struct name_lock lock =
            name_lock_take(&fast, &names[a], random & 1 << 30 ? &names[b] : NULL);
        bool two = random & 1 << 30 && a != b;
        enter(a);
        if (two)
            enter(b);
        holders[a]--;
        if (two)
            holders[b]--;
        name_lock_release(lock);
    }
    return NULL;
}

static void many_at_once(void **state)
{
    pthread_t threads[THREADS];
    unsigned total = 0;

    (void)state;
    for (unsigned i = 0; i < NAMES; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        names[i] = make_place(ROOT_DEVICE, i / 2, name);
    }
    alarm(60); /* a deadlock would last for ever */
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_names, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    alarm(0);
    assert_int_equal(collisions, 0);
    for (unsigned i = 0; i < NAMES; i++)
        total += taken[i];
    assert_true(total > THREADS * ROUNDS);
}

/* Nobody may wait for a file system that is slower than his. */
static void file_systems_do_not_wait(void **state)
{
    struct place p = make_place(OTHER_DEVICE, 2, "name"), q = make_place(OTHER_DEVICE, 4, "other");
    struct place ours = make_place(ROOT_DEVICE, 2, "name");

    (void)state;
    alarm(60);
    struct name_lock slower = name_lock_take(&fast, &p, &q);
    for (unsigned i = 0; i < 1000; i++) {
        ours.dir.st_ino = i;
        name_lock_release(name_lock_take(&fast, &ours, NULL));
    }
    name_lock_release(slower);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_name_is_the_same_lock),
        cmocka_unit_test(other_spellings),
        cmocka_unit_test(different_names),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(file_systems_do_not_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
