#include "backends/imap/copy.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/commands_message.h"
#include "core/msgset/uidlist.h"

#include "backends/imap/upload_private.h"

/* Copies that the server makes of what it has. COPY is not idempotent: each is done once, and looked for after that. */

/* --- the command --- */

struct copy_run {
	struct copying *v;
	size_t n;
	enum imap_outcome outcome;
	bool known;
	uint32_t uid_validity;
	struct err err;
};

static struct copying *copying_of(struct copy_run *r, uint32_t from)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].from == from)
			return &r->v[i];
	return NULL;
}

static void on_copied(void *ctx, const struct imap_copy_answer *answer, const struct imap_result *result)
{
	struct copy_run *r = ctx;
	struct uidlist_pairs pairs;
	struct uidlist_run run;
	struct err never;

	r->outcome = result->outcome;
	r->err = *result->err;
	r->known = answer->known;
	r->uid_validity = answer->uid_validity;
	if (!answer->known || uidlist_pairs_init(&pairs, answer->source, answer->target, NULL, &never) < 0)
		return;
	while (uidlist_pairs_next(&pairs, &run))
		for (uint32_t i = 0; i < run.n; i++) {
			struct copying *c = copying_of(r, run.source + i);

			if (c)
				c->uid = run.target + i;
		}
}

/* A UID that was there before is another message's, whatever the answer says. */
static bool are_new(const struct copy_run *r, const struct imap_mailbox_handle *to)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].uid && r->v[i].uid < to->writing->uid_next)
			return false;
	return true;
}

/* What the pairs and the result say of each. */
static void judge(struct copy_run *r, const struct imap_mailbox_handle *to)
{
	bool trusted = r->known && r->uid_validity == to->box->uidvalidity && are_new(r, to);

	for (size_t i = 0; i < r->n; i++) {
		struct copying *c = &r->v[i];

		if (!trusted)
			c->uid = 0;
		if (c->uid)
			c->state = COPY_DONE;
		else if (r->outcome == IMAP_DONE_LOST)
			c->state = COPY_LOST;
		else if (r->outcome == IMAP_DONE_OK && !r->known)
			c->state = COPY_UNTOLD;
		else if (r->outcome == IMAP_DONE_OK && !trusted)
			c->state = COPY_LOST; /* not told what can be true: what is looked for decides */
		else
			c->state = COPY_NONE;
	}
}

int copies_make(struct imap_store *st, struct imap_mailbox_handle *from, struct imap_mailbox_handle *to,
		struct copying *v, size_t n, struct err *err)
{
	struct copy_run r = { .v = v, .n = n, .outcome = IMAP_DONE_LOST };
	struct uidset set = UIDSET_INIT;
	struct connection *c;
	int ret;

	for (size_t i = 0; i < n; i++) {
		v[i].state = COPY_NONE;
		v[i].uid = 0;
		uidset_add(&set, v[i].from);
	}
	ret = writer_select(st, from, &c, err);
	if (ret == 0)
		ret = imap_copy(c->session, &(struct imap_copy_request){
			.set = &set, .numbering = IMAP_UIDS, .mailbox = buf_bytes(&to->wire) }, on_copied,
			&r, err);
	uidset_release(&set);
	if (ret < 0)
		return -1;
	ret = writer_wait(c, err);
	judge(&r, to);
	if (ret < 0)
		return -1;
	if (r.outcome == IMAP_DONE_OK) {
		crash_point("account: copied");
		return 0;
	}
	*err = r.err;
	return -1;
}

/* --- what the copies came with --- */

struct correcting {
	struct correction *v;
	size_t n;
	struct uidset set;
	bool ok;
	struct err err;
};

static void on_attributes(void *ctx, const struct imap_fetch *f)
{
	struct correcting *c = ctx;

	for (size_t i = 0; i < c->n; i++) {
		struct correction *one = &c->v[i];

		if (one->uid != f->uid || !(f->present & IMAP_FETCH_FLAGS))
			continue;
		one->told = true;
		flags_copy(&one->has, f->flags);
		one->other_date = one->date && one->date->known && (f->present & IMAP_FETCH_INTERNALDATE) &&
				  f->date && f->date->known && f->date->unix_time != one->date->unix_time;
	}
}

static void on_attributes_done(void *ctx, const struct imap_result *r)
{
	struct correcting *c = ctx;

	c->ok = r->outcome == IMAP_DONE_OK;
	c->err = *r->err;
}

static int do_ask(void *ctx, struct connection *conn, struct err *err)
{
	struct correcting *c = ctx;

	if (imap_fetch(conn->session, &(struct imap_fetch_request){
		.uids = &c->set, .items = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE },
		&(struct imap_fetch_sink){ .message = on_attributes, .done = on_attributes_done, .ctx = c },
		err) < 0 ||
	    writer_wait(conn, err) < 0)
		return -1;
	if (c->ok)
		return 0;
	*err = c->err;
	return -1;
}

/* All that lack the same flags and have the same too many are changed at once. */
static int correct_like(struct imap_mailbox_handle *mb, struct correcting *c, size_t first, struct err *err)
{
	struct flags add = FLAGS_INIT, remove = FLAGS_INIT, more = FLAGS_INIT, less = FLAGS_INIT;
	struct uidset set = UIDSET_INIT;
	int ret;

	flags_diff(&c->v[first].has, &c->v[first].wants, &add, &remove);
	for (size_t i = first; i < c->n; i++) {
		if (!c->v[i].told || c->v[i].done)
			continue;
		flags_diff(&c->v[i].has, &c->v[i].wants, &more, &less);
		if (!flags_equal(&more, &add) || !flags_equal(&less, &remove))
			continue;
		c->v[i].done = true;
		uidset_add(&set, c->v[i].uid);
	}
	ret = alter_flags(mb, &set, &add, &remove, err);
	flags_release(&add);
	flags_release(&remove);
	flags_release(&more);
	flags_release(&less);
	uidset_release(&set);
	return ret;
}

int copies_correct(struct imap_mailbox_handle *mb, struct correction *v, size_t n, struct err *err)
{
	struct correcting c = { .v = v, .n = n };
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		uidset_add(&c.set, v[i].uid);
	if (n)
		ret = writer_do(imap_of(mb->mailbox.store), mb, do_ask, &c, err);
	for (size_t i = 0; i < n && ret == 0; i++)
		if (v[i].told && !v[i].done)
			ret = correct_like(mb, &c, i, err);
	uidset_release(&c.set);
	return ret;
}

void correction_release(struct correction *c)
{
	flags_release(&c->has);
	flags_release(&c->wants);
}

/* --- the slots --- */

static int add_copied_row(struct imap_store *st, const struct ledger_box *from, struct ledger_box *to,
			  const struct copying *c, struct err *err)
{
	struct ledger_copy found = { 0 };
	struct ledger_row row;
	int got = ledger_find(st->ledger, from, c->from, &found, err);

	row = found.row;
	row.uid = c->uid;
	row.source_uid = 0;
	row.state = LEDGER_LIVE;
	if (got > 0)
		got = ledger_insert(st->ledger, to, &row, err);
	ledger_copy_release(&found);
	return got;
}

/* Without COPYUID: the same content, among what came since. */
static int find_untold(struct imap_store *st, struct imap_mailbox_handle *from,
		       struct imap_mailbox_handle *to, uint32_t least, struct copying *v, size_t n,
		       struct err *err)
{
	struct ledger_copy found = { 0 };
	int ret = 0;

	for (size_t i = 0; i < n && ret >= 0; i++) {
		static const struct maildate none;
		struct claim claim;

		if (v[i].state != COPY_UNTOLD)
			continue;
		ret = ledger_find(st->ledger, from->box, v[i].from, &found, err);
		if (ret <= 0 || found.row.sha256.n != CONTENT_HASH_SIZE)
			continue;
		claim = (struct claim){ .size = found.row.size, .sha256 = found.row.sha256.p, .date = &none };
		ret = claims_find(st, to, least, &claim, 1, false, 0, err);
		v[i].uid = claim.uid;
		if (ret == 0 && claim.uid)
			ret = add_copied_row(st, from->box, to->box, &v[i], err);
	}
	ledger_copy_release(&found);
	return ret < 0 ? -1 : 0;
}

int imap_store_copy(struct mailbox *base, const struct uidset *set, struct mailbox *to, struct err *err)
{
	struct imap_store *st = imap_of(base->store);
	struct imap_mailbox_handle *from = (struct imap_mailbox_handle *)base;
	struct imap_mailbox_handle *target = (struct imap_mailbox_handle *)to;
	size_t n = (size_t)uidset_count(set), i = 0;
	struct copying *v = xcalloc(n + 1, sizeof(*v));
	struct connection *c;
	struct uidset_iter it;
	int ret = -1;

	if (uploads_flush(st, err) < 0 || uidset_iter_init(&it, set, NULL, NULL, err) < 0)
		goto out;
	while (i < n && uidset_iter_next(&it, &v[i].from))
		i++;
	/* Selected once, so that it is known where its UIDs begin. */
	if (writer_select(st, target, &c, err) < 0 || copies_make(st, from, target, v, n, err) < 0)
		goto out;
	ret = 0;
	for (i = 0; i < n && ret == 0; i++)
		if (v[i].state == COPY_DONE)
			ret = add_copied_row(st, from->box, target->box, &v[i], err) < 0 ? -1 : 0;
	if (ret == 0)
		ret = find_untold(st, from, target, target->writing->uid_next, v, n, err);
out:
	free(v);
	return ret;
}

/* --- one message made of another --- */

/* What the new one is to be. */
struct making {
	struct imap_store *st;
	struct imap_mailbox_handle *from, *to;
	uint32_t from_uid;
	const struct message *as;
	struct buf flags, date;
	const struct ledger_row *row; /* of the other */
};

static int intend(struct making *m, struct ledger_intent *in, struct err *err)
{
	*in = (struct ledger_intent){
		.uidvalidity = m->to->box->uidvalidity, .uidnext = m->to->writing->uid_next,
		.source_uid = m->as->uid, .size = m->row->size, .flags = buf_bytes(&m->flags),
		.date = buf_bytes(&m->date), .identity = m->row->identity, .created = clock_unix() };
	memcpy(in->sha256, m->row->sha256.p, CONTENT_HASH_SIZE);
	if (ledger_intent_add(m->st->ledger, m->to->box, in, err) < 0)
		return -1;
	return ledger_commit(m->st->ledger, err);
}

/* *uid 0: it could not be copied, for now or at all. */
static int make_copy(struct making *m, uint32_t *uid, struct err *err)
{
	struct copying one = { .from = m->from_uid };
	static const struct maildate none;
	struct claim claim = { .size = m->row->size, .sha256 = m->row->sha256.p, .date = &none };
	int ret;

	*uid = 0;
	ret = copies_make(m->st, m->from, m->to, &one, 1, err);
	if (ret < 0 && one.state != COPY_LOST)
		return err->kind == ERR_MAILBOX || err->kind == ERR_MISSING ? 0 : -1;
	if (ret < 0 && writer_retry(m->st, err, err) < 0)
		return -1;
	/* Also where the server said OK and no UID: sent as well, the message would be there twice. */
	if (one.state == COPY_LOST || one.state == COPY_UNTOLD) {
		if (claims_find(m->st, m->to, m->to->writing->uid_next, &claim, 1, false,
				SETTLE_MS * m->st->patience / 100, err) < 0)
			return -1;
		one.uid = claim.uid;
	}
	*uid = one.uid;
	return 0;
}

static int write_row(struct making *m, uint32_t uid, int64_t intent, struct err *err)
{
	struct correction flags = { .uid = uid };
	struct ledger_row row = *m->row;
	int ret;

	row.uid = uid;
	row.source_uid = m->as->uid;
	row.state = LEDGER_LIVE;
	row.how = LEDGER_COPIED;
	row.flags = buf_bytes(&m->flags);
	row.date = buf_bytes(&m->date);
	/* It came with those that the account's user gave the other one. */
	flags_copy(&flags.wants, m->as->flags);
	ret = copies_correct(m->to, &flags, 1, err);
	if (ret == 0)
		ret = ledger_insert(m->st->ledger, m->to->box, &row, err);
	if (ret == 0)
		ret = ledger_intent_delete(m->st->ledger, m->to->box, intent, err);
	correction_release(&flags);
	return ret;
}

static bool can_copy(struct imap_store *st, struct imap_mailbox_handle *to, struct err *err, int *ret)
{
	struct connection *c;

	*ret = writer_select(st, to, &c, err);
	return *ret == 0 && imap_session_has(c->session, IMAP_CAP_UIDPLUS) && !to->writing->no_insert;
}

static int make(struct making *m, enum outcome *what, uint32_t *new_uid, struct err *err)
{
	struct ledger_copy found = { 0 };
	struct ledger_intent in;
	int ret, got = ledger_find_source(m->st->ledger, m->to->box, m->as->uid, &found, err);

	if (got > 0) { /* it was made before */
		*what = OUTCOME_DONE;
		*new_uid = found.row.uid;
		ledger_copy_release(&found);
		return 0;
	}
	if (got == 0)
		got = present_find_free(m->st, m->to, m->row->sha256.p, m->row->size, &found, err);
	if (got > 0) {
		*what = OUTCOME_ADOPTED;
		*new_uid = found.row.uid;
		got = upload_take_over(m->to, &found.row, m->as->uid, buf_bytes(&m->flags),
				       buf_bytes(&m->date), m->row->identity, err);
	}
	ledger_copy_release(&found);
	if (got < 0 || *what == OUTCOME_ADOPTED)
		return got;
	if (!can_copy(m->st, m->to, err, &ret))
		return ret;
	if (intend(m, &in, err) < 0 || make_copy(m, new_uid, err) < 0)
		return -1;
	if (!*new_uid)
		return ledger_intent_delete(m->st->ledger, m->to->box, in.id, err);
	*what = OUTCOME_DONE;
	return write_row(m, *new_uid, in.id, err);
}

int imap_store_copy_as(const struct held *held, struct mailbox *base, const struct message *as,
		       enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err)
{
	struct ledger_copy other = { 0 };
	struct making m = { .st = imap_of(base->store), .to = (struct imap_mailbox_handle *)base,
			    .from = (struct imap_mailbox_handle *)held->mailbox, .from_uid = held->uid,
			    .as = as, .flags = BUF_INIT(1 << 20), .date = BUF_INIT(4096), .row = &other.row };
	int ret = ledger_find(m.st->ledger, m.from->box, held->uid, &other, err);

	*what = OUTCOME_UID_UNKNOWN;
	*new_uid = 0;
	flags_format(as->flags, &m.flags);
	maildate_format(as->date, &m.date);
	if (ret > 0 && as->size && as->size != other.row.size) {
		*what = OUTCOME_REFUSED;
		err_set(why, ERR_MESSAGE, "it has %llu bytes here, and is said to have %llu",
			(unsigned long long)other.row.size,
			(unsigned long long)as->size);
		ret = 0;
	}
	/* A copy has the date of the other, which cannot be changed. */
	if (ret > 0 && other.row.sha256.n == CONTENT_HASH_SIZE && other.row.how != LEDGER_ALTERED &&
	    bytes_equal(buf_bytes(&m.date), other.row.date))
		ret = make(&m, what, new_uid, err);
	ledger_copy_release(&other);
	buf_release(&m.flags);
	buf_release(&m.date);
	return ret < 0 ? -1 : 0;
}
