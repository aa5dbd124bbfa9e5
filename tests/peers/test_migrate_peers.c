/* From Dovecot to servers that are not: names below INBOX., few extensions or nearly all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/accounts.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/peers.h"

/* It ends so, accounts for all there is, and so much of it is of this run. */
static void moves(const struct backup *b, uint64_t messages, uint64_t copied_now, uint64_t adopted_now,
		  const char *args)
{
	struct backup_result res;

	migrate_expect(b, &res, 0, NULL, args);
	if (res.messages != messages || res.copied + res.adopted != messages || res.missing ||
	    res.copied_now != copied_now || res.adopted_now != adopted_now)
		test_die("%s%s", buf_str(&res.out), buf_str(&res.err));
	backup_result_release(&res);
}

static void fill(struct oracle *o)
{
	corpus_fill_demo(o);
	oracle_create(o, "Work/Deep");
	corpus_fill(o, "Work/Deep", 300, 5, 200, 4000);
}

/* Courier ends every message with a line end. */
static void drop_those_without_end(struct oracle *o)
{
	struct name_list names = { 0 };

	oracle_list(o, &names);
	for (size_t i = 0; i < names.n; i++) {
		struct oracle_dump d;

		oracle_dump(o, names.name[i], &d);
		for (size_t k = 0; k < d.n; k++) {
			struct buf body = BUF_INIT(1 << 25);
			char uid[16];

			snprintf(uid, sizeof(uid), "%u", d.msg[k].uid);
			oracle_body(o, names.name[i], d.msg[k].uid, &body);
			if (body.n == 0 || body.p[body.n - 1] != '\n')
				oracle_expunge(o, names.name[i], uid);
			buf_release(&body);
		}
		oracle_dump_release(&d);
	}
	name_list_release(&names);
}

static uint64_t count_all(struct oracle *o)
{
	struct name_list names = { 0 };
	uint64_t n = 0;

	oracle_list(o, &names);
	for (size_t i = 0; i < names.n; i++)
		n += mailbox_count(o, names.name[i]);
	name_list_release(&names);
	return n;
}

/* All of it, then what changed, then nothing, then deletions; and what the target holds is adopted. */
static void moves_on(const struct backup_config *config, struct backup *job, struct oracle *from,
		     struct oracle *to, const char *prefix)
{
	uint64_t n = count_all(from);
	struct backup second;

	moves(job, n, 0, 0, "");
	accounts_equal(from, to, prefix);
	corpus_fill(from, "INBOX", 700, 2, 300, 900);
	corpus_fill(from, "Work/Deep", 720, 2, 300, 900);
	oracle_store(from, "INBOX", "2:4", "+FLAGS", "\\Flagged");
	oracle_store(from, "INBOX", "1", "-FLAGS", "\\Seen");
	moves(job, n + 4, 4, 0, "");
	accounts_equal(from, to, prefix);
	oracle_expunge(from, "Work/Deep", "2:3");
	moves(job, n + 2, 0, 0, "--delete");
	accounts_equal(from, to, prefix);
	/* Another job knows nothing of the first. */
	backup_init(&second, config);
	moves(&second, n + 2, 0, n + 2, "");
	accounts_equal(from, to, prefix);
	backup_release(&second);
}

static void test_courier_is_a_target(void **state)
{
	struct peer *p = peer_courier();
	struct dovecot *dv = dovecot_start(NULL);
	struct oracle *from = oracle_open(dv->port, "alice"), *to = oracle_open(p->port, "alice");
	struct backup_config config = { .port = dv->port, .to_port = p->port, .to_user = "alice" };
	struct backup_result res;
	struct backup job;

	(void)state;
	fill(from);
	drop_those_without_end(from);
	backup_init(&job, &config);
	migrate_expect(&job, &res, 3, NULL, ""); /* there are names that it refuses */
	assert_int_equal(res.messages, count_all(from));
	assert_int_equal(res.missing, mailbox_count(from, "Party &2DzfiQ-"));
	assert_true(res.missing > 0);
	assert_non_null(strstr(buf_str(&res.err), "`map` can give it another name"));
	backup_result_release(&res);
	oracle_command(from, "SELECT INBOX");
	oracle_command(from, "DELETE \"Party &2DzfiQ-\"");
	moves_on(&config, &job, from, to, "INBOX.");
	backup_release(&job);
	oracle_close(from);
	oracle_close(to);
	dovecot_stop(dv);
	peer_stop(p);
}

static void test_cyrus_is_a_target(void **state)
{
	struct peer *p = peer_cyrus(NULL);
	struct dovecot *dv = dovecot_start(NULL);
	struct oracle *from = oracle_open(dv->port, "alice"), *to = oracle_open(p->port, "alice");
	struct backup_config config = { .port = dv->port, .to_port = p->port, .to_user = "alice" };
	struct backup job;

	(void)state;
	fill(from);
	backup_init(&job, &config);
	moves(&job, 45, 45, 0, "");
	moves_on(&config, &job, from, to, "");
	backup_release(&job);
	oracle_close(from);
	oracle_close(to);
	dovecot_stop(dv);
	peer_stop(p);
}

static void test_courier_is_a_source_whose_prefix_is_left_out(void **state)
{
	struct peer *p = peer_courier();
	struct dovecot *dv = dovecot_start(NULL);
	struct oracle *from = oracle_open(p->port, "bob"), *to = oracle_open(dv->port, "bob");
	struct backup_config config = { .port = p->port, .user = "bob", .to_port = dv->port };
	struct backup job;

	(void)state;
	oracle_create(from, "INBOX.Work.Deep");
	corpus_fill(from, "INBOX", 1, 5, 200, 4000);
	corpus_fill(from, "INBOX.Work.Deep", 300, 5, 200, 4000);
	backup_init(&job, &config);
	moves(&job, 10, 10, 0, "");
	mailboxes_equal(from, "INBOX", to, "INBOX");
	mailboxes_equal(from, "INBOX.Work.Deep", to, "Work/Deep");
	moves(&job, 10, 0, 0, "");
	backup_release(&job);
	oracle_close(from);
	oracle_close(to);
	dovecot_stop(dv);
	peer_stop(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_courier_is_a_target),
		cmocka_unit_test(test_cyrus_is_a_target),
		cmocka_unit_test(test_courier_is_a_source_whose_prefix_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
