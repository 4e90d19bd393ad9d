/* A piece of a document as text that means the same wherever it is put: the inside of an <owner>,
 * the value of a property.
 *
 * It is UTF-8. Prefixes stay, as values may name them, and each is declared where it is used first;
 * nothing is taken for declared around it but no default namespace. References are resolved; there
 * are no comments and no processing instructions.
 *
 *     xml_copy_init(), then for what is inside: xml_copy_begin(), …_text(), …_end()
 *
 * Pure. The output's and the arena's limits are those of the copy.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "dav/xml.h"

struct xml_scope;

struct xml_copy {
    struct buf *out;
    struct arena *arena;
    struct xml_scope *scopes; /* what is declared, the last first */
    unsigned depth;           /* elements of the copy that are open */
};

void xml_copy_init(struct xml_copy *c, struct buf *out, struct arena *arena);

/* All return 0, -E2BIG (the output has no room) or -ENOMEM. The arena needs some ten times that
 * room at most, and one document's. */
int xml_copy_begin(struct xml_copy *c, const struct xml_name *name,
                   const struct xml_attribute *attributes, size_t attribute_count);
int xml_copy_end(struct xml_copy *c, const struct xml_name *name);
int xml_copy_text(struct xml_copy *c, struct span text);
