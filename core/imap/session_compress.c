#include <assert.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/imap/account.h"
#include "core/imap/session_private.h"
#include "core/imap/transport.h"

/*
 * A server deflates some 20 to 30 MB/s on each connection. On a line that is faster, compression
 * makes everything slower, so `auto` begins without it, measures, and asks for it only when the
 * answers are far away and two samples in a row came slowly. A run with little to fetch never
 * gets there and pays nothing.
 */
#define ROUND_TRIP_MIN 5     /* ms: no local network */
#define SLOW_BYTES 5000000u  /* a second; 40 Mbit/s */
#define SLOW_SAMPLES 2u
#define SAMPLE_BYTES ((uint64_t)1 << 20)
#define SAMPLE_US 1000000
#define SAMPLE_BYTES_MIN 16384u /* less in a second: the server thinks */

void session_compress_init(struct imap_session *s)
{
	s->meter.round_trip = -1;
}

bool imap_session_is_compressed(const struct imap_session *s)
{
	return s->compressed;
}

/* --- asking for it --- */

static void on_compress(void *ctx, const struct imap_result *r)
{
	const struct imap_session *s = ctx;

	if (r->outcome == IMAP_DONE_NO || r->outcome == IMAP_DONE_BAD)
		log_info("%s: going on without compression: %s", s->account->host, r->err->text);
}

static void ask(struct imap_session *s)
{
	struct imap_encoder e;
	struct err err;

	s->compress_asked = true;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "COMPRESS");
	imap_encode_word(&e, "DEFLATE");
	if (imap_encoder_finish(&e, &err) < 0) {
		imap_encoder_release(&e);
		session_fail(s, &err);
		return;
	}
	session_submit_own(s, &(struct imap_request){
		.command = &e,
		.flags = IMAP_REQUEST_ALONE | IMAP_REQUEST_COMPRESS,
		.handler = { .on_done = on_compress, .ctx = s } });
}

void session_compress_login(struct imap_session *s)
{
	if (s->account->compress != IMAP_COMPRESS_YES || s->compress_asked || s->compressed)
		return;
	if (imap_caps_has(&s->caps, IMAP_CAP_COMPRESS_DEFLATE))
		ask(s);
	else
		log_info("%s: the server cannot compress", s->account->host);
}

void session_begin_deflate(struct imap_session *s)
{
	s->starting_deflate = false;
	if (!imap_parser_is_idle(s->parser)) {
		session_fail_text(s, ERR_RETRY, "unreadable data after the answer to COMPRESS");
		return;
	}
	assert(!s->out.n); /* it was alone in flight */
	s->transport = transport_deflate_new(s->transport, bytes_from(s->in + s->in_at,
								      s->in_end - s->in_at));
	s->in_at = s->in_end = 0;
	s->unparsed = false;
	s->compressed = true;
	imap_trace_line(&s->trace, '*', bytes_of("compressed from here on"));
}

/* --- is the line what everything waits for? --- */

static bool is_measuring(const struct imap_session *s)
{
	return s->account->compress == IMAP_COMPRESS_AUTO && !s->compress_asked &&
	       !s->compressed && s->transport && !s->transport->is_local &&
	       imap_caps_has(&s->caps, IMAP_CAP_COMPRESS_DEFLATE);
}

static bool is_fetching(const struct imap_session *s)
{
	for (const struct command *c = s->in_flight.first; c; c = c->next)
		if (c->request.flags & IMAP_REQUEST_DATA)
			return true;
	return false;
}

void session_note_answer(struct imap_session *s, const struct command *c)
{
	int64_t took = clock_ms() - c->started_at;

	if (s->meter.round_trip < 0 || took < s->meter.round_trip)
		s->meter.round_trip = took;
}

/* The first sample of a connection sees it getting up to speed, and says nothing. */
static void end_sample(struct imap_session *s)
{
	struct link_meter *m = &s->meter;
	bool slow = m->bytes * 1000000 < SLOW_BYTES * (uint64_t)m->waited;

	if (m->bytes >= SAMPLE_BYTES_MIN) {
		m->samples++;
		m->slow = slow && m->samples > 1 ? m->slow + 1 : 0;
	}
	m->bytes = 0;
	m->waited = 0;
	if (m->slow >= SLOW_SAMPLES && m->round_trip >= ROUND_TRIP_MIN)
		ask(s);
}

void session_note_read(struct imap_session *s, size_t n)
{
	struct link_meter *m = &s->meter;

	if (!is_measuring(s))
		return;
	if (!is_fetching(s)) {
		m->streaming = false;
		m->empty_since = 0;
	} else if (!n) {
		/* What is waited for before the first byte is the round trip, not the line. */
		if (m->streaming && !m->empty_since)
			m->empty_since = clock_us();
	} else {
		if (m->empty_since)
			m->waited += clock_us() - m->empty_since;
		m->empty_since = 0;
		if (m->streaming)
			m->bytes += n;
		m->streaming = true;
		if (m->bytes >= SAMPLE_BYTES || m->waited >= SAMPLE_US)
			end_sample(s);
	}
}
