/* <multistatus> for PROPFIND (RFC 4918 sections 9.1 and 14.16): terse, a line for each resource.
 * Pure. */
#pragma once

#include <time.h>

#include "base/buf.h"
#include "dav/propfind_request.h"
#include "files/entry.h"
#include "http/date.h"
#include "http/mime.h"

struct propfind_format {
    const struct propfind_request *request;
    const struct mime_table *mime;
    bool is_brief;          /* what is not there is not listed */
    struct timespec before; /* CLOCK_REALTIME_COARSE, before what follows was looked at: for tags */
    bool has_quota;         /* of the file system of the folder */
    uint64_t available_bytes, used_bytes;
    bool can_lock;        /* who asks */
    struct locks *locks;  /* NULL: there are none, or nobody wants to know */
    struct span locked;   /* canonical path of the resource that was asked for */
    uint64_t now_ms;      /* CLOCK_MONOTONIC */
    bool hides_lock_root; /* as lock_answer_append() has it */

    /* for propfind_answer.c: markup of the names that are never there, and the last date */
    struct buf unknown;
    struct buf path; /* of the resource, canonical */
    int64_t date_s;
    char date[DATE_HTTP_BYTES];
};

/* One resource. */
struct propfind_resource {
    struct span folder; /* the path in its href, encoded, up to the name */
    struct span name;   /* not encoded; "" for what `folder` itself says */
    struct span title;  /* for displayname; "" where it has none */
    const struct folder_entry *entry;
    struct span dead;  /* what clients keep with it (dav/dead.h), or "" */
    bool is_member;    /* not what was asked for, but in it */
    struct span below; /* of a member: the path of its folder, below what was asked for */
};

/* After the request has been parsed, and what is above has been set. Returns 0 or -ENOMEM. */
int propfind_format_init(struct propfind_format *f);
void propfind_format_finish(struct propfind_format *f);

void propfind_answer_begin(struct buf *out);
void propfind_answer_one(struct buf *out, struct propfind_format *f,
                         const struct propfind_resource *resource);
void propfind_answer_end(struct buf *out);
