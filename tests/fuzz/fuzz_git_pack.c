/*
 * A pack and its index as somebody made them: nothing is read outside, and an object that is given
 * whole hashes to the id it was asked for by and has the size that was told. Input: a mode, a number N of
 * 16 bits, then either (mode 0) an index of N bytes and the pack, or (mode 1) N offsets of 16 bits
 * and what lies between head and checksum of the pack; the index is then made here.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/git/pack_file.h"
#include "backends/git/pack_read.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/file.h"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static char dir[] = "/tmp/fuzz-git-pack.XXXXXX";

static void clean_up(void)
{
	static const char *const endings[] = { "idx", "pack" };
	char path[64];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/pack-x.%s", dir, endings[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void write_to(const char *ending, struct bytes data)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/pack-x.%s", dir, ending);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	demand(fd >= 0 && write_full(fd, data) == 0 && close(fd) == 0);
}

static void as_given(struct bytes in, size_t n)
{
	if (n > in.n)
		n = in.n;
	write_to("idx", bytes_from(in.p, n));
	write_to("pack", bytes_skip(in, n));
}

static void with_index(struct bytes in, size_t n)
{
	static const uint8_t head[8] = { 'P', 'A', 'C', 'K', 0, 0, 0, 2 };
	struct object_id none = { { 0 } };
	struct pack_record v[16];
	struct buf b = BUF_INIT(1 << 21);
	struct out_file f;
	struct err err;
	uint8_t count[4];
	char path[64];

	n %= 17;
	if (in.n < 2 * n)
		n = in.n / 2;
	for (size_t i = 0; i < n; i++) {
		memset(&v[i], 0, sizeof(v[i]));
		v[i].id.b[0] = (uint8_t)(i * 16);
		v[i].where = (uint64_t)(in.p[2 * i] << 8 | in.p[2 * i + 1]);
	}
	demand(out_file_create(&f, dir, "idx", false, &err) == 0);
	demand(pack_index_write(&f, v, n, 1 << 15, &none, &err) == 0 && out_file_flush(&f, &err) == 0);
	snprintf(path, sizeof(path), "%s/pack-x.idx", dir);
	demand(out_file_rename(&f, path, &err) == 0);
	out_file_discard(&f);
	put_be32(count, (uint32_t)n);
	buf_add(&b, bytes_from(head, sizeof(head)));
	buf_add(&b, bytes_from(count, sizeof(count)));
	buf_add(&b, bytes_skip(in, 2 * n));
	buf_add(&b, bytes_from(none.b, OBJECT_ID_SIZE));
	write_to("pack", buf_bytes(&b));
	buf_release(&b);
}

struct listing {
	struct pack_set *set;
	struct pack *p;
	struct object_id id[64];
	size_t n;
};

static int ignore(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)piece;
	(void)err;
	return 0;
}

static int list_one(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct listing *l = ctx;
	struct err why;

	(void)err;
	demand(e->offset >= PACK_HEAD_SIZE && e->span > 0);
	demand(e->offset + e->span <= pack_file_size(l->p));
	if (pack_entry_copy(l->set, l->p, e, ignore, NULL, &why) < 0)
		demand(why.kind == ERR_FATAL);
	if (l->n < 64)
		l->id[l->n++] = e->id;
	return 0;
}

static void read_one(struct pack_set *set, const struct object_id *id)
{
	struct buf got = BUF_INIT(1 << 20);
	struct object_id real;
	enum git_type type;
	struct pack_at at;
	struct err err;
	uint64_t size;

	if (!pack_set_find(set, id, &at)) {
		demand(pack_missing(set, id, &err) == -1);
	} else if (pack_object_info(set, &at, &type, &size, &err) == 0 &&
		   pack_object_read(set, &at, &type, &got, &err) == 0) {
		demand(got.n == size);
		object_id_of(&real, type, buf_bytes(&got));
		demand(object_id_equal(&real, id));
	} else {
		demand(err.kind == ERR_FATAL && err.text[0]);
	}
	buf_release(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct listing l = { 0 };
	struct err err;
	struct bytes in;
	size_t n;

	if (!ready) {
		demand(mkdtemp(dir) != NULL);
		atexit(clean_up);
		ready = true;
	}
	if (size < 3)
		return 0;
	n = (size_t)(data[1] << 8 | data[2]);
	in = bytes_from(data + 3, size - 3);
	if (data[0] & 1)
		with_index(in, n);
	else
		as_given(in, n);
	l.set = pack_set_open(dir, &err);
	demand(l.set && pack_set_count(l.set) == 1);
	l.p = pack_set_pack(l.set, 0);
	if (pack_each(l.set, l.p, list_one, &l, &err) < 0)
		demand(err.kind == ERR_FATAL);
	for (size_t i = 0; i < 16; i++) {
		struct object_id id = { { (uint8_t)(i * 16) } };

		read_one(l.set, &id);
	}
	for (size_t i = 0; i < l.n; i++)
		read_one(l.set, &l.id[i]);
	if (pack_check_file(l.set, l.p, &err) < 0)
		demand(err.kind == ERR_FATAL);
	pack_set_free(l.set);
	return 0;
}
