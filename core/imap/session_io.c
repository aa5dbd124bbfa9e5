#include <stdlib.h>

#include "core/imap/account.h"
#include "core/imap/session_private.h"
#include "core/imap/transport.h"

/* Reads per turn, so that one fast server does not keep the others waiting. */
#define READS_PER_TURN 16

static void end_of_stream(struct imap_session *s)
{
	struct err err;
	char *words;

	for (const struct command *c = s->in_flight.first; c; c = c->next)
		if ((c->request.flags & IMAP_REQUEST_LOGOUT) && s->bye) {
			session_fail(s, &(struct err){ .kind = ERR_NONE });
			return;
		}
	words = transport_last_words(s->transport);
	if (s->bye)
		err_set(&err, ERR_RETRY, "%s ended the session: %s", s->account->host, s->bye);
	else
		err_set(&err, ERR_RETRY, "%s closed the connection%s%s", s->account->host,
			words ? ": " : "", words ? words : "");
	err.retry_after_ms = s->retry_after_ms;
	free(words);
	session_fail(s, &err);
}

/* --- opening the stream --- */

void session_layer_tls(struct imap_session *s)
{
	const struct imap_account *a = s->account;
	const struct transport_tls_settings set = {
		.host = a->host,
		.ca_file = a->tls_ca_file,
		.pin = a->tls_pin,
		.cert_file = a->tls_client_cert,
		.key_file = a->tls_client_key,
	};
	struct transport *lower = s->transport;
	struct err err;

	s->transport = transport_tls_new(lower, &set, &err);
	if (!s->transport)
		session_fail(s, &err);
}

/*
 * Nothing may have come in between the OK and the handshake: it was put there by somebody who
 * hopes that it will be taken as said under TLS (S1). Everything learned so far is forgotten.
 */
static void begin_starttls(struct imap_session *s)
{
	s->starting_tls = false;
	if (s->in_at < s->in_end || !imap_parser_is_idle(s->parser)) {
		session_fail_text(s, ERR_FATAL, "data in clear text after STARTTLS: somebody interferes");
		return;
	}
	imap_parser_free(s->parser);
	s->parser = imap_parser_new(s->tag_prefix);
	imap_trace_reset(&s->trace);
	imap_caps_clear(&s->caps);
	s->unparsed = false;
	s->tls_layered = true;
	s->state = IMAP_STATE_CONNECTING;
	session_layer_tls(s);
}

void session_go_on_opening(struct imap_session *s, int64_t now)
{
	struct err err;

	switch (transport_open(s->transport, &err)) {
	case TRANSPORT_OK:
		break;
	case TRANSPORT_FAILED:
		session_fail(s, &err);
		return;
	default:
		return;
	}
	s->last_activity = now;
	if (s->tls_layered) {
		s->state = IMAP_STATE_NOT_AUTHENTICATED; /* there is no second greeting */
		session_login_next(s);
	} else {
		s->state = IMAP_STATE_GREETING;
	}
}

/* --- reading and writing --- */

/* Take apart what was read. Stops early when paused, closed, or where TLS or deflate begins. */
static void parse_input(struct imap_session *s)
{
	struct imap_response r;
	struct err err;

	while (s->unparsed && !s->paused && s->state != IMAP_STATE_CLOSED && !s->starting_tls &&
	       !s->starting_deflate) {
		struct bytes in = bytes_from(s->in + s->in_at, s->in_end - s->in_at);
		enum imap_step step = imap_parser_next(s->parser, &in, &r, &err);

		s->in_at = s->in_end - in.n;
		if (step == IMAP_STEP_READY) {
			session_receive(s, &r);
		} else {
			s->unparsed = false;
			if (step == IMAP_STEP_ERROR) {
				session_blame_answer(s, NULL, &err);
				session_fail(s, &err);
			}
		}
	}
	if (s->starting_tls && s->state != IMAP_STATE_CLOSED)
		begin_starttls(s);
	if (s->starting_deflate && s->state != IMAP_STATE_CLOSED)
		session_begin_deflate(s);
}

/* False: nothing more to read now. */
static bool read_once(struct imap_session *s, int64_t now)
{
	size_t n = 0;
	struct err err;

	switch (transport_read(s->transport, s->in, SESSION_INPUT_SIZE, &n, &err)) {
	case TRANSPORT_OK:
		s->last_activity = now;
		session_note_read(s, n);
		s->traffic.read += n;
		imap_trace_received(&s->trace, bytes_from(s->in, n));
		s->in_at = 0;
		s->in_end = n;
		s->unparsed = true;
		parse_input(s);
		return true;
	case TRANSPORT_AGAIN:
		session_note_read(s, 0);
		return false;
	case TRANSPORT_EOF:
		end_of_stream(s);
		return false;
	default:
		session_fail(s, &err);
		return false;
	}
}

bool session_is_streaming(const struct imap_session *s)
{
	return s->state != IMAP_STATE_CLOSED && s->state != IMAP_STATE_CONNECTING;
}

void session_read(struct imap_session *s, int64_t now)
{
	if (s->unparsed)
		parse_input(s);
	for (int i = 0; i < READS_PER_TURN; i++)
		if (!session_is_streaming(s) || s->paused || !read_once(s, now))
			return;
}

void session_write(struct imap_session *s, int64_t now)
{
	size_t n = 0;
	struct err err;

	while (session_is_streaming(s)) {
		session_fill_output(s);
		if (!session_is_streaming(s) || !s->out.n)
			return;
		switch (transport_write(s->transport, buf_bytes(&s->out), &n, &err)) {
		case TRANSPORT_OK:
			s->last_activity = now;
			s->written += n;
			s->traffic.written += n;
			buf_consume(&s->out, n);
			break;
		case TRANSPORT_AGAIN:
			return;
		default:
			/*
			 * What the server said before it closed explains more than a broken pipe.
			 */
			while (session_is_streaming(s) && !s->paused && read_once(s, now))
				;
			session_fail(s, &err);
			return;
		}
	}
}
