/* The handshake on raw bytes. The first byte says in what portions they arrive. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/certificate.h"
#include "tls/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define check(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

static struct tls_context *make_context(void)
{
    struct tls_context *context;
    struct ticket_keys keys = {0};
    struct timespec now;
    struct buf cert, key;
    const char *why;

    buf_init_growing(&cert, 16384);
    buf_init_growing(&key, 16384);
    check(certificate_make(SPAN(""), SPAN("localhost"), time(NULL), &cert, &key) == 0);
    check(context_create(buf_span(&cert), buf_span(&key), &context, &why) == 0);
    clock_gettime(CLOCK_BOOTTIME, &now);
    check(ticket_keys_rotate(&keys, now.tv_sec + 1) == 0);
    context_set_ticket_keys(context, &keys);
    buf_finish(&cert);
    buf_finish(&key);
    return context;
}

static void shake(struct handshake *h, const uint8_t *data, size_t size, size_t portion,
                  struct buf *out)
{
    size_t consumed;
    int r = HANDSHAKE_WANT_READ;

    while (r == HANDSHAKE_WANT_READ && size > 0) {
        size_t n = size < portion ? size : portion;

        r = handshake_step(h, span_of(data, n), &consumed, out);
        check(consumed <= n);
        check(r != HANDSHAKE_WANT_READ || consumed == n);
        data += consumed;
        size -= consumed;
    }
    check(r != HANDSHAKE_DONE); /* nobody guesses a Finished */
    if (r < 0)
        check(*handshake_reason(h));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tls_context *context;
    struct handshake *h;
    struct buf out;
    size_t portion;

    if (!context)
        context = make_context();
    if (size < 1)
        return 0;
    portion = *data ? *data : 65536;
    handshake_is_http(span_of(data + 1, size - 1));
    buf_init_growing(&out, 65536);
    check(handshake_create(context, &h) == 0);
    shake(h, data + 1, size - 1, portion, &out);
    handshake_destroy(h);
    buf_finish(&out);
    return 0;
}
