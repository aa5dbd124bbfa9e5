/* `idle` and `notify`: events as they come. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "core/base/clock.h"
#include "core/imap/commands_watch.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

#define SECONDS_DEFAULT 60

struct watch {
	struct imap_cli *cli;
	const char *command;
	bool overflow;
};

static int64_t end_of(const struct imap_call *call)
{
	uint64_t seconds = call->seconds ? call->seconds : SECONDS_DEFAULT;

	return clock_ms() + (int64_t)seconds * 1000;
}

static void show_word(const struct watch *w, const char *word, const char *value)
{
	json_t *event;

	if (!w->cli->app->json) {
		printf("%s%s", word, value ? " " : "");
		if (value)
			imap_say(bytes_of(value));
		putchar('\n');
		return;
	}
	event = imap_json_event(w->command);
	json_object_set_new(event, "news", json_string(word));
	if (value)
		json_object_set_new(event, "value", imap_json_text(bytes_of(value)));
	report_event(event);
}

static void show_event(struct watch *w, const struct imap_event *ev)
{
	const struct imap_response *r = ev->response;
	char number[24], *name;

	switch (ev->kind) {
	case IMAP_EVENT_EXISTS:
		snprintf(number, sizeof(number), "%u", r->u.number);
		show_word(w, "messages", number);
		break;
	case IMAP_EVENT_REMOVED:
		show_word(w, "removed", NULL);
		break;
	case IMAP_EVENT_FLAGS:
		if (r->u.fetch.present & IMAP_FETCH_UID)
			imap_show_message(w->cli, w->command, &r->u.fetch, NULL, 0);
		else
			show_word(w, "flags", NULL);
		break;
	case IMAP_EVENT_STATUS:
		name = imap_cli_display(w->cli, r->u.mailbox.name);
		show_word(w, "mailbox", name);
		imap_show_status(w->cli, w->command, name, &r->u.mailbox);
		free(name);
		break;
	case IMAP_EVENT_NAME:
		name = imap_cli_display(w->cli, r->u.list.name);
		show_word(w, "name", name);
		free(name);
		break;
	case IMAP_EVENT_OVERFLOW:
		w->overflow = true;
		break;
	}
	fflush(stdout);
}

/* --- idle --- */

static bool on_event(void *ctx, const struct imap_event *ev)
{
	struct watch *w = ctx;

	show_event(w, ev);
	return !w->overflow;
}

static int idle_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct watch watch = { .cli = cli, .command = "idle" };

	return imap_idle_wait(cli->session, on_event, &watch, end_of(call), err);
}

const struct imap_sub sub_idle = {
	.name = "idle",
	.args = "MAILBOX",
	.summary = "Show what happens in a mailbox while it happens, for --seconds.",
	.example = "idle --seconds=600 INBOX",
	.needs = SUB_MAILBOX | SUB_EXAMINE,
	.options = SUB_OPT_SECONDS,
	.run = idle_run,
};

/* --- notify --- */

static int notify_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	const struct imap_notify_request all = { .selected = true, .others = true }, none = { 0 };
	struct watch watch = { .cli = cli, .command = "notify" };
	bool accepted;

	if (imap_notify_wait(cli->session, &all, &accepted, err) < 0)
		return -1;
	if (!accepted)
		return err_set(err, ERR_MAILBOX, "notify: the server does not offer or refuses it");
	/* Some servers look after the selected mailbox only while they are asked something. */
	if (imap_idle_wait(cli->session, on_event, &watch, end_of(call), err) < 0)
		return -1;
	if (watch.overflow)
		return err_set(err, ERR_MAILBOX, "notify: too much happens, the server tells no "
						 "more");
	return imap_notify_wait(cli->session, &none, &accepted, err);
}

const struct imap_sub sub_notify = {
	.name = "notify",
	.args = "MAILBOX",
	.summary = "Show what happens in all mailboxes, messages only of this one, for --seconds.",
	.example = "notify --seconds=600 INBOX",
	.needs = SUB_MAILBOX | SUB_EXAMINE,
	.options = SUB_OPT_SECONDS,
	.run = notify_run,
};
