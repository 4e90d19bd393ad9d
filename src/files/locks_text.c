#include "files/locks_text.h"

#include <assert.h>
#include <errno.h>

#include "auth/digest.h"

enum { SUM_DIGITS = 16 };

/* --- writing --- */

struct writing {
    struct buf *out;
    unsigned count;
};

static void append_number(struct buf *out, uint64_t number)
{
    buf_append_char(out, ' ');
    buf_append_u64(out, number);
}

static void append_lock(void *context, const struct lock *lock, uint32_t seconds_left)
{
    struct writing *w = context;

    buf_append(w->out, span_of(lock->token, LOCK_TOKEN_BYTES));
    append_number(w->out, seconds_left);
    buf_append(w->out, lock->is_shared ? SPAN(" s") : SPAN(" x"));
    buf_append(w->out, lock->is_infinite ? SPAN(" i") : SPAN(" 0"));
    append_number(w->out, lock->user.len);
    append_number(w->out, lock->path.len);
    append_number(w->out, lock->owner.len);
    buf_append_char(w->out, '\n');
    buf_append(w->out, lock->user);
    buf_append(w->out, lock->path);
    buf_append(w->out, lock->owner);
    buf_append_char(w->out, '\n');
    w->count++;
}

static void make_sum(struct span text, char out[SUM_DIGITS])
{
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];

    digest_sha256(text, SPAN(""), digest);
    digest_to_hex(digest, hex);
    memcpy(out, hex, SUM_DIGITS);
}

uint64_t locks_text_format(struct locks *locks, const struct locks_text *head, struct buf *out)
{
    struct writing w = {.out = out};
    size_t start = out->len;
    char sum[SUM_DIGITS];

    buf_append(out, SPAN("fastfile-locks 1"));
    append_number(out, head->generation);
    buf_append_char(out, ' ');
    buf_append(out, span_of(head->boot, LOCKS_TEXT_BOOT_CHARS));
    append_number(out, head->now_ms);
    buf_append_char(out, '\n');
    uint64_t version = locks_each(locks, head->now_ms, append_lock, &w);
    make_sum(span_of(out->data + start, out->len - start), sum);
    buf_append(out, SPAN("end"));
    append_number(out, w.count);
    buf_append_char(out, ' ');
    buf_append(out, span_of(sum, SUM_DIGITS));
    buf_append_char(out, '\n');
    return version;
}

/* --- reading --- */

/* Of a number only the form that is written. */
static bool take_number(struct span *line, uint64_t max, uint64_t *ret_value)
{
    struct span digits = span_split(line, ' ');

    if (digits.len > 1 && digits.data[0] == '0')
        return false;
    return span_to_u64(digits, ret_value) == 0 && *ret_value <= max;
}

static bool take_choice(struct span *line, char no, char yes, bool *ret_choice)
{
    struct span word = span_split(line, ' ');

    if (word.len != 1 || (word.data[0] != no && word.data[0] != yes))
        return false;
    *ret_choice = word.data[0] == yes;
    return true;
}

static bool take_bytes(struct span *rest, uint64_t len, struct span *ret_bytes)
{
    if (len > rest->len)
        return false;
    *ret_bytes = span_first(*rest, len);
    *rest = span_skip(*rest, len);
    return true;
}

/* A line, and its end too. */
static bool take_line(struct span *rest, struct span *ret_line)
{
    size_t end = span_find(*rest, '\n');

    if (end == rest->len)
        return false;
    *ret_line = span_first(*rest, end);
    *rest = span_skip(*rest, end + 1);
    return true;
}

static bool take_head(struct span *rest, struct locks_text *ret_head)
{
    const struct span beginning = SPAN("fastfile-locks 1 ");
    struct locks_text head = {0};
    struct span line;

    if (!take_line(rest, &line) || !span_starts_with(line, beginning))
        return false;
    line = span_skip(line, beginning.len);
    if (!take_number(&line, INT64_MAX, &head.generation))
        return false;
    struct span boot = span_split(&line, ' ');
    if (boot.len != LOCKS_TEXT_BOOT_CHARS || !take_number(&line, INT64_MAX, &head.now_ms) ||
        line.data)
        return false;
    memcpy(head.boot, boot.data, LOCKS_TEXT_BOOT_CHARS);
    *ret_head = head;
    return true;
}

static bool take_lock(struct span *rest, struct lock *lock, uint32_t *ret_seconds)
{
    uint64_t seconds, user, path, owner;
    struct span line, newline;

    *lock = (struct lock){0};
    if (!take_line(rest, &line))
        return false;
    struct span token = span_split(&line, ' ');
    if (token.len != LOCK_TOKEN_BYTES || !take_number(&line, LIMIT_LOCK_S, &seconds) ||
        !take_choice(&line, 'x', 's', &lock->is_shared) ||
        !take_choice(&line, '0', 'i', &lock->is_infinite) ||
        !take_number(&line, LIMIT_USER_NAME_BYTES, &user) ||
        !take_number(&line, LIMIT_PATH_BYTES, &path) ||
        !take_number(&line, LIMIT_LOCK_OWNER_BYTES, &owner) || line.data)
        return false;
    memcpy(lock->token, token.data, LOCK_TOKEN_BYTES);
    *ret_seconds = (uint32_t)seconds;
    return take_bytes(rest, user, &lock->user) && take_bytes(rest, path, &lock->path) &&
           take_bytes(rest, owner, &lock->owner) && take_bytes(rest, 1, &newline) &&
           newline.data[0] == '\n';
}

static bool take_end(struct span *rest, struct span before, unsigned count)
{
    const struct span beginning = SPAN("end ");
    char sum[SUM_DIGITS];
    struct span line;
    uint64_t said;

    if (!take_line(rest, &line) || rest->len > 0 || !span_starts_with(line, beginning))
        return false;
    line = span_skip(line, beginning.len);
    if (!take_number(&line, UINT32_MAX, &said) || said != count)
        return false;
    make_sum(before, sum);
    return span_equal(line, span_of(sum, SUM_DIGITS));
}

static bool is_at_end(struct span rest)
{
    return span_starts_with(rest, SPAN("end "));
}

int locks_text_check(struct span text, struct locks_text *ret_head)
{
    struct locks_text head;
    struct span rest = text;
    struct lock lock;
    uint32_t seconds;
    unsigned count = 0;

    if (text.len == 0 || !take_head(&rest, &head))
        return -EBADMSG;
    for (; !is_at_end(rest); count++)
        if (!take_lock(&rest, &lock, &seconds))
            return -EBADMSG;
    struct span before = span_first(text, text.len - rest.len);
    if (!take_end(&rest, before, count))
        return -EBADMSG;
    *ret_head = head;
    return 0;
}

unsigned locks_text_restore(struct span text, struct locks *locks, const struct locks_text *now)
{
    struct locks_text head;
    struct span rest = text;
    struct lock lock;
    uint64_t passed_s = 0;
    uint32_t seconds;
    unsigned left_out = 0;
    bool good = take_head(&rest, &head);

    assert(good);
    if (strcmp(head.boot, now->boot) == 0 && now->now_ms > head.now_ms)
        passed_s = (now->now_ms - head.now_ms) / 1000;
    while (!is_at_end(rest)) {
        good = take_lock(&rest, &lock, &seconds);
        assert(good);
        if (seconds > passed_s)
            left_out += locks_restore(locks, &lock, seconds - (uint32_t)passed_s, now->now_ms) < 0;
    }
    return left_out;
}
