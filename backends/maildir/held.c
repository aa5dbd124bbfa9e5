#include "backends/maildir/held.h"

#include <string.h>

#include "backends/maildir/deliver.h"
#include "backends/maildir/index.h"
#include "backends/maildir/read.h"
#include "backends/maildir/rows.h"
#include "core/base/err.h"

int maildir_holds_identities(struct store *st, bool *out, struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	int64_t any;
	int got;

	*out = false;
	if (m->schema < 3)
		return 0;
	got = database_number(&m->db, index_stmt(m, ST_MESSAGE_WITH_IDENTITY), &any, err);
	*out = got > 0;
	return got < 0 ? -1 : 0;
}

static struct box *box_of_id(const struct maildir *m, int64_t id)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->box[i]->id == id)
			return m->box[i];
	return NULL;
}

static void take_place(const struct maildir *m, sqlite3_stmt *found, struct held *out)
{
	struct box *box = box_of_id(m, sqlite3_column_int64(found, 0));

	if (box)
		*out = (struct held){ .mailbox = &box->mb,
				      .uid = (uint32_t)sqlite3_column_int64(found, 1),
				      .source_uid = (uint32_t)sqlite3_column_int64(found, 2) };
}

int maildir_find_identity(struct store *st, struct bytes identity, struct held *out,
			  struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	uint8_t content[SHA256_SIZE];
	sqlite3_stmt *find;
	bool agree = true;
	int got;

	if (m->schema < 3)
		return 0;
	*out = (struct held){ 0 };
	find = index_stmt(m, ST_MESSAGES_BY_IDENTITY);
	database_bind(find, "T", identity);
	while (agree && (got = database_step(&m->db, find, err)) > 0) {
		struct bytes sha256 = database_text(find, 3);

		agree = sha256.n == sizeof(content) &&
			(!out->mailbox || memcmp(content, sha256.p, sizeof(content)) == 0);
		if (!agree || out->mailbox)
			continue;
		take_place(m, find, out);
		memcpy(content, sha256.p, sizeof(content));
	}
	sqlite3_reset(find);
	return got < 0 ? -1 : agree && out->mailbox;
}

/* A message on its way from one mailbox into another. */
struct copying {
	struct appender to;
	struct message_sink inner;
	struct message as;
	void *handle;
	bool stuck; /* where it goes, not where it comes from */
	enum outcome what;
	uint32_t new_uid;
};

static void on_delivered(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
			 const struct err *why)
{
	struct copying *c = ctx;

	(void)tag;
	(void)uid;
	(void)why;
	c->what = what;
	c->new_uid = new_uid;
}

static int copy_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	struct copying *c = ctx;

	*handle = c;
	if (msg->size != c->as.size)
		return err_set(err, ERR_MESSAGE, "it has %llu bytes here, and is said to have %llu",
			       (unsigned long long)msg->size, (unsigned long long)c->as.size);
	if (c->inner.begin(c->inner.ctx, tag, &c->as, &c->handle, err) == 0)
		return 0;
	c->stuck = true;
	return -1;
}

static int copy_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct copying *c = handle;

	(void)ctx;
	if (c->inner.write(c->inner.ctx, c->handle, piece, err) == 0)
		return 0;
	c->stuck = true;
	return -1;
}

static int copy_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct copying *c = handle;

	(void)ctx;
	(void)msg;
	if (c->inner.end(c->inner.ctx, c->handle, &c->as, complete, err) == 0)
		return 0;
	c->stuck = true;
	return -1;
}

int maildir_copy_as(const struct held *held, struct mailbox *mb, const struct message *as,
		    enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err)
{
	struct box *from = (struct box *)held->mailbox, *to = (struct box *)mb;
	struct copying c = { .to = { .box = to, .report = on_delivered, .ctx = &c }, .as = *as };
	const struct message_sink sink = { .ctx = &c, .begin = copy_begin, .write = copy_write,
					   .end = copy_end };
	struct row_copy row = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	struct row found;
	int ret = row_by_uid(from, held->uid, &found, err);

	c.inner = appender_sink(&c.to);
	*what = OUTCOME_UID_UNKNOWN;
	if (ret <= 0)
		return ret;
	row_copy(&row, &found);
	row_done(from);
	c.as.identity = row.row.identity;
	if (row.row.sha256.n == 0)
		ret = err_set(why, ERR_MESSAGE, "its content was never hashed");
	else
		ret = read_row(from, &row.row, true, NULL, &sink, what, why);
	if (ret == 0 && *what == OUTCOME_DONE) {
		*what = c.what;
		*new_uid = c.new_uid;
	} else if (ret < 0 && (why->kind == ERR_MESSAGE || (why->kind == ERR_MAILBOX && !c.stuck))) {
		*what = OUTCOME_REFUSED;
		ret = 0;
	} else if (ret < 0) {
		*err = *why;
	}
	buf_release(&row.bytes);
	return ret;
}
