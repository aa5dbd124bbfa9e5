#include "core/sync/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/restore_internal.h"
#include "core/sync/scope.h"

void restore_report_release(struct restore_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		for (size_t k = 0; k < r->v[i].n_failed; k++)
			free(r->v[i].failed[k].reason);
		free(r->v[i].failed);
		free(r->v[i].name);
		free(r->v[i].target);
		free(r->v[i].problem);
	}
	for (size_t i = 0; i < r->n_notes; i++)
		free(r->notes[i]);
	free(r->notes);
	free(r->v);
	*r = (struct restore_report){ 0 };
}

struct restore_mailbox *restore_line(const struct restore_lane *lane)
{
	return &lane->run->report->v[lane->line];
}

void restore_problem(struct restore_lane *lane, const char *why)
{
	struct restore_mailbox *line = restore_line(lane);

	if (!line->problem)
		line->problem = xstrdup(why);
	lane->run->report->incomplete = true;
}

void restore_skip(struct restore_lane *lane, const char *why)
{
	lane->skipped = true;
	restore_line(lane)->skipped = true;
	restore_problem(lane, why);
}

void restore_failed(struct restore_lane *lane, uint32_t uid, const char *why)
{
	struct restore_mailbox *line = restore_line(lane);

	line->failed = xgrow(line->failed, line->n_failed, &line->cap_failed,
			     sizeof(*line->failed));
	line->failed[line->n_failed++] =
		(struct restore_failure){ .uid = uid, .reason = xstrdup(why) };
	lane->run->report->incomplete = true;
}

void restore_note(struct restore *r, const char *text)
{
	struct restore_report *report = r->report;

	report->notes = xgrow(report->notes, report->n_notes, &report->cap_notes,
			      sizeof(*report->notes));
	report->notes[report->n_notes++] = xstrdup(text);
}

/* What a store wants the user to know. */
static void on_note(void *ctx, const struct mailbox_name *mailbox, const char *text)
{
	char *name = mailbox ? mailbox_name_text(mailbox) : NULL;
	char *safe = name ? escape_text(bytes_of(name), 400) : NULL;
	char *whole = xasprintf("%s%s%s", safe ? safe : "", safe ? ": " : "", text);

	restore_note(ctx, whole);
	free(whole);
	free(safe);
	free(name);
}

bool restore_wants(const struct restore_lane *lane, uint32_t uid)
{
	const struct restore_settings *set = lane->run->set;

	return (!set->uids || uidset_has(set->uids, uid)) &&
	       (!set->choose || uidset_has(&lane->chosen, uid));
}

void restore_tell(struct restore *r, enum job_phase phase)
{
	r->progress.phase = phase;
	if (r->set->progress)
		r->set->progress(r->set->progress_ctx, &r->progress);
}

/* Whether a store with this account may be restored into. */
static int check_account(const struct restore *r, const char *account, struct err *err)
{
	if (!account || !*account || strcmp(account, RESTORE_ACCOUNT) == 0)
		return 0;
	return err_set(err, ERR_CONFIG,
		       "%s is the backup of %s; mail restored into it would be in the way of the "
		       "next backup. Restore into a directory of its own",
		       r->target_config.path, account);
}

/* An archive to import into, which is there or may be made. */
static int check_archive(struct restore *r, struct err *err)
{
	struct store_config *cfg = &r->target_config;
	struct store_identity id = { 0 };
	int ret = r->set->target->identify(cfg, &id, err);

	if (ret == 0 && id.presence == STORE_FOREIGN)
		ret = err_set(err, ERR_CONFIG, "%s is not empty and was not made by mailcask", cfg->path);
	if (ret == 0 && id.presence != STORE_OURS && !cfg->create)
		ret = err_set(err, ERR_MISSING, "%s is no store of mailcask", cfg->path);
	cfg->create &= id.presence != STORE_OURS;
	store_identity_release(&id);
	return ret;
}

/* Look at the target before anything is opened or made. */
static int check_target(struct restore *r, struct err *err)
{
	struct store_config *cfg = &r->target_config;
	struct store_identity id = { 0 };
	int ret = 0;

	if (restore_is_to_account(r))
		return restore_check_account(r, err);
	if (restore_is_import(r))
		return check_archive(r, err);
	if (r->set->target->identify(cfg, &id, err) < 0)
		return -1;
	cfg->account = RESTORE_ACCOUNT;
	if (id.presence == STORE_MISSING || id.presence == STORE_EMPTY) {
		cfg->create = true;
	} else if (id.presence == STORE_OURS) {
		ret = check_account(r, id.account, err);
	} else if (!r->set->adopt) {
		ret = err_set(err, ERR_CONFIG,
			      "%s is not empty and was not made by mailcask. Restore into a new "
			      "directory; or, with --adopt, beside what is there, which stays as it "
			      "is",
			      cfg->path);
	}
	cfg->adopt = r->set->adopt && !cfg->create;
	/* Only looking, mailboxes that others made are seen like this; else when they are to be made. */
	cfg->claim_foreign = r->set->dry_run && !cfg->create;
	store_identity_release(&id);
	return ret;
}

/* Now that it is locked: still not a backup, which another program may just have begun? */
static int check_again(const struct restore *r, struct err *err)
{
	struct store_identity id = { 0 };
	int ret;

	if (restore_is_to_account(r) || restore_is_import(r))
		return 0; /* nobody else writes to its ledger; any archive will do */
	if (r->set->target->identify(&r->target_config, &id, err) < 0)
		return -1;
	ret = check_account(r, id.account, err);
	store_identity_release(&id);
	return ret;
}

static int open_source(struct restore *r, struct err *err)
{
	restore_tell(r, JOB_LIST);
	if (store_open(r->set->source, &r->source, &r->source_config, STORE_READ, err) < 0)
		return -1;
	return store_list(r->source, NULL, &r->from, err);
}

static int open_target(struct restore *r, struct err *err)
{
	const struct restore_settings *set = r->set;

	if (check_target(r, err) < 0)
		return -1;
	if (set->dry_run && r->target_config.create)
		return 0; /* there is none yet */
	if (store_open(set->target, &r->target, &r->target_config,
		       set->dry_run ? STORE_READ : STORE_WRITE, err) < 0)
		return restore_target_failed(r, err);
	if (check_again(r, err) < 0)
		return -1;
	return store_list(r->target, NULL, &r->to, err);
}

static void add_lane(struct restore *r, const struct mailbox_info *from)
{
	struct restore_report *report = r->report;

	r->lanes[r->n] = (struct restore_lane){
		.run = r,
		.from = from,
		.line = report->n,
	};
	changes_init(&r->lanes[r->n].have);
	changes_init(&r->lanes[r->n++].there);
	report->v = xgrow(report->v, report->n, &report->cap, sizeof(*report->v));
	report->v[report->n++] =
		(struct restore_mailbox){ .name = mailbox_name_text(&from->name) };
}

/* A name with a slip in it must not pass for a mailbox with nothing to restore. */
static int check_patterns(const struct restore *r, struct err *err)
{
	for (size_t i = 0; i < r->set->n_mailboxes; i++) {
		const char *pattern = r->set->mailboxes[i];
		bool any = pattern[0] == '!';

		for (size_t k = 0; k < r->from.n && !any; k++)
			any = scope_contains(&pattern, 1, &r->from.v[k].name,
					     r->from.v[k].attributes);
		if (!any)
			return err_set(err, ERR_MISSING,
				       "--mailbox=%s: nothing that is to be restored is in a "
				       "mailbox called that",
				       pattern);
	}
	return 0;
}

static int choose_lanes(struct restore *r, struct err *err)
{
	const struct restore_settings *set = r->set;

	if (check_patterns(r, err) < 0)
		return -1;
	r->lanes = xcalloc(r->from.n + 1, sizeof(*r->lanes));
	for (size_t i = 0; i < r->from.n; i++) {
		const struct mailbox_info *info = &r->from.v[i];

		if (!(info->attributes & MAILBOX_NOSELECT) &&
		    scope_contains(set->mailboxes, set->n_mailboxes, &info->name,
				   info->attributes))
			add_lane(r, info);
	}
	if (set->uids && r->n != 1)
		return err_set(err, ERR_CONFIG,
			       "UIDs mean something in one mailbox only, and %zu are selected",
			       r->n);
	return 0;
}

/* What a dry run found. */
static void report_plan(struct restore *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct restore_lane *lane = &r->lanes[i];
		struct restore_mailbox *line = restore_line(lane);

		if (lane->skipped)
			continue;
		line->created = !lane->to && !restore_leaves_out(lane) &&
				(!restore_is_import(r) || !uidset_is_empty(&lane->missing));
		line->added = uidset_count(&lane->missing);
		line->bytes = lane->missing_bytes;
		for (size_t k = 0; k < lane->n_change; k++)
			line->flags_changed += uidset_count(&lane->change[k].set);
	}
}

/* Said before anything is added; how far it gets is for the server to say. */
static int check_room(struct restore *r, struct err *err)
{
	uint64_t room = UINT64_MAX, wanted = 0;
	char text[200];

	for (size_t i = 0; i < r->n; i++)
		wanted += r->lanes[i].missing_bytes;
	if (!r->target || wanted == 0)
		return 0;
	if (store_room(r->target, &room, err) < 0)
		return -1;
	if (room < wanted) {
		snprintf(text, sizeof(text),
			 "%llu kB are missing, and there is room for %llu kB: not all of it will be taken",
			 (unsigned long long)wanted / 1000, (unsigned long long)room / 1000);
		restore_note(r, text);
	}
	return 0;
}

static int run(struct restore *r, struct err *err)
{
	/* The source first: one that is not what was meant must not leave an empty target behind. */
	if (open_source(r, err) < 0 || choose_lanes(r, err) < 0)
		return -1;
	if (r->n == 0)
		return 0;
	if (restore_list_sources(r, err) < 0 || open_target(r, err) < 0 ||
	    restore_name_lanes(r, err) < 0)
		return -1;
	if (restore_is_to_account(r) && (restore_open_targets(r, err) < 0 || restore_look(r, err) < 0))
		return -1;
	if (restore_compare(r, err) < 0 || check_room(r, err) < 0)
		return -1;
	if (!r->set->dry_run)
		return restore_add(r, err);
	report_plan(r);
	return 0;
}

static void add_totals(struct restore_report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		report->added += report->v[i].added;
		report->bytes += report->v[i].bytes;
		report->present += report->v[i].present;
		report->flags_changed += report->v[i].flags_changed;
	}
}

static void release_lane(struct restore_lane *lane)
{
	changes_release(&lane->have);
	changes_release(&lane->there);
	mailbox_name_release(&lane->as);
	uidset_release(&lane->missing);
	uidset_release(&lane->chosen);
	uidset_release(&lane->passed);
	uidset_release(&lane->imported);
	free(lane->given);
	for (size_t i = 0; i < lane->n_change; i++) {
		flags_release(&lane->change[i].delta.add);
		flags_release(&lane->change[i].delta.remove);
		uidset_release(&lane->change[i].set);
	}
	free(lane->change);
}

int restore_run(const struct restore_settings *set, struct restore_report *report,
		struct err *err)
{
	struct restore r = {
		.set = set,
		.report = report,
		.run = { .stop = set->stop, .note = on_note, .note_ctx = &r },
		.source_config = set->source_config,
		.target_config = set->target_config,
	};
	int ret;

	r.source_config.run = r.target_config.run = &r.run;
	r.source_config.with_kept = !set->without_kept;
	ret = run(&r, err);
	add_totals(report);
	/* What concerns one message or mailbox and yet ended the run is for a person to see. */
	if (ret < 0 && err->kind <= ERR_MAILBOX)
		err->kind = ERR_FATAL;
	if (ret < 0 && restore_is_import(&r) && !r.committing)
		err_add(err, ". Nothing was imported");
	for (size_t i = 0; i < r.n; i++)
		release_lane(&r.lanes[i]);
	free(r.lanes);
	store_close(r.target);
	store_close(r.source);
	store_close(r.look);
	free(r.index);
	mailbox_list_release(&r.at_server);
	mailbox_list_release(&r.from);
	mailbox_list_release(&r.to);
	return ret;
}
