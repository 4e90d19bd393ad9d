#include "check.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/landlock.h"
#include "base/namespace.h"
#include "monitor/io_choice.h"
#include "rt/loop.h"
#include "tls/ktls.h"

static bool cannot_run;

static void line(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *what, const char *format, ...)
{
    va_list args;

    printf("%-17s ", what);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void advice(const char *text)
{
    printf("%-17s -> %s\n", "", text);
}

/* --- kernel --- */

static void check_kernel(void)
{
    struct utsname names;

    if (uname(&names) < 0)
        return;
    line("Kernel", "%s %s, %ld KiB pages, %ld cores", names.release, names.machine,
         sysconf(_SC_PAGESIZE) / 1024, sysconf(_SC_NPROCESSORS_ONLN));
    if (kernel_version() < 6001000)
        advice("Linux 6.1 (Debian 12) is the oldest that is tested.");
}

/* The contents of a small file below /proc, or "". */
static void read_text(const char *path, char *out, int size)
{
    FILE *file = fopen(path, "re");

    out[0] = '\0';
    if (file && !fgets(out, size, file))
        out[0] = '\0';
    if (file)
        fclose(file);
    out[strcspn(out, "\n")] = '\0';
}

/* --- io_uring or epoll --- */

static void explain_no_ring(int error)
{
    line("io_uring", "no: %s", strerror(-error));
    advice(io_uring_why_not(error));
}

/* A ring with these flags, never used: a descriptor or -errno. */
static int make_ring(unsigned flags)
{
    struct io_uring_params params = {.flags = flags};
    int fd = (int)syscall(SYS_io_uring_setup, 8, &params);

    return fd < 0 ? -errno : fd;
}

static bool ring_works(unsigned flags)
{
    _cleanup_close_ int fd = make_ring(flags);

    return fd >= 0;
}

static bool buffer_rings_work(int ring_fd)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    _cleanup_free_ void *memory = aligned_alloc(bytes, bytes);
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)memory, .ring_entries = 8};
    struct io_uring_buf_reg same_group = {0};

    if (!memory ||
        syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PBUF_RING, &registration, 1) < 0)
        return false;
    syscall(SYS_io_uring_register, ring_fd, IORING_UNREGISTER_PBUF_RING, &same_group, 1);
    return true;
}

static void check_ring(void)
{
    _cleanup_close_ int fd = make_ring(0);

    if (fd < 0) {
        explain_no_ring(fd);
        return;
    }
    bool buffers = buffer_rings_work(fd);
    bool single = ring_works(IORING_SETUP_SINGLE_ISSUER);
    bool deferred = ring_works(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    line("io_uring",
         "yes; buffer rings (5.19): %s, SINGLE_ISSUER (6.0): %s, DEFER_TASKRUN (6.1): %s",
         buffers ? "yes" : "NO", single ? "yes" : "no", deferred ? "yes" : "no");
    if (!buffers)
        advice("Buffer rings are needed: Linux 5.19 or newer.");
    else if (!deferred)
        advice("It works, and faster with Linux 6.1 or newer.");
}

/* What the server itself will find. */
static void check_io(void)
{
    check_ring();
    if (loop_probe(LOOP_IO_URING) == 0)
        line("I/O", "io_uring will be used");
    else if (loop_probe(LOOP_IO_EPOLL) == 0)
        line("I/O", "epoll will be used");
    else {
        cannot_run = true;
        line("I/O", "NO: neither io_uring nor epoll");
    }
}

/* --- TLS --- */

#if defined(__aarch64__)
static bool has_aes(void)
{
    return getauxval(AT_HWCAP) & 1UL << 3; /* HWCAP_AES */
}
#else
static bool has_cpu_flag(const char *flag)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char *text = NULL;
    size_t size = 0;
    bool found = false;

    while (file && !found && getline(&text, &size, file) > 0)
        if (strncmp(text, "flags", 5) == 0 || strncmp(text, "Features", 8) == 0) {
            char *rest = strchr(text, ':');
            while (rest && !found && (rest = strstr(rest + 1, flag)))
                found = rest[-1] == ' ' && strchr(" \n", rest[strlen(flag)]);
        }
    free(text);
    if (file)
        fclose(file);
    return found;
}

static bool has_aes(void)
{
    return has_cpu_flag("aes");
}
#endif

static void check_kernel_tls(void)
{
    ktls_support support;
    int r = ktls_probe(&support);

    if (r < 0) {
        line("Kernel TLS", "no: %s", strerror(-r));
        advice("Where the kernel has it: modprobe tls, and a line \"tls\" in "
               "/etc/modules-load.d/tls.conf. Until then the program seals records itself.");
    } else if (!ktls_trusted(kernel_version())) {
        line("Kernel TLS",
             "there, but not used: this kernel may lack corrections (6.12.104, 6.18.45)");
        advice("The program seals records itself; --tls kernel trusts the kernel all the same.");
    } else {
        line("Kernel TLS", "yes: large files go out without a copy%s",
             support & KTLS_REKEY ? ", and keys can be renewed" : "");
    }
}

static void check_tls(void)
{
    check_kernel_tls();
    if (has_aes())
        line("AES", "accelerated by the processor");
    else {
        line("AES", "not accelerated by the processor");
        advice("ChaCha20-Poly1305 is faster here; clients that prefer it get it.");
    }
}

/* --- sandbox and limits --- */

static void check_sandbox(void)
{
    int r = namespace_probe((uid_t)-1, (gid_t)-1);
    int version = landlock_version();

    line("Namespaces", "%s",
         r == 0 ? "yes: the file process gets a root of its own" : namespace_why_not(r));
    if (version > 0)
        line("Landlock", "yes, version %d", version);
    else
        line("Landlock", "no");
    if (r < 0 && version == 0)
        advice("Only system call filters keep the file process inside DIR. Debian: sysctl "
               "kernel.unprivileged_userns_clone=1.");
}

static void print_limit(const char *what, int resource, rlim_t unit, const char *unit_name)
{
    struct rlimit limit;

    if (getrlimit((unsigned)resource, &limit) < 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY)
        line(what, "no limit");
    else
        line(what, "%llu%s (now %llu)", (unsigned long long)(limit.rlim_max / unit), unit_name,
             (unsigned long long)(limit.rlim_cur / unit));
}

static void check_limits(void)
{
    struct rlimit files;
    char backlog[16];

    print_limit("Open files", RLIMIT_NOFILE, 1, "");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < 16384)
        advice(
            "Each connection takes one, a moment long two; LimitNOFILE=65536 in a systemd unit, or "
            "/etc/security/limits.conf, allows more.");
    print_limit("Locked memory", RLIMIT_MEMLOCK, 1024, " KiB");
    read_text("/proc/sys/net/core/somaxconn", backlog, sizeof(backlog));
    if (backlog[0] && strtol(backlog, NULL, 10) < 4096) {
        line("Backlog", "%s", backlog);
        advice("sysctl net.core.somaxconn=4096 takes bursts of new connections.");
    }
}

/* --- DIR --- */

/* Magic numbers of linux/magic.h and of file systems that are not there. */
static const char *file_system_name(unsigned long type)
{
    static const struct {
        unsigned long type;
        const char *name;
    } names[] = {
        {0xef53, "ext4"},     {0x58465342, "xfs"},      {0x9123683e, "btrfs"},
        {0xf2f52010, "f2fs"}, {0x01021994, "tmpfs"},    {0x2fc12fc1, "zfs"},
        {0x6969, "nfs"},      {0xff534d42, "cifs"},     {0xfe534d42, "smb2"},
        {0x65735546, "fuse"}, {0x4d44, "vfat"},         {0x2011bab0, "exfat"},
        {0x5346544e, "ntfs"}, {0x7366746e, "ntfs3"},    {0x794c7630, "overlayfs"},
        {0x01021997, "9p"},   {0x73717368, "squashfs"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].type == type)
            return names[i].name;
    return NULL;
}

static void check_dir(const char *dir)
{
    struct statfs st;

    if (statfs(dir, &st) < 0) {
        line("Folder", "%s: %s", dir, strerror(errno));
        cannot_run = true;
        return;
    }
    const char *name = file_system_name((unsigned long)st.f_type);
    if (name)
        line("Folder", "%s is on %s", dir, name);
    else
        line("Folder", "%s is on a file system of type 0x%lx", dir, (unsigned long)st.f_type);
    if (access(dir, R_OK | X_OK) < 0) {
        cannot_run = true;
        advice("You may not read it; its owner can allow it with chmod.");
    }
    static const char *const local[] = {"ext4", "xfs", "btrfs", "f2fs", "tmpfs", NULL};
    for (size_t i = 0; name && local[i]; i++)
        if (strcmp(local[i], name) == 0)
            return;
    advice("The server never waits for it in its main loop: a little slower than ext4, xfs, btrfs, "
           "f2fs.");
}

int check_main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fputs("Usage: fastfile check [DIR]\n"
              "Says what this machine offers to the server, and what would make it better.\n",
              argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    check_kernel();
    check_io();
    check_tls();
    check_sandbox();
    check_limits();
    check_dir(argc == 2 ? argv[1] : ".");
    puts(cannot_run ? "\nThe server cannot run here; see above." : "\nThe server can run here.");
    return cannot_run;
}
