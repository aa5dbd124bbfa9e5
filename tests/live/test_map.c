/* A job with a `map`: other names in the store, and nothing else is different. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"

static struct dovecot *server;

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

/* Two mailboxes hold the same messages, with the UIDs, flags and dates of one source. */
static void same_messages(const char *root, const char *name, const char *other_root, const char *other_name)
{
	const struct archive_mailbox *m, *o;
	struct archive one, other;

	archive_read(root, &one);
	archive_read(other_root, &other);
	m = archive_find(&one, name);
	o = archive_find(&other, other_name);
	assert_non_null(m);
	assert_non_null(o);
	assert_int_equal(m->n, o->n);
	assert_int_equal(m->uidvalidity, o->uidvalidity);
	for (size_t i = 0; i < m->n; i++) {
		assert_int_equal(m->msg[i].source_uid, o->msg[i].source_uid);
		assert_string_equal(m->msg[i].sha256, o->msg[i].sha256);
		assert_string_equal(m->msg[i].flags, o->msg[i].flags);
		assert_string_equal(m->msg[i].date, o->msg[i].date);
	}
	archive_release(&one);
	archive_release(&other);
}

static void reconfigure(struct backup *b, struct backup_config *c, const char *lines)
{
	c->job = lines;
	backup_configure(b, c);
}

static void tells(struct backup *b, const char *text, bool yes)
{
	struct backup_result res;

	backup_expect(b, &res, 0, "");
	if ((strstr(buf_str(&res.out), text) != NULL) != yes)
		fail_msg("%s in: %s", text, buf_str(&res.out));
	assert_int_equal(res.removed + res.kept + res.held, 0);
	backup_result_release(&res);
}

static size_t live_in(const struct backup *b, const char *name)
{
	const struct archive_mailbox *m;
	struct archive a;
	size_t n = 0;

	archive_read(b->root, &a);
	m = archive_find(&a, name);
	for (size_t i = 0; m && i < m->n; i++)
		n += !m->msg[i].kept;
	archive_release(&a);
	return n;
}

static void follow(const char *type, const char *name)
{
	struct backup_config plain = { .port = server->port, .type = type, .user = name };
	struct backup_config config = plain;
	struct oracle *user = oracle_open(server->port, name);
	struct backup job, other;
	struct backup_result res;

	oracle_create(user, "Gel&APY-scht");
	oracle_create(user, "Lists/a");
	oracle_create(user, "Lists/b");
	corpus_fill(user, "INBOX", 0, 10, 100, 3000);
	corpus_fill(user, "Gel&APY-scht", 20, 7, 100, 3000);
	corpus_fill(user, "Lists/a", 30, 5, 100, 3000);
	corpus_fill(user, "Lists/b", 40, 30, 100, 3000);
	config.job = "map = Gel\xc3\xb6scht -> Trash, Lists/* -> Code/Lists/*\nmax_delete = 100%\n";
	backup_init(&job, &config);
	backup_init(&other, &plain);
	for (int round = 0; round < 2; round++) {
		backup_ends_with(&job, 0, "");
		backup_ends_with(&other, 0, "");
		same_messages(job.root, "INBOX", other.root, "INBOX");
		same_messages(job.root, "Trash", other.root, "Gel\xc3\xb6scht");
		same_messages(job.root, "Code/Lists/a", other.root, "Lists/a");
		same_messages(job.root, "Code/Lists/b", other.root, "Lists/b");
		backup_idle(&job);
		oracle_expunge(user, "Lists/b", "2:4,9");
		oracle_store(user, "Lists/a", "1:3", "+FLAGS", "\\Flagged");
		corpus_fill(user, "Gel&APY-scht", 90, 3, 100, 3000);
	}
	backup_ends_with(&job, 0, "");
	program_run(&job, &res, NULL, "check", "near --against far --sample 100");
	assert_int_equal(res.status, 0);
	if (!strstr(buf_str(&res.out), "\"fetched\":54"))
		fail_msg("%s", buf_str(&res.out));
	backup_result_release(&res);

	/* What is left out, and what a rule leads to no more, stays. */
	reconfigure(&job, &config, "map = Gel\xc3\xb6scht -> Trash, Lists/a -> Code/Lists/a\n"
				   "mailboxes = *, !Lists/b\nmax_delete = 100%\n");
	tells(&job, "Code/Lists/b is no longer selected by 'mailboxes'", true);
	tells(&job, "no longer", false);
	assert_int_equal(live_in(&job, "Code/Lists/b"), 26);
	reconfigure(&job, &config, "map = Gel\xc3\xb6scht -> Trash\nmailboxes = *, !Lists/b\n"
				   "max_delete = 100%\n");
	tells(&job, "mailbox", true);
	tells(&job, "no longer", false);
	assert_int_equal(live_in(&job, "Lists/a"), 5);
	assert_int_equal(live_in(&job, "Code/Lists/b"), 26);
	assert_int_equal(live_in(&job, "Trash"), 13);
	backup_release(&job);
	backup_release(&other);
	oracle_close(user);
}

static void test_mailboxes_have_other_names_in_a_maildir(void **state)
{
	(void)state;
	follow("maildir", "maildir");
}

static void test_mailboxes_have_other_names_in_an_archive(void **state)
{
	(void)state;
	follow("git", "git");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailboxes_have_other_names_in_a_maildir),
		cmocka_unit_test(test_mailboxes_have_other_names_in_an_archive),
	};

	return cmocka_run_group_tests_name("map", tests, start, stop);
}
