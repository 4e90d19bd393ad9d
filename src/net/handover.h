/* A connection as a message: what goes along when gate, monitor and home pass a connection on.
 *
 * One SOCK_SEQPACKET message carries the socket (SCM_RIGHTS), the key states, the bytes read so far
 * and the credential. The monitor verifies the credential *of that message*, overwrites `approval`,
 * and forwards the very message; verdict and connection are never apart, so a gate that was taken
 * over cannot swap them. The sender hands over only when no operation on the socket is in flight.
 */
#pragma once

#include <sys/socket.h>

#include "auth/credential.h"
#include "base/limits.h"
#include "tls/keys.h"

enum handover_flags {
    HANDOVER_TLS = 1 << 0,       /* else plain HTTP */
    HANDOVER_KERNEL_TX = 1 << 1, /* the kernel seals already */
};

/* What the monitor says about a credential. The monitor alone writes it. */
enum approval_verdict {
    APPROVAL_NONE = 0,
    APPROVAL_ACCEPTED,
    APPROVAL_REFUSED,   /* no or a wrong credential: 401 or the login page */
    APPROVAL_THROTTLED, /* 429, retry_after_s */
    APPROVAL_BUSY,      /* 503, retry_after_s */
};

struct approval {
    uint8_t verdict;
    bool read_only;
    uint32_t retry_after_s;
    char user[LIMIT_USER_NAME_BYTES + 1];
    char session_token[44];       /* of a login that was accepted, else "" */
    uint8_t digest[32];           /* of the credential: the connection is bound to it */
    uint64_t app;                 /* user_app_mark() of the app password, else 0 */
    struct sockaddr_storage peer; /* by getpeername(), never from the sender */
};

/* The key states as they travel; handover.c converts from and to struct tls_session. */
struct handover_tls {
    struct tls_keys rx, tx;
    uint16_t max_fragment;
    uint8_t key_update_owed;
};

struct handover {
    uint64_t token; /* chosen by gate, by which the monitor tells what became of it; 0 from home */
    uint32_t flags;
    uint32_t plaintext_bytes;  /* opened already: the request head and what followed it */
    uint32_t ciphertext_bytes; /* received, not opened: a partial record */
    struct handover_tls tls;
    struct credential credential;
    struct approval approval;
    /* plaintext_bytes + ciphertext_bytes follow */
};

enum { HANDOVER_BYTES_MAX = LIMIT_HEAD_BYTES + 3 * 16 * 1024 };

/* Whether a message that came from another process can be a connection: lengths, keys, credential.
 */
bool handover_valid(const struct handover *h, struct span bytes);
