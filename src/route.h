/* Method × path → handler, for requests whose sender the monitor has approved. */
#pragma once

#include "files/root.h"
#include "http/exchange.h"
#include "http/mime.h"

/* What is served, and how. */
struct site {
    const struct root *root;
    struct file_cache *cache;     /* the ring's */
    struct folder_cache *folders; /* the ring's */
    const struct mime_table *mime;
    struct trashing *trash;        /* where deleted things go; NULL: they are gone */
    struct undos *undos;           /* of what went there; NULL as that */
    struct locks *locks;           /* of the process; NULL: nobody may change anything */
    struct locks_file *locks_file; /* where they are kept; NULL as they are */
    bool read_only;                /* whoever asks */
    bool durable;                  /* what is acknowledged survives a power cut */
    const char *boot;              /* of the machine: upload_info.h */
};

/* Who asks. */
struct visitor {
    struct span user; /* "" where nobody logs in */
    bool read_only;
    bool has_session; /* came by the login page, so can log out */
};

/* Answers one request. */
enum conn_after route_handle(struct task *t, struct exchange *x, const struct site *site,
                             const struct visitor *visitor);
