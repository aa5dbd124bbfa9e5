#include "backends/maildir/read.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "backends/maildir/index.h"
#include "backends/maildir/keywords.h"
#include "backends/maildir/lineends.h"
#include "backends/maildir/rows.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

static ssize_t read_at(int fd, uint8_t *p, size_t n, off_t at)
{
	ssize_t got;

	do
		got = pread(fd, p, n, at);
	while (got < 0 && errno == EINTR);
	return got;
}

int read_form(int fd, struct bytes base, enum row_form *form, uint64_t *size, struct err *err)
{
	struct line_ends c = { 0 };
	uint8_t *piece = xmalloc(PIECE_SIZE);
	off_t at = 0;
	ssize_t n;

	while ((n = read_at(fd, piece, PIECE_SIZE, at)) > 0) {
		line_ends_scan(&c, bytes_from(piece, (size_t)n));
		at += n;
	}
	free(piece);
	if (n < 0)
		return err_sys(err, ERR_MESSAGE, "read a message file");
	*form = c.crlf > 0 || base_says_exact(base) ? FORM_EXACT : FORM_LF;
	*size = (uint64_t)at + (*form == FORM_LF ? c.lf : 0);
	return 0;
}

/* `out` has room for twice `n`. */
static size_t add_returns(const uint8_t *p, size_t n, uint8_t *out)
{
	const uint8_t *end = p + n;
	uint8_t *to = out;

	while (p < end) {
		const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
		size_t part = (size_t)((lf ? lf : end) - p);

		memcpy(to, p, part);
		to += part;
		p += part;
		if (lf) {
			*to++ = '\r';
			*to++ = '\n';
			p++;
		}
	}
	return (size_t)(to - out);
}

int read_wire(int fd, enum row_form form, piece_fn *fn, void *ctx, struct err *err)
{
	uint8_t *piece = xmalloc(3 * (size_t)PIECE_SIZE), *wire = piece + PIECE_SIZE;
	off_t at = 0;
	ssize_t n;
	int ret = 0;

	while (ret == 0 && (n = read_at(fd, piece, PIECE_SIZE, at)) != 0) {
		struct bytes b = bytes_from(piece, n > 0 ? (size_t)n : 0);

		if (n < 0) {
			ret = err_sys(err, ERR_MESSAGE, "read a message file");
			break;
		}
		at += n;
		if (form == FORM_LF)
			b = bytes_from(wire, add_returns(piece, (size_t)n, wire));
		ret = fn(ctx, b, err);
	}
	free(piece);
	return ret;
}

static int hash_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	EVP_DigestUpdate(ctx, piece.p, piece.n);
	return 0;
}

int read_content(int fd, struct bytes base, struct file_content *out, struct err *err)
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	int ret = read_form(fd, base, &out->form, &out->size, err);

	EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
	if (ret == 0)
		ret = read_wire(fd, out->form, hash_piece, sha, err);
	EVP_DigestFinal_ex(sha, out->sha256, NULL);
	EVP_MD_CTX_free(sha);
	return ret;
}

/* One message on its way out. */
struct outgoing {
	const struct maildir *m;
	const struct message_sink *sink;
	void *handle;
	uint64_t sent, size;
	EVP_MD_CTX *sha; /* of what was sent; NULL: there is nothing to compare it with */
};

static int send_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct outgoing *o = ctx;

	if (store_check_stop(&o->m->st, err) < 0)
		return -1;
	o->sent += piece.n;
	if (o->sent > o->size)
		return err_set(err, ERR_MESSAGE, "its file is longer than it was when stored");
	if (o->sha)
		EVP_DigestUpdate(o->sha, piece.p, piece.n);
	return o->sink->write(o->sink->ctx, o->handle, piece, err);
}

/* All of it was sent: is it what was stored? What a disk changed must not go on as the message. */
static int judge_sent(struct outgoing *o, const struct row *row, struct err *err)
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	if (o->sent != o->size)
		return err_set(err, ERR_MESSAGE, "its file is shorter than it was when stored");
	if (!o->sha)
		return 0;
	EVP_DigestFinal_ex(o->sha, sum, NULL);
	if (memcmp(sum, row->sha256.p, SHA256_SIZE) != 0)
		return err_set(err, ERR_MESSAGE, "its content is not what was stored");
	return 0;
}

/* The row's values as a message has them. */
struct attributes {
	struct flags flags;
	struct maildate date;
};

static void attributes_of(struct box *box, const struct row *row, const struct place *at, int fd,
			  struct attributes *out)
{
	struct file_name f = file_name_split(bytes_of(at->name));
	struct stat sb;

	flags_from_columns(row->bits, row->keywords, &out->flags);
	if (at->which != DIR_TMP)
		keywords_follow_letters(box, row->letters, f.letters, &out->flags);
	maildate_init(&out->date);
	if (row->date.n > 0)
		maildate_parse(&out->date, row->date);
	else if (fstat(fd, &sb) == 0)
		maildate_set(&out->date, sb.st_mtim.tv_sec, 0);
}

static void attributes_release(struct attributes *a)
{
	flags_release(&a->flags);
	maildate_release(&a->date);
}

/*
 * Give one open file to the sink. ERR_MESSAGE spoils this message only; *outcome says what
 * became of it.
 */
static int send_file(struct box *box, const struct row *row, const struct place *at, int fd,
		     bool body, void *tag, const struct message_sink *sink, enum outcome *outcome,
		     struct err *err)
{
	struct outgoing o = { .m = maildir_of(box), .sink = sink, .size = row->size };
	struct attributes a;
	struct message msg = { .uid = row->uid };
	enum row_form form = row->form;
	struct err first = { 0 };
	int ret = 0;

	*outcome = OUTCOME_REFUSED;
	if (form == FORM_UNKNOWN && read_form(fd, row->base, &form, &o.size, err) < 0)
		return -1;
	attributes_of(box, row, at, fd, &a);
	msg.flags = &a.flags;
	msg.date = &a.date;
	msg.size = o.size;
	msg.identity = row->identity;
	if (row->form != FORM_UNKNOWN)
		msg.content = row->sha256;
	if (sink->begin(sink->ctx, tag, &msg, &o.handle, err) < 0) {
		ret = -1;
		goto out;
	}
	if (row->sha256.n == SHA256_SIZE && row->form != FORM_UNKNOWN) {
		o.sha = EVP_MD_CTX_new();
		EVP_DigestInit_ex(o.sha, EVP_sha256(), NULL);
	}
	if (body)
		ret = read_wire(fd, form, send_piece, &o, err);
	if (body && ret == 0)
		ret = judge_sent(&o, row, err);
	EVP_MD_CTX_free(o.sha);
	if (ret < 0)
		first = *err;
	if (sink->end(sink->ctx, o.handle, &msg, ret == 0, err) < 0)
		ret = -1;
	if (first.kind != ERR_NONE)
		*err = first;
	if (ret == 0)
		*outcome = OUTCOME_DONE;
out:
	attributes_release(&a);
	return ret;
}

int read_row(struct box *box, const struct row *row, bool body, void *tag,
	     const struct message_sink *sink, enum outcome *outcome, struct err *err)
{
	struct place at;
	int fd, ret;
	int found = box_find_file(box, row->uid, row->base, row->letters, &at, err);

	if (found < 0)
		return -1;
	*outcome = OUTCOME_UID_UNKNOWN;
	if (!found)
		return 0;
	fd = open_message(at.dir, at.name);
	if (fd < 0 && errno == ENOENT)
		return 0;
	*outcome = OUTCOME_REFUSED;
	if (fd < 0)
		return err_sys(err, ERR_MESSAGE, "open %s", at.name);
	ret = send_file(box, row, &at, fd, body, tag, sink, outcome, err);
	close(fd);
	return ret;
}

/* The next row to be given out from `uid` on that is in `set`: 1, 0 none, -1. */
static int next_row(struct box *box, const struct uidset *set, uint32_t uid,
		    struct row_copy *out, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct row row;
	int got;

	database_bind(st, "ii", box->id, (int64_t)uid);
	while ((got = database_step(&m->db, st, err)) > 0) {
		index_row(st, &row);
		if (row.state != ROW_LIVE && !box->mb.store->cfg->with_kept)
			continue;
		if (uidset_has(set, row.uid)) {
			row_copy(out, &row);
			break;
		}
		/* Skip what lies between two ranges in one go. */
		uid = uidset_next(set, row.uid);
		sqlite3_reset(st);
		if (uid == 0)
			return 0;
		database_bind(st, "ii", box->id, (int64_t)uid);
	}
	if (got > 0)
		sqlite3_reset(st);
	return got;
}

/* Members of `set` between two rows: they do not exist. */
static void report_unknown(const struct want *w, uint32_t from, uint64_t to,
			   outcome_fn *report, void *ctx)
{
	if (!w->exact)
		return;
	for (uint32_t uid = uidset_next(w->set, from); uid != 0 && uid < to;
	     uid = uidset_next(w->set, uid))
		report(ctx, w->tag, uid, OUTCOME_UID_UNKNOWN, 0, NULL);
}

static int fetch_one(struct want *w, const struct message_sink *sink, outcome_fn *report,
		     void *ctx, struct err *err)
{
	struct box *box = (struct box *)w->mailbox;
	struct row_copy c = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	uint32_t last = 0;
	int got = 0;

	while (last < UINT32_MAX && (got = next_row(box, w->set, last + 1, &c, err)) > 0) {
		enum outcome what = OUTCOME_NO_ANSWER;
		struct err why = { 0 };
		int ret = read_row(box, &c.row, !w->attributes, w->tag, sink, &what, &why);

		report_unknown(w, last, c.row.uid, report, ctx);
		last = c.row.uid;
		if (ret < 0 && why.kind != ERR_MESSAGE) {
			report(ctx, w->tag, last, OUTCOME_NO_ANSWER, 0, &why);
			*err = why;
			got = -1;
			break;
		}
		if (what != OUTCOME_UID_UNKNOWN || w->exact)
			report(ctx, w->tag, last, what, 0, ret < 0 ? &why : NULL);
		if (store_check_stop(w->mailbox->store, err) < 0) {
			got = -1;
			break;
		}
	}
	if (got == 0) {
		report_unknown(w, last, (uint64_t)UINT32_MAX + 1, report, ctx);
		w->complete = true;
	}
	buf_release(&c.bytes);
	return got;
}

int maildir_fetch(struct store *st, struct want *want, size_t n,
		  const struct message_sink *sink, outcome_fn *report, void *ctx,
		  struct err *err)
{
	(void)st;
	for (size_t i = 0; i < n; i++) {
		want[i].complete = false;
		want[i].err = (struct err){ 0 };
	}
	for (size_t i = 0; i < n; i++) {
		if (fetch_one(&want[i], sink, report, ctx, err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		want[i].err = *err;
	}
	return 0;
}
