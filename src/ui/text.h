/* Names, sizes and times as people read them, in HTML. */
#pragma once

#include "base/buf.h"

/* A file's name as text or attribute value: escaped; what is not UTF-8, control characters, and
 * characters that turn the direction of writing around (so that "exe.gpj" would read "jpg.exe")
 * become U+FFFD. */
void text_append_name(struct buf *out, struct span name);

/* "0 B", "999 B", "1.2 KB", "12 MB": decimal, as the file managers of desktops and phones have it.
 */
void text_append_size(struct buf *out, uint64_t bytes);

/* "1,234,567" */
void text_append_number(struct buf *out, uint64_t number);

/* "1 file", "12 files"; `plural` is the singular and an "s". */
void text_append_count(struct buf *out, uint64_t number, const char *plural);

/* Local time by quarters of an hour, within which it is plain counting. Zeroed at first: one of
 * these makes the times of neighbours cheap. */
struct text_clock {
    bool known;
    int64_t quarter; /* since the epoch: what the rest is of */
    int minute;      /* at its beginning */
    char hour[16];   /* "2026-11-22 10:" */
    char zone[8];    /* "+0100" */
};

/* A time element: what is seen is "2026-11-22 10:00" in this machine's time zone, its title has the
 * seconds and the zone, its attribute is exact. tzset() has to have been called. */
void text_append_time(struct buf *out, struct text_clock *clock, int64_t seconds,
                      uint32_t nanoseconds);
