/* The files of src/ui/assets, which are part of the program: /.fastfile/NAME.
 *
 * Pages link them as NAME?v=DIGEST, which a browser may keep for ever; without the digest it asks
 * each time whether its copy is current. Everybody gets them, before the login too.
 */
#pragma once

#include "http/exchange.h"
#include "ui/assets.h"

/* The asset called `name` ("ui.css"), NULL where there is none. */
const struct asset *asset_find(struct span name);

/* Answers GET and HEAD of an asset: 200, 304, or 404 where there is none; 405 for another method.
 * Returns 0 or -errno. */
int asset_respond(struct task *t, struct exchange *x, struct span name);

/* Appends the asset's address, "/.fastfile/NAME?v=DIGEST"; the asset has to be there. */
void asset_append_url(struct buf *out, struct span name);
