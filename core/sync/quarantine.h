#ifndef CORE_SYNC_QUARANTINE_H
#define CORE_SYNC_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * Messages that a side refused or could not deliver. They are tried again, less and less often: in
 * the next run, then 1 h, 6 h, 1 day and 3 days after the last attempt, then every week.
 */

/* Unix time from which a run tries it again; 0: the next run does. Of an accepted one: INT64_MAX. Pure. */
int64_t quarantine_next_try(const struct quarantined *q);
/* Whether a run at this time tries it. A last attempt in the future (the clock was set) counts for nothing. */
bool quarantine_is_due(const struct quarantined *q, int64_t now);

/* Everything in quarantine in a store. */
struct quarantine_entry {
	const struct mailbox_info *mailbox; /* of the list it was made from */
	struct quarantined q;               /* with its own `reason` */
};

struct quarantine_list {
	struct quarantine_entry *v; /* by mailbox, then by UID */
	size_t n, cap;
};

/* The mailboxes of `all` that `patterns` select (scope.h; n 0: all). -1 as soon as one cannot be read. */
int quarantine_list_read(struct store *st, const struct mailbox_list *all, const char *const *patterns,
			 size_t n_patterns, struct quarantine_list *out, struct err *err);
void quarantine_list_release(struct quarantine_list *list);

enum quarantine_change {
	QUARANTINE_ACCEPT, /* the user can do without: not tried again, not reported */
	QUARANTINE_RETRY,  /* the next run tries it, accepted or not */
};

/*
 * Make the change to the entries chosen[i] of a list read from `st`, which is open for writing.
 * *changed counts those that were not so already. Durable after the next commit.
 */
int quarantine_change(struct store *st, struct quarantine_list *list, const bool *chosen,
		      enum quarantine_change what, size_t *changed, struct err *err);

#endif
