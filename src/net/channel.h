/* The channels between the monitor and its children: SOCK_SEQPACKET socket pairs, one per ring.
 *
 * A message is a struct message_header and a payload that depends on its kind; descriptors go along
 * by SCM_RIGHTS. Both ends are the same binary, so payloads are plain structs. A receiver trusts
 * the monitor; the monitor trusts nobody: it checks every length and ignores what it did not
 * expect.
 *
 *   monitor → gate   BOOT, CERTIFICATE, TICKET_KEYS, LOG, VERDICT, DEPARTED, CONNECTION (refused),
 *                    DRAIN
 *   monitor → home   BOOT, LOG, CONNECTION (accepted), REVOKE, ACCOUNT_ANSWER, DRAIN
 *   gate → monitor   READY, CONNECTION
 *   home → monitor   READY, CONNECTION (with a credential that it is not bound to), LOGOUT, ACCOUNT
 */
#pragma once

#include <stddef.h>

#include "base/span.h"
#include "net/handover.h"
#include "tls/ktls.h"

enum message_kind {
    MESSAGE_BOOT = 1,
    MESSAGE_READY,          /* no payload; the child is sandboxed and serves (ring 0 only) */
    MESSAGE_CERTIFICATE,    /* struct message_certificate, PEM texts; to each ring */
    MESSAGE_TICKET_KEYS,    /* struct ticket_keys; to each ring */
    MESSAGE_LOG,            /* one descriptor: the access log, opened anew; to each ring */
    MESSAGE_CONNECTION,     /* struct handover, bytes; one descriptor */
    MESSAGE_VERDICT,        /* struct message_verdict: gate has to answer itself */
    MESSAGE_DEPARTED,       /* struct message_departed: connections that home has now */
    MESSAGE_REVOKE,         /* struct message_revoke; to each ring */
    MESSAGE_LOGOUT,         /* struct message_logout */
    MESSAGE_ACCOUNT,        /* struct message_account */
    MESSAGE_ACCOUNT_ANSWER, /* struct message_account_answer; to the ring that asked */
    MESSAGE_DRAIN,          /* no payload; to each ring: finish what runs, take nothing new, exit */
};

struct message_header {
    uint32_t kind;
    uint32_t bytes; /* of the payload */
};

enum {
    CHANNEL_PAYLOAD_MAX = sizeof(struct handover) + HANDOVER_BYTES_MAX,
    CHANNEL_FDS_MAX = 200,
    CHANNEL_DEPARTED_MAX = 64,
    /* Rings of one process. */
    CHANNEL_RINGS_MAX = 32,
    /* The descriptor under which a child finds the channel of its first ring. */
    CHANNEL_CHILD_FD = 3,
};

/* What a child is told first, on ring 0's channel. With it come, in this order: the channels of
 * rings 1 … threads-1; for gate the listening sockets, ring by ring (threads × listen_count); the
 * access log where access_log is set. */
struct boot {
    uint32_t threads;
    uint32_t listen_count;
    uint32_t descriptors_max; /* RLIMIT_NOFILE, already raised */
    uint16_t port;            /* of the first address; names the session cookie */
    bool access_log;
    bool read_only;
    bool trash;
    bool no_auth;
    bool plain;
    bool server_field;
    uint8_t log_format, durability;
    uint8_t io;        /* enum loop_io: decided by the monitor for all */
    ktls_support ktls; /* home: what may be left to the kernel; 0: nothing */
    uint32_t uid, gid; /* home: become these after having mounted; (uint32_t)-1: stay as you are */
    char dir[4096];    /* home */
    char data_dir[4096];  /* home: where the user's trash is, "" when that is not known */
    char state_dir[4096]; /* home: where its own state is kept, "" when that is nowhere */
    /* home: folders below dir (with configuration, users file, keys or the monitor's state in them)
     * to be covered by an empty mount, absolute, NUL-separated, ended by an empty one */
    char covered[8 * 1024];
};

struct message_certificate {
    uint32_t chain_bytes, key_bytes; /* both texts follow */
};

struct message_verdict {
    uint64_t token;
    struct approval approval;
};

/* Their tokens. They come together, so that gate is not woken for each; meanwhile it keeps
 * descriptors that it does not need. */
struct message_departed {
    uint64_t count;
    uint64_t tokens[CHANNEL_DEPARTED_MAX];
};

/* Closes the connections that are bound to `digest`; or those of `user`: where `app` is not 0 those
 * by that app password, else all. What does not say which is all zero. */
struct message_revoke {
    char user[LIMIT_USER_NAME_BYTES + 1];
    uint8_t digest[32];
    uint64_t app;
};

struct message_logout {
    uint8_t digest[32];
    uint8_t everywhere; /* not 0: all sessions of the user */
};

/* About the app passwords of whoever has the session with that digest: who that is only the monitor
 * knows. */
enum account_action { ACCOUNT_LIST, ACCOUNT_ADD, ACCOUNT_REMOVE };

struct message_account {
    uint64_t token; /* chosen by home, for the answer */
    uint8_t digest[32];
    uint8_t action;                        /* enum account_action */
    uint8_t read_only;                     /* ADD: not 0: for a device that may only look */
    char label[LIMIT_APP_LABEL_BYTES + 1]; /* ADD, REMOVE; else "" */
};

enum { ACCOUNT_PASSWORD_BYTES = 44 }; /* PASSWORD_APP_BYTES */

struct account_app {
    char label[LIMIT_APP_LABEL_BYTES + 1];
    bool read_only;
};

struct message_account_answer {
    uint64_t token;
    int32_t result;                        /* 0 or -errno; -ENOKEY: there is no such session */
    char password[ACCOUNT_PASSWORD_BYTES]; /* ADD: told this once */
    uint32_t app_count;                    /* LIST */
    struct account_app apps[LIMIT_APP_PASSWORDS];
};

/* Sends one message without waiting. Returns 0, -EAGAIN (the channel is full), -EPIPE, or another
 * -errno. Descriptors stay the caller's. */
int channel_send(int fd, enum message_kind kind, struct span first, struct span second,
                 const int *fds, size_t fd_count);

/* Receives one message without waiting into `memory` (≥ sizeof(struct message_header) +
 * CHANNEL_PAYLOAD_MAX bytes). Returns 1, 0 at the end of file, or -EAGAIN, -EBADMSG (malformed,
 * truncated; its descriptors are closed) or another -errno. Descriptors become the caller's. */
int channel_receive(int fd, void *memory, size_t memory_bytes, enum message_kind *ret_kind,
                    struct span *ret_payload, int *ret_fds, size_t *ret_fd_count);
