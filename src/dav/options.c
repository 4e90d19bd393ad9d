#include "dav/options.h"

#include "files/look.h"
#include "files/upload_ietf.h"
#include "http/allow.h"

/* Returns what there is, or the -errno where that cannot be found out. */
static int look(struct task *t, const struct root *root, struct span path)
{
    struct file file;

    if (!path.data)
        return ALLOW_SERVER;
    if (path.len == 0)
        return ALLOW_ROOT;
    int r = look_open(t, root, path, &file);
    if (r < 0)
        return task_cancelled(t) || status_from_errno(r) >= 500 ? r : ALLOW_NOTHING;
    bool is_folder = S_ISDIR(file.st.st_mode);
    file_close(t, &file);
    return is_folder ? ALLOW_FOLDER : ALLOW_FILE;
}

int options_respond(struct task *t, struct exchange *x, const struct root *root, struct span path,
                    bool may_change)
{
    int what = look(t, root, path);

    if (what < 0)
        return task_cancelled(t) ? what : exchange_error(t, x, status_from_errno(what), SPAN(""));
    exchange_status(x, 200);
    exchange_field(x, SPAN("Allow"), allow_methods((enum allow_what)what, may_change));
    /* Class 2 is LOCK: who has none reads only, as Finder sees it too. */
    exchange_field(x, SPAN("DAV"), may_change ? SPAN("1, 2, 3") : SPAN("1, 3"));
    exchange_field(x, SPAN("MS-Author-Via"), SPAN("DAV")); /* Windows' Web Folders look for it */
    if (may_change)
        upload_ietf_options(x);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}
