/* The pack writer, judged by git and by our own reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/git/pack_private.h"
#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/pack_rig.h"
#include "tests/lib/support.h"

static const size_t sizes[] = { 0,	 1,	    2,		   15,		16,	   2047,	2048,
				5000,	 65535,	    65536,	   65537,	(1 << 20) - 1, 1 << 20,
				(1 << 20) + 1, 3 << 20 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), ALL = SIZES * 3 };

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

/* --- what git and our reader see --- */

/* The object as git has it: type, size, and its bytes hash to the id, which git checks. */
static void git_holds(struct pack_rig *r, const struct object_id *id, const char *type, size_t size)
{
	char hex[OBJECT_HEX_SIZE], want[64];
	char *got = pack_rig_git_text(r, bytes_of(object_id_hex(id, hex)), "cat-file",
				      "--batch-check=%(objecttype) %(objectsize)", NULL);

	snprintf(want, sizeof(want), "%s %zu\n", type, size);
	assert_string_equal(got, want);
	free(got);
}

static void git_gives(struct pack_rig *r, const struct object_id *id, struct bytes want)
{
	char hex[OBJECT_HEX_SIZE];
	struct proc_result res;

	pack_rig_git(r, &res, "cat-file", "blob", object_id_hex(id, hex), NULL);
	assert_int_equal(res.out.n, want.n);
	assert_true(bytes_equal(buf_bytes(&res.out), want));
	proc_result_release(&res);
}

typedef struct object_id put_fn(struct pack_rig *r, struct bytes data);

static void every_size_survives(struct pack_rig *r, put_fn *put)
{
	static const enum sample_shape shapes[] = { SAMPLE_TEXT, SAMPLE_BASE64, SAMPLE_RANDOM };
	struct object_id ids[ALL];
	struct bytes data[ALL];
	size_t n = 0;

	for (size_t s = 0; s < 3; s++)
		for (size_t k = 0; k < SIZES; k++, n++) {
			data[n] = sample(shapes[s], sizes[k], n);
			ids[n] = put(r, data[n]);
		}
	assert_int_equal(pack_pending_count(r->w), ALL - 2); /* the empty one only once */
	pack_rig_publish(r);
	pack_rig_git_approves(r);
	pack_rig_look(r);
	for (size_t i = 0; i < ALL; i++) {
		pack_rig_holds(r, &ids[i], GIT_BLOB, data[i]);
		git_holds(r, &ids[i], "blob", data[i].n);
		if (data[i].n >= 3 << 20)
			git_gives(r, &ids[i], data[i]);
		sample_free(data[i]);
	}
}

static struct object_id put_whole(struct pack_rig *r, struct bytes data)
{
	struct object_id id = pack_rig_add(r, GIT_BLOB, data);
	struct object_id want;

	object_id_of(&want, GIT_BLOB, data);
	assert_true(object_id_equal(&id, &want));
	return id;
}

static struct object_id put_pieces(struct pack_rig *r, struct bytes data, uint64_t size, size_t step)
{
	struct pack_stream *s = pack_stream_begin(r->w, GIT_BLOB, size, &r->err);
	struct object_id id, want;

	assert_non_null(s);
	for (size_t at = 0; at < data.n; at += step) {
		size_t n = data.n - at < step ? data.n - at : step;

		assert_int_equal(pack_stream_write(s, bytes_from(data.p + at, n), &r->err), 0);
	}
	assert_int_equal(pack_stream_end(s, &id, NULL, &r->err), 0);
	object_id_of(&want, GIT_BLOB, data);
	assert_true(object_id_equal(&id, &want));
	return id;
}

static struct object_id put_stream(struct pack_rig *r, struct bytes data)
{
	return put_pieces(r, data, data.n, 5003);
}

static struct object_id put_unknown(struct pack_rig *r, struct bytes data)
{
	return put_pieces(r, data, PACK_SIZE_UNKNOWN, 65536);
}

static void test_objects_of_every_size_come_back(void **state)
{
	every_size_survives(*state, put_whole);
}

static void test_streams_of_every_size_come_back(void **state)
{
	every_size_survives(*state, put_stream);
}

static void test_streams_of_unknown_size_come_back(void **state)
{
	every_size_survives(*state, put_unknown);
}

/* Blob, tree and commit as git wants them: a clone has the file. */
static void test_git_clones_a_commit_that_was_written(void **state)
{
	struct pack_rig *r = *state;
	struct object_id blob = pack_rig_add(r, GIT_BLOB, bytes_of("hello\r\n")), tree, commit;
	struct buf text = BUF_INIT(4096);
	char hex[OBJECT_HEX_SIZE];
	char *log;

	buf_add(&text, bytes_from("100644 a.eml\0", 13));
	buf_add(&text, bytes_from(blob.b, OBJECT_ID_SIZE));
	tree = pack_rig_add(r, GIT_TREE, buf_bytes(&text));
	buf_clear(&text);
	buf_addf(&text, "tree %s\nauthor a <a@b> 0 +0000\ncommitter a <a@b> 0 +0000\n\nfirst\n",
		 object_id_hex(&tree, hex));
	commit = pack_rig_add(r, GIT_COMMIT, buf_bytes(&text));
	pack_rig_publish(r);
	pack_rig_git(r, NULL, "update-ref", "HEAD", object_id_hex(&commit, hex), NULL);
	pack_rig_git(r, NULL, "clone", "-q", ".", "clone", NULL);
	log = pack_rig_git_text(r, bytes_from(NULL, 0), "-C", "clone", "show", "HEAD:a.eml", NULL);
	assert_string_equal(log, "hello\r\n");
	pack_rig_git_approves(r);
	free(log);
	buf_release(&text);
}

static void test_nothing_added_makes_no_file(void **state)
{
	struct pack_rig *r = *state;
	struct pack_stream *s = pack_stream_begin(r->w, GIT_BLOB, 5, &r->err);
	char *files;

	pack_stream_abort(s);
	assert_string_equal(pack_rig_publish(r), "");
	files = dir_text(r->packs);
	assert_string_equal(files, "");
	free(files);
}

static void test_a_writer_makes_one_pack_after_the_other(void **state)
{
	struct pack_rig *r = *state;
	struct object_id a = pack_rig_add(r, GIT_BLOB, bytes_of("a")), b;
	char *first = xstrdup(pack_rig_publish(r));

	assert_int_equal(pack_pending_count(r->w), 0);
	assert_false(pack_pending_has(r->w, &a));
	b = pack_rig_add(r, GIT_BLOB, bytes_of("b"));
	assert_string_not_equal(pack_rig_publish(r), first);
	pack_rig_look(r);
	assert_int_equal(pack_set_count(r->set), 2);
	pack_rig_holds(r, &a, GIT_BLOB, bytes_of("a"));
	pack_rig_holds(r, &b, GIT_BLOB, bytes_of("b"));
	pack_rig_git_approves(r);
	free(first);
}

static void test_a_pack_is_kept_from_gc_by_its_keep_file(void **state)
{
	struct pack_rig *r = *state;
	struct object_id id = pack_rig_add(r, GIT_BLOB, bytes_of("not referenced by anything"));
	char *name = xstrdup(pack_rig_publish(r)), *want, *files;

	pack_rig_git(r, NULL, "gc", "-q", "--prune=now", NULL);
	pack_rig_git(r, NULL, "repack", "-q", "-a", "-d", NULL);
	files = dir_text(r->packs);
	want = xasprintf("%s.idx %s.keep %s.pack", name, name, name);
	assert_string_equal(files, want);
	git_holds(r, &id, "blob", 26);
	pack_rig_look(r);
	assert_true(pack_is_ours(pack_set_pack(r->set, 0)));
	free(files);
	free(want);
	free(name);
}

/* Above 2^31 offsets need 64 bits; a pack of that size is not needed to see that they are right. */
static void test_large_offsets_are_read_by_git_and_by_us(void **state)
{
	struct pack_rig *r = *state;
	struct object_id ids[50];
	char text[50][16], *idx;
	struct out_file f;
	struct pack *p;
	struct object_id checksum;

	for (size_t i = 0; i < 50; i++) {
		snprintf(text[i], sizeof(text[i]), "object %zu", i);
		ids[i] = pack_rig_add(r, GIT_BLOB, bytes_of(text[i]));
	}
	{
		struct pack_record v[50];

		memcpy(v, r->w->table.v, sizeof(v));
		idx = xasprintf("%s/%s.idx", r->packs, pack_rig_publish(r));
		pack_rig_look(r);
		p = pack_set_pack(r->set, 0);
		assert_int_equal(pack_check_file(r->set, p, &r->err), 0);
		{
			struct buf all = BUF_INIT(1 << 20);

			read_file(idx, &all);
			memcpy(checksum.b, all.p + all.n - 40, 20);
			buf_release(&all);
		}
		assert_int_equal(out_file_create(&f, r->packs, "idx", false, &r->err), 0);
		assert_int_equal(pack_index_write(&f, v, 50, 300, &checksum, &r->err), 0);
	}
	assert_int_equal(out_file_flush(&f, &r->err), 0);
	assert_int_equal(out_file_rename(&f, idx, &r->err), 0);
	out_file_discard(&f);
	pack_rig_git_approves(r);
	pack_rig_look(r);
	for (size_t i = 0; i < 50; i++)
		pack_rig_holds(r, &ids[i], GIT_BLOB, bytes_of(text[i]));
	free(idx);
}

/* --- what is there already --- */

static void add_again(struct pack_rig *r, struct bytes data, bool as_new)
{
	uint64_t before = pack_pending_bytes(r->w);
	struct object_id id;
	bool added = !as_new;

	assert_int_equal(pack_add(r->w, GIT_BLOB, data, &id, &added, &r->err), 0);
	assert_int_equal(added, as_new);
	if (!as_new)
		assert_int_equal(pack_pending_bytes(r->w), before);
}

static void stream_again(struct pack_rig *r, struct bytes data, uint64_t size)
{
	uint64_t before = pack_pending_bytes(r->w);
	struct pack_stream *s = pack_stream_begin(r->w, GIT_BLOB, size, &r->err);
	struct object_id id;
	bool added = true;

	assert_int_equal(pack_stream_write(s, data, &r->err), 0);
	assert_int_equal(pack_stream_end(s, &id, &added, &r->err), 0);
	assert_false(added);
	if (before)
		assert_int_equal(pack_pending_bytes(r->w), before);
}

static void test_what_is_pending_or_published_is_not_added_again(void **state)
{
	struct pack_rig *r = *state;
	struct bytes small = sample(SAMPLE_TEXT, 3000, 1), large = sample(SAMPLE_TEXT, 3 << 20, 2);
	struct bytes zeros = sample(SAMPLE_ZEROS, 1200000, 3), other = sample(SAMPLE_ZEROS, 1200000, 3);

	((uint8_t *)(uintptr_t)other.p)[0] = 'x';
	add_again(r, small, true);
	add_again(r, large, true);
	add_again(r, zeros, true);
	add_again(r, other, true);
	for (int round = 0; round < 2; round++) {
		add_again(r, small, false);
		add_again(r, large, false);
		stream_again(r, small, small.n);
		stream_again(r, small, PACK_SIZE_UNKNOWN);
		stream_again(r, large, large.n);
		stream_again(r, large, PACK_SIZE_UNKNOWN);
		stream_again(r, zeros, zeros.n);
		stream_again(r, other, other.n); /* where that one was and was taken back */
		assert_int_equal(pack_pending_count(r->w), round == 0 ? 4 : 0);
		pack_rig_publish(r);
		pack_rig_look(r);
		pack_rig_writer(r);
	}
	assert_int_equal(pack_set_count(r->set), 1);
	pack_rig_git_approves(r);
	sample_free(small);
	sample_free(large);
	sample_free(zeros);
	sample_free(other);
}

static void test_same_bytes_of_another_type_are_another_object(void **state)
{
	struct pack_rig *r = *state;
	struct object_id blob = pack_rig_add(r, GIT_BLOB, bytes_from(NULL, 0));
	struct object_id tree = pack_rig_add(r, GIT_TREE, bytes_from(NULL, 0));

	assert_false(object_id_equal(&blob, &tree));
	assert_int_equal(pack_pending_count(r->w), 2);
	pack_rig_publish(r);
	pack_rig_look(r);
	pack_rig_holds(r, &blob, GIT_BLOB, bytes_from(NULL, 0));
	pack_rig_holds(r, &tree, GIT_TREE, bytes_from(NULL, 0));
}

/* Put `stored` under the id of `other`: what a SHA-1 collision looks like from outside. */
static struct object_id forge(struct pack_rig *r, struct bytes stored, struct bytes other)
{
	struct pack_record record;

	pack_rig_add(r, GIT_BLOB, stored);
	assert_int_equal(r->w->table.n, 1);
	record = r->w->table.v[0];
	object_id_of(&record.id, GIT_BLOB, other);
	pack_table_clear(&r->w->table);
	pack_table_add(&r->w->table, &record);
	return record.id;
}

static void collides(struct pack_rig *r, struct bytes data, uint64_t size, const struct object_id *want)
{
	struct object_id id = { { 0 } };
	char hex[OBJECT_HEX_SIZE];
	uint64_t before;

	if (size == 0) {
		assert_int_equal(pack_add(r->w, GIT_BLOB, data, &id, NULL, &r->err), -1);
	} else {
		struct pack_stream *s;

		pack_rig_add(r, GIT_BLOB, bytes_of("so that there is a file"));
		before = pack_pending_bytes(r->w);
		s = pack_stream_begin(r->w, GIT_BLOB, size, &r->err);
		assert_int_equal(pack_stream_write(s, data, &r->err), 0);
		assert_int_equal(pack_stream_end(s, &id, NULL, &r->err), -1);
		assert_int_equal(pack_pending_bytes(r->w), before);
	}
	assert_int_equal(r->err.kind, ERR_MESSAGE);
	assert_true(object_id_equal(&id, want));
	assert_non_null(strstr(r->err.text, object_id_hex(want, hex)));
}

/* `stored` differs in the first byte, a middle one, the last one; and with that byte as its end. */
static void each_difference(size_t size, void (*run)(struct pack_rig *r, struct bytes stored,
						     struct bytes other))
{
	struct bytes other = sample(SAMPLE_TEXT, size, 1);
	const size_t places[] = { 0, size / 2, size - 1 };

	for (size_t i = 0; i < 6; i++) {
		struct bytes stored = sample(SAMPLE_TEXT, size, 1);
		struct pack_rig r;

		pack_rig_open(&r);
		((uint8_t *)(uintptr_t)stored.p)[places[i / 2]] ^= 1;
		run(&r, bytes_from(stored.p, i % 2 ? places[i / 2] + 1 : size), other);
		pack_rig_close(&r);
		sample_free(stored);
	}
	sample_free(other);
}

static void all_ways_collide(struct pack_rig *r, struct bytes other, const struct object_id *id)
{
	struct object_id last;

	collides(r, other, 0, id);
	collides(r, other, other.n, id);
	collides(r, other, PACK_SIZE_UNKNOWN, id);
	/* The writer goes on. */
	last = pack_rig_add(r, GIT_BLOB, bytes_of("next"));
	pack_rig_publish(r);
	pack_rig_look(r);
	pack_rig_holds(r, &last, GIT_BLOB, bytes_of("next"));
}

static void pending_collides(struct pack_rig *r, struct bytes stored, struct bytes other)
{
	struct object_id id = forge(r, stored, other);

	all_ways_collide(r, other, &id);
}

static void test_other_bytes_under_a_pending_id_are_found_out(void **state)
{
	(void)state;
	each_difference(3000, pending_collides);
	each_difference((1 << 20) + 5000, pending_collides);
}

/* A repository that has one object, whole and sound as far as it can tell. */
struct collision {
	struct object_id id;
	struct bytes stored;
};

static int collision_has(void *ctx, const struct object_id *id, struct err *err)
{
	struct collision *c = ctx;

	(void)err;
	return object_id_equal(id, &c->id);
}

static int collision_read(void *ctx, const struct object_id *id, enum git_type *type, uint64_t *size,
			  object_sink *sink, void *sink_ctx, struct err *err)
{
	struct collision *c = ctx;

	assert_true(object_id_equal(id, &c->id));
	*type = GIT_BLOB;
	*size = c->stored.n;
	for (size_t at = 0; at < c->stored.n; at += 7001)
		if (sink(sink_ctx, bytes_from(c->stored.p + at,
					      c->stored.n - at < 7001 ? c->stored.n - at : 7001),
			 err) < 0)
			return -1;
	return 0;
}

static void stored_collides(struct pack_rig *r, struct bytes stored, struct bytes other)
{
	struct collision c = { .stored = stored };
	const struct object_source source = { .ctx = &c, .has = collision_has,
					      .read = collision_read };

	object_id_of(&c.id, GIT_BLOB, other);
	pack_writer_free(r->w);
	r->w = pack_writer_new(r->packs, &source);
	all_ways_collide(r, other, &c.id);
}

static void test_other_bytes_under_a_stored_id_are_found_out(void **state)
{
	(void)state;
	each_difference(3000, stored_collides);
	each_difference((1 << 20) + 5000, stored_collides);
}

/* A pack whose index lies about its content: what does not hash to its id is no copy of it. */
static void forged_pack_is_not_believed(struct pack_rig *r, struct bytes stored, struct bytes other)
{
	struct object_id id = forge(r, stored, other);

	pack_rig_age(r, pack_rig_publish(r));
	pack_rig_look(r);
	pack_rig_writer(r);
	add_again(r, other, true);
	stream_again(r, other, other.n);
	pack_rig_publish(r);
	pack_rig_look(r);
	pack_rig_holds(r, &id, GIT_BLOB, other);
}

static void test_a_forged_pack_is_not_believed(void **state)
{
	(void)state;
	each_difference(3000, forged_pack_is_not_believed);
	each_difference((1 << 20) + 5000, forged_pack_is_not_believed);
}

/* A copy that no longer hashes to its id is no copy: healing by storing again. */
static void test_a_damaged_stored_object_is_stored_again(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_TEXT, 5000, 1);
	struct object_id id = pack_rig_add(r, GIT_BLOB, data);
	const char *name = pack_rig_publish(r);
	char *path = xasprintf("%s/%s.pack", r->packs, name);
	FILE *f = fopen(path, "r+b");

	pack_rig_age(r, name);
	fseek(f, 1000, SEEK_SET);
	fputc(0x55, f);
	fclose(f);
	pack_rig_look(r);
	pack_rig_writer(r);
	add_again(r, data, true);
	pack_rig_publish(r);
	pack_rig_look(r);
	pack_rig_holds(r, &id, GIT_BLOB, data);
	free(path);
	sample_free(data);
}

static int no_answer(void *ctx, const struct object_id *id, struct err *err)
{
	(void)id;
	return err_set(err, *(enum err_kind *)ctx, "no answer");
}

static void test_errors_of_the_source_spoil_only_the_call(void **state)
{
	struct pack_rig *r = *state;
	enum err_kind kind = ERR_STOPPED;
	const struct object_source source = { .ctx = &kind, .has = no_answer };
	struct bytes large = sample(SAMPLE_TEXT, 2 << 20, 1);
	struct pack_stream *s;
	struct object_id id;

	pack_writer_free(r->w);
	r->w = pack_writer_new(r->packs, &source);
	assert_int_equal(pack_add(r->w, GIT_BLOB, bytes_of("x"), &id, NULL, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_STOPPED);
	s = pack_stream_begin(r->w, GIT_BLOB, large.n, &r->err);
	assert_int_equal(pack_stream_write(s, large, &r->err), 0);
	assert_int_equal(pack_stream_end(s, &id, NULL, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_STOPPED);
	assert_int_equal(pack_pending_bytes(r->w), PACK_HEAD_SIZE);
	assert_int_equal(pack_pending_count(r->w), 0);
	assert_string_equal(pack_rig_publish(r), "");
	sample_free(large);
}

/* --- streams side by side, broken off, of a wrong size --- */

enum { STREAMS = 7 };

/* `publishing`: again and again with all of that open. */
static void mix(struct pack_rig *r, bool publishing)
{
	static const size_t size[STREAMS] = { 3 << 20, 100,	1500000, 0, (1 << 20) + 1,
					      3 << 20, 2000000 };
	static const bool known[STREAMS] = { true, true, true, false, false, true, false };
	struct pack_stream *s[STREAMS];
	struct object_id id[STREAMS], small[200], large;
	struct bytes data[STREAMS], big = sample(SAMPLE_BASE64, 1100000, 99);
	char text[32];
	size_t n = 0;

	for (size_t i = 0; i < STREAMS; i++) {
		data[i] = sample(SAMPLE_MIXED, size[i], i == 5 ? 0 : i); /* the sixth as the first */
		s[i] = pack_stream_begin(r->w, GIT_BLOB, known[i] ? size[i] : PACK_SIZE_UNKNOWN,
					 &r->err);
	}
	for (size_t at = 0; at < 3 << 20; at += 60000) {
		for (size_t i = 0; i < STREAMS; i++) {
			size_t left = at < data[i].n ? data[i].n - at : 0;

			if (left > 60000)
				left = 60000;
			assert_int_equal(pack_stream_write(s[i], bytes_from(data[i].p + at, left),
							   &r->err), 0);
		}
		for (size_t k = 0; k < 3; k++, n++) {
			snprintf(text, sizeof(text), "small %zu", n);
			small[n] = pack_rig_add(r, GIT_BLOB, bytes_of(text));
			assert_true(pack_pending_has(r->w, &small[n]));
		}
		add_again(r, bytes_of(text), false); /* found while it waits aside */
		if (!publishing || at % (5 * 60000) != 0)
			continue;
		pack_rig_publish(r);
		pack_rig_git_approves(r);
		pack_rig_look(r);
		pack_rig_holds(r, &small[n - 1], GIT_BLOB, bytes_of(text));
	}
	large = pack_rig_add(r, GIT_BLOB, big);
	/* The one that is in the pack ends in the middle; the last one takes its place and is dropped. */
	for (size_t k = 0; k < STREAMS; k++) {
		size_t i = (k + 3) % STREAMS;

		assert_int_equal(pack_stream_end(s[i], &id[i], NULL, &r->err), 0);
	}
	assert_true(object_id_equal(&id[0], &id[5]));
	if (!publishing)
		assert_int_equal(pack_pending_count(r->w), n + STREAMS);
	pack_rig_publish(r);
	pack_rig_git_approves(r);
	pack_rig_look(r);
	for (size_t i = 0; i < STREAMS; i++) {
		pack_rig_holds(r, &id[i], GIT_BLOB, data[i]);
		sample_free(data[i]);
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "small %zu", i);
		pack_rig_holds(r, &small[i], GIT_BLOB, bytes_of(text));
	}
	pack_rig_holds(r, &large, GIT_BLOB, big);
	sample_free(big);
}

static void test_streams_and_objects_mix_in_any_order(void **state)
{
	mix(*state, false);
}

static void test_publishing_leaves_open_streams_open(void **state)
{
	mix(*state, true);
}

/* `git gc --prune=now` removes what it takes for litter, while it is being written. */
static void test_gc_does_not_find_a_pack_that_is_being_written(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_RANDOM, 3 << 20, 1);
	struct object_id id = pack_rig_add(r, GIT_BLOB, data);

	pack_rig_git(r, NULL, "gc", "-q", "--prune=now", NULL);
	pack_rig_publish(r);
	pack_rig_look(r);
	pack_rig_holds(r, &id, GIT_BLOB, data);
	sample_free(data);
}

/* Announced, written: what it takes to fail. The file is as if it had not been. */
static void wrong_size(struct pack_rig *r, uint64_t announced, struct bytes data)
{
	uint64_t before = pack_pending_bytes(r->w);
	struct pack_stream *s = pack_stream_begin(r->w, GIT_BLOB, announced, &r->err);
	struct object_id id;
	int ret = 0;

	assert_non_null(s);
	for (size_t at = 0; at < data.n && ret == 0; at += 50000)
		ret = pack_stream_write(s, bytes_from(data.p + at, data.n - at < 50000 ? data.n - at : 50000),
					&r->err);
	assert_int_equal(ret, announced < data.n ? -1 : 0);
	assert_int_equal(pack_stream_end(s, &id, NULL, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_MESSAGE);
	assert_int_equal(pack_pending_bytes(r->w), before);
	assert_int_equal(pack_pending_count(r->w), 1);
}

static void test_a_wrong_size_is_taken_back(void **state)
{
	static const uint64_t at[] = { 0, 1, 100, 1 << 20, (1 << 20) + 1, 2 << 20 };
	struct pack_rig *r = *state;
	struct object_id first = pack_rig_add(r, GIT_BLOB, bytes_of("first")), next;
	struct bytes data = sample(SAMPLE_TEXT, 3 << 20, 1);
	struct pack_stream *direct;

	for (int round = 0; round < 2; round++) {
		direct = round ? pack_stream_begin(r->w, GIT_BLOB, data.n, &r->err) : NULL;
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			wrong_size(r, at[i], bytes_from(data.p, (size_t)at[i] + 1));
			if (at[i] > 0)
				wrong_size(r, at[i], bytes_from(data.p, (size_t)at[i] - 1));
		}
		pack_stream_abort(direct);
	}
	next = pack_rig_add(r, GIT_BLOB, bytes_of("next"));
	pack_rig_publish(r);
	pack_rig_git_approves(r);
	pack_rig_look(r);
	assert_int_equal(pack_count(pack_set_pack(r->set, 0)), 2);
	pack_rig_holds(r, &first, GIT_BLOB, bytes_of("first"));
	pack_rig_holds(r, &next, GIT_BLOB, bytes_of("next"));
	sample_free(data);
}

static void test_an_aborted_stream_leaves_no_trace(void **state)
{
	static const uint64_t size[] = { 100, 3 << 20, PACK_SIZE_UNKNOWN };
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_RANDOM, 2 << 20, 1);
	struct object_id a = pack_rig_add(r, GIT_BLOB, bytes_of("a")), b;

	for (size_t i = 0; i < 3; i++) {
		struct pack_stream *s = pack_stream_begin(r->w, GIT_BLOB, size[i], &r->err);
		char text[16];

		snprintf(text, sizeof(text), "aside %zu", i);
		assert_int_equal(pack_stream_write(s, bytes_from(data.p, size[i] == 100 ? 99 : data.n),
						   &r->err), 0);
		b = pack_rig_add(r, GIT_BLOB, bytes_of(text));
		pack_stream_abort(s);
		assert_in_range(pack_pending_bytes(r->w), 12, 200);
	}
	pack_rig_publish(r);
	pack_rig_git_approves(r);
	pack_rig_look(r);
	assert_int_equal(pack_count(pack_set_pack(r->set, 0)), 4);
	pack_rig_holds(r, &a, GIT_BLOB, bytes_of("a"));
	pack_rig_holds(r, &b, GIT_BLOB, bytes_of("aside 2"));
	sample_free(data);
}

static int into_buf(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	buf_add(ctx, piece);
	return 0;
}

static void read_pending(struct pack_rig *r, const struct object_id *id, const char *want)
{
	struct buf got = BUF_INIT(1 << 20);
	enum git_type type;
	uint64_t size;

	assert_int_equal(pack_pending_read(r->w, id, &type, &size, into_buf, &got, &r->err), 0);
	assert_true(bytes_is(buf_bytes(&got), want));
	buf_release(&got);
}

/* What was read of the file together with an object is not taken for what is there later. */
static void test_what_takes_the_place_of_an_aborted_stream_is_read_as_it_is(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_RANDOM, 200000, 1);
	struct object_id before = pack_rig_add(r, GIT_BLOB, bytes_of("before")), after;
	struct pack_stream *s = pack_stream_begin(r->w, GIT_BLOB, 3 << 20, &r->err);

	assert_int_equal(pack_stream_write(s, data, &r->err), 0);
	read_pending(r, &before, "before");
	pack_stream_abort(s);
	after = pack_rig_add(r, GIT_BLOB, bytes_of("after"));
	read_pending(r, &after, "after");
	sample_free(data);
}

static void test_what_is_pending_can_be_read(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_TEXT, 200000, 1), large = sample(SAMPLE_TEXT, 3 << 20, 1);
	struct pack_stream *s;
	struct buf got = BUF_INIT(1 << 20);
	struct object_id id[2], none;
	enum git_type type;
	uint64_t size;

	id[0] = pack_rig_add(r, GIT_TREE, data);
	s = pack_stream_begin(r->w, GIT_BLOB, large.n, &r->err);
	assert_int_equal(pack_stream_write(s, bytes_from(large.p, 70000), &r->err), 0);
	id[1] = pack_rig_add(r, GIT_BLOB, data); /* aside */
	for (int i = 0; i < 2; i++) {
		buf_clear(&got);
		assert_int_equal(pack_pending_read(r->w, &id[i], &type, &size, into_buf, &got, &r->err), 0);
		assert_int_equal(type, i ? GIT_BLOB : GIT_TREE);
		assert_int_equal(size, data.n);
		assert_true(bytes_equal(buf_bytes(&got), data));
	}
	pack_stream_abort(s);
	object_id_of(&none, GIT_BLOB, bytes_of("none"));
	assert_int_equal(pack_pending_read(r->w, &none, &type, &size, into_buf, &got, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_FATAL);
	pack_rig_publish(r); /* and that was not held against the writer */
	buf_release(&got);
	sample_free(data);
	sample_free(large);
}

/* --- trouble --- */

static rlim_t file_limit(rlim_t bytes)
{
	struct rlimit rl;
	rlim_t was;

	getrlimit(RLIMIT_FSIZE, &rl);
	was = rl.rlim_cur;
	rl.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &rl);
	return was;
}

/* With no more than `limit` bytes to a file, everything fails at some point, clearly, and leaves nothing. */
static void no_space_at(struct pack_rig *r, rlim_t limit, struct bytes data)
{
	char name[PACK_NAME_SIZE], first[sizeof(r->err.text)];
	struct object_id id;
	char *files;
	rlim_t was = file_limit(limit);
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < 4; i++)
		ret = pack_add(r->w, GIT_BLOB, bytes_from(data.p + i, data.n - i), &id, NULL, &r->err);
	if (ret == 0)
		ret = pack_publish(r->w, name, &r->err);
	assert_int_equal(ret, -1);
	assert_int_equal(r->err.kind, ERR_FATAL);
	assert_non_null(strstr(r->err.text, "File too large"));
	assert_non_null(strstr(r->err.text, r->packs));
	strcpy(first, r->err.text);
	file_limit(was);
	assert_int_equal(pack_add(r->w, GIT_BLOB, bytes_of("x"), &id, NULL, &r->err), -1);
	assert_string_equal(r->err.text, first);
	assert_null(pack_stream_begin(r->w, GIT_BLOB, 1, &r->err));
	assert_int_equal(pack_publish(r->w, name, &r->err), -1);
	assert_string_equal(r->err.text, first);
	pack_rig_writer(r);
	files = dir_text(r->packs);
	assert_string_equal(files, "");
	free(files);
}

static void test_no_space_is_an_error_that_leaves_nothing(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_RANDOM, 100000, 1);
	void (*was)(int) = signal(SIGXFSZ, SIG_IGN);

	no_space_at(r, 70000, data);
	no_space_at(r, 399000, data);
	no_space_at(r, 1000, bytes_from(data.p, 20)); /* the index is larger than that */
	no_space_at(r, 4, bytes_from(data.p, 20));
	signal(SIGXFSZ, was);
	sample_free(data);
}

static void test_a_stream_that_finds_no_space_fails_and_can_be_ended(void **state)
{
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_RANDOM, 3 << 20, 1);
	void (*was_signal)(int) = signal(SIGXFSZ, SIG_IGN);
	rlim_t was = file_limit(1 << 20);
	struct pack_stream *s[2] = { pack_stream_begin(r->w, GIT_BLOB, data.n, &r->err), NULL };
	struct object_id id;
	char *files;

	s[1] = pack_stream_begin(r->w, GIT_BLOB, PACK_SIZE_UNKNOWN, &r->err);
	assert_int_equal(pack_stream_write(s[0], data, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_FATAL);
	assert_int_equal(pack_stream_write(s[1], bytes_of("x"), &r->err), -1);
	assert_int_equal(pack_stream_end(s[0], &id, NULL, &r->err), -1);
	assert_int_equal(r->err.kind, ERR_FATAL);
	pack_stream_abort(s[1]);
	pack_rig_writer(r);
	file_limit(was);
	signal(SIGXFSZ, was_signal);
	files = dir_text(r->packs);
	assert_string_equal(files, "");
	free(files);
	sample_free(data);
}

static void test_a_name_that_cannot_be_taken_leaves_no_part_of_a_pack(void **state)
{
	static const char *const endings[] = { ".keep", ".pack", ".idx" };
	struct pack_rig *r = *state;
	char name[PACK_NAME_SIZE];
	struct pack_rig other;

	pack_rig_open(&other);
	pack_rig_add(&other, GIT_BLOB, bytes_of("x"));
	snprintf(name, sizeof(name), "%s", pack_rig_publish(&other));
	pack_rig_close(&other);
	for (size_t i = 0; i < 3; i++) {
		char *path = xasprintf("%s/%s%s", r->packs, name, endings[i]), *files, *want;
		char *inside = xasprintf("%s/x", path);
		char got[PACK_NAME_SIZE];

		/* A directory of that name. With .idx in use nothing of that name may be removed. */
		assert_int_equal(mkdir(path, 0755), 0);
		write_file(inside, bytes_of("x"));
		pack_rig_add(r, GIT_BLOB, bytes_of("x"));
		assert_int_equal(pack_publish(r->w, got, &r->err), -1);
		assert_string_equal(got, "");
		assert_int_equal(r->err.kind, ERR_FATAL);
		assert_non_null(strstr(r->err.text, path));
		pack_rig_writer(r);
		remove_tree(path);
		files = dir_text(r->packs);
		want = i < 2 ? xstrdup("") : xasprintf("%s.keep %s.pack", name, name);
		assert_string_equal(files, want);
		free(files);
		free(want);
		free(path);
		free(inside);
	}
	/* What is left without an index is cleaned away. */
	assert_int_equal(pack_clean(r->packs, &r->err), 0);
	{
		char *files = dir_text(r->packs);

		assert_string_equal(files, "");
		free(files);
	}
}

/* What this program does when it is called for that: two objects into a pack below `dir`. */
static int publish_into(const char *dir)
{
	struct pack_writer *w = pack_writer_new(dir, NULL);
	char name[PACK_NAME_SIZE];
	struct object_id id;
	struct err err;
	int ret = 0;

	if (pack_add(w, GIT_BLOB, bytes_of("x"), &id, NULL, &err) < 0 ||
	    pack_add(w, GIT_BLOB, bytes_of("y"), &id, NULL, &err) < 0 ||
	    pack_publish(w, name, &err) < 0)
		ret = 1;
	pack_writer_free(w);
	return ret;
}

static int publish_with_crash(const char *dir, int n)
{
	char *crash = xasprintf("CRASH_AT=%d", n);
	const char *const env[] = { crash, NULL };
	const struct proc_opts opts = { .env = env };
	struct proc_result res;
	int status;

	proc_runl(&res, &opts, "/proc/self/exe", "publish", dir, NULL);
	status = res.status;
	proc_result_release(&res);
	free(crash);
	return status;
}

/* Stopped before every durable step: all of the pack is seen, or nothing; then all is cleaned up. */
static void test_a_crash_leaves_all_or_nothing(void **state)
{
	int status = CRASH_STATUS, n = 0, seen = 0;

	(void)state;
	for (; status == CRASH_STATUS; n++) {
		struct pack_rig r;
		char *files;

		pack_rig_open(&r);
		status = publish_with_crash(r.packs, n + 1);
		assert_true(status == 0 || status == CRASH_STATUS);
		pack_rig_git_approves(&r);
		assert_int_equal(pack_clean(r.packs, &r.err), 0);
		pack_rig_look(&r);
		files = dir_text(r.packs);
		if (pack_set_count(r.set) == 0)
			assert_string_equal(files, "");
		else
			assert_int_equal(pack_check_file(r.set, pack_set_pack(r.set, 0), &r.err), 0);
		seen += pack_set_count(r.set) != 0;
		pack_rig_writer(&r);
		pack_rig_add(&r, GIT_BLOB, bytes_of("x"));
		pack_rig_publish(&r);
		pack_rig_git_approves(&r);
		free(files);
		pack_rig_close(&r);
	}
	assert_int_equal(n, 9);	   /* eight steps */
	assert_int_equal(seen, 2); /* the last sync of the directory, and the end */
}

static void test_cleaning_leaves_the_files_of_others_alone(void **state)
{
	static const char *const others[] = { "tmp_pack_abcdef", "pack-x.keep", "pack-y.pack", "notes",
					      ".keep" };
	struct pack_rig *r = *state;
	char *files, *path;

	for (size_t i = 0; i < 5; i++) {
		path = path_join(r->packs, others[i]);
		write_file(path, bytes_of("other\n"));
		free(path);
	}
	path = path_join(r->packs, "tmp_mailcask_pack_0123456789abcdef");
	write_file(path, bytes_of("ours"));
	free(path);
	assert_int_equal(pack_clean(r->packs, &r->err), 0);
	files = dir_text(r->packs);
	assert_string_equal(files, ".keep notes pack-x.keep pack-y.pack tmp_pack_abcdef");
	free(files);
}

/* Two packs of ours; the path of the first one's file. */
static char *two_packs(struct pack_rig *r, const char *ending, struct object_id *first)
{
	char *path;

	*first = pack_rig_add(r, GIT_BLOB, bytes_of("first"));
	path = xasprintf("%s/%s%s", r->packs, pack_rig_publish(r), ending);
	pack_rig_add(r, GIT_BLOB, bytes_of("second"));
	pack_rig_publish(r);
	return path;
}

static void test_a_pack_that_lost_its_index_is_not_cleaned_away(void **state)
{
	struct pack_rig *r = *state;
	struct object_id first;
	char *idx = two_packs(r, ".idx", &first), *before, *after;
	char *pack = xasprintf("%.*s.pack", (int)(strlen(idx) - strlen(".idx")), idx);

	assert_int_equal(unlink(idx), 0);
	before = dir_text(r->packs);
	assert_int_equal(pack_clean(r->packs, &r->err), 0);
	after = dir_text(r->packs);
	assert_string_equal(after, before);
	/* As the warning advises. */
	pack_rig_git(r, NULL, "index-pack", pack, NULL);
	pack_rig_look(r);
	pack_rig_holds(r, &first, GIT_BLOB, bytes_of("first"));
	free(before);
	free(after);
	free(pack);
	free(idx);
}

static void test_an_index_that_lost_its_pack_is_not_cleaned_away(void **state)
{
	struct pack_rig *r = *state;
	struct object_id first;
	char *pack = two_packs(r, ".pack", &first), *elsewhere = xasprintf("%s/elsewhere", r->packs);

	assert_int_equal(rename(pack, elsewhere), 0);
	assert_int_equal(pack_clean(r->packs, &r->err), 0);
	assert_int_equal(rename(elsewhere, pack), 0); /* put back from a copy */
	pack_rig_look(r);
	pack_rig_holds(r, &first, GIT_BLOB, bytes_of("first"));
	free(elsewhere);
	free(pack);
}

static int remove_with_crash(const char *dir, const char *name, int n)
{
	char *crash = xasprintf("CRASH_AT=%d", n);
	const char *const env[] = { crash, NULL };
	const struct proc_opts opts = { .env = env };
	struct proc_result res;
	int status;

	proc_runl(&res, &opts, "/proc/self/exe", "remove", dir, name, NULL);
	status = res.status;
	proc_result_release(&res);
	free(crash);
	return status;
}

/* Also where a later pack is there: the rest of an older one goes because its .keep says so. */
static void test_a_removal_that_was_stopped_is_gone_on_with(void **state)
{
	int status = CRASH_STATUS, n = 0;

	(void)state;
	for (; status == CRASH_STATUS; n++) {
		struct pack_rig r;
		struct object_id first;
		char *pack, *name, *idx, *files;

		pack_rig_open(&r);
		pack = two_packs(&r, "", &first);
		name = strrchr(pack, '/') + 1;
		idx = xasprintf("%s.idx", pack);
		status = remove_with_crash(r.packs, name, n + 1);
		assert_true(status == 0 || status == CRASH_STATUS);
		pack_rig_git_approves(&r);
		if (n == 2 && status == CRASH_STATUS)
			assert_int_equal(unlink(idx), 0); /* stopped a little later */
		assert_int_equal(pack_clean(r.packs, &r.err), 0);
		files = dir_text(r.packs);
		assert_true((strstr(files, name) == NULL) == (n >= 2));
		assert_null(strstr(files, "tmp_mailcask"));
		pack_rig_look(&r);
		assert_int_equal(pack_set_count(r.set), n < 2 ? 2 : 1);
		free(files);
		free(idx);
		free(pack);
		pack_rig_close(&r);
	}
	assert_int_equal(n, 6); /* five steps */
}

/* 100 MB through a known and an unknown size, and back. */
static void test_a_large_message_takes_little_memory(void **state)
{
	enum { PIECES = 1600, PIECE = 65536 };
	struct pack_rig *r = *state;
	struct bytes data = sample(SAMPLE_BASE64, PIECE + PIECES, 1);
	struct rusage before, after;
	struct pack_stream *s[2];
	struct object_id id[2];
	struct object_hash *h = object_hash_new();
	struct pack_at at;
	uint64_t size;

	getrusage(RUSAGE_SELF, &before);
	s[0] = pack_stream_begin(r->w, GIT_BLOB, (uint64_t)PIECES * PIECE, &r->err);
	s[1] = pack_stream_begin(r->w, GIT_BLOB, PACK_SIZE_UNKNOWN, &r->err);
	for (size_t i = 0; i < PIECES; i++)
		for (int k = 0; k < 2; k++)
			assert_int_equal(pack_stream_write(s[k], bytes_from(data.p + i, PIECE), &r->err),
					 0);
	for (int k = 0; k < 2; k++)
		assert_int_equal(pack_stream_end(s[k], &id[k], NULL, &r->err), 0);
	assert_true(object_id_equal(&id[0], &id[1]));
	pack_rig_publish(r);
	pack_rig_look(r);
	assert_true(pack_set_find(r->set, &id[0], &at));
	assert_int_equal(pack_object_info(r->set, &at, &(enum git_type){ 0 }, &size, &r->err), 0);
	assert_int_equal(size, (uint64_t)PIECES * PIECE);
	{
		struct object_source source = pack_set_source(r->set);
		struct pack_writer *again = pack_writer_new(r->packs, &source);
		bool added = true;

		s[0] = pack_stream_begin(again, GIT_BLOB, size, &r->err);
		for (size_t i = 0; i < PIECES; i++)
			assert_int_equal(pack_stream_write(s[0], bytes_from(data.p + i, PIECE), &r->err),
					 0);
		assert_int_equal(pack_stream_end(s[0], &id[1], &added, &r->err), 0);
		assert_false(added);
		pack_writer_free(again);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 30000); /* KiB */
	object_hash_free(h);
	sample_free(data);
}

static void test_many_objects_are_all_found(void **state)
{
	enum { MANY = 20000 };
	struct pack_rig *r = *state;
	struct object_id id;
	char text[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%d", i);
		pack_rig_add(r, GIT_BLOB, bytes_of(text));
	}
	assert_int_equal(pack_pending_count(r->w), MANY);
	pack_rig_publish(r);
	pack_rig_look(r);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%d", i);
		object_id_of(&id, GIT_BLOB, bytes_of(text));
		pack_rig_holds(r, &id, GIT_BLOB, bytes_of(text));
	}
	pack_rig_git_approves(r);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(int argc, char **argv)
{
	struct err err;
	const struct CMUnitTest tests[] = {
		WITH_RIG(test_objects_of_every_size_come_back),
		WITH_RIG(test_streams_of_every_size_come_back),
		WITH_RIG(test_streams_of_unknown_size_come_back),
		WITH_RIG(test_git_clones_a_commit_that_was_written),
		WITH_RIG(test_nothing_added_makes_no_file),
		WITH_RIG(test_a_writer_makes_one_pack_after_the_other),
		WITH_RIG(test_a_pack_is_kept_from_gc_by_its_keep_file),
		WITH_RIG(test_large_offsets_are_read_by_git_and_by_us),
		WITH_RIG(test_what_is_pending_or_published_is_not_added_again),
		WITH_RIG(test_same_bytes_of_another_type_are_another_object),
		cmocka_unit_test(test_other_bytes_under_a_pending_id_are_found_out),
		cmocka_unit_test(test_other_bytes_under_a_stored_id_are_found_out),
		cmocka_unit_test(test_a_forged_pack_is_not_believed),
		WITH_RIG(test_a_damaged_stored_object_is_stored_again),
		WITH_RIG(test_errors_of_the_source_spoil_only_the_call),
		WITH_RIG(test_streams_and_objects_mix_in_any_order),
		WITH_RIG(test_publishing_leaves_open_streams_open),
		WITH_RIG(test_gc_does_not_find_a_pack_that_is_being_written),
		WITH_RIG(test_a_wrong_size_is_taken_back),
		WITH_RIG(test_an_aborted_stream_leaves_no_trace),
		WITH_RIG(test_what_is_pending_can_be_read),
		WITH_RIG(test_what_takes_the_place_of_an_aborted_stream_is_read_as_it_is),
		WITH_RIG(test_no_space_is_an_error_that_leaves_nothing),
		WITH_RIG(test_a_stream_that_finds_no_space_fails_and_can_be_ended),
		WITH_RIG(test_a_name_that_cannot_be_taken_leaves_no_part_of_a_pack),
		cmocka_unit_test(test_a_crash_leaves_all_or_nothing),
		WITH_RIG(test_cleaning_leaves_the_files_of_others_alone),
		WITH_RIG(test_a_pack_that_lost_its_index_is_not_cleaned_away),
		WITH_RIG(test_an_index_that_lost_its_pack_is_not_cleaned_away),
		cmocka_unit_test(test_a_removal_that_was_stopped_is_gone_on_with),
		WITH_RIG(test_a_large_message_takes_little_memory),
		WITH_RIG(test_many_objects_are_all_found),
	};

	if (argc == 3 && strcmp(argv[1], "publish") == 0)
		return publish_into(argv[2]);
	if (argc == 4 && strcmp(argv[1], "remove") == 0)
		return pack_remove(argv[2], argv[3], &err) < 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
