/* Requests that a foreign page makes a browser send (cross-site request forgery).
 *
 * Browsers add cookies and remembered Basic passwords to requests of any page. They also say where
 * the page came from: in Sec-Fetch-Site (Fetch Metadata) and Origin (RFC 6454). Other clients send
 * neither.
 */
#pragma once

#include "base/span.h"

/* Whether a request may proceed. `is_change`: its method is not safe (RFC 9110 section 9.2.1), or
 * it logs in. Fields have data NULL where absent. Refused is a change whose Sec-Fetch-Site is
 * neither "same-origin" nor "none", or whose Origin is not the host and port of Host ("null" never
 * is). `is_tls`: the connection itself is encrypted, so an http: page of the same name is foreign;
 * without TLS there may be a proxy that has it, and both schemes are accepted. */
bool csrf_allowed(bool is_change, bool is_tls, struct span sec_fetch_site, struct span origin,
                  struct span host);
