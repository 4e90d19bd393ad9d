/* Runs as root in the virtual machine and does there what the tests ask for from outside: files,
 * processes, signals.
 *
 * A request is a list of byte strings, the answer another one: a count, then for each string its
 * length and its bytes; both numbers have 32 bits, little endian. A request's first string names
 * the operation, the others are its arguments, numbers in decimal. An answer's first string is 0 or
 * errno. tests/e2e/guest.py is the other side.
 *
 * Each connection has a thread, so one may wait while others work; descriptors are the whole
 * agent's. Whoever connects may do everything: this is for a machine that exists for a test and
 * that only its host can reach.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 128, MESSAGE_MAX = 8 << 20 };

struct string {
    char *bytes; /* a NUL follows */
    size_t length;
};

struct call {
    struct string arguments[ARGUMENTS_MAX];
    unsigned count;
    char *answer; /* strings after the first, ready to be sent */
    size_t answer_length;
    uint32_t answer_count;
};

static const char *text(const struct call *c, unsigned i)
{
    return i < c->count ? c->arguments[i].bytes : "";
}

static long long number(const struct call *c, unsigned i)
{
    return atoll(text(c, i));
}

/* --- answers --- */

static char *answer_space(struct call *c, size_t length)
{
    uint32_t prefix = htole32((uint32_t)length);
    char *grown = realloc(c->answer, c->answer_length + sizeof(prefix) + length);

    if (!grown)
        abort();
    c->answer = grown;
    memcpy(grown + c->answer_length, &prefix, sizeof(prefix));
    grown += c->answer_length + sizeof(prefix);
    c->answer_length += sizeof(prefix) + length;
    c->answer_count++;
    return grown;
}

static void answer_bytes(struct call *c, const void *bytes, size_t length)
{
    memcpy(answer_space(c, length), bytes, length);
}

static void answer_number(struct call *c, long long value)
{
    char digits[24];
    answer_bytes(c, digits, (size_t)snprintf(digits, sizeof(digits), "%lld", value));
}

/* --- files: each returns 0 or more, or -1 with errno --- */

static int op_open(struct call *c)
{
    int fd = open(text(c, 1), (int)number(c, 2) | O_CLOEXEC, (mode_t)number(c, 3));

    if (fd >= 0)
        answer_number(c, fd);
    return fd;
}

static int op_close(struct call *c)
{
    return close((int)number(c, 1));
}

/* read FD SIZE OFFSET, fewer only at the end of the file; offset -1: from where it stands */
static int op_read(struct call *c)
{
    size_t size = (size_t)number(c, 2), done = 0;
    off_t offset = (off_t)number(c, 3);
    char *buffer;
    ssize_t n = 1;

    if (size > MESSAGE_MAX / 2 || !(buffer = malloc(size))) {
        errno = ENOMEM;
        return -1;
    }
    for (; done < size && n > 0; done += n > 0 ? (size_t)n : 0)
        n = offset < 0 ? read((int)number(c, 1), buffer + done, size - done)
                       : pread((int)number(c, 1), buffer + done, size - done, offset + (off_t)done);
    if (n >= 0)
        answer_bytes(c, buffer, done);
    free(buffer);
    return n < 0 ? -1 : 0;
}

/* write FD BYTES OFFSET */
static int op_write(struct call *c)
{
    off_t offset = (off_t)number(c, 3);
    size_t done = 0;

    while (done < c->arguments[2].length) {
        const char *bytes = c->arguments[2].bytes + done;
        size_t left = c->arguments[2].length - done;
        ssize_t n = offset < 0 ? write((int)number(c, 1), bytes, left)
                               : pwrite((int)number(c, 1), bytes, left, offset + (off_t)done);
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

/* load PATH: the whole of a file that is not large, of /proc too */
static int op_load(struct call *c)
{
    int fd = open(text(c, 1), O_RDONLY | O_CLOEXEC);
    char *buffer = fd < 0 ? NULL : malloc(MESSAGE_MAX / 2);
    ssize_t n = -1;
    size_t done = 0;

    while (buffer && (n = read(fd, buffer + done, MESSAGE_MAX / 2 - done)) > 0)
        done += (size_t)n;
    if (n == 0)
        answer_bytes(c, buffer, done);
    int error = errno;
    free(buffer);
    if (fd >= 0)
        close(fd);
    errno = error;
    return (int)n;
}

static int op_truncate(struct call *c)
{
    return truncate(text(c, 1), (off_t)number(c, 2));
}

static int op_ftruncate(struct call *c)
{
    return ftruncate((int)number(c, 1), (off_t)number(c, 2));
}

static int op_mkdir(struct call *c)
{
    return mkdir(text(c, 1), (mode_t)number(c, 2));
}

static int op_rmdir(struct call *c)
{
    return rmdir(text(c, 1));
}

static int op_unlink(struct call *c)
{
    return unlink(text(c, 1));
}

static int op_rename(struct call *c)
{
    return rename(text(c, 1), text(c, 2));
}

static int op_link(struct call *c)
{
    return linkat(AT_FDCWD, text(c, 1), AT_FDCWD, text(c, 2), 0);
}

static int op_symlink(struct call *c)
{
    return symlink(text(c, 1), text(c, 2));
}

static int op_readlink(struct call *c)
{
    char target[4096];
    ssize_t n = readlink(text(c, 1), target, sizeof(target));

    if (n >= 0)
        answer_bytes(c, target, (size_t)n);
    return (int)n;
}

static int op_mknod(struct call *c)
{
    return mknod(text(c, 1), (mode_t)number(c, 2), (dev_t)number(c, 3));
}

static int op_chmod(struct call *c)
{
    return chmod(text(c, 1), (mode_t)number(c, 2));
}

static int op_lchown(struct call *c)
{
    return lchown(text(c, 1), (uid_t)number(c, 2), (gid_t)number(c, 3));
}

/* utime PATH|FD ACCESS-NS MODIFICATION-NS */
static int op_utime(struct call *c)
{
    struct timespec times[2];

    for (unsigned i = 0; i < 2; i++) {
        long long ns = number(c, 2 + i);
        times[i].tv_nsec = (ns % 1000000000 + 1000000000) % 1000000000;
        times[i].tv_sec = (ns - times[i].tv_nsec) / 1000000000;
    }
    return text(c, 1)[0] == '/' ? utimensat(AT_FDCWD, text(c, 1), times, 0)
                                : futimens((int)number(c, 1), times);
}

static long long in_ns(struct timespec t)
{
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* stat PATH FOLLOW */
static int op_stat(struct call *c)
{
    struct stat st;

    if (fstatat(AT_FDCWD, text(c, 1), &st, number(c, 2) ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    const long long fields[] = {st.st_mode,
                                (long long)st.st_ino,
                                (long long)st.st_dev,
                                (long long)st.st_nlink,
                                st.st_uid,
                                st.st_gid,
                                st.st_size,
                                in_ns(st.st_atim),
                                in_ns(st.st_mtim),
                                in_ns(st.st_ctim)};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        answer_number(c, fields[i]);
    return 0;
}

static int op_listdir(struct call *c)
{
    DIR *dir = opendir(text(c, 1));
    struct dirent *entry;

    if (!dir)
        return -1;
    errno = 0;
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            answer_bytes(c, entry->d_name, strlen(entry->d_name));
    int error = errno;
    closedir(dir);
    errno = error;
    return error ? -1 : 0;
}

/* --- processes --- */

static void redirect(int to, const char *path, int flags)
{
    int fd = open(path, flags, 0644);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(126);
    close(fd);
}

/* spawn FOLDER UID GID STDIN STDOUT STDERR COUNT ARGUMENT... VARIABLE=VALUE...: answers with the
 * process's id. What it prints is appended to those files. */
static int op_spawn(struct call *c)
{
    enum { FIRST = 8 };
    char *argv[ARGUMENTS_MAX + 1] = {NULL}, *envp[ARGUMENTS_MAX + 1] = {NULL};
    unsigned words = (unsigned)number(c, 7);

    if (words == 0 || words > c->count - FIRST) {
        errno = EINVAL;
        return -1;
    }
    for (unsigned i = FIRST; i < c->count; i++)
        *(i < FIRST + words ? &argv[i - FIRST] : &envp[i - FIRST - words]) = c->arguments[i].bytes;

    pid_t pid = fork();
    if (pid == 0) {
        gid_t gid = (gid_t)number(c, 3);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        if (setgroups(0, NULL) < 0 || setgid(gid) < 0)
            _exit(126);
        redirect(0, text(c, 4), O_RDONLY);
        redirect(1, text(c, 5), O_WRONLY | O_CREAT | O_APPEND);
        redirect(2, text(c, 6), O_WRONLY | O_CREAT | O_APPEND);
        if (setuid((uid_t)number(c, 2)) < 0 || chdir(text(c, 1)) < 0)
            _exit(126);
        execvpe(argv[0], argv, envp);
        _exit(127);
    }
    if (pid > 0)
        answer_number(c, pid);
    return pid;
}

/* wait PID MILLISECONDS: answers with wait()'s status, or with nothing if it still runs then */
static int op_wait(struct call *c)
{
    pid_t pid = (pid_t)number(c, 1);
    int status;

    for (long long left_ms = number(c, 2);; left_ms -= 10) {
        pid_t found = waitpid(pid, &status, WNOHANG);
        if (found != 0) {
            if (found > 0)
                answer_number(c, status);
            return found;
        }
        if (left_ms <= 0)
            return 0;
        poll(NULL, 0, 10);
    }
}

static int op_kill(struct call *c)
{
    return kill((pid_t)number(c, 1), (int)number(c, 2));
}

static int op_clock(struct call *c)
{
    long long ns = number(c, 1);
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return clock_settime(CLOCK_REALTIME, &t);
}

static const struct operation {
    const char *name;
    int (*run)(struct call *c);
} operations[] = {
    {"open", op_open},           {"close", op_close},       {"read", op_read},
    {"write", op_write},         {"load", op_load},         {"truncate", op_truncate},
    {"ftruncate", op_ftruncate}, {"mkdir", op_mkdir},       {"rmdir", op_rmdir},
    {"unlink", op_unlink},       {"rename", op_rename},     {"link", op_link},
    {"symlink", op_symlink},     {"readlink", op_readlink}, {"mknod", op_mknod},
    {"chmod", op_chmod},         {"lchown", op_lchown},     {"utime", op_utime},
    {"stat", op_stat},           {"listdir", op_listdir},   {"spawn", op_spawn},
    {"wait", op_wait},           {"kill", op_kill},         {"clock", op_clock},
};

static int run(struct call *c)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(text(c, 0), operations[i].name) == 0)
            return operations[i].run(c) < 0 ? errno : 0;
    return ENOSYS;
}

/* --- connections --- */

static bool receive(int fd, void *buffer, size_t length)
{
    return recv(fd, buffer, length, MSG_WAITALL) == (ssize_t)length;
}

static bool receive_number(int fd, uint32_t *ret)
{
    if (!receive(fd, ret, sizeof(*ret)))
        return false;
    *ret = le32toh(*ret);
    return true;
}

/* Takes a request. Each string gets memory of its own; release() frees it. */
static bool receive_call(int fd, struct call *c)
{
    uint32_t count, length;

    if (!receive_number(fd, &count) || count > ARGUMENTS_MAX)
        return false;
    for (; c->count < count; c->count++) {
        struct string *s = &c->arguments[c->count];
        if (!receive_number(fd, &length) || length > MESSAGE_MAX ||
            !(s->bytes = malloc(length + 1)))
            return false;
        s->length = length;
        s->bytes[length] = '\0';
        if (length > 0 && !receive(fd, s->bytes, length)) {
            free(s->bytes);
            return false;
        }
    }
    return true;
}

static void release(struct call *c)
{
    for (unsigned i = 0; i < c->count; i++)
        free(c->arguments[i].bytes);
    free(c->answer);
}

static bool send_answer(int fd, const struct call *c, int error)
{
    char digits[12];
    uint32_t length = (uint32_t)snprintf(digits, sizeof(digits), "%d", error);
    uint32_t head[2] = {htole32(error ? 1 : 1 + c->answer_count), htole32(length)};

    return send(fd, head, sizeof(head), MSG_MORE) > 0 &&
           send(fd, digits, length, error || c->answer_count == 0 ? 0 : MSG_MORE) > 0 &&
           (error || c->answer_count == 0 ||
            send(fd, c->answer, c->answer_length, 0) == (ssize_t)c->answer_length);
}

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    bool open = true;

    while (open) {
        struct call c = {.count = 0};
        open = receive_call(fd, &c);
        if (open)
            open = send_answer(fd, &c, run(&c));
        release(&c);
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "7000"))};

    signal(SIGPIPE, SIG_IGN);
    umask(022);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 64) < 0) {
        perror("agent");
        return 1;
    }
    for (;;) {
        pthread_t thread;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else
            close(fd);
    }
}
