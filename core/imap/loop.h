#ifndef CORE_IMAP_LOOP_H
#define CORE_IMAP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct loop_member;
struct pollfd;

/*
 * One thread, one poll(): everything that waits for a socket or a moment is a member. Members are
 * called in turn whenever they can go on, so none starves another.
 */
struct loop_member_ops {
	/*
	 * Say what to wait for: *out (fd -1: no descriptor), *deadline in clock_ms() time (left
	 * alone: none). Returns true when there is something to do at once. Changes nothing.
	 */
	bool (*prepare)(struct loop_member *m, struct pollfd *out, int64_t *deadline);
	/* The descriptor is ready, the deadline has come, or prepare() said so. */
	void (*service)(struct loop_member *m, int64_t now);
};

/* Embedded in what takes part. */
struct loop_member {
	const struct loop_member_ops *ops;
};

/* Polled between waits, at least five times a second: true ends loop_run() with ERR_STOPPED. */
typedef bool loop_stop_fn(void *ctx);

/* `stop` may be NULL. */
struct loop *loop_new(loop_stop_fn *stop, void *ctx);
void loop_free(struct loop *loop); /* NULL is allowed; members must have left */

void loop_add(struct loop *loop, struct loop_member *m);
/* May be called from within service(), also for another member. */
void loop_remove(struct loop *loop, struct loop_member *m);

/*
 * Wait once, at most until `deadline`, and serve who is ready. 0, or -1 (ERR_STOPPED, ERR_FATAL).
 */
int loop_step(struct loop *loop, int64_t deadline, struct err *err);

/*
 * Run until `done` says so. -1 (ERR_STOPPED) leaves everything as it is: calling again goes on. Not
 * to be called from within service().
 */
int loop_run(struct loop *loop, bool (*done)(void *ctx), void *ctx, struct err *err);

#endif
