#include "core/imap/commands_watch.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/imap/loop.h"

/* RFC 2177 asks for 29 minutes at most; many routers forget a connection after 25. */
#define IDLE_MAX_MS (24 * 60 * 1000)

bool imap_event_from(const struct imap_response *r, struct imap_event *out)
{
	out->response = r;
	switch (r->type) {
	case IMAP_RESPONSE_EXISTS:
		out->kind = IMAP_EVENT_EXISTS;
		return true;
	case IMAP_RESPONSE_EXPUNGE:
	case IMAP_RESPONSE_VANISHED:
		out->kind = IMAP_EVENT_REMOVED;
		return true;
	case IMAP_RESPONSE_FETCH:
		out->kind = IMAP_EVENT_FLAGS;
		return true;
	case IMAP_RESPONSE_MAILBOX:
		out->kind = IMAP_EVENT_STATUS;
		return true;
	case IMAP_RESPONSE_LIST:
		out->kind = IMAP_EVENT_NAME;
		return true;
	case IMAP_RESPONSE_STATUS:
		out->kind = IMAP_EVENT_OVERFLOW;
		return r->u.status.code == IMAP_CODE_NOTIFICATIONOVERFLOW;
	default:
		return false;
	}
}

/* --- IDLE --- */

struct imap_idle {
	struct imap_session *session;
	bool ending; /* DONE as soon as the server is ready for it */
	imap_done_fn *done;
	void *ctx;
};

static int on_ready(void *ctx, struct bytes text, struct buf *answer, struct err *err)
{
	const struct imap_idle *idle = ctx;

	(void)text;
	(void)err;
	if (!idle->ending)
		return IMAP_CONTINUE_LATER;
	buf_add_str(answer, "DONE");
	return 0;
}

static void on_idle_done(void *ctx, const struct imap_result *result)
{
	struct imap_idle *idle = ctx;

	if (idle->done)
		idle->done(idle->ctx, result);
	free(idle);
}

int imap_idle(struct imap_session *s, imap_done_fn *done, void *ctx, struct imap_idle **out,
	      struct err *err)
{
	struct imap_idle *idle;
	struct imap_encoder e;

	if (command_needs(s, IMAP_CAP_IDLE, "IDLE", err) < 0 ||
	    command_needs_mailbox(s, "IDLE", err) < 0)
		return -1;
	idle = xcalloc(1, sizeof(*idle));
	idle->session = s;
	idle->done = done;
	idle->ctx = ctx;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "IDLE");
	if (command_submit(s, &e, &(struct imap_request){
		.flags = IMAP_REQUEST_ALONE | IMAP_REQUEST_IN_MAILBOX,
		.on_continue = on_ready,
		.handler = { .on_done = on_idle_done, .ctx = idle } }, err) < 0) {
		free(idle);
		return -1;
	}
	*out = idle;
	return 0;
}

void imap_idle_end(struct imap_idle *idle)
{
	if (!idle->ending)
		imap_session_continue(idle->session, bytes_of("DONE"));
	idle->ending = true;
}

struct idle_wait {
	struct waiter waiter; /* first */
	struct imap_idle *idle; /* NULL: over */
	bool enough;
	bool (*event)(void *ctx, const struct imap_event *ev);
	void *ctx;
};

static void on_news(void *ctx, const struct imap_response *r)
{
	struct idle_wait *w = ctx;
	struct imap_event ev;

	if (w->enough || !imap_event_from(r, &ev) || w->event(w->ctx, &ev))
		return;
	w->enough = true;
	if (w->idle)
		imap_idle_end(w->idle);
}

static void on_idle_over(void *ctx, const struct imap_result *result)
{
	struct idle_wait *w = ctx;

	w->idle = NULL;
	waiter_note(&w->waiter, result);
}

/* One IDLE, until enough happened or `until`. The session is closed when this fails. */
static int idle_once(struct idle_wait *w, int64_t until, struct err *err)
{
	struct loop *loop = imap_session_loop(w->waiter.session);
	struct err why;

	w->waiter.left = 1;
	if (imap_idle(w->waiter.session, on_idle_over, w, &w->idle, err) < 0)
		return -1;
	while (w->idle && !w->enough && clock_ms() < until) {
		if (loop_step(loop, until, &why) < 0) {
			imap_session_close(w->waiter.session, &why);
			*err = why;
			return -1;
		}
	}
	if (w->idle)
		imap_idle_end(w->idle);
	if (waiter_run(&w->waiter, err) < 0)
		return -1;
	if (w->waiter.outcome == IMAP_DONE_OK)
		return 0;
	*err = w->waiter.err;
	return -1;
}

int imap_idle_wait(struct imap_session *s, bool (*event)(void *ctx, const struct imap_event *ev),
		   void *ctx, int64_t until, struct err *err)
{
	struct idle_wait w = { .waiter.session = s, .event = event, .ctx = ctx };
	int ret;

	imap_session_listen(s, on_news, &w);
	do {
		int64_t pause = clock_ms() + IDLE_MAX_MS;

		ret = idle_once(&w, until < pause ? until : pause, err);
	} while (ret == 0 && !w.enough && clock_ms() < until);
	imap_session_listen(s, NULL, NULL);
	return ret;
}

/* --- NOTIFY --- */

static void encode_events(struct imap_encoder *e, const struct imap_notify_request *q)
{
	imap_encode_word(e, "SET");
	if (q->status && q->others)
		imap_encode_word(e, "STATUS");
	if (q->selected)
		imap_encode_word(e, "(SELECTED (MessageNew (UID FLAGS) MessageExpunge "
				    "FlagChange))");
	if (q->others)
		imap_encode_word(e, "(PERSONAL (MessageNew FlagChange MessageExpunge MailboxName "
				    "SubscriptionChange))");
}

int imap_notify_wait(struct imap_session *s, const struct imap_notify_request *request,
		     bool *accepted, struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;

	*accepted = false;
	if (!imap_session_has(s, IMAP_CAP_NOTIFY))
		return 0;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "NOTIFY");
	if (request->selected || request->others)
		encode_events(&e, request);
	else
		imap_encode_word(&e, "NONE");
	if (waiter_submit(&w, &e, &(struct imap_request){ .flags = IMAP_REQUEST_ALONE }, err) < 0 ||
	    waiter_run(&w, err) < 0)
		return -1;
	*accepted = w.outcome == IMAP_DONE_OK;
	return 0;
}
