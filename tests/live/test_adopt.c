/* Maildirs that hold the account's mail already: what is there is not downloaded. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"

enum {
	MANY = 300, /* messages in INBOX; half as many in Sent */
	PER_MESSAGE = 700, /* what a message may cost that is not downloaded: flags, size, date, header */
};

static struct dovecot *server;
static struct oracle *alice;
static struct backup job;

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	alice = oracle_open(server->port, "alice");
	oracle_create(alice, "Sent");
	corpus_fill(alice, "INBOX", 0, MANY, 2000, 20000);
	corpus_fill(alice, "Sent", 1000, MANY / 2, 2000, 20000);
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
	(void)state;
	backup_init(&job, &(struct backup_config){ .port = server->port });
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	return 0;
}

static void make_dirs(const char *mailbox)
{
	static const char *const below[] = { "", "/cur", "/new", "/tmp" };

	for (size_t i = 0; i < 4; i++) {
		char *path = xasprintf("%s/%s%s", job.root, mailbox, below[i]);

		assert_int_equal(mkdir(path, 0700), 0);
		free(path);
	}
}

static void add_letters(const char *flags, char out[8])
{
	static const struct {
		const char *flag;
		char letter;
	} known[] = { { "\\Draft", 'D' }, { "\\Flagged", 'F' }, { "\\Answered", 'R' }, { "\\Seen", 'S' } };
	size_t n = 0;

	for (size_t i = 0; i < 4; i++)
		if (strstr(flags, known[i].flag))
			out[n++] = known[i].letter;
	out[n] = '\0';
}

static char *theirs(const char *mailbox, uint32_t uid, const char *letters)
{
	return xasprintf("%s/%s/cur/1600000000_%u.1.host,U=%u,FMD5=7e33429f656f1e6e9d79b29c3f82c57e:2,%s",
			 job.root, mailbox, uid, uid, letters);
}

static void set_date(const char *path, const char *date)
{
	struct timespec when[2] = { { 0 } };
	struct tm tm = { 0 };
	long offset;

	assert_non_null(strptime(date, "%d-%b-%Y %H:%M:%S %z", &tm));
	offset = tm.tm_gmtoff;
	when[0].tv_sec = when[1].tv_sec = timegm(&tm) - offset;
	assert_int_equal(utimensat(AT_FDCWD, path, when, 0), 0);
}

/* One message as OfflineIMAP writes it. */
static void plant(const char *mailbox, const struct oracle_message *m)
{
	struct buf body = BUF_INIT(1 << 20), file = BUF_INIT(1 << 20);
	char letters[8], *path;

	add_letters(m->flags, letters);
	path = theirs(mailbox, m->uid, letters);
	oracle_body(alice, mailbox, m->uid, &body);
	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != '\r')
			buf_add_byte(&file, body.p[i]);
	write_file(path, buf_bytes(&file));
	set_date(path, m->date);
	buf_release(&body);
	buf_release(&file);
	free(path);
}

/* What of the account is not in their Maildir as it is at the server: by UID, in INBOX. */
static bool is_missing(uint32_t uid)
{
	return uid % 100 == 7;
}

static bool is_altered(uint32_t uid)
{
	return uid % 100 == 50;
}

/* Returns the bytes of what is not there. */
static uint64_t plant_all(const char *mailbox)
{
	struct oracle_dump d;
	uint64_t lacking = 0;

	make_dirs(mailbox);
	oracle_dump(alice, mailbox, &d);
	for (size_t i = 0; i < d.n; i++) {
		bool inbox = strcmp(mailbox, "INBOX") == 0;

		if (inbox && (is_missing(d.msg[i].uid) || is_altered(d.msg[i].uid)))
			lacking += d.msg[i].size;
		if (!inbox || !is_missing(d.msg[i].uid))
			plant(mailbox, &d.msg[i]);
	}
	oracle_dump_release(&d);
	return lacking;
}

static char *altered_file(uint32_t uid)
{
	char *dir = path_join(job.root, "INBOX/cur"), *begin = xasprintf("1600000000_%u.", uid);
	struct name_list names = { 0 };
	char *path = NULL;

	dir_entries(dir, &names);
	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.name[i], begin, strlen(begin)) == 0)
			path = path_join(dir, names.name[i]);
	assert_non_null(path);
	name_list_release(&names);
	free(begin);
	free(dir);
	return path;
}

/* Some have a line more; and there are files of nobody. */
static void alter(void)
{
	for (uint32_t uid = 50; uid <= MANY; uid += 100) {
		char *path = altered_file(uid);
		FILE *f = fopen(path, "a");

		assert_non_null(f);
		fputs("one line more\n", f);
		assert_int_equal(fclose(f), 0);
		free(path);
	}
	for (uint32_t i = 9001; i <= 9003; i++) {
		char *path = theirs("INBOX", i, "S");

		write_file(path, bytes_of("Message-ID: <nobody>\nSubject: of nobody\n\nx\n"));
		free(path);
	}
}

static void remove_theirs(void)
{
	for (uint32_t uid = 50; uid <= MANY; uid += 100) {
		char *path = altered_file(uid);

		assert_int_equal(unlink(path), 0);
		free(path);
	}
	for (uint32_t i = 9001; i <= 9003; i++) {
		char *path = theirs("INBOX", i, "S");

		assert_int_equal(unlink(path), 0);
		free(path);
	}
}

/* Returns how many bytes the run received. */
static uint64_t measured_run(struct backup_result *res, const char *args, unsigned *bodies)
{
	struct relay *relay = relay_start(&(struct relay_opts){ .port = server->port });
	const struct backup_config there = { .port = relay_port(relay) };
	const struct backup_config back = { .port = server->port };
	struct buf commands = BUF_INIT(1 << 24);
	uint64_t received;

	backup_configure(&job, &there);
	backup_expect(&job, res, 0, args);
	received = relay_stats(relay).to_client;
	relay_commands(relay, &commands);
	*bodies = 0;
	for (const char *at = buf_str(&commands); (at = strstr(at, "BODY.PEEK[]")); at++)
		++*bodies;
	buf_release(&commands);
	relay_stop(relay);
	backup_configure(&job, &back);
	return received;
}

static void says(const struct backup_result *res, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void says(const struct backup_result *res, const char *fmt, ...)
{
	char text[100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strstr(buf_str(&res->out), text) && !strstr(buf_str(&res->err), text))
		fail_msg("%s is not in: %s%s", text, buf_str(&res->out), buf_str(&res->err));
}

static void test_of_a_maildir_of_offlineimap_only_what_it_lacks_is_downloaded(void **state)
{
	struct buf before = BUF_INIT(1 << 22), after = BUF_INIT(1 << 22);
	struct backup_result res;
	uint64_t lacking, received;
	unsigned bodies;

	(void)state;
	assert_int_equal(mkdir(job.root, 0700), 0);
	lacking = plant_all("INBOX");
	assert_int_equal(plant_all("Sent"), 0);
	alter();

	archive_snapshot(job.root, &before);
	received = measured_run(&res, "--adopt --dry-run", &bodies);
	archive_snapshot(job.root, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	assert_int_equal(bodies, 0);
	says(&res, "\"adopted\":%d", MANY - 6);
	says(&res, "\"adopted\":%d", MANY / 2);
	says(&res, "\"foreign\":6,");
	assert_int_equal(res.new_messages, 6);
	assert_int_equal(res.bytes, lacking);
	assert_true(received < (MANY + MANY / 2) * PER_MESSAGE);
	backup_result_release(&res);

	received = measured_run(&res, "--adopt", &bodies);
	print_message("%d messages taken over, %llu bytes received, of these %llu of new ones\n",
		      MANY + MANY / 2 - 6, (unsigned long long)received, (unsigned long long)lacking);
	says(&res, "\"adopted\":%d", MANY - 6);
	says(&res, "\"foreign\":6,");
	says(&res, "check --against");
	assert_int_equal(res.new_messages, 6);
	assert_int_equal(res.bytes, lacking);
	assert_int_equal(bodies, 1);
	assert_true(received < lacking + (MANY + MANY / 2) * PER_MESSAGE);
	backup_result_release(&res);

	/* What is nobody's stays; the rest is the account, byte for byte. */
	assert_int_equal(archive_count(job.root), MANY + MANY / 2 + 6);
	remove_theirs();
	archive_equals(job.root, alice);
	backup_idle(&job);
	buf_release(&before);
	buf_release(&after);
}

/* What the program advises when the index is lost. */
static void test_a_lost_index_costs_no_download_and_stores_nothing_twice(void **state)
{
	char *db = path_join(job.root, "mailcask.db"), *record = backup_record(&job);
	struct backup_result res;
	uint64_t received;
	unsigned bodies;

	(void)state;
	backup_ends_with(&job, 0, "");
	assert_int_equal(archive_count(job.root), MANY + MANY / 2);
	assert_int_equal(unlink(db), 0);
	assert_int_equal(unlink(record), 0);
	received = measured_run(&res, "--adopt", &bodies);
	print_message("%d messages under a new index, %llu bytes received\n", MANY + MANY / 2,
		      (unsigned long long)received);
	assert_int_equal(bodies, 0);
	assert_int_equal(res.new_messages + res.bytes + res.removed, 0);
	says(&res, "\"adopted\":%d", MANY);
	says(&res, "\"adopted\":%d", MANY / 2);
	assert_true(received < (MANY + MANY / 2) * PER_MESSAGE);
	backup_result_release(&res);
	assert_int_equal(archive_count(job.root), MANY + MANY / 2);
	archive_equals(job.root, alice);
	backup_idle(&job);
	free(record);
	free(db);
}

#define JOB(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB(test_of_a_maildir_of_offlineimap_only_what_it_lacks_is_downloaded),
		JOB(test_a_lost_index_costs_no_download_and_stores_nothing_twice),
	};

	return cmocka_run_group_tests_name("adopt", tests, start_server, stop_server);
}
