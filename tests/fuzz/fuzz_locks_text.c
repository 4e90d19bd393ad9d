/* Locks in a file, without their last line, which is made here so that its sum is right: what is
 * read is within its limits, what is put into the table would be written in the same bytes, and one
 * changed byte makes it none. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/digest.h"
#include "files/locks_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many locks there are is tried out: the end says so. */
enum { COUNTS = 8 };

static int check_with(struct buf *text, size_t size, unsigned count, struct locks_text *head)
{
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];

    text->len = size;
    digest_sha256(buf_span(text), SPAN(""), digest);
    digest_to_hex(digest, hex);
    buf_printf(text, "end %u %.16s\n", count, hex);
    assert(!buf_failed(text));
    return locks_text_check(buf_span(text), head);
}

static void restore(const struct buf *text, const struct locks_text *head)
{
    struct locks *locks;
    struct buf again;

    assert(locks_create(&locks) == 0);
    struct locks_text now = *head;
    bool same = locks_text_restore(buf_span(text), locks, &now) == 0;
    buf_init_growing(&again, LOCKS_TEXT_BYTES_MAX + text->len);
    (void)locks_text_format(locks, head, &again);
    assert(!buf_failed(&again) && again.len <= text->len + 1);
    assert(locks_text_check(buf_span(&again), &now) == 0);
    if (same && again.len == text->len)
        assert(span_equal(buf_span(&again), buf_span(text)));
    buf_finish(&again);
    locks_destroy(locks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct locks_text head;
    struct buf text;
    int r = -EBADMSG;

    (void)locks_text_check(span_of(data, size), &head);
    buf_init_growing(&text, size + 64);
    buf_append(&text, span_of(data, size));
    for (unsigned count = 0; r < 0 && count < COUNTS; count++)
        r = check_with(&text, size, count, &head);
    assert(r == 0 || r == -EBADMSG);
    if (r == 0) {
        assert(head.generation <= INT64_MAX && head.now_ms <= INT64_MAX);
        restore(&text, &head);
        size_t at = size > 0 ? data[size / 2] % text.len : 0;
        text.data[at] ^= 1;
        assert(locks_text_check(buf_span(&text), &head) == -EBADMSG);
    }
    buf_finish(&text);
    return 0;
}
