#include "dav/lock_answer.h"

#include "http/uri.h"

/* Web Folders of Office 2000 and 2003. */
bool lock_answer_hides_root(struct span user_agent)
{
    return span_starts_with(user_agent, SPAN("Microsoft Data Access Internet Publishing Provider"));
}

void lock_answer_append(struct buf *out, const struct lock *lock, uint32_t seconds_left,
                        bool hides_root)
{
    buf_append(out, SPAN("<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope>"));
    buf_append(out, lock->is_shared ? SPAN("<D:shared/>") : SPAN("<D:exclusive/>"));
    buf_append(out, SPAN("</D:lockscope><D:depth>"));
    buf_append(out, lock->is_infinite ? SPAN("infinity") : SPAN("0"));
    buf_append(out, SPAN("</D:depth>"));
    if (lock->owner.len > 0) {
        buf_append(out, SPAN("<D:owner>"));
        buf_append(out, lock->owner);
        buf_append(out, SPAN("</D:owner>"));
    }
    buf_append(out, SPAN("<D:timeout>Second-"));
    buf_append_u64(out, seconds_left);
    buf_append(out, SPAN("</D:timeout><D:locktoken><D:href>"));
    buf_append(out, span_of(lock->token, LOCK_TOKEN_BYTES));
    buf_append(out, SPAN("</D:href></D:locktoken>"));
    if (!hides_root) {
        /* What is left of a path when it is encoded means nothing in XML. */
        buf_append(out, SPAN("<D:lockroot><D:href>/"));
        uri_encode_path(out, lock->path);
        buf_append(out, SPAN("</D:href></D:lockroot>"));
    }
    buf_append(out, SPAN("</D:activelock>"));
}

struct all {
    struct buf *out;
    bool hides_root;
    unsigned count;
};

static void append_next(void *context, const struct lock *lock, uint32_t seconds_left)
{
    struct all *all = context;

    if (all->count++ < LOCK_ANSWERS_MAX)
        lock_answer_append(all->out, lock, seconds_left, all->hides_root);
}

void lock_answer_append_all(struct buf *out, struct locks *locks, struct span path, uint64_t now_ms,
                            bool hides_root)
{
    struct all all = {.out = out, .hides_root = hides_root};

    locks_show(locks, path, now_ms, append_next, &all);
}
