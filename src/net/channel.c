#include "net/channel.h"

#include <assert.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

int channel_send(int fd, enum message_kind kind, struct span first, struct span second,
                 const int *fds, size_t fd_count)
{
    struct message_header header = {kind, (uint32_t)(first.len + second.len)};
    struct iovec parts[] = {{&header, sizeof(header)},
                            {(void *)(uintptr_t)first.data, first.len},
                            {(void *)(uintptr_t)second.data, second.len}};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};

    assert(fd_count <= CHANNEL_FDS_MAX);
    if (fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        memset(control, 0, message.msg_controllen);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        assert(cmsg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static size_t collect_fds(struct msghdr *message, int *fds)
{
    size_t count = 0;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds + count, CMSG_DATA(cmsg), here * sizeof(int));
        count += here;
    }
    return count;
}

int channel_receive(int fd, void *memory, size_t memory_bytes, enum message_kind *ret_kind,
                    struct span *ret_payload, int *ret_fds, size_t *ret_fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    struct message_header *header = memory;
    struct iovec part = {memory, memory_bytes};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t received;

    do
        received = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    size_t fd_count = collect_fds(&message, ret_fds);
    if (received == 0 && fd_count == 0)
        return 0;
    if ((size_t)received < sizeof(*header) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        header->bytes != (size_t)received - sizeof(*header)) {
        for (size_t i = 0; i < fd_count; i++)
            close(ret_fds[i]);
        return -EBADMSG;
    }
    *ret_kind = header->kind;
    *ret_payload = span_of(header + 1, header->bytes);
    *ret_fd_count = fd_count;
    return 1;
}
