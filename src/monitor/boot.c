#include "monitor/boot.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/namespace.h"

static bool is_below(const char *path, const char *dir)
{
    size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Adds a folder to boot->covered unless it is hidden already. */
static int cover(struct boot *boot, const char *folder)
{
    char *at = boot->covered;
    size_t len = strlen(folder) + 1;

    for (; *at; at += strlen(at) + 1)
        if (is_below(folder, at))
            return 0;
    /* One more NUL ends the list. */
    if (at + len + 1 > boot->covered + sizeof(boot->covered))
        return -ENAMETOOLONG;
    memcpy(at, folder, len);
    return 0;
}

/* `folder` is absolute and free of symbolic links, as boot->dir is. `what` lies in it. */
static int cover_if_below(struct boot *boot, const char *what, const char *folder)
{
    if (!is_below(folder, boot->dir))
        return 0;
    if (strcmp(folder, boot->dir) == 0) {
        log_error(
            "%s lies directly in %s and would be served to everybody who logs in. Move it out of "
            "that folder, or into one of its own below it, which is then hidden.",
            what, boot->dir);
        return -EINVAL;
    }
    log_info("%s lies below %s, so clients see %s as empty.", what, boot->dir, folder);
    return cover(boot, folder);
}

static int cover_folder_of(struct boot *boot, const char *what, char *path)
{
    char *slash = strrchr(path, '/');

    *slash = '\0';
    _cleanup_free_ char *folder = realpath(*path ? path : "/", NULL);
    int error = errno;
    *slash = '/';
    if (!folder &&
        error == ENOENT) /* loading what should lie there fails in a moment, and says so */
        return 0;
    if (!folder) {
        log_error("The folder of %s cannot be found: %s.", what, strerror(error));
        return -error;
    }
    return cover_if_below(boot, what, folder);
}

/* The folder that a file is in, and where it is a symbolic link also the folder of what it leads
 * to. */
static int cover_file(struct boot *boot, const char *path)
{
    _cleanup_free_ char *as_named = path ? strdup(path) : NULL;
    _cleanup_free_ char *target = path ? realpath(path, NULL) : NULL;

    int r = as_named ? cover_folder_of(boot, path, as_named) : 0;
    if (r == 0 && target && strcmp(target, path) != 0)
        r = cover_folder_of(boot, path, target);
    return r;
}

static int find_covered(struct boot *boot, const struct config *config)
{
    _cleanup_free_ char *state = realpath(config->state_dir, NULL);
    int r = state ? cover_if_below(boot, config->state_dir, state) : 0;

    if (r == 0)
        r = cover_file(boot, config->users_path);
    if (r == 0)
        r = cover_file(boot, config->config_path);
    if (r == 0)
        r = cover_file(boot, config->key_path);
    if (r < 0 || !boot->covered[0])
        return r;
    r = namespace_probe(boot->uid, boot->gid);
    if (r < 0)
        log_error("%s lies below %s and cannot be hidden here: %s. Move what is in it elsewhere, "
                  "or serve "
                  "another folder.",
                  boot->covered, boot->dir, namespace_why_not(r));
    return r;
}

/* Where records are sealed. */
static int choose_ktls(struct boot *boot, const struct config *config)
{
    if (config->plain || config->tls == TLS_MODE_USER)
        return 0;
    if (config->tls == TLS_MODE_AUTO && !ktls_trusted(kernel_version()))
        return 0;
    int r = ktls_probe(&boot->ktls);
    if (config->tls == TLS_MODE_AUTO)
        return 0;
    if (r < 0) {
        log_error("--tls kernel: this kernel seals no TLS records (%s). `modprobe tls` loads the "
                  "module where there is one; --tls auto does without.",
                  strerror(-r));
        return r;
    }
    if (!ktls_trusted(kernel_version()))
        log_warning("--tls kernel: this kernel may lack corrections that keep files whole on their "
                    "way through it; 6.12.104 and 6.18.45 have them.");
    return 0;
}

/* Where desktops have what belongs to the user whose files are served. */
static void find_data_dir(struct boot *boot)
{
    bool self = boot->uid == (uint32_t)-1;
    const char *base = self ? getenv("XDG_DATA_HOME") : NULL;
    const char *home = self ? getenv("HOME") : NULL;
    const struct passwd *user;
    size_t most = sizeof(boot->data_dir);
    int n = 0;

    if ((!home || *home != '/') && (user = getpwuid(self ? geteuid() : boot->uid)))
        home = user->pw_dir;
    if (base && *base == '/')
        n = snprintf(boot->data_dir, most, "%s", base);
    else if (home && *home == '/')
        n = snprintf(boot->data_dir, most, "%s/.local/share", home);
    if (n < 0 || (size_t)n >= most)
        boot->data_dir[0] = '\0';
}

/* Home's part of the state folder, which it opens before it becomes anybody else. Where nothing can
 * be changed there is nothing to remember. */
static void find_state_dir(struct boot *boot, const struct config *config)
{
    size_t most = sizeof(boot->state_dir);

    if (config->read_only)
        return;
    int n = snprintf(boot->state_dir, most, "%s/home", config->state_dir);
    if (n < 0 || (size_t)n >= most)
        boot->state_dir[0] = '\0';
}

int boot_init(struct boot *boot, const struct config *config, uint16_t port)
{
    struct rlimit files;

    *boot = (struct boot){
        .threads = config->threads,
        .listen_count = (uint32_t)config->listen_count,
        .port = port,
        .read_only = config->read_only,
        .trash = config->trash && !config->read_only,
        .no_auth = config->no_auth,
        .plain = config->plain,
        .server_field = config->server_field,
        .log_format = (uint8_t)config->log_format,
        .durability = (uint8_t)config->durability,
        .uid = (uint32_t)-1,
        .gid = (uint32_t)-1,
    };
    boot->descriptors_max = getrlimit(RLIMIT_NOFILE, &files) < 0 ? 1024 : (uint32_t)files.rlim_cur;
    if (config->run_as && config_find_user(config->run_as, &boot->uid, &boot->gid) < 0)
        return -ENOENT;
    if (strlen(config->dir) >= sizeof(boot->dir))
        return -ENAMETOOLONG;
    memcpy(boot->dir, config->dir, strlen(config->dir) + 1);
    if (boot->trash)
        find_data_dir(boot);
    find_state_dir(boot, config);
    int r = choose_ktls(boot, config);
    return r < 0 ? r : find_covered(boot, config);
}
