#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/err.h"
#include "core/imap/caps.h"

static struct imap_caps caps_of(const char *words, const char *disabled)
{
	struct imap_caps caps;
	struct err err;

	imap_caps_init(&caps);
	assert_int_equal(imap_caps_disable(&caps, disabled, &err), 0);
	imap_caps_set(&caps, bytes_of(words), true);
	return caps;
}

static void test_words_are_found_in_any_case(void **state)
{
	struct imap_caps caps = caps_of("imap4REV1 idle  X-Odd\tQuota QUOTA=RES-STORAGE", "");

	(void)state;
	assert_true(imap_caps_has(&caps, IMAP_CAP_IMAP4REV1));
	assert_true(imap_caps_has(&caps, IMAP_CAP_IDLE));
	assert_true(imap_caps_has(&caps, IMAP_CAP_QUOTA));
	assert_false(imap_caps_has(&caps, IMAP_CAP_MOVE));
	assert_false(imap_caps_has(&caps, IMAP_CAP_IMAP4REV2));
	imap_caps_release(&caps);
}

static void test_every_known_name_is_recognised(void **state)
{
	(void)state;
	for (int i = 0; i < IMAP_CAP_COUNT; i++) {
		struct imap_caps caps;

		assert_non_null(imap_cap_name((enum imap_cap)i));
		if (i == IMAP_CAP_BINARY_FETCH)
			continue; /* only implied */
		caps = caps_of(imap_cap_name((enum imap_cap)i), "");
		assert_true(imap_caps_has(&caps, (enum imap_cap)i));
		imap_caps_release(&caps);
	}
}

static void test_unknown_words_are_kept_as_text(void **state)
{
	struct imap_caps caps = caps_of("IMAP4rev1 XYZZY X-A=b", "");

	(void)state;
	assert_true(imap_caps_lists(&caps, "xyzzy"));
	assert_true(imap_caps_lists(&caps, "X-A=B"));
	assert_false(imap_caps_lists(&caps, "XYZ"));
	assert_string_equal(buf_str(&caps.text), "IMAP4rev1 XYZZY X-A=b");
	imap_caps_release(&caps);
}

/* P21 */
static void test_a_split_literal_plus_is_put_together(void **state)
{
	struct imap_caps caps = caps_of("IMAP4rev1 LITERAL + IDLE", "");

	(void)state;
	assert_true(imap_caps_has(&caps, IMAP_CAP_LITERAL_PLUS));
	assert_false(imap_caps_has(&caps, IMAP_CAP_LITERAL_MINUS));
	assert_true(imap_caps_has(&caps, IMAP_CAP_IDLE));
	imap_caps_set(&caps, bytes_of("LITERAL - IDLE"), true);
	assert_false(imap_caps_has(&caps, IMAP_CAP_LITERAL_PLUS));
	assert_true(imap_caps_has(&caps, IMAP_CAP_LITERAL_MINUS));
	imap_caps_release(&caps);
}

static void test_values_are_read(void **state)
{
	struct imap_caps caps =
		caps_of("APPENDLIMIT=35651584 MESSAGELIMIT=1000 SAVELIMIT=5 THREAD=REFS", "");

	(void)state;
	assert_true(imap_caps_has(&caps, IMAP_CAP_APPENDLIMIT));
	assert_true(caps.append_limit == 35651584);
	assert_true(imap_caps_has(&caps, IMAP_CAP_MESSAGELIMIT));
	assert_true(caps.message_limit == 1000);
	assert_true(imap_caps_has(&caps, IMAP_CAP_SAVELIMIT));
	assert_true(imap_caps_has(&caps, IMAP_CAP_THREAD));
	imap_caps_set(&caps, bytes_of("APPENDLIMIT MESSAGELIMIT=-1"), true);
	assert_true(imap_caps_has(&caps, IMAP_CAP_APPENDLIMIT));
	assert_true(caps.append_limit == 0);
	assert_true(caps.message_limit == 0);
	imap_caps_release(&caps);
}

static void test_mechanisms_are_found_in_any_case(void **state)
{
	struct imap_caps caps = caps_of("IMAP4rev1 auth=plain AUTH=SCRAM-SHA-256-PLUS", "");

	(void)state;
	assert_true(imap_caps_has_auth(&caps, "PLAIN"));
	assert_true(imap_caps_has_auth(&caps, "scram-sha-256-plus"));
	assert_false(imap_caps_has_auth(&caps, "SCRAM-SHA-256"));
	assert_false(imap_caps_has_auth(&caps, "LOGIN"));
	imap_caps_release(&caps);
}

static void test_imap4rev2_brings_what_it_implies(void **state)
{
	static const enum imap_cap implied[] = {
		IMAP_CAP_NAMESPACE,     IMAP_CAP_UNSELECT,      IMAP_CAP_UIDPLUS,
		IMAP_CAP_ESEARCH,       IMAP_CAP_SEARCHRES,     IMAP_CAP_ENABLE,
		IMAP_CAP_IDLE,          IMAP_CAP_SASL_IR,       IMAP_CAP_LIST_EXTENDED,
		IMAP_CAP_LIST_STATUS,   IMAP_CAP_MOVE,          IMAP_CAP_LITERAL_MINUS,
		IMAP_CAP_STATUS_SIZE,   IMAP_CAP_STATUS_DELETED, IMAP_CAP_BINARY_FETCH,
	};
	struct imap_caps caps = caps_of("IMAP4rev2", "");

	(void)state;
	for (size_t i = 0; i < sizeof(implied) / sizeof(implied[0]); i++)
		assert_true(imap_caps_has(&caps, implied[i]));
	assert_false(imap_caps_has(&caps, IMAP_CAP_BINARY));
	assert_false(imap_caps_has(&caps, IMAP_CAP_CONDSTORE));
	assert_false(imap_caps_has(&caps, IMAP_CAP_LITERAL_PLUS));
	/* As an answer to ENABLE it says nothing of the others. */
	imap_caps_set(&caps, bytes_of("IMAP4rev2 QRESYNC"), false);
	assert_false(imap_caps_has(&caps, IMAP_CAP_MOVE));
	assert_false(imap_caps_has(&caps, IMAP_CAP_CONDSTORE));
	assert_true(imap_caps_has(&caps, IMAP_CAP_QRESYNC));
	imap_caps_release(&caps);
}

static void test_qresync_implies_condstore_and_enable(void **state)
{
	struct imap_caps caps = caps_of("IMAP4rev1 QRESYNC", "");

	(void)state;
	assert_true(imap_caps_has(&caps, IMAP_CAP_CONDSTORE));
	assert_true(imap_caps_has(&caps, IMAP_CAP_ENABLE));
	imap_caps_release(&caps);
}

static void test_what_is_disabled_was_never_advertised(void **state)
{
	struct imap_caps caps = caps_of("IMAP4rev2 QRESYNC BINARY AUTH=PLAIN AUTH=LOGIN X",
					"qresync, MOVE BINARY,auth=plain");

	(void)state;
	assert_false(imap_caps_has(&caps, IMAP_CAP_QRESYNC));
	assert_false(imap_caps_has(&caps, IMAP_CAP_CONDSTORE)); /* only QRESYNC said so */
	assert_false(imap_caps_has(&caps, IMAP_CAP_MOVE));      /* nor by IMAP4rev2 */
	assert_false(imap_caps_has(&caps, IMAP_CAP_BINARY));
	assert_false(imap_caps_has(&caps, IMAP_CAP_BINARY_FETCH));
	assert_true(imap_caps_has(&caps, IMAP_CAP_UIDPLUS));
	assert_false(imap_caps_has_auth(&caps, "PLAIN"));
	assert_true(imap_caps_has_auth(&caps, "LOGIN"));
	/* The mask stays when capabilities are learned anew. */
	imap_caps_clear(&caps);
	imap_caps_set(&caps, bytes_of("MOVE CONDSTORE"), true);
	assert_false(imap_caps_has(&caps, IMAP_CAP_MOVE));
	assert_true(imap_caps_has(&caps, IMAP_CAP_CONDSTORE));
	imap_caps_release(&caps);
}

static void test_disabling_an_unknown_name_is_an_error(void **state)
{
	struct imap_caps caps;
	struct err err;

	(void)state;
	imap_caps_init(&caps);
	assert_int_equal(imap_caps_disable(&caps, "MOVE, QRSYNC", &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, "QRSYNC"));
	assert_int_equal(imap_caps_disable(&caps, "AUTH=", &err), -1);
	assert_int_equal(imap_caps_disable(&caps, " , ", &err), 0);
	imap_caps_release(&caps);
}

static void test_nothing_is_known_before_the_first_and_after_a_reset(void **state)
{
	struct imap_caps caps;

	(void)state;
	imap_caps_init(&caps);
	assert_true(imap_caps_unknown(&caps));
	imap_caps_set(&caps, bytes_of("IMAP4rev1 APPENDLIMIT=5"), true);
	assert_false(imap_caps_unknown(&caps));
	imap_caps_clear(&caps); /* S7 */
	assert_true(imap_caps_unknown(&caps));
	assert_false(imap_caps_has(&caps, IMAP_CAP_IMAP4REV1));
	assert_true(caps.append_limit == 0);
	imap_caps_release(&caps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_are_found_in_any_case),
		cmocka_unit_test(test_every_known_name_is_recognised),
		cmocka_unit_test(test_unknown_words_are_kept_as_text),
		cmocka_unit_test(test_a_split_literal_plus_is_put_together),
		cmocka_unit_test(test_values_are_read),
		cmocka_unit_test(test_mechanisms_are_found_in_any_case),
		cmocka_unit_test(test_imap4rev2_brings_what_it_implies),
		cmocka_unit_test(test_qresync_implies_condstore_and_enable),
		cmocka_unit_test(test_what_is_disabled_was_never_advertised),
		cmocka_unit_test(test_disabling_an_unknown_name_is_an_error),
		cmocka_unit_test(test_nothing_is_known_before_the_first_and_after_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
