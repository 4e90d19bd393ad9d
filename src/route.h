/* Method × path → handler, for requests whose sender the monitor has approved. */
#pragma once

#include "files/root.h"
#include "http/exchange.h"
#include "http/mime.h"

/* What is served, and how. */
struct site {
    const struct root *root;
    struct file_cache *cache; /* the ring's */
    const struct mime_table *mime;
    bool read_only; /* whoever asks */
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
