/* What a sender says the hash of its content is, and whether that is so.
 *
 * Repr-Digest and Content-Digest (RFC 9530; the same for a PUT of a whole file without a content
 * coding): sha-256 and sha-512; members of other names are ignored, as the RFC wants. OC-Checksum
 * (ownCloud, rclone): MD5, SHA1, SHA256; others are ignored. Upload-Checksum (tus): md5, sha1,
 * sha256, sha512.
 */
#pragma once

#include "auth/hash.h"
#include "http/request.h"

/* All that there are of each field: two, two, and three. More are refused: what is not checked must
 * not pass. */
enum { CHECKSUMS_MAX = 2 + 2 + 3 };

struct checksums {
    unsigned count;
    struct checksum {
        enum hash_algorithm algorithm;
        struct hash hash;
        uint8_t expected[HASH_BYTES_MAX];
    } items[CHECKSUMS_MAX];
};

/* Takes the fields of a request. Returns 0, -EINVAL for a field or a hash that is malformed, or
 * one too many, or -ENOMEM. To be given back with checksums_finish() in any case. */
int checksums_init(struct checksums *c, const struct request *request);

/* The same for parts: of the content of one request only (Content-Digest), of a whole file (the
 * other two fields, data NULL where absent), and of tus's field Upload-Checksum, which names one
 * algorithm: -EOPNOTSUPP for an unknown one. */
int checksums_init_content(struct checksums *c, const struct request *request);
int checksums_init_whole(struct checksums *c, struct span repr_digest, struct span oc_checksum);
int checksums_init_tus(struct checksums *c, struct span field);

/* The next bytes of the content. Returns 0 or -EIO. */
int checksums_update(struct checksums *c, struct span bytes);

/* At the end of the content: returns 1 where all are right, 0 where one is not, or -EIO. */
int checksums_match(struct checksums *c);

void checksums_finish(struct checksums *c);
