#ifndef CMD_JOBS_H
#define CMD_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/job.h"

#include "cmd/account.h"

struct app;
struct cmd;
struct config_job;
struct plan_file;

#define JOBS_OF_ANY_KIND (-1)

/* What a command line adds to what the configuration says of a job. */
struct job_options {
	int kind; /* enum config_job_kind of the jobs that it is about, or JOBS_OF_ANY_KIND */
	bool dry_run;
	bool delete; /* of a migration: follow deletions, whatever the job's `deletions` */
	bool adopt, rebind;
	bool allow_deletes_given;
	uint64_t allow_deletes;
	const char **only; /* --mailbox */
	size_t n_only;
	const char *plan_path; /* with dry_run: the file for the plan of the one job; NULL: none */
	const struct plan_file *apply; /* for the one job; NULL: everything there is to do */
	bool by_workers; /* several jobs may run at a time, in processes of their own */
	unsigned workers; /* --workers; 0: not given */
};

/*
 * Run the jobs named, or all of the kind: one after the other in this process, or in workers when they were asked for,
 * or (opts->by_workers) when there are several and some were made from a template. The failure of one
 * does not stop the next. Returns the exit status of the program.
 */
int jobs_run(struct app *app, const struct cmd *cmd, char **names, size_t n,
	     const struct job_options *opts);

/* The settings of a job, with all that they point to. */
struct prepared_job {
	struct job_settings set;
	struct account account, target;
	char *path, *source_path, *fingerprint, *state_dir, *again;
};
/* Borrows from `job` and `opts`. To be released in any case. */
void jobs_prepare(struct prepared_job *p, struct app *app, const struct config_job *job,
		  const struct job_options *opts);
void jobs_release(struct prepared_job *p);

/* Add one more --mailbox; -1 after telling the user that it can mean nothing. */
int jobs_add_pattern(struct job_options *opts, const struct cmd *cmd, const char *pattern);
/* The number of --workers; -1 after telling the user that it is none. */
int jobs_workers(struct job_options *opts, const struct cmd *cmd, const char *number);
/* The number of --allow-deletes; -1 after telling the user that it is none. */
int jobs_allow_deletes(struct job_options *opts, const struct cmd *cmd, const char *number);

/* $XDG_STATE_HOME/mailcask or ~/.local/state/mailcask; owned by the caller. */
char *jobs_state_dir(void);
/* The ledger of a migration; owned by the caller. */
char *jobs_ledger(const char *job);

#endif
