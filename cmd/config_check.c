#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/password.h"
#include "cmd/report.h"

static void add_list(struct buf *out, const struct config_list *list, const char *none)
{
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			buf_add_str(out, ", ");
		buf_add_str(out, list->v[i]); /* the user's own words, free of control characters */
	}
	if (list->n == 0)
		buf_add_str(out, none);
}

static void add_limits(struct buf *out, const struct config_job *job)
{
	const struct guard_limits *g = &job->max_delete;

	if (job->deletions == DELETIONS_KEEP && job->target) {
		buf_addf(out, "keeps what is gone at the source; with --delete it removes it, unless it is more "
			      "than %llu and more than %u%%",
			 (unsigned long long)g->count, g->percent);
		return;
	}
	if (job->deletions == DELETIONS_KEEP) {
		buf_add_str(out, "keeps what is gone at the source");
		return;
	}
	buf_addf(out,
		 "removes what is gone at the source, unless it is more than %llu and more "
		 "than %u%%",
		 (unsigned long long)g->count, g->percent);
}

static const char *password_origin(const struct config_account *ac, bool *from_variable)
{
	char *variable = password_variable(ac);

	*from_variable = getenv(variable) && *getenv(variable);
	free(variable);
	return ac->token_command    ? "token_command" :
	       ac->password_command ? "password_command" :
	       ac->password_file    ? "password_file" :
	       ac->password	    ? "password" :
				      "asked for at the terminal";
}

static void describe_account(const char *key, const struct config_account *ac)
{
	char *user = escape_text(bytes_of(ac->user), 400);
	char *host = escape_text(bytes_of(ac->host), 400);
	bool from_variable;
	const char *origin = password_origin(ac, &from_variable);
	const char *line = ac->tunnel ? "through a tunnel" : "TLS ";

	printf("  %-10s %s: %s at %s, %s%s, %s: %s\n", key, ac->head.name, user, host, line,
	       ac->tunnel ? "" : config_choice_word(config_tls_words, ac->tls),
	       ac->token_command ? "token" : "password",
	       from_variable && !ac->token_command ? "from the environment" : origin);
	free(user);
	free(host);
}

/* `key`: from or to. The layout of one that is read may be what lies there. */
static void describe_store(const char *key, const char *name, const struct config_job *job,
			   const struct config_store *st)
{
	char *path = config_store_path(st, job->whose), *shown = escape_text(bytes_of(path), 4096);
	bool told = st == job->store || config_store_has_layout(st);
	const char *layout = told ? config_store_layout(st) : NULL;

	printf("  %-10s %s: %s (%s%s%s)\n", key, name, shown,
	       config_choice_word(config_type_words, st->type), layout ? ", layout " : "",
	       layout ? layout : "");
	free(path);
	free(shown);
}

static void describe_mirror(const struct config_job *job)
{
	char *url = config_store_mirror(job->store, job->whose), *shown;

	if (!url)
		return;
	shown = escape_text(bytes_of(url), 4096);
	printf("  mirror     %s\n", shown);
	free(shown);
	free(url);
}

static void describe(const struct config_job *job)
{
	struct buf boxes = BUF_INIT(1 << 20), map = BUF_INIT(1 << 20), limits = BUF_INIT(1024), exempt = BUF_INIT(1 << 20);

	add_list(&boxes, &job->mailboxes, "all");
	add_list(&map, &job->map, "");
	add_list(&exempt, &job->guard_exempt, "none");
	add_limits(&limits, job);
	printf("%s: %s\n", job->head.name, config_choice_word(config_kind_words, job->kind));
	if (job->account)
		describe_account("from", job->account);
	else
		describe_store("from", job->from, job, job->source);
	if (job->target)
		describe_account("to", job->target);
	else
		describe_store("to", job->to, job, job->store);
	if (job->store)
		describe_mirror(job);
	printf("  mailboxes  %s\n", buf_str(&boxes));
	if (job->map.n)
		printf("  map        %s\n", buf_str(&map));
	printf("  deletions  %s; not counted: %s\n", buf_str(&limits), buf_str(&exempt));
	buf_release(&boxes);
	buf_release(&map);
	buf_release(&limits);
	buf_release(&exempt);
}

static json_t *list_json(const struct config_list *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(out, json_string(list->v[i]));
	return out;
}

static void describe_json(const struct config_job *job)
{
	char *path = job->store ? config_store_path(job->store, job->whose) : NULL;
	char *source = job->source ? config_store_path(job->source, job->whose) : NULL;
	char *mirror = job->store ? config_store_mirror(job->store, job->whose) : NULL;

	report_event(json_pack(
		"{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:o, s:o, s:s, s:I, "
		"s:i, s:o}",
		"event", "job", "job", job->head.name, "kind",
		config_choice_word(config_kind_words, job->kind), "from", job->from, "host",
		job->account ? job->account->host : NULL, "user",
		job->account ? job->account->user : NULL, "from_path", source, "to", job->to, "type",
		job->target ? "imap" : config_choice_word(config_type_words, job->store->type), "path", path,
		"mirror", mirror, "to_host", job->target ? job->target->host : NULL, "to_user",
		job->target ? job->target->user : NULL, "mailboxes",
		list_json(&job->mailboxes), "map", list_json(&job->map), "deletions",
		config_choice_word(config_deletions_words, job->deletions), "max_delete_count",
		(json_int_t)job->max_delete.count, "max_delete_percent",
		(int)job->max_delete.percent, "guard_exempt", list_json(&job->guard_exempt)));
	free(path);
	free(source);
	free(mirror);
}

/* Of jobs that were made from one template, the first shows what the others are like. */
static void describe_all(const struct app *app, const struct config *cfg)
{
	size_t alike = 0;

	for (size_t i = 0; i < config_jobs(cfg); i++) {
		const struct config_job *job = config_job_at(cfg, i);
		const struct config_job *next = i + 1 < config_jobs(cfg) ? config_job_at(cfg, i + 1) : NULL;

		if (app->json) {
			describe_json(job);
			continue;
		}
		if (alike == 0 || app->verbose)
			describe(job);
		alike++;
		if (next && job->head.template && next->head.template == job->head.template)
			continue;
		if (alike > 1 && !app->verbose)
			printf("  and %zu more like it, by [job %s], for each account of %s (-v: all of them)\n",
			       alike - 1, job->head.template, cfg->accounts);
		alike = 0;
	}
}

static int config_check_run(struct app *app, int argc, char **argv)
{
	const struct config *cfg;

	if (cmd_no_operands(app, &cmd_config_check, argc, argv) < 0)
		return EXIT_USAGE;
	cfg = app_config(app);
	if (!cfg)
		return EXIT_USAGE;
	if (app->quiet)
		return EXIT_DONE;
	describe_all(app, cfg);
	if (cfg->n_templates > 0 && !cfg->accounts)
		report_line(app, NULL, "the templates of the configuration make nothing yet: say with --accounts=FILE, or with "
				       "'accounts' in [global], for which accounts");
	else if (config_jobs(cfg) == 0)
		report_line(app, NULL, "the configuration is sound, but it has no [job NAME]: "
				       "there is nothing to run");
	return EXIT_DONE;
}

const struct cmd cmd_config_check = {
	.name = "config check",
	.args = "",
	.summary = "Check the configuration and say what each job would do.",
	.details = "Reports every problem with file and line. Connects to nothing; 'plan' logs in.",
	.run = config_check_run,
};
