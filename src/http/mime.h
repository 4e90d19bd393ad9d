/* Media types by the extension of a file's name. */
#pragma once

#include "base/span.h"

struct mime_slot;

/* A hash table in one block of memory; read only once it is loaded. */
struct mime_table {
    struct mime_slot *slots; /* the block; the texts follow the slots */
    const char *texts;
    size_t mask; /* number of slots - 1 */
};

/* Loads `text`, in the format of /etc/mime.types, and behind it a built-in list of common types;
 * the first type given for an extension counts. `text` may be empty and is not needed afterwards.
 * Returns 0 or -ENOMEM. */
int mime_init(struct mime_table *table, struct span text);
void mime_finish(struct mime_table *table);

/* The value for Content-Type of a file with this name (or path); text types come with ";
 * charset=utf-8". application/octet-stream where there is no or no known extension. Valid until
 * mime_finish(). */
struct span mime_lookup(const struct mime_table *table, struct span name);

/* Whether a browser might run script from a document of this type in the origin that served it:
 * HTML, XML of every kind (SVG, XHTML, XSLT) and JavaScript. Parameters of the type are ignored. */
bool mime_is_active(struct span type);
