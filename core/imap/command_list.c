#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/imap/mailbox_gather.h"

/*
 * The ladder of mailbox discovery:
 *
 *   A1  LIST "" "*" RETURN (... STATUS (...))      LIST-EXTENDED and LIST-STATUS: one round trip
 *   A2  LIST "" "*" RETURN (...), then STATUS      LIST-EXTENDED
 *   A3  LIST "" "*" and LSUB "" "*", then STATUS   anybody
 *   A4  LIST "" "%", LIST "" "a/%", ...            `*` is refused, or the server cannot end
 *
 * A rung that is refused leads to the next; STATUS for what has none comes pipelined at the end,
 * which is two round trips, however many mailboxes there are.
 */

#define MAILBOXES_MAX 100000
#define DEPTH_MAX 20 /* some servers show a mailbox within itself, for ever */

struct lister {
	struct waiter waiter;
	const struct imap_list_options *options;
	struct imap_mailbox_list *out; /* that of `gather` */
	struct mailbox_gather gather;
	bool too_deep; /* what lies below DEPTH_MAX was left out */
};

static void on_list(void *ctx, const struct imap_response *r)
{
	struct lister *l = ctx;
	struct err err;

	mailbox_gather_add(&l->gather, r);
	/* An answer without end would keep us here for ever (S21). */
	if (l->gather.full) {
		err_set(&err, ERR_FATAL, "the server does not stop listing mailboxes");
		imap_session_close(l->waiter.session, &err);
	}
}

static void lister_init(struct lister *l, struct imap_session *s, struct imap_mailbox_list *out,
			size_t max)
{
	*out = (struct imap_mailbox_list){ 0 };
	*l = (struct lister){ .out = out };
	l->waiter.session = s;
	l->gather = (struct mailbox_gather){ .out = out, .max = max,
					     .utf8 = imap_session_utf8(s) };
}

static void start_over(struct lister *l)
{
	unsigned commands = l->out->commands;

	imap_mailbox_list_release(l->out);
	l->out->commands = commands;
	mailbox_gather_release(&l->gather);
	l->gather.unsure = false;
	l->gather.bytes = 0;
	l->waiter.damaged = false;
}

/* --- rungs --- */

static const struct imap_request list_request = {
	.flags = IMAP_REQUEST_DATA,
	.wants = IMAP_WANT(IMAP_RESPONSE_LIST) | IMAP_WANT(IMAP_RESPONSE_MAILBOX),
	.handler.on_response = on_list,
};

static bool is_known_item(const struct imap_session *s, unsigned item, enum imap_cap cap)
{
	if (cap == IMAP_CAP_COUNT)
		return true;
	/* With a limit for all mailboxes there is nothing to ask of one (RFC 7889, section 3). */
	if (item == IMAP_ITEM_APPENDLIMIT && imap_session_caps(s)->append_limit)
		return false;
	return imap_session_has(s, cap);
}

void encode_status_items(const struct imap_session *s, struct imap_encoder *e, unsigned items)
{
	static const struct {
		unsigned item;
		const char *name;
		enum imap_cap cap; /* COUNT: anybody knows it */
	} table[] = {
		{ IMAP_ITEM_MESSAGES, "MESSAGES", IMAP_CAP_COUNT },
		{ IMAP_ITEM_RECENT, "RECENT", IMAP_CAP_COUNT },
		{ IMAP_ITEM_UIDNEXT, "UIDNEXT", IMAP_CAP_COUNT },
		{ IMAP_ITEM_UIDVALIDITY, "UIDVALIDITY", IMAP_CAP_COUNT },
		{ IMAP_ITEM_UNSEEN, "UNSEEN", IMAP_CAP_COUNT },
		{ IMAP_ITEM_HIGHESTMODSEQ, "HIGHESTMODSEQ", IMAP_CAP_CONDSTORE },
		{ IMAP_ITEM_SIZE, "SIZE", IMAP_CAP_STATUS_SIZE },
		{ IMAP_ITEM_DELETED, "DELETED", IMAP_CAP_STATUS_DELETED },
		{ IMAP_ITEM_APPENDLIMIT, "APPENDLIMIT", IMAP_CAP_APPENDLIMIT },
		{ IMAP_ITEM_MAILBOXID, "MAILBOXID", IMAP_CAP_STATUS_MAILBOXID },
	};
	bool any = false;

	imap_encode_open(e);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!(items & table[i].item) || !is_known_item(s, table[i].item, table[i].cap))
			continue;
		imap_encode_word(e, table[i].name);
		any = true;
	}
	if (!any)
		imap_encode_word(e, "MESSAGES"); /* an empty list is no command */
	imap_encode_close(e);
}

static void encode_return(struct lister *l, struct imap_encoder *e, bool special_use)
{
	struct imap_session *s = l->waiter.session;

	imap_encode_word(e, "RETURN");
	imap_encode_open(e);
	if (l->options->subscribed)
		imap_encode_word(e, "SUBSCRIBED");
	imap_encode_word(e, "CHILDREN");
	if (special_use && imap_session_has(s, IMAP_CAP_SPECIAL_USE))
		imap_encode_word(e, "SPECIAL-USE");
	if (l->options->status && imap_session_has(s, IMAP_CAP_LIST_STATUS)) {
		imap_encode_word(e, "STATUS");
		encode_status_items(s, e, l->options->status);
	}
	imap_encode_close(e);
}

static void encode_whole_pattern(struct lister *l, struct imap_encoder *e)
{
	char *pattern = xasprintf("%s*", l->options->prefix ? l->options->prefix : "");

	imap_encode_pattern(e, bytes_of(pattern));
	free(pattern);
}

/* Submit LIST or LSUB; without a pattern, everything below the prefix. */
static int submit_list(struct lister *l, const char *word, const char *pattern, struct err *err)
{
	struct imap_encoder e;

	imap_session_encoder(l->waiter.session, &e);
	imap_encode_word(&e, word);
	imap_encode_string(&e, bytes_of(""));
	if (pattern)
		imap_encode_pattern(&e, bytes_of(pattern));
	else
		encode_whole_pattern(l, &e);
	l->out->commands++;
	return waiter_submit(&l->waiter, &e, &list_request, err);
}

static int submit_extended(struct lister *l, bool special_use, struct err *err)
{
	struct imap_encoder e;

	imap_session_encoder(l->waiter.session, &e);
	imap_encode_word(&e, "LIST");
	imap_encode_string(&e, bytes_of(""));
	if (l->options->prefix && *l->options->prefix) {
		imap_encode_open(&e);
		imap_encode_pattern(&e, bytes_of("INBOX"));
		encode_whole_pattern(l, &e);
		imap_encode_close(&e);
	} else {
		encode_whole_pattern(l, &e);
	}
	encode_return(l, &e, special_use);
	l->out->commands++;
	return waiter_submit(&l->waiter, &e, &list_request, err);
}

/* Wait for what was submitted. 1: all OK; 0: something was refused; -1: the session closed. */
static int answered(struct lister *l, struct err *err)
{
	l->waiter.outcome = IMAP_DONE_OK;
	if (waiter_run(&l->waiter, err) < 0)
		return -1;
	return l->waiter.outcome == IMAP_DONE_OK;
}

static int rung_extended(struct lister *l, struct err *err)
{
	bool special_use = imap_session_has(l->waiter.session, IMAP_CAP_SPECIAL_USE);
	int rc;

	if (!imap_session_has(l->waiter.session, IMAP_CAP_LIST_EXTENDED))
		return 0;
	if (submit_extended(l, special_use, err) < 0)
		return -1;
	rc = answered(l, err);
	if (rc || !special_use)
		return rc;
	start_over(l); /* some advertise SPECIAL-USE and refuse to be asked for it */
	return submit_extended(l, false, err) < 0 ? -1 : answered(l, err);
}

static int rung_plain(struct lister *l, struct err *err)
{
	bool prefixed = l->options->prefix && *l->options->prefix;

	if (submit_list(l, "LIST", NULL, err) < 0 ||
	    (prefixed && submit_list(l, "LIST", "INBOX", err) < 0) ||
	    (l->options->subscribed && submit_list(l, "LSUB", NULL, err) < 0))
		return -1;
	return answered(l, err);
}

/* What to list below one mailbox, NULL when there is nothing below it. */
static char *pattern_below(const struct imap_mailbox_entry *e)
{
	char *pattern;

	if (!e->name.delimiter || (e->attributes & (IMAP_MAILBOX_NOINFERIORS |
						    IMAP_MAILBOX_HASNOCHILDREN)))
		return NULL;
	pattern = xasprintf("%.*s%c%%", (int)e->name.wire.n, (const char *)e->name.wire.p,
			    e->name.delimiter);
	/*
	 * A `*` in a name would list whole trees; `%` lists a few names too many of the same level.
	 */
	for (char *p = pattern; *p; p++)
		if (*p == '*')
			*p = '%';
	return pattern;
}

static int submit_level(struct lister *l, size_t from, size_t to, struct err *err)
{
	for (size_t i = from; i < to; i++) {
		char *pattern = pattern_below(&l->out->entries[i]);
		int rc = pattern ? submit_list(l, "LIST", pattern, err) : 0;

		free(pattern);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int rung_levels(struct lister *l, struct err *err)
{
	char *top = xasprintf("%s%%", l->options->prefix ? l->options->prefix : "");
	size_t from = 0;
	int rc = submit_list(l, "LIST", top, err);

	free(top);
	if (rc < 0 || submit_list(l, "LIST", "INBOX", err) < 0)
		return -1;
	rc = answered(l, err);
	for (int depth = 0; rc > 0 && from < l->out->n; depth++) {
		size_t to = l->out->n;

		if (depth == DEPTH_MAX) {
			l->too_deep = true;
			break;
		}
		if (submit_level(l, from, to, err) < 0)
			return -1;
		from = to;
		rc = answered(l, err);
	}
	return rc;
}

/* --- STATUS for those that have none yet --- */

static int ask_missing(struct lister *l, struct err *err)
{
	struct imap_session *s = l->waiter.session;

	for (size_t i = 0; i < l->out->n; i++) {
		const struct imap_mailbox_entry *e = &l->out->entries[i];
		struct imap_encoder enc;

		if (e->present || (e->attributes & IMAP_MAILBOX_NOSELECT))
			continue;
		imap_session_encoder(s, &enc);
		imap_encode_word(&enc, "STATUS");
		imap_encode_mailbox(&enc, e->name.wire);
		encode_status_items(s, &enc, l->options->status);
		l->out->commands++;
		if (waiter_submit(&l->waiter, &enc,
				  &(struct imap_request){
					  .wants = IMAP_WANT(IMAP_RESPONSE_MAILBOX),
					  .handler.on_response = on_list },
				  err) < 0)
			return -1;
	}
	/* A mailbox without STATUS keeps `present` 0: that is for whoever opens it to find out. */
	return answered(l, err);
}

static int climb(struct lister *l, struct err *err)
{
	int rc = rung_extended(l, err);

	/* There is an INBOX at least: OK and nothing is a server that did not understand. */
	if (rc == 0 || (rc > 0 && !l->out->n)) {
		start_over(l);
		rc = rung_plain(l, err);
	}
	if (rc == 0) {
		start_over(l);
		rc = rung_levels(l, err);
	}
	if (rc == 0)
		*err = l->waiter.err;
	return rc > 0 ? 0 : -1;
}

int imap_list_wait(struct imap_session *s, const struct imap_list_options *options,
		   struct imap_mailbox_list *out, struct err *err)
{
	size_t max = options->max_mailboxes ? options->max_mailboxes : MAILBOXES_MAX;
	struct lister l;
	int ret = -1;

	lister_init(&l, s, out, max);
	l.options = options;
	if (climb(&l, err) < 0)
		goto out;
	out->complete = out->n && !l.too_deep && !l.gather.unsure && !l.waiter.damaged;
	mailbox_gather_join(&l.gather);
	if (options->status && ask_missing(&l, err) < 0)
		goto out;
	mailbox_gather_join(&l.gather);
	ret = 0;
out:
	mailbox_gather_release(&l.gather);
	if (ret < 0)
		imap_mailbox_list_release(out);
	return ret;
}

static void on_lsub(void *ctx, const struct imap_response *r)
{
	mailbox_gather_add_entry(&((struct lister *)ctx)->gather, &r->u.list);
}

int imap_lsub_wait(struct imap_session *s, struct imap_mailbox_list *out, struct err *err)
{
	const struct imap_request q = { .flags = IMAP_REQUEST_DATA,
					.wants = IMAP_WANT(IMAP_RESPONSE_LIST),
					.handler.on_response = on_lsub };
	struct imap_encoder e;
	struct lister l;

	lister_init(&l, s, out, MAILBOXES_MAX);
	imap_session_encoder(s, &e);
	/* LSUB may name parents that are not subscribed, LIST (SUBSCRIBED) does not (RFC 5258). */
	if (imap_session_has(s, IMAP_CAP_LIST_EXTENDED)) {
		imap_encode_word(&e, "LIST");
		imap_encode_open(&e);
		imap_encode_word(&e, "SUBSCRIBED");
		imap_encode_close(&e);
	} else {
		imap_encode_word(&e, "LSUB");
	}
	imap_encode_string(&e, bytes_of(""));
	imap_encode_pattern(&e, bytes_of("*"));
	out->commands = 1;
	if (waiter_do(&l.waiter, &e, &q, err) < 0) {
		imap_mailbox_list_release(out);
		return -1;
	}
	out->complete = !l.gather.full && !l.gather.unsure && !l.waiter.damaged;
	mailbox_gather_join(&l.gather);
	return 0;
}
