/* Messages for the person who runs the server: one line each on standard error.
 *
 * Only the roles and the connection log; modules return errors. Text that came from a peer is
 * escaped with log_escape() first. Lines are written by one write(2), so processes do not mix them.
 */
#pragma once

#include "base/buf.h"

/* Names this process in front of each line ("monitor", "gate", "home"); NULL: no name. */
void log_init(const char *role);

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Appends `s` with quotes, backslashes, control bytes and everything beyond ASCII as \xHH, so that
 * it cannot end a line, a quoted field, or move a terminal's cursor. */
void log_escape(struct buf *out, struct span s);
