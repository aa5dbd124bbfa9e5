#include "tests/lib/backup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "core/base/mem.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

enum { DEADLINE_MS = 240000 };

static const char *or(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static void add_migration(struct buf *text, const struct backup_config *c)
{
	buf_addf(text,
		 "[account far]\nhost = %s\nport = %d\ntls = %s\nuser = %s\npassword = %s\n%s\n"
		 "[account near]\nhost = 127.0.0.1\nport = %d\ntls = none\nuser = %s\npassword = pw\n%s\n"
		 "[job job]\nkind = migrate\nfrom = far\nto = near\n%s",
		 or(c->host, "127.0.0.1"), c->port, or(c->tls, "none"), or(c->user, "alice"),
		 or(c->password, "pw"), or(c->account, ""), c->to_port, or(c->to_user, "bob"),
		 or(c->near, ""), or(c->job, ""));
}

static void add_backup(struct buf *text, const struct backup *b, const struct backup_config *c)
{
	buf_addf(text,
		 "[account far]\nhost = %s\nport = %d\ntls = %s\nuser = %s\npassword = %s\n%s\n"
		 "[store near]\ntype = %s\npath = %s\n%s\n"
		 "[job job]\nkind = backup\nfrom = far\nto = near\n%s",
		 or(c->host, "127.0.0.1"), c->port, or(c->tls, "none"), or(c->user, "alice"),
		 or(c->password, "pw"), or(c->account, ""), or(c->type, "maildir"), b->root,
		 or(c->store, ""), or(c->job, ""));
}

void backup_configure(struct backup *b, const struct backup_config *c)
{
	struct buf text = BUF_INIT(65536);

	if (c->to_port)
		add_migration(&text, c);
	else
		add_backup(&text, b, c);
	write_file(b->config, buf_bytes(&text));
	if (chmod(b->config, 0600) < 0)
		test_die_sys("chmod %s", b->config);
	buf_release(&text);
}

void backup_init(struct backup *b, const struct backup_config *c)
{
	b->dir = xstrdup(tmp_dir());
	b->config = path_join(b->dir, "config.ini");
	b->state = path_join(b->dir, "state");
	b->parent = path_join(b->dir, "store");
	b->root = path_join(b->parent, "mail");
	b->env[0] = xasprintf("MAILCASK_CONFIG=%s", b->config);
	b->env[1] = xasprintf("XDG_STATE_HOME=%s", b->state);
	b->env[2] = NULL;
	if (mkdir(b->parent, 0755) < 0)
		test_die_sys("make %s", b->parent);
	backup_configure(b, c);
}

void backup_reset(struct backup *b)
{
	remove_tree(b->root);
	remove_tree(b->state);
}

void backup_release(struct backup *b)
{
	remove_tree(b->dir);
	free(b->dir);
	free(b->config);
	free(b->state);
	free(b->parent);
	free(b->root);
	free(b->env[0]);
	free(b->env[1]);
	*b = (struct backup){ 0 };
}

char *backup_record(const struct backup *b)
{
	return path_join(b->state, "mailcask/job.run");
}

static uint64_t count(const json_t *event, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(event, key));
}

static void take_event(struct backup_result *res, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const json_t *account;

	if (!name || strcmp(name, "summary") != 0)
		return;
	res->jobs++;
	res->job_exit = (int)count(event, "exit");
	res->mailboxes = count(event, "mailboxes");
	res->unchanged = count(event, "mailboxes_unchanged");
	res->renamed = count(event, "renamed");
	res->new_messages = count(event, "new");
	res->flags_changed = count(event, "flags_changed");
	res->removed = count(event, "removed");
	res->kept = count(event, "kept");
	res->held = count(event, "held");
	res->bytes = count(event, "bytes");
	res->allow_deletes = count(event, "allow_deletes");
	account = json_object_get(event, "account");
	res->messages = count(account, "messages");
	res->copied = count(account, "copied");
	res->adopted = count(account, "adopted");
	res->quarantined = count(account, "quarantined");
	res->copied_now = count(account, "copied_now");
	res->adopted_now = count(account, "adopted_now");
	res->missing = json_integer_value(json_object_get(account, "missing"));
}

static void take_events(struct backup_result *res)
{
	const char *at = buf_str(&res->out);

	while (*at) {
		size_t n = strcspn(at, "\n");
		json_error_t why;
		json_t *event = json_loadb(at, n, 0, &why);

		if (!event)
			test_die("not JSON: %.*s: %s", (int)n, at, why.text);
		take_event(res, event);
		json_decref(event);
		at += n + (at[n] == '\n');
	}
	if (res->jobs == 1 && res->job_exit != res->status)
		test_die("the summary says exit %d, the exit status is %d", res->job_exit,
			 res->status);
}

void program_run(const struct backup *b, struct backup_result *res, const char *env,
		 const char *command, const char *args)
{
	const char *argv[32] = { program_path(), command, "--json" };
	const char *vars[] = { b->env[0], b->env[1], "TZ=UTC", env, NULL };
	struct proc_opts opts = { .env = vars, .deadline_ms = DEADLINE_MS };
	char *copy = xstrdup(args), *save = NULL;
	struct proc_result run;
	size_t n = 3;

	for (char *w = strtok_r(copy, " ", &save); w && n < 31; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	proc_run(&run, &opts, argv);
	free(copy);
	*res = (struct backup_result){ .status = run.status, .out = run.out, .err = run.err,
				       .max_rss_kb = run.max_rss_kb };
}

void backup_run_env(const struct backup *b, struct backup_result *res, const char *env,
		    const char *args)
{
	program_run(b, res, env, "backup", args);
	take_events(res);
}

void backup_run(const struct backup *b, struct backup_result *res, const char *args)
{
	backup_run_env(b, res, NULL, args);
}

void migrate_expect(const struct backup *b, struct backup_result *res, int status, const char *env,
		    const char *args)
{
	program_run(b, res, env, "migrate", args);
	take_events(res);
	if (res->status != status)
		test_die("migrate %s ended with %d, not %d; it printed:\n%s%s", args, res->status, status,
			 buf_str(&res->out), buf_str(&res->err));
}

void backup_expect(const struct backup *b, struct backup_result *res, int status, const char *args)
{
	backup_run(b, res, args);
	if (res->status != status)
		test_die("backup %s ended with %d, not %d; it printed:\n%s%s", args, res->status,
			 status, buf_str(&res->out), buf_str(&res->err));
}

void backup_result_release(struct backup_result *res)
{
	buf_release(&res->out);
	buf_release(&res->err);
}

void backup_ends_with(const struct backup *b, int status, const char *args)
{
	struct backup_result res;

	backup_expect(b, &res, status, args);
	backup_result_release(&res);
}

void backup_idle(const struct backup *b)
{
	struct backup_result res;

	backup_expect(b, &res, 0, "");
	if (res.new_messages || res.flags_changed || res.removed || res.kept || res.held ||
	    res.bytes)
		test_die("a run that should find nothing to do printed:\n%s%s", buf_str(&res.out),
			 buf_str(&res.err));
	backup_result_release(&res);
}

char *program_says(const struct backup *b, int status, const char *command, const char *fmt, ...)
{
	struct backup_result run;
	char *args = NULL, *said;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&args, fmt, ap) < 0)
		abort();
	va_end(ap);
	program_run(b, &run, NULL, command, args);
	said = xasprintf("%s%s", buf_str(&run.out), buf_str(&run.err));
	if (run.status != status)
		test_die("%s %s: exit %d: %s", command, args, run.status, said);
	backup_result_release(&run);
	free(args);
	return said;
}
