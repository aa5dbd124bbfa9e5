#include "backends/git/reach.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/tree.h"
#include "core/base/mem.h"

void reach_init(struct reach *x, const struct repo *r)
{
	*x = (struct reach){ .repo = r };
	pack_table_init(&x->seen);
	buf_init(&x->data, TREE_MAX);
}

void reach_release(struct reach *x)
{
	pack_table_release(&x->seen);
	buf_release(&x->data);
	free(x->todo);
}

bool reach_has(const struct reach *x, const struct object_id *id)
{
	return pack_table_find(&x->seen, id) != NULL;
}

void reach_add(struct reach *x, const struct object_id *id)
{
	if (!reach_has(x, id))
		pack_table_add(&x->seen, &(struct pack_record){ .id = *id });
}

static void push(struct reach *x, const struct object_id *id)
{
	if (reach_has(x, id))
		return;
	reach_add(x, id);
	x->todo = xgrow(x->todo, x->n, &x->cap, sizeof(*x->todo));
	x->todo[x->n++] = *id;
}

/* The head of a commit or of a tag: "tree ID", "parent ID", "object ID". */
static void push_head(struct reach *x)
{
	static const char *const keys[] = { "tree ", "parent ", "object " };
	struct bytes rest = buf_bytes(&x->data);

	while (rest.n > 0 && rest.p[0] != '\n') {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;
		struct object_id id;

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			size_t k = strlen(keys[i]);

			if (n > k && memcmp(rest.p, keys[i], k) == 0 &&
			    object_id_parse(&id, bytes_from(rest.p + k, n - k)))
				push(x, &id);
		}
		rest = bytes_skip(rest, n + (end != NULL));
	}
}

static int push_entries(struct reach *x, struct err *err)
{
	struct bytes rest = buf_bytes(&x->data);
	struct tree_entry e;
	int got;

	while ((got = tree_next(&rest, &e, err)) > 0) {
		if ((e.mode & 0170000) == MODE_TREE)
			push(x, &e.id);
		else if ((e.mode & 0170000) != 0160000) /* a commit of another repository */
			reach_add(x, &e.id);
	}
	return got;
}

static int take(void *ctx, struct bytes piece, struct err *err)
{
	struct reach *x = ctx;

	if (x->type == GIT_BLOB || buf_add(&x->data, piece))
		return 0;
	return err_set(err, ERR_FATAL, "%s: an object is larger than anything mailcask writes there",
		       x->repo->path);
}

static int expand(struct reach *x, const struct object_id *id, struct err *err)
{
	char hex[OBJECT_HEX_SIZE];

	buf_clear(&x->data);
	if (repo_stream(x->repo, id, &x->type, NULL, take, x, err) < 0)
		return -1;
	if (x->type == GIT_TREE && push_entries(x, err) < 0)
		return err_prefix(err, "%s: tree %s", x->repo->path, object_id_hex(id, hex));
	if (x->type == GIT_COMMIT || x->type == GIT_TAG)
		push_head(x);
	return 0;
}

int reach_from(struct reach *x, const struct object_id *id, struct err *err)
{
	push(x, id);
	while (x->n > 0) {
		struct object_id next = x->todo[--x->n];

		if (expand(x, &next, err) < 0)
			return -1;
	}
	return 0;
}
