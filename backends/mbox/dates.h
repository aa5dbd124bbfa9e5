#ifndef BACKENDS_MBOX_DATES_H
#define BACKENDS_MBOX_DATES_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct maildate;

/*
 * The date of the line that begins a message in an mbox, in one of the forms that programs write after
 * the sender (RFC 4155, appendix A, has the first):
 *
 *	Thu Feb 29 13:05:09 2024          also without seconds
 *	Thu Feb 29 13:05:09 +0100 2024    also a zone's name, which counts as UTC unless it is known
 *	Thu Feb 29 13:05:09 2024 +0100
 *
 * A line without a zone is in UTC. `line` is what follows `From `. False, and *out (initialised)
 * untouched, when no such date is in it.
 */
bool date_of_from_line(struct bytes line, struct maildate *out);

/* The Date field of a message (RFC 5322, section 3.3), its value unfolded. As above. */
bool date_of_header(struct bytes value, struct maildate *out);

#endif
