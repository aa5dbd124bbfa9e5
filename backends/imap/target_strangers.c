#include "backends/imap/target_look.h"
#include "backends/imap/write_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/sync/hashing.h"

/*
 * Messages of a target that no row is of: its user's own, or put there by other means. They are told by size and header,
 * which is all that who pairs them looks at. Of those that are alike in both, the hash of all their bytes is told, too, behind
 * the header: equal only where they are.
 *
 * One that is taken is given the flags that it is taken with, at commit(), for all that need the same at once; none is
 * taken from it. It is its user's, who may have read or flagged it there; and of a message that was copied before the ledger
 * was lost nobody knows what it had then.
 */
struct stranger {
	struct seen seen;
	size_t header, n_header; /* in strangers.headers */
	bool read;               /* its header came */
	bool hashed;
	uint8_t sha256[CONTENT_HASH_SIZE];
};

struct correction {
	uint32_t add; /* id in strangers.flags */
	struct uidset uids;
};

struct strangers {
	struct stranger *v; /* ascending by UID, which is the number that they are given out under */
	size_t n;
	struct buf headers;
	struct flag_table *flags;
	struct correction *correction;
	size_t n_corrections, cap_corrections;
};

void strangers_free(struct strangers *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_corrections; i++)
		uidset_release(&s->correction[i].uids);
	free(s->correction);
	free(s->v);
	buf_release(&s->headers);
	flag_table_free(s->flags);
	free(s);
}

static int compare_uid(const void *a, const void *b)
{
	const struct stranger *x = a, *y = b;

	return (x->seen.uid > y->seen.uid) - (x->seen.uid < y->seen.uid);
}

static struct stranger *find(struct strangers *s, uint32_t uid)
{
	const struct stranger key = { .seen.uid = uid };

	return s->n ? bsearch(&key, s->v, s->n, sizeof(*s->v), compare_uid) : NULL;
}

/* --- looking --- */

/* Those that are there and have no row. */
static int find_strangers(struct imap_mailbox_handle *mb, const struct uidset *sizes,
			  struct strangers *s, struct err *err)
{
	struct imap_store *st = imap_of(mb->mailbox.store);
	struct uidset ours = UIDSET_INIT;
	struct seen_list there = { 0 };
	int ret = mb->box ? ledger_uids(st->ledger, mb->box, 1, &ours, err) : 0;

	if (ret == 0)
		ret = target_look(mb, &ours, &there, err);
	s->v = xcalloc(there.n, sizeof(*s->v));
	for (size_t i = 0; i < there.n && ret == 0; i++)
		if (!sizes || (there.v[i].size < UINT32_MAX &&
			       uidset_has(sizes, (uint32_t)there.v[i].size)))
			s->v[s->n++].seen = there.v[i];
	s->flags = there.flags;
	there.flags = NULL;
	seen_list_release(&there);
	uidset_release(&ours);
	return ret;
}

struct header_gathering {
	struct strangers *s;
	struct buf header;
};

/* Headers may come by several connections at once. */
static int gather_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	struct header_gathering *g = xcalloc(1, sizeof(*g));

	(void)tag;
	(void)msg;
	(void)err;
	g->s = ctx;
	buf_init(&g->header, SIZE_MAX / 4);
	*handle = g;
	return 0;
}

static int gather_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct header_gathering *g = handle;

	(void)ctx;
	(void)err;
	buf_add(&g->header, piece);
	return 0;
}

static int gather_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct header_gathering *g = handle;
	struct strangers *s = ctx;
	struct stranger *one = complete ? find(s, msg->uid) : NULL;

	(void)err;
	if (one) {
		one->header = s->headers.n;
		one->n_header = g->header.n;
		one->read = true;
		buf_add(&s->headers, buf_bytes(&g->header));
	}
	buf_release(&g->header);
	free(g);
	return 0;
}

static struct bytes header_of(const struct strangers *s, const struct stranger *one)
{
	return one->n_header ? bytes_from(s->headers.p + one->header, one->n_header)
			     : (struct bytes){ 0 };
}

static int read_headers(struct imap_mailbox_handle *mb, struct strangers *s, struct err *err)
{
	const struct message_sink sink = { .ctx = s, .begin = gather_begin, .write = gather_write,
					   .end = gather_end };
	struct uidset all = UIDSET_INIT;
	int ret;

	for (size_t i = 0; i < s->n; i++)
		uidset_add(&all, s->v[i].seen.uid);
	ret = target_fetch(mb, &all, true, &sink, err);
	uidset_release(&all);
	return ret;
}

/* --- those that are alike --- */

static int compare_look(const void *a, const void *b, void *ctx)
{
	const struct stranger *const *x = a, *const *y = b;

	if ((*x)->seen.size != (*y)->seen.size)
		return (*x)->seen.size < (*y)->seen.size ? -1 : 1;
	return bytes_compare(header_of(ctx, *x), header_of(ctx, *y));
}

static void find_doubles(struct strangers *s, struct uidset_builder *out)
{
	const struct stranger **by_look = xcalloc(s->n, sizeof(const struct stranger *));

	for (size_t i = 0; i < s->n; i++)
		by_look[i] = &s->v[i];
	if (s->n)
		qsort_r(by_look, s->n, sizeof(const struct stranger *), compare_look, s);
	for (size_t i = 1; i < s->n; i++)
		if (compare_look(&by_look[i - 1], &by_look[i], s) == 0) {
			uidset_builder_add(out, by_look[i - 1]->seen.uid, by_look[i - 1]->seen.uid);
			uidset_builder_add(out, by_look[i]->seen.uid, by_look[i]->seen.uid);
		}
	free(by_look);
}

static int hashed(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	uint8_t sha256[CONTENT_HASH_SIZE];
	struct stranger *one;

	(void)err;
	hashing_end(handle, sha256);
	one = complete ? find(ctx, msg->uid) : NULL;
	if (one) {
		memcpy(one->sha256, sha256, sizeof(one->sha256));
		one->hashed = true;
	}
	return 0;
}

static int hash_doubles(struct imap_mailbox_handle *mb, struct strangers *s, struct err *err)
{
	const struct message_sink sink = { .ctx = s, .begin = hashing_begin, .write = hashing_write,
					   .end = hashed };
	struct uidset_builder found;
	struct uidset doubles = UIDSET_INIT;
	int ret;

	uidset_builder_init(&found);
	find_doubles(s, &found);
	uidset_builder_finish(&found, &doubles);
	ret = target_fetch(mb, &doubles, false, &sink, err);
	/* What could not be read is like nothing. */
	for (size_t i = 0; i < s->n; i++)
		if (uidset_has(&doubles, s->v[i].seen.uid) && !s->v[i].hashed)
			s->v[i].read = false;
	uidset_builder_release(&found);
	uidset_release(&doubles);
	return ret;
}

/* --- telling --- */

static int write_hash(const struct message_sink *sink, void *handle, const struct stranger *one,
		      struct err *err)
{
	char hex[2 * CONTENT_HASH_SIZE + 1];

	for (size_t i = 0; i < CONTENT_HASH_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", one->sha256[i]);
	return sink->write(sink->ctx, handle, bytes_of(hex), err);
}

static int tell(const struct strangers *s, const struct stranger *one, void *tag,
		const struct message_sink *sink, struct err *err)
{
	const struct message msg = { .uid = one->seen.uid, .size = one->seen.size };
	struct err second;
	void *handle;
	int ret;

	if (sink->begin(sink->ctx, tag, &msg, &handle, err) < 0)
		return -1;
	ret = sink->write(sink->ctx, handle, header_of(s, one), err);
	if (ret == 0 && one->hashed)
		ret = write_hash(sink, handle, one, err);
	if (sink->end(sink->ctx, handle, &msg, ret == 0, ret == 0 ? err : &second) < 0)
		ret = -1;
	return ret;
}

int target_strangers(struct mailbox *mb, const struct uidset *sizes, void *tag,
		     const struct message_sink *sink, struct err *err)
{
	struct imap_mailbox_handle *h = (struct imap_mailbox_handle *)mb;
	struct strangers *s = xcalloc(1, sizeof(*s));

	strangers_free(h->strangers);
	h->strangers = s;
	buf_init(&s->headers, SIZE_MAX / 4);
	if (find_strangers(h, sizes, s, err) < 0 || read_headers(h, s, err) < 0 ||
	    hash_doubles(h, s, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].read && tell(s, &s->v[i], tag, sink, err) < 0 && err->kind != ERR_MESSAGE)
			return -1;
	return 0;
}

/* --- taking --- */

/* `lacks`: the flags that the message `uid` is to be given. */
static void correct_later(struct strangers *s, uint32_t uid, const struct flags *lacks)
{
	uint32_t add = flag_table_intern(s->flags, lacks);
	size_t i = 0;

	while (i < s->n_corrections && s->correction[i].add != add)
		i++;
	if (i == s->n_corrections) {
		s->correction = xgrow(s->correction, s->n_corrections, &s->cap_corrections,
				      sizeof(*s->correction));
		s->correction[s->n_corrections++] = (struct correction){ .add = add };
	}
	uidset_add(&s->correction[i].uids, uid);
}

static void give_flags(struct strangers *s, const struct stranger *one, const struct flags *flags)
{
	struct flags add = FLAGS_INIT, remove = FLAGS_INIT;

	flags_diff(flag_table_get(s->flags, one->seen.flags), flags, &add, &remove);
	if (!flags_is_empty(&add))
		correct_later(s, one->seen.uid, &add);
	flags_release(&add);
	flags_release(&remove);
}

int target_take(struct mailbox *mb, uint32_t stranger, const struct message *msg, uint32_t *uid,
		struct err *err)
{
	struct imap_mailbox_handle *h = (struct imap_mailbox_handle *)mb;
	struct imap_store *st = imap_of(mb->store);
	struct buf flags = BUF_INIT(SIZE_MAX / 4), date = BUF_INIT(SIZE_MAX / 4);
	struct stranger *one = h->strangers ? find(h->strangers, stranger) : NULL;
	struct ledger_row row = { .uid = stranger, .source_uid = msg->uid, .how = LEDGER_ADOPTED,
				  .identity = msg->identity };
	struct ledger_copy taken = { 0 };
	int got;

	*uid = 0;
	got = one ? ledger_find(st->ledger, h->box, stranger, &taken, err) : 1;
	ledger_copy_release(&taken);
	if (got != 0) /* it has become a row meanwhile */
		return got < 0 ? -1 : 0;
	row.size = one->seen.size;
	if (one->hashed)
		row.sha256 = bytes_from(one->sha256, sizeof(one->sha256));
	flags_format(msg->flags, &flags);
	maildate_format(msg->date, &date);
	row.flags = buf_bytes(&flags);
	row.date = buf_bytes(&date);
	got = ledger_insert(st->ledger, h->box, &row, err);
	buf_release(&flags);
	buf_release(&date);
	if (got < 0)
		return -1;
	give_flags(h->strangers, one, msg->flags);
	*uid = stranger;
	return 0;
}

int strangers_correct(struct imap_mailbox_handle *mb, struct err *err)
{
	static const struct flags none = FLAGS_INIT;
	struct strangers *s = mb->strangers;
	int ret = 0;

	while (ret == 0 && s && s->n_corrections > 0) {
		struct correction *c = &s->correction[s->n_corrections - 1];

		ret = alter_flags(mb, &c->uids, flag_table_get(s->flags, c->add), &none, err);
		uidset_release(&c->uids);
		s->n_corrections--;
	}
	return ret;
}
