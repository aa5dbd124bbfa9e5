#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/quirks.h"
#include "core/imap/throttle.h"
#include "core/imap/transport.h"
#include "tests/lib/imap_play.h"

#define CYRUS "localhost Cyrus IMAP 3.6.1-Debian-3.6.1-4 server ready"
#define EXCHANGE "The Microsoft Exchange IMAP4 service is ready. [QgBO]"

static void test_what_a_server_is_known_not_to_do_is_not_asked_of_it(void **state)
{
	static const struct {
		const char *host, *greeting;
		enum imap_cap cap;
		bool used;
	} cases[] = {
		{ "imap.mail.me.com", "hello", IMAP_CAP_QRESYNC, false },
		{ "P105-IMAP.Mail.Me.Com.", "hello", IMAP_CAP_QRESYNC, false },
		{ "imap.mail.icloud.com", "hello", IMAP_CAP_QRESYNC, false },
		{ "imap.mail.me.com", "hello", IMAP_CAP_CONDSTORE, true },
		{ "imap.mail.me.com", "hello", IMAP_CAP_MOVE, true },
		{ "notmail.me.com", "hello", IMAP_CAP_QRESYNC, true },
		{ "mail.me.com.example", "hello", IMAP_CAP_QRESYNC, true },
		{ "imap.gmail.com", "hello", IMAP_CAP_MOVE, false },
		{ "imap.googlemail.com", "hello", IMAP_CAP_MOVE, false },
		{ "imap.gmail.com", "hello", IMAP_CAP_CONDSTORE, true },
		{ "outlook.office365.com", EXCHANGE, IMAP_CAP_MOVE, false },
		{ "mail.example", EXCHANGE, IMAP_CAP_IMAP4REV2, false },
		{ "mail.example", EXCHANGE, IMAP_CAP_QRESYNC, true },
		{ "mail.example", CYRUS, IMAP_CAP_STATUS_MAILBOXID, false },
		{ "mail.example", CYRUS, IMAP_CAP_OBJECTID, true },
		{ "mail.example", "hello", IMAP_CAP_STATUS_MAILBOXID, true },
		{ "mail.example", "hello", IMAP_CAP_IMAP4REV2, true },
		{ "mail.example", "hello", IMAP_CAP_QRESYNC, true },
		{ "mail.example", "hello", IMAP_CAP_MOVE, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_account a = { .name = "test", .host = cases[i].host,
					  .tls = IMAP_TLS_NONE, .user = "alice",
					  .timeout_ms = 2000 };
		struct buf script = BUF_INIT(4096);
		struct loop *loop = loop_new(NULL, NULL);
		struct imap_session *s;
		struct imap_play *p;
		struct err err = { 0 };

		buf_addf(&script, "S: * PREAUTH [CAPABILITY IMAP4rev1 IMAP4rev2 CONDSTORE QRESYNC "
			 "MOVE OBJECTID] %s\n", cases[i].greeting);
		p = play_new(buf_str(&script));
		s = imap_session_new_on(loop, &a, NULL, play_transport(p));
		if (imap_session_open(s, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		if (imap_session_has(s, cases[i].cap) != cases[i].used)
			fail_msg("case %zu: %s", i, imap_cap_name(cases[i].cap));
		imap_session_free(s);
		loop_free(loop);
		play_finish(p);
		buf_release(&script);
	}
}

static void test_every_row_says_why_and_names_what_exists(void **state)
{
	static const char *const hosts[] = { "mail.me.com", "mail.icloud.com", "imap.gmail.com",
					     "imap.googlemail.com" };
	size_t rows = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const struct imap_quirk *q;
		size_t at = 0;

		while ((q = imap_quirk_next(hosts[i], bytes_of(EXCHANGE), &at))) {
			struct imap_caps caps;
			struct err err = { 0 };

			imap_caps_init(&caps);
			assert_int_equal(imap_caps_disable(&caps, q->disable, &err), 0);
			assert_true(caps.disabled != 0 && strlen(q->why) > 10);
			imap_caps_release(&caps);
			rows += q->host != NULL || i == 0;
		}
	}
	assert_int_equal(rows, 5); /* every row of the table was met */
}

static void test_limits_are_known_by_host_or_capability(void **state)
{
	static const struct {
		const char *host, *caps;
		uint32_t messages;
		bool limit, always;
	} cases[] = {
		{ "imap.gmail.com", "IMAP4rev1", 1000, true, false },
		{ "imap.gmail.com", "IMAP4rev1", 10000, true, false },
		{ "imap.gmail.com", "IMAP4rev1", 1001, false, false },
		{ "imap.gmail.com", "IMAP4rev1", 0, false, false },
		{ "127.0.0.1", "IMAP4rev1 X-GM-EXT-1", 5000, true, false },
		{ "imap.mail.yahoo.com", "IMAP4rev1", 10000, true, true },
		{ "imap.mail.yahoo.com", "IMAP4rev1", 1000, false, false },
		{ "export.imap.mail.yahoo.com", "IMAP4rev1 XYMHIGHESTMODSEQ", 10000, false, false },
		{ "export.imap.mail.yahoo.com", "IMAP4rev1 XYMHIGHESTMODSEQ", 100000, true, true },
		{ "127.0.0.1", "IMAP4rev1 XYMHIGHESTMODSEQ", 10000, true, true },
		{ "imap.aol.com", "IMAP4rev1", 10000, true, true },
		{ "imap.example.org", "IMAP4rev1", 10000, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_caps caps;
		const struct imap_limit *l;

		imap_caps_init(&caps);
		imap_caps_set(&caps, bytes_of(cases[i].caps), true);
		l = imap_limit_find(cases[i].host, &caps, cases[i].messages);
		if ((l != NULL) != cases[i].limit || (l && l->always != cases[i].always))
			fail_msg("case %zu", i);
		imap_caps_release(&caps);
	}
	assert_int_equal(imap_quirk_connections("imap.gmail.com"), 15);
	assert_int_equal(imap_quirk_connections("imap.example.org"), 0);
}

static void keep_result(void *ctx, const struct imap_result *r)
{
	struct imap_result *kept = ctx;

	*kept = *r;
	if (r->outcome != IMAP_DONE_OK) {
		assert_int_equal(r->err->retry_after_ms, r->retry_after_ms);
		if (r->throttled)
			assert_int_equal(r->err->kind, ERR_RETRY);
	}
}

static void test_a_server_that_wants_to_be_left_alone_is_understood(void **state)
{
	static const struct {
		const char *answer;
		bool throttled;
		int64_t ms;
	} cases[] = {
		{ "OK done", false, 0 },
		{ "NO no", false, 0 },
		{ "OK Success [THROTTLED]", true, 0 },
		{ "NO [THROTTLED] slow down", true, 0 },
		{ "BAD Request is throttled. Suggested Backoff Time: 29951 milliseconds", true, 29951 },
		{ "NO Server Busy. suggested backoff time: 1 milliseconds", true, 1 },
		{ "NO Suggested Backoff Time: 99999999999999999999999 milliseconds", true,
		  (int64_t)24 * 60 * 60 * 1000 },
		{ "NO Suggested Backoff Time: 86400001 milliseconds", true, (int64_t)24 * 60 * 60 * 1000 },
		{ "NO Suggested Backoff Time: soon", false, 0 },
		{ "NO Suggested Backoff Time: ", false, 0 },
		{ "NO Suggested Backoff Time:", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_account a = { .name = "test", .host = "mail.example",
					  .tls = IMAP_TLS_NONE, .user = "alice",
					  .timeout_ms = 2000 };
		struct loop *loop = loop_new(NULL, NULL);
		struct imap_result result = { 0 };
		struct buf script = BUF_INIT(4096);
		struct imap_encoder e;
		struct imap_session *s;
		struct imap_play *p;
		struct err err = { 0 };

		buf_addf(&script, "S: * PREAUTH [CAPABILITY IMAP4rev1] hi\nC: a NOOP\nS: a %s\n",
			 cases[i].answer);
		p = play_new(buf_str(&script));
		s = imap_session_new_on(loop, &a, NULL, play_transport(p));
		assert_int_equal(imap_session_open(s, &err), 0);
		imap_session_encoder(s, &e);
		imap_encode_word(&e, "NOOP");
		assert_int_equal(imap_encoder_finish(&e, &err), 0);
		imap_session_submit(s, &(struct imap_request){
			.command = &e, .handler = { .on_done = keep_result, .ctx = &result } });
		imap_session_drain(s, &err);
		if (result.throttled != cases[i].throttled || result.retry_after_ms != cases[i].ms)
			fail_msg("case %zu: %lld ms", i, (long long)result.retry_after_ms);
		imap_session_free(s);
		loop_free(loop);
		play_finish(p);
		buf_release(&script);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_server_is_known_not_to_do_is_not_asked_of_it),
		cmocka_unit_test(test_limits_are_known_by_host_or_capability),
		cmocka_unit_test(test_every_row_says_why_and_names_what_exists),
		cmocka_unit_test(test_a_server_that_wants_to_be_left_alone_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
