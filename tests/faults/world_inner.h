/* What the files of world.h have in common. */
#pragma once

#include <stddef.h>

#include "fault.h"
#include "world.h"

/* Names as the linker sees them: offsets have 64 bits. */
#define WRAPPED(name) __wrap_##name
#define REAL(name) __real_##name

const struct world *world_now(void);

/* Returns true with errno set where the call fails here. */
bool world_fails(enum fault_site site);

/* How much of it is transferred. */
size_t world_shortened(size_t len);

/* Bytes have been written that nobody has synced yet; or there are none from before. */
void world_wrote(void);
void world_forget_writes(void);
