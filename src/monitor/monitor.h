/* The role that is started first: it reads the configuration, binds, holds secrets and state, runs
 * gate, home and the hasher, and judges every connection. One loop, no threads.
 */
#pragma once

/* `fastfile [OPTIONS] [DIR]`. Returns the exit status: 0 ended as asked, 1 cannot run, 2 wrong
 * options. */
int monitor_main(int argc, char **argv);
