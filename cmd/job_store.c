#include "cmd/job_store.h"

#include <stdlib.h>

#include "backends/imap/imap.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"
#include "cmd/store_arg.h"

const struct config_job *job_named(struct app *app, const struct cmd *cmd, const char *name)
{
	const struct config *cfg = app_config(app);
	const struct config_job *job = cfg ? config_section(cfg, CONFIG_JOB, name) : NULL;
	const char *near;

	if (!cfg || job)
		return job;
	near = config_nearest(cfg, CONFIG_JOB, name);
	cmd_usage_error(cmd, "there is no [job %s]%s%s%s", name, near ? "; did you mean '" : "",
			near ? near : "", near ? "'?" : "");
	return NULL;
}

static void find_ledger(struct job_store *out, const struct config_job *job)
{
	account_init(&out->account, job->target, true);
	out->ops = &imap_ledger_store;
	out->path = jobs_ledger(job->head.name);
	out->config.index = out->path;
	out->config.settings = &out->account.imap;
}

static void find_store(struct job_store *out, const struct config_job *job)
{
	out->ops = store_type(config_choice_word(config_type_words, job->store->type));
	out->path = config_store_path(job->store, job->whose);
	out->config.path = out->path;
}

int job_store_look(struct job_store *out, struct app *app, const struct config_job *job,
		   struct err *err)
{
	*out = (struct job_store){
		.run = { .stop = app->stop },
		.config = { .name = job->to, .run = &out->run },
	};
	if (job->target)
		find_ledger(out, job);
	else
		find_store(out, job);
	if (out->ops->identify(&out->config, &out->identity, err) < 0)
		return -1;
	out->config.account = out->identity.account; /* which a commit leaves as it is */
	return 0;
}

int job_store_find(struct job_store *out, struct app *app, const struct config_job *job,
		   struct err *err)
{
	if (job_store_look(out, app, job, err) < 0)
		return -1;
	switch (out->identity.presence) {
	case STORE_OURS:
		return 0;
	case STORE_MISSING:
		if (job->target)
			return err_set(err, ERR_MISSING, "%s is not there: did the job never run?",
				       out->path);
		return err_set(err, ERR_MISSING,
			       "%s is not there: is a disk missing, or did the job never run?",
			       out->path);
	case STORE_EMPTY:
		return err_set(err, ERR_MISSING,
			       "%s is empty: is a disk missing, or did the job never run?", out->path);
	default:
		return err_set(err, ERR_MISSING, "%s is not a store of mailcask", out->path);
	}
}

void job_store_release(struct job_store *js)
{
	store_identity_release(&js->identity);
	account_release(&js->account);
	free(js->path);
	*js = (struct job_store){ 0 };
}
