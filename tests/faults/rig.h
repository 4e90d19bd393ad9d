/* Home as it is, in one process with its clients and on the simulated backend: one run of some
 * conversations under one plan. */
#pragma once

#include "client.h"
#include "fault.h"

enum { RIG_CLIENTS_MAX = 3, RIG_WRONG_BYTES = 400 };

/* How the server is set up. */
struct rig_variation {
    const char *name;
    bool is_tls, cold, slow;
};

struct rig_run {
    const struct script_case *cases[RIG_CLIENTS_MAX];
    unsigned case_count;
    const struct rig_variation *variation;
    bool shuffle;
    struct fault_plan plan;
};

/* Once in a process: the folder, what loads late. */
void rig_prepare(int root_fd, int log_fd);

/* Returns NULL, or what went wrong. Everything is as it was before. */
const char *rig_run(const struct rig_run *run);
