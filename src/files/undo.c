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

struct undos {
    pthread_mutex_t mutex;
    unsigned next; /* where the next one goes: the oldest, if there is any */
    struct undo *slots[LIMIT_UNDOS];
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
        free(undos->slots[i]);
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

static int make_token(unsigned slot, char out[UNDO_TOKEN_BYTES + 1])
{
    uint8_t random[DIGEST_BYTES] = {0};
    char hex[2 * DIGEST_BYTES];

    if (getrandom(random, RANDOM_BYTES, 0) != RANDOM_BYTES)
        return -EIO;
    digest_to_hex(random, hex);
    snprintf(out, UNDO_TOKEN_BYTES + 1, "%0*x%.*s", SLOT_CHARS, slot, 2 * RANDOM_BYTES, hex);
    return 0;
}

int undos_add(struct undos *undos, const struct undo *undo, uint64_t now_ms,
              char ret_token[UNDO_TOKEN_BYTES + 1])
{
    struct undo *c = copy(undo);

    if (!c)
        return -ENOMEM;
    c->ends_ms = now_ms + LIMIT_UNDO_MS;
    pthread_mutex_lock(&undos->mutex);
    unsigned slot = undos->next;
    int r = make_token(slot, c->token);
    if (r == 0) {
        memcpy(ret_token, c->token, sizeof(c->token));
        undos->next = (slot + 1) % LIMIT_UNDOS;
        free(undos->slots[slot]);
        undos->slots[slot] = c;
    }
    pthread_mutex_unlock(&undos->mutex);
    if (r < 0)
        free(c);
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
    struct undo *u = undos->slots[slot];
    if (u && now_ms < u->ends_ms && span_equal(u->user, user) &&
        digest_equal_bytes(span_of(u->token, UNDO_TOKEN_BYTES), token)) {
        found = u;
        undos->slots[slot] = NULL;
    }
    pthread_mutex_unlock(&undos->mutex);
    return found;
}

void undos_put_back(struct undos *undos, struct undo *undo)
{
    unsigned slot = slot_of(span_of(undo->token, UNDO_TOKEN_BYTES));

    pthread_mutex_lock(&undos->mutex);
    /* Unless a younger one has its place by now. */
    if (!undos->slots[slot]) {
        undos->slots[slot] = undo;
        undo = NULL;
    }
    pthread_mutex_unlock(&undos->mutex);
    free(undo);
}
