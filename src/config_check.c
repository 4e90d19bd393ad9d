#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "auth/users_file.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/span.h"

/* --- addresses --- */

static int parse_host(struct span host, bool bracketed, in_port_t port, struct listen_address *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->address;

    if (host.len == 0 || host.len >= sizeof(text))
        return -EINVAL;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    if (!bracketed && inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        ret->length = sizeof(*v4);
        return 0;
    }
    if (bracketed && inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        ret->length = sizeof(*v6);
        return 0;
    }
    return -EINVAL;
}

static void set_any_address(in_port_t port, struct listen_address *ret)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->address;

    v6->sin6_family = AF_INET6;
    v6->sin6_addr = in6addr_any;
    v6->sin6_port = port;
    ret->length = sizeof(*v6);
    ret->is_default = true;
}

int config_parse_listen(const char *text, struct listen_address *ret_address)
{
    const char *colon = strrchr(text, ':');
    struct span host = span_of(text, colon ? (size_t)(colon - text) : 0);
    struct listen_address address = {0};
    uint64_t port;

    if (span_to_u64(span_str(colon ? colon + 1 : text), &port) < 0 || port > UINT16_MAX)
        return -EINVAL;
    in_port_t port_be = htons((uint16_t)port);
    if (host.len == 0) {
        set_any_address(port_be, &address);
    } else {
        bool bracketed = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
        if (bracketed)
            host = span_of(host.data + 1, host.len - 2);
        if (parse_host(host, bracketed, port_be, &address) < 0)
            return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

static bool is_loopback(const struct listen_address *l)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l->address;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&l->address)->sin6_addr;

    if (l->address.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(v6) ||
           (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

static bool all_loopback(const struct config *c)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (!is_loopback(&c->listen[i]))
            return false;
    return true;
}

/* --- defaults --- */

static int default_state_dir(char **ret)
{
    const char *base = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    const struct passwd *self;

    if (base && *base == '/')
        return asprintf(ret, "%s/fastfile", base) < 0 ? -ENOMEM : 0;
    if ((!home || *home != '/') && (self = getpwuid(geteuid())))
        home = self->pw_dir;
    if (!home || *home != '/')
        return -ENOENT;
    return asprintf(ret, "%s/.local/state/fastfile", home) < 0 ? -ENOMEM : 0;
}

static unsigned online_cores(void)
{
    cpu_set_t cores;
    int count = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;

    return count > CONFIG_THREADS_MAX ? CONFIG_THREADS_MAX : (unsigned)count;
}

static int fill_in_defaults(struct config *c)
{
    char users_path[PATH_MAX];

    if (c->listen_count == 0)
        set_any_address(htons(CONFIG_PORT_DEFAULT), &c->listen[c->listen_count++]);
    if (c->threads == 0)
        c->threads = online_cores();
    c->users_by_default = !c->users_path;
    if (!c->users_path && !c->no_auth && users_default_path(users_path) == 0)
        c->users_path = strdup(users_path);
    if (!c->users_path && !c->no_auth) {
        log_error(
            "Where your home folder is cannot be found out; set HOME, or say with --users where "
            "the users file is.");
        return -EINVAL;
    }
    if (default_state_dir(&c->state_dir) < 0) {
        log_error("Where your home folder is cannot be found out; set HOME or XDG_STATE_HOME.");
        return -EINVAL;
    }
    return 0;
}

/* --- checks --- */

static int check_dir(struct config *c)
{
    struct stat st;
    char *absolute = realpath(c->dir, NULL);

    if (!absolute) {
        log_error("The folder %s cannot be served: %s.%s", c->dir, strerror(errno),
                  errno == ENOENT ? " Make it first, or name another one." : "");
        return -EINVAL;
    }
    free(c->dir);
    c->dir = absolute;
    if (stat(c->dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
        log_error("%s is not a folder; name the folder that is to be served.", c->dir);
        return -EINVAL;
    }
    if (geteuid() != 0 && access(c->dir, R_OK | X_OK) < 0) {
        log_error("The folder %s cannot be served: %s. Its owner can allow it with chmod.", c->dir,
                  strerror(errno));
        return -EINVAL;
    }
    return 0;
}

/* Files named relative to where the command was typed stay found. The last part need not exist. */
static int make_absolute(char **path)
{
    _cleanup_free_ char *here = NULL;
    char *absolute;

    if (!*path || **path == '/')
        return 0;
    here = getcwd(NULL, 0);
    if (!here || asprintf(&absolute, "%s/%s", here, *path) < 0)
        return -EINVAL;
    free(*path);
    *path = absolute;
    return 0;
}

static int check_paths(struct config *c)
{
    bool log_is_file = c->access_log && strcmp(c->access_log, "-") != 0;

    if (make_absolute(&c->config_path) < 0 || make_absolute(&c->cert_path) < 0 ||
        make_absolute(&c->key_path) < 0 || make_absolute(&c->users_path) < 0 ||
        (log_is_file && make_absolute(&c->access_log) < 0)) {
        log_error("The current folder has no name any more; change to another one first.");
        return -EINVAL;
    }
    if (!c->cert_path != !c->key_path) {
        log_error("--cert and --key belong together: give both, or none for a self-signed "
                  "certificate.");
        return -EINVAL;
    }
    return 0;
}

static int check_exposure(const struct config *c)
{
    if (c->no_auth && !c->read_only && !all_loopback(c)) {
        log_error("--no-auth would let everybody who reaches this machine change your files. Add "
                  "--read-only, or listen on this machine only: --listen 127.0.0.1:%d.",
                  CONFIG_PORT_DEFAULT);
        return -EINVAL;
    }
    if (c->plain && !c->plain_anywhere && !all_loopback(c)) {
        log_error(
            "--plain would send passwords and files unencrypted through the network. Listen on "
            "this machine only (--listen 127.0.0.1:%d), or give --plain-anywhere if a proxy in "
            "front encrypts.",
            CONFIG_PORT_DEFAULT);
        return -EINVAL;
    }
    return 0;
}

int config_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
    const struct passwd *user = getpwnam(name);
    uint64_t number;

    if (!user && span_to_u64(span_str(name), &number) == 0 && number < UINT32_MAX) {
        user = getpwuid((uid_t)number);
        if (!user) { /* a container's user without a name: the group of the same number */
            *ret_uid = (uid_t)number;
            *ret_gid = (gid_t)number;
            return 0;
        }
    }
    if (!user)
        return -ENOENT;
    *ret_uid = user->pw_uid;
    *ret_gid = user->pw_gid;
    return 0;
}

/* Root serves with somebody's rights: --run-as, else DIR's owner. */
static int check_identity(struct config *c)
{
    struct stat st;
    uid_t uid;
    gid_t gid;

    if (geteuid() != 0) {
        if (!c->run_as)
            return 0;
        log_error("--run-as needs root; without it the files are served with your own rights.");
        return -EINVAL;
    }
    if (!c->run_as && stat(c->dir, &st) == 0 && st.st_uid != 0) {
        const struct passwd *owner = getpwuid(st.st_uid);
        char number[16];
        snprintf(number, sizeof(number), "%u", st.st_uid);
        c->run_as = strdup(owner ? owner->pw_name : number);
    }
    if (!c->run_as) {
        log_error("%s belongs to root, so say whose rights the files are to be served with: "
                  "--run-as NAME.",
                  c->dir);
        return -EINVAL;
    }
    if (config_find_user(c->run_as, &uid, &gid) < 0) {
        log_error("There is no user \"%s\" on this machine (--run-as).", c->run_as);
        return -EINVAL;
    }
    return 0;
}

int config_complete(struct config *config)
{
    if (config->plain_anywhere)
        config->plain = true;
    if (config->plain && config->cert_path) {
        log_error("--plain and --cert exclude each other: without TLS there is no certificate.");
        return -EINVAL;
    }
    if (fill_in_defaults(config) < 0 || check_dir(config) < 0 || check_paths(config) < 0 ||
        check_exposure(config) < 0 || check_identity(config) < 0)
        return -EINVAL;
    return 0;
}
