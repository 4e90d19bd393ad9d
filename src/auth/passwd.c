#include "auth/passwd.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>

#include "auth/credential.h"
#include "auth/users_file.h"
#include "base/cleanup.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* What is shorter is accepted, with a warning. */
enum { GOOD_PASSWORD_BYTES = 8 };

enum action { ACTION_SET, ACTION_DELETE, ACTION_LIST, ACTION_APP, ACTION_REVOKE, ACTION_HELP };

struct command {
    enum action action;
    const char *path;
    struct span name, label; /* data NULL where not given */
    bool read_only;
};

static const char help[] =
    "Usage: fastfile passwd [OPTIONS] NAME\n"
    "\n"
    "Adds the user NAME or gives the user a new password. Asks for the password twice; when the\n"
    "input is not a terminal, one line is read from it. A running server notices at once, and\n"
    "closes what was opened with the old password.\n"
    "\n"
    "      --read-only          the user may look and download, not change (with --app: that "
    "device)\n"
    "      --delete             remove the user NAME and the user's app passwords\n"
    "      --app LABEL          make an app password for NAME and show it once: for a phone or a\n"
    "                           WebDAV program, so that it need not know the real password\n"
    "      --revoke LABEL       remove that app password of NAME\n"
    "      --list               show users and app passwords (never the passwords)\n"
    "      --users FILE         the users file (default: $XDG_CONFIG_HOME/fastfile/users or\n"
    "                           ~/.config/fastfile/users)\n"
    "  -h, --help               show this\n"
    "\n"
    "Without --read-only a user who gets a new password may change files again.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

/* --- usage --- */

static const struct span none = {0};

static int wrong_usage(const char *what)
{
    fprintf(stderr, "fastfile passwd: %s\nTry `fastfile passwd --help`.\n", what);
    return -EINVAL;
}

static int set_action(struct command *cmd, enum action action, struct span label)
{
    if (cmd->action != ACTION_SET)
        return wrong_usage(
            "only one of --delete, --app, --revoke and --list can be done at a time");
    cmd->action = action;
    cmd->label = label;
    return 0;
}

static int parse_option(struct command *cmd, int option, const char *argument)
{
    switch (option) {
    case 'u':
        cmd->path = argument;
        return 0;
    case 'r':
        cmd->read_only = true;
        return 0;
    case 'd':
        return set_action(cmd, ACTION_DELETE, none);
    case 'l':
        return set_action(cmd, ACTION_LIST, none);
    case 'a':
        return set_action(cmd, ACTION_APP, span_str(argument));
    case 'k':
        return set_action(cmd, ACTION_REVOKE, span_str(argument));
    case 'h':
        cmd->action = ACTION_HELP;
        return 0;
    default:
        fputs("Try `fastfile passwd --help`.\n", stderr); /* getopt said what is wrong */
        return -EINVAL;
    }
}

static int check_names(const struct command *cmd)
{
    if (cmd->name.data && !users_name_valid(cmd->name))
        return wrong_usage("a user name has 1 to 64 bytes of UTF-8, no ':' or '/', no control "
                           "characters, no blanks at its ends and no '#' in front");
    if (cmd->label.data && !users_label_valid(cmd->label))
        return wrong_usage("the name of an app password has 1 to 64 bytes of UTF-8, no ':', no "
                           "control characters and no blanks at its ends");
    return 0;
}

static int parse_arguments(int argc, char **argv, struct command *cmd)
{
    static const struct option options[] = {
        {"users", required_argument, NULL, 'u'}, {"read-only", no_argument, NULL, 'r'},
        {"delete", no_argument, NULL, 'd'},      {"list", no_argument, NULL, 'l'},
        {"app", required_argument, NULL, 'a'},   {"revoke", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };

    optind = 0; /* the caller may have used getopt for its own arguments */
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        int r = parse_option(cmd, option, optarg);

        if (r < 0)
            return r;
        if (cmd->action == ACTION_HELP)
            return 0;
    }
    int names = argc - optind;
    if (cmd->action == ACTION_LIST)
        return names > 0 ? wrong_usage("--list takes no name") : 0;
    if (names != 1)
        return wrong_usage(names == 0 ? "which user? Give a name." : "give one name only");
    cmd->name = span_str(argv[optind]);
    return check_names(cmd);
}

/* --- reading a password --- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* A signal that is blocked comes while this waits and at no other time, so none is missed. */
static ssize_t read_byte(char *ret_c, const sigset_t *while_waiting)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    if (ppoll(&input, 1, NULL, while_waiting) < 0)
        return -1;
    return read(STDIN_FILENO, ret_c, 1);
}

/* One line of standard input without its end. Byte by byte: what follows is not ours. */
static int read_line(char *line, size_t size, const sigset_t *while_waiting)
{
    size_t len = 0;

    for (;;) {
        char c;
        ssize_t n = read_byte(&c, while_waiting);

        if (n < 0 && errno == EINTR && !interrupted)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 && len == 0)
            return -ENODATA;
        if (n == 0 || c == '\n')
            break;
        if (len + 1 >= size)
            return -E2BIG;
        line[len++] = c;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return 0;
}

/* Asks on the terminal, without echo, which comes back even after Ctrl-C. */
static int ask(const char *prompt, char *line, size_t size)
{
    struct sigaction on = {.sa_handler = on_interrupt}, old_int, old_term; /* no SA_RESTART */
    struct termios normal, silent;
    sigset_t both, before;

    if (tcgetattr(STDIN_FILENO, &normal) < 0)
        return -errno;
    silent = normal;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_cc[VSUSP] = _POSIX_VDISABLE; /* stopped, the shell would be without echo */
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, &before);
    sigaction(SIGINT, &on, &old_int);
    sigaction(SIGTERM, &on, &old_term);
    fputs(prompt, stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    int r = read_line(line, size, &before);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &normal);
    fputc('\n', stderr);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

static int ask_twice(char *password, size_t size)
{
    char again[LIMIT_CREDENTIAL_BYTES];
    int r = ask("New password: ", password, size);

    if (r == 0)
        r = ask("The same again: ", again, sizeof(again));
    if (r == 0 && strcmp(password, again) != 0)
        r = -EBADE;
    explicit_bzero(again, sizeof(again));
    return r;
}

static int read_password(struct span name, char *password, size_t size)
{
    bool is_terminal = isatty(STDIN_FILENO);
    int r = is_terminal ? ask_twice(password, size) : read_line(password, size, NULL);
    const char *what = NULL;

    if (r == -EINTR)
        what = "interrupted; nothing was changed";
    else if (r == -EBADE)
        what = "the two passwords differ; nothing was changed";
    else if (r == -E2BIG || (r == 0 && !credential_password_valid(name, span_str(password))))
        what = "the password is too long or has control characters";
    else if (r == -ENODATA || (r == 0 && password[0] == '\0'))
        what = "an empty password would let everybody in; nothing was changed";
    else if (r < 0)
        what = strerror(-r);
    if (what) {
        fprintf(stderr, "fastfile passwd: %s\n", what);
        return r < 0 ? r : -EINVAL;
    }
    if (strlen(password) < GOOD_PASSWORD_BYTES)
        fprintf(stderr,
                "fastfile passwd: this password is short; %d characters or more are better\n",
                GOOD_PASSWORD_BYTES);
    return 0;
}

/* --- doing it --- */

static int explain(const struct command *cmd, int r, const struct users_error *error)
{
    const char *path = cmd->path;

    if (r == 0)
        return STATUS_DONE;
    if (r == -EBADMSG && error->line > 0)
        fprintf(stderr, "%s, line %u: %s.\nNothing was changed; correct that line first.\n", path,
                error->line, error->what);
    else if (r == -EBADMSG || r == -EFBIG)
        fprintf(stderr, "%s: %s. Nothing was changed.\n", path,
                r == -EBADMSG ? error->what : "the file is too large");
    else if (r == -ENOENT && cmd->action == ACTION_LIST)
        fprintf(stderr, "%s: there is no users file yet; `fastfile passwd NAME` makes one.\n",
                path);
    else if (r == -ENOENT && cmd->action == ACTION_REVOKE)
        fprintf(stderr, "%s: %.*s has no app password \"%.*s\"; see --list.\n", path,
                SPAN_ARG(cmd->name), SPAN_ARG(cmd->label));
    else if (r == -ENOENT && cmd->action != ACTION_SET)
        fprintf(stderr, "%s: there is no user \"%.*s\"; see --list.\n", path, SPAN_ARG(cmd->name));
    else if (r == -EEXIST)
        fprintf(
            stderr,
            "%s: %.*s has an app password \"%.*s\" already; --revoke it or take another name.\n",
            path, SPAN_ARG(cmd->name), SPAN_ARG(cmd->label));
    else if (r == -E2BIG && cmd->action == ACTION_APP)
        fprintf(stderr, "%s: %.*s has %d app passwords already; --revoke one first.\n", path,
                SPAN_ARG(cmd->name), LIMIT_APP_PASSWORDS);
    else if (r == -EACCES || r == -EPERM || r == -EROFS)
        fprintf(stderr,
                "%s: %s. Run this as the owner of that folder, or name another file by --users.\n",
                path, strerror(-r));
    else
        fprintf(stderr, "%s: %s. Nothing was changed.\n", path, strerror(-r));
    return STATUS_FAILED;
}

static void warn_if_readable(const char *path, const struct users *users)
{
    if (users->others_can_read)
        fprintf(stderr, "%s: everybody on this machine can read the hashes; `chmod 600` it.\n",
                path);
}

static void print_users(const struct users *users)
{
    for (const struct user *u = users->users; u < users->users + users->count; u++) {
        printf("%.*s%s%s\n", SPAN_ARG(u->name), u->read_only ? " (read-only)" : "",
               u->locked ? " (locked)" : "");
        for (size_t i = 0; i < u->app_count; i++)
            printf("    %.*s%s\n", SPAN_ARG(u->apps[i].label),
                   u->apps[i].read_only ? " (read-only)" : "");
    }
}

static int list(const struct command *cmd, struct users_error *error)
{
    struct users users = {0};
    int r = users_file_load(cmd->path, &users, error);

    if (r == 0) {
        print_users(&users);
        warn_if_readable(cmd->path, &users);
    }
    users_finish(&users);
    return r;
}

static int make_app(const struct command *cmd, struct users_error *error)
{
    char password[PASSWORD_APP_BYTES];
    int r =
        users_file_add_app(cmd->path, cmd->name, cmd->label, cmd->read_only, NULL, password, error);

    if (r == 0) {
        fprintf(stderr, "The app password \"%.*s\" of %.*s, shown this once:\n",
                SPAN_ARG(cmd->label), SPAN_ARG(cmd->name));
        printf("%s\n", password);
        fflush(stdout);
    }
    explicit_bzero(password, sizeof(password));
    return r;
}

static int set_password(const struct command *cmd)
{
    struct users_error error = {0};
    char password[LIMIT_CREDENTIAL_BYTES];
    int status = STATUS_FAILED;

    if (read_password(cmd->name, password, sizeof(password)) == 0)
        status = explain(
            cmd, users_file_set(cmd->path, cmd->name, span_str(password), cmd->read_only, &error),
            &error);
    explicit_bzero(password, sizeof(password));
    return status;
}

static int run(const struct command *cmd)
{
    struct users_error error = {0};

    switch (cmd->action) {
    case ACTION_SET:
        return set_password(cmd);
    case ACTION_DELETE:
        return explain(cmd, users_file_delete(cmd->path, cmd->name, &error), &error);
    case ACTION_LIST:
        return explain(cmd, list(cmd, &error), &error);
    case ACTION_APP:
        return explain(cmd, make_app(cmd, &error), &error);
    case ACTION_REVOKE:
        return explain(cmd, users_file_delete_app(cmd->path, cmd->name, cmd->label, NULL, &error),
                       &error);
    case ACTION_HELP:
        break;
    }
    fputs(help, stdout);
    return STATUS_DONE;
}

int passwd_main(int argc, char **argv)
{
    static char default_path[PATH_MAX];
    struct command cmd = {.action = ACTION_SET};

    if (parse_arguments(argc, argv, &cmd) < 0)
        return STATUS_USAGE;
    if (!cmd.path)
        cmd.path = default_path;
    if (!cmd.path[0] && cmd.action != ACTION_HELP && users_default_path(default_path) < 0) {
        fputs(
            "fastfile passwd: neither XDG_CONFIG_HOME nor HOME is set; name the file by --users\n",
            stderr);
        return STATUS_FAILED;
    }
    return run(&cmd);
}
