/*
 * Which store belongs to which job and account, who may write it, and whom to trust: the identity table row
 * by row, locks, passwords, certificates, configuration mistakes, a full disk.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

static struct dovecot *server;
static struct oracle *alice;
static struct backup job;

static int start_server(void **state)
{
	struct oracle *bob;

	(void)state;
	/* A second address, where clear text is not taken for granted. */
	server = dovecot_start(&(struct dovecot_opts){
		.extra = "listen = 127.0.0.1, 127.0.0.2\ndisable_plaintext_auth = no\n" });
	alice = oracle_open(server->port, "alice");
	oracle_create(alice, "Sent");
	corpus_fill(alice, "INBOX", 0, 6, 0, 2000);
	corpus_fill(alice, "Sent", 10, 4, 0, 2000);
	bob = oracle_open(server->port, "bob");
	corpus_fill(bob, "INBOX", 20, 3, 0, 2000);
	oracle_close(bob);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	oracle_close(alice);
	dovecot_stop(server);
	return 0;
}

static int start(void **state)
{
	const struct backup_config config = { .port = server->port };

	(void)state;
	backup_init(&job, &config);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	return 0;
}

static void run_tool(const char *a, const char *b, const char *c, const char *d)
{
	struct proc_result res;

	proc_runl(&res, NULL, a, b, c, d, NULL);
	if (res.status != 0)
		fail_msg("%s: %s", a, buf_str(&res.err));
	proc_result_release(&res);
}

/* Exits with `status`, says all of the words (NULL ends them), and changes nothing anywhere. */
static void refused(int status, const char *args, ...)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct backup_result res;
	const char *word;
	va_list ap;

	archive_snapshot(job.parent, &before);
	backup_expect(&job, &res, status, args);
	archive_snapshot(job.parent, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	va_start(ap, args);
	while ((word = va_arg(ap, const char *)))
		if (!strstr(buf_str(&res.err), word))
			fail_msg("\"%s\" is not in: %s", word, buf_str(&res.err));
	va_end(ap);
	backup_result_release(&res);
	buf_release(&before);
	buf_release(&after);
}

static void assert_complete(void)
{
	archive_equals(job.root, alice);
	backup_idle(&job);
}

/* --- the table: no JOB.run --- */

static void test_no_record_and_no_directory_is_a_first_run(void **state)
{
	(void)state;
	backup_ends_with(&job, 0, "");
	assert_complete();
}

static void test_no_record_and_an_empty_directory_is_a_first_run(void **state)
{
	(void)state;
	assert_int_equal(mkdir(job.root, 0700), 0);
	backup_ends_with(&job, 0, "");
	assert_complete();
}

static void test_a_store_that_comes_from_elsewhere_goes_on_without_deletions_at_first(void **state)
{
	struct oracle *o = oracle_open(server->port, "mover");
	const struct backup_config config = { .port = server->port, .user = "mover" };
	struct backup_result res;

	(void)state;
	corpus_fill(o, "INBOX", 30, 9, 0, 2000);
	backup_configure(&job, &config);
	backup_ends_with(&job, 0, "");
	remove_tree(job.state);
	oracle_expunge(o, "INBOX", "2");
	corpus_fill(o, "INBOX", 50, 1, 0, 2000);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 1);
	assert_int_equal(res.removed, 0);
	backup_result_release(&res);
	assert_int_equal(archive_count(job.root), 10);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.removed, 1);
	backup_result_release(&res);
	archive_equals(job.root, o);
	oracle_close(o);
}

static void make_foreign(void)
{
	static const char *const dirs[] = { "", "/INBOX", "/INBOX/cur", "/INBOX/new",
					    "/INBOX/tmp" };

	for (size_t i = 0; i < 5; i++) {
		char *path = xasprintf("%s%s", job.root, dirs[i]);

		assert_int_equal(mkdir(path, 0755), 0);
		free(path);
	}
}

static struct timespec date_of(struct oracle *o, uint32_t uid)
{
	struct timespec when = { 0 };
	struct oracle_dump d;
	struct tm tm = { 0 };

	oracle_dump(o, "INBOX", &d);
	for (size_t i = 0; i < d.n; i++)
		if (d.msg[i].uid == uid) {
			long offset;

			assert_non_null(strptime(d.msg[i].date, "%d-%b-%Y %H:%M:%S %z", &tm));
			offset = tm.tm_gmtoff;
			when.tv_sec = timegm(&tm) - offset;
		}
	oracle_dump_release(&d);
	return when;
}

/* A message as another program would have stored it: its own name, LF line ends. */
static void deliver_foreign(struct oracle *o, uint32_t uid, const char *name)
{
	const struct timespec when[] = { date_of(o, uid), date_of(o, uid) };
	struct buf body = BUF_INIT(1 << 20), file = BUF_INIT(1 << 20);
	char *path = xasprintf("%s/INBOX/cur/%s", job.root, name);

	oracle_body(o, "INBOX", uid, &body);
	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != '\r')
			buf_add_byte(&file, body.p[i]);
	write_file(path, buf_bytes(&file));
	assert_int_equal(utimensat(AT_FDCWD, path, when, 0), 0);
	buf_release(&body);
	buf_release(&file);
	free(path);
}

static void test_a_maildir_of_somebody_else_is_refused_without_adopt(void **state)
{
	(void)state;
	make_foreign();
	deliver_foreign(alice, 1, "1500000000.1_1.host,U=1:2,S");
	refused(2, "", "--adopt", NULL);
}

static void test_adopt_pairs_by_content_one_to_one(void **state)
{
	struct oracle *o = oracle_open(server->port, "twice");
	const struct backup_config config = { .port = server->port, .user = "twice" };
	char *foreign = path_join(job.root, "INBOX/cur/1500000009.9_9.host:2,");
	struct backup_result res;
	struct archive a;

	(void)state;
	corpus_fill(o, "INBOX", 0, 6, 500, 2000);
	corpus_fill(o, "INBOX", 0, 2, 500, 2000); /* UID 7 and 8 equal 1 and 2 */
	backup_configure(&job, &config);
	make_foreign();
	deliver_foreign(o, 1, "1500000000.1_1.host,U=1:2,S");
	deliver_foreign(o, 2, "1500000000.1_2.host,U=2:2,");
	deliver_foreign(o, 7, "1500000000.1_7.host,U=7:2,F");
	deliver_foreign(o, 5, "1500000000.1_5.host,U=5");
	write_file(foreign, bytes_of("Subject: of nobody\n\nx\n"));
	backup_expect(&job, &res, 0, "--adopt");
	assert_non_null(strstr(buf_str(&res.out), "\"adopted\":4"));
	assert_non_null(strstr(buf_str(&res.out), "\"foreign\":1,"));
	/* Adopted or new, each message once; the file that is nobody's stays, and is not ours. */
	archive_read(job.root, &a);
	assert_int_equal(archive_find(&a, "INBOX")->n, 9);
	archive_release(&a);
	assert_int_equal(access(foreign, F_OK), 0);
	backup_result_release(&res);
	assert_int_equal(remove(foreign), 0);
	archive_equals(job.root, o);
	backup_idle(&job);
	oracle_close(o);
	free(foreign);
}

static void test_a_store_of_another_account_is_refused_without_rebind(void **state)
{
	const struct backup_config bob = { .port = server->port, .user = "bob" };

	(void)state;
	backup_ends_with(&job, 0, "");
	backup_configure(&job, &bob);
	refused(2, "", "--rebind", NULL);
	remove_tree(job.state); /* with a record or without */
	refused(2, "", "--rebind", NULL);
}

static void test_rebind_pairs_what_is_there_with_the_other_account(void **state)
{
	struct oracle *o = oracle_open(server->port, "renamed");
	struct backup_config config = { .port = server->port, .user = "renamed" };
	struct backup_result res;

	(void)state;
	oracle_create(o, "Sent");
	corpus_fill(o, "INBOX", 2, 4, 0, 2000);
	corpus_fill(o, "Sent", 10, 5, 0, 2000);
	backup_ends_with(&job, 0, "");
	backup_configure(&job, &config);
	backup_run(&job, &res, "--rebind");
	if (res.status != 0 && res.status != 4)
		fail_msg("exit %d: %s", res.status, buf_str(&res.err));
	backup_result_release(&res);
	/* Everything of the new account is there; nothing of the old one was lost without a word. */
	{
		struct name_list have = { 0 };
		struct oracle_dump d;

		archive_hashes(job.root, &have);
		oracle_dump(o, "Sent", &d);
		for (size_t i = 0; i < d.n; i++)
			assert_true(name_list_has(&have, d.msg[i].sha256));
		oracle_dump_release(&d);
		oracle_dump(alice, "INBOX", &d);
		for (size_t i = 0; i < d.n; i++)
			assert_true(name_list_has(&have, d.msg[i].sha256));
		oracle_dump_release(&d);
		/* INBOX 0-5 of alice, 2-5 among them; Sent 10-13 and 14: equal content stored once. */
		assert_int_equal(have.n, 11);
		name_list_release(&have);
	}
	backup_ends_with(&job, 0, "");
	oracle_close(o);
}

/* The server got another name: same mailboxes, same UIDVALIDITY. */
static void test_the_same_account_under_another_host_name_is_recognised(void **state)
{
	const struct backup_config config = { .port = server->port, .host = "127.0.0.2" };

	(void)state;
	backup_ends_with(&job, 0, "");
	backup_configure(&job, &config);
	assert_complete();
}

/* --- the table: JOB.run is there --- */

static void test_a_missing_store_is_not_made_again(void **state)
{
	(void)state;
	backup_ends_with(&job, 0, "");
	remove_tree(job.root);
	refused(4, "", "mounted", NULL);
	assert_int_equal(access(job.root, F_OK), -1);
}

static void test_an_emptied_store_is_not_filled_again(void **state)
{
	(void)state;
	backup_ends_with(&job, 0, "");
	remove_tree(job.root);
	assert_int_equal(mkdir(job.root, 0700), 0);
	refused(4, "", "is empty", NULL);
}

static void test_a_store_without_identity_is_not_taken_for_ours(void **state)
{
	char *file = path_join(job.root, "something");

	(void)state;
	backup_ends_with(&job, 0, "");
	remove_tree(job.root);
	assert_int_equal(mkdir(job.root, 0700), 0);
	write_file(file, bytes_of("x"));
	refused(4, "", NULL);
	refused(4, "--adopt", NULL);
	free(file);
}

static void test_another_store_in_the_same_place_is_recognised(void **state)
{
	char *record = backup_record(&job), *aside = path_join(job.dir, "aside");

	(void)state;
	backup_ends_with(&job, 0, "");
	run_tool("mv", record, aside, NULL);
	remove_tree(job.root);
	backup_ends_with(&job, 0, "");
	run_tool("mv", aside, record, NULL);
	refused(4, "", "another store", NULL);
	free(record);
	free(aside);
}

static void test_an_older_state_of_the_store_goes_on(void **state)
{
	struct oracle *o = oracle_open(server->port, "older");
	const struct backup_config config = { .port = server->port, .user = "older" };
	char *aside = path_join(job.dir, "aside");

	(void)state;
	corpus_fill(o, "INBOX", 0, 5, 0, 2000);
	backup_configure(&job, &config);
	backup_ends_with(&job, 0, "");
	run_tool("cp", "-a", job.root, aside);
	corpus_fill(o, "INBOX", 10, 3, 0, 2000);
	oracle_store(o, "INBOX", "1", "+FLAGS", "\\Flagged");
	oracle_expunge(o, "INBOX", "2");
	backup_ends_with(&job, 0, "");
	remove_tree(job.root);
	run_tool("mv", aside, job.root, NULL);
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, o);
	backup_idle(&job);
	oracle_close(o);
	free(aside);
}

static void test_an_older_database_takes_the_files_stored_since_over(void **state)
{
	struct oracle *o = oracle_open(server->port, "rolled");
	const struct backup_config config = { .port = server->port, .user = "rolled" };
	char *aside = path_join(job.dir, "aside.db"), *db = path_join(job.root, "mailcask.db");
	struct backup_result res;

	(void)state;
	corpus_fill(o, "INBOX", 0, 5, 0, 2000);
	backup_configure(&job, &config);
	backup_ends_with(&job, 0, "");
	run_tool("cp", "-a", db, aside);
	corpus_fill(o, "INBOX", 10, 3, 0, 2000);
	backup_ends_with(&job, 0, "");
	run_tool("mv", aside, db, NULL);
	backup_expect(&job, &res, 0, "");
	assert_non_null(strstr(buf_str(&res.out), "\"adopted\":3"));
	assert_non_null(strstr(buf_str(&res.out), "\"foreign\":0,"));
	backup_result_release(&res);
	archive_equals(job.root, o);
	backup_idle(&job);
	oracle_close(o);
	free(aside);
	free(db);
}

/* --- who else --- */

static void hold(const char *path, int *fd)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(*fd >= 0);
	assert_int_equal(flock(*fd, LOCK_EX | LOCK_NB), 0);
}

/* What the message says must be true: nothing is lost, and after it nothing is there twice. */
static void test_a_damaged_database_is_named_and_its_advice_works(void **state)
{
	char *db = xasprintf("%s/mailcask.db", job.root), *record = backup_record(&job);
	struct backup_result res;
	FILE *f;

	(void)state;
	backup_ends_with(&job, 0, "");
	f = fopen(db, "r+");
	assert_non_null(f);
	for (int i = 0; i < 4096; i++)
		fputc(i % 251, f);
	assert_int_equal(fclose(f), 0);
	refused(1, "", "mailcask.db is damaged", ".run", "--adopt", NULL);

	assert_int_equal(unlink(db), 0);
	assert_int_equal(unlink(record), 0);
	backup_expect(&job, &res, 0, "--adopt");
	assert_non_null(strstr(buf_str(&res.out), "\"adopted\":6"));
	backup_result_release(&res);
	assert_complete();
	free(record);
	free(db);
}

static void test_a_second_run_ends_with_11(void **state)
{
	char *store_lock = path_join(job.root, "mailcask.lock");
	char *job_lock = path_join(job.state, "mailcask/job.lock");
	int fd;

	(void)state;
	backup_ends_with(&job, 0, "");
	hold(store_lock, &fd);
	refused(11, "", NULL);
	close(fd);
	hold(job_lock, &fd);
	refused(11, "", NULL);
	close(fd);
	backup_idle(&job);
	free(store_lock);
	free(job_lock);
}

static void test_a_wrong_password_ends_with_12_after_one_attempt(void **state)
{
	struct fake_imap *fake = fake_new();
	const struct backup_config config = { .port = fake_port(fake), .password = "wrong",
					      .account = "auth = login\n" };
	struct buf commands = BUF_INIT(65536);
	const char *login;

	(void)state;
	fake_trick(fake, NULL, FAKE_LOGIN_NO, 0, 0, -1);
	fake_start(fake);
	backup_configure(&job, &config);
	refused(12, "", NULL);
	fake_commands(fake, &commands);
	login = strstr(buf_str(&commands), "LOGIN ");
	assert_non_null(login);
	assert_null(strstr(login + 1, "LOGIN "));
	assert_int_equal(access(job.root, F_OK), -1);
	buf_release(&commands);
	fake_free(fake);
}

static void test_a_wrong_password_is_refused_by_a_real_server_too(void **state)
{
	struct backup_config config = { .port = server->port, .password = "wrong" };

	(void)state;
	backup_configure(&job, &config);
	refused(12, "", NULL);
	assert_int_equal(access(job.root, F_OK), -1);
}

/* --- certificates --- */

static char *pin_in(const char *text)
{
	const char *pin = strstr(text, "sha256:");

	if (!pin)
		fail_msg("no pin in: %s", text);
	return bytes_dup(bytes_from(pin, 7 + 44)); /* base64 of 32 bytes */
}

static void refused_certificate_is_accepted_by_its_pin(enum dovecot_cert cert)
{
	struct dovecot_opts opts = { .cert = cert };
	struct dovecot *dv = dovecot_start(&opts);
	struct backup_config config = { .port = dv->tls_port, .tls = "implicit" };
	char *ca = xasprintf("tls_ca_file = %s\n", dv->ca_file), *pin, *with_pin;
	struct backup_result res;

	config.account = ca;
	backup_reset(&job);
	backup_configure(&job, &config);
	refused(1, "", "sha256:", "tls_pin", NULL);
	assert_int_equal(access(job.root, F_OK), -1);
	backup_run(&job, &res, "");
	pin = pin_in(buf_str(&res.err));
	backup_result_release(&res);
	with_pin = xasprintf("%stls_pin = %s\n", ca, pin);
	config.account = with_pin;
	backup_configure(&job, &config);
	backup_ends_with(&job, 0, "");
	free(with_pin);
	with_pin = xasprintf("%stls_pin = sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", ca);
	config.account = with_pin;
	backup_configure(&job, &config);
	refused(1, "", "sha256:", NULL);
	free(with_pin);
	free(pin);
	free(ca);
	dovecot_stop(dv);
}

static void test_a_bad_certificate_is_refused_and_its_pin_makes_it_good(void **state)
{
	(void)state;
	refused_certificate_is_accepted_by_its_pin(DOVECOT_CERT_SELF_SIGNED);
	refused_certificate_is_accepted_by_its_pin(DOVECOT_CERT_WRONG_HOST);
}

static void test_a_certificate_of_an_unknown_authority_is_refused(void **state)
{
	const struct backup_config config = { .port = server->tls_port, .tls = "implicit" };

	(void)state;
	backup_configure(&job, &config);
	refused(1, "", "sha256:", NULL);
}

static void test_no_server_at_all_is_temporary(void **state)
{
	const struct backup_config config = { .port = free_port() };

	(void)state;
	backup_configure(&job, &config);
	refused(75, "", NULL);
}

/* --- mistakes --- */

static void test_an_unknown_key_is_named_with_file_line_and_the_nearest_one(void **state)
{
	struct backup_config config = { .port = 1, .job = "delitions = keep\n" };
	struct buf text = BUF_INIT(65536);
	char *place;
	unsigned line = 1;

	(void)state;
	backup_configure(&job, &config);
	read_file(job.config, &text);
	for (const char *c = buf_str(&text); strncmp(c, "delitions", 9) != 0; c++)
		line += *c == '\n';
	place = xasprintf("%s:%u:", job.config, line);
	refused(2, "", place, "delitions", "deletions", NULL);
	free(place);
	buf_release(&text);
}

/* --- a full disk --- */

/* A file system with room for one batch and a half at the store's place, in a mount namespace of its own. */
static void run_on_small_disk(struct proc_result *res, const char *script)
{
	const char *vars[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = vars, .deadline_ms = 120000 };
	char *whole = xasprintf("set -e\nmount -t tmpfs -o size=48m none '%s'\n%s", job.root, script);

	assert_int_equal(mkdir(job.root, 0755), 0);
	if (getuid() == 0)
		proc_runl(res, &opts, "unshare", "-m", "sh", "-c", whole, NULL);
	else
		proc_runl(res, &opts, "unshare", "-rm", "sh", "-c", whole, NULL);
	free(whole);
}

static void test_a_full_disk_ends_with_1_and_all_that_was_reported_is_there(void **state)
{
	struct oracle *o = oracle_open(server->port, "large");
	const struct backup_config config = { .port = server->port, .user = "large" };
	unsigned long long reported = 0, stored;
	const char *new, *count;
	struct proc_result res;
	char *script;

	(void)state;
	corpus_fill(o, "INBOX", 0, 60, 900000, 1100000);
	oracle_close(o);
	backup_configure(&job, &config);
	/*
	 * The store is gone with its name space, so it is looked at in there; more room, and it goes on.
	 * The source is named, or mount would give back options that mean nothing in a user name space.
	 */
	script = xasprintf(
		"count() { find INBOX/$1 -type f | wc -l; }; cd '%s'\n"
		"s=0; '%s' backup --json || s=$?; echo STATUS $s; echo STORED $(count cur)\n"
		"mount -o remount,size=90m none '%s'\n"
		"s=0; '%s' backup || s=$?; echo SECOND $s $(count cur) $(count tmp)\n",
		job.root, program_path(), job.root, program_path());
	run_on_small_disk(&res, script);
	new = strstr(buf_str(&res.out), "\"event\":\"summary\"");
	new = new ? strstr(new, "\"new\":") : NULL;
	count = strstr(buf_str(&res.out), "STORED ");
	if (res.status != 0 || !new || !count || !strstr(buf_str(&res.out), "STATUS 1\n"))
		fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
	reported = strtoull(new + 6, NULL, 10);
	stored = strtoull(count + 7, NULL, 10);
	if (reported == 0 || stored < reported || stored >= 60)
		fail_msg("%llu reported, %llu there", reported, stored);
	if (!strstr(buf_str(&res.out), "SECOND 0 60 0\n"))
		fail_msg("the second run: %s%s", buf_str(&res.out), buf_str(&res.err));
	proc_result_release(&res);
	free(script);
}

#define JOB(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB(test_no_record_and_no_directory_is_a_first_run),
		JOB(test_no_record_and_an_empty_directory_is_a_first_run),
		JOB(test_a_store_that_comes_from_elsewhere_goes_on_without_deletions_at_first),
		JOB(test_a_maildir_of_somebody_else_is_refused_without_adopt),
		JOB(test_adopt_pairs_by_content_one_to_one),
		JOB(test_a_store_of_another_account_is_refused_without_rebind),
		JOB(test_rebind_pairs_what_is_there_with_the_other_account),
		JOB(test_the_same_account_under_another_host_name_is_recognised),
		JOB(test_a_missing_store_is_not_made_again),
		JOB(test_an_emptied_store_is_not_filled_again),
		JOB(test_a_store_without_identity_is_not_taken_for_ours),
		JOB(test_another_store_in_the_same_place_is_recognised),
		JOB(test_an_older_state_of_the_store_goes_on),
		JOB(test_an_older_database_takes_the_files_stored_since_over),
		JOB(test_a_damaged_database_is_named_and_its_advice_works),
		JOB(test_a_second_run_ends_with_11),
		JOB(test_a_wrong_password_ends_with_12_after_one_attempt),
		JOB(test_a_wrong_password_is_refused_by_a_real_server_too),
		JOB(test_a_bad_certificate_is_refused_and_its_pin_makes_it_good),
		JOB(test_a_certificate_of_an_unknown_authority_is_refused),
		JOB(test_no_server_at_all_is_temporary),
		JOB(test_an_unknown_key_is_named_with_file_line_and_the_nearest_one),
		JOB(test_a_full_disk_ends_with_1_and_all_that_was_reported_is_there),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
