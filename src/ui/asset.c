#include "ui/asset.h"

#include <assert.h>

#include "http/accept.h"
#include "http/conditional.h"

#define CACHE_FOREVER SPAN("public, max-age=31536000, immutable")
#define CACHE_ASK SPAN("public, no-cache")

const struct asset *asset_find(struct span name)
{
    for (const struct asset *asset = assets; asset->name; asset++)
        if (span_equal(name, span_str(asset->name)))
            return asset;
    return NULL;
}

const struct asset *asset_at(struct span path, bool *ret_current)
{
    struct span folder = span_split(&path, '/'), version = span_split(&path, '/');

    *ret_current = span_equal(version, span_str(assets_digest));
    return span_equal(folder, SPAN("ui")) && path.data ? asset_find(path) : NULL;
}

void asset_append_url(struct buf *out, struct span name)
{
    const struct asset *asset = asset_find(name);

    assert(asset);
    buf_append_str(out, "/.fastfile/ui/");
    buf_append_str(out, assets_digest);
    buf_append_char(out, '/');
    buf_append_str(out, asset->name);
}

static struct span type_of(struct span name)
{
    static const struct {
        struct span extension, type;
    } types[] = {
        {SPAN(".css"), SPAN("text/css; charset=utf-8")},
        {SPAN(".js"), SPAN("text/javascript; charset=utf-8")},
        {SPAN(".svg"), SPAN("image/svg+xml")},
        {SPAN(".png"), SPAN("image/png")},
        {SPAN(".json"), SPAN("application/json")},
        {SPAN(".woff2"), SPAN("font/woff2")},
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (span_ends_with(name, types[i].extension))
            return types[i].type;
    return SPAN("application/octet-stream");
}

static void append_etag(struct buf *out, const struct asset *asset, bool packed)
{
    buf_append_char(out, '"');
    buf_append_str(out, asset->digest);
    buf_append_str(out, packed ? "-gzip\"" : "\"");
}

int asset_respond(struct task *t, struct exchange *x, struct span path)
{
    bool current, packed;
    const struct asset *asset = asset_at(path, &current);
    char memory[32];
    struct buf etag;

    if (!asset)
        return exchange_error(t, x, 404, SPAN(""));
    if (x->request.method != METHOD_GET && x->request.method != METHOD_HEAD) {
        exchange_status(x, 405);
        exchange_field(x, SPAN("Allow"), SPAN("GET, HEAD"));
        return exchange_error(t, x, 405, SPAN(""));
    }
    packed = asset->gzip && accept_coding(x->request.accept_encoding, SPAN("gzip")) > 0;
    buf_init_fixed(&etag, memory, sizeof(memory));
    append_etag(&etag, asset, packed);
    /* The other preconditions are about what can change. */
    bool same = conditional_match_list(x->request.if_none_match, buf_span(&etag), ETAG_WEAK) > 0;
    exchange_status(x, same ? 304 : 200);
    exchange_field(x, SPAN("ETag"), buf_span(&etag));
    exchange_field(x, SPAN("Cache-Control"), current ? CACHE_FOREVER : CACHE_ASK);
    exchange_field(x, SPAN("Vary"), SPAN("Accept-Encoding"));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    /* An SVG opened by itself is a document. */
    exchange_field(x, SPAN("Content-Security-Policy"), SPAN("default-src 'none'"));
    if (same) {
        int r = exchange_begin(t, x, 0);
        return r < 0 ? r : exchange_end(t, x);
    }
    if (packed)
        exchange_field(x, SPAN("Content-Encoding"), SPAN("gzip"));
    return exchange_respond(t, x, 200, type_of(span_str(asset->name)),
                            packed ? span_of(asset->gzip, asset->gzip_length)
                                   : span_of(asset->content, asset->length));
}
