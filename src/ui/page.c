#include "ui/page.h"

#include "ui/asset.h"
#include "ui/text.h"

/* Trusted types: no script of ours makes markup out of text. */
#define PAGE_CSP                                                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; " \
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "                 \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

void page_fields(struct exchange *x)
{
    exchange_field(x, SPAN("Content-Type"), SPAN("text/html; charset=utf-8"));
    exchange_field(x, SPAN("Content-Security-Policy"), SPAN(PAGE_CSP));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    exchange_field(x, SPAN("Referrer-Policy"), SPAN("same-origin"));
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_field(x, SPAN("Vary"), SPAN("Accept, Cookie, Authorization"));
}

static void append_link(struct buf *out, const char *relation, const struct asset *asset)
{
    buf_append_str(out, "<link rel=\"");
    buf_append_str(out, relation);
    buf_append_str(out, "\" href=\"");
    asset_append_url(out, span_str(asset->name));
    buf_append_str(out, "\">\n");
}

/* Everything that the scripts import, so that a browser does not find out one after the other. */
static void append_links(struct buf *out, struct span extension, const char *relation)
{
    for (const struct asset *asset = assets; asset->name; asset++)
        if (span_ends_with(span_str(asset->name), extension))
            append_link(out, relation, asset);
}

static void begin_head(struct buf *out, struct span title)
{
    buf_append_str(out, "<!DOCTYPE html>\n"
                        "<html lang=\"en\">\n"
                        "<head>\n"
                        "<meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                        "<meta name=\"color-scheme\" content=\"light dark\">\n"
                        "<meta name=\"robots\" content=\"noindex\">\n"
                        "<title>");
    text_append_name(out, title);
    buf_append_str(out, "</title>\n");
    append_link(out, "icon", asset_find(SPAN("icon.svg")));
}

void page_begin(struct buf *out, struct span title)
{
    begin_head(out, title);
    append_link(out, "stylesheet", asset_find(SPAN("ui.css")));
    buf_append_str(out, "</head>\n");
}

void page_begin_app(struct buf *out, struct span title, struct span html)
{
    begin_head(out, title);
    buf_append(out, html);
    append_links(out, SPAN(".css"), "stylesheet");
    append_links(out, SPAN(".js"), "modulepreload");
    buf_append_str(out, "<script type=\"module\" src=\"");
    asset_append_url(out, SPAN("app.js"));
    buf_append_str(out, "\"></script>\n</head>\n");
}

void page_end(struct buf *out)
{
    buf_append_str(out, "</body>\n</html>\n");
}
