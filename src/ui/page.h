/* What all pages have in common: the fields that keep a browser safe, and the frame of the
 * document. */
#pragma once

#include "base/buf.h"
#include "http/exchange.h"

/* The fields of an answer that shows what only this user may see, as a page. exchange_status() has
 * been called. Nothing is stored: after a logout on a shared computer the way back shows nothing,
 * and what another program changed is there at once. Nothing on the page comes from anywhere else,
 * and nothing inline is run. */
void page_fields(struct exchange *x);

/* The document up to <body>. `title` is a name: any bytes. */
void page_begin(struct buf *out, struct span title);

/* The same for a page that the file manager takes over: with its scripts and styles, and with
 * `html` in the head. */
void page_begin_app(struct buf *out, struct span title, struct span html);

/* The end of the document. */
void page_end(struct buf *out);
