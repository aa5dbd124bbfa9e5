#include "tests/lib/response_dump.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/imap/envelope.h"
#include "core/imap/response.h"
#include "core/imap/scan.h"
#include "core/imap/tree.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"

static void add_text(struct buf *out, const char *name, struct bytes text)
{
	if (!text.p && text.n == 0)
		return;
	buf_addf(out, " %s=<", name);
	escape_add(out, text, SIZE_MAX);
	buf_add_byte(out, '>');
}

static void add_set(struct buf *out, const char *name, const struct uidset *set)
{
	buf_addf(out, " %s=", name);
	uidset_format(set, out);
}

static void add_flags(struct buf *out, const struct flags *flags)
{
	struct buf text = BUF_INIT(1 << 20);

	flags_format(flags, &text);
	buf_add_str(out, " flags=(");
	escape_add(out, buf_bytes(&text), SIZE_MAX);
	buf_add_byte(out, ')');
	buf_release(&text);
}

static void dump_status(struct buf *out, const struct imap_status *st)
{
	static const char *const conditions[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };

	buf_add_str(out, conditions[st->condition]);
	add_text(out, "tag", st->tag);
	if (st->malformed)
		buf_add_str(out, " malformed");
	if (st->code != IMAP_CODE_NONE) {
		buf_add_str(out, st->code == IMAP_CODE_UNKNOWN ? " unknown-code" : " code");
		add_text(out, "name", st->name);
		if (st->args.n)
			add_text(out, "args", st->args);
	}
	if (st->number)
		buf_addf(out, " number=%" PRIu64, st->number);
	if (st->uid)
		buf_addf(out, " uid=%" PRIu32, st->uid);
	if (st->source) {
		buf_add_str(out, " source=");
		uidlist_format(st->source, out);
	}
	if (st->target) {
		buf_add_str(out, " target=");
		uidlist_format(st->target, out);
	}
	if (st->set)
		add_set(out, "set", st->set);
	if (st->flags)
		add_flags(out, st->flags);
	if (st->any_keyword)
		buf_add_str(out, " any-keyword");
	if (st->text.n)
		add_text(out, "text", st->text);
}

static void dump_list(struct buf *out, const struct imap_list *list)
{
	buf_add_str(out, list->lsub ? "LSUB" : "LIST");
	add_text(out, "name", list->name);
	buf_addf(out, " attributes=%x", list->attributes);
	if (list->delimiter >= ' ' && list->delimiter < 0x7f)
		buf_addf(out, " delimiter=%c", list->delimiter);
	else if (list->delimiter)
		buf_addf(out, " delimiter=\\x%02X", list->delimiter);
	add_text(out, "old", list->old_name);
	add_text(out, "child", list->child_info);
	if (list->dubious)
		buf_add_str(out, " dubious");
}

static void dump_mailbox(struct buf *out, const struct imap_mailbox_status *st)
{
	const struct {
		const char *name;
		unsigned bit;
		uint64_t value;
	} items[] = {
		{ "messages", IMAP_ITEM_MESSAGES, st->messages },
		{ "recent", IMAP_ITEM_RECENT, st->recent },
		{ "uidnext", IMAP_ITEM_UIDNEXT, st->uid_next },
		{ "uidvalidity", IMAP_ITEM_UIDVALIDITY, st->uid_validity },
		{ "unseen", IMAP_ITEM_UNSEEN, st->unseen },
		{ "modseq", IMAP_ITEM_HIGHESTMODSEQ, st->highest_modseq },
		{ "size", IMAP_ITEM_SIZE, st->size },
		{ "deleted", IMAP_ITEM_DELETED, st->deleted },
		{ "appendlimit", IMAP_ITEM_APPENDLIMIT, st->append_limit },
	};

	buf_add_str(out, "MAILBOX");
	add_text(out, "name", st->name);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (st->present & items[i].bit)
			buf_addf(out, " %s=%" PRIu64, items[i].name, items[i].value);
	if (st->present & IMAP_ITEM_MAILBOXID)
		add_text(out, "id", st->mailbox_id);
}

static void dump_search(struct buf *out, const struct imap_search *s)
{
	add_text(out, "tag", s->tag);
	if (s->uid)
		buf_add_str(out, " uid");
	if (s->present & (IMAP_SEARCH_ALL | IMAP_SEARCH_PARTIAL))
		add_set(out, "set", s->set);
	if (s->present & IMAP_SEARCH_COUNT)
		buf_addf(out, " count=%" PRIu32, s->count);
	if (s->present & IMAP_SEARCH_MIN)
		buf_addf(out, " min=%" PRIu32, s->min);
	if (s->present & IMAP_SEARCH_MAX)
		buf_addf(out, " max=%" PRIu32, s->max);
	if (s->present & IMAP_SEARCH_MODSEQ)
		buf_addf(out, " modseq=%" PRIu64, s->modseq);
	if (s->present & IMAP_SEARCH_PARTIAL)
		add_text(out, "partial", s->partial_range);
}

static void dump_date(struct buf *out, const char *name, const struct maildate *date)
{
	struct buf text = BUF_INIT(1024);

	maildate_format(date, &text);
	add_text(out, name, buf_bytes(&text));
	if (!date->known)
		buf_addf(out, " unknown-%s", name);
	buf_release(&text);
}

/* A text that NIL may stand for. */
static void dump_nstring(struct buf *out, const char *name, struct bytes text)
{
	if (text.p)
		add_text(out, name, text);
	else
		buf_addf(out, " %s=NIL", name);
}

static void dump_addresses(struct buf *out, const char *name, const struct imap_addresses *a)
{
	for (size_t i = 0; i < a->n; i++) {
		buf_addf(out, " %s(", name);
		add_text(out, "name", a->list[i].name);
		add_text(out, "route", a->list[i].route);
		add_text(out, "mailbox", a->list[i].mailbox);
		add_text(out, "host", a->list[i].host);
		buf_add_byte(out, ')');
	}
}

static void dump_envelope(struct buf *out, struct bytes text)
{
	struct imap_envelope e;

	add_text(out, "envelope", text);
	if (!imap_envelope_read(&e, text))
		buf_add_str(out, " unreadable");
	add_text(out, "sent", e.date);
	add_text(out, "subject", e.subject);
	dump_addresses(out, "from", &e.from);
	dump_addresses(out, "sender", &e.sender);
	dump_addresses(out, "reply-to", &e.reply_to);
	dump_addresses(out, "to", &e.to);
	dump_addresses(out, "cc", &e.cc);
	dump_addresses(out, "bcc", &e.bcc);
	add_text(out, "in-reply-to", e.in_reply_to);
	add_text(out, "message-id", e.message_id);
	imap_envelope_release(&e);
}

static void dump_part(void *ctx, const struct imap_part *part)
{
	struct buf *out = ctx;

	buf_addf(out, " part %s", part->section);
	add_text(out, "type", part->type);
	add_text(out, "subtype", part->subtype);
	add_text(out, "encoding", part->encoding);
	buf_addf(out, " bytes=%" PRIu64 " params=%zu", part->size,
		 part->params ? part->params->n : 0);
	if (part->disposition)
		add_text(out, "disposition", bytes_of(part->disposition->children[0].text));
}

static void dump_structure(struct buf *out, struct bytes text)
{
	add_text(out, "structure", text);
	if (!imap_structure_read(text, dump_part, out))
		buf_add_str(out, " unreadable");
}

static void dump_labels(struct buf *out, struct bytes text)
{
	char *own = bytes_dup(text);
	struct imap_scan scan = imap_scan_init(own, text.n);
	struct bytes label;

	while (imap_scan_astring(&scan, &label))
		add_text(out, "label", label);
	if (!imap_scan_at_end(&scan))
		buf_add_str(out, " more labels");
	free(own);
}

static void dump_fetch(struct buf *out, const struct imap_fetch *f)
{
	buf_addf(out, " number=%" PRIu32, f->number);
	if (f->present & IMAP_FETCH_UID)
		buf_addf(out, " uid=%" PRIu32, f->uid);
	if (f->present & IMAP_FETCH_FLAGS)
		add_flags(out, f->flags);
	if (f->present & IMAP_FETCH_INTERNALDATE)
		dump_date(out, "date", f->date);
	if (f->present & IMAP_FETCH_SIZE)
		buf_addf(out, " size=%" PRIu64, f->size);
	if (f->present & IMAP_FETCH_MODSEQ)
		buf_addf(out, " modseq=%" PRIu64, f->modseq);
	if (f->present & IMAP_FETCH_EMAILID)
		add_text(out, "emailid", f->email_id);
	if (f->present & IMAP_FETCH_THREADID)
		dump_nstring(out, "threadid", f->thread_id);
	if (f->present & IMAP_FETCH_SAVEDATE)
		dump_date(out, "savedate", f->save_date);
	if (f->present & IMAP_FETCH_PREVIEW)
		dump_nstring(out, "preview", f->preview);
	if (f->present & IMAP_FETCH_GM_MSGID)
		buf_addf(out, " gm-msgid=%" PRIu64, f->gm_msgid);
	if (f->present & IMAP_FETCH_GM_THRID)
		buf_addf(out, " gm-thrid=%" PRIu64, f->gm_thrid);
	if (f->present & IMAP_FETCH_GM_LABELS)
		dump_labels(out, f->gm_labels);
	if (f->present & IMAP_FETCH_ENVELOPE)
		dump_envelope(out, f->envelope);
	if (f->present & IMAP_FETCH_STRUCTURE)
		dump_structure(out, f->structure);
}

static void dump_body(struct buf *out, const struct imap_body *b)
{
	add_text(out, "item", b->item);
	add_text(out, "section", b->section);
	if (b->binary)
		buf_add_str(out, " binary");
	if (b->whole)
		buf_add_str(out, " whole");
	if (b->partial)
		buf_addf(out, " origin=%" PRIu64, b->origin);
	if (b->nil)
		buf_add_str(out, " nil");
	buf_addf(out, " bytes=%" PRIu64, b->size);
}

static void dump_other(struct buf *out, const struct imap_other *o)
{
	buf_add_str(out, "OTHER");
	if (o->numbered)
		buf_addf(out, " number=%" PRIu32, o->number);
	add_text(out, "name", o->name);
	if (o->text.n)
		add_text(out, "text", o->text);
	if (o->cut)
		buf_add_str(out, " cut");
}

static void dump_text(struct buf *out, const char *what, struct bytes text)
{
	buf_add_str(out, what);
	if (text.n)
		add_text(out, "text", text);
}

void response_dump(struct buf *out, const struct imap_response *r)
{
	switch (r->type) {
	case IMAP_RESPONSE_STATUS:
	case IMAP_RESPONSE_TAGGED:
		dump_status(out, &r->u.status);
		break;
	case IMAP_RESPONSE_CONTINUE:
		dump_text(out, "CONTINUE", r->u.text);
		break;
	case IMAP_RESPONSE_CAPABILITY:
		dump_text(out, "CAPABILITY", r->u.text);
		break;
	case IMAP_RESPONSE_ENABLED:
		dump_text(out, "ENABLED", r->u.text);
		break;
	case IMAP_RESPONSE_LIST:
		dump_list(out, &r->u.list);
		break;
	case IMAP_RESPONSE_MAILBOX:
		dump_mailbox(out, &r->u.mailbox);
		break;
	case IMAP_RESPONSE_SEARCH:
		buf_add_str(out, "SEARCH");
		dump_search(out, &r->u.search);
		break;
	case IMAP_RESPONSE_ESEARCH:
		buf_add_str(out, "ESEARCH");
		dump_search(out, &r->u.search);
		break;
	case IMAP_RESPONSE_FLAGS:
		buf_add_str(out, "FLAGS");
		add_flags(out, r->u.flags);
		break;
	case IMAP_RESPONSE_EXISTS:
		buf_addf(out, "EXISTS %" PRIu32, r->u.number);
		break;
	case IMAP_RESPONSE_RECENT:
		buf_addf(out, "RECENT %" PRIu32, r->u.number);
		break;
	case IMAP_RESPONSE_EXPUNGE:
		buf_addf(out, "EXPUNGE %" PRIu32, r->u.number);
		break;
	case IMAP_RESPONSE_VANISHED:
		buf_add_str(out, r->u.vanished.earlier ? "VANISHED EARLIER" : "VANISHED");
		add_set(out, "set", r->u.vanished.uids);
		break;
	case IMAP_RESPONSE_BODY_BEGIN:
		buf_add_str(out, "BODY");
		dump_fetch(out, &r->u.fetch);
		dump_body(out, &r->u.fetch.body);
		buf_add_str(out, " [");
		return;
	case IMAP_RESPONSE_BODY_DATA:
		/* Byte by byte: a character cut in two must look as when it is whole. */
		for (size_t i = 0; i < r->u.text.n; i++)
			escape_add(out, bytes_from(r->u.text.p + i, 1), 1);
		return;
	case IMAP_RESPONSE_BODY_END:
		buf_add_byte(out, ']');
		break;
	case IMAP_RESPONSE_FETCH:
		buf_add_str(out, "FETCH");
		dump_fetch(out, &r->u.fetch);
		if (r->u.fetch.present & IMAP_FETCH_BODY)
			buf_add_str(out, " body");
		break;
	case IMAP_RESPONSE_OTHER:
		dump_other(out, &r->u.other);
		break;
	case IMAP_RESPONSE_BAD_LINE:
		dump_text(out, "BADLINE", r->u.text);
		break;
	}
	buf_add_byte(out, '\n');
}

void response_dump_all(struct buf *out, const char *tag_prefix, struct bytes input, size_t step)
{
	struct imap_parser *p = imap_parser_new(tag_prefix);
	enum imap_step res = IMAP_STEP_MORE;
	struct err err = { .kind = ERR_NONE };

	while (input.n > 0 && res != IMAP_STEP_ERROR) {
		size_t n = step && step < input.n ? step : input.n;
		/* A copy of its own, so that reading past a piece or keeping one is seen. */
		char *piece = bytes_dup(bytes_from(input.p, n));
		struct bytes in = bytes_from(piece, n);
		struct imap_response r;

		while ((res = imap_parser_next(p, &in, &r, &err)) == IMAP_STEP_READY)
			response_dump(out, &r);
		free(piece);
		input = bytes_skip(input, n);
	}
	if (res == IMAP_STEP_ERROR)
		buf_addf(out, "ERROR %s\n", err.text);
	else if (!imap_parser_is_idle(p))
		buf_add_str(out, "...\n");
	imap_parser_free(p);
}
