#include "core/sync/follow.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/heading.h"

/* Of a mailbox, while there are few in question; of all, and yet of each, while there are many. */
enum { SAMPLE_MIN = 2, SAMPLES = 512 };

void follow_drop(struct following *f, size_t to)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->pair[i].to != to)
			f->pair[n++] = f->pair[i];
	f->n = n;
}

bool follow_has(const struct following *f, size_t to)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->pair[i].to == to)
			return true;
	return false;
}

/* Up to `most` messages, from the first to the last. */
static void take_samples(struct candidate *c, size_t most)
{
	const struct changes *held = &c->changes;
	size_t bound = 0, seen = 0;

	for (size_t i = 0; i < held->n; i++)
		bound += held->v[i].source_uid != 0;
	for (size_t i = 0; i < held->n; i++) {
		if (held->v[i].source_uid == 0)
			continue;
		if (seen++ * most >= c->n_samples * bound && c->n_samples < most)
			c->sample[c->n_samples++] = (struct sample){
				.own = held->v[i].uid, .uid = held->v[i].source_uid
			};
	}
}

static bool needs_samples(const struct following *f, size_t to)
{
	bool needs = false;

	for (size_t i = 0; i < f->n; i++) {
		if (f->pair[i].to != to)
			continue;
		if (f->pair[i].one_id)
			return false;
		needs = true;
	}
	return needs;
}

static int look_at_stored(struct following *f, struct err *err)
{
	struct job *job = f->job;
	struct changes_request *req = xcalloc(job->to.n, sizeof(*req));
	size_t most = SAMPLES / f->n, n = 0;
	int ret = 0;

	most = most > SAMPLE_MAX ? SAMPLE_MAX : most < SAMPLE_MIN ? SAMPLE_MIN : most;
	for (size_t i = 0; i < job->to.n && ret == 0; i++) {
		struct candidate *c = &f->candidate[i];

		if (!needs_samples(f, i) || job->to.v[i].stored == 0)
			continue;
		ret = mailbox_open(job->target, &job->to.v[i],
				   job->set->dry_run ? STORE_READ : STORE_WRITE, &c->mailbox, err);
		if (ret < 0 && err->kind == ERR_MAILBOX) {
			c->mailbox = NULL;
			follow_drop(f, i);
			ret = 0;
		} else if (ret == 0) {
			changes_init(&c->changes);
			req[n++] = (struct changes_request){ .mailbox = c->mailbox,
							     .out = &c->changes };
		}
	}
	if (ret == 0)
		ret = store_changes(job->target, req, n, err);
	for (size_t i = 0; i < job->to.n && ret == 0; i++)
		take_samples(&f->candidate[i], most);
	free(req);
	return ret;
}

static struct sample *find_sample(struct candidate *c, uint32_t uid, bool own)
{
	for (size_t i = 0; i < c->n_samples; i++)
		if ((own ? c->sample[i].own : c->sample[i].uid) == uid)
			return &c->sample[i];
	return NULL;
}

/* `tag`: the candidate. */
static void tell_stored(void *tag, const struct message *msg, const uint8_t header[CONTENT_HASH_SIZE],
			const uint8_t *content)
{
	struct sample *s = find_sample(tag, msg->uid, true);

	(void)content;
	if (!s)
		return;
	s->told = true;
	memcpy(s->header, header, sizeof(s->header));
}

/* One of the source's mailboxes, which is asked for samples. */
struct asked {
	struct following *f;
	size_t from;
	struct uidset set;
};

/* `tag`: one of these. */
static void tell_source(void *tag, const struct message *msg, const uint8_t header[CONTENT_HASH_SIZE],
			const uint8_t *content)
{
	struct asked *asked = tag;
	struct following *f = asked->f;

	(void)content;
	for (size_t i = 0; i < f->n; i++) {
		struct rename_pair *p = &f->pair[i];
		const struct sample *s = find_sample(&f->candidate[p->to], msg->uid, false);

		if (p->from != asked->from || !s || !s->told)
			continue;
		*(memcmp(s->header, header, sizeof(s->header)) == 0 ? &p->same : &p->other) += 1;
	}
}

static int read_stored(struct following *f, struct err *err)
{
	size_t most = f->job->to.n, n = 0;
	struct headings to = { .tell = tell_stored };
	struct want *want = xcalloc(most, sizeof(*want));
	struct uidset *set = xcalloc(most, sizeof(*set));
	int ret;

	for (size_t i = 0; i < most; i++) {
		struct candidate *c = &f->candidate[i];

		for (size_t k = 0; k < c->n_samples; k++)
			uidset_add(&set[i], c->sample[k].own);
		if (c->n_samples > 0)
			want[n++] = heading_want(c->mailbox, &set[i], c);
	}
	ret = n ? headings_fetch(f->job->target, want, n, &to, err) : 0;
	for (size_t i = 0; i < most; i++)
		uidset_release(&set[i]);
	free(set);
	free(want);
	return ret;
}

/* What one of the source's mailboxes is asked for: the samples of all that it may be. */
static void samples_of(struct following *f, size_t from, struct uidset *out)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct candidate *c = &f->candidate[f->pair[i].to];

		for (size_t k = 0; f->pair[i].from == from && k < c->n_samples; k++)
			uidset_add(out, c->sample[k].uid);
	}
}

static int read_source(struct following *f, struct err *err)
{
	struct job *job = f->job;
	size_t most = job->from.n, n = 0;
	struct headings to = { .tell = tell_source };
	struct want *want = xcalloc(most, sizeof(*want));
	struct asked *asked = xcalloc(most, sizeof(*asked));
	int ret = 0;

	for (size_t i = 0; i < most && ret == 0; i++) {
		struct mailbox *mb;

		asked[i] = (struct asked){ .f = f, .from = i };
		samples_of(f, i, &asked[i].set);
		if (uidset_is_empty(&asked[i].set))
			continue;
		ret = job_open_source(job, &job->from.v[i], &mb, err);
		if (ret == 0)
			want[n++] = heading_want(mb, &asked[i].set, &asked[i]);
		else if (err->kind == ERR_MAILBOX)
			ret = 0; /* nothing of it agrees */
	}
	if (ret == 0 && n > 0)
		ret = headings_fetch(job->source, want, n, &to, err);
	for (size_t i = 0; i < most; i++)
		uidset_release(&asked[i].set);
	free(asked);
	free(want);
	return ret;
}

int follow_sample(struct following *f, struct err *err)
{
	if (look_at_stored(f, err) < 0 || read_stored(f, err) < 0)
		return -1;
	return read_source(f, err);
}
