/* Mailboxes that get a new UIDVALIDITY, on a real server and on one that misbehaves. */
#include <fcntl.h>
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
#include <openssl/evp.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"

enum {
	MANY = TEST_SANITIZED ? 2000 : 20000,
	GONE = 100, /* removed before the change, so that UIDs are not what they were */
	TWINS = 6,  /* of one date and one size */
	RECEIVED_MAX = 3 * 1000 * 1000,
};

/* --- a large mailbox on Dovecot --- */

struct large {
	struct dovecot *server;
	char *maildir;
	const char *type;
	struct backup job;
};

static char *file_of(const struct large *l, int i)
{
	return xasprintf("%s/cur/%d.M%dP1.host:2,S", l->maildir, 1500000000 + 1000 * i, i);
}

static char *text_of(int i, const char *eol)
{
	return xasprintf("Message-ID: <%06d@x>%sSubject: no. %06d%s%sText %*d%s", i, eol, i, eol, eol,
			 i < MANY - TWINS ? 1 + i * 7 % 997 : 10, i, eol);
}

/* The last ones are twins. */
static void plant(const struct large *l, int i)
{
	char *path = file_of(l, i);
	char *text = text_of(i, "\n");
	time_t when = 1500000000 + 1000 * (i < MANY - TWINS ? i : MANY);
	const struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };

	write_file(path, bytes_of(text));
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	free(text);
	free(path);
}

static void large_init(struct large *l, const char *type)
{
	struct backup_config config = { .type = type };
	struct oracle *o;

	*l = (struct large){ .server = dovecot_start(NULL), .type = type };
	l->maildir = dovecot_maildir(l->server, "alice");
	o = oracle_open(l->server->port, "alice"); /* makes the Maildir */
	oracle_command(o, "SELECT INBOX");
	oracle_close(o);
	for (int i = 0; i < MANY; i++)
		plant(l, i);
	dovecot_own(l->maildir);
	config.port = l->server->port;
	backup_init(&l->job, &config);
}

static void large_release(struct large *l)
{
	backup_release(&l->job);
	dovecot_stop(l->server);
	free(l->maildir);
}

static void exchange(const struct large *l, int a, int b)
{
	char *x = file_of(l, a), *y = file_of(l, b), *third = path_join(l->maildir, "cur/third");

	assert_int_equal(rename(x, third), 0);
	assert_int_equal(rename(y, x), 0);
	assert_int_equal(rename(third, y), 0);
	free(x);
	free(y);
	free(third);
}

/* As after a restored file system; and twins have other names, so that their order is another. */
static void lose_uids(const struct large *l)
{
	struct name_list names = { 0 };

	dovecot_down(l->server);
	dir_entries(l->maildir, &names);
	for (size_t i = 0; i < names.n; i++) {
		char *path = path_join(l->maildir, names.name[i]);

		if (strncmp(names.name[i], "dovecot-uidlist", 15) == 0 ||
		    strncmp(names.name[i], "dovecot.index", 13) == 0)
			assert_int_equal(unlink(path), 0);
		free(path);
	}
	name_list_release(&names);
	exchange(l, MANY - 1, MANY - TWINS);
	exchange(l, MANY - 2, MANY - TWINS + 1);
	dovecot_restart(l->server);
}

/* All that must not change: files of a Maildir, messages in git by path and content. */
static char *contents(const struct large *l)
{
	struct buf b = BUF_INIT(1 << 26);

	if (strcmp(l->type, "git") == 0)
		return git_out(l->job.root, "ls-tree", "-r", "main", "mailboxes/INBOX/messages", NULL);
	archive_snapshot(l->job.root, &b);
	return buf_take(&b);
}

static void remove_some(const struct large *l)
{
	struct oracle *o = oracle_open(l->server->port, "alice");
	char *set = xasprintf("11:%d", 10 + GONE);

	oracle_expunge(o, "INBOX", set);
	oracle_close(o);
	free(set);
}

/* Which of our messages is stored under each source UID: its hash, by what the store goes by. */
struct stored {
	char hash[MANY + 100][SHA256_HEX_SIZE]; /* by source UID; "" for none */
	size_t n;
};

static void stored_in_maildir(const struct large *l, struct stored *out)
{
	const struct archive_mailbox *box;
	struct archive a;

	archive_read(l->job.root, &a);
	box = archive_find(&a, "INBOX");
	for (out->n = 0; out->n < box->n; out->n++) {
		assert_true(box->msg[out->n].source_uid < MANY + 100);
		strcpy(out->hash[box->msg[out->n].source_uid], box->msg[out->n].sha256);
	}
	archive_release(&a);
}

/* In two commands, since git needs minutes to give out so many messages one by one. */
static void stored_in_git(const struct large *l, struct stored *out)
{
	static char blob[MANY + 100][41]; /* by the archive's own UID */
	char *tree = contents(l), *save = NULL;
	char *flags = git_out(l->job.root, "grep", "-h", "-e", "(", "main", "--",
			      "mailboxes/INBOX/flags", NULL);

	for (char *line = strtok_r(tree, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int uid = atoi(strrchr(line, '/') + 1);

		assert_true(uid > 0 && uid < MANY + 100);
		memcpy(blob[uid], line + strlen("100644 blob "), 40);
	}
	save = NULL;
	out->n = 0;
	for (char *line = strtok_r(flags, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *source = strstr(line, " source=");
		int uid = atoi(line), source_uid = source ? atoi(source + 8) : uid;

		assert_true(source_uid > 0 && source_uid < MANY + 100);
		strcpy(out->hash[source_uid], blob[uid]);
		out->n++;
	}
	free(tree);
	free(flags);
}

static void hash_of(const struct large *l, int i, char out[SHA256_HEX_SIZE])
{
	char *text = text_of(i, "\r\n"), *object;
	uint8_t sha1[EVP_MAX_MD_SIZE];
	int n;

	if (strcmp(l->type, "git") != 0) {
		sha256_hex(bytes_of(text), out);
		free(text);
		return;
	}
	n = asprintf(&object, "blob %zu%c%s", strlen(text), 0, text);
	assert_true(n > 0);
	EVP_Digest(object, (size_t)n, sha1, NULL, EVP_sha1(), NULL);
	for (size_t k = 0; k < 20; k++)
		snprintf(out + 2 * k, 3, "%02x", sha1[k]);
	free(object);
	free(text);
}

/* Each message is stored under the UID that the server has it under. */
static void assert_equals(const struct large *l)
{
	static struct stored stored;
	struct oracle *o = oracle_open(l->server->port, "alice");
	char *answer, *line, *save = NULL;
	size_t n = 0;

	memset(&stored, 0, sizeof(stored));
	if (strcmp(l->type, "git") == 0)
		stored_in_git(l, &stored);
	else
		stored_in_maildir(l, &stored);
	assert_int_equal(stored.n, MANY - GONE);
	oracle_command(o, "EXAMINE INBOX");
	answer = bytes_dup(oracle_command(o, "UID FETCH 1:* (UID ENVELOPE)"));
	for (line = strtok_r(answer, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *id = strchr(line, '<');
		char want[SHA256_HEX_SIZE];
		unsigned uid;

		if (!id || sscanf(line, "* %*u FETCH (UID %u", &uid) != 1)
			continue;
		assert_true(uid < MANY + 100);
		hash_of(l, atoi(id + 1), want);
		assert_string_equal(stored.hash[uid], want);
		n++;
	}
	assert_int_equal(n, MANY - GONE);
	free(answer);
	oracle_close(o);
}

static void assert_said(const struct backup_result *res)
{
	char *json = xasprintf("\"recognised\":%d,\"to_recognise\":%d", MANY - GONE, MANY - GONE);
	char *note = xasprintf("INBOX: the server gave it a new UIDVALIDITY; %d of %d messages "
			       "recognised, none downloaded", MANY - GONE, MANY - GONE);

	if (!strstr(buf_str(&res->out), json) || !strstr(buf_str(&res->out), note))
		fail_msg("\"%s\" and \"%s\" are not both in:\n%s", json, note, buf_str(&res->out));
	assert_int_equal(res->new_messages + res->flags_changed + res->removed + res->bytes, 0);
	free(json);
	free(note);
}

/* What the run receives. */
static uint64_t measured_run(struct large *l)
{
	struct relay *relay = relay_start(&(struct relay_opts){ .port = l->server->port });
	struct backup_config config = { .port = relay_port(relay), .type = l->type };
	struct buf transcript = BUF_INIT(1 << 26);
	struct backup_result res;
	uint64_t received;

	backup_configure(&l->job, &config);
	backup_expect(&l->job, &res, 0, "");
	assert_said(&res);
	received = relay_stats(relay).to_client;
	relay_transcript(relay, &transcript);
	assert_null(strstr(buf_str(&transcript), "BODY.PEEK[]"));
	assert_non_null(strstr(buf_str(&transcript), "BODY.PEEK[HEADER.FIELDS"));
	buf_release(&transcript);
	backup_result_release(&res);
	relay_stop(relay);
	config.port = l->server->port;
	backup_configure(&l->job, &config);
	return received;
}

static void rebind_large(struct large *l)
{
	struct backup_result res;
	char *before, *after;
	uint64_t received;

	backup_ends_with(&l->job, 0, "");
	remove_some(l);
	backup_ends_with(&l->job, 0, "");
	lose_uids(l);
	before = contents(l);
	backup_expect(&l->job, &res, 0, "--dry-run");
	assert_said(&res);
	backup_result_release(&res);
	received = measured_run(l);
	print_message("%d messages recognised in %llu bytes\n", MANY - GONE,
		      (unsigned long long)received);
	assert_true(received < RECEIVED_MAX);
	after = contents(l);
	assert_string_equal(before, after);
	assert_equals(l);
	backup_idle(&l->job);
	free(before);
	free(after);
}

static void test_a_large_mailbox_in_a_maildir_is_recognised_for_little(void **state)
{
	struct large l;

	(void)state;
	large_init(&l, "maildir");
	rebind_large(&l);
	large_release(&l);
}

static void test_a_large_mailbox_in_git_is_recognised_and_its_history_goes_on(void **state)
{
	struct large l;
	char *said, *wanted, *old;

	(void)state;
	large_init(&l, "git");
	rebind_large(&l);
	assert_int_equal(git_snapshots(l.job.root), 3);
	said = git_out(l.job.root, "log", "-1", "--format=%B", "main", NULL);
	wanted = xasprintf("INBOX: its messages have new UIDs at the source; %d of %d recognised",
			   MANY - GONE, MANY - GONE);
	assert_non_null(strstr(said, wanted));
	/* Earlier snapshots are what they were, and between the last two no message differs. */
	old = git_out(l.job.root, "diff", "--name-only", "main~1", "main", "--", "*.eml", NULL);
	assert_string_equal(old, "");
	assert_int_equal(git_number(l.job.root, "rev-list", "--count", "main", NULL), 3);
	git_check_all(l.job.root);
	free(old);
	free(wanted);
	free(said);
	large_release(&l);
}

/* --- a server that was put back from a copy --- */

static void copy_tree(const char *from, const char *to)
{
	struct proc_result res;

	proc_runl(&res, NULL, "cp", "-a", from, to, NULL);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
}

/* What came after the copy was made is gone, and its UIDs are given out to other messages. */
static void go_back(const char *type)
{
	struct dovecot *server = dovecot_start(NULL);
	struct backup_config config = { .port = server->port, .type = type };
	char *mail = dovecot_maildir(server, "alice"), *copy = xasprintf("%s.copy", mail);
	char *newer = xasprintf("%s.newer", mail);
	struct oracle *o = oracle_open(server->port, "alice");
	struct backup_result res;
	struct backup job;

	corpus_fill(o, "INBOX", 0, 60, 100, 2000);
	oracle_close(o);
	dovecot_down(server);
	copy_tree(mail, copy);
	dovecot_restart(server);
	o = oracle_open(server->port, "alice");
	corpus_fill(o, "INBOX", 100, 5, 100, 2000);
	oracle_close(o);
	backup_init(&job, &config);
	backup_ends_with(&job, 0, "");
	dovecot_down(server);
	assert_int_equal(rename(mail, newer), 0);
	assert_int_equal(rename(copy, mail), 0);
	dovecot_restart(server);
	o = oracle_open(server->port, "alice");
	corpus_fill(o, "INBOX", 200, 3, 100, 2000);
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 3);
	assert_int_equal(res.removed, 5);
	assert_non_null(strstr(buf_str(&res.out), "went back to an earlier state"));
	backup_result_release(&res);
	archive_equals(job.root, o);
	backup_idle(&job);
	oracle_close(o);
	backup_release(&job);
	dovecot_stop(server);
	free(mail);
	free(copy);
	free(newer);
}

static void test_uids_given_out_again_are_other_messages_in_a_maildir(void **state)
{
	(void)state;
	go_back("maildir");
}

static void test_uids_given_out_again_are_other_messages_in_git(void **state)
{
	(void)state;
	go_back("git");
}

/* --- a server that is in trouble --- */

struct small {
	struct fake_imap *fake;
	struct fake_mailbox *mb;
	struct backup job;
};

static void fill(struct fake_mailbox *mb)
{
	for (uint32_t uid = 2; uid <= 20; uid += 2) {
		char *body = xasprintf("Message-ID: <%u@x>\r\nSubject: %u\r\n\r\nText\r\n", uid, uid);

		fake_message(mb, uid, uid % 4 ? "\\Seen" : "", NULL, bytes_of(body));
		free(body);
	}
}

static int small_setup(void **state)
{
	struct small *s = xcalloc(1, sizeof(*s));
	struct backup_config config = { .user = "me" };

	s->fake = fake_new();
	s->mb = fake_mailbox(s->fake, bytes_of("INBOX"));
	fill(s->mb);
	fake_start(s->fake);
	config.port = fake_port(s->fake);
	backup_init(&s->job, &config);
	backup_ends_with(&s->job, 0, "");
	fake_stop(s->fake);
	fake_uidvalidity(s->mb, 77);
	*state = s;
	return 0;
}

static int small_teardown(void **state)
{
	struct small *s = *state;

	backup_release(&s->job);
	fake_free(s->fake);
	free(s);
	return 0;
}

static void ends_incomplete(const struct small *s, const char *problem)
{
	struct backup_result res;

	backup_expect(&s->job, &res, 3, "");
	if (!strstr(buf_str(&res.err), problem))
		fail_msg("\"%s\" is not in: %s", problem, buf_str(&res.err));
	backup_result_release(&res);
	assert_int_equal(archive_count(s->job.root), 10);
}

static void expunge_all(struct fake_mailbox *mb)
{
	for (uint32_t uid = 2; uid <= 20; uid += 2)
		fake_expunge(mb, uid);
}

static void test_nothing_is_removed_where_the_server_shows_none(void **state)
{
	struct small *s = *state;
	struct backup_result res;

	expunge_all(s->mb);
	fake_start(s->fake);
	ends_incomplete(s, "none is in it now");
	backup_expect(&s->job, &res, 0, "--allow-deletes=10");
	assert_int_equal(res.removed, 10);
	backup_result_release(&res);
	assert_int_equal(archive_count(s->job.root), 0);
	backup_idle(&s->job);
}

static void test_it_is_recognised_when_the_server_has_found_it_again(void **state)
{
	struct small *s = *state;
	struct backup_result res;

	expunge_all(s->mb);
	fake_start(s->fake);
	ends_incomplete(s, "none is in it now");
	fake_stop(s->fake);
	fake_uidvalidity(s->mb, 78);
	fill(s->mb);
	fake_start(s->fake);
	backup_expect(&s->job, &res, 0, "");
	assert_int_equal(res.new_messages + res.removed, 0);
	backup_result_release(&res);
	assert_int_equal(archive_count(s->job.root), 10);
	backup_idle(&s->job);
}

static void test_an_answer_that_does_not_count_up_binds_nothing(void **state)
{
	struct small *s = *state;

	fake_trick(s->fake, s->mb, FAKE_OMIT, 8, 0, -1);
	fake_start(s->fake);
	ends_incomplete(s, "its answer does not account for all messages");
	fake_stop(s->fake);
	fake_tricks_clear(s->fake);
	fake_start(s->fake);
	backup_ends_with(&s->job, 0, "");
	assert_int_equal(archive_count(s->job.root), 10);
	backup_idle(&s->job);
}

static bool ends_well(const struct backup *job, uint64_t *new)
{
	struct backup_result res;
	bool well;

	backup_run(job, &res, "");
	well = res.status == 0;
	if (!well && res.status != 3)
		fail_msg("exit %d: %s", res.status, buf_str(&res.err));
	*new = res.new_messages;
	backup_result_release(&res);
	return well;
}

/* Enough to be worth several connections, each with a UIDVALIDITY of its own. */
static void test_uids_that_hold_for_one_session_are_bound_anew_in_each(void **state)
{
	struct small *s = *state;
	struct fake_mailbox *mb = fake_mailbox(s->fake, bytes_of("Large"));
	const uint32_t n = 2500;
	uint64_t new;

	for (uint32_t uid = 1; uid <= n + 3; uid++) {
		char *body = xasprintf("Message-ID: <%u@x>\r\n\r\n%*u\r\n", uid, 1 + uid % 31, uid);
		char date[64];

		snprintf(date, sizeof(date), "%02u-Jan-2001 00:%02u:%02u +0000", 1 + uid / 3600,
			 uid / 60 % 60, uid % 60);
		fake_message(mb, uid, "", date, bytes_of(body));
		free(body);
	}
	for (uint32_t uid = n + 1; uid <= n + 3; uid++)
		fake_expunge(mb, uid);
	fake_trick(s->fake, mb, FAKE_NOT_STICKY, 0, 0, -1);
	fake_start(s->fake);
	/* The first run finds out. */
	if (!ends_well(&s->job, &new))
		assert_true(ends_well(&s->job, &new));
	assert_int_equal(archive_count(s->job.root), n + 10);
	for (uint32_t run = 1; run <= 3; run++) {
		fake_stop(s->fake);
		fake_message(mb, n + 10 + run, "", NULL, bytes_of("Message-ID: <x@y>\r\n\r\n"));
		fake_forget(s->fake);
		fake_start(s->fake);
		assert_true(ends_well(&s->job, &new));
		assert_int_equal(new, 1);
		assert_int_equal(archive_count(s->job.root), n + 10 + run);
	}
}

#define SMALL(test) cmocka_unit_test_setup_teardown(test, small_setup, small_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_large_mailbox_in_a_maildir_is_recognised_for_little),
		cmocka_unit_test(test_a_large_mailbox_in_git_is_recognised_and_its_history_goes_on),
		cmocka_unit_test(test_uids_given_out_again_are_other_messages_in_a_maildir),
		cmocka_unit_test(test_uids_given_out_again_are_other_messages_in_git),
		SMALL(test_nothing_is_removed_where_the_server_shows_none),
		SMALL(test_it_is_recognised_when_the_server_has_found_it_again),
		SMALL(test_an_answer_that_does_not_count_up_binds_nothing),
		SMALL(test_uids_that_hold_for_one_session_are_bound_anew_in_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
