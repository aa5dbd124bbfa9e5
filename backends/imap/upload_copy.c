#include "backends/imap/upload_private.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"

#include "backends/imap/copy.h"

/*
 * Messages of which another mailbox of the account holds the bytes. They have their intents as those that are sent, and
 * are here all the while: what cannot be copied is sent.
 */

static bool is_lost(const struct copying *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].state == COPY_LOST || v[i].state == COPY_UNTOLD)
			return true;
	return false;
}

/* Of those without an answer: are they there? */
static int look_for(struct imap_store *st, struct upload_batch *b, struct copying *v, struct err *err)
{
	struct claim claims[UPLOAD_BATCH_MESSAGES];
	size_t of[UPLOAD_BATCH_MESSAGES], n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct upload *u = b->v[i];

		if (v[i].state != COPY_LOST && v[i].state != COPY_UNTOLD)
			continue;
		of[n] = i;
		claims[n++] = (struct claim){ .size = u->body.size, .sha256 = u->body.sha256, .date = &u->date };
	}
	if (claims_find(st, b->mb, b->mb->writing->uid_next, claims, n, false,
			SETTLE_MS * st->patience / 100, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		v[of[i]].uid = claims[i].uid;
	return 0;
}

static int make(struct imap_store *st, struct upload_batch *b, struct copying *v, struct err *err)
{
	if (copies_make(st, b->from, b->mb, v, b->n, err) < 0 && err->kind != ERR_MAILBOX &&
	    err->kind != ERR_MISSING && writer_retry(st, err, err) < 0)
		return -1;
	return is_lost(v, b->n) ? look_for(st, b, v, err) : 0;
}

/*
 * Give the copies the flags that came. A server that dates them anew gets its copies back, and no more of them are
 * asked for.
 */
static int correct(struct imap_store *st, struct upload_batch *b, struct copying *v, struct err *err)
{
	struct correction fix[UPLOAD_BATCH_MESSAGES] = { { 0 } };
	struct uidset wrong = UIDSET_INIT;
	size_t of[UPLOAD_BATCH_MESSAGES], n = 0;
	int ret;

	for (size_t i = 0; i < b->n; i++) {
		if (!v[i].uid)
			continue;
		of[n] = i;
		fix[n].uid = v[i].uid;
		fix[n].date = &b->v[i]->date;
		flags_copy(&fix[n++].wants, &b->v[i]->flags);
	}
	ret = copies_correct(b->mb, fix, n, err);
	for (size_t i = 0; i < n && ret == 0; i++) {
		if (fix[i].other_date)
			uidset_add(&wrong, fix[i].uid);
		if (fix[i].other_date || !fix[i].told)
			v[of[i]].uid = 0; /* sent after all */
	}
	st->writer->uploads->no_copies |= !uidset_is_empty(&wrong);
	if (ret == 0)
		ret = alter_remove(b->mb, &wrong, err);
	for (size_t i = 0; i < n; i++)
		correction_release(&fix[i]);
	uidset_release(&wrong);
	return ret;
}

/* Each as if the server had answered an APPEND of it, or still to be sent. */
static int settle(struct imap_store *st, struct upload_batch *b, const struct copying *v, struct err *err)
{
	struct upload *rest[UPLOAD_BATCH_MESSAGES];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct upload *u = b->v[i];

		u->uid = v[i].uid;
		if (!u->uid)
			rest[n++] = u;
		else if (upload_done(st, u, err) < 0)
			return -1;
	}
	batch_requeue(st, rest, n);
	return 0;
}

int batch_copy(struct imap_store *st, struct upload_batch *b, struct err *err)
{
	struct copying v[UPLOAD_BATCH_MESSAGES] = { { 0 } };
	int ret;

	for (size_t i = 0; i < b->n; i++)
		v[i].from = b->v[i]->from_uid;
	ret = make(st, b, v, err) < 0 ? -1 : correct(st, b, v, err);
	if (ret == 0)
		ret = settle(st, b, v, err);
	else if (err->kind == ERR_MAILBOX)
		ret = batch_give_up(st, b, err, err);
	batch_free(b);
	return ret;
}
