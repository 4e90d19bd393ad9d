/* The clerk: a child of the monitor that makes one change in the users file, and ends.
 *
 * It does what `fastfile passwd` does, with the monitor's rights, and waits in the monitor's place:
 * for the file's lock, and twice for the disk. There is one at a time, when somebody changes an app
 * password, and none at rest. It reads a struct clerk_job from its channel and writes a struct
 * clerk_answer.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "auth/password.h"

enum clerk_action { CLERK_ADD_APP, CLERK_REMOVE_APP };

struct clerk_job {
    char path[PATH_MAX]; /* of the users file */
    char user[LIMIT_USER_NAME_BYTES + 1];
    char label[LIMIT_APP_LABEL_BYTES + 1];
    uint64_t stamp; /* of the user's password: with another one it is not done (-ENOKEY) */
    bool read_only;
    enum clerk_action action;
};

struct clerk_answer {
    int result;                        /* 0 or -errno of users_file.h */
    char password[PASSWORD_APP_BYTES]; /* of ADD_APP */
};

/* The child. Returns the exit status. */
int clerk_main(void);

/* The monitor's side. Starts as {.fd = -1}. */
struct clerk {
    pid_t pid; /* 0: none */
    int fd;    /* our end of its channel */
};

/* Gives a job to a new one; there must be none. Returns 0 or -errno. */
int clerk_start(struct clerk *clerk, int binary_fd, const struct clerk_job *job);

/* Whether it has ended since; then the answer is there, -EIO if it gave none. */
bool clerk_ended(struct clerk *clerk, struct clerk_answer *ret_answer);

void clerk_kill(const struct clerk *clerk);
