/* What is known of an unfinished upload beside its data: a small text in a file.
 *
 *     fastfile-upload 3
 *     mark 000000000000000 01234567-89ab-cdef-0123-456789abcdef
 *     protocol ietf
 *     user alice
 *     path photos/2026/a.jpg
 *     length 123
 *     ...
 *     end
 *
 * One line each, always in this order, those that are not known left out; the path as in a URI,
 * since names may have line feeds in them. Read strictly: a file that is not exactly what is
 * written here is none of ours. The mark has a place and length of its own, so that it can be
 * written over. Pure: no I/O.
 */
#pragma once

#include "base/buf.h"
#include "base/limits.h"

/* The head of a request, a path with every byte escaped, and a name. */
enum { UPLOAD_INFO_BYTES_MAX = LIMIT_HEAD_BYTES + 3 * LIMIT_PATH_BYTES + 1024 };

/* What a structured field can express (RFC 9651 section 3.3.1): a petabyte. */
#define UPLOAD_LENGTH_MAX UINT64_C(999999999999999)

/* How the kernel writes what it calls the boot (/proc/sys/kernel/random/boot_id). */
enum { BOOT_ID_CHARS = 36 };

/* Up to where the data is certainly on the disk. Since then there was no power cut if this is still
 * the same boot. */
struct upload_mark {
    uint64_t offset;
    char boot[BOOT_ID_CHARS + 1];
};

/* Where in the text the mark's line is, and how long. */
enum {
    UPLOAD_MARK_AT = sizeof("fastfile-upload 3\n") - 1,
    UPLOAD_MARK_BYTES = sizeof("mark 000000000000000 \n") - 1 + BOOT_ID_CHARS,
};

enum upload_protocol { UPLOAD_IETF, UPLOAD_TUS };

/* A span with data NULL is not there. */
struct upload_info {
    struct upload_mark mark;
    enum upload_protocol protocol;
    struct span user; /* "" where nobody logs in */
    struct span path; /* of the file that it shall become: decoded, relative, followed by a NUL */
    bool has_length, has_mtime;
    uint64_t length; /* at most UPLOAD_LENGTH_MAX */
    int64_t mtime;   /* seconds since 1970 */
    struct span if_match, if_none_match, if_unmodified_since;
    struct span dav_if;                   /* the field If, well-formed */
    struct span repr_digest, oc_checksum; /* of all of the content */
    struct span metadata;                 /* tus: Upload-Metadata as it was sent */
};

/* Appends the text. */
void upload_info_format(struct buf *out, const struct upload_info *info);

/* Appends the mark's line alone. */
void upload_info_format_mark(struct buf *out, const struct upload_mark *mark);

/* Reads it; the spans are of `text`, in which NULs take the place of the ends of lines, and the
 * path is decoded where it stands. Returns 0 or -EBADMSG. */
int upload_info_parse(char *text, size_t len, struct upload_info *ret_info);
