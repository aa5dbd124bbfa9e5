#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/mail/mailbox_name.h"
#include "core/msgset/uidset.h"
#include "core/sync/scope.h"

#include "cmd/cmd.h"
#include "cmd/export_format.h"
#include "cmd/jobs.h"
#include "cmd/look.h"
#include "cmd/new_file.h"
#include "cmd/report.h"
#include "cmd/restore_ends.h"
#include "cmd/search.h"

typedef unsigned long long ull;

enum { OPT_FORMAT = 1, OPT_MAILBOX, OPT_UID, OPT_SEARCH, OPT_WITHOUT_KEPT };

static const struct cmd_option options[] = {
	{ "format", 0, "FORMAT", "mbox (the default), eml or maildir.", OPT_FORMAT },
	{ "mailbox", 0, "PATTERN", "Only these mailboxes; may be given again.", OPT_MAILBOX },
	{ "uid", 0, "SET", "Of the one mailbox, only these messages: 7 or 7,9:12.", OPT_UID },
	{ "search", 0, "CRITERIA", "Only messages like that: 'from anna since 2024-02'.", OPT_SEARCH },
	{ "without-kept", 0, NULL, "Leave out kept messages: gone at the account, or imported.",
	  OPT_WITHOUT_KEPT },
	{ NULL, 0, NULL, NULL, 0 },
};

struct request {
	struct app *app;
	struct job_options common; /* --mailbox */
	struct uidset uids;
	bool uids_given, without_kept;
	struct search search;
	const struct export_format *format;
	char *target; /* without the slashes at its end */
	bool directory; /* it is to be one */
};

/* What is on its way out. */
struct passage {
	struct request *q;
	char *store, *target; /* escaped */
	char *mailbox;        /* the one in work, and once more, escaped */
	char *shown;
	struct export_writer *writer;
	struct flags flags; /* of the message in work */
	struct maildate date;
	uint64_t size; /* of it, so far */
	struct uidset written; /* of the mailbox in work */
	uint64_t mailboxes, messages, bytes;
	json_t *failed;
	bool incomplete;
};

static void complain(struct passage *p, uint32_t uid, const char *why)
{
	p->incomplete = true;
	report_line(p->q->app, p->store, "%s: message with UID %u %s", p->shown, uid, why);
	json_array_append_new(p->failed, json_pack("{s:s, s:I, s:s}", "mailbox", p->mailbox, "uid",
						   (json_int_t)uid, "reason", why));
}

/* Of a whole mailbox. */
static void complain_mailbox(struct passage *p, const char *why)
{
	p->incomplete = true;
	report_line(p->q->app, p->store, "%s: %s", p->shown, why);
	json_array_append_new(p->failed, json_pack("{s:s, s:s}", "mailbox", p->mailbox, "reason", why));
}

static void take_attributes(struct passage *p, const struct message *msg)
{
	if (msg->flags)
		flags_copy(&p->flags, msg->flags);
	if (msg->date)
		maildate_copy(&p->date, msg->date);
}

/* What goes wrong where we write ends all of it, whatever it means in a store. */
static int written(int ret, struct err *err)
{
	if (ret < 0 && err->kind == ERR_MAILBOX)
		err->kind = ERR_FATAL;
	return ret;
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
	return written(p->q->format->begin(p->writer, msg->size, err), err);
}

static int on_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct passage *p = ctx;

	(void)handle;
	p->size += piece.n;
	return written(p->q->format->add(p->writer, piece, err), err);
}

static int on_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct passage *p = ctx;
	struct export_message whole = { .flags = &p->flags, .date = &p->date, .size = p->size };
	bool all_flags;

	(void)handle;
	if (!complete)
		return 0;
	take_attributes(p, msg);
	whole.uid = msg->uid;
	if (written(p->q->format->end(p->writer, &whole, &all_flags, err), err) < 0)
		return -1;
	uidset_add(&p->written, msg->uid);
	p->messages++;
	p->bytes += p->size;
	if (!all_flags)
		complain(p, msg->uid, "has more keywords than there is room for, and lost some");
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

/* Whether all of this can be meant: a name with a slip in it must not pass for a mailbox without mail. */
static int check_mailboxes(const struct look *lk, const struct request *q, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < lk->list.n; i++)
		n += is_wanted(q, &lk->list.v[i]);
	for (size_t k = 0; k < q->common.n_only; k++) {
		const char *pattern = q->common.only[k];
		bool any = pattern[0] == '!';

		for (size_t i = 0; i < lk->list.n && !any; i++)
			any = scope_contains(&pattern, 1, &lk->list.v[i].name, lk->list.v[i].attributes);
		if (!any)
			n = 0;
	}
	if (n == 0)
		return err_set(err, ERR_MISSING,
			       "there is no such mailbox; 'mailcask ls' lists what there is");
	if (n > 1 && q->uids_given)
		return err_set(err, ERR_CONFIG,
			       "UIDs mean something in one mailbox only, and %zu are meant: choose one with --mailbox",
			       n);
	if (n > 1 && !q->directory)
		return err_set(err, ERR_CONFIG,
			       "an mbox holds one mailbox, and %zu are meant: choose one with --mailbox, or say "
			       "DIRECTORY/ to get an mbox of each in it",
			       n);
	return 0;
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
		char text[120];

		snprintf(text, sizeof(text), "%llu of its messages are missing: the store knows them, but their files were removed",
			 (ull)uidset_count(&have.missing));
		complain_mailbox(p, text);
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

/* Mailboxes without a message that is meant are not made, unless all messages are meant. */
static bool leaves_out(const struct request *q, const struct uidset *set)
{
	return q->directory && (q->uids_given || q->search.n) && uidset_is_empty(set);
}

static int write_mailbox(struct passage *p, struct mailbox *mb, struct err *err)
{
	const struct export_format *format = p->q->format;
	struct uidset set = UIDSET_INIT;
	int ret = choose(p, mb, &set, err);

	uidset_clear(&p->written);
	if (ret == 0 && !leaves_out(p->q, &set)) {
		ret = p->q->directory ? written(format->mailbox(p->writer, &mb->name, err), err) : 0;
		if (ret == 0)
			ret = write_messages(p, mb, &set, err);
		p->mailboxes++;
	}
	uidset_release(&set);
	return ret;
}

/* One of several that cannot be read is told, and the others are written. */
static int write_mailboxes(struct passage *p, struct look *lk, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < lk->list.n && ret == 0; i++) {
		const struct mailbox_info *info = &lk->list.v[i];
		struct mailbox *mb;

		if (!is_wanted(p->q, info))
			continue;
		free(p->mailbox);
		free(p->shown);
		p->mailbox = mailbox_name_text(&info->name);
		p->shown = escape_text(bytes_of(p->mailbox), 400);
		ret = mailbox_open(lk->store, info, STORE_READ, &mb, err);
		if (ret == 0)
			ret = write_mailbox(p, mb, err);
		if (ret < 0 && err->kind == ERR_MAILBOX && p->q->directory) {
			complain_mailbox(p, err->text);
			ret = 0;
		}
	}
	return ret;
}

static int write_file(struct passage *p, struct look *lk, struct err *err)
{
	struct new_file file;
	int ret = new_file_open(&file, p->q->target, err);

	if (ret == 0) {
		p->writer = export_mbox_to(file.out, err);
		ret = p->writer ? write_mailboxes(p, lk, err) : -1;
	}
	if (ret == 0)
		ret = export_mbox.finish(p->writer, err);
	if (ret == 0)
		ret = new_file_finish(&file, err);
	export_mbox.close(p->writer);
	new_file_close(&file);
	return ret;
}

static int write_directory(struct passage *p, struct look *lk, struct err *err)
{
	const struct export_format *format = p->q->format;
	struct new_dir dir = { 0 };
	int ret = restore_check_apart(&lk->arg, p->q->target, err);

	if (ret == 0)
		ret = new_dir_open(&dir, p->q->target, err);
	if (ret == 0) {
		p->writer = format->open(dir.part, &lk->run, err);
		ret = p->writer ? write_mailboxes(p, lk, err) : -1;
	}
	if (ret == 0)
		ret = format->finish(p->writer, err);
	if (ret == 0)
		ret = new_dir_finish(&dir, err);
	format->close(p->writer);
	new_dir_close(&dir);
	return ret;
}

static void print_summary(const struct passage *p, const char *moment, int64_t ms)
{
	struct buf line = BUF_INIT(4096);

	buf_addf(&line, "%s%s%s%s to %s: %llu message%s of ", p->store, moment ? " (" : "",
		 moment ? moment : "", moment ? ")" : "", p->target, (ull)p->messages,
		 p->messages == 1 ? "" : "s");
	if (p->mailboxes == 1 && !p->q->directory)
		buf_addf(&line, "%s, ", p->shown);
	else
		buf_addf(&line, "%llu mailbox%s, ", (ull)p->mailboxes, p->mailboxes == 1 ? "" : "es");
	report_bytes(&line, p->bytes);
	printf("%s (%.1f s)\n", buf_str(&line), (double)ms / 1000);
	buf_release(&line);
}

static void print_event(struct passage *p, int64_t ms)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:O, s:b, s:I}", "event", "summary",
				  "store", p->store, "target", p->target, "format", p->q->format->word,
				  "exit", (int)(p->incomplete ? EXIT_INCOMPLETE : EXIT_DONE),
				  "mailboxes", (json_int_t)p->mailboxes, "messages",
				  (json_int_t)p->messages, "bytes", (json_int_t)p->bytes, "failed",
				  p->failed, "incomplete", p->incomplete, "ms", (json_int_t)ms);

	if (!p->q->directory)
		json_object_set_new(event, "mailbox", json_string(p->mailbox));
	report_event(event);
}

/* The exit status, or -1. */
static int export(struct look *lk, struct request *q, struct err *err)
{
	struct passage p = { .q = q };
	int64_t started = clock_ms();
	int ret;

	if (check_mailboxes(lk, q, err) < 0)
		return -1;
	p.store = escape_text(bytes_of(lk->arg.name), 400);
	p.target = escape_text(bytes_of(q->target), 400);
	p.failed = json_array();
	ret = q->directory ? write_directory(&p, lk, err) : write_file(&p, lk, err);
	if (ret == 0 && q->app->json)
		print_event(&p, clock_ms() - started);
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
	free(p.shown);
	return ret;
}

static int take_option(struct request *q, int option, const char *arg)
{
	struct err err = { 0 };

	switch (option) {
	case OPT_FORMAT:
		q->format = export_format_find(arg);
		if (q->format)
			return 0;
		cmd_usage_error(&cmd_export, "--format: mbox, eml or maildir, not '%s'", arg);
		return -1;
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

/* Where to, and what that is to be. */
static int read_target(struct request *q, const char *text)
{
	size_t n = strlen(text);

	while (n > 1 && text[n - 1] == '/')
		n--;
	q->target = bytes_dup(bytes_from(text, n));
	q->directory = q->format != &export_mbox || text[n];
	if (strcmp(q->target, "-") != 0)
		return 0;
	if (q->directory)
		cmd_usage_error(&cmd_export, "only an mbox can go to standard output: name a directory");
	else if (q->app->json)
		cmd_usage_error(&cmd_export, "mail and --json cannot both go to standard output");
	else if (isatty(STDOUT_FILENO))
		cmd_usage_error(&cmd_export, "mail as it is may do harm to a terminal: name a file, or pipe it on");
	else
		return 0;
	return -1;
}

static int read_options(struct request *q, int argc, char **argv)
{
	const char *arg;
	int option;

	while ((option = cmd_next_option(q->app, &cmd_export, argc, argv, &arg)) != CMD_OPTIONS_END)
		if (take_option(q, option, arg) < 0)
			return -1;
	if (argc - optind != 2) {
		cmd_usage_error(&cmd_export, "a STORE and a FILE or DIRECTORY are needed");
		return -1;
	}
	return read_target(q, argv[optind + 1]);
}

static int export_run(struct app *app, int argc, char **argv)
{
	struct request q = { .app = app, .format = &export_mbox };
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
	free(q.target);
	uidset_release(&q.uids);
	search_release(&q.search);
	return status;
}

const struct cmd cmd_export = {
	.name = "export",
	.args = "STORE[@SNAPSHOT] FILE|DIRECTORY",
	.summary = "Write mailboxes of a store, as they are or were, for other programs.",
	.details =
		"FILE is an mbox of one mailbox, '-' standard output. DIRECTORY/ gets an mbox of each\n"
		"mailbox; with --format=eml a directory for each, with a file for each message; with\n"
		"--format=maildir a Maildir for each. Nothing is ever written over: there must be no FILE\n"
		"or DIRECTORY, and it appears when it is whole and safe on the disk.\n"
		"Nothing is added to the messages. In an mbox (mboxrd) what it has no place for (flags,\n"
		"keywords, the date's zone) stands at the end of their 'From ' lines, where other programs\n"
		"take no notice of it: 'import' and 'restore' give back the same bytes, flags and dates.\n"
		"Mail programs see flags and dates in a Maildir; .eml files have dates, but no flags.",
	.more = search_show,
	.options = options,
	.run = export_run,
};
