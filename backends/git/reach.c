#include "backends/git/reach.h"

#include <stdlib.h>
#include <string.h>

#include <git2.h>

#include "backends/git/repo_private.h"
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

	if (buf_add(&x->data, piece))
		return 0;
	return err_set(err, ERR_FATAL, "%s: an object is larger than anything mailcask writes there",
		       x->repo->path);
}

static int expand(struct reach *x, const struct object_id *id, struct err *err)
{
	char hex[OBJECT_HEX_SIZE];
	enum git_type type;

	buf_clear(&x->data);
	if (repo_stream(x->repo, id, &type, NULL, take, x, err) < 0)
		return -1;
	if (type == GIT_TREE && push_entries(x, err) < 0)
		return err_prefix(err, "%s: tree %s", x->repo->path, object_id_hex(id, hex));
	if (type == GIT_COMMIT || type == GIT_TAG)
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

/* 1 with what a ref itself names, 0 when that is another ref, -1. */
static int direct_target(git_repository *git, const char *name, struct object_id *id)
{
	git_reference *ref = NULL;
	const git_oid *oid;

	if (git_reference_lookup(&ref, git, name) < 0)
		return -1;
	oid = git_reference_target(ref);
	if (oid)
		memcpy(id->b, oid->id, OBJECT_ID_SIZE);
	git_reference_free(ref);
	return oid != NULL;
}

static int reach_ref(struct reach *x, git_repository *git, const char *name, char **holder,
		     struct err *err)
{
	struct object_id id;
	int got;

	if (strcmp(name, REPO_MAIN) == 0 || strcmp(name, REPO_WIP) == 0)
		return 0;
	got = direct_target(git, name, &id);
	if (got <= 0)
		return got < 0 ? repo_error(err, x->repo->path, "read a ref") : 0;
	if (!reach_has(x, &id) && !*holder)
		*holder = xstrdup(name);
	return reach_from(x, &id, err);
}

int reach_other_refs(struct reach *x, char **holder, struct err *err)
{
	git_repository *git = repo_git(x->repo, err);
	git_strarray refs = { 0 };
	int ret;

	*holder = NULL;
	if (!git)
		return -1;
	if (git_reference_list(&refs, git) < 0)
		return repo_error(err, x->repo->path, "list the refs");
	ret = reach_ref(x, git, "HEAD", holder, err);
	for (size_t i = 0; i < refs.count && ret == 0; i++)
		ret = reach_ref(x, git, refs.strings[i], holder, err);
	git_strarray_dispose(&refs);
	return ret;
}
