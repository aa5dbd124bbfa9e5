#include "backends/git/history_changes.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/entry_text.h"
#include "backends/git/history_private.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/repo.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

/* A directory that has differences; the trees are zeros where it is not there. */
struct place {
	char *dir;
	struct pair trees, messages; /* of the directory, and of messages in it */
	struct mailbox_name old_name, name;
	bool renamed; /* it was told as the old or the new name of another */
};

/* A message under a UID that it had or has in one of them only. */
struct sighting {
	struct object_id blob;
	uint32_t place, uid;
	uint32_t partner; /* index + 1 among the others; 0: none */
};

struct sightings {
	struct sighting *v;
	size_t n, cap;
};

struct comparison {
	struct history *h;
	size_t old, now;
	struct place *places; /* by dir */
	size_t n_places, cap_places;
	struct sightings gone, come; /* each by place and UID */
	uint32_t place, leaf;
	struct buf old_text, text;
	change_fn *fn;
	void *ctx;
};

/* --- mailboxes --- */

static int messages_of(struct comparison *c, const struct object_id *dir, struct object_id *out,
		       struct err *err)
{
	*out = (struct object_id){ 0 };
	if (object_id_is_zero(dir))
		return 0;
	return repo_lookup(c->h->repo, dir, LAYOUT_MESSAGES, NULL, out, err) < 0 ? -1 : 0;
}

static int read_name(struct comparison *c, const struct object_id *tree, const char *dir,
		     struct mailbox_name *out, struct err *err)
{
	struct mailbox_text text;
	int ret;

	if (object_id_is_zero(tree))
		return 0;
	mailbox_text_init(&text);
	ret = history_read_mailbox(c->h, tree, dir, &c->text, &text, err);
	if (ret == 0)
		mailbox_name_copy(out, &text.name);
	mailbox_text_release(&text);
	return ret;
}

static int on_place(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct comparison *c = ctx;
	struct place *p;

	if (!d->old_is_tree && !d->is_tree)
		return 0;
	c->places = xgrow(c->places, c->n_places, &c->cap_places, sizeof(*c->places));
	p = &c->places[c->n_places++];
	*p = (struct place){ .dir = bytes_dup(d->name) };
	mailbox_name_init(&p->old_name);
	mailbox_name_init(&p->name);
	if (d->old_is_tree)
		p->trees.old = d->ids.old;
	if (d->is_tree)
		p->trees.now = d->ids.now;
	if (messages_of(c, &p->trees.old, &p->messages.old, err) < 0 ||
	    messages_of(c, &p->trees.now, &p->messages.now, err) < 0 ||
	    read_name(c, &p->trees.old, p->dir, &p->old_name, err) < 0)
		return -1;
	return read_name(c, &p->trees.now, p->dir, &p->name, err);
}

static int find_places(struct comparison *c, struct err *err)
{
	struct pair trees;

	if (history_mailboxes(c->h, &c->h->roots[c->old], &trees.old, err) < 0 ||
	    history_mailboxes(c->h, &c->h->roots[c->now], &trees.now, err) < 0)
		return -1;
	return object_id_equal(&trees.old, &trees.now) ?
		       0 :
		       history_diff_trees(c->h, &trees, on_place, c, err);
}

static bool is_created(const struct place *p)
{
	return object_id_is_zero(&p->trees.old);
}

static bool is_deleted(const struct place *p)
{
	return object_id_is_zero(&p->trees.now);
}

/* As history_diff() takes them for renamed: the same messages, and some. */
static struct place *renamed_to(struct comparison *c, const struct place *from)
{
	for (size_t i = 0; i < c->n_places; i++) {
		struct place *p = &c->places[i];

		if (is_created(p) && !p->renamed && !object_id_is_zero(&p->messages.now) &&
		    object_id_equal(&p->messages.now, &from->messages.old))
			return p;
	}
	return NULL;
}

static int tell_places(struct comparison *c, struct err *err)
{
	for (size_t i = 0; i < c->n_places; i++) {
		struct place *p = &c->places[i], *to = is_deleted(p) ? renamed_to(c, p) : NULL;
		struct change change = { .kind = CHANGE_RENAMED, .mailbox = &p->old_name };

		if (!to)
			continue;
		p->renamed = to->renamed = true;
		change.to = &to->name;
		if (c->fn(c->ctx, &change, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->n_places; i++) {
		const struct place *p = &c->places[i];
		const struct change change = {
			.kind = is_deleted(p) ? CHANGE_DELETED : CHANGE_CREATED,
			.mailbox = is_deleted(p) ? &p->old_name : &p->name,
		};

		if ((is_created(p) || is_deleted(p)) && !p->renamed &&
		    c->fn(c->ctx, &change, err) < 0)
			return -1;
	}
	return 0;
}

/* --- messages --- */

static void see(struct sightings *s, const struct comparison *c, const struct object_id *blob,
		uint32_t uid)
{
	if (object_id_is_zero(blob))
		return;
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n++] = (struct sighting){ .blob = *blob, .place = c->place, .uid = uid };
}

static int on_message(void *ctx, const struct entry_difference *d, struct err *err)
{
	struct comparison *c = ctx;
	uint32_t uid;

	(void)err;
	if (!layout_message_parse(d->name, c->leaf, &uid))
		return 0;
	see(&c->gone, c, &d->ids.old, uid);
	see(&c->come, c, &d->ids.now, uid);
	return 0;
}

static int by_dir(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->dir, ((const struct place *)b)->dir);
}

static int go_to_place(struct comparison *c, struct bytes dir)
{
	struct place key = { .dir = bytes_dup(dir) };
	const struct place *p = c->n_places ? bsearch(&key, c->places, c->n_places,
						      sizeof(*c->places), by_dir) :
					      NULL;

	free(key.dir);
	if (!p)
		return -1;
	c->place = (uint32_t)(p - c->places);
	return 0;
}

static int on_messages(void *ctx, const struct leaf_difference *d, struct err *err)
{
	struct comparison *c = ctx;

	if (go_to_place(c, d->dir) < 0)
		return 0;
	c->leaf = d->leaf;
	return history_diff_trees(c->h, &d->ids, on_message, c, err);
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
	const struct sighting *x = a, *y = b;
	int order = compare(x->place, y->place);

	return order ? order : compare(x->uid, y->uid);
}

static int by_blob(const void *a, const void *b)
{
	const struct sighting *x = *(const struct sighting *const *)a;
	const struct sighting *y = *(const struct sighting *const *)b;
	int order = object_id_compare(&x->blob, &y->blob);

	return order ? order : by_place(x, y);
}

static struct sighting **sorted(const struct sightings *s)
{
	struct sighting **v = xcalloc(s->n + 1, sizeof(*v));

	for (size_t i = 0; i < s->n; i++)
		v[i] = &s->v[i];
	if (s->n > 0)
		qsort(v, s->n, sizeof(*v), by_blob);
	return v;
}

static void join(struct comparison *c, struct sighting *gone, struct sighting *come)
{
	gone->partner = (uint32_t)(come - c->come.v) + 1;
	come->partner = (uint32_t)(gone - c->gone.v) + 1;
}

/* The same content, of one place if `same`, else of any two, as often as it is on both sides. */
static void pair_up(struct comparison *c, bool same)
{
	struct sighting **gone = sorted(&c->gone), **come = sorted(&c->come);
	size_t i = 0, k = 0;

	while (i < c->gone.n && k < c->come.n) {
		int order = object_id_compare(&gone[i]->blob, &come[k]->blob);

		if (order == 0 && same)
			order = compare(gone[i]->place, come[k]->place);
		if (gone[i]->partner) {
			i++;
		} else if (come[k]->partner) {
			k++;
		} else if (order == 0) {
			join(c, gone[i++], come[k++]);
		} else {
			i += order < 0;
			k += order > 0;
		}
	}
	free(gone);
	free(come);
}

static int tell_gone(struct comparison *c, struct err *err)
{
	for (size_t i = 0; i < c->gone.n; i++) {
		const struct sighting *s = &c->gone.v[i];
		const struct sighting *to = s->partner ? &c->come.v[s->partner - 1] : NULL;
		struct change change = { .kind = to ? CHANGE_MOVED : CHANGE_REMOVED,
					 .mailbox = &c->places[s->place].old_name, .uid = s->uid };

		if (to && to->place == s->place)
			continue;
		if (to) {
			change.to = &c->places[to->place].name;
			change.to_uid = to->uid;
		}
		if (c->fn(c->ctx, &change, err) < 0)
			return -1;
	}
	return 0;
}

static int tell_come(struct comparison *c, struct err *err)
{
	for (size_t i = 0; i < c->come.n; i++) {
		const struct sighting *s = &c->come.v[i];
		const struct change change = { .kind = CHANGE_ADDED,
					       .mailbox = &c->places[s->place].name, .uid = s->uid };

		if (!s->partner && c->fn(c->ctx, &change, err) < 0)
			return -1;
	}
	return 0;
}

/* --- flags --- */

/* Another message took the UID: its flags are its own. */
static bool is_another(const struct comparison *c, uint32_t uid)
{
	const struct sighting key = { .place = c->place, .uid = uid };

	return c->come.n > 0 && bsearch(&key, c->come.v, c->come.n, sizeof(key), by_place);
}

static int tell_flags(struct comparison *c, const struct flags_lines *old, const struct flags_lines *now,
		      struct err *err)
{
	const struct change change = { .kind = CHANGE_FLAGS, .mailbox = &c->places[c->place].name,
				       .uid = now->line.uid, .old_flags = old->line.flags,
				       .flags = now->line.flags };

	if (bytes_equal(old->line.flags, now->line.flags) || is_another(c, now->line.uid))
		return 0;
	return c->fn(c->ctx, &change, err);
}

static int on_flags(void *ctx, const struct leaf_difference *d, struct err *err)
{
	struct comparison *c = ctx;
	struct flags_lines old, now;

	if (go_to_place(c, d->dir) < 0)
		return 0;
	if (flags_lines_open(&old, c->h, &d->ids.old, d->leaf, &c->old_text, err) < 0 ||
	    flags_lines_open(&now, c->h, &d->ids.now, d->leaf, &c->text, err) < 0)
		return -1;
	while (old.there && now.there) {
		uint32_t was = old.line.uid, is = now.line.uid;

		if (was == is && tell_flags(c, &old, &now, err) < 0)
			return -1;
		if ((was <= is && flags_lines_next(&old, err) < 0) ||
		    (is <= was && flags_lines_next(&now, err) < 0))
			return -1;
	}
	return 0;
}

static void release(struct comparison *c)
{
	for (size_t i = 0; i < c->n_places; i++) {
		free(c->places[i].dir);
		mailbox_name_release(&c->places[i].old_name);
		mailbox_name_release(&c->places[i].name);
	}
	free(c->places);
	free(c->gone.v);
	free(c->come.v);
	buf_release(&c->old_text);
	buf_release(&c->text);
}

int history_changes(struct history *h, size_t old, size_t now, change_fn *fn, void *ctx,
		    struct err *err)
{
	struct comparison c = { .h = h, .old = old, .now = now, .fn = fn, .ctx = ctx };
	struct pair roots = { h->roots[old], h->roots[now] };
	int ret;

	buf_init(&c.old_text, LEAF_TEXT_MAX);
	buf_init(&c.text, LEAF_TEXT_MAX);
	ret = find_places(&c, err);
	if (c.n_places > 0)
		qsort(c.places, c.n_places, sizeof(*c.places), by_dir);
	if (ret == 0)
		ret = history_diff(h, &roots, LAYOUT_MESSAGES, on_messages, &c, err);
	if (c.gone.n > 0)
		qsort(c.gone.v, c.gone.n, sizeof(*c.gone.v), by_place);
	if (c.come.n > 0)
		qsort(c.come.v, c.come.n, sizeof(*c.come.v), by_place);
	pair_up(&c, true);
	pair_up(&c, false);
	if (ret == 0 && (tell_places(&c, err) < 0 || tell_gone(&c, err) < 0 ||
			 tell_come(&c, err) < 0))
		ret = -1;
	if (ret == 0)
		ret = history_diff(h, &roots, LAYOUT_FLAGS, on_flags, &c, err);
	release(&c);
	return ret;
}
