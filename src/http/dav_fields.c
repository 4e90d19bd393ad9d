#include "http/dav_fields.h"

#include <errno.h>

int dav_depth_parse(struct span field, enum dav_depth *ret_depth, bool *ret_no_root)
{
    static const struct {
        struct span text;
        enum dav_depth depth;
    } depths[] = {
        {SPAN("0"), DAV_DEPTH_0},
        {SPAN("1"), DAV_DEPTH_1},
        {SPAN("infinity"), DAV_DEPTH_INFINITY},
    };
    struct span rest = field;
    enum dav_depth depth = DAV_DEPTH_NONE;

    if (field.data) {
        struct span first = span_trim(span_split(&rest, ','));
        for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++)
            if (span_equal_nocase(first, depths[i].text))
                depth = depths[i].depth;
        bool no_root = rest.data && span_equal_nocase(span_trim(rest), SPAN("noroot"));
        if (depth == DAV_DEPTH_NONE || (rest.data && (!no_root || depth == DAV_DEPTH_0)))
            return -EINVAL;
    }
    *ret_depth = depth;
    *ret_no_root = rest.data != NULL;
    return 0;
}

static int parse_time(struct span text, uint32_t *ret_seconds)
{
    uint64_t seconds = UINT32_MAX;

    if (!span_equal_nocase(text, SPAN("Infinite"))) {
        const struct span unit = SPAN("Second-");
        if (text.len < unit.len || !span_equal_nocase(span_first(text, unit.len), unit) ||
            span_to_u64(span_skip(text, unit.len), &seconds) == -EINVAL)
            return -EINVAL;
    }
    *ret_seconds = seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
    return 0;
}

int dav_timeout_parse(struct span field, uint32_t *ret_seconds)
{
    uint32_t first = 0, other;
    struct span rest = field;

    for (bool is_first = true; rest.data; is_first = false)
        if (parse_time(span_trim(span_split(&rest, ',')), is_first ? &first : &other) < 0)
            return -EINVAL;
    *ret_seconds = first;
    return 0;
}

int dav_lock_token_parse(struct span field, struct span *ret_token)
{
    struct span token = field;

    if (token.len >= 2 && token.data[0] == '<' && token.data[token.len - 1] == '>')
        token = span_of(token.data + 1, token.len - 2);
    if (token.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < token.len; i++) {
        unsigned char c = (unsigned char)token.data[i];
        if (c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '"')
            return -EINVAL;
    }
    *ret_token = token;
    return 0;
}

/* Parameters of a preference (RFC 7240 section 2) mean nothing to this one. */
static bool prefers_minimal(struct span value)
{
    while (value.data) {
        struct span preference = span_split(&value, ',');
        preference = span_trim(span_split(&preference, ';'));
        struct span name = span_trim(span_split(&preference, '='));
        preference = span_trim(preference);
        if (span_equal_nocase(name, SPAN("return")) &&
            (span_equal(preference, SPAN("minimal")) ||
             span_equal(preference, SPAN("\"minimal\""))))
            return true;
    }
    return false;
}

bool dav_is_brief(const struct request *request, bool *ret_preferred)
{
    *ret_preferred = false;
    for (size_t i = 0; i < request->field_count && !*ret_preferred; i++)
        if (span_equal_nocase(request->fields[i].name, SPAN("Prefer")))
            *ret_preferred = prefers_minimal(request->fields[i].value);
    return *ret_preferred || span_equal_nocase(request_field(request, SPAN("Brief")), SPAN("t"));
}
