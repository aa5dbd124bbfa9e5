/* `xatom`: any other command, its arguments encoded by what they are, its answer as it comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "core/base/mem.h"
#include "core/imap/tree.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

/* What these change the session has to know of. */
static bool is_refused(const char *name)
{
	static const char *const names[] = {
		"APPEND", "AUTHENTICATE", "CLOSE", "COMPRESS", "ENABLE", "EXAMINE", "IDLE",
		"LOGIN", "LOGOUT", "NOTIFY", "REPLACE", "SELECT", "STARTTLS", "UNAUTHENTICATE",
		"UNSELECT",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

static int xatom_check(const struct imap_call *call, struct err *err)
{
	if (is_refused(call->args[0]))
		return err_set(err, ERR_CONFIG, "xatom: %s only by the command of that name, or by "
						"the configuration", call->args[0]);
	return 0;
}

static void encode_argument(struct imap_encoder *e, struct bytes arg)
{
	size_t set = arg.n ? strspn((const char *)arg.p, "0123456789:,*$") : 0;
	size_t flag = arg.n && *arg.p == '\\' ?
			      strspn((const char *)arg.p + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							      "abcdefghijklmnopqrstuvwxyz") : 0;

	if (bytes_is(arg, "("))
		imap_encode_open(e);
	else if (bytes_is(arg, ")"))
		imap_encode_close(e);
	else if (arg.n > 1 && arg.p[0] == '"' && arg.p[arg.n - 1] == '"')
		imap_encode_string(e, bytes_from(arg.p + 1, arg.n - 2));
	else if (arg.n && set == arg.n)
		imap_encode_set_text(e, arg);
	else if (flag && flag + 1 == arg.n)
		imap_encode_word(e, (const char *)arg.p);
	else
		imap_encode_astring(e, arg);
}

struct xatom {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
};

/* Lists as arrays, NIL as null, all else as strings. */
static json_t *json_tree(const struct imap_node *node)
{
	json_t *list;

	if (node->type == IMAP_NODE_NIL)
		return json_null();
	if (node->type != IMAP_NODE_LIST)
		return imap_json_text(bytes_from(node->text, node->size));
	list = json_array();
	for (size_t i = 0; i < node->n; i++)
		json_array_append_new(list, json_tree(&node->children[i]));
	return list;
}

/* `values`: what the text reads as, or NULL. */
static void show_values(const struct xatom *x, const char *name, struct bytes text,
			const struct imap_node *values)
{
	json_t *event;

	if (!x->cli->app->json) {
		imap_say(bytes_of(name));
		putchar(' ');
		imap_say(text);
		putchar('\n');
		return;
	}
	event = imap_json_event("xatom");
	json_object_set_new(event, "name", imap_json_text(bytes_of(name)));
	json_object_set_new(event, "text", imap_json_text(text));
	if (values)
		json_object_set_new(event, "values", json_tree(values));
	report_event(event);
}

static void show_text(const struct xatom *x, const char *name, struct bytes text)
{
	show_values(x, name, text, NULL);
}

static void show_number(const struct xatom *x, const char *name, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	show_text(x, name, bytes_of(text));
}

static void show_other(const struct xatom *x, const struct imap_other *o)
{
	char *word = bytes_dup(o->name);
	char *name = o->numbered ? xasprintf("%u %s", o->number, word) : xstrdup(word);
	struct imap_node *values = o->cut ? NULL : imap_tree_new(o->text);

	show_values(x, name, o->text, values);
	imap_tree_free(values);
	free(name);
	free(word);
}

static void on_response(void *ctx, const struct imap_response *r)
{
	struct xatom *x = ctx;
	char *name;

	switch (r->type) {
	case IMAP_RESPONSE_OTHER:
		show_other(x, &r->u.other);
		break;
	case IMAP_RESPONSE_STATUS:
		show_text(x, r->u.status.condition == IMAP_OK ? "OK" : "NO", r->u.status.text);
		break;
	case IMAP_RESPONSE_CAPABILITY:
		show_text(x, "CAPABILITY", r->u.text);
		break;
	case IMAP_RESPONSE_LIST:
		show_text(x, r->u.list.lsub ? "LSUB" : "LIST", r->u.list.name);
		break;
	case IMAP_RESPONSE_MAILBOX:
		name = imap_cli_display(x->cli, r->u.mailbox.name);
		imap_show_status(x->cli, "xatom", name, &r->u.mailbox);
		free(name);
		break;
	case IMAP_RESPONSE_SEARCH:
	case IMAP_RESPONSE_ESEARCH:
		imap_show_set(x->cli, "xatom", "SEARCH", r->u.search.set);
		break;
	case IMAP_RESPONSE_EXISTS:
		show_number(x, "EXISTS", r->u.number);
		break;
	case IMAP_RESPONSE_RECENT:
		show_number(x, "RECENT", r->u.number);
		break;
	case IMAP_RESPONSE_EXPUNGE:
		show_number(x, "EXPUNGE", r->u.number);
		break;
	case IMAP_RESPONSE_VANISHED:
		imap_show_set(x->cli, "xatom", "VANISHED", r->u.vanished.uids);
		break;
	case IMAP_RESPONSE_FETCH:
		imap_show_message(x->cli, "xatom", &r->u.fetch, NULL, 0);
		break;
	default:
		break;
	}
}

static void on_done(void *ctx, const struct imap_result *result)
{
	struct xatom *x = ctx;

	imap_answer_take(&x->answer, result);
	if (result->outcome == IMAP_DONE_OK && result->status)
		show_text(x, "OK", result->status->text);
}

static int xatom_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct xatom x = { .cli = cli };
	struct imap_encoder e;

	imap_session_encoder(cli->session, &e);
	imap_encode_atom(&e, bytes_of(call->args[0]));
	for (size_t i = 1; i < call->n_args; i++)
		encode_argument(&e, bytes_of(call->args[i]));
	if (imap_encoder_finish(&e, err) < 0) {
		imap_encoder_release(&e);
		return -1;
	}
	imap_raw(cli->session, &e, &(struct imap_handler){
		.on_response = on_response, .on_done = on_done, .ctx = &x });
	return imap_answer_wait(cli, &x.answer, err);
}

const struct imap_sub sub_xatom = {
	.name = "xatom",
	.args = "NAME [ARGUMENT]...",
	.summary = "Say a command that has no name here. ( and ) are words of their own; each "
		   "other word is sent as what it is: set, flag, atom, string.",
	.example = "xatom GETMETADATA INBOX '(' /private/comment ')'",
	.min_args = 1,
	.max_args = SUB_MANY,
	.check = xatom_check,
	.run = xatom_run,
};
