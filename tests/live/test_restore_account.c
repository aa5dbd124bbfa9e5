/* Back into an account: `mailcask restore STORE ACCOUNT` as users run it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"

/*
 * An account `far` that is backed up into a git archive, and an empty one, `other`, on the same server, which may
 * be reached by a relay.
 */
struct rig {
	struct dovecot *server;
	struct oracle *far, *other;
	struct backup job; /* its store is "near": job.root */
	char *files;       /* a directory for what a test makes */
	const char *user;  /* of `other`; NULL: bob */
};

static void configure(struct rig *rig, int port)
{
	char *more = xasprintf("[account other]\nhost = 127.0.0.1\nport = %d\ntls = none\nuser = %s\n"
			       "password = pw\n",
			       port, rig->user ? rig->user : "bob");
	const struct backup_config config = { .port = port, .type = "git", .account = more };

	if (rig->job.dir)
		backup_configure(&rig->job, &config);
	else
		backup_init(&rig->job, &config);
	free(more);
}

static struct rig *start(const struct dovecot_opts *opts)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->server = dovecot_start(opts);
	rig->far = oracle_open(rig->server->port, "alice");
	rig->other = oracle_open(rig->server->port, "bob");
	configure(rig, rig->server->port);
	rig->files = path_join(rig->job.dir, "files");
	mkdir(rig->files, 0755);
	return rig;
}

static int set_up(void **state)
{
	*state = start(NULL);
	return 0;
}

static int set_up_without_uidplus(void **state)
{
	*state = start(&(struct dovecot_opts){
		.imap_capability = "IMAP4rev1 LITERAL+ SPECIAL-USE CREATE-SPECIAL-USE NAMESPACE" });
	return 0;
}

static int set_up_with_quota(void **state)
{
	*state = start(&(struct dovecot_opts){
		.extra = "plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n"
			 "  quota_rule = *:storage=100k\n}\n",
		.extra_imap = "  mail_plugins = quota imap_quota\n" });
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	oracle_close(rig->far);
	oracle_close(rig->other);
	dovecot_stop(rig->server);
	backup_release(&rig->job);
	free(rig->files);
	free(rig);
	return 0;
}

/* --- running it --- */

struct restored {
	uint64_t added, present, flags;
	struct buf out, err;
	int status;
};

static void restored_release(struct restored *res)
{
	buf_release(&res->out);
	buf_release(&res->err);
}

static void take_summary(struct restored *res)
{
	const char *at = buf_str(&res->out);

	while (*at) {
		size_t n = strcspn(at, "\n");
		json_t *event = json_loadb(at, n, 0, NULL);

		if (strcmp(json_string_value(json_object_get(event, "event")), "summary") == 0) {
			res->added = (uint64_t)json_integer_value(json_object_get(event, "added"));
			res->present = (uint64_t)json_integer_value(json_object_get(event, "present"));
			res->flags = (uint64_t)json_integer_value(json_object_get(event, "flags"));
		}
		json_decref(event);
		at += n + (at[n] == '\n');
	}
}

/* `mailcask restore --json ARGS` exits with `status`; negative: with any. */
static void restore(const struct rig *rig, struct restored *res, int status, const char *args)
{
	struct backup_result run;

	program_run(&rig->job, &run, NULL, "restore", args);
	if (status >= 0 && run.status != status)
		fail_msg("restore %s: exit %d: %s%s", args, run.status, buf_str(&run.out),
			 buf_str(&run.err));
	*res = (struct restored){ .out = run.out, .err = run.err, .status = run.status };
	take_summary(res);
}

/* The same of a run that ends well, with no word. */
static void restore_adds(const struct rig *rig, uint64_t added, uint64_t present, const char *args)
{
	struct restored res;

	restore(rig, &res, 0, args);
	if (res.added != added || res.present != present)
		fail_msg("restore %s: %s", args, buf_str(&res.out));
	assert_string_equal(buf_str(&res.err), "");
	restored_release(&res);
}

/* --- what an account holds --- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "MAILBOX SHA FLAGS DATE" of every message, sorted; and each mailbox. */
static void account_text(struct oracle *o, struct name_list *out)
{
	struct name_list names = { 0 };

	oracle_list(o, &names);
	for (size_t i = 0; i < names.n; i++) {
		struct oracle_dump d;

		name_list_add(out, names.name[i]);
		oracle_dump(o, names.name[i], &d);
		for (size_t k = 0; k < d.n; k++) {
			char *line = xasprintf("%s %s [%s] %s", names.name[i], d.msg[k].sha256,
					       d.msg[k].flags, d.msg[k].date);

			name_list_add(out, line);
			free(line);
		}
		oracle_dump_release(&d);
	}
	qsort(out->name, out->n, sizeof(*out->name), by_text);
	name_list_release(&names);
}

static void lists_equal(const struct name_list *a, const struct name_list *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		assert_string_equal(a->name[i], b->name[i]);
	assert_int_equal(a->n, b->n);
}

static void accounts_equal(struct oracle *a, struct oracle *b)
{
	struct name_list x = { 0 }, y = { 0 };

	account_text(a, &x);
	account_text(b, &y);
	lists_equal(&x, &y);
	name_list_release(&x);
	name_list_release(&y);
}

static size_t count(struct oracle *o, const char *mailbox)
{
	struct oracle_dump d;
	size_t n;

	oracle_dump(o, mailbox, &d);
	n = d.n;
	oracle_dump_release(&d);
	return n;
}

/* --- tests --- */

static void test_an_account_comes_back_into_an_empty_one(void **state)
{
	struct rig *rig = *state;
	struct backup again;

	corpus_fill_account(rig->far);
	backup_ends_with(&rig->job, 0, "");
	restore_adds(rig, CORPUS_ACCOUNT, 0, "near other");
	accounts_equal(rig->far, rig->other);
	restore_adds(rig, 0, CORPUS_ACCOUNT, "near other");
	accounts_equal(rig->far, rig->other);
	/* An archive of it holds the same, special use and subscriptions, too. */
	backup_init(&again, &(struct backup_config){ .port = rig->server->port, .type = "git",
						     .user = "bob" });
	backup_ends_with(&again, 0, "");
	archives_equal(rig->job.root, again.root);
	backup_release(&again);
}

static void test_a_dry_run_tells_the_same_and_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct name_list before = { 0 }, after = { 0 }, state_files = { 0 };

	corpus_fill_account(rig->far);
	corpus_fill(rig->other, "INBOX", 1000, 3, 0, 3000);
	corpus_fill(rig->far, "INBOX", 1000, 2, 0, 3000);
	backup_ends_with(&rig->job, 0, "");
	account_text(rig->other, &before);
	restore_adds(rig, CORPUS_ACCOUNT, 2, "-n near other");
	account_text(rig->other, &after);
	lists_equal(&before, &after);
	tree_files(rig->job.state, &state_files);
	for (size_t i = 0; i < state_files.n; i++)
		assert_null(strstr(state_files.name[i], "restore-"));
	restore_adds(rig, CORPUS_ACCOUNT, 2, "near other");
	assert_int_equal(count(rig->other, "INBOX"), 43);
	name_list_release(&before);
	name_list_release(&after);
	name_list_release(&state_files);
}

static void test_into_the_account_itself_only_what_is_missing_goes_over_the_line(void **state)
{
	struct rig *rig = *state;
	struct relay *relay = relay_start(&(struct relay_opts){ .port = rig->server->port });
	struct name_list before = { 0 }, after = { 0 };
	struct relay_stats stats;

	corpus_fill(rig->far, "INBOX", 0, 300, 2000, 4000);
	backup_ends_with(&rig->job, 0, "");
	account_text(rig->far, &before);
	oracle_expunge(rig->far, "INBOX", "7,90:98");
	configure(rig, relay_port(relay));
	restore_adds(rig, 10, 290, "near far");
	stats = relay_stats(relay);
	account_text(rig->far, &after);
	lists_equal(&before, &after);
	/* Ten messages out, and a line for each of the others in. */
	assert_in_range(stats.to_server, 10 * 2000, 10 * 4500 + 10000);
	assert_in_range(stats.to_client, 0, 300 * 80 + 10000);
	/* Those that came back have other UIDs; what they are is remembered. */
	restore_adds(rig, 0, 300, "near far");
	assert_in_range(relay_stats(relay).to_client - stats.to_client, 0, 2 * 300 * 80 + 10000);
	assert_in_range(relay_stats(relay).to_server - stats.to_server, 0, 10000);
	relay_stop(relay);
	name_list_release(&before);
	name_list_release(&after);
}

/* The line breaks again and again; then it runs to the end. */
static void break_off_and_go_on(struct rig *rig)
{
	struct relay *relay;
	struct restored res;

	corpus_fill_account(rig->far);
	backup_ends_with(&rig->job, 0, "");
	for (uint64_t at = 3000; at < 3 << 20; at = at * 2 + 777) {
		relay = relay_start(&(struct relay_opts){ .port = rig->server->port,
							  .cut_to_server = at, .cut_times = 6 });
		configure(rig, relay_port(relay));
		restore(rig, &res, -1, "near other");
		/* 3: it broke off three times with the same messages under way. */
		if (res.status != 0 && res.status != 3 && res.status != 75)
			fail_msg("exit %d: %s%s", res.status, buf_str(&res.out), buf_str(&res.err));
		restored_release(&res);
		relay_stop(relay);
	}
	configure(rig, rig->server->port);
	restore(rig, &res, 0, "near other");
	assert_int_equal(res.added + res.present, CORPUS_ACCOUNT);
	restored_release(&res);
	accounts_equal(rig->far, rig->other);
}

static void test_a_line_that_breaks_loses_nothing_and_doubles_nothing(void **state)
{
	break_off_and_go_on(*state);
}

static void test_without_uidplus_either(void **state)
{
	break_off_and_go_on(*state);
}

/* Stopped before every durable step, one after the other. */
static void test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(void **state)
{
	struct rig *rig = *state;
	int status = CRASH_STATUS, steps;

	oracle_create(rig->far, "Work");
	corpus_fill(rig->far, "INBOX", 0, 6, 100, 3000);
	corpus_fill(rig->far, "Work", 2, 3, 100, 3000);
	corpus_fill(rig->far, "Work", 2, 1, 100, 3000); /* once more */
	backup_ends_with(&rig->job, 0, "");
	for (steps = 0; status == CRASH_STATUS; steps++) {
		char *user = xasprintf("crash%d", steps), *env = xasprintf("CRASH_AT=%d", steps + 1);
		struct backup_result run;
		struct restored res;
		struct oracle *o;

		rig->user = user;
		configure(rig, rig->server->port);
		program_run(&rig->job, &run, env, "restore", "near other");
		status = run.status;
		backup_result_release(&run);
		restore(rig, &res, 0, "near other");
		assert_int_equal(res.added + res.present, 10);
		restored_release(&res);
		o = oracle_open(rig->server->port, user);
		accounts_equal(rig->far, o);
		oracle_close(o);
		rig->user = NULL;
		free(user);
		free(env);
	}
	assert_int_equal(status, 0);
	assert_in_range(steps, 4, 50);
}

static void test_two_at_once_do_not_meet(void **state)
{
	struct rig *rig = *state;
	struct restored res;
	char *path;
	int fd;

	corpus_fill(rig->far, "INBOX", 0, 3, 0, 3000);
	backup_ends_with(&rig->job, 0, "");
	restore_adds(rig, 3, 0, "near other");
	path = path_join(rig->job.state, "mailcask/restore-bob@127.0.0.1.db.lock");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	restore(rig, &res, 11, "near other");
	restored_release(&res);
	restore_adds(rig, 0, 3, "-n near other");
	close(fd);
	restore_adds(rig, 0, 3, "near other");
	free(path);
}

static void test_what_was_deleted_from_an_archive_comes_back(void **state)
{
	struct rig *rig = *state;
	struct buf commands = BUF_INIT(1 << 20);
	struct relay *relay;
	struct name_list before = { 0 }, after = { 0 };

	oracle_create(rig->far, "Work");
	corpus_fill(rig->far, "INBOX", 0, 8, 100, 3000);
	corpus_fill(rig->far, "Work", 20, 4, 100, 3000);
	corpus_fill(rig->far, "Work", 22, 1, 100, 3000); /* the third again */
	backup_ends_with(&rig->job, 0, "");
	account_text(rig->far, &before);
	oracle_expunge(rig->far, "INBOX", "2:3");
	backup_ends_with(&rig->job, 0, "");
	oracle_expunge(rig->far, "Work", "3,5");
	backup_ends_with(&rig->job, 0, "");
	restore_adds(rig, 4, 0, "-n --deleted-since today near far");
	relay = relay_start(&(struct relay_opts){ .port = rig->server->port });
	configure(rig, relay_port(relay));
	restore_adds(rig, 4, 0, "--deleted-since today near far");
	relay_commands(relay, &commands);
	assert_non_null(strstr(buf_str(&commands), "RFC822.SIZE"));
	assert_null(strstr(buf_str(&commands), "BODY")); /* no size of these is there */
	relay_stop(relay);
	configure(rig, rig->server->port);
	account_text(rig->far, &after);
	lists_equal(&before, &after);
	restore_adds(rig, 0, 4, "--deleted-since today near far");
	restore_adds(rig, 4, 0, "--deleted-since today near other");
	restore_adds(rig, 0, 4, "--deleted-since today near other");
	buf_release(&commands);
	name_list_release(&before);
	name_list_release(&after);
}

static void put_file(const struct rig *rig, const char *name, const char *text, size_t n)
{
	char *path = path_join(rig->files, name);

	write_file(path, bytes_from(text, n));
	free(path);
}

#define PUT(rig, name, text) put_file(rig, name, text, sizeof(text) - 1)

static void test_files_of_other_programs_come_into_an_account(void **state)
{
	struct rig *rig = *state;
	char *mbox = xasprintf("%s/Old.mbox other", rig->files), *eml = xasprintf("%s other", rig->files);
	char *into = xasprintf("--into Was/Here %s/Old.mbox other", rig->files);
	struct oracle_dump d;

	PUT(rig, "Old.mbox",
	    "From a Thu Feb 29 13:05:09 2024\nSubject: one\nStatus: RO\nX-Keywords: $Work\n\n>From me\n\n"
	    "From b Fri Mar  1 00:00:00 2024\nSubject: two\n\ntwo\n\n"
	    "From b Fri Mar  1 00:00:00 2024\nSubject: two\n\ntwo\n\n");
	PUT(rig, "one.eml", "Date: Thu, 29 Feb 2024 13:05:09 +0100\r\nSubject: eml\r\n\r\nx\r\n");
	restore_adds(rig, 3, 0, mbox);
	restore_adds(rig, 0, 3, mbox);
	restore_adds(rig, 3, 0, into);
	restore_adds(rig, 1, 0, eml);
	restore_adds(rig, 0, 1, eml);
	oracle_dump(rig->other, "Old", &d);
	assert_int_equal(d.n, 3);
	assert_string_equal(d.msg[0].flags, "$Work \\Seen");
	assert_string_equal(d.msg[0].date, "29-Feb-2024 13:05:09 +0000");
	assert_string_equal(d.msg[1].sha256, d.msg[2].sha256);
	oracle_dump_release(&d);
	assert_int_equal(count(rig->other, "Was/Here"), 3);
	oracle_dump(rig->other, "files", &d);
	assert_int_equal(d.n, 1);
	assert_string_equal(d.msg[0].date, "29-Feb-2024 12:05:09 +0000");
	oracle_dump_release(&d);
	free(mbox);
	free(eml);
	free(into);
}

static void test_a_maildir_of_another_program_comes_into_an_account_and_stays_as_it_is(void **state)
{
	static const char *const dirs[] = { "", "/cur", "/new", "/tmp", "/.Sub", "/.Sub/cur", "/.Sub/new",
					    "/.Sub/tmp" };
	struct rig *rig = *state;
	char *args = xasprintf("%s other", rig->files);
	struct name_list before = { 0 }, after = { 0 };
	struct oracle_dump d;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path = xasprintf("%s%s", rig->files, dirs[i]);

		mkdir(path, 0755);
		free(path);
	}
	PUT(rig, "cur/1.x:2,RS", "Subject: one\n\none\n");
	PUT(rig, "new/2.x", "Subject: two\n\ntwo\n");
	PUT(rig, ".Sub/cur/3.x:2,F", "Subject: three\n\nthree\n");
	tree_files(rig->files, &before);
	restore_adds(rig, 3, 0, args);
	restore_adds(rig, 0, 3, args);
	tree_files(rig->files, &after);
	lists_equal(&before, &after);
	oracle_dump(rig->other, "INBOX", &d);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.msg[0].flags, "\\Answered \\Seen");
	oracle_dump_release(&d);
	assert_int_equal(count(rig->other, "Sub"), 1);
	name_list_release(&before);
	name_list_release(&after);
	free(args);
}

static void test_a_message_is_no_command_and_a_keyword_no_syntax(void **state)
{
	static const char hostile[] =
		"From a Thu Feb 29 13:05:09 2024\n"
		"X-Keywords: a]b (x) {5} \"q\" ok\n"
		"Subject: s\n\n"
		"x DELETE INBOX\nx1 LOGOUT\n.\nA1 DELETE Work\n\n";
	struct rig *rig = *state;
	char *args = xasprintf("--into INBOX %s/bad.mbox other", rig->files);
	struct restored res;
	struct oracle_dump d;

	oracle_create(rig->other, "Work");
	corpus_fill(rig->other, "INBOX", 0, 2, 0, 3000);
	PUT(rig, "bad.mbox", hostile);
	restore(rig, &res, 0, args);
	assert_int_equal(res.added, 1);
	restored_release(&res);
	oracle_dump(rig->other, "INBOX", &d);
	assert_int_equal(d.n, 3);
	assert_non_null(strstr(d.msg[2].flags, "ok"));
	assert_int_equal(count(rig->other, "Work"), 0);
	oracle_dump_release(&d);
	restore(rig, &res, 0, args);
	assert_int_equal(res.present, 1);
	restored_release(&res);
	free(args);
}

static void test_what_the_server_does_not_take_is_named_and_the_rest_goes_on(void **state)
{
	struct rig *rig = *state;
	char *args = xasprintf("%s other", rig->files);
	struct restored res;

	PUT(rig, "1.eml", "Subject: one\r\n\r\none\r\n");
	PUT(rig, "2.eml", "");
	PUT(rig, "3.eml", "Subject: three\r\n\r\nthree\r\n");
	restore(rig, &res, 3, args);
	assert_int_equal(res.added, 2);
	assert_non_null(strstr(buf_str(&res.err), "message with UID 2 could not be restored"));
	assert_null(strstr(buf_str(&res.err), "UID 1 "));
	restored_release(&res);
	restore(rig, &res, 3, args);
	assert_int_equal(res.added, 0);
	assert_int_equal(res.present, 2);
	restored_release(&res);
	free(args);
}

static void test_flags_of_then_are_put_back(void **state)
{
	struct rig *rig = *state;
	struct name_list before = { 0 }, after = { 0 };
	struct restored res;

	corpus_fill_account(rig->far);
	backup_ends_with(&rig->job, 0, "");
	account_text(rig->far, &before);
	oracle_store(rig->far, "INBOX", "1:20", "FLAGS", "\\Seen $Mine");
	oracle_expunge(rig->far, "INBOX", "5");
	restore_adds(rig, 1, CORPUS_ACCOUNT - 1, "near far");
	account_text(rig->far, &after);
	assert_string_not_equal(before.name[0], "");
	name_list_release(&after);
	restore(rig, &res, 0, "-n --flags near far");
	assert_int_equal(res.flags, 19);
	restored_release(&res);
	restore(rig, &res, 0, "--flags near far");
	assert_int_equal(res.flags, 19);
	restored_release(&res);
	account_text(rig->far, &after);
	lists_equal(&before, &after);
	restore(rig, &res, 0, "--flags near far");
	assert_int_equal(res.flags, 0);
	restored_release(&res);
	name_list_release(&before);
	name_list_release(&after);
}

static void test_messages_are_found_by_what_they_are(void **state)
{
	struct rig *rig = *state;
	struct oracle_new mail[] = {
		{ .flags = "\\Seen", .date = "01-Feb-2020 03:04:05 +0100",
		  .body = bytes_of("From: =?utf-8?Q?J=C3=BCrgen?= <j@x>\r\nSubject: a\r\n\r\nx\r\n") },
		{ .flags = "", .date = "01-Feb-2021 03:04:05 +0100",
		  .body = bytes_of("From: =?utf-8?Q?J=C3=BCrgen?= <j@x>\r\nSubject: b\r\n\r\nx\r\n") },
		{ .flags = "", .date = "01-Feb-2021 03:04:05 +0100",
		  .body = bytes_of("From: Bob <b@x>\r\nSubject: c\r\n\r\nx\r\n") },
	};
	struct name_list names = { 0 };

	oracle_append(rig->far, "INBOX", mail, 3);
	oracle_create(rig->far, "Nothing");
	backup_ends_with(&rig->job, 0, "");
	restore_adds(rig, 1, 0, "--search=unseen --search=from\tJ\303\234RGEN near other");
	restore_adds(rig, 1, 1, "--search=from\tj\303\274rgen near other");
	restore_adds(rig, 0, 0, "--search=from\tnobody near other");
	oracle_list(rig->other, &names);
	assert_int_equal(names.n, 1);
	name_list_release(&names);
}

static void test_a_full_account_is_said_and_what_fits_is_there(void **state)
{
	struct rig *rig = *state;
	char *args = xasprintf("%s other", rig->files);
	struct restored res;
	size_t there;

	for (int i = 0; i < 30; i++) {
		struct buf text = BUF_INIT(1 << 20);
		char *name = xasprintf("%02d.eml", i), *dir = path_join(rig->files, "more");

		mkdir(dir, 0755);
		buf_addf(&text, "Subject: %d\r\n\r\n%9000s\r\n", i, "x");
		put_file(rig, name, buf_str(&text), text.n);
		free(name);
		name = xasprintf("more/%02d.eml", i);
		put_file(rig, name, buf_str(&text), text.n);
		free(name);
		free(dir);
		buf_release(&text);
	}
	restore(rig, &res, 3, args);
	there = count(rig->other, "files") + count(rig->other, "more");
	assert_in_range(there, 5, 11);
	assert_int_equal(res.added, there);
	assert_non_null(strstr(buf_str(&res.err), "the account is full: make room there"));
	assert_non_null(strstr(buf_str(&res.err), "541 kB are missing, and there is room for 102 kB"));
	restored_release(&res);
	oracle_expunge(rig->other, count(rig->other, "more") ? "more" : "files", "1:3");
	restore(rig, &res, 3, args);
	assert_in_range(res.added, 1, 4);
	restored_release(&res);
	free(args);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_an_account_comes_back_into_an_empty_one),
		RIGGED(test_a_dry_run_tells_the_same_and_changes_nothing),
		RIGGED(test_into_the_account_itself_only_what_is_missing_goes_over_the_line),
		RIGGED(test_a_line_that_breaks_loses_nothing_and_doubles_nothing),
		cmocka_unit_test_setup_teardown(test_without_uidplus_either, set_up_without_uidplus,
						tear_down),
		RIGGED(test_a_crash_at_any_step_loses_nothing_and_doubles_nothing),
		RIGGED(test_two_at_once_do_not_meet),
		RIGGED(test_what_was_deleted_from_an_archive_comes_back),
		RIGGED(test_files_of_other_programs_come_into_an_account),
		RIGGED(test_a_maildir_of_another_program_comes_into_an_account_and_stays_as_it_is),
		RIGGED(test_a_message_is_no_command_and_a_keyword_no_syntax),
		RIGGED(test_what_the_server_does_not_take_is_named_and_the_rest_goes_on),
		cmocka_unit_test_setup_teardown(test_a_full_account_is_said_and_what_fits_is_there,
						set_up_with_quota, tear_down),
		RIGGED(test_flags_of_then_are_put_back),
		RIGGED(test_messages_are_found_by_what_they_are),
	};

	return cmocka_run_group_tests_name("restore to an account", tests, NULL, NULL);
}
