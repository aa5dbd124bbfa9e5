#include "backends/git/pack_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"

void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

/* The first byte holds 3 bits of type and 4 of size, each further one 7 bits; the top bit: more follow. */
size_t entry_head_encode(uint8_t out[ENTRY_HEAD_MAX], enum git_type type, uint64_t size)
{
	uint8_t byte = (uint8_t)((unsigned)type << 4 | (size & 15));
	size_t n = 0;

	for (size >>= 4; size > 0; size >>= 7) {
		out[n++] = byte | 0x80;
		byte = (uint8_t)(size & 0x7f);
	}
	out[n++] = byte;
	return n;
}

size_t entry_head_decode(struct bytes in, unsigned *type, uint64_t *size)
{
	unsigned shift = 4;
	size_t n = 0;

	if (in.n == 0)
		return 0;
	*type = in.p[0] >> 4 & 7;
	*size = in.p[0] & 15;
	while (in.p[n++] & 0x80) {
		uint64_t bits;

		if (n == in.n || n == ENTRY_HEAD_MAX)
			return 0;
		bits = in.p[n] & 0x7f;
		if (bits << shift >> shift != bits)
			return 0; /* over 64 bits */
		*size |= bits << shift;
		shift += 7;
	}
	return n;
}

/* A file without a name, which can get one later; -1 where that is not to be had. */
static int open_unnamed(const char *dir)
{
	if (access("/proc/self/fd", X_OK) < 0)
		return -1;
	return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0444);
}

static int open_named(struct out_file *f)
{
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	f->named = f->fd >= 0;
	return f->fd;
}

int out_file_create(struct out_file *f, const char *dir, const char *kind, bool hidden,
		    struct err *err)
{
	uint64_t r = 0;

	*f = (struct out_file)OUT_FILE_INIT;
	if (getrandom(&r, sizeof(r), 0) < 0)
		return err_sys(err, ERR_FATAL, "get random bytes");
	/* git removes files called tmp_* in here when they are old. */
	f->path = xasprintf("%s/tmp_mailcask_%s_%016llx", dir, kind, (unsigned long long)r);
	f->fd = open_unnamed(dir);
	if (f->fd < 0 && open_named(f) < 0) {
		err_sys(err, ERR_FATAL, "create %s", f->path);
		out_file_discard(f);
		return -1;
	}
	if (hidden && f->named) {
		unlink(f->path);
		f->named = false;
	}
	f->buf = xmalloc(2 * PACK_CHUNK);
	return 0;
}

int out_file_rename(struct out_file *f, const char *path, struct err *err)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
	/* linkat() replaces nothing, rename() does. */
	if (!f->named && linkat(AT_FDCWD, self, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) < 0)
		return err_sys(err, ERR_FATAL, "create %s", f->path);
	f->named = true;
	if (rename(f->path, path) < 0)
		return err_sys(err, ERR_FATAL, "rename %s to %s", f->path, path);
	f->named = false;
	return 0;
}

uint64_t out_file_size(const struct out_file *f)
{
	return f->flushed + f->n;
}

int out_file_flush(struct out_file *f, struct err *err)
{
	if (f->n == 0)
		return 0;
	if (write_full(f->fd, bytes_from(f->buf, f->n)) < 0)
		return err_sys(err, ERR_FATAL, "write %s", f->path);
	f->flushed += f->n;
	f->n = 0;
	return 0;
}

int out_file_room(struct out_file *f, uint8_t **room, struct err *err)
{
	if (f->n > PACK_CHUNK && out_file_flush(f, err) < 0)
		return -1;
	*room = f->buf + f->n;
	return 0;
}

void out_file_came(struct out_file *f, size_t n)
{
	assert(n <= PACK_CHUNK);
	f->n += n;
}

int out_file_put(struct out_file *f, struct bytes data, struct err *err)
{
	while (data.n > 0) {
		size_t n = data.n < PACK_CHUNK ? data.n : PACK_CHUNK;
		uint8_t *room;

		if (out_file_room(f, &room, err) < 0)
			return -1;
		memcpy(room, data.p, n);
		out_file_came(f, n);
		data = bytes_skip(data, n);
	}
	return 0;
}

int out_file_truncate(struct out_file *f, uint64_t size, struct err *err)
{
	assert(size <= out_file_size(f));
	if (size >= f->flushed) {
		f->n = (size_t)(size - f->flushed);
		return 0;
	}
	f->n = 0;
	if (ftruncate(f->fd, (off_t)size) < 0 || lseek(f->fd, (off_t)size, SEEK_SET) < 0)
		return err_sys(err, ERR_FATAL, "shorten %s", f->path);
	f->flushed = size;
	return 0;
}

void out_file_discard(struct out_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->named)
		unlink(f->path);
	free(f->path);
	free(f->buf);
	*f = (struct out_file)OUT_FILE_INIT;
}

int pread_full(int fd, const char *path, uint64_t offset, uint8_t *buf, size_t n, size_t *got,
	       struct err *err)
{
	*got = 0;
	while (*got < n) {
		ssize_t r = pread(fd, buf + *got, n - *got, (off_t)(offset + *got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, ERR_FATAL, "read %s", path);
		if (r == 0)
			break;
		*got += (size_t)r;
	}
	return 0;
}

int out_file_read_at(void *file, uint64_t offset, uint8_t *buf, size_t n, size_t *got,
		     struct err *err)
{
	struct out_file *f = file;
	size_t from_file = 0;

	*got = 0;
	if (offset < f->flushed) {
		uint64_t there = f->flushed - offset;

		if (pread_full(f->fd, f->path, offset, buf, there < n ? (size_t)there : n, &from_file,
			       err) < 0)
			return -1;
		*got = from_file;
		if (from_file < n && from_file < there)
			return err_set(err, ERR_FATAL, "%s became shorter while it was written",
				       f->path);
	}
	if (*got < n && offset + *got < out_file_size(f)) {
		size_t at = (size_t)(offset + *got - f->flushed), rest = f->n - at;

		if (rest > n - *got)
			rest = n - *got;
		memcpy(buf + *got, f->buf + at, rest);
		*got += rest;
	}
	return 0;
}
