/* The system as the server sees it here: the linker gives its calls to world.c
 * (memory, time, descriptors, sockets), world_files.c and world_names.c (what is made, copied and
 * removed), by --wrap.
 *
 * Each call is a point for a fault. What depends on the machine is made equal everywhere: time is
 * the simulated backend's, what is in the page cache and which file system is fast is said by
 * struct world, random bytes are always the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct world {
    bool cold;     /* nothing is in the page cache, no path in the kernel's memory */
    bool slow;     /* a file system that may wait for another machine */
    bool across;   /* a rename from one folder to another leads to another file system */
    bool below;    /* puts/ is a file system of its own, mounted there */
    bool untyped;  /* a folder does not tell the types of its entries */
    bool shuffle;  /* what transfers bytes may transfer less */
    uint64_t seed; /* for that */
};

void world_set(const struct world *world);

/* What answers on the other end of a socket, when somebody receives from this one. */
void world_set_answering(int fd, void (*answer)(void));

/* What is there now: pieces of memory and mappings that have not been given back. */
struct world_balance {
    long memory, mappings;
    unsigned descriptors;
};

struct world_balance world_balance(void);

/* Descriptors that were closed though they were not open, since the start. */
unsigned world_wrong_closes(void);

/* Calls of syncfs() by a descriptor that was opened when there were bytes already that it has to
 * sync: it does not tell of errors before that. Since the start. */
unsigned world_late_syncs(void);

/* The sixteen random bytes that a boundary is made of are all this. */
enum { WORLD_RANDOM_BYTE = 0x5a };
