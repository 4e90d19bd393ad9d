/* A folder as JSON:
 *
 *   {"path":"/a/","entries":[
 *   {"name":"b","type":"folder","mtime":"2026-11-22T10:00:00.123Z"},
 *   {"name":"c","type":"file","size":1,"mtime":"2026-11-22T10:00:00.123Z","etag":"\"…\""}
 *   ],"writable":true}
 *
 * A name that is not UTF-8 cannot be written in JSON: it has U+FFFD in it, and the entry has a
 * member "href" with the name percent-encoded, to ask for it by.
 */
#pragma once

#include <time.h>

#include "base/buf.h"
#include "files/folder.h"

void listing_json_begin(struct buf *out, struct span path);

/* `first`: no comma before it. `now`: a time before the folder was read; it decides about weak
 * tags. */
void listing_json_entry(struct buf *out, const struct folder_entry *entry, bool first,
                        const struct timespec *now);

void listing_json_end(struct buf *out, bool writable);
