/* Commands that change mailboxes, and those about quota and rights. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <jansson.h>

#include "core/imap/commands_manage.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

/* --- create --- */

static const struct {
	const char *name;
	unsigned bit;
} uses[] = {
	{ "\\All", IMAP_MAILBOX_ALL },		 { "\\Archive", IMAP_MAILBOX_ARCHIVE },
	{ "\\Drafts", IMAP_MAILBOX_DRAFTS },	 { "\\Flagged", IMAP_MAILBOX_FLAGGED },
	{ "\\Important", IMAP_MAILBOX_IMPORTANT }, { "\\Junk", IMAP_MAILBOX_JUNK },
	{ "\\Sent", IMAP_MAILBOX_SENT },	 { "\\Trash", IMAP_MAILBOX_TRASH },
};

static unsigned use_bit(const char *name)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcasecmp(uses[i].name, name) == 0)
			return uses[i].bit;
	return 0;
}

static int create_check(const struct imap_call *call, struct err *err)
{
	if (call->use && !use_bit(call->use))
		return err_set(err, ERR_CONFIG, "create: '%s' is no special use, such as \\Archive",
			       call->use);
	return 0;
}

static int create_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct buf wire = BUF_INIT(1 << 16);
	struct imap_created created = { 0 };
	json_t *event;
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) < 0 ||
	    imap_create_wait(cli->session, buf_bytes(&wire), call->use ? use_bit(call->use) : 0,
			     &created, err) < 0)
		goto out;
	if (created.existed) {
		err_set(err, ERR_MAILBOX, "CREATE: the server says that it exists already");
		goto out;
	}
	ret = 0;
	if (created.mailbox_id && cli->app->json) {
		event = imap_json_event("create");
		json_object_set_new(event, "mailboxid",
				    imap_json_text(bytes_of(created.mailbox_id)));
		report_event(event);
	} else if (created.mailbox_id) {
		printf("mailboxid ");
		imap_say(bytes_of(created.mailbox_id));
		putchar('\n');
	}
out:
	free(created.mailbox_id);
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_create = {
	.name = "create",
	.args = "MAILBOX",
	.summary = "Make a mailbox.",
	.example = "create --use='\\Archive' Archive",
	.needs = SUB_MAILBOX,
	.options = SUB_OPT_USE,
	.check = create_check,
	.run = create_run,
};

/* --- delete, subscribe, unsubscribe, rename --- */

static int with_name(struct imap_cli *cli, const struct imap_call *call,
		     int (*act)(struct imap_session *s, struct bytes wire_name, struct err *err),
		     struct err *err)
{
	struct buf wire = BUF_INIT(1 << 16);
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) == 0)
		ret = act(cli->session, buf_bytes(&wire), err);
	buf_release(&wire);
	return ret;
}

static int delete_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	return with_name(cli, call, imap_delete_wait, err);
}

const struct imap_sub sub_delete = {
	.name = "delete",
	.args = "MAILBOX",
	.summary = "Remove a mailbox with all messages in it, at once and for good.",
	.example = "delete Archive/1999",
	.needs = SUB_MAILBOX,
	.run = delete_run,
};

static int subscribe_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	return with_name(cli, call, imap_subscribe_wait, err);
}

const struct imap_sub sub_subscribe = {
	.name = "subscribe",
	.args = "MAILBOX",
	.summary = "Subscribe to a mailbox.",
	.example = "subscribe Lists/c-users",
	.needs = SUB_MAILBOX,
	.run = subscribe_run,
};

static int unsubscribe_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	return with_name(cli, call, imap_unsubscribe_wait, err);
}

const struct imap_sub sub_unsubscribe = {
	.name = "unsubscribe",
	.args = "MAILBOX",
	.summary = "Undo subscribe; the mailbox itself stays.",
	.example = "unsubscribe Lists/c-users",
	.needs = SUB_MAILBOX,
	.run = unsubscribe_run,
};

static int rename_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct buf from = BUF_INIT(1 << 16), to = BUF_INIT(1 << 16);
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &from, err) == 0 &&
	    imap_cli_wire_name(cli, call->args[0], &to, err) == 0)
		ret = imap_rename_wait(cli->session, buf_bytes(&from), buf_bytes(&to), err);
	buf_release(&from);
	buf_release(&to);
	return ret;
}

const struct imap_sub sub_rename = {
	.name = "rename",
	.args = "MAILBOX NAME",
	.summary = "Rename a mailbox and all below it. INBOX itself stays: its messages move.",
	.example = "rename Work Archive/Work",
	.needs = SUB_MAILBOX,
	.min_args = 1,
	.max_args = 1,
	.run = rename_run,
};

/* --- check, close, unselect --- */

static int check_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	(void)call;
	return imap_check_wait(cli->session, err);
}

const struct imap_sub sub_check = {
	.name = "check",
	.args = "MAILBOX",
	.summary = "Ask for a checkpoint of a mailbox: what that is, the server knows.",
	.example = "check INBOX",
	.needs = SUB_MAILBOX | SUB_EXAMINE,
	.run = check_run,
};

static int close_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	(void)call;
	return imap_close_wait(cli->session, err);
}

const struct imap_sub sub_close = {
	.name = "close",
	.args = "MAILBOX",
	.summary = "Leave a mailbox and remove for good all messages in it that are \\Deleted, "
		   "whoever marked them.",
	.example = "close Trash",
	.needs = SUB_MAILBOX | SUB_SELECT,
	.run = close_run,
};

static int unselect_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct imap_answer answer = { 0 };

	(void)call;
	if (!imap_session_has(cli->session, IMAP_CAP_UNSELECT))
		return err_set(err, ERR_CONFIG, "unselect: the server does not offer UNSELECT");
	imap_unselect(cli->session, imap_answer_take, &answer);
	return imap_answer_wait(cli, &answer, err);
}

const struct imap_sub sub_unselect = {
	.name = "unselect",
	.args = "MAILBOX",
	.summary = "Leave a mailbox and remove nothing.",
	.example = "unselect Trash",
	.needs = SUB_MAILBOX | SUB_EXAMINE,
	.run = unselect_run,
};

/* --- quota --- */

static void show_quota(const struct imap_cli *cli, const char *command, const struct imap_quota *q)
{
	for (size_t i = 0; i < q->n; i++) {
		const struct imap_quota_resource *r = &q->resources[i];
		json_t *event;

		if (!cli->app->json) {
			printf("root \"");
			imap_say(bytes_of(q->root));
			printf("\" ");
			imap_say(bytes_of(r->name));
			printf(" %llu of %llu\n", (unsigned long long)r->usage,
			       (unsigned long long)r->limit);
			continue;
		}
		event = imap_json_event(command);
		json_object_set_new(event, "root", imap_json_text(bytes_of(q->root)));
		json_object_set_new(event, "resource", imap_json_text(bytes_of(r->name)));
		json_object_set_new(event, "usage", json_integer((json_int_t)r->usage));
		json_object_set_new(event, "limit", json_integer((json_int_t)r->limit));
		report_event(event);
	}
}

static void show_quotas(const struct imap_cli *cli, const char *command, struct imap_quotas *quotas)
{
	for (size_t i = 0; i < quotas->n; i++)
		show_quota(cli, command, &quotas->roots[i]);
	imap_quotas_release(quotas);
}

static int getquota_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct imap_quotas quotas;

	if (imap_getquota_wait(cli->session, bytes_of(call->args[0]), &quotas, err) < 0)
		return -1;
	show_quotas(cli, "getquota", &quotas);
	return 0;
}

const struct imap_sub sub_getquota = {
	.name = "getquota",
	.args = "ROOT",
	.summary = "Show use and limits of a quota root (STORAGE in units of 1024 bytes).",
	.example = "getquota 'User quota'",
	.min_args = 1,
	.max_args = 1,
	.run = getquota_run,
};

static int getquotaroot_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct buf wire = BUF_INIT(1 << 16);
	struct imap_quotas quotas;
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) == 0)
		ret = imap_getquotaroot_wait(cli->session, buf_bytes(&wire), &quotas, err);
	if (ret == 0)
		show_quotas(cli, "getquotaroot", &quotas);
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_getquotaroot = {
	.name = "getquotaroot",
	.args = "MAILBOX",
	.summary = "Show the quotas that messages in a mailbox count against.",
	.example = "getquotaroot INBOX",
	.needs = SUB_MAILBOX,
	.run = getquotaroot_run,
};

/* --- rights --- */

static void show_rights(const struct imap_cli *cli, const char *command, const char *who,
			const char *rights)
{
	json_t *event;

	if (!cli->app->json) {
		if (who) {
			imap_say(bytes_of(who));
			putchar(' ');
		}
		imap_say(bytes_of(rights));
		putchar('\n');
		return;
	}
	event = imap_json_event(command);
	if (who)
		json_object_set_new(event, "identifier", imap_json_text(bytes_of(who)));
	json_object_set_new(event, "rights", imap_json_text(bytes_of(rights)));
	report_event(event);
}

static int myrights_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct buf wire = BUF_INIT(1 << 16);
	char *rights = NULL;
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) == 0)
		ret = imap_myrights_wait(cli->session, buf_bytes(&wire), &rights, err);
	if (ret == 0)
		show_rights(cli, "myrights", NULL, rights);
	free(rights);
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_myrights = {
	.name = "myrights",
	.args = "MAILBOX",
	.summary = "Show what this login may do with a mailbox, one letter each (RFC 4314).",
	.example = "myrights shared/team",
	.needs = SUB_MAILBOX,
	.run = myrights_run,
};

static int getacl_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct buf wire = BUF_INIT(1 << 16);
	struct imap_acl acl;
	int ret = -1;

	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) == 0)
		ret = imap_getacl_wait(cli->session, buf_bytes(&wire), &acl, err);
	for (size_t i = 0; ret == 0 && i < acl.n; i++)
		show_rights(cli, "getacl", acl.identifiers[i], acl.rights[i]);
	if (ret == 0)
		imap_acl_release(&acl);
	buf_release(&wire);
	return ret;
}

const struct imap_sub sub_getacl = {
	.name = "getacl",
	.args = "MAILBOX",
	.summary = "Show who may do what with a mailbox.",
	.example = "getacl shared/team",
	.needs = SUB_MAILBOX,
	.run = getacl_run,
};
