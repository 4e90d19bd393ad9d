#include "ui/page.h"

#include "ui/asset.h"
#include "ui/text.h"

void page_fields(struct exchange *x)
{
    exchange_field(x, SPAN("Content-Type"), SPAN("text/html; charset=utf-8"));
    exchange_field(x, SPAN("Content-Security-Policy"), SPAN(PAGE_CSP));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    exchange_field(x, SPAN("Referrer-Policy"), SPAN("same-origin"));
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_field(x, SPAN("Vary"), SPAN("Accept, Cookie, Authorization"));
}

void page_begin(struct buf *out, struct span title)
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
    buf_append_str(out, "</title>\n<link rel=\"icon\" href=\"");
    asset_append_url(out, SPAN("icon.svg"));
    buf_append_str(out, "\">\n<link rel=\"stylesheet\" href=\"");
    asset_append_url(out, SPAN("ui.css"));
    buf_append_str(out, "\">\n</head>\n");
}

void page_end(struct buf *out)
{
    buf_append_str(out, "</body>\n</html>\n");
}
