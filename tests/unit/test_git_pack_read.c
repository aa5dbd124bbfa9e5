/* The pack reader: packs of git, damaged and hostile files, packs that come and go, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/deflate.h"
#include "backends/git/pack_private.h"
#include "core/base/mem.h"
#include "tests/lib/pack_rig.h"
#include "tests/lib/support.h"

static int open_rig(void **state)
{
	struct pack_rig *r = xcalloc(1, sizeof(*r));

	pack_rig_open(r);
	*state = r;
	return 0;
}

static int close_rig(void **state)
{
	pack_rig_close(*state);
	free(*state);
	return 0;
}

static char *file_of(struct pack_rig *r, const char *name, const char *ending)
{
	return xasprintf("%s/%s%s", r->packs, name, ending);
}

static int into_buf(void *ctx, struct bytes piece, struct err *err)
{
	if (!buf_add(ctx, piece))
		return err_set(err, ERR_FATAL, "too much");
	return 0;
}

/* --- what git wrote --- */

static uint64_t dropped; /* damaged copies that pack_merge() left out */

/* --- damage --- */

enum { OBJECTS = 4 };

struct victim {
	struct pack_rig *r;
	struct object_id id[OBJECTS];
	struct bytes data[OBJECTS];
	struct buf pack, idx; /* as they were */
	char *pack_path, *idx_path;
};

static void victim_make(struct victim *v, struct pack_rig *r)
{
	static const char *const text[OBJECTS] = { "", "x", "Subject: a\r\n\r\nbody body body body\r\n",
						   "another message" };
	const char *name;

	*v = (struct victim){ .r = r };
	for (size_t i = 0; i < OBJECTS; i++) {
		v->data[i] = bytes_of(text[i]);
		v->id[i] = pack_rig_add(r, GIT_BLOB, v->data[i]);
	}
	name = pack_rig_publish(r);
	v->pack_path = file_of(r, name, ".pack");
	v->idx_path = file_of(r, name, ".idx");
	buf_init(&v->pack, 1 << 20);
	buf_init(&v->idx, 1 << 20);
	read_file(v->pack_path, &v->pack);
	read_file(v->idx_path, &v->idx);
}

static void victim_release(struct victim *v)
{
	buf_release(&v->pack);
	buf_release(&v->idx);
	free(v->pack_path);
	free(v->idx_path);
}

static void names_a_file(const struct victim *v, const struct err *err)
{
	assert_int_equal(err->kind, ERR_FATAL);
	if (!strstr(err->text, v->pack_path) && !strstr(err->text, v->idx_path))
		fail_msg("does not name the file: %s", err->text);
}

/* Every object is read as it was, or the error names the damaged file. Returns how many were read. */
static unsigned right_or_error(struct victim *v)
{
	struct pack_set *set = pack_set_open(v->r->packs, &v->r->err);
	unsigned good = 0;

	assert_non_null(set);
	for (size_t i = 0; i < OBJECTS; i++) {
		struct buf got = BUF_INIT(1 << 16);
		struct pack_at at;
		enum git_type type;
		struct err err;

		if (!pack_set_find(set, &v->id[i], &at)) {
			assert_int_equal(pack_missing(set, &v->id[i], &err), -1);
			names_a_file(v, &err);
		} else if (pack_object_read(set, &at, &type, &got, &err) < 0) {
			names_a_file(v, &err);
		} else {
			assert_int_equal(type, GIT_BLOB);
			assert_true(bytes_equal(buf_bytes(&got), v->data[i]));
			good++;
		}
		buf_release(&got);
	}
	pack_set_free(set);
	return good;
}

static int count_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	(void)e;
	(void)err;
	++*(unsigned *)ctx;
	return 0;
}

struct entry_check {
	struct pack_set *set;
	struct pack *p;
	unsigned n;
};

static int nothing(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)piece;
	(void)err;
	return 0;
}

static int copy_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct entry_check *c = ctx;

	c->n++;
	return pack_entry_copy(c->set, c->p, e, nothing, NULL, err);
}

/* Whatever was changed, a check of the whole file finds it. */
static void is_found_by_checking(struct victim *v)
{
	struct pack_set *set = pack_set_open(v->r->packs, &v->r->err);
	struct err err;

	if (pack_set_count(set) == 1) {
		struct entry_check c = { .set = set, .p = pack_set_pack(set, 0) };

		assert_int_equal(pack_check_file(set, c.p, &err), -1);
		names_a_file(v, &err);
		if (pack_each(set, c.p, copy_entry, &c, &err) < 0)
			names_a_file(v, &err);
	}
	pack_set_free(set);
}

static void each_byte_changed(struct victim *v, const char *path, const struct buf *was)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_add(&b, buf_bytes(was));
	for (size_t at = 0; at < b.n; at++) {
		static const uint8_t change[] = { 0x01, 0x80, 0xff };

		for (size_t k = 0; k < 3; k++) {
			b.p[at] ^= change[k];
			write_file(path, buf_bytes(&b));
			right_or_error(v);
			is_found_by_checking(v);
			b.p[at] ^= change[k];
		}
	}
	write_file(path, buf_bytes(was));
	assert_int_equal(right_or_error(v), OBJECTS);
	buf_release(&b);
}

static void each_length(struct victim *v, const char *path, const struct buf *was)
{
	for (size_t n = 0; n < was->n; n++) {
		write_file(path, bytes_from(was->p, n));
		right_or_error(v);
		is_found_by_checking(v);
	}
	write_file(path, buf_bytes(was));
}

static void test_any_changed_byte_of_a_pack_is_an_error_never_other_bytes(void **state)
{
	struct victim v;

	victim_make(&v, *state);
	chmod(v.pack_path, 0644);
	each_byte_changed(&v, v.pack_path, &v.pack);
	each_length(&v, v.pack_path, &v.pack);
	victim_release(&v);
}

static void test_any_changed_byte_of_an_index_is_an_error_never_other_bytes(void **state)
{
	struct victim v;

	victim_make(&v, *state);
	chmod(v.idx_path, 0644);
	each_byte_changed(&v, v.idx_path, &v.idx);
	each_length(&v, v.idx_path, &v.idx);
	victim_release(&v);
}

/* Checksums as if the file had been made so on purpose. */
static void seal(struct buf *b, size_t from_end)
{
	struct object_hash *h = object_hash_new();
	struct object_id sum;

	object_hash_begin_raw(h);
	object_hash_update(h, bytes_from(b->p, b->n - from_end));
	object_hash_end(h, &sum);
	memcpy(b->p + b->n - from_end, sum.b, 20);
	object_hash_free(h);
}

static bool same_as_before(struct victim *v)
{
	struct buf now = BUF_INIT(1 << 20);
	bool same;

	read_file(v->idx_path, &now);
	same = bytes_equal(buf_bytes(&now), buf_bytes(&v->idx));
	buf_release(&now);
	return same;
}

static void each_hostile_index(struct victim *v, size_t at, size_t n, uint32_t word)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_add(&b, buf_bytes(&v->idx));
	for (size_t i = 0; i < n; i++) {
		uint8_t was[4];

		memcpy(was, b.p + at + 4 * i, 4);
		put_be32(b.p + at + 4 * i, word);
		seal(&b, 20);
		write_file(v->idx_path, buf_bytes(&b));
		right_or_error(v);
		if (!same_as_before(v))
			is_found_by_checking(v);
		memcpy(b.p + at + 4 * i, was, 4);
	}
	buf_release(&b);
}

/* An index with the right checksum whose numbers lead anywhere. */
static void test_an_index_that_lies_leads_nowhere(void **state)
{
	static const uint32_t words[] = { 0xffffffff, 0x80000000, 0x80000001, 0x7fffffff, 0, 5, 13,
					  0x10000 };
	const size_t offsets = 8 + 1024 + OBJECTS * 24;
	struct victim v;

	victim_make(&v, *state);
	chmod(v.idx_path, 0644);
	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
		for (size_t i = 0; i < OBJECTS; i++) {
			struct buf b = BUF_INIT(1 << 20);

			buf_add(&b, buf_bytes(&v.idx));
			put_be32(b.p + offsets + 4 * i, words[w]);
			seal(&b, 20);
			write_file(v.idx_path, buf_bytes(&b));
			assert_int_equal(right_or_error(&v), OBJECTS - 1);
			buf_release(&b);
		}
	each_hostile_index(&v, 8, 256, 0xffffffff);
	each_hostile_index(&v, 8, 256, 0x10000000);
	each_hostile_index(&v, 8, 256, 0);
	each_hostile_index(&v, 8, 256, 2);
	victim_release(&v);
}

/* All checksums right, but the pack counts one object more than its index. */
static void test_a_pack_that_counts_differently_than_its_index_is_an_error(void **state)
{
	struct victim v;
	struct pack_at at;
	enum git_type type;
	uint64_t size;

	victim_make(&v, *state);
	put_be32(v.pack.p + 8, OBJECTS + 1);
	seal(&v.pack, 20);
	memcpy(v.idx.p + v.idx.n - 40, v.pack.p + v.pack.n - 20, 20);
	seal(&v.idx, 20);
	chmod(v.pack_path, 0644);
	chmod(v.idx_path, 0644);
	write_file(v.pack_path, buf_bytes(&v.pack));
	write_file(v.idx_path, buf_bytes(&v.idx));
	pack_rig_look(v.r);
	assert_true(pack_set_find(v.r->set, &v.id[1], &at));
	assert_int_equal(pack_object_info(v.r->set, &at, &type, &size, &v.r->err), -1);
	names_a_file(&v, &v.r->err);
	assert_non_null(strstr(v.r->err.text, "number of objects"));
	assert_non_null(pack_damage(pack_set_pack(v.r->set, 0)));
	assert_false(pack_set_find(v.r->set, &v.id[1], &at)); /* and is not asked again */
	victim_release(&v);
}

/* A pack of one entry with this head and these deflated bytes, and an index to it. */
static void hostile_entry(struct pack_rig *r, struct bytes head, struct bytes body,
			  const struct object_id *id)
{
	struct pack_record record = { .id = *id, .where = PACK_HEAD_SIZE };

	assert_int_equal(pack_writer_begin(r->w, &r->w->pack, &r->err), 0);
	assert_int_equal(out_file_put(&r->w->pack, head, &r->err), 0);
	assert_int_equal(out_file_put(&r->w->pack, body, &r->err), 0);
	record.crc = crc32_of(crc32_of(0, head), body);
	pack_table_add(&r->w->table, &record);
	pack_rig_publish(r);
	pack_rig_look(r);
}

static struct buf deflated(struct bytes data)
{
	struct deflater *d = deflater_new(NULL);
	struct buf out = BUF_INIT(1 << 20);
	bool whole = false;

	while (!whole) {
		uint8_t piece[4096];
		size_t n = deflater_run(d, &data, true, piece, sizeof(piece), &whole);

		buf_add(&out, bytes_from(piece, n));
	}
	deflater_free(d);
	return out;
}

static void test_an_entry_that_lies_about_itself_is_an_error(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_ZEROS, 100000, 1);
	struct buf body = deflated(data);
	uint8_t head[ENTRY_HEAD_MAX];
	struct object_id id;
	static const uint8_t endless[12] = { 0xb0, 0xff, 0xff, 0xff, 0xff, 0xff,
					     0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t over[11] = { 0xb0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0 };
	struct {
		struct bytes head, body;
		const char *says;
	} cases[] = {
		{ bytes_from(head, 0), buf_bytes(&body), "longer than" }, /* sizes are set below */
		{ bytes_from(head, 0), buf_bytes(&body), "shorter than" },
		{ bytes_from(head, 0), bytes_from(body.p, body.n - 5), "too early" },
		{ bytes_from(endless, 12), buf_bytes(&body), "no sound head" },
		{ bytes_from(over, 11), buf_bytes(&body), "no sound head" },
		{ bytes_from("\x80", 1), bytes_from(NULL, 0), "no sound head" },
		{ bytes_from("\x05", 1), buf_bytes(&body), "no sound head" },
		{ bytes_from("\x55", 1), buf_bytes(&body), "no sound head" },
		{ bytes_from("\x35", 1), bytes_of("hello"), "cannot be inflated" },
	};
	static const uint64_t size[] = { 99999, 100001, 100000 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pack_at at;
		enum git_type type;
		uint64_t n;

		put_be32(id.b, (uint32_t)i);
		memset(id.b + 4, 0x11, 16);
		if (i < 3)
			cases[i].head.n = entry_head_encode(head, GIT_BLOB, size[i]);
		hostile_entry(r, cases[i].head, cases[i].body, &id);
		assert_true(pack_set_find(r->set, &id, &at));
		assert_int_equal(pack_object_stream(r->set, &at, &type, &n, nothing, NULL, &r->err), -1);
		assert_int_equal(r->err.kind, ERR_FATAL);
		if (!strstr(r->err.text, cases[i].says))
			fail_msg("%zu: %s", i, r->err.text);
		assert_non_null(strstr(r->err.text, ".pack is damaged"));
	}
	buf_release(&body);
	sample_free(data);
}

/* A size that nobody can have memory for costs none. */
static void test_an_enormous_size_costs_no_memory(void **state)
{
	struct pack_rig *r = *state;
	struct buf body = deflated(bytes_of("x")), got = BUF_INIT(1 << 20);
	uint8_t head[ENTRY_HEAD_MAX];
	struct object_id id = { { 1 } };
	struct pack_at at;
	enum git_type type;

	hostile_entry(r, bytes_from(head, entry_head_encode(head, GIT_BLOB, UINT64_MAX)),
		      buf_bytes(&body), &id);
	assert_true(pack_set_find(r->set, &id, &at));
	assert_int_equal(pack_object_read(r->set, &at, &type, &got, &r->err), -1);
	assert_non_null(strstr(r->err.text, "shorter than"));
	buf_release(&body);
	buf_release(&got);
}

static void test_an_object_larger_than_the_ceiling_is_refused(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_ZEROS, 100000, 1);
	struct object_id id = pack_rig_add(r, GIT_TREE, data);
	struct buf got = BUF_INIT(99999), enough = BUF_INIT(100000);
	struct pack_at at;
	enum git_type type;

	pack_rig_publish(r);
	pack_rig_look(r);
	assert_true(pack_set_find(r->set, &id, &at));
	assert_int_equal(pack_object_read(r->set, &at, &type, &got, &r->err), -1);
	assert_non_null(strstr(r->err.text, "larger than 99999 bytes"));
	assert_int_equal(pack_object_read(r->set, &at, &type, &enough, &r->err), 0);
	buf_release(&got);
	buf_release(&enough);
	sample_free(data);
}

/* One bad index does not keep anybody from the rest. */
static void test_a_damaged_index_hides_only_its_pack(void **state)
{
	struct pack_rig *r = *state;
	struct object_id a = pack_rig_add(r, GIT_BLOB, bytes_of("a")), b;
	char *path = file_of(r, pack_rig_publish(r), ".idx");
	struct pack_at at;

	b = pack_rig_add(r, GIT_BLOB, bytes_of("b"));
	pack_rig_publish(r);
	chmod(path, 0644);
	write_file(path, bytes_of("nothing of an index"));
	pack_rig_look(r);
	assert_int_equal(pack_set_count(r->set), 2);
	pack_rig_holds(r, &b, GIT_BLOB, bytes_of("b"));
	assert_false(pack_set_find(r->set, &a, &at));
	assert_int_equal(pack_missing(r->set, &a, &r->err), -1);
	assert_non_null(strstr(r->err.text, path));
	/* With nothing damaged it is just not there. */
	unlink(path);
	pack_rig_look(r);
	assert_int_equal(pack_missing(r->set, &a, &r->err), -1);
	assert_non_null(strstr(r->err.text, "is not in"));
	free(path);
}

static void test_the_newest_copy_is_found_first_and_then_the_older(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id = pack_rig_add(r, GIT_BLOB, bytes_of("same"));
	char *old = xstrdup(pack_rig_publish(r)), *new;
	struct pack_at at;

	pack_rig_add(r, GIT_BLOB, bytes_of("other"));
	pack_rig_add(r, GIT_BLOB, bytes_of("same"));
	new = xstrdup(pack_rig_publish(r));
	pack_rig_age(r, old);
	pack_rig_look(r);
	assert_true(pack_set_find(r->set, &id, &at));
	assert_string_equal(pack_name(at.pack), new);
	assert_true(pack_set_find_next(r->set, &at));
	assert_string_equal(pack_name(at.pack), old);
	assert_false(pack_set_find_next(r->set, &at));
	free(old);
	free(new);
}

/* --- packs that come and go --- */

static void test_a_published_pack_is_seen_after_a_refresh(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id;
	struct pack_at at;

	pack_rig_look(r);
	id = pack_rig_add(r, GIT_BLOB, bytes_of("x"));
	pack_rig_publish(r);
	assert_false(pack_set_find(r->set, &id, &at));
	pack_rig_look(r);
	pack_rig_holds(r, &id, GIT_BLOB, bytes_of("x"));
}

/* A user's `git repack -a -d` after the .keep files were taken away. */
static void test_objects_are_found_again_when_their_pack_was_repacked(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id[3];
	struct pack_at at[3];
	static const char *const text[] = { "a", "b", "c" };

	for (size_t i = 0; i < 3; i++) {
		char hex[OBJECT_HEX_SIZE], *ref = xasprintf("refs/tags/%zu", i), *keep;

		id[i] = pack_rig_add(r, GIT_BLOB, bytes_of(text[i]));
		keep = file_of(r, pack_rig_publish(r), ".keep");
		pack_rig_git(r, NULL, "update-ref", ref, object_id_hex(&id[i], hex), NULL);
		unlink(keep);
		free(keep);
		free(ref);
	}
	pack_rig_look(r);
	assert_int_equal(pack_set_count(r->set), 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(pack_set_find(r->set, &id[i], &at[i]));
	pack_rig_git(r, NULL, "repack", "-q", "-a", "-d", NULL);
	for (size_t i = 0; i < 3; i++) {
		struct buf got = BUF_INIT(100);
		enum git_type type;

		assert_int_equal(pack_object_read(r->set, &at[i], &type, &got, &r->err), 0);
		assert_true(bytes_is(buf_bytes(&got), text[i]));
		buf_release(&got);
	}
	assert_int_equal(pack_set_count(r->set), 1);
	/* And when all is gone, that is what is said. */
	pack_rig_git(r, NULL, "for-each-ref", NULL);
	pack_set_free(r->set);
	r->set = NULL;
	pack_rig_look(r);
	assert_true(pack_set_find(r->set, &id[0], &at[0]));
	remove_tree(r->packs);
	assert_int_equal(mkdir(r->packs, 0755), 0);
	{
		enum git_type type;
		uint64_t size;

		assert_int_equal(pack_object_info(r->set, &at[0], &type, &size, &r->err), -1);
		assert_non_null(strstr(r->err.text, "is not in"));
	}
}

static void test_halves_of_packs_and_other_files_are_ignored(void **state)
{
	struct pack_rig *r = *state;
	static const char *const others[] = { "pack-a.idx", "pack-b.pack", "c.idx", "c.pack", "pack-",
					      ".idx", "tmp_idx_x", "multi-pack-index" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char *path = path_join(r->packs, others[i]);

		write_file(path, bytes_of("x"));
		free(path);
	}
	pack_rig_look(r);
	assert_int_equal(pack_set_count(r->set), 0);
}

static size_t open_files(void)
{
	struct name_list l = { 0 };
	size_t n;

	dir_entries("/proc/self/fd", &l);
	n = l.n;
	name_list_release(&l);
	return n;
}

static void test_few_packs_are_open_at_once(void **state)
{
	enum { PACKS = 40 };
	struct pack_rig *r = *state;
	struct object_id id[PACKS];
	size_t before = open_files();
	char text[16];

	for (int i = 0; i < PACKS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		id[i] = pack_rig_add(r, GIT_BLOB, bytes_of(text));
		pack_rig_publish(r);
	}
	pack_rig_look(r);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < PACKS; i++) {
			snprintf(text, sizeof(text), "%d", i);
			pack_rig_holds(r, &id[i], GIT_BLOB, bytes_of(text));
			assert_in_range(open_files(), 0, before + 16);
		}
		if (round > 0)
			continue;
		/* Other packs with the same objects: those that are gone do not stay open, either. */
		remove_tree(r->packs);
		assert_int_equal(mkdir(r->packs, 0755), 0);
		for (int i = 0; i < PACKS; i++) {
			snprintf(text, sizeof(text), "more of %d", i);
			pack_rig_add(r, GIT_BLOB, bytes_of(text));
			snprintf(text, sizeof(text), "%d", i);
			pack_rig_add(r, GIT_BLOB, bytes_of(text));
			pack_rig_publish(r);
		}
		pack_rig_look(r);
		assert_int_equal(pack_set_count(r->set), PACKS);
	}
	pack_set_free(r->set);
	r->set = NULL;
	assert_int_equal(open_files(), before);
}

/* --- sinks --- */

struct nested {
	struct pack_rig *r;
	const struct object_id *id;
	struct bytes want, rest;
	unsigned pieces;
};

static int read_another(void *ctx, struct bytes piece, struct err *err)
{
	struct nested *n = ctx;

	(void)err;
	assert_in_range(piece.n, 1, 65536);
	assert_true(piece.n <= n->rest.n && memcmp(piece.p, n->rest.p, piece.n) == 0);
	pack_rig_holds(n->r, n->id, GIT_BLOB, n->want);
	assert_true(memcmp(piece.p, n->rest.p, piece.n) == 0);
	n->rest = bytes_skip(n->rest, piece.n);
	n->pieces++;
	return 0;
}

static void test_a_sink_may_read_other_objects(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_TEXT, 500000, 1), small = sample(SAMPLE_TEXT, 100000, 2);
	struct object_id id[2] = { pack_rig_add(r, GIT_BLOB, data), pack_rig_add(r, GIT_BLOB, small) };
	struct nested n = { .r = r, .id = &id[1], .want = small, .rest = data };
	struct pack_at at;

	pack_rig_publish(r);
	pack_rig_look(r);
	assert_true(pack_set_find(r->set, &id[0], &at));
	assert_int_equal(pack_object_stream(r->set, &at, NULL, NULL, read_another, &n, &r->err), 0);
	assert_int_equal(n.rest.n, 0);
	assert_in_range(n.pieces, 8, 1000);
	sample_free(data);
	sample_free(small);
}

static int full(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)piece;
	return err_set(err, ERR_STOPPED, "enough");
}

static void test_what_a_sink_says_is_handed_on(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id = pack_rig_add(r, GIT_BLOB, bytes_of("x"));
	struct pack_at at;

	pack_rig_publish(r);
	pack_rig_look(r);
	assert_true(pack_set_find(r->set, &id, &at));
	assert_int_equal(pack_object_stream(r->set, &at, NULL, NULL, full, NULL, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_STOPPED);
	pack_rig_holds(r, &id, GIT_BLOB, bytes_of("x"));
}

/* --- packs as wholes --- */

struct seen {
	struct object_id id[8];
	uint64_t end;
	size_t n;
	struct pack_rig *r;
	struct pack *p;
};

static int see(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct seen *s = ctx;
	struct buf raw = BUF_INIT(1 << 20);

	assert_int_equal(e->offset, s->end);
	s->end += e->span;
	s->id[s->n++] = e->id;
	assert_int_equal(e->type, s->n == 2 ? GIT_TREE : GIT_BLOB);
	assert_int_equal(e->size, s->n == 3 ? 70000 : 1);
	assert_int_equal(pack_entry_copy(s->r->set, s->p, e, into_buf, &raw, err), 0);
	assert_int_equal(raw.n, e->span);
	assert_int_equal(crc32_of(0, buf_bytes(&raw)), e->crc);
	buf_release(&raw);
	return 0;
}

static void test_all_entries_are_listed_as_they_lie(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_TEXT, 70000, 1);
	struct object_id id[3] = { pack_rig_add(r, GIT_BLOB, bytes_of("x")),
				   pack_rig_add(r, GIT_TREE, bytes_of("y")),
				   pack_rig_add(r, GIT_BLOB, data) };
	struct seen s = { .end = PACK_HEAD_SIZE, .r = r };
	unsigned n = 0;

	pack_rig_publish(r);
	pack_rig_look(r);
	s.p = pack_set_pack(r->set, 0);
	assert_int_equal(pack_each(r->set, s.p, see, &s, &r->err), 0);
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.id, id, sizeof(id));
	assert_int_equal(s.end + 20, pack_file_size(s.p));
	assert_int_equal(pack_check_file(r->set, s.p, &r->err), 0);
	assert_int_equal(pack_each(r->set, s.p, count_entry, &n, &r->err), 0);
	assert_int_equal(n, 3);
	sample_free(data);
}

enum { MERGED = 30 };

/* MERGED packs of two objects, of which each pack shares one with the next. */
static void many_packs(struct pack_rig *r, struct object_id id[MERGED + 1], char *names[MERGED])
{
	for (int i = 0; i < MERGED; i++) {
		for (int k = 0; k < 2; k++) {
			char text[16];

			snprintf(text, sizeof(text), "message %d", i + k);
			id[i + k] = pack_rig_add(r, GIT_BLOB, bytes_of(text));
		}
		names[i] = xstrdup(pack_rig_publish(r));
	}
	pack_rig_look(r);
}

static void free_names(char *names[MERGED])
{
	for (int i = 0; i < MERGED; i++)
		free(names[i]);
}

static void test_many_packs_become_one(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id[MERGED + 1];
	char *names[MERGED], name[PACK_NAME_SIZE], text[16], *files, *want;

	many_packs(r, id, names);
	assert_int_equal(pack_merge(r->set, (const char *const *)names, MERGED, NULL, name, &dropped, &r->err), 0);
	pack_rig_look(r);
	assert_int_equal(pack_set_count(r->set), MERGED + 1);
	pack_rig_git_approves(r);
	for (int i = 0; i < MERGED; i++)
		assert_int_equal(pack_remove(r->packs, names[i], &r->err), 0);
	assert_int_equal(pack_remove(r->packs, names[0], &r->err), 0); /* none is fine */
	files = dir_text(r->packs);
	want = xasprintf("%s.idx %s.keep %s.pack", name, name, name);
	assert_string_equal(files, want);
	for (int round = 0; round < 2; round++) {
		pack_rig_look(r);
		assert_int_equal(pack_set_count(r->set), 1);
		assert_int_equal(pack_count(pack_set_pack(r->set, 0)), MERGED + 1);
		for (int i = 0; i <= MERGED; i++) {
			snprintf(text, sizeof(text), "message %d", i);
			pack_rig_holds(r, &id[i], GIT_BLOB, bytes_of(text));
		}
		pack_rig_git_approves(r);
		/* Merging one alone gives the same again. */
		{
			const char *one = name;
			char again[PACK_NAME_SIZE];

			assert_int_equal(pack_merge(r->set, &one, 1, NULL, again, &dropped, &r->err), 0);
			assert_string_equal(again, name);
		}
	}
	free_names(names);
	free(files);
	free(want);
}

static void test_merging_stops_at_a_changed_byte(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id[MERGED + 1];
	char *names[MERGED], name[PACK_NAME_SIZE] = "x", *path, *before, *after;
	FILE *f;

	many_packs(r, id, names);
	path = file_of(r, names[0], ".pack"); /* its first object is nowhere else */
	before = dir_text(r->packs);
	f = fopen(path, "r+b");
	fseek(f, PACK_HEAD_SIZE + 5, SEEK_SET);
	fputc(0x55, f);
	fclose(f);
	assert_int_equal(pack_merge(r->set, (const char *const *)names, MERGED, NULL, name, &dropped, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_FATAL);
	assert_non_null(strstr(r->err.text, path));
	after = dir_text(r->packs);
	assert_string_equal(after, before);
	free_names(names);
	free(path);
	free(before);
	free(after);
}

/* An object stored again because its first copy was damaged: the merged pack has the good one. */
static void test_merging_takes_the_copy_that_was_stored_again(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id = pack_rig_add(r, GIT_BLOB, bytes_of("message"));
	char *old = xstrdup(pack_rig_publish(r)), *new, *path = file_of(r, old, ".pack");
	char name[PACK_NAME_SIZE];
	FILE *f = fopen(path, "r+b");

	fseek(f, PACK_HEAD_SIZE + 5, SEEK_SET);
	fputc(0x55, f);
	fclose(f);
	pack_rig_look(r);
	pack_rig_writer(r);
	pack_rig_add(r, GIT_BLOB, bytes_of("message"));
	pack_rig_add(r, GIT_BLOB, bytes_of("another"));
	new = xstrdup(pack_rig_publish(r));
	pack_rig_age(r, old);
	pack_rig_look(r);
	{
		const char *names[] = { old, new };

		assert_int_equal(pack_merge(r->set, names, 2, NULL, name, &dropped, &r->err), 0);
	}
	assert_string_equal(name, new); /* nothing in the old one was worth copying */
	assert_int_equal(pack_remove(r->packs, old, &r->err), 0);
	pack_rig_look(r);
	pack_rig_holds(r, &id, GIT_BLOB, bytes_of("message"));
	free(old);
	free(new);
	free(path);
}

static void test_packs_with_deltas_are_not_merged(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data[2] = { sample(SAMPLE_TEXT, 20000, 1), sample(SAMPLE_TEXT, 20000, 1) };
	char name[PACK_NAME_SIZE];
	const char *names[1];

	((uint8_t *)(uintptr_t)data[1].p)[500] ^= 1;
	for (size_t i = 0; i < 2; i++) {
		char *hex = pack_rig_git_text(r, data[i], "hash-object", "-w", "--stdin", NULL);
		char *ref = xasprintf("refs/tags/t%zu", i);

		hex[40] = '\0';
		pack_rig_git(r, NULL, "update-ref", ref, hex, NULL);
		free(hex);
		free(ref);
		sample_free(data[i]);
	}
	pack_rig_git(r, NULL, "repack", "-q", "-a", "-d", NULL);
	pack_rig_look(r);
	names[0] = pack_name(pack_set_pack(r->set, 0));
	assert_int_equal(pack_merge(r->set, names, 1, NULL, name, &dropped, &r->err), -1);
	assert_non_null(strstr(r->err.text, "deltas"));
	names[0] = "pack-none";
	assert_int_equal(pack_merge(r->set, names, 1, NULL, name, &dropped, &r->err), -1);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(test_any_changed_byte_of_a_pack_is_an_error_never_other_bytes),
		WITH_RIG(test_any_changed_byte_of_an_index_is_an_error_never_other_bytes),
		WITH_RIG(test_an_index_that_lies_leads_nowhere),
		WITH_RIG(test_a_pack_that_counts_differently_than_its_index_is_an_error),
		WITH_RIG(test_an_entry_that_lies_about_itself_is_an_error),
		WITH_RIG(test_an_enormous_size_costs_no_memory),
		WITH_RIG(test_an_object_larger_than_the_ceiling_is_refused),
		WITH_RIG(test_a_damaged_index_hides_only_its_pack),
		WITH_RIG(test_the_newest_copy_is_found_first_and_then_the_older),
		WITH_RIG(test_a_published_pack_is_seen_after_a_refresh),
		WITH_RIG(test_objects_are_found_again_when_their_pack_was_repacked),
		WITH_RIG(test_halves_of_packs_and_other_files_are_ignored),
		WITH_RIG(test_few_packs_are_open_at_once),
		WITH_RIG(test_a_sink_may_read_other_objects),
		WITH_RIG(test_what_a_sink_says_is_handed_on),
		WITH_RIG(test_all_entries_are_listed_as_they_lie),
		WITH_RIG(test_many_packs_become_one),
		WITH_RIG(test_merging_stops_at_a_changed_byte),
		WITH_RIG(test_merging_takes_the_copy_that_was_stored_again),
		WITH_RIG(test_packs_with_deltas_are_not_merged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
