#include <stdlib.h>

#include "core/sync/job_internal.h"

/*
 * Servers that show the newest so many messages of a mailbox and no others. Each new message hides an old one,
 * which then looks like one that was deleted.
 */

void job_name_limited(struct job *job)
{
	for (size_t i = 0; i < job->from.n; i++) {
		const struct mailbox_info *from = &job->from.v[i];
		char *name;

		if (!from->limit || (from->attributes & MAILBOX_NOSELECT) || !job_in_scope(job, from))
			continue;
		name = mailbox_name_text(&from->name);
		job_note(job, "%s has exactly %u messages, and may have more: %s", name,
			 from->token.messages, from->limit);
		free(name);
		job->report->incomplete |= from->limited;
	}
}

void job_keep_unseen(struct lane *lane)
{
	struct plan *p = &lane->plan;

	if (!lane->from || !lane->from->limit || uidset_is_empty(&p->gone))
		return;
	uidset_union(&p->present, &p->present, &p->gone_source);
	uidset_clear(&p->gone_source);
	uidset_clear(&p->gone);
	lane->incomplete = true;
	lane_problem(lane, "messages of it are not there any more, but the server may just not show "
			   "them; nothing is removed while it has exactly so many");
}
