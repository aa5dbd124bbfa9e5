/* Objects that git stored as deltas: made right, and nothing else than right whatever the bytes say. */
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
#include "backends/git/pack_delta.h"
#include "backends/git/pack_private.h"
#include "backends/git/pack_set.h"
#include "core/base/mem.h"
#include "tests/lib/backup.h"
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

/* --- a delta by itself --- */

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static void test_deltas_make_what_they_say(void **state)
{
	static const struct {
		struct bytes base, delta, want;
	} cases[] = {
		{ BYTES("abcdef"), BYTES("\x06\x03\x03xyz"), BYTES("xyz") },
		{ BYTES("abcdef"), BYTES("\x06\x02\x91\x02\x02"), BYTES("cd") },
		{ BYTES("abcdef"), BYTES("\x06\x06\x90\x06"), BYTES("abcdef") }, /* offset 0 left out */
		{ BYTES("abcdef"), BYTES("\x06\x05\x91\x04\x02\x01-\x90\x02"), BYTES("ef-ab") },
		{ BYTES(""), BYTES("\x00\x01\x01x"), BYTES("x") },
		{ BYTES("abc"), BYTES("\x03\x00"), BYTES("") },
		{ BYTES("abc"), BYTES("\x83\x00\x01\x01x"), BYTES("x") }, /* 3 in two bytes */
		{ BYTES("abc"), BYTES("\x03\x01\xf1\x02\x01\x00\x00"), BYTES("c") },
	};
	struct buf out = BUF_INIT(1000);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };

		if (delta_apply(cases[i].base, cases[i].delta, &out, &err) < 0 ||
		    !bytes_equal(buf_bytes(&out), cases[i].want))
			fail_msg("case %zu: %s", i, err.text);
	}
	buf_release(&out);
}

static void test_deltas_that_lie_are_errors(void **state)
{
	static const struct bytes cases[] = {
		BYTES(""), BYTES("\x06"), BYTES("\x86"), BYTES("\x05\x01\x01x"),
		BYTES("\x06\x01\x00x"),         /* the reserved command */
		BYTES("\x06\x01\x02xy"),        /* more than it said */
		BYTES("\x06\x03\x02xy"),        /* less */
		BYTES("\x06\x03\x03xy"),        /* bytes that are not there */
		BYTES("\x06\x02\x91\x05\x02"),  /* beyond the end of the base */
		BYTES("\x06\x02\x91\x07\x01"),
		BYTES("\x06\x02\x9f\xff\xff\xff\xff\x02"),
		BYTES("\x06\x01\x80"),          /* 0x10000 bytes */
		BYTES("\x06\x02\x91"), BYTES("\x06\x02\x91\x01"), /* cut */
		BYTES("\x06\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01x"),
		BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		BYTES("\x06\xe9\x07\x01x"),     /* 1001 bytes: more than is taken */
	};
	struct buf out = BUF_INIT(1000);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };

		if (delta_apply(bytes_of("abcdef"), cases[i], &out, &err) == 0)
			fail_msg("case %zu is taken", i);
		assert_int_equal(err.kind, ERR_FATAL);
	}
	buf_release(&out);
}

/* --- packs of git --- */

enum { VERSIONS = 12 };

/* Versions of one text that differ little, and what the pack then holds of them. */
struct versions {
	struct bytes data[VERSIONS];
	struct object_id id[VERSIONS];
	char *pack, *idx;
	struct buf pack_was, idx_was;
};

static void make(struct versions *v, struct pack_rig *r, const char *const *how)
{
	struct name_list files = { 0 };

	*v = (struct versions){ .pack_was = BUF_INIT(1 << 20), .idx_was = BUF_INIT(1 << 20) };
	for (size_t i = 0; i < VERSIONS; i++) {
		struct bytes b = sample(SAMPLE_TEXT, 3000, 1);
		char *hex, *tag = xasprintf("refs/tags/t%zu", i);
		uint8_t *p = (uint8_t *)(uintptr_t)b.p;

		for (size_t k = 0; k <= i; k++)
			p[200 * k + 7] ^= 1;
		v->data[i] = b;
		object_id_of(&v->id[i], GIT_BLOB, b);
		hex = pack_rig_git_text(r, b, "hash-object", "-w", "--stdin", NULL);
		hex[40] = '\0';
		pack_rig_git(r, NULL, "update-ref", tag, hex, NULL);
		free(hex);
		free(tag);
	}
	pack_rig_git(r, NULL, "-c", how[0], "-c", how[1], "repack", "-q", "-a", "-d", "-f", NULL);
	dir_entries(r->packs, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *path = path_join(r->packs, files.name[i]);

		if (strstr(path, ".pack"))
			v->pack = xstrdup(path);
		else if (strstr(path, ".idx"))
			v->idx = xstrdup(path);
		chmod(path, 0600);
		free(path);
	}
	read_file(v->pack, &v->pack_was);
	read_file(v->idx, &v->idx_was);
	name_list_release(&files);
}

static void versions_release(struct versions *v)
{
	for (size_t i = 0; i < VERSIONS; i++)
		sample_free(v->data[i]);
	buf_release(&v->pack_was);
	buf_release(&v->idx_was);
	free(v->pack);
	free(v->idx);
}

/* The types of entries as git numbers them: 6 and 7 are deltas, by place and by id. */
struct counting {
	struct buf pack;
	unsigned of_type[8];
};

static int count_type(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct counting *c = ctx;

	(void)err;
	c->of_type[c->pack.p[e->offset] >> 4 & 7]++;
	assert_int_equal(e->type == GIT_DELTA, (c->pack.p[e->offset] >> 4 & 7) >= 6);
	return 0;
}

/* How many entries of that type the only pack has. */
static unsigned count_entries(struct pack_rig *r, unsigned type)
{
	struct counting c = { .pack = BUF_INIT(1 << 20) };
	struct pack *p = pack_set_pack(r->set, 0);
	char *path = xasprintf("%s/%s.pack", r->packs, pack_name(p));

	assert_int_equal(pack_set_count(r->set), 1);
	read_file(path, &c.pack);
	assert_int_equal(pack_each(r->set, p, count_type, &c, &r->err), 0);
	buf_release(&c.pack);
	free(path);
	return c.of_type[type];
}

/* By their places in the pack, and (pack.depth) as long chains. */
static void test_deltas_of_git_are_read(void **state)
{
	static const char *const how[] = { "pack.depth=50", "pack.window=50" };
	struct pack_rig *r = *state;
	struct versions v;

	make(&v, r, how);
	pack_rig_look(r);
	assert_true(count_entries(r, 6) >= VERSIONS - 2);
	for (size_t i = 0; i < VERSIONS; i++) {
		struct pack_at at;
		enum git_type type;
		uint64_t size;

		assert_true(pack_set_find(r->set, &v.id[i], &at));
		assert_int_equal(pack_object_info(r->set, &at, &type, &size, &r->err), 0);
		assert_int_equal(type, GIT_BLOB);
		assert_int_equal(size, v.data[i].n);
		pack_rig_holds(r, &v.id[i], GIT_BLOB, v.data[i]);
	}
	versions_release(&v);
}

/* A base that is named by its id: git without offsets. */
static void test_deltas_by_id_are_read(void **state)
{
	static const char *const how[] = { "repack.useDeltaBaseOffset=false", "pack.window=50" };
	struct pack_rig *r = *state;
	struct versions v;

	make(&v, r, how);
	pack_rig_look(r);
	assert_true(count_entries(r, 7) >= VERSIONS - 2);
	for (size_t i = 0; i < VERSIONS; i++)
		pack_rig_holds(r, &v.id[i], GIT_BLOB, v.data[i]);
	versions_release(&v);
}

/* Trees that differ little, each named by a tag. */
static void make_trees(struct pack_rig *r)
{
	char *blob = pack_rig_git_text(r, bytes_of("x"), "hash-object", "-w", "--stdin", NULL);

	blob[40] = '\0';
	for (size_t i = 0; i < VERSIONS; i++) {
		struct buf lines = BUF_INIT(1 << 20);
		char *hex, *tag = xasprintf("refs/tags/tree%zu", i);

		for (size_t k = 0; k < 100; k++)
			buf_addf(&lines, "100644 blob %s\t%03zu%s\n", blob, k, k == 7 * i ? ".eml" : "");
		hex = pack_rig_git_text(r, buf_bytes(&lines), "mktree", NULL);
		hex[40] = '\0';
		pack_rig_git(r, NULL, "update-ref", tag, hex, NULL);
		buf_release(&lines);
		free(hex);
		free(tag);
	}
	free(blob);
}

static void holds_what_git_says(struct pack_rig *r, const char *hex, enum git_type type)
{
	struct proc_result res;
	struct object_id id;

	assert_true(object_id_parse(&id, bytes_from(hex, 40)));
	pack_rig_git(r, &res, "cat-file", git_type_name(type), hex, NULL);
	pack_rig_holds(r, &id, type, buf_bytes(&res.out));
	proc_result_release(&res);
}

static void test_every_object_of_git_is_read_as_git_reads_it(void **state)
{
	static const char *const how[][2] = { { "pack.depth=50", "pack.window=50" },
					      { "repack.useDeltaBaseOffset=false", "pack.window=50" } };
	struct pack_rig *r = *state;

	make_trees(r);
	for (size_t i = 0; i < 2; i++) {
		size_t trees = 0;
		char *list;

		pack_rig_git(r, NULL, "-c", how[i][0], "-c", how[i][1], "repack", "-q", "-a", "-d", "-f",
			     NULL);
		pack_rig_look(r);
		assert_true(count_entries(r, i == 0 ? 6 : 7) >= VERSIONS - 2);
		list = pack_rig_git_text(r, bytes_of(""), "cat-file", "--batch-all-objects",
					 "--batch-check", NULL);
		for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
			bool tree = strncmp(line + 41, "tree ", 5) == 0;

			line[40] = '\0';
			holds_what_git_says(r, line, tree ? GIT_TREE : GIT_BLOB);
			trees += tree;
		}
		assert_int_equal(trees, VERSIONS);
		free(list);
	}
}

/* Each is read as it was, or not at all. */
static unsigned right_or_error(struct versions *v, struct pack_rig *r)
{
	struct pack_set *set = pack_set_open(r->packs, &r->err);
	unsigned good = 0;

	assert_non_null(set);
	for (size_t i = 0; i < VERSIONS; i++) {
		struct buf got = BUF_INIT(1 << 20);
		struct err err = { 0 };
		enum git_type type;
		struct pack_at at;
		uint64_t size;

		if (!pack_set_find(set, &v->id[i], &at))
			continue;
		if (pack_object_info(set, &at, &type, &size, &err) < 0)
			assert_int_equal(err.kind, ERR_FATAL);
		if (pack_object_read(set, &at, &type, &got, &err) == 0) {
			assert_true(bytes_equal(buf_bytes(&got), v->data[i]));
			good++;
		} else {
			assert_int_equal(err.kind, ERR_FATAL);
		}
		buf_release(&got);
	}
	pack_set_free(set);
	return good;
}

static void each_byte_changed(struct versions *v, struct pack_rig *r, const char *path,
			      const struct buf *was, size_t step)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_add(&b, buf_bytes(was));
	for (size_t at = 0; at < b.n; at += step) {
		static const uint8_t change[] = { 0x01, 0x10, 0x80, 0xff };
		uint8_t with = change[at % 4];

		b.p[at] ^= with;
		write_file(path, buf_bytes(&b));
		right_or_error(v, r);
		b.p[at] ^= with;
	}
	write_file(path, buf_bytes(was));
	assert_int_equal(right_or_error(v, r), VERSIONS);
	buf_release(&b);
}

static void test_any_changed_byte_is_an_error_never_other_bytes(void **state)
{
	static const char *const how[] = { "pack.depth=50", "pack.window=50" };
	const size_t step = TEST_SANITIZED ? 5 : 1;
	struct pack_rig *r = *state;
	struct versions v;

	make(&v, r, how);
	each_byte_changed(&v, r, v.pack, &v.pack_was, step);
	each_byte_changed(&v, r, v.idx, &v.idx_was, step);
	versions_release(&v);
}

/* It applies to that one as well, being as long: only the id of what comes out tells. */
static void test_a_delta_from_another_base_is_an_error(void **state)
{
	static const char *const how[] = { "repack.useDeltaBaseOffset=false", "pack.window=50" };
	struct pack_rig *r = *state;
	unsigned changed = 0;
	struct versions v;

	make(&v, r, how);
	for (size_t i = 0; i < VERSIONS; i++) {
		struct buf *b = &v.pack_was;
		uint8_t *at = memmem(b->p, b->n, v.id[i].b, OBJECT_ID_SIZE);

		if (!at)
			continue;
		memcpy(at, v.id[(i + 5) % VERSIONS].b, OBJECT_ID_SIZE);
		write_file(v.pack, buf_bytes(b));
		assert_true(right_or_error(&v, r) < VERSIONS);
		memcpy(at, v.id[i].b, OBJECT_ID_SIZE);
		changed++;
	}
	assert_true(changed > 0);
	versions_release(&v);
}

/* --- made to mislead --- */

static void add_deflated(struct buf *out, struct bytes data)
{
	struct deflater *d = deflater_new(NULL);
	bool whole = false;

	while (!whole) {
		uint8_t piece[4096];
		size_t n = deflater_run(d, &data, true, piece, sizeof(piece), &whole);

		buf_add(out, bytes_from(piece, n));
	}
	deflater_free(d);
}

/* An entry of type 6 or 7, with what stands between its head and its bytes. */
static void add_entry(struct pack_rig *r, unsigned type, struct bytes between, struct bytes delta,
		      const struct object_id *id)
{
	struct pack_record record = { .id = *id };
	struct buf raw = BUF_INIT(1 << 20);

	assert_true(delta.n < 16);
	buf_add_byte(&raw, (uint8_t)(type << 4 | delta.n));
	buf_add(&raw, between);
	add_deflated(&raw, delta);
	assert_int_equal(pack_writer_begin(r->w, &r->w->pack, &r->err), 0);
	record.where = out_file_size(&r->w->pack);
	record.crc = crc32_of(0, buf_bytes(&raw));
	assert_int_equal(out_file_put(&r->w->pack, buf_bytes(&raw), &r->err), 0);
	pack_table_add(&r->w->table, &record);
	buf_release(&raw);
}

static void is_an_error(struct pack_rig *r, const struct object_id *id, const char *text)
{
	struct buf got = BUF_INIT(1 << 20);
	struct pack_at at;
	enum git_type type;

	assert_true(pack_set_find(r->set, id, &at));
	assert_int_equal(pack_object_read(r->set, &at, &type, &got, &r->err), -1);
	if (!strstr(r->err.text, text) || !strstr(r->err.text, ".pack"))
		fail_msg("%s: %s", text, r->err.text);
	buf_release(&got);
}

static struct object_id some_id(uint8_t n)
{
	struct object_id id = { .b = { n, n, n } };

	return id;
}

static void test_deltas_that_lead_astray_are_errors(void **state)
{
	static const struct bytes delta = BYTES("\x01\x01\x01x");
	static const uint8_t far[] = { 0xff, 0xff, 0xff, 0x7f }, zero[] = { 0 };
	static const uint8_t endless[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct pack_rig *r = *state;
	struct object_id a = some_id(1), b = some_id(2), c = some_id(3), d = some_id(4);
	struct object_id e = some_id(5), f = some_id(6), nowhere = some_id(9);

	pack_rig_writer(r);
	add_entry(r, 7, bytes_from(b.b, 20), delta, &a); /* from each other */
	add_entry(r, 7, bytes_from(a.b, 20), delta, &b);
	add_entry(r, 6, bytes_from(far, 4), delta, &c);
	add_entry(r, 6, bytes_from(zero, 1), delta, &d);
	add_entry(r, 7, bytes_from(nowhere.b, 20), delta, &e);
	add_entry(r, 6, bytes_from(endless, 10), delta, &f);
	pack_rig_publish(r);
	pack_rig_look(r);
	is_an_error(r, &a, "without end");
	is_an_error(r, &c, "outside the file");
	is_an_error(r, &d, "outside the file");
	is_an_error(r, &e, "which is nowhere");
	is_an_error(r, &f, "outside the file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deltas_make_what_they_say),
		cmocka_unit_test(test_deltas_that_lie_are_errors),
		cmocka_unit_test_setup_teardown(test_deltas_of_git_are_read, open_rig, close_rig),
		cmocka_unit_test_setup_teardown(test_deltas_by_id_are_read, open_rig, close_rig),
		cmocka_unit_test_setup_teardown(test_every_object_of_git_is_read_as_git_reads_it,
						open_rig, close_rig),
		cmocka_unit_test_setup_teardown(test_any_changed_byte_is_an_error_never_other_bytes,
						open_rig, close_rig),
		cmocka_unit_test_setup_teardown(test_a_delta_from_another_base_is_an_error, open_rig,
						close_rig),
		cmocka_unit_test_setup_teardown(test_deltas_that_lead_astray_are_errors, open_rig,
						close_rig),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
