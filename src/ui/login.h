/* The login page: a form that posts `user`, `password` and `next` to /.fastfile/login.
 *
 * It opens no file and needs none: gate answers with it. It works without JavaScript and with
 * password managers.
 */
#pragma once

#include "http/exchange.h"

/* Answers with the page. `next` is where to go after the login, the raw target of the request that
 * was refused; if it is not valid, "/". `user` prefills the name. `message` is a sentence that says
 * why the last try failed, or "". None of them has to be trusted. Returns 0 or -errno. */
int login_page_respond(struct task *t, struct exchange *x, int status, struct span next,
                       struct span user, struct span message);

/* Whether a target leads to a place on this server, so that a login may go on there: it starts with
 * one slash and holds no second one behind it, no backslash, no control byte, nothing beyond ASCII,
 * and is not longer than LIMIT_PATH_BYTES. The server's own pages (/.fastfile/) are no place to go
 * on. */
bool login_next_valid(struct span next);

/* The page itself: appends the whole document. */
void login_html(struct buf *out, struct span next, struct span user, struct span message);
