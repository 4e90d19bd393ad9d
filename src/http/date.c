#include "http/date.h"

#include <errno.h>

static const char day_names[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

enum { DAY_SECONDS = 24 * 60 * 60, DAYS_OF_400_YEARS = 146097 };

static const int64_t YEAR_0 = -62167219200, YEAR_9999_END = 253402300799;

struct civil {
    int year, month, day; /* month 1 to 12 */
    int hour, minute, second;
    int weekday; /* 0: Sunday */
};

/* Both conversions count years from March, so that the odd day of a leap year is the last one, and
 * in eras of 400 years, after which the calendar repeats. 719468 days lie between 0000-03-01 and
 * 1970-01-01. */
static int64_t days_from_civil(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2) + 400; /* never negative */
    int64_t year_of_era = year % 400;
    int64_t month = (c->month + 9) % 12;
    int64_t day_of_year = (153 * month + 2) / 5 + c->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (year / 400 - 1) * DAYS_OF_400_YEARS + day_of_era - 719468;
}

static struct civil civil_from_seconds(int64_t seconds)
{
    if (seconds < YEAR_0)
        seconds = YEAR_0;
    if (seconds > YEAR_9999_END)
        seconds = YEAR_9999_END;

    int64_t shifted = seconds + (719468LL + DAYS_OF_400_YEARS) * DAY_SECONDS; /* never negative */
    int64_t days = shifted / DAY_SECONDS, rest = shifted % DAY_SECONDS;
    int64_t day_of_era = days % DAYS_OF_400_YEARS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0: March */
    int64_t year = year_of_era + (days / DAYS_OF_400_YEARS - 1) * 400 + (month >= 10);

    return (struct civil){
        .year = (int)year,
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
        .weekday = (int)((days + 3) % 7), /* day 0 was a Wednesday */
    };
}

/* --- formatting --- */

static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static char *put_number(char *at, int number, int digits)
{
    for (int i = digits - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + digits;
}

static char *put_time(char *at, const struct civil *c)
{
    at = put_number(at, c->hour, 2);
    at = put(at, ":", 1);
    at = put_number(at, c->minute, 2);
    at = put(at, ":", 1);
    return put_number(at, c->second, 2);
}

struct span date_format_http(int64_t seconds, char out[DATE_HTTP_BYTES])
{
    struct civil c = civil_from_seconds(seconds);
    char *at = put(out, day_names[c.weekday], 3);

    at = put(at, ", ", 2);
    at = put_number(at, c.day, 2);
    at = put(at, " ", 1);
    at = put(at, month_names[c.month - 1], 3);
    at = put(at, " ", 1);
    at = put_number(at, c.year, 4);
    at = put(at, " ", 1);
    at = put_time(at, &c);
    put(at, " GMT", 4);
    return span_of(out, DATE_HTTP_BYTES);
}

struct span date_format_iso(int64_t seconds, uint32_t nanoseconds, char out[DATE_ISO_BYTES])
{
    struct civil c = civil_from_seconds(seconds);
    char *at = put_number(out, c.year, 4);

    at = put(at, "-", 1);
    at = put_number(at, c.month, 2);
    at = put(at, "-", 1);
    at = put_number(at, c.day, 2);
    at = put(at, "T", 1);
    at = put_time(at, &c);
    at = put(at, ".", 1);
    at = put_number(at, (int)(nanoseconds / 1000000 % 1000), 3);
    put(at, "Z", 1);
    return span_of(out, DATE_ISO_BYTES);
}

/* --- parsing: each function takes its part from the front of `rest`, or says false --- */

static bool take(struct span *rest, const char *text)
{
    struct span expected = span_str(text);

    if (!span_starts_with(*rest, expected))
        return false;
    *rest = span_skip(*rest, expected.len);
    return true;
}

static bool take_number(struct span *rest, size_t digits, int *ret_number)
{
    uint64_t number;

    if (rest->len < digits || span_to_u64(span_first(*rest, digits), &number) < 0)
        return false;
    *ret_number = (int)number;
    *rest = span_skip(*rest, digits);
    return true;
}

static bool take_short_day(struct span *rest, int *ret_weekday)
{
    for (int i = 0; i < 7; i++)
        if (span_starts_with(*rest, span_of(day_names[i], 3))) {
            *rest = span_skip(*rest, 3);
            *ret_weekday = i;
            return true;
        }
    return false;
}

static bool take_long_day(struct span *rest, int *ret_weekday)
{
    for (int i = 0; i < 7; i++)
        if (take(rest, day_names[i])) {
            *ret_weekday = i;
            return true;
        }
    return false;
}

static bool take_month(struct span *rest, int *ret_month)
{
    for (int i = 0; i < 12; i++)
        if (take(rest, month_names[i])) {
            *ret_month = i + 1;
            return true;
        }
    return false;
}

static bool take_time(struct span *rest, struct civil *c)
{
    return take_number(rest, 2, &c->hour) && take(rest, ":") && take_number(rest, 2, &c->minute) &&
           take(rest, ":") && take_number(rest, 2, &c->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool parse_fixdate(struct span s, struct civil *c)
{
    return take_short_day(&s, &c->weekday) && take(&s, ", ") && take_number(&s, 2, &c->day) &&
           take(&s, " ") && take_month(&s, &c->month) && take(&s, " ") &&
           take_number(&s, 4, &c->year) && take(&s, " ") && take_time(&s, c) && take(&s, " GMT") &&
           s.len == 0;
}

/* Sunday, 06-Nov-94 08:49:37 GMT. The year is the last one with these digits that is not more than
 * 50 years ahead. */
static bool parse_rfc850(struct span s, int64_t now, struct civil *c)
{
    int latest = civil_from_seconds(now).year + 50, digits;

    if (!(take_long_day(&s, &c->weekday) && take(&s, ", ") && take_number(&s, 2, &c->day) &&
          take(&s, "-") && take_month(&s, &c->month) && take(&s, "-") &&
          take_number(&s, 2, &digits) && take(&s, " ") && take_time(&s, c) && take(&s, " GMT") &&
          s.len == 0))
        return false;
    c->year = latest - (latest + 100 - digits) % 100;
    return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool parse_asctime(struct span s, struct civil *c)
{
    return take_short_day(&s, &c->weekday) && take(&s, " ") && take_month(&s, &c->month) &&
           take(&s, " ") &&
           (take(&s, " ") ? take_number(&s, 1, &c->day) : take_number(&s, 2, &c->day)) &&
           take(&s, " ") && take_time(&s, c) && take(&s, " ") && take_number(&s, 4, &c->year) &&
           s.len == 0;
}

/* False for what is no time, and no day, like 29 February of a common year. */
static bool check_civil(const struct civil *c, int64_t *ret_seconds)
{
    static const int month_days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > month_days[c->month - 1] ||
        c->hour > 23 || c->minute > 59 || c->second > 60) /* a leap second: as the one after it */
        return false;
    int64_t days = days_from_civil(c);
    if (civil_from_seconds(days * DAY_SECONDS).day != c->day)
        return false;
    *ret_seconds = days * DAY_SECONDS + c->hour * 3600 + c->minute * 60 + c->second;
    return true;
}

int date_parse_http(struct span text, int64_t now, int64_t *ret_seconds)
{
    struct civil c;
    int64_t seconds;

    if (!parse_fixdate(text, &c) && !parse_rfc850(text, now, &c) && !parse_asctime(text, &c))
        return -EINVAL;
    if (!check_civil(&c, &seconds))
        return -EINVAL;
    /* A leap second may be of the next day. */
    if (civil_from_seconds(seconds - c.second).weekday != c.weekday)
        return -EINVAL;
    *ret_seconds = seconds;
    return 0;
}

static void take_fraction(struct span *rest)
{
    size_t len = 1;

    if (rest->len < 2 || rest->data[0] != '.')
        return;
    while (len < rest->len && rest->data[len] >= '0' && rest->data[len] <= '9')
        len++;
    if (len > 1)
        *rest = span_skip(*rest, len);
}

/* How much later than UTC. */
static bool take_offset(struct span *rest, int *ret_seconds)
{
    int hours, minutes;

    if (take(rest, "Z") || take(rest, "z")) {
        *ret_seconds = 0;
        return true;
    }
    bool west = take(rest, "-");
    if (!(west || take(rest, "+")) || !take_number(rest, 2, &hours) || !take(rest, ":") ||
        !take_number(rest, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

int date_parse_iso(struct span text, int64_t *ret_seconds)
{
    struct civil c;
    int64_t seconds;
    int offset;

    if (!(take_number(&text, 4, &c.year) && take(&text, "-") && take_number(&text, 2, &c.month) &&
          take(&text, "-") && take_number(&text, 2, &c.day) &&
          (take(&text, "T") || take(&text, "t")) && take_time(&text, &c)))
        return -EINVAL;
    take_fraction(&text);
    if (!take_offset(&text, &offset) || text.len > 0 || !check_civil(&c, &seconds))
        return -EINVAL;
    *ret_seconds = seconds - offset;
    return 0;
}
