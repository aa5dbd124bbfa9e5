#include "backends/git/read.h"

#include <string.h>

#include "backends/git/box.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "core/base/err.h"
#include "core/mail/flags.h"

/* Messages of one mailbox on their way out. */
struct fetch {
	struct want *want;
	const struct message_sink *sink;
	outcome_fn *report;
	void *ctx;
	uint32_t last; /* the UID that had its outcome last */
	const struct kept_list *kept; /* to be given as well; NULL: not */
	size_t next_kept;
};

/* One message on its way out. */
struct outgoing {
	const struct fetch *f;
	void *handle;
	uint64_t sent, size;
	bool sink_failed; /* and not the reading */
};

static int send_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct outgoing *o = ctx;
	const struct message_sink *sink = o->f->sink;

	o->sent += piece.n;
	if (o->sent > o->size)
		return err_set(err, ERR_FATAL, "it is longer than its line in the flags file says");
	o->sink_failed = true;
	if (store_check_stop(o->f->want->mailbox->store, err) < 0 ||
	    sink->write(sink->ctx, o->handle, piece, err) < 0)
		return -1;
	o->sink_failed = false;
	return 0;
}

static int send_blob(struct outgoing *o, const struct object_id *id, struct err *err)
{
	struct gitstore *g = (struct gitstore *)o->f->want->mailbox->store;
	enum git_type type;
	int ret = repo_stream(g->repo, id, &type, NULL, send_piece, o, err);

	if (ret == 0 && (type != GIT_BLOB || o->sent != o->size))
		ret = err_set(err, ERR_FATAL, "it is shorter than its line in the flags file says");
	/* What is damaged spoils this message only. */
	if (ret < 0 && !o->sink_failed)
		err->kind = ERR_MESSAGE;
	return ret;
}

/* 0: delivered; -1: ERR_MESSAGE spoils this one only. */
static int send_item(struct fetch *f, const struct item *item, struct err *err)
{
	struct outgoing o = { .f = f, .size = item->line.size };
	struct flags flags = FLAGS_INIT;
	struct maildate date;
	struct message msg = { .uid = item->line.uid, .flags = &flags, .date = &date,
			       .size = item->line.size, .identity = entry_identity(&item->line),
			       .content = bytes_from(item->id.b, OBJECT_ID_SIZE) };
	struct err second;
	int ret;

	maildate_init(&date);
	flags_add_list(&flags, item->line.flags);
	entry_date_read(item->line.date, &date);
	ret = f->sink->begin(f->sink->ctx, f->want->tag, &msg, &o.handle, err);
	if (ret == 0) {
		ret = f->want->attributes ? 0 : send_blob(&o, &item->id, err);
		if (f->sink->end(f->sink->ctx, o.handle, &msg, ret == 0, ret < 0 ? &second : err) < 0)
			ret = -1;
	}
	flags_release(&flags);
	maildate_release(&date);
	return ret;
}

/* Members of the set between two messages: they do not exist. */
static void report_unknown(const struct fetch *f, uint64_t to)
{
	const struct want *w = f->want;

	if (!w->exact)
		return;
	for (uint32_t uid = uidset_next(w->set, f->last); uid != 0 && uid < to;
	     uid = uidset_next(w->set, uid))
		f->report(f->ctx, w->tag, uid, OUTCOME_UID_UNKNOWN, 0, NULL);
}

static int deliver(struct fetch *f, const struct item *item, struct err *err)
{
	struct err why = { 0 };
	int ret;

	report_unknown(f, item->line.uid);
	f->last = item->line.uid;
	ret = send_item(f, item, &why);
	if (ret < 0 && why.kind != ERR_MESSAGE) {
		f->report(f->ctx, f->want->tag, f->last, OUTCOME_NO_ANSWER, 0, &why);
		*err = why;
		return -1;
	}
	f->report(f->ctx, f->want->tag, f->last, ret < 0 ? OUTCOME_REFUSED : OUTCOME_DONE, 0,
		  ret < 0 ? &why : NULL);
	return store_check_stop(f->want->mailbox->store, err);
}

/* Those kept messages whose turn it is before the UID `to`. */
static int deliver_kept(struct fetch *f, uint64_t to, struct err *err)
{
	for (; f->kept && f->next_kept < f->kept->n; f->next_kept++) {
		const struct kept_line *k = &f->kept->v[f->next_kept].line;
		struct item item = { .line = k->entry };

		if (k->entry.uid >= to)
			break;
		if (!uidset_has(f->want->set, k->entry.uid))
			continue;
		memcpy(item.id.b, k->id, OBJECT_ID_SIZE);
		if (deliver(f, &item, err) < 0)
			return -1;
	}
	return 0;
}

static int fetch_item(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		      struct err *err)
{
	struct fetch *f = ctx;

	(void)box;
	(void)leaf;
	if (deliver_kept(f, item->line.uid, err) < 0)
		return -1;
	return deliver(f, item, err);
}

static int fetch_box(struct fetch *f, struct err *err)
{
	struct gitbox *box = (struct gitbox *)f->want->mailbox;

	if (gitbox_load(box, err) < 0)
		return -1;
	if (box->mb.store->cfg->with_kept) {
		if (kept_list_load(box, err) < 0)
			return -1;
		f->kept = &box->kept;
	}
	if (leaf_each_in(box, f->want->set, true, fetch_item, f, err) < 0 ||
	    deliver_kept(f, (uint64_t)UINT32_MAX + 1, err) < 0)
		return -1;
	report_unknown(f, (uint64_t)UINT32_MAX + 1);
	f->want->complete = true;
	return 0;
}

int gitstore_fetch(struct store *st, struct want *want, size_t n,
		   const struct message_sink *sink, outcome_fn *report, void *ctx,
		   struct err *err)
{
	(void)st;
	for (size_t i = 0; i < n; i++) {
		want[i].complete = false;
		want[i].err = (struct err){ 0 };
	}
	for (size_t i = 0; i < n; i++) {
		struct fetch f = { .want = &want[i], .sink = sink, .report = report, .ctx = ctx };

		if (fetch_box(&f, err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		want[i].err = *err;
	}
	return 0;
}
