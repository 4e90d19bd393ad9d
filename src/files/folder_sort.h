/* Putting the entries of a folder in order, step by step.
 *
 * A merge sort of our own: qsort() may be quadratic, asks the kernel for the size of its memory
 * (which home's system call filter does not allow), and cannot be interrupted; a step here is one
 * pass over the entries. Most comparisons are decided by one number.
 */
#pragma once

#include "files/folder.h"

struct folder_sort_item {
    uint64_t rank; /* set by folder_sort_begin() */
    const char *key;
    uint32_t index; /* of the entry */
    uint16_t key_len;
    bool is_file;
};

struct folder_sorter {
    struct folder_sort_item *from,
        *to; /* each pass merges runs of `width` from one into the other */
    struct folder_sort_item *scratch;
    size_t count, width;
    const struct folder_entry *entries;
    size_t common; /* so many bytes are the same in front of all keys */
    bool names_descending;
};

/* Prepares sorting `items`, one for each entry of the folder (at least one), key and index set.
 * They stay the caller's, as does the folder. Returns 0 or -ENOMEM. */
int folder_sort_begin(struct folder_sorter *s, struct folder_sort_item *items,
                      const struct folder *folder, enum folder_sort by, bool descending);

/* One pass. Returns false when all is sorted: `from` has it then. */
bool folder_sort_step(struct folder_sorter *s);

/* Harmless on a zeroed one. */
void folder_sort_finish(struct folder_sorter *s);
