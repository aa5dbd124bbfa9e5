#include "backends/git/tree.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/layout.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/* "40000 name", a NUL, 20 bytes of id. */
int tree_next(struct bytes *rest, struct tree_entry *e, struct err *err)
{
	size_t at = 0;
	const uint8_t *nul;

	if (rest->n == 0)
		return 0;
	e->mode = 0;
	for (; at < rest->n && rest->p[at] >= '0' && rest->p[at] <= '7' && at < 7; at++)
		e->mode = e->mode * 8 + (uint32_t)(rest->p[at] - '0');
	if (at == 0 || at == rest->n || rest->p[at] != ' ')
		return err_set(err, ERR_FATAL, "a tree is damaged");
	*rest = bytes_skip(*rest, at + 1);
	nul = memchr(rest->p, '\0', rest->n);
	if (!nul || nul == rest->p || (size_t)(rest->p + rest->n - nul) <= OBJECT_ID_SIZE)
		return err_set(err, ERR_FATAL, "a tree is damaged");
	e->name = bytes_from(rest->p, (size_t)(nul - rest->p));
	memcpy(e->id.b, nul + 1, OBJECT_ID_SIZE);
	*rest = bytes_skip(*rest, e->name.n + 1 + OBJECT_ID_SIZE);
	return 1;
}

void tree_add(struct buf *out, uint32_t mode, const char *name, const struct object_id *id)
{
	buf_addf(out, "%o %s", mode, name);
	buf_add_byte(out, '\0');
	buf_add(out, bytes_from(id->b, OBJECT_ID_SIZE));
}

void tree_init(struct tree *t)
{
	*t = (struct tree){ 0 };
}

void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].name);
	free(t->v);
	tree_init(t);
}

int tree_parse(struct tree *t, struct bytes data, struct err *err)
{
	struct tree_entry e;
	int got;

	tree_release(t);
	while ((got = tree_next(&data, &e, err)) > 0) {
		t->v = xgrow(t->v, t->n, &t->cap, sizeof(*t->v));
		t->v[t->n++] = (struct tree_slot){ .mode = e.mode, .name = bytes_dup(e.name),
						   .id = e.id };
	}
	return got;
}

/* Where a name stands, or would: `there` says which. */
static size_t place_of(const struct tree *t, uint32_t mode, const char *name, bool *there)
{
	size_t lo = 0, hi = t->n;

	*there = false;
	while (lo < hi && !*there) {
		size_t mid = lo + (hi - lo) / 2;
		int c = layout_tree_order(bytes_of(t->v[mid].name), t->v[mid].mode == MODE_TREE,
					  bytes_of(name), mode == MODE_TREE);

		*there = c == 0;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return *there ? hi : lo;
}

const struct tree_slot *tree_find(const struct tree *t, const char *name)
{
	bool there;
	size_t at = place_of(t, MODE_TREE, name, &there);

	if (!there)
		at = place_of(t, MODE_FILE, name, &there);
	return there ? &t->v[at] : NULL;
}

static void take_out(struct tree *t, size_t at)
{
	free(t->v[at].name);
	memmove(&t->v[at], &t->v[at + 1], (t->n - at - 1) * sizeof(*t->v));
	t->n--;
}

void tree_put(struct tree *t, uint32_t mode, const char *name, const struct object_id *id)
{
	/* A file may be in the place of a directory. */
	const struct tree_slot *old = tree_find(t, name);
	bool there;
	size_t at;

	if (old && (object_id_is_zero(id) || old->mode != mode))
		take_out(t, (size_t)(old - t->v));
	if (object_id_is_zero(id))
		return;
	at = place_of(t, mode, name, &there);
	if (!there) {
		t->v = xgrow(t->v, t->n, &t->cap, sizeof(*t->v));
		memmove(&t->v[at + 1], &t->v[at], (t->n - at) * sizeof(*t->v));
		t->n++;
		t->v[at] = (struct tree_slot){ .mode = mode, .name = xstrdup(name) };
	}
	t->v[at].id = *id;
}

void tree_format(const struct tree *t, struct buf *out)
{
	for (size_t i = 0; i < t->n; i++)
		tree_add(out, t->v[i].mode, t->v[i].name, &t->v[i].id);
}
