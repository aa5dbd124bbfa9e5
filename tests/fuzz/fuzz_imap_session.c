/*
 * Hostile server, whole session: whatever it sends, and whatever the handlers do about it, each
 * command ends exactly once. 0x01 in the input stands for the tag prefix of this connection and
 * 0x02 moves on: the session writes, and the handlers' next deed is the byte behind it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "core/msgset/uidset.h"

struct run {
	struct imap_session *session;
	char prefix[8];
	uint8_t deed;
	unsigned submitted, ended;
};

static void on_written(void *ctx, struct transport *t, struct bytes written)
{
	struct run *run = ctx;

	(void)t;
	if (!run->prefix[0] && written.n > 6)
		memcpy(run->prefix, written.p, 6);
}

static void submit(struct run *run, unsigned what);

static void act(struct run *run)
{
	uint8_t deed = run->deed;
	struct err why;

	run->deed = 0;
	if (deed == 'c') {
		err_set(&why, ERR_RETRY, "enough");
		imap_session_close(run->session, &why);
	} else if (deed == 'p') {
		imap_session_pause(run->session, true);
	} else if (deed) {
		submit(run, deed);
	}
}

static void on_done(void *ctx, const struct imap_result *r)
{
	struct run *run = ctx;

	(void)r;
	run->ended++;
	act(run);
}

static void on_fetch(void *ctx, const struct imap_fetch *f)
{
	(void)f;
	act(ctx);
}

static void on_data(void *ctx, struct bytes piece)
{
	(void)piece;
	act(ctx);
}

static void on_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	(void)found;
	on_done(ctx, r);
}

static void on_status(void *ctx, const struct imap_mailbox_status *st, const struct imap_result *r)
{
	(void)st;
	on_done(ctx, r);
}

static void submit(struct run *run, unsigned what)
{
	const struct imap_fetch_sink sink = { .body_begin = on_fetch, .body_data = on_data,
					      .body_end = on_fetch, .message = on_fetch,
					      .done = on_done, .ctx = run };
	struct uidset set = UIDSET_INIT;
	struct err err;

	run->submitted++;
	uidset_add_range(&set, 1, 9);
	if (what % 5 == 0)
		imap_select(run->session, bytes_of("one"), true, on_done, run, &err);
	else if (what % 5 == 1)
		imap_fetch(run->session, &(struct imap_fetch_request){ .uids = &set,
			   .section = "" }, &sink, &err);
	else if (what % 5 == 2)
		imap_search(run->session, "ALL", NULL, on_found, run, &err);
	else if (what % 5 == 3)
		imap_status(run->session, bytes_of("one"), 1, on_status, run, &err);
	else
		imap_noop(run->session, on_done, run);
	uidset_release(&set);
}

/* Feed up to the next 0x02. Returns what is left. */
static struct bytes feed(struct run *run, struct transport *t, struct bytes in)
{
	while (in.n && in.p[0] != 2) {
		if (in.p[0] == 1)
			transport_memory_feed(t, bytes_of(run->prefix));
		else
			transport_memory_feed(t, bytes_from(in.p, 1));
		in = bytes_skip(in, 1);
	}
	if (in.n > 1)
		run->deed = in.p[1];
	return bytes_skip(in, in.n > 1 ? 2 : in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct imap_account account = { .name = "fuzz", .host = "mail.example",
					      .tls = IMAP_TLS_NONE, .user = "alice" };
	struct bytes in = bytes_from(data, size);
	struct run run = { .deed = 0 };
	struct loop *loop = loop_new(NULL, NULL);
	struct transport *t = transport_memory_new(on_written, &run);
	struct err err;

	transport_memory_feed(t, bytes_of("* PREAUTH [CAPABILITY IMAP4rev1 ESEARCH] hello\r\n"));
	run.session = imap_session_new_on(loop, &account, NULL, t);
	imap_session_open(run.session, &err);
	for (unsigned i = 0; i < 8; i++)
		submit(&run, i);
	while (in.n && imap_session_state(run.session) != IMAP_STATE_CLOSED) {
		loop_step(loop, clock_ms(), &err);
		if (imap_session_state(run.session) == IMAP_STATE_CLOSED)
			break;
		imap_session_pause(run.session, false);
		in = feed(&run, t, in);
		loop_step(loop, clock_ms(), &err);
	}
	imap_session_free(run.session);
	loop_free(loop);
	if (run.submitted != run.ended)
		abort();
	return 0;
}
