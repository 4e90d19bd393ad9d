#include "files/etag.h"

static int64_t age_ms(const struct timespec *now, const struct timespec *then)
{
    return (now->tv_sec - then->tv_sec) * 1000 + (now->tv_nsec - then->tv_nsec) / 1000000;
}

static char *put_hex(char *at, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    int shift = 60;

    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *at++ = digits[value >> shift & 15];
    return at;
}

bool etag_is_young(const struct stat *st, const struct timespec *now)
{
    /* A ctime in the future (the clock was set back) proves nothing either. */
    return age_ms(now, &st->st_ctim) <
           (st->st_ctim.tv_nsec == 0 ? ETAG_YOUNG_COARSE_MS : ETAG_YOUNG_MS);
}

struct span etag_format(const struct stat *st, const struct timespec *now, char out[ETAG_BYTES])
{
    char *at = out;

    if (etag_is_young(st, now)) {
        *at++ = 'W';
        *at++ = '/';
    }
    *at++ = '"';
    at = put_hex(at, st->st_ino);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_size);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec);
    *at++ = '"';
    return span_of(out, (size_t)(at - out));
}
