#include "ui/asset.h"

#include <assert.h>

#include "http/conditional.h"
#include "http/uri.h"

#define CACHE_FOREVER SPAN("public, max-age=31536000, immutable")
#define CACHE_ASK SPAN("public, no-cache")

const struct asset *asset_find(struct span name)
{
    for (const struct asset *asset = assets; asset->name; asset++)
        if (span_equal(name, span_str(asset->name)))
            return asset;
    return NULL;
}

void asset_append_url(struct buf *out, struct span name)
{
    const struct asset *asset = asset_find(name);

    assert(asset);
    buf_append_str(out, "/.fastfile/");
    buf_append_str(out, asset->name);
    buf_append_str(out, "?v=");
    buf_append_str(out, asset->digest);
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

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct span extension = types[i].extension;
        if (name.len > extension.len &&
            span_equal(span_skip(name, name.len - extension.len), extension))
            return types[i].type;
    }
    return SPAN("application/octet-stream");
}

/* Whether the address names the very content that we have. */
static bool is_versioned(const struct exchange *x, const struct asset *asset)
{
    char memory[32];
    struct span version;

    return uri_query_get(x->request.query, SPAN("v"), memory, sizeof(memory), &version) &&
           span_equal(version, span_str(asset->digest));
}

int asset_respond(struct task *t, struct exchange *x, struct span name)
{
    const struct asset *asset = asset_find(name);
    char memory[32];
    struct buf etag;

    if (!asset)
        return exchange_error(t, x, 404, SPAN(""));
    if (x->request.method != METHOD_GET && x->request.method != METHOD_HEAD) {
        exchange_status(x, 405);
        exchange_field(x, SPAN("Allow"), SPAN("GET, HEAD"));
        return exchange_error(t, x, 405, SPAN(""));
    }
    buf_init_fixed(&etag, memory, sizeof(memory));
    buf_printf(&etag, "\"%s\"", asset->digest);
    /* The other preconditions are about what can change. */
    bool same = conditional_match_list(x->request.if_none_match, buf_span(&etag), ETAG_WEAK) > 0;
    exchange_status(x, same ? 304 : 200);
    exchange_field(x, SPAN("ETag"), buf_span(&etag));
    exchange_field(x, SPAN("Cache-Control"), is_versioned(x, asset) ? CACHE_FOREVER : CACHE_ASK);
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    /* An SVG opened by itself is a document. */
    exchange_field(x, SPAN("Content-Security-Policy"), SPAN("default-src 'none'"));
    if (same) {
        int r = exchange_begin(t, x, 0);
        return r < 0 ? r : exchange_end(t, x);
    }
    return exchange_respond(t, x, 200, type_of(name), span_of(asset->content, asset->length));
}
