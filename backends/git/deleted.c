#include "backends/git/deleted.h"

#include <stdlib.h>

#include "backends/git/git.h"
#include "backends/git/history.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/* A message by the snapshot that has it. Its UID in this store is its index + 1. */
struct lost {
	size_t snapshot, first;
	uint32_t uid; /* there */
};

struct lost_box {
	struct mailbox mb; /* first */
	unsigned attributes;
	struct lost *v;
	size_t n, cap;
};

struct lost_store {
	struct store st; /* first */
	struct history *history;
	struct lost_box **box;
	size_t n, cap;
};

static void lost_close(struct store *st)
{
	struct lost_store *s = (struct lost_store *)st;

	for (size_t i = 0; i < s->n; i++) {
		mailbox_name_release(&s->box[i]->mb.name);
		free(s->box[i]->v);
		free(s->box[i]);
	}
	free(s->box);
	history_close(s->history);
	free(s);
}

/* They come mailbox by mailbox. */
static struct lost_box *box_for(struct lost_store *s, const struct mailbox_name *name)
{
	struct lost_box *box = s->n ? s->box[s->n - 1] : NULL;

	if (box && mailbox_name_equal(&box->mb.name, name))
		return box;
	s->box = xgrow(s->box, s->n, &s->cap, sizeof(*s->box));
	box = s->box[s->n++] = xcalloc(1, sizeof(*box));
	box->mb.store = &s->st;
	mailbox_name_copy(&box->mb.name, name);
	return box;
}

static int on_deleted(void *ctx, const struct deleted *d, struct err *err)
{
	struct lost_store *s = ctx;
	struct lost_box *box;

	if (store_check_stop(&s->st, err) < 0)
		return -1;
	if (d->moved)
		return 0;
	box = box_for(s, d->mailbox);
	box->v = xgrow(box->v, box->n, &box->cap, sizeof(*box->v));
	box->v[box->n++] = (struct lost){ .snapshot = d->snapshot, .first = d->first,
					     .uid = d->uid };
	return 0;
}

/* Open the archive at a snapshot, or (NULL) as it is now. *cfg is filled in and must outlive it. */
static int open_archive(const struct lost_store *s, const char *snapshot,
			struct store_config *cfg, struct store **out, struct err *err)
{
	*cfg = (struct store_config){ .name = s->st.cfg->name, .path = s->st.cfg->path,
				      .snapshot = snapshot, .run = s->st.cfg->run };
	return store_open(&git_store, out, cfg, STORE_READ, err);
}

/* What the mailboxes are for, where they still exist. */
static int read_attributes(struct lost_store *s, struct err *err)
{
	struct mailbox_list list = { 0 };
	struct store_config cfg;
	struct store *now;
	int ret;

	if (open_archive(s, NULL, &cfg, &now, err) < 0)
		return -1;
	ret = store_list(now, NULL, &list, err);
	for (size_t i = 0; ret == 0 && i < s->n; i++) {
		const struct mailbox_info *info = mailbox_list_find(&list, &s->box[i]->mb.name);

		s->box[i]->attributes = info ? info->attributes & ~(unsigned)MAILBOX_NOSELECT : 0;
	}
	mailbox_list_release(&list);
	store_close(now);
	return ret;
}

static int lost_identify(const struct store_config *cfg, struct store_identity *out,
			 struct err *err)
{
	return git_store.identify(cfg, out, err);
}

static int lost_open(struct store **out, const struct store_config *cfg, enum store_mode mode,
		     struct err *err)
{
	const struct git_deleted *what = cfg->settings;
	struct lost_store *s;

	if (mode != STORE_READ)
		return err_set(err, ERR_FATAL, "%s: what was deleted can only be read", cfg->path);
	s = xcalloc(1, sizeof(*s));
	s->st = (struct store){ .ops = &git_deleted_store, .cfg = cfg };
	if (history_open(cfg->path, &s->history, err) < 0 ||
	    history_deleted_since(s->history, what->since, on_deleted, s, err) < 0 ||
	    read_attributes(s, err) < 0) {
		lost_close(&s->st);
		return -1;
	}
	*out = &s->st;
	return 0;
}

static int lost_list(struct store *st, const char *hint, struct mailbox_list *out,
		     struct err *err)
{
	struct lost_store *s = (struct lost_store *)st;

	(void)hint;
	(void)err;
	for (size_t i = 0; i < s->n; i++) {
		struct mailbox_info *info = mailbox_list_add(out);

		mailbox_name_copy(&info->name, &s->box[i]->mb.name);
		info->attributes = s->box[i]->attributes;
	}
	mailbox_list_sort(out);
	out->complete = true;
	return 0;
}

static struct lost_box *find_box(const struct lost_store *s, const struct mailbox_name *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (mailbox_name_equal(&s->box[i]->mb.name, name))
			return s->box[i];
	return NULL;
}

static int lost_exists(struct store *st, const struct mailbox_name *name, bool *out,
		       struct err *err)
{
	(void)err;
	*out = find_box((struct lost_store *)st, name) != NULL;
	return 0;
}

static int lost_open_mailbox(struct store *st, const struct mailbox_info *info,
			     enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct lost_box *box = find_box((struct lost_store *)st, &info->name);

	(void)mode;
	if (!box)
		return err_set(err, ERR_MAILBOX, "nothing was deleted from it");
	*out = &box->mb;
	return 0;
}

static int lost_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	(void)st;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		const struct lost_box *box = (const struct lost_box *)req[i].mailbox;
		static const struct flags none = FLAGS_INIT;
		struct changes *out = req[i].out;

		/* Sizes and flags are not told: they lie in as many places as there are snapshots. */
		for (size_t k = 0; k < box->n; k++)
			changes_add(out, (uint32_t)k + 1)->flags =
				flag_table_intern(out->flags, &none);
		out->complete = true;
		out->token = (struct token){ .known = true, .uidvalidity = 1,
					     .uidnext = (uint32_t)box->n + 1,
					     .messages = (uint32_t)box->n };
	}
	return 0;
}

void git_deleted_where(const struct mailbox *mb, uint32_t uid, struct git_deleted_place *out)
{
	const struct lost *l = &((const struct lost_box *)mb)->v[uid - 1];
	const struct history *h = ((const struct lost_store *)mb->store)->history;

	*out = (struct git_deleted_place){ .first = history_snapshot(h, l->first),
					   .last = history_snapshot(h, l->snapshot), .uid = l->uid };
}

/* --- fetching: one snapshot after the other, of all mailboxes --- */

struct fetching {
	struct lost_store *s;
	const struct message_sink *sink;
	outcome_fn *report;
	void *ctx;
};

/* What one snapshot has of one mailbox: its UIDs there and here, ascending by the former. */
struct part {
	struct fetching *f;
	struct want *outer;
	struct pair {
		uint32_t there, here;
	} *v;
	size_t n, cap;
	struct uidset set; /* there */
};

/* A message on its way through. */
struct relayed {
	struct part *part;
	void *handle;
};

static int compare_pair(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return (x->there > y->there) - (x->there < y->there);
}

static uint32_t here(const struct part *p, uint32_t there)
{
	const struct pair key = { .there = there };
	const struct pair *found =
		p->n ? bsearch(&key, p->v, p->n, sizeof(*p->v), compare_pair) : NULL;

	return found ? found->here : 0;
}

static int relay_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		       struct err *err)
{
	struct fetching *f = ctx;
	struct part *part = tag;
	struct message out = *msg;
	struct relayed *r;
	void *inner;

	out.uid = here(part, msg->uid);
	if (f->sink->begin(f->sink->ctx, part->outer->tag, &out, &inner, err) < 0)
		return -1;
	r = xcalloc(1, sizeof(*r));
	*r = (struct relayed){ .part = part, .handle = inner };
	*handle = r;
	return 0;
}

static int relay_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	const struct fetching *f = ctx;
	const struct relayed *r = handle;

	return f->sink->write(f->sink->ctx, r->handle, piece, err);
}

static int relay_end(void *ctx, void *handle, const struct message *msg, bool complete,
		     struct err *err)
{
	const struct fetching *f = ctx;
	struct relayed r = *(struct relayed *)handle;
	struct message out = msg ? *msg : (struct message){ 0 };

	free(handle);
	if (msg)
		out.uid = here(r.part, msg->uid);
	return f->sink->end(f->sink->ctx, r.handle, msg ? &out : NULL, complete, err);
}

static void relay_report(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
			 const struct err *why)
{
	const struct fetching *f = ctx;
	const struct part *part = tag;

	f->report(f->ctx, part->outer->tag, here(part, uid), what, new_uid, why);
}

/* Which of the messages wanted this snapshot has. */
static void gather_part(struct part *part, size_t snapshot)
{
	const struct lost_box *box = (const struct lost_box *)part->outer->mailbox;

	for (size_t i = 0; i < box->n; i++) {
		if (box->v[i].snapshot != snapshot ||
		    !uidset_has(part->outer->set, (uint32_t)i + 1))
			continue;
		part->v = xgrow(part->v, part->n, &part->cap, sizeof(*part->v));
		part->v[part->n++] =
			(struct pair){ .there = box->v[i].uid, .here = (uint32_t)i + 1 };
		uidset_add(&part->set, box->v[i].uid);
	}
	if (part->n > 0)
		qsort(part->v, part->n, sizeof(*part->v), compare_pair);
}

/* The wants as the snapshot's own store understands them. */
static int open_parts(struct store *st, struct part *part, size_t n, struct want *inner,
		      size_t *n_inner, struct err *err)
{
	*n_inner = 0;
	for (size_t i = 0; i < n; i++) {
		struct mailbox_info info = { 0 };
		struct mailbox *mb;
		int ret;

		if (part[i].n == 0)
			continue;
		mailbox_name_copy(&info.name, &part[i].outer->mailbox->name);
		ret = mailbox_open(st, &info, STORE_READ, &mb, err);
		mailbox_name_release(&info.name);
		if (ret < 0)
			return -1;
		inner[(*n_inner)++] = (struct want){ .mailbox = mb, .set = &part[i].set,
						     .exact = true, .expect = part[i].n,
						     .header = part[i].outer->header,
						     .attributes = part[i].outer->attributes,
						     .tag = &part[i] };
	}
	return 0;
}

static int fetch_parts(struct fetching *f, size_t snapshot, struct part *part, size_t n,
		       struct err *err)
{
	const struct message_sink sink = { .ctx = f, .begin = relay_begin, .write = relay_write,
					   .end = relay_end };
	struct want *inner = xcalloc(n, sizeof(*inner));
	struct store_config cfg;
	struct store *st = NULL;
	size_t n_inner;
	int ret = -1;

	if (open_archive(f->s, history_snapshot(f->s->history, snapshot)->id, &cfg, &st, err) < 0 ||
	    open_parts(st, part, n, inner, &n_inner, err) < 0)
		goto out;
	ret = store_fetch(st, inner, n_inner, &sink, relay_report, f, err);
	for (size_t i = 0; i < n_inner; i++) {
		struct want *outer = ((struct part *)inner[i].tag)->outer;

		if (inner[i].complete)
			continue;
		outer->complete = false;
		if (outer->err.kind == ERR_NONE)
			outer->err = inner[i].err;
	}
out:
	store_close(st);
	free(inner);
	return ret;
}

/* Everything wanted that lies in one snapshot. */
static int fetch_snapshot(struct fetching *f, size_t snapshot, struct want *want, size_t n,
			  struct err *err)
{
	struct part *part = xcalloc(n, sizeof(*part));
	bool any = false;
	int ret = 0;

	for (size_t i = 0; i < n; i++) {
		part[i] = (struct part){ .f = f, .outer = &want[i] };
		gather_part(&part[i], snapshot);
		any |= part[i].n > 0;
	}
	if (any)
		ret = fetch_parts(f, snapshot, part, n, err);
	for (size_t i = 0; i < n; i++) {
		free(part[i].v);
		uidset_release(&part[i].set);
	}
	free(part);
	return ret;
}

/* Numbers that no message has. */
static void report_unknown(const struct want *w, outcome_fn *report, void *ctx)
{
	const struct lost_box *box = (const struct lost_box *)w->mailbox;

	for (uint32_t uid = uidset_next(w->set, (uint32_t)box->n); w->exact && uid;
	     uid = uidset_next(w->set, uid))
		report(ctx, w->tag, uid, OUTCOME_UID_UNKNOWN, 0, NULL);
}

static int lost_fetch(struct store *st, struct want *want, size_t n,
		      const struct message_sink *sink, outcome_fn *report, void *ctx,
		      struct err *err)
{
	struct fetching f = { .s = (struct lost_store *)st, .sink = sink, .report = report,
			      .ctx = ctx };

	for (size_t i = 0; i < n; i++) {
		want[i].complete = true;
		want[i].err = (struct err){ 0 };
		report_unknown(&want[i], report, ctx);
	}
	for (size_t i = 0; i < history_count(f.s->history); i++)
		if (fetch_snapshot(&f, i, want, n, err) < 0)
			return -1;
	return 0;
}

const struct store_ops git_deleted_store = {
	.type = "git",
	.traits = 0,
	.identify = lost_identify,
	.open = lost_open,
	.close = lost_close,
	.list = lost_list,
	.exists = lost_exists,
	.open_mailbox = lost_open_mailbox,
	.changes = lost_changes,
	.fetch = lost_fetch,
};
