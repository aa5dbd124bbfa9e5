#include "core/base/clock.h"
#include "core/base/log.h"

#include "backends/imap/private.h"

/*
 * What core/imap/throttle.h understands as such. To halve such a command would only make it two.
 */
#define WAIT_MAX_MS ((int64_t)120000) /* named longer, the run ends and says when to come again */
#define WAIT_FIRST_MS ((int64_t)1000) /* where no time is named; doubled each time */
#define WAIT_UNNAMED_MAX_MS ((int64_t)60000)
#define TIMES_MAX 8

int throttle_check_wait(int64_t ms, const char *text, struct err *err)
{
	if (ms <= WAIT_MAX_MS)
		return 0;
	return err_set(err, ERR_RETRY, "the server asks to be left alone for %lld minutes; run "
		       "again after that (%s)", (long long)(ms + 59999) / 60000, text);
}

bool throttle_note(struct throttle *t, const struct imap_result *r)
{
	int64_t now = clock_ms(), ms;

	if (!r->throttled)
		return false;
	ms = r->retry_after_ms;
	/* Commands that were under way with one that was refused already say nothing new. */
	if (now >= t->until && t->times++ == TIMES_MAX)
		err_set(&t->why, ERR_RETRY, "the server asks to be left alone and does not say for "
			"how long; run again later (%s)", r->err->text);
	if (!ms) {
		ms = WAIT_FIRST_MS << (t->times ? t->times - 1 : 0);
		if (ms > WAIT_UNNAMED_MAX_MS)
			ms = WAIT_UNNAMED_MAX_MS;
	}
	throttle_check_wait(ms, r->err->text, &t->why);
	if (now + ms > t->until) {
		t->until = now + ms;
		log_info("the server asks to wait for %lld ms", (long long)ms);
	}
	return r->outcome != IMAP_DONE_OK;
}
