/*
 * What `check` advises on a damaged git archive is true: following it mends the archive. Each test damages
 * one, reads what check says, does that, and compares with the account.
 */
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
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct dovecot *server;
static struct oracle *alice;
static struct backup job;

#define FIRST "main:mailboxes/INBOX/messages/000000/00/0000000001.eml"
#define FLAGS "main:mailboxes/INBOX/flags/000000/00"

static int start_server(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	alice = oracle_open(server->port, "alice");
	oracle_create(alice, "Sent");
	corpus_fill(alice, "INBOX", 0, 12, 100, 3000);
	corpus_fill(alice, "Sent", 20, 4, 100, 3000);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	oracle_close(alice);
	dovecot_stop(server);
	return 0;
}

/* Two snapshots; the account is as in the second. */
static int start(void **state)
{
	const struct backup_config config = { .port = server->port, .type = "git" };

	(void)state;
	backup_init(&job, &config);
	oracle_store(alice, "INBOX", "2", "-FLAGS", "\\Flagged");
	backup_ends_with(&job, 0, "");
	oracle_store(alice, "INBOX", "2", "+FLAGS", "\\Flagged");
	backup_ends_with(&job, 0, "");
	archive_equals(job.root, alice);
	assert_int_equal(git_snapshots(job.root), 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	backup_release(&job);
	return 0;
}

/* `mailcask check --read-data near`: its exit status, and all of `words` (NULL ends them) of standard error. */
static void checks(int status, ...)
{
	const char *env[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;
	const char *word;
	va_list ap;

	proc_runl(&res, &opts, program_path(), "check", "--read-data", "near", NULL);
	if (res.status != status)
		fail_msg("exit %d, not %d: %s%s", res.status, status, buf_str(&res.out),
			 buf_str(&res.err));
	va_start(ap, status);
	while ((word = va_arg(ap, const char *)))
		if (!strstr(buf_str(&res.err), word))
			fail_msg("\"%s\" is not in: %s", word, buf_str(&res.err));
	va_end(ap);
	if (status == 0)
		assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
}

static void run(const char *command)
{
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c", command, NULL);
	if (res.status != 0)
		fail_msg("%s: %s", command, buf_str(&res.err));
	proc_result_release(&res);
}

static void copy_packs(const char *from)
{
	char *command = xasprintf("cp -f '%s'/objects/pack/* '%s'/objects/pack", from, job.root);

	run(command);
	free(command);
}

/* `cp` leaves the damaged copies where they were, which git would still complain of. */
static void drop_damaged_copies(void)
{
	const char *env[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;

	proc_runl(&res, &opts, program_path(), "compact", "--mend", "near", NULL);
	if (res.status != 0)
		fail_msg("compact: %s", buf_str(&res.err));
	proc_result_release(&res);
}

/* Without a sound copy there is nothing to mend with; where to read what is. */
static void compact_cannot_mend(void)
{
	const char *env[] = { job.env[0], job.env[1], NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;

	proc_runl(&res, &opts, program_path(), "compact", "--mend", "near", NULL);
	assert_int_equal(res.status, 1);
	assert_non_null(strstr(buf_str(&res.err), "'mailcask check --read-data' says what mends it"));
	proc_result_release(&res);
}

static void is_mended(void)
{
	checks(0, NULL);
	drop_damaged_copies();
	checks(0, NULL);
	archive_equals(job.root, alice);
	backup_idle(&job);
}

/* A clone as the network gives it, one pack of git's; and one that has our packs as they are. */
static void test_copies_of_clones_mend(void **state)
{
	static const char *const how[] = { "clone -q --mirror file://", "clone -q --mirror --no-hardlinks " };
	static const char *const objects[] = { FIRST, FLAGS };
	char *clone = path_join(job.dir, "clone");

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char *command = xasprintf("git %s'%s' '%s'", how[i % 2], job.root, clone);

		run(command);
		git_damage(job.root, objects[i / 2]);
		compact_cannot_mend();
		checks(1, "near: INBOX", "objects/pack", i < 2 ? "Contents come back" : "from a clone", NULL);
		copy_packs(clone);
		is_mended();
		remove_tree(clone);
		free(command);
		stop(state);
		start(state);
	}
	free(clone);
}

static void test_contents_come_back_from_a_new_backup(void **state)
{
	struct backup_config config = { .port = server->port, .type = "git" };
	struct backup fresh;

	(void)state;
	git_damage(job.root, FIRST);
	checks(1, "near: INBOX, UID 1: its content is damaged", "new git store", NULL);
	backup_init(&fresh, &config);
	backup_ends_with(&fresh, 0, "");
	copy_packs(fresh.root);
	is_mended();
	backup_release(&fresh);
}

static void test_an_index_is_made_anew_from_its_pack(void **state)
{
	char *dir = path_join(job.root, "objects/pack");
	struct name_list files = { 0 };
	struct buf data = BUF_INIT(1 << 20);

	(void)state;
	dir_entries(dir, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *idx = path_join(dir, files.name[i]), *command;
		size_t n = strlen(idx);

		if (strcmp(idx + n - 4, ".idx") == 0) {
			read_file(idx, &data);
			data.p[data.n - 100] ^= 1;
			git_overwrite(idx, buf_bytes(&data));
			buf_clear(&data);
			checks(1, ".idx", "git index-pack", NULL);
			assert_int_equal(unlink(idx), 0);
			command = xasprintf("git index-pack '%.*s.pack'", (int)(n - 4), idx);
			run(command);
			free(command);
			checks(0, NULL);
		}
		free(idx);
	}
	is_mended();
	name_list_release(&files);
	buf_release(&data);
	free(dir);
}

static void test_an_older_snapshot_is_gone_back_to(void **state)
{
	char *tree, *id, *command;

	(void)state;
	/* A commit that mailcask would not make: without the flags of INBOX. */
	command = xasprintf("cd '%s' && export GIT_INDEX_FILE=\"$PWD/index\" && git read-tree main && "
			    "git --git-dir=. --work-tree=. update-index --force-remove "
			    "mailboxes/INBOX/flags/000000/00",
			    job.root);
	run(command);
	free(command);
	tree = git_out(job.root, "write-tree", NULL);
	id = git_out(job.root, "commit-tree", "-p", "main", "-m", "x\n\nGeneration: 100", tree, NULL);
	git_do(job.root, "update-ref", "refs/heads/main", id);
	checks(1, "it has a content, but no line in the list of flags", "git update-ref", NULL);
	git_do(job.root, "update-ref", "refs/heads/main", "main~2");
	backup_ends_with(&job, 0, "");
	is_mended();
	free(tree);
	free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies_of_clones_mend, start, stop),
		cmocka_unit_test_setup_teardown(test_contents_come_back_from_a_new_backup, start, stop),
		cmocka_unit_test_setup_teardown(test_an_index_is_made_anew_from_its_pack, start, stop),
		cmocka_unit_test_setup_teardown(test_an_older_snapshot_is_gone_back_to, start, stop),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
