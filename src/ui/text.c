#include "ui/text.h"

#include <time.h>

#include "base/utf8.h"
#include "http/date.h"

#define REPLACEMENT SPAN("\xef\xbf\xbd") /* U+FFFD */

/* What stands in the page instead of a character; data == NULL: the character itself. */
static struct span replacement(int32_t c)
{
    switch (c) {
    case '<':
        return SPAN("&lt;");
    case '>':
        return SPAN("&gt;");
    case '&':
        return SPAN("&amp;");
    case '"':
        return SPAN("&quot;");
    case '\'':
        return SPAN("&#39;");
    default:
        break;
    }
    bool control = c < ' ' || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
    bool turns = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    if (control || turns)
        return REPLACEMENT;
    return (struct span){NULL, 0};
}

void text_append_name(struct buf *out, struct span name)
{
    while (name.len > 0) {
        struct span instead = {NULL, 0};
        size_t plain = 0, length = 0;
        while (plain < name.len && !instead.data) {
            instead = replacement(utf8_next(span_skip(name, plain), &length));
            plain += instead.data ? 0 : length;
        }
        buf_append(out, span_first(name, plain));
        if (instead.data)
            buf_append(out, instead);
        name = span_skip(name, plain + (instead.data ? length : 0));
    }
}

/* --- numbers --- */

void text_append_number(struct buf *out, uint64_t number)
{
    char digits[20];
    struct buf b;

    buf_init_fixed(&b, digits, sizeof(digits));
    buf_append_u64(&b, number);
    for (size_t i = 0; i < b.len; i++) {
        if (i > 0 && (b.len - i) % 3 == 0)
            buf_append_char(out, ',');
        buf_append_char(out, digits[i]);
    }
}

void text_append_count(struct buf *out, uint64_t number, const char *plural)
{
    text_append_number(out, number);
    buf_append_char(out, ' ');
    buf_append(out, span_of(plural, strlen(plural) - (number == 1)));
}

void text_append_size(struct buf *out, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    uint64_t unit = 1;
    size_t index = 0;

    /* Until what is left, rounded, has three digits at most. */
    while (index < sizeof(units) - 2 &&
           bytes / unit + (bytes % unit >= (unit + 1) / 2 && unit > 1) >= 1000) {
        unit *= 1000;
        index++;
    }
    if (index == 0) {
        buf_append_u64(out, bytes);
        buf_append_str(out, " B");
        return;
    }
    uint64_t tenths = bytes / (unit / 10) + (bytes % (unit / 10) >= unit / 20);
    if (tenths < 100) {
        buf_append_u64(out, tenths / 10);
        buf_append_char(out, '.');
        buf_append_u64(out, tenths % 10);
    } else {
        buf_append_u64(out, bytes / unit + (bytes % unit >= unit / 2));
    }
    buf_append(out, span_of((char[]){' ', units[index], 'B'}, 3));
}

/* --- times --- */

enum { QUARTER_S = 15 * 60 };

/* The beginnings of the years 1 and 9999, about: before and after it is no file's time. */
#define TIME_FIRST INT64_C(-62135596800)
#define TIME_LAST INT64_C(253370764800)

static bool local_time(int64_t seconds, struct tm *ret_tm)
{
    time_t time = (time_t)seconds;

    return localtime_r(&time, ret_tm) != NULL;
}

/* Whether local time simply goes on through the quarter that begins with `tm`. All zones of today
 * change at its ends only, and are whole quarters away from each other. */
static bool is_even(const struct tm *tm, int64_t begin)
{
    struct tm end;

    return local_time(begin + QUARTER_S - 1, &end) && end.tm_gmtoff == tm->tm_gmtoff &&
           tm->tm_sec == 0 && end.tm_sec == 59 && end.tm_hour == tm->tm_hour &&
           end.tm_min == tm->tm_min + QUARTER_S / 60 - 1;
}

/* Sets the clock to a time's quarter, or where that is not even to its minute. Returns how many
 * seconds ago that began, -1 for no time. */
static int set_clock(struct text_clock *clock, int64_t seconds)
{
    if (seconds < TIME_FIRST || seconds > TIME_LAST)
        return -1;
    int64_t quarter = seconds / QUARTER_S - (seconds % QUARTER_S < 0);
    int ago = (int)(seconds - quarter * QUARTER_S);
    struct tm tm;

    if (clock->known && clock->quarter == quarter)
        return ago;
    if (!local_time(seconds - ago, &tm))
        return -1;
    clock->known = is_even(&tm, seconds - ago);
    if (!clock->known) {
        if (!local_time(seconds, &tm))
            return -1;
        ago = tm.tm_sec;
    }
    clock->quarter = quarter;
    clock->minute = tm.tm_min;
    strftime(clock->hour, sizeof(clock->hour), "%Y-%m-%d %H:", &tm);
    strftime(clock->zone, sizeof(clock->zone), "%z", &tm);
    return ago;
}

static void append_two_digits(struct buf *out, int number)
{
    const char digits[] = {(char)('0' + number / 10), (char)('0' + number % 10)};

    buf_append(out, span_of(digits, sizeof(digits)));
}

void text_append_time(struct buf *out, struct text_clock *clock, int64_t seconds,
                      uint32_t nanoseconds)
{
    char iso[DATE_ISO_BYTES];

    buf_append_str(out, "<time datetime=\"");
    buf_append(out, date_format_iso(seconds, nanoseconds, iso));
    /* File systems hold any nonsense. */
    int ago = set_clock(clock, seconds);
    if (ago < 0) {
        buf_append_str(out, "\">?</time>");
        return;
    }
    int minutes = clock->known ? ago / 60 : 0; /* a leap second is the 60th */
    int minute = clock->minute + minutes, second = ago - 60 * minutes;
    buf_append_str(out, "\" title=\"");
    buf_append_str(out, clock->hour);
    append_two_digits(out, minute);
    buf_append_char(out, ':');
    append_two_digits(out, second);
    buf_append_char(out, ' ');
    buf_append_str(out, clock->zone);
    buf_append_str(out, "\">");
    buf_append_str(out, clock->hour);
    append_two_digits(out, minute);
    buf_append_str(out, "</time>");
}
