/* The users file: who may log in.
 *
 *     # comment
 *     name:crypt(3) hash[:ro]
 *     name/label:{SHA256}64 hexadecimal digits[:ro]      an app password of that user
 *
 * A hash that starts with '!' or '*' locks the user, app passwords and sessions included. An app
 * password without its user's line has no effect, so deleting that line by hand is enough. Parsing
 * and editing work on text; files are the business of users_file.h.
 */
#pragma once

#include "auth/digest.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/span.h"

struct app_password {
    struct span user, label;
    uint8_t digest[DIGEST_BYTES]; /* password_app_digest() */
    bool read_only;
    unsigned line;
};

struct user {
    struct span name;
    struct span hash;
    /* Changes whenever the password does (or is locked), so that what was opened with the old one
     * can be told from what was opened with the new one, across restarts too. */
    uint64_t stamp;
    bool read_only;
    bool locked;
    unsigned line;
    const struct app_password *apps;
    size_t app_count;
};

/* Owns its text; the spans of users and app passwords point into it. Move it by assignment. */
struct users {
    char *text;
    struct user *users; /* sorted by name */
    size_t count;
    struct app_password *apps; /* sorted by user, then label */
    size_t app_count;
    /* Set by users_file_load(): readable by more than its owner and group. */
    bool others_can_read;
};

struct users_error {
    unsigned line;    /* 0: not about one line */
    const char *what; /* a static text, or NULL */
};

/* Parses all of `text`. Returns 0 or -ENOMEM, or -EBADMSG with `ret_error` filled: one bad line
 * makes the whole file bad, so that a typing error never silently locks somebody out or lets
 * somebody in. */
int users_parse(struct span text, struct users *ret_users, struct users_error *ret_error);
void users_finish(struct users *users);

/* The user of that name or NULL. Takes as many steps for an unknown name as for a known one. */
const struct user *users_find(const struct users *users, struct span name);

/* The app password of `user` with that digest or NULL; always compares with all of them. */
const struct app_password *user_find_app(const struct user *user,
                                         const uint8_t digest[DIGEST_BYTES]);

/* What tells one app password of a user from another, and is never 0. */
uint64_t user_app_mark(const struct app_password *app);

/* 1 to 64 bytes of UTF-8 without ':', '/', control characters, blanks at the ends, or a '#' in
 * front. */
bool users_name_valid(struct span name);
/* The same for a label, which may contain '/' . */
bool users_label_valid(struct span label);

/* --- editing: append to `out` what `text` becomes; comments, order and all other lines stay ---
 *
 * They return 0, -EINVAL for a name, hash or label that may not be, or the error given; what does
 * not fit is told by buf_failed(out). */

/* Adds a user or replaces the user's line; app passwords stay. */
int users_edit_set(struct span text, struct span name, struct span hash, bool read_only,
                   struct buf *out);
/* Removes a user and the user's app passwords. -ENOENT where there is none. */
int users_edit_delete(struct span text, struct span name, struct buf *out);
/* Adds an app password below its user. -ENOENT: no such user; -EEXIST: the label is taken; -E2BIG:
 * the user has LIMIT_APP_PASSWORDS. */
int users_edit_add_app(struct span text, struct span name, struct span label,
                       const uint8_t digest[DIGEST_BYTES], bool read_only, struct buf *out);
/* -ENOENT: no such app password. */
int users_edit_delete_app(struct span text, struct span name, struct span label, struct buf *out);
