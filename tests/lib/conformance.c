#include "tests/lib/conformance.h"

#include <stdlib.h>
#include <string.h>

#include "backends/imap/imap.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/account_rig.h"
#include "tests/lib/support.h"

void must(int ret, const struct err *err)
{
	if (ret < 0)
		test_die("unexpected error %d: %s", (int)err->kind, err->text);
}

void bench_init(struct bench *b, const struct store_under_test *sut)
{
	static unsigned number;
	char *dir = xasprintf("store-%u", ++number);

	*b = (struct bench){ .sut = sut, .path = path_join(tmp_dir(), dir) };
	b->cfg = (struct store_config){ .name = sut->name, .path = b->path,
					.layout = sut->layout, .account = "user@host",
					.create = true };
	free(dir);
	if (sut->ops == &imap_store)
		account_rig_prepare(b);
}

void bench_open_as(struct bench *b, enum store_mode mode)
{
	struct err err = { 0 };

	must(store_open(b->sut->ops, &b->st, &b->cfg, mode, &err), &err);
}

void bench_open(struct bench *b)
{
	bench_open_as(b, STORE_WRITE);
}

void bench_close(struct bench *b)
{
	store_close(b->st);
	b->st = NULL;
}

void bench_reopen(struct bench *b)
{
	bench_close(b);
	bench_open(b);
}

void bench_release(struct bench *b)
{
	bench_close(b);
	account_rig_finish(b);
	remove_tree(b->path);
	free(b->path);
}

void bench_commit(struct bench *b)
{
	struct err err = { 0 };

	must(store_commit(b->st, &err), &err);
}

static void name_of(const char *display, struct mailbox_name *out)
{
	struct err err = { 0 };

	mailbox_name_init(out);
	must(mailbox_name_from_display(out, bytes_of(display), &err), &err);
}

struct mailbox *bench_find(struct bench *b, const char *name)
{
	struct mailbox_info info = { 0 };
	struct mailbox *mb;
	struct err err = { 0 };

	name_of(name, &info.name);
	must(mailbox_open(b->st, &info, b->cfg.create ? STORE_WRITE : STORE_READ, &mb, &err),
	     &err);
	mailbox_name_release(&info.name);
	return mb;
}

struct mailbox *bench_mailbox(struct bench *b, const char *name)
{
	struct mailbox_name m;
	struct err err = { 0 };
	bool there;

	name_of(name, &m);
	must(store_exists(b->st, &m, &there, &err), &err);
	if (!there)
		must(store_create(b->st, &m, 0, &err), &err);
	mailbox_name_release(&m);
	return bench_find(b, name);
}

struct put_report {
	unsigned calls;
	uint32_t called;
	enum outcome what;
	uint32_t new_uid;
};

static void on_put(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		   const struct err *why)
{
	struct put_report *r = ctx;

	(void)tag;
	(void)why;
	r->calls++;
	r->called = uid;
	r->what = what;
	r->new_uid = new_uid;
}

enum outcome bench_put(struct mailbox *mb, uint32_t source_uid, const struct put *put,
		       uint32_t *new_uid)
{
	struct put_report report = { 0 };
	struct message_sink sink;
	struct flags flags = FLAGS_INIT;
	struct maildate date;
	struct message msg = { .uid = source_uid, .number = 4711, .flags = &flags, .date = &date,
			       .identity = put->identity ? bytes_of(put->identity)
							 : (struct bytes){ 0 } };
	size_t piece = put->piece ? put->piece : put->body.n;
	struct err err = { 0 };
	void *handle;

	if (put->flags)
		flags_add_list(&flags, bytes_of(put->flags));
	maildate_init(&date);
	maildate_parse(&date, bytes_of(put->date ? put->date : PUT_DATE));
	must(mailbox_append(mb, on_put, &report, NULL, &sink, &err), &err);
	must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
	for (size_t at = 0; at < put->body.n; at += piece) {
		size_t n = put->body.n - at < piece ? put->body.n - at : piece;

		must(sink.write(sink.ctx, handle, bytes_from(put->body.p + at, n), &err),
		     &err);
	}
	must(sink.end(sink.ctx, handle, &msg, true, &err), &err);
	flags_release(&flags);
	maildate_release(&date);
	if (report.calls == 0) /* it may wait for more to come */
		must(store_commit(mb->store, &err), &err);
	if (report.calls != 1)
		test_die("append reported %u times", report.calls);
	if (report.called != message_called(&msg))
		test_die("append called it %u", report.called);
	if (new_uid)
		*new_uid = report.new_uid;
	return report.what;
}

enum outcome bench_put_text(struct mailbox *mb, uint32_t source_uid, const char *text)
{
	struct put put = { .body = bytes_of(text) };

	return bench_put(mb, source_uid, &put, NULL);
}

static int got_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		     struct err *err)
{
	struct gots *g = ctx;

	(void)tag;
	(void)err;
	g->v = xgrow(g->v, g->n, &g->cap, sizeof(*g->v));
	g->v[g->n] = (struct got){ .uid = msg->uid, .what = OUTCOME_NO_ANSWER };
	buf_init(&g->v[g->n].body, SIZE_MAX / 4);
	buf_init(&g->v[g->n].flags, 4096);
	buf_init(&g->v[g->n].date, 4096);
	buf_init(&g->v[g->n].identity, 4096);
	*handle = (void *)(uintptr_t)(g->n++ + 1);
	return 0;
}

static struct got *got_of(struct gots *g, const void *handle)
{
	return &g->v[(uintptr_t)handle - 1];
}

static int got_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	(void)err;
	buf_add(&got_of(ctx, handle)->body, piece);
	return 0;
}

static int got_end(void *ctx, void *handle, const struct message *msg, bool complete,
		   struct err *err)
{
	struct got *g = got_of(ctx, handle);
	const struct gots *all = ctx;

	(void)err;
	g->complete = complete;
	if (!complete)
		return 0;
	g->size = msg->size;
	buf_add(&g->identity, msg->identity);
	if (!all->attributes && !all->headers && (msg->size || !all->sizeless) &&
	    msg->size != g->body.n)
		test_die("fetch said %llu bytes and gave %zu", (unsigned long long)msg->size,
			 g->body.n);
	if (msg->flags) /* strangers have none */
		flags_format(msg->flags, &g->flags);
	if (msg->date)
		maildate_format(msg->date, &g->date);
	return 0;
}

static void on_got(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		   const struct err *why)
{
	struct gots *g = ctx;

	(void)tag;
	(void)new_uid;
	(void)why;
	if (what == OUTCOME_UID_UNKNOWN)
		g->unknown++;
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i].uid == uid)
			g->v[i].what = what;
}

static void fetch_into(struct mailbox *mb, const struct uidset *set, bool exact, struct gots *out)
{
	struct want want = { .mailbox = mb, .set = set, .exact = exact,
			     .attributes = out->attributes };
	const struct message_sink sink = { .ctx = out, .begin = got_begin, .write = got_write,
					   .end = got_end };
	struct err err = { 0 };

	out->sizeless = mb->store->ops == &imap_store;
	must(store_fetch(mb->store, &want, 1, &sink, on_got, out, &err), &err);
	must(want.err.kind == ERR_NONE ? 0 : -1, &want.err);
	out->complete = want.complete;
}

void bench_fetch(struct mailbox *mb, const struct uidset *set, bool exact, struct gots *out)
{
	*out = (struct gots){ 0 };
	fetch_into(mb, set, exact, out);
}

void bench_fetch_attributes(struct mailbox *mb, struct gots *out)
{
	struct uidset all = UIDSET_INIT;

	*out = (struct gots){ .attributes = true };
	uidset_add_range(&all, 1, UINT32_MAX);
	fetch_into(mb, &all, false, out);
	uidset_release(&all);
}

void bench_fetch_all(struct mailbox *mb, struct gots *out)
{
	struct uidset all = UIDSET_INIT;

	uidset_add_range(&all, 1, UINT32_MAX);
	bench_fetch(mb, &all, false, out);
	uidset_release(&all);
}

void bench_strangers(struct mailbox *mb, struct gots *out)
{
	bench_strangers_of(mb, NULL, out);
}

void bench_strangers_of(struct mailbox *mb, const struct uidset *sizes, struct gots *out)
{
	struct message_sink sink = { .ctx = out, .begin = got_begin, .write = got_write,
				     .end = got_end };
	struct err err = { 0 };

	*out = (struct gots){ .headers = true };
	must(mailbox_strangers(mb, sizes, NULL, &sink, &err), &err);
}

uint32_t bench_take(struct mailbox *mb, uint32_t stranger, uint32_t source_uid, const char *flags)
{
	struct flags f = FLAGS_INIT;
	struct maildate date;
	struct message msg = { .uid = source_uid, .flags = &f, .date = &date };
	struct err err = { 0 };
	uint32_t uid;

	flags_add_list(&f, bytes_of(flags));
	maildate_init(&date);
	maildate_parse(&date, bytes_of(PUT_DATE));
	must(mailbox_take(mb, stranger, &msg, &uid, &err), &err);
	maildate_release(&date);
	flags_release(&f);
	return uid;
}

void gots_release(struct gots *g)
{
	for (size_t i = 0; i < g->n; i++) {
		buf_release(&g->v[i].body);
		buf_release(&g->v[i].flags);
		buf_release(&g->v[i].date);
		buf_release(&g->v[i].identity);
	}
	free(g->v);
	*g = (struct gots){ 0 };
}

void bench_changes(struct mailbox *mb, struct changes *out)
{
	struct changes_request req = { .mailbox = mb, .out = out };
	struct err err = { 0 };

	changes_init(out);
	must(store_changes(mb->store, &req, 1, &err), &err);
	must(out->err.kind == ERR_NONE ? 0 : -1, &out->err);
}

const char *bench_flags(const struct changes *c, uint32_t id, struct buf *out)
{
	buf_clear(out);
	flags_format(flag_table_get(c->flags, id), out);
	return buf_str(out);
}

const struct mailbox_info *bench_info(struct bench *b, const char *name,
				      struct mailbox_list *list)
{
	struct mailbox_name m;
	const struct mailbox_info *info;
	struct err err = { 0 };

	*list = (struct mailbox_list){ 0 };
	must(store_list(b->st, NULL, list, &err), &err);
	name_of(name, &m);
	info = mailbox_list_find(list, &m);
	mailbox_name_release(&m);
	return info;
}

struct uidset set_of(const char *text)
{
	struct uidset set = UIDSET_INIT;
	struct err err = { 0 };

	must(uidset_parse(&set, bytes_of(text), UIDSET_STRICT, NULL, &err), &err);
	return set;
}

size_t bench_live(struct bench *b)
{
	struct mailbox_list list = { 0 };
	struct err err = { 0 };
	size_t n = 0;

	must(store_list(b->st, NULL, &list, &err), &err);
	for (size_t i = 0; i < list.n; i++) {
		struct mailbox *mb;
		struct changes c;

		if (mailbox_open(b->st, &list.v[i], STORE_READ, &mb, &err) < 0)
			continue;
		bench_changes(mb, &c);
		n += c.n;
		changes_release(&c);
	}
	mailbox_list_release(&list);
	return n;
}
