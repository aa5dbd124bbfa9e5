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
	struct uidset unsure; /* to be hashed */
};

static void add_missing(struct comparison *c, uint32_t uid, uint64_t size)
{
	uidset_builder_add(&c->missing, uid, uid);
	c->lane->missing_bytes += size;
}

static int hash_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct comparison *c = ctx;
	uint8_t sum[CONTENT_HASH_SIZE];
	uint64_t size = hashing_end(handle, sum);

	(void)err;
	if (complete && uidset_has(&c->unsure, msg->uid)) {
		uidset_remove(&c->unsure, msg->uid);
		if (content_set_take(&c->there, size, sum))
			restore_line(c->lane)->present++;
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

	(void)uid;
	(void)err;
	content_set_add(&c->there, size, sha256);
	return 0;
}

/* Messages that were asked for by number must exist; of a range, at least one. */
static int check_uids(const struct uidset *uids, const struct changes *have, struct err *err)
{
	struct uidset_builder all;
	struct uidset there = UIDSET_INIT, both = UIDSET_INIT;
	uint32_t lacking = 0;
	bool none;

	uidset_builder_init(&all);
	for (size_t i = 0; i < have->n; i++)
		uidset_builder_add(&all, have->v[i].uid, have->v[i].uid);
	uidset_builder_finish(&all, &there);
	uidset_builder_release(&all);
	for (size_t i = 0; i < uidset_range_count(uids) && !lacking; i++) {
		struct uidrange r = uidset_range(uids, i);

		if (r.lo == r.hi && !uidset_has(&there, r.lo))
			lacking = r.lo;
	}
	uidset_intersect(&both, uids, &there);
	none = uidset_is_empty(&both);
	uidset_release(&there);
	uidset_release(&both);
	if (lacking)
		return err_set(err, ERR_MISSING, "no message with the UID %u is there", lacking);
	return none ? err_set(err, ERR_MISSING, "no message with such a UID is there") : 0;
}

/* What the source holds, or the lane skipped with the reason. */
static int list_source(struct restore_lane *lane, struct err *err)
{
	struct changes *have = &lane->have;
	struct changes_request req = { .out = have };
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
	return lane->run->set->uids ? check_uids(lane->run->set->uids, have, err) : 0;
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
 * The target's mailbox; it is made before it is compared, since files of others may lie there. What
 * special use and subscription it lacks, because a run was stopped, it is given.
 */
static int open_target(struct restore_lane *lane, struct err *err)
{
	struct restore *r = lane->run;
	struct mailbox_info info = { .attributes = lane->from->attributes };
	enum store_mode mode = r->set->dry_run ? STORE_READ : STORE_WRITE;
	int ret = 0;

	if (lane->to)
		info.attributes |= lane->to->attributes;
	else if (r->set->dry_run)
		return 0;
	mailbox_name_copy(&info.name, &lane->from->name);
	if (!r->set->dry_run && (!lane->to || info.attributes != lane->to->attributes))
		ret = store_create(r->target, &info.name, info.attributes, err);
	if (ret == 0)
		ret = mailbox_open(r->target, &info, mode, &lane->target, err);
	mailbox_name_release(&info.name);
	return ret;
}

static int compare(struct comparison *c, struct err *err)
{
	struct restore_lane *lane = c->lane;
	struct restore *r = lane->run;
	const struct uidset *uids = r->set->uids;

	if (open_target(lane, err) < 0)
		return -1;
	if (lane->target && mailbox_contents(lane->target, NULL, add_content, c, err) < 0)
		return -1;
	content_set_close(&c->there);
	for (size_t i = 0; i < lane->have.n; i++)
		if (!uids || uidset_has(uids, lane->have.v[i].uid))
			sort_out(c, &lane->have.v[i]);
	changes_release(&lane->have);
	if (hash_unsure(c, err) < 0)
		return -1;
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
	uidset_release(&c.unsure);
	return ret;
}

int restore_compare(struct restore *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct restore_lane *lane = &r->lanes[i];

		lane->to = mailbox_list_find(&r->to, &lane->from->name);
		r->progress.mailbox = restore_line(lane)->name;
		restore_tell(r, JOB_COMPARE);
		if (!lane->skipped && or_skip(lane, compare_lane(lane, err), err) < 0)
			return -1;
	}
	return 0;
}
