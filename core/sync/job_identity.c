#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/job_internal.h"
#include "core/sync/restore.h"

/* Whether both sides are those that the job knows. Nothing is opened, made or asked of a server before. */

/*
 * A store that is read: it must be there, and not be an older state of itself, in which UIDs that
 * were given out since would be given out again.
 */
static int check_source_store(struct job *job, const struct store_identity *id, struct err *err)
{
	const char *path = job->source_config.path;

	if (id->presence == STORE_MISSING || id->presence == STORE_EMPTY)
		return err_set(err, ERR_MISSING, "%s is %s: is a disk missing?", path,
			       id->presence == STORE_MISSING ? "not there" : "empty");
	if (!job->record.exists || !job->record.account || job->set->rebind ||
	    strcmp(job->record.account, job->fingerprint) != 0 ||
	    id->generation >= job->record.source_generation)
		return 0;
	return err_set(err, ERR_HELD,
		       "%s is an older state of the store that was read before, so its messages may "
		       "not be those that are stored under their UIDs. Nothing was changed. If that "
		       "is as it shall be, --rebind pairs what is stored with it by content",
		       path);
}

/* What a source that is a store is called, and how it is to be opened. */
int job_look_at_source(struct job *job, struct err *err)
{
	const struct store_ops *ops = job->set->source;
	struct store_config *cfg = &job->source_config;
	struct store_identity id = { 0 };
	char *real;
	int ret;

	if (!job_reads_store(job))
		return 0;
	if (ops->identify(cfg, &id, err) < 0)
		return -1;
	real = realpath(cfg->path, NULL);
	job->fingerprint = xasprintf("%s:%s", ops->type,
				     id.presence == STORE_OURS ? id.uuid : real ? real : cfg->path);
	if (id.presence == STORE_FOREIGN)
		job->source_index = record_source_index(job->set->state_dir, job->set->name,
							real ? real : cfg->path);
	free(real);
	cfg->account = job->target_config.account = job->fingerprint;
	cfg->as_source = cfg->with_kept = true;
	cfg->create = !job->set->dry_run;
	cfg->index = job->source_index;
	job->source_generation = id.generation;
	ret = check_source_store(job, &id, err);
	store_identity_release(&id);
	return ret;
}

/* Look at the store before anything is opened or made: is it the one this job knows? */
int job_check_identity(struct job *job, struct err *err)
{
	const struct job_settings *set = job->set;
	struct store_identity id = { 0 };
	char *path = record_path(set->state_dir, set->name);
	struct identity_question question = {
		.path = job_target_path(job),
		.record_path = path,
		.record = &job->record,
		.store = &id,
		.adopt = set->adopt,
		.can_adopt = set->target->traits & STORE_ADOPTS,
		.account = job_writes_account(job),
	};
	int ret = -1;

	if (set->target->identify(&job->target_config, &id, err) < 0)
		goto out;
	ret = 0;
	switch (identity_judge(&question, err)) {
	case IDENTITY_FIRST_RUN:
		job->target_config.create = true;
		break;
	case IDENTITY_ADOPT:
		job->target_config.create = job->target_config.adopt = true;
		break;
	case IDENTITY_RETURNED:
		job->no_deletions = true;
		job_note(job, "%s was not used by this job on this machine before: going on from "
			      "what it holds, and removing nothing in this run",
			 job->target_config.path);
		break;
	case IDENTITY_OLDER:
		/* Files stored since then are there, unknown to it: pair them, or they are doubled. */
		job->target_config.adopt = job->target_config.older = true;
		job_note(job, "%s is an older state of the %s: going on from what it holds",
			 job_target_path(job), question.account ? "ledger" : "store");
		break;
	case IDENTITY_FORGOTTEN:
		job->target_config.create = job->no_deletions = true;
		job_note(job, "%s is not there any more: what was copied before is found out anew, by what the "
			      "target account holds, and nothing is removed in this run",
			 job_target_path(job));
		break;
	case IDENTITY_GO_ON:
		break;
	case IDENTITY_REFUSED:
		ret = -1;
		break;
	}
	/* What others put into an account may be the source's mail at any time. */
	if (question.account)
		job->target_config.adopt = true;
	/* What a run that was stopped had not taken over yet would be stored a second time. */
	if (ret == 0 && !job->target_config.create && question.can_adopt &&
	    (set->adopt || job->record.adopting))
		job->target_config.adopt = true;
	/*
	 * --rebind says the account may be another; where it is the same, there is nothing to
	 * drop. A store may be the same and its UIDs others.
	 */
	if (ret == 0 && set->rebind && id.account &&
	    (job_reads_store(job) || strcmp(id.account, job->source_config.account) != 0))
		job->target_config.rebind = true;
	job->account_then = id.account;
	id.account = NULL;
out:
	store_identity_release(&id);
	free(path);
	return ret;
}

/* Take over what the store says of itself now. */
int job_note_identity(struct job *job, struct err *err)
{
	struct store_identity id = { 0 };

	if (job->set->target->identify(&job->target_config, &id, err) < 0)
		return -1;
	memcpy(job->record.uuid, id.uuid, sizeof(job->record.uuid));
	job->record.generation = id.generation;
	free(job->record.account);
	job->record.account = xstrdup(job->source_config.account);
	store_identity_release(&id);
	return 0;
}

/*
 * Write down which store this is before mail goes into a new one, so that it is recognised even if
 * this run is cut short, and that what lies there is being taken over. (Of one that came from elsewhere only
 * a run that ended well is proof.)
 */
int job_remember_store(struct job *job, struct err *err)
{
	const struct store_config *cfg = &job->target_config;
	bool adopts = cfg->adopt && !job_writes_account(job); /* that always does */
	bool begins = adopts && !job->record.adopting && job->record.exists;

	if (job->set->dry_run || (!cfg->create && !begins))
		return 0;
	if (cfg->create && job_note_identity(job, err) < 0)
		return -1;
	job->record.adopting = adopts;
	return record_save(job->set->state_dir, job->set->name, &job->record, NULL, err);
}

static int refuse_account(const struct job *job, const char *then, struct err *err)
{
	const char *now = job->source_config.account, *path = job_target_path(job);

	if (strcmp(then, RESTORE_ACCOUNT) == 0)
		return err_set(err, ERR_CONFIG,
			       "%s holds mail that was restored into it. Use another path; or "
			       "--rebind pairs what is there with the account by content",
			       path);
	if (job_writes_account(job))
		return err_set(err, ERR_CONFIG,
			       "%s says what was copied from %s, and this job reads %s. Give the job another "
			       "name; or, if it is the same mail under another name, remove that file: what "
			       "is at the target already is then found out anew",
			       path, then, now);
	return err_set(err, ERR_CONFIG,
		       "%s holds the mail of %s, not of %s. Use another path; or, if it "
		       "is the same mail under another name, --rebind pairs what is there "
		       "with the account by content",
		       path, then, now);
}

/*
 * Now that the store is locked: is it still the one that was looked at, and is it this account's?
 * The account is the one read before opening, which may have written its own there already.
 */
int job_check_account(struct job *job, struct err *err)
{
	const struct store_config *cfg = &job->target_config;
	struct store_identity id = { 0 };
	const char *then = job->account_then;
	int ret = 0;

	if (!job->target)
		return 0;
	if (job->set->target->identify(cfg, &id, err) < 0)
		return -1;
	if (!then)
		then = id.account;
	if (job->record.exists && !cfg->create && strcmp(job->record.uuid, id.uuid) != 0)
		ret = err_set(err, ERR_HELD, "%s was exchanged while this run began; run again",
			      job_target_path(job));
	else if (!cfg->rebind && then &&
		 (strcmp(then, RESTORE_ACCOUNT) == 0 ||
		  !identity_same_account(job->source_config.account, then, &job->from, &job->to)))
		ret = refuse_account(job, then, err);
	store_identity_release(&id);
	return ret;
}
