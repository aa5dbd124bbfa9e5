#include "core/sync/heading.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "core/base/mem.h"
#include "core/mail/header.h"

/* A header on its way. */
struct heading {
	void *tag;
	struct header_reader *reader;
	EVP_MD_CTX *content; /* NULL: not asked for */
};

static const char *const fields[] = { "Message-ID", "Date", "From", "Subject" };
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static void heading_free(struct heading *h)
{
	header_reader_free(h->reader);
	EVP_MD_CTX_free(h->content);
	free(h);
}

static int heading_begin(void *ctx, void *tag, const struct message *msg, void **handle,
			 struct err *err)
{
	struct heading *h = xcalloc(1, sizeof(*h));
	const struct headings *to = ctx;

	(void)msg;
	(void)err;
	h->tag = tag;
	h->reader = header_reader_new(fields, FIELDS);
	if (to->content) {
		h->content = EVP_MD_CTX_new();
		EVP_DigestInit_ex(h->content, EVP_sha256(), NULL);
	}
	*handle = h;
	return 0;
}

static int heading_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct heading *h = handle;

	(void)ctx;
	(void)err;
	header_reader_feed(h->reader, piece);
	if (h->content)
		EVP_DigestUpdate(h->content, piece.p, piece.n);
	return 0;
}

/* False when there is nothing in it that tells messages apart. */
static bool hash_header(const struct header_reader *reader, uint8_t out[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	bool tells = header_reader_value(reader, 0).n > 0 || header_reader_value(reader, 1).n > 0;

	EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
	for (size_t i = 0; i < FIELDS; i++) {
		struct bytes value = header_reader_value(reader, i);
		uint64_t n = value.p ? value.n : UINT64_MAX;

		EVP_DigestUpdate(sha, &n, sizeof(n));
		if (value.n)
			EVP_DigestUpdate(sha, value.p, value.n);
	}
	EVP_DigestFinal_ex(sha, out, NULL);
	EVP_MD_CTX_free(sha);
	return tells;
}

static int heading_end(void *ctx, void *handle, const struct message *msg, bool complete,
		       struct err *err)
{
	const struct headings *to = ctx;
	struct heading *h = handle;
	uint8_t header[EVP_MAX_MD_SIZE], content[EVP_MAX_MD_SIZE];

	(void)err;
	header_reader_finish(h->reader);
	if (complete && hash_header(h->reader, header)) {
		if (h->content)
			EVP_DigestFinal_ex(h->content, content, NULL);
		to->tell(h->tag, msg, header, h->content ? content : NULL);
	}
	heading_free(h);
	return 0;
}

struct message_sink headings_sink(struct headings *h)
{
	return (struct message_sink){ .ctx = h, .begin = heading_begin, .write = heading_write,
				      .end = heading_end };
}

struct want heading_want(struct mailbox *mb, const struct uidset *set, void *tag)
{
	return (struct want){ .mailbox = mb, .set = set, .exact = true, .header = true,
			      .expect = uidset_count(set), .tag = tag };
}

static void ignore_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
			   const struct err *why)
{
	(void)ctx;
	(void)tag;
	(void)uid;
	(void)what;
	(void)new_uid;
	(void)why;
}

int headings_fetch(struct store *st, struct want *want, size_t n, struct headings *h, struct err *err)
{
	const struct message_sink sink = headings_sink(h);

	return store_fetch(st, want, n, &sink, ignore_outcome, NULL, err);
}
