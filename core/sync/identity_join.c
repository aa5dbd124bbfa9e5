#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/identity.h"
#include "core/sync/job_internal.h"

/*
 * Each content is fetched once, where the source says which messages are the same. What is said of all
 * messages to be fetched is asked first, without their bodies. Then
 *
 *   the store holds one of that identity --> made from it at once
 *   another one of them is fetched -------> made from that, when it has come
 *   else ---------------------------------> fetched
 *
 * and what cannot be made is fetched after all. Sizes that differ are no sameness, whatever is said. What
 * has a date that is none is fetched, since its text would have to be kept here.
 */

#define KEY_SIZE 16

/* Another message, which is fetched. */
struct first {
	uint32_t lane, uid; /* index in job->lanes; source UID */
};

/* A message to be fetched, or made of another. Small: a first run has as many as there is mail. */
struct twin {
	union {
		uint8_t key[KEY_SIZE]; /* of its identity */
		struct first first;    /* from settle_twins() on: what it is made of */
	} of;
	int64_t date;
	uint32_t lane, uid, size, flags; /* flags: id in join->flags */
	int16_t zone;
	bool zero;  /* the day of the date is `07`, not ` 7` */
	bool later; /* to be made of another */
	bool alone; /* not to be made of another */
};

/* One that others are made of. */
struct source_of {
	struct first first;
	uint32_t new_uid; /* at the target; 0: it did not come */
};

struct join {
	struct job *job;
	struct flag_table *flags;
	struct twin *v;
	size_t n, cap;
	uint32_t *slot; /* by key: index in v of the one to be fetched, plus 1. Open addressing */
	size_t slots;   /* a power of two */
	size_t keys;
	struct source_of *sources; /* sorted */
	size_t n_sources;
	bool holds; /* the target has messages with identities, and they mean what they did */
};

void job_join_free(struct job *job)
{
	struct join *j = job->join;

	if (!j)
		return;
	flag_table_free(j->flags);
	free(j->v);
	free(j->slot);
	free(j->sources);
	free(j);
	job->join = NULL;
}

/* --- whether to ask --- */

static bool is_less(uint64_t now, uint64_t then)
{
	return now != 0 && now < then;
}

/* Under the same UIDVALIDITY: what only grows is less than it was. */
static bool went_back(const struct token *now, const struct token *then)
{
	return now->known && (is_less(now->uidnext, then->uidnext) ||
			      is_less(now->highestmodseq, then->highestmodseq));
}

/*
 * A server that was made anew, or put back to an earlier state, may give the identities of old messages to
 * others. Then it has forgotten its UIDs, too.
 */
static bool means_the_same(const struct job *job)
{
	size_t same = 0, changed = 0;

	for (size_t i = 0; i < job->to.n; i++) {
		const struct mailbox_info *to = &job->to.v[i];
		const struct mailbox_info *from = mailbox_list_find(&job->from, &to->name);

		if (!from || !to->token.known || to->stored == 0 || from->token.uidvalidity == 0)
			continue;
		if (from->token.uidvalidity != to->token.uidvalidity)
			changed++;
		else if (went_back(&from->token, &to->token))
			return false;
		else
			same++;
	}
	return same > changed || changed == 0;
}

static int can_pay(struct job *job, size_t wants, bool *holds, bool *out, struct err *err)
{
	*holds = *out = false;
	if (wants == 0 || !job->set->target->find_identity || !store_tells_identities(job->source))
		return 0;
	if (job->target && means_the_same(job) &&
	    store_holds_identities(job->target, holds, err) < 0)
		return -1;
	*out = wants > 1 || *holds;
	return 0;
}

/* --- the messages by their identity --- */

static bool key_of(struct bytes identity, uint8_t key[KEY_SIZE])
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	if (!identity_is_valid(identity) ||
	    EVP_Digest(identity.p, identity.n, sum, NULL, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(key, sum, KEY_SIZE);
	return true;
}

static uint32_t *slot_of(const struct join *j, const uint8_t key[KEY_SIZE])
{
	uint64_t h;
	size_t i;

	memcpy(&h, key, sizeof(h));
	for (i = (size_t)h & (j->slots - 1); j->slot[i]; i = (i + 1) & (j->slots - 1))
		if (memcmp(j->v[j->slot[i] - 1].of.key, key, KEY_SIZE) == 0)
			break;
	return &j->slot[i];
}

static void grow_slots(struct join *j)
{
	uint32_t *old = j->slot;
	size_t n = j->slots;

	j->slots = n ? n * 2 : 256;
	j->slot = xcalloc(j->slots, sizeof(*j->slot));
	for (size_t i = 0; i < n; i++)
		if (old[i])
			*slot_of(j, j->v[old[i] - 1].of.key) = old[i];
	free(old);
}

static bool is_all(const struct join *j, const struct twin *t)
{
	return j->job->lanes[t->lane].from->attributes & MAILBOX_ALL;
}

/* Which of two is to be fetched: that in the mailbox of all mail, else that in the first. */
static bool comes_before(const struct join *j, const struct twin *a, const struct twin *b)
{
	if (is_all(j, a) != is_all(j, b))
		return is_all(j, a);
	return a->lane != b->lane ? a->lane < b->lane : a->uid < b->uid;
}

/* Which of the two with this key is fetched, and is the other then made of it? */
static void join_twin(struct join *j, uint32_t at)
{
	struct twin *t = &j->v[at], *other;
	uint32_t *slot;

	if (j->keys * 2 >= j->slots)
		grow_slots(j);
	slot = slot_of(j, t->of.key);
	if (*slot == 0) {
		*slot = at + 1;
		j->keys++;
		return;
	}
	other = &j->v[*slot - 1];
	if (t->size != other->size || (t->alone && other->alone))
		return;
	if (t->alone || (!other->alone && comes_before(j, t, other))) {
		other->later = true;
		*slot = at + 1;
	} else {
		t->later = true;
	}
}

/* A date as three numbers; and back. */
static void unpack_date(const struct twin *t, struct maildate *out)
{
	struct buf text = BUF_INIT(MAILDATE_RAW_MAX);

	maildate_set(out, t->date, t->zone);
	if (t->zero) {
		maildate_format(out, &text);
		if (text.n > 0 && text.p[0] == ' ')
			text.p[0] = '0';
		maildate_parse(out, buf_bytes(&text));
	}
	buf_release(&text);
}

/* False when that is not all of it. */
static bool pack_date(const struct maildate *d, struct twin *t)
{
	struct maildate again;
	bool same;

	t->date = d->unix_time;
	t->zone = (int16_t)d->zone_minutes;
	t->zero = d->raw && d->raw[0] == '0';
	maildate_init(&again);
	unpack_date(t, &again);
	same = d->known && maildate_equal(d, &again);
	maildate_release(&again);
	return same;
}

static void add_twin(struct join *j, const struct lane *lane, const struct message *msg)
{
	struct twin *t;

	if (msg->size >= UINT32_MAX || j->n >= UINT32_MAX - 1)
		return;
	j->v = xgrow(j->v, j->n, &j->cap, sizeof(*j->v));
	t = &j->v[j->n];
	*t = (struct twin){ .lane = (uint32_t)(lane - j->job->lanes), .uid = msg->uid,
			    .size = (uint32_t)msg->size,
			    .flags = flag_table_intern(j->flags, msg->flags) };
	t->alone = !pack_date(msg->date, t);
	if (key_of(msg->identity, t->of.key))
		join_twin(j, (uint32_t)j->n++);
}

/* --- made of what is held --- */

static bool is_needed(const struct lane *lane, uint32_t uid)
{
	return uidset_contains(&lane->plan.fetch, uid) != UIDSET_NO &&
	       !uidset_has(&lane->passed, uid) && !uidset_has(&lane->spared, uid);
}

/* -1 ends the job. *made false: it has to be fetched. */
static int make_of(const struct held *held, struct lane *lane, const struct message *as, bool *made,
		   struct err *err)
{
	enum outcome what;
	struct err why;
	uint32_t new_uid = 0;

	*made = false;
	if (lane->skipped)
		return 0;
	if (mailbox_copy_as(held, lane->target, as, &what, &new_uid, &why, err) < 0) {
		if (err->kind == ERR_STOPPED) /* which is no trouble: what came is to be kept */
			return -1;
		job_target_trouble(lane, err);
		return err->kind == ERR_MESSAGE ? 0 : -1;
	}
	if (what != OUTCOME_DONE && what != OUTCOME_ADOPTED) {
		log_info("%s: UID %u is fetched, though the store should hold it: %s",
			 lane_line(lane)->name, as->uid,
			 what == OUTCOME_REFUSED ? why.text : "it is not there any more");
		return 0;
	}
	*made = true;
	uidset_add(&lane->passed, as->uid);
	job_stored(lane, as->uid, what, new_uid, NULL);
	lane->copied++;
	return job_count_in(lane, as->size, err);
}

/* In a dry run: what is not to be fetched. */
static void tell_spared(struct lane *lane, uint64_t size)
{
	struct job_mailbox *line = lane_line(lane);

	line->copied++;
	line->bytes -= size < line->bytes ? size : line->bytes;
}

static int take_held(struct join *j, struct lane *lane, const struct message *msg, bool *made,
		     struct err *err)
{
	struct held held;
	int got = store_find_identity(j->job->target, msg->identity, &held, err);

	*made = false;
	if (got <= 0)
		return got;
	/* Two of one mailbox with one identity: which is believed of neither. */
	if (held.mailbox == lane->target && held.source_uid != 0)
		return 0;
	if (!j->job->set->dry_run)
		return make_of(&held, lane, msg, made, err);
	*made = true;
	tell_spared(lane, msg->size);
	return 0;
}

/* --- what the source says of them --- */

static int told_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	(void)ctx;
	(void)msg;
	(void)err;
	*handle = tag;
	return 0;
}

static int told_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)handle;
	(void)piece;
	(void)err;
	return 0;
}

static int told_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct lane *lane = handle;
	struct join *j = ctx;
	bool made = false;

	if (!complete || !is_needed(lane, msg->uid) || uidset_has(&lane->told, msg->uid))
		return 0;
	uidset_add(&lane->told, msg->uid);
	if (j->holds && identity_is_valid(msg->identity) &&
	    take_held(j, lane, msg, &made, err) < 0)
		return -1;
	if (made)
		uidset_add(&lane->spared, msg->uid);
	else
		add_twin(j, lane, msg);
	return 0;
}

/* What the source would not describe is there all the same. */
static void on_told(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		    const struct err *why)
{
	struct lane *lane = tag;

	(void)ctx;
	(void)new_uid;
	(void)why;
	if (what == OUTCOME_REFUSED && is_needed(lane, uid))
		uidset_add(&lane->told, uid);
}

static int ask(struct join *j, const struct want *want, size_t n, struct want *asked,
	       struct err *err)
{
	const struct message_sink sink = { .ctx = j, .begin = told_begin, .write = told_write,
					   .end = told_end };

	for (size_t i = 0; i < n; i++) {
		asked[i] = want[i];
		asked[i].attributes = true;
	}
	return store_fetch(j->job->source, asked, n, &sink, on_told, j, err);
}

/* --- what is left to fetch --- */

static int compare_first(const struct first *a, const struct first *b)
{
	if (a->lane != b->lane)
		return a->lane < b->lane ? -1 : 1;
	return (a->uid > b->uid) - (a->uid < b->uid);
}

static int by_group(const void *a, const void *b)
{
	const struct twin *x = a, *y = b;
	const struct first s = { x->lane, x->uid }, t = { y->lane, y->uid };
	int diff = compare_first(&x->of.first, &y->of.first);

	return diff ? diff : compare_first(&s, &t);
}

static int by_first(const void *a, const void *b)
{
	return compare_first(&((const struct source_of *)a)->first,
			     &((const struct source_of *)b)->first);
}

/* How many from `at` on are made of the same message. */
static size_t group_size(const struct join *j, size_t at)
{
	size_t n = 1;

	while (at + n < j->n && compare_first(&j->v[at + n].of.first, &j->v[at].of.first) == 0)
		n++;
	return n;
}

/*
 * Two of them in one mailbox: then a server may well say the same of all messages, and equal sizes
 * are chance. All of them are fetched.
 */
static bool is_believed(const struct twin *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].lane == v->of.first.lane || (i > 0 && v[i].lane == v[i - 1].lane))
			return false;
	return true;
}

/* Only those stay that are to be made of others; and those others, sorted. */
static void settle_twins(struct join *j)
{
	struct first *first = xcalloc(j->n, sizeof(*first));
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].later) {
			const struct twin *t = &j->v[*slot_of(j, j->v[i].of.key) - 1];

			first[n++] = (struct first){ t->lane, t->uid };
		}
	free(j->slot);
	j->slot = NULL;
	n = 0;
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].later) {
			j->v[n] = j->v[i];
			j->v[n].of.first = first[n];
			n++;
		}
	free(first);
	j->n = n;
	if (n)
		qsort(j->v, n, sizeof(*j->v), by_group);
	j->sources = xcalloc(n, sizeof(*j->sources));
	for (size_t i = 0; i < j->n; i += n) {
		n = group_size(j, i);
		if (!is_believed(&j->v[i], n))
			continue;
		j->sources[j->n_sources++].first = j->v[i].of.first;
		memmove(&j->v[kept], &j->v[i], n * sizeof(*j->v));
		kept += n;
	}
	j->n = kept;
}

/* The lane's messages to fetch, now that it is known which there are. */
static void narrow(struct lane *lane, struct want *want)
{
	uidset_subtract(&lane->ask, want->exact ? &lane->plan.fetch : &lane->told, &lane->spared);
	want->set = &lane->ask;
	want->exact = true;
	want->expect = uidset_count(&lane->ask);
}

static void spare_twins(struct join *j)
{
	for (size_t i = 0; i < j->n; i++) {
		struct lane *lane = &j->job->lanes[j->v[i].lane];

		uidset_add(&lane->spared, j->v[i].uid);
		if (j->job->set->dry_run)
			tell_spared(lane, j->v[i].size);
	}
}

/* Where the source did not tell of all that is there, all that was planned is fetched. */
static void leave_alone(struct join *j, const struct lane *lane)
{
	for (size_t i = 0; i < j->n; i++)
		if (&j->job->lanes[j->v[i].lane] == lane)
			j->v[i].later = false;
}

int job_join(struct job *job, struct want *want, size_t n, struct err *err)
{
	struct want *asked;
	struct join *j;
	bool holds, pays;
	int ret;

	if (can_pay(job, n, &holds, &pays, err) < 0)
		return -1;
	if (!pays)
		return 0;
	j = job->join = xcalloc(1, sizeof(*j));
	*j = (struct join){ .job = job, .holds = holds, .flags = flag_table_new() };
	grow_slots(j);
	asked = xcalloc(n, sizeof(*asked));
	ret = ask(j, want, n, asked, err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		if (!asked[i].complete)
			leave_alone(j, asked[i].tag);
	if (ret == 0) {
		settle_twins(j);
		spare_twins(j);
		for (size_t i = 0; i < n; i++)
			if (asked[i].complete || want[i].exact)
				narrow(want[i].tag, &want[i]);
	}
	free(asked);
	return ret;
}

void job_joined(struct lane *lane, uint32_t uid, uint32_t new_uid)
{
	struct job *job = lane->job;
	const struct source_of key = { .first = { (uint32_t)(lane - job->lanes), uid } };
	struct source_of *found;

	if (!job->join || job->join->n_sources == 0)
		return;
	found = bsearch(&key, job->join->sources, job->join->n_sources, sizeof(key), by_first);
	if (found)
		found->new_uid = new_uid;
}

static int make_twin(struct join *j, const struct twin *t, bool *made, struct err *err)
{
	const struct source_of key = { .first = t->of.first };
	const struct source_of *from = bsearch(&key, j->sources, j->n_sources, sizeof(key), by_first);
	struct lane *lane = &j->job->lanes[t->lane];
	struct held held = { .mailbox = j->job->lanes[t->of.first.lane].target };
	struct maildate date;
	int ret;
	struct message as = { .uid = t->uid, .flags = flag_table_get(j->flags, t->flags),
			      .date = &date, .size = t->size };

	*made = false;
	if (!from || from->new_uid == 0)
		return 0;
	held.uid = from->new_uid;
	maildate_init(&date);
	unpack_date(t, &date);
	ret = make_of(&held, lane, &as, made, err);
	maildate_release(&date);
	return ret;
}

int job_join_rest(struct job *job, struct want *want, size_t n, struct err *err)
{
	struct join *j = job->join;

	if (!j)
		return 0;
	for (size_t i = 0; i < job->n; i++)
		uidset_clear(&job->lanes[i].ask);
	for (size_t i = 0; i < j->n; i++) {
		struct lane *lane = &job->lanes[j->v[i].lane];
		bool made;

		if (make_twin(j, &j->v[i], &made, err) < 0)
			return -1;
		if (!made)
			uidset_add(&lane->ask, j->v[i].uid);
	}
	for (size_t i = 0; i < n; i++) {
		struct lane *lane = want[i].tag;

		want[i].set = &lane->ask;
		want[i].exact = true;
		want[i].expect = uidset_count(&lane->ask);
	}
	return 0;
}
