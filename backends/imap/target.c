#include <assert.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"

#include "backends/imap/imap.h"
#include "backends/imap/private.h"

/*
 * An account as a target. It belongs to its user, and so what is told of it is what we put there, by the ledger, and
 * never what became of it since: a message that was deleted there stays deleted, and a flag that was changed there
 * stays, until the source changes that flag. What the account itself is asked for is which mailboxes it has, and whether
 * their UIDs still mean what they did.
 *
 * Rows are void once the mailbox has another UIDVALIDITY, or is gone: list() then tells a mailbox that was never agreed on,
 * and opening it for writing forgets them. Until then they stay: an answer may be wrong.
 */

int target_identify(const struct store_config *cfg, struct store_identity *out, struct err *err)
{
	char *fingerprint = imap_fingerprint(cfg->settings);
	int ret = ledger_identify(cfg->index, fingerprint, out, err);

	free(fingerprint);
	return ret;
}

int target_open(struct imap_store *st, struct err *err)
{
	const struct store_config *cfg = st->store.cfg;
	char *fingerprint;
	int ret;

	if (!st->is_target)
		return 0;
	fingerprint = imap_fingerprint(st->account);
	ret = ledger_open(&st->ledger, cfg->index, fingerprint, st->mode, err);
	free(fingerprint);
	if (ret == 0 && st->mode == STORE_WRITE && cfg->rebind)
		ret = ledger_rebind(st->ledger, err);
	return ret;
}

void target_close(struct imap_store *st)
{
	ledger_close(st->ledger);
	mailbox_name_release(&st->prefix);
	mailbox_list_release(&st->there);
}

/* --- names --- */

/* The prefix, then the name. */
static int below_prefix(const struct imap_store *st, const struct mailbox_name *name,
			struct mailbox_name *out, struct err *err)
{
	size_t n = st->prefix.count + name->count;
	const char **parts = xcalloc(n, sizeof(*parts));
	int ret;

	for (size_t i = 0; i < n; i++)
		parts[i] = i < st->prefix.count ? st->prefix.components[i]
						: name->components[i - st->prefix.count];
	ret = mailbox_name_from_components(out, parts, n, err);
	free(parts);
	return ret;
}

static int target_wire_of(const struct imap_store *st, const struct mailbox_name *name,
			  struct buf *out, struct err *err)
{
	const struct mailbox_info *listed = mailbox_list_find(&st->there, name);
	struct mailbox_name full = MAILBOX_NAME_INIT;
	int ret = 0;

	if (listed && listed->name.wire.p) {
		buf_add(out, listed->name.wire);
	} else if (name->count == 1 && mailbox_name_is_inbox(name)) {
		buf_add_str(out, "INBOX");
	} else {
		ret = below_prefix(st, name, &full, err);
		if (ret == 0)
			ret = mailbox_name_to_wire(&full, st->delimiter, st->utf8, out, err);
		mailbox_name_release(&full);
	}
	return ret;
}

/* Before a name is looked up in it. */
static int know_target(struct imap_store *st, struct err *err)
{
	struct mailbox_list list = { 0 };
	int ret = 0;

	if (!st->listed)
		ret = imap_store_list(&st->store, NULL, &list, err);
	mailbox_list_release(&list);
	return ret;
}

int imap_wire_of(struct imap_store *st, const struct mailbox_name *name, struct buf *out,
		 struct err *err)
{
	if (st->is_target)
		return know_target(st, err) < 0 ? -1 : target_wire_of(st, name, out, err);
	return mailbox_name_to_wire(name, name->wire.p ? name->delimiter : st->delimiter, st->utf8,
				    out, err);
}

bool target_name(const struct imap_store *st, const struct mailbox_name *wire,
		 struct mailbox_name *out)
{
	const size_t n = st->prefix.count;
	struct err err;

	if (n == 0 || (wire->count == 1 && mailbox_name_is_inbox(wire))) {
		mailbox_name_copy(out, wire);
		return true;
	}
	if (wire->count <= n || !mailbox_name_is_below(wire, &st->prefix) ||
	    mailbox_name_from_components(out, (const char *const *)wire->components + n,
					 wire->count - n, &err) < 0)
		return false;
	/* INBOX below a prefix is not the INBOX. */
	return out->count > 1 || !mailbox_name_is_inbox(out);
}

/* --- the list --- */

static bool is_void(const struct ledger_box *box)
{
	return box->gone || (box->there.known && box->uidvalidity &&
			     box->there.uidvalidity != box->uidvalidity);
}

/* Said once: how many that we copied are not there any more, as far as the count shows. */
static int tell_missing(struct imap_store *st, struct ledger_box *box, struct err *err)
{
	const struct run *run = st->store.cfg->run;
	uint64_t missing;
	char *text;

	if (!box->there.known || box->there.messages >= box->stored)
		return 0;
	missing = box->stored - box->there.messages;
	if (missing <= box->missing)
		return 0;
	if (run && run->note) {
		text = xasprintf("%llu of the messages copied here earlier were removed since; they are "
				 "not copied again", (unsigned long long)missing);
		run->note(run->note_ctx, &box->name, text);
		free(text);
	}
	if (st->mode != STORE_WRITE)
		return 0;
	box->missing = missing;
	return ledger_box_touch(st->ledger, box, err);
}

static int merge(struct imap_store *st, struct mailbox_info *info, struct ledger_box *box,
		 struct err *err)
{
	if (is_void(box)) {
		info->touched = true;
		return 0;
	}
	info->token = box->token;
	memcpy(info->mailboxid, box->mailboxid, sizeof(info->mailboxid));
	info->known = box->known;
	info->stored = box->stored;
	info->adopted = box->adopted;
	info->pending = box->pending;
	info->kept = box->kept;
	info->held = box->held;
	info->bytes = box->bytes;
	return tell_missing(st, box, err);
}

/* What is there now, of each box; a mailbox that is not in a whole list is gone. */
static void note_there(struct imap_store *st)
{
	size_t n = 0;
	struct ledger_box *const *box = st->ledger ? ledger_boxes(st->ledger, &n) : NULL;

	for (size_t i = 0; i < n; i++) {
		const struct mailbox_info *there = mailbox_list_find(&st->there, &box[i]->name);

		box[i]->gone = st->there.complete &&
			       (!there || (there->attributes & MAILBOX_NOSELECT));
		box[i]->there = there ? there->token : (struct token){ 0 };
	}
}

int target_list(struct imap_store *st, struct mailbox_list *out, struct err *err)
{
	note_there(st);
	for (size_t i = 0; i < st->there.n; i++) {
		const struct mailbox_info *there = &st->there.v[i];
		struct ledger_box *box = st->ledger ? ledger_box_find(st->ledger, &there->name) : NULL;
		struct mailbox_info *info = mailbox_list_add(out);

		if (box)
			mailbox_name_copy(&info->name, &box->name);
		else /* the wire form is for that of a source */
			mailbox_name_from_components(&info->name,
						     (const char *const *)there->name.components,
						     there->name.count, err);
		info->attributes = there->attributes;
		if (box && merge(st, info, box, err) < 0)
			return -1;
	}
	mailbox_list_sort(out);
	out->complete = st->there.complete;
	return 0;
}

/* --- opening --- */

/* What was not known of the box, or what it holds being void. */
static int settle_box(struct imap_store *st, struct ledger_box *box, const struct token *there,
		      struct err *err)
{
	uint32_t uidvalidity = there->known ? there->uidvalidity : 0;

	if (is_void(box)) {
		box->gone = false;
		return ledger_box_void(st->ledger, box, uidvalidity, err);
	}
	if (box->uidvalidity || !uidvalidity)
		return 0;
	box->uidvalidity = uidvalidity;
	return ledger_box_touch(st->ledger, box, err);
}

struct imap_mailbox_handle *target_handle(const struct imap_store *st, const struct mailbox_name *name)
{
	const struct ledger_box *box = st->ledger ? ledger_box_find(st->ledger, name) : NULL;

	return box ? box->handle : NULL;
}

int target_open_box(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err)
{
	const struct mailbox_name *name = &mb->mailbox.name;
	const struct mailbox_info *there = mailbox_list_find(&st->there, name);
	struct ledger_box *box = st->ledger ? ledger_box_find(st->ledger, name) : NULL;

	mb->token = there ? there->token : (struct token){ 0 };
	if (mb->mode == STORE_READ) {
		mb->box = box && !is_void(box) ? box : NULL;
		if (mb->box)
			box->handle = mb;
		return 0;
	}
	if (!box && ledger_box_add(st->ledger, name, &box, err) < 0)
		return -1;
	mb->box = box;
	box->handle = mb;
	return settle_box(st, box, &mb->token, err);
}

/* --- what we did to the account --- */

/* One that is open goes on under the name that its box has now. */
static int rename_handle(struct imap_store *st, struct ledger_box *box, struct err *err)
{
	struct imap_mailbox_handle *mb = box->handle;

	if (!mb)
		return 0;
	mailbox_name_copy(&mb->mailbox.name, &box->name);
	buf_clear(&mb->wire);
	return imap_wire_of(st, &box->name, &mb->wire, err);
}

/* Those of st->there change rarely, and are few. */
static void there_remove(struct imap_store *st, const struct mailbox_name *name)
{
	struct mailbox_info *there = mailbox_list_find(&st->there, name);

	if (!there)
		return;
	mailbox_name_release(&there->name);
	st->there.n--;
	memmove(there, there + 1, (size_t)(st->there.v + st->there.n - there) * sizeof(*there));
}

static void there_add(struct imap_store *st, const struct mailbox_name *name, struct bytes wire,
		      unsigned attributes)
{
	struct mailbox_name spelled = MAILBOX_NAME_INIT;
	struct mailbox_info *there = mailbox_list_add(&st->there);

	mailbox_name_from_wire(&spelled, wire, st->delimiter, st->utf8);
	mailbox_name_map(&there->name, &spelled, name);
	there->attributes = attributes;
	mailbox_name_release(&spelled);
	mailbox_list_sort(&st->there);
}

int target_created(struct imap_store *st, const struct mailbox_name *name, unsigned attributes,
		   struct err *err)
{
	struct ledger_box *box = ledger_box_find(st->ledger, name);
	struct mailbox_info *there = mailbox_list_find(&st->there, name);
	struct buf wire = BUF_INIT(WIRE_NAME_MAX);
	int ret = 0;

	if (there) {
		there->attributes = attributes;
	} else {
		ret = imap_wire_of(st, name, &wire, err);
		if (ret == 0)
			there_add(st, name, buf_bytes(&wire), attributes);
	}
	buf_release(&wire);
	if (ret < 0 || (attributes & MAILBOX_NOSELECT))
		return ret;
	if (!box)
		return ledger_box_add(st->ledger, name, &box, err);
	return name->wire.p ? ledger_box_rename(st->ledger, box, name, err) : 0;
}

int target_renamed(struct imap_store *st, const struct mailbox_name *from,
		   const struct mailbox_name *to, struct err *err)
{
	struct ledger_box **below = NULL;
	size_t n, found = 0;
	struct ledger_box *const *box = ledger_boxes(st->ledger, &n);
	struct mailbox_name name = MAILBOX_NAME_INIT;
	int ret = 0;

	below = xcalloc(n, sizeof(struct ledger_box *));
	for (size_t i = 0; i < n; i++)
		if (mailbox_name_is_below(&box[i]->name, from))
			below[found++] = box[i];
	for (size_t i = 0; i < found && ret == 0; i++) {
		ret = mailbox_name_move(&name, &below[i]->name, from, to, err);
		if (ret == 0)
			ret = ledger_box_rename(st->ledger, below[i], &name, err);
	}
	for (size_t i = 0; i < st->there.n && ret == 0; i++) {
		struct mailbox_info *there = &st->there.v[i];
		struct mailbox_name source = MAILBOX_NAME_INIT;

		if (!mailbox_name_is_below(&there->name, from))
			continue;
		/* The wire form is made anew when it is asked for. */
		ret = mailbox_name_move(&source, &there->name, from, to, err);
		if (ret == 0)
			ret = mailbox_name_from_components(&there->name,
							   (const char *const *)source.components,
							   source.count, err);
		mailbox_name_release(&source);
	}
	mailbox_list_sort(&st->there);
	for (size_t i = 0; i < found && ret == 0; i++)
		ret = rename_handle(st, below[i], err);
	mailbox_name_release(&name);
	free(below);
	return ret;
}

int target_removed(struct imap_store *st, const struct mailbox_name *name, struct err *err)
{
	struct ledger_box *box = ledger_box_find(st->ledger, name);

	there_remove(st, name);
	if (!box)
		return 0;
	if (box->handle)
		box->handle->box = NULL;
	return ledger_box_remove(st->ledger, box, err);
}
