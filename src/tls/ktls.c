#include <linux/tls.h>

/* The kernel's number for what our enum calls the same. */
enum { KERNEL_CHACHA20_POLY1305 = TLS_CIPHER_CHACHA20_POLY1305 };
#undef TLS_CIPHER_CHACHA20_POLY1305

#include "tls/ktls.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/cleanup.h"
#include "base/span.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* --- keys in the kernel's form --- */

union crypto_info {
    struct tls_crypto_info info;
    struct tls12_crypto_info_aes_gcm_128 aes_128_gcm;
    struct tls12_crypto_info_aes_gcm_256 aes_256_gcm;
    struct tls12_crypto_info_chacha20_poly1305 chacha20_poly1305;
};

/* GCM's nonce is 4 bytes of salt and 8 of iv. In TLS 1.2 the iv is what each record carries, and
 * begins anywhere: with the sequence number, as in our record layer. Returns the struct's size. */
static socklen_t crypto_info_make(const struct tls_keys *k, union crypto_info *ret)
{
    uint64_t sequence = htobe64(k->sequence);
    const void *iv = keys_nonce_explicit(k) ? (const void *)&sequence : k->iv + TLS_SALT_SIZE;
    union crypto_info c = {.info.version = k->version};
    socklen_t size = 0;

    switch (k->cipher) {
    case TLS_CIPHER_AES_128_GCM:
        c.info.cipher_type = TLS_CIPHER_AES_GCM_128;
        memcpy(c.aes_128_gcm.salt, k->iv, sizeof(c.aes_128_gcm.salt));
        memcpy(c.aes_128_gcm.iv, iv, sizeof(c.aes_128_gcm.iv));
        memcpy(c.aes_128_gcm.key, k->key, sizeof(c.aes_128_gcm.key));
        memcpy(c.aes_128_gcm.rec_seq, &sequence, sizeof(sequence));
        size = sizeof(c.aes_128_gcm);
        break;
    case TLS_CIPHER_AES_256_GCM:
        c.info.cipher_type = TLS_CIPHER_AES_GCM_256;
        memcpy(c.aes_256_gcm.salt, k->iv, sizeof(c.aes_256_gcm.salt));
        memcpy(c.aes_256_gcm.iv, iv, sizeof(c.aes_256_gcm.iv));
        memcpy(c.aes_256_gcm.key, k->key, sizeof(c.aes_256_gcm.key));
        memcpy(c.aes_256_gcm.rec_seq, &sequence, sizeof(sequence));
        size = sizeof(c.aes_256_gcm);
        break;
    case TLS_CIPHER_CHACHA20_POLY1305:
        c.info.cipher_type = KERNEL_CHACHA20_POLY1305;
        memcpy(c.chacha20_poly1305.iv, k->iv, sizeof(c.chacha20_poly1305.iv));
        memcpy(c.chacha20_poly1305.key, k->key, sizeof(c.chacha20_poly1305.key));
        memcpy(c.chacha20_poly1305.rec_seq, &sequence, sizeof(sequence));
        size = sizeof(c.chacha20_poly1305);
        break;
    }
    *ret = c;
    OPENSSL_cleanse(&c, sizeof(c));
    return size;
}

static int give_keys(int fd, const struct tls_keys *tx)
{
    union crypto_info info;
    socklen_t size = crypto_info_make(tx, &info);

    int r = setsockopt(fd, SOL_TLS, TLS_TX, &info, size) < 0 ? -errno : 0;
    OPENSSL_cleanse(&info, sizeof(info));
    return r;
}

/* --- a connection --- */

/* sendfile(2) that meets the end of the file too early closes the open record and waits for room,
 * whatever O_NONBLOCK says. So no call on this socket may wait for longer than this. */
static int limit_waiting(int fd)
{
    const struct timeval shortly = {.tv_usec = 1000};

    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &shortly, sizeof(shortly)) < 0 ? -errno : 0;
}

int ktls_start(int fd, const struct tls_keys *tx)
{
    int r = limit_waiting(fd);
    if (r < 0)
        return r;
    if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 && errno != EEXIST)
        return -errno;
    return give_keys(fd, tx);
}

int ktls_rekey(int fd, const struct tls_keys *tx)
{
    return give_keys(fd, tx);
}

int ktls_send_control(int fd, uint8_t type, const void *data, size_t len)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(type))] = {0};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = SOL_TLS;
    c->cmsg_type = TLS_SET_RECORD_TYPE;
    c->cmsg_len = CMSG_LEN(sizeof(type));
    *CMSG_DATA(c) = type;
    ssize_t r = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r < 0)
        return -errno;
    return (size_t)r == len ? 0 : -EAGAIN;
}

/* --- what the kernel can --- */

bool ktls_trusted(unsigned version)
{
    /* Splicing and sending files into it was corrected by 6.12.55, .75, .82, .92, .95 and .104; in
     * the other line by 6.18.0, .16, .23, .34, .38 and .45. */
    static const struct {
        unsigned first, line_end;
    } lines[] = {{6012104, 6013000}, {6018045, 6019000}};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (version >= lines[i].first && version < lines[i].line_end)
            return true;
    return false;
}

/* Both ends of a TCP connection to ourselves. Returns 0 or -errno. */
static int connect_to_self(int *ret_one, int *ret_other)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    _cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    _cleanup_close_ int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || one < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        connect(one, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (other < 0)
        return -errno;
    *ret_one = take_fd(&one);
    *ret_other = other;
    return 0;
}

static int probe_one(uint16_t version, uint8_t cipher, ktls_support *support)
{
    struct tls_keys keys = {.version = version, .cipher = cipher};
    _cleanup_close_ int one = -1, other = -1;

    int r = connect_to_self(&one, &other);
    if (r < 0)
        return r;
    r = ktls_start(one, &keys);
    if (r < 0)
        return r;
    *support |= ktls_bit(version, cipher);
    if (version == TLS_VERSION_1_3 && ktls_rekey(one, &keys) == 0)
        *support |= KTLS_REKEY;
    return 0;
}

int ktls_probe(ktls_support *ret_support)
{
    int error = 0;

    *ret_support = 0;
    for (int c = TLS_CIPHER_AES_128_GCM; c <= TLS_CIPHER_CHACHA20_POLY1305; c++)
        for (int v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
            int r = probe_one((uint16_t)v, (uint8_t)c, ret_support);
            if (r < 0)
                error = r;
        }
    return *ret_support ? 0 : error;
}
