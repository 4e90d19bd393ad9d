#include "base/utf8.h"

int32_t utf8_next(struct span s, size_t *ret_length)
{
    /* The least character of each length; a shorter form of it would have done. */
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *c = (const unsigned char *)s.data;

    *ret_length = 1;
    if (c[0] < 0x80)
        return c[0];
    size_t length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    if (c[0] < 0xc2 || c[0] > 0xf4 || s.len < length)
        return -1;
    int32_t character = c[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return -1;
        character = character << 6 | (c[i] & 0x3f);
    }
    if (character < least[length] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return -1;
    *ret_length = length;
    return character;
}

bool utf8_is_valid(struct span s)
{
    size_t length;

    for (; s.len > 0; s = span_skip(s, length))
        if (utf8_next(s, &length) < 0)
            return false;
    return true;
}
