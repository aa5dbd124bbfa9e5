/* Commands that change messages: store, copy, move, expunge. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "core/imap/commands_message.h"
#include "core/mail/flags.h"
#include "core/msgset/uidlist.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

/* --- store --- */

static int parse_flags(const struct imap_call *call, struct flags *flags, struct err *err)
{
	for (size_t i = 1; i < call->n_args; i++)
		if (!flags_add(flags, bytes_of(call->args[i])))
			return err_set(err, ERR_CONFIG, "store: '%s' is no flag", call->args[i]);
	return 0;
}

static int parse_how(const char *word, enum imap_store_how *how, struct err *err)
{
	static const struct {
		const char *name;
		enum imap_store_how how;
	} words[] = { { "add", IMAP_STORE_ADD },
		      { "remove", IMAP_STORE_REMOVE },
		      { "set", IMAP_STORE_REPLACE } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(words[i].name, word) != 0)
			continue;
		*how = words[i].how;
		return 0;
	}
	return err_set(err, ERR_CONFIG, "store: add, remove or set, not '%s'", word);
}

static int store_check(const struct imap_call *call, struct err *err)
{
	struct flags flags = FLAGS_INIT;
	enum imap_store_how how;
	int ret = parse_how(call->args[0], &how, err);

	if (ret == 0)
		ret = parse_flags(call, &flags, err);
	if (ret == 0 && call->n_args == 1 && how != IMAP_STORE_REPLACE)
		ret = err_set(err, ERR_CONFIG, "store: which flags?");
	flags_release(&flags);
	return ret;
}

struct store {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
};

static void on_stored(void *ctx, const struct imap_fetch *m)
{
	imap_show_message(((const struct store *)ctx)->cli, "store", m, NULL, 0);
}

static void on_store_done(void *ctx, const struct uidset *modified,
			  const struct imap_result *result)
{
	struct store *s = ctx;

	imap_answer_take(&s->answer, result);
	if (modified && !uidset_is_empty(modified))
		imap_show_set(s->cli, "store", "modified", modified);
}

static int store_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct flags flags = FLAGS_INIT;
	struct store store = { .cli = cli };
	struct imap_store_request request = {
		.set = &call->set,
		.flags = &flags,
		.conditional = call->given & SUB_OPT_UNCHANGED_SINCE,
		.unchanged_since = call->unchanged_since,
	};
	const struct imap_store_sink sink = { .message = on_stored,
					      .done = on_store_done,
					      .ctx = &store };
	int ret = -1;

	if (parse_how(call->args[0], &request.how, err) == 0 &&
	    parse_flags(call, &flags, err) == 0 &&
	    imap_store_flags(cli->session, &request, &sink, err) == 0)
		ret = imap_answer_wait(cli, &store.answer, err);
	flags_release(&flags);
	return ret;
}

const struct imap_sub sub_store = {
	.name = "store",
	.args = "MAILBOX SET add|remove|set [FLAG]...",
	.summary = "Change flags of messages and show the new ones; 'modified' are those left as "
		   "they are because of --unchanged-since.",
	.example = "store INBOX 3:5 add '\\Seen' '$Forwarded'",
	.needs = SUB_MAILBOX | SUB_SET | SUB_SELECT,
	.options = SUB_OPT_UNCHANGED_SINCE,
	.min_args = 1,
	.max_args = SUB_MANY,
	.check = store_check,
	.run = store_run,
};

/* --- copy, move --- */

struct copy {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
	const char *command;
};

static void show_range(struct buf *out, uint32_t first, uint32_t n)
{
	if (n == 1)
		buf_addf(out, "%u", first);
	else
		buf_addf(out, "%u:%u", first, first + n - 1);
}

static void show_run(const struct copy *c, const struct uidlist_run *run)
{
	struct buf from = BUF_INIT(32), to = BUF_INIT(32);
	json_t *event;

	show_range(&from, run->source, run->n);
	show_range(&to, run->target, run->n);
	if (c->cli->app->json) {
		event = imap_json_event(c->command);
		json_object_set_new(event, "source", json_string(buf_str(&from)));
		json_object_set_new(event, "target", json_string(buf_str(&to)));
		report_event(event);
	} else {
		printf("%s -> %s\n", buf_str(&from), buf_str(&to));
	}
	buf_release(&from);
	buf_release(&to);
}

static void on_copied(void *ctx, const struct imap_copy_answer *a,
		      const struct imap_result *result)
{
	struct copy *c = ctx;
	struct uidlist_pairs pairs;
	struct uidlist_run run;
	struct err err;
	json_t *event;

	imap_answer_take(&c->answer, result);
	if (!a->known || uidlist_pairs_init(&pairs, a->source, a->target, NULL, &err) < 0)
		return;
	if (c->cli->app->json) {
		event = imap_json_event(c->command);
		json_object_set_new(event, "uidvalidity", json_integer(a->uid_validity));
		report_event(event);
	} else {
		printf("uidvalidity %u\n", a->uid_validity);
	}
	while (uidlist_pairs_next(&pairs, &run))
		show_run(c, &run);
}

static int copy_or_move(struct imap_cli *cli, const struct imap_call *call, bool move,
			struct err *err)
{
	struct copy copy = { .cli = cli, .command = call->sub->name };
	struct buf wire = BUF_INIT(1 << 16);
	struct imap_copy_request request = { .set = &call->set, .move = move };
	int ret = -1;

	if (imap_cli_wire_name(cli, call->args[0], &wire, err) < 0)
		goto out;
	request.mailbox = buf_bytes(&wire);
	if (imap_copy(cli->session, &request, on_copied, &copy, err) == 0)
		ret = imap_answer_wait(cli, &copy.answer, err);
out:
	buf_release(&wire);
	return ret;
}

static int copy_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	return copy_or_move(cli, call, false, err);
}

const struct imap_sub sub_copy = {
	.name = "copy",
	.args = "MAILBOX SET TARGET",
	.summary = "Copy messages to another mailbox and show their UIDs there, if the server "
		   "tells.",
	.example = "copy INBOX 7:9 Archive",
	.needs = SUB_MAILBOX | SUB_SET | SUB_EXAMINE,
	.min_args = 1,
	.max_args = 1,
	.run = copy_run,
};

static int move_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	return copy_or_move(cli, call, true, err);
}

const struct imap_sub sub_move = {
	.name = "move",
	.args = "MAILBOX SET TARGET",
	.summary = "Move messages to another mailbox and show their UIDs there, if the server "
		   "tells.",
	.example = "move INBOX 7:9 Archive",
	.needs = SUB_MAILBOX | SUB_SET | SUB_SELECT,
	.min_args = 1,
	.max_args = 1,
	.run = move_run,
};

/* --- expunge --- */

static void on_expunged(void *ctx, const struct imap_expunge_answer *a,
			const struct imap_result *result)
{
	struct store *s = ctx;
	json_t *event;

	imap_answer_take(&s->answer, result);
	if (result->outcome != IMAP_DONE_OK)
		return;
	if (s->cli->app->json) {
		event = imap_json_event("expunge");
		json_object_set_new(event, "removed", json_integer((json_int_t)a->removed));
		report_event(event);
	} else {
		printf("removed %llu\n", (unsigned long long)a->removed);
	}
}

static int expunge_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct store store = { .cli = cli };

	if (imap_expunge(cli->session, call->has_set ? &call->set : NULL, on_expunged, &store,
			 err) < 0)
		return -1;
	return imap_answer_wait(cli, &store.answer, err);
}

const struct imap_sub sub_expunge = {
	.name = "expunge",
	.args = "MAILBOX [SET]",
	.summary = "Remove for good those messages of SET that are \\Deleted. Without a SET: all "
		   "that are, whoever marked them.",
	.example = "expunge Trash 40:60",
	.needs = SUB_MAILBOX | SUB_SET_IF | SUB_SELECT,
	.options = SUB_OPT_SEQ,
	.run = expunge_run,
};
