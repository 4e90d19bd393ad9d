/* A folder as a page. Written in three parts, rows one by one, so that it can be streamed. */
#pragma once

#include "base/buf.h"
#include "files/folder.h"
#include "ui/listing.h"
#include "ui/text.h"

struct listing_page {
    struct span path; /* decoded, relative; "" for the root */
    const struct folder *folder;
    enum folder_sort sort;
    bool descending;
    bool plain; /* asked for by "?format=html": without the scripts, and so in its links */
    const struct listing_options *options;
    struct text_clock clock; /* of the row before */
};

/* The page that the scripts fill; folder is not looked at. */
void listing_html_shell(struct buf *out, const struct listing_page *page);

void listing_html_begin(struct buf *out, const struct listing_page *page);
void listing_html_row(struct buf *out, struct listing_page *page, const struct folder_entry *entry);
void listing_html_end(struct buf *out, const struct listing_page *page);

/* "name", "size", "time": the value of "sort" in a query. */
struct span listing_sort_name(enum folder_sort sort);
