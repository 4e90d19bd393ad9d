#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static const char *log_role;

void log_init(const char *role)
{
    log_role = role;
}

static void write_line(const char *level, const char *format, va_list args)
{
    char line[LINE_MAX_BYTES];
    int at = log_role ? snprintf(line, sizeof(line), "fastfile %s: %s", log_role, level)
                      : snprintf(line, sizeof(line), "fastfile: %s", level);

    at += vsnprintf(line + at, sizeof(line) - (size_t)at, format, args);
    if (at > LINE_MAX_BYTES - 1)
        at = LINE_MAX_BYTES - 1;
    line[at] = '\n';
    /* Nothing can be said where standard error is gone. */
    if (write(STDERR_FILENO, line, (size_t)at + 1) < 0)
        return;
}

#define DEFINE_LEVEL(name, prefix)        \
    void name(const char *format, ...)    \
    {                                     \
        va_list args;                     \
        va_start(args, format);           \
        write_line(prefix, format, args); \
        va_end(args);                     \
    }

DEFINE_LEVEL(log_info, "")
DEFINE_LEVEL(log_warning, "warning: ")
DEFINE_LEVEL(log_error, "error: ")

void log_escape(struct buf *out, struct span s)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            buf_append(out, span_of(escaped, sizeof(escaped)));
        } else {
            buf_append_char(out, (char)c);
        }
    }
}
