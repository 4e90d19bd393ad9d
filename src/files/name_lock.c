#include "files/name_lock.h"

#include <pthread.h>

enum { PER_BANK = 64 };

/* Those of the root's file system, and those of all others. */
static pthread_mutex_t mutexes[2 * PER_BANK] = {
    [0 ... 2 * PER_BANK - 1] = PTHREAD_MUTEX_INITIALIZER,
};

/* The same for all spellings that differ in case only: beyond ASCII every byte is. Names that have
 * a lock in common without need wait for each other, no more. */
static uint32_t add_name(uint32_t hash, const char *name)
{
    for (const char *c = name; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte >= 'A' && byte <= 'Z')
            byte = (unsigned char)(byte - 'A' + 'a');
        if (byte < 0x80)
            hash = (hash ^ byte) * 16777619u;
    }
    return hash;
}

/* FNV-1a over the name, with the folder's numbers in its beginning. */
static unsigned number_of(const struct root *root, const struct place *p)
{
    bool on_root = root->fast && p->dir.st_dev == root->device;
    uint64_t folder = (uint64_t)p->dir.st_ino ^ (uint64_t)p->dir.st_dev << 32;
    uint32_t hash = 2166136261u ^ (uint32_t)folder ^ (uint32_t)(folder >> 32);

    hash = on_root ? add_name(hash, p->name) : hash * 16777619u;
    return (on_root ? 0u : PER_BANK) + (hash ^ hash >> 16) % PER_BANK;
}

struct name_lock name_lock_take(const struct root *root, const struct place *a,
                                const struct place *b)
{
    unsigned one = number_of(root, a), two = b ? number_of(root, b) : one;
    struct name_lock lock = {one < two ? one : two, one < two ? two : one};

    pthread_mutex_lock(&mutexes[lock.first]);
    if (lock.second != lock.first)
        pthread_mutex_lock(&mutexes[lock.second]);
    return lock;
}

void name_lock_release(struct name_lock lock)
{
    if (lock.second != lock.first)
        pthread_mutex_unlock(&mutexes[lock.second]);
    pthread_mutex_unlock(&mutexes[lock.first]);
}
