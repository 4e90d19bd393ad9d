#include "monitor/banner.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "monitor/listen.h"

static bool is_any(const struct listen_address *l)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l->address;

    return l->address.ss_family == AF_INET ? v4->sin_addr.s_addr == htonl(INADDR_ANY)
                                           : IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

static void add_url(struct buf *urls, const char *scheme, const char *host, unsigned port)
{
    buf_printf(urls, "%s%s://%s:%u/", urls->len > 0 ? "  " : "", scheme, host, port);
}

/* This machine's names as a browser in the same network may know them. */
static void add_own_urls(struct buf *urls, const char *scheme, unsigned port)
{
    char host[HOST_NAME_MAX + 1];
    struct ifaddrs *interfaces = NULL;

    if (gethostname(host, sizeof(host)) == 0 && host[0])
        add_url(urls, scheme, host, port);
    if (getifaddrs(&interfaces) == 0) {
        for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
            char text[INET_ADDRSTRLEN];
            if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || i->ifa_flags & IFF_LOOPBACK)
                continue;
            const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)i->ifa_addr;
            add_url(urls, scheme, inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)), port);
        }
        freeifaddrs(interfaces);
    }
    add_url(urls, scheme, "localhost", port);
}

void banner_print(const struct config *config, const char *fingerprint, bool self_signed)
{
    const char *scheme = config->plain ? "http" : "https";
    char memory[700];
    struct buf urls;

    buf_init_fixed(&urls, memory, sizeof(memory) - 1);
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct listen_address *l = &config->listen[i];
        char text[LISTEN_TEXT_SIZE];
        listen_print(l, text);
        if (is_any(l))
            add_own_urls(&urls, scheme, listen_port(l));
        else
            buf_printf(&urls, "%s%s://%s/", urls.len > 0 ? "  " : "", scheme, text);
    }
    memory[urls.len] = '\0';
    log_info("Serving %s%s%s%s%s.", config->dir, config->run_as ? " as " : "",
             config->run_as ? config->run_as : "", config->read_only ? ", read-only" : "",
             config->no_auth ? ", to everybody" : "");
    log_info("Open %s", memory);
    if (fingerprint)
        log_info("Certificate, SHA-256: %s", fingerprint);
    if (self_signed)
        log_info(
            "It is self-signed, so browsers ask once whether to trust it: compare the SHA-256.");
    if (config->plain && config->plain_anywhere)
        log_warning("Nothing is encrypted here: the way to the proxy in front must be safe.");
}
