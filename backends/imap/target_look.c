#include "backends/imap/target_look.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/mail/flags.h"

void seen_list_release(struct seen_list *l)
{
	free(l->v);
	flag_table_free(l->flags);
	*l = (struct seen_list){ 0 };
}

static int take_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	(void)tag;
	(void)msg;
	(void)err;
	*handle = ctx;
	return 0;
}

static int take_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct seen_list *l = ctx;

	(void)handle;
	(void)err;
	if (!complete)
		return 0;
	l->v = xgrow(l->v, l->n, &l->cap, sizeof(*l->v));
	l->v[l->n++] = (struct seen){ .uid = msg->uid, .size = msg->size,
				      .flags = flag_table_intern(l->flags, msg->flags) };
	return 0;
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

static int compare_uid(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static int fetch_one(struct want *want, const struct message_sink *sink, struct err *err)
{
	if (store_fetch(want->mailbox->store, want, 1, sink, ignore_outcome, NULL, err) < 0)
		return -1;
	if (want->complete)
		return 0;
	*err = want->err;
	if (err->kind == ERR_NONE)
		err_set(err, ERR_MAILBOX, "not all of it could be read");
	return -1;
}

int target_look(struct imap_mailbox_handle *mb, const struct uidset *but, struct seen_list *out,
		struct err *err)
{
	const struct message_sink sink = { .ctx = out, .begin = take_begin, .end = take_end };
	struct uidset all = UIDSET_INIT;
	struct want want = { .mailbox = &mb->mailbox, .set = &all, .attributes = true,
			     .expect = mb->token.messages };
	int ret = 0;

	*out = (struct seen_list){ .flags = flag_table_new() };
	uidset_add_range(&all, 1, UINT32_MAX);
	uidset_subtract(&all, &all, but);
	if (uidset_is_empty(but) || !mb->token.known || uidset_min(&all) < mb->token.uidnext)
		ret = fetch_one(&want, &sink, err);
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), compare_uid);
	uidset_release(&all);
	return ret;
}

const struct seen *seen_find(const struct seen_list *l, uint32_t uid)
{
	const struct seen key = { .uid = uid };

	return l->n ? bsearch(&key, l->v, l->n, sizeof(*l->v), compare_uid) : NULL;
}

int target_fetch(struct imap_mailbox_handle *mb, const struct uidset *set, bool header,
		 const struct message_sink *sink, struct err *err)
{
	struct want want = { .mailbox = &mb->mailbox, .set = set, .exact = true, .header = header,
			     .expect = uidset_count(set) };

	return uidset_is_empty(set) ? 0 : fetch_one(&want, sink, err);
}
