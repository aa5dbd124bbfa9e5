#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/imap_cli.h"
#include "cmd/look.h"
#include "cmd/mime.h"
#include "cmd/render.h"
#include "cmd/report.h"

enum { OPT_RAW = 1, OPT_PART, OPT_HEADERS };

static const struct cmd_option options[] = {
	{ "raw", 0, NULL, "Write the message byte for byte as it is stored.", OPT_RAW },
	{ "part", 0, "N", "Write part N decoded: an attachment as a file.", OPT_PART },
	{ "headers", 0, NULL, "Show all of the header and nothing else.", OPT_HEADERS },
	{ NULL, 0, NULL, NULL, 0 },
};

/* What was asked for. */
struct request {
	struct app *app;
	const char *mailbox, *part;
	uint32_t uid;
	bool raw, headers;
};

/* The message, on its way out of the store. */
struct arrival {
	FILE *file;     /* where it goes: standard output, or a temporary file */
	bool attributes;
	struct shown_message about;
	struct flags flags;
	struct maildate date;
	enum outcome what;
	struct err why;
};

static void take_attributes(struct arrival *a, const struct message *msg)
{
	a->about.uid = msg->uid;
	a->about.size = msg->size;
	if (msg->flags)
		flags_copy(&a->flags, msg->flags);
	if (msg->date)
		maildate_copy(&a->date, msg->date);
}

static int on_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		    struct err *err)
{
	(void)tag;
	(void)err;
	*handle = ctx;
	take_attributes(ctx, msg);
	return 0;
}

static int on_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct arrival *a = ctx;

	(void)handle;
	if (fwrite(piece.p, 1, piece.n, a->file) == piece.n)
		return 0;
	return err_sys(err, ERR_FATAL,
		       a->file == stdout ? "write to standard output" : "write a temporary file");
}

static int on_end(void *ctx, void *handle, const struct message *msg, bool complete,
		  struct err *err)
{
	(void)handle;
	(void)err;
	if (complete)
		take_attributes(ctx, msg);
	return 0;
}

static void on_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct arrival *a = ctx;

	(void)tag;
	(void)uid;
	(void)new_uid;
	a->what = what;
	if (why)
		a->why = *why;
}

static int not_there(const struct look *lk, const struct request *r, struct err *err)
{
	char *mailbox = escape_text(bytes_of(r->mailbox), 400);

	err_set(err, ERR_MISSING, "%s has no message %u%s; 'mailcask ls' lists what there is",
		mailbox, r->uid, lk->arg.snapshot ? " at that moment" : "");
	free(mailbox);
	return -1;
}

/* The message's bytes into a->file. */
static int bring(struct look *lk, const struct request *r, struct arrival *a, struct err *err)
{
	const struct message_sink sink = { a, on_begin, on_write, on_end };
	struct uidset uids = UIDSET_INIT;
	struct want want = { .exact = true, .set = &uids };
	int ret = -1;

	a->what = OUTCOME_NO_ANSWER;
	if (look_mailbox(lk, r->mailbox, &want.mailbox, err) < 0)
		return -1;
	uidset_add(&uids, r->uid);
	if (store_fetch(lk->store, &want, 1, &sink, on_outcome, a, err) < 0)
		goto out;
	if (want.err.kind != ERR_NONE)
		*err = want.err;
	else if (a->what == OUTCOME_UID_UNKNOWN)
		not_there(lk, r, err);
	else if (a->what == OUTCOME_DONE)
		ret = 0;
	else if (a->why.kind != ERR_NONE)
		err_set(err, a->why.kind, "message %u cannot be read: %s", r->uid, a->why.text);
	else
		err_set(err, ERR_MESSAGE, "message %u cannot be read", r->uid);
out:
	uidset_release(&uids);
	return ret;
}

static int write_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)ctx;
	if (fwrite(piece.p, 1, piece.n, stdout) == piece.n)
		return 0;
	return err_sys(err, ERR_FATAL, "write to standard output");
}

static int write_part(const struct request *r, const struct mime *m, struct err *err)
{
	const struct mime_part *part = mime_find(m, r->part);
	struct buf there = BUF_INIT(1 << 20);
	char *asked;

	if (part)
		return decode_body(part->encoding, part->body, write_piece, NULL, err);
	for (size_t i = 0; i < m->n; i++)
		buf_addf(&there, "%s%s", i ? ", " : "", m->v[i].number);
	asked = escape_text(bytes_of(r->part), 100);
	err_set(err, ERR_MISSING, "the message has no part %s, only %s", asked, buf_str(&there));
	free(asked);
	buf_release(&there);
	return -1;
}

static int present(const struct request *r, struct arrival *a, struct bytes message,
		   struct err *err)
{
	struct mime m;
	int ret = 0;

	mime_read(&m, message);
	a->about.mailbox = r->mailbox;
	a->about.flags = &a->flags;
	a->about.date = &a->date;
	a->about.bytes = message;
	a->about.parts = &m;
	if (r->part)
		ret = write_part(r, &m, err);
	else if (r->app->quiet)
		ret = 0;
	else if (r->app->json)
		report_event(render_event(&a->about, r->headers));
	else
		ret = render_text(&a->about, r->headers, stdout, err);
	mime_release(&m);
	return ret;
}

/*
 * Through a temporary file, mapped: a message may be larger than memory. The file has no name, so
 * nothing is left behind.
 */
static int show(struct look *lk, const struct request *r, struct arrival *a, struct err *err)
{
	off_t size;
	void *p = MAP_FAILED;
	int ret = -1;

	a->file = r->raw ? stdout : tmpfile();
	if (!a->file)
		return err_sys(err, ERR_FATAL, "create a temporary file");
	if (bring(lk, r, a, err) < 0)
		goto out;
	if (r->raw)
		return 0;
	size = ftello(a->file);
	if (fflush(a->file) != 0 || size < 0) {
		err_sys(err, ERR_FATAL, "write a temporary file");
		goto out;
	}
	if (size > 0)
		p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fileno(a->file), 0);
	if (size > 0 && p == MAP_FAILED) {
		err_sys(err, ERR_FATAL, "map a temporary file");
		goto out;
	}
	ret = present(r, a, bytes_from(size > 0 ? p : "", (size_t)size), err);
	if (size > 0)
		munmap(p, (size_t)size);
out:
	if (!r->raw)
		fclose(a->file);
	return ret;
}

/* 0, or -1 after telling the user. */
static int read_options(struct request *r, int argc, char **argv)
{
	const char *arg;
	int option;

	while ((option = cmd_next_option(r->app, &cmd_show, argc, argv, &arg)) != CMD_OPTIONS_END)
		switch (option) {
		case OPT_RAW:
			r->raw = true;
			break;
		case OPT_PART:
			r->part = arg;
			break;
		case OPT_HEADERS:
			r->headers = true;
			break;
		default:
			return -1;
		}
	if (r->raw + (r->part != NULL) + r->headers > 1) {
		cmd_usage_error(&cmd_show, "only one of --raw, --part and --headers");
		return -1;
	}
	return 0;
}

static int show_run(struct app *app, int argc, char **argv)
{
	struct request r = { .app = app };
	struct arrival a = { 0 };
	struct err err = { 0 };
	struct look lk;
	int ret;

	if (read_options(&r, argc, argv) < 0)
		return EXIT_USAGE;
	if (argc - optind != 3)
		return cmd_usage_error(&cmd_show, "a STORE, a MAILBOX and a UID are needed");
	r.mailbox = argv[optind + 1];
	if (!bytes_to_u32(bytes_of(argv[optind + 2]), &r.uid) || r.uid == 0)
		return cmd_usage_error(&cmd_show, "'%s' is not a UID", argv[optind + 2]);
	ret = look_open_at(&lk, app, argv[optind], LOOK_KEPT, &err);
	if (ret == 0)
		ret = show(&lk, &r, &a, &err);
	look_close(&lk);
	flags_release(&a.flags);
	maildate_release(&a.date);
	return ret < 0 ? (int)report_error(app, &err) : EXIT_DONE;
}

const struct cmd cmd_show = {
	.name = "show",
	.args = "STORE[@SNAPSHOT] MAILBOX UID",
	.summary = "Show a message of a store, or write it or a part of it as it is.",
	.details = "Text is shown decoded, and what could harm a terminal escaped; attachments are\n"
		   "listed with the number that --part takes. --raw and --part write bytes as they\n"
		   "are.",
	.options = options,
	.run = show_run,
};
