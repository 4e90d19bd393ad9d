#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/span.h"

#ifndef FASTFILE_VERSION
#define FASTFILE_VERSION "development"
#endif

static const char help_text[] =
    "Usage: fastfile [OPTIONS] [DIR]\n"
    "Serves the folder DIR (default: the current one) over HTTPS to people who have logged in.\n"
    "\n"
    "Where and how\n"
    "  -l, --listen ADDR:PORT    where to listen; default [::]:8443 (IPv6 and IPv4). Also PORT,\n"
    "                            :PORT, [ADDR6]:PORT. May be given up to 4 times.\n"
    "      --cert FILE           certificate with its chain, and its private key, both PEM;\n"
    "      --key FILE            default: a self-signed one, made at the first start and kept\n"
    "      --plain               HTTP without TLS, on loopback only\n"
    "      --plain-anywhere      HTTP without TLS wherever --listen says: behind a proxy only!\n"
    "\n"
    "Who may do what\n"
    "      --users FILE          who may log in; default ~/.config/fastfile/users, made at the\n"
    "                            first start. `fastfile passwd NAME` adds and changes users.\n"
    "  -r, --read-only           nobody changes anything\n"
    "      --trash               what is deleted goes to the trash of this user's desktop\n"
    "      --no-auth             everybody is let in; beyond loopback only with --read-only\n"
    "      --run-as NAME         for root: whose rights the files are served with\n"
    "                            (default: DIR's owner; must be given where that is root)\n"
    "\n"
    "Operation\n"
    "  -c, --config FILE         an INI file whose keys are these long options (read-only = yes)\n"
    "      --access-log FILE     one line per request; - is standard output\n"
    "      --log-format FORMAT   text (default) or json\n"
    "      --server-field        name the program in the Server field of answers\n"
    "      --threads N           default: one per core\n"
    "      --durability MODE     file (default): a change is on disk before it is acknowledged; "
    "none\n"
    "      --tls MODE            auto (default), user, kernel: where records are sealed\n"
    "      --io MODE             auto (default): io_uring where it is allowed, else epoll; uring;\n"
    "                            epoll\n"
    "  -h, --help                this text\n"
    "  -V, --version\n"
    "\n"
    "Other commands\n"
    "  fastfile passwd --help    users and app passwords\n"
    "  fastfile check [DIR]      what this machine offers, and advice\n"
    "\n"
    "Signals: SIGTERM finishes what runs (10 s) and ends; SIGHUP reads certificate, users and log\n"
    "file anew. Exit status: 0 ended as asked, 1 cannot run, 2 wrong options.\n";

enum {
    OPTION_CERT = 256,
    OPTION_KEY,
    OPTION_USERS,
    OPTION_NO_AUTH,
    OPTION_PLAIN,
    OPTION_PLAIN_ANYWHERE,
    OPTION_TLS,
    OPTION_IO,
    OPTION_THREADS,
    OPTION_DURABILITY,
    OPTION_RUN_AS,
    OPTION_TRASH,
    OPTION_ACCESS_LOG,
    OPTION_LOG_FORMAT,
    OPTION_SERVER_FIELD,
};

static const char short_options[] = ":l:c:rhV";

/* Also the keys of the configuration file. */
static const struct option long_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"config", required_argument, NULL, 'c'},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"users", required_argument, NULL, OPTION_USERS},
    {"read-only", no_argument, NULL, 'r'},
    {"trash", no_argument, NULL, OPTION_TRASH},
    {"no-auth", no_argument, NULL, OPTION_NO_AUTH},
    {"plain", no_argument, NULL, OPTION_PLAIN},
    {"plain-anywhere", no_argument, NULL, OPTION_PLAIN_ANYWHERE},
    {"tls", required_argument, NULL, OPTION_TLS},
    {"io", required_argument, NULL, OPTION_IO},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"durability", required_argument, NULL, OPTION_DURABILITY},
    {"run-as", required_argument, NULL, OPTION_RUN_AS},
    {"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"server-field", no_argument, NULL, OPTION_SERVER_FIELD},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* The state of reading one source: the command line or the file. */
struct reading {
    struct config *config;
    char why[160];      /* of the first error */
    bool listen_is_new; /* the next --listen replaces what an earlier source said */
    /* the file only */
    char key[128]; /* "key = value: " of the first error, where it is about one */
    FILE *file;
    unsigned line, error_line;
};

static int refuse(struct reading *r, const char *why)
{
    snprintf(r->why, sizeof(r->why), "%s", why);
    return -EINVAL;
}

static int set_text(struct reading *r, char **field, const char *value)
{
    if (!*value)
        return refuse(r, "is empty");
    char *copy = strdup(value);
    if (!copy)
        return refuse(r, "out of memory");
    free(*field);
    *field = copy;
    return 0;
}

/* The index of `value` in `words` (ended by NULL), written to `ret_index`. */
static int set_choice(struct reading *r, const char *const *words, const char *value,
                      unsigned *ret_index)
{
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(words[i], value) == 0) {
            *ret_index = i;
            return 0;
        }
    int at = snprintf(r->why, sizeof(r->why), "must be one of");
    for (unsigned i = 0; words[i] && at < (int)sizeof(r->why); i++)
        at += snprintf(r->why + at, sizeof(r->why) - (size_t)at, "%s %s", i ? "," : "", words[i]);
    return -EINVAL;
}

/* `value` is NULL on the command line, where the option's presence says yes. */
static int set_bool(struct reading *r, bool *field, const char *value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1", NULL};
    unsigned index = 1;

    if (value && set_choice(r, words, value, &index) < 0)
        return -EINVAL;
    *field = index & 1;
    return 0;
}

static int set_listen(struct reading *r, const char *value)
{
    struct config *c = r->config;

    if (r->listen_is_new)
        c->listen_count = 0;
    r->listen_is_new = false;
    if (c->listen_count == CONFIG_LISTEN_MAX)
        return refuse(r, "at most 4 addresses are possible");
    if (config_parse_listen(value, &c->listen[c->listen_count]) < 0)
        return refuse(r, "must be PORT, ADDR:PORT or [ADDR6]:PORT with a numeric address");
    c->listen_count++;
    return 0;
}

static int set_threads(struct reading *r, const char *value)
{
    uint64_t threads;

    if (span_to_u64(span_str(value), &threads) < 0 || threads < 1 || threads > CONFIG_THREADS_MAX)
        return refuse(r, "must be a number from 1 to 32");
    r->config->threads = (unsigned)threads;
    return 0;
}

static int set_mode(struct reading *r, int option, const char *value)
{
    static const char *const tls_words[] = {"auto", "kernel", "user", NULL};
    static const char *const io_words[] = {"auto", "uring", "epoll", NULL};
    static const char *const durability_words[] = {"file", "none", NULL};
    static const char *const format_words[] = {"text", "json", NULL};
    struct config *c = r->config;
    unsigned index = 0;
    int error = set_choice(r,
                           option == OPTION_TLS          ? tls_words
                           : option == OPTION_IO         ? io_words
                           : option == OPTION_DURABILITY ? durability_words
                                                         : format_words,
                           value, &index);

    if (error < 0)
        return error;
    if (option == OPTION_TLS)
        c->tls = index;
    else if (option == OPTION_IO)
        c->io = index;
    else if (option == OPTION_DURABILITY)
        c->durability = index;
    else
        c->log_format = index;
    return 0;
}

/* Applies one option of either source. */
static int apply(struct reading *r, int option, const char *value)
{
    struct config *c = r->config;

    switch (option) {
    case 'l':
        return set_listen(r, value);
    case 'c':
        return set_text(r, &c->config_path, value);
    case 'r':
        return set_bool(r, &c->read_only, value);
    case OPTION_TRASH:
        return set_bool(r, &c->trash, value);
    case OPTION_CERT:
        return set_text(r, &c->cert_path, value);
    case OPTION_KEY:
        return set_text(r, &c->key_path, value);
    case OPTION_USERS:
        return set_text(r, &c->users_path, value);
    case OPTION_NO_AUTH:
        return set_bool(r, &c->no_auth, value);
    case OPTION_PLAIN:
        return set_bool(r, &c->plain, value);
    case OPTION_PLAIN_ANYWHERE:
        return set_bool(r, &c->plain_anywhere, value);
    case OPTION_TLS:
    case OPTION_IO:
    case OPTION_DURABILITY:
    case OPTION_LOG_FORMAT:
        return set_mode(r, option, value);
    case OPTION_THREADS:
        return set_threads(r, value);
    case OPTION_RUN_AS:
        return set_text(r, &c->run_as, value);
    case OPTION_ACCESS_LOG:
        return set_text(r, &c->access_log, value);
    case OPTION_SERVER_FIELD:
        return set_bool(r, &c->server_field, value);
    default:
        return refuse(r, "is not possible here");
    }
}

static const char *option_name(int option)
{
    const struct option *o = long_options;

    while (o->name && o->val != option)
        o++;
    return o->name ? o->name : "?";
}

/* --- the file --- */

/* Reads a line for inih, which does not tell its handler where it is. */
static char *read_file_line(char *line, int size, void *context)
{
    struct reading *r = context;

    if (!fgets(line, size, r->file))
        return NULL;
    r->line++;
    if (!strchr(line, '\n') && !feof(r->file) && !r->error_line) {
        r->error_line = r->line;
        refuse(r, "the line is too long");
    }
    return line;
}

/* Returns 0 for an error, as inih wants it; the first one counts. */
static int handle_key(void *context, const char *section, const char *key, const char *value)
{
    struct reading *r = context;
    const struct option *o = long_options;

    if (r->error_line)
        return 0;
    while (o->name && strcmp(o->name, key) != 0)
        o++;
    if (*section)
        snprintf(r->why, sizeof(r->why), "sections like [%.40s] are not used; remove the line",
                 section);
    else if (!o->name || o->val == 'c' || o->val == 'h' || o->val == 'V')
        snprintf(
            r->why, sizeof(r->why),
            "there is no key \"%.40s\"; the keys are the long options that fastfile --help lists",
            key);
    else if (apply(r, o->val, value) == 0)
        return 1;
    else
        snprintf(r->key, sizeof(r->key), "%s = %.80s: ", key, value);
    r->error_line = r->line;
    return 0;
}

static int read_file(struct config *config)
{
    struct reading r = {.config = config, .listen_is_new = true};
    const char *path = config->config_path;

    r.file = fopen(path, "re");
    if (!r.file) {
        log_error("The configuration file %s cannot be read: %s.", path, strerror(errno));
        return -EINVAL;
    }
    int bad_line = ini_parse_stream(read_file_line, &r, handle_key, &r);
    fclose(r.file);
    if (r.error_line && (bad_line <= 0 || (int)r.error_line <= bad_line)) {
        log_error("%s, line %u: %s%s.", path, r.error_line, r.key, r.why);
        return -EINVAL;
    }
    if (bad_line != 0) {
        log_error("%s, line %d: this is not \"key = value\".", path, bad_line);
        return -EINVAL;
    }
    return 0;
}

/* --- the command line --- */

static int say_bad_option(int result, char **argv)
{
    char letter[] = {'-', (char)optopt, '\0'};
    const char *last = argv[optind - 1];
    /* Within "-rx" getopt has not stepped on yet. */
    const char *name = strncmp(last, "--", 2) == 0 || optopt <= 0 ? last : letter;

    if (result == ':')
        log_error("%s needs a value; see fastfile --help.", name);
    else
        log_error("%s is no option, or takes no value; see fastfile --help.", name);
    return -EINVAL;
}

/* Finds what must be known before the file is read. Returns 0, 1 when the question is answered, or
 * -EINVAL. */
static int look_ahead(int argc, char **argv, struct reading *r)
{
    int option;

    optind = 0; /* glibc: start anew */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return say_bad_option(option, argv);
        if (option == 'h') {
            fputs(help_text, stdout);
            return 1;
        }
        if (option == 'V') {
            puts("fastfile " FASTFILE_VERSION);
            return 1;
        }
        if (option == 'c' && apply(r, 'c', optarg) < 0) {
            log_error("--config: %s.", r->why);
            return -EINVAL;
        }
    }
    return 0;
}

static int read_command_line(int argc, char **argv, struct reading *r)
{
    int option;

    optind = 0;
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        if (apply(r, option, optarg) < 0) {
            log_error("--%s%s%s: %s.", option_name(option), optarg ? " " : "", optarg ? optarg : "",
                      r->why);
            return -EINVAL;
        }
    if (argc - optind > 1) {
        log_error("Only one folder can be served, but \"%s\" and \"%s\" were given.", argv[optind],
                  argv[optind + 1]);
        return -EINVAL;
    }
    if (set_text(r, &r->config->dir, optind < argc ? argv[optind] : ".") < 0) {
        log_error("The folder to serve %s.", r->why);
        return -EINVAL;
    }
    return 0;
}

int config_read(int argc, char **argv, struct config *ret_config)
{
    struct config config = {0};
    struct reading r = {.config = &config, .listen_is_new = true};

    int result = look_ahead(argc, argv, &r);
    if (result == 0 && config.config_path)
        result = read_file(&config);
    if (result == 0)
        result = read_command_line(argc, argv, &r);
    if (result == 0)
        result = config_complete(&config);
    if (result != 0) {
        config_finish(&config);
        return result;
    }
    *ret_config = config;
    return 0;
}

void config_finish(struct config *config)
{
    char *texts[] = {config->dir,      config->config_path, config->cert_path,
                     config->key_path, config->users_path,  config->state_dir,
                     config->run_as,   config->access_log};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    memset(config, 0, sizeof(*config));
}
