/* The end of an upload: its data is checked, and becomes the file by a PUT's commit.
 *
 * upload_complete() itself is in upload.h.
 */
#pragma once

#include "files/upload.h"

/* The store sees a PUT with the fields of the request that began the upload. */
void upload_complete_prepare(struct upload *u, uint64_t length);

/* Before somebody is told that an upload is done of which only that is known: whoever completed it
 * may have ended between the rename and its sync. On a helper thread; waits for all that the file
 * system has to write. Returns 0 or -errno. */
int upload_complete_sync(struct upload *u);
