#include "files/upload_info.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "files/root.h"
#include "http/chars.h"
#include "http/uri.h"

/* --- the lines: what they are called, in their order --- */

enum kind { TEXT, NUMBER, PROTOCOL, PATH, MARK };

static const struct line {
    struct span name;
    enum kind kind;
    bool required;
    size_t offset;     /* in struct upload_info */
    size_t has_offset; /* of a NUMBER's flag */
} lines[] = {
    {SPAN("mark"), MARK, true, offsetof(struct upload_info, mark), 0},
    {SPAN("protocol"), PROTOCOL, true, offsetof(struct upload_info, protocol), 0},
    {SPAN("user"), TEXT, true, offsetof(struct upload_info, user), 0},
    {SPAN("path"), PATH, true, offsetof(struct upload_info, path), 0},
    {SPAN("length"), NUMBER, false, offsetof(struct upload_info, length),
     offsetof(struct upload_info, has_length)},
    {SPAN("mtime"), NUMBER, false, offsetof(struct upload_info, mtime),
     offsetof(struct upload_info, has_mtime)},
    {SPAN("if-match"), TEXT, false, offsetof(struct upload_info, if_match), 0},
    {SPAN("if-none-match"), TEXT, false, offsetof(struct upload_info, if_none_match), 0},
    {SPAN("if-unmodified-since"), TEXT, false, offsetof(struct upload_info, if_unmodified_since),
     0},
    {SPAN("if"), TEXT, false, offsetof(struct upload_info, dav_if), 0},
    {SPAN("repr-digest"), TEXT, false, offsetof(struct upload_info, repr_digest), 0},
    {SPAN("oc-checksum"), TEXT, false, offsetof(struct upload_info, oc_checksum), 0},
    {SPAN("metadata"), TEXT, false, offsetof(struct upload_info, metadata), 0},
};

enum {
    LINES = sizeof(lines) / sizeof(lines[0]),
    MARK_DIGITS = 15, /* of UPLOAD_LENGTH_MAX */
};

static const struct span first_line = {"fastfile-upload 3", sizeof("fastfile-upload 3") - 1};
static const struct span last_line = {"end", sizeof("end") - 1};
static const struct span protocols[] = {
    [UPLOAD_IETF] = {"ietf", 4},
    [UPLOAD_TUS] = {"tus", 3},
};

/* --- writing --- */

static const void *member(const struct upload_info *info, size_t offset)
{
    return (const char *)info + offset;
}

void upload_info_format_mark(struct buf *out, const struct upload_mark *mark)
{
    buf_printf(out, "mark %0*llu %s\n", MARK_DIGITS, (unsigned long long)mark->offset, mark->boot);
}

static void format_line(struct buf *out, const struct upload_info *info, const struct line *line)
{
    const void *value = member(info, line->offset);
    bool is_number = line->kind == NUMBER;

    if (line->kind == MARK) {
        upload_info_format_mark(out, value);
        return;
    }
    if (is_number && !*(const bool *)member(info, line->has_offset))
        return;
    if (line->kind == TEXT && !((const struct span *)value)->data)
        return;
    buf_append(out, line->name);
    buf_append_char(out, ' ');
    if (is_number)
        buf_append_u64(out, *(const uint64_t *)value);
    else if (line->kind == PROTOCOL)
        buf_append(out, protocols[info->protocol]);
    else if (line->kind == PATH)
        uri_encode_path(out, info->path);
    else
        buf_append(out, *(const struct span *)value);
    buf_append_char(out, '\n');
}

void upload_info_format(struct buf *out, const struct upload_info *info)
{
    buf_append(out, first_line);
    buf_append_char(out, '\n');
    for (unsigned i = 0; i < LINES; i++)
        format_line(out, info, &lines[i]);
    buf_append(out, last_line);
    buf_append_char(out, '\n');
}

/* --- reading --- */

static bool is_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] < ' ' && s.data[i] != '\t')
            return false;
    return true;
}

/* As uri_decode_path() makes them, and nothing of the server's own. */
static bool is_path(struct span path)
{
    struct span rest = path;

    if (path.len == 0 || path.len >= LIMIT_PATH_BYTES || root_path_reserved(path))
        return false;
    while (rest.data) {
        struct span name = span_split(&rest, '/');
        if (name.len == 0 || span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")))
            return false;
    }
    return true;
}

/* The byte that "%XX" in front stands for; -1 where it is none, or not in capitals. */
static int escaped_byte(struct span raw)
{
    if (raw.len < 3 || raw.data[0] != '%' || raw.data[1] >= 'a' || raw.data[2] >= 'a')
        return -1;
    int high = http_hex_value(raw.data[1]), low = http_hex_value(raw.data[2]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* Only the way in which uri_encode_path() writes one: what is read is what was written. */
static bool is_encoded(struct span raw)
{
    while (raw.len > 0) {
        bool plain = http_is(raw.data[0], CHAR_PATH);
        int byte = plain ? -1 : escaped_byte(raw);
        if (!plain && (byte < 0 || http_is((char)byte, CHAR_PATH)))
            return false;
        raw = span_skip(raw, plain ? 1 : 3);
    }
    return true;
}

/* `raw` is followed by a line feed: there is room for the NUL. */
static int parse_path(struct span raw, struct span *ret_path)
{
    char *out = (char *)(uintptr_t)raw.data; /* of the text that was given to be written to */
    struct span path;

    if (!is_encoded(raw) || !uri_decode_component(raw, false, out, raw.len, &path) ||
        !is_path(path))
        return -EBADMSG;
    out[path.len] = '\0';
    *ret_path = path;
    return 0;
}

static int parse_number(struct span value, uint64_t *ret_number)
{
    /* One way to write it: what is read is what was written. */
    if (value.len > 1 && value.data[0] == '0')
        return -EBADMSG;
    if (span_to_u64(value, ret_number) < 0 || *ret_number > UPLOAD_LENGTH_MAX)
        return -EBADMSG;
    return 0;
}

static int parse_mark(struct span value, struct upload_mark *ret_mark)
{
    static const char digits[] = "0123456789abcdef-";

    if (value.len != MARK_DIGITS + 1 + BOOT_ID_CHARS || value.data[MARK_DIGITS] != ' ' ||
        span_to_u64(span_first(value, MARK_DIGITS), &ret_mark->offset) < 0)
        return -EBADMSG;
    const char *boot = value.data + MARK_DIGITS + 1;
    for (size_t i = 0; i < BOOT_ID_CHARS; i++)
        if (!memchr(digits, boot[i], sizeof(digits) - 1))
            return -EBADMSG;
    memcpy(ret_mark->boot, boot, BOOT_ID_CHARS);
    return 0;
}

static int parse_protocol(struct span value, enum upload_protocol *ret_protocol)
{
    for (unsigned i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (!span_equal(value, protocols[i]))
            continue;
        *ret_protocol = (enum upload_protocol)i;
        return 0;
    }
    return -EBADMSG;
}

static int parse_value(struct upload_info *info, const struct line *line, struct span value)
{
    char *to = (char *)info + line->offset;

    switch (line->kind) {
    case NUMBER:
        *((bool *)((char *)info + line->has_offset)) = true;
        return parse_number(value, (uint64_t *)(void *)to);
    case PROTOCOL:
        return parse_protocol(value, &info->protocol);
    case MARK:
        return parse_mark(value, &info->mark);
    case PATH:
        return parse_path(value, &info->path);
    case TEXT:
        break;
    }
    if (!is_text(value))
        return -EBADMSG;
    *(struct span *)(void *)to = value;
    return 0;
}

static bool take_line(struct span *rest, struct span *ret_line)
{
    size_t end = span_find(*rest, '\n');

    if (end == rest->len)
        return false;
    *ret_line = span_first(*rest, end);
    *rest = span_skip(*rest, end + 1);
    return true;
}

static bool has_name(struct span text, struct span name)
{
    return span_starts_with(text, name) && text.len > name.len && text.data[name.len] == ' ';
}

int upload_info_parse(char *text, size_t len, struct upload_info *ret_info)
{
    struct upload_info info = {0};
    struct span rest = span_of(text, len), line;

    if (len > UPLOAD_INFO_BYTES_MAX || !take_line(&rest, &line) || !span_equal(line, first_line) ||
        !take_line(&rest, &line))
        return -EBADMSG;
    for (unsigned i = 0; i < LINES; i++) {
        if (!has_name(line, lines[i].name)) {
            if (lines[i].required)
                return -EBADMSG;
            continue;
        }
        int r = parse_value(&info, &lines[i], span_skip(line, lines[i].name.len + 1));
        if (r < 0)
            return r;
        text[line.data + line.len - text] = '\0';
        if (!take_line(&rest, &line))
            return -EBADMSG;
    }
    if (!span_equal(line, last_line) || rest.len > 0)
        return -EBADMSG;
    *ret_info = info;
    return 0;
}
