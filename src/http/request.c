#include "http/request.h"

#include <errno.h>

#include "http/chars.h"

/* --- the shape of lines --- */

/* What is left to parse: functions advance `at` and return 1, or 0 at the end of the bytes, or a
 * negated status. */
struct cursor {
    const char *at, *end;
};

typedef unsigned char block __attribute__((vector_size(16)));
typedef uint64_t block_halves __attribute__((vector_size(16)));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "find_value_end() counts from the low end");

/* The first octet from `at` on that may not stand in a field value: sixteen at a time, because most
 * of a head is values. The compiler turns this into SSE2 or NEON. */
static const char *find_value_end(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        block b;
        memcpy(&b, at, sizeof(b));
        block_halves bad = (block_halves)(((b < ' ') & (b != '\t')) | (b == 0x7f));
        if (bad[0])
            return at + __builtin_ctzll(bad[0]) / 8;
        if (bad[1])
            return at + 8 + __builtin_ctzll(bad[1]) / 8;
    }
    while (at < end && http_is(*at, CHAR_VALUE))
        at++;
    return at;
}

/* Takes exactly these bytes. */
static int take(struct cursor *c, struct span expected)
{
    for (size_t i = 0; i < expected.len; i++, c->at++) {
        if (c->at == c->end)
            return 0;
        if (*c->at != expected.data[i])
            return -400;
    }
    return 1;
}

/* Takes at least one octet of a class, and one `delimiter` behind them. */
static int take_class(struct cursor *c, enum http_char_class char_class, char delimiter,
                      struct span *ret)
{
    const char *start = c->at;

    while (c->at < c->end && http_is(*c->at, char_class))
        c->at++;
    if (c->at == c->end)
        return 0;
    if (*c->at != delimiter || c->at == start)
        return -400;
    *ret = span_of(start, (size_t)(c->at - start));
    c->at++;
    return 1;
}

/* --- request line --- */

static enum http_method find_method(struct span name)
{
    static const struct {
        struct span name;
        enum http_method method;
    } methods[] = {
        {SPAN("GET"), METHOD_GET},           {SPAN("HEAD"), METHOD_HEAD},
        {SPAN("PUT"), METHOD_PUT},           {SPAN("POST"), METHOD_POST},
        {SPAN("PROPFIND"), METHOD_PROPFIND}, {SPAN("OPTIONS"), METHOD_OPTIONS},
        {SPAN("DELETE"), METHOD_DELETE},     {SPAN("PATCH"), METHOD_PATCH},
        {SPAN("MKCOL"), METHOD_MKCOL},       {SPAN("COPY"), METHOD_COPY},
        {SPAN("MOVE"), METHOD_MOVE},         {SPAN("PROPPATCH"), METHOD_PROPPATCH},
        {SPAN("LOCK"), METHOD_LOCK},         {SPAN("UNLOCK"), METHOD_UNLOCK},
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (span_equal(methods[i].name, name))
            return methods[i].method;
    return METHOD_OTHER;
}

static int parse_version(struct cursor *c, struct request *r)
{
    char digits[2];
    int result = take(c, SPAN("HTTP/"));

    for (int i = 0; result > 0 && i < 2; i++) {
        if (i > 0 && (result = take(c, SPAN("."))) <= 0)
            break;
        if (c->at == c->end)
            return 0;
        digits[i] = *c->at++;
        if (digits[i] < '0' || digits[i] > '9')
            return -400;
    }
    if (result <= 0 || (result = take(c, SPAN("\r\n"))) <= 0)
        return result;
    if (digits[0] != '1')
        return -505;
    r->minor_version = digits[1] > '0';
    return 1;
}

static bool is_host(struct span host)
{
    struct span port = {0};
    size_t end;

    if (host.len > 0 && host.data[0] == '[') { /* an IPv6 address */
        end = span_find(host, ']') + 1;
        if (end < 4 || end > host.len)
            return false;
        for (size_t i = 1; i < end - 1; i++)
            if (!http_is(host.data[i], CHAR_HEX) && host.data[i] != ':' && host.data[i] != '.')
                return false;
    } else {
        end = span_find(host, ':');
        for (size_t i = 0; i < end; i++)
            if (!http_is(host.data[i], CHAR_HOST))
                return false;
    }
    if (end < host.len) {
        if (host.data[end] != ':')
            return false;
        port = span_skip(host, end + 1);
    }
    for (size_t i = 0; i < port.len; i++)
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
    return end > 0 && port.len <= 5;
}

/* Where the path begins in "http://host/path"; 0 where the target has another form. */
static size_t find_authority(struct span target)
{
    static const struct span schemes[] = {SPAN("http://"), SPAN("https://")};

    for (size_t i = 0; i < 2; i++)
        if (target.len > schemes[i].len &&
            span_equal_nocase(span_first(target, schemes[i].len), schemes[i]))
            return schemes[i].len;
    return 0;
}

/* RFC 9112 section 3.2. A host in the target stands in `*ret_host`. */
static int parse_target(struct request *r, struct span *ret_host)
{
    struct span rest = r->target;
    size_t authority = find_authority(rest);

    *ret_host = (struct span){0};
    if (span_equal(r->method_name, SPAN("CONNECT")))
        return -501;
    if (authority > 0) {
        size_t end = authority;
        while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?')
            end++;
        *ret_host = span_of(rest.data + authority, end - authority);
        if (!is_host(*ret_host))
            return -400;
        rest = span_skip(rest, end);
    } else if (rest.data[0] != '/' &&
               !(r->method == METHOD_OPTIONS && span_equal(rest, SPAN("*")))) {
        return -400;
    }
    r->path = span_split(&rest, '?');
    r->query = rest;
    if (r->path.len == 0)
        r->path = SPAN("/");
    return 1;
}

static int parse_request_line(struct cursor *c, struct request *r)
{
    int result = take_class(c, CHAR_TOKEN, ' ', &r->method_name);

    if (result > 0)
        result = take_class(c, CHAR_TARGET, ' ', &r->target);
    if (result > 0)
        result = parse_version(c, r);
    if (result > 0)
        r->method = find_method(r->method_name);
    return result;
}

/* --- fields --- */

struct known_field {
    const char *name; /* in lower case */
    uint16_t offset;  /* of its span in struct request */
    bool list;        /* may be repeated */
};

#define KNOWN(name, member)                           \
    {                                                 \
        name, offsetof(struct request, member), false \
    }
#define KNOWN_LIST(name, member)                     \
    {                                                \
        name, offsetof(struct request, member), true \
    }

/* By the length of the name, which leaves at most four candidates and a NULL behind them. */
static const struct known_field known_fields[][5] = {
    [2] = {KNOWN("if", dav_if)},
    [4] = {KNOWN("host", host)},
    [5] = {KNOWN("range", range), KNOWN("depth", depth)},
    [6] = {KNOWN_LIST("accept", accept), KNOWN_LIST("cookie", cookie), KNOWN("origin", origin),
           KNOWN("expect", expect)},
    [7] = {KNOWN("referer", referer), KNOWN("timeout", timeout)},
    [8] = {KNOWN("if-match", if_match), KNOWN("if-range", if_range)},
    [9] = {KNOWN("overwrite", overwrite)},
    [10] = {KNOWN("user-agent", user_agent), KNOWN_LIST("connection", connection),
            KNOWN("lock-token", lock_token)},
    [11] = {KNOWN("destination", destination)},
    [12] = {KNOWN("content-type", content_type)},
    [13] = {KNOWN("authorization", authorization), KNOWN("if-none-match", if_none_match),
            KNOWN("content-range", content_range)},
    [14] = {KNOWN("content-length", content_length_text), KNOWN("sec-fetch-site", sec_fetch_site),
            KNOWN("sec-fetch-mode", sec_fetch_mode), KNOWN("sec-fetch-dest", sec_fetch_dest)},
    [15] = {KNOWN_LIST("accept-encoding", accept_encoding)},
    [16] = {KNOWN("content-encoding", content_encoding)},
    [17] = {KNOWN("transfer-encoding", transfer_encoding),
            KNOWN("if-modified-since", if_modified_since)},
    [19] = {KNOWN("if-unmodified-since", if_unmodified_since)},
};

/* `lower` is as long as `name`. It holds letters and '-' only, and no other token character turns
 * into one of those when its bit 5 is set. */
static bool name_equals(struct span name, const char *lower)
{
    for (size_t i = 0; i < name.len; i++)
        if ((name.data[i] | 0x20) != lower[i])
            return false;
    return true;
}

static int keep_if_known(struct request *r, const struct http_field *field)
{
    size_t length = field->name.len;

    if (length >= sizeof(known_fields) / sizeof(known_fields[0]))
        return 1;
    for (const struct known_field *known = known_fields[length]; known->name; known++) {
        if (!name_equals(field->name, known->name))
            continue;
        struct span *value = (struct span *)(void *)((char *)r + known->offset);
        if (value->data)
            return known->list ? 1 : -400;
        *value = field->value;
        break;
    }
    return 1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int parse_field(struct cursor *c, struct request *r)
{
    struct http_field field;
    int result = take_class(c, CHAR_TOKEN, ':', &field.name);

    if (result <= 0)
        return result;
    while (c->at < c->end && is_blank(*c->at))
        c->at++;
    const char *start = c->at;
    c->at = find_value_end(start, c->end);
    field.value = span_of(start, (size_t)(c->at - start));
    result = take(c, SPAN("\r\n"));
    if (result <= 0)
        return result;
    if (r->field_count == LIMIT_FIELDS)
        return -431;
    while (field.value.len > 0 && is_blank(field.value.data[field.value.len - 1]))
        field.value.len--;
    r->fields[r->field_count++] = field;
    return keep_if_known(r, &field);
}

/* --- what the fields mean together --- */

/* RFC 9112 section 6. A message whose length could be read in two ways is refused. */
static int find_body(struct request *r)
{
    if (r->transfer_encoding.data) {
        if (r->content_length_text.data || r->minor_version == 0)
            return -400;
        if (!span_equal_nocase(r->transfer_encoding, SPAN("chunked")))
            return -501;
        r->chunked = r->has_body = true;
    } else if (r->content_length_text.data) {
        int error = span_to_u64(r->content_length_text, &r->content_length);
        if (error == -ERANGE || (!error && r->content_length > INT64_MAX))
            return -413;
        if (error)
            return -400;
        r->has_content_length = true;
        r->has_body = r->content_length > 0;
    }
    return 1;
}

static bool connection_has(const struct request *r, struct span option)
{
    for (size_t i = 0; i < r->field_count; i++) {
        if (!span_equal_nocase(r->fields[i].name, SPAN("connection")))
            continue;
        struct span rest = r->fields[i].value;
        while (rest.data)
            if (span_equal_nocase(span_trim(span_split(&rest, ',')), option))
                return true;
    }
    return false;
}

static int complete(struct request *r)
{
    struct span target_host;
    int result = parse_target(r, &target_host);

    if (result > 0)
        result = find_body(r);
    if (result <= 0)
        return result;
    if (r->host.data ? !is_host(r->host) : r->minor_version > 0)
        return -400;
    if (target_host.data)
        r->host = target_host;
    r->keep_alive = r->minor_version > 0;
    if (r->connection.data)
        r->keep_alive = !connection_has(r, SPAN("close")) &&
                        (r->keep_alive || connection_has(r, SPAN("keep-alive")));
    if (r->expect.data && r->minor_version > 0) { /* RFC 9110 section 10.1.1: ignored in 1.0 */
        if (!span_equal_nocase(r->expect, SPAN("100-continue")))
            return -417;
        r->expect_continue = r->has_body;
    }
    return 1;
}

int request_parse(struct span bytes, struct request *ret_request)
{
    bool full = bytes.len >= LIMIT_HEAD_BYTES;
    struct cursor c = {bytes.data, bytes.data + (full ? LIMIT_HEAD_BYTES : bytes.len)};

    if (bytes.len == 0)
        return 0;
    memset(ret_request, 0, offsetof(struct request, fields));
    int result = 1;
    if (*c.at == '\r') /* RFC 9112 section 2.2: some clients end a body with one CRLF too many */
        result = take(&c, SPAN("\r\n"));
    if (result > 0)
        result = parse_request_line(&c, ret_request);
    if (result <= 0)
        return result == 0 && full ? -414 : result;
    while (c.at < c.end && *c.at != '\r' && result > 0)
        result = parse_field(&c, ret_request);
    if (result > 0)
        result = take(&c, SPAN("\r\n"));
    if (result <= 0)
        return result == 0 && full ? -431 : result;
    result = complete(ret_request);
    return result > 0 ? (int)(c.at - bytes.data) : result;
}

size_t request_find_end(struct span bytes, size_t *scanned)
{
    size_t limit = bytes.len < LIMIT_HEAD_BYTES ? bytes.len : LIMIT_HEAD_BYTES;

    while (*scanned < limit) {
        const char *feed = memchr(bytes.data + *scanned, '\n', limit - *scanned);
        if (!feed)
            break;
        size_t at = (size_t)(feed - bytes.data);
        *scanned = at + 1;
        /* Behind a line's CR this is sound so far; behind another line's LF and a CR, it is the
         * end. */
        if (at < 1 || feed[-1] != '\r' || (at >= 3 && feed[-2] == '\n'))
            return at + 1;
    }
    *scanned = limit;
    return limit == LIMIT_HEAD_BYTES ? limit : 0;
}

struct span request_field(const struct request *request, struct span name)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (span_equal_nocase(request->fields[i].name, name))
            return request->fields[i].value;
    return (struct span){0};
}
