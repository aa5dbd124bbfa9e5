/* Accounts whose server says which messages are the same: each body comes once, whatever has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/fake_private.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/support.h"

/* Of the line "gmail-like" what the fake server can do, and Gmail's own extension. */
#define GMAIL "IMAP4rev1 UIDPLUS ENABLE ESEARCH LIST-EXTENDED LIST-STATUS SPECIAL-USE LITERAL- "     \
	      "UNSELECT NAMESPACE ID APPENDLIMIT=35651584 X-GM-EXT-1"
#define OBJECTID "IMAP4rev1 UIDPLUS ENABLE ESEARCH LIST-EXTENDED LIST-STATUS NAMESPACE ID OBJECTID"

#define ALL "[Gmail]/All Mail"

struct profile {
	const char *type, *capability, *id; /* id: what identities begin with */
};
static const struct profile profiles[] = {
	{ "maildir", GMAIL, "127845534423033" },
	{ "git", GMAIL, "127845534423033" },
	{ "maildir", OBJECTID, "M6d99ac3275bb4e-" },
	{ "git", OBJECTID, "M6d99ac3275bb4e-" },
};

static struct fake_imap *server;
static struct backup job;
static const struct profile *profile;

static struct fake_mailbox *box(const char *name)
{
	struct fake_mailbox *mb = fake_find(server, bytes_of(name));

	return mb ? mb : fake_mailbox(server, bytes_of(name));
}

static char *body_of(int number)
{
	return xasprintf("Message-ID: <%d@x>\r\nSubject: no. %d\r\n\r\n%*d\r\n", number, number,
			 10 + number, number);
}

static char *identity_of(int number)
{
	return xasprintf("%s%04d", profile->id, number);
}

/* The message with this number in a mailbox, with flags and a date of its own there. */
static void label(const char *name, uint32_t uid, int number)
{
	char *body = body_of(number), *id = identity_of(number);
	char *date = xasprintf("%02d-Feb-2021 03:04:%02u +0100", 1 + number % 28, uid % 60);

	fake_message(box(name), uid, uid % 2 ? "\\Seen" : "\\Answered key", date, bytes_of(body));
	fake_identity(box(name), uid, id);
	free(date);
	free(id);
	free(body);
}

/* Messages 1 to 6, all in All Mail but the last, which lies in the trash; 1 to 3 in INBOX, 2 and 3 in Work. */
static void fill(void)
{
	label("INBOX", 10, 1);
	label("INBOX", 11, 2);
	label("INBOX", 12, 3);
	label("Work", 1, 2);
	label("Work", 4, 3);
	for (int i = 1; i <= 5; i++)
		label(ALL, 100 + (uint32_t)i, i);
	label("[Gmail]/Trash", 1, 6);
	fake_attributes(box(ALL), "\\All");
	fake_attributes(box("[Gmail]"), "\\Noselect");
	fake_attributes(box("[Gmail]/Trash"), "\\Trash");
}

static int start(void **state)
{
	struct backup_config config = { 0 };

	profile = *state;
	server = fake_new();
	fake_capability(server, profile->capability);
	fill();
	config.port = fake_port(server);
	config.type = profile->type;
	backup_init(&job, &config);
	fake_start(server);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	fake_free(server);
	return 0;
}

/* --- what came, and what there is --- */

static void assert_bodies(const char *want)
{
	struct buf got = BUF_INIT(1 << 20);

	fake_bodies(server, &got);
	assert_string_equal(buf_str(&got), want);
	buf_release(&got);
}

static size_t count_bodies(void)
{
	struct buf got = BUF_INIT(1 << 20);
	size_t n = 0;

	fake_bodies(server, &got);
	for (size_t i = 0; i < got.n; i++)
		n += got.p[i] == '\n';
	buf_release(&got);
	return n;
}

static void assert_same_message(const struct archive_message *got, const struct fake_msg *want)
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(buf_bytes(&want->body), hex);
	assert_int_equal(got->source_uid, want->uid);
	assert_string_equal(got->sha256, hex);
	assert_string_equal(got->flags, want->flags);
	assert_string_equal(got->date, want->date);
}

/* The store holds just what the server has. */
static void assert_equal(void)
{
	struct archive a;

	archive_read(job.root, &a);
	for (size_t i = 0; i < server->n; i++) {
		const struct fake_mailbox *mb = server->mb[i];
		const struct archive_mailbox *have = archive_find(&a, buf_str(&mb->name));
		size_t n = 0;

		if (strcmp(mb->attributes, "\\Noselect") == 0)
			continue;
		assert_non_null(have);
		for (size_t k = 0; k < have->n; k++) {
			if (have->msg[k].kept)
				continue;
			assert_true(n < mb->n);
			assert_same_message(&have->msg[k], &mb->msg[n++]);
		}
		assert_int_equal(n, mb->n);
	}
	archive_release(&a);
}

/* A run after which all is as at the server; so many bodies came. */
static void backup_takes(size_t bodies)
{
	fake_forget(server);
	backup_ends_with(&job, 0, "");
	assert_int_equal(count_bodies(), bodies);
	assert_equal();
	fake_forget(server);
	backup_idle(&job);
	assert_bodies("");
}

static void change(void)
{
	fake_stop(server);
}

static void go_on(void)
{
	fake_start(server);
}

/* --- tests --- */

static void test_each_body_comes_once_and_from_the_mailbox_of_all_mail(void **state)
{
	struct backup_result res;
	struct buf got = BUF_INIT(1 << 20);

	(void)state;
	backup_expect(&job, &res, 0, "");
	assert_int_equal(res.new_messages, 11);
	assert_non_null(strstr(buf_str(&res.out), "\"copied\":5,"));
	fake_bodies(server, &got);
	for (int i = 1; i <= 5; i++) {
		char *line = xasprintf(ALL " %d\n", 100 + i);

		assert_non_null(strstr(buf_str(&got), line));
		free(line);
	}
	assert_int_equal(count_bodies(), 6);
	backup_result_release(&res);
	buf_release(&got);
	assert_equal();
	fake_forget(server);
	backup_idle(&job);
	fake_commands(server, &got);
	assert_null(strstr(buf_str(&got), "FETCH"));
	buf_release(&got);
}

static void test_a_plan_says_the_bytes_to_download(void **state)
{
	struct backup_result plan, run;

	(void)state;
	program_run(&job, &plan, NULL, "plan", "");
	assert_int_equal(plan.status, 0);
	assert_int_equal(count_bodies(), 0);
	backup_expect(&job, &run, 0, "");
	assert_non_null(strstr(buf_str(&plan.out), "\"copied\":5,"));
	{
		char *bytes = xasprintf("\"bytes\":%llu,", (unsigned long long)run.bytes);

		assert_non_null(strstr(buf_str(&plan.out), bytes));
		free(bytes);
	}
	backup_result_release(&plan);
	backup_result_release(&run);
	/* And where the store holds what is new under another name. */
	change();
	label("INBOX", 13, 4);
	go_on();
	program_run(&job, &plan, NULL, "plan", "");
	assert_non_null(strstr(buf_str(&plan.out), "\"copied\":1,"));
	assert_non_null(strstr(buf_str(&plan.out), "\"bytes\":0,"));
	backup_result_release(&plan);
}

static void test_a_plan_that_is_carried_out_downloads_no_more_than_it_said(void **state)
{
	struct backup_result res;
	char *file = path_join(job.dir, "plan.json"), *args = xasprintf("-o %s job", file);

	(void)state;
	program_run(&job, &res, NULL, "plan", args);
	assert_int_equal(res.status, 0);
	backup_result_release(&res);
	program_run(&job, &res, NULL, "apply", file);
	assert_int_equal(res.status, 0);
	assert_non_null(strstr(buf_str(&res.out), "\"copied\":5,"));
	backup_result_release(&res);
	assert_int_equal(count_bodies(), 6);
	assert_equal();
	free(args);
	free(file);
}

static void test_new_mail_comes_once(void **state)
{
	(void)state;
	backup_takes(6);
	change();
	label("INBOX", 20, 7);
	label(ALL, 120, 7);
	go_on();
	backup_takes(1);
}

static void test_labels_come_and_go_without_a_body(void **state)
{
	(void)state;
	backup_takes(6);
	change();
	label("Work", 5, 5);        /* added */
	fake_expunge(box("INBOX"), 11); /* removed */
	go_on();
	backup_takes(0);
	change();
	fake_expunge(box("INBOX"), 12); /* moved to a new one */
	label("New", 1, 3);
	go_on();
	backup_takes(0);
}

static void test_into_and_out_of_the_trash_costs_no_body(void **state)
{
	(void)state;
	backup_takes(6);
	change();
	fake_expunge(box(ALL), 102);
	fake_expunge(box("INBOX"), 11);
	fake_expunge(box("Work"), 1);
	label("[Gmail]/Trash", 9, 2);
	go_on();
	backup_takes(0);
	change();
	fake_expunge(box("[Gmail]/Trash"), 9);
	label(ALL, 130, 2);
	label("INBOX", 30, 2);
	go_on();
	backup_takes(0);
}

/* More labels than the guard lets go at once: the mail is in All Mail as before. */
static void test_the_guard_knows_that_the_mail_is_still_there(void **state)
{
	(void)state;
	for (int i = 20; i < 60; i++) {
		label("INBOX", 20 + (uint32_t)i, i);
		label(ALL, 120 + (uint32_t)i, i);
	}
	change();
	go_on();
	backup_takes(46);
	change();
	for (int i = 20; i < 60; i++)
		fake_expunge(box("INBOX"), 20 + (uint32_t)i);
	go_on();
	backup_takes(0);
}

static void test_what_was_kept_comes_back_without_a_body(void **state)
{
	const struct backup_config keep = { .port = fake_port(server), .type = profile->type,
					    .job = "deletions = keep\n" };

	(void)state;
	backup_configure(&job, &keep);
	backup_takes(6);
	change();
	fake_expunge(box("[Gmail]/Trash"), 1);
	go_on();
	backup_ends_with(&job, 0, "");
	change();
	label(ALL, 140, 6);
	go_on();
	backup_takes(0);
}

/* The mailboxes' only message in common, of two sizes: not the same, whatever is said. */
static void test_one_identity_with_two_sizes_is_two_messages(void **state)
{
	char *id = identity_of(2);

	(void)state;
	change();
	label("Work", 5, 7);
	fake_identity(box("Work"), 5, id); /* as the message of another size in all the others */
	go_on();
	backup_takes(7);
	change();
	label("INBOX", 20, 8);
	fake_identity(box("INBOX"), 20, id);
	go_on();
	backup_takes(1);
	free(id);
}

/* All of one size and one identity: told so by a server that knows nothing. */
static void test_one_identity_for_all_is_none(void **state)
{
	(void)state;
	change();
	for (uint32_t i = 1; i <= 4; i++) {
		char *body = xasprintf("Subject: %u\r\n\r\nof one size\r\n", i);

		fake_message(box("A"), i, "", NULL, bytes_of(body));
		fake_message(box("B"), 10 + i, "", NULL, bytes_of(body));
		fake_identity(box("A"), i, "123");
		fake_identity(box("B"), 10 + i, "123");
		free(body);
	}
	go_on();
	backup_takes(14);
	change();
	fake_message(box("C"), 1, "", NULL, bytes_of("Subject: 5\r\n\r\nof one size\r\n"));
	fake_identity(box("C"), 1, "123");
	go_on();
	backup_takes(1);
}

static void test_the_same_twice_in_one_mailbox_is_stored_twice(void **state)
{
	(void)state;
	backup_takes(6);
	change();
	label("Work", 9, 2);
	go_on();
	backup_takes(0);
}

static void test_a_size_that_is_told_wrong_costs_the_body(void **state)
{
	(void)state;
	change();
	fake_trick(server, box("Work"), FAKE_SIZE, 1, 7, 1);
	go_on();
	backup_takes(7);
}

/* The byte of a stored message that is in All Mail only. */
static void damage_stored(void)
{
	struct archive a;
	const struct archive_mailbox *all;

	archive_read(job.root, &a);
	all = archive_find(&a, ALL);
	for (size_t i = 0; i < all->n; i++) {
		char *path = path_join(job.root, all->msg[i].path);
		struct buf file = BUF_INIT(1 << 20);

		if (all->msg[i].source_uid == 105 && strcmp(profile->type, "git") == 0) {
			char *rev = xasprintf("main:%s/%s", all->directory, all->msg[i].path);

			git_damage(job.root, rev);
			free(rev);
		} else if (all->msg[i].source_uid == 105) {
			read_file(path, &file);
			file.p[15] ^= 1;
			write_file(path, buf_bytes(&file));
			buf_release(&file);
		}
		free(path);
	}
	archive_release(&a);
}

static void test_what_a_disk_changed_is_fetched_again(void **state)
{
	struct archive a;
	const struct archive_mailbox *work;
	char hex[SHA256_HEX_SIZE], *body = body_of(5);

	(void)state;
	backup_takes(6);
	damage_stored();
	change();
	label("Work", 5, 5);
	go_on();
	fake_forget(server);
	backup_ends_with(&job, 0, "");
	assert_bodies("Work 5\n");
	if (strcmp(profile->type, "git") == 0) {
		struct backup_result mended;

		char *args = xasprintf("--mend %s", job.root);

		program_run(&job, &mended, NULL, "compact", args);
		free(args);
		assert_int_equal(mended.status, 0);
		backup_result_release(&mended);
		assert_equal(); /* one blob, mended by what came */
	} else {
		archive_read(job.root, &a);
		work = archive_find(&a, "Work");
		sha256_hex(bytes_of(body), hex);
		assert_string_equal(work->msg[work->n - 1].sha256, hex);
		archive_release(&a);
	}
	free(body);
}

static void test_a_server_that_does_not_tell_what_it_has_is_backed_up(void **state)
{
	(void)state;
	change();
	for (size_t i = 0; i < server->n; i++)
		for (size_t k = 0; k < server->mb[i]->n; k++)
			fake_identity(server->mb[i], server->mb[i]->msg[k].uid,
				      profile->capability[0] && strstr(profile->capability, "X-GM")
					      ? "0" : "bad.id");
	go_on();
	backup_takes(11);
}

/* A message that the server describes to nobody is fetched; one that it does not give stays the only trouble. */
static void test_what_is_left_out_of_the_description_is_fetched(void **state)
{
	(void)state;
	change();
	fake_trick(server, box("Work"), FAKE_OMIT, 4, 0, 4);
	go_on();
	backup_ends_with(&job, 0, "");
	assert_equal();
}

/* A mailbox that was made anew, from the same messages: UIDs and dates are others, and so nothing shows it but these. */
static void test_identities_recognise_messages_under_another_uidvalidity(void **state)
{
	(void)state;
	backup_takes(6);
	change();
	fake_expunge(box("Work"), 1);
	fake_expunge(box("Work"), 4);
	label("Work", 7, 2);
	label("Work", 9, 3);
	fake_uidvalidity(box("Work"), 9);
	go_on();
	backup_takes(0);
	change();
	/* And one with mail that lies nowhere else. */
	fake_expunge(box("[Gmail]/Trash"), 1);
	label("[Gmail]/Trash", 5, 6);
	fake_uidvalidity(box("[Gmail]/Trash"), 9);
	go_on();
	backup_takes(0);
}

/* A server made anew gives all mailboxes another UIDVALIDITY, and its identities to other messages. */
static void test_identities_of_a_server_made_anew_are_not_believed(void **state)
{
	char *id = identity_of(1);
	char *body = body_of(1);

	(void)state;
	backup_takes(6);
	change();
	for (size_t i = 0; i < server->n; i++)
		fake_uidvalidity(server->mb[i], 77);
	body[strlen(body) - 3] = '!'; /* the same size, and other bytes */
	fake_message(box("Work"), 50, "\\Seen", "01-Mar-2022 00:00:00 +0000", bytes_of(body));
	fake_identity(box("Work"), 50, id);
	go_on();
	backup_ends_with(&job, 0, "");
	assert_equal();
	free(body);
	free(id);
}

static void test_stopped_anywhere_the_next_run_ends_the_same(void **state)
{
	struct backup_result res;
	int at = 0;

	(void)state;
	do {
		char *env = xasprintf("CRASH_AT=%d", ++at);

		backup_reset(&job);
		backup_run_env(&job, &res, env, "");
		free(env);
		if (res.status != 0) {
			fake_forget(server);
			backup_ends_with(&job, 0, "");
			assert_true(count_bodies() <= 6);
			assert_equal();
			backup_idle(&job);
		}
		assert_true(at < 500);
	} while (res.status != 0 && (backup_result_release(&res), true));
	backup_result_release(&res);
	assert_true(at > 3);
}

/* And one that was put back to an earlier state gives them out once more, with the UIDs. */
static void test_identities_of_a_server_put_back_are_not_believed(void **state)
{
	char *id = xasprintf("%s%04d", profile->id, 7), *body = body_of(7);

	(void)state;
	change();
	label("INBOX", 20, 7);
	go_on();
	backup_takes(7);
	change();
	fake_expunge(box("INBOX"), 20);
	fake_uidnext(box("INBOX"), 13);
	body[strlen(body) - 3] = '!'; /* the same size, and other bytes */
	fake_message(box("Work"), 50, "\\Seen", "01-Mar-2022 00:00:00 +0000", bytes_of(body));
	fake_identity(box("Work"), 50, id);
	go_on();
	backup_ends_with(&job, 0, "");
	assert_equal();
	free(body);
	free(id);
}

#define FOR(p, test) { #test, test, start, stop, (void *)(uintptr_t)(p) }
#define ALL_TESTS(p)                                                              \
	FOR(p, test_each_body_comes_once_and_from_the_mailbox_of_all_mail),       \
	FOR(p, test_a_plan_says_the_bytes_to_download),                           \
	FOR(p, test_a_plan_that_is_carried_out_downloads_no_more_than_it_said),   \
	FOR(p, test_new_mail_comes_once),                                         \
	FOR(p, test_labels_come_and_go_without_a_body),                           \
	FOR(p, test_into_and_out_of_the_trash_costs_no_body),                     \
	FOR(p, test_the_guard_knows_that_the_mail_is_still_there),                \
	FOR(p, test_what_was_kept_comes_back_without_a_body),                     \
	FOR(p, test_one_identity_with_two_sizes_is_two_messages),                 \
	FOR(p, test_one_identity_for_all_is_none),                                \
	FOR(p, test_the_same_twice_in_one_mailbox_is_stored_twice),               \
	FOR(p, test_a_size_that_is_told_wrong_costs_the_body),                    \
	FOR(p, test_what_a_disk_changed_is_fetched_again),                        \
	FOR(p, test_a_server_that_does_not_tell_what_it_has_is_backed_up),        \
	FOR(p, test_what_is_left_out_of_the_description_is_fetched),              \
	FOR(p, test_identities_recognise_messages_under_another_uidvalidity),     \
	FOR(p, test_identities_of_a_server_put_back_are_not_believed),            \
	FOR(p, test_identities_of_a_server_made_anew_are_not_believed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL_TESTS(&profiles[0]), ALL_TESTS(&profiles[1]),
		ALL_TESTS(&profiles[2]), ALL_TESTS(&profiles[3]),
		FOR(&profiles[0], test_stopped_anywhere_the_next_run_ends_the_same),
		FOR(&profiles[1], test_stopped_anywhere_the_next_run_ends_the_same),
	};

	return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}
