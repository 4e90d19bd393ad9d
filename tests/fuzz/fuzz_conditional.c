/* Preconditions: a byte for the method and more, then lines: the current tag, If-Match,
 * If-None-Match, If-Unmodified-Since, If-Modified-Since, If-Range. A line "-" stands for no such
 * field. */
#include <assert.h>
#include <errno.h>

#include "http/conditional.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span next_field(struct span *rest)
{
    struct span line = span_split(rest, '\n');

    return span_equal(line, SPAN("-")) ? (struct span){0} : line;
}

static void check_list(struct span list, struct span etag)
{
    int strong = conditional_match_list(list, etag, ETAG_STRONG);
    int weak = conditional_match_list(list, etag, ETAG_WEAK);

    assert(strong == -EINVAL || strong == 0 || strong == 1);
    assert(weak == -EINVAL || weak == 0 || weak == 1);
    assert((strong < 0) == (weak < 0));
    assert(strong <= weak);
    if (strong == 1)
        assert(conditional_match_list(etag, etag, ETAG_STRONG) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t mtime = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static struct request r;

    if (size == 0)
        return 0;
    struct span rest = span_skip(span_of(data, size), 1);
    struct validators v = {.exists = data[0] & 64,
                           .mtime = mtime,
                           .now = mtime + (data[0] >> 7),
                           .even = data[0] & 32};
    v.etag = next_field(&rest);
    r.method = (enum http_method)(data[0] & 15) % (METHOD_UNLOCK + 1);
    r.if_match = next_field(&rest);
    r.if_none_match = next_field(&rest);
    r.if_unmodified_since = next_field(&rest);
    r.if_modified_since = next_field(&rest);
    r.if_range = next_field(&rest);

    bool read = r.method == METHOD_GET || r.method == METHOD_HEAD;
    int result = conditional_evaluate(&r, &v);
    assert(result == 0 || result == 304 || result == 412);
    assert(result != 304 || (read && v.exists));
    if (r.if_match.data && !v.exists && r.method != METHOD_OPTIONS)
        assert(result == 412);

    bool same = conditional_if_range(&r, &v);
    assert(same || r.if_range.data);
    assert(!same || !r.if_range.data || v.exists);
    check_list(r.if_match, v.etag);
    check_list(r.if_none_match, v.etag);
    return 0;
}
