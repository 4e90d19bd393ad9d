#include "monitor/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"

enum {
    /* Connections that gate has not accepted yet; net.core.somaxconn may allow less. */
    BACKLOG = 4096,
};

static in_port_t *port_of(struct listen_address *l)
{
    return l->address.ss_family == AF_INET ? &((struct sockaddr_in *)&l->address)->sin_port
                                           : &((struct sockaddr_in6 *)&l->address)->sin6_port;
}

unsigned listen_port(const struct listen_address *address)
{
    struct listen_address copy = *address;

    return ntohs(*port_of(&copy));
}

void listen_print(const struct listen_address *address, char ret_text[LISTEN_TEXT_SIZE])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(ret_text, LISTEN_TEXT_SIZE, "%s:%u", host, ntohs(v4->sin_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(ret_text, LISTEN_TEXT_SIZE, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A bound socket. With `shared`, several of us may have the address, each a share of the
 * connections. */
static int bind_socket(const struct listen_address *l, bool shared)
{
    int family = l->address.ss_family;
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, shared) < 0 ||
        /* [::] serves IPv4 too. */
        (family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) < 0) ||
        /* Inherited by every connection: answers are written whole, waiting to add more gains
           nothing. */
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
        bind(fd, (const struct sockaddr *)&l->address, l->length) < 0)
        return -errno;
    /* So is this: what cannot even leave shall not pile up in the kernel. It works without. */
    (void)set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, LIMIT_UNSENT_BYTES);
    return take_fd(&fd);
}

/* Binds without SO_REUSEPORT first: with it, two servers of one user would silently share the port.
 * Listening too: another one's bound socket is seen at bind(), a listening one here at the latest.
 */
static int probe(struct listen_address *l)
{
    socklen_t length = sizeof(l->address);
    _cleanup_close_ int fd = bind_socket(l, false);

    if (fd < 0)
        return fd;
    if (listen(fd, 1) < 0)
        return -errno;
    /* Port 0: from here on the one that the kernel chose. */
    return getsockname(fd, (struct sockaddr *)&l->address, &length) < 0 ? -errno : 0;
}

static void fall_back_to_ipv4(struct listen_address *l)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = *port_of(l)};

    memset(&l->address, 0, sizeof(l->address));
    memcpy(&l->address, &v4, sizeof(v4));
    l->length = sizeof(v4);
    l->is_default = false;
}

static void explain(const struct listen_address *l, int error)
{
    char where[LISTEN_TEXT_SIZE];

    listen_print(l, where);
    switch (-error) {
    case EADDRINUSE:
        log_error(
            "The port of %s is taken by another program. End that one, or choose another port: "
            "--listen PORT.",
            where);
        break;
    case EACCES:
        log_error("Ports below 1024 are root's: choose another one than %s, start as root with "
                  "--run-as, or lower sysctl net.ipv4.ip_unprivileged_port_start.",
                  where);
        break;
    case EADDRNOTAVAIL:
        log_error("This machine does not have the address of %s; `ip address` shows those it has.",
                  where);
        break;
    case EAFNOSUPPORT:
        log_error("This machine has no IPv6, so %s is not possible; use an IPv4 address.", where);
        break;
    default:
        log_error("Listening on %s is not possible: %s.", where, strerror(-error));
    }
}

enum {
    /* A port is free only some milliseconds after a server with io_uring was killed: the kernel
     * takes its rings down in the background. */
    TAKEN_TRIES = 10,
    TAKEN_WAIT_MS = 50,
};

static int probe_patiently(struct listen_address *l)
{
    const struct timespec pause = {.tv_nsec = TAKEN_WAIT_MS * 1000 * 1000};
    int r = probe(l);

    for (int tries = 1; r == -EADDRINUSE && tries < TAKEN_TRIES; tries++) {
        nanosleep(&pause, NULL);
        r = probe(l);
    }
    return r;
}

static int probe_address(struct listen_address *l)
{
    int r = probe_patiently(l);

    if ((r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) && l->is_default) {
        fall_back_to_ipv4(l);
        r = probe(l);
    }
    return r;
}

/* TCP_DEFER_ACCEPT is left off: it would save gate one wake-up per connection, but hide silent
 * connections from gate's deadline and eviction, and those are what an attacker opens. */
static int open_socket(const struct listen_address *l)
{
    _cleanup_close_ int fd = bind_socket(l, true);

    if (fd < 0)
        return fd;
    return listen(fd, BACKLOG) < 0 ? -errno : take_fd(&fd);
}

int listeners_open(struct config *config, struct listeners *ret_listeners)
{
    struct listeners l = {.address_count = config->listen_count, .rings = config->threads};

    memset(l.fds, -1, sizeof(l.fds));
    for (size_t i = 0; i < config->listen_count; i++) {
        int r = probe_address(&config->listen[i]);
        for (unsigned ring = 0; r >= 0 && ring < l.rings; ring++) {
            r = open_socket(&config->listen[i]);
            l.fds[ring * l.address_count + i] = r;
        }
        if (r < 0) {
            explain(&config->listen[i], r);
            listeners_close(&l);
            return r;
        }
    }
    l.port = (uint16_t)listen_port(&config->listen[0]);
    *ret_listeners = l;
    return 0;
}

void listeners_close(struct listeners *l)
{
    for (size_t i = 0; i < l->rings * l->address_count; i++)
        if (l->fds[i] >= 0)
            close(l->fds[i]);
    memset(l->fds, -1, sizeof(l->fds));
}
