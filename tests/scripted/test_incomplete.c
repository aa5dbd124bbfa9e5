/*
 * Servers that answer incompletely, or wrongly, and say OK: whole backups against them, into both
 * kinds of stores. What is stored and not gone at the server stays; what cannot be settled is
 * reported; and once the server is right again, so is the store. The guard is out of the way: it would
 * hide that a deletion was believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/imap_oracle.h"

#define BASIC "IMAP4rev1 LITERAL+ ID NAMESPACE UIDPLUS LIST-EXTENDED LIST-STATUS "
#define CONDSTORE BASIC "CONDSTORE"
#define ESEARCH BASIC "ESEARCH"
#define QRESYNC BASIC "ESEARCH CONDSTORE ENABLE QRESYNC"

static const char *const servers[] = { BASIC, ESEARCH, CONDSTORE, QRESYNC };
static const char *const stores[] = { "maildir", "git" };
enum { SERVERS = 4, STORES = 2, MESSAGES = 30 };

/* An account that was backed up, and the server is down. */
struct rig {
	struct fake_imap *server;
	struct fake_mailbox *inbox;
	struct backup job;
	struct name_list stored; /* what was stored */
};

static void fill(struct fake_mailbox *mb, uint32_t from, uint32_t to)
{
	for (uint32_t uid = from; uid <= to; uid++) {
		char *body = xasprintf("Message-ID: <%u@example.org>\r\nSubject: %u\r\n\r\n%*u\r\n", uid,
				       uid, 1 + (int)(uid % 50), uid);

		fake_message(mb, uid, uid % 3 ? "" : "\\Seen", NULL, bytes_of(body));
		free(body);
	}
}

/* Every live message, as "MAILBOX UID SHA-256". */
static void read_store(const struct rig *rig, struct name_list *out)
{
	struct archive a;

	archive_read(rig->job.root, &a);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < a.v[i].n; k++) {
			const struct archive_message *m = &a.v[i].msg[k];
			char *line = xasprintf("%s %u %s", a.v[i].text, m->source_uid, m->sha256);

			if (!m->kept)
				name_list_add(out, line);
			free(line);
		}
	archive_release(&a);
}

static void rig_configure(struct rig *rig, const char *type, const char *more)
{
	char *job = xasprintf("max_delete = 1000 and 100%%\n%s", more);
	const struct backup_config config = { .port = fake_port(rig->server), .type = type, .job = job };

	if (rig->job.dir)
		backup_configure(&rig->job, &config);
	else
		backup_init(&rig->job, &config);
	free(job);
}

static void rig_init(struct rig *rig, const char *type, const char *capability, uint32_t messages)
{
	*rig = (struct rig){ .server = fake_new() };
	fake_capability(rig->server, capability);
	rig->inbox = fake_mailbox(rig->server, bytes_of("INBOX"));
	fill(rig->inbox, 1, messages);
	fill(fake_mailbox(rig->server, bytes_of("Other")), 1, 3);
	fake_start(rig->server);
	rig_configure(rig, type, "");
	backup_ends_with(&rig->job, 0, "");
	fake_stop(rig->server);
	read_store(rig, &rig->stored);
	assert_int_equal(rig->stored.n, messages + 3);
}

static void rig_release(struct rig *rig)
{
	fake_free(rig->server);
	backup_release(&rig->job);
	name_list_release(&rig->stored);
}

static unsigned count_words(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		n++;
	return n;
}

/* After it all is there that was, but `gone` of INBOX (0: none). */
static void run_and_say(struct rig *rig, struct backup_result *res, uint32_t gone)
{
	char *but = xasprintf("INBOX %u ", gone);
	struct name_list now = { 0 };

	fake_start(rig->server);
	backup_run(&rig->job, res, "");
	fake_stop(rig->server);
	assert_int_equal(res->removed, gone != 0);
	read_store(rig, &now);
	for (size_t i = 0; i < rig->stored.n; i++) {
		const char *line = rig->stored.name[i];
		bool is_it = gone && strncmp(line, but, strlen(but)) == 0;

		if (name_list_has(&now, line) == is_it)
			fail_msg("%s is %s", line, is_it ? "still there" : "gone");
	}
	name_list_release(&now);
	free(but);
}

/* A run that ends with `status`; 3: with INBOX named. */
static void run_and_keep_all(struct rig *rig, int status, uint32_t gone)
{
	struct backup_result res;

	run_and_say(rig, &res, gone);
	if (res.status != status || (status == 3 && !strstr(buf_str(&res.err), "INBOX")))
		fail_msg("exit %d, not %d: %s", res.status, status, buf_str(&res.err));
	backup_result_release(&res);
}

/* From here on the server tells the truth: one run, and the store is as the account. */
static void truth_is_stored(struct rig *rig)
{
	struct oracle *o;

	fake_tricks_clear(rig->server);
	fake_start(rig->server);
	backup_ends_with(&rig->job, 0, "");
	o = oracle_open(fake_port(rig->server), "alice");
	archive_equals(rig->job.root, o);
	oracle_close(o);
	backup_idle(&rig->job);
	fake_stop(rig->server);
}

/* One message is gone, so that the server is asked which; and nothing comes to answer. */
static void empty_search(const char *type, const char *capability, uint32_t messages)
{
	struct rig rig;

	rig_init(&rig, type, capability, messages);
	fake_expunge(rig.inbox, 7);
	fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
	/* FETCH says nothing either: there is no telling which one is gone. */
	fake_trick(rig.server, rig.inbox, FAKE_FETCH_EMPTY, 0, 0, -1);
	run_and_keep_all(&rig, 3, 0);
	/* SEARCH alone is wrong: FETCH says what is there. */
	fake_tricks_clear(rig.server);
	fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
	run_and_keep_all(&rig, 0, 7);
	truth_is_stored(&rig);
	rig_release(&rig);
}

static void test_an_empty_search_of_a_mailbox_that_is_not_empty_deletes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS - 1; i++) /* with QRESYNC there is no search */
		for (size_t k = 0; k < STORES; k++)
			empty_search(stores[k], servers[i], MESSAGES);
}

/* Strato: knows ENABLE without offering it, and finds none of 4028 messages. */
static void test_esearch_without_all_for_4028_messages_deletes_nothing(void **state)
{
	struct buf sent = BUF_INIT(1 << 24);
	struct rig rig;

	(void)state;
	rig_init(&rig, "maildir", ESEARCH, 4028);
	fake_expunge(rig.inbox, 7);
	fill(rig.inbox, 5000, 5000);
	fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
	run_and_keep_all(&rig, 0, 7);
	fake_commands(rig.server, &sent);
	assert_null(strcasestr(buf_str(&sent), "ENABLE"));
	assert_non_null(strstr(buf_str(&sent), "RETURN (ALL)"));
	truth_is_stored(&rig);
	buf_release(&sent);
	rig_release(&rig);
}

static void test_vanished_that_names_living_messages_deletes_none(void **state)
{
	(void)state;
	for (size_t k = 0; k < STORES; k++) {
		struct rig rig;

		rig_init(&rig, stores[k], QRESYNC, MESSAGES);
		fake_flags(rig.inbox, 9, "\\Flagged");
		fake_trick(rig.server, rig.inbox, FAKE_VANISHED, 0, 20, -1);
		run_and_keep_all(&rig, 0, 0);
		/* And one of those it names is really gone. */
		fake_expunge(rig.inbox, 11);
		run_and_keep_all(&rig, 0, 11);
		/* No answer agrees with any other. */
		fake_trick(rig.server, rig.inbox, FAKE_FETCH_EMPTY, 0, 0, -1);
		fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
		name_list_release(&rig.stored);
		read_store(&rig, &rig.stored);
		fake_expunge(rig.inbox, 25);
		run_and_keep_all(&rig, 3, 0);
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

static void test_an_empty_mailbox_under_a_new_uidvalidity_deletes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++) {
		struct rig rig;

		rig_init(&rig, stores[i % STORES], servers[i], MESSAGES);
		fake_uidvalidity(rig.inbox, 77);
		fake_trick(rig.server, rig.inbox, FAKE_EXISTS, 0, -MESSAGES, -1);
		fake_trick(rig.server, rig.inbox, FAKE_FETCH_EMPTY, 0, 0, -1);
		fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
		run_and_keep_all(&rig, 3, 0);
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

/* When messages are compared: lines are missing, all or some. */
static void test_flags_of_which_lines_are_missing_delete_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS - 1; i++) { /* QRESYNC names the one, and that adds up */
		const char *type = stores[i % STORES];
		struct rig rig;

		rig_init(&rig, type, servers[i], MESSAGES);
		rig_configure(&rig, type, "flag_check = 0s\n");
		fake_expunge(rig.inbox, 7);
		fake_flags(rig.inbox, 9, "\\Flagged");
		fake_trick(rig.server, rig.inbox, FAKE_FETCH_EMPTY, 0, 0, -1);
		fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
		run_and_keep_all(&rig, 3, 0);
		fake_tricks_clear(rig.server);
		fake_trick(rig.server, rig.inbox, FAKE_OMIT, 9, 0, -1);
		fake_trick(rig.server, rig.inbox, FAKE_OMIT, 21, 0, -1);
		fake_trick(rig.server, rig.inbox, FAKE_SEARCH_EMPTY, 0, 0, -1);
		run_and_keep_all(&rig, 3, 0);
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

/* When new mail is fetched: the message that is gone may be one that moved, and is not delivered. */
static void test_new_mail_that_does_not_come_is_reported_and_holds_deletions_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++) {
		struct backup_result res;
		struct rig rig;

		rig_init(&rig, stores[i % STORES], servers[i], MESSAGES);
		fill(rig.inbox, 31, 33);
		fake_expunge(fake_find(rig.server, bytes_of("Other")), 2);
		for (uint32_t uid = 31; uid <= 33; uid++)
			fake_trick(rig.server, rig.inbox, FAKE_OMIT, uid, 0, -1);
		run_and_keep_all(&rig, 3, 0);
		program_run(&rig.job, &res, NULL, "quarantine", "job retry");
		backup_result_release(&res);
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

/* The first answers are too small by `less`, or all of them. */
static void too_few_exist(const char *type, const char *capability, int answers, int less)
{
	struct rig rig;

	rig_init(&rig, type, capability, MESSAGES);
	fake_trick(rig.server, rig.inbox, FAKE_EXISTS, 0, -less, answers);
	run_and_keep_all(&rig, answers < 0 ? 3 : 0, 0);
	truth_is_stored(&rig);
	rig_release(&rig);
}

static void test_a_count_that_is_too_small_deletes_nothing(void **state)
{
	static const int answers[] = { 1, 2, 3, -1 };
	static const int less[] = { 1, MESSAGES };

	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		for (size_t a = 0; a < 4; a++)
			for (size_t l = 0; l < 2; l++)
				too_few_exist(stores[(i + a + l) % STORES], servers[i], answers[a],
					      less[l]);
}

/* --- lists --- */

static const char *const subtree[] = { "Work", "Work/2023", "Work/2023/May" };
enum { SUBTREE = 3 };

static void add_subtree(struct rig *rig)
{
	for (size_t i = 0; i < SUBTREE; i++)
		fill(fake_mailbox(rig->server, bytes_of(subtree[i])), 1, 4);
	fake_start(rig->server);
	backup_ends_with(&rig->job, 0, "");
	fake_stop(rig->server);
	name_list_release(&rig->stored);
	read_store(rig, &rig->stored);
	assert_int_equal(rig->stored.n, MESSAGES + 3 + 4 * SUBTREE);
}

static void test_a_list_without_a_subtree_that_still_answers_by_name_deletes_nothing(void **state)
{
	(void)state;
	for (size_t k = 0; k < STORES; k++) {
		struct backup_result res;
		struct rig rig;

		rig_init(&rig, stores[k], servers[k], MESSAGES);
		add_subtree(&rig);
		fake_expunge(rig.inbox, 7); /* it waits: the message may be in what cannot be seen */
		for (size_t i = 0; i < SUBTREE; i++)
			fake_trick(rig.server, fake_find(rig.server, bytes_of(subtree[i])),
				   FAKE_UNLISTED, 0, 0, -1);
		run_and_say(&rig, &res, 0);
		assert_int_equal(res.status, 3);
		for (size_t i = 0; i < SUBTREE; i++)
			if (!strstr(buf_str(&res.err), subtree[i]))
				fail_msg("%s is not named: %s", subtree[i], buf_str(&res.err));
		backup_result_release(&res);
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

static void test_a_list_that_ends_with_no_or_is_cut_deletes_nothing(void **state)
{
	static const enum fake_trick tricks[] = { FAKE_LIST_NO, FAKE_LIST_SHORT };

	(void)state;
	for (size_t k = 0; k < STORES; k++) {
		struct rig rig;

		rig_init(&rig, stores[k], servers[k], MESSAGES);
		add_subtree(&rig);
		fake_expunge(rig.inbox, 7);
		for (size_t i = 0; i < 2; i++) {
			struct backup_result res;

			for (size_t m = 0; m < SUBTREE; m++)
				fake_trick(rig.server, fake_find(rig.server, bytes_of(subtree[m])),
					   FAKE_UNLISTED, 0, 0, -1);
			fake_trick(rig.server, NULL, tricks[i], 0, 0, -1);
			run_and_say(&rig, &res, 0);
			assert_int_not_equal(res.status, 0);
			assert_true(res.err.n > 0);
			backup_result_release(&res);
			fake_tricks_clear(rig.server);
		}
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

/* Not a server's fault, but read as deletions by others all the same. */
static void test_an_excluded_mailbox_stays_and_is_named_once(void **state)
{
	(void)state;
	for (size_t k = 0; k < STORES; k++) {
		struct backup_result res;
		struct rig rig;

		rig_init(&rig, stores[k], servers[k], MESSAGES);
		add_subtree(&rig);
		rig_configure(&rig, stores[k], "mailboxes = *, !Work*\n");
		for (uint32_t uid = 7; uid <= 8; uid++) {
			fake_expunge(rig.inbox, uid);
			run_and_say(&rig, &res, uid);
			if (res.status != 0 ||
			    count_words(buf_str(&res.out), "Work/2023/May") != (uid == 7))
				fail_msg("exit %d: %s", res.status, buf_str(&res.out));
			backup_result_release(&res);
			name_list_release(&rig.stored);
			read_store(&rig, &rig.stored);
		}
		rig_configure(&rig, stores[k], "");
		truth_is_stored(&rig);
		rig_release(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_search_of_a_mailbox_that_is_not_empty_deletes_nothing),
		cmocka_unit_test(test_esearch_without_all_for_4028_messages_deletes_nothing),
		cmocka_unit_test(test_vanished_that_names_living_messages_deletes_none),
		cmocka_unit_test(test_an_empty_mailbox_under_a_new_uidvalidity_deletes_nothing),
		cmocka_unit_test(test_flags_of_which_lines_are_missing_delete_nothing),
		cmocka_unit_test(test_new_mail_that_does_not_come_is_reported_and_holds_deletions_back),
		cmocka_unit_test(test_a_count_that_is_too_small_deletes_nothing),
		cmocka_unit_test(test_a_list_without_a_subtree_that_still_answers_by_name_deletes_nothing),
		cmocka_unit_test(test_a_list_that_ends_with_no_or_is_cut_deletes_nothing),
		cmocka_unit_test(test_an_excluded_mailbox_stays_and_is_named_once),
	};

	return cmocka_run_group_tests_name("incomplete answers", tests, NULL, NULL);
}
