/* The files of src/ui/assets, which are part of the program: /.fastfile/ui/VERSION/NAME.
 *
 * VERSION is one digest of all of them, so that they refer to each other by relative addresses and
 * never meet a file of another version; a browser may keep them for ever. With another version the
 * same file is answered, to be asked for each time: a page may have been open since before an
 * update. Everybody gets them, before the login too.
 */
#pragma once

#include "http/exchange.h"
#include "ui/assets.h"

/* The asset called `name` ("ui.css"), NULL where there is none. */
const struct asset *asset_find(struct span name);

/* The asset at a path below /.fastfile/ ("ui/0123456789abcdef/ui.css"), NULL where there is none.
 * `*ret_current` says whether the version is the program's. */
const struct asset *asset_at(struct span path, bool *ret_current);

/* Answers GET and HEAD of an asset, compressed by gzip where the client takes that: 200, 304, or
 * 404 where there is none; 405 for another method. Returns 0 or -errno. */
int asset_respond(struct task *t, struct exchange *x, struct span path);

/* Appends the asset's address, "/.fastfile/ui/VERSION/NAME"; the asset has to be there. */
void asset_append_url(struct buf *out, struct span name);
