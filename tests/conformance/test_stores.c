#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/conformance.h"
#include "tests/lib/support.h"

/* Every test below runs on each of these. */
static const struct store_under_test stores[] = {
	{ "maildir, fs", &maildir_store, "fs" },
	{ "maildir, maildir++", &maildir_store, "maildir++" },
};

static struct bench *bench_of(void **state)
{
	return *state;
}

/* Bodies that no real server sends, but that come back as they were. */
static const struct {
	const char *name;
	struct bytes body;
} corpus[] = {
#define BODY(n, s) { n, { (const uint8_t *)(s), sizeof(s) - 1 } }
	BODY("empty", ""),
	BODY("plain", "Subject: a\r\n\r\nb\r\n"),
	BODY("no final newline", "Subject: a\r\n\r\nb"),
	BODY("no line end at all", "Subject"),
	BODY("bare LF only", "Subject: a\n\nb\n"),
	BODY("mixed", "Subject: a\r\n\r\nb\nc\r\n"),
	BODY("bare LF first", "\nSubject: a\r\n"),
	BODY("CR CR LF", "Subject: a\r\r\n\r\nb\r\n"),
	BODY("only CR CR LF", "\r\r\n"),
	BODY("only CRLF", "\r\n"),
	BODY("only LF", "\n"),
	BODY("lone CR", "a\rb\r\nc\r"),
	BODY("only CR", "\r"),
	BODY("CR CR", "a\r\r"),
	BODY("NUL", "a\0b\r\n\0\r\n"),
	BODY("8 bit", "\x80\xff\xfe\r\n\xc3\xa4\r\n\xff"),
	BODY("LF CR", "a\n\rb\n\r"),
	BODY("CRLF then LF CR", "a\r\n\n\rb"),
};
#define CORPUS_N (sizeof(corpus) / sizeof(corpus[0]))

static void test_bytes_come_back_as_they_went_in(void **state)
{
	static const size_t pieces[] = { 0, 1, 2, 7 };
	struct bench *b = bench_of(state);

	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		struct mailbox *mb = bench_mailbox(b, "INBOX");
		struct gots got;

		for (size_t i = 0; i < CORPUS_N; i++) {
			struct put put = { .body = corpus[i].body, .piece = pieces[p] };

			assert_int_equal(bench_put(mb, (uint32_t)(p * 100 + i + 1), &put, NULL),
					 OUTCOME_DONE);
		}
		bench_commit(b);
		bench_reopen(b);
		bench_fetch_all(bench_find(b, "INBOX"), &got);
		assert_true(got.complete);
		assert_int_equal(got.n, (p + 1) * CORPUS_N);
		for (size_t i = 0; i < got.n; i++) {
			struct bytes want = corpus[i % CORPUS_N].body;

			if (!bytes_equal(buf_bytes(&got.v[i].body), want))
				fail_msg("%s changed", corpus[i % CORPUS_N].name);
			assert_int_equal(got.v[i].what, OUTCOME_DONE);
			assert_string_equal(buf_str(&got.v[i].date), PUT_DATE);
		}
		gots_release(&got);
	}
}

static void test_first_landing(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "a/b");
	const struct mailbox_info *info;
	struct mailbox_list list;
	struct changes c;

	assert_int_equal(bench_put_text(mb, 7, "x\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 7, "x\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 9, "y\r\n"), OUTCOME_DONE);
	bench_commit(b);
	bench_commit(b);
	bench_reopen(b);
	info = bench_info(b, "a/b", &list);
	assert_non_null(info);
	assert_int_equal(info->stored, 2);
	assert_false(info->touched);
	mailbox_list_release(&list);
	bench_changes(bench_find(b, "a/b"), &c);
	assert_true(c.complete);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.v[0].source_uid, 7);
	assert_int_equal(c.v[1].source_uid, 9);
	assert_int_equal(c.foreign, 0);
	changes_release(&c);
}

static int setup(void **state)
{
	const struct store_under_test *sut = *state;
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, sut);
	bench_open(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

#define FOR(sut, test) { #test, test, setup, teardown, (void *)(uintptr_t)(sut) }
#define ALL_TESTS(sut)                                                                     \
	FOR(sut, test_bytes_come_back_as_they_went_in), FOR(sut, test_first_landing)

int main(void)
{
	const struct CMUnitTest tests[] = { ALL_TESTS(&stores[0]), ALL_TESTS(&stores[1]) };

	return cmocka_run_group_tests_name("stores", tests, NULL, NULL);
}
