#include "http/accept.h"

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ), times 1000; -1 where malformed. */
static int parse_quality(struct span s)
{
    int quality = 0, scale = 1000;

    if (s.len < 1 || s.len > 5 || (s.len > 1 && s.data[1] != '.'))
        return -1;
    for (size_t i = 0; i < s.len; i++) {
        if (i == 1)
            continue;
        if (s.data[i] < '0' || s.data[i] > '9')
            return -1;
        quality += (s.data[i] - '0') * scale;
        scale /= 10;
    }
    return quality <= 1000 ? quality : -1;
}

/* Takes the next member of the list: its name without parameters, and its weight. False at the end.
 */
static bool take_member(struct span *rest, struct span *ret_name, int *ret_quality)
{
    while (rest->data) {
        struct span parameters = span_split(rest, ',');
        *ret_name = span_trim(span_split(&parameters, ';'));
        *ret_quality = 1000;
        while (parameters.data) {
            struct span parameter = span_trim(span_split(&parameters, ';'));
            if (parameter.len >= 2 && (parameter.data[0] | 0x20) == 'q' && parameter.data[1] == '=')
                *ret_quality = parse_quality(span_skip(parameter, 2));
        }
        if (ret_name->len > 0 && *ret_quality >= 0)
            return true;
    }
    return false;
}

/* How closely a media range covers a type: 3 by its name, 2 by "type/" and a star, 1 by stars
 * alone, 0 not at all. */
static int match_type(struct span range, struct span type)
{
    size_t major = span_find(type, '/') + 1;

    if (span_equal_nocase(range, type))
        return 3;
    if (span_equal(range, SPAN("*/*")))
        return 1;
    return range.len == major + 1 && range.data[major] == '*' && major <= type.len &&
                   span_equal_nocase(span_first(range, major), span_first(type, major))
               ? 2
               : 0;
}

int accept_type(struct span field, struct span type, bool *ret_named)
{
    struct span range;
    int quality, best_match = 0, best_quality = field.data ? 0 : 1000;

    while (take_member(&field, &range, &quality)) {
        int match = match_type(range, type);
        if (match > best_match) {
            best_match = match;
            best_quality = quality;
        }
    }
    *ret_named = best_match == 3;
    return best_quality;
}

int accept_coding(struct span field, struct span coding)
{
    struct span name;
    int quality, others = 0;

    while (take_member(&field, &name, &quality)) {
        if (span_equal_nocase(name, coding))
            return quality;
        if (span_equal(name, SPAN("*")))
            others = quality;
    }
    return others;
}
