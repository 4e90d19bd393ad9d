/* Measures the ways in which a file gets into a TCP socket, without a server around them.
 *
 * A sender (one thread, one ring, one or more streams) and a receiver are processes of their own
 * and talk over 127.0.0.1. The receiver asks for each response with one byte, as a client on a
 * keep-alive connection does, and throws away what comes: recv(MSG_TRUNC). Responses are
 * consecutive pieces of one large file, so small ones are as cold in the processor's cache as many
 * different files would be. bench/README.md says how to run it; --help lists the ways.
 *
 * CPU is the sender's CLOCK_PROCESS_CPUTIME_ID. io_uring's workers (io-wq) are threads of the
 * process since Linux 5.12 and so are in it; "workers" is what is not the sender's own thread.
 * Calls on a socket that would wait are continued after an IORING_OP_POLL_ADD, except for what the
 * ring sends itself.
 */
#include "datapath.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

struct options options = {
    .sizes = {64 * KIB, MIB, GIB},
    .chunks = {16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB},
    .streams = {1, 8},
    .amount = {512 * MIB},
    .rounds = {5},
    .folder = "/var/tmp", /* /tmp may be memory */
};

int the_file;

_Noreturn void die(const char *what)
{
    fprintf(stderr, "datapath: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int must(int result, const char *what)
{
    if (result < 0)
        die(what);
    return result;
}

/* --- the receiver --- */

struct reader {
    const struct plan *plan;
    unsigned index;
    int fd;
    uint64_t asked, received, plain; /* responses; bytes on the wire; bytes of files, if verified */
    EVP_CIPHER_CTX *aead;
    uint64_t sequence;
    uint8_t record[RECORD + RECORD_MORE];
    size_t in_record;
};

static bool record_open(EVP_CIPHER_CTX *aead, uint64_t sequence, uint8_t *record, size_t plain)
{
    uint8_t nonce[NONCE_SIZE], head[RECORD_HEAD], *end = record + RECORD_HEAD + plain + 1;
    int n;

    record_prepare(sequence, plain, head, nonce);
    return EVP_DecryptInit_ex(aead, NULL, NULL, NULL, nonce) == 1 &&
           EVP_DecryptUpdate(aead, NULL, &n, head, RECORD_HEAD) == 1 &&
           EVP_DecryptUpdate(aead, record + RECORD_HEAD, &n, record + RECORD_HEAD,
                             (int)plain + 1) == 1 &&
           EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG, end) == 1 &&
           EVP_DecryptFinal_ex(aead, end, &n) == 1 && end[-1] == RECORD_DATA;
}

static _Noreturn void wrong(const struct reader *r, const char *what)
{
    fprintf(stderr, "datapath: %s: %s after %llu bytes\n", r->plan->strategy->name, what,
            (unsigned long long)r->received);
    _exit(1);
}

static void ask(struct reader *r)
{
    r->asked++;
    if (send(r->fd, "", 1, MSG_NOSIGNAL) != 1)
        wrong(r, "the request failed");
}

static void check_plain(struct reader *r, const uint8_t *data, size_t len)
{
    static uint8_t expected[256 * KIB];

    while (len > 0) {
        uint64_t in_response = r->plain % r->plan->size;
        uint64_t at = plan_offset(r->plan, r->index, r->plain / r->plan->size) + in_response;
        size_t here = MIN(MIN(len, r->plan->size - in_response), sizeof(expected));
        if (pread(the_file, expected, here, (off_t)at) != (ssize_t)here ||
            memcmp(expected, data, here) != 0)
            wrong(r, "not the file's bytes");
        r->plain += here;
        data += here;
        len -= here;
    }
}

/* Receives no more than a record, and opens it when it is complete. */
static ssize_t receive_record(struct reader *r)
{
    size_t size = RECORD_HEAD;
    if (r->in_record >= RECORD_HEAD)
        size += (size_t)(r->record[3] << 8 | r->record[4]);
    if (size > sizeof(r->record) || (r->in_record >= RECORD_HEAD && size <= RECORD_MORE))
        wrong(r, "not a record");

    ssize_t n = recv(r->fd, r->record + r->in_record, size - r->in_record, MSG_DONTWAIT);
    r->in_record += n > 0 ? (size_t)n : 0;
    if (n > 0 && r->in_record > RECORD_HEAD && r->in_record == size) {
        if (!record_open(r->aead, r->sequence++, r->record, size - RECORD_MORE))
            wrong(r, "a record that does not open");
        check_plain(r, r->record + RECORD_HEAD, size - RECORD_MORE);
        r->in_record = 0;
    }
    return n;
}

static ssize_t receive(struct reader *r)
{
    static uint8_t buffer[MIB];

    if (r->aead)
        return receive_record(r);
    int truncate = options.verify ? 0 : MSG_TRUNC; /* TCP throws away what is received so */
    ssize_t n = recv(r->fd, buffer, sizeof(buffer), MSG_DONTWAIT | truncate);
    if (n > 0 && options.verify)
        check_plain(r, buffer, (size_t)n);
    return n;
}

static void check_end(struct reader *r)
{
    uint64_t responses = plan_responses(r->plan, r->index);
    uint64_t expected = responses * plan_wire_size(r->plan);
    /* The kernel may make smaller records, and so more of them. */
    bool more = r->plan->strategy->ktls && r->received > expected &&
                (r->received - expected) % RECORD_MORE == 0;

    if ((r->received != expected && !more) || r->asked != responses ||
        (options.verify && r->plain != responses * r->plan->size))
        wrong(r, "the end");
    close(r->fd);
}

static _Noreturn void receive_all(const struct plan *p, const int *fds)
{
    static struct reader readers[STREAMS_MAX];
    struct pollfd polled[STREAMS_MAX];
    uint64_t wire_size = plan_wire_size(p);

    for (unsigned i = 0; i < p->streams; i++) {
        readers[i] = (struct reader){.plan = p, .index = i, .fd = fds[i]};
        if (options.verify && is_sealed(p))
            readers[i].aead = aead_create(false);
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        ask(&readers[i]);
    }
    for (unsigned open = p->streams; open > 0;) {
        must(poll(polled, p->streams, -1), "poll");
        for (unsigned i = 0; i < p->streams; i++) {
            struct reader *r = &readers[i];
            ssize_t n = polled[i].revents ? receive(r) : -1;
            if (polled[i].revents && n < 0 && errno != EAGAIN)
                wrong(r, "an error");
            r->received += n > 0 ? (size_t)n : 0;
            if (n > 0 && r->received >= r->asked * wire_size &&
                r->asked < plan_responses(p, r->index))
                ask(r);
            if (n == 0) {
                check_end(r);
                polled[i].fd = -1;
                open--;
            }
        }
    }
    _exit(0);
}

/* --- one measurement --- */

static void connect_to_self(int *ret_one, int *ret_other)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int yes = 1;
    int listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    *ret_one = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    must(bind(listener, (struct sockaddr *)&address, sizeof(address)), "bind");
    must(listen(listener, 1), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    must(connect(*ret_one, (struct sockaddr *)&address, sizeof(address)), "connect");
    *ret_other = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
    must(setsockopt(*ret_one, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)), "TCP_NODELAY");
    close(listener);
}

/* How many of the file's first bytes are in the page cache. */
static uint64_t cached_bytes(uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page, count = 0;
    unsigned char *found = malloc(pages);
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, the_file, 0);

    if (!found || map == MAP_FAILED || mincore(map, size, found) < 0)
        die("mincore");
    for (uint64_t i = 0; i < pages; i++)
        count += found[i] & 1;
    munmap(map, size);
    free(found);
    return count * page;
}

/* Puts the file into the page cache, or out of it. */
static bool cache_prepare(const struct plan *p)
{
    static char buffer[MIB];
    uint64_t size = plan_file_size(p);

    if (options.cold) {
        must(posix_fadvise(the_file, 0, 0, POSIX_FADV_DONTNEED) ? -1 : 0, "DONTNEED");
        /* The last segments of the measurement before may still hold a folio. */
        return cached_bytes(size) <= size / 20;
    }
    if (cached_bytes(size) < size)
        for (uint64_t at = 0; at < size; at += sizeof(buffer))
            must((int)pread(the_file, buffer, sizeof(buffer), (off_t)at), "read");
    return true;
}

/* A process of its own, which does not have the others' ends. Returns 0 there. */
static pid_t start(const struct plan *p, const int *others)
{
    pid_t pid = must(fork(), "fork");

    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(WATCHDOG_SECONDS);
    for (unsigned i = 0; i < p->streams; i++)
        close(others[i]);
    return 0;
}

static void measure(struct plan *p)
{
    int ours[STREAMS_MAX], theirs[STREAMS_MAX], ends[2], status[2];
    struct report report = {.failure = "the sender died"};

    if (!cache_prepare(p)) {
        snprintf(p->failure, sizeof(p->failure), "this file system keeps its pages cached");
        return;
    }
    for (unsigned i = 0; i < p->streams; i++)
        connect_to_self(&ours[i], &theirs[i]);
    must(pipe2(ends, O_CLOEXEC), "pipe");
    pid_t receiver = start(p, ours);
    if (receiver == 0)
        receive_all(p, theirs);
    pid_t sender = start(p, theirs);
    if (sender == 0)
        send_all(p, ours, ends[1]);
    for (unsigned i = 0; i < p->streams; i++) {
        close(ours[i]);
        close(theirs[i]);
    }
    waitpid(sender, &status[0], 0);
    waitpid(receiver, &status[1], 0);
    close(ends[1]);
    if (read(ends[0], &report, sizeof(report)) < 0)
        die("report");
    close(ends[0]);

    double gibs = (double)plan_bytes(p) / GIB;
    memcpy(p->failure, report.failure, sizeof(p->failure));
    if (!p->failure[0] && (status[0] != 0 || status[1] != 0))
        snprintf(p->failure, sizeof(p->failure), "wrong answers");
    p->results[p->measured] = (struct result){
        .wall = (double)report.wall_ns / 1e9 / gibs,
        .cpu = (double)report.cpu_ns / 1e9 / gibs,
        .workers = (double)(report.cpu_ns - report.thread_ns) / 1e9 / gibs,
    };
    p->measured += !p->failure[0];
}

/* --- what is asked for --- */

static _Noreturn void usage(int code)
{
    fprintf(code == 0 ? stdout : stderr,
            "datapath [--rounds 5] [--sizes 64K,1M,1G] [--chunks 16K,64K,128K,256K,512K,1M]\n"
            "         [--streams 1,8] [--strategies NAME,...] [--ktls] [--cold] [--verify]\n"
            "         [--amount 512M] [--dir /var/tmp]\n\n"
            "  --ktls    the ways that begin with ktls- too, which need the kernel's TLS\n"
            "  --cold    from the disk instead of the page cache\n"
            "  --verify  the receiver compares every byte (the figures mean nothing then)\n"
            "  --amount  what a measurement moves at least\n\n");
    for (unsigned i = 0; i < strategy_count; i++)
        fprintf(code == 0 ? stdout : stderr, "  %-18s %s\n", strategies[i].name,
                strategies[i].what);
    exit(code);
}

static uint64_t parse_number(const char *text, char **ret_end)
{
    uint64_t n = strtoull(text, ret_end, 10);
    const char *unit = *ret_end == text || !**ret_end ? NULL : strchr("KMG", **ret_end);

    if (unit)
        (*ret_end)++;
    return unit ? n << 10 * (unit - "KMG" + 1) : n;
}

/* Numbers with commas between them, each a multiple of `unit` and at most `max`. */
static void parse_list(const char *text, uint64_t unit, uint64_t max, uint64_t *ret)
{
    unsigned count = 0;
    char *end;

    memset(ret, 0, LIST_MAX * sizeof(*ret));
    for (;; text = end + 1) {
        uint64_t n = parse_number(text, &end);
        if (n == 0 || n % unit != 0 || n > max || (*end && *end != ',') || count == LIST_MAX - 1)
            usage(2);
        ret[count++] = n;
        if (!*end)
            return;
    }
}

static void parse_options(int argc, char **argv)
{
    const uint64_t bytes_max = 64ULL * GIB;
    const struct {
        uint64_t *list, unit, max;
    } lists[] = {{options.sizes, RECORD, bytes_max},
                 {options.chunks, RECORD, CHUNK_MAX},
                 {options.streams, 1, STREAMS_MAX},
                 {options.rounds, 1, ROUNDS_MAX},
                 {options.amount, 1, bytes_max}};
    const struct option known[] = {{"sizes", 1, NULL, 0x100},
                                   {"chunks", 1, NULL, 0x101},
                                   {"streams", 1, NULL, 0x102},
                                   {"rounds", 1, NULL, 0x103},
                                   {"amount", 1, NULL, 0x104},
                                   {"strategies", 1, NULL, 's'},
                                   {"dir", 1, NULL, 'd'},
                                   {"cold", 0, &options.cold, 1},
                                   {"ktls", 0, &options.ktls, 1},
                                   {"help", 0, NULL, 'h'},
                                   {"verify", 0, &options.verify, 1},
                                   {0}};

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c >= 0x100)
            parse_list(optarg, lists[c - 0x100].unit, lists[c - 0x100].max, lists[c - 0x100].list);
        else if (c == 's')
            options.strategies = optarg;
        else if (c == 'd')
            options.folder = optarg;
        else if (c != 0)
            usage(c == 'h' ? 0 : 2);
    }
    if (optind < argc)
        usage(2);
}

static bool is_listed(const char *name, const char *list)
{
    size_t length = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ','))
            return true;
    return false;
}

static int ktls_probe(void)
{
    int one, other;

    connect_to_self(&one, &other);
    int r = ktls_start(one);
    close(one);
    close(other);
    if (r < 0)
        printf("This kernel has no TLS (%s): what needs it is left out.\n", strerror(-r));
    return r;
}

static bool is_wanted(const struct strategy *s)
{
    if (options.strategies)
        return is_listed(s->name, options.strategies);
    return !s->by_name && (!s->ktls || options.ktls);
}

/* Every combination, in the order of the tables. */
static struct plan *make_plans(unsigned *ret_count)
{
    struct plan *plans = NULL;
    unsigned count = 0;
    bool wanted[LIST_MAX], probed = false, ktls = false;

    for (unsigned i = 0; i < strategy_count; i++) {
        wanted[i] = is_wanted(&strategies[i]);
        if (wanted[i] && strategies[i].ktls && !probed) {
            ktls = ktls_probe() == 0;
            probed = true;
        }
        wanted[i] &= ktls || !strategies[i].ktls;
    }
    for (const uint64_t *size = options.sizes; *size; size++)
        for (const uint64_t *streams = options.streams; *streams; streams++)
            for (unsigned i = 0; i < strategy_count; i++)
                for (const uint64_t *chunk = options.chunks; *chunk; chunk++) {
                    if (!wanted[i] || *chunk > *size)
                        continue;
                    plans = reallocarray(plans, count + 1, sizeof(*plans));
                    if (!plans)
                        die("memory");
                    plans[count++] = (struct plan){.strategy = &strategies[i],
                                                   .size = *size,
                                                   .chunk = *chunk,
                                                   .streams = (unsigned)*streams};
                }
    *ret_count = count;
    return plans;
}

/* A file without a name, so that nothing is left, whatever happens. Nothing of it is a hole, and
 * no two pages are the same. */
static int make_file(uint64_t size)
{
    static char buffer[MIB];
    char name[4096];

    snprintf(name, sizeof(name), "%s/datapath-XXXXXX", options.folder);
    int fd = must(mkostemp(name, O_CLOEXEC), name);
    unlink(name);
    for (uint64_t at = 0; at < size; at += sizeof(buffer))
        if (getrandom(buffer, sizeof(buffer), 0) != sizeof(buffer) ||
            write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
            die("writing the file");
    must(fsync(fd), "fsync");
    return fd;
}

/* --- what comes out --- */

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

/* Of one of the figures in a plan's results: "median (least-most)". */
static const char *spread(const struct plan *p, size_t figure, char text[static 64])
{
    double sorted[ROUNDS_MAX] = {0};
    unsigned n = p->measured;

    for (unsigned i = 0; i < n; i++)
        memcpy(&sorted[i], (const char *)&p->results[i] + figure, sizeof(double));
    qsort(sorted, n, sizeof(double), compare);
    snprintf(text, 64, "%.3f (%.3f-%.3f)", (sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[0],
             sorted[n - 1]);
    return text;
}

static void print_row(const struct plan *p)
{
    char wall[64], cpu[64], workers[64];

    printf("| %s | %llu | ", p->strategy->name, (unsigned long long)p->chunk / KIB);
    if (p->failure[0])
        printf("%s | | |\n", p->failure);
    else
        printf("%s | %s | %s |\n", spread(p, offsetof(struct result, wall), wall),
               spread(p, offsetof(struct result, cpu), cpu),
               spread(p, offsetof(struct result, workers), workers));
}

static void print_tables(const struct plan *plans, unsigned count)
{
    for (const struct plan *p = plans; p < plans + count; p++) {
        if (p == plans || p->size != p[-1].size || p->streams != p[-1].streams)
            printf("\n%llu KiB, %u stream%s, %s; seconds for a GiB, medians (least-most) of %u\n\n"
                   "| way | chunk, KiB | wall | CPU | of it workers |\n|---|---|---|---|---|\n",
                   (unsigned long long)p->size / KIB, p->streams, p->streams > 1 ? "s" : "",
                   options.cold ? "from the disk" : "from the page cache",
                   (unsigned)options.rounds[0]);
        print_row(p);
    }
}

int main(int argc, char **argv)
{
    struct utsname system;
    uint64_t size = 0;
    unsigned count;
    bool failed = false;

    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN); /* splice and sendfile have no MSG_NOSIGNAL */
    uname(&system);
    printf("Linux %s, %s, %ld processors, %s\n\n", system.release, system.machine,
           sysconf(_SC_NPROCESSORS_ONLN), OpenSSL_version(OPENSSL_VERSION));
    struct plan *plans = make_plans(&count);
    if (count == 0)
        usage(2);
    for (unsigned i = 0; i < count; i++)
        size = MAX(size, plan_file_size(&plans[i]));
    the_file = make_file(size);

    /* The ways take turns, and each round begins with another one. */
    for (unsigned round = 0; round < options.rounds[0]; round++)
        for (unsigned i = 0; i < count; i++) {
            struct plan *p = &plans[(i + round * count / options.rounds[0]) % count];
            fflush(stdout);
            if (!p->failure[0])
                measure(p);
            failed |= p->failure[0] != 0;
        }
    print_tables(plans, count);
    free(plans);
    return failed;
}
