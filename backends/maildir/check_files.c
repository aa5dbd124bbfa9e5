#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/maildir/check.h"
#include "backends/maildir/index.h"
#include "backends/maildir/index_check.h"
#include "backends/maildir/rows.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/* How often what looks wrong is looked at before it is believed: others may be renaming files. */
#define LOOKS 3

/* How long a file may be. Bytes on the wire give only bounds for one with LF line ends. */
struct lengths {
	uint64_t low, high;
};

/* A row as the comparison needs it. Names are known by 64 bits, as in scan.c. */
struct expected {
	uint64_t base;
	uint64_t high; /* lengths.high; low is the same or half of it */
	uint32_t uid;
	bool half;
	bool found; /* a file of this name and length is there */
};

struct comparison {
	struct check *ck;
	struct box *box;
	struct leftovers *left;
	struct expected *v;
	size_t n, cap;
	uint32_t *slots; /* index + 1 into v, by hash */
	size_t mask;
	uint64_t names; /* seen so far */
	uint64_t foreign;
};

/* The `,S=` field of a name; false when there is none. */
static bool length_field(struct bytes base, uint64_t *out)
{
	const uint8_t *at = memmem(base.p, base.n, ",S=", 3);
	struct bytes rest;
	size_t n = 0;

	if (!at)
		return false;
	rest = bytes_skip(base, (size_t)(at - base.p) + 3);
	while (n < rest.n && ascii_is_digit(rest.p[n]))
		n++;
	return bytes_to_u64(bytes_from(rest.p, n), out);
}

static struct lengths lengths_of(const struct maildir *m, const struct row *row)
{
	struct lengths l = { 0, row->size };

	/* What others wrote into their names proves nothing. */
	if (base_is_ours(m, row->base) && length_field(row->base, &l.high))
		l.low = l.high;
	else if (row->form == FORM_EXACT)
		l.low = row->size;
	else
		l.low = row->size / 2;
	return l;
}

static bool fits(uint64_t high, bool half, const struct stat *sb)
{
	uint64_t size = (uint64_t)sb->st_size;

	return S_ISREG(sb->st_mode) && size <= high && size >= (half ? high / 2 : high);
}

bool check_length_fits(struct box *box, const struct row *row, const struct stat *sb)
{
	struct lengths l = lengths_of(maildir_of(box), row);

	return fits(l.high, l.low != l.high, sb);
}

static bool row_makes_sense(const struct row *row)
{
	return row->uid > 0 && row->base.n > 0 && row->base.n <= NAME_MAX &&
	       !memchr(row->base.p, '/', row->base.n) && !memchr(row->base.p, 0, row->base.n) &&
	       row->base.p[0] != '.' && row->size <= INT64_MAX &&
	       (row->form == FORM_EXACT || row->form == FORM_LF || row->form == FORM_UNKNOWN) &&
	       (row->state == ROW_LIVE || row->state == ROW_KEPT) &&
	       (row->state == ROW_LIVE || row->source_uid == 0) &&
	       (row->sha256.n == 0 || row->sha256.n == SHA256_SIZE);
}

static int load_rows(struct comparison *c, struct err *err)
{
	struct maildir *m = maildir_of(c->box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct row row;
	int got;

	database_bind(st, "ii", c->box->id, (int64_t)1);
	while ((got = database_step(&m->db, st, err)) > 0) {
		struct lengths l;

		index_row(st, &row);
		if (!row_makes_sense(&row)) {
			check_index_finding(c->ck, c->box, row.uid,
					    "what the index says of it makes no sense");
			continue;
		}
		l = lengths_of(m, &row);
		c->v = xgrow(c->v, c->n, &c->cap, sizeof(*c->v));
		c->v[c->n++] = (struct expected){ .base = name_hash(row.base, m->key),
						  .high = l.high, .uid = row.uid,
						  .half = l.low != l.high };
	}
	return got;
}

static void build_slots(struct comparison *c)
{
	size_t size = 16;

	while (size < 2 * c->n)
		size *= 2;
	c->mask = size - 1;
	c->slots = xcalloc(size, sizeof(*c->slots));
	for (size_t i = 0; i < c->n; i++) {
		size_t at = c->v[i].base & c->mask;

		while (c->slots[at])
			at = (at + 1) & c->mask;
		c->slots[at] = (uint32_t)(i + 1);
	}
}

static struct expected *find_expected(const struct comparison *c, struct bytes name)
{
	uint64_t base = name_hash(file_name_split(name).base, maildir_of(c->box)->key);

	for (size_t at = base & c->mask; c->slots[at]; at = (at + 1) & c->mask)
		if (c->v[c->slots[at] - 1].base == base)
			return &c->v[c->slots[at] - 1];
	return NULL;
}

/* 1: time is up. */
static int look_at_name(void *ctx, enum box_dir dir, struct bytes name)
{
	struct comparison *c = ctx;
	struct expected *e = find_expected(c, name);
	struct stat sb;
	int fd;

	if (++c->names % 1024 == 0) {
		check_progress(c->ck);
		if (check_time_is_up(c->ck))
			return 1;
	}
	if (!e || e->found) {
		c->foreign++;
		return 0;
	}
	fd = box_dir_fd(c->box, dir);
	if (fd >= 0 && fstatat(fd, (const char *)name.p, &sb, AT_SYMLINK_NOFOLLOW) == 0)
		e->found = fits(e->high, e->half, &sb);
	return 0;
}

static int look_in_tmp(void *ctx, enum box_dir dir, struct bytes name)
{
	struct comparison *c = ctx;

	(void)dir;
	if (!find_expected(c, name) && base_is_ours(maildir_of(c->box), name))
		c->left->litter++;
	return 0;
}

/* 1 it is all right after all, or gone; 0 not; -1. With `last`, what is wrong is told. */
static int look_again(struct comparison *c, uint32_t uid, bool last, struct err *err)
{
	struct box *box = c->box;
	struct row_copy copy = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	struct lengths l;
	struct place at;
	struct row row;
	struct stat sb;
	int got = row_by_uid(box, uid, &row, err);

	if (got <= 0)
		return got < 0 ? -1 : 1;
	row_copy(&copy, &row);
	row_done(box);
	l = lengths_of(maildir_of(box), &copy.row);
	got = box_find_file(box, uid, copy.row.base, copy.row.letters, &at, err);
	if (got > 0 && fstatat(at.dir, at.name, &sb, AT_SYMLINK_NOFOLLOW) == 0) {
		got = fits(l.high, l.low != l.high, &sb);
		if (got > 0 && at.which == DIR_TMP)
			c->left->unplaced++;
		if (got == 0 && last)
			check_message(c->ck, box, FINDING_DAMAGE, &copy.row, &at,
				      (uint64_t)sb.st_size < l.low
					      ? "its file is shorter than it was when stored"
					      : "its file is longer than it was when stored");
	} else if (got >= 0) {
		got = 0;
		if (last)
			check_message(c->ck, box, FINDING_DAMAGE, &copy.row, NULL,
				      "its file is missing");
	}
	buf_release(&copy.bytes);
	return got;
}

static int look_again_at_all(struct comparison *c, bool last, struct err *err)
{
	size_t to = 0;

	box_forget_listing(c->box);
	for (size_t i = 0; i < c->n; i++) {
		int got = c->v[i].found ? 1 : look_again(c, c->v[i].uid, last, err);

		if (got < 0)
			return -1;
		if (got == 0)
			c->v[to++] = c->v[i];
		if (i % 256 == 0 && store_check_stop(c->box->mb.store, err) < 0)
			return -1;
	}
	c->n = to;
	return 0;
}

static int settle_doubts(struct comparison *c, struct err *err)
{
	for (int look = 1; look <= LOOKS && c->n > 0; look++) {
		if (look == LOOKS) {
			int got = index_still_lies(maildir_of(c->box), c->box, err);

			if (got < 0)
				return -1;
			if (got == 0) {
				check_mailbox(c->ck, c->box, FINDING_UNCHECKED,
					      "it was renamed or removed meanwhile",
					      "Check again what was changed meanwhile.");
				return 0;
			}
		}
		if (look_again_at_all(c, look == LOOKS, err) < 0)
			return -1;
	}
	return 0;
}

static int compare(struct comparison *c, struct err *err)
{
	int stopped;

	if (load_rows(c, err) < 0)
		return -1;
	build_slots(c);
	stopped = box_each_file(c->box, DIR_CUR, look_at_name, c, err);
	if (stopped == 0)
		stopped = box_each_file(c->box, DIR_NEW, look_at_name, c, err);
	if (stopped == 0)
		stopped = box_each_file(c->box, DIR_TMP, look_in_tmp, c, err);
	if (stopped != 0)
		return stopped < 0 ? -1 : 0;
	c->ck->compared += c->n;
	c->ck->foreign += c->foreign;
	return settle_doubts(c, err);
}

int check_files(struct check *ck, struct box *box, struct leftovers *left, struct err *err)
{
	struct comparison c = { .ck = ck, .box = box, .left = left };
	int ret = compare(&c, err);

	free(c.v);
	free(c.slots);
	box_forget_listing(box);
	if (ret == 0 || (err->kind != ERR_MAILBOX && err->sys != EIO))
		return ret;
	check_mailbox(ck, box, err->sys == EIO ? FINDING_DAMAGE : FINDING_UNCHECKED, err->text, NULL);
	return 0;
}
