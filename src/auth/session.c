#include "auth/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/statefile.h"
#include "auth/users.h"
#include "base/cleanup.h"

enum { BUCKETS = 1024 };

static const struct span version_line = {"fastfile sessions 1", 19};

int session_store_init(struct session_store *store)
{
    *store = (struct session_store){.buckets = calloc(BUCKETS, sizeof(*store->buckets))};
    list_init(&store->by_use);
    return store->buckets ? 0 : -ENOMEM;
}

void session_store_finish(struct session_store *store)
{
    for (struct list *node; (node = list_pop_first(&store->by_use));)
        free(container_of(node, struct session, by_use));
    free(store->buckets);
    *store = (struct session_store){0};
    list_init(&store->by_use);
}

/* Digests are SHA-256 of what we made ourselves: two bytes of them spread evenly. */
static struct session **bucket_of(struct session_store *store, const uint8_t digest[DIGEST_BYTES])
{
    return &store->buckets[(digest[0] | digest[1] << 8) % BUCKETS];
}

static struct session *look_up(struct session_store *store, const uint8_t digest[DIGEST_BYTES])
{
    for (struct session *s = *bucket_of(store, digest); s; s = s->next_in_bucket)
        if (digest_equal(s->digest, digest))
            return s;
    return NULL;
}

static bool is_expired(const struct session *s, int64_t now_s)
{
    /* From the future: the clock was wrong then or is wrong now; a little is forgiven. */
    return now_s - s->created_s >= LIMIT_SESSION_S || now_s - s->used_s >= LIMIT_SESSION_IDLE_S ||
           s->used_s - now_s >= LIMIT_SESSION_S;
}

static bool belongs_to(const struct session *s, struct span user)
{
    return span_equal(span_str(s->user), user);
}

static void end(struct session_store *store, struct session *s)
{
    struct session **link = bucket_of(store, s->digest);

    if (store->ended)
        store->ended(s, store->context);
    while (*link != s)
        link = &(*link)->next_in_bucket;
    *link = s->next_in_bucket;
    list_remove(&s->by_use);
    store->count--;
    store->dirty = true;
    free(s);
}

static struct session *session_at(struct list *node)
{
    return container_of(node, struct session, by_use);
}

static void make_room(struct session_store *store, struct span user)
{
    struct session *oldest = NULL;
    size_t of_user = 0;

    for (struct list *node = store->by_use.next; node != &store->by_use; node = node->next) {
        if (!belongs_to(session_at(node), user))
            continue;
        oldest = oldest ? oldest : session_at(node);
        of_user++;
    }
    if (of_user >= LIMIT_SESSIONS_PER_USER)
        end(store, oldest);
    else if (store->count >= LIMIT_SESSIONS)
        end(store, session_at(store->by_use.next));
}

/* Adds a session with these times; the caller sets the digest. */
static int insert(struct session_store *store, const uint8_t digest[DIGEST_BYTES], struct span user,
                  uint64_t stamp, int64_t created_s, int64_t used_s)
{
    if (user.len > LIMIT_USER_NAME_BYTES)
        return -EINVAL;
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    make_room(store, user);
    s->stamp = stamp;
    s->created_s = created_s;
    s->used_s = used_s;
    memcpy(s->digest, digest, DIGEST_BYTES);
    memcpy(s->user, user.data, user.len);
    s->next_in_bucket = *bucket_of(store, digest);
    *bucket_of(store, digest) = s;
    list_append(&store->by_use, &s->by_use);
    store->count++;
    return 0;
}

/* 32 bytes as base64url without padding (RFC 4648 section 5). */
static void print_token(const uint8_t random[32], char ret_token[CREDENTIAL_TOKEN_CHARS + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < CREDENTIAL_TOKEN_CHARS; i++) {
        size_t at = i * 6 / 8;
        unsigned two = (unsigned)random[at] << 8 | (at + 1 < 32 ? random[at + 1] : 0u);

        ret_token[i] = digits[two >> (10 - i * 6 % 8) & 63];
    }
    ret_token[CREDENTIAL_TOKEN_CHARS] = '\0';
}

int session_create(struct session_store *store, struct span user, uint64_t stamp, int64_t now_s,
                   char ret_token[CREDENTIAL_TOKEN_CHARS + 1], uint8_t ret_digest[DIGEST_BYTES])
{
    char token[CREDENTIAL_TOKEN_CHARS + 1];
    uint8_t random[32];
    struct credential c;

    if (getentropy(random, sizeof(random)) < 0)
        return -errno;
    print_token(random, token);
    credential_from_fields((struct span){0}, span_of(token, CREDENTIAL_TOKEN_CHARS), &c);
    credential_digest(&c, ret_digest);
    int r = insert(store, ret_digest, user, stamp, now_s, now_s);
    if (r == 0) {
        memcpy(ret_token, token, sizeof(token));
        store->dirty = true;
    }
    explicit_bzero(random, sizeof(random));
    explicit_bzero(token, sizeof(token));
    credential_wipe(&c);
    return r;
}

const struct session *session_find(struct session_store *store, const uint8_t digest[DIGEST_BYTES],
                                   int64_t now_s)
{
    struct session *s = look_up(store, digest);

    if (!s)
        return NULL;
    if (is_expired(s, now_s)) {
        end(store, s);
        return NULL;
    }
    if (now_s - s->used_s >= LIMIT_SESSION_GRAIN_S) {
        s->used_s = now_s;
        list_remove(&s->by_use);
        list_append(&store->by_use, &s->by_use);
        store->dirty = true;
    }
    return s;
}

bool session_end(struct session_store *store, const uint8_t digest[DIGEST_BYTES])
{
    struct session *s = look_up(store, digest);

    if (s)
        end(store, s);
    return s != NULL;
}

size_t session_end_user(struct session_store *store, struct span user)
{
    size_t before = store->count;

    for (struct list *next, *node = store->by_use.next; node != &store->by_use; node = next) {
        next = node->next;
        if (belongs_to(session_at(node), user))
            end(store, session_at(node));
    }
    return before - store->count;
}

size_t session_expire(struct session_store *store, int64_t now_s)
{
    size_t before = store->count;

    for (struct list *next, *node = store->by_use.next; node != &store->by_use; node = next) {
        next = node->next;
        if (is_expired(session_at(node), now_s))
            end(store, session_at(node));
    }
    return before - store->count;
}

/* --- as text: digest, stamp, created, used, user (last, because it may contain blanks) --- */

void session_store_print(const struct session_store *store, struct buf *out)
{
    buf_append(out, version_line);
    buf_append_char(out, '\n');
    for (struct list *node = store->by_use.next; node != &store->by_use; node = node->next) {
        const struct session *s = session_at(node);
        char hex[2 * DIGEST_BYTES];

        digest_to_hex(s->digest, hex);
        buf_append(out, span_of(hex, sizeof(hex)));
        buf_printf(out, " %" PRIu64 " %" PRId64 " %" PRId64 " %s\n", s->stamp, s->created_s,
                   s->used_s, s->user);
    }
}

/* Parses one line into the store; an expired session is silently left out. */
static int parse_line(struct session_store *store, struct span line, int64_t now_s)
{
    uint64_t stamp, created, used;
    struct session parsed;

    if (digest_from_hex(span_split(&line, ' '), parsed.digest) < 0 ||
        span_to_u64(span_split(&line, ' '), &stamp) < 0 ||
        span_to_u64(span_split(&line, ' '), &created) < 0 ||
        span_to_u64(span_split(&line, ' '), &used) < 0)
        return -EINVAL;
    if (!line.data || !users_name_valid(line) || created > used || used > INT64_MAX ||
        look_up(store, parsed.digest))
        return -EINVAL;
    parsed.created_s = (int64_t)created;
    parsed.used_s = (int64_t)used;
    if (is_expired(&parsed, now_s))
        return 0;
    return insert(store, parsed.digest, line, stamp, parsed.created_s, parsed.used_s);
}

int session_store_parse(struct session_store *store, struct span text, int64_t now_s)
{
    int left_out = 0;

    if (!span_equal(span_split(&text, '\n'), version_line))
        return -EBADMSG;
    while (text.len > 0)
        if (parse_line(store, span_split(&text, '\n'), now_s) < 0)
            left_out++;
    return left_out;
}

int session_store_save(struct session_store *store, const char *path)
{
    _cleanup_(buf_finish) struct buf text;

    buf_init_growing(&text, LIMIT_SESSIONS_FILE_BYTES);
    session_store_print(store, &text);
    if (buf_failed(&text))
        return -ENOMEM;
    int r = statefile_replace(path, buf_span(&text), NULL);
    if (r == 0)
        store->dirty = false;
    return r;
}

int session_store_load(struct session_store *store, const char *path, int64_t now_s)
{
    _cleanup_(buf_finish) struct buf text;

    buf_init_growing(&text, LIMIT_SESSIONS_FILE_BYTES);
    int r = statefile_read(path, &text, NULL);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : session_store_parse(store, buf_span(&text), now_s);
}
