#include "dav/xml.h"

#include <errno.h>
#include <expat.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/limits.h"

/* Stands between the parts of a name: no document can have this character. */
#define SEPARATOR '\x01'

struct xml_reader {
    XML_Parser parser;
    const struct xml_handler *handler;
    void *context;
    unsigned depth;
    int result;
    struct xml_attribute attributes[LIMIT_XML_ATTRIBUTES];
};

/* --- what expat may allocate --- */

struct budget {
    size_t left;
    bool exceeded;
};

/* In front of each piece, which has to be aligned as malloc(3) does it. */
union piece {
    size_t size;
    max_align_t align;
};

/* Of the document that this thread reads: expat's functions for memory are told nothing else. */
static _Thread_local struct budget *budget;

static void *grow(union piece *old, size_t size)
{
    size_t old_size = old ? old->size : 0;

    if (size > old_size && size - old_size > budget->left) {
        budget->exceeded = true;
        return NULL;
    }
    union piece *new = realloc(old, sizeof(*new) + size);
    if (!new)
        return NULL;
    budget->left += old_size;
    budget->left -= size;
    new->size = size;
    return new + 1;
}

static void *xml_malloc(size_t size)
{
    return grow(NULL, size);
}

static void *xml_realloc(void *memory, size_t size)
{
    return grow(memory ? (union piece *)memory - 1 : NULL, size);
}

static void xml_free(void *memory)
{
    union piece *piece = memory;

    if (!piece)
        return;
    piece--;
    budget->left += piece->size;
    free(piece);
}

/* --- what expat tells --- */

static void stop(struct xml_reader *r, int result)
{
    if (r->result != 0)
        return;
    r->result = result;
    XML_StopParser(r->parser, XML_FALSE);
}

/* "namespace name prefix", "namespace name", or "name". */
static struct xml_name split_name(const XML_Char *text)
{
    struct span rest = span_str(text);
    struct span first = span_split(&rest, SEPARATOR);

    if (!rest.data)
        return (struct xml_name){.ns = SPAN(""), .local = first, .prefix = SPAN("")};
    struct span local = span_split(&rest, SEPARATOR);
    return (struct xml_name){.ns = first, .local = local, .prefix = rest.data ? rest : SPAN("")};
}

static void on_begin(void *arg, const XML_Char *text, const XML_Char **attributes)
{
    struct xml_reader *r = arg;
    size_t count = 0;

    /* Expat may go on for a moment after it was stopped. */
    if (r->result != 0)
        return;
    if (++r->depth > LIMIT_XML_DEPTH) {
        stop(r, -E2BIG);
        return;
    }
    for (; attributes[2 * count]; count++) {
        if (count == LIMIT_XML_ATTRIBUTES) {
            stop(r, -E2BIG);
            return;
        }
        r->attributes[count] = (struct xml_attribute){
            .name = split_name(attributes[2 * count]),
            .value = span_str(attributes[2 * count + 1]),
        };
    }
    struct xml_name name = split_name(text);
    int result =
        r->handler->begin ? r->handler->begin(r->context, r, &name, r->attributes, count) : 0;
    if (result != 0)
        stop(r, result);
}

static void on_end(void *arg, const XML_Char *text)
{
    struct xml_reader *r = arg;

    if (r->result != 0)
        return;
    struct xml_name name = split_name(text);
    int result = r->handler->end ? r->handler->end(r->context, r, &name) : 0;
    if (result != 0)
        stop(r, result);
    r->depth--;
}

static void on_text(void *arg, const XML_Char *text, int len)
{
    struct xml_reader *r = arg;

    if (r->result != 0)
        return;
    int result = r->handler->text(r->context, r, span_of(text, (size_t)len));
    if (result != 0)
        stop(r, result);
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    stop(arg, -EINVAL);
}

/* --- */

enum { SALT_BYTES = 16 };

/* Otherwise expat looks for chance itself, where no file may be opened. From 2.8 on, and in Debian
 * 13, it wants more of it. */
static void set_salt(XML_Parser parser, const uint8_t salt[SALT_BYTES])
{
#ifdef HAVE_XML_SETHASHSALT16BYTES
    XML_SetHashSalt16Bytes(parser, salt);
#else
    unsigned long word;

    memcpy(&word, salt, sizeof(word));
    XML_SetHashSalt(parser, word | 1); /* 0 would be none */
#endif
}

static int parse(struct xml_reader *r, struct span document, const uint8_t salt[SALT_BYTES])
{
    static const XML_Memory_Handling_Suite memory = {xml_malloc, xml_realloc, xml_free};
    static const XML_Char separator[] = {SEPARATOR, '\0'};

    r->parser = XML_ParserCreate_MM(NULL, &memory, separator);
    if (!r->parser)
        return -ENOMEM;
    XML_SetUserData(r->parser, r);
    set_salt(r->parser, salt);
    XML_SetReturnNSTriplet(r->parser, 1);
    XML_SetElementHandler(r->parser, on_begin, on_end);
    if (r->handler->text)
        XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    enum XML_Status status = XML_Parse(r->parser, document.data, (int)document.len, XML_TRUE);
    if (r->result != 0)
        return r->result;
    if (status == XML_STATUS_OK)
        return 0;
    return XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EINVAL;
}

int xml_read(struct span document, const struct xml_handler *handler, void *context)
{
    struct budget own = {.left = LIMIT_XML_MEMORY};
    uint8_t salt[SALT_BYTES];

    if (document.len > LIMIT_XML_BYTES)
        return -E2BIG;
    if (getrandom(salt, sizeof(salt), 0) != sizeof(salt))
        return -EIO;
    struct xml_reader *r = malloc(sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->handler = handler;
    r->context = context;
    r->depth = 0;
    r->result = 0;
    budget = &own;
    int result = parse(r, document, salt);
    if (r->parser)
        XML_ParserFree(r->parser);
    budget = NULL;
    free(r);
    return result == -ENOMEM && own.exceeded ? -E2BIG : result;
}

unsigned xml_depth(const struct xml_reader *r)
{
    return r->depth;
}

bool xml_name_is(const struct xml_name *name, struct span ns, struct span local)
{
    return span_equal(name->ns, ns) && span_equal(name->local, local);
}
