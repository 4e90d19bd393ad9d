#include "http/conditional.h"

#include <errno.h>

#include "http/chars.h"
#include "http/date.h"

struct tag {
    struct span opaque; /* with its quotes */
    bool weak;
};

/* entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE */
static bool take_tag(struct span *rest, struct tag *ret_tag)
{
    struct span s = *rest;
    size_t end = 1;

    ret_tag->weak = span_starts_with(s, SPAN("W/"));
    if (ret_tag->weak)
        s = span_skip(s, 2);
    if (!span_starts_with(s, SPAN("\"")))
        return false;
    while (end < s.len && http_is(s.data[end], CHAR_ETAG))
        end++;
    if (end == s.len || s.data[end] != '"')
        return false;
    ret_tag->opaque = span_first(s, end + 1);
    *rest = span_skip(s, end + 1);
    return true;
}

/* The only tag in `s`. */
static bool parse_tag(struct span s, struct tag *ret_tag)
{
    return take_tag(&s, ret_tag) && s.len == 0;
}

static bool tags_match(struct tag a, struct tag b, enum etag_comparison comparison)
{
    return span_equal(a.opaque, b.opaque) && (comparison == ETAG_WEAK || !(a.weak || b.weak));
}

int conditional_match_list(struct span list, struct span etag, enum etag_comparison comparison)
{
    struct tag current, tag;
    bool known = parse_tag(etag, &current), match = false, empty = true;
    struct span rest = span_trim(list);

    while (rest.len > 0) {
        if (rest.data[0] != ',') { /* a comma here only closes an empty member */
            if (!take_tag(&rest, &tag))
                return -EINVAL;
            empty = false;
            match = match || (known && tags_match(tag, current, comparison));
            rest = span_trim(rest);
            if (rest.len > 0 && rest.data[0] != ',')
                return -EINVAL;
        }
        if (rest.len > 0)
            rest = span_trim(span_skip(rest, 1));
    }
    return empty ? -EINVAL : match;
}

static bool is_read(const struct request *r)
{
    return r->method == METHOD_GET || r->method == METHOD_HEAD;
}

static bool if_match_holds(const struct request *r, const struct validators *v)
{
    if (span_equal(r->if_match, SPAN("*")))
        return v->exists;
    return v->exists && conditional_match_list(r->if_match, v->etag, ETAG_STRONG) == 1;
}

bool conditional_date_is_proof(const struct validators *current)
{
    return current->mtime < current->now - (current->even ? 1 : 0);
}

static bool if_unmodified_holds(const struct request *r, const struct validators *v)
{
    int64_t since;

    if (!v->exists || date_parse_http(r->if_unmodified_since, v->now, &since) < 0)
        return true;
    return v->mtime < since || (v->mtime == since && (is_read(r) || conditional_date_is_proof(v)));
}

static bool if_none_match_holds(const struct request *r, const struct validators *v)
{
    if (span_equal(r->if_none_match, SPAN("*")))
        return !v->exists;
    int match = conditional_match_list(r->if_none_match, v->etag, ETAG_WEAK);
    if (match < 0)
        return is_read(r);
    return !v->exists || match == 0;
}

static bool if_modified_holds(const struct request *r, const struct validators *v)
{
    int64_t since;

    return !v->exists || date_parse_http(r->if_modified_since, v->now, &since) < 0 ||
           v->mtime > since;
}

int conditional_evaluate(const struct request *request, const struct validators *current)
{
    if (request->method == METHOD_OPTIONS) /* RFC 9110 section 13.2.1 */
        return 0;

    if (request->if_match.data) {
        if (!if_match_holds(request, current))
            return 412;
    } else if (request->if_unmodified_since.data) {
        if (!if_unmodified_holds(request, current))
            return 412;
    }

    if (request->if_none_match.data) {
        if (!if_none_match_holds(request, current))
            return is_read(request) ? 304 : 412;
    } else if (request->if_modified_since.data && is_read(request)) {
        if (!if_modified_holds(request, current))
            return 304;
    }
    return 0;
}

bool conditional_if_range(const struct request *request, const struct validators *current)
{
    struct span field = request->if_range;
    struct tag wanted, tag;
    int64_t date;

    if (!field.data)
        return true;
    if (!current->exists)
        return false;
    if (parse_tag(field, &wanted))
        return parse_tag(current->etag, &tag) && tags_match(wanted, tag, ETAG_STRONG);
    return date_parse_http(field, current->now, &date) == 0 && date == current->mtime &&
           conditional_date_is_proof(current);
}
