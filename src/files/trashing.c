#include "files/trashing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"

static int take_channel(struct trashing *t)
{
    pthread_mutex_lock(&t->mutex);
    while (t->idle == 0)
        pthread_cond_wait(&t->one_is_idle, &t->mutex);
    int fd = t->channel_fds[--t->idle];
    pthread_mutex_unlock(&t->mutex);
    return fd;
}

static void give_channel(struct trashing *t, int fd)
{
    pthread_mutex_lock(&t->mutex);
    t->channel_fds[t->idle++] = fd;
    pthread_cond_signal(&t->one_is_idle);
    pthread_mutex_unlock(&t->mutex);
}

/* Asks one of the processes. Returns its answer's result, or -errno. */
static int ask(struct trashing *t, const struct trash_request *request,
               struct trash_answer *ret_answer)
{
    int fd = take_channel(t);

    if (send(fd, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request) ||
        recv(fd, ret_answer, sizeof(*ret_answer), 0) != sizeof(*ret_answer))
        ret_answer->result = -EIO;
    give_channel(t, fd);
    return ret_answer->result;
}

static void fill_request(struct trash_request *request, enum trash_work work,
                         const struct place *place, struct span path)
{
    *request = (struct trash_request){
        .work = (uint8_t)work,
        .dir_dev = place->dir.st_dev,
        .dir_ino = place->dir.st_ino,
    };
    memcpy(request->path, path.data, path.len);
}

static int take_outside(struct trashing *t, const struct place *place, const struct stat *st,
                        struct span path, bool durable, struct trash_item *ret_item)
{
    struct trash_request request;
    struct trash_answer answer;

    fill_request(&request, TRASH_TAKE, place, path);
    request.durable = durable;
    request.dev = st->st_dev;
    request.ino = st->st_ino;
    int r = ask(t, &request, &answer);
    if (r == 0)
        *ret_item = answer.item;
    return r;
}

static int give_back_outside(struct trashing *t, const struct place *place, struct span path,
                             const struct trash_item *item)
{
    struct trash_request request;
    struct trash_answer answer;

    fill_request(&request, TRASH_GIVE_BACK, place, path);
    request.item = *item;
    return ask(t, &request, &answer);
}

static int forget_outside(struct trashing *t, const struct trashed *trashed, bool durable)
{
    struct trash_request request = {
        .work = TRASH_FORGET, .durable = durable, .item = trashed->item};
    struct trash_answer answer;

    memcpy(request.path, trashed->original.data, trashed->original.len);
    return ask(t, &request, &answer);
}

/* Whether the path leads there without leaving the root's mount: the processes find it so. Returns
 * 1, 0 where it leaves it, TRASH_ELSEWHERE, or -errno. */
static int is_on_root(const struct trashing *t, const struct place *place, struct span path)
{
    struct place again;
    int r = place_open_link(t->root->fd, path, RESOLVE_NO_XDEV, &again);

    if (r < 0)
        return r == -EXDEV ? 0 : r;
    bool same = again.dir.st_dev == place->dir.st_dev && again.dir.st_ino == place->dir.st_ino;
    place_close(&again);
    return same ? 1 : TRASH_ELSEWHERE;
}

/* --- file systems below --- */

/* The last `segments` of a path. */
static struct span end_of(struct span path, unsigned segments)
{
    size_t at = path.len;

    while (at > 0 && segments > 0)
        segments -= path.data[--at] == '/';
    return segments > 0 || at == 0 ? path : span_skip(path, at + 1);
}

/* Whether an error says so of a path, and not that something has failed. */
static bool leads_elsewhere(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EXDEV ||
           error == -EACCES;
}

/* Where it was, relative to the top, for whoever puts it back. A link on the way may have led here;
 * then what is left of the path is wrong, and it would be put back to the top. */
static int original_of(int top_fd, const struct place *place, struct span path, unsigned depth,
                       struct span *ret_original)
{
    struct span original = end_of(path, depth + 1);
    struct place found = PLACE_NONE;
    char relative[LIMIT_PATH_BYTES];

    memcpy(relative, original.data, original.len);
    relative[original.len] = '\0';
    int r = place_open_link(top_fd, span_of(relative, original.len), 0, &found);
    if (r < 0 && !leads_elsewhere(r))
        return r;
    bool same =
        r == 0 && found.dir.st_dev == place->dir.st_dev && found.dir.st_ino == place->dir.st_ino;
    place_close(&found);
    *ret_original = same ? original : end_of(path, 1);
    return 0;
}

/* The trash at its top. Returns 0, TRASH_MISSING where there is none and none is to be made, or
 * -errno. */
static int open_below(const struct trashing *t, const struct place *place, struct span path,
                      bool make, struct trashed *trashed)
{
    char name[32];
    unsigned depth = 0;
    _cleanup_close_ int top_fd = root_open_top(t->root, place->dir_fd, &depth);

    if (top_fd < 0)
        return top_fd;
    snprintf(name, sizeof(name), ".Trash-%u", (unsigned)t->uid);
    int r = trash_open(top_fd, name, t->uid, make, &trashed->trash);
    if (r < 0)
        return r == -ENOENT && !make ? TRASH_MISSING : r;
    trashed->below = true;
    return original_of(top_fd, place, path, depth, &trashed->original);
}

static int take_below(const struct trashing *t, const struct place *place, struct span path,
                      bool durable, struct trashed *trashed)
{
    int r = open_below(t, place, path, true, trashed);

    if (r == 0)
        r = root_folder_is_in(t->root, place->dir_fd, &trashed->trash.folder);
    if (r == 0)
        return trash_take(&trashed->trash, place, trashed->original, durable, &trashed->item);
    return r > 0 ? TRASH_FOR_GOOD : r;
}

static int give_back_below(const struct trashing *t, const struct place *place, struct span path,
                           struct trashed *trashed)
{
    int r = open_below(t, place, path, false, trashed);

    if (r != 0)
        return r;
    return trash_give_back(&trashed->trash, &trashed->item, trashed->original, place);
}

/* --- */

int trashing_take(struct trashing *t, const struct place *place, const struct stat *st,
                  struct span path, bool durable, struct trashed *ret_trashed)
{
    struct trashed trashed = {.trash = TRASH_NONE};
    int r = is_on_root(t, place, path);

    if (r == 1) {
        r = root_folder_is_in(t->root, place->dir_fd, &t->folder);
        r = r > 0   ? TRASH_FOR_GOOD
            : r < 0 ? r
                    : take_outside(t, place, st, path, durable, &trashed.item);
    } else if (r == 0) {
        r = take_below(t, place, path, durable, &trashed);
    }
    if (r == TRASH_ELSEWHERE)
        r = -EEXIST;
    if (r != 0)
        trash_close(&trashed.trash);
    else
        *ret_trashed = trashed;
    return r;
}

int trashing_sync(struct trashing *t, struct trashed *trashed, bool durable)
{
    const struct trash_request request = {.work = TRASH_SYNC};
    struct trash_answer answer;
    int r = 0;

    if (durable)
        r = trashed->below ? trash_sync(&trashed->trash) : ask(t, &request, &answer);
    trash_close(&trashed->trash);
    return r;
}

int trashing_give_back(struct trashing *t, const struct trash_item *item, const struct place *place,
                       struct span path, struct trashed *ret_trashed)
{
    struct trashed trashed = {.item = *item, .original = path, .trash = TRASH_NONE};
    int r = is_on_root(t, place, path);

    if (r == 1)
        r = give_back_outside(t, place, path, item);
    else if (r == 0)
        r = give_back_below(t, place, path, &trashed);
    if (r != 0)
        trash_close(&trashed.trash);
    else
        *ret_trashed = trashed;
    return r;
}

int trashing_forget(struct trashing *t, struct trashed *trashed, bool durable)
{
    int r;

    if (trashed->below)
        r = trash_forget(&trashed->trash, &trashed->item, trashed->original, durable);
    else
        r = forget_outside(t, trashed, durable);
    trash_close(&trashed->trash);
    return r;
}
