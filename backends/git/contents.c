#include "backends/git/contents.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "backends/git/box.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* The blobs of a mailbox, one for each message: each content is read once, however often it is there. */
struct blobs {
	struct object_id *v;
	size_t n, cap;
};

static int gather_id(void *ctx, uint32_t uid, const struct object_id *id, struct err *err)
{
	struct blobs *b = ctx;

	(void)uid;
	(void)err;
	b->v = xgrow(b->v, b->n, &b->cap, sizeof(*b->v));
	b->v[b->n++] = *id;
	return 0;
}

static int gather(struct gitbox *box, struct blobs *b, struct err *err)
{
	struct object_id id;

	if (gitbox_load(box, err) < 0 || kept_list_load(box, err) < 0 ||
	    leaf_each_id(box, gather_id, b, err) < 0)
		return -1;
	for (size_t i = 0; i < box->kept.n; i++) {
		if (box->kept.v[i].gone)
			continue;
		memcpy(id.b, box->kept.v[i].line.id, OBJECT_ID_SIZE);
		gather_id(b, 0, &id, err);
	}
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	return object_id_compare(a, b);
}

static int hash_piece(void *ctx, struct bytes piece, struct err *err)
{
	(void)err;
	EVP_DigestUpdate(ctx, piece.p, piece.n);
	return 0;
}

/* False when the blob cannot be read: then it is no content that anybody has. */
static bool hash_blob(const struct repo *r, const struct object_id *id, uint64_t *size,
		      uint8_t out[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	enum git_type type;
	struct err err;
	bool ok;

	EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
	ok = repo_stream(r, id, &type, size, hash_piece, sha, &err) == 0 && type == GIT_BLOB;
	EVP_DigestFinal_ex(sha, out, NULL);
	EVP_MD_CTX_free(sha);
	if (!ok)
		log_warn("%s", err.text);
	return ok;
}

static int tell_all(struct gitstore *g, const struct blobs *b, content_fn *each, void *ctx,
		    struct err *err)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	uint64_t size = 0;
	bool known = false;

	for (size_t i = 0; i < b->n; i++) {
		if (store_check_stop(&g->st, err) < 0)
			return -1;
		if (i == 0 || !object_id_equal(&b->v[i], &b->v[i - 1]))
			known = hash_blob(g->repo, &b->v[i], &size, sum);
		if (known && each(ctx, 0, size, sum, err) < 0)
			return -1;
	}
	return 0;
}

int gitstore_contents(struct mailbox *mb, const struct uidset *set, content_fn *each, void *ctx,
		      struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;
	struct blobs b = { 0 };
	int ret = gather(box, &b, err);

	(void)set;
	if (ret == 0 && b.n > 0) {
		qsort(b.v, b.n, sizeof(*b.v), compare_ids);
		ret = tell_all(gitstore_of(box), &b, each, ctx, err);
	}
	free(b.v);
	return ret;
}
