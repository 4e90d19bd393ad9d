/* The URLs of uploads, and what both protocols have in common when they speak. */
#pragma once

#include "files/upload.h"

/* A request for an upload; `where` is the decoded path behind UPLOAD_URL. Answers it, and returns 0
 * or -errno as the functions of exchange.h. */
int upload_serve(struct task *t, const struct upload_request *by, struct span where);

/* OPTIONS for an upload, or for where tus begins one. */
int upload_serve_options(struct task *t, struct exchange *x, struct span allowed);

/* --- for the protocols --- */

/* The value of a field that is there once; data == NULL otherwise. */
struct span upload_field(const struct request *request, struct span name);

/* Whether Content-Type is this one, whatever its parameters. */
bool upload_has_type(const struct request *request, struct span type);

/* Takes what a PUT would heed from the fields of the request that begins an upload. Returns 0, 400
 * or 415. */
int upload_take_fields(const struct request *request, struct upload_info *info);

/* Answers for a result of the functions of upload.h; a broken connection it returns. */
int upload_refuse(struct task *t, struct upload *u, int result, struct span fields);
