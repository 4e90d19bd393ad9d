/* What the two halves of the program share: datapath.c explains it. */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/param.h>

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    GIB = 1 << 30,
    RECORD = 16 * KIB, /* plaintext of a full TLS record */
    RECORD_HEAD = 5,
    RECORD_TAG = 16,
    RECORD_MORE = RECORD_HEAD + 1 + RECORD_TAG, /* what sealing adds; 1: TLS 1.3's inner type */
    RECORD_DATA = 23,
    NONCE_SIZE = 12,
    CHUNK_MAX = 4 * MIB,
    STREAMS_MAX = 256,
    ROUNDS_MAX = 100,
    LIST_MAX = 32,
    FAILURE_SIZE = 80,
    WATCHDOG_SECONDS = 1800, /* a measurement that takes longer hangs; emulated machines are slow */
};

/* --- what is measured --- */

struct stream;

struct strategy {
    const char *name, *what;
    void (*step)(struct stream *s); /* goes on with a response, until something is in flight */
    bool nonblocking;               /* the socket, for calls that we make ourselves */
    bool ktls, seals, ahead, maps, zero_copy, sends_inline, by_name;
};

struct result {
    double wall, cpu, workers; /* seconds for a GiB of the file */
};

struct plan {
    const struct strategy *strategy;
    uint64_t size, chunk;
    unsigned streams;
    struct result results[ROUNDS_MAX];
    unsigned measured;
    char failure[FAILURE_SIZE];
};

/* Lists end with a 0. */
struct options {
    uint64_t sizes[LIST_MAX], chunks[LIST_MAX], streams[LIST_MAX], rounds[LIST_MAX],
        amount[LIST_MAX];
    const char *strategies, *folder;
    int cold, ktls, verify; /* yes or no */
};

extern struct options options;
extern const struct strategy strategies[];
extern const unsigned strategy_count;
extern int the_file;

/* What the sender tells. */
struct report {
    int64_t wall_ns, cpu_ns, thread_ns;
    char failure[FAILURE_SIZE];
};

/* --- which stream sends what --- */

static inline uint64_t plan_file_size(const struct plan *p)
{
    return MAX(p->size, options.amount[0] / p->size * p->size);
}

static inline uint64_t plan_pieces(const struct plan *p)
{
    return plan_file_size(p) / p->size;
}

static inline uint64_t plan_bytes(const struct plan *p)
{
    return MAX(plan_pieces(p), p->streams) * p->size;
}

static inline uint64_t plan_responses(const struct plan *p, unsigned stream)
{
    uint64_t pieces = MAX(plan_pieces(p), p->streams);

    return (pieces - stream + p->streams - 1) / p->streams;
}

/* Where in the file a stream's response begins. */
static inline uint64_t plan_offset(const struct plan *p, unsigned stream, uint64_t response)
{
    return (stream + response * p->streams) % plan_pieces(p) * p->size;
}

static inline bool is_sealed(const struct plan *p)
{
    return p->strategy->seals || p->strategy->ktls;
}

/* What a response takes on the wire, if all its records are full. */
static inline uint64_t plan_wire_size(const struct plan *p)
{
    return p->size + (is_sealed(p) ? p->size / RECORD * RECORD_MORE : 0);
}

/* --- datapath_send.c --- */

_Noreturn void die(const char *what); /* of datapath.c, with errno */

EVP_CIPHER_CTX *aead_create(bool seals);

/* What is around `plain` bytes and their type: the head, and the nonce they are sealed with. */
void record_prepare(uint64_t sequence, size_t plain, uint8_t head[static RECORD_HEAD],
                    uint8_t nonce[static NONCE_SIZE]);

/* Has the kernel seal what is sent from now on. Returns 0 or -errno. */
int ktls_start(int fd);

/* The sender's process: a socket for each stream, and where its report goes. */
_Noreturn void send_all(const struct plan *p, const int *fds, int report_fd);
