#include "backends/git/object.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

const char *git_type_name(enum git_type type)
{
	switch (type) {
	case GIT_NONE:
		break;
	case GIT_COMMIT:
		return "commit";
	case GIT_TREE:
		return "tree";
	case GIT_BLOB:
		return "blob";
	case GIT_TAG:
		return "tag";
	case GIT_DELTA:
		return "delta";
	}
	return "unknown";
}

char *object_id_hex(const struct object_id *id, char out[OBJECT_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < OBJECT_ID_SIZE; i++) {
		out[2 * i] = digits[id->b[i] >> 4];
		out[2 * i + 1] = digits[id->b[i] & 15];
	}
	out[OBJECT_HEX_SIZE - 1] = '\0';
	return out;
}

static int hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool object_id_parse(struct object_id *id, struct bytes hex)
{
	struct object_id got;

	if (hex.n != OBJECT_HEX_SIZE - 1)
		return false;
	for (size_t i = 0; i < OBJECT_ID_SIZE; i++) {
		int high = hex_value(hex.p[2 * i]), low = hex_value(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		got.b[i] = (uint8_t)(high << 4 | low);
	}
	*id = got;
	return true;
}

bool object_id_equal(const struct object_id *a, const struct object_id *b)
{
	return memcmp(a->b, b->b, OBJECT_ID_SIZE) == 0;
}

int object_id_compare(const struct object_id *a, const struct object_id *b)
{
	return memcmp(a->b, b->b, OBJECT_ID_SIZE);
}

bool object_id_is_zero(const struct object_id *id)
{
	static const struct object_id zero;

	return object_id_equal(id, &zero);
}

/*
 * OpenSSL looks an algorithm up by name, which for a small object costs more than hashing it: once
 * is enough.
 */
struct object_hash {
	EVP_MD *sha1;
	EVP_MD_CTX *md;
};

static void hash_must(int ok)
{
	assert(ok == 1); /* SHA-1 in memory fails only without memory or without SHA-1 */
	if (ok != 1)
		abort();
}

struct object_hash *object_hash_new(void)
{
	struct object_hash *h = xcalloc(1, sizeof(*h));

	h->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	h->md = EVP_MD_CTX_new();
	hash_must(h->sha1 && h->md);
	return h;
}

void object_hash_free(struct object_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->md);
	EVP_MD_free(h->sha1);
	free(h);
}

void object_hash_begin_raw(struct object_hash *h)
{
	hash_must(EVP_DigestInit_ex2(h->md, h->sha1, NULL));
}

void object_hash_begin(struct object_hash *h, enum git_type type, uint64_t size)
{
	char head[32];
	int n = snprintf(head, sizeof(head), "%s %llu", git_type_name(type),
			 (unsigned long long)size);

	object_hash_begin_raw(h);
	object_hash_update(h, bytes_from(head, (size_t)n + 1)); /* with its NUL */
}

void object_hash_update(struct object_hash *h, struct bytes piece)
{
	hash_must(EVP_DigestUpdate(h->md, piece.p, piece.n));
}

void object_hash_end(struct object_hash *h, struct object_id *id)
{
	hash_must(EVP_DigestFinal_ex(h->md, id->b, NULL));
}

void object_id_of(struct object_id *id, enum git_type type, struct bytes data)
{
	struct object_hash *h = object_hash_new();

	object_hash_begin(h, type, data.n);
	object_hash_update(h, data);
	object_hash_end(h, id);
	object_hash_free(h);
}
