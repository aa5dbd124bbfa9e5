#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/loop.h"
#include "core/imap/quirks.h"
#include "core/imap/scan.h"

#include "backends/imap/private.h"

/*
 * Only personal namespaces are ours: a list of everything also shows what other users share,
 * and that changes without us. A name belongs to the namespace with the longest prefix
 * it begins with.
 */
#define NAMESPACES_MAX 32
#define HINT_MAX 65536

struct namespace {
	enum imap_namespace_kind kind;
	uint8_t delimiter;
	char *prefix; /* as on the wire */
};

struct namespaces {
	struct namespace v[NAMESPACES_MAX];
	size_t n;
	bool known;
};

static void namespaces_release(struct namespaces *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		free(ns->v[i].prefix);
	*ns = (struct namespaces){ 0 };
}

static void namespaces_add(struct namespaces *ns, enum imap_namespace_kind kind, uint8_t delimiter,
			   struct bytes prefix)
{
	if (ns->n == NAMESPACES_MAX)
		return;
	ns->v[ns->n++] = (struct namespace){ .kind = kind, .delimiter = delimiter,
					     .prefix = bytes_dup(prefix) };
}

/* --- the hint: `P2F:INBOX%2F O2F:...`, kind, delimiter, prefix with all but letters as %XX --- */

static const char kind_letters[] = "POS";

static char *hint_format(const struct namespaces *ns)
{
	struct buf out = BUF_INIT(HINT_MAX);

	for (size_t i = 0; i < ns->n; i++) {
		buf_addf(&out, "%s%c%02X:", i ? " " : "", kind_letters[ns->v[i].kind],
			 ns->v[i].delimiter);
		for (const char *p = ns->v[i].prefix; *p; p++)
			if ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
			    ascii_is_digit((uint8_t)*p))
				buf_add_byte(&out, (uint8_t)*p);
			else
				buf_addf(&out, "%%%02X", (unsigned)(uint8_t)*p);
	}
	if (!out.overflow)
		return buf_take(&out);
	buf_release(&out);
	return NULL;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hint_byte(const char **p, uint8_t *out)
{
	int high = hex_value((*p)[0]), low = high < 0 ? -1 : hex_value((*p)[1]);

	if (low < 0)
		return false;
	*out = (uint8_t)(high << 4 | low);
	*p += 2;
	return true;
}

static bool hint_namespace(const char **p, struct namespaces *ns)
{
	const char *letter = **p ? strchr(kind_letters, **p) : NULL;
	struct buf prefix = BUF_INIT(HINT_MAX);
	uint8_t delimiter, byte;
	bool good = false;

	if (!letter)
		return false;
	++*p;
	if (!hint_byte(p, &delimiter) || **p != ':')
		return false;
	for (++*p; **p && **p != ' ';) {
		byte = (uint8_t)**p;
		++*p;
		if (byte == '%' && (!hint_byte(p, &byte) || !byte))
			goto out;
		buf_add_byte(&prefix, byte);
	}
	namespaces_add(ns, (enum imap_namespace_kind)(letter - kind_letters), delimiter,
		       buf_bytes(&prefix));
	good = true;
out:
	buf_release(&prefix);
	return good;
}

/* A hint that cannot be read is none: it is never needed. */
static void hint_parse(const char *hint, struct namespaces *ns)
{
	const char *p = hint;

	if (!p || !*p)
		return;
	while (hint_namespace(&p, ns)) {
		if (!*p) {
			ns->known = true;
			return;
		}
		if (*p++ != ' ')
			break;
	}
	namespaces_release(ns);
}

/* --- asking --- */

static void on_namespace(void *ctx, const struct imap_response *r)
{
	struct namespaces *ns = ctx;
	struct imap_namespace told[NAMESPACES_MAX];
	char *text = bytes_dup(r->u.other.text);
	struct imap_scan scan = imap_scan_init(text, r->u.other.text.n);
	size_t n = 0;

	namespaces_release(ns);
	ns->known = imap_scan_namespaces(&scan, told, NAMESPACES_MAX, &n) && !r->u.other.cut;
	for (size_t i = 0; i < n; i++)
		namespaces_add(ns, told[i].kind, told[i].delimiter, told[i].prefix);
	free(text);
}

/* Goes out with the LIST that follows. */
static int ask_namespaces(struct connection *c, struct namespaces *ns, struct err *err)
{
	struct imap_encoder e;

	imap_session_encoder(c->session, &e);
	imap_encode_word(&e, "NAMESPACE");
	if (imap_encoder_finish(&e, err) < 0)
		return -1;
	imap_session_submit(c->session, &(struct imap_request){
		.command = &e,
		.wants = IMAP_WANT(IMAP_RESPONSE_OTHER),
		.wants_other = "NAMESPACE",
		.handler = { .on_response = on_namespace, .ctx = ns } });
	return 0;
}

/* --- whose a mailbox is --- */

/* Whether `name` lies in the namespace; `Shared` too, where the prefix is `Shared/`. */
static bool lies_in(const struct namespace *space, struct bytes name)
{
	size_t n = strlen(space->prefix);
	struct bytes prefix = bytes_of(space->prefix);

	if (name.n >= n && bytes_equal(bytes_from(name.p, n), prefix))
		return true;
	return n && space->delimiter && prefix.p[n - 1] == space->delimiter &&
	       bytes_equal(name, bytes_from(prefix.p, n - 1));
}

static bool is_personal(const struct namespaces *ns, const struct imap_mailbox_entry *e)
{
	const struct namespace *best = NULL;

	if (mailbox_name_is_inbox(&e->name))
		return true;
	for (size_t i = 0; i < ns->n; i++)
		if (lies_in(&ns->v[i], e->name.wire) &&
		    (!best || strlen(ns->v[i].prefix) > strlen(best->prefix)))
			best = &ns->v[i];
	return !best || best->kind == IMAP_NAMESPACE_PERSONAL;
}

/* --- into the list --- */

static unsigned attributes_of(unsigned imap)
{
	static const struct {
		unsigned imap, ours;
	} table[] = {
		{ IMAP_MAILBOX_NOSELECT, MAILBOX_NOSELECT },
		{ IMAP_MAILBOX_NONEXISTENT, MAILBOX_NOSELECT },
		{ IMAP_MAILBOX_SUBSCRIBED, MAILBOX_SUBSCRIBED },
		{ IMAP_MAILBOX_ALL, MAILBOX_ALL },
		{ IMAP_MAILBOX_ARCHIVE, MAILBOX_ARCHIVE },
		{ IMAP_MAILBOX_DRAFTS, MAILBOX_DRAFTS },
		{ IMAP_MAILBOX_FLAGGED, MAILBOX_FLAGGED },
		{ IMAP_MAILBOX_JUNK, MAILBOX_JUNK },
		{ IMAP_MAILBOX_SENT, MAILBOX_SENT },
		{ IMAP_MAILBOX_TRASH, MAILBOX_TRASH },
	};
	unsigned ours = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (imap & table[i].imap)
			ours |= table[i].ours;
	return ours;
}

static struct token token_of(const struct imap_mailbox_entry *e)
{
	const unsigned needed = IMAP_ITEM_MESSAGES | IMAP_ITEM_UIDNEXT | IMAP_ITEM_UIDVALIDITY;

	if ((e->present & needed) != needed || e->uid_next == 0)
		return (struct token){ 0 };
	return (struct token){
		.known = true,
		.uidvalidity = e->uid_validity,
		.uidnext = e->uid_next,
		.messages = e->messages,
		.highestmodseq = e->present & IMAP_ITEM_HIGHESTMODSEQ ? e->highest_modseq : 0,
	};
}

/* Where everything of the user's lies: the first personal namespace, as the server sorts them. */
static void take_prefix(struct imap_store *st, const struct namespaces *ns, struct mailbox_list *out)
{
	for (size_t i = 0; i < ns->n; i++) {
		const struct namespace *space = &ns->v[i];
		size_t n = strlen(space->prefix);

		if (space->kind != IMAP_NAMESPACE_PERSONAL)
			continue;
		if (n && space->delimiter && (uint8_t)space->prefix[n - 1] == space->delimiter)
			n--;
		if (n)
			mailbox_name_from_wire(&out->prefix, bytes_from(space->prefix, n),
					       space->delimiter, st->utf8);
		break;
	}
	mailbox_name_copy(&st->prefix, &out->prefix);
}

static void take_limit(struct imap_store *st, const struct imap_mailbox_entry *e,
		       struct mailbox_info *info)
{
	const struct imap_limit *limit =
		imap_limit_find(st->account->host, imap_session_caps(st->conn[0]->session),
				e->present & IMAP_ITEM_MESSAGES ? e->messages : 0);

	info->limit = limit ? limit->why : NULL;
	info->limited = limit && limit->always;
}

/* As a source has it: under its name. */
static void take_entry(struct imap_store *st, const struct imap_mailbox_entry *e,
		       struct mailbox_list *out)
{
	struct mailbox_info *info = mailbox_list_add(out);

	mailbox_name_copy(&info->name, &e->name);
	info->attributes = attributes_of(e->attributes);
	info->token = token_of(e);
	if (e->mailbox_id)
		mailboxid_take(info->mailboxid, bytes_of(e->mailbox_id));
	take_limit(st, e, info);
}

/* As a target has it: under the engine's. */
static void take_target_entry(struct imap_store *st, const struct imap_mailbox_entry *e)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct mailbox_info *there;

	if (target_name(st, &e->name, &name)) {
		there = mailbox_list_add(&st->there);
		mailbox_name_map(&there->name, &e->name, &name);
		there->attributes = attributes_of(e->attributes);
		there->token = token_of(e);
	}
	mailbox_name_release(&name);
}

static int take_entries(struct imap_store *st, const struct namespaces *ns,
			const struct imap_mailbox_list *listed, struct mailbox_list *out,
			struct err *err)
{
	take_prefix(st, ns, out);
	mailbox_list_release(&st->there);
	for (size_t i = 0; i < listed->n; i++) {
		const struct imap_mailbox_entry *e = &listed->entries[i];

		if (!st->delimiter)
			st->delimiter = e->name.delimiter;
		if (!is_personal(ns, e))
			continue;
		if (st->is_target)
			take_target_entry(st, e);
		else
			take_entry(st, e, out);
	}
	mailbox_list_sort(out);
	mailbox_list_sort(&st->there);
	out->complete = st->there.complete = listed->complete;
	st->listed = true;
	out->hint = ns->known ? hint_format(ns) : NULL;
	return st->is_target ? target_list(st, out, err) : 0;
}

int imap_store_list(struct store *base, const char *hint, struct mailbox_list *out,
		    struct err *err)
{
	static const struct imap_list_options options = {
		.status = IMAP_ITEM_MESSAGES | IMAP_ITEM_UIDNEXT | IMAP_ITEM_UIDVALIDITY |
			  IMAP_ITEM_HIGHESTMODSEQ | IMAP_ITEM_MAILBOXID,
		.subscribed = true,
	};
	struct imap_store *st = imap_of(base);
	struct imap_mailbox_list listed = { 0 };
	struct namespaces ns = { 0 };
	struct connection *c;
	int ret = -1;

	if (pool_one(st, &c, err) < 0)
		return -1;
	/* STATUS of a mailbox that is selected may tell old numbers. */
	imap_unselect(c->session, NULL, NULL);
	c->opened = NULL;
	/* For changes(): in the same flight, as it must come before a mailbox is opened. */
	imap_enable(c->session, IMAP_CAP_QRESYNC);
	if (imap_session_has(c->session, IMAP_CAP_LIST_STATUS))
		hint_parse(hint, &ns);
	if (!ns.known && imap_session_has(c->session, IMAP_CAP_NAMESPACE) &&
	    ask_namespaces(c, &ns, err) < 0)
		goto out;
	if (imap_list_wait(c->session, &options, &listed, err) < 0 ||
	    imap_session_drain(c->session, err) < 0) {
		imap_session_close(c->session, err);
		if (err->kind == ERR_MAILBOX || err->kind == ERR_MISSING)
			err->kind = ERR_FATAL; /* it is the account that cannot be listed */
		goto out;
	}
	ret = take_entries(st, &ns, &listed, out, err);
out:
	imap_mailbox_list_release(&listed);
	namespaces_release(&ns);
	return ret;
}

/* --- asking for one by name --- */

enum asked { ASKED_YES, ASKED_NO, ASKED_UNCLEAR };

struct question {
	bool answered;
	bool lost;
	enum asked answer;
	bool said; /* in so many words that there is none, by one of the answers */
	struct err err;
};

bool imap_says_absent(const struct imap_result *r)
{
	static const char *const words[] = { "not exist", "n't exist", "nonexist", "non-exist",
					     "no such", "not found", "unknown mailbox", "unknown folder" };

	if (r->outcome != IMAP_DONE_NO || !r->status)
		return false;
	if (r->status->code != IMAP_CODE_NONE)
		return r->status->code == IMAP_CODE_NONEXISTENT;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(r->err->text, words[i]))
			return true;
	return false;
}

/* A NO can mean many things; only these leave room for "there is none". */
static bool means_absent(const struct imap_result *r)
{
	return r->outcome == IMAP_DONE_NO && r->status &&
	       (r->status->code == IMAP_CODE_NONEXISTENT || r->status->code == IMAP_CODE_NONE ||
		r->status->code == IMAP_CODE_TRYCREATE);
}

static void on_asked(void *ctx, const struct imap_result *r)
{
	struct question *q = ctx;

	q->answered = true;
	q->lost = r->outcome == IMAP_DONE_LOST;
	q->answer = r->outcome == IMAP_DONE_OK ? ASKED_YES
		    : means_absent(r)	       ? ASKED_NO
					       : ASKED_UNCLEAR;
	q->said |= imap_says_absent(r);
	if (q->answer != ASKED_YES)
		q->err = *r->err;
}

static void on_status(void *ctx, const struct imap_mailbox_status *status,
		      const struct imap_result *r)
{
	(void)status;
	on_asked(ctx, r);
}

static bool is_answered(void *ctx)
{
	return ((struct question *)ctx)->answered;
}

static int settle_question(struct imap_store *st, struct connection *c, struct question *q,
			   struct err *err)
{
	if (loop_run(st->loop, is_answered, q, err) == 0)
		return 0;
	imap_session_close(c->session, err); /* answers nobody then */
	return -1;
}

/*
 * STATUS, then EXAMINE: one of them is enough for yes, both are needed for no, and one of these has to
 * say it. A NO that gives no reason may be trouble of the server.
 */
static int ask_by_name(struct imap_store *st, struct bytes wire, struct question *q,
		       struct err *err)
{
	struct connection *c;

	*q = (struct question){ 0 };
	if (pool_one(st, &c, err) < 0 ||
	    imap_status(c->session, wire, IMAP_ITEM_UIDVALIDITY, on_status, q, err) < 0 ||
	    settle_question(st, c, q, err) < 0)
		return -1;
	if (q->answer != ASKED_NO)
		return 0;
	*q = (struct question){ .said = q->said };
	c->opened = NULL;
	if (imap_select(c->session, wire, true, on_asked, q, err) < 0 ||
	    settle_question(st, c, q, err) < 0)
		return -1;
	if (q->answer == ASKED_NO && !q->said)
		q->answer = ASKED_UNCLEAR;
	return 0;
}

int imap_store_exists(struct store *base, const struct mailbox_name *name, bool *out,
		      struct err *err)
{
	struct imap_store *st = imap_of(base);
	struct buf wire = BUF_INIT(WIRE_NAME_MAX);
	struct question q;
	int ret = -1;

	if (imap_wire_of(st, name, &wire, err) < 0)
		goto out;
	if (ask_by_name(st, buf_bytes(&wire), &q, err) < 0)
		goto out;
	if (q.answer == ASKED_UNCLEAR) {
		*err = q.err;
		if (!q.lost)
			err->kind = ERR_MAILBOX;
		goto out;
	}
	*out = q.answer == ASKED_YES;
	ret = 0;
out:
	buf_release(&wire);
	return ret;
}
