#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/heading.h"
#include "core/sync/job_internal.h"
#include "core/sync/rebind.h"

/*
 * Mailboxes whose UIDs do not mean what they did: rebind.h says which message is which, and here is
 * what it needs. Of those in doubt the headers are read, at the source from the network and here from
 * the disk.
 */

/* One mailbox being rebound. */
struct look {
	struct lane *lane;
	struct rebind r;
	struct uidset stored, source; /* UIDs of those in doubt */
};

static void tell_stored(void *tag, const struct message *msg, const uint8_t header[CONTENT_HASH_SIZE],
			const uint8_t *content)
{
	rebind_tell_stored(&((struct look *)tag)->r, msg->uid, header, content);
}

static void tell_source(void *tag, const struct message *msg, const uint8_t header[CONTENT_HASH_SIZE],
			const uint8_t *content)
{
	(void)content;
	rebind_tell_source(&((struct look *)tag)->r, msg->uid, header);
}

/* The headers of all that is in doubt on one side. */
static int read_headers(struct store *st, struct look *look, size_t n, bool of_target,
			struct err *err)
{
	struct headings to = { .tell = of_target ? tell_stored : tell_source, .content = of_target };
	struct want *want = xcalloc(n, sizeof(*want));
	size_t wants = 0;
	int ret;

	for (size_t i = 0; i < n; i++) {
		const struct uidset *set = of_target ? &look[i].stored : &look[i].source;
		struct lane *lane = look[i].lane;

		if (lane->skipped || uidset_is_empty(set))
			continue;
		want[wants++] = heading_want(of_target ? lane->target : lane->source, set, &look[i]);
	}
	ret = headings_fetch(st, want, wants, &to, err);
	for (size_t i = 0; ret == 0 && i < wants; i++)
		if (want[i].err.kind != ERR_NONE)
			lane_skip(((struct look *)want[i].tag)->lane, want[i].err.text);
	free(want);
	return ret;
}

/* --- before and after --- */

/*
 * A server that lost its state shows mailboxes empty that are not, mostly for a while. So this is no
 * word to remove anything on, unless the user said so.
 */
static bool is_emptied(const struct lane *lane)
{
	const struct job_settings *set = lane->job->set;

	return lane->source_changes.n == 0 && lane->to->stored > 0 && !set->allow_deletes_given &&
	       set->deletions == DELETIONS_MIRROR;
}

static void leave_emptied(struct lane *lane)
{
	char *why = xasprintf("%s, and none is in it now; nothing of it is removed here. If "
			      "it was emptied on purpose: %s --allow-deletes=%llu",
			      lane_why_rebinding(lane), lane->job->set->again, (unsigned long long)lane->to->stored);

	lane_skip(lane, why);
	free(why);
}

static void doubtful(const struct rebind_doubts *d, const struct changes *c, struct uidset *out)
{
	for (size_t i = 0; i < d->n; i++)
		uidset_add(out, c->v[d->v[i].at].uid);
}

/*
 * What is in quarantine is not stored, so nothing shows which message it is; where all others have
 * the UIDs they had (`same`), it has, too. Else it is met again, as something new.
 */
static void carry_quarantine(const struct look *look, bool same, struct base *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_quarantine; i++) {
		struct quarantined *q = &b->quarantine[i];

		if (same && changes_find(&look->lane->source_changes, q->uid) &&
		    !uidset_has(&b->known, q->uid))
			b->quarantine[n++] = *q;
		else
			free(q->reason);
	}
	b->n_quarantine = n;
	for (size_t i = 0; i < n; i++)
		uidset_add(&b->known, b->quarantine[i].uid);
}

/*
 * Every message that is there under the UID of a stored one is that one: then nothing happened to
 * UIDs that the base does not know how to tell, and the mailbox is one like any other.
 */
static bool all_are_themselves(const struct look *look)
{
	const struct lane *lane = look->lane;
	const struct changes *stored = &lane->target_changes, *source = &lane->source_changes;

	if (source->token.uidvalidity != lane->uidvalidity_then || !rebind_keeps_uids(&look->r))
		return false;
	for (size_t i = 0; i < stored->n; i++)
		if (stored->v[i].source_uid != 0 && look->r.pair[i] == REBIND_NONE &&
		    changes_find(source, stored->v[i].source_uid))
			return false;
	return true;
}

/* Take over what was found, as if the UIDs had always been these. */
static void bind(struct look *look)
{
	struct lane *lane = look->lane;
	struct changes *stored = &lane->target_changes;
	const struct changes *source = &lane->source_changes;
	struct job_mailbox *line = lane_line(lane);
	bool same = look->r.paired > 0 && rebind_keeps_uids(&look->r);
	struct uidset_builder known;
	size_t n = 0;

	uidset_builder_init(&known);
	lane->bind_from = xcalloc(look->r.paired, sizeof(*lane->bind_from));
	lane->bind_to = xcalloc(look->r.paired, sizeof(*lane->bind_to));
	for (size_t i = 0; i < stored->n; i++) {
		struct entry *e = &stored->v[i];
		uint32_t at = look->r.pair[i], to = at == REBIND_NONE ? 0 : source->v[at].uid;

		if (to) {
			lane->bind_from[n] = e->source_uid;
			lane->bind_to[n++] = to;
			uidset_builder_add(&known, to, to);
		}
		e->source_uid = to;
	}
	lane->n_bind = n;
	uidset_clear(&lane->base.known);
	uidset_builder_finish(&known, &lane->base.known);
	uidset_builder_release(&known);
	carry_quarantine(look, same, &lane->base);
	lane->base.token = (struct token){ .known = true,
					   .uidvalidity = source->token.uidvalidity };
	if (*lane->from->mailboxid)
		memcpy(lane->base.mailboxid, lane->from->mailboxid, sizeof(lane->base.mailboxid));
	line->rebound = true;
	line->recognised = n;
	line->to_recognise = look->r.bound;
}

static void look_release(struct look *look)
{
	rebind_release(&look->r);
	uidset_release(&look->stored);
	uidset_release(&look->source);
}

int job_recognise(struct job *job, struct err *err)
{
	struct look *look = xcalloc(job->n, sizeof(*look));
	size_t n = 0;
	int ret = -1;

	for (size_t i = 0; i < job->n; i++) {
		struct lane *lane = &job->lanes[i];

		if (!lane->skipped && lane->rebinding && is_emptied(lane))
			leave_emptied(lane);
		if (lane->skipped || !lane->rebinding)
			continue;
		look[n].lane = lane;
		rebind_describe(&look[n].r, &lane->target_changes, &lane->source_changes);
		doubtful(&look[n].r.stored_doubts, &lane->target_changes, &look[n].stored);
		doubtful(&look[n].r.source_doubts, &lane->source_changes, &look[n].source);
		n++;
	}
	if (read_headers(job->source, look, n, false, err) < 0 ||
	    (n > 0 && read_headers(job->target, look, n, true, err) < 0))
		goto out;
	for (size_t i = 0; i < n; i++) {
		if (look[i].lane->skipped)
			continue;
		rebind_settle(&look[i].r);
		if (all_are_themselves(&look[i]))
			look[i].lane->rebinding = false;
		else
			bind(&look[i]);
	}
	ret = 0;
out:
	for (size_t i = 0; i < n; i++)
		look_release(&look[i]);
	free(look);
	return ret;
}
