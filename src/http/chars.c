#include "http/chars.h"

#define BETWEEN(c, low, high) ((c) >= (low) && (c) <= (high))
#define IS_DIGIT(c) BETWEEN(c, '0', '9')
#define IS_ALPHA(c) BETWEEN((c) | 0x20, 'a', 'z')
#define IS_ALNUM(c) (IS_DIGIT(c) || IS_ALPHA(c))
#define IS_ATTR(c)                                                                        \
    (IS_ALNUM(c) || (c) == '!' || (c) == '#' || (c) == '$' || (c) == '&' || (c) == '+' || \
     (c) == '-' || (c) == '.' || (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' ||  \
     (c) == '~')
#define IS_HOST(c) (IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define IS_PATH(c)                                                                       \
    (IS_HOST(c) || (c) == '/' || (c) == '!' || (c) == '$' || (c) == '(' || (c) == ')' || \
     (c) == '*' || (c) == ',' || (c) == ';' || (c) == '=' || (c) == '@')

#define CLASSES(c)                                                                               \
    ((IS_ATTR(c) || (c) == '%' || (c) == '\'' || (c) == '*' ? CHAR_TOKEN : 0) |                  \
     ((c) > ' ' && (c) != '#' && (c) != 0x7f ? CHAR_TARGET : 0) | (IS_HOST(c) ? CHAR_HOST : 0) | \
     ((c) > ' ' && (c) != '"' && (c) != 0x7f ? CHAR_ETAG : 0) | (IS_PATH(c) ? CHAR_PATH : 0) |   \
     (((c) >= ' ' && (c) != 0x7f) || (c) == '\t' ? CHAR_VALUE : 0) |                             \
     (IS_ATTR(c) ? CHAR_ATTR : 0) | (IS_DIGIT(c) || BETWEEN((c) | 0x20, 'a', 'f') ? CHAR_HEX : 0))

#define CLASSES_4(c) CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define CLASSES_16(c) CLASSES_4(c), CLASSES_4((c) + 4), CLASSES_4((c) + 8), CLASSES_4((c) + 12)
#define CLASSES_64(c) \
    CLASSES_16(c), CLASSES_16((c) + 16), CLASSES_16((c) + 32), CLASSES_16((c) + 48)

const unsigned char http_chars[256] = {CLASSES_64(0), CLASSES_64(64), CLASSES_64(128),
                                       CLASSES_64(192)};
