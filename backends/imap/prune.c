#include "backends/imap/write_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/crash.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/mail/flags.h"

/*
 * Messages removed from an account that is read. Never by more than their UIDs, under the UIDVALIDITY that
 * they were compared under: EXPUNGE without a set would take what others marked along.
 */

/*
 * Messages between STORE and EXPUNGE: what a lost line can leave marked. An EXPUNGE costs a server with a Maildir the
 * whole mailbox: 27,000 of 50,000 messages take 41 s in batches of 500, and 7 s so.
 */
#define PRUNE_BATCH 5000

int prune_check_server(const struct imap_session *s, const char *account, struct err *err)
{
	if (imap_session_has(s, IMAP_CAP_X_GM_EXT_1))
		return err_set(err, ERR_CONFIG,
			       "%s is at Gmail, where removing a message from a mailbox only takes a label off it: it "
			       "stays in All Mail and needs as much room. Search for older_than: in Gmail itself and "
			       "delete there; with 'deletions = keep' in the job the next backup keeps here what is "
			       "gone there",
			       account);
	if (imap_session_has(s, IMAP_CAP_UIDPLUS))
		return 0;
	return err_set(err, ERR_CONFIG,
		       "the server of %s cannot remove single messages (it lacks UIDPLUS), and what others marked as "
		       "deleted would go with them. Delete them in a mail program; with 'deletions = keep' in the job "
		       "the next backup keeps here what is gone there",
		       account);
}

/* --- whether --- */

bool rights_allow_removal(const char *rights)
{
	/* RFC 4314, section 2.1.1: `d` of older servers is both. */
	return strchr(rights, 'd') || (strchr(rights, 't') && strchr(rights, 'e'));
}

static int refuse_rights(struct err *err)
{
	return err_set(err, ERR_MAILBOX, "our rights there do not allow to remove messages");
}

/* Without opening it. */
static int ask_rights(struct imap_store *st, const struct imap_mailbox_handle *mb, struct err *err)
{
	struct connection *c;
	char *rights = NULL;
	int ret;

	if (pool_one(st, &c, err) < 0)
		return -1;
	if (!imap_session_has(c->session, IMAP_CAP_ACL))
		return 0;
	ret = imap_myrights_wait(c->session, buf_bytes(&mb->wire), &rights, err);
	if (ret < 0 && (err->kind == ERR_MAILBOX || err->kind == ERR_MISSING))
		ret = 0; /* it does not say */
	else if (ret == 0 && !rights_allow_removal(rights))
		ret = refuse_rights(err);
	free(rights);
	return ret;
}

/* The mailbox is selected: what did it say of itself? */
static int do_judge(void *ctx, struct connection *c, struct err *err)
{
	const struct writing *w = writing_of(ctx);

	(void)c;
	if (w->no_remove)
		return refuse_rights(err);
	if (w->permanent_known && !(w->permanent.bits & FLAG_DELETED))
		return err_set(err, ERR_MAILBOX, "the server does not let messages be marked as deleted there");
	return 0;
}

int imap_store_prunable(struct mailbox *base, enum store_mode mode, struct err *err)
{
	struct imap_mailbox_handle *mb = (struct imap_mailbox_handle *)base;
	struct imap_store *st = imap_of(base->store);

	return mode == STORE_READ ? ask_rights(st, mb, err) : writer_do(st, mb, do_judge, mb, err);
}

/* --- doing it --- */

struct pruning {
	const struct uidset *set;
	still_fn *still;
	void *ctx;
	struct uidset marked; /* by us, or perhaps, where a line was lost */
	struct uidset go;     /* those that are there, and may go */
	struct uidset stay;   /* those that are there, and may not */
};

struct answer {
	enum imap_outcome outcome;
	bool damaged;
	struct err err;
};

static void take_answer(struct answer *a, const struct imap_result *r)
{
	a->outcome = r->outcome;
	a->damaged = r->damaged;
	a->err = *r->err;
}

static int answered(struct connection *c, const struct answer *a, struct err *err)
{
	if (writer_wait(c, err) < 0)
		return -1;
	if (a->outcome != IMAP_DONE_OK) {
		*err = a->err;
		return -1;
	}
	return a->damaged ? err_set(err, ERR_MAILBOX, "its answer could not be read") : 0;
}

struct looking {
	struct pruning *p;
	struct answer answer;
};

/* It may be told again, by somebody's change: the last word counts. */
static void on_flags(void *ctx, const struct imap_fetch *f)
{
	struct pruning *p = ((struct looking *)ctx)->p;
	struct flags now = FLAGS_INIT;

	if (!(f->present & IMAP_FETCH_FLAGS) || !uidset_has(p->set, f->uid))
		return;
	flags_copy(&now, f->flags);
	if (uidset_has(&p->marked, f->uid))
		now.bits &= ~(unsigned)FLAG_DELETED;
	uidset_remove(&p->go, f->uid);
	uidset_remove(&p->stay, f->uid);
	uidset_add(p->still(p->ctx, f->uid, &now) ? &p->go : &p->stay, f->uid);
	flags_release(&now);
}

static void on_looked(void *ctx, const struct imap_result *r)
{
	take_answer(&((struct looking *)ctx)->answer, r);
}

/* Which of the set are there, and may they go? */
static int look(struct pruning *p, struct connection *c, struct err *err)
{
	struct looking l = { .p = p };

	uidset_clear(&p->go);
	uidset_clear(&p->stay);
	if (imap_fetch(c->session,
		       &(struct imap_fetch_request){ .uids = p->set, .numbering = IMAP_UIDS,
						     .items = IMAP_FETCH_FLAGS },
		       &(struct imap_fetch_sink){ .message = on_flags, .done = on_looked, .ctx = &l }, err) < 0)
		return -1;
	return answered(c, &l.answer, err);
}

static void on_marked(void *ctx, const struct uidset *modified, const struct imap_result *r)
{
	(void)modified;
	take_answer(ctx, r);
}

static int mark(struct connection *c, const struct uidset *set, enum imap_store_how how, struct err *err)
{
	const struct flags deleted = { .bits = FLAG_DELETED };
	const struct imap_store_request request = { .set = set, .numbering = IMAP_UIDS, .how = how,
						    .flags = &deleted, .silent = true };
	struct answer a = { 0 };

	if (uidset_is_empty(set))
		return 0;
	if (imap_store_flags(c->session, &request, &(struct imap_store_sink){ .done = on_marked, .ctx = &a },
			     err) < 0)
		return -1;
	return answered(c, &a, err);
}

static void on_expunged(void *ctx, const struct imap_expunge_answer *answer, const struct imap_result *r)
{
	(void)answer; /* what others removed may be in it: what is left is asked for */
	take_answer(ctx, r);
}

static int expunge(struct connection *c, const struct uidset *set, struct err *err)
{
	struct answer a = { 0 };

	if (imap_expunge(c->session, set, on_expunged, &a, err) < 0)
		return -1;
	return answered(c, &a, err);
}

/* Those that may go, and the proof that they did: all of the set that is there is in p->stay afterwards. */
static int remove_batch(struct pruning *p, struct connection *c, struct err *err)
{
	if (look(p, c, err) < 0)
		return -1;
	if (uidset_is_empty(&p->go))
		return 0;
	uidset_union(&p->marked, &p->marked, &p->go);
	if (mark(c, &p->go, IMAP_STORE_ADD, err) < 0)
		return -1;
	crash_point("account: marked as deleted");
	if (expunge(c, &p->go, err) < 0 || look(p, c, err) < 0)
		return -1;
	uidset_union(&p->stay, &p->stay, &p->go);
	return 0;
}

static int do_prune(void *ctx, struct connection *c, struct err *err)
{
	struct pruning *p = ctx;
	struct uidset back = UIDSET_INIT;
	int ret = remove_batch(p, c, err);

	if (ret == 0) {
		uidset_intersect(&back, &p->stay, &p->marked);
		ret = mark(c, &back, IMAP_STORE_REMOVE, err);
	}
	uidset_release(&back);
	return ret;
}

/* The mailbox is in trouble: as it was, as far as it lets us. */
static int do_unmark(void *ctx, struct connection *c, struct err *err)
{
	return mark(c, &((struct pruning *)ctx)->marked, IMAP_STORE_REMOVE, err);
}

/* The first of `from` into `out`, and out of `from`. */
static void take_batch(struct uidset *from, struct uidset *out)
{
	uint32_t uid = 0;

	uidset_clear(out);
	for (size_t n = 0; n < PRUNE_BATCH && (uid = uidset_next(from, uid)) != 0; n++)
		uidset_add(out, uid);
	uidset_subtract(from, from, out);
}

static int prune_batch(struct imap_mailbox_handle *mb, struct pruning *p, bool again, struct err *err)
{
	struct imap_store *st = imap_of(mb->mailbox.store);
	struct err second;

	uidset_clear(&p->marked);
	if (again)
		uidset_copy(&p->marked, p->set);
	if (writer_do(st, mb, do_prune, p, err) == 0)
		return 0;
	if (err->kind == ERR_MISSING)
		err->kind = ERR_MAILBOX;
	if (err->kind == ERR_MAILBOX && !uidset_is_empty(&p->marked))
		writer_do(st, mb, do_unmark, p, &second);
	return -1;
}

int imap_store_prune(struct mailbox *base, const struct uidset *set, bool again, still_fn *still, void *ctx,
		     struct uidset *stay, struct err *err)
{
	struct uidset rest = UIDSET_INIT, batch = UIDSET_INIT, there = UIDSET_INIT;
	struct pruning p = { .set = &batch, .still = still, .ctx = ctx };
	int ret = 0;

	uidset_copy(&rest, set);
	while (ret == 0 && !uidset_is_empty(&rest)) {
		take_batch(&rest, &batch);
		ret = prune_batch((struct imap_mailbox_handle *)base, &p, again, err);
		uidset_union(&there, &there, ret == 0 ? &p.stay : &batch);
	}
	uidset_union(stay, &there, &rest);
	uidset_release(&rest);
	uidset_release(&batch);
	uidset_release(&there);
	uidset_release(&p.marked);
	uidset_release(&p.go);
	uidset_release(&p.stay);
	return ret;
}
