/* What it is worth to reserve the room of an upload before its bytes come: fallocate(2) or nothing,
 * then written in pieces as they come in, synced, and how many pieces it is on the disk.
 *
 *     fallocate [ROUNDS [FOLDER]]        (bench/fallocate compiles and runs it)
 *
 * Ways take turns in each round; medians are printed, and of the times the median of the ratio to
 * the first way in the same round.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 99, FILES_MAX = 16, PIECE = 256 * 1024, MIB = 1024 * 1024 };

static const struct way {
    const char *name;
    bool reserve;
    int mode; /* of fallocate() */
} ways[] = {
    {"nothing reserved", .reserve = false},
    {"fallocate", .reserve = true},
    {"fallocate, KEEP_SIZE", .reserve = true, .mode = FALLOC_FL_KEEP_SIZE},
};

/* Files of one size, so many at once, each a piece in turn, and that again. */
static const struct load {
    const char *name;
    size_t bytes;
    unsigned at_once, repeated;
} loads[] = {
    {"10 KiB, 500 times", 10 * 1024, 1, 500},
    {"512 KiB, 200 times", MIB / 2, 1, 200},
    {"1 MiB, 100 times", MIB, 1, 100},
    {"64 MiB, 4 times", (size_t)64 * MIB, 1, 4},
    {"64 MiB, 4 at once", (size_t)64 * MIB, 4, 1},
    {"16 MiB, 16 at once", (size_t)16 * MIB, 16, 1},
    {"1 GiB", (size_t)1024 * MIB, 1, 1},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]), LOADS = sizeof(loads) / sizeof(loads[0]) };

/* CPU and wall are of all files, in milliseconds; extents of one. */
enum { CPU, CPU_SYNC, WALL, EXTENTS, FIGURES };

static const char *folder = ".";
static char piece[PIECE];
static double results[LOADS][WAYS][FIGURES][ROUNDS_MAX];

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "fallocate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void write_all(const int *fds, const struct load *load)
{
    for (size_t at = 0; at < load->bytes; at += PIECE) {
        size_t len = load->bytes - at < PIECE ? load->bytes - at : PIECE;
        for (unsigned i = 0; i < load->at_once; i++)
            check(pwrite(fds[i], piece, len, (off_t)at) == (ssize_t)len, "pwrite");
    }
}

static double extents_of(int fd)
{
    struct fiemap map = {.fm_length = FIEMAP_MAX_OFFSET};

    return ioctl(fd, FS_IOC_FIEMAP, &map) < 0 ? 0 : map.fm_mapped_extents;
}

static void store(const struct way *way, const struct load *load, double figures[FIGURES])
{
    int fds[FILES_MAX];
    double begin = now_ms(CLOCK_PROCESS_CPUTIME_ID);

    for (unsigned i = 0; i < load->at_once; i++) {
        fds[i] = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        check(fds[i] >= 0, folder);
        check(!way->reserve || fallocate(fds[i], way->mode, 0, (off_t)load->bytes) == 0,
              "fallocate");
    }
    write_all(fds, load);
    double written = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < load->at_once; i++)
        check(fsync(fds[i]) == 0, "fsync");
    figures[CPU] += written - begin;
    figures[CPU_SYNC] += now_ms(CLOCK_PROCESS_CPUTIME_ID) - written;
    figures[EXTENTS] = extents_of(fds[0]);
    for (unsigned i = 0; i < load->at_once; i++)
        close(fds[i]);
}

static void measure(const struct way *way, const struct load *load, double figures[FIGURES])
{
    sync(); /* what the last one has left to do */
    double begin = now_ms(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < load->repeated; i++)
        store(way, load, figures);
    figures[WALL] = now_ms(CLOCK_MONOTONIC) - begin;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *values, unsigned count)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), by_size);
    return sorted[count / 2];
}

/* To the first way. */
static double ratio(double all[WAYS][FIGURES][ROUNDS_MAX], unsigned way, unsigned figure,
                    unsigned rounds)
{
    double ratios[ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++)
        ratios[i] = all[way][figure][i] / all[0][figure][i];
    return median(ratios, rounds);
}

static void print(unsigned rounds)
{
    printf("| files | way | CPU to write, ms | ratio | CPU to sync, ms | wall, ms | ratio | "
           "extents |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (unsigned l = 0; l < LOADS; l++)
        for (unsigned w = 0; w < WAYS; w++) {
            double(*r)[ROUNDS_MAX] = results[l][w];
            printf("| %s | %s | %.1f | %.2f | %.1f | %.1f | %.2f | %.0f |\n", loads[l].name,
                   ways[w].name, median(r[CPU], rounds), ratio(results[l], w, CPU, rounds),
                   median(r[CPU_SYNC], rounds), median(r[WALL], rounds),
                   ratio(results[l], w, WALL, rounds), median(r[EXTENTS], rounds));
        }
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;

    check(rounds > 0 && rounds <= ROUNDS_MAX, "1 to 99 rounds");
    if (argc > 2)
        folder = argv[2];
    memset(piece, 'x', sizeof(piece));
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned l = 0; l < LOADS; l++)
            for (unsigned w = 0; w < WAYS; w++) {
                unsigned way = (w + round) % WAYS;
                double figures[FIGURES] = {0};
                measure(&ways[way], &loads[l], figures);
                for (unsigned f = 0; f < FIGURES; f++)
                    results[l][way][f][round] = figures[f];
            }
    print(rounds);
    return 0;
}
