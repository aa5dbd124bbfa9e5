#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/report.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/sync/job.h"
#include "tests/lib/support.h"

static void test_sizes_are_short(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} cases[] = {
		{ 0, "0 B" },		  { 999, "999 B" },	  { 1000, "1.0 kB" },
		{ 999949, "999.9 kB" },	  { 999950, "1.0 MB" },	  { 20971520, "21.0 MB" },
		{ 5000000000, "5.0 GB" }, { UINT64_MAX, "18446744.1 TB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_INIT(64);

		report_bytes(&b, cases[i].bytes);
		assert_string_equal(buf_str(&b), cases[i].want);
		buf_release(&b);
	}
}

static void test_the_progress_line_says_how_far_and_how_long(void **state)
{
	static const struct {
		struct job_progress now;
		int64_t ms;
		const char *want;
	} cases[] = {
		{ { .phase = JOB_LIST }, 100, "j: listing mailboxes" },
		{ { .phase = JOB_TRANSFER, .messages = 5, .bytes = 1500 }, 100,
		  "j: fetching 5 messages, 1.5 kB" },
		{ { .phase = JOB_RESTORE, .messages = 5, .messages_total = 6 }, 100,
		  "j: restoring 5/6 messages, 0 B" },
		{ { .phase = JOB_TRANSFER, .messages = 50, .messages_total = 100, .bytes = 4000000,
		    .mailbox = "In\033[2Jbox" },
		  4000,
		  "j: fetching 50/100 messages, 4.0 MB, 1.0 MB/s, 4 s left, In\\x1B[2Jbox" },
		{ { .phase = JOB_TRANSFER, .messages = 10, .messages_total = 1000, .bytes = 0 },
		  10000,
		  "j: fetching 10/1000 messages, 0 B, 0 B/s, 17 min left" },
		{ { .phase = JOB_TRANSFER, .messages = 1, .messages_total = 1000, .bytes = 0 },
		  10000,
		  "j: fetching 1/1000 messages, 0 B, 0 B/s, 2 h 46 min left" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_INIT(1024);

		progress_text(&b, "j", &cases[i].now, cases[i].ms);
		assert_string_equal(buf_str(&b), cases[i].want);
		buf_release(&b);
	}
}

/* What report_job() writes to a file descriptor that is no terminal. */
static void capture(const struct app *app, struct job_report *r, const struct err *err,
		    enum exit_status status, bool dry_run, struct buf *out, struct buf *errors)
{
	const struct job_settings job = { .name = "nightly", .dry_run = dry_run,
					  .again = "mailcask backup nightly",
					  .target_config.path = r->n_counts ? NULL : "STORE" };
	char *out_path = path_join(tmp_dir(), "out"), *err_path = path_join(tmp_dir(), "err");
	int saved_out, saved_err;

	fflush(stdout);
	fflush(stderr);
	saved_out = dup(STDOUT_FILENO);
	saved_err = dup(STDERR_FILENO);
	assert_non_null(freopen(out_path, "w", stdout));
	assert_non_null(freopen(err_path, "w", stderr));
	report_job(app, &job, r, err, status, 1500);
	fflush(stdout);
	fflush(stderr);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
	buf_init(out, 1 << 16);
	buf_init(errors, 1 << 16);
	read_file(out_path, out);
	read_file(err_path, errors);
	free(out_path);
	free(err_path);
}

static void assert_report(const struct app *app, struct job_report *r, const struct err *err,
			  enum exit_status status, bool dry_run, const char *want_out,
			  const char *want_err)
{
	struct buf out, errors;

	capture(app, r, err, status, dry_run, &out, &errors);
	assert_string_equal(buf_str(&out), want_out);
	assert_string_equal(buf_str(&errors), want_err);
	buf_release(&out);
	buf_release(&errors);
}

static char inbox[] = "INBOX", evil[] = "a\033b", why[] = "why", scope_note[] = "A note.";

static void test_without_a_terminal_success_is_silent(void **state)
{
	struct job_mailbox v[] = { { .name = inbox, .new_messages = 3 } };
	char *notes[] = { scope_note };
	struct job_report r = { .v = v, .n = 1, .new_messages = 3, .notes = notes, .n_notes = 1 };
	struct app app = { 0 }, talkative = { .verbose = 1 };
	struct err none = { 0 };

	(void)state;
	assert_report(&app, &r, &none, EXIT_DONE, false, "", "");
	assert_report(&app, &r, &none, EXIT_DONE, true,
		      "  INBOX                           3 new\n"
		      "nightly: would do: 3 new in 1 mailbox\n",
		      "mailcask: nightly: A note.\n");
	assert_report(&talkative, &r, &none, EXIT_DONE, false,
		      "  INBOX                           3 new\nnightly: 3 new in 1 "
		      "mailbox (1.5 s)\n",
		      "mailcask: nightly: A note.\n");
}

static void test_what_is_wrong_is_told_with_what_to_do(void **state)
{
	struct quarantined q = { .uid = 7, .attempts = 2, .reason = why };
	struct job_mailbox v[] = {
		{ .name = evil, .problem = why, .skipped = true },
		{ .name = inbox, .quarantined = 1, .quarantine = &q },
	};
	struct job_report r = { .v = v, .n = 2, .held = true, .deletes_shown = 120 };
	struct app app = { 0 };
	struct err none = { 0 }, lost = { .kind = ERR_RETRY, .text = "line lost." };

	(void)state;
	assert_report(&app, &r, &none, EXIT_HELD, false, "",
		      "mailcask: nightly: a\\x1Bb: skipped: why\n"
		      "mailcask: nightly: INBOX: message with UID 7 could not be stored "
		      "(2 attempts): "
		      "why\n"
		      "mailcask: nightly: such messages are tried again later, at growing intervals. "
		      "If you can do without: mailcask quarantine nightly accept UID\n"
		      "mailcask: nightly: 120 messages that are gone at the source were "
		      "kept: more than "
		      "max_delete lets go at once. If they shall go: mailcask backup nightly "
		      "--allow-deletes=120\n");
	r = (struct job_report){ 0 };
	assert_report(&app, &r, &lost, EXIT_TEMPORARY, false, "",
		      "mailcask: nightly: line lost. This often passes: run it again "
		      "later. What was "
		      "stored is kept.\n");
	lost = (struct err){ .kind = ERR_MISSING, .text = "nightly is empty: is a disk missing?" };
	assert_report(&app, &r, &lost, EXIT_MISSING, false, "",
		      "mailcask: nightly is empty: is a disk missing? Check the names in the command and "
		      "the configuration.\n");
}

static void test_a_migration_accounts_for_every_message(void **state)
{
	struct job_count counts[] = {
		{ .name = inbox, .messages = 13, .copied = 10, .adopted = 2, .quarantined = 1, .copied_now = 3 },
		{ .name = evil, .source = inbox, .messages = 5, .copied = 4, .gone = 1, .missing = 2 },
	};
	struct job_report r = { .counts = counts, .n_counts = 2, .mailboxes_unchanged = 2,
				.total = { .messages = 18, .copied = 14, .adopted = 2, .quarantined = 1,
					   .gone = 1, .missing = 2, .copied_now = 3 } };
	struct app app = { 0 }, talkative = { .verbose = 1 };
	struct err none = { 0 }, lost = { .kind = ERR_RETRY, .text = "line lost." };
	static const char wrong[] = "mailcask: nightly: a\\x1Bb (from INBOX): 5 messages = 4 copied + 0 adopted + 0 in "
				    "quarantine - 1 gone at the source + 2 not accounted for\n";

	(void)state;
	assert_report(&app, &r, &none, EXIT_INCOMPLETE, false, "", wrong);
	assert_report(&talkative, &r, &none, EXIT_INCOMPLETE, false,
		      "nightly: nothing to do in 2 mailboxes (1.5 s)\n"
		      "  INBOX                           13 messages = 10 copied + 2 adopted + 1 in quarantine (in "
		      "this run 3 copied, 0 adopted)\n"
		      "  a\\x1Bb (from INBOX)             5 messages = 4 copied + 0 adopted + 0 in quarantine - 1 gone "
		      "at the source + 2 not accounted for\n"
		      "nightly: 18 messages = 14 copied + 2 adopted + 1 in quarantine - 1 gone at the source + 2 not "
		      "accounted for (in this run 3 copied, 0 adopted)\n",
		      wrong);
	assert_report(&app, &r, &lost, EXIT_TEMPORARY, false, "",
		      "mailcask: nightly: 18 messages = 14 copied + 2 adopted + 1 in quarantine - 1 gone at the source + "
		      "2 not accounted for (in this run 3 copied, 0 adopted)\n"
		      "mailcask: nightly: line lost. This often passes: run it again later. What was stored is "
		      "kept.\n");
}

static void test_what_was_accepted_is_told_to_who_asks_for_more(void **state)
{
	struct job_mailbox v[] = { { .name = inbox, .accepted = 2 } };
	struct job_report r = { .v = v, .n = 1 };
	struct app app = { 0 }, talkative = { .verbose = 1 };
	struct err none = { 0 };

	(void)state;
	assert_report(&app, &r, &none, EXIT_DONE, false, "", "");
	assert_report(&talkative, &r, &none, EXIT_DONE, false,
		      "  INBOX                           2 accepted in quarantine\n"
		      "nightly: nothing to do in 1 mailbox (1.5 s)\n",
		      "");
}

static void test_a_plan_is_shown_wherever_it_goes(void **state)
{
	struct job_mailbox v[] = {
		{ .name = inbox, .new_messages = 9, .created = true },
		{ .name = evil },
	};
	struct job_report r = { .v = v, .n = 2, .new_messages = 9, .mailboxes_unchanged = 5 };
	struct app app = { 0 };
	struct err none = { 0 };

	(void)state;
	assert_report(&app, &r, &none, EXIT_DONE, true,
		      "  INBOX                           created, 9 new\n"
		      "nightly: would do: 9 new in 7 mailboxes\n",
		      "");
	r = (struct job_report){ .held = true, .deletes_shown = 60, .mailboxes_unchanged = 1 };
	assert_report(&app, &r, &none, EXIT_HELD, true,
		      "nightly: nothing to do in 1 mailbox\n",
		      "mailcask: nightly: 60 messages that are gone at the source would be kept: "
		      "more than max_delete lets go at once. If they shall go: mailcask backup nightly "
		      "--allow-deletes=60\n");
	r = (struct job_report){ .mailboxes_unchanged = 5 };
	assert_report(&app, &r, &none, EXIT_DONE, true,
		      "nightly: nothing to do in 5 mailboxes\n", "");
}

static void test_mailboxes_that_are_renamed_or_gone_are_told(void **state)
{
	struct job_rename renames[] = { { .from = evil, .to = inbox } };
	struct job_mailbox v[] = { { .name = evil, .gone = true, .removed = 2 } };
	struct job_report r = { .renames = renames, .n_renames = 1, .v = v, .n = 1, .removed = 2,
				.mailboxes_unchanged = 1 };
	struct app app = { 0 }, talkative = { .verbose = 1 };
	struct err none = { 0 };

	(void)state;
	assert_report(&app, &r, &none, EXIT_DONE, true,
		      "  a\\x1Bb                          is now called INBOX: would be renamed here too, "
		      "and nothing of it downloaded again\n"
		      "  a\\x1Bb                          gone at the source, 2 removed\n"
		      "nightly: would do: 1 mailbox renamed, 2 removed in 2 mailboxes\n", "");
	r.n = 0;
	r.removed = 0;
	assert_report(&talkative, &r, &none, EXIT_DONE, false,
		      "  a\\x1Bb                          is now called INBOX: renamed here too, "
		      "and nothing of it downloaded again\n"
		      "nightly: 1 mailbox renamed in 1 mailbox (1.5 s)\n", "");
}

static void test_json_is_one_event_a_line(void **state)
{
	struct job_rename renames[] = { { .from = evil, .to = inbox } };
	struct job_mailbox v[] = { { .name = evil, .removed = 1 } };
	struct job_report r = { .renames = renames, .n_renames = 1, .v = v, .n = 1, .removed = 1 };
	struct app app = { .json = true };
	static const char *const want[] = {
		"{\"event\":\"rename\",\"job\":\"nightly\",\"from\":\"a\\u001Bb\",\"to\":\"INBOX\"}\n",
		"\n{\"event\":\"mailbox\",\"job\":\"nightly\",\"mailbox\":\"a\\u001Bb\",",
		"\n{\"event\":\"error\",\"job\":\"nightly\",\"kind\":\"locked\",\"text\":",
		",\"text\":\"held by 7\"}\n",
		"\n{\"event\":\"summary\",\"job\":\"nightly\",\"dry_run\":false,\"exit\":11,",
	};
	struct err locked = { .kind = ERR_LOCKED, .text = "held by 7" };
	struct buf out, errors;

	(void)state;
	capture(&app, &r, &locked, EXIT_LOCKED, false, &out, &errors);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_non_null(strstr(buf_str(&out), want[i]));
	assert_string_equal(buf_str(&errors),
			    "mailcask: nightly: held by 7. Wait for the other run to end, or end "
			    "it.\n");
	buf_release(&out);
	buf_release(&errors);
}

static void test_a_trace_is_private(void **state)
{
	char *path = path_join(tmp_dir(), "trace");
	FILE *f = report_private_file(path);
	struct stat st;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_short),
		cmocka_unit_test(test_the_progress_line_says_how_far_and_how_long),
		cmocka_unit_test(test_without_a_terminal_success_is_silent),
		cmocka_unit_test(test_what_is_wrong_is_told_with_what_to_do),
		cmocka_unit_test(test_a_migration_accounts_for_every_message),
		cmocka_unit_test(test_what_was_accepted_is_told_to_who_asks_for_more),
		cmocka_unit_test(test_a_plan_is_shown_wherever_it_goes),
		cmocka_unit_test(test_mailboxes_that_are_renamed_or_gone_are_told),
		cmocka_unit_test(test_json_is_one_event_a_line),
		cmocka_unit_test(test_a_trace_is_private),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
