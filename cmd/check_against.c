#include "cmd/check_against.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/imap/imap.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/sync/against.h"
#include "core/sync/record.h"

#include "cmd/account.h"
#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/report.h"
#include "cmd/store_arg.h"

typedef unsigned long long ull;

#define SHOWN 20 /* of each kind, without -v */

/* A comparison as it is told to a person or a program. */
struct comparison {
	struct app *app;
	struct against against;
	char *name; /* of the store, escaped */
	struct run run;
	struct store_arg arg;
	struct account account;
	char *fingerprint;
	struct store_config source_config;
	struct store *source, *target;
	struct mailbox_list from, to;
};

static const struct {
	const char *word, *text;
	bool wrong; /* not only what happened since the last backup */
} kinds[DIFFERENCE_KINDS] = {
	[DIFFERENCE_LACKING] = { "lacking", "messages that the store lacks", true },
	[DIFFERENCE_CONTENT] = { "content", "with other content", true },
	[DIFFERENCE_UNCOMPARED] = { "uncompared", "not compared", true },
	[DIFFERENCE_QUARANTINED] = { "quarantined", "in quarantine", false },
	[DIFFERENCE_GONE] = { "gone", "no longer in the account", false },
	[DIFFERENCE_FLAGS] = { "flags", "with other flags", false },
	[DIFFERENCE_NEW] = { "new", "new since the last backup", false },
};

static void tell(const struct comparison *c, const struct difference *d)
{
	report_event(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "event", "difference", "store",
			       c->name, "kind", kinds[d->kind].word, "mailbox", d->mailbox, "uid",
			       (json_int_t)d->uid, "stored_uid", (json_int_t)d->stored_uid, "text",
			       d->what));
}

/* What a backup is for is nothing for cron to mail. */
static bool is_told(const struct app *app, enum difference_kind kind)
{
	return kinds[kind].wrong || (!app->quiet && (app->verbose || isatty(STDERR_FILENO)));
}

static void on_found(void *ctx, const struct difference *d)
{
	struct comparison *c = ctx;
	char *mailbox;

	if (c->app->json) {
		tell(c, d);
		return;
	}
	if (!is_told(c->app, d->kind) ||
	    (!c->app->verbose && c->against.differences[d->kind] > SHOWN))
		return;
	mailbox = escape_text(bytes_of(d->mailbox), 400);
	if (d->stored_uid && d->uid != d->stored_uid)
		report_line(c->app, c->name, "%s, UID %u (%u in the store): %s", mailbox, d->uid,
			    d->stored_uid, d->what);
	else if (d->uid)
		report_line(c->app, c->name, "%s, UID %u: %s", mailbox, d->uid, d->what);
	else
		report_line(c->app, c->name, "%s: %s", mailbox, d->what);
	free(mailbox);
}

/* After the first of each kind. */
static void tell_rest(const struct comparison *c)
{
	for (int kind = 0; kind < DIFFERENCE_KINDS && !c->app->verbose; kind++)
		if (c->against.differences[kind] > SHOWN &&
		    is_told(c->app, (enum difference_kind)kind))
			report_line(c->app, c->name, "%s: and %llu more; -v names them all",
				    kinds[kind].text, (ull)(c->against.differences[kind] - SHOWN));
}

static enum exit_status status_of(const struct against *a)
{
	if (a->differences[DIFFERENCE_LACKING] || a->differences[DIFFERENCE_CONTENT])
		return EXIT_FAILED;
	return a->differences[DIFFERENCE_UNCOMPARED] ? EXIT_INCOMPLETE : EXIT_DONE;
}

static void print_summary(const struct comparison *c, const char *account, int64_t took_ms)
{
	const struct against *a = &c->against;
	struct buf line = BUF_INIT(4096);

	buf_addf(&line, "%llu messages in %llu mailbox%s are those of %s", (ull)a->messages,
		 (ull)a->compared, a->compared == 1 ? "" : "es", account);
	if (a->fetched)
		buf_addf(&line, ", %llu of them compared byte by byte", (ull)a->fetched);
	for (int kind = 0; kind < DIFFERENCE_KINDS; kind++)
		if (a->differences[kind])
			buf_addf(&line, "; %llu %s", (ull)a->differences[kind], kinds[kind].text);
	printf("%s: %s (%.1f s)\n", c->name, buf_str(&line), (double)took_ms / 1000);
	buf_release(&line);
}

static void print_event(const struct comparison *c, const char *account, enum exit_status status,
			int64_t took_ms)
{
	const struct against *a = &c->against;
	json_t *event = json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "event", "summary",
				  "store", c->name, "against", account, "exit", (int)status,
				  "mailboxes", (json_int_t)a->compared, "messages",
				  (json_int_t)a->messages, "fetched", (json_int_t)a->fetched,
				  "fetched_bytes", (json_int_t)a->fetched_bytes, "ms",
				  (json_int_t)took_ms);

	for (int kind = 0; kind < DIFFERENCE_KINDS; kind++)
		json_object_set_new(event, kinds[kind].word,
				    json_integer((json_int_t)a->differences[kind]));
	report_event(event);
}

/* The patterns of a job that backs the account up into this store: what is there is meant to be no more. */
static void take_scope(struct comparison *c, const struct config *cfg,
		       const struct config_account *account)
{
	for (size_t i = 0; i < config_jobs(cfg); i++) {
		const struct config_job *job = config_job_at(cfg, i);
		char *path, *real, *ours;

		if (job->account != account || !job->store)
			continue;
		path = config_store_path(job->store, job->whose);
		real = realpath(path, NULL);
		ours = realpath(c->arg.path, NULL);
		if (real && ours && strcmp(real, ours) == 0) {
			c->against.mailboxes = (const char *const *)job->mailboxes.v;
			c->against.n_mailboxes = job->mailboxes.n;
		}
		free(path);
		free(real);
		free(ours);
	}
}

static int open_both(struct comparison *c, struct err *err)
{
	const char *stored = c->arg.identity.account;

	c->arg.config.run = c->source_config.run = &c->run;
	if (store_open(&imap_store, &c->source, &c->source_config, STORE_READ, err) < 0 ||
	    store_list(c->source, NULL, &c->from, err) < 0 ||
	    store_open(c->arg.ops, &c->target, &c->arg.config, STORE_READ, err) < 0 ||
	    store_list(c->target, NULL, &c->to, err) < 0)
		return -1;
	if (!c->from.complete)
		return err_set(err, ERR_RETRY, "the server did not list all mailboxes");
	if (!identity_same_account(c->fingerprint, stored, &c->from, &c->to))
		return err_set(err, ERR_CONFIG, "%s holds the mail of %s, not of %s", c->name, stored,
			       c->fingerprint);
	return 0;
}

static int compare(struct comparison *c, const char *store, const struct config_account *account,
		   struct err *err)
{
	if (store_arg_find(&c->arg, c->app, store, err) < 0)
		return -1;
	c->name = escape_text(bytes_of(c->arg.name), 400);
	if (c->arg.snapshot)
		return err_set(err, ERR_CONFIG,
			       "what a store holds now is compared: leave @ and what follows out");
	account_init(&c->account, account, true);
	c->fingerprint = imap_fingerprint(&c->account.imap);
	c->source_config = (struct store_config){ .name = account->head.name,
						  .account = c->fingerprint,
						  .settings = &c->account.imap };
	take_scope(c, c->app->config, account);
	if (open_both(c, err) < 0)
		return -1;
	c->against.source = c->source;
	c->against.target = c->target;
	c->against.from = &c->from;
	c->against.to = &c->to;
	return against_run(&c->against, err);
}

static void release(struct comparison *c)
{
	store_close(c->target);
	store_close(c->source);
	mailbox_list_release(&c->from);
	mailbox_list_release(&c->to);
	account_release(&c->account);
	store_arg_release(&c->arg);
	free(c->fingerprint);
	free(c->name);
}

enum exit_status check_against(struct app *app, const char *store, const char *account,
			       uint64_t sample)
{
	struct comparison c = { .app = app, .run = { .stop = app->stop } };
	const struct config *cfg = app_config(app);
	int64_t started = clock_ms();
	const struct config_account *ac;
	enum exit_status status;
	struct err err = { 0 };
	const char *near;

	if (!cfg)
		return EXIT_USAGE;
	ac = config_section(cfg, CONFIG_ACCOUNT, account);
	near = ac ? NULL : config_nearest(cfg, CONFIG_ACCOUNT, account);
	if (!ac)
		return (enum exit_status)cmd_usage_error(
			&cmd_check, "there is no [account %s]%s%s%s", account,
			near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	c.against.sample = sample;
	c.against.found = on_found;
	c.against.ctx = &c;
	if (compare(&c, store, ac, &err) < 0) {
		status = exit_worse(status_of(&c.against), report_error(app, &err));
	} else {
		status = status_of(&c.against);
		tell_rest(&c);
		if (app->json)
			print_event(&c, account, status, clock_ms() - started);
		else if (!app->quiet && (app->verbose || isatty(STDOUT_FILENO)))
			print_summary(&c, account, clock_ms() - started);
	}
	release(&c);
	return status;
}
