/* The folder that the conversations are about: its contents, and what the table says of a case that
 * changes it. These have no prefix, as the table reads better so.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"

/* Of an upload that can be resumed: what WORLD_RANDOM_BYTE makes. */
#define TOKEN "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

enum { UPLOAD_LARGE = 600 * 1000 };

extern char large_content[UPLOAD_LARGE];

/* Makes all of it. Exits when it cannot. */
void script_folder_prepare(int root_fd);

/* Says so, and exits. */
void script_fatal(const char *what);

/* Of a time long ago. Exits when it cannot. */
void script_make_file(int root_fd, const char *name, struct span bytes);

/* before */
void restore_changing(int root_fd);
void remove_uploads(int root_fd);
void restore_uploads(int root_fd);
void forget_uploads(int root_fd);
void begin_ietf(int root_fd);
void begin_tus(int root_fd);
void end_ietf(int root_fd);

/* during */
void truncate_changing(int root_fd);
void replace_changing(int root_fd);

/* after */
const char *still_has_names(int root_fd, bool acknowledged);
const char *is_kept(int root_fd, bool acknowledged);
const char *is_cancelled(int root_fd, bool acknowledged);
const char *is_new_hello(int root_fd, bool acknowledged);
const char *is_old_hello(int root_fd, bool acknowledged);
const char *is_new_empty(int root_fd, bool acknowledged);
const char *is_new_large(int root_fd, bool acknowledged);
const char *is_old_large(int root_fd, bool acknowledged);
const char *is_as_before(int root_fd, bool acknowledged);
