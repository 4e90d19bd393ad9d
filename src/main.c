/* What `fastfile` can be. The monitor starts this program again as its children, which know
 * themselves by argv[0]; the people who start it say what they want in argv[1].
 */
#include <string.h>
#include <sys/prctl.h>

#include "auth/passwd.h"
#include "check.h"
#include "gate/gate.h"
#include "home/home.h"
#include "monitor/clerk.h"
#include "monitor/hasher.h"
#include "monitor/monitor.h"

static const struct role {
    const char *title;      /* argv[0] */
    const char *short_name; /* at most 15 characters, for ps and top */
    int (*main)(void);
} roles[] = {
    {"fastfile: gate", "fastfile-gate", gate_main},
    {"fastfile: home", "fastfile-home", home_main},
    {"fastfile: hasher", "fastfile-hasher", hasher_main},
    {"fastfile: clerk", "fastfile-clerk", clerk_main},
};

static const struct command {
    const char *name; /* argv[1] */
    int (*main)(int argc, char **argv);
} commands[] = {
    {"passwd", passwd_main},
    {"check", check_main},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 0 && i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(argv[0], roles[i].title) == 0) {
            prctl(PR_SET_NAME, roles[i].short_name, 0, 0, 0);
            return roles[i].main();
        }
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    return monitor_main(argc, argv);
}
