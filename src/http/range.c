#include "http/range.h"

enum verdict { RANGE_MALFORMED, RANGE_OUTSIDE, RANGE_INSIDE };

/* Takes the digits in front. A number too large for any file stays at the largest there is. */
static bool take_number(struct span *rest, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t digits = 0;

    for (; digits < rest->len && rest->data[digits] >= '0' && rest->data[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(rest->data[digits] - '0'), &number))
            number = UINT64_MAX;
    *rest = span_skip(*rest, digits);
    *ret_number = number;
    return digits > 0;
}

/* One range-spec: "first-last", "first-" or "-suffix" (RFC 9110 section 14.1.2). */
static enum verdict parse_spec(struct span spec, uint64_t size, struct range *ret_range)
{
    uint64_t first, last = UINT64_MAX;

    if (span_starts_with(spec, SPAN("-"))) {
        uint64_t suffix;
        spec = span_skip(spec, 1);
        if (!take_number(&spec, &suffix) || spec.len > 0)
            return RANGE_MALFORMED;
        if (suffix == 0)
            return RANGE_OUTSIDE;
        first = suffix < size ? size - suffix : 0;
    } else {
        if (!take_number(&spec, &first) || !span_starts_with(spec, SPAN("-")))
            return RANGE_MALFORMED;
        spec = span_skip(spec, 1);
        if (spec.len > 0 && (!take_number(&spec, &last) || spec.len > 0))
            return RANGE_MALFORMED;
        if (last < first)
            return RANGE_MALFORMED;
    }
    if (first >= size)
        return RANGE_OUTSIDE;
    *ret_range = (struct range){first, last < size ? last : size - 1};
    return RANGE_INSIDE;
}

static bool touches(struct range a, struct range b)
{
    return a.first <= b.last + 1 && b.first <= a.last + 1;
}

/* Adds a range to some that do not touch each other: all that touch the new one become one with it,
 * at the place of the first of them. (What they cover together touches none of the others.) */
static void add_range(struct range *ranges, size_t *count, struct range added)
{
    size_t kept = 0, place = SIZE_MAX;

    for (size_t i = 0; i < *count; i++) {
        if (!touches(ranges[i], added)) {
            ranges[kept++] = ranges[i];
            continue;
        }
        if (ranges[i].first < added.first)
            added.first = ranges[i].first;
        if (ranges[i].last > added.last)
            added.last = ranges[i].last;
        if (place == SIZE_MAX)
            place = kept++;
    }
    if (place == SIZE_MAX)
        place = kept++;
    ranges[place] = added;
    *count = kept;
}

/* Ranges that do not overlap hold no more than the file, but the heads of the parts come on top. */
static bool amplifies(const struct range *ranges, size_t count, uint64_t size)
{
    uint64_t spared = size, heads = count * RANGE_PART_BYTES;

    if (count == 1)
        return false;
    for (size_t i = 0; i < count; i++)
        spared -= range_length(ranges[i]);
    return spared < heads && spared + size / 10 < heads;
}

int range_parse(struct span field, uint64_t size, struct range ret_ranges[LIMIT_RANGES],
                size_t *ret_count)
{
    const struct span unit = SPAN("bytes=");
    size_t specs = 0, count = 0;

    if (field.len <= unit.len || !span_equal_nocase(span_first(field, unit.len), unit))
        return 0;
    struct span rest = span_skip(field, unit.len);
    if (span_trim(rest).len != rest.len)
        return 0;
    while (rest.data) {
        struct span spec = span_trim(span_split(&rest, ','));
        struct range range;
        if (spec.len == 0) /* RFC 9110 section 5.6.1.2: empty members of a list mean nothing */
            continue;
        if (++specs > LIMIT_RANGES)
            return 0;
        enum verdict verdict = parse_spec(spec, size, &range);
        if (verdict == RANGE_MALFORMED)
            return 0;
        if (verdict == RANGE_INSIDE)
            add_range(ret_ranges, &count, range);
    }
    if (specs == 0 || size == 0)
        return 0;
    if (count == 0)
        return 416;
    if (amplifies(ret_ranges, count, size))
        return 0;
    *ret_count = count;
    return 206;
}
