/* Short fields of WebDAV (RFC 4918 section 10). Pure; spans point into the field. */
#pragma once

#include "http/request.h"

enum dav_depth { DAV_DEPTH_NONE, DAV_DEPTH_0, DAV_DEPTH_1, DAV_DEPTH_INFINITY };

/* "0", "1", "infinity" in any case; DAV_DEPTH_NONE where there is no field. The redirector of
 * Windows may add ",noroot" to the last two ([MS-WDVME] section 2.2.2): without the resource
 * itself. Returns 0 or -EINVAL. */
int dav_depth_parse(struct span field, enum dav_depth *ret_depth, bool *ret_no_root);

/* "Second-N", "Infinite", or a list of these, of which the first counts. UINT32_MAX for Infinite
 * and for what does not fit; 0 where there is no field. Returns 0 or -EINVAL. */
int dav_timeout_parse(struct span field, uint32_t *ret_seconds);

/* A token in angle brackets, or without any, as the redirector of Windows sends it. Returns 0 or
 * -EINVAL. */
int dav_lock_token_parse(struct span field, struct span *ret_token);

/* Whether what is not there shall not be listed as such: "Brief: t" (Microsoft's), or "Prefer:
 * return=minimal" (RFC 8144 section 2.1; `*ret_preferred`). */
bool dav_is_brief(const struct request *request, bool *ret_preferred);
