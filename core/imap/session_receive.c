#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/session_private.h"
#include "core/imap/throttle.h"

#define TEXT_MAX 200
#define ALERTS_MAX 10 /* that are shown of one session */
#define BAD_LINES_MAX 3 /* the same */

/* --- how a command ends --- */

bool session_is_passing(const struct imap_status *st)
{
	return st->code == IMAP_CODE_UNAVAILABLE || st->code == IMAP_CODE_INUSE ||
	       st->code == IMAP_CODE_LIMIT || st->code == IMAP_CODE_SERVERBUG ||
	       imap_is_throttled(st);
}

/* Exchange lets people in who have no mailbox or may not use IMAP, and refuses all they ask. */
static bool is_login_in_vain(const struct imap_status *st)
{
	static const char text[] = "User is authenticated but not connected";

	return bytes_starts_nocase(st->text, text);
}

static enum err_kind kind_of(const struct imap_status *st)
{
	if (session_is_passing(st))
		return ERR_RETRY;
	if (is_login_in_vain(st))
		return ERR_AUTH;
	return st->code == IMAP_CODE_NONEXISTENT ? ERR_MISSING : ERR_MAILBOX;
}

static void describe_refusal(struct err *err, const struct command *c, const struct imap_status *st)
{
	char *code = escape_text(st->name, TEXT_MAX);
	char *text = escape_text(st->text, TEXT_MAX);

	err_set(err, kind_of(st), "%s: the server says %s %s%s%s%s", c->what,
		st->condition == IMAP_BAD ? "BAD" : "NO", *code ? "[" : "", code, *code ? "] " : "",
		text);
	free(code);
	free(text);
}

void session_blame_answer(const struct imap_session *s, const char *what, struct err *err)
{
	if (!what && s->in_flight.first)
		what = s->in_flight.first->what;
	if (what)
		err_prefix(err, "%s: BAD server answer to \"%s\"", s->account->host, what);
	else
		err_prefix(err, "%s: BAD server answer", s->account->host);
}

static void describe_bad_line(const struct imap_session *s, const char *what, struct bytes seen,
			      struct err *err)
{
	char *excerpt = escape_text(seen, IMAP_EXCERPT_MAX);

	err_set(err, ERR_RETRY, "%s", excerpt);
	session_blame_answer(s, what, err);
	free(excerpt);
}

void session_lose_command(struct imap_session *s, struct command *c, const struct err *why)
{
	const struct imap_result result = {
		.outcome = IMAP_DONE_LOST,
		.damaged = true,
		.mailbox = c->mailbox ? &c->mailbox->state : NULL,
		.err = why,
	};

	if (c->request.handler.on_done)
		c->request.handler.on_done(c->request.handler.ctx, &result);
	command_free(s, c);
}

/*
 * The server has another mailbox open than the one the command was meant for: its SELECT was
 * refused, or [CLOSED] came out of turn.
 */
static bool ran_elsewhere(const struct imap_session *s, const struct command *c)
{
	return (c->request.flags & IMAP_REQUEST_IN_MAILBOX) &&
	       !(c->request.flags & IMAP_REQUEST_LEAVES) && c->mailbox &&
	       c->mailbox != s->mailbox;
}

/* `c` is in no list any more. */
static void finish_command(const struct imap_session *s, struct command *c,
			   const struct imap_status *st)
{
	struct err err = { .kind = ERR_NONE };
	struct imap_result result = {
		.outcome = IMAP_DONE_OK,
		.damaged = c->damaged,
		.status = st,
		.mailbox = c->mailbox ? &c->mailbox->state : NULL,
		.err = &err,
		.throttled = imap_is_throttled(st),
		.retry_after_ms = imap_backoff_ms(st->text),
	};

	if (st->condition != IMAP_OK) {
		result.outcome = st->condition == IMAP_BAD ? IMAP_DONE_BAD : IMAP_DONE_NO;
		if (st->malformed)
			describe_bad_line(s, c->what, st->text, &err);
		else
			describe_refusal(&err, c, st);
		err.retry_after_ms = result.retry_after_ms;
	} else if (ran_elsewhere(s, c)) {
		/* OK, and what came with it was not passed on: no answer to the question. */
		result.outcome = IMAP_DONE_NO;
		err_set(&err, ERR_MAILBOX, "%s: the mailbox %s", c->what,
			c->mailbox->failed ? "could not be opened" : "was closed meanwhile");
	}
	if (c->request.handler.on_done)
		c->request.handler.on_done(c->request.handler.ctx, &result);
}

static struct command *find_tag(const struct imap_session *s, struct bytes tag)
{
	for (struct command *c = s->in_flight.first; c; c = c->next)
		if (bytes_is(tag, c->tag))
			return c;
	return NULL;
}

/*
 * Whether the server has seen literals that did not wait. Not yet when it refuses the first one that it is asked
 * for.
 */
static bool went_unasked(const struct imap_session *s, const struct command *c)
{
	struct bytes begin;

	if (!c->encoder.nonsync || c != s->sending || !s->await_continue || c->next_chunk != 1)
		return c->encoder.nonsync;
	begin = imap_encoder_chunk(&c->encoder, 0).data;
	return memmem(begin.p, begin.n, "+}\r\n", 4) != NULL;
}

/*
 * Refused in the middle of it. Servers do so with messages as soon as they know, and read on until the end of the
 * command (RFC 7888, section 4; Dovecot when the quota is full).
 */
static bool is_refused_early(const struct imap_session *s, const struct command *c,
			     const struct imap_status *st)
{
	return c == s->sending && c->request.stream && st->condition != IMAP_OK &&
	       (!s->await_continue || went_unasked(s, c));
}

/*
 * A reply to what was not sent in full is either forged ahead of time (S2) or the refusal of a
 * literal. Anything else leaves us in the middle of a command.
 */
static bool may_answer(const struct imap_session *s, const struct command *c,
		       const struct imap_status *st)
{
	if (command_is_sent(s, c))
		return true;
	if (is_refused_early(s, c, st))
		return true;
	return c == s->sending && s->await_continue && s->written == s->queued &&
	       st->condition != IMAP_OK;
}

/* What the answer means for the connection itself, once the command was told. */
static void judge_connection(struct imap_session *s, bool under_way, const char *what,
			     const struct imap_status *st)
{
	struct err err;

	if (st->malformed) {
		describe_bad_line(s, what, st->text, &err);
		session_fail(s, &err);
	} else if (under_way) {
		/* It may go on to read the literal's bytes as commands: send nothing more (S15). */
		err_set(&err, ERR_RETRY, "%s: refused with a literal under way", what);
		session_fail(s, &err);
	}
}

static void receive_tagged(struct imap_session *s, const struct imap_status *st)
{
	struct command *c = find_tag(s, st->tag);
	bool early, unasked;
	struct err err;

	if (!c || !may_answer(s, c, st)) {
		err_set(&err, ERR_FATAL, "%s answers a command that was not sent%s",
			s->account->host, c ? " in full" : "");
		session_fail(s, &err);
		return;
	}
	early = is_refused_early(s, c, st);
	unasked = went_unasked(s, c);
	if (s->sending == c) {
		s->sending = NULL;
		s->await_continue = false;
	}
	s->last_progress = s->last_activity;
	session_note_answer(s, c);
	if ((c->request.flags & IMAP_REQUEST_COMPRESS) && st->condition == IMAP_OK)
		s->starting_deflate = true; /* the reader stops here */
	command_list_remove(&s->in_flight, c);
	s->unacknowledged -= c->wire_bytes;
	if (s->fetch_route == c)
		s->fetch_route = NULL;
	/* CREATE's says what it made, not what is selected. */
	if (st->code != IMAP_CODE_MAILBOXID || (c->request.flags & IMAP_REQUEST_OPENS))
		session_mailbox_code(s, st);
	if (c->request.flags & (IMAP_REQUEST_OPENS | IMAP_REQUEST_LEAVES))
		session_mailbox_done(s, c, st);
	session_update_opening(s);
	if ((c->request.flags & IMAP_REQUEST_UNAUTHENTICATES) && st->condition == IMAP_OK)
		session_login_again(s);
	finish_command(s, c, st);
	if (s->state != IMAP_STATE_CLOSED)
		judge_connection(s, early || (st->condition == IMAP_BAD && unasked), c->what, st);
	if ((c->request.flags & IMAP_REQUEST_LOGOUT) && s->state != IMAP_STATE_CLOSED)
		session_fail(s, &(struct err){ .kind = ERR_NONE });
	command_free(s, c);
}

/* --- to whom an untagged response belongs --- */

static bool in_right_mailbox(const struct imap_session *s, const struct command *c)
{
	const unsigned bound = IMAP_REQUEST_IN_MAILBOX | IMAP_REQUEST_OPENS;

	return !(c->request.flags & bound) || !c->mailbox ||
	       c->mailbox == session_data_mailbox(s);
}

static bool wants(const struct imap_session *s, const struct command *c,
		  const struct imap_response *r)
{
	const struct imap_request *q = &c->request;

	if (!(q->wants & IMAP_WANT(r->type)) || !in_right_mailbox(s, c))
		return false;
	if (r->type == IMAP_RESPONSE_OTHER && q->wants_other &&
	    !bytes_is_nocase(r->u.other.name, q->wants_other))
		return false;
	if (r->type == IMAP_RESPONSE_ESEARCH && r->u.search.tag.p &&
	    !bytes_is(r->u.search.tag, c->tag))
		return false;
	return !q->claims || q->claims(q->handler.ctx, r);
}

static struct command *find_taker(const struct imap_session *s, const struct imap_response *r)
{
	for (struct command *c = s->in_flight.first; c; c = c->next)
		if (wants(s, c, r))
			return c;
	return NULL;
}

/* Body pieces say nothing of themselves: a FETCH goes where its first part went. */
static struct command *fetch_taker(struct imap_session *s, const struct imap_response *r)
{
	if (!s->fetch_routed)
		s->fetch_route = find_taker(s, r);
	s->fetch_routed = r->type != IMAP_RESPONSE_FETCH;
	return s->fetch_route;
}

/* Nobody asked for it. */
static void deliver_news(struct imap_session *s, const struct imap_response *r)
{
	struct mailbox_ref *m = session_data_mailbox(s);

	if (r->type == IMAP_RESPONSE_FETCH && m)
		m->state.flags_dirty = true;
	if (s->listener)
		s->listener(s->listener_ctx, r);
}

static void deliver(struct imap_session *s, const struct imap_response *r)
{
	bool fetch = IMAP_WANT(r->type) & IMAP_WANT_FETCH;
	struct command *c = fetch ? fetch_taker(s, r) : find_taker(s, r);

	if (c)
		s->last_progress = s->last_activity;
	if (c && c->request.handler.on_response)
		c->request.handler.on_response(c->request.handler.ctx, r);
	else
		deliver_news(s, r);
}

/* --- status --- */

static void show_alert(struct imap_session *s, const struct imap_status *st)
{
	char *text = escape_text(st->text, 1024);

	/* In clear text anybody on the way could have put it there (S6). */
	if (!session_is_private(s) || s->alerts == ALERTS_MAX ||
	    (s->last_alert && strcmp(text, s->last_alert) == 0)) {
		free(text);
		return;
	}
	log_warn("%s: the server's message: %s", s->account->name ? s->account->name :
		 s->account->host, text);
	free(s->last_alert);
	s->last_alert = text;
	s->alerts++;
}

static void receive_bye(struct imap_session *s, const struct imap_status *st)
{
	if (!s->bye) {
		s->bye = escape_text(st->text, TEXT_MAX);
		s->retry_after_ms = imap_backoff_ms(st->text);
		s->last_progress = s->last_activity;
	}
	if (s->state != IMAP_STATE_CLOSED)
		s->state = IMAP_STATE_LOGOUT;
}

static void receive_status(struct imap_session *s, const struct imap_status *st)
{
	if (st->condition == IMAP_BYE)
		receive_bye(s, st);
	else if (st->code == IMAP_CODE_CAPABILITY)
		imap_caps_set(&s->caps, st->args, true);
	else if (st->code == IMAP_CODE_CLOSED)
		session_closed_code(s);
	else
		session_mailbox_code(s, st);
}

/* The words name what changes the form of mailbox names from here on. */
static void receive_enabled(struct imap_session *s, struct bytes words)
{
	struct imap_caps enabled;

	imap_caps_init(&enabled);
	imap_caps_set(&enabled, words, false);
	s->enabled |= enabled.bits;
	if (imap_caps_has(&enabled, IMAP_CAP_UTF8_ACCEPT) ||
	    imap_caps_has(&enabled, IMAP_CAP_IMAP4REV2))
		s->utf8 = true;
	imap_caps_release(&enabled);
}

/* One line among others: the session goes on, and who needs all of an answer looks at `damaged`. */
static void warn_of_bad_line(struct imap_session *s, struct bytes seen)
{
	struct err err;

	if (s->bad_lines == BAD_LINES_MAX)
		return;
	s->bad_lines++;
	describe_bad_line(s, NULL, seen, &err);
	log_warn("%s%s", err.text,
		 s->bad_lines == BAD_LINES_MAX ? " (more of these are not shown)" : "");
}

static void damage_all(struct imap_session *s)
{
	for (struct command *c = s->in_flight.first; c; c = c->next)
		c->damaged = true;
}

static bool is_about_the_connection(const struct imap_response *r)
{
	return r->type == IMAP_RESPONSE_STATUS || r->type == IMAP_RESPONSE_TAGGED ||
	       r->type == IMAP_RESPONSE_CONTINUE || r->type == IMAP_RESPONSE_CAPABILITY ||
	       r->type == IMAP_RESPONSE_BAD_LINE;
}

void session_receive(struct imap_session *s, const struct imap_response *r)
{
	if ((r->type == IMAP_RESPONSE_STATUS || r->type == IMAP_RESPONSE_TAGGED) &&
	    r->u.status.code == IMAP_CODE_ALERT)
		show_alert(s, &r->u.status);
	if (s->state == IMAP_STATE_GREETING) {
		session_greeting(s, r);
		return;
	}
	/* Mail data cannot be honest before the login (S6). */
	if (s->state == IMAP_STATE_NOT_AUTHENTICATED && !is_about_the_connection(r))
		return;
	switch (r->type) {
	case IMAP_RESPONSE_TAGGED:
		receive_tagged(s, &r->u.status);
		return;
	case IMAP_RESPONSE_CONTINUE:
		session_answer_continue(s, r->u.text);
		return;
	case IMAP_RESPONSE_STATUS:
		receive_status(s, &r->u.status);
		break;
	case IMAP_RESPONSE_CAPABILITY:
		imap_caps_set(&s->caps, r->u.text, true);
		break;
	case IMAP_RESPONSE_ENABLED:
		receive_enabled(s, r->u.text);
		break;
	case IMAP_RESPONSE_BAD_LINE:
		warn_of_bad_line(s, r->u.text);
		damage_all(s);
		break;
	default:
		session_mailbox_data(s, r);
		break;
	}
	deliver(s, r);
}
