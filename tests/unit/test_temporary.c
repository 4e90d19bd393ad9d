/* Files that get their name when they are complete: where the file system can make them without
 * one, and where it cannot. What a kernel or a file system does not know is made so by a system
 * call filter, in a process of its own for each case, as what was found out is remembered. */
#include "assert_span.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files/temporary.h"

struct fixture {
    char path[64];
    int fd;
    struct place place; /* "name" in there */
};

/* In the child, an assertion's line is returned. */
#define CHECK(condition)     \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

static int make_fixture(struct fixture *f)
{
    strcpy(f->path, "/tmp/fastfile-temporary-XXXXXX");
    CHECK(mkdtemp(f->path));
    f->fd = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(f->fd >= 0);
    CHECK(place_open(f->fd, SPAN("name"), 0, &f->place) == 0);
    return 0;
}

static void remove_fixture(struct fixture *f)
{
    unlinkat(f->fd, "name", 0);
    place_close(&f->place);
    close(f->fd);
    rmdir(f->path);
}

/* How many names there are in the folder; of the server's own, in `ret_own`. */
static int count_names(const struct fixture *f, int *ret_own)
{
    int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0;
    DIR *dir = fdopendir(fd);

    *ret_own = 0;
    for (const struct dirent *d; dir && (d = readdir(dir));) {
        if (d->d_name[0] == '.' && (d->d_name[1] == '\0' || strcmp(d->d_name, "..") == 0))
            continue;
        count++;
        *ret_own += root_path_reserved(span_str(d->d_name));
    }
    closedir(dir);
    return count;
}

static bool has_content(const struct fixture *f, const char *content)
{
    char memory[64];
    int fd = openat(f->fd, "name", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, memory, sizeof(memory));

    if (fd >= 0)
        close(fd);
    return len == (ssize_t)strlen(content) && memcmp(memory, content, strlen(content)) == 0;
}

static int make(struct fixture *f, const char *content, struct temporary *ret_temporary)
{
    CHECK(temporary_create(&f->place, ret_temporary) == 0);
    CHECK(write(ret_temporary->fd, content, strlen(content)) == (ssize_t)strlen(content));
    return 0;
}

/* The life of temporary files; `named`: whether they have a name while they are made. */
static int live(struct fixture *f, bool named)
{
    struct temporary tmp, other;
    struct stat st;
    int r, own;

    /* given up */
    if ((r = make(f, "no", &tmp)) != 0)
        return r;
    CHECK(tmp.is_named == named);
    CHECK(count_names(f, &own) == named && own == named);
    CHECK(fstat(tmp.fd, &st) == 0 && S_ISREG(st.st_mode));
    temporary_close(&tmp);
    CHECK(tmp.fd == -1 && count_names(f, &own) == 0);
    temporary_close(&tmp);

    /* a free name, and one that is not */
    if ((r = make(f, "one", &tmp)) != 0 || (r = make(f, "two", &other)) != 0)
        return r;
    CHECK(temporary_link(&tmp, &f->place) == 0);
    CHECK(has_content(f, "one"));
    CHECK(temporary_link(&other, &f->place) == -EEXIST);
    CHECK(has_content(f, "one") && count_names(f, &own) == 1 + named && own == named);
    temporary_close(&tmp);
    CHECK(has_content(f, "one"));

    /* in its place after all */
    CHECK(temporary_replace(&other, &f->place) == 0);
    CHECK(has_content(f, "two") && count_names(f, &own) == 1 && own == 0);
    temporary_close(&other);
    CHECK(has_content(f, "two"));

    /* a folder is not replaced, and nothing stays behind */
    CHECK(unlinkat(f->fd, "name", 0) == 0 && mkdirat(f->fd, "name", 0755) == 0);
    if ((r = make(f, "three", &tmp)) != 0)
        return r;
    CHECK(temporary_link(&tmp, &f->place) == -EEXIST);
    CHECK(temporary_replace(&tmp, &f->place) == -EISDIR);
    temporary_close(&tmp);
    CHECK(count_names(f, &own) == 1 && own == 0);
    CHECK(unlinkat(f->fd, "name", AT_REMOVEDIR) == 0);
    return 0;
}

/* From now on the call fails like that. */
static int forbid(int call, int error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    CHECK(filter);
    CHECK(seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)error), call, 0) == 0);
    CHECK(seccomp_load(filter) == 0);
    seccomp_release(filter);
    return 0;
}

typedef int child_fn(struct fixture *f);

static void in_a_child(child_fn *fn)
{
    struct fixture f;
    int status;

    assert_int_equal(make_fixture(&f), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int line = fn(&f);
        if (line != 0)
            print_error("line %d\n", line);
        _exit(line != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    remove_fixture(&f);
    assert_int_equal(status, 0);
}

static int without_names(struct fixture *f)
{
    return live(f, false);
}

/* Before Linux 6.10. */
static int no_linking_of_descriptors(struct fixture *f)
{
    CHECK(forbid(SCMP_SYS(linkat), ENOENT) == 0);
    return live(f, true);
}

/* File systems without links; also if they can make files without a name. */
static int no_links(struct fixture *f)
{
    CHECK(forbid(SCMP_SYS(linkat), EPERM) == 0);
    return live(f, true);
}

static int no_links_that_it_knows(struct fixture *f)
{
    CHECK(forbid(SCMP_SYS(linkat), EOPNOTSUPP) == 0);
    return live(f, true);
}

/* And network mounts that cannot rename to what is free only. */
static int no_renaming_to_what_is_free(struct fixture *f)
{
    CHECK(forbid(SCMP_SYS(linkat), ENOENT) == 0);
    CHECK(forbid(SCMP_SYS(renameat2), EINVAL) == 0);
    return live(f, true);
}

/* What fails in a folder that is gone says nothing about the kernel. */
static int a_folder_that_is_gone(struct fixture *f)
{
    struct temporary tmp;
    struct place gone;

    CHECK(mkdirat(f->fd, "going", 0755) == 0);
    CHECK(place_open(f->fd, SPAN("going/x"), 0, &gone) == 0);
    CHECK(unlinkat(f->fd, "going", AT_REMOVEDIR) == 0);
    CHECK(temporary_create(&gone, &tmp) == -ENOENT);
    place_close(&gone);
    return live(f, false);
}

static void files_without_a_name(void **state)
{
    (void)state;
    in_a_child(without_names);
}

static void files_with_a_name(void **state)
{
    (void)state;
    in_a_child(no_linking_of_descriptors);
    in_a_child(no_links);
    in_a_child(no_links_that_it_knows);
    in_a_child(no_renaming_to_what_is_free);
}

static void in_a_folder_that_is_gone(void **state)
{
    (void)state;
    in_a_child(a_folder_that_is_gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_without_a_name),
        cmocka_unit_test(files_with_a_name),
        cmocka_unit_test(in_a_folder_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
