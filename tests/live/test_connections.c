/*
 * The same account over 1, 2 and 4 connections: the archives have one and the same tree, and a large
 * mailbox was fetched in ranges of UIDs that were shared out among the connections.
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
#include "core/msgset/uidset.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"

enum { LARGE = 12000, SMALL = 5, CONNECTIONS_MAX = 10 };

static struct dovecot *server;
static struct oracle *account;

static int start(void **state)
{
	static const char *const small[] = { "a", "b", "c" };

	(void)state;
	server = dovecot_start(NULL);
	account = oracle_open(server->port, "alice");
	corpus_fill(account, "INBOX", 0, LARGE + 20, 1000, 4000);
	oracle_expunge(account, "INBOX", "7:16,1000,3001:3009");
	oracle_store(account, "INBOX", "2000:2500,5", "+FLAGS", "\\Flagged $Work");
	for (uint32_t i = 0; i < 3; i++) {
		oracle_create(account, small[i]);
		corpus_fill(account, small[i], 20000 + 100 * i, SMALL, 100, 3000);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(account);
	dovecot_stop(server);
	return 0;
}

/* What was asked for of the large mailbox. */
struct asked {
	struct uidset all;
	unsigned commands;
	bool by[CONNECTIONS_MAX]; /* which connection asked */
};

static void note_fetch(const char *line, struct asked *a)
{
	const char *set = strstr(line, " UID FETCH ");
	struct uidset range = UIDSET_INIT, twice = UIDSET_INIT;
	unsigned connection;
	struct err err;

	if (!set || !strstr(line, "BODY.PEEK[]") || sscanf(line, "%*d %u C:", &connection) != 1)
		return;
	set += strlen(" UID FETCH ");
	assert_int_equal(uidset_parse(&range, bytes_from(set, strcspn(set, " ")), UIDSET_STRICT, NULL,
				      &err), 0);
	if (uidset_max(&range) > SMALL) {
		uidset_intersect(&twice, &range, &a->all);
		if (!uidset_is_empty(&twice))
			fail_msg("asked for twice: %s", line);
		uidset_union(&a->all, &a->all, &range);
		a->commands++;
		assert_true(connection < CONNECTIONS_MAX);
		a->by[connection] = true;
	}
	uidset_release(&range);
	uidset_release(&twice);
}

static void read_transcript(const struct relay *r, struct asked *a)
{
	struct buf text = BUF_INIT(1 << 26);
	char *save = NULL;

	*a = (struct asked){ .all = UIDSET_INIT };
	relay_transcript(r, &text);
	buf_str(&text);
	for (char *l = strtok_r((char *)text.p, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		note_fetch(l, a);
	buf_release(&text);
}

/* Every UID there can be was asked for once, by so many connections at most. */
static void assert_shared_out(const struct relay *r, unsigned connections)
{
	unsigned by = 0;
	struct asked a;

	read_transcript(r, &a);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		by += a.by[i];
	print_message("           %u connections: %u ranges, asked for by %u\n", connections,
		      a.commands, by);
	assert_int_equal(uidset_range_count(&a.all), 1);
	assert_int_equal(uidset_min(&a.all), 1);
	assert_int_equal(uidset_max(&a.all), LARGE + 20);
	assert_true(a.commands >= 2);
	assert_in_range(by, connections > 1 ? 2 : 1, connections);
	assert_in_range(relay_stats(r).connections, by, connections);
	uidset_release(&a.all);
}

/* Over so many connections, each slow enough for the next one to be there in time. */
static void back_up(struct backup *job, const char *type, unsigned connections)
{
	struct relay *r = relay_start(&(struct relay_opts){ .port = server->port, .delay_ms = 2,
							    .rate = 20 << 20 });
	char *setting = xasprintf("connections = %u\n", connections);

	backup_init(job, &(struct backup_config){ .port = relay_port(r), .type = type,
						  .account = setting });
	backup_ends_with(job, 0, "");
	assert_shared_out(r, connections);
	relay_stop(r);
	free(setting);
}

/* The id of the tree of all mailboxes. */
static char *tree_over(unsigned connections)
{
	struct backup job;
	char *tree;

	back_up(&job, "git", connections);
	tree = git_id(job.root, "main:mailboxes");
	backup_release(&job);
	return tree;
}

static void test_the_archive_is_the_same_over_1_2_and_4_connections(void **state)
{
	char *one = tree_over(1), *two = tree_over(2), *four = tree_over(4);

	(void)state;
	assert_string_equal(one, two);
	assert_string_equal(one, four);
	free(one);
	free(two);
	free(four);
}

static void test_a_maildir_over_4_connections_is_what_the_account_is(void **state)
{
	struct backup job;

	(void)state;
	back_up(&job, "maildir", 4);
	archive_equals(job.root, account);
	backup_release(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_archive_is_the_same_over_1_2_and_4_connections),
		cmocka_unit_test(test_a_maildir_over_4_connections_is_what_the_account_is),
	};

	return cmocka_run_group_tests_name("connections", tests, start, stop);
}
