/* From one account to another, on real servers: all of it, once, and later what changed. */
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

#include "core/base/mem.h"
#include "tests/lib/accounts.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"

/* Two users of one server, and a job from the one to the other. */
struct move {
	struct dovecot *dv;
	struct oracle *from, *to;
	struct backup_config config;
	struct backup job;
};

static int start_on(void **state, const struct dovecot_opts *opts)
{
	struct move *m = calloc(1, sizeof(*m));

	m->dv = dovecot_start(opts);
	m->from = oracle_open(m->dv->port, "alice");
	m->to = oracle_open(m->dv->port, "bob");
	m->config = (struct backup_config){ .port = m->dv->port, .to_port = m->dv->port };
	backup_init(&m->job, &m->config);
	*state = m;
	return 0;
}

static int start(void **state)
{
	return start_on(state, NULL);
}

static int stop(void **state)
{
	struct move *m = *state;

	oracle_close(m->from);
	oracle_close(m->to);
	dovecot_stop(m->dv);
	backup_release(&m->job);
	free(m);
	return 0;
}

static void run(struct move *m, int status, const char *args, struct backup_result *res)
{
	migrate_expect(&m->job, res, status, NULL, args);
}

/* It ends so, and accounts for so many messages. */
static void ends_with(struct move *m, int status, const char *args, uint64_t messages, uint64_t copied,
		      uint64_t adopted, uint64_t quarantined)
{
	struct backup_result res;

	run(m, status, args, &res);
	if (res.messages != messages || res.copied != copied || res.adopted != adopted ||
	    res.quarantined != quarantined || res.missing)
		test_die("%s%s", buf_str(&res.out), buf_str(&res.err));
	backup_result_release(&res);
}

static unsigned count_commands(const struct buf *all, const char *word)
{
	unsigned n = 0;

	for (const char *at = strstr(buf_str(all), word); at; at = strstr(at + 1, word))
		n++;
	return n;
}

static void append(struct oracle *o, const char *mailbox, const char *id, const char *flags)
{
	char *text = xasprintf("Message-ID: <%s@x>\r\nFrom: a@b\r\nDate: Mon, 7 Feb 2022 11:12:13 +0000\r\nSubject: "
			       "%s\r\n\r\nbody of %s\r\n",
			       id, id, id);
	const struct oracle_new new = { .flags = flags, .date = " 7-Feb-2022 11:12:13 +0000",
					.body = bytes_of(text) };

	oracle_append(o, mailbox, &new, 1);
	free(text);
}

static void test_all_mail_is_the_same_there_and_a_second_run_lists_and_nothing_else(void **state)
{
	struct move *m = *state;
	struct relay *from = relay_start(&(struct relay_opts){ .port = m->dv->port }), *to;
	struct buf said = BUF_INIT(1 << 20);
	uint64_t messages = 0;
	struct backup_result res;
	const char *again = NULL;

	to = relay_start(&(struct relay_opts){ .port = m->dv->port });
	m->config.port = relay_port(from);
	m->config.to_port = relay_port(to);
	backup_configure(&m->job, &m->config);
	corpus_fill_demo(m->from);
	append(m->from, "INBOX", "twice", "\\Seen $Label1");
	append(m->from, "INBOX", "twice", "\\Seen $Label1");
	for (size_t i = 0; i < corpus_mailboxes_n; i++)
		messages += corpus_mailboxes[i].messages;
	messages = messages + 2;
	run(m, 0, "", &res);
	assert_int_equal(res.new_messages, res.messages);
	assert_int_equal(res.copied, res.messages);
	assert_true(res.messages >= messages);
	assert_string_equal(buf_str(&res.err), "");
	backup_result_release(&res);
	accounts_equal(m->from, m->to, "");

	relay_commands(to, &said);
	again = buf_str(&said) + said.n;
	messages = said.n;
	run(m, 0, "", &res);
	assert_int_equal(res.copied_now + res.adopted_now + res.flags_changed, 0);
	assert_int_equal(res.copied, res.messages);
	backup_result_release(&res);
	buf_clear(&said);
	relay_commands(to, &said);
	again = buf_str(&said) + messages;
	if (strstr(again, "SELECT") || strstr(again, "FETCH") || strstr(again, "EXAMINE") ||
	    strstr(again, "APPEND") || !strstr(again, "LIST"))
		fail_msg("a run with nothing to do said:\n%s", again);
	buf_release(&said);
	relay_stop(from);
	relay_stop(to);
}

static void test_later_only_what_changed_moves(void **state)
{
	struct move *m = *state;
	struct relay *to = relay_start(&(struct relay_opts){ .port = m->dv->port });
	struct buf said = BUF_INIT(1 << 20);
	struct backup_result res;
	size_t before;

	corpus_fill_demo(m->from);
	ends_with(m, 0, "", 40, 40, 0, 0);
	m->config.to_port = relay_port(to);
	backup_configure(&m->job, &m->config);
	corpus_fill(m->from, "INBOX", 900, 3, 1000, 2000);
	oracle_store(m->from, "INBOX", "2:3", "+FLAGS", "\\Flagged $New");
	oracle_store(m->from, "INBOX", "1", "-FLAGS", "\\Seen");
	oracle_create(m->from, "Later");
	append(m->from, "Later", "one", "\\Seen");
	run(m, 0, "", &res);
	assert_int_equal(res.copied_now, 4);
	assert_int_equal(res.messages, 44);
	assert_int_equal(res.copied, 44);
	backup_result_release(&res);
	relay_commands(to, &said);
	before = relay_stats(to).to_server;
	assert_true(before < 4 * 2000 + 20000);
	assert_true(count_commands(&said, "UID STORE") <= 3);
	assert_int_equal(count_commands(&said, "FETCH"), 0); /* all that is there has a row in the ledger */
	accounts_equal(m->from, m->to, "");
	buf_release(&said);
	relay_stop(to);
}

static void test_lines_that_break_on_either_side_cost_nothing_but_time(void **state)
{
	struct move *m = *state;
	struct relay *from = relay_start(&(struct relay_opts){
		.port = m->dv->port, .cut_to_client = 150000, .cut_times = 2 });
	struct relay *to = relay_start(&(struct relay_opts){
		.port = m->dv->port, .cut_to_server = 100000, .cut_times = 2 });

	m->config.port = relay_port(from);
	m->config.to_port = relay_port(to);
	backup_configure(&m->job, &m->config);
	corpus_fill(m->from, "INBOX", 0, 120, 1000, 5000);
	oracle_create(m->from, "Work");
	corpus_fill(m->from, "Work", 200, 60, 1000, 5000);
	ends_with(m, 0, "", 180, 180, 0, 0);
	assert_int_equal(relay_stats(from).cuts, 2);
	assert_int_equal(relay_stats(to).cuts, 2);
	accounts_equal(m->from, m->to, "");
	ends_with(m, 0, "", 180, 180, 0, 0);
	relay_stop(from);
	relay_stop(to);
}

static void test_what_is_changed_at_the_target_stays(void **state)
{
	struct move *m = *state;
	struct oracle_dump d;

	for (int i = 0; i < 5; i++) {
		char id[2] = { (char)('a' + i), '\0' };

		append(m->from, "INBOX", id, "\\Seen");
	}
	ends_with(m, 0, "", 5, 5, 0, 0);
	oracle_expunge(m->to, "INBOX", "1");
	oracle_store(m->to, "INBOX", "2", "FLAGS", "$Mine");
	append(m->to, "INBOX", "mine", "");
	oracle_store(m->from, "INBOX", "2:3", "+FLAGS", "\\Answered");
	append(m->from, "INBOX", "f", "");
	ends_with(m, 0, "", 6, 6, 0, 0);
	oracle_dump(m->to, "INBOX", &d);
	assert_int_equal(d.n, 6);
	assert_string_equal(d.msg[0].flags, "$Mine \\Answered");
	assert_string_equal(d.msg[1].flags, "\\Answered \\Seen");
	oracle_dump_release(&d);
}

static void test_deletions_are_followed_when_asked_for_and_behind_the_guard(void **state)
{
	struct move *m = *state;
	struct backup_result res;

	corpus_fill(m->from, "INBOX", 1, 100, 500, 800);
	oracle_create(m->from, "Old");
	append(m->from, "Old", "one", "");
	append(m->to, "INBOX", "mine", "");
	ends_with(m, 0, "", 101, 101, 0, 0);
	oracle_expunge(m->from, "INBOX", "1:5");
	oracle_command(m->from, "DELETE Old");
	ends_with(m, 0, "", 95, 95, 0, 0);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 101);
	assert_int_equal(mailbox_count(m->to, "Old"), 1);
	oracle_expunge(m->from, "INBOX", "6");
	run(m, 0, "--delete -n", &res);
	assert_int_equal(res.removed, 7);
	backup_result_release(&res);
	run(m, 0, "--delete", &res);
	assert_int_equal(res.removed, 7); /* those of the earlier run, too */
	assert_int_equal(res.missing, 0);
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 95);
	assert_true(strncmp(oracle_try(m->to, "STATUS Old (MESSAGES)"), "NO", 2) == 0);
	oracle_expunge(m->from, "INBOX", "7:60");
	run(m, 4, "--delete", &res);
	assert_int_equal(res.held, 54);
	assert_non_null(strstr(buf_str(&res.err), "mailcask migrate job --delete --allow-deletes=54"));
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 95);
	run(m, 0, "--delete --allow-deletes=54", &res);
	assert_int_equal(res.removed, 54);
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 41);
	/* Kept first and followed later is no way around it. */
	oracle_expunge(m->from, "INBOX", "61:90");
	ends_with(m, 0, "", 10, 10, 0, 0);
	run(m, 4, "--delete", &res);
	assert_int_equal(res.held, 30);
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 41);
	run(m, 0, "--delete --allow-deletes=30", &res);
	assert_int_equal(res.removed, 30);
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 11);
}

static void test_a_mailbox_with_other_mail_in_it_stays(void **state)
{
	struct move *m = *state;
	struct backup_result res;

	corpus_fill(m->from, "INBOX", 1, 30, 500, 800);
	oracle_create(m->from, "Both");
	append(m->from, "Both", "one", "");
	ends_with(m, 0, "", 31, 31, 0, 0);
	append(m->to, "Both", "mine", "\\Seen");
	oracle_command(m->from, "SELECT INBOX");
	oracle_command(m->from, "DELETE Both");
	run(m, 0, "--delete", &res);
	assert_int_equal(res.removed, 1);
	assert_non_null(strstr(buf_str(&res.out), "Both: the account has other messages there, so the mailbox stays"));
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "Both"), 1);
	run(m, 0, "--delete", &res);
	assert_null(strstr(buf_str(&res.out), "Both"));
	backup_result_release(&res);
}

static void forget_ledger(const struct backup *b)
{
	static const char *const names[] = { "job.db", "job.db-wal", "job.db-shm", "job.db.lock" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = xasprintf("%s/mailcask/%s", b->state, names[i]);

		unlink(path);
		free(path);
	}
}

static void test_what_the_target_holds_is_adopted_with_and_without_a_ledger(void **state)
{
	struct move *m = *state;
	struct backup_result res;

	for (char id[2] = "a"; *id < 'k'; ++*id)
		append(m->from, "INBOX", id, *id % 2 ? "\\Seen $One" : "");
	for (char id[2] = "d"; *id < 'g'; ++*id)
		append(m->to, "INBOX", id, "");
	append(m->to, "INBOX", "mine", "");
	ends_with(m, 0, "-n", 0, 0, 0, 0);
	ends_with(m, 0, "", 10, 7, 3, 0);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 11);
	forget_ledger(&m->job);
	run(m, 0, "", &res);
	assert_int_equal(res.adopted, 10);
	assert_int_equal(res.adopted_now, 10);
	assert_non_null(strstr(buf_str(&res.out), "is not there any more"));
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 11);
	ends_with(m, 0, "", 10, 0, 10, 0);
}

static void test_a_mailbox_that_was_made_anew_at_the_target_is_filled_again(void **state)
{
	struct move *m = *state;

	oracle_create(m->from, "Work");
	for (char id[2] = "a"; *id < 'g'; ++*id)
		append(m->from, "Work", id, "");
	ends_with(m, 0, "", 6, 6, 0, 0);
	oracle_command(m->to, "DELETE Work");
	oracle_create(m->to, "Work");
	append(m->to, "Work", "b", "");
	ends_with(m, 0, "", 6, 5, 1, 0);
	mailboxes_equal(m->from, "Work", m->to, "Work");
	oracle_command(m->to, "SELECT INBOX"); /* Dovecot ends a session whose mailbox is deleted */
	oracle_command(m->to, "DELETE Work");
	ends_with(m, 0, "", 6, 6, 0, 0);
	mailboxes_equal(m->from, "Work", m->to, "Work");
}

static int start_german(void **state)
{
	static const char extra[] = "namespace inbox {\n  mailbox Sent {\n    special_use =\n  }\n"
				    "  mailbox Gesendet {\n    special_use = \\Sent\n  }\n"
				    "  mailbox Entwurf {\n    special_use = \\Drafts\n  }\n}\n";

	return start_on(state, &(struct dovecot_opts){ .extra = extra });
}

static void test_an_empty_mailbox_that_is_made_anew_is_no_trouble(void **state)
{
	struct move *m = *state;

	append(m->from, "INBOX", "one", "");
	oracle_create(m->from, "empty");
	ends_with(m, 0, "", 1, 1, 0, 0);
	oracle_command(m->from, "DELETE empty");
	oracle_create(m->from, "empty");
	ends_with(m, 0, "", 1, 1, 0, 0);
	oracle_command(m->from, "DELETE empty");
	oracle_create(m->from, "empty");
	append(m->from, "empty", "two", "");
	ends_with(m, 0, "", 2, 2, 0, 0);
	accounts_equal(m->from, m->to, "");
}

static void test_special_uses_lead_to_each_other_and_rules_come_first(void **state)
{
	struct move *m = *state;
	struct dovecot *english = dovecot_start(NULL);
	struct oracle *to = oracle_open(english->port, "bob");
	struct backup_result res;

	m->config.to_port = english->port;
	m->config.job = "map = Alt -> Archive/Old\n";
	backup_configure(&m->job, &m->config);
	oracle_create(m->from, "Gesendet");
	oracle_create(m->from, "Entwurf");
	oracle_create(m->from, "Alt");
	oracle_create(to, "Sent");
	append(m->from, "Gesendet", "a", "\\Seen");
	append(m->from, "Entwurf", "b", "\\Draft");
	append(m->from, "Alt", "c", "");
	run(m, 0, "-n", &res);
	assert_non_null(strstr(buf_str(&res.out), "\"mailbox\":\"Sent\""));
	assert_non_null(strstr(buf_str(&res.out), "\"source\":\"Gesendet\""));
	backup_result_release(&res);
	ends_with(m, 0, "", 3, 3, 0, 0);
	mailboxes_equal(m->from, "Gesendet", to, "Sent");
	mailboxes_equal(m->from, "Entwurf", to, "Entwurf");
	mailboxes_equal(m->from, "Alt", to, "Archive/Old");
	append(m->from, "Gesendet", "d", "\\Seen");
	ends_with(m, 0, "", 4, 4, 0, 0);
	mailboxes_equal(m->from, "Gesendet", to, "Sent");
	oracle_close(to);
	dovecot_stop(english);
}

static void test_a_name_with_mailboxes_below_it_becomes_a_mailbox(void **state)
{
	struct move *m = *state;

	oracle_create(m->from, "Work/2023");
	append(m->from, "Work/2023", "a", "");
	ends_with(m, 0, "", 1, 1, 0, 0);
	oracle_create(m->from, "Work");
	append(m->from, "Work", "b", "");
	ends_with(m, 0, "", 2, 2, 0, 0);
	accounts_equal(m->from, m->to, "");
}

static void test_a_renamed_mailbox_is_renamed_and_not_copied_again(void **state)
{
	struct move *m = *state;
	struct backup_result res;

	oracle_create(m->from, "Work/2023");
	append(m->from, "Work/2023", "a", "\\Seen");
	ends_with(m, 0, "", 1, 1, 0, 0);
	oracle_command(m->from, "RENAME Work Jobs");
	run(m, 0, "", &res);
	assert_int_equal(res.copied_now, 0);
	assert_true(res.renamed > 0);
	backup_result_release(&res);
	mailboxes_equal(m->from, "Jobs/2023", m->to, "Jobs/2023");
	ends_with(m, 0, "", 1, 1, 0, 0);
}

static void test_an_error_says_which_of_the_two_accounts_it_is_about(void **state)
{
	struct move *m = *state;
	struct backup_result res;

	m->config.password = "wrong";
	backup_configure(&m->job, &m->config);
	run(m, 12, "", &res);
	assert_non_null(strstr(buf_str(&res.err), "job: far: login: "));
	backup_result_release(&res);
	m->config.password = NULL;
	m->config.near = "auth = cram-md5\n"; /* which the server does not offer */
	backup_configure(&m->job, &m->config);
	run(m, 1, "", &res);
	assert_non_null(strstr(buf_str(&res.err), "job: near: "));
	backup_result_release(&res);
}

static void test_subscriptions_come_along(void **state)
{
	struct move *m = *state;
	struct bytes listed;

	oracle_create(m->from, "Yes");
	oracle_create(m->from, "No");
	oracle_command(m->from, "SUBSCRIBE Yes");
	append(m->from, "Yes", "a", "");
	append(m->from, "No", "b", "");
	ends_with(m, 0, "", 2, 2, 0, 0);
	listed = oracle_command(m->to, "LSUB \"\" *");
	assert_non_null(memmem(listed.p, listed.n, "Yes", 3));
	assert_null(memmem(listed.p, listed.n, "No\r", 3));
}

static void test_status_and_quarantine_need_no_server(void **state)
{
	struct move *m = *state;
	struct backup_result res;

	append(m->from, "INBOX", "a", "");
	append(m->from, "INBOX", "b", "");
	append(m->to, "INBOX", "b", "");
	program_run(&m->job, &res, NULL, "status", "");
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	ends_with(m, 0, "", 2, 1, 1, 0);
	dovecot_down(m->dv);
	program_run(&m->job, &res, NULL, "status", "");
	assert_int_equal(res.status, 0);
	assert_non_null(strstr(buf_str(&res.out), "\"kind\":\"migrate\""));
	assert_non_null(strstr(buf_str(&res.out), "\"messages\":2,\"adopted\":1"));
	backup_result_release(&res);
	program_run(&m->job, &res, NULL, "quarantine", "job retry");
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	dovecot_restart(m->dv);
}

static void test_plan_and_apply_know_migrations_and_backup_does_not(void **state)
{
	struct move *m = *state;
	struct backup_result res;
	char *plan = path_join(m->job.dir, "plan.json"), *args = xasprintf("-o %s job", plan);

	append(m->from, "INBOX", "a", "");
	ends_with(m, 0, "", 1, 1, 0, 0);
	append(m->from, "INBOX", "b", "");
	program_run(&m->job, &res, NULL, "plan", args);
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	append(m->from, "INBOX", "c", "");
	program_run(&m->job, &res, NULL, "apply", plan);
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 2);
	ends_with(m, 0, "", 3, 3, 0, 0);
	program_run(&m->job, &res, NULL, "backup", "job");
	assert_int_equal(res.status, 2);
	assert_non_null(strstr(buf_str(&res.err), "[job job] is of kind migrate: mailcask migrate job"));
	backup_result_release(&res);
	program_run(&m->job, &res, NULL, "migrate", "--allow-deletes=3");
	assert_int_equal(res.status, 2);
	assert_non_null(strstr(buf_str(&res.err), "--allow-deletes needs --delete"));
	backup_result_release(&res);
	free(plan);
	free(args);
}

static void test_a_name_the_target_cannot_hold_is_told_with_how_much_is_missing(void **state)
{
	struct move *m = *state;
	struct dovecot *dotted = dovecot_start(&(struct dovecot_opts){ .extra = "namespace inbox {\n  separator = .\n}\n" });
	struct oracle *to = oracle_open(dotted->port, "bob");
	struct backup_result res;

	m->config.to_port = dotted->port;
	m->config.job = "map = Odd -> Has.dot\n";
	backup_configure(&m->job, &m->config);
	append(m->from, "INBOX", "a", "");
	oracle_create(m->from, "Odd");
	append(m->from, "Odd", "b", "");
	append(m->from, "Odd", "c", "");
	oracle_create(m->from, "Work/Deep");
	append(m->from, "Work/Deep", "d", "");
	run(m, 3, "", &res);
	assert_int_equal(res.messages, 4);
	assert_int_equal(res.copied, 2);
	assert_int_equal(res.missing, 2);
	assert_non_null(strstr(buf_str(&res.err), "2 messages = 0 copied + 0 adopted + 0 in quarantine + 2 not "
						  "accounted for"));
	backup_result_release(&res);
	mailboxes_equal(m->from, "Work/Deep", to, "Work.Deep");
	m->config.job = "map = Odd -> Even\n";
	backup_configure(&m->job, &m->config);
	ends_with(m, 0, "", 4, 4, 0, 0);
	mailboxes_equal(m->from, "Odd", to, "Even");
	oracle_close(to);
	dovecot_stop(dotted);
}

static void drop_uids(const char *maildir)
{
	static const char *const files[] = { "dovecot-uidlist", "dovecot.index", "dovecot.index.log",
					     "dovecot.index.cache" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = path_join(maildir, files[i]);

		remove_tree(path);
		free(path);
	}
}

/* The source's server was made anew: other UIDs, the same mail. */
static void test_nothing_is_copied_again_under_new_uids_of_the_source(void **state)
{
	struct move *m = *state;
	char *inbox = dovecot_maildir(m->dv, "alice");
	struct backup_result res;

	corpus_fill(m->from, "INBOX", 0, 40, 200, 3000);
	ends_with(m, 0, "", 40, 40, 0, 0);
	oracle_expunge(m->from, "INBOX", "3,17");
	corpus_fill(m->from, "INBOX", 50, 2, 200, 3000);
	oracle_log_out(m->from);
	oracle_log_out(m->to);
	dovecot_down(m->dv);
	drop_uids(inbox);
	dovecot_restart(m->dv);
	oracle_log_in(m->from);
	oracle_log_in(m->to);
	run(m, 0, "", &res);
	assert_int_equal(res.messages, 40);
	assert_int_equal(res.copied_now, 2);
	assert_int_equal(res.missing, 0);
	assert_int_equal(res.kept, 2);
	backup_result_release(&res);
	assert_int_equal(mailbox_count(m->to, "INBOX"), 42);
	run(m, 0, "--delete", &res);
	assert_int_equal(res.removed, 2);
	backup_result_release(&res);
	accounts_equal(m->from, m->to, "");
	free(inbox);
}

/* A server that takes no message above 10 kB. */
static void test_what_the_target_refuses_is_in_quarantine_and_accounted_for(void **state)
{
	struct move *m = *state;
	struct dovecot *small = dovecot_start(&(struct dovecot_opts){
		.extra = "mail_plugins = quota\nplugin {\n  quota = count:User quota\n  quota_vsizes = yes\n"
			 "  quota_max_mail_size = 10k\n}\n" });
	struct oracle *to = oracle_open(small->port, "bob");
	struct backup_result res;

	m->config.to_port = small->port;
	backup_configure(&m->job, &m->config);
	for (char id[2] = "a"; *id <= 't'; ++*id)
		append(m->from, "INBOX", id, "");
	corpus_fill(m->from, "INBOX", 40, 1, 30000, 30000);
	for (char id[2] = "A"; *id <= 'T'; ++*id)
		append(m->from, "INBOX", id, "\\Seen");
	run(m, 3, "", &res);
	assert_int_equal(res.messages, 41);
	assert_int_equal(res.copied, 40);
	assert_int_equal(res.quarantined, 1);
	assert_int_equal(res.missing, 0);
	assert_non_null(strstr(buf_str(&res.err), "message with UID 21 could not be copied"));
	backup_result_release(&res);
	assert_int_equal(mailbox_count(to, "INBOX"), 40);
	program_run(&m->job, &res, NULL, "status", "");
	assert_int_equal(res.status, 3);
	backup_result_release(&res);
	program_run(&m->job, &res, NULL, "quarantine", "job accept 21");
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	ends_with(m, 0, "", 41, 40, 0, 1);
	oracle_close(to);
	dovecot_stop(small);
}

static void test_a_target_without_room_is_told_before_and_accounted_for_after(void **state)
{
	struct move *m = *state;
	struct dovecot *small = dovecot_start(&(struct dovecot_opts){
		.extra_imap = "  mail_plugins = quota imap_quota",
		.extra = "mail_plugins = quota\nplugin {\n  quota = count:User quota\n  quota_vsizes = yes\n"
			 "  quota_rule = *:storage=40K\n}\n" });
	struct oracle *to = oracle_open(small->port, "bob");
	struct backup_result res;
	uint64_t there;

	m->config.to_port = small->port;
	backup_configure(&m->job, &m->config);
	corpus_fill(m->from, "INBOX", 200, 60, 1000, 3000);
	run(m, 0, "-n", &res);
	assert_non_null(strstr(buf_str(&res.out), "the target account has room for 40960 more bytes"));
	backup_result_release(&res);
	migrate_expect(&m->job, &res, 3, NULL, "");
	assert_non_null(strstr(buf_str(&res.out), "the target account has room for 40960 more bytes"));
	there = mailbox_count(to, "INBOX");
	assert_true(there > 5 && there < 60);
	assert_int_equal(res.copied, there);
	assert_int_equal(res.messages, 60);
	assert_int_equal(res.missing, 60 - there - res.quarantined);
	backup_result_release(&res);
	oracle_close(to);
	dovecot_stop(small);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_all_mail_is_the_same_there_and_a_second_run_lists_and_nothing_else),
		CASE(test_later_only_what_changed_moves),
		CASE(test_lines_that_break_on_either_side_cost_nothing_but_time),
		CASE(test_what_is_changed_at_the_target_stays),
		CASE(test_deletions_are_followed_when_asked_for_and_behind_the_guard),
		CASE(test_a_mailbox_with_other_mail_in_it_stays),
		CASE(test_what_the_target_holds_is_adopted_with_and_without_a_ledger),
		CASE(test_a_mailbox_that_was_made_anew_at_the_target_is_filled_again),
		CASE(test_an_empty_mailbox_that_is_made_anew_is_no_trouble),
		cmocka_unit_test_setup_teardown(test_special_uses_lead_to_each_other_and_rules_come_first,
						start_german, stop),
		CASE(test_a_name_with_mailboxes_below_it_becomes_a_mailbox),
		CASE(test_a_renamed_mailbox_is_renamed_and_not_copied_again),
		CASE(test_an_error_says_which_of_the_two_accounts_it_is_about),
		CASE(test_subscriptions_come_along),
		CASE(test_status_and_quarantine_need_no_server),
		CASE(test_plan_and_apply_know_migrations_and_backup_does_not),
		CASE(test_nothing_is_copied_again_under_new_uids_of_the_source),
		CASE(test_what_the_target_refuses_is_in_quarantine_and_accounted_for),
		CASE(test_a_target_without_room_is_told_before_and_accounted_for_after),
		CASE(test_a_name_the_target_cannot_hold_is_told_with_how_much_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
