/* PROPFIND (RFC 4918 section 9.1): properties of a file, a folder, what is in it, or all below it.
 *
 * Only what was asked for is looked up: names and kinds alone cost no system call an entry. What is
 * in a folder is answered from memory where somebody has just listed it (files/folder_cache.h),
 * else while it is read.
 */
#pragma once

#include "files/folder_cache.h"
#include "http/exchange.h"
#include "http/mime.h"

struct propfind_options {
    const struct root *root;
    struct folder_cache *folders;
    const struct mime_table *mime;
    struct locks *locks; /* NULL: there are none */
    bool can_lock;       /* who asks */
    struct span path;    /* decoded, relative, followed by a NUL */
    bool wants_folder;   /* it ended in a slash */
};

/* Answers the request. Returns 0 or -errno as the functions of exchange.h. */
int propfind_respond(struct task *t, struct exchange *x, const struct propfind_options *o);
