#include "files/archive.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "files/archive_names.h"
#include "files/body.h"
#include "files/crc32.h"
#include "files/send.h"
#include "files/tar.h"
#include "files/walk.h"
#include "files/zip.h"
#include "http/uri.h"

enum {
    HEAD_BYTES = ARCHIVE_PATH_BYTES + TAR_HEAD_BYTES,
    /* Of the central directory at once. */
    PIECE_BYTES = 12 * 1024,
};

#define NOTES_NAME SPAN("INCOMPLETE.txt")
#define OTHER_NOTES_NAME SPAN("INCOMPLETE (about this archive).txt")

_Static_assert(HEAD_BYTES >= ARCHIVE_PATH_BYTES + ZIP_RECORD_BYTES, "room for heads of both kinds");

struct archive {
    struct exchange *x;
    const struct root *root;
    struct span folder; /* its path, below the root */
    bool zip;
    struct archive_names names; /* of a selection */
    struct zip_directory directory;
    struct buf notes;
    size_t notes_left; /* for which there was no room */
    bool name_taken;   /* by what is called as the notes would be */
    size_t top_len;    /* of the folder in front of all paths, with its slash */
    char path[ARCHIVE_PATH_BYTES];
    char head[HEAD_BYTES];
    char target[LIMIT_PATH_BYTES]; /* of a link */
};

static void archive_destroy(struct archive **a)
{
    if (!*a)
        return;
    buf_finish(&(*a)->notes);
    zip_directory_finish(&(*a)->directory);
    archive_names_finish(&(*a)->names);
    free(*a);
}

static struct archive *archive_create(struct exchange *x, const struct root *root, struct span path)
{
    struct archive *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->x = x;
    a->root = root;
    a->folder = path;
    archive_names_init(&a->names);
    zip_directory_init(&a->directory, LIMIT_ARCHIVE_DIRECTORY_BYTES);
    buf_init_growing(&a->notes, LIMIT_ARCHIVE_NOTES_BYTES);
    return a;
}

/* --- what could not be included --- */

static const char *reason_of(int error)
{
    switch (-error) {
    case EACCES:
    case EPERM:
        return "no permission to read it";
    case ELOOP:
    case EXDEV:
        return "a link that leads outside or in a circle";
    case ENAMETOOLONG:
        return "its path is too long";
    default:
        return "it cannot be read";
    }
}

/* With a '?' for each control character: a name may have an end of line in it, or what a terminal
 * obeys; U+0080 to U+009F have two bytes. */
static void append_visible(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool is_upper = c == '\xc2' && i + 1 < text.len &&
                        (unsigned char)text.data[i + 1] >= 0x80 &&
                        (unsigned char)text.data[i + 1] < 0xa0;
        buf_append_char(out, is_upper || (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
        i += is_upper;
    }
}

static void note(struct archive *a, struct span path, const char *reason)
{
    struct buf *b = &a->notes;

    if (b->len + path.len + strlen(reason) + 8 > LIMIT_ARCHIVE_NOTES_BYTES) {
        a->notes_left++;
        return;
    }
    append_visible(b, path);
    buf_append_str(b, ": ");
    buf_append_str(b, reason);
    buf_append_str(b, "\r\n");
}

/* --- entries --- */

/* The path in the archive of one below its folder. */
static struct span path_in_archive(struct archive *a, struct span path)
{
    size_t len = a->top_len + path.len;

    memcpy(a->path + a->top_len, path.data, path.len);
    if (path.len == 0 && len > 0)
        len--; /* the folder itself, whose slash the formats put */
    return span_of(a->path, len);
}

/* Announces an entry and writes its head. */
static int begin_entry(struct task *t, struct archive *a, const struct archive_entry *e)
{
    struct buf head;
    uint64_t behind = 0;

    buf_init_fixed(&head, a->head, sizeof(a->head));
    if (a->zip) {
        zip_append_local(&head, e);
        behind = zip_descriptor_bytes(e);
    } else {
        tar_append_head(&head, e);
        behind = tar_padding(e->size);
    }
    int r = exchange_begin_piece(t, a->x, head.len + e->size + behind);
    return r < 0 ? r : exchange_write(t, a->x, buf_span(&head));
}

static int end_entry(struct task *t, struct archive *a, const struct archive_entry *e, uint32_t crc)
{
    static const char zeros[TAR_BLOCK_BYTES];
    char memory[ZIP_DESCRIPTOR_BYTES];
    struct span behind = span_of(zeros, tar_padding(e->size));
    struct buf descriptor;

    if (a->zip) {
        buf_init_fixed(&descriptor, memory, sizeof(memory));
        if (zip_descriptor_bytes(e) > 0)
            zip_append_descriptor(&descriptor, e, crc);
        behind = buf_span(&descriptor);
    }
    int r = exchange_write(t, a->x, behind);
    return r < 0 ? r : exchange_end_piece(t, a->x);
}

static int add_entry(struct task *t, struct archive *a, const struct archive_entry *e,
                     const struct file *file, struct span content)
{
    uint64_t offset = a->x->body_sent;
    uint32_t crc = 0;

    int r = begin_entry(t, a, e);
    if (r == 0 && content.len > 0) {
        crc = crc32_update(0, content);
        r = exchange_write(t, a->x, content);
    }
    if (r == 0 && file && e->size > 0)
        r = a->zip ? file_send_summed(t, a->x, file, 0, e->size, &crc)
                   : file_send(t, a->x, file, 0, e->size);
    if (r == 0)
        r = end_entry(t, a, e, crc);
    if (r == 0 && a->zip)
        r = zip_remember(&a->directory, e, offset, crc);
    return r;
}

static struct archive_entry describe(struct span path, const struct stat *st)
{
    return (struct archive_entry){
        .path = path,
        .is_folder = S_ISDIR(st->st_mode),
        .mode = st->st_mode,
        .mtime_s = st->st_mtim.tv_sec,
        .size = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
    };
}

static int add_folder(struct task *t, struct archive *a, struct span path,
                      const struct file *folder)
{
    const struct archive_entry e = describe(path_in_archive(a, path), &folder->st);

    if (e.path.len == 0)
        return 0;
    return add_entry(t, a, &e, NULL, SPAN(""));
}

static int add_file(struct task *t, struct archive *a, struct span path, const struct file *file)
{
    const struct archive_entry e = describe(path_in_archive(a, path), &file->st);
    struct stat now;

    int r = add_entry(t, a, &e, file, SPAN(""));
    if (r == 0 && (file_look(t, file, &now) < 0 || !file_same_bytes(&now, &file->st)))
        note(a, path, "it changed while it was read, and may be in here as it never was");
    return r;
}

/* --- the walk --- */

/* A link leads where a request for it would lead. */
static int open_target(struct task *t, struct archive *a, struct span path, struct file *ret_file)
{
    size_t len = a->folder.len > 0 ? a->folder.len + 1 : 0;

    if (len + path.len >= sizeof(a->target))
        return -ENAMETOOLONG;
    if (len > 0) {
        memcpy(a->target, a->folder.data, len - 1);
        a->target[len - 1] = '/';
    }
    memcpy(a->target + len, path.data, path.len);
    a->target[len + path.len] = '\0';
    return root_open(t, a->root, span_of(a->target, len + path.len), ret_file);
}

static int walk_entry(struct task *t, struct archive *a, const struct walk_step *step)
{
    bool link = step->type == DT_LNK;
    struct file file;

    if (!link && step->type != DT_REG) {
        note(a, step->path, "not a file");
        return 0;
    }
    int r = link ? open_target(t, a, step->path, &file)
                 : root_open_in(t, a->root, step->folder, step->name, &file);
    if (r < 0 && task_cancelled(t))
        return r;
    if (r == -ENOENT && !link) /* gone meanwhile */
        return 0;
    if (r < 0) {
        note(a, step->path, r == -ENOENT ? "a link that leads nowhere" : reason_of(r));
        return 0;
    }
    if (S_ISREG(file.st.st_mode))
        r = add_file(t, a, step->path, &file);
    else
        note(a, step->path, "a link to a folder");
    file_close(t, &file);
    return r;
}

static int take_step(struct task *t, struct archive *a, const struct walk_step *step)
{
    a->name_taken |= span_equal(step->path, NOTES_NAME);
    switch (step->event) {
    case WALK_ENTER:
        return add_folder(t, a, step->path, step->folder);
    case WALK_ENTRY:
        return walk_entry(t, a, step);
    case WALK_UNREADABLE:
        if (step->error != -ENOENT)
            note(a, step->path, reason_of(step->error));
        break;
    case WALK_LEAVE:
        break;
    }
    return 0;
}

/* --- the end --- */

static int add_notes(struct task *t, struct archive *a)
{
    struct span name = a->name_taken ? OTHER_NOTES_NAME : NOTES_NAME;
    struct buf text;

    if (buf_failed(&a->notes)) /* nothing would say that something is missing */
        return -ENOMEM;
    if (a->notes.len == 0)
        return 0;
    buf_init_growing(&text, LIMIT_ARCHIVE_NOTES_BYTES + 512);
    buf_append_str(&text, "Not all of the folder is in this archive as it is there:\r\n\r\n");
    buf_append(&text, buf_span(&a->notes));
    if (a->notes_left > 0)
        buf_printf(&text, "\r\nand %zu more\r\n", a->notes_left);
    const struct archive_entry e = {
        .path = path_in_archive(a, name),
        .mode = 0644,
        .mtime_s = time(NULL),
        .size = text.len,
    };
    int r = buf_failed(&text) ? -ENOMEM : add_entry(t, a, &e, NULL, buf_span(&text));
    buf_finish(&text);
    return r;
}

static int write_directory(struct task *t, struct archive *a)
{
    uint64_t begin = a->x->body_sent;
    struct buf out;
    bool more = true;
    int r = 0;

    buf_init_growing(&out, PIECE_BYTES + HEAD_BYTES);
    while (r == 0 && more) {
        more = zip_append_central(&out, &a->directory);
        if (more && out.len < PIECE_BYTES)
            continue;
        r = buf_failed(&out) ? -ENOMEM : exchange_write(t, a->x, buf_span(&out));
        out.len = 0;
    }
    if (r == 0) {
        zip_append_end(&out, &a->directory, begin, a->x->body_sent);
        r = buf_failed(&out) ? -ENOMEM : exchange_write(t, a->x, buf_span(&out));
    }
    buf_finish(&out);
    return r;
}

static int write_end(struct task *t, struct archive *a)
{
    static const char zeros[TAR_END_BYTES];

    return a->zip ? write_directory(t, a) : exchange_write(t, a->x, span_of(zeros, sizeof(zeros)));
}

static int write_archive(struct task *t, struct archive *a, const struct file *folder)
{
    struct walk_step step;

    struct walk *walk = walk_create(a->root, folder, a->names.list, a->names.count);
    if (!walk)
        return -ENOMEM;
    int r;
    while ((r = walk_next(t, walk, &step)) > 0)
        if ((r = take_step(t, a, &step)) < 0)
            break;
    walk_destroy(t, walk);
    if (r == 0)
        r = add_notes(t, a);
    return r < 0 ? r : write_end(t, a);
}

/* --- the request --- */

bool archive_is_wanted(const struct request *request)
{
    return request->query.data && uri_query_has(request->query, SPAN("archive"));
}

/* Returns 0 or a status. */
static int read_kind(struct archive *a)
{
    char memory[8];
    struct span kind;

    if (!uri_query_get(a->x->request.query, SPAN("archive"), memory, sizeof(memory), &kind))
        return 400;
    a->zip = span_equal(kind, SPAN("zip"));
    return a->zip || span_equal(kind, SPAN("tar")) ? 0 : 400;
}

static struct span without_line_end(struct span s)
{
    while (s.len > 0 && (s.data[s.len - 1] == '\r' || s.data[s.len - 1] == '\n'))
        s.len--;
    return s;
}

/* Reads the names of the query, and of a POST's body, which has them in the same form; what a
 * browser sends as plain text ends with a line. Returns 0, a status, or -errno as body_read(). */
static int read_names(struct task *t, struct archive *a)
{
    struct buf body;
    int r = archive_names_read(&a->names, a->x->request.query);

    if (r == 0 && a->x->request.method == METHOD_POST) {
        r = body_read(t, a->x, LIMIT_ARCHIVE_BODY_BYTES, &body);
        if (r < 0)
            return r;
        r = archive_names_read(&a->names, without_line_end(buf_span(&body)));
        buf_finish(&body);
    }
    archive_names_settle(&a->names);
    return r;
}

/* Whether all that was selected is there. What is there and cannot be read is told in the archive.
 */
static int look_for_names(struct task *t, struct archive *a, const struct file *folder)
{
    for (size_t i = 0; i < a->names.count; i++) {
        struct file file;
        int r = root_open_in(t, a->root, folder, a->names.list[i], &file);
        if (r == 0)
            file_close(t, &file);
        if (r < 0 && task_cancelled(t))
            return r;
        if (r == -ENOENT || r == -ENAMETOOLONG)
            return 404;
    }
    return 0;
}

static int respond(struct task *t, struct archive *a, const struct file *folder)
{
    struct exchange *x = a->x;
    struct span name = a->folder;
    char file_name[ARCHIVE_NAME_BYTES + sizeof(".tar")];
    struct buf b;

    for (size_t at = name.len; at > 0; at--)
        if (a->folder.data[at - 1] == '/') {
            name = span_skip(a->folder, at);
            break;
        }
    if (name.len == 0 || name.len >= ARCHIVE_NAME_BYTES)
        name = SPAN("files");
    buf_init_fixed(&b, file_name, sizeof(file_name));
    buf_append(&b, name);
    buf_append_str(&b, a->zip ? ".zip" : ".tar");
    if (a->names.count == 0) {
        memcpy(a->path, name.data, name.len);
        a->path[name.len] = '/';
        a->top_len = name.len + 1;
    }
    exchange_status(x, 200);
    exchange_field(x, SPAN("Content-Type"),
                   a->zip ? SPAN("application/zip") : SPAN("application/x-tar"));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    response_attachment(&x->fields, buf_span(&b));
    int r = exchange_begin(t, x, EXCHANGE_CHUNKED);
    if (r == 0 && !x->head_only)
        r = write_archive(t, a, folder);
    return r < 0 ? r : exchange_end(t, x);
}

int archive_respond(struct task *t, struct exchange *x, const struct root *root,
                    const struct file *folder, struct span path)
{
    _cleanup_(archive_destroy) struct archive *a = archive_create(x, root, path);

    if (!a)
        return -ENOMEM;
    int r = read_kind(a);
    if (r != 0)
        return exchange_error(t, x, r, SPAN("There are archives of kind tar and zip."));
    r = read_names(t, a);
    if (r < 0)
        return body_refuse(t, x, r);
    if (r == 413)
        return exchange_error(t, x, r, SPAN("These are too many names."));
    if (r == 0)
        r = look_for_names(t, a, folder);
    if (r > 0)
        return exchange_error(t, x, r, SPAN("What was selected is not in this folder."));
    return r < 0 ? r : respond(t, a, folder);
}
