/* Writing the head of a response, and the small bodies of errors (RFC 9112 section 4, RFC 9110). */
#pragma once

#include "base/buf.h"
#include "http/request.h"

/* "HTTP/1.1 200 OK" CRLF. `status` has three digits. */
void response_status_line(struct buf *out, int status);

/* The reason phrase; "" for a status this server does not use. */
struct span response_reason(int status);

/* "Name: value" CRLF. The name is one of ours (asserted to be a token). CR, LF and NUL in the value
 * become blanks, so that no value can start another line. */
void response_field(struct buf *out, struct span name, struct span value);
void response_field_u64(struct buf *out, struct span name, uint64_t value);

/* "Content-Disposition: attachment" with the name of a file, both as a plain ASCII approximation
 * and in full (RFC 6266, RFC 8187). `filename` is what stands behind the last slash. */
void response_attachment(struct buf *out, struct span filename);

/* The empty line. */
void response_end(struct buf *out);

enum body_form { BODY_TEXT, BODY_JSON, BODY_HTML };

/* What this client likes to read: HTML for a browser that navigates, JSON where Accept asks for it,
 * text for everybody else. */
enum body_form response_form(const struct request *request);

/* The Content-Type of such a body. */
struct span response_form_type(enum body_form form);

/* A Content-Security-Policy that lets the HTML form show itself and do nothing else. */
#define RESPONSE_ERROR_CSP                                                                 \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " \
    "frame-ancestors 'none'"

/* The body for a status. `detail`, which may be empty, is one sentence for people; it is escaped.
 */
void response_error_body(struct buf *out, enum body_form form, int status, struct span detail);
