#include "core/imap/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"

/* A signal that comes between asking `stop` and poll() is noticed after this long. */
#define STOP_POLL_MS 200

struct loop_slot {
	struct loop_member *member; /* NULL: left during this step */
	bool due;
	int64_t deadline;
};

struct loop {
	struct loop_slot *slots;
	struct pollfd *fds; /* one per slot */
	size_t n;
	size_t slots_cap;
	size_t fds_cap;
	bool serving;
	loop_stop_fn *stop;
	void *ctx;
};

struct loop *loop_new(loop_stop_fn *stop, void *ctx)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	loop->stop = stop;
	loop->ctx = ctx;
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(loop->n == 0);
	free(loop->slots);
	free(loop->fds);
	free(loop);
}

void loop_add(struct loop *loop, struct loop_member *m)
{
	loop->slots = xgrow(loop->slots, loop->n, &loop->slots_cap, sizeof(*loop->slots));
	loop->fds = xgrow(loop->fds, loop->n, &loop->fds_cap, sizeof(*loop->fds));
	loop->fds[loop->n] = (struct pollfd){ .fd = -1 };
	loop->slots[loop->n++] = (struct loop_slot){ .member = m, .deadline = INT64_MAX };
}

static void drop_empty_slots(struct loop *loop)
{
	size_t kept = 0;

	for (size_t i = 0; i < loop->n; i++)
		if (loop->slots[i].member)
			loop->slots[kept++] = loop->slots[i];
	loop->n = kept;
}

void loop_remove(struct loop *loop, struct loop_member *m)
{
	for (size_t i = 0; i < loop->n; i++)
		if (loop->slots[i].member == m)
			loop->slots[i].member = NULL;
	if (!loop->serving)
		drop_empty_slots(loop);
}

/* How long poll() may wait, in ms. */
static int prepare(struct loop *loop, int64_t deadline)
{
	int64_t now = clock_ms();
	int64_t wake = now + STOP_POLL_MS < deadline ? now + STOP_POLL_MS : deadline;

	for (size_t i = 0; i < loop->n; i++) {
		struct loop_slot *slot = &loop->slots[i];

		slot->deadline = INT64_MAX;
		loop->fds[i] = (struct pollfd){ .fd = -1 };
		slot->due = slot->member->ops->prepare(slot->member, &loop->fds[i],
						       &slot->deadline);
		if (slot->due)
			wake = now;
		else if (slot->deadline < wake)
			wake = slot->deadline;
	}
	return wake > now ? (int)(wake - now) : 0;
}

static void serve(struct loop *loop)
{
	int64_t now = clock_ms();
	size_t n = loop->n; /* who joins now is served in the next step */

	loop->serving = true;
	for (size_t i = 0; i < n; i++) {
		struct loop_slot *slot = &loop->slots[i];

		if (slot->member && (slot->due || loop->fds[i].revents || slot->deadline <= now))
			slot->member->ops->service(slot->member, now);
	}
	loop->serving = false;
	drop_empty_slots(loop);
}

int loop_step(struct loop *loop, int64_t deadline, struct err *err)
{
	int wait;

	assert(!loop->serving);
	if (loop->stop && loop->stop(loop->ctx))
		return err_set(err, ERR_STOPPED, "interrupted");
	wait = prepare(loop, deadline);
	if (poll(loop->fds, loop->n, wait) < 0) {
		if (errno == EINTR)
			return 0;
		return err_sys(err, ERR_FATAL, "poll");
	}
	serve(loop);
	return 0;
}

int loop_run(struct loop *loop, bool (*done)(void *ctx), void *ctx, struct err *err)
{
	while (!done(ctx))
		if (loop_step(loop, INT64_MAX, err) < 0)
			return -1;
	return 0;
}
