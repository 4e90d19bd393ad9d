/* The tus protocol 1.0 (https://tus.io/protocols/resumable-upload), with its extensions creation,
 * creation-with-upload, creation-defer-length, expiration, checksum and termination.
 *
 * POST to UPLOAD_TUS_URL, or to UPLOAD_TUS_URL and a folder, begins an upload. Where it goes to
 * says Upload-Metadata: `path`, relative to that folder, or `filename`, a name in it. All functions
 * answer the request and return 0 or -errno as those of exchange.h.
 */
#pragma once

#include "files/upload.h"

#define UPLOAD_TUS_URL "/.fastfile/tus/"

/* The POST; `folder` is the decoded path behind UPLOAD_TUS_URL. */
int upload_tus_create(struct task *t, const struct upload_request *by, struct span folder);

/* The fields of an answer to OPTIONS. */
void upload_tus_options(struct exchange *x);

/* Whether a request speaks our version, and the answer where it does not. */
bool upload_tus_speaks(const struct request *request);
int upload_tus_refuse_version(struct task *t, struct exchange *x);

/* The field that every answer about an upload by tus has; empty for others. */
struct span upload_tus_fields(const struct upload *u);

/* An upload that upload_open() has opened. */
int upload_tus_head(struct task *t, struct upload *u);
int upload_tus_patch(struct task *t, struct upload *u);
