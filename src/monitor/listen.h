/* The listening sockets. The monitor holds them, so that they survive gate.
 *
 * Each ring of gate has a socket of its own for each address (SO_REUSEPORT): the kernel spreads
 * connections over them.
 */
#pragma once

#include "config.h"

struct listeners {
    size_t address_count;
    unsigned rings;
    uint16_t port;                                   /* of the first address */
    int fds[CONFIG_THREADS_MAX * CONFIG_LISTEN_MAX]; /* ring by ring */
};

/* Binds everything that `config` names, and writes the addresses really used (a default that fell
 * back to IPv4, a port chosen by the kernel) back to it. Returns 0, or -errno after having said
 * what is wrong and what to do. */
int listeners_open(struct config *config, struct listeners *ret_listeners);
void listeners_close(struct listeners *l);

unsigned listen_port(const struct listen_address *address);

enum { LISTEN_TEXT_SIZE = 64 };
/* "[::]:8443" or "127.0.0.1:8443". */
void listen_print(const struct listen_address *address, char ret_text[LISTEN_TEXT_SIZE]);
