#include "files/folder_sort.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* --- natural order --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number: the digit '0', so that numbers stand where digits stand among other characters, then
 * how many digits it has, then these. */
static size_t put_number(struct span digits, unsigned char *out)
{
    size_t at = 0;

    while (digits.len > 0 && digits.data[0] == '0')
        digits = span_skip(digits, 1);
    out[at++] = '0';
    if (digits.len < 254) {
        out[at++] = (unsigned char)(digits.len + 1);
    } else {
        out[at++] = 255;
        out[at++] = (unsigned char)(digits.len / 255 + 1);
        out[at++] = (unsigned char)(digits.len % 255 + 1);
    }
    if (digits.len > 0)
        memcpy(out + at, digits.data, digits.len);
    return at + digits.len;
}

/* No byte of a key is 0, so that zeros behind one (in a rank) do not change its place. */
size_t folder_name_key(struct span name, unsigned char *out)
{
    size_t at = 0;

    for (size_t i = 0; i < name.len;) {
        size_t end = i;
        while (end < name.len && is_digit(name.data[end]))
            end++;
        if (end > i) {
            at += put_number(span_of(name.data + i, end - i), out + at);
            i = end;
            continue;
        }
        char c = name.data[i++];
        out[at++] = (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    assert(at <= FOLDER_KEY_FACTOR * name.len);
    return at;
}

/* --- ranks --- */

static uint64_t rank_of_key(const struct folder_sort_item *item, size_t from)
{
    uint64_t rank = 0;

    for (size_t i = from; i < from + 8; i++)
        rank = rank << 8 | (i < item->key_len ? (unsigned char)item->key[i] : 0);
    return rank;
}

/* Nanoseconds since the year 1833, until 2242; what is beyond counts as these. */
static uint64_t rank_of_time(const struct folder_entry *entry)
{
    const int64_t before = INT64_C(1) << 32, after = INT64_C(1) << 33;

    if (entry->mtime_s < -before)
        return 0;
    if (entry->mtime_s >= after)
        return UINT64_MAX;
    return (uint64_t)(entry->mtime_s + before) << 30 | entry->mtime_ns;
}

static size_t common_prefix(const struct folder_sort_item *items, size_t count)
{
    size_t common = items[0].key_len;

    for (size_t i = 1; i < count && common > 0; i++) {
        if (common > items[i].key_len)
            common = items[i].key_len;
        for (size_t at = 0; at < common; at++)
            if (items[i].key[at] != items[0].key[at])
                common = at;
    }
    return common;
}

static uint64_t rank_of(const struct folder_sorter *s, const struct folder_sort_item *item,
                        enum folder_sort by)
{
    const struct folder_entry *entry = &s->entries[item->index];

    switch (by) {
    case FOLDER_BY_SIZE:
        return entry->size;
    case FOLDER_BY_TIME:
        return rank_of_time(entry);
    case FOLDER_BY_NAME:
        break;
    }
    return rank_of_key(item, s->common);
}

/* --- merging --- */

int folder_sort_begin(struct folder_sorter *s, struct folder_sort_item *items,
                      const struct folder *folder, enum folder_sort by, bool descending)
{
    assert(folder->count > 0);
    *s = (struct folder_sorter){
        .from = items,
        .scratch = reallocarray(NULL, folder->count, sizeof(*items)),
        .count = folder->count,
        .width = 1,
        .entries = folder->entries,
        .common = common_prefix(items, folder->count),
        .names_descending = descending && by == FOLDER_BY_NAME,
    };
    if (!s->scratch)
        return -ENOMEM;
    s->to = s->scratch;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t rank = rank_of(s, &items[i], by);
        items[i].rank = descending ? ~rank : rank;
    }
    return 0;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* Whether `b` has to stand before `a`. */
static bool is_before(const struct folder_sorter *s, const struct folder_sort_item *b,
                      const struct folder_sort_item *a)
{
    if (a->is_file != b->is_file)
        return a->is_file;
    if (a->rank != b->rank)
        return b->rank < a->rank;
    int order = compare_bytes(b->key + s->common, b->key_len - s->common, a->key + s->common,
                              a->key_len - s->common);
    if (order == 0) {
        struct span x = s->entries[b->index].name, y = s->entries[a->index].name;
        order = compare_bytes(x.data, x.len, y.data, y.len);
    }
    return s->names_descending ? order > 0 : order < 0;
}

static void merge(const struct folder_sorter *s, size_t start, size_t middle, size_t end)
{
    size_t a = start, b = middle;

    for (size_t at = start; at < end; at++) {
        bool take_b = a == middle || (b < end && is_before(s, &s->from[b], &s->from[a]));
        s->to[at] = s->from[take_b ? b++ : a++];
    }
}

bool folder_sort_step(struct folder_sorter *s)
{
    if (s->width >= s->count)
        return false;
    for (size_t start = 0; start < s->count; start += 2 * s->width) {
        size_t middle = start + s->width, end = middle + s->width;
        merge(s, start, middle < s->count ? middle : s->count, end < s->count ? end : s->count);
    }
    struct folder_sort_item *sorted = s->to;
    s->to = s->from;
    s->from = sorted;
    s->width *= 2;
    return true;
}

void folder_sort_finish(struct folder_sorter *s)
{
    free(s->scratch);
    s->scratch = NULL;
}
