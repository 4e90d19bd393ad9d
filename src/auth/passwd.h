/* `fastfile passwd`: the users file for people. */
#pragma once

/* argv[0] is "passwd". Returns the exit status: 0 done, 1 failed, 2 wrong usage. */
int passwd_main(int argc, char **argv);
