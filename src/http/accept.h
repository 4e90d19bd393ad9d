/* What a client prefers: Accept and Accept-Encoding (RFC 9110 sections 12.4.2, 12.5.1 and 12.5.3).
 */
#pragma once

#include "base/span.h"

/* How much a client wants a media type such as "text/html": 0 (not at all) to 1000. The most
 * specific range that covers the type counts; `*ret_named` says whether that one names it in full,
 * without a '*'. Without the field (data == NULL) everything is 1000. Malformed members are
 * skipped. */
int accept_type(struct span field, struct span type, bool *ret_named);

/* The same for a content coding such as "gzip". Without the field, or unless it is listed, a coding
 * is 0: sending the plain bytes is always right. */
int accept_coding(struct span field, struct span coding);
