/* PROPPATCH: any body, and what was kept before (up to the first byte 0xff, as it is). Whatever is
 * accepted can be kept, and what is kept is shown well-formed and as it was sent. */
#include <assert.h>
#include <errno.h>

#include "dav/proppatch_answer.h"
#include "dav/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_BYTES = 8 * 1024 * 1024 };

static struct proppatch_request request;

/* Answers may be longer than what is taken of clients. */
static void check_well_formed(struct span document)
{
    static const struct xml_handler ignored = {0};

    if (document.len <= LIMIT_XML_BYTES) {
        int r = xml_read(document, &ignored, NULL);
        assert(r == 0 || r == -E2BIG);
    }
}

static size_t count(struct span kept)
{
    struct span rest = dead_begin(kept);
    struct dead_property p;
    size_t found = 0;

    while (dead_next(&rest, &p))
        found++;
    return found;
}

static void check_kept(struct span kept)
{
    struct span rest = dead_begin(kept);
    struct dead_property p;
    struct buf out;

    buf_init_growing(&out, OUT_BYTES);
    while (dead_next(&rest, &p)) {
        size_t start = out.len;
        if (dead_put(&out, &p) == 0)
            check_well_formed(span_skip(buf_span(&out), start));
        else
            assert(out.len == start);
    }
    buf_finish(&out);
}

static void check_step(struct span before, const struct proppatch_step *step)
{
    struct dead_property found;
    struct buf after, shown;

    buf_init_growing(&after, OUT_BYTES);
    dead_change(before, &step->property, step->removes, &after);
    if (buf_failed(&after)) {
        assert(count(before) == LIMIT_DEAD_PROPERTIES && !step->removes);
        buf_finish(&after);
        return;
    }
    check_kept(buf_span(&after));
    bool is_there = dead_find(buf_span(&after), step->property.ns, step->property.local, &found);
    assert(is_there == !step->removes);
    if (is_there) {
        assert(span_equal(found.value, step->property.value));
        assert(span_equal(found.lang, step->property.lang));
        buf_init_growing(&shown, OUT_BYTES);
        /* What was well-formed in its document is it alone, unless it has become too long. */
        assert(dead_put(&shown, &found) == 0 || found.value.len > LIMIT_DEAD_BYTES / 2);
        buf_finish(&shown);
    }
    buf_finish(&after);
}

static void check_request(struct span before)
{
    const struct proppatch_answer answer = {.request = &request, .path = SPAN("a b")};
    struct proppatch_effect effect;
    struct buf body;

    assert(request.count > 0 && request.count <= LIMIT_PROPPATCH_PROPERTIES);
    for (size_t i = 0; i < request.count; i++)
        if (request.steps[i].kind == PROPPATCH_DEAD && request.steps[i].status == 0)
            check_step(before, &request.steps[i]);
    proppatch_find_effect(&request, false, 1795341600, &effect);
    bool failed = proppatch_has_failed(&request);
    proppatch_decide(&request);
    for (size_t i = 0; i < request.count; i++)
        assert(failed ? request.steps[i].status >= 400 : request.steps[i].status == 200);
    proppatch_answer_make(&answer, &body);
    assert(!buf_failed(&body));
    check_well_formed(buf_span(&body));
    buf_finish(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct span before = span_split(&rest, (char)0xff);

    check_kept(before);
    int r = proppatch_parse(rest.data ? rest : before, &request);
    assert(r == 0 || r == -EINVAL || r == -E2BIG || r == -ENOMEM);
    if (r == 0) {
        check_request(before);
        proppatch_finish(&request);
    }
    return 0;
}
