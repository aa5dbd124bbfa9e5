#include "core/sync/restore_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/sync/hashing.h"

/*
 * What is missing. A message whose size nothing in the target has is missing; of the others the
 * source's bytes are hashed. They are read for it, and not taken from an index: what is compared
 * is what would be written.
 */
struct comparison {
	struct restore_lane *lane;
	struct content_set there;
	struct uidset_builder missing;
	struct uidset left;     /* wanted, and not known to be there by their UIDs */
	struct uidset taken;    /* the target's, by their UIDs */
	struct uidset unsure;   /* to be hashed */
};

static void add_missing(struct comparison *c, uint32_t uid, uint64_t size)
{
	uidset_builder_add(&c->missing, uid, uid);
	c->lane->missing_bytes += size;
}

/* Those that go from the same flags to the same flags are changed together. */
static struct flag_reset *change_for(struct restore_lane *lane, uint32_t from, uint32_t to)
{
	struct flag_reset *change;
	struct flags now = FLAGS_INIT;

	for (size_t i = 0; i < lane->n_change; i++)
		if (lane->change[i].from == from && lane->change[i].to == to)
			return &lane->change[i];
	lane->change = xgrow(lane->change, lane->n_change, &lane->cap_change, sizeof(*lane->change));
	change = &lane->change[lane->n_change++];
	*change = (struct flag_reset){ .from = from, .to = to };
	flags_copy(&now, flag_table_get(lane->there.flags, from));
	flags_diff(&now, flag_table_get(lane->have.flags, to), &change->delta.add,
		   &change->delta.remove);
	flags_release(&now);
	return change;
}

/* A message of the source is that one of the target. */
static void pair(struct comparison *c, uint32_t uid, uint32_t target_uid)
{
	struct restore_lane *lane = c->lane;
	const struct entry *from = changes_find(&lane->there, target_uid);
	const struct entry *to = changes_find(&lane->have, uid);

	restore_line(lane)->present++;
	if (!lane->run->set->flags || !from || !to ||
	    flags_equal(flag_table_get(lane->there.flags, from->flags),
			flag_table_get(lane->have.flags, to->flags)))
		return;
	uidset_add(&change_for(lane, from->flags, to->flags)->set, target_uid);
}

static int hash_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct comparison *c = ctx;
	uint8_t sum[CONTENT_HASH_SIZE];
	uint64_t size = hashing_end(handle, sum);

	(void)err;
	if (complete && uidset_has(&c->unsure, msg->uid)) {
		uint32_t there;

		uidset_remove(&c->unsure, msg->uid);
		if (content_set_take(&c->there, size, sum, &there))
			pair(c, msg->uid, there);
		else
			add_missing(c, msg->uid, size);
	}
	restore_tell(c->lane->run, JOB_COMPARE);
	return 0;
}

static void on_hashed(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		      const struct err *why)
{
	struct comparison *c = ctx;

	(void)tag;
	(void)new_uid;
	/* Nobody's fault, where a backup goes on meanwhile; but it was there to be restored. */
	if (what == OUTCOME_REFUSED || what == OUTCOME_UID_UNKNOWN)
		restore_failed(c->lane, uid, why ? why->text : "it is no longer there");
}

static int hash_unsure(struct comparison *c, struct err *err)
{
	struct message_sink sink = { .ctx = c, .begin = hashing_begin, .write = hashing_write,
				     .end = hash_end };
	struct uidset set = UIDSET_INIT;
	struct want want = { .mailbox = c->lane->source, .set = &set, .exact = true,
			     .expect = uidset_count(&c->unsure) };
	int ret;

	uidset_copy(&set, &c->unsure);
	ret = uidset_is_empty(&set) ? 0
				    : store_fetch(c->lane->run->source, &want, 1, &sink, on_hashed,
						  c, err);
	if (ret == 0 && !uidset_is_empty(&set) && !want.complete)
		restore_problem(c->lane, want.err.kind != ERR_NONE
						 ? want.err.text
						 : "not all of its messages could be read");
	uidset_release(&set);
	return ret;
}

static void sort_out(struct comparison *c, const struct entry *e)
{
	/* 0 and the largest number mean that the store did not tell it. */
	bool told = e->size != 0 && e->size != UINT32_MAX;

	if (told && !content_set_has_size(&c->there, e->size))
		add_missing(c, e->uid, e->size);
	else
		uidset_add(&c->unsure, e->uid);
}

static int add_content(void *ctx, uint32_t uid, uint64_t size,
		       const uint8_t sha256[CONTENT_HASH_SIZE], struct err *err)
{
	struct comparison *c = ctx;

	(void)err;
	content_set_add(&c->there, uid, size, sha256);
	restore_tell(c->lane->run, JOB_COMPARE); /* an account may have had to be read for it */
	return 0;
}

static int choose(struct restore_lane *lane, struct err *err)
{
	const struct restore_settings *set = lane->run->set;

	if (!set->choose)
		return 0;
	return set->choose(set->choose_ctx, lane->source, &lane->have, &lane->chosen, err);
}

/* What the source holds, or the lane skipped with the reason. */
static int list_source(struct restore_lane *lane, struct err *err)
{
	struct changes *have = &lane->have;
	struct changes_request req = { .out = have, .sizes = true };
	char text[256];

	if (mailbox_open(lane->run->source, lane->from, STORE_READ, &lane->source, err) < 0)
		return -1;
	req.mailbox = lane->source;
	if (store_changes(lane->run->source, &req, 1, err) < 0)
		return -1;
	if (have->err.kind != ERR_NONE) {
		restore_skip(lane, have->err.text);
		return 0;
	}
	if (!have->complete) {
		restore_skip(lane, "the store did not tell all that it holds");
		return 0;
	}
	if (!uidset_is_empty(&have->missing)) {
		uint64_t n = uidset_count(&have->missing);

		snprintf(text, sizeof(text),
			 "%llu of its messages %s missing: the store knows %s, but %s removed. The next "
			 "backup fetches again what the account still has",
			 (unsigned long long)n, n == 1 ? "is" : "are", n == 1 ? "it" : "them",
			 n == 1 ? "its file was" : "their files were");
		restore_problem(lane, text);
	}
	if (lane->run->set->uids && changes_check_uids(lane->run->set->uids, have, err) < 0)
		return -1;
	return choose(lane, err);
}

/* --- sizes that a source did not tell: of what lies in many snapshots --- */

static int size_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	(void)ctx;
	(void)tag;
	(void)msg;
	(void)handle;
	(void)err;
	return 0;
}

static int size_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct comparison *c = ctx;
	size_t i;

	(void)handle;
	(void)err;
	if (!complete)
		return 0;
	i = (size_t)(changes_find(&c->lane->have, msg->uid) - c->lane->have.v);
	c->lane->have.v[i].size = msg->size < UINT32_MAX ? (uint32_t)msg->size : UINT32_MAX;
	return 0;
}

static void ignore_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
			   const struct err *why)
{
	(void)ctx;
	(void)tag;
	(void)uid;
	(void)what;
	(void)new_uid;
	(void)why;
}

/* So that not everything in the account has to be looked into. */
static int tell_sizes(struct comparison *c, struct err *err)
{
	struct message_sink sink = { .ctx = c, .begin = size_begin, .end = size_end };
	struct uidset set = UIDSET_INIT;
	struct want want = { .mailbox = c->lane->source, .set = &set, .exact = true,
			     .attributes = true };
	int ret = 0;

	for (size_t i = 0; i < c->lane->have.n; i++)
		if (c->lane->have.v[i].size == 0 && uidset_has(&c->left, c->lane->have.v[i].uid))
			uidset_add(&set, c->lane->have.v[i].uid);
	if (!uidset_is_empty(&set))
		ret = store_fetch(c->lane->run->source, &want, 1, &sink, ignore_outcome, c, err);
	uidset_release(&set);
	return ret;
}

static int or_skip(struct restore_lane *lane, int ret, struct err *err)
{
	if (ret == 0 || err->kind != ERR_MAILBOX)
		return ret;
	restore_skip(lane, err->text);
	return 0;
}

int restore_list_sources(struct restore *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (or_skip(&r->lanes[i], list_source(&r->lanes[i], err), err) < 0)
			return -1;
	return 0;
}

/*
 * What an account holds was not asked for, as it is not in its list: left out, or spelled otherwise by a server to which
 * both are one.
 */
static int refuse_unlisted(struct restore_lane *lane, struct err *err)
{
	bool exists;

	if (!restore_is_to_account(lane->run) || !lane->run->target || lane->to)
		return 0;
	if (store_exists(lane->run->target, &lane->as, &exists, err) < 0)
		return -1;
	if (!exists)
		return 0;
	return err_set(err, ERR_MAILBOX,
		       "the account has such a mailbox, but its list leaves it out or spells it otherwise; "
		       "nothing was added to it. --into puts it elsewhere");
}

/*
 * The target's mailbox; it is made before it is compared, since files of others may lie there. What
 * special use and subscription it lacks, because a run was stopped, it is given; an account's are its user's.
 */
int restore_open_target(struct restore_lane *lane, struct err *err)
{
	struct restore *r = lane->run;
	struct mailbox_info made = { .attributes = lane->from->attributes };
	const struct mailbox_info *info = lane->to;
	enum store_mode mode = r->set->dry_run ? STORE_READ : STORE_WRITE;
	int ret = 0;

	if (refuse_unlisted(lane, err) < 0)
		return -1;
	if (!info && r->set->dry_run)
		return 0;
	if (info && (restore_is_to_account(r) || restore_is_import(r)) &&
	    !(info->attributes & MAILBOX_NOSELECT))
		return mailbox_open(r->target, info, mode, &lane->target, err);
	if (info)
		made.attributes |= info->attributes & ~(unsigned)MAILBOX_NOSELECT;
	mailbox_name_copy(&made.name, &lane->as);
	if (!r->set->dry_run && (!info || made.attributes != info->attributes))
		ret = store_create(r->target, &made.name, made.attributes, err);
	if (ret == 0)
		ret = mailbox_open(r->target, &made, mode, &lane->target, err);
	mailbox_name_release(&made.name);
	return ret;
}

/* A message has the UID that it was backed up under. One of another size is another, whatever the server says. */
static bool is_there_by_uid(struct comparison *c, const struct entry *e)
{
	const struct entry *there =
		c->lane->same_uids && e->source_uid ? changes_find(&c->lane->there, e->source_uid) : NULL;

	if (!there || (there->size && e->size && there->size != e->size))
		return false;
	uidset_add(&c->taken, there->uid);
	pair(c, e->uid, there->uid);
	return true;
}

/* An account: what may be one of those that are left, and what it is. */
static int look_into(struct comparison *c, struct err *err)
{
	struct restore_lane *lane = c->lane;
	uint32_t *sizes = xcalloc(lane->have.n + 1, sizeof(*sizes));
	struct uidset set = UIDSET_INIT;
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < lane->have.n; i++)
		if (uidset_has(&c->left, lane->have.v[i].uid))
			sizes[n++] = lane->have.v[i].size;
	ret = restore_candidates(lane, sizes, n, &c->taken, &set, err);
	free(sizes);
	if (ret == 0 && lane->target && !uidset_is_empty(&set))
		ret = mailbox_contents(lane->target, &set, add_content, c, err);
	uidset_release(&set);
	return ret;
}

/* A target of ours: everything is in its index. */
static int look_at_all(struct comparison *c, struct err *err)
{
	struct restore_lane *lane = c->lane;
	struct changes_request req = { .mailbox = lane->target, .out = &lane->there };

	if (!lane->target)
		return 0;
	if (lane->run->set->flags && store_changes(lane->run->target, &req, 1, err) < 0)
		return -1;
	return mailbox_contents(lane->target, NULL, add_content, c, err);
}

static int compare(struct comparison *c, struct err *err)
{
	struct restore_lane *lane = c->lane;
	bool account = restore_is_to_account(lane->run);

	if (restore_leaves_out(lane))
		return 0;
	if (!lane->target && (lane->to || !restore_is_import(lane->run)) && restore_open_target(lane, err) < 0)
		return -1;
	for (size_t i = 0; i < lane->have.n; i++)
		if (restore_wants(lane, lane->have.v[i].uid) && !is_there_by_uid(c, &lane->have.v[i]))
			uidset_add(&c->left, lane->have.v[i].uid);
	if (account && tell_sizes(c, err) < 0)
		return -1;
	if ((account ? look_into(c, err) : look_at_all(c, err)) < 0)
		return -1;
	content_set_close(&c->there);
	for (size_t i = 0; i < lane->have.n; i++)
		if (uidset_has(&c->left, lane->have.v[i].uid))
			sort_out(c, &lane->have.v[i]);
	if (hash_unsure(c, err) < 0)
		return -1;
	changes_release(&lane->have);
	changes_release(&lane->there);
	uidset_builder_finish(&c->missing, &lane->missing);
	return 0;
}

static int compare_lane(struct restore_lane *lane, struct err *err)
{
	struct comparison c = { .lane = lane };
	int ret;

	uidset_builder_init(&c.missing);
	ret = compare(&c, err);
	content_set_release(&c.there);
	uidset_builder_release(&c.missing);
	uidset_release(&c.left);
	uidset_release(&c.taken);
	uidset_release(&c.unsure);
	return ret;
}

int restore_open_targets(struct restore *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct restore_lane *lane = &r->lanes[i];

		if (!lane->skipped && lane->to && !restore_leaves_out(lane) &&
		    or_skip(lane, restore_open_target(lane, err), err) < 0)
			return -1;
	}
	return 0;
}

int restore_compare(struct restore *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct restore_lane *lane = &r->lanes[i];

		r->progress.mailbox = restore_line(lane)->name;
		restore_tell(r, JOB_COMPARE);
		if (!lane->skipped && or_skip(lane, compare_lane(lane, err), err) < 0)
			return -1;
	}
	return 0;
}
