/* Preconditions (RFC 9110 section 13) against the current state of a resource. */
#pragma once

#include "http/request.h"

/* What is known of the resource as it is now. */
struct validators {
    bool exists;
    struct span etag; /* with its quotes, W/ in front where it is weak; len 0: none */
    int64_t mtime;    /* seconds since 1970, what Last-Modified says */
    int64_t now;      /* the clock, before it was looked at */
    bool even;        /* mtime may be of a clock that ticks every other second */
};

/* Whether mtime stands for this state alone. While the second that it says is not over the resource
 * may change again and keep it: then it is told to nobody, and proves nothing (RFC 9110 section
 * 8.8.2.2). */
bool conditional_date_is_proof(const struct validators *current);

/* Evaluates the preconditions in the order of RFC 9110 section 13.2.2.
 * Returns 0 (go on), 304 (GET and HEAD only) or 412.
 *
 * A malformed If-Match counts as false, so that a client that meant to protect a file is not
 * ignored; so does a malformed If-None-Match, except for GET and HEAD, which are simply answered.
 * Malformed dates are ignored. If-Unmodified-Since with the very date of the last change, which may
 * have been changed once more since it was asked for, holds for a change only where that date is
 * proof. */
int conditional_evaluate(const struct request *request, const struct validators *current);

/* Whether the field Range counts: true without If-Range, otherwise only where If-Range names
 * exactly this version: by a strong tag, or by a date equal to mtime and in the past
 * (section 13.1.5). */
bool conditional_if_range(const struct request *request, const struct validators *current);

enum etag_comparison { ETAG_STRONG, ETAG_WEAK };

/* Looks for `etag` in a list of entity tags (not "*"). Compares as RFC 9110 section 8.8.3.2 says.
 * Returns 1 if it is there, 0 if not, -EINVAL where any part of the list is malformed. */
int conditional_match_list(struct span list, struct span etag, enum etag_comparison comparison);
