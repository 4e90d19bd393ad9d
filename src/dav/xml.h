/* XML documents that clients send, read by expat and nothing believed: no DOCTYPE, so no entities
 * but XML's own five; limits on size, depth, attributes, and on the memory that expat takes. A
 * document is there as a whole and is read in one go, element by element.
 *
 * Pure: no I/O, nothing suspends. Any thread, one document at a time on each.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

struct xml_name {
    struct span ns;     /* "" for none */
    struct span local;  /* UTF-8, as all that is told */
    struct span prefix; /* as it was written; "" for none */
};

struct xml_attribute {
    struct xml_name name;
    struct span value;
};

struct xml_reader;

/* Spans last until the function returns. Each returns 0 to go on; anything else ends the reading
 * and is its result. NULL: not of interest. */
struct xml_handler {
    int (*begin)(void *context, struct xml_reader *r, const struct xml_name *name,
                 const struct xml_attribute *attributes, size_t attribute_count);
    int (*end)(void *context, struct xml_reader *r, const struct xml_name *name);
    int (*text)(void *context, struct xml_reader *r, struct span text); /* in pieces */
};

/* Returns 0, -EINVAL (not well-formed, a DOCTYPE, a prefix that is not declared), -E2BIG (more than
 * LIMIT_XML_…), -ENOMEM, -EIO, or what a handler returned. */
int xml_read(struct span document, const struct xml_handler *handler, void *context);

/* How many elements are open; in begin() and end() theirs counts. */
unsigned xml_depth(const struct xml_reader *r);

bool xml_name_is(const struct xml_name *name, struct span ns, struct span local);

#define XML_DAV SPAN("DAV:")
