#include "monitor/clerk.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/users_file.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "monitor/children.h"

/* --- the child --- */

static void do_job(const struct clerk_job *job, struct clerk_answer *ret_answer)
{
    struct span user = span_str(job->user), label = span_str(job->label);
    struct users_error error;

    ret_answer->result = job->action == CLERK_ADD_APP
                             ? users_file_add_app(job->path, user, label, job->read_only,
                                                  &job->stamp, ret_answer->password, &error)
                             : users_file_delete_app(job->path, user, label, &job->stamp, &error);
}

int clerk_main(void)
{
    struct clerk_answer answer = {0};
    struct clerk_job job;

    log_init("clerk");
    /* The monitor ends one that takes too long, unless it has been killed itself. */
    signal(SIGALRM, SIG_DFL);
    alarm(LIMIT_CLERK_S);
    if (recv(CHANNEL_CHILD_FD, &job, sizeof(job), 0) != (ssize_t)sizeof(job))
        return EXIT_FAILURE;
    do_job(&job, &answer);
    ssize_t sent = send(CHANNEL_CHILD_FD, &answer, sizeof(answer), MSG_NOSIGNAL);
    explicit_bzero(&answer, sizeof(answer));
    return sent == (ssize_t)sizeof(answer) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- the monitor's side --- */

int clerk_start(struct clerk *clerk, int binary_fd, const struct clerk_job *job)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    _cleanup_close_ int ours = ends[0], theirs = ends[1];
    if (send(ours, job, sizeof(*job), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(*job))
        return -ENOBUFS;
    pid_t pid = children_fork(binary_fd, theirs, "fastfile: clerk");
    if (pid < 0)
        return pid;
    clerk->pid = pid;
    clerk->fd = take_fd(&ours);
    return 0;
}

bool clerk_ended(struct clerk *clerk, struct clerk_answer *ret_answer)
{
    if (clerk->pid == 0 || waitpid(clerk->pid, NULL, WNOHANG) != clerk->pid)
        return false;
    if (recv(clerk->fd, ret_answer, sizeof(*ret_answer), MSG_DONTWAIT) !=
        (ssize_t)sizeof(*ret_answer))
        *ret_answer = (struct clerk_answer){.result = -EIO};
    close(clerk->fd);
    *clerk = (struct clerk){.fd = -1};
    return true;
}

void clerk_kill(const struct clerk *clerk)
{
    if (clerk->pid != 0)
        kill(clerk->pid, SIGKILL);
}
