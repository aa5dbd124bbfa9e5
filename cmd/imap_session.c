/* Commands about the session: what the server is and can do. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <jansson.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/commands_manage.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

/* --- capability --- */

static void add_limit(json_t *limits, const char *name, uint64_t n)
{
	if (n)
		json_object_set_new(limits, name, json_integer((json_int_t)n));
}

/* What this client keeps to with this server. */
static void add_limits(json_t *event, const struct imap_session *s)
{
	static const char *const protocols[] = {
		[IMAP_PROTOCOL_IMAP4] = "IMAP4",
		[IMAP_PROTOCOL_REV1] = "IMAP4rev1",
		[IMAP_PROTOCOL_REV2] = "IMAP4rev2",
	};
	struct imap_limits limits = imap_session_limits(s);
	json_t *object = json_object();

	json_object_set_new(event, "protocol", json_string(protocols[imap_session_protocol(s)]));
	add_limit(object, "command_bytes", limits.command_bytes);
	add_limit(object, "set_bytes", limits.set_bytes);
	add_limit(object, "append_bytes", limits.append_bytes);
	add_limit(object, "messages", limits.messages);
	json_object_set_new(event, "limits", object);
}

static int capability_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	const struct imap_caps *caps;
	json_t *event, *list;
	struct bytes left;

	(void)call;
	if (imap_capability_wait(cli->session, err) < 0)
		return -1;
	caps = imap_session_caps(cli->session);
	list = json_array();
	for (left = buf_bytes(&caps->text); left.n;) {
		const uint8_t *blank = memchr(left.p, ' ', left.n);
		struct bytes word = bytes_from(left.p, blank ? (size_t)(blank - left.p) : left.n);

		left = bytes_skip(left, word.n + (blank != NULL));
		if (!word.n)
			continue;
		json_array_append_new(list, imap_json_text(word));
		if (!cli->app->json) {
			imap_say(word);
			putchar('\n');
		}
	}
	event = imap_json_event("capability");
	json_object_set_new(event, "capabilities", list);
	add_limits(event, cli->session);
	if (cli->app->json)
		report_event(event);
	else
		json_decref(event);
	return 0;
}

const struct imap_sub sub_capability = {
	.name = "capability",
	.args = "",
	.summary = "Show what the server can do; with --json also the protocol spoken and its "
		   "limits.",
	.example = "capability",
	.run = capability_run,
};

/* --- id --- */

static int id_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	json_t *fields = json_object(), *event;
	struct imap_id id;

	(void)call;
	if (imap_id_wait(cli->session, &id, err) < 0) {
		json_decref(fields);
		imap_id_release(&id);
		return -1;
	}
	for (size_t i = 0; i < id.n; i++) {
		struct bytes key = bytes_of(id.keys[i]);
		const char *value = id.values[i];
		char *name;

		if (!cli->app->json) {
			imap_say(key);
			printf(": ");
			imap_say(bytes_of(value ? value : "NIL"));
			putchar('\n');
		}
		name = escape_text(key, key.n);
		json_object_set_new(fields, name,
				    value ? imap_json_text(bytes_of(value)) : json_null());
		free(name);
	}
	event = imap_json_event("id");
	json_object_set_new(event, "fields", fields);
	if (cli->app->json)
		report_event(event);
	else
		json_decref(event);
	imap_id_release(&id);
	return 0;
}

const struct imap_sub sub_id = {
	.name = "id",
	.args = "",
	.summary = "Show what the server says it is; nothing if it does not know ID.",
	.example = "id",
	.run = id_run,
};

/* --- namespace --- */

static void show_namespace(const struct imap_cli *cli, const struct imap_namespace *ns)
{
	static const char *const kinds[] = {
		[IMAP_NAMESPACE_PERSONAL] = "personal",
		[IMAP_NAMESPACE_OTHER] = "other",
		[IMAP_NAMESPACE_SHARED] = "shared",
	};
	struct bytes delimiter = bytes_from(&ns->delimiter, ns->delimiter ? 1 : 0);
	json_t *event;

	if (!cli->app->json) {
		printf("%s: prefix \"", kinds[ns->kind]);
		imap_say(ns->prefix);
		printf("\", delimiter \"");
		imap_say(delimiter);
		puts("\"");
		return;
	}
	event = imap_json_event("namespace");
	json_object_set_new(event, "kind", json_string(kinds[ns->kind]));
	json_object_set_new(event, "prefix", imap_json_text(ns->prefix));
	json_object_set_new(event, "delimiter",
			    ns->delimiter ? imap_json_text(delimiter) : json_null());
	report_event(event);
}

static int namespace_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct imap_namespaces ns;

	(void)call;
	if (imap_namespace_wait(cli->session, &ns, err) < 0)
		return -1;
	for (size_t i = 0; i < ns.n; i++)
		show_namespace(cli, &ns.list[i]);
	imap_namespaces_release(&ns);
	return 0;
}

const struct imap_sub sub_namespace = {
	.name = "namespace",
	.args = "",
	.summary = "Show where mailboxes lie: prefixes and delimiters, as on the wire.",
	.example = "namespace",
	.run = namespace_run,
};

/* --- noop, logout --- */

static int noop_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	(void)call;
	return imap_noop_wait(cli->session, err);
}

const struct imap_sub sub_noop = {
	.name = "noop",
	.args = "",
	.summary = "Do nothing: shows that connecting and logging in work.",
	.example = "noop",
	.run = noop_run,
};

static int logout_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	(void)call;
	return imap_logout_wait(cli->session, err);
}

const struct imap_sub sub_logout = {
	.name = "logout",
	.args = "",
	.summary = "End the session; in a script nothing may follow.",
	.example = "logout",
	.run = logout_run,
};

/* --- enable, compress --- */

static int find_cap(const char *name, enum imap_cap *out)
{
	for (int cap = 0; cap < IMAP_CAP_COUNT; cap++) {
		if (strcasecmp(imap_cap_name((enum imap_cap)cap), name) != 0)
			continue;
		*out = (enum imap_cap)cap;
		return 0;
	}
	return -1;
}

static int enable_check(const struct imap_call *call, struct err *err)
{
	enum imap_cap cap;

	for (size_t i = 0; i < call->n_args; i++)
		if (find_cap(call->args[i], &cap) < 0)
			return err_set(err, ERR_CONFIG, "enable: no extension '%s' is known",
				       call->args[i]);
	return 0;
}

static void show_enabled(const struct imap_cli *cli, enum imap_cap cap)
{
	bool on = imap_session_enabled(cli->session, cap);
	json_t *event;

	if (!cli->app->json) {
		printf("%s %s\n", imap_cap_name(cap), on ? "enabled" : "not enabled");
		return;
	}
	event = imap_json_event("enable");
	json_object_set_new(event, "extension", json_string(imap_cap_name(cap)));
	json_object_set_new(event, "enabled", json_boolean(on));
	report_event(event);
}

static int enable_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	enum imap_cap *caps = xcalloc(call->n_args, sizeof(*caps));
	int ret;

	for (size_t i = 0; i < call->n_args; i++)
		find_cap(call->args[i], &caps[i]);
	ret = imap_enable_wait(cli->session, caps, call->n_args, err);
	for (size_t i = 0; ret == 0 && i < call->n_args; i++)
		show_enabled(cli, caps[i]);
	free(caps);
	return ret;
}

const struct imap_sub sub_enable = {
	.name = "enable",
	.args = "EXTENSION...",
	.summary = "Switch extensions on for the rest of a script, before a mailbox is open.",
	.example = "enable QRESYNC",
	.min_args = 1,
	.max_args = SUB_MANY,
	.check = enable_check,
	.run = enable_run,
};

static int compress_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	(void)call;
	return imap_compress_wait(cli->session, err);
}

const struct imap_sub sub_compress = {
	.name = "compress",
	.args = "",
	.summary = "Compress what goes over the line for the rest of a script.",
	.example = "compress",
	.run = compress_run,
};

/* --- unauthenticate --- */

static int unauthenticate_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	(void)call;
	return imap_unauthenticate_wait(cli->session, err);
}

const struct imap_sub sub_unauthenticate = {
	.name = "unauthenticate",
	.args = "",
	.summary = "Log out and in again on the same connection: nothing is open nor enabled then.",
	.example = "unauthenticate",
	.run = unauthenticate_run,
};
