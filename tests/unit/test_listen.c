/* What accepted sockets have from their listener. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "base/limits.h"
#include "monitor/listen.h"

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, option, &value, &length), 0);
    return value;
}

/* A connection to the address, accepted by whichever ring's listener the kernel has chosen. */
static int accept_one(const struct listen_address *address, const struct listeners *l,
                      int *ret_client)
{
    struct pollfd waiting[CONFIG_THREADS_MAX];

    *ret_client = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        connect(*ret_client, (const struct sockaddr *)&address->address, address->length), 0);
    for (unsigned i = 0; i < l->rings; i++)
        waiting[i] = (struct pollfd){.fd = l->fds[i], .events = POLLIN};
    assert_int_equal(poll(waiting, l->rings, 5000), 1);
    for (unsigned i = 0; i < l->rings; i++)
        if (waiting[i].revents)
            return accept4(l->fds[i], NULL, NULL, SOCK_CLOEXEC);
    return -1;
}

/* Nobody sets them once more: gate may not call setsockopt(). */
static void inherited(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct config config = {.listen_count = 1, .threads = 2};
        struct listeners listeners;
        int client;

        assert_int_equal(config_parse_listen(addresses[i], &config.listen[0]), 0);
        int probe = socket(config.listen[0].address.ss_family, SOCK_STREAM, 0);
        int r = bind(probe, (struct sockaddr *)&config.listen[0].address, config.listen[0].length);
        close(probe);
        if (r < 0 && i > 0)
            continue; /* a machine without IPv6 */
        assert_int_equal(listeners_open(&config, &listeners), 0);
        for (int n = 0; n < 8; n++) {
            int fd = accept_one(&config.listen[0], &listeners, &client);
            assert_true(fd >= 0);
            assert_int_equal(option_of(fd, TCP_NOTSENT_LOWAT), LIMIT_UNSENT_BYTES);
            assert_int_equal(option_of(fd, TCP_NODELAY), 1);
            close(fd);
            close(client);
        }
        listeners_close(&listeners);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inherited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
