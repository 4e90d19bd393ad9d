/* The role "home": the process that has the folder. A child of the monitor, found by its argv[0].
 *
 * It runs as the user whose files are served and takes connections that the monitor has approved. A
 * connection is bound to its credential: a request with another one goes back to the monitor.
 */
#pragma once

#include "files/cache.h"
#include "files/folder_cache.h"
#include "home/account.h"
#include "http/ring.h"
#include "route.h"

/* Serves until the monitor says DRAIN or its channel ends. Returns the exit status. */
int home_main(void);

/* What home keeps per ring. */
struct home {
    struct http_ring http;
    const struct boot *boot;
    struct site site;
    struct file_cache cache;
    struct folder_cache folders;
    bool has_accounts; /* people log in here */
    struct account_calls account_calls;
    char cookie_name[32]; /* __Host-fastfile-PORT */
};

/* What home does with its connections and the monitor's messages. */
extern const struct conn_role home_role;

/* request.c: answers a request, or sends its connection back to the monitor. */
enum conn_after home_handle(struct task *t, struct exchange *x);
