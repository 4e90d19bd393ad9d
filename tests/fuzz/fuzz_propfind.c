/* PROPFIND: the first line is a file's name, the rest the request's body. Whatever is asked for,
 * the answer is well-formed, and says the name. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "dav/propfind_answer.h"
#include "dav/xml.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { OUT_BYTES = 8 * 1024 * 1024 };

static struct propfind_request request;
static struct mime_table mime;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return mime_init(&mime, SPAN(""));
}

struct reading {
    bool in_href;
    struct buf href;
    size_t propstats, properties;
};

static int on_begin(void *context, struct xml_reader *r, const struct xml_name *name,
                    const struct xml_attribute *attributes, size_t count)
{
    struct reading *reading = context;

    (void)attributes;
    (void)count;
    reading->in_href = xml_name_is(name, XML_DAV, SPAN("href")) && xml_depth(r) == 3;
    reading->propstats += xml_name_is(name, XML_DAV, SPAN("propstat")) && xml_depth(r) == 3;
    reading->properties += xml_depth(r) == 5;
    return 0;
}

static int on_end(void *context, struct xml_reader *r, const struct xml_name *name)
{
    struct reading *reading = context;

    (void)r;
    (void)name;
    reading->in_href = false;
    return 0;
}

static int on_text(void *context, struct xml_reader *r, struct span text)
{
    struct reading *reading = context;

    (void)r;
    if (reading->in_href)
        buf_append(&reading->href, text);
    return 0;
}

static void check_answer(struct span answer, struct span name, size_t wanted)
{
    static const struct xml_handler handler = {on_begin, on_end, on_text};
    static char path[LIMIT_PATH_BYTES];
    struct reading reading = {0};
    struct span decoded;
    bool is_folder;

    /* An answer may be longer than what is taken of clients. */
    if (answer.len > LIMIT_XML_BYTES)
        return;
    buf_init_growing(&reading.href, LIMIT_XML_BYTES);
    int r = xml_read(answer, &handler, &reading);
    assert(r == 0 || r == -E2BIG);
    if (r == 0) {
        assert(uri_decode_path(buf_span(&reading.href), path, &decoded, &is_folder) == 0);
        assert(span_equal(decoded, name));
        assert(reading.propstats == 1 || reading.propstats == 2);
        assert(request.kind != PROPFIND_PROP || reading.properties == wanted);
    }
    buf_finish(&reading.href);
}

static void answer(struct span name, bool is_folder)
{
    const struct folder_entry entry = {
        .name = name,
        .type = is_folder ? FOLDER_ENTRY_FOLDER : FOLDER_ENTRY_FILE,
        .size = 1,
    };
    struct propfind_format format = {.request = &request, .mime = &mime, .has_quota = true};
    const struct propfind_resource resource = {
        .folder = SPAN("/"), .name = name, .title = name, .entry = &entry};
    struct buf out;

    assert(propfind_format_init(&format) == 0);
    buf_init_growing(&out, OUT_BYTES);
    propfind_answer_begin(&out);
    propfind_answer_one(&out, &format, &resource);
    propfind_answer_end(&out);
    assert(!buf_failed(&out));
    check_answer(buf_span(&out), name,
                 (size_t)__builtin_popcount(request.live) + request.name_count);
    propfind_format_finish(&format);
    buf_finish(&out);
}

static bool is_a_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7f || name.data[i] == '/')
            return false;
    return name.len > 0 && name.len <= 255 && !span_equal(name, SPAN(".")) &&
           !span_equal(name, SPAN(".."));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct span name = span_split(&rest, '\n');

    int r = propfind_parse(rest.data ? rest : SPAN(""), &request);
    assert(r == 0 || r == -EINVAL || r == -E2BIG);
    if (r < 0)
        return 0;
    assert(request.live <= PROPERTIES_ALL && request.name_count <= LIMIT_PROPFIND_NAMES);
    assert(request.name_count == 0 || request.kind == PROPFIND_PROP);
    if (is_a_name(name)) {
        answer(name, false);
        answer(name, true);
    }
    propfind_finish(&request);
    return 0;
}
