#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/heading.h"
#include "core/sync/job_internal.h"
#include "core/sync/rebind.h"

/*
 * What others put into the target (a Maildir of another program, or ours without its index): those of the
 * source's messages that lie there already are not fetched. A file and a message of one size and one
 * heading are a pair, one to one; where several files could be meant and are not the same, none is, and what
 * is fetched finds its like by all of its bytes (append()).
 */

/* What the source says of one of its messages. */
struct told {
	uint32_t flags; /* id in pairing.flags */
	struct maildate date;
};

struct pair {
	uint32_t uid, stranger; /* of the source, and of the target's strangers() */
	uint32_t size;
	struct told told;
};

/* Of one lane, ascending by uid. */
struct pairing {
	struct pair *v;
	size_t n;
	struct flag_table *flags;
};

void pairing_free(struct pairing *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		maildate_release(&p->v[i].told.date);
	free(p->v);
	flag_table_free(p->flags);
	free(p);
}

bool job_may_adopt(const struct lane *lane)
{
	return lane->job->target_config.adopt && lane->target && lane->job->set->target->strangers;
}

/* --- which is which --- */

/* A file that others put there. */
struct stranger {
	uint32_t id;
	uint32_t size;
	uint8_t header[REBIND_HASH_SIZE], content[REBIND_HASH_SIZE];
};

struct strangers {
	struct stranger *v; /* ascending by id */
	size_t n, cap;
};

/* One mailbox in which pairs are looked for. */
struct look {
	struct lane *lane;
	struct strangers found;
	struct changes there;  /* the strangers, each under its number */
	struct changes wanted; /* what plan.fetch names */
	struct uidset ask;     /* of these, whose header has to be seen */
	struct told *told;     /* of each in wanted.v */
	struct flag_table *flags;
	struct rebind r;
};

static void look_release(struct look *look)
{
	for (size_t i = 0; look->told && i < look->wanted.n; i++)
		maildate_release(&look->told[i].date);
	free(look->told);
	free(look->found.v);
	rebind_release(&look->r);
	changes_release(&look->there);
	changes_release(&look->wanted);
	uidset_release(&look->ask);
	flag_table_free(look->flags);
}

static void keep_stranger(void *tag, const struct message *msg,
			  const uint8_t header[CONTENT_HASH_SIZE], const uint8_t *content)
{
	struct strangers *s = tag;
	struct stranger *new;

	if (msg->size >= UINT32_MAX) /* sizes in an answer of the source end there */
		return;
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	new = &s->v[s->n++];
	*new = (struct stranger){ .id = msg->uid, .size = (uint32_t)msg->size };
	memcpy(new->header, header, sizeof(new->header));
	memcpy(new->content, content, sizeof(new->content));
}

/* Only what is as long as something that is wanted can be it. False: the source does not say how long that is. */
static bool wanted_sizes(const struct lane *lane, struct uidset *out)
{
	const struct changes *source = &lane->source_changes;
	struct uidset_builder sizes;
	bool all = true;

	uidset_builder_init(&sizes);
	for (size_t i = 0; i < source->n && all; i++)
		if (uidset_has(&lane->plan.fetch, source->v[i].uid)) {
			all = source->v[i].size != 0;
			uidset_builder_add(&sizes, source->v[i].size, source->v[i].size);
		}
	uidset_builder_finish(&sizes, out);
	uidset_builder_release(&sizes);
	return all;
}

/* 1: there are some; 0: none, or the mailbox is in trouble; -1. */
static int read_strangers(struct look *look, struct err *err)
{
	struct headings to = { .tell = keep_stranger, .content = true };
	const struct message_sink sink = headings_sink(&to);
	struct lane *lane = look->lane;
	struct uidset sizes = UIDSET_INIT;
	int ret;

	lane->job->progress.mailbox = lane_line(lane)->name;
	job_tell(lane->job, JOB_COMPARE);
	ret = mailbox_strangers(lane->target, wanted_sizes(lane, &sizes) ? &sizes : NULL, &look->found,
				&sink, err);
	uidset_release(&sizes);
	if (ret == 0)
		return look->found.n > 0;
	if (err->kind != ERR_MAILBOX)
		return -1;
	lane_skip(lane, err->text);
	return 0;
}

static void describe(struct look *look)
{
	const struct changes *source = &look->lane->source_changes;

	for (size_t i = 0; i < look->found.n; i++) {
		struct entry *e = changes_add(&look->there, look->found.v[i].id);

		e->source_uid = e->uid; /* only what is bound is paired */
		e->size = look->found.v[i].size;
	}
	for (size_t i = 0; i < source->n; i++)
		if (uidset_has(&look->lane->plan.fetch, source->v[i].uid))
			changes_add(&look->wanted, source->v[i].uid)->size = source->v[i].size;
	look->told = xcalloc(look->wanted.n, sizeof(*look->told));
	rebind_describe(&look->r, &look->there, &look->wanted);
	for (size_t i = 0; i < look->r.source_doubts.n; i++)
		uidset_add(&look->ask, look->wanted.v[look->r.source_doubts.v[i].at].uid);
	for (size_t i = 0; i < look->found.n; i++)
		rebind_tell_stored(&look->r, look->found.v[i].id, look->found.v[i].header,
				   look->found.v[i].content);
	free(look->found.v);
	look->found = (struct strangers){ 0 };
}

static void keep_told(void *tag, const struct message *msg, const uint8_t header[CONTENT_HASH_SIZE],
		      const uint8_t *content)
{
	struct look *look = tag;
	const struct entry *wanted = changes_find(&look->wanted, msg->uid);
	size_t at = wanted ? (size_t)(wanted - look->wanted.v) : 0;

	(void)content;
	if (!wanted || !msg->flags || !msg->date)
		return;
	look->told[at].flags = flag_table_intern(look->flags, msg->flags);
	maildate_copy(&look->told[at].date, msg->date);
	rebind_tell_source(&look->r, msg->uid, header);
}

/* Trouble with a mailbox is met again, and named, when what is not paired is fetched. */
static int read_headers(struct job *job, struct look *look, size_t n, struct err *err)
{
	struct headings to = { .tell = keep_told };
	struct want *want = xcalloc(n, sizeof(*want));
	size_t wants = 0;
	int ret;

	for (size_t i = 0; i < n; i++)
		if (!uidset_is_empty(&look[i].ask))
			want[wants++] = heading_want(look[i].lane->source, &look[i].ask, &look[i]);
	ret = headings_fetch(job->source, want, wants, &to, err);
	free(want);
	return ret;
}

static void settle(struct look *look)
{
	struct pairing *p = xcalloc(1, sizeof(*p));
	uint32_t *stranger = xcalloc(look->wanted.n, sizeof(*stranger)); /* 0: none */

	rebind_settle(&look->r);
	for (size_t i = 0; i < look->there.n; i++)
		if (look->r.pair[i] != REBIND_NONE)
			stranger[look->r.pair[i]] = look->there.v[i].uid;
	p->v = xcalloc(look->r.paired, sizeof(*p->v));
	for (size_t i = 0; i < look->wanted.n; i++) {
		if (!stranger[i])
			continue;
		p->v[p->n++] = (struct pair){ .uid = look->wanted.v[i].uid, .stranger = stranger[i],
					      .size = look->wanted.v[i].size,
					      .told = look->told[i] };
		maildate_init(&look->told[i].date); /* it went along */
	}
	p->flags = look->flags;
	look->flags = NULL;
	free(stranger);
	look->lane->pairing = p;
}

static void subtract_taken(struct lane *lane, struct uidset_builder *taken)
{
	struct uidset set = UIDSET_INIT;

	uidset_builder_finish(taken, &set);
	uidset_subtract(&lane->plan.fetch, &lane->plan.fetch, &set);
	lane->plan.expect -= uidset_count(&set);
	uidset_release(&set);
}

/* A dry run: what would be taken over is not downloaded. */
static void preview(struct lane *lane)
{
	const struct pairing *p = lane->pairing;
	struct job_mailbox *line = lane_line(lane);
	struct uidset_builder taken;

	uidset_builder_init(&taken);
	for (size_t i = 0; i < p->n; i++) {
		line->bytes -= p->v[i].size;
		uidset_builder_add(&taken, p->v[i].uid, p->v[i].uid);
	}
	line->adopted = p->n;
	line->new_messages -= p->n;
	subtract_taken(lane, &taken);
	uidset_builder_release(&taken);
}

/* What was not read whole is taken at its word, so the user hears how to have it read. */
static void tell_pairs(struct job *job)
{
	uint64_t n = 0;

	for (size_t i = 0; i < job->n; i++) {
		if (!job->lanes[i].pairing)
			continue;
		n += job->lanes[i].pairing->n;
		if (job->set->dry_run)
			preview(&job->lanes[i]);
	}
	if (n > 0 && job_writes_account(job))
		job_note(job, "%llu messages are at the target already, going by size and header, and are not "
			      "copied",
			 (unsigned long long)n);
	else if (n > 0 && (job->set->dry_run || job_reads_store(job)))
		job_note(job, "%llu messages are there already, going by size and header",
			 (unsigned long long)n);
	else if (n > 0)
		job_note(job, "%llu messages are there already, going by size and header, and are not "
			      "downloaded; their bytes are compared by: mailcask check --against %s "
			      "--sample 500 %s",
			 (unsigned long long)n, job->source_config.name, job->target_config.name);
}

static bool is_looked_at(const struct lane *lane)
{
	return job_may_adopt(lane) && !lane->skipped && !lane->gone && !lane->source_unchanged &&
	       lane->plan.fetch_exact && !uidset_is_empty(&lane->plan.fetch);
}

int job_find_strangers(struct job *job, struct err *err)
{
	struct look *look = xcalloc(job->n, sizeof(*look));
	size_t n = 0;
	int ret = -1, got;

	for (size_t i = 0; i < job->n; i++) {
		if (!is_looked_at(&job->lanes[i]))
			continue;
		look[n] = (struct look){ .lane = &job->lanes[i], .flags = flag_table_new() };
		changes_init(&look[n].there);
		changes_init(&look[n].wanted);
		got = read_strangers(&look[n], err);
		if (got > 0)
			describe(&look[n]);
		n++;
		if (got < 0)
			goto out;
		if (got == 0)
			look_release(&look[--n]);
	}
	if (read_headers(job, look, n, err) < 0)
		goto out;
	for (size_t i = 0; i < n; i++)
		settle(&look[i]);
	tell_pairs(job);
	ret = 0;
out:
	for (size_t i = 0; i < n; i++)
		look_release(&look[i]);
	free(look);
	return ret;
}

/* --- taking over --- */

static int take(struct lane *lane, const struct pair *pair, uint32_t *uid, struct err *err)
{
	const struct message msg = { .uid = pair->uid, .size = pair->size,
				     .flags = flag_table_get(lane->pairing->flags, pair->told.flags),
				     .date = &pair->told.date };

	if (store_check_stop(lane->job->target, err) < 0)
		return -1;
	return mailbox_take(lane->target, pair->stranger, &msg, uid, err);
}

int job_take_strangers(struct lane *lane, outcome_fn *report, struct err *err)
{
	const struct pairing *p = lane->pairing;
	struct uidset_builder taken;
	int ret = 0;

	uidset_builder_init(&taken);
	for (size_t i = 0; p && ret == 0 && i < p->n; i++) {
		uint32_t uid = 0;

		ret = take(lane, &p->v[i], &uid, err);
		if (!uid) /* it is fetched, then */
			continue;
		report(lane->job, lane, p->v[i].uid, OUTCOME_ADOPTED, uid, NULL);
		uidset_builder_add(&taken, p->v[i].uid, p->v[i].uid);
		lane->job->progress.messages_total++;
		ret = job_count_in(lane, 0, err);
	}
	subtract_taken(lane, &taken);
	uidset_builder_release(&taken);
	return ret;
}
