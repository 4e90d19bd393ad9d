/* `fastfile check [DIR]`: what this machine offers, for people who want to know why it is slow, or
 * why it does not start.
 */
#pragma once

/* argv[0] is "check". Returns the exit status: 0 the server can run here, 1 it cannot, 2 wrong
 * usage. */
int check_main(int argc, char **argv);
