#include "dav/propfind.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "dav/body.h"
#include "dav/error.h"
#include "dav/lock_answer.h"
#include "dav/propfind_deep.h"
#include "files/canonical.h"
#include "files/look.h"
#include "files/scan.h"
#include "files/xattrs.h"
#include "http/dav_fields.h"
#include "http/uri.h"

enum {
    /* Every byte of a path escaped, and slashes around it. */
    HREF_BYTES = 3 * LIMIT_PATH_BYTES + 2,
};

/* One request while it is answered. */
struct propfind {
    struct exchange *x;
    const struct propfind_options *o;
    enum dav_depth depth;
    bool without_itself;
    struct propfind_request request;
    struct propfind_sender sender;
    unsigned mask; /* what statx(2) has to tell of each */
    struct file file;
    struct folder_entry itself;
    struct buf dead; /* of itself */
    struct buf href; /* of the folder; of a file that of the folder that it is in */
    char canonical[LIMIT_PATH_BYTES];
};

/* --- what was asked for --- */

/* O_PATH is enough for a resource itself, unless its attributes are wanted; what is in a folder has
 * to be read. A file that may not be read has no attributes, nor has one of which another program
 * has a lease (fcntl(2)): that is -EAGAIN. */
static int open_it(struct task *t, struct propfind *p)
{
    const struct propfind_options *o = p->o;

    if (p->depth == DAV_DEPTH_0 && !p->request.wants_dead)
        return look_open(t, o->root, o->path, &p->file);
    int r = root_open(t, o->root, o->path, &p->file);
    if (r != -EACCES && r != -EAGAIN)
        return r;
    int looked = look_open(t, o->root, o->path, &p->file);
    if (looked == 0 && S_ISDIR(p->file.st.st_mode) && (p->depth != DAV_DEPTH_0 || r == -EAGAIN)) {
        file_close(t, &p->file);
        return r;
    }
    return looked;
}

static uint64_t bytes_of(uint64_t blocks, uint64_t block_bytes)
{
    uint64_t bytes;

    return __builtin_mul_overflow(blocks, block_bytes, &bytes) ? UINT64_MAX : bytes;
}

/* Under which path the locks are. */
static void find_locked(struct propfind *p)
{
    struct propfind_format *f = &p->sender.format;
    uint64_t resolve = p->file.lane == OFFLOAD_SLOW ? 0 : RESOLVE_NO_XDEV;

    f->locked = p->o->path;
    if (f->locks)
        (void)canonical_path(p->o->root->fd, p->o->path, resolve, true, p->canonical, &f->locked);
}

/* May wait for the file system. */
static int look_at_it(void *arg)
{
    struct propfind *p = arg;
    struct propfind_format *f = &p->sender.format;
    struct statfs fs;

    if ((p->request.live & PROPERTIES_QUOTA) && !property_quota_stalls(p->x->request.user_agent) &&
        fstatfs(p->file.fd, &fs) == 0) {
        f->has_quota = true;
        f->available_bytes = bytes_of(fs.f_bavail, (uint64_t)fs.f_frsize);
        f->used_bytes = bytes_of(fs.f_blocks - fs.f_bfree, (uint64_t)fs.f_frsize);
    }
    /* Where it may not be read nothing is there. */
    if (p->request.wants_dead && xattrs_get_own(p->file.fd, &p->dead) == -ENOMEM)
        return -ENOMEM;
    find_locked(p);
    return entry_look_at(p->file.fd, p->mask, &p->itself);
}

static int look(struct task *t, struct propfind *p)
{
    /* Attributes may have a block of their own, which nobody has read yet; and a way is looked up
     * anew for its locks. */
    if (p->file.lane == OFFLOAD_SLOW || p->request.wants_dead || p->sender.format.locks)
        return offload(t, p->file.lane, look_at_it, p);
    return look_at_it(p);
}

static int make_href(struct propfind *p, struct span folder)
{
    buf_init_growing(&p->href, HREF_BYTES);
    buf_append_char(&p->href, '/');
    uri_encode_path(&p->href, folder);
    if (folder.len > 0)
        buf_append_char(&p->href, '/');
    return buf_failed(&p->href) ? -ENOMEM : 0;
}

static int send_itself(struct task *t, struct propfind *p)
{
    struct span title = uri_last_segment(p->o->path);
    bool is_file = p->itself.type == FOLDER_ENTRY_FILE;
    const struct propfind_resource resource = {
        .folder = buf_span(&p->href),
        .name = is_file ? title : SPAN(""),
        .title = title,
        .entry = &p->itself,
        .dead = buf_span(&p->dead),
    };

    return propfind_send_one(t, &p->sender, &resource);
}

/* --- what is in a folder --- */

static int send_entry(struct task *t, struct propfind *p, const struct folder_entry *entry,
                      struct span dead)
{
    const struct propfind_resource resource = {
        .folder = buf_span(&p->href),
        .name = entry->name,
        .title = entry->name,
        .entry = entry,
        .dead = dead,
        .is_member = true,
    };

    return propfind_send_one(t, &p->sender, &resource);
}

static int send_known(struct task *t, struct propfind *p, const struct folder *folder)
{
    int r = 0;

    p->sender.format.before = folder->before;
    for (size_t i = 0; i < folder->count && r == 0; i++)
        r = send_entry(t, p, folder_at(folder, i), SPAN(""));
    return r;
}

static int send_batch(struct task *t, struct propfind *p, const struct scan_batch *batch,
                      struct folder_offer *offer)
{
    int r = 0;

    p->sender.format.before = batch->before;
    if (!batch->watchable)
        folder_cache_spoil(offer);
    for (size_t i = 0; i < batch->count && r == 0; i++) {
        folder_cache_add(offer, &batch->entries[i]);
        r = send_entry(t, p, &batch->entries[i],
                       batch->attributes ? batch->attributes[i] : SPAN(""));
    }
    return r;
}

/* The next one who asks shall find it in memory, if that is worth anything. */
static int send_read(struct task *t, struct propfind *p)
{
    const struct propfind_options *o = p->o;
    struct folder_offer offer = {0};
    struct scan_batch batch = {0};
    struct scan *scan = NULL;
    bool offers = p->mask != 0 && folder_cache_offer(o->folders, &p->file, &offer);

    const struct scan_options options = {
        .root = o->root,
        .dir = &p->file,
        .path = o->path,
        .mask = offers ? ENTRY_STAT_ALL : p->mask,
        .attributes = p->request.wants_dead,
    };
    int r = scan_create(t, &options, &scan);
    while (r == 0 && !batch.is_last) {
        r = scan_next(t, scan, &batch);
        if (r == 0)
            r = send_batch(t, p, &batch, &offer);
    }
    folder_cache_end(&offer, &p->file, r == 0);
    scan_destroy(t, scan);
    return r;
}

static int send_entries(struct task *t, struct propfind *p)
{
    const struct folder *known = NULL;

    if (!p->request.wants_dead) /* of these it knows nothing */
        known = folder_cache_find(p->o->folders, &p->file);
    if (!known)
        return send_read(t, p);
    int r = send_known(t, p, known);
    folder_free(known);
    return r;
}

/* --- the answer --- */

/* What is told of locks, if there are any. */
static void ask_for_locks(struct task *t, struct propfind *p)
{
    const struct propfind_options *o = p->o;
    struct propfind_format *f = &p->sender.format;

    f->can_lock = o->can_lock;
    if (!o->locks || !locks_any(o->locks) || p->request.kind == PROPFIND_PROPNAME ||
        !(p->request.live & PROPERTY_BIT(PROP_LOCKDISCOVERY)))
        return;
    f->locks = o->locks;
    f->now_ms = loop_now_ms(task_loop(t));
    f->hides_lock_root = lock_answer_hides_root(p->x->request.user_agent);
}

/* Returns 0 when it was sent. */
static int send_all(struct task *t, struct propfind *p)
{
    bool is_folder = p->itself.type == FOLDER_ENTRY_FOLDER;
    bool is_deep = is_folder && p->depth == DAV_DEPTH_INFINITY;
    const struct propfind_deep deep = {
        .root = p->o->root,
        .folder = &p->file,
        .path = p->o->path,
        .href = buf_span(&p->href),
        .mask = p->mask,
        .wants_dead = p->request.wants_dead,
        .sender = &p->sender,
    };

    int r = is_deep ? propfind_deep_count(t, &deep) : 0;
    if (r == 0 && !p->without_itself)
        r = send_itself(t, p);
    if (r == 0 && is_deep)
        r = propfind_deep_send(t, &deep);
    else if (r == 0 && is_folder && p->depth == DAV_DEPTH_1)
        r = send_entries(t, p);
    return r < 0 ? r : propfind_send_end(t, &p->sender);
}

static int respond_error(struct task *t, struct propfind *p, int error)
{
    if (p->sender.begun || task_cancelled(t))
        return error;
    if (error == -E2BIG)
        return dav_error(t, p->x, 403, SPAN("propfind-finite-depth"));
    return exchange_error(t, p->x, status_from_errno(error), SPAN(""));
}

static int respond_open(struct task *t, struct propfind *p)
{
    struct propfind_format *f = &p->sender.format;
    bool is_folder = S_ISDIR(p->file.st.st_mode);
    struct span path = p->o->path;

    if (!is_folder && p->o->wants_folder)
        return exchange_error(t, p->x, 404, SPAN(""));
    struct span folder = is_folder ? path : span_first(path, path.len - uri_last_segment(path).len);
    if (!is_folder && folder.len > 0)
        folder.len--;
    f->before = p->file.before;
    int r = make_href(p, folder);
    if (r == 0)
        r = look(t, p);
    if (r == 0 && is_folder && !p->o->wants_folder && path.len > 0)
        p->sender.location = buf_span(&p->href);
    propfind_send_init(&p->sender);
    if (r == 0)
        r = send_all(t, p);
    if (r < 0)
        r = respond_error(t, p, r);
    propfind_send_finish(&p->sender);
    return r;
}

static int respond(struct task *t, struct propfind *p)
{
    buf_init_growing(&p->dead, LIMIT_DEAD_BYTES);
    int r = propfind_format_init(&p->sender.format);
    if (r == 0)
        r = open_it(t, p);
    if (r < 0)
        return respond_error(t, p, r);
    r = respond_open(t, p);
    file_close(t, &p->file);
    buf_finish(&p->href);
    buf_finish(&p->dead);
    return r;
}

static int read_request(struct task *t, struct propfind *p)
{
    struct buf body;

    int r = dav_read_body(t, p->x, &body);
    if (r < 0)
        return r;
    r = propfind_parse(buf_span(&body), &p->request);
    buf_finish(&body);
    return r;
}

int propfind_respond(struct task *t, struct exchange *x, const struct propfind_options *o)
{
    enum dav_depth depth;
    bool without_itself;

    if (dav_depth_parse(x->request.depth, &depth, &without_itself) < 0)
        return exchange_error(t, x, 400, SPAN("Depth is 0, 1 or infinity."));
    struct propfind *p = calloc(1, sizeof(*p));
    if (!p)
        return exchange_error(t, x, 503, SPAN(""));
    p->x = p->sender.x = x;
    p->o = o;
    p->depth = depth == DAV_DEPTH_NONE ? DAV_DEPTH_INFINITY : depth; /* section 9.1 */
    p->without_itself = without_itself;
    int r = read_request(t, p);
    if (r < 0) {
        r = dav_refuse_body(t, x, r);
    } else {
        p->mask = property_stat_mask(p->request.live);
        p->sender.format.request = &p->request;
        p->sender.format.mime = o->mime;
        p->sender.format.is_brief = dav_is_brief(&x->request, &p->sender.is_minimal);
        ask_for_locks(t, p);
        r = respond(t, p);
        propfind_format_finish(&p->sender.format);
        propfind_finish(&p->request);
    }
    free(p);
    return r;
}
