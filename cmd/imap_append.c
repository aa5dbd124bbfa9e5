/* `append` and `replace`: files become messages. */
#include <stdlib.h>

#include "core/base/mem.h"

#include "cmd/imap_source.h"

static void describe(struct imap_append_message *m, struct source *source,
		     const struct new_message *new, const struct imap_call *call)
{
	*m = (struct imap_append_message){
		.flags = &new->flags,
		.date = &new->date,
		.size = source->size,
		.binary = source->binary,
		.utf8 = call->given & SUB_OPT_UTF8,
		.read = source_read,
		.ctx = source,
	};
}

/* --- append --- */

static int append_all(struct imap_cli *cli, const struct imap_call *call,
		      const struct new_message *new, struct source *sources,
		      struct imap_append_message *messages, struct err *err)
{
	struct added added = { .cli = cli, .command = call->sub->name };
	struct buf wire = BUF_INIT(1 << 16);
	int ret = -1;

	for (size_t i = 0; i < call->n_args; i++) {
		if (source_open(&sources[i], call->sub->name, call->args[i], err) < 0)
			goto out;
		describe(&messages[i], &sources[i], new, call);
	}
	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) < 0)
		goto out;
	if (imap_append(cli->session, &(struct imap_append_request){
		.mailbox = buf_bytes(&wire), .messages = messages, .n = call->n_args },
		imap_added, &added, err) == 0)
		ret = imap_answer_wait(cli, &added.answer, err);
out:
	buf_release(&wire);
	return ret;
}

static int append_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct source *sources = xcalloc(call->n_args, sizeof(*sources));
	struct imap_append_message *messages = xcalloc(call->n_args, sizeof(*messages));
	struct new_message new;
	int ret = -1;

	if (new_message_init(&new, call, err) == 0)
		ret = append_all(cli, call, &new, sources, messages, err);
	for (size_t i = 0; i < call->n_args; i++)
		source_close(&sources[i]);
	free(sources);
	free(messages);
	new_message_release(&new);
	return ret;
}

const struct imap_sub sub_append = {
	.name = "append",
	.args = "MAILBOX FILE...",
	.summary = "Add files (- is standard input) as messages, all of them or none, and show "
		   "their UIDs, if the server tells. Line ends become CRLF.",
	.example = "append --flags='\\Seen' --date=2024-02-29T12:00:00+01:00 Archive message.eml",
	.needs = SUB_MAILBOX,
	.options = SUB_OPT_FLAGS | SUB_OPT_DATE | SUB_OPT_UTF8,
	.min_args = 1,
	.max_args = SUB_MANY,
	.check = new_message_check,
	.run = append_run,
};

/* --- replace --- */

static int replace_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct added added = { .cli = cli, .command = call->sub->name };
	struct buf wire = BUF_INIT(1 << 16);
	struct imap_append_message message;
	struct source source = { .file = NULL };
	struct new_message new;
	int ret = -1;

	if (new_message_init(&new, call, err) < 0)
		goto out;
	if (uidset_count(&call->set) != 1) {
		err_set(err, ERR_CONFIG, "replace: one message at a time");
		goto out;
	}
	if (source_open(&source, call->sub->name, call->args[0], err) < 0 ||
	    imap_cli_wire_name(cli, call->mailbox, &wire, err) < 0)
		goto out;
	describe(&message, &source, &new, call);
	if (imap_replace(cli->session, &(struct imap_replace_request){
		.number = uidset_min(&call->set), .mailbox = buf_bytes(&wire),
		.message = &message }, imap_added, &added, err) == 0)
		ret = imap_answer_wait(cli, &added.answer, err);
out:
	source_close(&source);
	new_message_release(&new);
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_replace = {
	.name = "replace",
	.args = "MAILBOX UID FILE",
	.summary = "Put a file in the place of a message, both or neither, and show the UID of the "
		   "new one, if the server tells. It has the flags and the date that are given here, "
		   "not those of the old one.",
	.example = "replace --flags='\\Draft' Drafts 7 draft.eml",
	.needs = SUB_MAILBOX | SUB_SET | SUB_SELECT,
	.options = SUB_OPT_FLAGS | SUB_OPT_DATE | SUB_OPT_UTF8,
	.min_args = 1,
	.max_args = 1,
	.check = new_message_check,
	.run = replace_run,
};
