#include "dav/propfind_deep.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "files/scan.h"
#include "http/uri.h"

enum {
    /* Every byte of a path escaped. */
    HREF_BYTES = 3 * LIMIT_PATH_BYTES + 2,
};

/* One pass. */
struct pass {
    const struct propfind_deep *d;
    bool sends;
    size_t left;        /* entries */
    struct buf waiting; /* paths below the folder, each followed by a NUL: the last comes next */
    struct buf href;    /* of the folder that is being read */
    struct span below;  /* its path: "" at first; in `path` */
    struct span path;   /* the same from the root */
    char memory[LIMIT_PATH_BYTES];
};

/* --- which folders --- */

/* One with a path that is too long cannot be asked for. */
static int push(struct pass *p, struct span name)
{
    if (p->path.len + 1 + name.len >= LIMIT_PATH_BYTES)
        return 0;
    buf_append(&p->waiting, p->below);
    if (p->below.len > 0)
        buf_append_char(&p->waiting, '/');
    buf_append(&p->waiting, name);
    buf_append_char(&p->waiting, '\0');
    return buf_failed(&p->waiting) ? -ENOMEM : 0;
}

static bool pop(struct pass *p)
{
    struct buf *b = &p->waiting;
    size_t at = b->len, start = p->d->path.len;

    if (at == 0)
        return false;
    for (at--; at > 0 && b->data[at - 1] != '\0'; at--)
        continue;
    if (start > 0)
        p->memory[start++] = '/';
    memcpy(p->memory + start, b->data + at, b->len - at);
    p->below = span_of(p->memory + start, b->len - at - 1);
    p->path = span_of(p->memory, start + p->below.len);
    b->len = at;
    return true;
}

/* --- what is in one --- */

static int send_entry(struct task *t, struct pass *p, const struct scan_batch *batch, size_t i)
{
    const struct folder_entry *entry = &batch->entries[i];
    const struct propfind_resource resource = {
        .folder = buf_span(&p->href),
        .name = entry->name,
        .title = entry->name,
        .entry = entry,
        .dead = batch->attributes ? batch->attributes[i] : SPAN(""),
        .is_member = true,
        .below = p->below,
    };

    return propfind_send_one(t, p->d->sender, &resource);
}

static int take_batch(struct task *t, struct pass *p, const struct scan_batch *batch)
{
    int r = 0;

    if (batch->count > p->left)
        return -E2BIG;
    p->left -= batch->count;
    if (p->sends)
        p->d->sender->format.before = batch->before;
    for (size_t i = 0; i < batch->count && r == 0; i++) {
        const struct folder_entry *entry = &batch->entries[i];
        if (entry->type == FOLDER_ENTRY_FOLDER && !(entry->flags & ENTRY_IS_LINK))
            r = push(p, entry->name);
        if (r == 0 && p->sends)
            r = send_entry(t, p, batch, i);
    }
    return r;
}

static int read_folder(struct task *t, struct pass *p, const struct file *folder)
{
    const struct scan_options options = {
        .root = p->d->root,
        .dir = folder,
        .path = p->path,
        .mask = p->sends ? p->d->mask : 0,
        .attributes = p->sends && p->d->wants_dead,
    };
    struct scan_batch batch = {0};
    struct scan *scan = NULL;

    int r = scan_create(t, &options, &scan);
    while (r == 0 && !batch.is_last) {
        r = scan_next(t, scan, &batch);
        if (r == 0)
            r = take_batch(t, p, &batch);
    }
    scan_destroy(t, scan);
    return r;
}

static int make_href(struct pass *p)
{
    p->href.len = 0;
    buf_append(&p->href, p->d->href);
    uri_encode_path(&p->href, p->below);
    if (p->below.len > 0)
        buf_append_char(&p->href, '/');
    return buf_failed(&p->href) ? -ENOMEM : 0;
}

/* Neither do we know more about it, nor is it an error of this request. */
static bool is_passed_over(int error)
{
    return error == -EACCES || error == -EPERM || error == -ENOENT || error == -ENOTDIR ||
           error == -ELOOP;
}

static int read_below(struct task *t, struct pass *p)
{
    struct propfind_format *f = &p->d->sender->format;
    struct file folder;
    bool had_quota = f->has_quota;

    int r = root_open_in(t, p->d->root, p->d->folder, p->below, &folder);
    if (r < 0)
        return is_passed_over(r) ? 0 : r;
    /* That of another file system is another one. */
    f->has_quota = had_quota && folder.st.st_dev == p->d->folder->st.st_dev;
    r = S_ISDIR(folder.st.st_mode) ? make_href(p) : 0;
    if (r == 0 && S_ISDIR(folder.st.st_mode))
        r = read_folder(t, p, &folder);
    f->has_quota = had_quota;
    file_close(t, &folder);
    return r;
}

static int run(struct task *t, struct pass *p)
{
    const struct propfind_deep *d = p->d;

    buf_init_growing(&p->waiting, LIMIT_WALK_BYTES);
    buf_init_growing(&p->href, HREF_BYTES);
    memcpy(p->memory, d->path.data, d->path.len);
    p->path = span_of(p->memory, d->path.len);
    p->below = SPAN("");
    int r = make_href(p);
    if (r == 0)
        r = read_folder(t, p, d->folder);
    while (r == 0 && pop(p))
        r = read_below(t, p);
    buf_finish(&p->waiting);
    buf_finish(&p->href);
    return r;
}

static int start(struct task *t, const struct propfind_deep *d, bool sends, size_t most)
{
    _cleanup_free_ struct pass *p = malloc(sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->d = d;
    p->sends = sends;
    p->left = most;
    return run(t, p);
}

int propfind_deep_count(struct task *t, const struct propfind_deep *d)
{
    return start(t, d, false, LIMIT_PROPFIND_DEEP);
}

int propfind_deep_send(struct task *t, const struct propfind_deep *d)
{
    return start(t, d, true, (size_t)2 * LIMIT_PROPFIND_DEEP);
}
