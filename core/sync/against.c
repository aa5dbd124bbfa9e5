#include "core/sync/against.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/bound.h"
#include "core/sync/hashing.h"
#include "core/sync/scope.h"

#define BATCH 50 /* mailboxes listed in one call, so that memory does not grow with the account */

/* A mailbox that both have. */
struct pair {
	const struct mailbox_info *from, *to;
	struct mailbox *source, *target;
	struct changes source_changes, target_changes;
	struct base base;
};

/* A message to be compared byte by byte. */
struct suspect {
	size_t pair;
	uint32_t uid, stored_uid;
	uint8_t sha256[CONTENT_HASH_SIZE]; /* of what is stored, with `read` */
	uint64_t size;
	bool read;
	bool settled;
};

struct comparing {
	struct against *a;
	struct pair *pair;
	size_t n_pairs;
	struct suspect *suspect; /* those of the sample first */
	size_t n_suspects, cap_suspects;
	uint64_t n_sample;    /* of them, in the sample */
	uint64_t candidates;  /* for the sample, seen so far */
	uint64_t by_size;     /* suspects because of their size */
};

__attribute__((format(printf, 6, 7))) static void tell(struct against *a,
							enum difference_kind kind,
							const struct mailbox_name *mailbox,
							uint32_t uid, uint32_t stored_uid,
							const char *fmt, ...)
{
	char *name = mailbox_name_text(mailbox), *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		abort();
	va_end(ap);
	a->differences[kind]++;
	a->found(a->ctx, &(struct difference){ .kind = kind, .mailbox = name, .uid = uid,
					       .stored_uid = stored_uid, .what = what });
	free(name);
	free(what);
}

/* --- what to compare byte by byte --- */

static struct suspect *add_suspect(struct comparing *c)
{
	c->suspect = xgrow(c->suspect, c->n_suspects, &c->cap_suspects, sizeof(*c->suspect));
	return &c->suspect[c->n_suspects++];
}

/* Every message that both have is as likely as any other to be in the sample. */
static void offer_to_sample(struct comparing *c, const struct suspect *s)
{
	uint64_t at = c->candidates++;

	if (c->n_sample < c->a->sample) {
		struct suspect *last = add_suspect(c);

		*last = c->suspect[c->n_sample]; /* one that was there because of its size */
		c->suspect[c->n_sample++] = *s;
		return;
	}
	if (c->candidates > UINT32_MAX)
		return;
	at = arc4random_uniform((uint32_t)c->candidates);
	if (at < c->n_sample)
		c->suspect[at] = *s;
}

static void compare_sizes(struct comparing *c, const struct suspect *s, const struct entry *at_source,
			  const struct entry *stored)
{
	if (at_source->size == stored->size || at_source->size == 0 || stored->size == 0) {
		offer_to_sample(c, s);
		return;
	}
	if (c->by_size++ < AGAINST_SIZES_MAX)
		*add_suspect(c) = *s;
}

/* --- one mailbox --- */

static void tell_not_stored(struct comparing *c, const struct pair *p, uint32_t uid)
{
	const struct mailbox_name *name = &p->from->name;
	const struct base *base = &p->base;
	uint64_t next = base->token.uidnext ? base->token.uidnext :
			uidset_is_empty(&base->known) ? 1 : (uint64_t)uidset_max(&base->known) + 1;

	for (size_t i = 0; i < base->n_quarantine; i++)
		if (base->quarantine[i].uid == uid) {
			tell(c->a, DIFFERENCE_QUARANTINED, name, uid, 0, "in quarantine: %s",
			     base->quarantine[i].reason ? base->quarantine[i].reason : "");
			return;
		}
	if (uid >= next)
		tell(c->a, DIFFERENCE_NEW, name, uid, 0, "new since the last backup");
	else
		tell(c->a, DIFFERENCE_LACKING, name, uid, 0, "the account has it, the store does not");
}

static void compare_flags(struct comparing *c, const struct pair *p, const struct entry *at_source,
			  const struct entry *stored)
{
	if (!flags_equal(flag_table_get(p->source_changes.flags, at_source->flags),
			 flag_table_get(p->target_changes.flags, stored->flags)))
		tell(c->a, DIFFERENCE_FLAGS, &p->from->name, at_source->uid, stored->uid,
		     "its flags differ");
}

static void compare_pair(struct comparing *c, size_t at)
{
	const struct pair *p = &c->pair[at];
	const struct changes *src = &p->source_changes, *stored = &p->target_changes;
	size_t n, b = 0;
	struct bound *bound = bound_messages(stored, &n);

	for (size_t s = 0; s <= src->n; s++) {
		uint64_t uid = s < src->n ? src->v[s].uid : (uint64_t)UINT32_MAX + 1;

		for (; b < n && bound[b].source_uid < uid; b++)
			if (src->complete)
				tell(c->a, DIFFERENCE_GONE, &p->from->name, bound[b].source_uid,
				     stored->v[bound[b].index].uid, "the account does not have it any more");
		if (s == src->n)
			break;
		if (b == n || bound[b].source_uid != uid) {
			tell_not_stored(c, p, (uint32_t)uid);
			continue;
		}
		c->a->messages++;
		compare_flags(c, p, &src->v[s], &stored->v[bound[b].index]);
		compare_sizes(c,
			      &(struct suspect){ .pair = at, .uid = (uint32_t)uid,
						 .stored_uid = stored->v[bound[b].index].uid },
			      &src->v[s], &stored->v[bound[b].index]);
		b++;
	}
	free(bound);
}

/* Why its messages cannot be told apart; NULL where they can. */
static const char *incomparable(const struct pair *p)
{
	const struct token *now = &p->source_changes.token, *then = &p->base.token;

	if (p->source_changes.err.kind != ERR_NONE)
		return p->source_changes.err.text;
	if (p->target_changes.err.kind != ERR_NONE)
		return p->target_changes.err.text;
	if (!p->target_changes.complete)
		return "what is stored could not be read in full";
	if (then->known && now->known && then->uidvalidity != now->uidvalidity)
		return "the server changed its UIDVALIDITY, so its messages cannot be told from those "
		       "stored";
	return NULL;
}

static void judge_pair(struct comparing *c, size_t at)
{
	struct pair *p = &c->pair[at];
	const char *why = incomparable(p);

	if (why) {
		tell(c->a, DIFFERENCE_UNCOMPARED, &p->from->name, 0, 0, "%s", why);
		return;
	}
	c->a->compared++;
	compare_pair(c, at);
	if (!p->source_changes.complete)
		tell(c->a, DIFFERENCE_UNCOMPARED, &p->from->name, 0, 0,
		     "the server's answer does not account for all messages");
}

/* ERR_MAILBOX is told; -1 for the rest. */
static int open_pair(struct comparing *c, struct pair *p, struct err *err)
{
	if (mailbox_open(c->a->source, p->from, STORE_READ, &p->source, err) == 0 &&
	    mailbox_open(c->a->target, p->to, STORE_READ, &p->target, err) == 0 &&
	    mailbox_base(p->target, &p->base, err) == 0)
		return 0;
	if (err->kind != ERR_MAILBOX)
		return -1;
	p->target = NULL;
	tell(c->a, DIFFERENCE_UNCOMPARED, &p->from->name, 0, 0, "%s", err->text);
	return 0;
}

/* pair[from] to [to - 1]. */
static int compare_batch(struct comparing *c, size_t from, size_t to, struct err *err)
{
	struct changes_request source[BATCH], target[BATCH];
	size_t n = 0;
	int ret = 0;

	for (size_t i = from; i < to && ret == 0; i++) {
		struct pair *p = &c->pair[i];

		changes_init(&p->source_changes);
		changes_init(&p->target_changes);
		base_init(&p->base);
		ret = open_pair(c, p, err);
		if (!p->target)
			continue;
		source[n] = (struct changes_request){ .mailbox = p->source, .sizes = true,
						      .out = &p->source_changes };
		target[n++] = (struct changes_request){ .mailbox = p->target, .sizes = true,
							.out = &p->target_changes };
	}
	if (ret == 0)
		ret = store_changes(c->a->source, source, n, err);
	if (ret == 0)
		ret = store_changes(c->a->target, target, n, err);
	for (size_t i = from; i < to; i++) {
		struct pair *p = &c->pair[i];

		if (ret == 0 && p->target)
			judge_pair(c, i);
		changes_release(&p->source_changes);
		changes_release(&p->target_changes);
		base_release(&p->base);
	}
	return ret;
}

/* --- byte by byte --- */

/* A fetch of the suspects of one mailbox, from either side. */
struct reading {
	struct comparing *c;
	struct suspect *first;
	size_t n;
	bool stored;
};

static struct suspect *suspect_of(const struct reading *r, uint32_t uid)
{
	for (size_t i = 0; i < r->n; i++)
		if ((r->stored ? r->first[i].stored_uid : r->first[i].uid) == uid)
			return &r->first[i];
	return NULL;
}

static void settle(const struct reading *r, struct suspect *s, enum difference_kind kind,
		   const char *what)
{
	if (s->settled)
		return;
	s->settled = true;
	tell(r->c->a, kind, &r->c->pair[s->pair].from->name, s->uid, s->stored_uid, "%s", what);
}

static void take_hash(struct reading *r, struct suspect *s, const uint8_t *sum, uint64_t size)
{
	struct against *a = r->c->a;
	char *what;

	if (r->stored) {
		memcpy(s->sha256, sum, CONTENT_HASH_SIZE);
		s->size = size;
		s->read = true;
		return;
	}
	if (s->settled || !s->read)
		return;
	a->fetched++;
	a->fetched_bytes += size;
	if (s->size == size && memcmp(s->sha256, sum, CONTENT_HASH_SIZE) == 0) {
		s->settled = true;
		return;
	}
	what = xasprintf("its content differs: the account has %llu bytes, the store %llu",
			 (unsigned long long)size, (unsigned long long)s->size);
	settle(r, s, DIFFERENCE_CONTENT, what);
	free(what);
}

static int hash_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct reading *r = ctx;
	uint8_t sum[CONTENT_HASH_SIZE];
	uint64_t size = hashing_end(handle, sum);
	struct suspect *s = complete ? suspect_of(r, msg->uid) : NULL;

	(void)err;
	if (s)
		take_hash(r, s, sum, size);
	return 0;
}

static void on_read(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		    const struct err *why)
{
	struct reading *r = ctx;
	struct suspect *s = suspect_of(r, uid);

	(void)tag;
	(void)new_uid;
	if (!s || what == OUTCOME_DONE || what == OUTCOME_ADOPTED)
		return;
	if (r->stored && what == OUTCOME_REFUSED)
		settle(r, s, DIFFERENCE_CONTENT, why ? why->text : "what is stored cannot be read");
	else if (!r->stored && what == OUTCOME_UID_UNKNOWN)
		settle(r, s, DIFFERENCE_GONE, "the account does not have it any more");
	else
		settle(r, s, DIFFERENCE_UNCOMPARED, why ? why->text : "it could not be read");
}

static int read_side(struct reading *r, struct err *err)
{
	const struct message_sink sink = { .ctx = r, .begin = hashing_begin, .write = hashing_write,
					   .end = hash_end };
	struct pair *p = &r->c->pair[r->first->pair];
	struct uidset set = UIDSET_INIT;
	struct want want = { .mailbox = r->stored ? p->target : p->source, .set = &set, .exact = true };
	int ret;

	for (size_t i = 0; i < r->n; i++)
		if (!r->first[i].settled)
			uidset_add(&set, r->stored ? r->first[i].stored_uid : r->first[i].uid);
	want.expect = uidset_count(&set);
	ret = want.expect ? store_fetch(r->stored ? r->c->a->target : r->c->a->source, &want, 1, &sink,
					on_read, r, err)
			  : 0;
	for (size_t i = 0; i < r->n && ret == 0; i++)
		if (!(r->stored ? r->first[i].read : r->first[i].settled))
			settle(r, &r->first[i], DIFFERENCE_UNCOMPARED,
			       want.err.kind != ERR_NONE ? want.err.text : "it could not be read");
	uidset_release(&set);
	return ret;
}

static int compare_suspect(const void *x, const void *y)
{
	const struct suspect *a = x, *b = y;

	if (a->pair != b->pair)
		return (a->pair > b->pair) - (a->pair < b->pair);
	return (a->uid > b->uid) - (a->uid < b->uid);
}

static int compare_contents(struct comparing *c, struct err *err)
{
	int ret = 0;

	if (c->n_suspects)
		qsort(c->suspect, c->n_suspects, sizeof(*c->suspect), compare_suspect);
	for (size_t i = 0, n; i < c->n_suspects && ret == 0; i += n) {
		struct reading r = { .c = c, .first = &c->suspect[i], .stored = true };

		for (n = 0; i + n < c->n_suspects && c->suspect[i + n].pair == c->suspect[i].pair; n++)
			;
		r.n = n;
		ret = read_side(&r, err);
		r.stored = false;
		if (ret == 0)
			ret = read_side(&r, err);
	}
	return ret;
}

/* --- all of it --- */

static bool in_scope(const struct against *a, const struct mailbox_info *info)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	bool in;

	mailbox_name_source(&source, &info->name);
	in = !(info->attributes & MAILBOX_NOSELECT) &&
	     scope_contains(a->mailboxes, a->n_mailboxes, &source, info->attributes);
	mailbox_name_release(&source);
	return in;
}

/* In `list` the mailbox that is one with `name`, which may be of the other side, where `map` renamed it. */
static const struct mailbox_info *find_same(const struct mailbox_list *list,
					    const struct mailbox_name *name)
{
	const struct mailbox_info *same = mailbox_list_find(list, name);

	if (same && mailbox_name_same_source(&same->name, name))
		return same;
	for (size_t i = 0; i < list->n; i++)
		if ((list->v[i].name.mapped || name->mapped) &&
		    mailbox_name_same_source(&list->v[i].name, name))
			return &list->v[i];
	return NULL;
}

static void choose_pairs(struct comparing *c)
{
	struct against *a = c->a;

	c->pair = xcalloc(a->from->n, sizeof(*c->pair));
	for (size_t i = 0; i < a->from->n; i++) {
		const struct mailbox_info *from = &a->from->v[i];
		const struct mailbox_info *to = find_same(a->to, &from->name);

		if (!in_scope(a, from))
			continue;
		if (to && !(to->attributes & MAILBOX_NOSELECT))
			c->pair[c->n_pairs++] = (struct pair){ .from = from, .to = to };
		else if (!from->token.known || from->token.messages > 0)
			tell(a, DIFFERENCE_UNCOMPARED, &from->name, 0, 0,
			     "the store does not have this mailbox: it is new, or never was backed up");
	}
}

static int name_gone(struct against *a, struct err *err)
{
	int ret;

	for (size_t i = 0; i < a->to->n; i++) {
		const struct mailbox_info *to = &a->to->v[i];
		const struct mailbox_info *from = find_same(a->from, &to->name);
		struct mailbox_name source = MAILBOX_NAME_INIT;
		bool exists = false;

		if (!to->token.known || !in_scope(a, to) ||
		    (from && !(from->attributes & MAILBOX_NOSELECT)))
			continue;
		mailbox_name_source(&source, &to->name);
		ret = store_exists(a->source, &source, &exists, err);
		mailbox_name_release(&source);
		if (ret < 0) {
			if (err->kind != ERR_MAILBOX)
				return -1;
			exists = true;
		}
		tell(a, exists ? DIFFERENCE_UNCOMPARED : DIFFERENCE_GONE, &to->name, 0, 0, "%s",
		     exists ? "the server's list leaves it out, yet it exists"
			    : "the account does not have this mailbox any more");
	}
	return 0;
}

int against_run(struct against *a, struct err *err)
{
	struct comparing c = { .a = a };
	int ret;

	choose_pairs(&c);
	ret = name_gone(a, err);
	for (size_t i = 0; i < c.n_pairs && ret == 0; i += BATCH)
		ret = compare_batch(&c, i, i + BATCH < c.n_pairs ? i + BATCH : c.n_pairs, err);
	if (ret == 0)
		ret = compare_contents(&c, err);
	if (ret == 0 && c.by_size > AGAINST_SIZES_MAX)
		tell(a, DIFFERENCE_UNCOMPARED, &c.pair[0].from->name, 0, 0,
		     "in all mailboxes, %llu more messages have another size than the server says, which "
		     "proves nothing, and were not fetched",
		     (unsigned long long)(c.by_size - AGAINST_SIZES_MAX));
	free(c.pair);
	free(c.suspect);
	return ret;
}
