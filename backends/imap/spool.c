#include "backends/imap/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/mail/header.h"

#define FIRST_ROOM 4096

static const char *const wanted[] = { "Message-ID" };

void spool_init(struct spool *s, const char *dir, uint64_t expected)
{
	*s = (struct spool){ .dir = dir, .fd = -1, .memory = BUF_INIT(SPOOL_MEMORY + 1) };
	s->hash = EVP_MD_CTX_new();
	if (!s->hash)
		abort();
	EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
	s->header = header_reader_new(wanted, 1);
	if (expected <= SPOOL_MEMORY)
		buf_reserve(&s->memory, expected ? (size_t)expected : FIRST_ROOM);
}

static void end_reading(struct spool *s)
{
	EVP_MD_CTX_free(s->hash);
	header_reader_free(s->header);
	s->hash = NULL;
	s->header = NULL;
}

void spool_release(struct spool *s)
{
	end_reading(s);
	buf_release(&s->memory);
	free(s->message_id);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* On file systems without O_TMPFILE a name has to do for a moment. */
static int make_file(struct spool *s, struct err *err)
{
	char *path;

	s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	path = xasprintf("%s/message.XXXXXX", s->dir);
	s->fd = mkostemp(path, O_CLOEXEC);
	if (s->fd < 0)
		err_sys(err, ERR_FATAL, "a file for a large message in %s", s->dir);
	else
		unlink(path);
	free(path);
	return s->fd < 0 ? -1 : 0;
}

static int write_out(struct spool *s, struct bytes piece, struct err *err)
{
	if (write_full(s->fd, piece) < 0)
		return err_sys(err, ERR_FATAL, "write a large message to a file in %s", s->dir);
	return 0;
}

int spool_write(struct spool *s, struct bytes piece, struct err *err)
{
	if (!piece.n)
		return 0;
	EVP_DigestUpdate(s->hash, piece.p, piece.n);
	header_reader_feed(s->header, piece);
	s->has_nul |= memchr(piece.p, '\0', piece.n) != NULL;
	if (s->fd < 0 && s->size + piece.n > SPOOL_MEMORY) {
		if (make_file(s, err) < 0 || write_out(s, buf_bytes(&s->memory), err) < 0)
			return -1;
		buf_release(&s->memory);
	}
	s->size += piece.n;
	if (s->fd >= 0)
		return write_out(s, piece, err);
	buf_add(&s->memory, piece);
	return 0;
}

void spool_finish(struct spool *s)
{
	struct bytes id;

	EVP_DigestFinal_ex(s->hash, s->sha256, NULL);
	header_reader_finish(s->header);
	id = header_reader_value(s->header, 0);
	s->message_id = id.n ? bytes_dup(id) : NULL;
	end_reading(s);
}

int spool_read(const struct spool *s, uint64_t at, void *p, size_t max, size_t *n, struct err *err)
{
	ssize_t got;

	if (max > s->size - at)
		max = (size_t)(s->size - at);
	if (s->fd < 0) {
		memcpy(p, s->memory.p + at, max);
		*n = max;
		return 0;
	}
	do
		got = pread(s->fd, p, max, (off_t)at);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		if (got == 0)
			errno = EIO; /* somebody cut it */
		return err_sys(err, ERR_FATAL, "read a large message from a file in %s", s->dir);
	}
	*n = (size_t)got;
	return 0;
}

char *message_id_of(struct bytes header)
{
	struct header_reader *h = header_reader_new(wanted, 1);
	struct bytes id;
	char *copy;

	header_reader_feed(h, header);
	header_reader_finish(h);
	id = header_reader_value(h, 0);
	copy = id.n ? bytes_dup(id) : NULL;
	header_reader_free(h);
	return copy;
}
