/* What the monitor tells the person who started it. */
#pragma once

#include "config.h"

/* `fingerprint` is NULL without TLS. */
void banner_print(const struct config *config, const char *fingerprint, bool self_signed);
