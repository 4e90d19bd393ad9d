/* Downloads a file over TLS 1.3 and throws it away unopened: a client that costs next to nothing
 * where the server's processor is also its own.
 *
 *   discard PORT PATH BYTES      from 127.0.0.1, a file of so many bytes
 *
 * Prints the CPU time that it took, in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum { AT_ONCE = 1 << 20 };

static int fail(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Silence for so long after the file's bytes is the end: how much its records add depends on
     * the server. */
    const struct timeval silence = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return fd;
}

static int ask(int fd, const char *path)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context ? SSL_new(context) : NULL;
    char request[512];
    int length =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

    if (!ssl || SSL_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1 ||
        SSL_write(ssl, request, length) != length)
        return -1;
    return 0; /* the connection goes on without its keys */
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return EXIT_FAILURE;
    long long left = atoll(argv[3]);
    int fd = connect_to((uint16_t)atoi(argv[1]));

    if (fd < 0)
        return fail("connect");
    if (ask(fd, argv[2]) < 0)
        return fail("handshake");
    for (ssize_t n = 0; n >= 0 || left > 0; left -= n > 0 ? n : 0) {
        n = recv(fd, NULL, AT_ONCE, MSG_TRUNC);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return fail("recv");
    }
    printf("%lld\n", (long long)clock()); /* CLOCKS_PER_SEC is a million everywhere (POSIX) */
    return EXIT_SUCCESS;
}
