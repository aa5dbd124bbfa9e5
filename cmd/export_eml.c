#include <stdlib.h>

#include "backends/mbox/eml_write.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

#include "cmd/export_format.h"

struct export_writer {
	char *root;
	struct eml_writer *writer; /* of the mailbox in work */
};

static struct export_writer *open_eml(const char *path, const struct run *run, struct err *err)
{
	struct export_writer *w = xcalloc(1, sizeof(*w));

	(void)run;
	(void)err;
	w->root = xstrdup(path);
	return w;
}

static void close_eml(struct export_writer *w)
{
	if (!w)
		return;
	eml_writer_free(w->writer);
	free(w->root);
	free(w);
}

static int begin_mailbox(struct export_writer *w, const struct mailbox_name *name, struct err *err)
{
	char *path = export_path(w->root, name);

	eml_writer_free(w->writer);
	w->writer = dir_make(path, 0700, err) < 0 ? NULL : eml_writer_new(path, err);
	free(path);
	return w->writer ? 0 : -1;
}

static int begin_message(struct export_writer *w, uint64_t size, struct err *err)
{
	(void)size;
	(void)err;
	eml_writer_begin(w->writer);
	return 0;
}

static int add(struct export_writer *w, struct bytes piece, struct err *err)
{
	return eml_writer_add(w->writer, piece, err);
}

/* Files have no place for flags at all, which is no news to who chose them. */
static int end_message(struct export_writer *w, const struct export_message *msg, bool *all_flags,
		       struct err *err)
{
	*all_flags = true;
	return eml_writer_end(w->writer, msg->uid, msg->date, err);
}

static int finish(struct export_writer *w, struct err *err)
{
	(void)w;
	(void)err;
	return 0;
}

const struct export_format export_eml = {
	.word = "eml",
	.open = open_eml,
	.close = close_eml,
	.mailbox = begin_mailbox,
	.begin = begin_message,
	.add = add,
	.end = end_message,
	.finish = finish,
};
