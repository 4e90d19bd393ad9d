#include "monitor/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/namespace.h"

void rights_hold_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

void rights_set_limits(void)
{
    const struct rlimit no_core = {0, 0};
    struct rlimit files;

    /* Memory holds keys and passwords: no core files. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

void rights_do_not_preempt(void)
{
    const struct sched_param none = {0};

    if (sched_getscheduler(0) == SCHED_OTHER)            /* otherwise somebody has chosen */
        (void)sched_setscheduler(0, SCHED_BATCH, &none); /* only slower where it is forbidden */
}

int rights_give_up(const struct config *config)
{
    const uint64_t root_keeps = CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID) |
                                CAPABILITY(CAP_KILL) | CAPABILITY(CAP_SYS_CHROOT);
    int r = identity_no_new_privileges();

    if (r == 0)
        r = identity_limit_capabilities(geteuid() == 0 ? root_keeps : 0);
    if (r < 0) {
        log_error("Capabilities cannot be given up: %s.", strerror(-r));
        return r;
    }
    /* Root without its capabilities is bound by file modes like everybody else. */
    if (config->users_path && access(config->users_path, R_OK) < 0)
        log_warning("After the start, changes of %s cannot be read (%s): let root own it.",
                    config->users_path, strerror(errno));
    if (access(config->state_dir, W_OK | X_OK) < 0)
        log_warning(
            "After the start, sessions cannot be stored in %s (%s): let root own it, or set "
            "XDG_STATE_HOME.",
            config->state_dir, strerror(errno));
    /* Where home can be kept from seeing /proc neither by namespaces nor by Landlock, it shall not
     * read our memory there. (Not otherwise: the flag also hides /proc/PID from whoever runs the
     * server.) */
    if (landlock_version() == 0 && namespace_probe((uid_t)-1, (gid_t)-1) < 0)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return 0;
}
