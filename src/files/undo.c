#include "files/undo.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auth/digest.h"
#include "base/limits.h"
#include "http/chars.h"

enum { SLOT_CHARS = 4, RANDOM_BYTES = 16 };

_Static_assert(LIMIT_UNDOS <= 0x10000, "a slot has four digits");

/* Looked through for each deletion, so it has all that is asked for then. What was taken out keeps
 * its place, to which it may be put back, until that is the oldest. */
struct slot {
    uint64_t number; /* of the deletion that was noted here last; 0: none yet */
    uint64_t owner;
    struct undo *undo; /* NULL: none yet, or taken out */
};

struct undos {
    pthread_mutex_t mutex;
    uint64_t last_number;
    struct slot slots[LIMIT_UNDOS];
};

int undos_create(struct undos **ret_undos)
{
    struct undos *undos = calloc(1, sizeof(*undos));

    if (!undos)
        return -ENOMEM;
    pthread_mutex_init(&undos->mutex, NULL);
    *ret_undos = undos;
    return 0;
}

void undos_destroy(struct undos *undos)
{
    if (!undos)
        return;
    for (unsigned i = 0; i < LIMIT_UNDOS; i++)
        free(undos->slots[i].undo);
    pthread_mutex_destroy(&undos->mutex);
    free(undos);
}

/* In one piece of memory. */
static struct undo *copy(const struct undo *undo)
{
    struct undo *c = malloc(sizeof(*c) + undo->path.len + 1 + undo->user.len);

    if (!c)
        return NULL;
    char *path = (char *)(c + 1), *user = path + undo->path.len + 1;
    *c = *undo;
    memcpy(path, undo->path.data, undo->path.len);
    path[undo->path.len] = '\0';
    memcpy(user, undo->user.data, undo->user.len);
    c->path = span_of(path, undo->path.len);
    c->user = span_of(user, undo->user.len);
    return c;
}

static int make_token(uint16_t slot, char out[UNDO_TOKEN_BYTES + 1])
{
    uint8_t random[DIGEST_BYTES] = {0};
    char hex[2 * DIGEST_BYTES];

    if (getrandom(random, RANDOM_BYTES, 0) != RANDOM_BYTES)
        return -EIO;
    digest_to_hex(random, hex);
    snprintf(out, UNDO_TOKEN_BYTES + 1, "%0*x%.*s", SLOT_CHARS, slot, 2 * RANDOM_BYTES, hex);
    return 0;
}

/* A short name for a user. Nobody finds two with the same one. */
static uint64_t owner_of(struct span user)
{
    uint8_t digest[DIGEST_BYTES];
    uint64_t owner;

    digest_sha256(user, SPAN(""), digest);
    memcpy(&owner, digest, sizeof(owner));
    return owner;
}

/* The one that is free, or else the oldest: of this user's, if he has his share, or of all. */
static unsigned find_slot(const struct undos *undos, uint64_t owner)
{
    const struct slot *slots = undos->slots;
    unsigned oldest = 0, own_oldest = LIMIT_UNDOS, own = 0;

    for (unsigned i = 0; i < LIMIT_UNDOS; i++) {
        if (slots[i].number < slots[oldest].number)
            oldest = i;
        if (slots[i].number == 0 || slots[i].owner != owner)
            continue;
        own++;
        if (own_oldest == LIMIT_UNDOS || slots[i].number < slots[own_oldest].number)
            own_oldest = i;
    }
    return own < LIMIT_UNDOS_PER_USER ? oldest : own_oldest;
}

int undos_add(struct undos *undos, const struct undo *undo, uint64_t now_ms,
              char ret_token[UNDO_TOKEN_BYTES + 1])
{
    struct undo *c = copy(undo);

    if (!c)
        return -ENOMEM;
    const uint64_t owner = owner_of(undo->user);
    struct undo *left_over = c;
    c->ends_ms = now_ms + LIMIT_UNDO_MS;
    pthread_mutex_lock(&undos->mutex);
    unsigned at = find_slot(undos, owner);
    int r = make_token((uint16_t)at, c->token);
    if (r == 0) {
        memcpy(ret_token, c->token, sizeof(c->token));
        c->number = ++undos->last_number;
        left_over = undos->slots[at].undo;
        undos->slots[at] = (struct slot){.number = c->number, .owner = owner, .undo = c};
    }
    pthread_mutex_unlock(&undos->mutex);
    free(left_over);
    return r;
}

/* Returns it, or LIMIT_UNDOS for what is none. */
static unsigned slot_of(struct span token)
{
    unsigned slot = 0;

    if (token.len != UNDO_TOKEN_BYTES)
        return LIMIT_UNDOS;
    for (unsigned i = 0; i < SLOT_CHARS; i++) {
        int digit = http_hex_value(token.data[i]);
        if (digit < 0)
            return LIMIT_UNDOS;
        slot = 16 * slot + (unsigned)digit;
    }
    return slot < LIMIT_UNDOS ? slot : LIMIT_UNDOS;
}

struct undo *undos_take(struct undos *undos, struct span user, struct span token, uint64_t now_ms)
{
    unsigned slot = slot_of(token);
    struct undo *found = NULL;

    if (slot == LIMIT_UNDOS)
        return NULL;
    pthread_mutex_lock(&undos->mutex);
    struct undo *u = undos->slots[slot].undo;
    if (u && now_ms < u->ends_ms && span_equal(u->user, user) &&
        digest_equal_bytes(span_of(u->token, UNDO_TOKEN_BYTES), token)) {
        found = u;
        undos->slots[slot].undo = NULL;
    }
    pthread_mutex_unlock(&undos->mutex);
    return found;
}

void undos_put_back(struct undos *undos, struct undo *undo)
{
    unsigned slot = slot_of(span_of(undo->token, UNDO_TOKEN_BYTES));

    pthread_mutex_lock(&undos->mutex);
    /* Unless a younger one has its place by now. */
    if (undos->slots[slot].number == undo->number) {
        undos->slots[slot].undo = undo;
        undo = NULL;
    }
    pthread_mutex_unlock(&undos->mutex);
    free(undo);
}
