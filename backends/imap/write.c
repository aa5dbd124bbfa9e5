#include "backends/imap/write_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/crash.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/loop.h"

#include "backends/imap/ledger.h"

#define NOTE_MAX 1024

struct writer *writer_of(struct imap_store *st)
{
	if (!st->writer) {
		st->writer = xcalloc(1, sizeof(*st->writer));
		st->writer->n_lines = st->most < WRITER_LINES ? st->most : WRITER_LINES;
		buf_init(&st->writer->trash, WIRE_NAME_MAX);
	}
	return st->writer;
}

static void drop_connection(struct writer *w)
{
	if (w->conn)
		connection_free(w->conn);
	w->conn = NULL;
}

void writer_use(struct imap_store *st, size_t k)
{
	struct writer *w = st->writer;

	w->lines[w->at] = w->conn;
	w->at = k;
	w->conn = w->lines[k];
}

struct connection *writer_line(const struct writer *w, size_t k)
{
	struct connection *c = k == w->at ? w->conn : w->lines[k];

	return c && imap_session_state(c->session) != IMAP_STATE_CLOSED ? c : NULL;
}

void writer_leave_mailboxes(struct imap_store *st)
{
	for (size_t k = 0; k < WRITER_LINES; k++) {
		struct connection *c = writer_line(writer_of(st), k);

		if (!c || !c->opened)
			continue;
		imap_unselect(c->session, NULL, NULL);
		c->opened = NULL;
	}
}

void writer_close(struct imap_store *st)
{
	struct writer *w = st->writer;

	if (!w)
		return;
	for (size_t k = 0; k < WRITER_LINES; k++) {
		writer_use(st, k);
		if (w->conn && imap_session_is_ready(w->conn->session) &&
		    !imap_session_pending(w->conn->session))
			pool_give_back(st, w->conn); /* which says LOGOUT */
		else
			drop_connection(w);
		w->conn = NULL;
	}
	uploads_free(w->uploads);
	buf_release(&w->trash);
	free(w);
	st->writer = NULL;
}

struct writing *writing_of(struct imap_mailbox_handle *mb)
{
	if (!mb->writing)
		mb->writing = xcalloc(1, sizeof(*mb->writing));
	return mb->writing;
}

void imap_note(const struct imap_store *st, const struct mailbox_name *mb, const char *fmt, ...)
{
	const struct run *run = st->store.cfg->run;
	char text[NOTE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (run && run->note)
		run->note(run->note_ctx, mb, text);
	else
		log_warn("%s: %s", st->account->name, text);
}

/* --- the connection --- */

int writer_wait(struct connection *c, struct err *err)
{
	if (imap_session_drain(c->session, err) == 0)
		return 0;
	if (imap_session_state(c->session) != IMAP_STATE_CLOSED)
		imap_session_close(c->session, err); /* nobody is there any more for the answers */
	return -1;
}

int writer_retry(struct imap_store *st, const struct err *why, struct err *err)
{
	struct writer *w = writer_of(st);
	const struct err cause = *why; /* may be *err */
	int64_t ms = pool_backoff_ms(w->losses), until;

	*err = cause;
	if (cause.kind != ERR_RETRY || ms < 0 ||
	    throttle_check_wait(cause.retry_after_ms, cause.text, err) < 0)
		return -1;
	log_info("%s: trying again: %s", st->account->name, cause.text);
	w->losses++;
	ms = ms * st->patience / 100;
	if (ms < cause.retry_after_ms)
		ms = cause.retry_after_ms;
	until = clock_ms() + ms;
	while (clock_ms() < until)
		if (loop_step(st->loop, until, err) < 0)
			return -1;
	return 0;
}

int writer_connect(struct imap_store *st, struct err *err)
{
	struct writer *w = writer_of(st);

	if (w->conn && imap_session_state(w->conn->session) == IMAP_STATE_CLOSED)
		drop_connection(w);
	if (w->conn)
		return 0;
	w->conn = pool_take(st);
	if (imap_session_open(w->conn->session, err) < 0) {
		drop_connection(w);
		return -1;
	}
	w->conn->was_ready = true;
	st->utf8 = imap_session_utf8(w->conn->session);
	return 0;
}

/* --- a mailbox that is selected --- */

struct selecting {
	struct imap_mailbox_handle *mb;
	uint32_t uid_validity;
	bool ok, absent;
	bool read_only;
	char *rights;
	struct err err;
};

static void take_mailbox(struct writing *w, const struct imap_mailbox *m)
{
	flags_copy(&w->permanent, m->permanent_known ? &m->permanent_flags : &m->flags);
	w->permanent_known = m->permanent_known;
	w->new_keywords = m->new_keywords;
	if (m->uid_next > w->uid_next)
		w->uid_next = m->uid_next;
}

static void on_selected(void *ctx, const struct imap_result *r)
{
	struct selecting *s = ctx;

	s->ok = r->outcome == IMAP_DONE_OK;
	s->absent = imap_says_absent(r) ||
		    (r->outcome == IMAP_DONE_NO && r->status && r->status->code == IMAP_CODE_TRYCREATE);
	if (!s->ok) {
		s->err = *r->err;
		return;
	}
	s->uid_validity = r->mailbox->uid_validity;
	s->read_only = r->mailbox->read_only;
	take_mailbox(writing_of(s->mb), r->mailbox);
}

/* Before the mailbox is selected: what only STATUS tells. */
static void on_status(void *ctx, const struct imap_mailbox_status *status,
		      const struct imap_result *r)
{
	struct writing *w = writing_of(((struct selecting *)ctx)->mb);

	if (r->outcome != IMAP_DONE_OK || !status)
		return;
	if ((status->present & IMAP_ITEM_APPENDLIMIT) && status->append_limit != UINT64_MAX)
		w->append_limit = status->append_limit ? status->append_limit : 1;
	if ((status->present & IMAP_ITEM_UIDNEXT) && status->uid_next > w->uid_next)
		w->uid_next = status->uid_next;
}

/*
 * SELECT, and in the same flight what it does not tell: the size that is allowed here, where the server has
 * one for each mailbox; UIDNEXT, which Courier tells by STATUS alone; what we may do.
 */
static int ask_select(struct connection *c, struct selecting *s, struct err *err)
{
	struct imap_session *session = c->session;
	struct bytes wire = buf_bytes(&s->mb->wire);
	bool first = !writing_of(s->mb)->known, limits = imap_session_has(session, IMAP_CAP_APPENDLIMIT) &&
							 !imap_session_caps(session)->append_limit;

	c->opened = NULL;
	if (first && imap_status(session, wire, IMAP_ITEM_UIDNEXT | (limits ? IMAP_ITEM_APPENDLIMIT : 0),
				 on_status, s, err) < 0)
		return -1;
	if (imap_select(session, wire, false, on_selected, s, err) < 0)
		return -1;
	if (first && imap_session_has(session, IMAP_CAP_ACL) &&
	    imap_myrights_wait(session, wire, &s->rights, &s->err) < 0 && s->err.kind != ERR_MAILBOX &&
	    s->err.kind != ERR_MISSING) {
		*err = s->err;
		writer_wait(c, &s->err);
		return -1;
	}
	return writer_wait(c, err);
}

static int make_again(struct imap_store *st, struct connection *c, struct imap_mailbox_handle *mb,
		      struct err *err)
{
	bool made;

	writing_of(mb)->recreated = true;
	return manage_create(st, c, buf_bytes(&mb->wire), MAILBOX_SUBSCRIBED, &made, err);
}

/* Whether the UIDs in the ledger, or those that were told of a source, are still those of the mailbox. */
static int check_validity(struct imap_store *st, struct imap_mailbox_handle *mb, uint32_t uid_validity,
			  struct err *err)
{
	struct ledger_box *box = mb->box;

	if (!box) /* of an account that is read: UIDs are those of the last comparison */
		return mb->token.known && mb->token.uidvalidity == uid_validity
			       ? 0
			       : err_set(err, ERR_MAILBOX, "the account made it anew meanwhile (its UIDVALIDITY "
					 "changed from %u to %u); run a backup first",
					 mb->token.uidvalidity, uid_validity);
	if (box->uidvalidity == uid_validity)
		return 0;
	if (box->live + box->kept + box->intents > 0)
		return err_set(err, ERR_MAILBOX, "the account made it anew meanwhile (its UIDVALIDITY "
			       "changed from %u to %u); the next run looks at it again",
			       box->uidvalidity, uid_validity);
	box->uidvalidity = uid_validity;
	return ledger_box_touch(st->ledger, box, err);
}

static int judge_selected(struct imap_store *st, const struct selecting *s, struct err *err)
{
	if (!s->ok) {
		*err = s->err;
		if (err->kind == ERR_MISSING)
			err->kind = ERR_MAILBOX;
		return -1;
	}
	if (s->read_only)
		return err_set(err, ERR_MAILBOX, "the account lets it be read only");
	writing_of(s->mb)->no_insert |= s->rights && !strchr(s->rights, 'i');
	writing_of(s->mb)->no_remove |= s->rights && !rights_allow_removal(s->rights);
	return check_validity(st, s->mb, s->uid_validity, err);
}

static int select_once(struct imap_store *st, struct connection *c, struct imap_mailbox_handle *mb,
		       struct err *err)
{
	struct selecting s = { .mb = mb };
	struct writing *w = writing_of(mb);
	int ret = ask_select(c, &s, err);

	if (ret == 0 && s.absent && !w->recreated && mb->box && mb->box->live + mb->box->kept == 0) {
		free(s.rights);
		s = (struct selecting){ .mb = mb };
		ret = make_again(st, c, mb, err) < 0 ? -1 : ask_select(c, &s, err);
	}
	if (ret == 0)
		ret = judge_selected(st, &s, err);
	free(s.rights);
	if (ret < 0)
		return -1;
	if (!w->uid_next)
		w->uid_next = 1; /* nobody says: all there is will be looked at */
	w->known = true;
	w->ramp = UPLOAD_RAMP_FIRST;
	c->opened = mb;
	return 0;
}

/* What was only looked at is open, too, but a server does nothing to it. */
static bool is_selected(const struct connection *c, const struct imap_mailbox_handle *mb)
{
	const struct imap_mailbox *open = imap_session_mailbox(c->session);

	return c->opened == mb && open && !open->read_only;
}

int writer_select(struct imap_store *st, struct imap_mailbox_handle *mb, struct connection **out,
		  struct err *err)
{
	struct connection *c;

	if (writer_connect(st, err) < 0)
		return -1;
	*out = c = st->writer->conn;
	return !mb || is_selected(c, mb) ? 0 : select_once(st, c, mb, err);
}

int writer_do(struct imap_store *st, struct imap_mailbox_handle *mb, writer_fn *fn, void *ctx,
	      struct err *err)
{
	struct connection *c;

	for (;;) {
		if (writer_select(st, mb, &c, err) == 0 && fn(ctx, c, err) == 0) {
			crash_point("account: changed");
			st->writer->losses = 0;
			return 0;
		}
		if (writer_retry(st, err, err) < 0)
			return -1;
	}
}

/* --- flags --- */

static bool can_be_sent(const char *keyword)
{
	struct flags one = FLAGS_INIT;
	struct buf text = BUF_INIT(4096);
	bool can = flags_add(&one, bytes_of(keyword)) && flags_format_imap(&one, &text) == 0 &&
		   !strchr(buf_str(&text), ']');

	flags_release(&one);
	buf_release(&text);
	return can;
}

/* An unknown system flag is refused by servers, some with BAD. */
static bool is_kept(const struct writing *w, const char *keyword)
{
	if (flags_has(&w->noted, bytes_of(keyword)) || !can_be_sent(keyword))
		return false;
	if (flags_has(&w->permanent, bytes_of(keyword)))
		return *keyword != '\\' || w->permanent_known;
	return *keyword != '\\' && (w->new_keywords || !w->permanent_known);
}

void writing_refused_flag(struct imap_mailbox_handle *mb, const char *flag)
{
	struct writing *w = writing_of(mb);
	char *shown;

	if (flags_has(&w->noted, bytes_of(flag)))
		return;
	flags_add(&w->noted, bytes_of(flag));
	shown = escape_text(bytes_of(flag), 100);
	imap_note((struct imap_store *)mb->mailbox.store, &mb->mailbox.name,
		  "the account does not keep the flag %s there", shown);
	free(shown);
}

static void note_bits(struct imap_mailbox_handle *mb, unsigned bits)
{
	static const char *const names[FLAG_BITS] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
						      "\\Draft" };

	for (unsigned i = 0; i < FLAG_BITS; i++)
		if (bits >> i & 1)
			writing_refused_flag(mb, names[i]);
}

void writing_filter(struct imap_mailbox_handle *mb, const struct flags *flags, struct flags *out)
{
	struct writing *w = writing_of(mb);

	flags_release(out);
	out->bits = flags->bits & FLAG_ALL_BITS & (w->permanent_known ? w->permanent.bits : FLAG_ALL_BITS) &
		    ~w->noted.bits;
	if (flags->bits & FLAG_ALL_BITS & ~out->bits)
		note_bits(mb, flags->bits & FLAG_ALL_BITS & ~out->bits);
	for (size_t i = 0; i < flags->count; i++)
		if (is_kept(w, flags->keywords[i]))
			flags_add(out, bytes_of(flags->keywords[i]));
		else
			writing_refused_flag(mb, flags->keywords[i]);
}

int imap_store_commit(struct store *base, struct err *err)
{
	struct imap_store *st = imap_of(base);

	if (uploads_flush(st, err) < 0) {
		/* Who interrupts does not want to wait for the server, and keeps what came. */
		if (err->kind != ERR_STOPPED)
			return -1;
		uploads_abandon(st, err);
		return ledger_commit(st->ledger, err);
	}
	/* The ledger last: what it does not say yet is asked or done again. */
	return alter_remove_all(st, err) < 0 ? -1 : target_commit(base, err);
}
