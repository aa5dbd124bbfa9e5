#include "backends/maildir/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "backends/maildir/adopt.h"
#include "backends/maildir/index.h"
#include "backends/maildir/keywords.h"
#include "backends/maildir/lineends.h"
#include "backends/maildir/read.h"
#include "backends/maildir/rows.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

/* A message on its way in. */
struct delivery {
	struct appender *to;
	struct buf body; /* not yet written */
	EVP_MD_CTX *sha;
	struct line_ends ends;
	uint64_t size;      /* on the wire */
	uint64_t file_size; /* written so far */
	int fd;             /* -1: nothing was written yet */
	bool as_lf;         /* what was written has LF line ends */
	char tmp[NAME_MAX + 1];
};

void delivery_free(struct delivery *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->sha);
	buf_release(&d->body);
	free(d);
}

void appenders_free(struct maildir *m)
{
	while (m->appenders) {
		struct appender *a = m->appenders;

		m->appenders = a->next;
		free(a);
	}
}

static struct delivery *delivery_new(struct appender *a)
{
	struct maildir *m = maildir_of(a->box);
	struct delivery *d = m->spare;

	m->spare = NULL;
	if (!d) {
		d = xcalloc(1, sizeof(*d));
		buf_init(&d->body, 2 * GATHER_MAX);
		d->sha = EVP_MD_CTX_new();
	}
	EVP_DigestInit_ex(d->sha, EVP_sha256(), NULL);
	buf_clear(&d->body);
	d->to = a;
	d->ends = (struct line_ends){ 0 };
	d->size = d->file_size = 0;
	d->fd = -1;
	d->as_lf = false;
	return d;
}

/* Give its memory to the next one. */
static void delivery_done(struct delivery *d)
{
	struct maildir *m = maildir_of(d->to->box);

	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	if (m->spare)
		delivery_free(d);
	else
		m->spare = d;
}

static int tmp_fd(struct box *box, struct err *err)
{
	int fd = box_dir_fd(box, DIR_TMP);

	/* Somebody removed the directories: what was in them is missing, and may come again. */
	if (fd < 0 && errno == ENOENT) {
		box_close_fds(box);
		if (box_make_dirs(box, err) < 0)
			return -1;
		fd = box_dir_fd(box, DIR_TMP);
	}
	return fd < 0 ? box_sys(box, err, "open tmp") : fd;
}

static int create_tmp(struct box *box, const char *name, struct err *err)
{
	int dir = tmp_fd(box, err), fd;

	if (dir < 0)
		return -1;
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? box_sys(box, err, "create a file") : fd;
}

static void drop_tmp(struct delivery *d)
{
	int dir = d->fd >= 0 ? box_dir_fd(d->to->box, DIR_TMP) : -1;

	if (dir >= 0)
		unlinkat(dir, d->tmp, 0);
}

static int write_out(struct delivery *d, struct bytes data, struct err *err)
{
	if (write_full(d->fd, data) < 0)
		return box_sys(d->to->box, err, "write a message");
	d->file_size += data.n;
	return 0;
}

static int write_piece(void *ctx, struct bytes piece, struct err *err)
{
	return write_out(ctx, piece, err);
}

/* Line ends that forbid the LF form came late: write again what was written with LF. */
static int undo_lf(struct delivery *d, struct err *err)
{
	struct box *box = d->to->box;
	char name[NAME_MAX + 1];
	int old = d->fd, dir;
	int ret;

	base_make(maildir_of(box), name, sizeof(name));
	d->fd = create_tmp(box, name, err);
	if (d->fd < 0) {
		d->fd = old;
		return -1;
	}
	d->file_size = 0;
	d->as_lf = false;
	ret = read_wire(old, FORM_LF, write_piece, d, err);
	close(old);
	dir = box_dir_fd(box, DIR_TMP);
	if (dir >= 0)
		unlinkat(dir, d->tmp, 0);
	memcpy(d->tmp, name, sizeof(name));
	return ret;
}

/*
 * Write what was gathered. A CR at the end waits for its LF unless this is the `last` of it.
 */
static int flush(struct delivery *d, bool last, struct err *err)
{
	bool lf = line_ends_allow_lf(&d->ends);
	size_t n = d->body.n, keep;

	if (d->fd < 0) {
		d->fd = create_tmp(d->to->box, d->tmp, err);
		if (d->fd < 0)
			return -1;
		d->as_lf = lf;
	}
	if (d->as_lf && !lf && undo_lf(d, err) < 0)
		return -1;
	keep = !last && n > 0 && d->body.p[n - 1] == '\r';
	n -= keep;
	if (d->as_lf)
		n = drop_returns(d->body.p, n);
	if (write_out(d, bytes_from(d->body.p, n), err) < 0)
		return -1;
	buf_clear(&d->body);
	if (keep)
		buf_add_byte(&d->body, '\r');
	return 0;
}

static int sink_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	struct appender *a = ctx;
	struct delivery *d;

	(void)tag;
	if (database_is_broken(&maildir_of(a->box)->db, err))
		return -1;
	d = delivery_new(a);
	if (msg->size > 0 && msg->size <= GATHER_MAX)
		buf_reserve(&d->body, (size_t)msg->size);
	*handle = d;
	return 0;
}

static int sink_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct delivery *d = handle;

	(void)ctx;
	EVP_DigestUpdate(d->sha, piece.p, piece.n);
	line_ends_scan(&d->ends, piece);
	d->size += piece.n;
	while (piece.n > 0) {
		size_t room = GATHER_MAX - d->body.n;
		size_t n = piece.n < room ? piece.n : room;

		buf_add(&d->body, bytes_from(piece.p, n));
		piece = bytes_skip(piece, n);
		if (d->body.n < GATHER_MAX || (piece.n == 0 && d->fd < 0))
			continue; /* a message of just this size is still written at once */
		if (d->fd < 0)
			base_make(maildir_of(d->to->box), d->tmp, sizeof(d->tmp));
		if (flush(d, false, err) < 0)
			return -1;
	}
	return 0;
}

static struct timespec to_timespec(const struct maildate *date)
{
	if (!date || !date->known)
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	return (struct timespec){ .tv_sec = (time_t)date->unix_time };
}

/* The file complete in tmp, under the name it keeps: d->tmp. */
static int finish_file(struct delivery *d, const struct message *msg, bool *exact,
		       struct err *err)
{
	struct box *box = d->to->box;
	struct maildir *m = maildir_of(box);
	const struct timespec times[2] = { to_timespec(msg->date), to_timespec(msg->date) };
	bool lf = line_ends_allow_lf(&d->ends);
	char base[NAME_MAX + 1];
	uint64_t size = d->size - (lf ? d->ends.crlf : 0);
	size_t n;
	int dir;

	*exact = !lf;
	base_make(m, base, sizeof(base));
	n = strlen(base);
	snprintf(base + n, sizeof(base) - n, ",S=%llu%s", (unsigned long long)size,
		 !lf && d->ends.crlf == 0 ? ",X" : "");
	if (d->fd < 0)
		memcpy(d->tmp, base, sizeof(base));
	if (flush(d, true, err) < 0)
		return -1;
	if (futimens(d->fd, times) < 0)
		return box_sys(box, err, "set the date of a file");
	if (box_syncs_alone(box) && fsync(d->fd) < 0)
		return box_sys(box, err, "sync a message");
	box->sync_tmp = true;
	if (strcmp(d->tmp, base) == 0)
		return 0;
	dir = box_dir_fd(box, DIR_TMP);
	if (dir < 0 || renameat(dir, d->tmp, dir, base) < 0)
		return box_sys(box, err, "rename a file");
	memcpy(d->tmp, base, sizeof(base));
	return 0;
}

/*
 * A source UID that has a row already: 1 its file is there and nothing is to be done, 0 it is
 * gone and the row with it, -1.
 */
static int is_stored(struct box *box, uint32_t source_uid, uint32_t *uid, struct err *err)
{
	struct row_copy c = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	struct place at;
	struct row row;
	int got = row_by_source(box, source_uid, &row, err);

	if (got > 0) {
		row_copy(&c, &row);
		row_done(box);
		*uid = c.row.uid;
		got = box_find_file(box, c.row.uid, c.row.base, c.row.letters, &at, err);
		if (got == 0)
			got = row_delete(box, &c.row, err);
	}
	buf_release(&c.bytes);
	return got;
}

static int store_row(struct delivery *d, const struct incoming *in, bool exact, uint32_t *uid,
		     struct err *err)
{
	struct box *box = d->to->box;
	char letters[ALL_LETTERS_MAX];
	struct buf keywords = BUF_INIT(SIZE_MAX / 4);
	struct row row = { .source_uid = in->source_uid, .size = in->size, .date = in->date,
			   .sha256 = in->sha256, .identity = in->identity,
			   .form = exact ? FORM_EXACT : FORM_LF };
	int ret;

	keywords_to_letters(box, in->flags, (struct bytes){ 0 }, letters);
	flags_keywords_text(in->flags, &keywords);
	row.base = bytes_of(d->tmp);
	row.letters = bytes_of(letters);
	row.bits = in->flags->bits;
	row.keywords = buf_bytes(&keywords);
	ret = row_insert(box, &row, err);
	*uid = row.uid;
	buf_release(&keywords);
	return ret;
}

/* What goes along with a message's bytes; the text of its date is put into `date`. */
static struct incoming incoming_of(const struct message *msg, struct buf *date)
{
	static const struct flags none = FLAGS_INIT;

	if (msg->date)
		maildate_format(msg->date, date);
	else
		buf_add_str(date, "NIL");
	return (struct incoming){ .source_uid = msg->uid, .flags = msg->flags ? msg->flags : &none,
				  .date = buf_bytes(date), .identity = msg->identity };
}

/* 0 with *what and *uid, or -1. */
static int take(struct delivery *d, const struct message *msg, enum outcome *what,
		uint32_t *uid, struct err *err)
{
	struct box *box = d->to->box;
	uint8_t sum[EVP_MAX_MD_SIZE];
	struct buf date = BUF_INIT(SIZE_MAX / 4);
	struct incoming in = incoming_of(msg, &date);
	bool exact;
	int got = is_stored(box, msg->uid, uid, err);

	EVP_DigestFinal_ex(d->sha, sum, NULL);
	in.size = d->size;
	in.sha256 = bytes_from(sum, SHA256_SIZE);
	*what = OUTCOME_DONE;
	if (got == 0 && msg->uid) {
		got = adopt(box, &in, uid, err);
		*what = got > 0 ? OUTCOME_ADOPTED : OUTCOME_DONE;
	}
	if (got > 0)
		drop_tmp(d);
	else if (got == 0 && (got = finish_file(d, msg, &exact, err)) == 0)
		got = store_row(d, &in, exact, uid, err);
	buf_release(&date);
	return got < 0 ? -1 : 0;
}

int maildir_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		 struct err *err)
{
	struct box *box = (struct box *)mb;
	struct buf date = BUF_INIT(SIZE_MAX / 4);
	struct incoming in = incoming_of(msg, &date);
	int got =
		database_is_broken(&maildir_of(box)->db, err) ? -1 : is_stored(box, msg->uid, uid, err);

	if (got == 0)
		got = adopt_stranger(box, stranger, &in, uid, err);
	buf_release(&date);
	return got < 0 ? -1 : 0;
}

static int sink_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct delivery *d = handle;
	struct appender *a = d->to;
	enum outcome what;
	uint32_t uid = 0;
	int ret = 0;

	(void)ctx;
	if (!complete) {
		drop_tmp(d);
	} else if (take(d, msg, &what, &uid, err) < 0) {
		drop_tmp(d);
		ret = -1;
	} else if (a->report) {
		a->report(a->ctx, a->tag, message_called(msg), what, uid, NULL);
	}
	delivery_done(d);
	return ret;
}

struct message_sink appender_sink(struct appender *a)
{
	return (struct message_sink){ .ctx = a, .begin = sink_begin, .write = sink_write,
				      .end = sink_end };
}

int maildir_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		   struct message_sink *sink, struct err *err)
{
	struct maildir *m = (struct maildir *)mb->store;
	struct appender *a;

	if (database_is_broken(&m->db, err))
		return -1;
	a = xmalloc(sizeof(*a));
	*a = (struct appender){ .box = (struct box *)mb, .report = report, .ctx = ctx,
				.tag = tag, .next = m->appenders };
	m->appenders = a;
	*sink = appender_sink(a);
	return 0;
}

static int link_or_copy(struct box *from, const struct place *at, struct box *to, const char *name,
			struct err *err)
{
	int dir = tmp_fd(to, err), in, out;
	struct stat sb;
	int ret = -1;

	if (dir < 0)
		return -1;
	to->sync_tmp = true;
	if (linkat(at->dir, at->name, dir, name, 0) == 0)
		return 0;
	if (errno != EMLINK && errno != EPERM && errno != EXDEV && errno != EOPNOTSUPP)
		return box_sys(from, err, "link a file");
	in = open_message(at->dir, at->name);
	if (in < 0 || fstat(in, &sb) < 0) {
		box_sys(from, err, "open a file");
		if (in >= 0)
			close(in);
		return -1;
	}
	out = create_tmp(to, name, err);
	if (out >= 0) {
		const struct timespec times[2] = { sb.st_mtim, sb.st_mtim };
		struct appender a = { .box = to };
		struct delivery d = { .fd = out, .to = &a };

		ret = read_wire(in, FORM_EXACT, write_piece, &d, err);
		if (ret == 0 && (futimens(out, times) < 0 || fsync(out) < 0))
			ret = box_sys(to, err, "write a message");
		close(out);
	}
	close(in);
	return ret;
}

/* The part of a base name that tells of its content: `,S=123,X`. */
static struct bytes content_fields(struct bytes base)
{
	const uint8_t *comma = memchr(base.p, ',', base.n);

	return comma ? bytes_skip(base, (size_t)(comma - base.p)) : (struct bytes){ 0 };
}

static int copy_one(struct box *box, const struct row *row, void *ctx, struct err *err)
{
	struct box *to = ctx;
	struct row copy = *row;
	char name[NAME_MAX + 1], letters[ALL_LETTERS_MAX];
	struct bytes fields = content_fields(row->base);
	struct buf keywords = BUF_INIT(SIZE_MAX / 4);
	struct flags flags;
	struct place at;
	size_t n;
	int found, ret;

	if (row->state != ROW_LIVE)
		return 0;
	found = box_find_file(box, row->uid, row->base, row->letters, &at, err);
	if (found <= 0)
		return found;
	base_make(maildir_of(box), name, sizeof(name));
	n = strlen(name);
	if (fields.n < sizeof(name) - n)
		snprintf(name + n, sizeof(name) - n, "%.*s", (int)fields.n,
			 fields.n ? (const char *)fields.p : "");
	if (link_or_copy(box, &at, to, name, err) < 0)
		return -1;
	flags_from_columns(row->bits, row->keywords, &flags);
	if (at.which != DIR_TMP)
		keywords_follow_letters(box, row->letters,
					file_name_split(bytes_of(at.name)).letters, &flags);
	keywords_to_letters(to, &flags, (struct bytes){ 0 }, letters);
	flags_keywords_text(&flags, &keywords);
	copy.source_uid = 0;
	copy.base = bytes_of(name);
	copy.letters = bytes_of(letters);
	copy.bits = flags.bits;
	copy.keywords = buf_bytes(&keywords);
	ret = row_insert(to, &copy, err);
	buf_release(&keywords);
	flags_release(&flags);
	return ret;
}

int maildir_copy(struct mailbox *mb, const struct uidset *set, struct mailbox *to,
		 struct err *err)
{
	return rows_each((struct box *)mb, set, copy_one, to, err);
}
