#include "core/imap/mailbox_gather.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* Names, attributes and ids may each fill a line; what is legal is far below. */
#define TEXT_MAX ((size_t)32 << 20)

struct named_status {
	char *wire; /* key: as INBOX where it is that */
	struct imap_mailbox_status status;
	char *mailbox_id;
};

/* INBOX is one mailbox in whatever case a server writes it. */
static char *key_of(struct bytes wire)
{
	return bytes_is_nocase(wire, "INBOX") ? xstrdup("INBOX") : bytes_dup(wire);
}

static void entry_release(struct imap_mailbox_entry *e)
{
	mailbox_name_release(&e->name);
	free(e->raw_attributes);
	free(e->old_name);
	free(e->mailbox_id);
}

void imap_mailbox_list_release(struct imap_mailbox_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		entry_release(&list->entries[i]);
	free(list->entries);
	*list = (struct imap_mailbox_list){ 0 };
}

/* Is there room for one more beside `have`, with so much text? */
static bool has_room(struct mailbox_gather *g, size_t have, size_t text)
{
	if (have >= g->max || text > TEXT_MAX - g->bytes) {
		g->full = true;
		return false;
	}
	g->bytes += text;
	return true;
}

void mailbox_gather_add_entry(struct mailbox_gather *g, const struct imap_list *told)
{
	struct imap_mailbox_list *out = g->out;
	struct imap_mailbox_entry *e;

	g->unsure |= told->dubious;
	if (!told->name.n || !has_room(g, out->n, told->name.n + told->raw_attributes.n +
						  told->old_name.n))
		return;
	out->entries = xgrow(out->entries, out->n, &out->cap, sizeof(*out->entries));
	e = &out->entries[out->n++];
	*e = (struct imap_mailbox_entry){ .attributes = told->attributes,
					  .dubious = told->dubious };
	mailbox_name_init(&e->name);
	mailbox_name_from_wire(&e->name, told->name, told->delimiter,
			       g->utf8);
	e->raw_attributes = bytes_dup(told->raw_attributes);
	e->old_name = told->old_name.p ? bytes_dup(told->old_name) : NULL;
}

static void add_subscribed(struct mailbox_gather *g, const struct imap_list *told)
{
	if (!(told->attributes & IMAP_MAILBOX_SUBSCRIBED) ||
	    !has_room(g, g->subscribed_count, told->name.n))
		return;
	g->subscribed = xgrow(g->subscribed, g->subscribed_count, &g->subscribed_cap,
			      sizeof(*g->subscribed));
	g->subscribed[g->subscribed_count++] = key_of(told->name);
}

static void add_status(struct mailbox_gather *g, const struct imap_mailbox_status *told)
{
	struct named_status *st;

	if (!has_room(g, g->status_count, told->name.n + told->mailbox_id.n))
		return;
	g->statuses = xgrow(g->statuses, g->status_count, &g->status_cap, sizeof(*g->statuses));
	st = &g->statuses[g->status_count++];
	*st = (struct named_status){ .wire = key_of(told->name), .status = *told };
	if (told->present & IMAP_ITEM_MAILBOXID)
		st->mailbox_id = bytes_dup(told->mailbox_id);
}

void mailbox_gather_add(struct mailbox_gather *g, const struct imap_response *r)
{
	if (r->type == IMAP_RESPONSE_MAILBOX)
		add_status(g, &r->u.mailbox);
	else if (r->u.list.lsub)
		add_subscribed(g, &r->u.list);
	else
		mailbox_gather_add_entry(g, &r->u.list);
}

/* --- bringing it together --- */

static int compare_entries(const void *a, const void *b)
{
	const struct imap_mailbox_entry *x = a, *y = b;

	return mailbox_name_compare(&x->name, &y->name);
}

static int compare_statuses(const void *a, const void *b)
{
	const struct named_status *x = a, *y = b;

	return strcmp(x->wire, y->wire);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Servers repeat mailboxes, level by level they must: one entry each, with all that was said. */
static void merge_entries(struct imap_mailbox_list *out)
{
	size_t kept = 0;

	if (!out->n)
		return;
	qsort(out->entries, out->n, sizeof(*out->entries), compare_entries);
	for (size_t i = 1; i < out->n; i++) {
		struct imap_mailbox_entry *last = &out->entries[kept];

		if (compare_entries(last, &out->entries[i]) == 0) {
			last->attributes |= out->entries[i].attributes;
			entry_release(&out->entries[i]);
		} else {
			out->entries[++kept] = out->entries[i];
		}
	}
	out->n = kept + 1;
}

static void take_status(struct imap_mailbox_entry *e, struct named_status *st)
{
	e->present = st->status.present;
	e->messages = st->status.messages;
	e->uid_next = st->status.uid_next;
	e->uid_validity = st->status.uid_validity;
	e->unseen = st->status.unseen;
	e->highest_modseq = st->status.highest_modseq;
	e->append_limit = st->status.append_limit;
	free(e->mailbox_id);
	e->mailbox_id = st->mailbox_id;
	st->mailbox_id = NULL;
}

void mailbox_gather_join(struct mailbox_gather *g)
{
	merge_entries(g->out);
	if (g->status_count)
		qsort(g->statuses, g->status_count, sizeof(*g->statuses), compare_statuses);
	if (g->subscribed_count)
		qsort(g->subscribed, g->subscribed_count, sizeof(*g->subscribed), compare_keys);
	for (size_t i = 0; i < g->out->n; i++) {
		struct imap_mailbox_entry *e = &g->out->entries[i];
		struct named_status want = { .wire = key_of(e->name.wire) };
		struct named_status *st = NULL;

		if (g->status_count)
			st = bsearch(&want, g->statuses, g->status_count, sizeof(want),
				     compare_statuses);
		if (st)
			take_status(e, st);
		if (g->subscribed_count && bsearch(&want.wire, g->subscribed, g->subscribed_count,
						   sizeof(*g->subscribed), compare_keys))
			e->attributes |= IMAP_MAILBOX_SUBSCRIBED;
		free(want.wire);
	}
	mailbox_gather_release(g);
}

void mailbox_gather_release(struct mailbox_gather *g)
{
	for (size_t i = 0; i < g->status_count; i++) {
		free(g->statuses[i].wire);
		free(g->statuses[i].mailbox_id);
	}
	for (size_t i = 0; i < g->subscribed_count; i++)
		free(g->subscribed[i]);
	free(g->statuses);
	free(g->subscribed);
	g->statuses = NULL;
	g->subscribed = NULL;
	g->status_count = g->status_cap = g->subscribed_count = g->subscribed_cap = 0;
}
