#include "http/escape.h"

#define REPLACEMENT SPAN("\xef\xbf\xbd") /* U+FFFD */

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

void escape_html(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '<')
            buf_append(out, SPAN("&lt;"));
        else if (c == '>')
            buf_append(out, SPAN("&gt;"));
        else if (c == '&')
            buf_append(out, SPAN("&amp;"));
        else if (c == '"')
            buf_append(out, SPAN("&quot;"));
        else if (c == '\'')
            buf_append(out, SPAN("&#39;"));
        else if (is_control(c))
            buf_append(out, REPLACEMENT);
        else
            buf_append_char(out, c);
    }
}

/* The length of the character in front (RFC 3629 section 4), 0 where that is none. `text` is not
 * empty. */
static size_t utf8_length(struct span text)
{
    const unsigned char *c = (const unsigned char *)text.data;
    /* The second byte's range keeps out overlong forms, surrogates, and what is above U+10FFFF. */
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (c[0] < 0x80)
        return 1;
    if (c[0] >= 0xc2 && c[0] <= 0xdf)
        length = 2;
    else if ((c[0] & 0xf0) == 0xe0)
        length = 3;
    else if (c[0] >= 0xf0 && c[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (c[0] == 0xe0)
        low = 0xa0;
    else if (c[0] == 0xed)
        high = 0x9f;
    else if (c[0] == 0xf0)
        low = 0x90;
    else if (c[0] == 0xf4)
        high = 0x8f;
    if (text.len < length || c[1] < low || c[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* DEL, or one of U+0080 to U+009F: the number of a character that a document may have, but a
 * terminal obeys; 0 for all others. */
static unsigned upper_control(struct span character)
{
    unsigned char first = (unsigned char)character.data[0];

    if (first == 0x7f)
        return first;
    unsigned char second = character.len == 2 ? (unsigned char)character.data[1] : 0xff;
    return first == 0xc2 && second < 0xa0 ? second : 0;
}

void escape_json(struct buf *out, struct span text)
{
    while (text.len > 0) {
        char c = text.data[0];
        size_t length = utf8_length(text);
        if (length == 0) {
            buf_append(out, REPLACEMENT);
            length = 1;
        } else if (c == '"' || c == '\\') {
            buf_append_char(out, '\\');
            buf_append_char(out, c);
        } else if (upper_control(span_first(text, length)) > 0) {
            buf_printf(out, "\\u%04x", upper_control(span_first(text, length)));
        } else if (is_control(c) || c == '<' || c == '>' || c == '&') {
            buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            buf_append(out, span_first(text, length));
        }
        text = span_skip(text, length);
    }
}

/* Of a character that is UTF-8. */
static struct span xml_form(struct span character)
{
    switch (character.data[0]) {
    case '&':
        return SPAN("&amp;");
    case '<':
        return SPAN("&lt;");
    case '>':
        return SPAN("&gt;");
    case '"':
        return SPAN("&quot;");
    /* As they are, a parser would make a line feed or (in attributes) a blank of these. */
    case '\t':
        return SPAN("&#9;");
    case '\n':
        return SPAN("&#10;");
    case '\r':
        return SPAN("&#13;");
    default:
        break;
    }
    if ((unsigned char)character.data[0] < ' ' ||
        /* U+FFFE, U+FFFF */
        (span_starts_with(character, SPAN("\xef\xbf")) && (unsigned char)character.data[2] >= 0xbe))
        return REPLACEMENT;
    return character;
}

void escape_xml(struct buf *out, struct span text)
{
    while (text.len > 0) {
        size_t length = utf8_length(text);
        struct span character = span_first(text, length);
        unsigned control = length == 0 ? 0 : upper_control(character);
        if (control > 0)
            buf_printf(out, "&#%u;", control);
        else
            buf_append(out, length == 0 ? REPLACEMENT : xml_form(character));
        text = span_skip(text, length == 0 ? 1 : length);
    }
}
