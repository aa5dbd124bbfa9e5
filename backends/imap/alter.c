#include "backends/imap/write_private.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/commands_message.h"

#include "backends/imap/ledger.h"

/* Flags changed and messages removed. Nothing here ever says EXPUNGE without a set, nor CLOSE. */


/* --- flags --- */

struct altering {
	struct imap_mailbox_handle *mb;
	const struct uidset *set;
	const struct flags *add, *remove;
};

/* What one STORE came to. */
struct stored {
	enum imap_outcome outcome;
	struct err err;
};

static void on_stored(void *ctx, const struct uidset *modified, const struct imap_result *r)
{
	struct stored *s = ctx;

	(void)modified;
	s->outcome = r->outcome;
	s->err = *r->err;
}

static int submit_store(struct connection *c, const struct uidset *set, enum imap_store_how how,
			const struct flags *flags, struct stored *out, struct err *err)
{
	out->outcome = IMAP_DONE_OK;
	if (flags_is_empty(flags))
		return 0;
	return imap_store_flags(c->session, &(struct imap_store_request){
		.set = set, .numbering = IMAP_UIDS, .how = how, .flags = flags, .silent = true },
		&(struct imap_store_sink){ .done = on_stored, .ctx = out }, err);
}

/* The server would not have all of these at once: which of the keywords is it? */
static int add_one_by_one(struct connection *c, const struct altering *a, const struct flags *flags,
			  const struct stored *refused, struct err *err)
{
	struct flags one = { .bits = flags->bits };
	struct stored stored;

	if (submit_store(c, a->set, IMAP_STORE_ADD, &one, &stored, err) < 0 || writer_wait(c, err) < 0)
		return -1;
	if (stored.outcome != IMAP_DONE_OK) {
		*err = stored.err;
		return -1;
	}
	if (!flags->count) {
		*err = refused->err;
		return -1;
	}
	for (size_t i = 0; i < flags->count; i++) {
		flags_release(&one);
		flags_add(&one, bytes_of(flags->keywords[i]));
		if (submit_store(c, a->set, IMAP_STORE_ADD, &one, &stored, err) < 0 ||
		    writer_wait(c, err) < 0) {
			flags_release(&one);
			return -1;
		}
		if (stored.outcome != IMAP_DONE_OK)
			writing_refused_flag(a->mb, flags->keywords[i]);
	}
	flags_release(&one);
	return 0;
}

static int do_alter(void *ctx, struct connection *c, struct err *err)
{
	const struct altering *a = ctx;
	struct flags add = FLAGS_INIT, remove = FLAGS_INIT;
	struct stored added, removed;
	int ret = -1;

	writing_filter(a->mb, a->add, &add);
	writing_filter(a->mb, a->remove, &remove);
	if (submit_store(c, a->set, IMAP_STORE_ADD, &add, &added, err) < 0 ||
	    submit_store(c, a->set, IMAP_STORE_REMOVE, &remove, &removed, err) < 0) {
		struct err ignored;

		writer_wait(c, &ignored); /* the answer to the first has nowhere to go after this */
		goto out;
	}
	if (writer_wait(c, err) < 0)
		goto out;
	if (added.outcome != IMAP_DONE_OK && added.err.kind != ERR_RETRY &&
	    add_one_by_one(c, a, &add, &added, err) == 0)
		added.outcome = IMAP_DONE_OK;
	else if (added.outcome != IMAP_DONE_OK)
		*err = added.err;
	if (added.outcome == IMAP_DONE_OK && removed.outcome != IMAP_DONE_OK)
		*err = removed.err;
	ret = added.outcome == IMAP_DONE_OK && removed.outcome == IMAP_DONE_OK ? 0 : -1;
out:
	flags_release(&add);
	flags_release(&remove);
	return ret;
}

int alter_flags(struct imap_mailbox_handle *mb, const struct uidset *set, const struct flags *add,
		const struct flags *remove, struct err *err)
{
	struct altering a = { .mb = mb, .set = set, .add = add, .remove = remove };

	if (uidset_is_empty(set) || (flags_is_empty(add) && flags_is_empty(remove)))
		return 0;
	if (writer_do(imap_of(mb->mailbox.store), mb, do_alter, &a, err) == 0)
		return 0;
	if (err->kind == ERR_MISSING)
		err->kind = ERR_MAILBOX;
	return -1;
}

int imap_store_change_flags(struct mailbox *base, const struct uidset *set,
			    const struct flag_delta *delta, struct err *err)
{
	struct imap_mailbox_handle *mb = (struct imap_mailbox_handle *)base;

	if (alter_flags(mb, set, &delta->add, &delta->remove, err) < 0)
		return -1;
	return ledger_change_flags(imap_of(base->store)->ledger, mb->box, set, delta, err);
}

/* --- removing --- */

struct removing {
	struct imap_store *st;
	struct imap_mailbox_handle *mb;
	const struct uidset *set;
	bool left; /* out: only marked \Deleted */
};

static void on_expunged(void *ctx, const struct imap_expunge_answer *answer, const struct imap_result *r)
{
	struct stored *s = ctx;

	(void)answer;
	s->outcome = r->outcome;
	s->err = *r->err;
}

static void on_moved(void *ctx, const struct imap_copy_answer *answer, const struct imap_result *r)
{
	struct stored *s = ctx;

	(void)answer;
	s->outcome = r->outcome;
	s->err = *r->err;
}

/* Where a server that cannot remove just these messages lets them be put instead. */
static int find_trash(struct imap_store *st, struct connection *c, struct err *err)
{
	struct writer *w = writer_of(st);
	struct imap_mailbox_list list = { 0 };

	if (w->trash_known)
		return 0;
	if (imap_list_wait(c->session, &(struct imap_list_options){ 0 }, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++)
		if ((list.entries[i].attributes & IMAP_MAILBOX_TRASH) && !w->trash.n)
			buf_add(&w->trash, list.entries[i].name.wire);
	imap_mailbox_list_release(&list);
	w->trash_known = true;
	return 0;
}

static int answered(struct connection *c, const struct stored *s, struct err *err)
{
	if (writer_wait(c, err) < 0)
		return -1;
	if (s->outcome == IMAP_DONE_OK)
		return 0;
	*err = s->err;
	return -1;
}

static int mark_deleted(struct connection *c, const struct uidset *set, struct stored *s,
			struct err *err)
{
	const struct flags deleted = { .bits = FLAG_DELETED };

	return submit_store(c, set, IMAP_STORE_ADD, &deleted, s, err);
}

static int do_remove(void *ctx, struct connection *c, struct err *err)
{
	struct removing *r = ctx;
	const struct uidset *set = r->set;
	const struct bytes here = buf_bytes(&r->mb->wire);
	struct stored marked, gone = { .outcome = IMAP_DONE_OK };

	if (imap_session_has(c->session, IMAP_CAP_UIDPLUS)) {
		if (mark_deleted(c, set, &marked, err) < 0 || answered(c, &marked, err) < 0 ||
		    imap_expunge(c->session, set, on_expunged, &gone, err) < 0)
			return -1;
		return answered(c, &gone, err);
	}
	if (imap_session_has(c->session, IMAP_CAP_MOVE)) {
		if (find_trash(r->st, c, err) < 0)
			return -1;
		if (r->st->writer->trash.n && !bytes_equal(buf_bytes(&r->st->writer->trash), here)) {
			if (imap_copy(c->session, &(struct imap_copy_request){
				.set = set, .numbering = IMAP_UIDS, .move = true,
				.mailbox = buf_bytes(&r->st->writer->trash) }, on_moved, &gone, err) < 0)
				return -1;
			return answered(c, &gone, err);
		}
	}
	r->left = true;
	return mark_deleted(c, set, &marked, err) < 0 ? -1 : answered(c, &marked, err);
}

int alter_remove(struct imap_mailbox_handle *mb, const struct uidset *set, struct err *err)
{
	struct imap_store *st = imap_of(mb->mailbox.store);
	struct removing r = { .st = st, .mb = mb, .set = set };

	if (uidset_is_empty(set))
		return 0;
	if (writer_do(st, mb, do_remove, &r, err) < 0)
		return -1;
	if (r.left)
		imap_note(st, &mb->mailbox.name, "the server cannot remove single messages: %llu of them "
			  "are only marked \\Deleted", (unsigned long long)uidset_count(set));
	return 0;
}

int imap_store_expunge(struct mailbox *base, const struct uidset *set, struct err *err)
{
	struct writing *w = writing_of((struct imap_mailbox_handle *)base);

	(void)err;
	uidset_union(&w->remove, &w->remove, set);
	return 0;
}

static int remove_of(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err)
{
	struct uidset *set = &mb->writing->remove;
	int ret = alter_remove(mb, set, err);

	if (ret == 0)
		ret = ledger_delete(st->ledger, mb->box, set, err);
	else if (err->kind == ERR_MAILBOX || err->kind == ERR_MISSING) {
		/* Their rows stay, so a later run finds them gone at the source once more. */
		imap_note(st, &mb->mailbox.name, "%llu messages could not be removed: %s",
			  (unsigned long long)uidset_count(set), err->text);
		ret = 0;
	}
	uidset_clear(set);
	return ret;
}

int alter_remove_all(struct imap_store *st, struct err *err)
{
	for (struct imap_mailbox_handle *mb = st->mailboxes; mb; mb = mb->next)
		if (mb->writing && !uidset_is_empty(&mb->writing->remove) && remove_of(st, mb, err) < 0)
			return -1;
	return 0;
}
