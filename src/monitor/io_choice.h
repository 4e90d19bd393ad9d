/* What the loops of gate and home stand on: io_uring, or epoll where that cannot be had. */
#pragma once

#include "config.h"
#include "net/channel.h"

/* Decides for `config->io`, into boot->io: "auto" is io_uring where gate and home can use it, with
 * the rights that they will have; else epoll, and says why. Returns 0, or -errno after having said
 * what is wrong: --io uring, and it is not to be had. */
int io_choose(const struct config *config, struct boot *boot);

/* Why loop_probe() gave `error`, and what can be done about it: one sentence. */
const char *io_uring_why_not(int error);
