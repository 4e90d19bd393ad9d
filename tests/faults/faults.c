/* Every fault there can be, one at a time, and many by chance.
 *
 *   faults [points|abort|late [VARIATION [CASE [POINT [CHOICE]]]]]
 *   faults seeds [FIRST [COUNT]]
 *
 * "points": each call that can fail fails, with each of its errnos. "abort" and "late": wherever a
 * task waits, its connection is revoked, or its deadline passes. "seeds": several conversations at
 * once, in pieces and in another order, with several of all these. Afterwards nothing may be
 * missing, an answer is right, says that something failed, or breaks off, and the next connection
 * is served. A failure prints the words that run it alone, which happens in this process, for a
 * debugger.
 *
 * Each case runs in a process of its own, so that the others go on when one dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "rt/io_sim.h"

enum {
    SEEDS = 2000,
    SEEDS_PER_PROCESS = 100,
    /* Of one case, which takes a second or two. */
    CASE_SECONDS_MAX = 120,
    FAILURES_SHOWN = 20, /* of one process */
    EVERY = -1,
    TEXT_BYTES = 200,
};

static const struct rig_variation variations[] = {
    {.name = "plain"},
    {.name = "plain-cold", .cold = true},
    {.name = "plain-slow", .slow = true},
    {.name = "tls", .is_tls = true},
    {.name = "tls-cold", .is_tls = true, .cold = true},
};

enum {
    VARIATION_PLAIN = 0,
    VARIATION_TLS = 3,
    VARIATIONS = sizeof(variations) / sizeof(variations[0]),
};

/* What the processes share. */
static struct shared {
    unsigned long runs, injected, failures;
    unsigned long by_site[FAULT_SITES];
    char now[TEXT_BYTES]; /* the words for the run that is on */
} * shared;

/* In memory where that can be: each run makes its files anew. */
static char folder[] = "/dev/shm/fastfile-faults-XXXXXX";
static const char other_folder[] = "/tmp/fastfile-faults-XXXXXX";

/* --- runs --- */

/* Returns false when it failed. */
static bool run(const struct rig_run *r)
{
    static unsigned shown;
    const char *wrong = rig_run(r);
    const struct fault_tally *tally = fault_tally();

    shared->runs++;
    shared->injected += tally->injected;
    if (tally->injected > 0)
        shared->by_site[tally->site]++;
    if (!wrong)
        return true;
    shared->failures++;
    if (shown++ < FAILURES_SHOWN) {
        printf("FAILED  faults %s", shared->now);
        if (tally->injected > 0 && tally->site != 0)
            printf(" (%s: %s)", fault_site_name(tally->site),
                   tally->error > 0 ? strerror(tally->error) : "0");
        printf("\n        %s\n", wrong);
        fflush(stdout);
    }
    return false;
}

static const char *const kind_words[] = {[FAULTS_ONE] = "points",
                                         [FAULTS_ABORT] = "abort",
                                         [FAULTS_LATE] = "late",
                                         [FAULTS_MANY] = "seeds"};

static void run_at(struct rig_run *r, unsigned point, unsigned choice)
{
    r->plan.point = point;
    r->plan.choice = choice;
    snprintf(shared->now, sizeof(shared->now), "%s %s '%s' %u %u", kind_words[r->plan.kind],
             r->variation->name, r->cases[0]->name, point, choice);
    run(r);
}

/* The run without faults: what is right, and how many points there are. */
static bool run_right(const struct rig_variation *variation, const struct script_case *c)
{
    struct rig_run r = {.cases = {c}, .case_count = 1, .variation = variation};

    snprintf(shared->now, sizeof(shared->now), "points %s '%s' (without faults)", variation->name,
             c->name);
    return run(&r);
}

struct selection {
    enum fault_kind kind;
    const char *variation, *name; /* NULL: all */
    int point, choice;            /* EVERY */
};

static void run_points(const struct rig_variation *variation, const struct script_case *c,
                       const struct selection *s)
{
    struct rig_run r = {
        .cases = {c}, .case_count = 1, .variation = variation, .plan = {.kind = s->kind}};

    /* Twice: what is made once in a process is there then, and not counted. */
    if (!run_right(variation, c) || !run_right(variation, c))
        return;
    unsigned count = s->kind == FAULTS_ONE ? fault_tally()->points : fault_tally()->suspensions;
    for (unsigned point = 0; point < count; point++) {
        unsigned choices = s->kind == FAULTS_ONE ? fault_choices(fault_site_of(point)) : 1;
        if (s->point != EVERY && (unsigned)s->point != point)
            continue;
        for (unsigned choice = 0; choice < choices; choice++)
            if (s->choice == EVERY || (unsigned)s->choice == choice)
                run_at(&r, point, choice);
    }
}

static void run_seed(uint64_t seed)
{
    uint64_t random = seed;
    unsigned count = 0;
    struct rig_run r = {.shuffle = true};

    while (script_cases[count].name)
        count++;
    r.variation = &variations[io_sim_random(&random) % VARIATIONS];
    r.case_count = 1 + (unsigned)(io_sim_random(&random) % RIG_CLIENTS_MAX);
    bool changes = false;
    unsigned traits = 0;
    for (unsigned i = 0; i < r.case_count; i++) {
        r.cases[i] = &script_cases[io_sim_random(&random) % count];
        unsigned both = traits | r.cases[i]->traits;
        /* Two that change the folder would not know what the other has made of it; and whether
         * there is a trash is told by each page that shows a folder. */
        if ((r.cases[i]->before && changes) || (both & SCRIPT_TRASH && both & SCRIPT_ENTRIES))
            r.cases[i] = &script_cases[0];
        changes |= r.cases[i]->before != NULL;
        traits |= r.cases[i]->traits;
    }
    r.plan.seed = seed;
    /* Some have no faults: then all has to be right. */
    r.plan.kind = io_sim_random(&random) % 4 == 0 ? FAULTS_NONE : FAULTS_MANY;
    snprintf(shared->now, sizeof(shared->now), "seeds %llu", (unsigned long long)seed);
    run(&r);
}

/* What is right in each case, for the runs that follow in this process. */
static void learn_what_is_right(void)
{
    for (const struct script_case *c = script_cases; c->name; c++) {
        run_right(&variations[VARIATION_PLAIN], c);
        run_right(&variations[VARIATION_TLS], c);
    }
}

/* --- processes --- */

struct work {
    const struct rig_variation *variation;
    const struct script_case *c;
    const struct selection *s;
    uint64_t first, count; /* of seeds */
};

static void do_work(const struct work *w)
{
    if (w->s->kind != FAULTS_MANY) {
        run_points(w->variation, w->c, w->s);
        return;
    }
    learn_what_is_right();
    for (uint64_t i = 0; i < w->count; i++)
        run_seed(w->first + i);
}

static void do_apart(const struct work *w)
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (pid == 0) {
        alarm(CASE_SECONDS_MAX);
        do_work(w);
        fflush(stdout);
        exit(EXIT_SUCCESS); /* where LeakSanitizer looks */
    }
    if (waitpid(pid, &status, 0) == pid && status == 0)
        return;
    shared->failures++;
    printf("FAILED  faults %s\n        the process ended with %s %d\n", shared->now,
           WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static bool is_meant(const char *wanted, const char *name)
{
    return !wanted || strcmp(wanted, name) == 0;
}

static void run_selection(const struct selection *s)
{
    for (unsigned v = 0; v < VARIATIONS; v++)
        for (const struct script_case *c = script_cases; c->name; c++) {
            struct work w = {.variation = &variations[v], .c = c, .s = s};
            if (!is_meant(s->variation, variations[v].name) || !is_meant(s->name, c->name))
                continue;
            if (s->point == EVERY)
                do_apart(&w);
            else
                do_work(&w);
        }
}

static void run_seeds(uint64_t first, uint64_t count)
{
    const struct selection s = {.kind = FAULTS_MANY};

    for (uint64_t done = 0; done < count; done += SEEDS_PER_PROCESS) {
        struct work w = {.s = &s, .first = first + done, .count = count - done};
        if (w.count > SEEDS_PER_PROCESS)
            w.count = SEEDS_PER_PROCESS;
        if (count == 1)
            do_work(&w);
        else
            do_apart(&w);
    }
}

/* --- the program --- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void make_folder(void)
{
    int log_fd = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
    if (access("/dev/shm", W_OK) < 0)
        memcpy(folder, other_folder, sizeof(other_folder));
    int root_fd = mkdtemp(folder) ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    if (log_fd < 0 || root_fd < 0) {
        perror(folder);
        exit(EXIT_FAILURE);
    }
    rig_prepare(root_fd, log_fd);
    usleep(50 * 1000); /* no file is so young that its tag is weak */
}

static void print_counts(const char *what, time_t begin)
{
    printf("%s: %lu runs, %lu faults, %lu failures, %ld s\n", what, shared->runs, shared->injected,
           shared->failures, (long)(time(NULL) - begin));
    for (unsigned site = 1; site < FAULT_SITES; site++)
        if (shared->by_site[site] > 0)
            printf("  %-24s %lu\n", fault_site_name((enum fault_site)site), shared->by_site[site]);
    fflush(stdout);
}

static int usage(void)
{
    fprintf(stderr, "faults [points|abort|late [VARIATION [CASE [POINT [CHOICE]]]]]\n"
                    "faults seeds [FIRST [COUNT]]\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "all";
    time_t begin = time(NULL);
    bool known = false;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return EXIT_FAILURE;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    make_folder();
    for (enum fault_kind kind = FAULTS_ONE; kind <= FAULTS_LATE; kind++) {
        const struct selection s = {.kind = kind,
                                    .variation = argc > 2 ? argv[2] : NULL,
                                    .name = argc > 3 ? argv[3] : NULL,
                                    .point = argc > 4 ? atoi(argv[4]) : EVERY,
                                    .choice = argc > 5 ? atoi(argv[5]) : EVERY};
        if (strcmp(what, "all") != 0 && strcmp(what, kind_words[kind]) != 0)
            continue;
        known = true;
        run_selection(&s);
    }
    if (strcmp(what, "all") == 0 || strcmp(what, "seeds") == 0) {
        known = true;
        run_seeds(argc > 2 ? strtoull(argv[2], NULL, 10) : 1, argc > 3 ? strtoull(argv[3], NULL, 10)
                                                              : argc > 2 ? 1
                                                                         : SEEDS);
    }
    print_counts(what, begin);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (!known)
        return usage();
    return shared->failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
