#include <stdlib.h>

#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

#include "cmd/export_format.h"

/* The letters that dovecot-keywords has room for. */
#define KEYWORDS_MAX 26

/* A store of ours, whose index goes when all is written. */
struct export_writer {
	char *root;
	struct maildir_settings settings;
	struct store_config config;
	struct store *store;
	struct message_sink sink; /* of the mailbox in work */
	void *handle;             /* NULL: no message is under way */
	struct flags keywords;    /* all that the mailbox in work has */
};

static void close_maildir(struct export_writer *w)
{
	if (!w)
		return;
	store_close(w->store);
	flags_release(&w->keywords);
	free(w->root);
	free(w);
}

static struct export_writer *open_maildir(const char *path, const struct run *run, struct err *err)
{
	struct export_writer *w = xcalloc(1, sizeof(*w));

	w->root = xstrdup(path);
	w->settings.keyword_letters = true;
	w->config = (struct store_config){ .name = "maildir", .path = w->root, .settings = &w->settings,
					   .run = run, .create = true };
	if (store_open(&maildir_store, &w->store, &w->config, STORE_WRITE, err) == 0)
		return w;
	close_maildir(w);
	return NULL;
}

static int begin_mailbox(struct export_writer *w, const struct mailbox_name *name, struct err *err)
{
	struct mailbox_info info = { .name = *name }; /* borrowed: only read */
	struct mailbox *mb;

	flags_release(&w->keywords);
	if (store_create(w->store, name, 0, err) < 0 ||
	    mailbox_open(w->store, &info, STORE_WRITE, &mb, err) < 0)
		return -1;
	return mailbox_append(mb, NULL, NULL, NULL, &w->sink, err);
}

static void forget(struct export_writer *w)
{
	struct err why;

	if (w->handle)
		w->sink.end(w->sink.ctx, w->handle, NULL, false, &why);
	w->handle = NULL;
}

static int begin_message(struct export_writer *w, uint64_t size, struct err *err)
{
	const struct message msg = { .size = size };

	forget(w);
	return w->sink.begin(w->sink.ctx, NULL, &msg, &w->handle, err);
}

static int add(struct export_writer *w, struct bytes piece, struct err *err)
{
	return w->sink.write(w->sink.ctx, w->handle, piece, err);
}

static int end_message(struct export_writer *w, const struct export_message *msg, bool *all_flags,
		       struct err *err)
{
	const struct message as = { .number = msg->uid, .flags = msg->flags, .date = msg->date,
				    .size = msg->size };
	void *handle = w->handle;

	w->handle = NULL;
	flags_add_all(&w->keywords, msg->flags);
	*all_flags = w->keywords.count <= KEYWORDS_MAX;
	return w->sink.end(w->sink.ctx, handle, &as, true, err);
}

static int finish(struct export_writer *w, struct err *err)
{
	forget(w);
	if (store_commit(w->store, err) < 0)
		return -1;
	store_close(w->store);
	w->store = NULL;
	return maildir_strip(w->root, err);
}

const struct export_format export_maildir = {
	.word = "maildir",
	.open = open_maildir,
	.close = close_maildir,
	.mailbox = begin_mailbox,
	.begin = begin_message,
	.add = add,
	.end = end_message,
	.finish = finish,
};
