#include "http/mime.h"

#include <errno.h>
#include <stdlib.h>

#include "http/chars.h"

/* In the format of /etc/mime.types. */
static const char builtin_types[] =
    "text/html html htm\n"
    "text/css css\n"
    "text/javascript js mjs\n"
    "text/plain txt text log conf ini sh py c h\n"
    "text/markdown md markdown\n"
    "text/csv csv\n"
    "text/calendar ics\n"
    "text/vcard vcf\n"
    "text/vtt vtt\n"
    "text/xml xml xsl\n"
    "application/json json map\n"
    "application/manifest+json webmanifest\n"
    "application/pdf pdf\n"
    "application/epub+zip epub\n"
    "application/rtf rtf\n"
    "application/wasm wasm\n"
    "application/xhtml+xml xhtml xht\n"
    "application/atom+xml atom\n"
    "application/rss+xml rss\n"
    "application/gpx+xml gpx\n"
    "application/yaml yaml yml\n"
    "application/sql sql\n"
    "application/msword doc\n"
    "application/vnd.ms-excel xls\n"
    "application/vnd.ms-powerpoint ppt\n"
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document docx\n"
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx\n"
    "application/vnd.openxmlformats-officedocument.presentationml.presentation pptx\n"
    "application/vnd.oasis.opendocument.text odt\n"
    "application/vnd.oasis.opendocument.spreadsheet ods\n"
    "application/vnd.oasis.opendocument.presentation odp\n"
    "application/vnd.android.package-archive apk\n"
    "application/vnd.debian.binary-package deb\n"
    "application/vnd.sqlite3 sqlite\n"
    "application/zip zip\n"
    "application/gzip gz tgz\n"
    "application/x-bzip2 bz2\n"
    "application/x-xz xz\n"
    "application/zstd zst\n"
    "application/x-7z-compressed 7z\n"
    "application/x-tar tar\n"
    "application/vnd.rar rar\n"
    "application/x-iso9660-image iso\n"
    "image/jpeg jpg jpeg\n"
    "image/png png\n"
    "image/apng apng\n"
    "image/gif gif\n"
    "image/webp webp\n"
    "image/avif avif\n"
    "image/heic heic heif\n"
    "image/jxl jxl\n"
    "image/svg+xml svg\n"
    "image/tiff tif tiff\n"
    "image/bmp bmp\n"
    "image/vnd.microsoft.icon ico\n"
    "image/x-adobe-dng dng\n"
    "audio/mpeg mp3\n"
    "audio/mp4 m4a m4b\n"
    "audio/aac aac\n"
    "audio/flac flac\n"
    "audio/ogg ogg oga opus\n"
    "audio/wav wav\n"
    "audio/midi mid midi\n"
    "audio/x-mpegurl m3u\n"
    "application/vnd.apple.mpegurl m3u8\n"
    "video/mp4 mp4 m4v\n"
    "video/webm webm\n"
    "video/ogg ogv\n"
    "video/quicktime mov\n"
    "video/x-matroska mkv\n"
    "video/x-msvideo avi\n"
    "video/mpeg mpeg mpg\n"
    "video/mp2t m2ts mts\n"
    "video/3gpp 3gp\n"
    "font/woff woff\n"
    "font/woff2 woff2\n"
    "font/ttf ttf\n"
    "font/otf otf\n";

enum { MAX_EXTENSION = 32, MAX_TYPE = 128 };

#define CHARSET SPAN("; charset=utf-8")

/* An empty slot has no extension. Offsets are from `texts`. */
struct mime_slot {
    uint32_t extension, type;
    uint8_t extension_len, type_len;
};

/* --- reading the lists --- */

struct reader {
    struct span rest, line, type;
};

static struct span take_word(struct span *line)
{
    size_t end = 0;

    *line = span_trim(*line);
    while (end < line->len && line->data[end] != ' ' && line->data[end] != '\t')
        end++;
    struct span word = span_first(*line, end);
    *line = span_skip(*line, end);
    return word;
}

static bool is_type(struct span s)
{
    size_t slash = span_find(s, '/');

    if (slash == 0 || slash + 1 >= s.len || s.len > MAX_TYPE)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (i != slash && !http_is(s.data[i], CHAR_TOKEN))
            return false;
    return true;
}

/* The next extension; its type is reader->type. False at the end. */
static bool next_extension(struct reader *reader, struct span *ret_extension)
{
    for (;;) {
        *ret_extension = take_word(&reader->line);
        if (ret_extension->len > 0 && ret_extension->len <= MAX_EXTENSION)
            return true;
        if (ret_extension->len > 0)
            continue;
        do {
            if (reader->rest.len == 0)
                return false;
            reader->line = span_split(&reader->rest, '\n');
            reader->line = span_first(reader->line, span_find(reader->line, '#'));
            reader->type = take_word(&reader->line);
        } while (!is_type(reader->type));
    }
}

/* --- the table --- */

/* FNV-1a */
static uint32_t hash(struct span s)
{
    uint32_t h = 2166136261;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.data[i]) * 16777619;
    return h;
}

/* The slot with this extension, or the empty one where it would be. There always is one. */
static struct mime_slot *find_slot(const struct mime_table *t, struct span extension)
{
    for (size_t i = hash(extension);; i++) {
        struct mime_slot *slot = &t->slots[i & t->mask];
        if (slot->extension_len == 0 ||
            span_equal(extension, span_of(t->texts + slot->extension, slot->extension_len)))
            return slot;
    }
}

static struct span lower_case(struct span s, char out[MAX_EXTENSION])
{
    for (size_t i = 0; i < s.len; i++)
        out[i] = (char)(s.data[i] >= 'A' && s.data[i] <= 'Z' ? s.data[i] | 0x20 : s.data[i]);
    return span_of(out, s.len);
}

static uint32_t append(char *texts, uint32_t *used, struct span s)
{
    memcpy(texts + *used, s.data, s.len);
    *used += (uint32_t)s.len;
    return *used - (uint32_t)s.len;
}

static void fill(struct mime_table *t, char *texts, uint32_t *used, struct span list)
{
    struct reader reader = {.rest = list, .line = SPAN("")};
    struct span word, written = {0};
    uint32_t type = 0, type_len = 0;
    char lower[MAX_EXTENSION];

    while (next_extension(&reader, &word)) {
        struct span extension = lower_case(word, lower);
        struct mime_slot *slot = find_slot(t, extension);
        if (slot->extension_len > 0)
            continue;
        if (reader.type.data != written.data) { /* once for all extensions of a line */
            written = reader.type;
            type = append(texts, used, written);
            if (span_starts_with(written, SPAN("text/")))
                append(texts, used, CHARSET);
            type_len = *used - type;
        }
        *slot = (struct mime_slot){
            .extension = append(texts, used, extension),
            .type = type,
            .extension_len = (uint8_t)extension.len,
            .type_len = (uint8_t)type_len,
        };
    }
}

int mime_init(struct mime_table *table, struct span text)
{
    const struct span lists[] = {text, span_str(builtin_types)};
    size_t count = 0, text_bytes = 0, slots = 64;
    uint32_t used = 0;

    for (size_t i = 0; i < 2; i++) {
        struct reader reader = {.rest = lists[i], .line = SPAN("")};
        struct span extension;
        /* At most every extension brings a type of its own. */
        for (; next_extension(&reader, &extension); count++)
            text_bytes += extension.len + reader.type.len + CHARSET.len;
    }
    while (slots < 2 * count)
        slots *= 2;
    if (text_bytes > UINT32_MAX)
        return -ENOMEM;
    struct mime_slot *block = calloc(1, slots * sizeof(*block) + text_bytes);
    if (!block)
        return -ENOMEM;
    char *texts = (char *)(block + slots);
    *table = (struct mime_table){.slots = block, .texts = texts, .mask = slots - 1};
    for (size_t i = 0; i < 2; i++)
        fill(table, texts, &used, lists[i]);
    return 0;
}

void mime_finish(struct mime_table *table)
{
    free(table->slots);
    *table = (struct mime_table){0};
}

struct span mime_lookup(const struct mime_table *table, struct span name)
{
    const struct span unknown = SPAN("application/octet-stream");
    char lower[MAX_EXTENSION];
    size_t dot = name.len;

    while (dot > 0 && name.data[dot - 1] != '.' && name.data[dot - 1] != '/')
        dot--;
    /* A dot in front marks a hidden file, not an extension. */
    if (dot < 2 || name.data[dot - 1] != '.' || name.data[dot - 2] == '/')
        return unknown;
    struct span extension = span_skip(name, dot);
    if (extension.len == 0 || extension.len > MAX_EXTENSION)
        return unknown;
    const struct mime_slot *slot = find_slot(table, lower_case(extension, lower));
    return slot->extension_len > 0 ? span_of(table->texts + slot->type, slot->type_len) : unknown;
}

bool mime_is_active(struct span type)
{
    static const struct span active[] = {
        SPAN("text/html"),
        SPAN("text/xml"),
        SPAN("application/xml"),
        SPAN("text/javascript"),
        SPAN("text/ecmascript"),
        SPAN("application/javascript"),
        SPAN("text/xsl"),
        SPAN("application/xslt"),
        SPAN("application/x-javascript"),
        SPAN("application/ecmascript"),
        SPAN("multipart/related"),
        SPAN("message/rfc822"),
        SPAN("multipart/x-mixed-replace"),
        SPAN("application/xml-dtd"),
    };
    const struct span xml = SPAN("+xml");
    struct span rest = type;

    type = span_trim(span_split(&rest, ';'));
    if (type.len > xml.len && span_equal_nocase(span_skip(type, type.len - xml.len), xml))
        return true;
    for (size_t i = 0; i < sizeof(active) / sizeof(active[0]); i++)
        if (span_equal_nocase(type, active[i]))
            return true;
    return false;
}
