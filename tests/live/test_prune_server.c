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

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/proc.h"
#include "tests/lib/prune_scene.h"
#include "tests/lib/support.h"

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

static void prunes(const struct prune_scene *s, const char *args, int status, const char *out,
		   const char *err)
{
	prune_says(s, "prune-server", args, status, out, err);
}

/* As a person runs it: `mailcask ARG...` must end with 0; what it prints. */
static char *answers(const struct prune_scene *s, const char *const *args)
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
static void gives_all_back(const struct prune_scene *s, const char *store)
{
	char *to = path_join(tmp_dir(), "back");

	does(s, "restore", store, to);
	prune_nothing_is_lost(s, to);
	free(to);
}

static void old_messages_go(const char *user, const char *type)
{
	struct prune_scene s;

	prune_begin(&s, server, user, type, NULL);
	prunes(&s, PRUNE_ALL " --dry-run", 0, "\"removed\":30", "");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 21);
	archive_holds(s.job.root, 32, 0);
	prunes(&s, PRUNE_ALL, 0, "\"removed\":30", "");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 1);
	assert_int_equal(prune_count_at_account(&s, "Work"), 1);
	archive_holds(s.job.root, 2, 30);
	prune_nothing_is_lost(&s, s.job.root);
	/* To a backup nothing is gone, and nothing new. */
	backup_idle(&s.job);
	backup_idle(&s.job);
	archive_holds(s.job.root, 2, 30);
	prunes(&s, PRUNE_ALL, 0, "\"removed\":0", "");
	prune_says(&s, "check", "--read-data near", 0, "", "");
	prune_end(&s);
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

static void test_thousands_go_in_batches_and_none_is_forgotten(void **state)
{
	enum { MANY = 5200 }; /* more than a batch */
	struct oracle_new *many = xcalloc(MANY, sizeof(*many));
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "many", "git", NULL);
	for (size_t i = 0; i < MANY; i++)
		many[i] = (struct oracle_new){
			.flags = i % 7 ? "" : "\\Flagged", .date = " 1-Feb-2010 03:04:05 +0100",
			.body = bytes_of(xasprintf("Subject: %zu\r\n\r\nmany\r\n", i)) };
	oracle_append(s.o, "Work", many, MANY);
	for (size_t i = 0; i < MANY; i++)
		free((char *)(uintptr_t)many[i].body.p);
	free(many);
	backup_ends_with(&s.job, 0, "");
	prunes(&s, PRUNE_OLD " --allow-deletes=10000", 0, "\"removed\":4487,", "");
	assert_int_equal(prune_count_at_account(&s, "Work"), 744);
	archive_holds(s.job.root, 745, 4487);
	prune_end(&s);
}

/* --- what stays --- */

static void test_what_stays_is_counted_by_its_reason(void **state)
{
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "reasons", "git", NULL);
	prune_append_old(&s, "INBOX", "\\Deleted", "Subject: marked\r\n\r\nby its user\r\n");
	prune_append_old(&s, "INBOX", "\\Draft", "Subject: draft\r\n\r\nnot yet\r\n");
	oracle_store(s.o, "INBOX", "1", "+FLAGS", "\\Flagged");
	backup_ends_with(&s.job, 0, "");
	/* After the last backup: */
	oracle_store(s.o, "INBOX", "2", "+FLAGS", "\\Answered");
	prune_append_old(&s, "Work", "", "Subject: late\r\n\r\nold, and not stored\r\n");
	prune_remember(&s);
	prunes(&s, PRUNE_ALL " --dry-run", 0, "\"removed\":28,\"bytes\":1630,", "2 messages are old enough, and not stored");
	prunes(&s, PRUNE_ALL, 0,
	       "\"stay\":{\"younger\":2,\"flagged\":1,\"drafts\":1,\"marked\":1,\"quarantined\":0,\"not_stored\":1,"
	       "\"changed\":1,\"unlike\":0,\"damaged\":0,\"not_removed\":0}}",
	       "");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 5);
	assert_int_equal(prune_count_at_account(&s, "Work"), 2);
	archive_holds(s.job.root, 6, 28);
	/* Once they are stored as they are, they go, too. */
	backup_ends_with(&s.job, 0, "");
	prunes(&s, PRUNE_ALL, 0, "\"removed\":2,", "");
	prune_nothing_is_lost(&s, s.job.root);
	prune_end(&s);
}

static void test_a_message_whose_stored_bytes_are_damaged_stays_and_is_named(void **state)
{
	struct name_list files = { 0 };
	struct prune_scene s;
	char *path;

	(void)state;
	prune_begin(&s, server, "damaged", "maildir", NULL);
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
	prunes(&s, PRUNE_ALL, 3, "\"damaged\":1", "what was stored");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 2);
	archive_holds(s.job.root, 3, 29);
	name_list_release(&files);
	free(path);
	prune_end(&s);
}

static void shell(const char *script, const char *repo)
{
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c", script, "sh", repo, NULL);
	if (res.status != 0)
		test_die("exit %d: %s", res.status, buf_str(&res.err));
	proc_result_release(&res);
}

/* A byte of what is packed of message 7 of INBOX becomes another. */
static void damage_blob(const char *repo)
{
	shell("cd \"$1\" && id=$(git rev-parse main:mailboxes/INBOX/messages/000000/00/0000000007.eml) && "
	      "for i in objects/pack/*.idx; do at=$(git verify-pack -v $i | awk -v id=$id '$1 == id { print $5 }'); "
	      "[ -z \"$at\" ] || break; done && chmod u+w ${i%idx}pack && "
	      "printf '\\377' | dd of=${i%idx}pack bs=1 seek=$((at + 9)) conv=notrunc", repo);
}

static void test_a_message_whose_pack_is_damaged_stays_and_is_named(void **state)
{
	struct oracle_dump d;
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "packed", "git", NULL);
	damage_blob(s.job.root);
	prunes(&s, PRUNE_ALL, 3, "\"damaged\":1", "INBOX, UID 7 in the store: ");
	oracle_dump(s.o, "INBOX", &d);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.msg[0].uid, 7);
	oracle_dump_release(&d);
	prune_end(&s);
}

static void test_what_an_interrupted_backup_had_stored_is_in_a_snapshot_before_it_goes(void **state)
{
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "begun", "git", NULL);
	/* As if all of it had come in a run that was stopped: in wip, and the snapshots are empty. */
	shell("cd \"$1\" && export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x && "
	      "first=$(git rev-list --reverse main | head -n 1) && "
	      "wip=$(git log -1 --format=%B main | git commit-tree main^{tree} -p $first) && "
	      "git update-ref refs/heads/main $first && git update-ref refs/mailcask/wip $wip", s.job.root);
	archive_holds(s.job.root, 32, 0);
	prunes(&s, PRUNE_ALL, 0, "\"removed\":30,", "");
	shell("! git -C \"$1\" rev-parse -q --verify refs/mailcask/wip", s.job.root);
	shell("git -C \"$1\" ls-tree -r --name-only main | grep -q 'INBOX/kept/'", s.job.root);
	prune_nothing_is_lost(&s, s.job.root);
	backup_ends_with(&s.job, 0, "");
	gives_all_back(&s, "near");
	prune_end(&s);
}

static void test_the_guard_lets_nothing_go_that_was_not_allowed(void **state)
{
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "guarded", "git", NULL);
	prunes(&s, PRUNE_OLD, 4, "\"allow_deletes\":30", "mailcask prune-server job --older-than=2y --allow-deletes=30");
	prunes(&s, PRUNE_OLD " --allow-deletes=29", 4, "\"allow_deletes\":30", "");
	prune_append_old(&s, "INBOX", "", "Subject: one more\r\n\r\nand it trips by itself\r\n");
	backup_ends_with(&s.job, 0, "");
	prune_remember(&s);
	prunes(&s, PRUNE_OLD " --mailbox=INBOX --mailbox=W*", 4, "\"allow_deletes\":31",
	       "mailcask prune-server job --older-than=2y --mailbox='INBOX' --mailbox='W*' --allow-deletes=31");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 22);
	archive_holds(s.job.root, 33, 0);
	prunes(&s, PRUNE_OLD " --mailbox=INBOX --allow-deletes=21", 0, "\"removed\":21", "");
	assert_int_equal(prune_count_at_account(&s, "Work"), 11);
	archive_holds(s.job.root, 12, 21);
	prune_nothing_is_lost(&s, s.job.root);
	prune_end(&s);
}

static void test_a_mailbox_that_is_not_what_was_stored_is_left_alone_until_a_backup_was_run(void **state)
{
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "anew", "git", NULL);
	oracle_command(s.o, "SELECT INBOX");
	oracle_command(s.o, "DELETE Work");
	oracle_create(s.o, "Work"); /* with another UIDVALIDITY, and the same UIDs */
	for (int i = 0; i < 5; i++)
		prune_append_old(&s, "Work", "", "Subject: another\r\n\r\nanother\r\n");
	oracle_create(s.o, "Late");
	prune_append_old(&s, "Late", "", "Subject: late\r\n\r\nlate\r\n");
	prunes(&s, PRUNE_ALL, 3, "\"removed\":20,", "Late: skipped: it is not in the store under this name");
	prunes(&s, PRUNE_ALL, 3, "\"removed\":0,", "Work: skipped: its UIDs do not mean what they did");
	assert_int_equal(prune_count_at_account(&s, "Work"), 5);
	assert_int_equal(prune_count_at_account(&s, "Late"), 1);
	prune_nothing_is_lost(&s, s.job.root);
	backup_ends_with(&s.job, 0, "");
	prunes(&s, PRUNE_ALL, 0, "\"removed\":6,", "");
	prune_end(&s);
}

static void test_a_store_that_is_not_as_the_job_left_it_frees_nothing(void **state)
{
	struct prune_scene s;
	char *record, *away;

	(void)state;
	prune_begin(&s, server, "moved", "git", NULL);
	record = backup_record(&s.job);
	away = path_join(tmp_dir(), "store");
	if (unlink(record) < 0) /* as on another machine */
		test_die_sys("remove %s", record);
	prunes(&s, PRUNE_ALL, 4, "", "Run: mailcask backup job");
	if (rename(s.job.root, away) < 0)
		test_die_sys("rename %s", s.job.root);
	prunes(&s, PRUNE_ALL, 10, "", "nothing was backed up by this job yet: mailcask backup job");
	if (rename(away, s.job.root) < 0)
		test_die_sys("rename %s", away);
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 21);
	backup_ends_with(&s.job, 0, "");
	if (rename(s.job.root, away) < 0)
		test_die_sys("rename %s", s.job.root);
	prunes(&s, PRUNE_ALL, 4, "", "");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 21);
	free(record);
	free(away);
	prune_end(&s);
}

static void test_only_a_backup_of_an_account_has_a_server_to_free(void **state)
{
	char *dir = path_join(tmp_dir(), "mail");
	char *more = xasprintf("[store disk]\ntype = maildir\npath = %s\n[job copy]\nkind = backup\nfrom = disk\nto = too\n"
			       "[store too]\ntype = maildir\npath = %s-too\n"
			       "[account other]\nhost = 127.0.0.1\ntls = none\nuser = x\npassword = pw\n"
			       "[job move]\nkind = migrate\nfrom = far\nto = other\n",
			       dir, dir);
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "kinds", "git", NULL);
	backup_configure(&s.job, &(struct backup_config){ .port = server->port, .user = "kinds", .type = "git", .job = more });
	prunes(&s, "copy --older-than=2y", 2, "", "[job copy] backs up a store, not an account: there is no server to free");
	prunes(&s, "move --older-than=2y", 2, "", "[job move] is no backup");
	prunes(&s, "jbo --older-than=2y", 2, "", "did you mean 'job'?");
	prune_end(&s);
	free(more);
	free(dir);
}

/* --- a life with it --- */

static void test_pruned_messages_outlive_forget_and_compact_in_git_and_in_its_mirror(void **state)
{
	char *mirror = path_join(tmp_dir(), "mirror.git"), *store = xasprintf("mirror = %s\n", mirror);
	struct backup_config config = { .port = server->port, .user = "life", .type = "git", .store = store };
	struct proc_result res;
	struct prune_scene s;

	(void)state;
	proc_runl(&res, NULL, "git", "init", "-q", "--bare", mirror, NULL);
	proc_result_release(&res);
	prune_begin(&s, server, "life", "git", NULL);
	backup_configure(&s.job, &config);
	prunes(&s, PRUNE_ALL, 0, "\"removed\":30", "");
	prune_append_now(&s, "INBOX", "Subject: newer\r\n\r\nnewer\r\n");
	prune_remember(&s);
	backup_ends_with(&s.job, 0, "");
	does(&s, "forget", "--keep-last", "1", "near");
	does(&s, "compact", "near");
	gives_all_back(&s, "near");
	archive_holds(s.job.root, 3, 30);
	backup_ends_with(&s.job, 0, ""); /* which pushes what forget made of it */
	gives_all_back(&s, mirror);
	prune_end(&s);
	free(store);
	free(mirror);
}

static void test_pruned_messages_come_back_from_a_maildir_that_mirrors_deletions(void **state)
{
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "disk", "maildir", "deletions = mirror\n");
	prunes(&s, PRUNE_ALL, 0, "\"removed\":30", "");
	backup_idle(&s.job);
	gives_all_back(&s, "near");
	prune_end(&s);
}

/* Its user said whether what is gone at the account goes there, too; it is told beforehand. */
static void test_to_another_job_what_was_pruned_is_deleted(void **state)
{
	char *one = path_join(tmp_dir(), "mail"), *two = path_join(tmp_dir(), "mail");
	char *more = xasprintf("[store one]\ntype = maildir\npath = %s\n[store two]\ntype = maildir\npath = %s\n"
			       "[job follows]\nkind = backup\nfrom = far\nto = one\n"
			       "[job keeps]\nkind = backup\nfrom = far\nto = two\ndeletions = keep\n",
			       one, two);
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "others", "git", more);
	backup_ends_with(&s.job, 0, "follows keeps");
	prunes(&s, PRUNE_ALL, 0, "[job follows] backs up the same account and follows deletions", "");
	backup_ends_with(&s.job, 4, "follows");
	prune_nothing_is_lost(&s, one); /* the guard's doing */
	backup_ends_with(&s.job, 0, "follows --allow-deletes=30");
	archive_holds(one, 2, 0);
	backup_ends_with(&s.job, 0, "keeps");
	archive_holds(two, 2, 30);
	prune_nothing_is_lost(&s, two);
	prune_nothing_is_lost(&s, s.job.root);
	prune_end(&s);
	free(more);
	free(one);
	free(two);
}

/* The snapshots there are become a year older. */
static void a_year_passes(const char *repo)
{
	shell("cd \"$1\" && p= && for c in $(git rev-list --reverse main); do "
	      "d=\"$(($(git log -1 --format=%ct $c) - 366 * 86400)) +0000\" && "
	      "p=$(git log -1 --format=%B $c | GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x "
	      "GIT_COMMITTER_EMAIL=x GIT_AUTHOR_DATE=\"$d\" GIT_COMMITTER_DATE=\"$d\" "
	      "git commit-tree \"$c^{tree}\" ${p:+-p $p}) || exit 1; done && git update-ref refs/heads/main $p", repo);
}

static void test_what_was_deleted_a_year_ago_is_back_at_the_server_in_three_commands(void **state)
{
	char sha[SHA256_HEX_SIZE], *found, *row, *shown, *store, *mailbox, *uid, *save = NULL;
	struct oracle_dump before, after;
	struct prune_scene s;

	(void)state;
	prune_begin(&s, server, "year", "git", NULL);
	oracle_store(s.o, "Work", "4", "FLAGS", "\\Answered $Important");
	backup_ends_with(&s.job, 0, "");
	oracle_dump(s.o, "Work", &before);
	memcpy(sha, before.msg[3].sha256, sizeof(sha));
	oracle_expunge(s.o, "Work", "4");
	backup_ends_with(&s.job, 0, "");
	a_year_passes(s.job.root);
	prune_append_now(&s, "INBOX", "Subject: newer\r\n\r\nnewer\r\n");
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
	prune_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_messages_go_and_a_git_store_keeps_them),
		cmocka_unit_test(test_old_messages_go_and_a_maildir_keeps_them),
		cmocka_unit_test(test_thousands_go_in_batches_and_none_is_forgotten),
		cmocka_unit_test(test_what_stays_is_counted_by_its_reason),
		cmocka_unit_test(test_a_message_whose_stored_bytes_are_damaged_stays_and_is_named),
		cmocka_unit_test(test_a_message_whose_pack_is_damaged_stays_and_is_named),
		cmocka_unit_test(test_what_an_interrupted_backup_had_stored_is_in_a_snapshot_before_it_goes),
		cmocka_unit_test(test_the_guard_lets_nothing_go_that_was_not_allowed),
		cmocka_unit_test(test_a_mailbox_that_is_not_what_was_stored_is_left_alone_until_a_backup_was_run),
		cmocka_unit_test(test_a_store_that_is_not_as_the_job_left_it_frees_nothing),
		cmocka_unit_test(test_only_a_backup_of_an_account_has_a_server_to_free),
		cmocka_unit_test(test_pruned_messages_outlive_forget_and_compact_in_git_and_in_its_mirror),
		cmocka_unit_test(test_pruned_messages_come_back_from_a_maildir_that_mirrors_deletions),
		cmocka_unit_test(test_to_another_job_what_was_pruned_is_deleted),
		cmocka_unit_test(test_what_was_deleted_a_year_ago_is_back_at_the_server_in_three_commands),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
