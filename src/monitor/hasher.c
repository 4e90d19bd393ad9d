#include "monitor/hasher.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "auth/verify.h"
#include "base/identity.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/seccomp.h"
#include "net/channel.h"

/* Reading, writing and memory are what every process may do. */
static const struct seccomp_call hasher_calls[] = {{.name = "poll"}, {.name = "ppoll"}};

static int enter_sandbox(void)
{
    int r = identity_no_new_privileges();

    /* A container in which root is the only user is no reason not to go on: the filter follows. */
    if (r == 0 && geteuid() == 0)
        (void)identity_become(IDENTITY_NOBODY, IDENTITY_NOBODY, 0);
    if (r == 0)
        r = identity_limit_capabilities(0);
    if (r == 0)
        (void)landlock_restrict(NULL, 0, false); /* where the kernel has it */
    if (r == 0)
        r = seccomp_allow_only(&SECCOMP_LIST(hasher_calls), 1);
    return r;
}

/* The channel does not block, for its other end's sake. */
static int wait_readable(void)
{
    struct pollfd channel = {.fd = CHANNEL_CHILD_FD, .events = POLLIN};

    return poll(&channel, 1, -1);
}

static void do_job(struct hash_job *job)
{
    struct hash_answer answer = {.job_id = job->id, .outcome = HASH_FAILED};

    job->setting[sizeof(job->setting) - 1] = '\0';
    job->password[sizeof(job->password) - 1] = '\0';
    int r = password_verify(job->password, job->setting);
    if (r >= 0)
        answer.outcome = r ? HASH_MATCH : HASH_MISMATCH;
    hash_job_wipe(job);
    /* There is room: the monitor never has more jobs under way than fit. Else it is gone. */
    if (write(CHANNEL_CHILD_FD, &answer, sizeof(answer)) < 0)
        _exit(1);
}

int hasher_main(void)
{
    struct hash_answer ready = {0};
    struct hash_job job;

    log_init("hasher");
    int r = enter_sandbox();
    if (r < 0) {
        log_error("The sandbox could not be made: %s.", strerror(-r));
        return 1;
    }
    if (write(CHANNEL_CHILD_FD, &ready, sizeof(ready)) < 0)
        return 1;
    for (;;) {
        ssize_t n = read(CHANNEL_CHILD_FD, &job, sizeof(job));
        if (n == (ssize_t)sizeof(job))
            do_job(&job);
        else if (n >= 0)
            return 0;
        else if (errno == EAGAIN)
            (void)wait_readable();
        else if (errno != EINTR)
            return 1;
    }
}
