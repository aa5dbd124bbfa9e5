#ifndef CMD_JOB_STORE_H
#define CMD_JOB_STORE_H

#include "core/sync/store.h"

#include "cmd/account.h"

struct app;
struct cmd;
struct config_job;

/*
 * The store that a job writes, for commands that do without the server; of a migration, its ledger. It must
 * not move.
 */
struct job_store {
	const struct store_ops *ops;
	struct store_config config;     /* for store_open(), in either mode */
	struct store_identity identity; /* of what lies there now */
	struct run run;
	struct account account; /* of a migration: the target */
	char *path;
};

/* The job of that name. NULL after telling the user what is wrong. */
const struct config_job *job_named(struct app *app, const struct cmd *cmd, const char *name);
/* Look what lies at the path, whatever it is; nothing is changed or locked. Release it in any case. */
int job_store_look(struct job_store *out, struct app *app, const struct config_job *job,
		   struct err *err);
/* The same, and it must be a store of mailcask: ERR_MISSING. */
int job_store_find(struct job_store *out, struct app *app, const struct config_job *job,
		   struct err *err);
void job_store_release(struct job_store *js);

#endif
