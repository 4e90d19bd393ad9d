/* Text inside HTML, XML and JSON. */
#pragma once

#include "base/buf.h"

/* For element content and for attribute values in either kind of quotes. Bytes beyond ASCII pass as
 * they are; control bytes, which HTML does not allow, become U+FFFD. */
void escape_html(struct buf *out, struct span text);

/* Content of an XML 1.0 element, or the value of an attribute in double quotes. What is not UTF-8,
 * and characters that no XML document may have, become U+FFFD; other control characters are written
 * as references, so that the text may be shown on a terminal. */
void escape_xml(struct buf *out, struct span text);

/* The inside of a JSON string (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD, for
 * JSON is always UTF-8; '<', '>' and '&' are escaped too, so that the text may stand inside HTML,
 * and all control characters, so that it may be shown on a terminal. */
void escape_json(struct buf *out, struct span text);
