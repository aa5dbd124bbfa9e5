/*
 * Dovecot loses its indexes (`rm dovecot.index*`), as administrators do when something is wrong: UIDs and
 * UIDVALIDITY stay, and mod-sequences begin anew, below those that were agreed on.
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
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"

static const char *const types[] = { "maildir", "git" };
enum { TYPES = 2, MESSAGES = 40 };

static struct dovecot *server;

/* A backed up account with a high mod-sequence. */
struct scene {
	struct oracle *o;
	struct backup job;
	char *user;
};

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

static uint64_t modseq(struct scene *s)
{
	struct buf text = BUF_INIT(65536);
	const char *at;
	uint64_t n;

	buf_add(&text, oracle_command(s->o, "STATUS INBOX (HIGHESTMODSEQ)"));
	at = strstr(buf_str(&text), "HIGHESTMODSEQ ");
	assert_non_null(at);
	n = strtoull(at + strlen("HIGHESTMODSEQ "), NULL, 10);
	buf_release(&text);
	return n;
}

static void begin(struct scene *s, const char *name, const char *type, const char *settings)
{
	s->user = xasprintf("%s-%s", name, type);
	s->o = oracle_open(server->port, s->user);
	corpus_fill(s->o, "INBOX", 0, MESSAGES, 100, 2000);
	for (int i = 0; i < 10; i++)
		oracle_store(s->o, "INBOX", "1:5", i % 2 ? "-FLAGS" : "+FLAGS", "\\Flagged");
	backup_init(&s->job, &(struct backup_config){ .port = server->port, .user = s->user,
						     .type = type, .job = settings });
	backup_ends_with(&s->job, 0, "");
	archive_equals(s->job.root, s->o);
}

static void end(struct scene *s)
{
	backup_release(&s->job);
	oracle_close(s->o);
	free(s->user);
}

static void lose_indexes(struct scene *s)
{
	static const char *const files[] = { "dovecot.index", "dovecot.index.log",
					     "dovecot.index.log.2", "dovecot.index.cache" };
	char *dir = dovecot_maildir(server, s->user);
	uint64_t then = modseq(s);

	oracle_close(s->o);
	dovecot_down(server);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = path_join(dir, files[i]);

		remove_tree(path);
		free(path);
	}
	dovecot_restart(server);
	s->o = oracle_open(server->port, s->user);
	oracle_command(s->o, "SELECT INBOX");
	if (modseq(s) >= then)
		fail_msg("mod-sequences are not smaller than %llu", (unsigned long long)then);
	free(dir);
}

static void follows(struct scene *s, uint64_t new, uint64_t removed, uint64_t flags)
{
	struct backup_result res;

	backup_expect(&s->job, &res, 0, "");
	assert_int_equal(res.new_messages, new);
	assert_int_equal(res.removed, removed);
	assert_int_equal(res.flags_changed, flags);
	backup_result_release(&res);
	archive_equals(s->job.root, s->o);
	backup_idle(&s->job);
}

static void test_lost_indexes_alone_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < TYPES; i++) {
		struct scene s;

		begin(&s, "alone", types[i], NULL);
		lose_indexes(&s);
		follows(&s, 0, 0, 0);
		end(&s);
	}
}

static void test_what_changed_around_lost_indexes_is_found_and_no_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < TYPES; i++) {
		struct scene s;

		begin(&s, "around", types[i], NULL);
		oracle_store(s.o, "INBOX", "11:13", "FLAGS", "\\Answered");
		oracle_expunge(s.o, "INBOX", "20");
		lose_indexes(&s);
		oracle_store(s.o, "INBOX", "14:15", "FLAGS", "\\Answered");
		oracle_expunge(s.o, "INBOX", "21,40");
		corpus_fill(s.o, "INBOX", 100, 3, 100, 2000);
		follows(&s, 3, 3, 5);
		end(&s);
	}
}

/* Then mod-sequences tell a part only of what changed; flags are found when they are looked at. */
static void test_mod_sequences_that_grew_past_the_old_ones_delete_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < TYPES; i++) {
		struct scene s;
		uint64_t then;

		begin(&s, "past", types[i], "flag_check = 0s\n");
		then = modseq(&s);
		lose_indexes(&s);
		oracle_expunge(s.o, "INBOX", "30");
		oracle_store(s.o, "INBOX", "11", "FLAGS", "\\Answered");
		while (modseq(&s) <= then + 5) {
			oracle_store(s.o, "INBOX", "1:5", "+FLAGS", "\\Draft");
			oracle_store(s.o, "INBOX", "1:5", "-FLAGS", "\\Draft");
		}
		follows(&s, 0, 1, 1);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_indexes_alone_change_nothing),
		cmocka_unit_test(test_what_changed_around_lost_indexes_is_found_and_no_more),
		cmocka_unit_test(test_mod_sequences_that_grew_past_the_old_ones_delete_nothing),
	};

	return cmocka_run_group_tests_name("lost mod-sequences", tests, start, stop);
}
