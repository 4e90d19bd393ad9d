/* All locks as bytes for a file, and back.
 *
 *     fastfile-locks 1 GENERATION BOOT MS
 *     TOKEN SECONDS x|s 0|i USER PATH OWNER     the last three: their lengths
 *     user path owner                           these bytes, without blanks between them
 *     …
 *     end COUNT SHA256                          16 digits, of all before this line
 *
 * Seconds are those that a lock has left, not a date: a Pi has no clock before it has a network. MS
 * is CLOCK_MONOTONIC, which says how long ago that was as long as BOOT is the same. After a reboot
 * a lock lives longer by what the machine was away; one that ended too early would cost somebody
 * his text.
 *
 * Read strictly: what is not complete is none. Pure.
 */
#pragma once

#include "files/locks.h"

enum {
    LOCKS_TEXT_BOOT_CHARS = 36, /* of /proc/sys/kernel/random/boot_id */
    /* The table's own figures are longer than these of the text. */
    LOCKS_TEXT_BYTES_MAX = LIMIT_LOCK_BYTES + 256,
};

/* What is said once. */
struct locks_text {
    uint64_t generation;
    char boot[LOCKS_TEXT_BOOT_CHARS + 1];
    uint64_t now_ms;
};

/* Appends it to `out`, which may fail. Returns the version of the table that it is. */
uint64_t locks_text_format(struct locks *locks, const struct locks_text *head, struct buf *out);

/* Whether this is a complete one. Returns 0 or -EBADMSG. */
int locks_text_check(struct span text, struct locks_text *ret_head);

/* Puts the locks of a complete one into the table, but for those that have ended since, as far as
 * `now` tells. Returns how many could not be put there. */
unsigned locks_text_restore(struct span text, struct locks *locks, const struct locks_text *now);
