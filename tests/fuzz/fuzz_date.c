/* Dates: any text, and any number of seconds (the first eight bytes). */
#include <assert.h>
#include <errno.h>

#include "http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t year_0 = -62167219200, year_10000 = 253402300800;

static void check_seconds(int64_t seconds)
{
    char text[DATE_HTTP_BYTES], iso[DATE_ISO_BYTES];
    int64_t parsed, nearest = seconds;

    if (nearest < year_0)
        nearest = year_0;
    if (nearest >= year_10000)
        nearest = year_10000 - 1;
    assert(date_parse_http(date_format_http(seconds, text), 0, &parsed) == 0);
    assert(parsed == nearest);
    date_format_iso(seconds, (uint32_t)seconds, iso);
    assert(iso[4] == '-' && iso[10] == 'T' && iso[23] == 'Z');
    assert(memcmp(text + 17, iso + 11, 8) == 0 && memcmp(text + 12, iso, 4) == 0);
    assert(date_parse_iso(span_of(iso, sizeof(iso)), &parsed) == 0 && parsed == nearest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t seconds;

    int error = date_parse_http(span_of(data, size), 1795341600, &seconds);
    assert(error == 0 || error == -EINVAL);
    if (error == 0) {
        assert(seconds >= year_0 && seconds <= year_10000);
        check_seconds(seconds);
    }
    error = date_parse_iso(span_of(data, size), &seconds);
    assert(error == 0 || error == -EINVAL);
    if (error == 0)
        check_seconds(seconds);
    if (size >= sizeof(seconds)) {
        memcpy(&seconds, data, sizeof(seconds));
        check_seconds(seconds);
        check_seconds(seconds >> 24);
    }
    return 0;
}
