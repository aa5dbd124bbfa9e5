#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/session_private.h"

/*
 * A server that is busy sending may stop reading, so what is sent ahead must fit its buffers:
 * otherwise both sides wait for ever. Small against any socket buffer, enough for any flight.
 */
#define UNACKNOWLEDGED_MAX 16384
#define DATA_MAX 4
#define COMMANDS_MAX 16
/* Fill the output buffer up to here; the rest of a literal follows when this has gone. */
#define OUTPUT_FILL 16384
#define WHAT_MAX 200

void command_list_add(struct command_list *list, struct command *c)
{
	c->next = NULL;
	if (list->last)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
	list->n++;
}

void command_list_remove(struct command_list *list, struct command *c)
{
	struct command *before = NULL;

	for (struct command *at = list->first; at != c; at = at->next)
		before = at;
	if (before)
		before->next = c->next;
	else
		list->first = c->next;
	if (list->last == c)
		list->last = before;
	c->next = NULL;
	list->n--;
}

void command_free(struct imap_session *s, struct command *c)
{
	if (!c->internal)
		s->pending--;
	imap_encoder_release(&c->encoder);
	mailbox_ref_drop(c->mailbox);
	free(c->what);
	free(c);
}

static char *name_of(const struct imap_encoder *e)
{
	struct bytes data = imap_encoder_count(e) ? imap_encoder_chunk(e, 0).data :
						    bytes_from(NULL, 0);
	size_t n = 0;

	while (n < data.n && data.p[n] > ' ')
		n++;
	return bytes_dup(bytes_from(data.p, n));
}

static struct command *command_new(struct imap_session *s, const struct imap_request *request)
{
	struct command *c = xcalloc(1, sizeof(*c));
	char *name;

	c->request = *request;
	c->request.command = NULL;
	c->encoder = *request->command;
	name = request->what ? xstrdup(request->what) : name_of(&c->encoder);
	c->what = escape_text(bytes_of(name), WHAT_MAX);
	free(name);
	c->request.what = NULL;
	for (size_t i = 0; i < imap_encoder_count(&c->encoder); i++) {
		struct imap_chunk chunk = imap_encoder_chunk(&c->encoder, i);

		if (!chunk.stream)
			c->wire_bytes += chunk.data.n;
	}
	snprintf(c->tag, sizeof(c->tag), "%s%u", s->tag_prefix, ++s->tag_number);
	return c;
}

void session_submit_own(struct imap_session *s, const struct imap_request *request)
{
	struct command *c = command_new(s, request);

	c->internal = true;
	command_list_add(&s->setup, c);
}

void imap_session_submit(struct imap_session *s, const struct imap_request *request)
{
	struct command *c = command_new(s, request);

	s->pending++;
	if (request->flags & IMAP_REQUEST_OPENS) {
		mailbox_ref_drop(s->submitted);
		s->submitted = mailbox_ref_new(request->mailbox_name);
		s->submitted->state.examined = request->flags & IMAP_REQUEST_READ_ONLY;
	}
	if (request->flags & (IMAP_REQUEST_OPENS | IMAP_REQUEST_IN_MAILBOX))
		c->mailbox = mailbox_ref_take(s->submitted);
	if (request->flags & IMAP_REQUEST_LEAVES) {
		mailbox_ref_drop(s->submitted);
		s->submitted = NULL;
	}
	if (s->state == IMAP_STATE_CLOSED)
		session_lose_command(s, c, &s->error);
	else
		command_list_add(&s->waiting, c);
}

size_t imap_session_pending(const struct imap_session *s)
{
	return s->pending;
}

void session_queue_bytes(struct imap_session *s, struct bytes data)
{
	/* The clock of silence starts with the first byte that waits for an answer. */
	if (!s->out.n)
		s->last_activity = clock_ms();
	buf_add(&s->out, data);
	s->queued += data.n;
}

bool command_is_sent(const struct imap_session *s, const struct command *c)
{
	return c->all_queued && s->written >= c->end_at;
}

static bool needs_line_to_itself(const struct command *c)
{
	return c->request.on_continue || (c->request.flags & IMAP_REQUEST_ALONE);
}

static bool may_send(const struct imap_session *s, const struct command *c)
{
	size_t data = 0;

	if (!s->in_flight.first)
		return true;
	if ((c->request.flags & IMAP_REQUEST_ALONE) || s->in_flight.n >= COMMANDS_MAX ||
	    s->unacknowledged + c->wire_bytes > UNACKNOWLEDGED_MAX)
		return false;
	for (const struct command *f = s->in_flight.first; f; f = f->next) {
		if (needs_line_to_itself(f))
			return false;
		data += (f->request.flags & IMAP_REQUEST_DATA) != 0;
	}
	return !(c->request.flags & IMAP_REQUEST_DATA) || data < DATA_MAX;
}

static void trace_command(struct imap_session *s, const struct command *c)
{
	struct buf line = BUF_INIT((size_t)1 << 20);

	if (imap_trace_wants(&s->trace)) {
		buf_addf(&line, "%s ", c->tag);
		imap_encoder_describe(&c->encoder, &line);
		imap_trace_line(&s->trace, 'C', buf_bytes(&line));
	}
	buf_release(&line);
}

static void note_traffic(struct imap_session *s)
{
	unsigned data = 0;

	for (const struct command *f = s->in_flight.first; f; f = f->next)
		data += (f->request.flags & IMAP_REQUEST_DATA) != 0;
	s->traffic.commands++;
	if (s->in_flight.n > s->traffic.most_in_flight)
		s->traffic.most_in_flight = (unsigned)s->in_flight.n;
	if (data > s->traffic.most_data_in_flight)
		s->traffic.most_data_in_flight = data;
}

static void start_command(struct imap_session *s, struct command *c)
{
	if (!s->in_flight.first)
		s->last_progress = clock_ms();
	command_list_add(&s->in_flight, c);
	s->unacknowledged += c->wire_bytes;
	s->sending = c;
	c->started_at = clock_ms();
	trace_command(s, c);
	session_queue_bytes(s, bytes_of(c->tag));
	session_queue_bytes(s, bytes_of(" "));
	note_traffic(s);
	session_update_opening(s);
	if (c->request.flags & IMAP_REQUEST_LOGOUT)
		s->state = IMAP_STATE_LOGOUT;
}

/* The command whose turn it is, if it may go out now (or fail, for want of its mailbox). */
static struct command *next_command(const struct imap_session *s)
{
	struct command *c = s->setup.first ? s->setup.first : s->waiting.first;

	if (!c || (!c->internal && !imap_session_is_ready(s)) || s->bye)
		return NULL;
	return (c->mailbox && c->mailbox->failed) || may_send(s, c) ? c : NULL;
}

bool session_can_send(const struct imap_session *s)
{
	return s->state != IMAP_STATE_CLOSED && !s->await_continue && !s->starting_tls &&
	       (s->sending || next_command(s));
}

/* Take the next command that may go out now. False: none. */
static bool start_next(struct imap_session *s)
{
	struct command *c = next_command(s);
	struct err why;

	if (!c)
		return false;
	command_list_remove(c->internal ? &s->setup : &s->waiting, c);
	if (c->mailbox && c->mailbox->failed) {
		err_set(&why, ERR_MAILBOX, "%s: the mailbox could not be opened", c->what);
		session_lose_command(s, c, &why);
	} else {
		start_command(s, c);
	}
	return true;
}

/* One piece of a message that the caller provides. False: the session failed. */
static bool queue_stream(struct imap_session *s, struct command *c)
{
	uint8_t piece[OUTPUT_FILL];
	size_t max = c->stream_left < sizeof(piece) ? (size_t)c->stream_left : sizeof(piece);
	size_t n = 0;
	struct err err;

	if (max && c->request.stream(c->request.handler.ctx, piece, max, &n, &err) < 0) {
		session_fail(s, &err);
		return false;
	}
	if (s->state == IMAP_STATE_CLOSED) /* by the caller, and `c` is gone */
		return false;
	session_queue_bytes(s, bytes_from(piece, n));
	c->stream_left -= n;
	if (!c->stream_left) {
		c->in_stream = false;
		c->next_chunk++;
	}
	return true;
}

/*
 * Queue the next piece of the command being sent. False: it has to wait for `+`, or the end came.
 */
static bool queue_chunk(struct imap_session *s)
{
	struct command *c = s->sending;
	struct imap_chunk chunk;

	if (c->next_chunk == imap_encoder_count(&c->encoder)) {
		c->all_queued = true;
		c->end_at = s->queued;
		s->sending = NULL;
		return true;
	}
	chunk = imap_encoder_chunk(&c->encoder, c->next_chunk);
	if (chunk.stream) {
		if (!c->in_stream) {
			c->in_stream = true;
			c->stream_left = chunk.stream_size;
		}
		return queue_stream(s, c);
	}
	if (chunk.secret) /* growing would leave a copy behind */
		buf_reserve(&s->out, chunk.data.n + 64);
	session_queue_bytes(s, chunk.data);
	c->next_chunk++;
	s->await_continue = chunk.wait;
	return !chunk.wait;
}

void session_fill_output(struct imap_session *s)
{
	while (s->out.n < OUTPUT_FILL && session_can_send(s))
		if (s->sending ? !queue_chunk(s) : !start_next(s))
			break;
}

static void answer_challenge(struct imap_session *s, struct command *c, struct bytes text)
{
	struct buf answer;
	struct err err;
	int ret;

	buf_init(&answer, (size_t)1 << 20);
	ret = c->request.on_continue(c->request.handler.ctx, text, &answer, &err);
	if (ret == IMAP_CONTINUE_LATER) {
		c->held = true;
		buf_release(&answer);
		return;
	}
	if (ret < 0) {
		buf_clear(&answer);
		buf_add_str(&answer, "*");
		imap_trace_line(&s->trace, 'C', bytes_of("*"));
	} else {
		imap_trace_line(&s->trace, 'C', bytes_of("***"));
	}
	buf_add_str(&answer, "\r\n");
	session_queue_bytes(s, buf_bytes(&answer));
	c->end_at = s->queued;
	buf_release_secret(&answer);
}

void imap_session_continue(struct imap_session *s, struct bytes line)
{
	for (struct command *c = s->in_flight.first; c; c = c->next) {
		if (!c->held)
			continue;
		c->held = false;
		imap_trace_line(&s->trace, 'C', line);
		session_queue_bytes(s, line);
		session_queue_bytes(s, bytes_of("\r\n"));
		s->last_activity = s->last_progress = clock_ms();
		return;
	}
}

void session_answer_continue(struct imap_session *s, struct bytes text)
{
	struct err err;

	if (s->await_continue && s->written == s->queued) {
		s->await_continue = false;
		return;
	}
	for (struct command *c = s->in_flight.first; c; c = c->next) {
		if (!c->request.on_continue || !command_is_sent(s, c))
			continue;
		answer_challenge(s, c, text);
		return;
	}
	err_set(&err, ERR_RETRY, "%s: the server asked to go on when nothing was to come",
		s->account->host);
	session_fail(s, &err);
}
