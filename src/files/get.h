/* GET and HEAD of a regular file: preconditions, ranges, and the bytes.
 *
 * A response never mixes two states of a file: if the file turns out to have changed while it was
 * being sent, the connection closes before the response is complete, so that nobody takes it for
 * whole.
 */
#pragma once

#include "files/root.h"
#include "http/exchange.h"
#include "http/mime.h"

/* Answers with the file; `name` is the last segment of its path. Returns 0 or -errno. The file
 * stays the caller's. */
int file_get(struct task *t, struct exchange *x, const struct mime_table *mime, struct file *file,
             struct span name);
