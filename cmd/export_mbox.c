#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "backends/mbox/write.h"
#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/mem.h"

#include "cmd/export_format.h"

#define SUFFIX ".mbox"

struct export_writer {
	char *root;  /* NULL: `out` is the caller's */
	FILE *out;   /* the mailbox in work; NULL: none yet */
	struct mbox_writer *writer;
};

/* A directory has no name that an mbox could have: the last dot of one that ends like it is escaped. */
static char *path_of(const char *root, const struct mailbox_name *name)
{
	char *path = export_path(root, name);
	const char *part = path + strlen(root) + 1;
	struct buf out = BUF_INIT(1 << 20);

	buf_addf(&out, "%s/", root);
	for (size_t n; part[n = strcspn(part, "/")]; part += n + 1) {
		size_t stem = n - (n < strlen(SUFFIX) ? n : strlen(SUFFIX));
		bool like = n > strlen(SUFFIX) && strncasecmp(part + stem, SUFFIX, strlen(SUFFIX)) == 0;

		buf_add(&out, bytes_from(part, like ? stem : n));
		buf_addf(&out, "%s%.*s/", like ? "%2E" : "", like ? (int)(n - stem - 1) : 0, part + stem + 1);
	}
	buf_addf(&out, "%s" SUFFIX, part);
	free(path);
	return buf_take(&out);
}

struct export_writer *export_mbox_to(FILE *out, struct err *err)
{
	struct mbox_writer *writer = mbox_writer_new(out, err);
	struct export_writer *w;

	if (!writer)
		return NULL;
	w = xcalloc(1, sizeof(*w));
	*w = (struct export_writer){ .out = out, .writer = writer };
	return w;
}

static struct export_writer *open_mbox(const char *path, const struct run *run, struct err *err)
{
	struct export_writer *w = xcalloc(1, sizeof(*w));

	(void)run;
	(void)err;
	w->root = xstrdup(path);
	return w;
}

/* The file in work is whole. */
static int end_file(struct export_writer *w, struct err *err)
{
	FILE *out = w->out;

	mbox_writer_free(w->writer);
	w->writer = NULL;
	w->out = NULL;
	if (out && w->root && fclose(out) != 0)
		return err_sys(err, ERR_FATAL, "write the mbox");
	return 0;
}

static void close_mbox(struct export_writer *w)
{
	struct err why;

	if (!w)
		return;
	end_file(w, &why);
	free(w->root);
	free(w);
}

static int begin_mailbox(struct export_writer *w, const struct mailbox_name *name, struct err *err)
{
	char *path = path_of(w->root, name), *dir = path_parent(path);
	int ret = end_file(w, err), fd;

	if (ret == 0)
		ret = dir_make(dir, 0700, err);
	if (ret == 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		w->out = fd < 0 ? NULL : fdopen(fd, "w");
		if (fd >= 0 && !w->out)
			close(fd);
		w->writer = w->out ? mbox_writer_new(w->out, err) : NULL;
		if (!w->out)
			ret = err_sys(err, ERR_FATAL, "create %s", path);
		else if (!w->writer)
			ret = -1;
	}
	free(dir);
	free(path);
	return ret;
}

static int begin_message(struct export_writer *w, uint64_t size, struct err *err)
{
	(void)size;
	return mbox_writer_begin(w->writer, err);
}

static int add(struct export_writer *w, struct bytes piece, struct err *err)
{
	return mbox_writer_add(w->writer, piece, err);
}

static int end_message(struct export_writer *w, const struct export_message *msg, bool *all_flags,
		       struct err *err)
{
	return mbox_writer_end(w->writer, msg->flags, msg->date, all_flags, err);
}

const struct export_format export_mbox = {
	.word = "mbox",
	.open = open_mbox,
	.close = close_mbox,
	.mailbox = begin_mailbox,
	.begin = begin_message,
	.add = add,
	.end = end_message,
	.finish = end_file,
};
