#include "backends/imap/upload_private.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/msgset/uidset.h"

/*
 * Which messages of which the answer is missing are there: among those that have no row and a UID that did not
 * exist before. The bytes decide; their hash is asked for where size and Message-ID are not enough.
 */
#define LOOKS 10 /* in the time that is waited */
#define HEADER_FIELDS_MAX 65536

struct candidate {
	uint32_t uid;
	uint64_t size;
	bool dated;
	int64_t date;
	char *message_id; /* NULL: none */
	bool hashed;
	uint8_t sha256[CONTENT_HASH_SIZE];
	bool taken;
};

struct finding {
	struct imap_store *st;
	struct imap_mailbox_handle *mb;
	uint32_t least;
	struct candidate *v; /* by UID, once all came */
	size_t n, cap;
	struct uidset listed; /* UIDs of these */
	struct uidset others; /* UIDs that are somebody's */
	struct uidset wanted; /* whose bytes are asked for */
	struct buf header;    /* of the message that comes now */
	EVP_MD_CTX *hash;
	bool ok;
	struct err err;
};

static void forget_candidates(struct finding *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].message_id);
	f->n = 0;
	uidset_clear(&f->listed);
}

static int by_uid(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static struct candidate *candidate_of(struct finding *f, uint32_t uid)
{
	const struct candidate key = { .uid = uid };

	return f->n ? bsearch(&key, f->v, f->n, sizeof(*f->v), by_uid) : NULL;
}

/* --- what came --- */

static void on_header_begin(void *ctx, const struct imap_fetch *m)
{
	(void)m;
	buf_clear(&((struct finding *)ctx)->header);
}

static void on_header_data(void *ctx, struct bytes piece)
{
	buf_add(&((struct finding *)ctx)->header, piece);
}

static void on_header_drop(void *ctx)
{
	buf_clear(&((struct finding *)ctx)->header);
}

static void on_message(void *ctx, const struct imap_fetch *m)
{
	struct finding *f = ctx;
	struct candidate *c;

	if (m->uid < f->least || uidset_has(&f->others, m->uid) || !(m->present & IMAP_FETCH_SIZE) ||
	    uidset_has(&f->listed, m->uid))
		return;
	uidset_add(&f->listed, m->uid);
	f->v = xgrow(f->v, f->n, &f->cap, sizeof(*f->v));
	c = &f->v[f->n++];
	*c = (struct candidate){ .uid = m->uid, .size = m->size };
	if ((m->present & IMAP_FETCH_INTERNALDATE) && m->date && m->date->known) {
		c->dated = true;
		c->date = m->date->unix_time;
	}
	if (m->present & IMAP_FETCH_BODY)
		c->message_id = message_id_of(buf_bytes(&f->header));
	buf_clear(&f->header);
}

static void on_done(void *ctx, const struct imap_result *r)
{
	struct finding *f = ctx;

	f->ok = r->outcome == IMAP_DONE_OK;
	f->err = *r->err;
}

static int answered(struct finding *f, struct connection *c, struct err *err)
{
	if (writer_wait(c, err) < 0)
		return -1;
	if (f->ok)
		return 0;
	*err = f->err;
	return -1;
}

/* Some servers show what was added only after a NOOP. */
static int do_list(void *ctx, struct connection *c, struct err *err)
{
	struct finding *f = ctx;
	struct uidset set = UIDSET_INIT;
	int ret;

	forget_candidates(f);
	uidset_add_range(&set, f->least, UINT32_MAX);
	uidset_subtract(&set, &set, &f->others);
	imap_noop(c->session, NULL, NULL);
	ret = imap_fetch(c->session, &(struct imap_fetch_request){
		.uids = &set, .items = IMAP_FETCH_SIZE | IMAP_FETCH_INTERNALDATE,
		.section = "HEADER.FIELDS (MESSAGE-ID)" }, &(struct imap_fetch_sink){
		.body_begin = on_header_begin, .body_data = on_header_data, .drop = on_header_drop,
		.message = on_message, .done = on_done, .ctx = f }, err);
	uidset_release(&set);
	return ret < 0 ? -1 : answered(f, c, err);
}

static void add_stored(struct finding *f, const struct upload_batch *b)
{
	for (size_t i = 0; b->mb == f->mb && i < b->n; i++)
		if (b->v[i]->state == UPLOAD_STORED)
			uidset_add(&f->others, b->v[i]->uid);
}

static int list(struct finding *f, struct err *err)
{
	const struct uploads *up = writer_of(f->st)->uploads;

	if (ledger_uids(f->st->ledger, f->mb->box, f->least, &f->others, err) < 0)
		return -1;
	/* Of batches that were answered and not written down yet. */
	for (size_t k = 0; up && k < WRITER_LINES; k++)
		for (const struct upload_batch *b = up->sent[k].first; b; b = b->next)
			add_stored(f, b);
	if (writer_do(f->st, f->mb, do_list, f, err) < 0)
		return -1;
	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), by_uid);
	return 0;
}

/* --- their bytes --- */

static void on_body_begin(void *ctx, const struct imap_fetch *m)
{
	(void)m;
	EVP_DigestInit_ex(((struct finding *)ctx)->hash, EVP_sha256(), NULL);
}

static void on_body_data(void *ctx, struct bytes piece)
{
	EVP_DigestUpdate(((struct finding *)ctx)->hash, piece.p, piece.n);
}

static void on_hashed(void *ctx, const struct imap_fetch *m)
{
	struct finding *f = ctx;
	struct candidate *c = candidate_of(f, m->uid);

	if (!c || !(m->present & IMAP_FETCH_BODY))
		return;
	EVP_DigestFinal_ex(f->hash, c->sha256, NULL);
	EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL);
	c->hashed = true;
}

static int do_hash(void *ctx, struct connection *c, struct err *err)
{
	struct finding *f = ctx;

	EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL);
	if (imap_fetch(c->session, &(struct imap_fetch_request){ .uids = &f->wanted, .section = "" },
		       &(struct imap_fetch_sink){
			.body_begin = on_body_begin, .body_data = on_body_data, .message = on_hashed,
			.done = on_done, .ctx = f }, err) < 0)
		return -1;
	return answered(f, c, err);
}

/* Of every candidate that may be one of the claims by its size. */
static int hash(struct finding *f, const struct claim *v, size_t n, struct err *err)
{
	uidset_clear(&f->wanted);
	for (size_t i = 0; i < f->n; i++)
		for (size_t k = 0; k < n && !f->v[i].taken && !f->v[i].hashed; k++)
			if (!v[k].uid && v[k].size == f->v[i].size)
				uidset_add(&f->wanted, f->v[i].uid);
	return uidset_is_empty(&f->wanted) ? 0 : writer_do(f->st, f->mb, do_hash, f, err);
}

/* --- which is which --- */

static bool same_id(const struct claim *claim, const struct candidate *c)
{
	return c->message_id ? claim->message_id.n && bytes_is(claim->message_id, c->message_id) :
			       !claim->message_id.n;
}

static bool looks_same(const struct claim *claim, const struct candidate *c)
{
	return claim->size == c->size && same_id(claim, c);
}

static void take(struct claim *claim, struct candidate *c)
{
	claim->uid = c->uid;
	c->taken = true;
}

/* Where size and Message-ID fit one claim and one candidate only. */
static void match_by_looks(struct finding *f, struct claim *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct candidate *only = NULL;
		size_t fit = 0, rivals = 0;

		for (size_t k = 0; k < n; k++)
			rivals += v[k].size == v[i].size &&
				  bytes_equal(v[k].message_id, v[i].message_id);
		for (size_t k = 0; k < f->n; k++)
			if (looks_same(&v[i], &f->v[k])) {
				only = &f->v[k];
				fit++;
			}
		if (fit == 1 && rivals == 1 && v[i].message_id.n)
			take(&v[i], only);
	}
}

static void match_by_hash(struct finding *f, struct claim *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < f->n && !v[i].uid; k++)
			if (f->v[k].hashed && !f->v[k].taken &&
			    memcmp(f->v[k].sha256, v[i].sha256, CONTENT_HASH_SIZE) == 0)
				take(&v[i], &f->v[k]);
}

/* By its looks it is one of a batch that was sent as well, and will be looked for itself. */
static bool is_of_another_batch(const struct finding *f, const struct candidate *c)
{
	const struct uploads *up = writer_of(f->st)->uploads;

	for (size_t k = 0; up && k < WRITER_LINES; k++)
		for (const struct upload_batch *b = up->sent[k].first; b; b = b->next)
			for (size_t i = 0; b->mb == f->mb && i < b->n; i++) {
				const struct spool *body = &b->v[i]->body;

				if (body->size == c->size && c->message_id && body->message_id &&
				    strcmp(body->message_id, c->message_id) == 0)
					return true;
			}
	return false;
}

/*
 * Servers rewrite line ends (a byte for each line, more or less) and NUL bytes. Lines of less than 8 bytes on
 * average are no mail.
 */
static bool may_be_altered(const struct claim *claim, const struct candidate *c)
{
	uint64_t room = claim->size / 8 + 16;

	return !c->taken && claim->message_id.n && same_id(claim, c) && claim->date->known && c->dated &&
	       claim->date->unix_time == c->date && c->size + room >= claim->size &&
	       c->size <= claim->size + room;
}

static void match_altered(struct finding *f, struct claim *v, size_t n)
{
	for (size_t k = 0; k < f->n; k++)
		f->v[k].taken |= is_of_another_batch(f, &f->v[k]);
	for (size_t i = 0; i < n; i++) {
		struct candidate *only = NULL;
		size_t fit = 0, rivals = 0;

		if (v[i].uid)
			continue;
		for (size_t k = 0; k < f->n; k++)
			if (may_be_altered(&v[i], &f->v[k])) {
				only = &f->v[k];
				fit++;
			}
		for (size_t k = 0; k < n && only; k++)
			rivals += !v[k].uid && may_be_altered(&v[k], only);
		v[i].altered = fit == 1 && rivals == 1;
		v[i].unclear = fit > 1 || rivals > 1;
		if (v[i].altered)
			take(&v[i], only);
	}
}

static bool all_found(const struct claim *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!v[i].uid)
			return false;
	return true;
}

/* Nothing is written while another session may still be storing what it had got. */
static int pause_a_little(struct imap_store *st, int64_t ms, struct err *err)
{
	int64_t until = clock_ms() + ms;

	while (clock_ms() < until)
		if (loop_step(st->loop, until, err) < 0)
			return -1;
	return 0;
}

static int look(struct finding *f, struct claim *v, size_t n, bool certain, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		v[i].uid = 0;
	if (list(f, err) < 0)
		return -1;
	if (certain)
		match_by_looks(f, v, n);
	if (all_found(v, n))
		return 0;
	if (hash(f, v, n, err) < 0)
		return -1;
	match_by_hash(f, v, n);
	return 0;
}

int claims_find(struct imap_store *st, struct imap_mailbox_handle *mb, uint32_t least, struct claim *v,
		size_t n, bool certain, int64_t wait_ms, struct err *err)
{
	struct finding f = { .st = st, .mb = mb, .least = least ? least : 1,
			     .header = BUF_INIT(HEADER_FIELDS_MAX), .hash = EVP_MD_CTX_new() };
	int64_t until = clock_ms() + wait_ms;
	int ret = look(&f, v, n, certain, err);

	while (ret == 0 && !all_found(v, n) && clock_ms() < until) {
		ret = pause_a_little(st, wait_ms / LOOKS + 1, err);
		if (ret == 0)
			ret = look(&f, v, n, certain, err);
	}
	if (ret == 0)
		match_altered(&f, v, n);
	forget_candidates(&f);
	free(f.v);
	uidset_release(&f.listed);
	uidset_release(&f.others);
	uidset_release(&f.wanted);
	buf_release(&f.header);
	EVP_MD_CTX_free(f.hash);
	return ret;
}
