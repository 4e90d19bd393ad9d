/* Names in pages, in JSON and in the order of names. The input is taken for names that end in NUL.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "ui/listing_html.h"
#include "ui/listing_json.h"
#include "ui/login.h"
#include "ui/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_BYTES = 256 * 1024, NAME_MAX_BYTES = 1024 };

static char memory[MEMORY_BYTES];

static size_t count(struct span s, char c)
{
    size_t found = 0;

    for (size_t i = 0; i < s.len; i++)
        found += s.data[i] == c;
    return found;
}

static void check_bytes(struct span s)
{
    assert(utf8_is_valid(s));
    for (size_t i = 0; i < s.len; i++)
        assert((unsigned char)s.data[i] >= ' ' || s.data[i] == '\n');
}

/* Whatever the name, there are as many tags, quotes and lines as with a plain one of its kind. */
static void check_row(const struct folder_entry *entry)
{
    static const struct listing_options options;
    struct listing_page page = {.options = &options, .descending = true};
    struct folder_entry plain = *entry;
    struct buf b, expected;
    char plain_memory[1024];

    buf_init_fixed(&b, memory, sizeof(memory));
    listing_html_row(&b, &page, entry);
    plain.name = entry->name.data[0] == '.' ? SPAN(".x") : SPAN("x");
    buf_init_fixed(&expected, plain_memory, sizeof(plain_memory));
    listing_html_row(&expected, &page, &plain);
    assert(!buf_failed(&b) && !buf_failed(&expected));
    check_bytes(buf_span(&b));
    for (const char *c = "<>\"'\n"; *c; c++)
        assert(count(buf_span(&b), *c) == count(buf_span(&expected), *c));
}

static void check_json(const struct folder_entry *entry)
{
    static const struct timespec now = {1, 0};
    struct buf b;

    buf_init_fixed(&b, memory, sizeof(memory));
    listing_json_begin(&b, entry->name);
    listing_json_entry(&b, entry, true, &now);
    listing_json_end(&b, true);
    assert(!buf_failed(&b));
    check_bytes(buf_span(&b));
    assert(count(buf_span(&b), '<') == 0 && count(buf_span(&b), '\n') == 3);
    /* Quotes that nothing escapes come in pairs. */
    size_t quotes = 0;
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] == '\\')
            i++;
        else
            quotes += b.data[i] == '"';
    }
    assert(quotes % 2 == 0);
}

static void check_pages(struct span name)
{
    static const struct listing_options options = {.can_logout = true};
    struct listing_options named = options;
    struct folder folder = {.left_out = 1};
    struct listing_page page = {.path = name, .folder = &folder, .options = &named};
    struct buf b;

    named.user = name;
    buf_init_fixed(&b, memory, sizeof(memory));
    listing_html_begin(&b, &page);
    listing_html_end(&b, &page);
    assert(!buf_failed(&b));
    check_bytes(buf_span(&b));
    assert(count(buf_span(&b), '<') == count(buf_span(&b), '>') && count(buf_span(&b), '\'') == 0);
    b.len = 0;
    login_html(&b, name, name, name);
    assert(!buf_failed(&b));
    check_bytes(buf_span(&b));
    assert(count(buf_span(&b), '<') == count(buf_span(&b), '>') && count(buf_span(&b), '\'') == 0);
}

static int compare(struct span a, struct span b)
{
    static unsigned char x[FOLDER_KEY_FACTOR * NAME_MAX_BYTES],
        y[FOLDER_KEY_FACTOR * NAME_MAX_BYTES];
    size_t x_len = folder_name_key(a, x), y_len = folder_name_key(b, y);
    int order = memcmp(x, y, x_len < y_len ? x_len : y_len);

    return order != 0 ? order : (x_len > y_len) - (x_len < y_len);
}

/* A second opinion, for numbers that fit into 64 bits. */
static void check_order(struct span a, struct span b)
{
    char digits[24];
    uint64_t x, y;

    assert((compare(a, b) < 0) == (compare(b, a) > 0));
    assert(compare(a, a) == 0);
    if (a.len < sizeof(digits) && span_to_u64(a, &x) == 0 && span_to_u64(b, &y) == 0)
        assert((x < y) == (compare(a, b) < 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size), last = SPAN("0");

    setenv("TZ", "UTC", 1); /* no files of time zones */
    while (rest.len > 0) {
        struct span name = span_split(&rest, '\0');
        if (name.len == 0 || name.len > NAME_MAX_BYTES)
            continue;
        struct folder_entry entry = {
            .name = name, .size = size, .mtime_s = (int64_t)size * 4000000};
        entry.type = size % 2 ? FOLDER_ENTRY_FILE : FOLDER_ENTRY_FOLDER;
        check_row(&entry);
        check_json(&entry);
        check_pages(name);
        check_order(last, name);
        last = name;
    }
    return 0;
}
