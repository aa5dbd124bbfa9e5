/* Freeing the server: what the store provably holds goes there, is kept here, and nothing else is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/crash.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"

#define OLD "job --older-than=2y"
#define ALL OLD " --allow-deletes=1000"

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

/* An account, and the job that backs it up. */
struct scene {
	struct oracle *o;
	struct backup job;
	struct name_list ever; /* SHA-256 of what the account had */
};

/* All that is at the account, which is all that should never be lost. */
static void remember(struct scene *s)
{
	struct name_list boxes = { 0 };

	oracle_list(s->o, &boxes);
	for (size_t i = 0; i < boxes.n; i++) {
		struct oracle_dump d;

		oracle_dump(s->o, boxes.name[i], &d);
		for (size_t k = 0; k < d.n; k++)
			if (!name_list_has(&s->ever, d.msg[k].sha256))
				name_list_add(&s->ever, d.msg[k].sha256);
		oracle_dump_release(&d);
	}
	name_list_release(&boxes);
}

static void append_now(struct scene *s, const char *mailbox, const char *text)
{
	oracle_append(s->o, mailbox, &(struct oracle_new){ .flags = "", .body = bytes_of(text) }, 1);
}

static void append_old(struct scene *s, const char *mailbox, const char *flags, const char *text)
{
	oracle_append(s->o, mailbox, &(struct oracle_new){ .flags = flags, .date = " 1-Feb-2010 03:04:05 +0100",
							   .body = bytes_of(text) }, 1);
}

/* 20 old messages in INBOX and 10 in Work, UIDs 1 to 20 and 1 to 10; and a new one in each. Backed up. */
static void begin_at(struct scene *s, int port, const char *user, const char *type, const char *more)
{
	*s = (struct scene){ .o = oracle_open(server->port, user) };
	backup_init(&s->job, &(struct backup_config){ .port = port, .user = user, .type = type, .job = more });
	oracle_create(s->o, "Work");
	for (uint32_t i = 1; i <= 30; i++) {
		char *text = xasprintf("Message-ID: <%u@%s>\r\nSubject: number %u\r\n\r\nold\r\n%s", i, user, i,
				       i % 3 ? "" : "no final newline");

		append_old(s, i <= 20 ? "INBOX" : "Work", i % 4 ? "\\Seen" : "", text);
		free(text);
	}
	append_now(s, "INBOX", "Subject: new\r\n\r\nnew\r\n");
	append_now(s, "Work", "Subject: new\r\n\r\nnew at work\r\n");
	backup_ends_with(&s->job, 0, "");
	remember(s);
}

static void begin(struct scene *s, const char *user, const char *type)
{
	begin_at(s, server->port, user, type, NULL);
}

static void end(struct scene *s)
{
	backup_release(&s->job);
	name_list_release(&s->ever);
	oracle_close(s->o);
}

static size_t count_at_account(struct scene *s, const char *mailbox)
{
	struct oracle_dump d;
	size_t n;

	oracle_dump(s->o, mailbox, &d);
	n = d.n;
	oracle_dump_release(&d);
	return n;
}

static void count_in(const char *root, size_t *live, size_t *kept)
{
	struct archive a;

	*live = *kept = 0;
	archive_read(root, &a);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < a.v[i].n; k++)
			++*(a.v[i].msg[k].kept ? kept : live);
	archive_release(&a);
}

static void holds(const char *root, size_t live, size_t kept)
{
	size_t l, k;

	count_in(root, &l, &k);
	if (l != live || k != kept)
		test_die("%s: %zu live and %zu kept, not %zu and %zu", root, l, k, live, kept);
}

static void nothing_is_lost(const struct scene *s, const char *root)
{
	struct name_list now = { 0 };

	archive_hashes(root, &now);
	for (size_t i = 0; i < s->ever.n; i++)
		if (!name_list_has(&now, s->ever.name[i]))
			test_die("%s has not got message %s any more", root, s->ever.name[i]);
	name_list_release(&now);
}

/* `mailcask COMMAND --json ARGS` ends with `status`, and says `out` and `err` somewhere. */
static void says(const struct scene *s, const char *command, const char *args, int status, const char *out,
		 const char *err)
{
	struct backup_result res;

	program_run(&s->job, &res, NULL, command, args);
	if (res.status != status || !strstr(buf_str(&res.out), out) || !strstr(buf_str(&res.err), err))
		test_die("%s %s: exit %d, not %d, and this:\n%s%s", command, args, res.status, status,
			 buf_str(&res.out), buf_str(&res.err));
	backup_result_release(&res);
}

static void prunes(const struct scene *s, const char *args, int status, const char *out, const char *err)
{
	says(s, "prune-server", args, status, out, err);
}

static void old_messages_go(const char *user, const char *type)
{
	struct scene s;

	begin(&s, user, type);
	prunes(&s, ALL " --dry-run", 0, "\"removed\":30", "");
	assert_int_equal(count_at_account(&s, "INBOX"), 21);
	holds(s.job.root, 32, 0);
	prunes(&s, ALL, 0, "\"removed\":30", "");
	assert_int_equal(count_at_account(&s, "INBOX"), 1);
	assert_int_equal(count_at_account(&s, "Work"), 1);
	holds(s.job.root, 2, 30);
	nothing_is_lost(&s, s.job.root);
	/* To a backup nothing is gone, and nothing new. */
	backup_idle(&s.job);
	backup_idle(&s.job);
	holds(s.job.root, 2, 30);
	prunes(&s, ALL, 0, "\"removed\":0", "");
	says(&s, "check", "--read-data near", 0, "", "");
	end(&s);
}

static void test_old_messages_go_and_a_git_store_keeps_them(void **state)
{
	(void)state;
	old_messages_go("git", "git");
}

static void test_old_messages_go_and_a_maildir_keeps_them(void **state)
{
	(void)state;
	old_messages_go("maildir", "maildir");
}

/* --- what stays --- */

static void test_what_stays_is_counted_by_its_reason(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "reasons", "git");
	append_old(&s, "INBOX", "\\Deleted", "Subject: marked\r\n\r\nby its user\r\n");
	append_old(&s, "INBOX", "\\Draft", "Subject: draft\r\n\r\nnot yet\r\n");
	oracle_store(s.o, "INBOX", "1", "+FLAGS", "\\Flagged");
	backup_ends_with(&s.job, 0, "");
	/* After the last backup: */
	oracle_store(s.o, "INBOX", "2", "+FLAGS", "\\Answered");
	append_old(&s, "Work", "", "Subject: late\r\n\r\nold, and not stored\r\n");
	remember(&s);
	prunes(&s, ALL " --dry-run", 0, "\"removed\":28,\"bytes\":1630,", "2 messages are old enough, and not stored");
	prunes(&s, ALL, 0,
	       "\"stay\":{\"younger\":2,\"flagged\":1,\"drafts\":1,\"marked\":1,\"quarantined\":0,\"not_stored\":1,"
	       "\"changed\":1,\"unlike\":0,\"damaged\":0,\"not_removed\":0}}",
	       "");
	assert_int_equal(count_at_account(&s, "INBOX"), 5);
	assert_int_equal(count_at_account(&s, "Work"), 2);
	holds(s.job.root, 6, 28);
	/* Once they are stored as they are, they go, too. */
	backup_ends_with(&s.job, 0, "");
	prunes(&s, ALL, 0, "\"removed\":2,", "");
	nothing_is_lost(&s, s.job.root);
	end(&s);
}

static void test_a_message_whose_stored_bytes_are_damaged_stays_and_is_named(void **state)
{
	struct name_list files = { 0 };
	struct scene s;
	char *path;

	(void)state;
	begin(&s, "damaged", "maildir");
	path = path_join(s.job.root, "INBOX/cur");
	dir_entries(path, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *file = path_join(path, files.name[i]);
		struct buf text = BUF_INIT(65536);

		read_file(file, &text);
		if (strstr(buf_str(&text), "number 7\n")) {
			*(uint8_t *)(text.p + text.n - 3) ^= 1;
			write_file(file, buf_bytes(&text));
		}
		buf_release(&text);
		free(file);
	}
	prunes(&s, ALL, 3, "\"damaged\":1", "what was stored");
	assert_int_equal(count_at_account(&s, "INBOX"), 2);
	holds(s.job.root, 3, 29);
	name_list_release(&files);
	free(path);
	end(&s);
}

static void test_the_guard_lets_nothing_go_that_was_not_allowed(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "guarded", "git");
	prunes(&s, OLD, 4, "\"allow_deletes\":30", "mailcask prune-server job --older-than=2y --allow-deletes=30");
	prunes(&s, OLD " --allow-deletes=29", 4, "\"allow_deletes\":30", "");
	append_old(&s, "INBOX", "", "Subject: one more\r\n\r\nand it trips by itself\r\n");
	backup_ends_with(&s.job, 0, "");
	remember(&s);
	prunes(&s, OLD " --mailbox=INBOX --mailbox=W*", 4, "\"allow_deletes\":31",
	       "mailcask prune-server job --older-than=2y --mailbox='INBOX' --mailbox='W*' --allow-deletes=31");
	assert_int_equal(count_at_account(&s, "INBOX"), 22);
	holds(s.job.root, 33, 0);
	prunes(&s, OLD " --mailbox=INBOX --allow-deletes=21", 0, "\"removed\":21", "");
	assert_int_equal(count_at_account(&s, "Work"), 11);
	holds(s.job.root, 12, 21);
	nothing_is_lost(&s, s.job.root);
	end(&s);
}

/* --- a life with it --- */

/* As a person runs it: `mailcask ARG...` must end with 0; what it prints. */
static char *answers(const struct scene *s, const char *const *args)
{
	const char *argv[16] = { program_path() }, *env[4] = { s->job.env[0], s->job.env[1], "TZ=UTC", NULL };
	struct proc_result res;
	char *out;

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	proc_run(&res, &(struct proc_opts){ .env = env }, argv);
	if (res.status != 0)
		test_die("%s: exit %d: %s%s", args[0], res.status, buf_str(&res.out), buf_str(&res.err));
	out = xstrdup(buf_str(&res.out));
	proc_result_release(&res);
	return out;
}
#define does(s, ...) free(answers(s, (const char *const[]){ __VA_ARGS__, NULL }))

/* What the store gives back has all that the account ever had. */
static void gives_all_back(const struct scene *s, const char *store)
{
	char *to = path_join(tmp_dir(), "back");

	does(s, "restore", store, to);
	nothing_is_lost(s, to);
	free(to);
}

static void test_pruned_messages_outlive_forget_and_compact_in_git_and_in_its_mirror(void **state)
{
	char *mirror = path_join(tmp_dir(), "mirror.git"), *store = xasprintf("mirror = %s\n", mirror);
	struct backup_config config = { .port = server->port, .user = "life", .type = "git", .store = store };
	struct proc_result res;
	struct scene s;

	(void)state;
	proc_runl(&res, NULL, "git", "init", "-q", "--bare", mirror, NULL);
	proc_result_release(&res);
	begin(&s, "life", "git");
	backup_configure(&s.job, &config);
	prunes(&s, ALL, 0, "\"removed\":30", "");
	append_now(&s, "INBOX", "Subject: newer\r\n\r\nnewer\r\n");
	remember(&s);
	backup_ends_with(&s.job, 0, "");
	does(&s, "forget", "--keep-last", "1", "near");
	does(&s, "compact", "near");
	gives_all_back(&s, "near");
	holds(s.job.root, 3, 30);
	backup_ends_with(&s.job, 0, ""); /* which pushes what forget made of it */
	gives_all_back(&s, mirror);
	end(&s);
	free(store);
	free(mirror);
}

static void test_pruned_messages_come_back_from_a_maildir_that_mirrors_deletions(void **state)
{
	struct scene s;

	(void)state;
	begin_at(&s, server->port, "disk", "maildir", "deletions = mirror\n");
	prunes(&s, ALL, 0, "\"removed\":30", "");
	backup_idle(&s.job);
	gives_all_back(&s, "near");
	end(&s);
}

/* Its user said whether what is gone at the account goes there, too; it is told beforehand. */
static void test_to_another_job_what_was_pruned_is_deleted(void **state)
{
	char *one = path_join(tmp_dir(), "mail"), *two = path_join(tmp_dir(), "mail");
	char *more = xasprintf("[store one]\ntype = maildir\npath = %s\n[store two]\ntype = maildir\npath = %s\n"
			       "[job follows]\nkind = backup\nfrom = far\nto = one\n"
			       "[job keeps]\nkind = backup\nfrom = far\nto = two\ndeletions = keep\n",
			       one, two);
	struct scene s;

	(void)state;
	begin_at(&s, server->port, "others", "git", more);
	backup_ends_with(&s.job, 0, "follows keeps");
	prunes(&s, ALL, 0, "\"removed\":30", "[job follows] backs up the same account and follows deletions");
	backup_ends_with(&s.job, 4, "follows");
	nothing_is_lost(&s, one); /* the guard's doing */
	backup_ends_with(&s.job, 0, "follows --allow-deletes=30");
	holds(one, 2, 0);
	backup_ends_with(&s.job, 0, "keeps");
	holds(two, 2, 30);
	nothing_is_lost(&s, two);
	nothing_is_lost(&s, s.job.root);
	end(&s);
	free(more);
	free(one);
	free(two);
}

/* The snapshots there are become a year older. */
static void a_year_passes(const char *repo)
{
	static const char script[] =
		"cd \"$1\" && p= && for c in $(git rev-list --reverse main); do "
		"d=\"$(($(git log -1 --format=%ct $c) - 366 * 86400)) +0000\" && "
		"p=$(git log -1 --format=%B $c | GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x "
		"GIT_COMMITTER_EMAIL=x GIT_AUTHOR_DATE=\"$d\" GIT_COMMITTER_DATE=\"$d\" "
		"git commit-tree \"$c^{tree}\" ${p:+-p $p}) || exit 1; done && git update-ref refs/heads/main $p";
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c", script, "sh", repo, NULL);
	if (res.status != 0)
		test_die("%s", buf_str(&res.err));
	proc_result_release(&res);
}

static void test_what_was_deleted_a_year_ago_is_back_at_the_server_in_three_commands(void **state)
{
	char sha[SHA256_HEX_SIZE], *found, *row, *shown, *store, *mailbox, *uid, *save = NULL;
	struct oracle_dump before, after;
	struct scene s;

	(void)state;
	begin(&s, "year", "git");
	oracle_store(s.o, "Work", "4", "FLAGS", "\\Answered $Important");
	backup_ends_with(&s.job, 0, "");
	oracle_dump(s.o, "Work", &before);
	memcpy(sha, before.msg[3].sha256, sizeof(sha));
	oracle_expunge(s.o, "Work", "4");
	backup_ends_with(&s.job, 0, "");
	a_year_passes(s.job.root);
	append_now(&s, "INBOX", "Subject: newer\r\n\r\nnewer\r\n");
	backup_ends_with(&s.job, 0, "");

	found = answers(&s, (const char *const[]){ "find", "--deleted", "near", "subject", "number 24", NULL });
	row = strchr(found, '\n') + 1; /* below the heading */
	store = strtok_r(row, " ", &save);
	mailbox = strtok_r(NULL, " ", &save);
	uid = strtok_r(NULL, " ", &save);
	shown = answers(&s, (const char *const[]){ "show", store, mailbox, uid, NULL });
	assert_non_null(strstr(shown, "Subject: number 24"));
	does(&s, "restore", "--mailbox", mailbox, "--uid", uid, store, "far");

	oracle_dump(s.o, "Work", &after);
	assert_int_equal(after.n, before.n);
	assert_string_equal(after.msg[after.n - 1].sha256, sha);
	assert_string_equal(after.msg[after.n - 1].flags, before.msg[3].flags);
	assert_string_equal(after.msg[after.n - 1].date, before.msg[3].date);
	oracle_dump_release(&before);
	oracle_dump_release(&after);
	free(found);
	free(shown);
	end(&s);
}

/* --- stopped --- */

/* True when the run was stopped at step `n`; false when it has fewer steps. */
static bool stops_at(const struct scene *s, unsigned n)
{
	char *env = xasprintf("CRASH_AT=%u", n);
	struct backup_result res;
	bool stopped;

	program_run(&s->job, &res, env, "prune-server", ALL);
	stopped = res.status == CRASH_STATUS;
	if (!stopped && res.status != 0)
		test_die("%s: exit %d: %s", env, res.status, buf_str(&res.err));
	backup_result_release(&res);
	free(env);
	return stopped;
}

/* Whatever comes after it: nothing is lost, and the next run ends what was begun. */
static unsigned stop_everywhere(const char *type)
{
	unsigned n = 0;
	bool stopped = true;

	while (stopped) {
		char *user = xasprintf("stop-%s-%u", type, ++n);
		struct scene s;

		begin(&s, user, type);
		stopped = stops_at(&s, n);
		nothing_is_lost(&s, s.job.root);
		if (n % 3 != 2)
			backup_ends_with(&s.job, 0, "");
		if (n % 2) { /* a mail program tidies up, and takes our marks for its user's */
			oracle_command(s.o, "SELECT INBOX");
			oracle_command(s.o, "EXPUNGE");
			backup_ends_with(&s.job, 0, "");
		}
		nothing_is_lost(&s, s.job.root);
		prunes(&s, ALL, 0, "", "");
		assert_int_equal(count_at_account(&s, "INBOX"), 1);
		assert_int_equal(count_at_account(&s, "Work"), 1);
		nothing_is_lost(&s, s.job.root);
		holds(s.job.root, 2, 30);
		backup_idle(&s.job);
		holds(s.job.root, 2, 30);
		end(&s);
		free(user);
	}
	return n;
}

static void test_stopped_at_any_step_nothing_is_lost_from_git_and_the_next_run_ends_it(void **state)
{
	(void)state;
	assert_true(stop_everywhere("git") > 20);
}

static void test_stopped_at_any_step_nothing_is_lost_from_a_maildir_and_the_next_run_ends_it(void **state)
{
	(void)state;
	assert_true(stop_everywhere("maildir") > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_messages_go_and_a_git_store_keeps_them),
		cmocka_unit_test(test_old_messages_go_and_a_maildir_keeps_them),
		cmocka_unit_test(test_what_stays_is_counted_by_its_reason),
		cmocka_unit_test(test_a_message_whose_stored_bytes_are_damaged_stays_and_is_named),
		cmocka_unit_test(test_the_guard_lets_nothing_go_that_was_not_allowed),
		cmocka_unit_test(test_pruned_messages_outlive_forget_and_compact_in_git_and_in_its_mirror),
		cmocka_unit_test(test_pruned_messages_come_back_from_a_maildir_that_mirrors_deletions),
		cmocka_unit_test(test_to_another_job_what_was_pruned_is_deleted),
		cmocka_unit_test(test_what_was_deleted_a_year_ago_is_back_at_the_server_in_three_commands),
		cmocka_unit_test(test_stopped_at_any_step_nothing_is_lost_from_git_and_the_next_run_ends_it),
		cmocka_unit_test(test_stopped_at_any_step_nothing_is_lost_from_a_maildir_and_the_next_run_ends_it),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
