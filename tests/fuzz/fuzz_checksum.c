/* Fields with hashes of the content, one a line, "Name: value"; behind an empty line the content.
 */
#include <assert.h>
#include <errno.h>

#include "files/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_fields(struct span *rest, struct request *r)
{
    r->field_count = 0;
    while (r->field_count < LIMIT_FIELDS) {
        struct span line = span_split(rest, '\n');
        if (line.len == 0)
            break;
        struct http_field *field = &r->fields[r->field_count++];
        field->name = span_split(&line, ':');
        field->value = span_trim(line);
    }
}

static int match(const struct request *r, struct span content, size_t cut)
{
    struct checksums c;
    int result = checksums_init(&c, r);

    assert(result == 0 || result == -EINVAL);
    assert(c.count <= CHECKSUMS_MAX);
    if (result == 0) {
        assert(checksums_update(&c, span_first(content, cut)) == 0);
        assert(checksums_update(&c, span_skip(content, cut)) == 0);
        result = checksums_match(&c);
        assert(result == 0 || result == 1);
        assert(c.count > 0 || result == 1);
    }
    checksums_finish(&c);
    assert(c.count == 0);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request r;
    struct span rest = span_of(data, size);

    take_fields(&rest, &r);
    /* Whatever it comes in. */
    assert(match(&r, rest, 0) == match(&r, rest, rest.len / 2));
    return 0;
}
