/* Stands for what a kernel has of TLS for sending, where the program's calls come here
 * (meson.build): setsockopt(2), sendto(2), sendmsg(2). What is sent on a socket that has been given
 * keys leaves it in records that they seal; so a peer can open them only if the right keys were
 * given at the right time. For a test's only .c file, of one thread. */
#pragma once

#include <linux/tls.h>

/* The kernel's number for what our enum calls the same. */
enum { KERNEL_CHACHA20_POLY1305 = TLS_CIPHER_CHACHA20_POLY1305 };
#undef TLS_CIPHER_CHACHA20_POLY1305

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tls/record.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

struct kernel_socket {
    ino_t inode;
    bool has_keys;
    struct tls_direction tx;
};

static struct {
    bool has_tls; /* the module is there */
    bool rekeys;  /* as from 6.14 on */
    unsigned keys_taken, control_records;
    uint8_t control[8]; /* the last of these, its type first */
    size_t control_len;
    uint64_t first_sequence; /* with the last keys */
    struct kernel_socket sockets[64];
} kernel;

static inline void kernel_reset(bool has_tls, bool rekeys)
{
    for (size_t i = 0; i < sizeof(kernel.sockets) / sizeof(kernel.sockets[0]); i++)
        tls_direction_rest(&kernel.sockets[i].tx);
    memset(&kernel, 0, sizeof(kernel));
    kernel.has_tls = has_tls;
    kernel.rekeys = rekeys;
}

/* NULL: it speaks no TLS. Descriptors come again, inodes do not. */
static inline struct kernel_socket *kernel_socket(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    for (size_t i = 0; i < sizeof(kernel.sockets) / sizeof(kernel.sockets[0]); i++)
        if (kernel.sockets[i].inode == st.st_ino)
            return &kernel.sockets[i];
    return NULL;
}

static inline int kernel_says(int error)
{
    errno = error;
    return -1;
}

static inline int kernel_attach(int fd)
{
    struct stat st;

    if (!kernel.has_tls)
        return kernel_says(ENOENT);
    if (kernel_socket(fd))
        return kernel_says(EEXIST);
    assert_int_equal(fstat(fd, &st), 0);
    for (size_t i = 0; i < sizeof(kernel.sockets) / sizeof(kernel.sockets[0]); i++)
        if (!kernel.sockets[i].inode) {
            kernel.sockets[i].inode = st.st_ino;
            return 0;
        }
    fail_msg("too many sockets");
    return 0;
}

/* `tail` is the kernel's struct behind its version and cipher: iv, key, salt, sequence. */
static inline void kernel_read_keys(struct tls_keys *k, const uint8_t *tail, size_t iv_len,
                                    size_t salt_len)
{
    size_t key_len = cipher_key_size(k->cipher);
    const uint8_t *salt = tail + iv_len + key_len;

    memcpy(k->key, tail + iv_len, key_len);
    memcpy(&k->sequence, salt + salt_len, sizeof(k->sequence));
    memcpy(k->iv, salt, salt_len);
    if (keys_nonce_explicit(
            k)) /* what our record layer does, and only that is right for the peer */
        assert_memory_equal(tail, &k->sequence, sizeof(k->sequence));
    else
        memcpy(k->iv + salt_len, tail, iv_len);
    k->sequence = be64toh(k->sequence);
}

static inline int kernel_take_keys(int fd, const void *value, size_t len)
{
    struct kernel_socket *s = kernel_socket(fd);
    struct tls_crypto_info info;
    struct tls_keys keys = {0};

    assert_true(len >= sizeof(info));
    memcpy(&info, value, sizeof(info));
    if (!s)
        return kernel_says(ENOPROTOOPT);
    if (s->has_keys && !kernel.rekeys)
        return kernel_says(EBUSY);
    const uint8_t *tail = (const uint8_t *)value + sizeof(info);
    keys.version = info.version;
    if (info.cipher_type == TLS_CIPHER_AES_GCM_128) {
        keys.cipher = TLS_CIPHER_AES_128_GCM;
        assert_int_equal(len, sizeof(struct tls12_crypto_info_aes_gcm_128));
    } else if (info.cipher_type == TLS_CIPHER_AES_GCM_256) {
        keys.cipher = TLS_CIPHER_AES_256_GCM;
        assert_int_equal(len, sizeof(struct tls12_crypto_info_aes_gcm_256));
    } else {
        assert_int_equal(info.cipher_type, KERNEL_CHACHA20_POLY1305);
        keys.cipher = TLS_CIPHER_CHACHA20_POLY1305;
        assert_int_equal(len, sizeof(struct tls12_crypto_info_chacha20_poly1305));
    }
    if (s->has_keys && (s->tx.keys.version != keys.version || s->tx.keys.cipher != keys.cipher))
        return kernel_says(EINVAL);
    bool salted = keys.cipher != TLS_CIPHER_CHACHA20_POLY1305;
    kernel_read_keys(&keys, tail, salted ? 8 : 12, salted ? 4 : 0);
    tls_direction_rest(&s->tx);
    s->tx.keys = keys;
    s->has_keys = true;
    kernel.keys_taken++;
    kernel.first_sequence = keys.sequence;
    return 0;
}

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
ssize_t __real_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    if (level == IPPROTO_TCP && name == TCP_ULP)
        return kernel_attach(fd);
    if (level == SOL_TLS && name == TLS_TX)
        return kernel_take_keys(fd, value, len);
    return __real_setsockopt(fd, level, name, value, len);
}

/* As one record at most; whoever has more calls again. */
static inline ssize_t kernel_send(struct kernel_socket *s, int fd, uint8_t type, const void *data,
                                  size_t len)
{
    static uint8_t record[TLS_RECORD_MAX];
    size_t here = len < TLS_PLAINTEXT_MAX ? len : TLS_PLAINTEXT_MAX;

    memcpy(record + record_prefix(&s->tx), data, here);
    int sealed = record_seal(&s->tx, type, record, here);
    assert_true(sealed > 0);
    assert_int_equal(
        __real_sendto(fd, record, (size_t)sealed, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0),
        sealed); /* there is room: the peer takes everything at once */
    return (ssize_t)here;
}

ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len)
{
    struct kernel_socket *s = kernel_socket(fd);

    if (!s || !s->has_keys)
        return __real_sendto(fd, data, len, flags, to, to_len);
    return kernel_send(s, fd, TLS_TYPE_APPLICATION_DATA, data, len);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(message);
    struct kernel_socket *s = kernel_socket(fd);

    if (!s || !s->has_keys)
        return __real_sendmsg(fd, message, flags);
    assert_true(c && c->cmsg_level == SOL_TLS && c->cmsg_type == TLS_SET_RECORD_TYPE &&
                c->cmsg_len == CMSG_LEN(1));
    assert_int_equal(message->msg_iovlen, 1);
    const struct iovec *iov = message->msg_iov;
    assert_true(iov->iov_len < sizeof(kernel.control));
    kernel.control_records++;
    kernel.control[0] = *CMSG_DATA(c);
    kernel.control_len = 1 + iov->iov_len;
    memcpy(kernel.control + 1, iov->iov_base, iov->iov_len);
    return kernel_send(s, fd, *CMSG_DATA(c), iov->iov_base, iov->iov_len);
}
