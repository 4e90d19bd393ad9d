/* Deletions that can be taken back: whose they are, for how long, and that the table is bounded. */
#include "assert_span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "files/undo.h"

static int set_up(void **state)
{
    return undos_create((struct undos **)state);
}

static int tear_down(void **state)
{
    undos_destroy(*state);
    return 0;
}

static void add(struct undos *undos, const char *user, const char *path, uint64_t now_ms,
                char ret_token[UNDO_TOKEN_BYTES + 1])
{
    struct undo undo = {.item = {.deleted_s = 1, .name = "there"}, .is_folder = true};

    undo.user = span_str(user);
    undo.path = span_str(path);
    assert_int_equal(undos_add(undos, &undo, now_ms, ret_token), 0);
    assert_int_equal(strlen(ret_token), UNDO_TOKEN_BYTES);
}

static struct undo *take(struct undos *undos, const char *user, const char *token, uint64_t now_ms)
{
    return undos_take(undos, span_str(user), span_str(token), now_ms);
}

static bool is_there(struct undos *undos, const char *user, const char *token, uint64_t now_ms)
{
    struct undo *undo = take(undos, user, token, now_ms);

    if (undo)
        undos_put_back(undos, undo);
    return undo != NULL;
}

static void what_was_noted_is_found(void **state)
{
    char token[UNDO_TOKEN_BYTES + 1], path[] = "a/b", user[] = "alice";

    add(*state, user, path, 0, token);
    memset(path, 'x', 3); /* a copy was made */
    memset(user, 'x', 5);
    struct undo *undo = take(*state, "alice", token, 1);
    assert_non_null(undo);
    assert_span(undo->path, "a/b");
    assert_int_equal(undo->path.data[undo->path.len], '\0');
    assert_string_equal(undo->item.name, "there");
    assert_int_equal(undo->item.deleted_s, 1);
    assert_true(undo->is_folder);
    assert_null(take(*state, "alice", token, 1)); /* one at a time */
    undos_put_back(*state, undo);
    undo = take(*state, "alice", token, 1);
    assert_non_null(undo);
    free(undo);
    assert_null(take(*state, "alice", token, 1));
}

static void it_is_one_users(void **state)
{
    char token[UNDO_TOKEN_BYTES + 1], nobodys[UNDO_TOKEN_BYTES + 1];

    add(*state, "alice", "x", 0, token);
    add(*state, "", "x", 0, nobodys);
    assert_false(is_there(*state, "bob", token, 0));
    assert_false(is_there(*state, "", token, 0));
    assert_false(is_there(*state, "alice", nobodys, 0));
    assert_true(is_there(*state, "alice", token, 0));
    assert_true(is_there(*state, "", nobodys, 0));
}

static void it_ends(void **state)
{
    char token[UNDO_TOKEN_BYTES + 1];

    add(*state, "alice", "x", 1000, token);
    assert_true(is_there(*state, "alice", token, 1000 + LIMIT_UNDO_MS - 1));
    assert_false(is_there(*state, "alice", token, 1000 + LIMIT_UNDO_MS));
}

static void other_tokens_are_none(void **state)
{
    static const char *const wrong[] = {"",
                                        "0000",
                                        "0001",
                                        "ffff",
                                        "00000000000000000000000000000000000g",
                                        "ffff00000000000000000000000000000000",
                                        "0fff00000000000000000000000000000000",
                                        "-00100000000000000000000000000000000"};
    char token[UNDO_TOKEN_BYTES + 1], other[UNDO_TOKEN_BYTES + 2];

    add(*state, "alice", "x", 0, token);
    for (unsigned i = 0; i < COUNT(wrong); i++)
        assert_false(is_there(*state, "alice", wrong[i], 0));
    for (unsigned i = 0; i < UNDO_TOKEN_BYTES; i++) {
        memcpy(other, token, sizeof(token));
        other[i] = other[i] == '0' ? '1' : '0';
        assert_false(is_there(*state, "alice", other, 0));
    }
    snprintf(other, sizeof(other), "%s0", token);
    assert_false(is_there(*state, "alice", other, 0));
    assert_true(is_there(*state, "alice", token, 0));
}

static void the_oldest_goes(void **state)
{
    char first[UNDO_TOKEN_BYTES + 1], second[UNDO_TOKEN_BYTES + 1], token[UNDO_TOKEN_BYTES + 1],
        user[16];

    add(*state, "alice", "first", 0, first);
    add(*state, "alice", "second", 0, second);
    struct undo *undo = take(*state, "alice", first, 0);
    assert_non_null(undo);
    for (unsigned i = 2; i <= LIMIT_UNDOS; i++) {
        snprintf(user, sizeof(user), "%u", i % (2 * LIMIT_UNDOS / LIMIT_UNDOS_PER_USER));
        add(*state, user, "another", 0, token);
    }
    undos_put_back(*state, undo); /* its place is another's by now */
    assert_false(is_there(*state, "alice", first, 0));
    assert_true(is_there(*state, "alice", second, 0));
    assert_true(is_there(*state, user, token, 0));
}

/* Whoever deletes without end loses his own. */
static void a_user_has_a_share(void **state)
{
    char alices[UNDO_TOKEN_BYTES + 1], first[UNDO_TOKEN_BYTES + 1], second[UNDO_TOKEN_BYTES + 1],
        token[UNDO_TOKEN_BYTES + 1];

    add(*state, "alice", "x", 0, alices);
    add(*state, "bob", "first", 0, first);
    add(*state, "bob", "second", 0, second);
    for (unsigned i = 2; i < LIMIT_UNDOS_PER_USER; i++)
        add(*state, "bob", "another", 0, token);
    assert_true(is_there(*state, "bob", first, 0));
    add(*state, "bob", "one too many", 0, token);
    assert_false(is_there(*state, "bob", first, 0));
    assert_true(is_there(*state, "bob", second, 0));
    for (unsigned i = 0; i < LIMIT_UNDOS; i++)
        add(*state, "bob", "another", 0, token);
    assert_true(is_there(*state, "alice", alices, 0));
    assert_true(is_there(*state, "bob", token, 0));
}

/* Another deletion takes no place of what is just being taken back. */
static void what_is_out_keeps_its_place(void **state)
{
    char first[UNDO_TOKEN_BYTES + 1], token[UNDO_TOKEN_BYTES + 1];

    add(*state, "alice", "x", 0, first);
    struct undo *undo = take(*state, "alice", first, 0);
    assert_non_null(undo);
    add(*state, "alice", "y", 0, token);
    undos_put_back(*state, undo);
    assert_true(is_there(*state, "alice", first, 0));
    assert_true(is_there(*state, "alice", token, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_noted_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_one_users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_tokens_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_has_a_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_out_keeps_its_place, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
