#include <assert.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/loop.h"

#include "backends/imap/private.h"

/* Pieces of work queued on one connection: the server has the next ones when it ends one. */
#define DEPTH_MAX 4

/* How long a goodbye may take. */
#define LOGOUT_MS 3000

static const int64_t backoff_ms[] = { 200, 1000, 3000 };
#define LOSSES_MAX (sizeof(backoff_ms) / sizeof(backoff_ms[0]))

int64_t pool_backoff_ms(unsigned losses)
{
	return losses < LOSSES_MAX ? backoff_ms[losses] : -1;
}

static struct connection *connection_new(struct imap_store *st)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	c->session = imap_session_new(st->loop, st->account, &st->trace);
	return c;
}

void connection_free(struct connection *c)
{
	imap_session_free(c->session); /* tells its work that it is lost */
	free(c);
}

static struct connection *add_connection(struct imap_store *st)
{
	assert(st->n < CONNECTIONS_MAX);
	st->conn[st->n] = connection_new(st);
	return st->conn[st->n++];
}

static struct connection *take_connection(struct imap_store *st, size_t i)
{
	struct connection *c = st->conn[i];

	for (size_t at = i + 1; at < st->n; at++)
		st->conn[at - 1] = st->conn[at];
	st->n--;
	return c;
}

static void remove_connection(struct imap_store *st, size_t i)
{
	connection_free(take_connection(st, i));
}

struct connection *pool_take(struct imap_store *st)
{
	for (size_t i = 0; i < st->n; i++)
		if (!st->conn[i]->load && imap_session_is_ready(st->conn[i]->session))
			return take_connection(st, i);
	return connection_new(st);
}

void pool_give_back(struct imap_store *st, struct connection *c)
{
	if (st->n == CONNECTIONS_MAX) {
		connection_free(c);
		return;
	}
	st->conn[st->n++] = c;
}

static bool is_closed(const struct connection *c)
{
	return imap_session_state(c->session) == IMAP_STATE_CLOSED;
}

void pool_drop_busy(struct imap_store *st)
{
	for (size_t i = st->n; i-- > 0;)
		if (st->conn[i]->load || !imap_session_is_ready(st->conn[i]->session))
			remove_connection(st, i);
}

static void say_logout(struct connection *c)
{
	struct imap_encoder e;
	struct err never;

	imap_session_encoder(c->session, &e);
	imap_encode_word(&e, "LOGOUT");
	if (imap_encoder_finish(&e, &never) == 0)
		imap_session_submit(c->session, &(struct imap_request){
			.command = &e, .flags = IMAP_REQUEST_LOGOUT });
}

static bool all_closed(const struct imap_store *st)
{
	for (size_t i = 0; i < st->n; i++)
		if (!is_closed(st->conn[i]))
			return false;
	return true;
}

void pool_close(struct imap_store *st)
{
	int64_t deadline = clock_ms() + LOGOUT_MS;
	struct err ignored;

	pool_drop_busy(st);
	for (size_t i = 0; i < st->n; i++)
		say_logout(st->conn[i]);
	/* A matter of manners: the server has nothing of ours that could be lost. */
	while (!all_closed(st) && clock_ms() < deadline)
		if (loop_step(st->loop, deadline, &ignored) < 0)
			break;
	while (st->n)
		remove_connection(st, st->n - 1);
}

int pool_one(struct imap_store *st, struct connection **out, struct err *err)
{
	struct connection *c;

	for (size_t i = st->n; i-- > 0;)
		if (is_closed(st->conn[i]))
			remove_connection(st, i);
	for (size_t i = 0; i < st->n; i++)
		if (imap_session_is_ready(st->conn[i]->session)) {
			*out = st->conn[i];
			return 0;
		}
	c = add_connection(st);
	if (imap_session_open(c->session, err) < 0) {
		remove_connection(st, st->n - 1);
		return -1;
	}
	c->was_ready = true;
	st->utf8 = imap_session_utf8(c->session);
	*out = c;
	return 0;
}

/* Lost lines: how many in a row without progress, and what was said last. */
struct retry {
	unsigned losses;
	uint64_t progress;
	int64_t not_before; /* when to connect again */
	struct err why;
};

/*
 * Remove what is closed. One that never got ready beside others that work is no loss: the server
 * grants no more.
 */
static bool reap(struct imap_store *st, struct retry *retry)
{
	bool lost = false;

	for (size_t i = st->n; i-- > 0;) {
		struct connection *c = st->conn[i];
		const struct err *why = imap_session_error(c->session);

		c->was_ready |= imap_session_is_ready(c->session);
		if (!why)
			continue;
		if (c->was_ready || st->n == 1) {
			retry->why = *why;
			lost = true;
		} else {
			st->most = st->n - 1;
			log_info("%s: goes on with %zu connections: %s", st->account->name,
				 st->most, why->text);
		}
		remove_connection(st, i);
	}
	return lost;
}

/* After a loss: wait before the next try, unless it was tried often enough. */
static int note_loss(struct imap_store *st, struct retry *retry, struct err *err)
{
	int64_t wait;

	if (retry->why.kind == ERR_NONE)
		err_set(&retry->why, ERR_RETRY, "the server ended the session");
	if (retry->why.kind != ERR_RETRY || retry->losses == LOSSES_MAX) {
		*err = retry->why;
		return -1;
	}
	log_info("%s: connecting again: %s", st->account->name, retry->why.text);
	wait = retry->why.retry_after_ms;
	if (throttle_check_wait(wait, retry->why.text, err) < 0)
		return -1;
	if (wait < backoff_ms[retry->losses])
		wait = backoff_ms[retry->losses];
	retry->losses++;
	retry->not_before = clock_ms() + wait;
	return 0;
}

static bool any_ready(const struct imap_store *st)
{
	for (size_t i = 0; i < st->n; i++)
		if (imap_session_is_ready(st->conn[i]->session))
			return true;
	return false;
}

/* Give every connection something before any has much. */
static void feed(struct imap_store *st, struct pool_job *job)
{
	if (clock_ms() < st->throttle.until)
		return;
	for (unsigned depth = 1; depth <= DEPTH_MAX; depth++)
		for (size_t i = 0; i < st->n; i++) {
			struct connection *c = st->conn[i];

			if (c->load < depth && !c->alone && imap_session_is_ready(c->session))
				job->feed(job->ctx, c);
		}
}

/* Connections the job can use, those lost before included, once it is time. */
static void open_more(struct imap_store *st, const struct pool_job *job, const struct retry *retry)
{
	if (clock_ms() < retry->not_before)
		return;
	if (!st->n)
		add_connection(st);
	while (st->n < st->most && any_ready(st) && job->wants(job->ctx) > st->n)
		add_connection(st);
}

/* When there is something to do though nothing comes. */
static int64_t wake_at(const struct imap_store *st, const struct retry *retry)
{
	if (!st->n)
		return retry->not_before;
	return clock_ms() < st->throttle.until ? st->throttle.until : INT64_MAX;
}

int pool_run(struct imap_store *st, struct pool_job *job, struct err *err)
{
	struct retry retry = { .progress = job->progress };

	while (!job->done(job->ctx)) {
		if (job->progress != retry.progress) {
			retry.progress = job->progress;
			retry.losses = 0;
			if (clock_ms() >= st->throttle.until)
				st->throttle.times = 0;
		}
		if (reap(st, &retry) && note_loss(st, &retry, err) < 0)
			return -1;
		if (st->throttle.why.kind == ERR_RETRY) {
			*err = st->throttle.why;
			return -1;
		}
		open_more(st, job, &retry);
		feed(st, job);
		if (job->done(job->ctx))
			break;
		if (loop_step(st->loop, wake_at(st, &retry), err) < 0)
			return -1;
	}
	return 0;
}
