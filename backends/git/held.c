#include "backends/git/held.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/append.h"
#include "backends/git/box.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/sync/identity.h"

/*
 * Where messages with an identity were when this was first asked for: all flags files are read once. What
 * comes later is not in it, and what it says is looked at before it is told.
 */
struct identity_place {
	uint64_t hash;
	uint32_t box; /* index in `box` */
	uint32_t uid;
};

struct identities {
	struct identity_place *v; /* by hash */
	size_t n, cap;
	struct gitbox **box;
	size_t n_boxes;
};

void identities_release(struct gitstore *g)
{
	if (!g->identities)
		return;
	free(g->identities->v);
	free(g->identities->box);
	free(g->identities);
	g->identities = NULL;
}

static uint64_t hash_of(struct bytes identity)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (size_t i = 0; i < identity.n; i++)
		h = (h ^ identity.p[i]) * 1099511628211u;
	return h;
}

static int compare_places(const void *a, const void *b)
{
	const struct identity_place *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->box != y->box)
		return x->box < y->box ? -1 : 1;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

static int gather_line(void *ctx, const struct entry_line *line, struct err *err)
{
	struct identities *t = ctx;
	struct bytes identity = entry_identity(line);

	(void)err;
	if (identity.n == 0)
		return 0;
	t->v = xgrow(t->v, t->n, &t->cap, sizeof(*t->v));
	t->v[t->n++] = (struct identity_place){ .hash = hash_of(identity),
						.box = (uint32_t)t->n_boxes, .uid = line->uid };
	return 0;
}

static int gather_box(struct identities *t, struct gitbox *box, struct err *err)
{
	if (gitbox_load(box, err) < 0 || leaf_each_line(box, gather_line, t, err) < 0 ||
	    (box->text.kept > 0 && kept_list_load(box, err) < 0))
		return -1;
	for (size_t i = 0; box->text.kept > 0 && i < box->kept.n; i++)
		if (!box->kept.v[i].gone)
			gather_line(t, &box->kept.v[i].line.entry, err);
	return 0;
}

/* A mailbox that cannot be read has nothing to give. */
static int gather(struct gitstore *g, struct err *err)
{
	struct identities *t = g->identities;
	struct err damaged;

	if (t)
		return 0;
	t = g->identities = xcalloc(1, sizeof(*t));
	t->box = xcalloc(g->n, sizeof(struct gitbox *));
	for (size_t i = 0; i < g->n; i++) {
		if (store_check_stop(&g->st, err) < 0) {
			identities_release(g);
			return -1;
		}
		if (g->box[i]->text.attributes & MAILBOX_NOSELECT)
			continue;
		t->box[t->n_boxes] = g->box[i];
		gather_box(t, g->box[i], &damaged);
		t->n_boxes++;
	}
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), compare_places);
	return 0;
}

int gitstore_holds_identities(struct store *st, bool *out, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;

	*out = false;
	if (gather(g, err) < 0)
		return -1;
	*out = g->identities->n > 0;
	return 0;
}

/*
 * The message, live or kept: its line and blob. 1, or 2 when it is kept, 0 none, -1. Borrowed until
 * something changes.
 */
static int find_message(struct gitbox *box, uint32_t uid, struct entry_line *line,
			struct object_id *id, struct err *err)
{
	struct kept_item *kept;
	struct leaf *leaf;
	struct item *item;
	int got = gitbox_load(box, err) < 0 ? -1 : leaf_find(box, uid, &leaf, &item, err);

	if (got > 0) {
		*line = item->line;
		*id = item->id;
		return 1;
	}
	if (got < 0 || box->text.kept == 0)
		return got;
	got = kept_list_by_uid(box, uid, &kept, err);
	if (got > 0) {
		*line = kept->line.entry;
		memcpy(id->b, kept->line.id, OBJECT_ID_SIZE);
	}
	return got > 0 ? 2 : got;
}

/* The first place with this hash. */
static size_t first_of(const struct identities *t, uint64_t hash)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->v[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int gitstore_find_identity(struct store *st, struct bytes identity, struct held *out,
			   struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	uint64_t hash = hash_of(identity);
	const struct identities *t;
	struct object_id content;
	bool agree = true;

	if (gather(g, err) < 0)
		return -1;
	*out = (struct held){ 0 };
	t = g->identities;
	for (size_t i = first_of(t, hash); agree && i < t->n && t->v[i].hash == hash; i++) {
		struct gitbox *box = t->box[t->v[i].box];
		struct entry_line line;
		struct object_id id;
		struct err damaged;
		int got = find_message(box, t->v[i].uid, &line, &id, &damaged);

		if (got <= 0 || !bytes_equal(entry_identity(&line), identity))
			continue;
		agree = !out->mailbox || object_id_equal(&id, &content);
		content = id;
		if (!out->mailbox || (got == 1 && out->source_uid == 0))
			*out = (struct held){ .mailbox = &box->mb, .uid = line.uid,
					      .source_uid = got == 1 ? line.source_uid : 0 };
	}
	return leaf_bound(g, err) < 0 ? -1 : agree && out->mailbox;
}

static int ignore_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)piece;
	return store_check_stop(ctx, err);
}

/* Whether all of the blob can be read, and hashes to its name. */
static int check_blob(struct gitstore *g, const struct object_id *id, uint64_t size,
		      struct err *err)
{
	enum git_type type;
	uint64_t is;

	if (repo_stream(g->repo, id, &type, &is, ignore_piece, &g->st, err) < 0)
		return -1;
	if (type != GIT_BLOB || is != size)
		return err_set(err, ERR_MESSAGE, "what is stored is not what its line says");
	return 0;
}

/* 0: it can be used. */
static int judge(struct gitstore *g, const struct object_id *id, uint64_t size,
		 const struct message *as, struct err *why)
{
	if (size != as->size)
		return err_set(why, ERR_MESSAGE, "it has %llu bytes here, and is said to have %llu",
			       (unsigned long long)size, (unsigned long long)as->size);
	return check_blob(g, id, size, why);
}

int gitstore_copy_as(const struct held *held, struct mailbox *mb, const struct message *as,
		     enum outcome *what, uint32_t *new_uid, struct err *why, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;
	struct gitstore *g = gitstore_of(box);
	struct message copy = *as;
	struct buf identity = BUF_INIT(IDENTITY_MAX);
	struct entry_line line;
	struct object_id id;
	uint64_t size;
	int got;

	*what = OUTCOME_UID_UNKNOWN;
	if (gitstore_is_broken(g, err))
		return -1;
	got = find_message((struct gitbox *)held->mailbox, held->uid, &line, &id, why);
	if (got == 0)
		return 0;
	size = got > 0 ? line.size : 0;
	if (got < 0 || judge(g, &id, size, as, why) < 0) {
		if (why->kind == ERR_STOPPED) {
			*err = *why;
			return -1;
		}
		*what = OUTCOME_REFUSED;
		return 0;
	}
	*what = OUTCOME_DONE;
	buf_add(&identity, entry_identity(&line)); /* which may not outlive what comes now */
	copy.identity = buf_bytes(&identity);
	got = append_find(box, as->uid, new_uid, err);
	if (got == 0)
		got = append_blob(box, &copy, &id, size, what, new_uid, err);
	buf_release(&identity);
	return got < 0 ? -1 : 0;
}
