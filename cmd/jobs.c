#include "cmd/jobs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/imap/imap.h"
#include "core/base/bytes.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sync/record.h"
#include "core/sync/scope.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/mirror.h"
#include "cmd/progress.h"
#include "cmd/report.h"
#include "cmd/store_arg.h"
#include "cmd/workers.h"

char *jobs_state_dir(void)
{
	const char *xdg = getenv("XDG_STATE_HOME");
	char *home, *dir;

	if (xdg && *xdg == '/')
		return xasprintf("%s/mailcask", xdg);
	home = config_path("~", "");
	dir = xasprintf("%s/.local/state/mailcask", home);
	free(home);
	return dir;
}

char *jobs_ledger(const char *job)
{
	char *dir = jobs_state_dir(), *path = state_path(dir, job, ".db");

	free(dir);
	return path;
}

int jobs_add_pattern(struct job_options *opts, const struct cmd *cmd, const char *pattern)
{
	struct err err = { 0 };

	if (scope_check_pattern(pattern, &err) < 0) {
		cmd_usage_error(cmd, "--mailbox: %s", err.text);
		return -1;
	}
	opts->only = xrealloc(opts->only, (opts->n_only + 1) * sizeof(*opts->only));
	opts->only[opts->n_only++] = pattern;
	return 0;
}

int jobs_allow_deletes(struct job_options *opts, const struct cmd *cmd, const char *number)
{
	opts->allow_deletes_given = true;
	if (bytes_to_u64(bytes_of(number), &opts->allow_deletes))
		return 0;
	cmd_usage_error(cmd, "--allow-deletes needs a number, not '%s'", number);
	return -1;
}

int jobs_workers(struct job_options *opts, const struct cmd *cmd, const char *number)
{
	uint32_t n;

	if (bytes_to_u32(bytes_of(number), &n) && n >= 1 && n <= WORKERS_MAX) {
		opts->workers = n;
		return 0;
	}
	cmd_usage_error(cmd, "--workers needs a number from 1 to %d, not '%s'", WORKERS_MAX, number);
	return -1;
}

static void read_account(struct prepared_job *p, const struct config_job *job, bool dry_run)
{
	account_init(&p->account, job->account, dry_run);
	p->fingerprint = imap_fingerprint(&p->account.imap);
	p->set.source = &imap_store;
	p->set.source_config.account = p->set.target_config.account = p->fingerprint;
	p->set.source_config.settings = &p->account.imap;
}

static void read_store(struct prepared_job *p, const struct config_job *job)
{
	const struct config_store *st = job->source;

	p->source_path = config_store_path(st, job->whose);
	p->set.source = store_type(config_choice_word(config_type_words, st->type));
	p->set.source_config.path = p->source_path;
	/* Where nothing was written, what lies there says it: it may be another program's. */
	if (config_store_has_layout(st))
		p->set.source_config.layout = config_store_layout(st);
}

static void write_account(struct prepared_job *p, const struct config_job *job, bool dry_run)
{
	account_init(&p->target, job->target, dry_run);
	p->path = jobs_ledger(job->head.name);
	p->set.target = &imap_store;
	p->set.target_config.index = p->path;
	p->set.target_config.settings = &p->target.imap;
}

static void write_store(struct prepared_job *p, const struct config_job *job)
{
	p->path = config_store_path(job->store, job->whose);
	p->set.target = store_type(config_choice_word(config_type_words, job->store->type));
	p->set.target_config.path = p->path;
	p->set.target_config.layout = config_store_layout(job->store);
}

/* It was checked when the configuration was read. */
static void read_map(struct name_map *out, const struct config_list *rules)
{
	struct err err;
	int ret = name_map_parse(out, (const char *const *)rules->v, rules->n, &err);

	assert(ret == 0);
	(void)ret;
}

void jobs_prepare(struct prepared_job *p, struct app *app, const struct config_job *job,
		  const struct job_options *opts)
{
	*p = (struct prepared_job){ 0 };
	p->state_dir = jobs_state_dir();
	p->again = xasprintf(job->target ? "mailcask migrate %s --delete" : "mailcask backup %s",
			     job->head.name);
	p->set = (struct job_settings){
		.name = job->head.name,
		.again = p->again,
		.source_config = { .name = job->from },
		.target_config = { .name = job->to },
		.state_dir = p->state_dir,
		.mailboxes = (const char *const *)job->mailboxes.v,
		.n_mailboxes = job->mailboxes.n,
		.only = opts->only,
		.n_only = opts->n_only,
		.deletions = opts->delete ? DELETIONS_MIRROR : (enum job_deletions)job->deletions,
		.max_delete = job->max_delete,
		.flag_check = job->flag_check,
		.guard_exempt = (const char *const *)job->guard_exempt.v,
		.n_guard_exempt = job->guard_exempt.n,
		.dry_run = opts->dry_run,
		.allow_deletes_given = opts->allow_deletes_given,
		.allow_deletes = opts->allow_deletes,
		.adopt = opts->adopt,
		.rebind = opts->rebind,
		.apply = opts->apply,
		.stop = app->stop,
	};
	read_map(&p->set.map, &job->map);
	if (job->target)
		write_account(p, job, opts->dry_run);
	else
		write_store(p, job);
	if (job->account)
		read_account(p, job, opts->dry_run);
	else
		read_store(p, job);
}

void jobs_release(struct prepared_job *p)
{
	account_release(&p->account);
	account_release(&p->target);
	name_map_release(&p->set.map);
	free(p->path);
	free(p->source_path);
	free(p->fingerprint);
	free(p->state_dir);
	free(p->again);
}

static enum exit_status run_one(struct app *app, const struct config_job *job,
				const struct job_options *opts)
{
	struct job_report report;
	struct progress progress;
	struct plan_file plan = { 0 };
	struct prepared_job p;
	struct err err = { 0 };
	int64_t started = clock_ms();
	enum exit_status status;
	int failed;

	jobs_prepare(&p, app, job, opts);
	job_report_init(&report);
	progress_begin(&progress, app, job->head.name);
	p.set.progress = progress_show;
	p.set.progress_ctx = &progress;
	if (opts->plan_path)
		p.set.plan_out = &plan;
	failed = job_run(&p.set, &report, &err);
	if (failed == 0 && opts->plan_path)
		failed = plan_file_write(&plan, opts->plan_path, &err);
	progress_end(&progress);
	if (failed == 0)
		err = (struct err){ 0 }; /* what was tried on the way and did not matter */
	status = exit_of_job(failed, &err, &report);
	report_job(app, &p.set, &report, &err, status, clock_ms() - started);
	if (!opts->dry_run && mirror_may_push(job, failed, &err))
		status = exit_worse(status, mirror_push(app, job));
	plan_file_release(&plan);
	job_report_release(&report);
	jobs_release(&p);
	return status;
}

static bool is_of_kind(const struct config_job *job, const struct job_options *opts)
{
	return opts->kind == JOBS_OF_ANY_KIND || job->kind == opts->kind;
}

static int check_name(const struct config *cfg, const struct cmd *cmd, const char *name,
		      const struct job_options *opts)
{
	const struct config_job *job = config_section(cfg, CONFIG_JOB, name);
	const char *near;

	if (job && is_of_kind(job, opts) && job->kind == CONFIG_JOB_MIGRATE && opts->allow_deletes_given &&
	    !opts->delete && !opts->apply && job->deletions == DELETIONS_KEEP)
		return cmd_usage_error(cmd, "[job %s] keeps what is gone at the source: --allow-deletes needs "
					    "--delete",
				       name);
	if (job && is_of_kind(job, opts))
		return 0;
	if (job)
		return cmd_usage_error(cmd, "[job %s] is of kind %s: mailcask %s %s", name,
				       config_choice_word(config_kind_words, job->kind),
				       config_choice_word(config_kind_words, job->kind), name);
	near = config_nearest(cfg, CONFIG_JOB, name);
	return cmd_usage_error(cmd, "there is no [job %s]%s%s%s", name, near ? "; did you mean '" : "",
			       near ? near : "", near ? "'?" : "");
}

/* Before anything runs: a name that is wrong must not be found after an hour's work. */
static int check_names(const struct config *cfg, const struct cmd *cmd, char **names, size_t n,
		       const struct job_options *opts)
{
	size_t of_kind = 0;

	for (size_t i = 0; i < n; i++)
		if (check_name(cfg, cmd, names[i], opts) != 0)
			return -1;
	for (size_t i = 0; i < config_jobs(cfg); i++) {
		const struct config_job *job = config_job_at(cfg, i);

		of_kind += is_of_kind(job, opts);
		if (n == 0 && is_of_kind(job, opts) && check_name(cfg, cmd, job->head.name, opts) != 0)
			return -1;
	}
	if (config_jobs(cfg) == 0 && cfg->n_templates > 0 && !cfg->accounts)
		return cmd_usage_error(cmd, "the configuration has templates only: say with --accounts=FILE, or with "
					    "'accounts' in [global], for which accounts");
	if (config_jobs(cfg) == 0)
		return cmd_usage_error(cmd, "the configuration has no [job NAME]");
	if (of_kind == 0)
		return cmd_usage_error(cmd, "the configuration has no [job NAME] with kind = %s",
				       config_choice_word(config_kind_words, opts->kind));
	return 0;
}

static bool is_chosen(const struct worker_task *task, size_t n, const struct config_job *job)
{
	for (size_t i = 0; i < n; i++)
		if (task[i].job == job)
			return true;
	return false;
}

/*
 * Those that are meant, n of them, as tasks without anything else yet. One that was named twice is one: two
 * processes of it would only be in each other's way.
 */
static struct worker_task *choose(const struct config *cfg, char **names, size_t n, const struct job_options *opts,
				  size_t *chosen)
{
	size_t all = n ? n : config_jobs(cfg);
	struct worker_task *task = xcalloc(all + 1, sizeof(*task));

	*chosen = 0;
	for (size_t i = 0; i < all; i++) {
		const struct config_job *job = n ? config_section(cfg, CONFIG_JOB, names[i]) :
						   config_job_at(cfg, i);

		if (is_of_kind(job, opts) && !(n && is_chosen(task, *chosen, job)))
			task[(*chosen)++].job = job;
	}
	return task;
}

/* How many at a time; 0: one after the other, in this process. */
static unsigned choose_workers(const struct worker_task *task, size_t n, const struct job_options *opts)
{
	if (n < 2 || opts->workers)
		return n < 2 ? 0 : opts->workers;
	for (size_t i = 0; i < n && opts->by_workers; i++)
		if (task[i].job->head.template)
			return WORKERS_DEFAULT;
	return 0;
}

static enum exit_status run_in_turn(struct app *app, const struct worker_task *task, size_t n,
				    const struct job_options *opts)
{
	enum exit_status worst = EXIT_DONE;

	for (size_t i = 0; i < n; i++) {
		if (*app->stop)
			return EXIT_INTERRUPTED;
		worst = exit_worse(worst, run_one(app, task[i].job, opts));
	}
	return worst;
}

int jobs_run(struct app *app, const struct cmd *cmd, char **names, size_t n,
	     const struct job_options *opts)
{
	const struct config *cfg = app_config(app);
	struct workers w = { .app = app, .cmd = cmd, .opts = opts, .run = run_one, .dry_run = opts->dry_run };
	enum exit_status status;

	if (!cfg)
		return EXIT_USAGE;
	if (check_names(cfg, cmd, names, n, opts) != 0)
		return EXIT_USAGE;
	w.task = choose(cfg, names, n, opts, &w.n);
	w.at_once = choose_workers(w.task, w.n, opts);
	status = w.at_once ? workers_run(&w) : run_in_turn(app, w.task, w.n, opts);
	free(w.task);
	return (int)status;
}
