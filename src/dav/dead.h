/* Properties that clients keep with a file (RFC 4918 section 4.2, "dead"): all of a resource are
 * the value of one extended attribute (files/xattrs.h), so that they change together.
 *
 *     "1" NUL, then for each: namespace NUL, name NUL, xml:lang NUL, value NUL
 *
 * No XML document has a NUL in it. A value is markup that means the same anywhere
 * (dav/xml_copy.h). Read strictly: what is not exactly that, or more than LIMIT_DEAD_PROPERTIES, is
 * somebody else's, and counts as nothing; and whoever shows a property looks whether it is
 * well-formed. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

struct dead_property {
    struct span ns, local, lang, value; /* data is never NULL */
};

/* What is left to be read of an attribute; of one that is none of ours there is nothing. */
struct span dead_begin(struct span attribute);
bool dead_next(struct span *rest, struct dead_property *ret_property);

bool dead_find(struct span attribute, struct span ns, struct span local,
               struct dead_property *ret_property);

/* Appends `attribute` to `out` with this property set, or `removes` without it; in the order that
 * it had. Without any property it is "". It is too long, or has too many, where the buffer has
 * failed. */
void dead_change(struct span attribute, const struct dead_property *change, bool removes,
                 struct buf *out);

/* Appends the element of a property with what is in it. Returns 0; or -EINVAL, and appends nothing,
 * where it is not well-formed: others may write attributes too. Where that cannot be found out the
 * buffer has failed. */
int dead_put(struct buf *out, const struct dead_property *property);
