#include "core/imap/session.h"

#include <openssl/rand.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/sasl.h"
#include "core/imap/session_private.h"
#include "core/imap/transport.h"

#define COMMAND_MAX 65536
/* Timeouts that may pass without an answer while the server keeps sending. */
#define TALK_MAX 30
#define LOGIN_TALK_MAX 3
/* Far above what session_send.c fills in: one command and one piece of a message. */
#define OUTPUT_MAX ((size_t)1 << 22)

static struct imap_session *session_of(struct loop_member *m)
{
	return (struct imap_session *)m;
}

int64_t session_timeout(const struct imap_session *s)
{
	return s->account->timeout_ms ? s->account->timeout_ms : 60000;
}

bool session_is_private(const struct imap_session *s)
{
	return s->transport && (s->transport->is_private || s->transport->is_local);
}

/* --- the end --- */

static void lose_list(struct imap_session *s, struct command_list *list, const struct err *why)
{
	while (list->first) {
		struct command *c = list->first;

		command_list_remove(list, c);
		session_lose_command(s, c, why);
	}
}

void session_fail(struct imap_session *s, const struct err *why)
{
	static const struct err over = { .kind = ERR_RETRY, .text = "the session is over" };
	const struct err *told = why->kind ? &s->error : &over;

	if (s->state == IMAP_STATE_CLOSED)
		return;
	s->error = *why;
	s->state = IMAP_STATE_CLOSED;
	loop_remove(s->loop, &s->member);
	transport_free(s->transport);
	s->transport = NULL;
	s->sending = NULL;
	s->fetch_route = NULL;
	lose_list(s, &s->in_flight, told);
	lose_list(s, &s->setup, told);
	lose_list(s, &s->waiting, told);
}

void session_fail_text(struct imap_session *s, enum err_kind kind, const char *text)
{
	struct err err;

	err_set(&err, kind, "%s: %s", s->account->host, text);
	session_fail(s, &err);
}

void imap_session_close(struct imap_session *s, const struct err *why)
{
	session_fail(s, why);
}

/* --- the loop's view --- */

static bool waits_for_server(const struct imap_session *s)
{
	return s->in_flight.first || s->out.n || s->bye || !imap_session_is_ready(s);
}

/* A command lasts until we end it, and the server has nothing to say until then. */
static bool holds_open(const struct imap_session *s)
{
	for (const struct command *c = s->in_flight.first; c; c = c->next)
		if (c->held)
			return !s->out.n && !s->bye;
	return false;
}

/*
 * When to give up: after a silence, and on a server that talks without ever coming to the point.
 * "Still here" lines during a long search are to be taken seriously for a while.
 */
static int64_t silence_ends(const struct imap_session *s)
{
	int64_t timeout = session_timeout(s);
	int64_t silence = s->last_activity + timeout;
	int64_t idle_talk = s->last_progress +
			    timeout * (imap_session_is_ready(s) ? TALK_MAX : LOGIN_TALK_MAX);

	if (s->paused || !waits_for_server(s) || holds_open(s))
		return INT64_MAX;
	return silence < idle_talk ? silence : idle_talk;
}

static bool session_prepare(struct loop_member *m, struct pollfd *out, int64_t *deadline)
{
	struct imap_session *s = session_of(m);
	unsigned intent = s->paused ? 0 : TRANSPORT_READ;

	*deadline = silence_ends(s);
	if (!s->transport)
		/* failed while it was made: said in service(), where handlers may run */
		return true;
	if (s->state == IMAP_STATE_CONNECTING) {
		if (s->transport->wake_at && s->transport->wake_at < *deadline)
			*deadline = s->transport->wake_at;
	} else if (s->out.n || session_can_send(s)) {
		intent |= TRANSPORT_WRITE;
	}
	return transport_poll(s->transport, intent, out) || (s->unparsed && !s->paused);
}

static void session_service(struct loop_member *m, int64_t now)
{
	struct imap_session *s = session_of(m);
	struct err err;

	if (!s->transport) {
		err = s->error;
		session_fail(s, &err);
		return;
	}
	if (s->state == IMAP_STATE_CONNECTING)
		session_go_on_opening(s, now);
	if (session_is_streaming(s))
		session_read(s, now);
	session_write(s, now);
	if (s->state != IMAP_STATE_CLOSED && now >= silence_ends(s)) {
		err_set(&err, ERR_RETRY, "%s does not answer for %lld seconds", s->account->host,
			(long long)(now - s->last_progress) / 1000);
		session_fail(s, &err);
	}
}

static const struct loop_member_ops session_member = {
	.prepare = session_prepare,
	.service = session_service,
};

/* --- birth --- */

/* Nobody on the way can foresee a tag and answer in advance (S2). */
static void make_tag_prefix(struct imap_session *s)
{
	static const char letters[32] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
	uint8_t random[6] = { 0 };

	if (RAND_bytes(random, sizeof(random)) != 1)
		memcpy(random, &s, sizeof(random)); /* an address: better than a constant */
	for (size_t i = 0; i < sizeof(random); i++)
		s->tag_prefix[i] = letters[random[i] % 32];
}

static struct imap_session *session_alloc(struct loop *loop, const struct imap_account *account,
					  const struct imap_trace *trace)
{
	struct imap_session *s = xcalloc(1, sizeof(*s));

	s->member.ops = &session_member;
	s->loop = loop;
	s->account = account;
	if (trace)
		s->trace = *trace;
	s->in = xmalloc(SESSION_INPUT_SIZE);
	buf_init(&s->out, OUTPUT_MAX);
	make_tag_prefix(s);
	s->parser = imap_parser_new(s->tag_prefix);
	imap_caps_init(&s->caps);
	session_compress_init(s);
	s->last_activity = s->last_progress = clock_ms();
	loop_add(loop, &s->member);
	session_apply_quirks(s, bytes_from(NULL, 0));
	if (account->disable_extensions)
		imap_caps_disable(&s->caps, account->disable_extensions, &s->error);
	return s;
}

struct imap_session *imap_session_new_on(struct loop *loop, const struct imap_account *account,
					 const struct imap_trace *trace,
					 struct transport *transport)
{
	struct imap_session *s = session_alloc(loop, account, trace);

	if (s->error.kind)
		transport_free(transport);
	else
		s->transport = transport;
	return s;
}

struct imap_session *imap_session_new(struct loop *loop, const struct imap_account *account,
				      const struct imap_trace *trace)
{
	struct imap_session *s = session_alloc(loop, account, trace);
	const char *port = account->port ? account->port :
			   account->tls == IMAP_TLS_IMPLICIT ? "993" : "143";

	if (!s->error.kind)
		s->transport = account->tunnel ?
				       transport_tunnel_new(account->tunnel, &s->error) :
				       transport_tcp_new(account->host, port, session_timeout(s),
							 &s->error);
	if (s->transport && !account->tunnel && account->tls == IMAP_TLS_IMPLICIT)
		session_layer_tls(s);
	s->last_activity = s->last_progress = clock_ms(); /* the look-up has limits of its own */
	return s;
}

void imap_session_free(struct imap_session *s)
{
	if (!s)
		return;
	session_fail(s, &(struct err){ .kind = ERR_NONE });
	imap_parser_free(s->parser);
	imap_caps_release(&s->caps);
	sasl_free(s->sasl);
	mailbox_ref_drop(s->mailbox);
	mailbox_ref_drop(s->opening);
	mailbox_ref_drop(s->submitted);
	append_trust_release(&s->append_trust);
	buf_release_secret(&s->out);
	free(s->in);
	free(s->bye);
	free(s->last_alert);
	free(s);
}

/* --- what others ask --- */

static bool is_open_or_closed(void *ctx)
{
	const struct imap_session *s = ctx;

	return imap_session_is_ready(s) || s->state == IMAP_STATE_CLOSED;
}

static int closed_error(const struct imap_session *s, struct err *err)
{
	if (!s->error.kind)
		return err_set(err, ERR_RETRY, "%s: the session is over", s->account->host);
	*err = s->error;
	return -1;
}

int imap_session_open(struct imap_session *s, struct err *err)
{
	if (loop_run(s->loop, is_open_or_closed, s, err) < 0)
		return -1;
	return s->state == IMAP_STATE_CLOSED ? closed_error(s, err) : 0;
}

static bool is_drained(void *ctx)
{
	const struct imap_session *s = ctx;

	return !s->pending;
}

int imap_session_drain(struct imap_session *s, struct err *err)
{
	if (loop_run(s->loop, is_drained, s, err) < 0)
		return -1;
	return s->state == IMAP_STATE_CLOSED ? closed_error(s, err) : 0;
}

enum imap_state imap_session_state(const struct imap_session *s)
{
	return s->state;
}

const struct err *imap_session_error(const struct imap_session *s)
{
	return s->state == IMAP_STATE_CLOSED ? &s->error : NULL;
}

bool imap_session_is_ready(const struct imap_session *s)
{
	/* Before the capabilities are known nothing can be encoded. */
	return (s->state == IMAP_STATE_AUTHENTICATED || s->state == IMAP_STATE_SELECTED) &&
	       !imap_caps_unknown(&s->caps);
}

const struct imap_caps *imap_session_caps(const struct imap_session *s)
{
	return &s->caps;
}

const struct imap_mailbox *imap_session_mailbox(const struct imap_session *s)
{
	return s->mailbox ? &s->mailbox->state : NULL;
}

const struct imap_mailbox *imap_session_submitted(const struct imap_session *s)
{
	return s->submitted ? &s->submitted->state : NULL;
}

struct loop *imap_session_loop(const struct imap_session *s)
{
	return s->loop;
}

void imap_session_listen(struct imap_session *s,
			 void (*listener)(void *ctx, const struct imap_response *r), void *ctx)
{
	s->listener = listener;
	s->listener_ctx = ctx;
}

bool imap_session_enabled(const struct imap_session *s, enum imap_cap cap)
{
	return s->enabled >> cap & 1;
}

bool imap_session_utf8(const struct imap_session *s)
{
	return s->utf8;
}

enum imap_literals imap_session_literals(const struct imap_session *s)
{
	if (imap_session_has(s, IMAP_CAP_LITERAL_PLUS))
		return IMAP_LITERALS_PLUS;
	return imap_session_has(s, IMAP_CAP_LITERAL_MINUS) ? IMAP_LITERALS_MINUS :
							     IMAP_LITERALS_SYNC;
}

void imap_session_encoder(const struct imap_session *s, struct imap_encoder *e)
{
	imap_encoder_init(e, imap_session_literals(s), COMMAND_MAX);
}

enum imap_protocol imap_session_protocol(const struct imap_session *s)
{
	bool rev1 = imap_session_has(s, IMAP_CAP_IMAP4REV1);

	if (imap_session_enabled(s, IMAP_CAP_IMAP4REV2) ||
	    (!rev1 && imap_session_has(s, IMAP_CAP_IMAP4REV2)))
		return IMAP_PROTOCOL_REV2;
	return rev1 ? IMAP_PROTOCOL_REV1 : IMAP_PROTOCOL_IMAP4;
}

struct imap_limits imap_session_limits(const struct imap_session *s)
{
	return (struct imap_limits){
		.command_bytes = COMMAND_MAX,
		.set_bytes = imap_session_set_budget(s),
		.append_bytes = s->caps.append_limit,
		.messages = s->caps.message_limit,
	};
}

struct append_trust *imap_session_append_trust(struct imap_session *s)
{
	return &s->append_trust;
}

size_t imap_session_set_budget(const struct imap_session *s)
{
	/*
	 * Servers take 8,000 bytes a command and more, old ones 1,000 (RFC 2683, section 3.2.1.5;
	 * RFC 7162, section 4). The rest is room for what stands around the set.
	 */
	return imap_session_has(s, IMAP_CAP_CONDSTORE) ? 7600 : 700;
}

void imap_session_pause(struct imap_session *s, bool paused)
{
	if (s->paused && !paused)
		s->last_activity = s->last_progress = clock_ms();
	s->meter.empty_since = 0; /* the time is ours, not the line's */
	s->paused = paused;
}

struct imap_traffic imap_session_traffic(const struct imap_session *s)
{
	return s->traffic;
}
