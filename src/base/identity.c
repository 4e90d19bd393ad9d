#include "base/identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc has no wrapper, and libcap would be a dependency for one call. */
static int read_permitted(uint64_t *ret)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    *ret = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

static int set_capabilities(uint64_t mask)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {.permitted = (uint32_t)mask, .effective = (uint32_t)mask},
        {.permitted = (uint32_t)(mask >> 32), .effective = (uint32_t)(mask >> 32)}};

    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int identity_limit_capabilities(uint64_t keep)
{
    uint64_t permitted = 0;
    int error = read_permitted(&permitted);

    if (error < 0)
        return error;
    /* After setresuid() what was kept is not in effect. */
    error = set_capabilities(permitted);
    if (error < 0)
        return error;
    /* The bounding set is what root gets back at execve(). Without SETPCAP it cannot be changed,
     * and without being root it gives nothing; the first number that does not exist ends the loop.
     */
    if (permitted & CAPABILITY(CAP_SETPCAP))
        for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
            if (!(keep & CAPABILITY(c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
                return -errno;
    /* EINVAL: a kernel built without them. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    return set_capabilities(permitted & keep);
}

static int set_groups(uid_t uid, gid_t gid)
{
    const struct passwd *user = uid == IDENTITY_NOBODY ? NULL : getpwuid(uid);
    int r = user ? initgroups(user->pw_name, gid) : setgroups(0, NULL);

    return r < 0 ? -errno : 0;
}

int identity_become(uid_t uid, gid_t gid, uint64_t keep)
{
    bool is_other = uid != geteuid() || gid != getegid();
    int error = is_other ? set_groups(uid, gid) : 0;

    if (error < 0)
        return error;
    if (prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        return -errno;
    return identity_limit_capabilities(keep);
}

int identity_no_new_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
