#include "backends/git/scan.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/box.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "backends/git/quarantine_text.h"
#include "core/base/err.h"
#include "core/base/mem.h"

int gitstore_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err)
{
	struct gitstore *g = (struct gitstore *)st;

	(void)hint;
	(void)err;
	for (size_t i = 0; i < g->n; i++) {
		const struct mailbox_text *text = &g->box[i]->text;
		struct mailbox_info *info = mailbox_list_add(out);

		mailbox_name_copy(&info->name, &text->name);
		info->attributes = text->attributes;
		info->token = text->token;
		memcpy(info->mailboxid, text->mailboxid, sizeof(info->mailboxid));
		info->known = text->known;
		info->stored = text->stored;
		info->pending = text->pending;
		info->kept = text->kept;
		info->held = text->held;
		info->bytes = text->bytes;
	}
	mailbox_list_sort(out);
	out->complete = true;
	return 0;
}

static struct quarantined *copy_quarantine(const struct quarantined *v, size_t n)
{
	struct quarantined *copy = xcalloc(n, sizeof(*copy));

	for (size_t i = 0; i < n; i++) {
		copy[i] = v[i];
		copy[i].reason = xstrdup(v[i].reason ? v[i].reason : "");
	}
	return copy;
}

int gitstore_quarantine(struct mailbox *mb, struct base *out, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;

	base_release(out);
	if (!box->base_loaded)
		return gitbox_read_quarantine(box, &out->quarantine, &out->n_quarantine, err);
	out->quarantine = copy_quarantine(box->quarantine, box->n_quarantine);
	out->n_quarantine = box->n_quarantine;
	return 0;
}

int gitstore_base(struct mailbox *mb, struct base *out, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;

	base_release(out);
	if (gitbox_load_base(box, err) < 0 ||
	    (box->text.held > 0 && kept_list_load(box, err) < 0))
		return -1;
	out->token = box->text.token;
	memcpy(out->mailboxid, box->text.mailboxid, sizeof(out->mailboxid));
	uidset_copy(&out->known, &box->known);
	for (size_t i = 0; box->text.held > 0 && i < box->kept.n; i++)
		if (box->kept.v[i].line.held && !box->kept.v[i].gone)
			uidset_add(&out->held, box->kept.v[i].line.entry.uid);
	out->quarantine = copy_quarantine(box->quarantine, box->n_quarantine);
	out->n_quarantine = box->n_quarantine;
	return 0;
}

static bool same_quarantine(const struct gitbox *box, const struct base *b)
{
	if (box->n_quarantine != b->n_quarantine)
		return false;
	for (size_t i = 0; i < b->n_quarantine; i++) {
		const struct quarantined *x = &box->quarantine[i], *y = &b->quarantine[i];

		if (x->uid != y->uid || x->size != y->size || x->since != y->since ||
		    x->attempts != y->attempts || x->last != y->last || x->accepted != y->accepted ||
		    strcmp(x->reason, y->reason ? y->reason : "") != 0)
			return false;
	}
	return true;
}

/* Said now, of this mailbox, and not when all of them are to be written. */
static int check_size(const struct base *b, struct err *err)
{
	struct buf text = BUF_INIT(QUARANTINE_TEXT_MAX);
	bool fits;

	quarantine_text_write(b->quarantine, b->n_quarantine, &text);
	/* Each of its two sets of exceptions is at most as long again. */
	fits = !text.overflow && uidset_text_size(&b->known) < MAILBOX_TEXT_MAX / 4;
	buf_release(&text);
	return fits ? 0 : err_set(err, ERR_MAILBOX, "too many messages in quarantine, or too many "
				  "separate UIDs, to be remembered");
}

int gitstore_set_base(struct mailbox *mb, const struct base *b, struct err *err)
{
	struct gitbox *box = (struct gitbox *)mb;

	if (check_size(b, err) < 0 || gitbox_load_base(box, err) < 0)
		return -1;
	box->text.token = b->token;
	memcpy(box->text.mailboxid, b->mailboxid, sizeof(box->text.mailboxid));
	uidset_copy(&box->known, &b->known);
	box->text.known = uidset_count(&b->known);
	if (same_quarantine(box, b))
		return 0;
	quarantine_free(box->quarantine, box->n_quarantine);
	box->quarantine = copy_quarantine(b->quarantine, b->n_quarantine);
	box->n_quarantine = b->n_quarantine;
	box->quarantine_dirty = box->dirty = true;
	box->text.pending = 0;
	for (size_t i = 0; i < b->n_quarantine; i++)
		box->text.pending += !b->quarantine[i].accepted;
	return 0;
}

/* The smallest number above all, as far as there is one. */
static uint32_t next_uid(const struct changes *c)
{
	uint32_t last = c->n ? c->v[c->n - 1].uid : 0;

	return last < UINT32_MAX ? last + 1 : last;
}

static int changes_of(struct gitbox *box, struct changes *out, struct err *err)
{
	if (gitbox_load(box, err) < 0)
		return -1;
	if (box->stash && !out->described) { /* base() has just read all of it */
		changes_release(out);
		*out = *box->stash;
		free(box->stash);
		box->stash = NULL;
	} else if (gitbox_scan(box, NULL, out, err) < 0) {
		return -1;
	}
	out->complete = true;
	out->token = (struct token){
		.known = true,
		/* Our UIDs mean the same for as long as the source's do. */
		.uidvalidity = box->text.token.uidvalidity ? box->text.token.uidvalidity : 1,
		.uidnext = next_uid(out),
		.messages = (uint32_t)out->n,
	};
	return 0;
}

int gitstore_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct err *why = &req[i].out->err;

		if (store_check_stop(st, err) < 0)
			return -1;
		if (changes_of((struct gitbox *)req[i].mailbox, req[i].out, why) == 0)
			continue;
		if (why->kind != ERR_MAILBOX) {
			*err = *why;
			return -1;
		}
	}
	return 0;
}
