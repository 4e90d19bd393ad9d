/* What the command line and the configuration file say, checked and with defaults filled in.
 *
 * config.c reads both (one table of options for both), config_check.c fills in defaults and refuses
 * what cannot work or is not safe.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum tls_mode { TLS_MODE_AUTO, TLS_MODE_KERNEL, TLS_MODE_USER };
enum io_mode { IO_MODE_AUTO, IO_MODE_URING, IO_MODE_EPOLL };
enum durability { DURABILITY_FILE, DURABILITY_NONE };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum {
    CONFIG_LISTEN_MAX = 4,
    CONFIG_THREADS_MAX = 32,
    CONFIG_PORT_DEFAULT = 8443,
};

struct listen_address {
    struct sockaddr_storage address;
    socklen_t length;
    bool is_default; /* only a port was asked for: without IPv6 it falls back to 0.0.0.0 */
};

struct config {
    char *dir; /* absolute */
    struct listen_address listen[CONFIG_LISTEN_MAX];
    size_t listen_count;
    char *config_path;          /* NULL: none */
    char *cert_path, *key_path; /* both or none */
    char *users_path;           /* NULL with --no-auth */
    bool users_by_default;      /* nobody named the file: the first start makes it */
    char *state_dir;            /* certificate made by us, sessions */
    char *run_as;               /* NULL unless root */
    char *access_log;           /* NULL: none; "-": standard output */
    enum log_format log_format;
    enum tls_mode tls;
    enum io_mode io;
    enum durability durability;
    unsigned threads;
    bool read_only;
    bool trash; /* what is deleted goes to the trash */
    bool no_auth;
    bool plain;
    bool plain_anywhere;
    bool server_field; /* send "Server: fastfile" */
};

/* Reads the options of `fastfile [OPTIONS] [DIR]` and the file that -c names; the command line
 * wins. Returns 0, 1 when --help or --version was answered, or -EINVAL after having said on
 * standard error what is wrong and what to do. */
int config_read(int argc, char **argv, struct config *ret_config);
void config_finish(struct config *config);

/* Parses PORT, :PORT, ADDR:PORT or [v6]:PORT. Port 0 lets the kernel choose. Returns 0 or -EINVAL.
 */
int config_parse_listen(const char *text, struct listen_address *ret_address);

/* Fills in the defaults and checks that everything fits together. Returns 0, or -EINVAL after
 * having said what is wrong. */
int config_complete(struct config *config);

/* A user by name or number, for --run-as. Returns 0 or -ENOENT. */
int config_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);
