/* <lockinfo>: whatever is taken of an owner is well-formed wherever it is put, and is taken again
 * as it is. */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "dav/lock_answer.h"
#include "dav/lock_request.h"
#include "dav/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_again(const struct lock_request *request)
{
    static struct lock_request again;
    struct buf b;

    buf_init_growing(&b, LIMIT_XML_BYTES);
    buf_append_str(&b, "<D:lockinfo xmlns:D='DAV:'><D:locktype><D:write/></D:locktype>"
                       "<D:lockscope><D:shared/></D:lockscope><D:owner>");
    buf_append(&b, request->owner);
    buf_append_str(&b, "</D:owner></D:lockinfo>");
    assert(!buf_failed(&b));
    int r = lock_request_parse(buf_span(&b), &again);
    assert(r == 0 || r == -E2BIG); /* attributes, and depth, count anew */
    assert(r < 0 || span_equal(again.owner, request->owner));
    buf_finish(&b);
}

static void tell(const struct lock_request *request)
{
    static const struct xml_handler nobody = {0};
    const struct lock lock = {
        .token = "opaquelocktoken:00000000-0000-4000-8000-000000000001",
        .path = SPAN("a"),
        .owner = request->owner,
        .is_shared = request->is_shared,
    };
    struct buf b;

    buf_init_growing(&b, LIMIT_XML_BYTES);
    buf_append_str(&b, "<D:prop xmlns:D='DAV:'>");
    lock_answer_append(&b, &lock, 1, false);
    buf_append_str(&b, "</D:prop>");
    assert(!buf_failed(&b));
    int r = xml_read(buf_span(&b), &nobody, NULL);
    assert(r == 0 || r == -E2BIG);
    buf_finish(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lock_request request;

    int r = lock_request_parse(span_of(data, size), &request);
    assert(r == 0 || r == -EINVAL || r == -E2BIG);
    if (r < 0)
        return 0;
    assert(request.owner.len <= LIMIT_LOCK_OWNER_BYTES);
    assert(request.is_refresh == (size == 0));
    if (!request.is_refresh) {
        take_again(&request);
        tell(&request);
    }
    return 0;
}
