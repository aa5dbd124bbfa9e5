#include "tests/lib/memory_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

struct memory_opened {
	struct store base;
	struct memory_world *world;
	struct memory_box **boxes;
	size_t n, cap;
};

struct memory_box {
	struct mailbox base;
	char *name;
	uint32_t uidvalidity; /* of the last answer; 0: none yet */
	outcome_fn *report;
	void *report_ctx, *tag;
};

struct memory_open_message {
	struct memory_box *box;
	struct message msg;
	struct buf body;
};

static void copy_base(struct base *to, const struct base *from)
{
	base_init(to);
	to->token = from->token;
	memcpy(to->mailboxid, from->mailboxid, sizeof(to->mailboxid));
	uidset_copy(&to->known, &from->known);
	uidset_copy(&to->held, &from->held);
	to->n_quarantine = from->n_quarantine;
	to->quarantine = xcalloc(from->n_quarantine, sizeof(*to->quarantine));
	for (size_t i = 0; i < from->n_quarantine; i++) {
		to->quarantine[i] = from->quarantine[i];
		to->quarantine[i].reason = xstrdup(from->quarantine[i].reason);
	}
}

static void message_release(struct memory_message *m)
{
	free(m->body);
	flags_release(&m->flags);
	flags_release(&m->base_flags);
}

static void mailbox_release(struct memory_mailbox *m)
{
	for (size_t k = 0; k < m->n_strangers; k++)
		free(m->strangers[k]);
	free(m->strangers);
	for (size_t k = 0; k < m->n; k++)
		message_release(&m->v[k]);
	free(m->v);
	free(m->name);
	free(m->source);
	base_release(&m->base);
	uidset_release(&m->lost);
}

static void state_release(struct memory_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		mailbox_release(&s->v[i]);
	free(s->v);
	*s = (struct memory_state){ 0 };
}

static void state_copy(struct memory_state *to, const struct memory_state *from)
{
	state_release(to);
	to->n = to->cap = from->n;
	to->v = xcalloc(from->n, sizeof(*to->v));
	for (size_t i = 0; i < from->n; i++) {
		struct memory_mailbox *t = &to->v[i];
		const struct memory_mailbox *f = &from->v[i];

		*t = *f;
		t->name = xstrdup(f->name);
		t->source = f->source ? xstrdup(f->source) : NULL;
		t->v = xcalloc(f->n, sizeof(*t->v));
		t->cap = f->n;
		for (size_t k = 0; k < f->n; k++) {
			t->v[k] = f->v[k];
			t->v[k].body = xstrdup(f->v[k].body);
			flags_init(&t->v[k].flags);
			flags_init(&t->v[k].base_flags);
			flags_copy(&t->v[k].flags, &f->v[k].flags);
			flags_copy(&t->v[k].base_flags, &f->v[k].base_flags);
		}
		t->strangers = xcalloc(f->n_strangers, sizeof(char *));
		for (size_t k = 0; k < f->n_strangers; k++)
			t->strangers[k] = f->strangers[k] ? xstrdup(f->strangers[k]) : NULL;
		copy_base(&t->base, &f->base);
		uidset_init(&t->lost);
		uidset_copy(&t->lost, &f->lost);
	}
}

void memory_world_init(struct memory_world *w)
{
	*w = (struct memory_world){ .presence = STORE_MISSING };
}

void memory_world_release(struct memory_world *w)
{
	state_release(&w->now);
	state_release(&w->stable);
	free(w->account);
	memory_world_init(w);
}

static struct memory_mailbox *find(struct memory_state *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

static struct memory_mailbox *add(struct memory_state *s, const char *name)
{
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n] = (struct memory_mailbox){
		.name = xstrdup(name),
		.uidvalidity = 1000 + (uint32_t)s->n,
		.uidnext = 1,
		.modseq = 1,
	};
	return &s->v[s->n++];
}

struct memory_mailbox *memory_mailbox_get(struct memory_world *w, const char *name)
{
	struct memory_mailbox *m = find(&w->stable, name);

	return m ? m : add(&w->stable, name);
}

static struct memory_message *push(struct memory_mailbox *m, const char *body)
{
	m->v = xgrow(m->v, m->n, &m->cap, sizeof(*m->v));
	m->v[m->n] = (struct memory_message){ .uid = m->uidnext, .body = xstrdup(body),
					      .date = 60 * (int64_t)m->uidnext };
	m->uidnext++;
	m->modseq++;
	return &m->v[m->n++];
}

void memory_deliver(struct memory_world *w, const char *mailbox, const char *body, const char *flags)
{
	flags_add_list(&push(memory_mailbox_get(w, mailbox), body)->flags, bytes_of(flags));
}

static void drop(struct memory_mailbox *m, uint32_t uid)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].uid == uid) {
			message_release(&m->v[i]);
			memmove(&m->v[i], &m->v[i + 1], (m->n - i - 1) * sizeof(*m->v));
			m->n--;
			m->modseq++;
			return;
		}
}

void memory_delete(struct memory_world *w, const char *mailbox, uint32_t uid)
{
	drop(memory_mailbox_get(w, mailbox), uid);
}

void memory_lose(struct memory_world *w, const char *mailbox, uint32_t uid)
{
	drop(memory_mailbox_get(w, mailbox), uid);
	memory_mailbox_get(w, mailbox)->touched = true;
}

void memory_set_flags(struct memory_world *w, const char *mailbox, uint32_t uid, const char *flags)
{
	struct memory_mailbox *m = memory_mailbox_get(w, mailbox);

	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].uid == uid) {
			flags_release(&m->v[i].flags);
			flags_add_list(&m->v[i].flags, bytes_of(flags));
			m->modseq++;
		}
}

void memory_put_stranger(struct memory_world *w, const char *mailbox, const char *body)
{
	struct memory_mailbox *m = memory_mailbox_get(w, mailbox);

	m->strangers = xrealloc(m->strangers, (m->n_strangers + 1) * sizeof(char *));
	m->strangers[m->n_strangers++] = xstrdup(body);
}

void memory_forget(struct memory_world *w, const char *mailbox)
{
	struct memory_mailbox *m = memory_mailbox_get(w, mailbox);

	for (size_t i = 0; i < m->n; i++) {
		memory_put_stranger(w, mailbox, m->v[i].body);
		message_release(&m->v[i]);
	}
	m->n = 0;
	base_release(&m->base);
	free(m->source);
	m->source = NULL;
	m->touched = true;
}

static size_t strangers_in(const struct memory_mailbox *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_strangers; i++)
		n += m->strangers[i] != NULL;
	return n;
}

size_t memory_strangers(struct memory_world *w, const char *mailbox)
{
	return strangers_in(memory_mailbox_get(w, mailbox));
}

static size_t count(struct memory_world *w, const char *mailbox, bool kept)
{
	struct memory_mailbox *m = find(&w->stable, mailbox);
	size_t n = 0;

	for (size_t i = 0; m && i < m->n; i++)
		n += m->v[i].kept == kept;
	return n;
}

size_t memory_live(struct memory_world *w, const char *mailbox)
{
	return count(w, mailbox, false);
}

size_t memory_kept(struct memory_world *w, const char *mailbox)
{
	return count(w, mailbox, true);
}

static size_t times(const struct memory_mailbox *m, const struct memory_message *like)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += !m->v[i].kept && strcmp(m->v[i].body, like->body) == 0 &&
		     flags_equal(&m->v[i].flags, &like->flags);
	return n;
}

bool memory_equal(struct memory_world *a, struct memory_world *b)
{
	for (size_t i = 0; i < a->stable.n; i++) {
		struct memory_mailbox *m = &a->stable.v[i];
		struct memory_mailbox *o = find(&b->stable, m->name);

		if (!o || memory_live(a, m->name) != memory_live(b, m->name))
			return false;
		for (size_t k = 0; k < m->n; k++)
			if (!m->v[k].kept && times(m, &m->v[k]) != times(o, &m->v[k]))
				return false;
	}
	return true;
}

static int memory_identify(const struct store_config *cfg, struct store_identity *out,
			   struct err *err)
{
	const struct memory_world *w = cfg->settings;

	(void)err;
	*out = (struct store_identity){ .presence = w->presence, .generation = w->generation };
	if (w->presence == STORE_OURS) {
		memcpy(out->uuid, w->uuid, sizeof(out->uuid));
		out->account = xstrdup(w->account ? w->account : "");
	}
	return 0;
}

static int memory_open(struct store **out, const struct store_config *cfg, enum store_mode mode,
		       struct err *err)
{
	struct memory_world *w = (struct memory_world *)(uintptr_t)cfg->settings;
	struct memory_opened *st = xcalloc(1, sizeof(*st));

	(void)err;
	w->opened++;
	w->opened_to_write += mode == STORE_WRITE;
	w->rebound |= cfg->rebind;
	w->renumbered |= cfg->older;
	if (mode == STORE_WRITE && cfg->create && w->presence != STORE_OURS) {
		w->presence = STORE_OURS;
		snprintf(w->uuid, sizeof(w->uuid), "%08u-0000-4000-8000-000000000000", 1);
		free(w->account); /* of one that was lost */
		w->account = xstrdup(cfg->account);
	}
	if (w->becomes && mode == STORE_WRITE) {
		free(w->account);
		w->account = xstrdup(w->becomes);
	}
	if (w->swap_at_open)
		w->uuid[0] ^= 1;
	if (w->settles_at_open && mode == STORE_WRITE) {
		free(w->account);
		w->account = xstrdup(cfg->account);
	}
	state_copy(&w->now, &w->stable);
	st->base = (struct store){ .ops = &memory_store, .cfg = cfg };
	st->world = w;
	*out = &st->base;
	return 0;
}

static void memory_close(struct store *store)
{
	struct memory_opened *st = (struct memory_opened *)store;

	for (size_t i = 0; i < st->n; i++) {
		mailbox_name_release(&st->boxes[i]->base.name);
		free(st->boxes[i]->name);
		free(st->boxes[i]);
	}
	free(st->boxes);
	free(st);
}

static struct memory_world *world_of(struct store *st)
{
	return ((struct memory_opened *)st)->world;
}

static bool is_account(const struct store *st)
{
	return !st->cfg->path && st->cfg->name[0] == 't';
}

static struct token token_of(const struct memory_mailbox *m)
{
	return (struct token){ .known = true,
			       .uidvalidity = m->uidvalidity,
			       .uidnext = m->no_uidnext ? 0 : m->uidnext,
			       .messages = (uint32_t)m->n,
			       .highestmodseq = m->no_modseq ? 0 : m->modseq };
}

/* Let the world go on while a run is under way. */
static void meanwhile(struct memory_world *w, const char *what, const char *mailbox)
{
	if (!w->meanwhile)
		return;
	w->meanwhile(w, what, mailbox);
	state_copy(&w->now, &w->stable);
}

static int read_name(const struct memory_mailbox *m, struct mailbox_name *out, struct err *err)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	int ret = mailbox_name_from_display(out, bytes_of(m->name), err);

	if (ret == 0 && m->source)
		ret = mailbox_name_from_display(&source, bytes_of(m->source), err);
	if (ret == 0 && m->source)
		mailbox_name_map(out, &source, out);
	mailbox_name_release(&source);
	return ret;
}

static int memory_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err)
{
	struct memory_world *w = world_of(st);

	(void)hint;
	w->listed++;
	if (w->list_fails && --w->list_fails == 0)
		return err_set(err, ERR_RETRY, "the line was cut");
	for (size_t i = 0; i < w->now.n * (w->list_twice ? 2 : 1); i++) {
		struct memory_mailbox *m = &w->now.v[i % w->now.n];
		struct mailbox_info *info;

		if (m->gone_from_list)
			continue;
		info = mailbox_list_add(out);
		if (read_name(m, &info->name, err) < 0)
			return -1;
		info->attributes = m->attributes;
		info->known = uidset_count(&m->base.known);
		info->held = uidset_count(&m->base.held);
		for (size_t k = 0; k < m->base.n_quarantine; k++)
			info->pending += !m->base.quarantine[k].accepted;
		for (size_t k = 0; k < m->n; k++) {
			info->stored += m->v[k].source_uid != 0;
			info->adopted += m->v[k].source_uid != 0 && m->v[k].adopted;
			info->kept += m->v[k].kept;
		}
		info->token = m->base.token;
		memcpy(info->mailboxid, m->base.mailboxid, sizeof(info->mailboxid));
		/* A source tells its own state; what remembers in a file what it put into an account, does not. */
		if (st->cfg->name[0] == 's' && (st->cfg->path || !st->cfg->index)) {
			info->token = token_of(m);
			mailboxid_take(info->mailboxid, bytes_of(m->mailboxid));
		}
		if (m->no_status || m->name_only)
			info->token = (struct token){ 0 };
		info->touched = m->touched;
	}
	mailbox_list_sort(out);
	if (w->says && out->n > 0)
		st->cfg->run->note(st->cfg->run->note_ctx, &out->v[0].name, w->says);
	out->complete = !w->list_incomplete;
	return w->prefix ? mailbox_name_from_display(&out->prefix, bytes_of(w->prefix), err) : 0;
}

static int memory_exists(struct store *st, const struct mailbox_name *name, bool *out,
			 struct err *err)
{
	char *text = mailbox_name_text(name);

	if (world_of(st)->exists_unclear) {
		free(text);
		return err_set(err, ERR_MAILBOX, "not now");
	}
	*out = find(&world_of(st)->now, text) != NULL && !find(&world_of(st)->now, text)->name_only;
	free(text);
	return 0;
}

static int memory_open_mailbox(struct store *store, const struct mailbox_info *info,
			       enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct memory_opened *st = (struct memory_opened *)store;
	struct memory_box *box = xcalloc(1, sizeof(*box));

	struct memory_mailbox *m;

	(void)mode;
	box->base.store = store;
	mailbox_name_copy(&box->base.name, &info->name);
	box->name = mailbox_name_text(&info->name);
	box->uidvalidity = info->token.uidvalidity;
	st->boxes = xgrow(st->boxes, st->n, &st->cap, sizeof(*st->boxes));
	st->boxes[st->n++] = box;
	*out = &box->base;
	m = find(&st->world->now, box->name);
	return m && m->unopenable ? err_set(err, ERR_MAILBOX, "cannot be opened") : 0;
}

static struct memory_mailbox *mailbox_of(struct mailbox *mb)
{
	return find(&world_of(mb->store)->now, ((struct memory_box *)mb)->name);
}

static int memory_room(struct store *st, uint64_t *bytes, struct err *err)
{
	(void)err;
	if (world_of(st)->room)
		*bytes = world_of(st)->room;
	return 0;
}

static int memory_base(struct mailbox *mb, struct base *out, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);

	(void)err;
	base_release(out);
	copy_base(out, &m->base);
	for (size_t i = 0; i < m->n; i++) {
		out->stored += m->v[i].source_uid != 0;
		out->adopted += m->v[i].source_uid != 0 && m->v[i].adopted;
		if (m->v[i].kept)
			uidset_add(&out->kept, m->v[i].uid);
	}
	return 0;
}

static int memory_quarantine(struct mailbox *mb, struct base *out, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);
	const struct base only = { .quarantine = m->base.quarantine,
				   .n_quarantine = m->base.n_quarantine };

	(void)err;
	base_release(out);
	copy_base(out, &only);
	return 0;
}

static int memory_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	(void)err;
	world_of(st)->compared++;
	for (size_t i = 0; i < n; i++) {
		struct memory_box *box = (struct memory_box *)req[i].mailbox;
		struct changes *out = req[i].out;
		struct memory_mailbox *m;

		meanwhile(world_of(st), "changes", box->name);
		world_of(st)->described += req[i].describe;
		m = mailbox_of(req[i].mailbox);
		m->touched = false;
		box->uidvalidity = m->uidvalidity;
		if (m->unreadable || m->name_only) {
			err_set(&out->err, ERR_MAILBOX, "cannot be opened");
			out->absent = m->name_only && !m->unreadable;
			continue;
		}
		out->complete = m->hide == 0 && !m->partial;
		out->foreign = is_account(st) ? 0 : strangers_in(m);
		uidset_copy(&out->missing, &m->lost);
		out->token = token_of(m);
		if (req[i].everything_new && m->uidnext > 1) {
			uidset_add_range(&out->fresh, 1, m->uidnext - 1);
			continue;
		}
		if (m->says_nothing_changed && req[i].since && req[i].since->highestmodseq) {
			out->delta = !req[i].flagged; /* counting, it would notice */
			if (out->delta)
				continue;
		}
		for (size_t k = 0; k < (m->partial ? m->n / 2 : m->n); k++) {
			struct entry *e;

			if (m->v[k].uid == m->hide ||
			    (m->v[k].kept && !st->cfg->with_kept))
				continue;
			e = changes_add(out, m->v[k].uid);
			e->source_uid = m->v[k].source_uid;
			e->base_flags = flag_table_intern(out->flags, &m->v[k].base_flags);
			e->flags = is_account(st) ? e->base_flags
						  : flag_table_intern(out->flags, &m->v[k].flags);
			e->size = (uint32_t)strlen(m->v[k].body);
			if (out->described)
				out->dates[out->n - 1] = m->v[k].date;
		}
	}
	return 0;
}

static int give(struct want *want, struct memory_message *m, const struct message_sink *sink,
		struct err *err)
{
	struct maildate date = { .unix_time = m->date, .known = true };
	struct message msg = { .uid = m->uid, .flags = &m->flags, .date = &date,
			       .size = strlen(m->body) };
	void *handle;

	if (sink->begin(sink->ctx, want->tag, &msg, &handle, err) < 0)
		return -1;
	if (sink->write(sink->ctx, handle, bytes_of(m->body), err) < 0) {
		sink->end(sink->ctx, handle, NULL, false, err);
		return -1;
	}
	return sink->end(sink->ctx, handle, &msg, true, err);
}

/* What it gives of one mailbox. */
static int fetch_one(struct memory_world *w, struct want *want, uint64_t *given,
		     const struct message_sink *sink, outcome_fn *report, void *ctx,
		     struct err *err)
{
	struct memory_mailbox *m = mailbox_of(want->mailbox);
	struct err poison = { .kind = ERR_MESSAGE, .text = "cannot be read" };
	bool silent = false;
	size_t at = 0;

	for (size_t k = 0; k < m->n; k++) {
		struct memory_message *v = &m->v[w->backwards ? m->n - 1 - k : k];
		bool asked = uidset_has(want->set, v->uid);

		silent |= asked && v->silent;
		if ((!asked && !w->twice) || v->silent)
			continue;
		if (w->fail_after && *given == w->fail_after)
			return err_set(err, w->fail_kind ? w->fail_kind : ERR_RETRY, "the end");
		if (v->unanswered)
			report(ctx, want->tag, v->uid, OUTCOME_NO_ANSWER, 0, NULL);
		for (int times = 0; v->poison && times <= w->twice; times++)
			report(ctx, want->tag, v->uid, OUTCOME_REFUSED, 0, &poison);
		if (v->unanswered || v->poison)
			continue;
		for (int times = 0; times <= w->twice; times++) {
			enum outcome what = OUTCOME_DONE;

			if (give(want, v, sink, err) < 0) {
				if (err->kind != ERR_MESSAGE)
					return -1;
				what = OUTCOME_REFUSED;
			}
			report(ctx, want->tag, v->uid, what, 0, err);
		}
		*(want->header ? &w->headers : &w->fetched) += 1;
		(*given)++;
	}
	for (uint32_t uid = uidset_next(want->set, 0); want->exact && uid;
	     uid = uidset_next(want->set, uid)) {
		while (at < m->n && m->v[at].uid < uid)
			at++;
		if (at == m->n || m->v[at].uid != uid || m->v[at].silent)
			report(ctx, want->tag, uid, OUTCOME_UID_UNKNOWN, 0, NULL);
	}
	want->complete = want->exact || !silent;
	return 0;
}

static int memory_fetch(struct store *st, struct want *want, size_t n,
			const struct message_sink *sink, outcome_fn *report, void *ctx,
			struct err *err)
{
	struct memory_world *w = world_of(st);
	uint64_t given = 0;

	for (size_t i = 0; i < n; i++) {
		struct memory_box *box = (struct memory_box *)want[i].mailbox;
		struct memory_mailbox *m;

		meanwhile(w, "fetch", box->name);
		m = mailbox_of(want[i].mailbox);
		if (m->unreadable)
			err_set(&want[i].err, ERR_MAILBOX, "cannot be opened");
		else if (m->uidvalidity != box->uidvalidity)
			err_set(&want[i].err, ERR_MAILBOX, "UIDVALIDITY changed meanwhile");
		else if (fetch_one(w, &want[i], &given, sink, report, ctx, err) < 0)
			return -1;
	}
	return 0;
}

static int memory_begin(void *ctx, void *tag, const struct message *msg, void **handle,
			struct err *err)
{
	struct memory_open_message *o = xcalloc(1, sizeof(*o));

	(void)tag;
	o->box = ctx;
	if (mailbox_of(&o->box->base)->unwritable) {
		free(o);
		return err_set(err, ERR_MAILBOX, "cannot be written");
	}
	if (world_of(o->box->base.store)->full_after &&
	    mailbox_of(&o->box->base)->n >= world_of(o->box->base.store)->full_after) {
		free(o);
		return err_set(err, ERR_FATAL, "no space");
	}
	o->msg = *msg;
	buf_init(&o->body, 1 << 20);
	*handle = o;
	return 0;
}

static int memory_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add(&((struct memory_open_message *)handle)->body, piece);
	return 0;
}

static void bind(struct memory_message *m, const struct message *msg)
{
	m->kept = m->held = false;
	m->source_uid = msg->uid;
	m->date = msg->date ? msg->date->unix_time : CHANGES_NO_DATE;
	flags_copy(&m->flags, msg->flags);
	flags_copy(&m->base_flags, msg->flags);
}

static bool remove_stranger(struct mailbox *mb, const char *body)
{
	struct memory_mailbox *m = mailbox_of(mb);

	for (size_t i = 0; mb->store->cfg->adopt && i < m->n_strangers; i++)
		if (m->strangers[i] && strcmp(m->strangers[i], body) == 0) {
			free(m->strangers[i]);
			m->strangers[i] = NULL;
			return true;
		}
	return false;
}

static int memory_strangers_of(struct mailbox *mb, const struct uidset *sizes, void *tag,
			       const struct message_sink *sink, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);

	for (size_t i = 0; i < m->n_strangers; i++) {
		struct message msg = { .uid = (uint32_t)i + 1 };
		void *handle;

		if (!m->strangers[i])
			continue;
		msg.size = strlen(m->strangers[i]);
		if (sizes && !uidset_has(sizes, (uint32_t)msg.size))
			continue;
		if (sink->begin(sink->ctx, tag, &msg, &handle, err) < 0 ||
		    sink->write(sink->ctx, handle, bytes_of(m->strangers[i]), err) < 0 ||
		    sink->end(sink->ctx, handle, &msg, true, err) < 0)
			return -1;
	}
	return 0;
}

static int memory_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		       struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);
	char **at = &m->strangers[stranger - 1];
	const char *slippery = world_of(mb->store)->slippery;
	struct memory_message *new;

	if (m->unwritable)
		return err_set(err, ERR_MAILBOX, "cannot be written");
	if (!*at || (slippery && strcmp(*at, slippery) == 0))
		return 0;
	new = push(m, *at);
	bind(new, msg);
	new->adopted = true;
	free(*at);
	*at = NULL;
	*uid = new->uid;
	return 0;
}

static int memory_end(void *ctx, void *handle, const struct message *msg, bool complete,
		      struct err *err)
{
	struct memory_open_message *o = handle;
	struct memory_box *box = ctx;
	struct memory_mailbox *m = mailbox_of(&box->base);
	struct memory_message *new = NULL;
	const char *refuse = world_of(box->base.store)->refuse;
	const char *choke = world_of(box->base.store)->choke;
	const char *forget = world_of(box->base.store)->forget;
	enum outcome outcome = OUTCOME_DONE;

	if (complete && refuse && strcmp(buf_str(&o->body), refuse) == 0) {
		err_set(err, ERR_MESSAGE, "not taken");
		box->report(box->report_ctx, box->tag, message_called(msg), OUTCOME_REFUSED, 0, err);
		complete = false;
	}
	if (complete && choke && strcmp(buf_str(&o->body), choke) == 0) {
		buf_release(&o->body);
		free(o);
		return err_set(err, ERR_MESSAGE, "choked");
	}
	if (complete && forget && strcmp(buf_str(&o->body), forget) == 0) {
		box->report(box->report_ctx, box->tag, message_called(msg), OUTCOME_NO_ANSWER, 0, NULL);
		complete = false;
	}
	for (size_t i = 0; complete && msg->uid && i < m->n && !new; i++)
		if ((m->v[i].kept || !m->v[i].source_uid) && strcmp(m->v[i].body, buf_str(&o->body)) == 0) {
			new = &m->v[i];
			uidset_remove(&m->base.held, new->uid);
			outcome = OUTCOME_ADOPTED;
		}
	if (complete && !new) {
		bool stranger = remove_stranger(&box->base, buf_str(&o->body));

		new = push(m, buf_str(&o->body));
		new->adopted = stranger;
		outcome = stranger ? OUTCOME_ADOPTED : OUTCOME_DONE;
	}
	if (complete) {
		bind(new, msg);
		box->report(box->report_ctx, box->tag, message_called(msg), outcome, new->uid, NULL);
	}
	buf_release(&o->body);
	free(o);
	return 0;
}

static int memory_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
			 struct message_sink *sink, struct err *err)
{
	struct memory_box *box = (struct memory_box *)mb;

	(void)err;
	box->report = report;
	box->report_ctx = ctx;
	box->tag = tag;
	*sink = (struct message_sink){
		.ctx = box, .begin = memory_begin, .write = memory_write, .end = memory_end
	};
	return 0;
}

static int memory_change_flags(struct mailbox *mb, const struct uidset *set,
			       const struct flag_delta *delta, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);

	if (m->unwritable)
		return err_set(err, ERR_MAILBOX, "cannot be written");
	for (size_t i = 0; i < m->n; i++)
		if (uidset_has(set, m->v[i].uid)) {
			flags_add_all(&m->v[i].flags, &delta->add);
			flags_remove_all(&m->v[i].flags, &delta->remove);
			flags_add_all(&m->v[i].base_flags, &delta->add);
			flags_remove_all(&m->v[i].base_flags, &delta->remove);
			if (!is_account(mb->store))
				flags_copy(&m->v[i].base_flags, &m->v[i].flags);
		}
	return 0;
}

static int memory_expunge(struct mailbox *mb, const struct uidset *set, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);
	struct uidset copy = UIDSET_INIT;

	(void)err;
	uidset_copy(&copy, set); /* it may be the base's own */
	for (size_t i = m->n; i > 0; i--)
		if (uidset_has(&copy, m->v[i - 1].uid))
			drop(m, m->v[i - 1].uid);
	uidset_subtract(&m->base.held, &m->base.held, &copy);
	uidset_release(&copy);
	return 0;
}

static int memory_keep(struct mailbox *mb, const struct uidset *set, bool held, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);

	(void)err;
	for (size_t i = 0; i < m->n; i++)
		if (uidset_has(set, m->v[i].uid)) {
			m->v[i].kept = true;
			m->v[i].held = held;
			m->v[i].source_uid = 0;
			if (held)
				uidset_add(&m->base.held, m->v[i].uid);
		}
	return 0;
}

static bool live_elsewhere(struct store *st, const struct removal *r, size_t n, const char *body)
{
	struct memory_state *s = &world_of(st)->now;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->v[i].n; k++) {
			bool removed = s->v[i].v[k].kept;

			for (size_t x = 0; x < n; x++)
				removed |= mailbox_of(r[x].mailbox) == &s->v[i] &&
					   uidset_has(r[x].set, s->v[i].v[k].uid);
			if (!removed && strcmp(s->v[i].v[k].body, body) == 0)
				return true;
		}
	return false;
}

static int memory_count_lost(struct store *st, struct removal *r, size_t n, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct memory_mailbox *m = mailbox_of(r[i].mailbox);

		r[i].lost = 0;
		for (size_t k = 0; k < m->n; k++)
			if (uidset_has(r[i].set, m->v[k].uid) &&
			    !live_elsewhere(st, r, n, m->v[k].body))
				r[i].lost++;
	}
	return 0;
}

static int memory_set_base(struct mailbox *mb, const struct base *b, struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);
	struct base copy;

	if (m->forgetful && b->token.uidnext)
		return err_set(err, ERR_MAILBOX, "too much to remember");
	copy_base(&copy, b);
	uidset_copy(&copy.held, &m->base.held);
	base_release(&m->base);
	m->base = copy;
	return 0;
}

static int memory_renumber(struct mailbox *mb, const uint32_t *from, const uint32_t *to, size_t n,
			   struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);

	if (world_of(mb->store)->unrenumberable)
		return err_set(err, ERR_MAILBOX, "cannot be renumbered");
	for (size_t i = 0; i < m->n; i++) {
		uint32_t was = m->v[i].source_uid;

		m->v[i].source_uid = 0;
		for (size_t k = 0; was && k < n; k++)
			if (from[k] == was)
				m->v[i].source_uid = to[k];
	}
	return 0;
}

static int memory_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
			   struct err *err)
{
	struct memory_mailbox *m = mailbox_of(mb);

	for (size_t i = 0; i < m->n; i++) {
		uint8_t sha[CONTENT_HASH_SIZE];
		size_t n = strlen(m->v[i].body);

		if (set && !uidset_has(set, m->v[i].uid))
			continue;
		world_of(mb->store)->looked_into++;
		EVP_Digest(m->v[i].body, n, sha, NULL, EVP_sha256(), NULL);
		if (each(ctx, m->v[i].uid, n, sha, err) < 0)
			return -1;
	}
	return 0;
}

static void set_source(struct memory_mailbox *m, const struct mailbox_name *name)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;

	free(m->source);
	mailbox_name_source(&source, name);
	m->source = name->mapped ? mailbox_name_text(&source) : NULL;
	mailbox_name_release(&source);
}

static int memory_create(struct store *st, const struct mailbox_name *name, unsigned attributes,
			 struct err *err)
{
	char *text = mailbox_name_text(name);
	struct memory_mailbox *m = find(&world_of(st)->now, text);

	(void)err;
	if (!m)
		m = add(&world_of(st)->now, text);
	m->attributes = attributes;
	set_source(m, name);
	free(text);
	return 0;
}

static int memory_commit(struct store *st, struct err *err);

static void forget_mailbox(struct memory_state *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0) {
			mailbox_release(&s->v[i]);
			memmove(&s->v[i], &s->v[i + 1], (s->n - i - 1) * sizeof(*s->v));
			s->n--;
			return;
		}
}

void memory_remove_mailbox(struct memory_world *w, const char *name)
{
	forget_mailbox(&w->stable, name);
}

bool memory_has_mailbox(struct memory_world *w, const char *name)
{
	return find(&w->stable, name) != NULL;
}

/* As the others do: a change to mailboxes is durable by itself. */
static int memory_remove(struct store *st, const struct mailbox_name *name, struct err *err)
{
	char *text = mailbox_name_text(name);
	struct memory_mailbox *m = find(&world_of(st)->now, text);
	int ret = 0;

	if (m && (m->n > 0 || (is_account(st) && strangers_in(m) > 0)))
		ret = err_set(err, ERR_MAILBOX, "it still holds messages");
	else if (m && memory_commit(st, err) < 0)
		ret = -1;
	else if (m) {
		forget_mailbox(&world_of(st)->now, text);
		ret = memory_commit(st, err);
	}
	free(text);
	return ret;
}

/* TO, or what lies below it for what lies below FROM; NULL for a name elsewhere. */
static char *moved_name(const char *name, const char *from, const char *to)
{
	size_t n = strlen(from);

	return strncmp(name, from, n) == 0 && (!name[n] || name[n] == '/')
		       ? xasprintf("%s%s", to, name + n)
		       : NULL;
}

static void rename_tree(struct memory_state *s, const char *from, const char *to)
{
	for (size_t i = 0; i < s->n; i++) {
		char *name = moved_name(s->v[i].name, from, to);

		if (!name)
			continue;
		free(s->v[i].name);
		s->v[i].name = name;
	}
}

void memory_rename_mailbox(struct memory_world *w, const char *from, const char *to)
{
	rename_tree(&w->stable, from, to);
}

static bool rename_collides(const struct memory_state *s, const char *from, const char *to)
{
	bool collides = false;

	for (size_t i = 0; i < s->n; i++) {
		char *name = moved_name(s->v[i].name, from, to);

		for (size_t k = 0; name && k < s->n; k++)
			collides |= strcmp(s->v[k].name, name) == 0;
		free(name);
	}
	return collides;
}

/* With what the source calls them. */
static void move_names(struct memory_state *s, const struct mailbox_name *from,
		       const struct mailbox_name *to)
{
	struct mailbox_name was = MAILBOX_NAME_INIT, name = MAILBOX_NAME_INIT;
	struct err err;

	for (size_t i = 0; i < s->n; i++) {
		if (read_name(&s->v[i], &was, &err) < 0 || !mailbox_name_is_below(&was, from) ||
		    mailbox_name_move(&name, &was, from, to, &err) < 0)
			continue;
		free(s->v[i].name);
		s->v[i].name = mailbox_name_text(&name);
		set_source(&s->v[i], &name);
	}
	mailbox_name_release(&was);
	mailbox_name_release(&name);
}

static int memory_rename(struct store *st, const struct mailbox_name *from,
			 const struct mailbox_name *to, struct err *err)
{
	struct memory_world *w = world_of(st);
	char *was = mailbox_name_text(from), *name = mailbox_name_text(to);
	int ret = 0;

	if (!find(&w->now, was) || rename_collides(&w->now, was, name) || strcmp(was, "INBOX") == 0)
		ret = err_set(err, ERR_MAILBOX, "%s cannot be renamed to %s", was, name);
	else if (memory_commit(st, err) < 0)
		ret = -1;
	else {
		move_names(&w->now, from, to);
		w->renamed++;
		ret = memory_commit(st, err);
	}
	free(was);
	free(name);
	return ret;
}

static int memory_subscribe(struct store *st, const struct mailbox_name *name, bool on,
			    struct err *err)
{
	char *text = mailbox_name_text(name);
	struct memory_mailbox *m = find(&world_of(st)->now, text);

	(void)err;
	m->attributes &= ~(unsigned)MAILBOX_SUBSCRIBED;
	m->attributes |= on ? MAILBOX_SUBSCRIBED : 0;
	free(text);
	return 0;
}

static int memory_commit(struct store *st, struct err *err)
{
	struct memory_world *w = world_of(st);

	if (w->commit_fails && --w->commit_fails == 0)
		return err_set(err, ERR_FATAL, "the disk is full");
	state_copy(&w->stable, &w->now);
	free(w->account);
	w->account = xstrdup(st->cfg->account);
	w->generation++;
	w->committed++;
	return 0;
}

static int memory_snapshot(struct store *st, struct err *err)
{
	if (memory_commit(st, err) < 0)
		return -1;
	world_of(st)->snapshots++;
	return 0;
}

#define MEMORY_OPS                                                              \
	.type = "memory",                                                       \
	.identify = memory_identify,                                            \
	.close = memory_close,                                                  \
	.list = memory_list,                                                    \
	.room = memory_room,                                                    \
	.exists = memory_exists,                                                \
	.open_mailbox = memory_open_mailbox,                                    \
	.base = memory_base,                                                    \
	.quarantine = memory_quarantine,                                        \
	.changes = memory_changes,                                              \
	.fetch = memory_fetch,                                                  \
	.append = memory_append,                                                \
	.strangers = memory_strangers_of,                                       \
	.take = memory_take,                                                    \
	.change_flags = memory_change_flags,                                    \
	.expunge = memory_expunge,                                              \
	.keep = memory_keep,                                                    \
	.count_lost = memory_count_lost,                                        \
	.set_base = memory_set_base,                                            \
	.renumber = memory_renumber,                                            \
	.contents = memory_contents,                                            \
	.create = memory_create,                                                \
	.rename = memory_rename,                                                \
	.remove = memory_remove,                                                \
	.subscribe = memory_subscribe,                                          \
	.commit = memory_commit,                                                \
	.snapshot = memory_snapshot

const struct store_ops memory_store = {
	.traits = STORE_HOLDS_BASE | STORE_ADOPTS, .open = memory_open, MEMORY_OPS
};

static int memory_history_open(struct store **out, const struct store_config *cfg,
			       enum store_mode mode, struct err *err)
{
	memory_open(out, cfg, mode, err);
	(*out)->ops = &memory_history_store;
	return 0;
}

const struct store_ops memory_history_store = {
	.traits = STORE_HOLDS_BASE | STORE_HAS_HISTORY, .open = memory_history_open, MEMORY_OPS
};
