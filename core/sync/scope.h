#ifndef CORE_SYNC_SCOPE_H
#define CORE_SYNC_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/sync/store.h"

/*
 * Which mailboxes a job is about. Each pattern is an IMAP LIST pattern on the display form of
 * the name (`*` anything, `%` anything but `/`) or a special use such as `\Trash`; `!` in front
 * excludes. The last pattern that matches decides. When none matches, a mailbox is in exactly
 * if the first pattern is an exclusion or there are no patterns.
 */
bool scope_contains(const char *const *patterns, size_t n, const struct mailbox_name *name,
		    unsigned attributes);

/* Whether a pattern can mean something; *err (ERR_CONFIG) says why not. */
int scope_check_pattern(const char *pattern, struct err *err);

#endif
