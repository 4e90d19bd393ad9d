/* What children are told at their start, and what must be hidden from home. */
#pragma once

#include "config.h"
#include "net/channel.h"

/* Fills everything in but `access_log` and `io`. Folders below DIR in which configuration, users
 * file, key or state lie are listed to be covered. Returns 0, or -errno after having said what is
 * wrong: something lies directly in DIR, or this machine cannot cover. */
int boot_init(struct boot *boot, const struct config *config, uint16_t port);
