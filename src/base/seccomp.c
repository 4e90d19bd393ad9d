#include "base/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sanitize.h"

/* What libc needs in every role: memory, locks, time, random numbers, the end, and read, write and
 * close on open descriptors. */
static const struct seccomp_call base_calls[] = {
    {.name = "brk"},
    {"mmap", true, 2, PROT_EXEC, 0, 0},
    {"mprotect", true, 2, PROT_EXEC, 0, 0},
    {.name = "mremap"},
    {.name = "munmap"},
    {.name = "madvise"},
    {.name = "futex"},
    {.name = "sched_yield"},
    {.name = "sched_getaffinity"}, /* malloc counts cores when threads fight for memory */
    {.name = "clock_gettime"},
    {.name = "clock_nanosleep"},
    {.name = "getrandom"},
    {.name = "getpid"},
    {.name = "gettid"},
    {.name = "read"},
    {.name = "write"},
    {.name = "close"},
    {.name = "rt_sigaction"}, /* abort() */
    {.name = "rt_sigprocmask"},
    {.name = "rt_sigreturn"},
    {.name = "restart_syscall"},
    {.name = "exit"},
    {.name = "exit_group"},
    /* The first calls of a thread, which may be made when the filter is there already. */
    {.name = "rseq"},
    {.name = "set_robust_list"},
};

#if SANITIZED
/* Tests only: what a report (AddressSanitizer, UBSan, ThreadSanitizer) reads to show a stack, and
 * what LeakSanitizer does to stop and search the threads. */
static const struct seccomp_call sanitizer_calls[] = {
    /* reports: the map of memory, the program's symbols, whether standard error is a terminal */
    {.name = "open"},
    {.name = "openat"},
    {.name = "readlink"},
    {.name = "readlinkat"},
    {.name = "stat"},
    {.name = "fstat"},
    {.name = "newfstatat"},
    {.name = "fcntl"},
    {.name = "ioctl"},
    /* ThreadSanitizer's background thread */
    {.name = "gettimeofday"},
    {.name = "nanosleep"},
    /* the leak check: a tracer that shares our memory, and the list of threads */
    {.name = "clone"},
    {.name = "ptrace"},
    {.name = "prctl"},
    {.name = "sigaltstack"},
    {.name = "wait4"},
    {.name = "getppid"},
    {.name = "getdents"},
    {.name = "getdents64"},
};
#endif

/* Debian 12's libseccomp does not know it; new calls have one number everywhere. */
static int resolve(const char *name)
{
    enum { CACHESTAT = 451 };
    int number = seccomp_syscall_resolve_name(name);

    return number < 0 && strcmp(name, "cachestat") == 0 ? CACHESTAT : number;
}

static int allow(scmp_filter_ctx filter, struct seccomp_list list)
{
    for (size_t i = 0; i < list.count; i++) {
        const struct seccomp_call *c = &list.calls[i];
        int number = resolve(c->name);
        if (number < 0) /* another architecture's, or newer than libseccomp */
            continue;
        const struct scmp_arg_cmp conditions[] = {
            SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value),
            SCMP_CMP(c->argument + 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, c->next),
        };
        unsigned count_of = !c->conditional ? 0 : c->next ? 2 : 1;
        int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count_of, conditions);
        if (error < 0)
            return error;
    }
    return 0;
}

static int fill_in(scmp_filter_ctx filter, const struct seccomp_list *lists, size_t count)
{
    /* abort() signals this process; others stay out of reach. */
    struct seccomp_call abort_call = {"tgkill", true, 0, UINT32_MAX, (uint32_t)getpid(), 0};
    int error;

    if ((error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
        (error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM))) < 0 ||
        /* A binary tree instead of a chain of comparisons. */
        (error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0 ||
        /* Before Linux 5.16 a filter slows the whole process down by disabling speculative store
         * bypass, which protects interpreters of foreign code. We run none. */
        (error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1)) < 0)
        return error;
    if ((error = allow(filter, SECCOMP_LIST(base_calls))) < 0 ||
        (error = allow(filter, (struct seccomp_list){&abort_call, 1})) < 0)
        return error;
#if SANITIZED
    if ((error = allow(filter, SECCOMP_LIST(sanitizer_calls))) < 0)
        return error;
#endif
    for (size_t i = 0; i < count && error == 0; i++)
        error = allow(filter, lists[i]);
    return error;
}

int seccomp_allow_only(const struct seccomp_list *lists, size_t count)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    if (!filter)
        return -ENOMEM;
    int error = fill_in(filter, lists, count);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}
