#include "http/body.h"

#include "http/chars.h"

enum {
    MAX_SIZE_DIGITS = 16, /* of 64 bits */
};

/* Every step but DATA takes exactly one octet; this is the whole grammar:
 *
 *   SIZE -> [ SIZE_BLANK ] -> [ EXTENSION ] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *   last chunk: SIZE_LF -> TRAILER_START -> ( TRAILER -> TRAILER_LF -> TRAILER_START )* -> END_LF
 * -> DONE
 *
 * Each function returns the next step. */

static enum chunked_step step_size(struct chunked *s, char c)
{
    int digit = http_hex_value(c);

    if (digit >= 0) {
        if (++s->digits > MAX_SIZE_DIGITS || s->left > (uint64_t)INT64_MAX >> 4)
            return CHUNKED_BAD;
        s->left = s->left << 4 | (uint64_t)digit;
        return CHUNKED_SIZE;
    }
    if (s->digits == 0)
        return CHUNKED_BAD;
    if (c == '\r')
        return CHUNKED_SIZE_LF;
    if (c == ';')
        return CHUNKED_EXTENSION;
    return c == ' ' || c == '\t' ? CHUNKED_SIZE_BLANK : CHUNKED_BAD;
}

/* Blanks between the size and the ';' of an extension. */
static enum chunked_step step_size_blank(struct chunked *s, char c)
{
    if (++s->line_bytes > LIMIT_CHUNK_EXTENSION_BYTES)
        return CHUNKED_BAD;
    if (c == ';')
        return CHUNKED_EXTENSION;
    return c == ' ' || c == '\t' ? CHUNKED_SIZE_BLANK : CHUNKED_BAD;
}

static enum chunked_step step_extension(struct chunked *s, char c)
{
    if (c == '\r')
        return CHUNKED_SIZE_LF;
    if (++s->line_bytes > LIMIT_CHUNK_EXTENSION_BYTES || !http_is(c, CHAR_VALUE))
        return CHUNKED_BAD;
    return CHUNKED_EXTENSION;
}

static enum chunked_step step_size_lf(struct chunked *s, char c)
{
    s->digits = s->line_bytes = 0;
    if (c != '\n')
        return CHUNKED_BAD;
    return s->left > 0 ? CHUNKED_DATA : CHUNKED_TRAILER_START;
}

static enum chunked_step step_trailer(struct chunked *s, char c)
{
    bool start = s->step == CHUNKED_TRAILER_START;

    if (c == '\r')
        return start ? CHUNKED_END_LF : CHUNKED_TRAILER_LF;
    if (++s->trailer_bytes > LIMIT_TRAILER_BYTES)
        return CHUNKED_BAD;
    return http_is(c, start ? CHAR_TOKEN : CHAR_VALUE) ? CHUNKED_TRAILER : CHUNKED_BAD;
}

static enum chunked_step step(struct chunked *s, char c)
{
    switch (s->step) {
    case CHUNKED_SIZE:
        return step_size(s, c);
    case CHUNKED_SIZE_BLANK:
        return step_size_blank(s, c);
    case CHUNKED_EXTENSION:
        return step_extension(s, c);
    case CHUNKED_SIZE_LF:
        return step_size_lf(s, c);
    case CHUNKED_DATA_CR:
        return c == '\r' ? CHUNKED_DATA_LF : CHUNKED_BAD;
    case CHUNKED_DATA_LF:
        return c == '\n' ? CHUNKED_SIZE : CHUNKED_BAD;
    case CHUNKED_TRAILER_START:
    case CHUNKED_TRAILER:
        return step_trailer(s, c);
    case CHUNKED_TRAILER_LF:
        return c == '\n' ? CHUNKED_TRAILER_START : CHUNKED_BAD;
    case CHUNKED_END_LF:
        return c == '\n' ? CHUNKED_DONE : CHUNKED_BAD;
    case CHUNKED_DATA:
    case CHUNKED_DONE:
    case CHUNKED_BAD:
        break;
    }
    return CHUNKED_BAD;
}

int chunked_decode(struct chunked *state, struct span in, size_t *ret_consumed,
                   struct span *ret_data)
{
    size_t at = 0;

    *ret_data = (struct span){0};
    while (at < in.len && state->step != CHUNKED_DATA && state->step != CHUNKED_DONE &&
           state->step != CHUNKED_BAD)
        state->step = step(state, in.data[at++]);
    if (state->step == CHUNKED_DATA) {
        size_t there = in.len - at;
        *ret_data = span_of(in.data + at, there < state->left ? there : (size_t)state->left);
        at += ret_data->len;
        state->left -= ret_data->len;
        if (state->left == 0)
            state->step = CHUNKED_DATA_CR;
    }
    *ret_consumed = at;
    if (state->step == CHUNKED_BAD)
        return -400;
    return state->step == CHUNKED_DONE;
}
