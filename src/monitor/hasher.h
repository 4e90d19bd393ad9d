/* The hasher: a child of the monitor that compares passwords with hashes (20 ms and 16 MiB each),
 * one after the other, and can do nothing else.
 *
 * It reads struct hash_job from its channel and writes struct hash_answer; plain structs without a
 * header, because nobody else speaks there. Its first answer, to job 0, says that it is ready.
 */
#pragma once

#include <stdint.h>

struct hash_answer {
    uint64_t job_id;
    uint32_t outcome; /* enum hash_outcome */
    uint32_t reserved;
};

/* Serves until its channel ends. Returns the exit status. */
int hasher_main(void);
