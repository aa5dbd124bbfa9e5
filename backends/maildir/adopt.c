#include "backends/maildir/adopt.h"

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
#include "backends/maildir/listing.h"
#include "backends/maildir/read.h"
#include "backends/maildir/rows.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

/* A file that is not ours. */
struct candidate {
	struct file_content content;
	size_t name; /* in names */
	bool taken;
};

struct foreign {
	struct candidate *v; /* as found */
	size_t n, cap;
	struct candidate **by_content;
	struct buf names;
};

void foreign_free(struct foreign *f)
{
	if (!f)
		return;
	free(f->v);
	free(f->by_content);
	buf_release(&f->names);
	free(f);
}

static int compare_content(const void *a, const void *b)
{
	const struct candidate *x = *(struct candidate *const *)a, *y = *(struct candidate *const *)b;
	int c = memcmp(x->content.sha256, y->content.sha256, SHA256_SIZE);

	return c ? c : x->name < y->name ? -1 : x->name > y->name;
}

static void sort_by_content(struct foreign *f)
{
	f->by_content = xcalloc(f->n, sizeof(struct candidate *));
	for (size_t i = 0; i < f->n; i++)
		f->by_content[i] = &f->v[i];
	if (f->n > 0)
		qsort(f->by_content, f->n, sizeof(struct candidate *), compare_content);
}

/* Names in a listing that belong to rows, by base: those are not foreign. */
static int mark_ours(struct box *box, const struct listing *l, bool *ours, struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct row row;
	int got;

	database_bind(st, "ii", box->id, (int64_t)1);
	while ((got = database_step(&m->db, st, err)) > 0) {
		const struct listed *e;

		index_row(st, &row);
		e = listing_find(l, row.base, m->key);
		if (e)
			ours[e - l->v] = true;
	}
	return got;
}

static int open_foreign(struct box *box, const struct listing *l, size_t i, foreign_fn *fn,
			void *ctx, struct err *err)
{
	const char *name = listing_name(l, &l->v[i]);
	int dir = box_dir_fd(box, l->v[i].dir);
	int fd = dir < 0 ? -1 : open_message(dir, name);
	int ret = fd < 0 ? 0 : fn(ctx, name, fd, err);

	if (fd >= 0)
		close(fd);
	return ret;
}

int foreign_each(struct box *box, const struct listing *l, const bool *ours, foreign_fn *fn,
		 void *ctx, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		/* The same base name twice is one message, which can be taken once. */
		if (ours[i] || (i > 0 && l->v[i - 1].hash == l->v[i].hash))
			continue;
		if (store_check_stop(&maildir_of(box)->st, err) < 0 ||
		    open_foreign(box, l, i, fn, ctx, err) < 0)
			return -1;
	}
	return 0;
}

/* Loading candidates; `sink` sees each, or is NULL. */
struct loading {
	struct foreign *f;
	void *tag;
	const struct message_sink *sink;
};

struct passing {
	const struct message_sink *sink;
	void *handle;
	EVP_MD_CTX *sha;
};

static int pass_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct passing *p = ctx;

	EVP_DigestUpdate(p->sha, piece.p, piece.n);
	return p->sink->write(p->sink->ctx, p->handle, piece, err);
}

/* As read_content(), in one go with passing the file to the sink. */
static int pass_content(const struct loading *to, const char *name, int fd, struct file_content *out,
			struct err *err)
{
	struct passing p = { .sink = to->sink };
	struct message msg = { .uid = (uint32_t)to->f->n + 1 };
	struct err second;
	int ret;

	if (read_form(fd, file_name_split(bytes_of(name)).base, &out->form, &out->size, err) < 0)
		return -1;
	msg.size = out->size;
	if (p.sink->begin(p.sink->ctx, to->tag, &msg, &p.handle, err) < 0)
		return -1;
	p.sha = EVP_MD_CTX_new();
	EVP_DigestInit_ex(p.sha, EVP_sha256(), NULL);
	ret = read_wire(fd, out->form, pass_piece, &p, err);
	EVP_DigestFinal_ex(p.sha, out->sha256, NULL);
	EVP_MD_CTX_free(p.sha);
	if (p.sink->end(p.sink->ctx, p.handle, &msg, ret == 0, ret == 0 ? err : &second) < 0)
		ret = -1;
	return ret;
}

/* A file that cannot be read pairs with nothing. */
static int add_candidate(void *ctx, const char *name, int fd, struct err *err)
{
	const struct loading *to = ctx;
	struct foreign *f = to->f;
	struct candidate new = { .name = f->names.n };
	int ret = -1;

	if (to->sink && (ret = pass_content(to, name, fd, &new.content, err)) < 0 &&
	    err->kind != ERR_MESSAGE)
		return -1;
	if (ret < 0 && read_content(fd, file_name_split(bytes_of(name)).base, &new.content, err) < 0)
		return 0;
	f->v = xgrow(f->v, f->n, &f->cap, sizeof(*f->v));
	f->v[f->n++] = new;
	buf_add(&f->names, bytes_from(name, strlen(name) + 1));
	return 0;
}

static int load_foreign(struct box *box, void *tag, const struct message_sink *sink, struct err *err)
{
	struct foreign *f = xcalloc(1, sizeof(*f));
	struct loading to = { .f = f, .tag = tag, .sink = sink };
	struct listing *l = NULL;
	bool *ours = NULL;
	int ret = -1;

	buf_init(&f->names, SIZE_MAX / 4);
	if (listing_make(box, &l, err) < 0)
		goto out;
	ours = xcalloc(l->n + 1, sizeof(*ours));
	if (mark_ours(box, l, ours, err) < 0 ||
	    foreign_each(box, l, ours, add_candidate, &to, err) < 0)
		goto out;
	sort_by_content(f);
	ret = 0;
out:
	free(ours);
	listing_free(l);
	if (ret < 0)
		foreign_free(f);
	else
		box->foreign = f;
	return ret;
}

/* All are read, whatever their size: append() pairs with them by content. */
int maildir_strangers(struct mailbox *mb, const struct uidset *sizes, void *tag,
		      const struct message_sink *sink, struct err *err)
{
	struct box *box = (struct box *)mb;

	(void)sizes;
	foreign_free(box->foreign);
	box->foreign = NULL;
	return load_foreign(box, tag, sink, err);
}

static struct candidate *find_candidate(struct foreign *f, const struct incoming *in)
{
	size_t lo = 0, hi = f->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(f->by_content[mid]->content.sha256, in->sha256.p, SHA256_SIZE) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < f->n; lo++) {
		struct candidate *c = f->by_content[lo];

		if (memcmp(c->content.sha256, in->sha256.p, SHA256_SIZE) != 0)
			break;
		if (!c->taken && c->content.size == in->size)
			return c;
	}
	return NULL;
}

/*
 * 1 when the file still is what it was when it was hashed, however long ago: what is
 * on its way in is dropped in favour of it. Then it is made as durable as one that we wrote.
 */
static int still_holds(struct box *box, const struct place *at, const struct incoming *in,
		       struct err *err)
{
	int fd = open_message(at->dir, at->name), ret = 0;
	struct file_content now;
	struct err why;

	if (fd < 0)
		return 0;
	if (read_content(fd, file_name_split(bytes_of(at->name)).base, &now, &why) == 0 &&
	    now.size == in->size && memcmp(now.sha256, in->sha256.p, SHA256_SIZE) == 0)
		ret = 1;
	if (ret > 0 && box_syncs_alone(box) && fsync(fd) < 0)
		ret = box_sys(box, err, "sync a message");
	close(fd);
	return ret;
}

/* The file goes to cur at once: place_box() finds it there. */
static int take_candidate(struct box *box, struct candidate *c, const struct incoming *in,
			  uint32_t *uid, struct err *err)
{
	char letters[ALL_LETTERS_MAX], name[NAME_MAX + 1];
	struct buf keywords = BUF_INIT(SIZE_MAX / 4);
	struct file_name was;
	struct place at;
	int found, cur, ret = -1;

	c->taken = true;
	was = file_name_split(bytes_of((const char *)box->foreign->names.p + c->name));
	found = box_find_file(box, 0, was.base, was.letters, &at, err);
	if (found > 0)
		found = still_holds(box, &at, in, err);
	if (found <= 0)
		return found; /* gone or changed meanwhile */
	was.letters = file_name_split(bytes_of(at.name)).letters;
	keywords_to_letters(box, in->flags, was.letters, letters);
	if (!file_name_make(was.base, bytes_of(letters), name))
		return 0;
	cur = box_dir_fd(box, DIR_CUR);
	crash_point("maildir: take a file over");
	if ((at.which != DIR_CUR || strcmp(at.name, name) != 0) &&
	    (cur < 0 || rename_apart(at.dir, at.name, cur, name) < 0))
		return errno == EEXIST ? 0 : box_sys(box, err, "take a file over");
	box->sync_cur = true;
	box->sync_new |= at.which == DIR_NEW;
	box->extra_known = false; /* it is ours now: compare again before trusting */
	flags_keywords_text(in->flags, &keywords);
	struct row row = { .source_uid = in->source_uid, .base = was.base,
			   .letters = bytes_of(letters), .size = in->size, .form = c->content.form,
			   .date = in->date, .bits = in->flags->bits,
			   .keywords = buf_bytes(&keywords), .sha256 = in->sha256,
			   .identity = in->identity };

	if (row_insert(box, &row, err) == 0)
		ret = 1;
	*uid = row.uid;
	buf_release(&keywords);
	return ret;
}

static int take_foreign(struct box *box, const struct incoming *in, uint32_t *uid, struct err *err)
{
	struct candidate *c;

	if (!box->foreign && load_foreign(box, NULL, NULL, err) < 0)
		return -1;
	c = find_candidate(box->foreign, in);
	return c ? take_candidate(box, c, in, uid, err) : 0;
}

int adopt_stranger(struct box *box, uint32_t stranger, struct incoming *in, uint32_t *uid,
		   struct err *err)
{
	struct candidate *c;

	assert(box->foreign && stranger > 0 && stranger <= box->foreign->n);
	c = &box->foreign->v[stranger - 1];
	if (c->taken)
		return 0;
	in->size = c->content.size;
	in->sha256 = bytes_from(c->content.sha256, SHA256_SIZE);
	return take_candidate(box, c, in, uid, err);
}

/* The date may be another than when it was stored; readers of the Maildir see that of the file. */
static void set_file_date(const struct place *at, struct bytes text)
{
	struct timespec times[2];
	struct maildate date;

	maildate_init(&date);
	if (maildate_parse(&date, text)) {
		times[0] = times[1] = (struct timespec){ .tv_sec = (time_t)date.unix_time };
		if (utimensat(at->dir, at->name, times, AT_SYMLINK_NOFOLLOW) < 0)
			log_debug("the date of %s could not be set", at->name);
	}
	maildate_release(&date);
}

static int take_row(struct box *box, const struct row *row, const struct incoming *in,
		    struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGE_TAKE);
	char letters[ALL_LETTERS_MAX];
	struct buf keywords = BUF_INIT(SIZE_MAX / 4);
	int ret;

	keywords_to_letters(box, in->flags, row->letters, letters);
	if (row_place_letters(box, row, letters, err) < 0 || database_begin(&m->db, err) < 0)
		return -1;
	flags_keywords_text(in->flags, &keywords);
	database_bind(st, "IbbibTii", (int64_t)in->source_uid, bytes_of(letters), in->date,
		      (int64_t)in->flags->bits, buf_bytes(&keywords), in->identity, box->id,
		      (int64_t)row->uid);
	ret = database_run(&m->db, st, err);
	buf_release(&keywords);
	if (ret < 0)
		return -1;
	box_touch(box);
	box_unexpect(box, row->base, row->letters);
	box_expect(box, row->base, bytes_of(letters));
	box->kept -= row->state == ROW_KEPT;
	box->held -= row->held;
	box->stored += in->source_uid != 0;
	if (in->source_uid > box->max_source)
		box->max_source = in->source_uid;
	return 1;
}

/* The row that ST_MESSAGE_..._BY_CONTENT `which` finds. */
static int take_equal(struct box *box, enum statement which, const struct incoming *in,
		      uint32_t *uid, struct err *err)
{
	struct maildir *m = maildir_of(box);
	struct row_copy c = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	int got = 0;

	while (got == 0) {
		sqlite3_stmt *st = index_stmt(m, which);
		struct place at;
		struct row row;

		database_bind(st, "ibi", box->id, in->sha256, (int64_t)in->size);
		got = database_step(&m->db, st, err);
		if (got <= 0)
			break;
		index_row(st, &row);
		row_copy(&c, &row);
		sqlite3_reset(st);
		got = box_find_file(box, c.row.uid, c.row.base, c.row.letters, &at, err);
		if (got > 0 && (got = still_holds(box, &at, in, err)) > 0) {
			*uid = c.row.uid;
			if (!bytes_equal(c.row.date, in->date))
				set_file_date(&at, in->date);
			got = take_row(box, &c.row, in, err);
			break;
		}
		/* A row without its file, or with another, holds nothing that we know. */
		if (got < 0 || row_delete(box, &c.row, err) < 0) {
			got = -1;
			break;
		}
	}
	buf_release(&c.bytes);
	return got;
}

int adopt(struct box *box, const struct incoming *in, uint32_t *uid, struct err *err)
{
	int got = 0;

	if (box->unbound)
		got = take_equal(box, ST_MESSAGE_UNBOUND_BY_CONTENT, in, uid, err);
	if (got == 0 && box->kept > 0)
		got = take_equal(box, ST_MESSAGE_KEPT_BY_CONTENT, in, uid, err);
	if (got == 0 && box->mb.store->cfg->adopt)
		got = take_foreign(box, in, uid, err);
	return got;
}
