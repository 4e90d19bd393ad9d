/* "Resumable Uploads for HTTP", draft-ietf-httpbis-resumable-upload-12, interop version 8.
 *
 * A PUT with Upload-Complete is an upload that can be resumed: the URL of the upload comes in an
 * interim response (104) before the content is read. There it is looked at with HEAD, continued
 * with PATCH, and cancelled with DELETE. All functions answer the request and return 0 or -errno as
 * those of exchange.h.
 */
#pragma once

#include "files/upload.h"

#define UPLOAD_IETF_TYPE "application/partial-upload"

/* Whether a PUT begins such an upload. One that is sent as a whole by a client that speaks another
 * version of the draft is an ordinary one. */
bool upload_ietf_is_meant(const struct request *request);

/* The PUT; `path` as for file_put(). */
int upload_ietf_create(struct task *t, const struct upload_request *by, struct span path);

/* The fields of an answer to OPTIONS. */
void upload_ietf_options(struct exchange *x);

/* An upload that upload_open() has opened. */
int upload_ietf_head(struct task *t, struct upload *u);
int upload_ietf_patch(struct task *t, struct upload *u);
