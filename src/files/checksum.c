#include "files/checksum.h"

#include <errno.h>

#include "auth/credential.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode_hex(struct span text, uint8_t *out, size_t size)
{
    if (text.len != 2 * size)
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

/* A byte sequence of RFC 8941 section 3.3.5: base64 between colons. */
static int decode_sequence(struct span text, uint8_t *out, size_t size)
{
    if (text.len < 2 || text.data[0] != ':' || text.data[text.len - 1] != ':')
        return -EINVAL;
    text = span_first(span_skip(text, 1), text.len - 2);
    return base64_decode(text, (char *)out, size) == (int)size ? 0 : -EINVAL;
}

typedef int decode_fn(struct span text, uint8_t *out, size_t size);

static int add(struct checksums *c, enum hash_algorithm algorithm, struct span text,
               decode_fn *decode)
{
    struct checksum *item = &c->items[c->count];

    if (c->count == CHECKSUMS_MAX)
        return -EINVAL;
    item->algorithm = algorithm;
    int r = decode(text, item->expected, hash_bytes(algorithm));
    if (r == 0)
        r = hash_init(&item->hash, algorithm);
    c->count += r == 0;
    return r;
}

static struct span take_part(struct span *rest, char separator)
{
    return span_trim(span_split(rest, separator));
}

/* A dictionary (RFC 8941 section 3.2) of byte sequences, as far as it concerns us. */
static int take_dictionary(struct checksums *c, struct span field)
{
    int r = 0;

    while (r == 0 && field.len > 0) {
        struct span member = take_part(&field, ',');
        struct span name = take_part(&member, '=');
        struct span value = take_part(&member, ';');
        if (span_equal(name, SPAN("sha-256")))
            r = add(c, HASH_SHA256, value, decode_sequence);
        else if (span_equal(name, SPAN("sha-512")))
            r = add(c, HASH_SHA512, value, decode_sequence);
        else if (name.len == 0)
            r = -EINVAL;
    }
    return r;
}

/* "SHA1:… MD5:…" */
static int take_oc_checksum(struct checksums *c, struct span field)
{
    int r = 0;

    while (r == 0 && field.len > 0) {
        struct span value = take_part(&field, ' ');
        struct span name = take_part(&value, ':');
        if (span_equal_nocase(name, SPAN("SHA1")))
            r = add(c, HASH_SHA1, value, decode_hex);
        else if (span_equal_nocase(name, SPAN("MD5")))
            r = add(c, HASH_MD5, value, decode_hex);
        else if (span_equal_nocase(name, SPAN("SHA256")))
            r = add(c, HASH_SHA256, value, decode_hex);
    }
    return r;
}

int checksums_init_content(struct checksums *c, const struct request *request)
{
    int r = 0;

    c->count = 0;
    for (size_t i = 0; r == 0 && i < request->field_count; i++)
        if (span_equal_nocase(request->fields[i].name, SPAN("Content-Digest")))
            r = take_dictionary(c, request->fields[i].value);
    return r;
}

int checksums_init_whole(struct checksums *c, struct span repr_digest, struct span oc_checksum)
{
    c->count = 0;
    int r = take_dictionary(c, repr_digest);
    return r == 0 ? take_oc_checksum(c, oc_checksum) : r;
}

int checksums_init(struct checksums *c, const struct request *request)
{
    int r = 0;

    c->count = 0;
    /* Each may be there in several lines, which are one list. */
    for (size_t i = 0; r == 0 && i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (span_equal_nocase(field->name, SPAN("Repr-Digest")) ||
            span_equal_nocase(field->name, SPAN("Content-Digest")))
            r = take_dictionary(c, field->value);
        else if (span_equal_nocase(field->name, SPAN("OC-Checksum")))
            r = take_oc_checksum(c, field->value);
    }
    return r;
}

static int decode_base64(struct span text, uint8_t *out, size_t size)
{
    return base64_decode(text, (char *)out, size) == (int)size ? 0 : -EINVAL;
}

int checksums_init_tus(struct checksums *c, struct span field)
{
    static const struct {
        struct span name;
        enum hash_algorithm algorithm;
    } known[] = {
        {SPAN("sha1"), HASH_SHA1},
        {SPAN("sha256"), HASH_SHA256},
        {SPAN("sha512"), HASH_SHA512},
        {SPAN("md5"), HASH_MD5},
    };

    c->count = 0;
    if (!field.data)
        return 0;
    struct span name = take_part(&field, ' ');
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (span_equal(name, known[i].name))
            return add(c, known[i].algorithm, span_trim(field), decode_base64);
    return -EOPNOTSUPP;
}

int checksums_update(struct checksums *c, struct span bytes)
{
    int r = 0;

    for (unsigned i = 0; i < c->count && r == 0; i++)
        r = hash_update(&c->items[i].hash, bytes);
    return r;
}

int checksums_match(struct checksums *c)
{
    uint8_t hash[HASH_BYTES_MAX];

    for (unsigned i = 0; i < c->count; i++) {
        struct checksum *item = &c->items[i];
        int r = hash_result(&item->hash, hash);
        if (r < 0)
            return r;
        if (memcmp(hash, item->expected, hash_bytes(item->algorithm)) != 0)
            return 0;
    }
    return 1;
}

void checksums_finish(struct checksums *c)
{
    for (unsigned i = 0; i < c->count; i++)
        hash_finish(&c->items[i].hash);
    c->count = 0;
}
