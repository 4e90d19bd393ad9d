#include "auth/users.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/password.h"

/* --- names --- */

/* The length of the UTF-8 sequence (RFC 3629) at the start of `s`, or 0 where there is none. */
static size_t utf8_sequence(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code = len > 0 ? p[0] & (0xffu >> (len == 1 ? 1 : len + 1)) : 0;

    if (len == 0 || len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return len;
}

static bool is_plain_text(struct span s, const char *forbidden)
{
    while (s.len > 0) {
        size_t n = utf8_sequence(s);
        unsigned char first = (unsigned char)s.data[0];

        if (n == 0 || first < 0x20 || first == 0x7f || strchr(forbidden, s.data[0]))
            return false;
        /* U+0080 to U+009F: control characters too, which terminals obey. */
        if (n == 2 && first == 0xc2 && (unsigned char)s.data[1] < 0xa0)
            return false;
        s = span_skip(s, n);
    }
    return true;
}

bool users_name_valid(struct span name)
{
    return name.len >= 1 && name.len <= LIMIT_USER_NAME_BYTES && name.data[0] != '#' &&
           span_trim(name).len == name.len && is_plain_text(name, ":/");
}

bool users_label_valid(struct span label)
{
    return label.len >= 1 && label.len <= LIMIT_APP_LABEL_BYTES &&
           span_trim(label).len == label.len && is_plain_text(label, ":");
}

/* --- lines --- */

enum line_kind { LINE_EMPTY, LINE_USER, LINE_APP, LINE_BAD };

struct line {
    enum line_kind kind;
    struct span name, label, secret;
    bool read_only;
    uint8_t digest[DIGEST_BYTES];
    const char *what; /* what is wrong with a bad one */
};

static struct line bad(const char *what)
{
    return (struct line){.kind = LINE_BAD, .what = what};
}

static bool is_locked(struct span hash)
{
    return hash.len > 0 && (hash.data[0] == '!' || hash.data[0] == '*');
}

static bool hash_valid(struct span hash)
{
    return hash.len < LIMIT_USER_HASH_BYTES && is_plain_text(hash, ": ") &&
           (is_locked(hash) || password_hash_supported(hash));
}

static struct line check_app(struct line line)
{
    static const struct span scheme = {"{SHA256}", 8};

    if (!users_label_valid(line.label))
        return bad("the name of an app password is empty, too long or has forbidden characters");
    if (!span_starts_with(line.secret, scheme) ||
        digest_from_hex(span_skip(line.secret, scheme.len), line.digest) < 0)
        return bad("an app password must be {SHA256} and 64 hexadecimal digits");
    return line;
}

static struct line parse_line(struct span s)
{
    struct line line = {.kind = LINE_EMPTY};

    if (s.len > 0 && s.data[s.len - 1] == '\r') /* written by an editor of another system */
        s.len--;
    if (span_trim(s).len == 0 || span_trim(s).data[0] == '#')
        return line;
    if (span_find(s, ':') == s.len)
        return bad("no colon: a line is name:hash or name:hash:ro");

    line.label = span_split(&s, ':');
    line.name = span_split(&line.label, '/');
    line.secret = span_split(&s, ':');
    line.read_only = s.data != NULL;
    line.kind = line.label.data ? LINE_APP : LINE_USER;
    if (line.read_only && !span_equal(s, SPAN("ro")))
        return bad("only \"ro\" may follow the hash");
    if (!users_name_valid(line.name))
        return bad("the user name is empty, too long or has forbidden characters");
    if (line.kind == LINE_APP)
        return check_app(line);
    if (!hash_valid(line.secret))
        return bad("not a password hash this system knows (`fastfile passwd` makes one)");
    return line;
}

/* --- parsing --- */

static int compare(struct span a, struct span b)
{
    int r = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return r != 0 ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare_users(const void *a, const void *b)
{
    return compare(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static int compare_apps(const void *a, const void *b)
{
    const struct app_password *x = a, *y = b;
    int r = compare(x->user, y->user);

    return r != 0 ? r : compare(x->label, y->label);
}

static int fail(struct users_error *ret_error, unsigned line, const char *what)
{
    *ret_error = (struct users_error){line, what};
    return -EBADMSG;
}

static uint64_t password_stamp(struct span hash)
{
    uint8_t digest[DIGEST_BYTES];
    uint64_t stamp = 0;

    digest_sha256(hash, (struct span){0}, digest);
    for (size_t i = 0; i < sizeof(stamp); i++)
        stamp = stamp << 8 | digest[i]; /* it is stored: the same on every machine */
    return stamp;
}

static struct user make_user(const struct line *line, unsigned number)
{
    return (struct user){
        .name = line->name,
        .hash = line->secret,
        .stamp = password_stamp(line->secret),
        .read_only = line->read_only,
        .locked = is_locked(line->secret),
        .line = number,
    };
}

static struct app_password make_app(const struct line *line, unsigned number)
{
    struct app_password app = {
        .user = line->name,
        .label = line->label,
        .read_only = line->read_only,
        .line = number,
    };

    memcpy(app.digest, line->digest, DIGEST_BYTES);
    return app;
}

/* Goes through the lines; counts users and app passwords, and keeps them where the arrays exist. */
static int scan(struct users *u, struct span text, struct users_error *ret_error)
{
    u->count = u->app_count = 0;
    for (unsigned number = 1; text.len > 0; number++) {
        struct line line = parse_line(span_split(&text, '\n'));

        if (line.kind == LINE_BAD)
            return fail(ret_error, number, line.what);
        if (line.kind == LINE_USER) {
            if (u->count == LIMIT_USERS)
                return fail(ret_error, number, "more users than this server is made for");
            if (u->users)
                u->users[u->count] = make_user(&line, number);
            u->count++;
        }
        if (line.kind == LINE_APP) {
            if (u->apps)
                u->apps[u->app_count] = make_app(&line, number);
            u->app_count++;
        }
    }
    return 0;
}

static unsigned later(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* Sorts, gives each user the app passwords of that name, and finds what is there twice. */
static int link_up(struct users *u, struct users_error *ret_error)
{
    qsort(u->users, u->count, sizeof(*u->users), compare_users);
    qsort(u->apps, u->app_count, sizeof(*u->apps), compare_apps);
    for (size_t i = 1; i < u->count; i++)
        if (compare_users(&u->users[i - 1], &u->users[i]) == 0)
            return fail(ret_error, later(u->users[i - 1].line, u->users[i].line),
                        "this user has a line already");
    for (size_t i = 1; i < u->app_count; i++)
        if (compare_apps(&u->apps[i - 1], &u->apps[i]) == 0)
            return fail(ret_error, later(u->apps[i - 1].line, u->apps[i].line),
                        "this app password has a line already");

    const struct app_password *app = u->apps, *end = u->apps + u->app_count;
    for (struct user *user = u->users; user < u->users + u->count; user++) {
        while (app < end && compare(app->user, user->name) < 0)
            app++; /* of nobody: without effect */
        user->apps = app;
        while (app < end && compare(app->user, user->name) == 0)
            app++;
        user->app_count = (size_t)(app - user->apps);
        if (user->app_count > LIMIT_APP_PASSWORDS)
            return fail(ret_error, user->line, "this user has too many app passwords");
    }
    return 0;
}

int users_parse(struct span text, struct users *ret_users, struct users_error *ret_error)
{
    struct users u = {0};

    *ret_error = (struct users_error){0};
    if (text.len > LIMIT_USERS_FILE_BYTES)
        return fail(ret_error, 0, "the users file is too large");
    int r = scan(&u, text, ret_error);
    if (r < 0)
        return r;

    u.text = malloc(text.len + 1);
    u.users = calloc(u.count + 1, sizeof(*u.users));
    u.apps = calloc(u.app_count + 1, sizeof(*u.apps));
    r = -ENOMEM;
    if (u.text && u.users && u.apps) {
        if (text.len > 0)
            memcpy(u.text, text.data, text.len);
        r = scan(&u, span_of(u.text, text.len), ret_error);
    }
    if (r == 0)
        r = link_up(&u, ret_error);
    if (r < 0)
        users_finish(&u);
    else
        *ret_users = u;
    return r;
}

void users_finish(struct users *users)
{
    free(users->text);
    free(users->users);
    free(users->apps);
    *users = (struct users){0};
}

/* --- looking up --- */

const struct user *users_find(const struct users *users, struct span name)
{
    const struct user *at = users->users;

    if (users->count == 0)
        return NULL;
    /* Halves until one is left and only then looks whether that is it: no early exit for a hit. */
    for (size_t left = users->count; left > 1;) {
        size_t half = left / 2;

        if (compare(at[half].name, name) <= 0)
            at += half;
        left -= half;
    }
    return span_equal(at->name, name) ? at : NULL;
}

const struct app_password *user_find_app(const struct user *user,
                                         const uint8_t digest[DIGEST_BYTES])
{
    const struct app_password *hit = NULL;

    for (size_t i = 0; i < user->app_count; i++)
        if (digest_equal(user->apps[i].digest, digest))
            hit = &user->apps[i];
    return hit;
}

uint64_t user_app_mark(const struct app_password *app)
{
    uint64_t mark;

    memcpy(&mark, app->digest, sizeof(mark));
    return mark ? mark : 1;
}

/* --- editing --- */

static bool is_user(const struct line *line, struct span name)
{
    return line->kind == LINE_USER && span_equal(line->name, name);
}

static bool is_app(const struct line *line, struct span name, struct span label)
{
    return line->kind == LINE_APP && span_equal(line->name, name) && span_equal(line->label, label);
}

static void append_line(struct buf *out, struct span line)
{
    buf_append(out, line);
    buf_append_char(out, '\n');
}

static void print_user(struct buf *out, struct span name, struct span hash, bool read_only)
{
    buf_append(out, name);
    buf_append_char(out, ':');
    buf_append(out, hash);
    buf_append_str(out, read_only ? ":ro\n" : "\n");
}

int users_edit_set(struct span text, struct span name, struct span hash, bool read_only,
                   struct buf *out)
{
    bool found = false;

    if (!users_name_valid(name) || !hash_valid(hash))
        return -EINVAL;
    while (text.len > 0) {
        struct span raw = span_split(&text, '\n');
        struct line line = parse_line(raw);

        if (is_user(&line, name)) {
            print_user(out, name, hash, read_only);
            found = true;
        } else {
            append_line(out, raw);
        }
    }
    if (!found)
        print_user(out, name, hash, read_only);
    return 0;
}

int users_edit_delete(struct span text, struct span name, struct buf *out)
{
    int r = -ENOENT;

    while (text.len > 0) {
        struct span raw = span_split(&text, '\n');
        struct line line = parse_line(raw);

        if (is_user(&line, name))
            r = 0;
        else if (line.kind != LINE_APP || !span_equal(line.name, name))
            append_line(out, raw);
    }
    return r;
}

int users_edit_add_app(struct span text, struct span name, struct span label,
                       const uint8_t digest[DIGEST_BYTES], bool read_only, struct buf *out)
{
    char hex[2 * DIGEST_BYTES];
    struct span behind = {0}; /* what follows the last line of this user */
    bool found = false;
    unsigned count = 0;

    if (!users_label_valid(label))
        return -EINVAL;
    for (struct span rest = text; rest.len > 0;) {
        struct line line = parse_line(span_split(&rest, '\n'));

        if (is_app(&line, name, label))
            return -EEXIST;
        bool is_users_app = line.kind == LINE_APP && span_equal(line.name, name);
        count += is_users_app;
        found = found || is_user(&line, name);
        if (is_user(&line, name) || is_users_app)
            behind = rest;
    }
    if (!found)
        return -ENOENT;
    if (count >= LIMIT_APP_PASSWORDS)
        return -E2BIG;

    struct span before = span_first(text, text.len - behind.len);
    buf_append(out, before);
    if (before.data[before.len - 1] != '\n')
        buf_append_char(out, '\n');
    digest_to_hex(digest, hex);
    buf_append(out, name);
    buf_append_char(out, '/');
    buf_append(out, label);
    buf_append_str(out, ":{SHA256}");
    buf_append(out, span_of(hex, sizeof(hex)));
    buf_append_str(out, read_only ? ":ro\n" : "\n");
    buf_append(out, behind);
    return 0;
}

int users_edit_delete_app(struct span text, struct span name, struct span label, struct buf *out)
{
    int r = -ENOENT;

    while (text.len > 0) {
        struct span raw = span_split(&text, '\n');
        struct line line = parse_line(raw);

        if (is_app(&line, name, label))
            r = 0;
        else
            append_line(out, raw);
    }
    return r;
}
