/* The answer to GET and HEAD of a folder: a page for people, JSON for programs.
 *
 * JSON where "?format=json" or Accept asks for it, otherwise HTML (also without Accept, as servers
 * have always done). "?sort=name|size|time&order=asc|desc" sorts both; what is not understood there
 * is ignored. Both are streamed.
 *
 * A browser that opens a folder (Sec-Fetch-Dest: document) gets the file manager, an empty page
 * whose scripts ask for the JSON. One without JavaScript goes on from there to "?format=html", the
 * plain listing, which needs none and stays that in its own links. Browsers that do not say what
 * they fetch get the listing at once, and the scripts take it over.
 */
#pragma once

#include "files/folder_cache.h"
#include "http/exchange.h"

struct listing_options {
    bool writable;    /* may this user change something here */
    bool can_logout;  /* came by a session: show the button */
    bool has_trash;   /* what is deleted can come back */
    struct span user; /* "": nobody has logged in */
};

/* Answers with what is in `folder`, which is open for reading and stays the caller's.
 * `path` is decoded and relative ("" for the root); the request's path has ended in a slash, since
 * the page's links are relative. A folder
 * that cannot be read is answered with an error. Returns 0 or -errno, like exchange_end(). */
int listing_respond(struct task *t, struct exchange *x, struct folder_cache *cache,
                    const struct file *folder, struct span path, const struct listing_options *o);
