#include "ui/login.h"

#include "base/limits.h"
#include "http/escape.h"
#include "ui/asset.h"
#include "ui/page.h"
#include "ui/text.h"

enum { PAGE_MAX = 64 * 1024 };

bool login_next_valid(struct span next)
{
    if (next.len == 0 || next.len > LIMIT_PATH_BYTES || next.data[0] != '/')
        return false;
    /* "//host" and what browsers take for it lead to another server. */
    if (next.len > 1 && next.data[1] == '/')
        return false;
    for (size_t i = 0; i < next.len; i++)
        if (next.data[i] <= ' ' || next.data[i] >= 0x7f || next.data[i] == '\\')
            return false;
    return !span_starts_with(next, SPAN("/.fastfile/login")) &&
           !span_starts_with(next, SPAN("/.fastfile/logout"));
}

static void append_user(struct buf *out, struct span user)
{
    buf_append_str(out, "<label for=\"user\">Name</label>\n"
                        "<input id=\"user\" name=\"user\" type=\"text\" required maxlength=\"");
    buf_append_u64(out, LIMIT_USER_NAME_BYTES);
    buf_append_str(out, "\" autocomplete=\"username\" autocapitalize=\"none\" autocorrect=\"off\" "
                        "spellcheck=\"false\"");
    if (user.len > 0) {
        buf_append_str(out, " value=\"");
        text_append_name(out, user);
        buf_append_str(out, "\">\n");
    } else {
        buf_append_str(out, " autofocus>\n");
    }
}

void login_html(struct buf *out, struct span next, struct span user, struct span message)
{
    page_begin(out, SPAN("Log in \xe2\x80\x93 Fast File"));
    buf_append_str(out, "<body class=\"login\">\n<main>\n<img src=\"");
    asset_append_url(out, SPAN("icon.svg"));
    buf_append_str(out, "\" alt=\"\" width=\"56\" height=\"56\">\n<h1>Fast File</h1>\n");
    if (message.len > 0) {
        buf_append_str(out, "<p class=\"message\" role=\"alert\" id=\"message\">");
        text_append_name(out, message);
        buf_append_str(out, "</p>\n");
    }
    buf_append_str(out, "<form method=\"post\" action=\"/.fastfile/login\">\n"
                        "<input type=\"hidden\" name=\"next\" value=\"");
    escape_html(out, login_next_valid(next) ? next : SPAN("/"));
    buf_append_str(out, "\">\n");
    append_user(out, user);
    buf_append_str(out, "<label for=\"password\">Password</label>\n"
                        "<input id=\"password\" name=\"password\" type=\"password\" required "
                        "autocomplete=\"current-password\"");
    buf_append_str(out, user.len > 0 ? " autofocus" : "");
    buf_append_str(out, message.len > 0 ? " aria-describedby=\"message\">\n" : ">\n");
    buf_append_str(out, "<button>Log in</button>\n</form>\n</main>\n");
    page_end(out);
}

int login_page_respond(struct task *t, struct exchange *x, int status, struct span next,
                       struct span user, struct span message)
{
    struct buf body;

    buf_init_growing(&body, PAGE_MAX);
    login_html(&body, next, user, message);
    if (x->status != status)
        exchange_status(x, status);
    page_fields(x);
    int r = exchange_begin(t, x, body.len);
    if (r == 0)
        r = exchange_write(t, x, buf_span(&body));
    buf_finish(&body);
    return r < 0 ? r : exchange_end(t, x);
}
