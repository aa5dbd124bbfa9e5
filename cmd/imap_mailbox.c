/* Commands about mailboxes that only look at them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "core/base/log.h"
#include "core/mail/mailbox_name.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

/* --- list, lsub --- */

static void show_entry(const struct imap_cli *cli, const char *command,
		       const struct imap_mailbox_entry *e)
{
	bool subscribed = (e->attributes & IMAP_MAILBOX_SUBSCRIBED) != 0;
	const char *attributes = e->raw_attributes ? e->raw_attributes : "";
	char *name = mailbox_name_text(&e->name);
	json_t *event;

	if (!cli->app->json) {
		imap_say(bytes_of(name));
		printf("  (");
		imap_say_words(bytes_of(attributes));
		printf(")%s%s\n", subscribed ? " subscribed" : "",
		       e->dubious ? " (the server's line was not legal)" : "");
		free(name);
		return;
	}
	event = imap_json_event(command);
	json_object_set_new(event, "mailbox", imap_json_text(bytes_of(name)));
	json_object_set_new(event, "wire", imap_json_text(e->name.wire));
	json_object_set_new(event, "delimiter",
			    e->name.delimiter ?
				    imap_json_text(bytes_from(&e->name.delimiter, 1)) :
				    json_null());
	json_object_set_new(event, "attributes", imap_json_text(bytes_of(attributes)));
	json_object_set_new(event, "subscribed", json_boolean(subscribed));
	report_event(event);
	free(name);
}

/* `pattern` NULL: all. */
static void show_list(struct imap_cli *cli, const char *command, const char *pattern,
		      const struct imap_mailbox_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!pattern || mailbox_name_matches(&list->entries[i].name, bytes_of(pattern)))
			show_entry(cli, command, &list->entries[i]);
	if (list->complete)
		return;
	report_line(cli->app, NULL, "%s: the server did not show all of it", command);
	cli->incomplete = true;
}

static int list_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	const char *reference = call->n_args > 0 ? call->args[0] : "";
	const char *wanted = call->n_args > 1 ? call->args[1] : "*";
	struct imap_list_options options = { .subscribed = true };
	struct buf pattern = BUF_INIT(1 << 16);
	struct buf prefix = BUF_INIT(1 << 16);
	struct imap_mailbox_list list;
	int ret = -1;

	buf_addf(&pattern, "%s%s", reference, wanted);
	/* Some servers show what lies in other namespaces only to those who name them. */
	if (*reference && !strpbrk(reference, "*%")) {
		if (imap_cli_wire_name(cli, reference, &prefix, err) < 0)
			goto out;
		options.prefix = buf_str(&prefix);
	}
	if (imap_list_wait(cli->session, &options, &list, err) < 0)
		goto out;
	show_list(cli, "list", buf_str(&pattern), &list);
	imap_mailbox_list_release(&list);
	ret = 0;
out:
	buf_release(&prefix);
	buf_release(&pattern);
	return ret;
}

const struct imap_sub sub_list = {
	.name = "list",
	.args = "[REFERENCE [PATTERN]]",
	.summary = "Show mailboxes whose name is REFERENCE and PATTERN together; * is anything, "
		   "% anything but /.",
	.example = "list '' 'Archive/%'",
	.max_args = 2,
	.run = list_run,
};

static int lsub_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct imap_mailbox_list list;

	(void)call;
	if (imap_lsub_wait(cli->session, &list, err) < 0)
		return -1;
	show_list(cli, "lsub", NULL, &list);
	imap_mailbox_list_release(&list);
	return 0;
}

const struct imap_sub sub_lsub = {
	.name = "lsub",
	.args = "",
	.summary = "Show the mailboxes that are subscribed.",
	.example = "lsub",
	.run = lsub_run,
};

/* --- status --- */

static const struct status_item {
	const char *name; /* as typed and as shown */
	unsigned bit;
} status_items[] = {
	{ "messages", IMAP_ITEM_MESSAGES },	  { "recent", IMAP_ITEM_RECENT },
	{ "uidnext", IMAP_ITEM_UIDNEXT },	  { "uidvalidity", IMAP_ITEM_UIDVALIDITY },
	{ "unseen", IMAP_ITEM_UNSEEN },		  { "highestmodseq", IMAP_ITEM_HIGHESTMODSEQ },
	{ "size", IMAP_ITEM_SIZE },		  { "deleted", IMAP_ITEM_DELETED },
	{ "appendlimit", IMAP_ITEM_APPENDLIMIT }, { "mailboxid", IMAP_ITEM_MAILBOXID },
};

/* What is shown unless something is asked for: the others can make a server count for long. */
#define STATUS_CHEAP                                                                         \
	(IMAP_ITEM_MESSAGES | IMAP_ITEM_RECENT | IMAP_ITEM_UIDNEXT | IMAP_ITEM_UIDVALIDITY | \
	 IMAP_ITEM_UNSEEN | IMAP_ITEM_HIGHESTMODSEQ)
#define STATUS_ITEMS (sizeof(status_items) / sizeof(status_items[0]))

/* 0: not an item. */
static unsigned status_bit(const char *name)
{
	for (size_t i = 0; i < STATUS_ITEMS; i++)
		if (strcasecmp(status_items[i].name, name) == 0)
			return status_items[i].bit;
	return 0;
}

static int status_check(const struct imap_call *call, struct err *err)
{
	for (size_t i = 0; i < call->n_args; i++)
		if (!status_bit(call->args[i]))
			return err_set(err, ERR_CONFIG, "status: there is no item '%s'",
				       call->args[i]);
	return 0;
}

static uint64_t status_value(const struct imap_mailbox_status *st, unsigned bit)
{
	switch (bit) {
	case IMAP_ITEM_MESSAGES:
		return st->messages;
	case IMAP_ITEM_RECENT:
		return st->recent;
	case IMAP_ITEM_UIDNEXT:
		return st->uid_next;
	case IMAP_ITEM_UIDVALIDITY:
		return st->uid_validity;
	case IMAP_ITEM_UNSEEN:
		return st->unseen;
	case IMAP_ITEM_HIGHESTMODSEQ:
		return st->highest_modseq;
	case IMAP_ITEM_SIZE:
		return st->size;
	case IMAP_ITEM_DELETED:
		return st->deleted;
	default:
		return st->append_limit;
	}
}

struct status_call {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
	const char *mailbox;
	bool told;
};

void imap_show_status(const struct imap_cli *cli, const char *command, const char *mailbox,
		      const struct imap_mailbox_status *st)
{
	json_t *event = imap_json_event(command);

	json_object_set_new(event, "mailbox", imap_json_text(bytes_of(mailbox)));
	for (size_t i = 0; i < STATUS_ITEMS; i++) {
		unsigned bit = status_items[i].bit;
		const char *name = status_items[i].name;
		uint64_t n;

		if (!(st->present & bit))
			continue;
		if (!cli->app->json)
			printf("%s ", name);
		if (bit == IMAP_ITEM_MAILBOXID) {
			json_object_set_new(event, name, imap_json_text(st->mailbox_id));
			if (!cli->app->json)
				imap_say(st->mailbox_id);
		} else {
			n = status_value(st, bit);
			json_object_set_new(event, name,
					    n > INT64_MAX ? json_null() :
							    json_integer((json_int_t)n));
			if (!cli->app->json && n > INT64_MAX)
				printf("none");
			else if (!cli->app->json)
				printf("%llu", (unsigned long long)n);
		}
		if (!cli->app->json)
			putchar('\n');
	}
	if (cli->app->json)
		report_event(event);
	else
		json_decref(event);
}

static void on_status(void *ctx, const struct imap_mailbox_status *status,
		      const struct imap_result *result)
{
	struct status_call *call = ctx;

	imap_answer_take(&call->answer, result);
	call->told = status != NULL;
	if (status)
		imap_show_status(call->cli, "status", call->mailbox, status);
}

static int status_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct status_call status = { .cli = cli, .mailbox = call->mailbox };
	struct buf wire = BUF_INIT(1 << 16);
	unsigned items = call->n_args ? 0 : STATUS_CHEAP;
	int ret = -1;

	for (size_t i = 0; i < call->n_args; i++)
		items |= status_bit(call->args[i]);
	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) < 0 ||
	    imap_status(cli->session, buf_bytes(&wire), items, on_status, &status, err) < 0)
		goto out;
	ret = imap_answer_wait(cli, &status.answer, err);
	if (ret == 0 && !status.told)
		ret = err_set(err, ERR_MAILBOX, "STATUS: the server says OK and tells nothing");
out:
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_status = {
	.name = "status",
	.args = "MAILBOX [ITEM]...",
	.summary = "Show counts of a mailbox without opening it: messages, recent, uidnext, "
		   "uidvalidity, unseen, highestmodseq, size, deleted, appendlimit, mailboxid.",
	.example = "status INBOX messages unseen",
	.needs = SUB_MAILBOX,
	.max_args = SUB_MANY,
	.check = status_check,
	.run = status_run,
};

/* --- select, examine --- */

static void say_number(const char *name, uint64_t n)
{
	if (n)
		printf("%s %llu\n", name, (unsigned long long)n);
}

static void say_mailbox(const struct imap_mailbox *m)
{
	if (m->exists_known)
		printf("messages %u\n", m->exists);
	say_number("uidvalidity", m->uid_validity);
	say_number("uidnext", m->uid_next);
	if (!m->no_modseq)
		say_number("highestmodseq", m->highest_modseq);
	printf("flags ");
	imap_say_flags(&m->flags, false);
	if (m->permanent_known) {
		printf("\npermanentflags ");
		imap_say_flags(&m->permanent_flags, m->new_keywords);
	}
	printf("\naccess %s\n", m->read_only || m->examined ? "read-only" : "read-write");
	if (m->mailbox_id) {
		printf("mailboxid ");
		imap_say(bytes_of(m->mailbox_id));
		putchar('\n');
	}
}

static void add_number(json_t *event, const char *name, uint64_t n)
{
	if (n)
		json_object_set_new(event, name, json_integer((json_int_t)n));
}

static void show_mailbox(const struct imap_cli *cli, const struct imap_call *call,
			 const struct imap_mailbox *m)
{
	json_t *event;

	if (!cli->app->json) {
		say_mailbox(m);
		return;
	}
	event = imap_json_event(call->sub->name);
	json_object_set_new(event, "mailbox", imap_json_text(bytes_of(call->mailbox)));
	if (m->exists_known)
		json_object_set_new(event, "messages", json_integer(m->exists));
	add_number(event, "uidvalidity", m->uid_validity);
	add_number(event, "uidnext", m->uid_next);
	add_number(event, "highestmodseq", m->no_modseq ? 0 : m->highest_modseq);
	json_object_set_new(event, "flags", imap_json_flags(&m->flags));
	if (m->permanent_known) {
		json_object_set_new(event, "permanentflags",
				    imap_json_flags(&m->permanent_flags));
		json_object_set_new(event, "new_keywords", json_boolean(m->new_keywords));
	}
	json_object_set_new(event, "read_only", json_boolean(m->read_only || m->examined));
	if (m->mailbox_id)
		json_object_set_new(event, "mailboxid", imap_json_text(bytes_of(m->mailbox_id)));
	report_event(event);
}

struct resync {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
	const struct imap_call *call;
};

static void on_vanished(void *ctx, const struct uidset *uids)
{
	const struct resync *r = ctx;

	imap_show_set(r->cli, r->call->sub->name, "vanished", uids);
}

static void on_changed(void *ctx, const struct imap_fetch *m)
{
	const struct resync *r = ctx;

	imap_show_message(r->cli, r->call->sub->name, m, NULL, 0);
}

static int parse_resync(const struct imap_call *call, struct imap_resync *since, struct err *err)
{
	*since = (struct imap_resync){ 0 };
	if (call->n_args == 0)
		return 0;
	if (call->n_args == 2 && bytes_to_u32(bytes_of(call->args[0]), &since->uid_validity) &&
	    bytes_to_u64(bytes_of(call->args[1]), &since->modseq) && since->uid_validity &&
	    since->modseq)
		return 0;
	return err_set(err, ERR_CONFIG, "%s: UIDVALIDITY and MODSEQ are two numbers above 0",
		       call->sub->name);
}

static int select_check(const struct imap_call *call, struct err *err)
{
	struct imap_resync since;

	return parse_resync(call, &since, err);
}

/* What came and went since the mailbox was in that state, then its state now. */
static int select_resync(struct imap_cli *cli, const struct imap_call *call,
			 const struct imap_resync *since, const struct imap_mailbox **out,
			 struct err *err)
{
	struct resync resync = { .cli = cli, .call = call };
	const struct imap_resync_sink sink = { .vanished = on_vanished,
					       .message = on_changed,
					       .done = imap_answer_take,
					       .ctx = &resync };
	struct buf wire = BUF_INIT(1 << 16);
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) == 0 &&
	    imap_select_resync(cli->session, buf_bytes(&wire), call->sub == &sub_examine, since,
			       &sink, err) == 0)
		ret = imap_answer_wait(cli, &resync.answer, err);
	*out = resync.answer.mailbox;
	buf_release(&wire);
	return ret;
}

static int select_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	const struct imap_mailbox *m = NULL;
	struct imap_resync since;
	int ret = parse_resync(call, &since, err);

	if (ret == 0 && since.modseq)
		ret = select_resync(cli, call, &since, &m, err);
	else if (ret == 0)
		ret = imap_cli_open(cli, call->mailbox, call->sub == &sub_examine, true, &m, err);
	if (ret == 0)
		show_mailbox(cli, call, m);
	return ret;
}

const struct imap_sub sub_select = {
	.name = "select",
	.args = "MAILBOX [UIDVALIDITY MODSEQ]",
	.summary = "Open a mailbox for changes and show its state; after enable QRESYNC, also "
		   "what came, changed or vanished since that one.",
	.example = "select INBOX",
	.needs = SUB_MAILBOX,
	.max_args = 2,
	.check = select_check,
	.run = select_run,
};

const struct imap_sub sub_examine = {
	.name = "examine",
	.args = "MAILBOX [UIDVALIDITY MODSEQ]",
	.summary = "Open a mailbox read-only and show its state; after enable QRESYNC, also "
		   "what came, changed or vanished since that one.",
	.example = "examine Archive/2024",
	.needs = SUB_MAILBOX,
	.max_args = 2,
	.check = select_check,
	.run = select_run,
};
