#include "backends/mbox/eml_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/mail/maildate.h"

#define PART "message.part" /* no name that a message gets */
#define GATHER_MAX ((size_t)1 << 20)

struct eml_writer {
	int dir, fd;     /* fd -1: all of the message is in `body` */
	struct buf body; /* not written yet */
	uint8_t last;
	bool lf, crlf; /* there is such a line end */
};

struct eml_writer *eml_writer_new(const char *dir, struct err *err)
{
	struct eml_writer *w = xcalloc(1, sizeof(*w));

	w->fd = -1;
	w->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	buf_init(&w->body, GATHER_MAX);
	if (w->dir >= 0)
		return w;
	err_sys(err, ERR_FATAL, "open %s", dir);
	eml_writer_free(w);
	return NULL;
}

static void forget(struct eml_writer *w)
{
	if (w->fd < 0)
		return;
	close(w->fd);
	w->fd = -1;
	unlinkat(w->dir, PART, 0);
}

void eml_writer_free(struct eml_writer *w)
{
	if (!w)
		return;
	forget(w);
	if (w->dir >= 0)
		close(w->dir);
	buf_release(&w->body);
	free(w);
}

void eml_writer_begin(struct eml_writer *w)
{
	forget(w);
	buf_clear(&w->body);
	w->lf = w->crlf = false;
	w->last = 0;
}

static int flush(struct eml_writer *w, const char *name, struct err *err)
{
	if (w->fd < 0)
		w->fd = openat(w->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return err_sys(err, ERR_FATAL, "create %s", name);
	if (write_full(w->fd, buf_bytes(&w->body)) < 0)
		return err_sys(err, ERR_FATAL, "write a message");
	buf_clear(&w->body);
	return 0;
}

int eml_writer_add(struct eml_writer *w, struct bytes piece, struct err *err)
{
	for (size_t i = 0; i < piece.n && !w->crlf; i++) {
		uint8_t before = i > 0 ? piece.p[i - 1] : w->last;

		w->lf |= piece.p[i] == '\n';
		w->crlf |= piece.p[i] == '\n' && before == '\r';
	}
	if (piece.n > 0)
		w->last = piece.p[piece.n - 1];
	while (piece.n > 0) {
		size_t room = GATHER_MAX - w->body.n, n = piece.n < room ? piece.n : room;

		buf_add(&w->body, bytes_from(piece.p, n));
		piece = bytes_skip(piece, n);
		if (w->body.n == GATHER_MAX && flush(w, PART, err) < 0)
			return -1;
	}
	return 0;
}

static int set_date(const struct eml_writer *w, const struct maildate *date)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (date && date->known)
		times[0] = times[1] = (struct timespec){ .tv_sec = (time_t)date->unix_time };
	return futimens(w->fd, times);
}

/* A file system that cannot refuse to replace is left to replace: nobody else writes here. */
static int give_name(const struct eml_writer *w, const char *name)
{
	if (renameat2(w->dir, PART, w->dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? renameat(w->dir, PART, w->dir, name) : -1;
}

int eml_writer_end(struct eml_writer *w, uint32_t uid, const struct maildate *date, struct err *err)
{
	bool large = w->fd >= 0; /* it has a file, without its name yet */
	char name[32];
	int ret = 0;

	snprintf(name, sizeof(name), "%010" PRIu32 "%s.eml", uid, w->lf && !w->crlf ? ",X" : "");
	if (flush(w, name, err) < 0)
		return -1;
	if (set_date(w, date) < 0)
		ret = err_sys(err, ERR_FATAL, "set the date of a file");
	else if (large && give_name(w, name) < 0)
		ret = err_sys(err, ERR_FATAL, "name a file %s", name);
	close(w->fd);
	w->fd = -1;
	return ret;
}
