#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/mbox/write.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/mail/mailbox_name.h"
#include "core/msgset/uidset.h"
#include "core/sync/scope.h"

#include "cmd/cmd.h"
#include "cmd/jobs.h"
#include "cmd/look.h"
#include "cmd/new_file.h"
#include "cmd/report.h"
#include "cmd/search.h"

typedef unsigned long long ull;

enum { OPT_MAILBOX = 1, OPT_UID, OPT_SEARCH, OPT_WITHOUT_KEPT };

static const struct cmd_option options[] = {
	{ "mailbox", 0, "PATTERN", "The mailbox to write.", OPT_MAILBOX },
	{ "uid", 0, "SET", "Only these messages: 7 or 7,9:12.", OPT_UID },
	{ "search", 0, "CRITERIA", "Only messages like that: 'from anna since 2024-02'.", OPT_SEARCH },
	{ "without-kept", 0, NULL, "Leave out what was gone at the account, but kept.",
	  OPT_WITHOUT_KEPT },
	{ NULL, 0, NULL, NULL, 0 },
};

struct request {
	struct app *app;
	struct job_options common; /* --mailbox */
	struct uidset uids;
	bool uids_given, without_kept;
	struct search search;
	const char *target;
};

/* A mailbox on its way into the file. */
struct passage {
	struct request *q;
	char *store, *mailbox, *target; /* escaped */
	struct mbox_writer *writer;
	struct flags flags; /* of the message in work */
	struct maildate date;
	uint64_t size; /* of it, so far */
	struct uidset written;
	uint64_t messages, bytes;
	json_t *failed;
	bool incomplete;
};

static void complain(struct passage *p, uint32_t uid, const char *why)
{
	p->incomplete = true;
	report_line(p->q->app, p->store, "%s: message with UID %u %s", p->mailbox, uid, why);
	json_array_append_new(p->failed,
			      json_pack("{s:I, s:s}", "uid", (json_int_t)uid, "reason", why));
}

static void take_attributes(struct passage *p, const struct message *msg)
{
	if (msg->flags)
		flags_copy(&p->flags, msg->flags);
	if (msg->date)
		maildate_copy(&p->date, msg->date);
}

static int on_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	struct passage *p = ctx;

	(void)tag;
	*handle = p;
	flags_release(&p->flags);
	maildate_release(&p->date);
	p->size = 0;
	take_attributes(p, msg);
	return mbox_writer_begin(p->writer, err);
}

static int on_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct passage *p = ctx;

	(void)handle;
	p->size += piece.n;
	return mbox_writer_add(p->writer, piece, err);
}

static int on_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct passage *p = ctx;
	bool all_flags;

	(void)handle;
	if (!complete)
		return 0;
	take_attributes(p, msg);
	if (mbox_writer_end(p->writer, &p->flags, &p->date, &all_flags, err) < 0)
		return -1;
	uidset_add(&p->written, msg->uid);
	p->messages++;
	p->bytes += p->size;
	if (!all_flags)
		complain(p, msg->uid, "has more keywords than a line of an mbox holds, and lost some");
	return 0;
}

static void on_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct passage *p = ctx;
	char text[700];

	(void)tag;
	(void)new_uid;
	if ((what != OUTCOME_REFUSED && what != OUTCOME_UID_UNKNOWN) || uidset_has(&p->written, uid))
		return;
	snprintf(text, sizeof(text), "was left out: %s", why ? why->text : "it is no longer there");
	complain(p, uid, text);
}

static bool is_wanted(const struct request *q, const struct mailbox_info *info)
{
	return !(info->attributes & MAILBOX_NOSELECT) &&
	       scope_contains(q->common.only, q->common.n_only, &info->name, info->attributes);
}

/* The one mailbox that is meant. */
static const struct mailbox_info *find_mailbox(const struct look *lk, const struct request *q,
					       struct err *err)
{
	const struct mailbox_info *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < lk->list.n; i++)
		if (is_wanted(q, &lk->list.v[i])) {
			found = &lk->list.v[i];
			n++;
		}
	if (n == 1)
		return found;
	if (n == 0)
		err_set(err, ERR_MISSING, "there is no such mailbox; 'mailcask ls' lists what there is");
	else
		err_set(err, ERR_CONFIG,
			"an mbox holds one mailbox, and %zu are meant: choose one with --mailbox", n);
	return NULL;
}

/* Which messages, into *out. */
static int choose(struct passage *p, struct mailbox *mb, struct uidset *out, struct err *err)
{
	struct request *q = p->q;
	struct changes have;
	struct changes_request req = { .mailbox = mb, .out = &have, .sizes = true };
	int ret;

	changes_init(&have);
	ret = store_changes(mb->store, &req, 1, err);
	if (ret == 0 && have.err.kind != ERR_NONE) {
		*err = have.err;
		ret = -1;
	}
	if (ret == 0 && !have.complete)
		ret = err_set(err, ERR_FATAL, "the store did not tell all that it holds");
	if (ret == 0 && !uidset_is_empty(&have.missing)) {
		p->incomplete = true;
		report_line(q->app, p->store, "%s: %llu of its messages are missing: the store knows them, but their files were removed",
			    p->mailbox, (ull)uidset_count(&have.missing));
	}
	if (ret == 0 && q->uids_given)
		ret = changes_check_uids(&q->uids, &have, err);
	if (ret == 0 && q->search.n)
		ret = search_select(&q->search, mb, &have, out, err);
	for (size_t i = 0; ret == 0 && !q->search.n && i < have.n; i++)
		uidset_add(out, have.v[i].uid);
	if (ret == 0 && q->uids_given)
		uidset_intersect(out, out, &q->uids);
	changes_release(&have);
	return ret;
}

static int write_messages(struct passage *p, struct mailbox *mb, const struct uidset *set,
			  struct err *err)
{
	const struct message_sink sink = { p, on_begin, on_write, on_end };
	struct want want = { .mailbox = mb, .set = set, .exact = true, .expect = uidset_count(set) };

	if (uidset_is_empty(set))
		return 0;
	if (store_fetch(mb->store, &want, 1, &sink, on_outcome, p, err) < 0)
		return -1;
	if (want.complete)
		return 0;
	if (want.err.kind != ERR_NONE)
		*err = want.err;
	else
		err_set(err, ERR_FATAL, "not all of its messages could be read");
	return -1;
}

static int write_mailbox(struct passage *p, struct mailbox *mb, struct err *err)
{
	struct new_file file = { 0 };
	struct uidset set = UIDSET_INIT;
	int ret = choose(p, mb, &set, err);

	if (ret == 0)
		ret = new_file_open(&file, p->q->target, err);
	if (ret == 0) {
		p->writer = mbox_writer_new(file.out, err);
		ret = p->writer ? write_messages(p, mb, &set, err) : -1;
	}
	if (ret == 0)
		ret = new_file_finish(&file, err);
	new_file_close(&file);
	mbox_writer_free(p->writer);
	uidset_release(&set);
	return ret;
}

static void print_summary(const struct passage *p, const char *moment, int64_t ms)
{
	struct buf line = BUF_INIT(4096);

	buf_addf(&line, "%s%s%s%s to %s: %llu message%s of %s, ", p->store, moment ? " (" : "",
		 moment ? moment : "", moment ? ")" : "", p->target, (ull)p->messages,
		 p->messages == 1 ? "" : "s", p->mailbox);
	report_bytes(&line, p->bytes);
	printf("%s (%.1f s)\n", buf_str(&line), (double)ms / 1000);
	buf_release(&line);
}

static void print_event(struct passage *p, const char *mailbox, int64_t ms)
{
	report_event(json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:O, s:b, s:I}", "event", "summary",
			       "store", p->store, "target", p->target, "mailbox", mailbox, "exit",
			       (int)(p->incomplete ? EXIT_INCOMPLETE : EXIT_DONE), "messages",
			       (json_int_t)p->messages, "bytes", (json_int_t)p->bytes, "failed",
			       p->failed, "incomplete", p->incomplete, "ms", (json_int_t)ms));
}

/* The exit status, or -1. */
static int export(struct look *lk, struct request *q, struct err *err)
{
	const struct mailbox_info *info = find_mailbox(lk, q, err);
	struct passage p = { .q = q };
	int64_t started = clock_ms();
	struct mailbox *mb;
	char *name;
	int ret;

	if (!info)
		return -1;
	name = mailbox_name_text(&info->name);
	p.mailbox = escape_text(bytes_of(name), 400);
	p.store = escape_text(bytes_of(lk->arg.name), 400);
	p.target = escape_text(bytes_of(q->target), 400);
	p.failed = json_array();
	ret = mailbox_open(lk->store, info, STORE_READ, &mb, err);
	if (ret == 0)
		ret = write_mailbox(&p, mb, err);
	if (ret == 0 && q->app->json)
		print_event(&p, name, clock_ms() - started);
	else if (ret == 0 && !q->app->quiet && strcmp(q->target, "-") != 0)
		print_summary(&p, lk->arg.moment, clock_ms() - started);
	if (ret == 0)
		ret = p.incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
	json_decref(p.failed);
	uidset_release(&p.written);
	flags_release(&p.flags);
	maildate_release(&p.date);
	free(p.target);
	free(p.store);
	free(p.mailbox);
	free(name);
	return ret;
}

static int take_option(struct request *q, int option, const char *arg)
{
	struct err err = { 0 };

	switch (option) {
	case OPT_MAILBOX:
		return jobs_add_pattern(&q->common, &cmd_export, arg);
	case OPT_UID:
		q->uids_given = true;
		if (uidset_parse(&q->uids, bytes_of(arg), UIDSET_STRICT, NULL, &err) == 0)
			return 0;
		cmd_usage_error(&cmd_export, "--uid: %s", err.text);
		return -1;
	case OPT_SEARCH:
		if (search_add(&q->search, arg, clock_unix(), &err) == 0)
			return 0;
		cmd_usage_error(&cmd_export, "--search: %s", err.text);
		return -1;
	case OPT_WITHOUT_KEPT:
		q->without_kept = true;
		return 0;
	default:
		return -1;
	}
}

static int read_options(struct request *q, int argc, char **argv)
{
	const char *arg;
	int option;

	while ((option = cmd_next_option(q->app, &cmd_export, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(q, option, arg) < 0)
			return -1;
	if (argc - optind != 2) {
		cmd_usage_error(&cmd_export, "a STORE and a FILE are needed");
		return -1;
	}
	q->target = argv[optind + 1];
	if (strcmp(q->target, "-") != 0)
		return 0;
	if (q->app->json)
		cmd_usage_error(&cmd_export, "mail and --json cannot both go to standard output");
	else if (isatty(STDOUT_FILENO))
		cmd_usage_error(&cmd_export, "mail as it is may do harm to a terminal: name a file, or pipe it on");
	else
		return 0;
	return -1;
}

static int export_run(struct app *app, int argc, char **argv)
{
	struct request q = { .app = app };
	struct err err = { 0 };
	struct look lk = { 0 };
	int ret, status = EXIT_USAGE;

	if (read_options(&q, argc, argv) < 0)
		goto out;
	ret = look_open_at(&lk, app, argv[optind], q.without_kept ? LOOK_LIVE : LOOK_KEPT, &err);
	if (ret == 0)
		ret = export(&lk, &q, &err);
	look_close(&lk);
	status = ret < 0 ? (int)report_error(app, &err) : ret;
out:
	free(q.common.only);
	uidset_release(&q.uids);
	search_release(&q.search);
	return status;
}

const struct cmd cmd_export = {
	.name = "export",
	.args = "STORE[@SNAPSHOT] FILE",
	.summary = "Write a mailbox of a store, as it is or was, to an mbox file.",
	.details =
		"FILE is an mbox as other programs read it (mboxrd): LF at the ends of lines, and '>'\n"
		"before lines that begin with 'From '. It is never written over: there must be no FILE,\n"
		"and it appears when it is whole and safe on the disk. '-' is standard output. --mailbox\n"
		"says which mailbox, if there are several.\n"
		"Nothing is added to the messages. What an mbox has no place for (flags, keywords, the\n"
		"date's zone) stands at the end of their 'From ' lines, where other programs take no\n"
		"notice of it: 'restore' gives back the same bytes, flags and dates. For a mail program\n"
		"that is to see flags, 'mailcask restore STORE DIRECTORY' makes a Maildir.",
	.more = search_show,
	.options = options,
	.run = export_run,
};
