/* What the monitor may use of the system, and what it gives up. */
#pragma once

#include "config.h"

/* Opens what is missing of standard input, output and error: descriptors 0 to 2 must not become
 * sockets to which somebody then writes messages. */
void rights_hold_standard_descriptors(void);

/* As many descriptors as allowed; no core files. */
void rights_set_limits(void);

/* For us and our children: whoever is woken waits until the one that runs has done its share. A
 * connection goes through three processes; each message would otherwise put its receiver in the
 * sender's place, for one connection at a time. Nobody waits longer on an idle processor
 * (SCHED_BATCH, sched(7)). */
void rights_do_not_preempt(void);

/* After binding and loading. Root keeps what is needed to become others (children), to end them,
 * and to chroot where there are no namespaces; anybody else keeps nothing. Returns 0, or -errno
 * after having said why. */
int rights_give_up(const struct config *config);
