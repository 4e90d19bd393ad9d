/* Where unfinished uploads lie: ".fastfile/uploads" at the top of each file system, so that they
 * get their names without being copied. Two files each,
 *
 *     USER-TOKEN.data    what has come in so far
 *     USER-TOKEN.info    what it will be (upload_info.h); made last, removed first
 *
 * USER are 16 digits of a hash of the user's name, TOKEN are 128 random bits. An info without data
 * is an upload that is complete: its data has got its name. It is kept for UPLOAD_KEEP_DONE_S, for
 * a client that has missed the answer. An upload that nothing was added to for UPLOAD_KEEP_S has
 * expired. Both go by themselves (upload_sweep.h).
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include "files/place.h"
#include "files/upload_claim.h"

enum {
    UPLOAD_TOKEN_CHARS = 32,
    UPLOAD_KEEP_S = 7 * 24 * 3600,
    UPLOAD_KEEP_DONE_S = 3600,
};

enum upload_file { UPLOAD_DATA, UPLOAD_INFO, UPLOAD_NEW_INFO, UPLOAD_FILES };

/* A name of one of the files of an upload. */
struct upload_file_name {
    char text[UPLOAD_NAME_BYTES + sizeof(".data")];
};

struct upload_file_name upload_file_name(const char *name, enum upload_file file);

/* Whether an entry of the folder is one, and which. */
bool upload_file_parse(const char *entry, enum upload_file *ret_file);

/* The name of an upload of this user; without a token it gets a new one. Returns 0 or -EIO. */
int upload_name(struct span user, const char *token, char ret_name[UPLOAD_NAME_BYTES + 1]);

/* The part of it that all uploads of a user have. */
struct span upload_name_user(const char *name);

/* The part of it that its URL shows. */
struct span upload_name_token(const char *name);

/* Finds the folder for a file at `place`, `path` below the root, or makes it: below the shortest
 * part of the path that is on that file system and may be written to. `*ret_top` is that part.
 * Returns a descriptor or -errno (-EXDEV: the path leads there by a link only). */
int upload_folder_make(int root_fd, struct span path, const struct place *place, bool durable,
                       struct span *ret_top);

/* Opens the folder below `top`, which is a decoded path. Returns a descriptor or -errno. */
int upload_folder_open(int root_fd, struct span top, uint64_t resolve);

/* Opens one of the files of an upload; O_CREAT makes it nobody else's business. Returns a
 * descriptor or -errno. */
int upload_folder_open_file(int folder_fd, const char *name, enum upload_file file, uint64_t flags);

/* Writes all of it. Returns 0 or -errno. */
int upload_file_write(int fd, struct span bytes, uint64_t offset);

/* Removes an upload, whatever there is of it. Returns 0 or -errno. */
int upload_folder_remove(int folder_fd, const char *name, bool durable);
