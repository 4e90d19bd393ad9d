/* The field If (RFC 4918 section 10.4): conditions on resources, on the lock tokens and entity tags
 * that they have.
 *
 *     If        = 1*List / 1*( Resource 1*List )
 *     Resource  = "<" ( absolute-URI / path-absolute [ "?" query ] ) ">"
 *     List      = "(" 1*( [ "Not" ] ( "<" absolute-URI ">" / "[" entity-tag "]" ) ) ")"
 *
 * Blanks and tabs may stand between any two of these; "Not" in any case; an entity tag is that of
 * RFC 9110, and may have blanks in it. Bytes beyond ASCII pass in URIs, as in a request's target.
 *
 * Pure. Spans point into the field.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

enum dav_if_kind {
    DAV_IF_END,
    DAV_IF_RESOURCE, /* `value`: a reference; the lists that follow are about what it names */
    DAV_IF_LIST,     /* a list begins */
    DAV_IF_TOKEN,    /* `value`: a URI, without its brackets */
    DAV_IF_ETAG,     /* `value`: "..." or W/"...", without its brackets */
};

struct dav_if_item {
    enum dav_if_kind kind;
    bool negated; /* of tokens and tags */
    struct span value;
};

/* How far it has been read. */
struct dav_if {
    struct span rest;
    bool in_list, is_empty; /* of the list, or of what a resource was named for */
    bool has_resource, has_list;
};

void dav_if_init(struct dav_if *at, struct span field);

/* The next item. Returns 0, or -EINVAL: malformed from here on. */
int dav_if_next(struct dav_if *at, struct dav_if_item *ret_item);

/* Whether all of it is well-formed and names at most LIMIT_IF_RESOURCES resources: 0, also for a
 * field that is not there (data == NULL), or -EINVAL. */
int dav_if_check(struct span field);

/* What is asked while it is evaluated, about one resource after the other. */
struct dav_if_state {
    void *context;
    /* What follows is about this resource; data == NULL: that of the request. Called once for each
     * that matters, and only then. Returns 0 or -errno. */
    int (*look)(void *context, struct span resource);
    bool (*has_token)(void *context, struct span token);
    /* By the weak comparison, which section 10.4.4 allows. */
    bool (*has_etag)(void *context, struct span etag);
};

/* Whether one of its lists holds. Returns 1, also where there is no field, 0, -EINVAL, or what
 * look() returned. */
int dav_if_evaluate(struct span field, const struct dav_if_state *state);
