#ifndef CMD_HTML_TEXT_H
#define CMD_HTML_TEXT_H

#include "core/base/bytes.h"

struct buf;

/*
 * Add the words of HTML, as UTF-8, to *out (which has a ceiling): without tags, comments, scripts and styles, with the
 * usual entities as what they stand for. For looking words up, not for showing. Costs no more than its length.
 */
void html_text(struct bytes html, struct buf *out);

#endif
