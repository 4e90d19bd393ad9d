#include "ui/listing_html.h"

#include "base/cleanup.h"
#include "http/uri.h"
#include "ui/asset.h"
#include "ui/icon.h"
#include "ui/page.h"
#include "ui/text.h"

enum {
    /* So many of the last folders of a path are shown, so that a path of a thousand one-letter
     * folders does not make a page of megabytes. */
    CRUMBS_MAX = 8,
    /* The longest path there can be, each byte of it escaped, and what is around it. */
    SHELL_HEAD_MAX = 64 * 1024,
};

struct span listing_sort_name(enum folder_sort sort)
{
    switch (sort) {
    case FOLDER_BY_SIZE:
        return SPAN("size");
    case FOLDER_BY_TIME:
        return SPAN("time");
    case FOLDER_BY_NAME:
        break;
    }
    return SPAN("name");
}

static void append_sort(struct buf *out, enum folder_sort sort, bool descending)
{
    buf_append_str(out, "sort=");
    buf_append(out, listing_sort_name(sort));
    buf_append_str(out, descending ? "&amp;order=desc" : "&amp;order=asc");
}

#define PLAIN "format=html"

/* Behind the address of a folder: what was asked for stays while one walks around. */
static void append_kept_query(struct buf *out, const struct listing_page *page)
{
    bool sorted = page->sort != FOLDER_BY_NAME || page->descending;

    buf_append_str(out, page->plain ? "?" PLAIN : sorted ? "?" : "");
    buf_append_str(out, page->plain && sorted ? "&amp;" : "");
    if (sorted)
        append_sort(out, page->sort, page->descending);
}

/* --- above the table --- */

static void append_account(struct buf *out, const struct listing_options *o)
{
    if (o->user.len == 0)
        return;
    buf_append_str(out, "<form class=\"account\" method=\"post\" action=\"/.fastfile/logout\">"
                        "<bdi class=\"user\">");
    text_append_name(out, o->user);
    buf_append_str(out, "</bdi>");
    if (o->can_logout)
        buf_append_str(out, "<button>Log out</button>");
    buf_append_str(out, "</form>\n");
}

/* A link to the first `end` bytes of the path; they end a name that starts at `start`. */
static void append_crumb(struct buf *out, const struct listing_page *page, size_t start, size_t end)
{
    bool last = end == page->path.len;

    buf_append_str(out, last ? "<li><h1><a aria-current=\"page\" href=\"/" : "<li><a href=\"/");
    uri_encode_path(out, span_first(page->path, end));
    buf_append_str(out, end > 0 ? "/" : "");
    append_kept_query(out, page);
    buf_append_str(out, "\"><bdi>");
    text_append_name(out, span_of(page->path.data + start, end - start));
    if (end == 0)
        buf_append_str(out, "Files");
    buf_append_str(out, last ? "</bdi></a></h1>\n" : "</bdi></a>\n");
}

static size_t depth_of(struct span path)
{
    size_t depth = path.len > 0;

    for (size_t i = 0; i < path.len; i++)
        depth += path.data[i] == '/';
    return depth;
}

static void append_crumbs(struct buf *out, const struct listing_page *page)
{
    size_t depth = depth_of(page->path), skipped = depth > CRUMBS_MAX ? depth - CRUMBS_MAX : 0;

    buf_append_str(out, "<nav aria-label=\"Where you are\"><ol>\n");
    append_crumb(out, page, 0, 0);
    if (skipped > 0)
        buf_append_str(out, "<li>\xe2\x80\xa6\n");
    size_t start = 0;
    for (size_t number = 0; number < depth; number++) {
        size_t length = span_find(span_skip(page->path, start), '/');
        if (number >= skipped)
            append_crumb(out, page, start, start + length);
        start += length + 1;
    }
    buf_append_str(out, "</ol></nav>\n");
}

static void append_summary(struct buf *out, const struct folder *folder)
{
    buf_append_str(out, "<p class=\"summary\">");
    if (folder->folders > 0)
        text_append_count(out, folder->folders, "folders");
    if (folder->folders > 0 && folder->files > 0)
        buf_append_str(out, ", ");
    if (folder->files > 0) {
        text_append_count(out, folder->files, "files");
        buf_append_str(out, ", ");
        text_append_size(out, folder->total_bytes);
    }
    if (folder->count == 0)
        buf_append_str(out, "No files");
    buf_append_str(out, "</p>\n");
}

/* The head of a column is a link: first to what one mostly looks for (the largest, the newest),
 * then to the other direction. */
static void append_column(struct buf *out, const struct listing_page *page, enum folder_sort sort,
                          const char *heading)
{
    bool current = page->sort == sort;
    bool descending = current ? !page->descending : sort != FOLDER_BY_NAME;

    buf_append_str(out, "<th scope=\"col\"");
    if (current)
        buf_append_str(out,
                       page->descending ? " aria-sort=\"descending\"" : " aria-sort=\"ascending\"");
    buf_append_str(out, page->plain ? "><a href=\"?" PLAIN "&amp;" : "><a href=\"?");
    append_sort(out, sort, descending);
    buf_append_str(out, "\">");
    buf_append_str(out, heading);
    buf_append_str(out, "</a>\n");
}

/* --- the frame --- */

static struct span title_of(struct span path)
{
    size_t start = path.len;

    while (start > 0 && path.data[start - 1] != '/')
        start--;
    return path.len > 0 ? span_skip(path, start) : SPAN("Files");
}

/* What the scripts have to know and cannot ask for. */
static void append_body(struct buf *out, const char *begin, const struct listing_options *o)
{
    buf_append_str(out, begin);
    buf_append_str(out, " data-user=\"");
    text_append_name(out, o->user);
    buf_append_str(out, o->writable ? "\" data-writable" : "\"");
    buf_append_str(out, o->can_logout ? " data-session" : "");
    buf_append_str(out, o->has_trash ? " data-trash>\n" : ">\n");
}

/* The scripts ask for the listing. It comes while they are still being read, if its address is
 * written as they write it: as uri_encode_path() does. */
static void append_preload(struct buf *out, struct span path)
{
    buf_append_str(out, "<link rel=\"preload\" as=\"fetch\" crossorigin href=\"/");
    uri_encode_path(out, path);
    buf_append_str(out, path.len > 0 ? "/?format=json\">\n" : "?format=json\">\n");
}

void listing_html_shell(struct buf *out, const struct listing_page *page)
{
    struct listing_page plain = *page;
    _cleanup_(buf_finish) struct buf head;

    plain.plain = true;
    buf_init_growing(&head, SHELL_HEAD_MAX);
    append_preload(&head, page->path);
    buf_append_str(&head, "<noscript><meta http-equiv=\"refresh\" content=\"0; url=");
    append_kept_query(&head, &plain);
    buf_append_str(&head, "\"></noscript>\n");
    page_begin_app(out, title_of(page->path), buf_span(&head));
    append_body(out, "<body class=\"app\"", page->options);
    page_end(out);
}

void listing_html_begin(struct buf *out, const struct listing_page *page)
{
    if (page->plain)
        page_begin(out, title_of(page->path));
    else
        page_begin_app(out, title_of(page->path), SPAN(""));
    append_body(out, "<body", page->options);
    buf_append_str(out, "<header>\n<a class=\"brand\" href=\"/");
    append_kept_query(out, page);
    buf_append_str(out, "\"><img src=\"");
    asset_append_url(out, SPAN("icon.svg"));
    buf_append_str(out, "\" alt=\"\" width=\"28\" height=\"28\">Fast File</a>\n");
    append_account(out, page->options);
    buf_append_str(out, "</header>\n<main>\n");
    append_crumbs(out, page);
    append_summary(out, page->folder);
    buf_append_str(out, page->folder->count > 0 ? "<table>\n<thead><tr>\n"
                                                : "<table class=\"empty\">\n<thead><tr>\n");
    append_column(out, page, FOLDER_BY_NAME, "Name");
    append_column(out, page, FOLDER_BY_SIZE, "Size");
    append_column(out, page, FOLDER_BY_TIME, "Modified");
    buf_append_str(out, "<tbody>\n");
    if (page->path.len > 0) {
        buf_append_str(out, "<tr><td class=\"u\"><a href=\"../");
        append_kept_query(out, page);
        buf_append_str(out, "\">Parent folder</a>\n");
    }
    if (page->folder->count == 0)
        buf_append_str(out, "<tr class=\"nothing\"><td>This folder is empty\n");
}

/* --- rows: as few bytes as will do, there may be a hundred thousand --- */

void listing_html_row(struct buf *out, struct listing_page *page, const struct folder_entry *entry)
{
    bool is_file = entry->type == FOLDER_ENTRY_FILE;
    char icon = icon_class(is_file ? icon_for_file(entry->name) : ICON_FOLDER);

    buf_append_str(out, entry->name.data[0] == '.' ? "<tr class=\"h\"><td class=\""
                                                   : "<tr><td class=\"");
    buf_append_char(out, icon);
    buf_append_str(out, "\"><a href=\"");
    uri_encode_path(out, entry->name);
    if (!is_file) {
        buf_append_char(out, '/');
        append_kept_query(out, page);
    }
    buf_append_str(out, "\"><bdi>");
    text_append_name(out, entry->name);
    buf_append_str(out, "</bdi></a><td");
    if (is_file) {
        buf_append_str(out, " title=\"");
        text_append_count(out, entry->size, "bytes");
        buf_append_str(out, "\">");
        text_append_size(out, entry->size);
    } else {
        buf_append_char(out, '>');
    }
    buf_append_str(out, "<td>");
    text_append_time(out, &page->clock, entry->mtime_s, entry->mtime_ns);
    if (is_file) {
        buf_append_str(out, "<td><a title=\"Download\" href=\"");
        uri_encode_path(out, entry->name);
        buf_append_str(out, "?download\"></a>");
    }
    buf_append_char(out, '\n');
}

/* --- below the table --- */

void listing_html_end(struct buf *out, const struct listing_page *page)
{
    buf_append_str(out, "</table>\n");
    if (page->folder->left_out > 0) {
        buf_append_str(out, "<p class=\"note\">Not shown: ");
        text_append_number(out, page->folder->left_out);
        buf_append_str(out, page->folder->left_out == 1 ? " entry" : " entries");
        buf_append_str(out, " that cannot be opened from here (links that lead outside or nowhere, "
                            "special files).</p>\n");
    }
    if (page->folder->count > 0)
        buf_append_str(out, "<p class=\"note\">Download all of it as "
                            "<a href=\"?archive=zip\">.zip</a> or "
                            "<a href=\"?archive=tar\">.tar</a></p>\n");
    buf_append_str(out, "</main>\n");
    page_end(out);
}
