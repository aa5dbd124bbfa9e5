/* The reading client against servers that are not Dovecot, and what is different about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/loop.h"
#include "core/imap/session.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/imap_tour.h"
#include "tests/lib/peers.h"
#include "tests/lib/support.h"

enum { MESSAGES = 12 };

static struct peer *courier, *cyrus;

static int start_courier(void **state)
{
	(void)state;
	courier = peer_courier();
	return 0;
}

static int start_cyrus(void **state)
{
	(void)state;
	cyrus = peer_cyrus(NULL);
	return 0;
}

static int stop_courier(void **state)
{
	(void)state;
	peer_stop(courier);
	courier = NULL;
	return 0;
}

static int stop_cyrus(void **state)
{
	(void)state;
	peer_stop(cyrus);
	cyrus = NULL;
	return 0;
}

static void fill(struct oracle *o, const char *mailbox, unsigned n)
{
	static const char *const flags[] = { "\\Seen", "", "\\Answered \\Seen", "$Forwarded", "Later \\Flagged" };

	for (unsigned i = 0; i < n; i++) {
		struct buf text = BUF_INIT(1 << 20);
		struct oracle_new new = { .flags = flags[i % 5],
					  .date = i % 2 ? " 7-Feb-2021 11:12:13 +0000" : NULL };

		buf_addf(&text, "Subject: %u\r\n\r\n", i);
		for (unsigned k = 0; k < i * 170; k++)
			buf_addf(&text, "line %u\r\n", k);
		new.body = buf_bytes(&text);
		oracle_append(o, mailbox, &new, 1);
		buf_release(&text);
	}
}

/* A first backup, changes, a second one, and one with nothing to do; each compared with the server. */
static void backs_up(const struct peer *p, const char *user, const char *box, const char *nested)
{
	struct backup_config config = { .port = p->port, .user = user, .account = "compress = yes\n",
					.job = "max_delete = 100\nflag_check = 0s\n" };
	struct oracle *o = oracle_open(p->port, user);
	struct backup b;

	fill(o, "INBOX", MESSAGES);
	oracle_create(o, box);
	oracle_create(o, nested);
	fill(o, nested, 3);
	backup_init(&b, &config);
	backup_ends_with(&b, 0, "");
	archive_equals(b.root, o);
	fill(o, box, 2);
	oracle_store(o, "INBOX", "3:5", "+FLAGS", "\\Flagged Later");
	oracle_store(o, "INBOX", "1", "-FLAGS", "\\Seen");
	oracle_expunge(o, "INBOX", "7:9");
	backup_ends_with(&b, 0, "");
	archive_equals(b.root, o);
	backup_idle(&b);
	/* And where flags are not due: only what came and what went. */
	config.job = "max_delete = 100\n";
	backup_configure(&b, &config);
	fill(o, "INBOX", 2);
	oracle_expunge(o, "INBOX", "10:12,15");
	oracle_expunge(o, nested, "1");
	backup_ends_with(&b, 0, "");
	archive_equals(b.root, o);
	backup_idle(&b);
	backup_release(&b);
	oracle_close(o);
}

static void test_courier_is_backed_up(void **state)
{
	(void)state;
	backs_up(courier, "alice", "INBOX.R&AOk-sum&AOk-", "INBOX.Work.Reports");
}

static void test_cyrus_is_backed_up(void **state)
{
	(void)state;
	backs_up(cyrus, "alice", "R&AOk-sum&AOk-", "Work/Reports");
}

/* So many messages are new, and none of their bytes came. */
static void comes_without_bytes(const struct backup *b, struct oracle *o, unsigned copied)
{
	struct backup_result res;
	char *word = xasprintf("\"copied\":%u,\"flags_changed\"", copied);

	backup_expect(b, &res, 0, "");
	assert_int_equal(res.new_messages, copied);
	assert_int_equal(res.bytes, 0);
	assert_non_null(strstr(buf_str(&res.out), word));
	free(word);
	backup_result_release(&res);
	archive_equals(b->root, o);
	backup_idle(b);
}

static void test_cyrus_is_not_asked_twice_for_what_was_copied_or_moved(void **state)
{
	static const char *const types[] = { "maildir", "git" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct backup_config config = { .port = cyrus->port, .user = "alice", .type = types[i],
						.job = "max_delete = 100\n" };
		char *to = xasprintf("Copies-%zu", i);
		struct oracle *o = oracle_open(cyrus->port, "alice");
		struct backup b;

		oracle_create(o, to);
		backup_init(&b, &config);
		backup_ends_with(&b, 0, "");
		oracle_command(o, "SELECT INBOX");
		oracle_command(o, "COPY 1:3 %s", to);
		comes_without_bytes(&b, o, 3);
		oracle_command(o, "SELECT INBOX");
		oracle_command(o, "MOVE 5 %s", to);
		comes_without_bytes(&b, o, 1);
		backup_release(&b);
		oracle_close(o);
		free(to);
	}
}

static void tour(const struct peer *p, struct imap_tour *t)
{
	struct oracle *o = oracle_open(p->port, "bob");

	fill(o, "INBOX", 10);
	oracle_close(o);
	imap_tour(p->port, "bob", t);
	assert_int_equal(t->mailboxes, 1);
	assert_int_equal(t->namespaces, 3); /* own, other users', shared */
	assert_int_equal(t->status_messages, 10);
	assert_int_equal(t->exists, 10);
	assert_true(t->uid_validity);
	assert_int_equal(t->found, 10);
	assert_int_equal(t->seen, 4);
	assert_int_equal(t->fetched, 10);
	assert_int_equal(t->bytes, 76750);
}

static void test_courier_answers_every_reading_command_without_extensions(void **state)
{
	struct imap_tour t;

	(void)state;
	tour(courier, &t);
	assert_int_equal(t.uid_next, 0); /* it never says */
	assert_int_equal(t.subscribed, 0);
	assert_int_equal(t.with_modseq + t.with_email_id, 0);
	assert_int_equal(t.highest_modseq, 0);
	assert_int_equal(t.changed, 10); /* no CHANGEDSINCE: all flags */
	assert_false(t.has_id);
}

static void test_cyrus_answers_every_reading_command_with_modseq_and_email_id(void **state)
{
	struct imap_tour t;

	(void)state;
	tour(cyrus, &t);
	assert_int_equal(t.uid_next, 11);
	assert_int_equal(t.subscribed, 1);
	assert_int_equal(t.with_modseq, 10);
	assert_int_equal(t.with_email_id, 10);
	assert_true(t.highest_modseq);
	assert_int_equal(t.changed, 0);
	assert_true(t.has_id);
}

static void test_cyrus_compresses(void **state)
{
	char port[16];
	const struct imap_account account = { .name = "alice", .host = "127.0.0.1", .port = port,
					      .tls = IMAP_TLS_NONE, .user = "alice",
					      .password = imap_tour_password,
					      .compress = IMAP_COMPRESS_YES, .timeout_ms = 10000 };
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s;
	struct imap_tour t;
	struct err err;

	(void)state;
	snprintf(port, sizeof(port), "%d", cyrus->port);
	s = imap_session_new(loop, &account, NULL);
	assert_int_equal(imap_session_open(s, &err), 0);
	imap_tour_in(s, &t);
	assert_true(imap_session_is_compressed(s));
	imap_session_free(s);
	loop_free(loop);
}

/* --- what they do differently --- */

/* So neither SEARCH nor FETCH proves anything right after an upload in the same session. */
static void test_courier_shows_a_message_appended_to_the_open_mailbox_only_after_noop(void **state)
{
	struct oracle *o = oracle_open(courier->port, "bob");

	(void)state;
	oracle_create(o, "INBOX.later");
	fill(o, "INBOX.later", 1); /* opens it first */
	assert_null(strstr((const char *)oracle_command(o, "UID SEARCH ALL").p, "* SEARCH 1"));
	assert_string_equal((const char *)oracle_command(o, "UID FETCH 1:* (FLAGS)").p, "");
	assert_non_null(strstr((const char *)oracle_command(o, "NOOP").p, "* 1 EXISTS"));
	assert_non_null(strstr((const char *)oracle_command(o, "UID SEARCH ALL").p, "* SEARCH 1"));
	oracle_close(o);
}

/* The word is to be heeded before the login only. */
static void test_cyrus_says_logindisabled_to_somebody_who_is_logged_in(void **state)
{
	struct oracle *o = oracle_open(cyrus->port, "bob");

	(void)state;
	assert_non_null(strstr((const char *)oracle_command(o, "CAPABILITY").p, " LOGINDISABLED"));
	oracle_close(o);
}

static void test_cyrus_refuses_messages_with_bare_newlines(void **state)
{
	struct oracle *o = oracle_open(cyrus->port, "bob");

	(void)state;
	assert_non_null(strstr(oracle_try(o, "APPEND INBOX {8+}\r\nA: b\n\nc\n"),
			       "NO Message contains bare newlines"));
	oracle_close(o);
}

/* Apart, so that a server that does not start fails its own tests alone. */
int main(void)
{
	const struct CMUnitTest on_courier[] = {
		cmocka_unit_test(test_courier_is_backed_up),
		cmocka_unit_test(test_courier_answers_every_reading_command_without_extensions),
		cmocka_unit_test(test_courier_shows_a_message_appended_to_the_open_mailbox_only_after_noop),
	};
	const struct CMUnitTest on_cyrus[] = {
		cmocka_unit_test(test_cyrus_is_backed_up),
		cmocka_unit_test(test_cyrus_is_not_asked_twice_for_what_was_copied_or_moved),
		cmocka_unit_test(test_cyrus_answers_every_reading_command_with_modseq_and_email_id),
		cmocka_unit_test(test_cyrus_compresses),
		cmocka_unit_test(test_cyrus_says_logindisabled_to_somebody_who_is_logged_in),
		cmocka_unit_test(test_cyrus_refuses_messages_with_bare_newlines),
	};
	int rc = 0;

	rc |= cmocka_run_group_tests_name("imap_peers_courier", on_courier, start_courier, stop_courier);
	rc |= cmocka_run_group_tests_name("imap_peers_cyrus", on_cyrus, start_cyrus, stop_cyrus);
	return rc != 0;
}
