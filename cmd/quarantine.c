#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/quarantine.h"
#include "core/sync/scope.h"

#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/config.h"
#include "cmd/job_store.h"
#include "cmd/jobs.h"
#include "cmd/report.h"

typedef unsigned long long ull;

enum { OPT_MAILBOX = 1, OPT_ALL };

static const struct cmd_option options[] = {
	{ "mailbox", 0, "PATTERN", "Only what is in these mailboxes; may be given again.",
	  OPT_MAILBOX },
	{ "all", 0, NULL, "With 'accept': all there are.", OPT_ALL },
	{ NULL, 0, NULL, NULL, 0 },
};

enum deed { DEED_LIST, DEED_ACCEPT, DEED_RETRY };
static const char *const deeds[] = { "list", "accept", "retry", NULL };

/* What was asked for. */
struct request {
	struct app *app;
	const struct config_job *job;
	enum deed deed;
	struct job_options opts; /* only its patterns */
	bool all;
	char **uids; /* as written */
	size_t n_uids;
};

#define NAME_WIDTH ((size_t)30)

static void add_time(struct buf *out, int64_t unix_time)
{
	time_t when = (time_t)unix_time;
	struct tm tm = { 0 };
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	buf_add_str(out, text);
}

static void add_next_try(struct buf *out, const struct quarantined *q)
{
	if (q->accepted)
		buf_add_str(out, "accepted");
	else if (quarantine_is_due(q, clock_unix()))
		buf_add_str(out, "next run");
	else
		add_time(out, quarantine_next_try(q));
}

static void print_row(const struct quarantine_entry *e, const char *name)
{
	struct buf line = BUF_INIT(1 << 20), size = BUF_INIT(64), next = BUF_INIT(64),
		   since = BUF_INIT(64);
	size_t terminal = columns_terminal(), used;
	char *reason = escape_text(bytes_of(e->q.reason), 1000);

	if (e->q.size)
		report_bytes(&size, e->q.size);
	else
		buf_add_byte(&size, '-');
	add_time(&since, e->q.since);
	add_next_try(&next, &e->q);
	columns_add(&line, name, NAME_WIDTH);
	buf_addf(&line, "  %10u  %9s  %8u  %-16s  %-16s  ", e->q.uid, buf_str(&size), e->q.attempts,
		 buf_str(&since), buf_str(&next));
	used = columns_of(buf_str(&line));
	columns_add_last(&line, reason, terminal > used + 10 ? terminal - used : 0);
	puts(buf_str(&line));
	free(reason);
	buf_release(&line);
	buf_release(&size);
	buf_release(&next);
	buf_release(&since);
}

static void print_event(const struct request *r, const struct quarantine_entry *e, const char *name)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "event",
				  "quarantined", "job", r->job->head.name, "mailbox", name, "uid",
				  (json_int_t)e->q.uid, "size", (json_int_t)e->q.size, "attempts",
				  (json_int_t)e->q.attempts, "since", (json_int_t)e->q.since, "last",
				  (json_int_t)e->q.last, "accepted", e->q.accepted, "reason",
				  e->q.reason);

	/* 0: the next run. */
	json_object_set_new(event, "next_try",
			    e->q.accepted ? json_null()
					  : json_integer((json_int_t)quarantine_next_try(&e->q)));
	report_event(event);
}

static void show(const struct request *r, const struct quarantine_list *list)
{
	if (r->app->quiet)
		return;
	if (list->n == 0 && !r->app->json)
		printf("%s: nothing is in quarantine\n", r->job->head.name);
	else if (!r->app->json)
		printf("%-*s  %10s  %9s  %8s  %-16s  %-16s  %s\n", (int)NAME_WIDTH, "MAILBOX", "UID",
		       "SIZE", "ATTEMPTS", "SINCE", "NEXT TRY", "REASON");
	for (size_t i = 0; i < list->n; i++) {
		char *name = mailbox_name_text(&list->v[i].mailbox->name);
		char *safe = escape_text(bytes_of(name), 400);

		if (r->app->json)
			print_event(r, &list->v[i], name);
		else
			print_row(&list->v[i], safe);
		free(safe);
		free(name);
	}
}

/* A slip in a mailbox's name must not pass for a mailbox with nothing in quarantine. */
static int check_patterns(const struct request *r, const struct mailbox_list *all, struct err *err)
{
	for (size_t i = 0; i < r->opts.n_only; i++) {
		bool any = r->opts.only[i][0] == '!';

		for (size_t k = 0; k < all->n && !any; k++)
			any = scope_contains(&r->opts.only[i], 1, &all->v[k].name,
					     all->v[k].attributes);
		if (!any)
			return err_set(err, ERR_MISSING,
				       "--mailbox=%s: no mailbox of the store is called that",
				       r->opts.only[i]);
	}
	return 0;
}

/* The entries that the UIDs name. Each must name just one. */
static int choose(const struct request *r, const struct quarantine_list *list, bool *chosen,
		  struct err *err)
{
	struct buf unknown = BUF_INIT(400), doubtful = BUF_INIT(400);
	int ret = 0;

	for (size_t i = 0; i < list->n && r->n_uids == 0; i++)
		chosen[i] = true;
	for (size_t i = 0; i < r->n_uids; i++) {
		uint32_t uid = 0;
		size_t found = 0;

		bytes_to_u32(bytes_of(r->uids[i]), &uid);
		for (size_t k = 0; k < list->n; k++)
			if (list->v[k].q.uid == uid) {
				chosen[k] = true;
				found++;
			}
		if (found == 0)
			buf_addf(&unknown, "%s%u", unknown.n ? ", " : "", uid);
		else if (found > 1)
			buf_addf(&doubtful, "%s%u", doubtful.n ? ", " : "", uid);
	}
	if (unknown.n)
		ret = err_set(err, ERR_MISSING, "not in quarantine%s: UID %s. Nothing was changed",
			      r->opts.n_only ? " in these mailboxes" : "", buf_str(&unknown));
	else if (doubtful.n)
		ret = err_set(err, ERR_CONFIG,
			      "in quarantine in more than one mailbox: UID %s. Say which with "
			      "--mailbox. Nothing was changed",
			      buf_str(&doubtful));
	buf_release(&unknown);
	buf_release(&doubtful);
	return ret;
}

static void tell_change(const struct request *r, size_t changed, size_t chosen)
{
	const char *name = r->job->head.name;

	if (r->app->json)
		report_event(json_pack("{s:s, s:s, s:s, s:I, s:I}", "event", "summary", "job", name,
				       "action", deeds[r->deed], "changed", (json_int_t)changed,
				       "unchanged", (json_int_t)(chosen - changed)));
	else if (r->app->quiet)
		return;
	else if (r->deed == DEED_ACCEPT)
		printf("%s: %llu accepted%s: not tried again, no longer exit status 3\n", name,
		       (ull)changed, changed < chosen ? ", the others were before" : "");
	else
		printf("%s: the next %s tries %llu of them again\n", name,
		       r->job->target ? "migration" : "backup", (ull)chosen);
}

static int change(const struct request *r, struct store *st, struct quarantine_list *list,
		  struct err *err)
{
	bool accept = r->deed == DEED_ACCEPT;
	bool *chosen = xcalloc(list->n, sizeof(*chosen));
	size_t changed = 0, n = 0;
	char *why = NULL;
	int ret = choose(r, list, chosen, err);

	for (size_t i = 0; i < list->n; i++)
		n += chosen[i];
	if (ret == 0)
		ret = quarantine_change(st, list, chosen,
					accept ? QUARANTINE_ACCEPT : QUARANTINE_RETRY, &changed, err);
	if (ret == 0 && changed > 0) {
		why = xasprintf(accept ? "%llu in quarantine accepted"
				       : "%llu in quarantine to be tried again",
				(ull)changed);
		ret = store_commit_change(st, why, err);
	}
	if (ret == 0)
		tell_change(r, changed, n);
	free(why);
	free(chosen);
	return ret;
}

static int act(const struct request *r, struct err *err)
{
	bool write = r->deed != DEED_LIST;
	struct mailbox_list all = { 0 };
	struct quarantine_list list = { 0 };
	struct store *st = NULL;
	struct job_store js;
	int ret = job_store_find(&js, r->app, r->job, err);

	if (ret == 0)
		ret = store_open(js.ops, &st, &js.config, write ? STORE_WRITE : STORE_READ, err);
	if (ret == 0)
		ret = store_list(st, NULL, &all, err);
	if (ret == 0)
		ret = check_patterns(r, &all, err);
	if (ret == 0)
		ret = quarantine_list_read(st, &all, (const char *const *)r->opts.only,
					   r->opts.n_only, &list, err);
	if (ret == 0 && write)
		ret = change(r, st, &list, err);
	else if (ret == 0)
		show(r, &list);
	quarantine_list_release(&list);
	store_close(st);
	mailbox_list_release(&all);
	job_store_release(&js);
	return ret;
}

static int take_deed(struct request *r, const char *word)
{
	for (size_t i = 0; deeds[i]; i++)
		if (strcmp(word, deeds[i]) == 0) {
			r->deed = (enum deed)i;
			return 0;
		}
	cmd_usage_error(&cmd_quarantine, "after the job comes 'list', 'accept' or 'retry', not '%s'",
			word);
	return -1;
}

/* What stands after the options. -1 after telling the user. */
static int take_operands(struct request *r, int argc, char **argv)
{
	if (argc < 1) {
		cmd_usage_error(&cmd_quarantine, "a JOB is needed");
		return -1;
	}
	if (argc > 1 && take_deed(r, argv[1]) < 0)
		return -1;
	r->uids = argc > 2 ? argv + 2 : NULL;
	r->n_uids = argc > 2 ? (size_t)argc - 2 : 0;
	for (size_t i = 0; i < r->n_uids; i++) {
		uint32_t uid;

		if (bytes_to_u32(bytes_of(r->uids[i]), &uid) && uid > 0)
			continue;
		cmd_usage_error(&cmd_quarantine, "'%s' is not a UID", r->uids[i]);
		return -1;
	}
	if (r->deed == DEED_LIST && r->n_uids > 0)
		cmd_usage_error(&cmd_quarantine, "'list' takes no UIDs");
	else if (r->deed == DEED_ACCEPT && r->all == (r->n_uids > 0))
		cmd_usage_error(&cmd_quarantine, "'accept' takes either UIDs or --all");
	else if (r->deed != DEED_ACCEPT && r->all)
		cmd_usage_error(&cmd_quarantine, "--all belongs to 'accept'");
	else
		return 0;
	return -1;
}

static int quarantine_run(struct app *app, int argc, char **argv)
{
	struct request r = { .app = app };
	struct err err = { 0 };
	int option, status = EXIT_USAGE;
	const char *arg;

	while ((option = cmd_next_option(app, &cmd_quarantine, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option == OPT_ALL)
			r.all = true;
		else if (option != OPT_MAILBOX ||
			 jobs_add_pattern(&r.opts, &cmd_quarantine, arg) < 0)
			goto out;
	}
	if (take_operands(&r, argc - optind, argv + optind) < 0)
		goto out;
	r.job = job_named(app, &cmd_quarantine, argv[optind]);
	if (r.job)
		status = act(&r, &err) < 0 ? (int)report_error(app, &err) : EXIT_DONE;
out:
	free(r.opts.only);
	return status;
}

const struct cmd cmd_quarantine = {
	.name = "quarantine",
	.args = "JOB [list | accept UID... | retry [UID]...]",
	.summary = "Show, accept or retry messages that could not be stored or copied.",
	.details =
		"A message that a server refuses, or that cannot be stored, is tried again in the\n"
		"next run, then after 1 hour, 6 hours, 1 day, 3 days, and then every week. Until it\n"
		"is stored, runs report it and end with 3, and nothing is removed from the store.\n"
		"\n"
		"'accept' says that you can do without: it is not tried again, and no longer\n"
		"reported. 'retry' lets the next run try those named, or all, accepted or not.\n"
		"Neither needs the server.",
	.options = options,
	.run = quarantine_run,
};
