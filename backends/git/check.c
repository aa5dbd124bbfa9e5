#include "backends/git/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <fcntl.h>
#include <unistd.h>

#include <git2.h>

#include "backends/git/git.h"
#include "backends/git/pack_read.h"
#include "core/base/buf.h"
#include "core/base/lockfile.h"
#include "core/base/mem.h"

const char check_advice_content[] =
	"Contents come back from a copy of the archive: cp -f the files of its objects/pack into "
	"objects/pack here. Where there is none, back the account up into a new git store and copy "
	"from that: all that the account still has is whole again.";
const char check_advice_lists[] =
	"What the archive says of messages comes back from a clone or a copy of it that is not "
	"older: cp -f the files of its objects/pack into objects/pack here. Nothing else brings it "
	"back; a backup into a new store begins anew.";
const char check_advice_texts[] =
	"mailcask does not write that. If an older snapshot is sound, go back to it: git update-ref "
	"refs/heads/main ID; the next backup goes on from there.";
static const char advice_unneeded[] =
	"No snapshot needs what is damaged there, so nothing is lost; but ask yourself whether the "
	"disk is failing. To be rid of it, remove the .keep files in objects/pack and run git repack "
	"-adF.";
static const char advice_copy[] =
	"A sound copy is in another pack and is the one that is read. mailcask compact --mend drops "
	"the damaged one.";
static const char advice_head[] = "Run: git symbolic-ref HEAD refs/heads/main";

void check_tell(struct checking *c, const char *mailbox, uint32_t uid, const struct object_id *id,
		const char *what, const char *advice)
{
	char hex[OBJECT_HEX_SIZE], *text = xasprintf("%s%s", what, c->when);

	check_found(c->ck, &(struct finding){
		.kind = FINDING_DAMAGE,
		.mailbox = mailbox,
		.uid = uid,
		.file = id ? object_id_hex(id, hex) : NULL,
		.what = text,
		.advice = advice,
	});
	free(text);
}

bool check_is_news(struct checking *c, const struct object_id *id)
{
	struct pack_record *r = pack_table_find(&c->told, id);

	if (r)
		return r->where == c->snapshot;
	pack_table_add(&c->told, &(struct pack_record){ .id = *id, .where = c->snapshot });
	return true;
}

static void mark_told(struct checking *c, const struct object_id *id)
{
	struct pack_record *r = pack_table_find(&c->faulty, id);

	if (r)
		c->fault[r->where].told = true;
}

void check_unreadable(struct checking *c, const char *mailbox, const struct object_id *id,
		      const char *what, const struct err *why)
{
	char *text;

	mark_told(c, id);
	if (!check_is_news(c, id))
		return;
	text = xasprintf("%s cannot be read (%s)", what, why->text);
	check_tell(c, mailbox, 0, id, text, check_advice_lists);
	free(text);
}

int check_go_on(struct checking *c, struct err *err)
{
	const struct run *run = c->cfg->run;

	check_progress(c->ck);
	if (run && run->stop && *run->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	return check_time_is_up(c->ck);
}

/* --- refs --- */

static int check_head(struct checking *c, struct err *err)
{
	struct git_repository *git;
	git_reference *head = NULL;
	const char *target = NULL;

	if (c->repo->plain)
		return 0; /* it was read already */
	git = repo_git(c->repo, err);
	if (!git)
		return -1;
	if (git_reference_lookup(&head, git, "HEAD") == 0)
		target = git_reference_symbolic_target(head);
	if (c->repo->bare && (!target || strcmp(target, REPO_MAIN) != 0))
		check_tell(c, NULL, 0, NULL, "HEAD does not name refs/heads/main, which is what git shows",
			   advice_head);
	git_reference_free(head);
	return 0;
}

static void begin_snapshot(struct checking *c, const struct object_id *id)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	char hex[OBJECT_HEX_SIZE], date[16] = "";
	struct commit_text commit;
	struct err err;
	struct tm tm;
	time_t when;

	c->snapshot++;
	c->when[0] = '\0';
	if (c->is_base)
		return;
	if (repo_read_commit(c->repo, id, &text, &commit, &err) == 0) {
		when = (time_t)commit.time;
		if (localtime_r(&when, &tm))
			strftime(date, sizeof(date), " of %Y-%m-%d", &tm);
	}
	snprintf(c->when, sizeof(c->when), " (in the snapshot %.10s%s)", object_id_hex(id, hex), date);
	buf_release(&text);
}

/*
 * The base first, so that what it shares with older ones is told of it. Without read_data the base and
 * main will do.
 */
static int check_snapshots(struct checking *c, struct err *err)
{
	struct object_id id = c->tips.tip, next;
	bool all = c->ck->read_data || c->naming;
	int ret;

	c->is_base = true;
	while (!object_id_is_zero(&id)) {
		if ((ret = check_go_on(c, err)) != 0)
			return ret < 0 ? -1 : 0;
		begin_snapshot(c, &id);
		if (check_commit(c, &id, &next, err) < 0)
			return -1;
		if (!c->naming)
			c->ck->snapshots += !(c->is_base && c->tips.on_wip);
		if (!all && !(c->is_base && c->tips.on_wip))
			return 0;
		c->is_base = false;
		id = next;
	}
	return 0;
}

/* What reading found and the snapshots did not need. */
static void tell_unneeded(struct checking *c)
{
	c->when[0] = '\0';
	for (size_t i = 0; i < c->n_faults; i++) {
		const struct fault *f = &c->fault[i];
		char hex[OBJECT_HEX_SIZE];

		if (f->good_copy)
			check_found(c->ck, &(struct finding){
				.kind = FINDING_HARMLESS, .what = f->why,
				.file = object_id_hex(&f->id, hex),
				.advice = advice_copy });
		else if (!f->told)
			check_tell(c, NULL, 0, &f->id, f->why, advice_unneeded);
	}
}

static void forget_seen(struct checking *c)
{
	pack_table_clear(&c->seen);
	c->n_sums = 0;
}

static int check_all(struct checking *c, struct err *err)
{
	int got;

	if (check_pack_ends(c, err) < 0)
		return -1;
	got = repo_find_tips(c->repo, &c->tips, err);
	if (got < 0) {
		check_tell(c, NULL, 0, NULL, err->text, check_advice_lists);
		return c->ck->read_data ? check_pack_data(c, err) : 0;
	}
	if (got == 0)
		return err_set(err, ERR_MISSING, "%s: there is no mailcask archive", c->cfg->path);
	if (check_refuse_newer(c, err) < 0 || check_head(c, err) < 0 || check_snapshots(c, err) < 0)
		return -1;
	if (!c->ck->read_data)
		return 0;
	if (check_pack_data(c, err) < 0)
		return -1;
	c->naming = true;
	forget_seen(c);
	if (c->n_faults > 0 && check_snapshots(c, err) < 0)
		return -1;
	return 0;
}

/* Whether snapshots were forgotten since the check began: what it missed of them is no damage. */
static int refuse_forgotten(struct checking *c, struct err *err)
{
	struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	struct commit_text commit;
	struct object_id now;
	struct err why;
	int ret = 0;

	if (c->tips.has_main && repo_ref(c->repo, REPO_MAIN, &now, &why) > 0 &&
	    !object_id_equal(&now, &c->tips.main) && repo_refresh(c->repo, &why) == 0 &&
	    repo_read_commit(c->repo, &c->tips.main, &text, &commit, &why) < 0 &&
	    repo_read_commit(c->repo, &now, &text, &commit, &why) == 0)
		ret = err_set(err, ERR_RETRY,
			      "%s: old snapshots were forgotten while it was checked, and what is said of damage "
			      "may be about them: check again",
			      c->cfg->path);
	buf_release(&text);
	return ret;
}

static void find_holder(struct checking *c)
{
	int dir = open(c->cfg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return;
	c->ck->in_use = lockfile_holder(dir) == LOCK_HELD;
	close(dir);
}

int gitstore_check(const struct store_config *cfg, struct check *ck, struct err *err)
{
	struct checking c = { .ck = ck, .cfg = cfg };
	enum repo_kind kind;
	int ret;

	ck->things = "objects";
	if (repo_open(cfg->path, &c.repo, &kind, err) < 0)
		return -1;
	if (!c.repo || kind != REPO_FULL) {
		repo_free(c.repo);
		return err_set(err, ERR_MISSING, "%s: there is no mailcask archive", cfg->path);
	}
	pack_table_init(&c.faulty);
	pack_table_init(&c.told);
	pack_table_init(&c.seen);
	ret = check_all(&c, err);
	if (ret == 0)
		tell_unneeded(&c);
	if (ret == 0 && ck->findings[FINDING_DAMAGE])
		ret = refuse_forgotten(&c, err);
	if (ret == 0 && ck->findings[FINDING_DAMAGE])
		check_tell_lost_indexes(&c);
	find_holder(&c);
	for (size_t i = 0; i < c.n_faults; i++)
		free(c.fault[i].why);
	free(c.fault);
	free(c.pack);
	free(c.sums);
	pack_table_release(&c.faulty);
	pack_table_release(&c.told);
	pack_table_release(&c.seen);
	repo_free(c.repo);
	return ret;
}
