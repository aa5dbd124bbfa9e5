#ifndef CORE_SYNC_NAMING_H
#define CORE_SYNC_NAMING_H

#include <stdbool.h>

#include "core/sync/name_map.h"
#include "core/sync/store.h"

/*
 * What an account as target calls the source's mailboxes where no rule of `map` says it. Pure. In this order:
 *
 *	INBOX is INBOX;
 *	what was copied under a name stays under it;
 *	of a special use that one mailbox has on either side, the one goes to the other;
 *	what the source puts everything below (mailbox_list.prefix) is left out.
 *
 * Where two would meet under one name, the later of these gives way, and a mailbox has its own name in the end.
 */
struct naming_pair {
	struct mailbox_name source, as; /* as it is called there, and at the target */
};

struct naming {
	struct naming_pair *v; /* sorted by source */
	size_t n, cap;
};

void naming_release(struct naming *names);

/*
 * Replace *out (all zero before the first use). `from`: the source's list, as it came; selected[i] says whether the job is about
 * from->v[i]. `to`: the target's list for writing.
 */
void naming_choose(struct naming *out, const struct name_map *map, const struct mailbox_list *from,
		   const bool *selected, const struct mailbox_list *to);

/* The name that `source` has at the target by this; NULL: its own. Borrowed. */
const struct mailbox_name *naming_find(const struct naming *names, const struct mailbox_name *source);

#endif
