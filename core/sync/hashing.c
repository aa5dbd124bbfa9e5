#include "core/sync/hashing.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "core/base/mem.h"

struct hashing {
	EVP_MD_CTX *sha;
	uint64_t size;
};

int hashing_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	struct hashing *h = xcalloc(1, sizeof(*h));

	(void)ctx;
	(void)tag;
	(void)msg;
	(void)err;
	h->sha = EVP_MD_CTX_new();
	EVP_DigestInit_ex(h->sha, EVP_sha256(), NULL);
	*handle = h;
	return 0;
}

int hashing_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct hashing *h = handle;

	(void)ctx;
	(void)err;
	EVP_DigestUpdate(h->sha, piece.p, piece.n);
	h->size += piece.n;
	return 0;
}

uint64_t hashing_end(void *handle, uint8_t sha256[CONTENT_HASH_SIZE])
{
	struct hashing *h = handle;
	uint64_t size = h->size;

	EVP_DigestFinal_ex(h->sha, sha256, NULL);
	EVP_MD_CTX_free(h->sha);
	free(h);
	return size;
}
