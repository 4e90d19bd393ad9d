/* The text of the users file: what is accepted is consistent, and edits of it are accepted too and
 * change what they are meant to and nothing else. */
#include <assert.h>
#include <errno.h>

#include "auth/users.h"

#define HASH "$y$j9T$aaaaaaaaaaaaaaaaaaaaa/$TJRjgOOkP7YqSb0NY1gkDP1P9TtA6jMzy7Mp7NqLWb/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_users(const struct users *users)
{
    for (size_t i = 0; i < users->count; i++) {
        const struct user *user = &users->users[i];

        assert(users_name_valid(user->name));
        assert(user->hash.len > 0 && user->hash.len < LIMIT_USER_HASH_BYTES);
        assert(users_find(users, user->name) == user);
        assert(user->app_count <= LIMIT_APP_PASSWORDS);
        for (size_t j = 0; j < user->app_count; j++) {
            assert(span_equal(user->apps[j].user, user->name));
            assert(users_label_valid(user->apps[j].label));
            assert(user_find_app(user, user->apps[j].digest));
        }
    }
}

static struct users parse_edited(struct buf *text)
{
    struct users users;
    struct users_error error;

    assert(!buf_failed(text));
    assert(users_parse(buf_span(text), &users, &error) == 0);
    check_users(&users);
    return users;
}

/* Everybody but `name` is as before. */
static void check_others(const struct users *before, const struct users *after, struct span name)
{
    for (size_t i = 0; i < before->count; i++) {
        const struct user *was = &before->users[i], *is = users_find(after, was->name);

        if (span_equal(was->name, name))
            continue;
        assert(is && span_equal(was->hash, is->hash) && was->stamp == is->stamp);
        assert(was->read_only == is->read_only && was->app_count == is->app_count);
    }
}

static void check_edits(struct span text, const struct users *before, struct span name)
{
    const uint8_t digest[DIGEST_BYTES] = {1, 2, 3};
    const struct user *was = users_find(before, name);
    struct buf out;

    buf_init_growing(&out, LIMIT_USERS_FILE_BYTES);
    assert(users_edit_set(text, name, SPAN(HASH), true, &out) == 0);
    struct users after = parse_edited(&out);
    const struct user *is = users_find(&after, name);
    assert(is && is->read_only && span_equal(is->hash, SPAN(HASH)));
    assert(after.count == before->count + (was ? 0 : 1));
    check_others(before, &after, name);
    size_t app_count = is->app_count;
    users_finish(&after);

    struct buf with_app;
    buf_init_growing(&with_app, LIMIT_USERS_FILE_BYTES);
    int r = users_edit_add_app(buf_span(&out), name, SPAN("a label"), digest, false, &with_app);
    assert(r == 0 || r == -EEXIST);
    if (r == 0 && app_count < LIMIT_APP_PASSWORDS) {
        after = parse_edited(&with_app);
        is = users_find(&after, name);
        assert(is->app_count == app_count + 1 && user_find_app(is, digest));
        check_others(before, &after, name);
        users_finish(&after);
    }
    buf_finish(&with_app);

    out.len = 0;
    assert(users_edit_delete(text, name, &out) == (was ? 0 : -ENOENT));
    after = parse_edited(&out);
    assert(!users_find(&after, name));
    check_others(before, &after, name);
    users_finish(&after);
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct users users;
    struct users_error error;
    int r = users_parse(text, &users, &error);

    if (r < 0) {
        assert(r == -EBADMSG && error.what);
        return 0;
    }
    check_users(&users);
    if (users.count < LIMIT_USERS) {
        if (users.count > 0)
            check_edits(text, &users, users.users[size % users.count].name);
        check_edits(text, &users, SPAN("somebody new"));
    }
    users_finish(&users);
    return 0;
}
