#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/bytes.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/commands_manage.h"
#include "core/imap/loop.h"

#include "cmd/config.h"
#include "cmd/imap_cli.h"
#include "cmd/imap_words.h"
#include "cmd/report.h"

/* --- waiting for answers --- */

void imap_answer_take(void *ctx, const struct imap_result *result)
{
	struct imap_answer *a = ctx;

	a->done = true;
	a->damaged = result->damaged;
	a->outcome = result->outcome;
	if (result->outcome != IMAP_DONE_OK)
		a->err = *result->err;
	a->mailbox = result->mailbox;
}

int imap_answer_wait(struct imap_cli *cli, const struct imap_answer *answer, struct err *err)
{
	/* Nothing may be left that would call back into a frame that is gone. */
	if (imap_session_drain(cli->session, err) < 0) {
		imap_session_close(cli->session, err);
		return -1;
	}
	if (answer->damaged) {
		report_line(cli->app, NULL, "the server sent something unreadable meanwhile: the "
					    "answer may not be complete");
		cli->incomplete = true;
	}
	if (answer->outcome == IMAP_DONE_OK)
		return 0;
	*err = answer->err;
	return -1;
}

/* --- mailboxes --- */

static bool is_below(const struct mailbox_name *m, const struct mailbox_name *prefix)
{
	for (size_t i = 0; i < prefix->count; i++)
		if (i >= m->count || strcmp(m->components[i], prefix->components[i]) != 0)
			return false;
	return true;
}

/* Of the namespace the name lies in; the personal one's by default. */
static uint8_t delimiter_for(const struct imap_cli *cli, const struct mailbox_name *m)
{
	const struct imap_namespaces *ns = &cli->namespaces;
	uint8_t delimiter = ns->n ? ns->list[0].delimiter : '/';
	struct mailbox_name prefix = MAILBOX_NAME_INIT;

	for (size_t i = 0; i < ns->n; i++) {
		struct bytes wire = ns->list[i].prefix;

		if (wire.n && wire.p[wire.n - 1] == ns->list[i].delimiter)
			wire.n--;
		if (!wire.n)
			continue;
		mailbox_name_from_wire(&prefix, wire, ns->list[i].delimiter,
				       imap_session_utf8(cli->session));
		if (is_below(m, &prefix))
			delimiter = ns->list[i].delimiter;
	}
	mailbox_name_release(&prefix);
	return delimiter;
}

int imap_cli_wire_name(struct imap_cli *cli, const char *display, struct buf *out,
		       struct err *err)
{
	struct mailbox_name m = MAILBOX_NAME_INIT;
	int ret = -1;

	if (mailbox_name_from_display(&m, bytes_of(display), err) < 0)
		goto out;
	if (!mailbox_name_is_inbox(&m) && !cli->namespaces_known) {
		if (imap_namespace_wait(cli->session, &cli->namespaces, err) < 0)
			goto out;
		cli->namespaces_known = true;
	}
	ret = mailbox_name_to_wire(&m, delimiter_for(cli, &m), imap_session_utf8(cli->session),
				   out, err);
out:
	mailbox_name_release(&m);
	return ret;
}

char *imap_cli_display(const struct imap_cli *cli, struct bytes wire)
{
	struct mailbox_name m = MAILBOX_NAME_INIT;
	uint8_t delimiter = cli->namespaces.n ? cli->namespaces.list[0].delimiter : '/';
	char *text;

	mailbox_name_from_wire(&m, wire, delimiter, imap_session_utf8(cli->session));
	text = mailbox_name_text(&m);
	mailbox_name_release(&m);
	return text;
}

int imap_cli_open(struct imap_cli *cli, const char *display, bool read_only, bool anew,
		  const struct imap_mailbox **out, struct err *err)
{
	const struct imap_mailbox *open = imap_session_mailbox(cli->session);
	struct imap_answer answer = { 0 };
	struct buf wire = BUF_INIT(1 << 16);
	int ret = -1;

	if (imap_cli_wire_name(cli, display, &wire, err) < 0)
		goto out;
	if (!anew && open && strcmp(open->name, buf_str(&wire)) == 0 &&
	    (read_only || !open->examined)) {
		answer.mailbox = open;
		ret = 0;
		goto out;
	}
	if (imap_select(cli->session, buf_bytes(&wire), read_only, imap_answer_take, &answer,
			err) < 0)
		goto out;
	ret = imap_answer_wait(cli, &answer, err);
out:
	if (ret == 0 && out)
		*out = answer.mailbox;
	buf_release(&wire);
	return ret;
}

/* --- sets --- */

struct resolving {
	struct imap_answer answer; /* first */
	struct uidset *out;
};

static void on_resolved(void *ctx, const struct uidset *found, const struct imap_result *result)
{
	struct resolving *r = ctx;

	imap_answer_take(&r->answer, result);
	if (found)
		uidset_copy(r->out, found);
}

/* Message numbers and `*` become UIDs by asking, so that all else is about UIDs. */
static int resolve_set(struct imap_cli *cli, struct imap_call *call, uint32_t exists,
		       struct err *err)
{
	struct resolving r = { .out = &call->set };
	struct buf criteria = BUF_INIT(1 << 20);
	bool seq = call->given & SUB_OPT_SEQ;
	int ret = -1;

	if (!call->saved && !seq && !uidset_is_open(&call->set))
		return 0;
	/* What is gone is not found any more, but is what is asked for. */
	if (call->given & SUB_OPT_VANISHED)
		return call->saved || seq ? 0 : uidset_set_last(&call->set, UINT32_MAX, err);
	if (!exists) {
		uidset_clear(&call->set);
		return 0;
	}
	if (!seq)
		buf_add_str(&criteria, "UID ");
	if (call->saved ? !buf_add_str(&criteria, "$") : !uidset_format(&call->set, &criteria)) {
		err_set(err, ERR_CONFIG, "the set is too long");
		goto out;
	}
	uidset_clear(&call->set);
	if (imap_search(cli->session, buf_str(&criteria), NULL, on_resolved, &r, err) < 0)
		goto out;
	ret = imap_answer_wait(cli, &r.answer, err);
out:
	buf_release(&criteria);
	return ret;
}

/* --- running --- */

/* Not when a mailbox is open, so before anything else. */
static int enable_utf8(struct imap_cli *cli, const char *command, struct err *err)
{
	const enum imap_cap utf8 = IMAP_CAP_UTF8_ACCEPT;

	if (imap_session_enabled(cli->session, utf8))
		return 0;
	if (!imap_session_has(cli->session, utf8))
		return err_set(err, ERR_CONFIG, "%s: --utf8: the server does not offer UTF8=ACCEPT",
			       command);
	if (imap_enable_wait(cli->session, &utf8, 1, err) < 0)
		return -1;
	if (imap_session_enabled(cli->session, utf8))
		return 0;
	return err_set(err, ERR_MAILBOX, "%s: --utf8: the server did not enable UTF8=ACCEPT", command);
}

static int run_call(struct imap_cli *cli, struct imap_call *call, struct err *err)
{
	const struct imap_sub *sub = call->sub;
	const struct imap_mailbox *mailbox;

	if ((call->given & SUB_OPT_UTF8) && enable_utf8(cli, sub->name, err) < 0)
		return -1;
	if (sub->needs & (SUB_EXAMINE | SUB_SELECT)) {
		if (imap_cli_open(cli, call->mailbox, sub->needs & SUB_EXAMINE, false, &mailbox,
				  err) < 0)
			return -1;
		if (call->has_set && resolve_set(cli, call, mailbox->exists, err) < 0)
			return -1;
		if (call->has_set && uidset_is_empty(&call->set)) {
			report_line(cli->app, NULL, "%s: there is no such message", sub->name);
			return 0;
		}
	}
	return sub->run(cli, call, err);
}

/* NO and BAD are 1 whatever they say; without a session the usual codes hold. */
static enum exit_status exit_of(const struct imap_cli *cli, const struct err *err)
{
	if (err->kind == ERR_CONFIG || err->kind == ERR_STOPPED)
		return exit_of_err(err->kind);
	if (cli->session && imap_session_state(cli->session) != IMAP_STATE_CLOSED)
		return EXIT_FAILED;
	return exit_of_err(err->kind);
}

/* `line` 0: not from a script. */
static void complain(const struct imap_cli *cli, const char *command, unsigned line,
		     const struct err *err)
{
	json_t *event;

	if (line)
		report_line(cli->app, NULL, "line %u: %s", line, err->text);
	else
		report_line(cli->app, NULL, "%s", err->text);
	if (!cli->app->json)
		return;
	event = imap_json_event("error");
	if (command)
		json_object_set_new(event, "command", json_string(command));
	if (line)
		json_object_set_new(event, "line", json_integer(line));
	json_object_set_new(event, "text", imap_json_text(bytes_of(err->text)));
	report_event(event);
}

static enum exit_status do_call(struct imap_cli *cli, struct imap_call *call, unsigned line)
{
	struct err err = { 0 };
	json_t *event;

	if (run_call(cli, call, &err) < 0) {
		complain(cli, call->sub->name, line, &err);
		return exit_of(cli, &err);
	}
	if (cli->app->json) {
		event = imap_json_event("done");
		json_object_set_new(event, "command", json_string(call->sub->name));
		if (line)
			json_object_set_new(event, "line", json_integer(line));
		report_event(event);
	}
	fflush(stdout); /* whoever drives a script through a pipe waits for it */
	return EXIT_DONE;
}

static bool stop_wanted(void *ctx)
{
	return *((const struct app *)ctx)->stop != 0;
}

static int connect_session(struct imap_cli *cli, struct err *err)
{
	const struct imap_trace trace = {
		.level = log_wants(LOG_TRACE) ? IMAP_TRACE_ALL : IMAP_TRACE_OFF,
		.name = cli->account.imap.name,
	};

	cli->loop = loop_new(stop_wanted, cli->app);
	cli->session = imap_session_new(cli->loop, &cli->account.imap, &trace);
	return imap_session_open(cli->session, err);
}

static void disconnect(struct imap_cli *cli)
{
	struct err ignored;

	/* Whatever comes of saying good-bye, what was asked for is done. */
	if (cli->session && imap_session_is_ready(cli->session) && !*cli->app->stop)
		imap_logout_wait(cli->session, &ignored);
	imap_session_free(cli->session);
	if (cli->loop)
		loop_free(cli->loop);
	imap_namespaces_release(&cli->namespaces);
	account_release(&cli->account);
}

/* --- scripts --- */

/* Options are taken from a copy of `app`: those of the program do not belong into a line. */
static int line_call(const struct imap_cli *cli, struct words *words, struct imap_call *call,
		     struct err *err)
{
	struct app line_app = *cli->app;
	const char *arg;
	char *name;
	int option;

	optind = 0;
	while ((option = cmd_next_option(&line_app, &cmd_imap, (int)words->n, words->v, &arg)) !=
	       CMD_OPTIONS_END) {
		if (option == CMD_OPTIONS_BAD)
			return err_set(err, ERR_CONFIG, "%s: a bad option", words->v[0]);
		if (imap_call_option(call, option, arg, err) < 0)
			return -1;
	}
	if (memcmp(&line_app, cli->app, sizeof(line_app)) != 0)
		return err_set(err, ERR_CONFIG, "%s: options of every command stand on the command "
						"line", words->v[0]);
	/* The name before the operands, where getopt left an option. */
	name = words->v[0];
	words->v[0] = words->v[optind - 1];
	words->v[optind - 1] = name;
	return imap_call_make(call, words->v + optind - 1, words->n - (size_t)optind + 1, err);
}

static enum exit_status run_line(struct imap_cli *cli, struct bytes text, unsigned line)
{
	struct words words = { 0 };
	struct imap_call call = { .set = UIDSET_INIT, .json = cli->app->json };
	enum exit_status status = EXIT_USAGE;
	struct err err = { 0 };
	char *name = NULL;

	if (words_split(&words, text, &err) < 0) {
		complain(cli, NULL, line, &err);
		goto out;
	}
	if (!words.n) {
		status = EXIT_DONE;
		goto out;
	}
	name = xstrdup(words.v[0]);
	if (line_call(cli, &words, &call, &err) < 0) {
		complain(cli, name, line, &err);
		goto out;
	}
	if (imap_session_state(cli->session) == IMAP_STATE_CLOSED) {
		err_set(&err, ERR_CONFIG, "the session has ended already");
		complain(cli, name, line, &err);
		goto out;
	}
	status = do_call(cli, &call, line);
out:
	uidset_release(&call.set);
	words_release(&words);
	free(name);
	return status;
}

/* Up to the first line that fails: what follows may count on it. */
static enum exit_status run_script(struct imap_cli *cli)
{
	enum exit_status status = EXIT_DONE;
	unsigned line = 0;
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;

	while (status == EXIT_DONE && (n = getline(&text, &cap, stdin)) >= 0)
		status = run_line(cli, bytes_from(text, (size_t)n), ++line);
	if (*cli->app->stop)
		status = EXIT_INTERRUPTED;
	else if (status == EXIT_DONE && ferror(stdin)) {
		report_line(cli->app, NULL, "reading the script: %s", strerror(errno));
		status = EXIT_FAILED;
	}
	free(text);
	return status;
}

/* --- the command --- */

static const struct config_account *find_account(struct app *app, const char *name)
{
	const struct config *cfg = app_config(app);
	const struct config_account *ac;
	const char *near;

	if (!cfg)
		return NULL;
	ac = config_section(cfg, CONFIG_ACCOUNT, name);
	if (ac)
		return ac;
	near = config_nearest(cfg, CONFIG_ACCOUNT, name);
	cmd_usage_error(&cmd_imap, "there is no [account %s]%s%s%s", name,
			near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

/* `call` NULL: a script. */
static enum exit_status run_session(struct app *app, const struct config_account *ac,
				    struct imap_call *call)
{
	struct imap_cli cli = { .app = app };
	enum exit_status status;
	struct err err = { 0 };

	account_init(&cli.account, ac, false);
	if (connect_session(&cli, &err) < 0) {
		complain(&cli, call ? call->sub->name : NULL, 0, &err);
		status = exit_of(&cli, &err);
	} else {
		status = call ? do_call(&cli, call, 0) : run_script(&cli);
	}
	disconnect(&cli);
	return cli.incomplete ? exit_worse(status, EXIT_INCOMPLETE) : status;
}

static int show_help(char **names, size_t n)
{
	const struct imap_sub *sub;

	if (n == 0) {
		help_show(&cmd_imap);
		return EXIT_DONE;
	}
	sub = n == 1 ? imap_sub_find(names[0]) : NULL;
	if (!sub)
		return cmd_usage_error(&cmd_imap, "there is no help on '%s'", names[n - 1]);
	imap_sub_show(sub);
	return EXIT_DONE;
}

static int imap_run(struct app *app, int argc, char **argv)
{
	struct imap_call call = { .set = UIDSET_INIT };
	const struct config_account *ac;
	int option, status = EXIT_USAGE;
	struct err err = { 0 };
	const char *arg;
	bool script;

	while ((option = cmd_next_option(app, &cmd_imap, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option == CMD_OPTIONS_BAD)
			goto out;
		if (imap_call_option(&call, option, arg, &err) < 0) {
			cmd_usage_error(&cmd_imap, "%s", err.text);
			goto out;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc > 0 && strcmp(argv[0], "help") == 0) {
		status = show_help(argv + 1, (size_t)argc - 1);
		goto out;
	}
	if (argc < 2) {
		cmd_usage_error(&cmd_imap, "an account and a command are needed");
		goto out;
	}
	script = strcmp(argv[1], "-") == 0;
	if (script && (argc > 2 || call.given)) {
		cmd_usage_error(&cmd_imap, "with '-' everything else stands in the script");
		goto out;
	}
	call.json = app->json;
	if (!script && imap_call_make(&call, argv + 1, (size_t)argc - 1, &err) < 0) {
		cmd_usage_error(&cmd_imap, "%s", err.text);
		goto out;
	}
	ac = find_account(app, argv[0]);
	if (ac)
		status = (int)run_session(app, ac, script ? NULL : &call);
out:
	uidset_release(&call.set);
	return status;
}

const struct cmd cmd_imap = {
	.name = "imap",
	.args = "ACCOUNT COMMAND [ARGUMENT]...",
	.summary = "Say one IMAP command to a server and show the answer.",
	.details =
		"One session is made for it and ended again. Mailbox names are written as\n"
		"`list` shows them. A SET is UIDs such as 5 or 1:4,9 or 7:*. Without a MAILBOX\n"
		"that is open for changes nothing is marked as read. With - for COMMAND, commands\n"
		"are read from standard input, one a line, quoted as in a shell, and run in one\n"
		"session until one fails. The exit status is 0 when the server says OK, 1 when\n"
		"it says NO or BAD.",
	.options = imap_call_options,
	.more = imap_subs_show,
	.run = imap_run,
};
