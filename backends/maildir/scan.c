#include "backends/maildir/scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/maildir/index.h"
#include "backends/maildir/keywords.h"
#include "backends/maildir/listing.h"
#include "backends/maildir/rows.h"
#include "backends/maildir/source.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

/* Combinations of flags already seen, by their columns: rows repeat few of them. */
#define CACHE_SIZE 256
struct flag_cache {
	struct flag_table *table;
	struct {
		bool used;
		unsigned bits;
		char *keywords;
		uint32_t id;
	} slot[CACHE_SIZE];
};

static uint32_t cached_flags(struct flag_cache *c, unsigned bits, struct bytes keywords)
{
	size_t at = (bits ^ name_hash(keywords, 0)) % CACHE_SIZE;
	struct flags flags;

	if (c->slot[at].used && c->slot[at].bits == bits &&
	    bytes_is(keywords, c->slot[at].keywords))
		return c->slot[at].id;
	flags_from_columns(bits, keywords, &flags);
	free(c->slot[at].keywords);
	c->slot[at].keywords = bytes_dup(keywords);
	c->slot[at].bits = bits;
	c->slot[at].used = true;
	c->slot[at].id = flag_table_intern(c->table, &flags);
	flags_release(&flags);
	return c->slot[at].id;
}

static void flag_cache_free(struct flag_cache *c)
{
	for (size_t i = 0; i < CACHE_SIZE; i++)
		free(c->slot[i].keywords);
	free(c);
}

/* A row as the comparison needs it. Names are known by 64 bits, keyed against chosen twins. */
struct known_file {
	uint64_t base, mark;
	uint32_t entry; /* index in changes.v, or NOT_LIVE */
	bool seen;
};
#define NOT_LIVE UINT32_MAX

struct comparison {
	struct box *box;
	struct changes *out;
	struct flag_cache *cache;
	struct known_file *v;
	size_t n, cap;
	uint32_t *slots; /* index + 1 into v, by hash */
	size_t mask;
	uint64_t digest;  /* of what lies there */
	uint64_t expected; /* of what the rows say */
	struct buf names; /* claimed: names of files without a row, each ended by NUL */
	struct uidset_builder gone; /* UIDs of rows without a file */
	struct stamp before; /* cur and new, before they were listed */
	bool moved;          /* they were changed while they were */
	bool claim;
	bool again; /* a second look: only mark what is there */
};

static void add_known(struct comparison *c, const struct row *row, uint32_t entry)
{
	uint64_t key = maildir_of(c->box)->key;

	c->v = xgrow(c->v, c->n, &c->cap, sizeof(*c->v));
	c->v[c->n++] = (struct known_file){
		.base = name_hash(row->base, key),
		.mark = name_mark(row->base, row->letters, key),
		.entry = entry,
		/* Not renamed yet: not in cur, and not missing. */
		.seen = row->uid >= c->box->placed_to,
	};
	c->expected += c->v[c->n - 1].mark;
}

/* That of the file where the row has none: only one that others wrote. */
static int64_t date_of(struct box *box, const struct row *row)
{
	struct maildate date;
	struct place at;
	struct stat sb;
	struct err err;
	int64_t when = CHANGES_NO_DATE;

	maildate_init(&date);
	if (row->date.n > 0 && maildate_parse(&date, row->date))
		when = date.unix_time;
	else if (row->date.n == 0 &&
		 box_find_file(box, row->uid, row->base, row->letters, &at, &err) > 0 &&
		 fstatat(at.dir, at.name, &sb, AT_SYMLINK_NOFOLLOW) == 0)
		when = sb.st_mtim.tv_sec;
	maildate_release(&date);
	return when;
}

static void add_row(struct comparison *c, const struct row *row)
{
	struct entry *e;

	if (row->state != ROW_LIVE && !c->box->mb.store->cfg->with_kept) {
		add_known(c, row, NOT_LIVE);
		return;
	}
	c->box->unbound |= row->source_uid == 0;
	e = changes_add(c->out, row->uid);
	e->source_uid = row->source_uid;
	e->size = row->size < UINT32_MAX ? (uint32_t)row->size : UINT32_MAX;
	e->base_flags = e->flags = cached_flags(c->cache, row->bits, row->keywords);
	if (c->out->described)
		c->out->dates[c->out->n - 1] = date_of(c->box, row);
	add_known(c, row, (uint32_t)(c->out->n - 1));
}

static int load_rows(struct comparison *c, struct err *err)
{
	struct maildir *m = maildir_of(c->box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct row row;
	int got;

	database_bind(st, "ii", c->box->id, (int64_t)1);
	while ((got = database_step(&m->db, st, err)) > 0) {
		index_row(st, &row);
		add_row(c, &row);
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

static struct known_file *find_known(const struct comparison *c, uint64_t base)
{
	for (size_t at = base & c->mask; c->slots[at]; at = (at + 1) & c->mask)
		if (c->v[c->slots[at] - 1].base == base)
			return &c->v[c->slots[at] - 1];
	return NULL;
}

/* A file whose letters are not those of its row. */
static int follow_letters(struct comparison *c, struct entry *e, struct bytes letters,
			  struct err *err)
{
	struct flags flags;
	struct row row;
	int got = row_by_uid(c->box, e->uid, &row, err);

	if (got <= 0)
		return got;
	flags_from_columns(row.bits, row.keywords, &flags);
	keywords_follow_letters(c->box, row.letters, letters, &flags);
	e->flags = flag_table_intern(c->out->flags, &flags);
	flags_release(&flags);
	row_done(c->box);
	return 0;
}

struct compare_call {
	struct comparison *c;
	struct err *err;
};

static int compare_name(void *ctx, enum box_dir dir, struct bytes name)
{
	struct compare_call *call = ctx;
	struct comparison *c = call->c;
	struct file_name f = file_name_split(name);
	uint64_t key = maildir_of(c->box)->key;
	uint64_t mark = name_mark(f.base, f.letters, key);
	struct known_file *known = find_known(c, name_hash(f.base, key));

	(void)dir;
	if (!c->again)
		c->digest += mark;
	if (known && !known->seen) {
		known->seen = true;
		if (known->entry == NOT_LIVE || known->mark == mark)
			return 0;
		return follow_letters(c, &c->out->v[known->entry], f.letters, call->err);
	}
	if (c->again || known)
		return 0;
	if (c->claim)
		buf_add(&c->names, bytes_from(name.p, name.n + 1));
	else
		c->out->foreign++;
	return 0;
}

static int list_files(struct comparison *c, struct err *err)
{
	struct compare_call call = { .c = c, .err = err };

	if (box_each_file(c->box, DIR_CUR, compare_name, &call, err) < 0)
		return -1;
	return box_each_file(c->box, DIR_NEW, compare_name, &call, err) < 0 ? -1 : 0;
}

static bool all_seen(const struct comparison *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->v[i].seen)
			return false;
	return true;
}

/* Take the entries without a file out; their source UIDs are missing. */
static size_t drop_missing(struct comparison *c)
{
	struct changes *out = c->out;
	struct uidset_builder missing;
	size_t dropped = 0, to = 0;

	uidset_builder_init(&missing);
	for (size_t i = 0; i < c->n; i++) {
		struct entry *e;

		if (c->v[i].entry == NOT_LIVE)
			continue; /* a kept message somebody deleted: nothing to repair */
		dropped += !c->v[i].seen;
		e = &out->v[c->v[i].entry];
		if (!c->v[i].seen)
			uidset_builder_add(&c->gone, e->uid, e->uid);
		if (c->v[i].seen && out->described)
			out->dates[to] = out->dates[c->v[i].entry];
		if (c->v[i].seen)
			out->v[to++] = *e;
		else if (e->source_uid)
			uidset_builder_add(&missing, e->source_uid, e->source_uid);
	}
	out->n = to;
	uidset_builder_finish(&missing, &out->missing);
	uidset_builder_release(&missing);
	return dropped;
}

static bool flags_differ(const struct changes *out)
{
	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].flags != out->v[i].base_flags)
			return true;
	return false;
}

static struct bytes base_of(const char *name)
{
	return file_name_split(bytes_of(name)).base;
}

static int by_base(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int c = bytes_compare(base_of(x), base_of(y));

	return c ? c : strcmp(x, y);
}

static int claim_one(struct comparison *c, const char *name, struct err *err)
{
	struct file_name f = file_name_split(bytes_of(name));
	struct buf keywords = BUF_INIT(SIZE_MAX / 4);
	struct row row = { .base = f.base, .letters = f.letters, .form = FORM_UNKNOWN };
	struct flags flags;
	int ret;

	flags_init(&flags);
	keywords_follow_letters(c->box, (struct bytes){ 0 }, f.letters, &flags);
	flags_keywords_text(&flags, &keywords);
	row.bits = flags.bits;
	row.keywords = buf_bytes(&keywords);
	if (c->box->mb.store->cfg->as_source)
		source_look_at(c->box, name, &row);
	ret = row_insert(c->box, &row, err);
	if (ret == 0)
		add_row(c, &row);
	buf_release(&keywords);
	flags_release(&flags);
	return ret;
}

/* In the order of their names, which is mostly that of their arrival. */
static int claim_files(struct comparison *c, struct err *err)
{
	const char **name = NULL;
	size_t n = 0, cap = 0;
	int ret = 0;

	for (size_t at = 0; at < c->names.n; at += strlen(name[n - 1]) + 1) {
		name = xgrow(name, n, &cap, sizeof(*name));
		name[n++] = (const char *)c->names.p + at;
	}
	if (n > 0)
		qsort(name, n, sizeof(*name), by_base);
	for (size_t i = 0; i < n && ret == 0; i++) {
		/* A base name twice is one message by the rules; as two, one would hide the other. */
		if (i > 0 && bytes_equal(base_of(name[i - 1]), base_of(name[i])))
			c->out->foreign++;
		else
			ret = claim_one(c, name[i], err);
	}
	free(name);
	return ret;
}

/* All of it was compared: remember how it looked, unless something is still to be repaired. */
static void remember(struct comparison *c, bool agrees)
{
	const struct stamp *before = &c->before;

	struct box *box = c->box;
	bool write = maildir_of(box)->mode == STORE_WRITE;

	if (!write || !agrees) {
		box->extra_known = false;
		return;
	}
	box->digest = c->expected;
	box->extra = c->digest - c->expected;
	box->extra_known = true;
	box->dirty = true;
	if (stamp_racy_ns(maildir_of(box), before) <= 0 && stamp_is_set(before))
		box->stamp = *before;
	else
		box->written = true; /* looked at again when all is done */
}

static int compare(struct comparison *c, struct err *err)
{
	bool pending = c->box->placed_to < c->box->next_uid;
	struct stamp after;
	size_t missing;

	if (box_stamp(c->box, &c->before, err) < 0 || load_rows(c, err) < 0)
		return -1;
	if (stamp_is_set(&c->box->stamp) && stamp_equal(&c->before, &c->box->stamp) && !c->claim)
		return 0;
	build_slots(c);
	if (list_files(c, err) < 0)
		return -1;
	/* A file that was renamed while we read may have been overlooked: read once more. */
	c->again = true;
	if (!all_seen(c) && list_files(c, err) < 0)
		return -1;
	if (box_stamp(c->box, &after, err) < 0)
		return -1;
	c->moved = !stamp_equal(&c->before, &after);
	missing = drop_missing(c);
	if (claim_files(c, err) < 0)
		return -1;
	if (!pending)
		remember(c, missing == 0 && !flags_differ(c->out));
	return 0;
}

/* *moved: the directories were changed meanwhile, so that absence proves nothing to a source. */
static int compare_once(struct box *box, struct changes *out, bool *moved, struct err *err)
{
	const struct maildir *m = maildir_of(box);
	struct comparison c = {
		.box = box,
		.out = out,
		.names = BUF_INIT(SIZE_MAX / 4),
		.claim = m->claim,
	};
	struct uidset gone = UIDSET_INIT;
	int ret;

	uidset_builder_init(&c.gone);
	c.cache = xcalloc(1, sizeof(*c.cache));
	c.cache->table = out->flags;
	ret = compare(&c, err);
	uidset_builder_finish(&c.gone, &gone);
	if (ret == 0 && m->side && !c.moved)
		ret = source_forget(box, &gone, err);
	box->compared = c.before;
	*moved = c.moved;
	uidset_release(&gone);
	uidset_builder_release(&c.gone);
	flag_cache_free(c.cache);
	free(c.v);
	free(c.slots);
	buf_release(&c.names);
	return ret;
}

#define TRIES 3

static int changes_of(struct box *box, struct changes *out, struct err *err)
{
	bool source = box->mb.store->cfg->as_source, described = out->described, moved;

	for (int i = 1;; i++) {
		if (compare_once(box, out, &moved, err) < 0)
			return -1;
		if (!source || !moved || i == TRIES)
			break;
		changes_release(out);
		changes_init(out);
		out->described = described;
	}
	uidset_copy(&box->missing, &out->missing);
	/* A file of ours that is gone may come back: for a job that reads here, it proves nothing. */
	out->complete = !source || (!moved && uidset_is_empty(&out->missing));
	out->token = (struct token){
		.known = true,
		.uidvalidity = box->uidvalidity,
		.uidnext = box->next_uid,
		.messages = (uint32_t)out->n,
	};
	return 0;
}

int maildir_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	struct maildir *m = (struct maildir *)st;

	for (size_t i = 0; i < n; i++) {
		struct err *why = &req[i].out->err;

		if (store_check_stop(st, err) < 0)
			return -1;
		if (changes_of((struct box *)req[i].mailbox, req[i].out, why) == 0)
			continue;
		if (why->kind != ERR_MAILBOX) {
			*err = *why;
			return -1;
		}
	}
	return m->side ? source_keep_uids(m, err) : 0;
}

/* The longest any of them has to be waited for. */
static int64_t seal_wait(struct maildir *m)
{
	int64_t wait = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];
		struct stamp now;
		struct err err;
		int64_t ns;

		if (!box->written || !box->extra_known || box_stamp(box, &now, &err) < 0)
			continue;
		ns = stamp_racy_ns(m, &now);
		if (ns > wait)
			wait = ns;
	}
	return wait;
}

static int seal_box(struct maildir *m, struct box *box, struct err *err)
{
	struct stamp now;
	uint64_t digest;

	if (box_stamp(box, &now, err) < 0 || !stamp_is_set(&now) ||
	    stamp_racy_ns(m, &now) > 0)
		return 0;
	if (listing_digest(box, &digest, err) < 0 || digest != box->digest + box->extra)
		return 0;
	box->stamp = now;
	return index_save_box(m, box, err);
}

int maildir_seal(struct maildir *m, struct err *err)
{
	const int64_t most = 50000000; /* not worth a longer wait */
	int64_t wait = seal_wait(m);
	/* The clock that stamps files moves in steps of up to 10 ms. */
	struct timespec ts = { .tv_nsec = wait + 10000000 };

	if (wait > 0 && wait <= most)
		nanosleep(&ts, NULL);
	for (size_t i = 0; i < m->n; i++)
		if (m->box[i]->written && m->box[i]->extra_known &&
		    seal_box(m, m->box[i], err) < 0)
			return -1;
	return 0;
}
