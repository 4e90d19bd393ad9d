/* System call filters: a process lists what it needs, everything else gives EPERM.
 *
 * EPERM, not a signal: a mistake in a list costs one operation, not the server. The only place that
 * knows libseccomp.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A system call that is allowed: always, or only where (argument & mask) == value, and where the
 * argument behind that one is `next`, if that is set. */
struct seccomp_call {
    const char *name;
    bool conditional;
    unsigned argument; /* counted from 0 */
    uint64_t mask, value;
    uint64_t next;
};

struct seccomp_list {
    const struct seccomp_call *calls;
    size_t count;
};

#define SECCOMP_LIST(array) ((struct seccomp_list){array, sizeof(array) / sizeof((array)[0])})

/* Restricts all threads of this process, now and for ever, to these lists, to the memory, time and
 * thread calls that every program needs (no executable memory), and in sanitized builds to what
 * reports need. Calls that this kernel or libseccomp does not know are left out. Returns 0 or
 * -errno. */
int seccomp_allow_only(const struct seccomp_list *lists, size_t count);
