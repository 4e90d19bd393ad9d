#include "auth/users_file.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "auth/credential.h"
#include "auth/statefile.h"
#include "base/cleanup.h"

int users_default_path(char ret_path[PATH_MAX])
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    bool has_config = config && config[0] == '/'; /* a relative one is to be ignored (XDG) */
    struct passwd *pw = has_config || (home && home[0]) ? NULL : getpwuid(geteuid());

    if (pw)
        home = pw->pw_dir;
    if (!has_config && (!home || !home[0]))
        return -ENOENT;
    int len = snprintf(ret_path, PATH_MAX, "%s%s/fastfile/users", has_config ? config : home,
                       has_config ? "" : "/.config");
    return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int users_file_load(const char *path, struct users *ret_users, struct users_error *ret_error)
{
    struct stat st;
    _cleanup_(buf_finish) struct buf text;

    *ret_error = (struct users_error){0};
    buf_init_growing(&text, LIMIT_USERS_FILE_BYTES);
    int r = statefile_read(path, &text, &st);
    if (r == 0)
        r = users_parse(buf_span(&text), ret_users, ret_error);
    if (r == 0)
        ret_users->others_can_read = (st.st_mode & S_IROTH) != 0;
    return r;
}

static int check_text(struct span text, struct users_error *ret_error)
{
    struct users users = {0};
    int r = users_parse(text, &users, ret_error);

    users_finish(&users);
    return r;
}

/* What a program may replace without being told to by hand. */
static int check_owner(int read_result, const struct stat *st)
{
    if (read_result == -ENOENT)
        return -ENODATA; /* ENOENT is about a user or an app password */
    return st->st_uid == geteuid() ? 0 : -EPERM;
}

/* What happens under the lock. */
static int update_locked(const char *path, users_edit_fn *edit, void *context, bool by_hand,
                         struct users_error *ret_error)
{
    struct stat st;
    _cleanup_(buf_finish) struct buf old, new;

    buf_init_growing(&old, LIMIT_USERS_FILE_BYTES);
    buf_init_growing(&new, LIMIT_USERS_FILE_BYTES);
    int r = statefile_read(path, &old, &st);
    bool exists = r == 0;
    if (r < 0 && r != -ENOENT)
        return r;
    r = by_hand ? 0 : check_owner(r, &st);
    if (r == 0)
        r = check_text(buf_span(&old), ret_error);
    if (r == 0)
        r = edit(buf_span(&old), &new, context);
    if (r == 0 && buf_failed(&new))
        r = -EFBIG;
    if (r == 0)
        r = check_text(buf_span(&new), ret_error);
    if (r < 0)
        return r;
    statefile_remove_leftovers(path);
    return by_hand ? statefile_replace(path, buf_span(&new), exists ? &st : NULL)
                   : statefile_replace_alike(path, buf_span(&new), &st);
}

static int update(const char *path, users_edit_fn *edit, void *context, bool by_hand,
                  struct users_error *ret_error)
{
    /* A symbolic link stays: what it points to is replaced. */
    _cleanup_free_ char *resolved = realpath(path, NULL);

    *ret_error = (struct users_error){0};
    if (resolved)
        path = resolved;
    _cleanup_close_ int folder = statefile_open_folder(path);
    if (folder < 0)
        return folder;
    while (flock(folder, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    return update_locked(path, edit, context, by_hand, ret_error);
}

int users_file_update(const char *path, users_edit_fn *edit, void *context,
                      struct users_error *ret_error)
{
    return update(path, edit, context, true, ret_error);
}

struct edit {
    struct span name, label, hash;
    const uint64_t *stamp; /* NULL: whatever it is */
    uint8_t digest[DIGEST_BYTES];
    bool read_only;
};

static int edit_set(struct span text, struct buf *out, void *context)
{
    const struct edit *e = context;

    return users_edit_set(text, e->name, e->hash, e->read_only, out);
}

static int edit_delete(struct span text, struct buf *out, void *context)
{
    const struct edit *e = context;

    return users_edit_delete(text, e->name, out);
}

/* Whether the user still has the password with which somebody logged in. */
static int check_stamp(struct span text, const struct edit *e)
{
    struct users users = {0};
    struct users_error error;

    if (!e->stamp)
        return 0;
    int r = users_parse(text, &users, &error);
    if (r < 0)
        return r;
    const struct user *user = users_find(&users, e->name);
    if (!user || user->locked || user->stamp != *e->stamp)
        r = -ENOKEY;
    users_finish(&users);
    return r;
}

static int edit_add_app(struct span text, struct buf *out, void *context)
{
    const struct edit *e = context;
    int r = check_stamp(text, e);

    return r < 0 ? r : users_edit_add_app(text, e->name, e->label, e->digest, e->read_only, out);
}

static int edit_delete_app(struct span text, struct buf *out, void *context)
{
    const struct edit *e = context;
    int r = check_stamp(text, e);

    return r < 0 ? r : users_edit_delete_app(text, e->name, e->label, out);
}

int users_file_set(const char *path, struct span name, struct span password, bool read_only,
                   struct users_error *ret_error)
{
    char hash[PASSWORD_HASH_BYTES];

    *ret_error = (struct users_error){0};
    if (!users_name_valid(name) || !credential_password_valid(name, password))
        return -EINVAL;
    int r = password_hash(password, hash);
    if (r < 0)
        return r;
    struct edit e = {.name = name, .hash = span_str(hash), .read_only = read_only};
    return users_file_update(path, edit_set, &e, ret_error);
}

int users_file_delete(const char *path, struct span name, struct users_error *ret_error)
{
    struct edit e = {.name = name};

    return users_file_update(path, edit_delete, &e, ret_error);
}

int users_file_add_app(const char *path, struct span name, struct span label, bool read_only,
                       const uint64_t *stamp, char ret_password[PASSWORD_APP_BYTES],
                       struct users_error *ret_error)
{
    struct edit e = {.name = name, .label = label, .stamp = stamp, .read_only = read_only};
    char password[PASSWORD_APP_BYTES];

    *ret_error = (struct users_error){0};
    int r = password_app_random(password);
    if (r < 0)
        return r;
    password_app_digest(span_str(password), e.digest);
    r = update(path, edit_add_app, &e, !stamp, ret_error);
    if (r == 0)
        memcpy(ret_password, password, sizeof(password));
    explicit_bzero(password, sizeof(password));
    return r;
}

int users_file_delete_app(const char *path, struct span name, struct span label,
                          const uint64_t *stamp, struct users_error *ret_error)
{
    struct edit e = {.name = name, .label = label, .stamp = stamp};

    return update(path, edit_delete_app, &e, !stamp, ret_error);
}
