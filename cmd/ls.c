#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/header.h"

#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/decode.h"
#include "cmd/imap_cli.h"
#include "cmd/look.h"
#include "cmd/report.h"
#include "cmd/row.h"

typedef unsigned long long ull;

/* --- mailboxes --- */

struct totals {
	uint64_t messages, unseen, bytes;
};

static void add_up(const struct changes *c, struct totals *sum)
{
	for (size_t i = 0; i < c->n; i++) {
		sum->messages++;
		sum->bytes += c->v[i].size;
		if (!(flag_table_get(c->flags, c->v[i].flags)->bits & FLAG_SEEN))
			sum->unseen++;
	}
}

static void print_kept(const struct mailbox_info *info)
{
	if (info->kept == 0)
		return;
	if (info->held == 0)
		printf("  (and %llu kept)", (ull)info->kept);
	else if (info->held == info->kept)
		printf("  (and %llu kept: held back by the guard)", (ull)info->kept);
	else
		printf("  (and %llu kept, %llu of them held back by the guard)", (ull)info->kept,
		       (ull)info->held);
}

static void show_mailbox(const struct app *app, const struct mailbox_info *info,
			 const struct totals *t)
{
	char *name = mailbox_name_text(&info->name), *safe;
	struct buf size = BUF_INIT(64);

	if (app->json) {
		report_event(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "mailbox",
				       "mailbox", name, "messages", (json_int_t)t->messages,
				       "unseen", (json_int_t)t->unseen, "bytes",
				       (json_int_t)t->bytes, "pending", (json_int_t)info->pending,
				       "kept", (json_int_t)info->kept, "held",
				       (json_int_t)info->held));
		free(name);
		return;
	}
	report_bytes(&size, t->bytes);
	safe = escape_text(bytes_of(name), 1000);
	printf("%8llu  %8llu  %9s  %s", (ull)t->messages, (ull)t->unseen, buf_str(&size), safe);
	print_kept(info);
	if (info->pending)
		printf("  (and %llu in quarantine)", (ull)info->pending);
	putchar('\n');
	free(name);
	free(safe);
	buf_release(&size);
}

static int count_mailbox(struct look *lk, const struct mailbox_info *info, struct totals *sum,
			 struct err *err)
{
	struct mailbox *mb;
	struct changes held;
	int ret;

	if (store_check_stop(lk->store, err) < 0 ||
	    mailbox_open(lk->store, info, STORE_READ, &mb, err) < 0)
		return -1;
	changes_init(&held);
	ret = look_contents(mb, &held, err);
	add_up(&held, sum);
	changes_release(&held);
	return ret;
}

static void tell_unreadable(const struct look *lk, const struct mailbox_info *info,
			    const struct err *why)
{
	char *name = mailbox_name_text(&info->name), *safe = escape_text(bytes_of(name), 400);

	report_line(lk->app, NULL, "%s cannot be read: %s", safe, why->text);
	free(safe);
	free(name);
}

static int list_mailboxes(struct look *lk, bool *failed, struct err *err)
{
	if (!lk->app->json && !lk->app->quiet)
		printf("%8s  %8s  %9s  %s\n", "MESSAGES", "UNSEEN", "SIZE", "MAILBOX");
	for (size_t i = 0; i < lk->list.n; i++) {
		struct totals sum = { 0 };

		if (count_mailbox(lk, &lk->list.v[i], &sum, err) < 0) {
			if (err->kind == ERR_STOPPED)
				return -1;
			*failed = true;
			tell_unreadable(lk, &lk->list.v[i], err);
		} else if (!lk->app->quiet)
			show_mailbox(lk->app, &lk->list.v[i], &sum);
	}
	return 0;
}

/* --- messages --- */

enum field { FIELD_FROM, FIELD_SUBJECT, FIELD_DATE, FIELD_MESSAGE_ID, N_FIELDS };
static const char *const field_names[N_FIELDS] = { "From", "Subject", "Date", "Message-ID" };

/* A listing under way. Local stores give one message after the other. */
struct listing {
	struct look *lk;
	int uid_width;
	size_t terminal; /* columns; 0: no limit */
	struct header_reader *header;
	bool attributes; /* begin() told flags and date, so the body need not be read to its end */
	bool shown;      /* the message in work was */
	struct message msg;
	struct flags flags;
	struct maildate date;
	struct uidset kept;
	bool failed; /* a message could not be read */
};

static void print_row(struct listing *l)
{
	struct buf line = BUF_INIT(1 << 16), size = BUF_INIT(64);
	struct bytes from = header_reader_value(l->header, FIELD_FROM);
	struct bytes subject = header_reader_value(l->header, FIELD_SUBJECT);
	size_t fixed = (size_t)l->uid_width + 2 + 16 + 2 + 9 + 2 + 6 + 2 + ROW_NAME_WIDTH + 2;

	report_bytes(&size, l->msg.size);
	buf_addf(&line, "%*u  ", l->uid_width, l->msg.uid);
	row_add_date(&line, &l->date);
	buf_addf(&line, "  %9s  ", buf_str(&size));
	row_add_letters(&line, &l->flags);
	buf_add_str(&line, "  ");
	row_add_text(&line, decode_first_name(from), ROW_NAME_WIDTH, false);
	buf_add_str(&line, "  ");
	row_add_text(&line, decode_words(subject),
		  l->terminal == 0	   ? 0 :
		  l->terminal > fixed + 10 ? l->terminal - fixed :
					     10,
		  true);
	while (line.n > 0 && line.p[line.n - 1] == ' ')
		line.n--;
	if (uidset_has(&l->kept, l->msg.uid))
		buf_add_str(&line, "  (kept)");
	printf("%.*s\n", (int)line.n, buf_str(&line));
	buf_release(&line);
	buf_release(&size);
}

static void add_field(json_t *event, const char *name, struct bytes raw,
		      char *(*decode)(struct bytes raw))
{
	char *text;

	if (!raw.p)
		return;
	text = decode(raw);
	json_object_set_new(event, name, imap_json_text(bytes_of(text)));
	free(text);
}

static void print_event(struct listing *l)
{
	json_t *event = imap_json_event("message");
	struct maildate sent = { 0 };

	json_object_set_new(event, "uid", json_integer(l->msg.uid));
	row_json_moment(event, "date", &l->date);
	json_object_set_new(event, "size", json_integer((json_int_t)l->msg.size));
	json_object_set_new(event, "flags", imap_json_flags(&l->flags));
	json_object_set_new(event, "kept", json_boolean(uidset_has(&l->kept, l->msg.uid)));
	add_field(event, "from", header_reader_value(l->header, FIELD_FROM), decode_addresses);
	add_field(event, "subject", header_reader_value(l->header, FIELD_SUBJECT), decode_words);
	add_field(event, "message_id", header_reader_value(l->header, FIELD_MESSAGE_ID),
		  decode_words);
	if (decode_date(header_reader_value(l->header, FIELD_DATE), &sent))
		row_json_moment(event, "sent", &sent);
	maildate_release(&sent);
	report_event(event);
}

static void show_message(struct listing *l)
{
	l->shown = true;
	if (l->lk->app->quiet)
		return;
	if (l->lk->app->json)
		print_event(l);
	else
		print_row(l);
}

static void take_attributes(struct listing *l, const struct message *msg)
{
	l->msg = *msg;
	l->attributes = msg->flags && msg->date;
	if (msg->flags)
		flags_copy(&l->flags, msg->flags);
	if (msg->date)
		maildate_copy(&l->date, msg->date);
}

static int on_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		    struct err *err)
{
	struct listing *l = ctx;

	(void)tag;
	(void)err;
	*handle = l;
	l->shown = false;
	header_reader_reset(l->header);
	take_attributes(l, msg);
	return 0;
}

/* Once the header was seen, the rest need not be read: refusing the message ends it. */
static int on_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct listing *l = handle;

	(void)ctx;
	if (header_reader_feed(l->header, piece) != HEADER_DONE || !l->attributes)
		return 0;
	show_message(l);
	return err_set(err, ERR_MESSAGE, "no more of it is needed");
}

static int on_end(void *ctx, void *handle, const struct message *msg, bool complete,
		  struct err *err)
{
	struct listing *l = handle;

	(void)ctx;
	(void)err;
	if (l->shown || !complete)
		return 0;
	header_reader_finish(l->header);
	take_attributes(l, msg);
	show_message(l);
	return 0;
}

static void on_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct listing *l = ctx;

	(void)tag;
	(void)new_uid;
	if (what == OUTCOME_DONE || (l->shown && l->msg.uid == uid))
		return;
	l->failed = true;
	report_line(l->lk->app, NULL, "message %u cannot be read: %s", uid,
		    why && *why->text ? why->text : "its file is gone");
}

static int list_messages(struct look *lk, const char *name, bool *failed, struct err *err)
{
	struct listing l = { .lk = lk, .terminal = columns_terminal() };
	const struct message_sink sink = { &l, on_begin, on_write, on_end };
	struct uidset uids = UIDSET_INIT;
	struct want want = { .exact = true, .set = &uids };
	struct changes held;
	char last[16];
	int ret = -1;

	changes_init(&held);
	if (look_mailbox(lk, name, &want.mailbox, err) < 0 ||
	    look_contents(want.mailbox, &held, err) < 0)
		goto out;
	for (size_t i = 0; i < held.n; i++)
		uidset_add(&uids, held.v[i].uid);
	if (look_kept(lk, mailbox_list_find(&lk->list, &want.mailbox->name), &uids, &l.kept, err) < 0)
		goto out;
	l.header = header_reader_new(field_names, N_FIELDS);
	l.uid_width = snprintf(last, sizeof(last), "%3u", held.n ? held.v[held.n - 1].uid : 0);
	if (!lk->app->json && !lk->app->quiet)
		printf("%*s  %-16s  %9s  %-6s  %-*s  %s\n", l.uid_width, "UID", "DATE", "SIZE",
		       "FLAGS", (int)ROW_NAME_WIDTH, "FROM", "SUBJECT");
	ret = store_fetch(lk->store, &want, held.n ? 1 : 0, &sink, on_outcome, &l, err);
	if (ret == 0 && want.err.kind != ERR_NONE) {
		*err = want.err;
		ret = -1;
	}
	*failed = l.failed;
out:
	header_reader_free(l.header);
	flags_release(&l.flags);
	maildate_release(&l.date);
	uidset_release(&uids);
	uidset_release(&l.kept);
	changes_release(&held);
	return ret;
}

static int ls_run(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	struct look lk;
	bool failed = false;
	const char *arg;
	int ret;

	if (cmd_next_option(app, &cmd_ls, argc, argv, &arg) == CMD_OPTIONS_BAD)
		return EXIT_USAGE;
	if (argc - optind < 1 || argc - optind > 2)
		return cmd_usage_error(&cmd_ls, "a STORE is needed, and then perhaps a MAILBOX");
	ret = look_open_at(&lk, app, argv[optind], argc - optind == 1 ? LOOK_LIVE : LOOK_KEPT, &err);
	if (ret == 0 && argc - optind == 1)
		ret = list_mailboxes(&lk, &failed, &err);
	else if (ret == 0)
		ret = list_messages(&lk, argv[optind + 1], &failed, &err);
	look_close(&lk);
	if (ret < 0)
		return (int)report_error(app, &err);
	return failed ? EXIT_INCOMPLETE : EXIT_DONE;
}

const struct cmd cmd_ls = {
	.name = "ls",
	.args = "STORE[@SNAPSHOT] [MAILBOX]",
	.summary = "List the mailboxes of a store, or the messages of one.",
	.details =
		"FLAGS has a letter each: Seen, Answered, Flagged, Deleted, drafT; + for keywords.\n"
		"DATE is when the message arrived, in local time. 'show' has the whole of one.\n"
		"Kept messages (gone at the account and kept, or imported) are counted beside their\n"
		"mailbox, and marked where messages are listed.",
	.run = ls_run,
};
