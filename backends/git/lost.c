#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "backends/git/box.h"
#include "backends/git/edit.h"
#include "backends/git/leaf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/*
 * How many messages have content that would then be live nowhere. Equal content is an equal
 * id; so the ids of what goes are looked for among those of what stays.
 */
struct doomed {
	struct object_id id;
	uint32_t copies; /* how many of those that go have it */
	bool live;       /* one that stays has it, too */
};

struct doomed_set {
	struct doomed *v; /* open addressing; copies 0: free */
	size_t n, size;   /* size is a power of two */
	uint64_t secret;  /* so that ids cannot be chosen to fall into one place */
};

static struct doomed *slot_of(const struct doomed_set *set, const struct object_id *id)
{
	uint64_t h;
	size_t at;

	memcpy(&h, id->b, sizeof(h));
	at = (size_t)(h * set->secret >> 32) & (set->size - 1);
	while (set->v[at].copies && !object_id_equal(&set->v[at].id, id))
		at = (at + 1) & (set->size - 1);
	return &set->v[at];
}

static void grow(struct doomed_set *set)
{
	struct doomed_set old = *set;

	set->size = old.size ? old.size * 2 : 256;
	set->v = xcalloc(set->size, sizeof(*set->v));
	for (size_t i = 0; i < old.size; i++)
		if (old.v[i].copies)
			*slot_of(set, &old.v[i].id) = old.v[i];
	free(old.v);
}

static int doom_one(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		    struct err *err)
{
	struct doomed_set *set = ctx;
	struct doomed *d;

	(void)box;
	(void)leaf;
	(void)err;
	if (set->n * 2 >= set->size)
		grow(set);
	d = slot_of(set, &item->id);
	set->n += d->copies == 0;
	d->id = item->id;
	d->copies++;
	return 0;
}

struct survey {
	const struct doomed_set *set;
	const struct uidset *going; /* of this mailbox; NULL: none */
};

static int see_id(void *ctx, uint32_t uid, const struct object_id *id, struct err *err)
{
	const struct survey *s = ctx;
	struct doomed *d = slot_of(s->set, id);

	(void)err;
	if (d->copies && !d->live && !(s->going && uidset_has(s->going, uid)))
		d->live = true;
	return 0;
}

static int survey(struct gitstore *g, const struct doomed_set *set, const struct removal *r,
		  size_t n, struct err *err)
{
	for (size_t i = 0; i < g->n; i++) {
		struct survey s = { .set = set };

		if (g->box[i]->text.live == 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if (r[k].mailbox == &g->box[i]->mb)
				s.going = r[k].set;
		if (store_check_stop(&g->st, err) < 0 || gitbox_load(g->box[i], err) < 0 ||
		    leaf_each_id(g->box[i], see_id, &s, err) < 0)
			return -1;
	}
	return 0;
}

struct count {
	const struct doomed_set *set;
	uint64_t lost;
};

static int count_one(struct gitbox *box, struct leaf *leaf, struct item *item, void *ctx,
		     struct err *err)
{
	struct count *c = ctx;

	(void)box;
	(void)leaf;
	(void)err;
	c->lost += !slot_of(c->set, &item->id)->live;
	return 0;
}

int gitstore_count_lost(struct store *st, struct removal *r, size_t n, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;
	struct doomed_set set = { 0 };
	int ret = 0;

	if (getrandom(&set.secret, sizeof(set.secret), 0) < 0)
		set.secret = (uintptr_t)&set; /* slower in the hands of an attacker, still right */
	set.secret |= 1;
	grow(&set);
	for (size_t i = 0; i < n && ret == 0; i++) {
		ret = gitbox_load((struct gitbox *)r[i].mailbox, err);
		if (ret == 0)
			ret = leaf_each_in((struct gitbox *)r[i].mailbox, r[i].set, true, doom_one,
					   &set, err);
	}
	if (ret == 0 && set.n > 0)
		ret = survey(g, &set, r, n, err);
	for (size_t i = 0; i < n && ret == 0; i++) {
		struct count c = { .set = &set };

		ret = leaf_each_in((struct gitbox *)r[i].mailbox, r[i].set, true, count_one, &c,
				   err);
		r[i].lost = c.lost;
	}
	free(set.v);
	return ret;
}
