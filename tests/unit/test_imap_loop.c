#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/imap/loop.h"

struct counter {
	struct loop_member member;
	struct loop *loop;
	struct counter *victim; /* removed when this one is served */
	unsigned served;
};

static bool always(struct loop_member *m, struct pollfd *out, int64_t *deadline)
{
	(void)m;
	(void)out;
	(void)deadline;
	return true;
}

static bool never(struct loop_member *m, struct pollfd *out, int64_t *deadline)
{
	(void)m;
	(void)out;
	(void)deadline;
	return false;
}

static void serve(struct loop_member *m, int64_t now)
{
	struct counter *c = (struct counter *)m;

	(void)now;
	c->served++;
	if (c->victim)
		loop_remove(c->loop, &c->victim->member);
}

static const struct loop_member_ops busy = { always, serve }, idle = { never, serve };

static void test_members_may_leave_while_others_are_served(void **state)
{
	struct loop *loop = loop_new(NULL, NULL);
	struct counter c[4];
	struct err err;

	(void)state;
	for (int i = 0; i < 4; i++) {
		c[i] = (struct counter){ .member.ops = &busy, .loop = loop };
		loop_add(loop, &c[i].member);
	}
	c[1].victim = &c[0]; /* served already */
	c[2].victim = &c[2]; /* itself */
	assert_int_equal(loop_step(loop, INT64_MAX, &err), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(c[i].served, 1);
	c[1].victim = &c[3]; /* not served yet */
	assert_int_equal(loop_step(loop, INT64_MAX, &err), 0);
	assert_true(c[0].served == 1 && c[1].served == 2 && c[2].served == 1 && c[3].served == 1);
	loop_remove(loop, &c[1].member);
	loop_free(loop);
}

static bool is_time(void *ctx)
{
	return clock_ms() >= *(int64_t *)ctx;
}

static bool never_done(void *ctx)
{
	(void)ctx;
	return false;
}

static void test_stop_is_noticed_soon_though_nothing_happens(void **state)
{
	int64_t stop_at = clock_ms() + 30, started = clock_ms();
	struct loop *loop = loop_new(is_time, &stop_at);
	struct counter c = { .member.ops = &idle, .loop = loop };
	struct err err;

	(void)state;
	loop_add(loop, &c.member);
	assert_int_equal(loop_run(loop, never_done, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
	assert_true(clock_ms() - started < 2000);
	assert_int_equal(c.served, 0);
	loop_remove(loop, &c.member);
	loop_free(loop);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void test_a_signal_is_no_failure(void **state)
{
	const struct itimerval soon = { .it_value.tv_usec = 20000 };
	struct sigaction act = { .sa_handler = on_signal }, before;
	struct loop *loop = loop_new(NULL, NULL);
	int64_t started = clock_ms();
	struct err err;

	(void)state;
	sigaction(SIGALRM, &act, &before);
	setitimer(ITIMER_REAL, &soon, NULL);
	while (clock_ms() < started + 60)
		assert_int_equal(loop_step(loop, started + 60, &err), 0);
	sigaction(SIGALRM, &before, NULL);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members_may_leave_while_others_are_served),
		cmocka_unit_test(test_stop_is_noticed_soon_though_nothing_happens),
		cmocka_unit_test(test_a_signal_is_no_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
