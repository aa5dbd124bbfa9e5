/* A git store in trouble: what is not ours, what is damaged, a full disk, twins by SHA-1. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "backends/git/internal.h"
#include "backends/git/pack_write.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/support.h"

/* Opening it fails like this. */
static void refuses(struct bench *b, enum store_mode mode, enum err_kind kind, const char *text)
{
	struct store *st;
	struct err err = { 0 };

	assert_int_equal(store_open(&git_store, &st, &b->cfg, mode, &err), -1);
	if (err.kind != kind || !strstr(err.text, text))
		fail_msg("error %d: %s", (int)err.kind, err.text);
}

static enum store_presence presence(const struct bench *b)
{
	struct store_identity id;
	struct err err = { 0 };

	must(git_store.identify(&b->cfg, &id, &err), &err);
	store_identity_release(&id);
	return id.presence;
}

/* Close it and empty its place. */
static void start_afresh(struct bench *b)
{
	bench_close(b);
	remove_tree(b->path);
	assert_int_equal(mkdir(b->path, 0700), 0);
}

static void commit_something(const char *repo)
{
	char *tree = git_out(repo, "mktree", "--missing", NULL);
	char *id = git_out(repo, "commit-tree", "-m", "mine", tree, NULL);

	git_do(repo, "update-ref", "refs/heads/main", id);
	free(tree);
	free(id);
}

static void test_what_is_not_ours_is_left_alone(void **state)
{
	struct bench *b = git_bench(state);
	char *file;

	start_afresh(b);
	git_do("/", "init", "-q", "--bare", b->path);
	commit_something(b->path);
	assert_int_equal(presence(b), STORE_FOREIGN);
	refuses(b, STORE_WRITE, ERR_HELD, "not a mailcask archive");
	refuses(b, STORE_READ, ERR_MISSING, "no mailcask archive");
	b->cfg.adopt = true; /* there is nothing that could be taken over */
	refuses(b, STORE_WRITE, ERR_HELD, "not a mailcask archive");
	start_afresh(b);
	file = path_join(b->path, "letter.txt");
	write_file(file, bytes_of("x"));
	assert_int_equal(presence(b), STORE_FOREIGN);
	refuses(b, STORE_WRITE, ERR_HELD, "not a mailcask archive");
	b->cfg.adopt = false;
	assert_int_equal(unlink(file), 0);
	assert_int_equal(presence(b), STORE_EMPTY);
	bench_open(b);
	free(file);
}

static void test_an_empty_repository_is_taken(void **state)
{
	struct bench *b = git_bench(state);
	char *head;

	start_afresh(b);
	git_do("/", "init", "-q", "--bare", "--initial-branch=master", b->path);
	assert_int_equal(presence(b), STORE_EMPTY);
	bench_open(b);
	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_snapshot(b);
	head = git_out(b->path, "symbolic-ref", "HEAD", NULL);
	assert_string_equal(head, "refs/heads/main");
	free(head);
	head = git_out(b->path, "config", "core.bigFileThreshold", NULL);
	assert_string_equal(head, "1m");
	free(head);
}

/* The tree of main with another FORMAT. */
static void set_format(const struct bench *b, const char *text)
{
	char *file = path_join(tmp_dir(), "format"), *index = path_join(b->path, "index"), *id;

	write_file(file, bytes_of(text));
	git_do(b->path, "read-tree", "main");
	id = git_out(b->path, "hash-object", "-w", file, NULL);
	git_do(b->path, "update-index", "--add", "--cacheinfo", "100644", id, "FORMAT");
	free(id);
	id = git_out(b->path, "write-tree", NULL);
	char *commit = git_out(b->path, "commit-tree", "-m", "x", id, NULL);

	git_do(b->path, "update-ref", "refs/heads/main", commit);
	unlink(index);
	free(commit);
	free(id);
	free(index);
	free(file);
}

static void test_a_newer_or_damaged_format_is_not_guessed_at(void **state)
{
	struct bench *b = git_bench(state);
	struct store_identity id;
	struct err err = { 0 };

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_snapshot(b);
	bench_close(b);
	set_format(b, "mailcask archive\nversion 2\nsomething new\n");
	refuses(b, STORE_WRITE, ERR_FATAL, "newer mailcask");
	refuses(b, STORE_READ, ERR_FATAL, "newer mailcask");
	set_format(b, "mailcask archive\nversion 1\nuuid nonsense\n");
	refuses(b, STORE_WRITE, ERR_FATAL, "FORMAT");
	assert_int_equal(git_store.identify(&b->cfg, &id, &err), -1);
	set_format(b, "something else\n");
	refuses(b, STORE_WRITE, ERR_HELD, "not a mailcask archive");
}

static void test_a_path_that_cannot_be_an_archive_is_told(void **state)
{
	struct bench *b = git_bench(state);
	char *file = path_join(tmp_dir(), "file"), *link = path_join(tmp_dir(), "link");

	bench_close(b);
	write_file(file, bytes_of("x"));
	b->cfg.path = file;
	refuses(b, STORE_WRITE, ERR_FATAL, "not a directory");
	assert_int_equal(symlink("/nowhere/at/all", link), 0);
	b->cfg.path = link;
	refuses(b, STORE_WRITE, ERR_FATAL, "symbolic link to nothing");
	b->cfg.path = NULL;
	refuses(b, STORE_WRITE, ERR_CONFIG, "needs a path");
	unlink(file);
	unlink(link);
	free(file);
	free(link);
}

/* As root anybody's file can be opened, but git trusts only repositories of one's own. */
static void test_a_repository_of_another_user_is_told_how_to_trust(void **state)
{
	struct bench *b = git_bench(state);
	char *whole;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_snapshot(b);
	bench_close(b);
	if (geteuid() != 0) /* then nothing can be given away; the open above is all there is to see */
		return;
	assert_int_equal(chown(b->path, 12345, 12345), 0);
	whole = xasprintf("safe.directory '%s'", b->path);
	assert_int_equal(b->path[0], '/');
	refuses(b, STORE_READ, ERR_FATAL, whole);
	refuses(b, STORE_WRITE, ERR_FATAL, whole);
	assert_int_equal(chdir(b->path), 0);
	b->cfg.path = "."; /* which means nothing to git elsewhere */
	refuses(b, STORE_READ, ERR_FATAL, whole);
	b->cfg.path = b->path;
	assert_int_equal(chdir("/"), 0);
	free(whole);
	assert_int_equal(chown(b->path, 0, 0), 0);
}

static uint64_t generation(const struct bench *b)
{
	struct store_identity id;
	struct err err = { 0 };

	must(git_store.identify(&b->cfg, &id, &err), &err);
	store_identity_release(&id);
	return id.generation;
}

/* Which says no generation: the archive must not seem to be an older state of itself. */
static void test_a_commit_of_another_program_is_no_step_back(void **state)
{
	struct bench *b = git_bench(state);
	uint64_t before, with;
	char *id;

	for (uint32_t uid = 1; uid < 4; uid++) {
		bench_put_text(bench_mailbox(b, "INBOX"), uid, "x");
		bench_snapshot(b);
	}
	bench_close(b);
	before = generation(b);
	for (int i = 0; i < 2; i++) {
		id = git_out(b->path, "commit-tree", "-p", "main", "-m", "mine", "main^{tree}", NULL);
		git_do(b->path, "update-ref", "refs/heads/main", id);
		free(id);
	}
	with = generation(b);
	assert_true(with > before);
	bench_reopen(b);
	bench_put_text(bench_find(b, "INBOX"), 4, "x");
	bench_snapshot(b);
	bench_close(b);
	assert_true(generation(b) > with);
}

/* --- damage --- */

/* The path of the n-th file in objects/pack that ends so, in the order of their names. */
static char *pack_file(const struct bench *b, const char *suffix, size_t n)
{
	char *dir = path_join(b->path, "objects/pack"), *path = NULL;
	struct name_list names = { 0 };

	dir_entries(dir, &names);
	for (size_t i = 0; i < names.n && !path; i++)
		if (strstr(names.name[i], suffix) && n-- == 0)
			path = path_join(dir, names.name[i]);
	assert_non_null(path);
	name_list_release(&names);
	free(dir);
	return path;
}

static void test_a_damaged_message_is_told_and_the_others_come(void **state)
{
	struct bench *b = git_bench(state);
	struct buf body = BUF_INIT(1 << 20), pack = BUF_INIT(64 << 20);
	size_t at = 0, failed = 0;
	struct gots got;
	char *path = NULL;

	for (uint32_t n = 1; body.n < 200000; n = n * 1664525 + 1013904223)
		buf_addf(&body, "%08x", n);
	bench_put_text(bench_mailbox(b, "INBOX"), 1, "small");
	bench_put_text(bench_find(b, "INBOX"), 2, buf_str(&body));
	bench_put_text(bench_find(b, "INBOX"), 3, "last");
	bench_snapshot(b);
	bench_close(b);
	for (size_t i = 0; pack.n < 50000; i++) {
		free(path);
		path = pack_file(b, ".pack", i);
		buf_clear(&pack);
		read_file(path, &pack);
	}
	at = pack.n / 2;
	pack.p[at] ^= 0x10;
	write_file(path, buf_bytes(&pack));
	bench_open(b);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 3);
	for (size_t i = 0; i < 3; i++) {
		failed += got.v[i].what == OUTCOME_REFUSED;
		assert_true(got.v[i].what == (got.v[i].uid == 2 ? OUTCOME_REFUSED : OUTCOME_DONE));
		assert_true(got.v[i].complete == (got.v[i].uid != 2));
	}
	assert_int_equal(failed, 1);
	gots_release(&got);
	/* The same message arrives again: the archive is whole once more. */
	assert_int_equal(bench_put_text(bench_find(b, "INBOX"), 4, buf_str(&body)), OUTCOME_DONE);
	bench_snapshot(b);
	bench_close(b);
	assert_int_equal(unlink(path), 0); /* what git would stumble over */
	memcpy(strstr(path, ".pack"), ".idx\0", 5);
	assert_int_equal(unlink(path), 0);
	remove_tree(b->path); /* that pack had more in it: nothing for git to check */
	free(path);
	buf_release(&body);
	buf_release(&pack);
}

static void test_a_missing_pack_is_told_with_its_object(void **state)
{
	struct bench *b = git_bench(state);
	struct store_identity id = { 0 };
	struct err err = { 0 };
	char *path;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_snapshot(b);
	bench_close(b);
	do { /* until it is the one that holds what is asked for first */
		path = pack_file(b, ".pack", 0);
		assert_int_equal(unlink(path), 0);
		free(path);
		store_identity_release(&id);
	} while (git_store.identify(&b->cfg, &id, &err) == 0);
	assert_int_equal(err.kind, ERR_FATAL);
	refuses(b, STORE_WRITE, ERR_FATAL, b->path);
	refuses(b, STORE_READ, ERR_FATAL, "missing files");
	remove_tree(b->path);
}

/* What is missing is only what an interrupted run began: main is whole, and the way back to it is told. */
static void test_a_missing_unfinished_run_can_be_given_up(void **state)
{
	struct bench *b = git_bench(state);
	char *pack_dir = path_join(b->path, "objects/pack");
	struct name_list before = { 0 }, after = { 0 };

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_snapshot(b);
	dir_entries(pack_dir, &before);
	bench_put_text(bench_find(b, "INBOX"), 2, "y");
	bench_commit(b);
	bench_close(b);
	dir_entries(pack_dir, &after);
	for (size_t i = 0; i < after.n; i++) {
		char *path = path_join(pack_dir, after.name[i]);
		bool old = false;

		for (size_t k = 0; k < before.n; k++)
			old |= strcmp(before.name[k], after.name[i]) == 0;
		if (!old)
			assert_int_equal(unlink(path), 0);
		free(path);
	}
	refuses(b, STORE_WRITE, ERR_FATAL, "update-ref -d refs/mailcask/wip");
	git_do(b->path, "update-ref", "-d", "refs/mailcask/wip");
	bench_open(b);
	assert_int_equal(bench_live(b), 1);
	bench_put_text(bench_find(b, "INBOX"), 2, "y");
	bench_snapshot(b);
	name_list_release(&before);
	name_list_release(&after);
	free(pack_dir);
}

/* A mailbox whose flags file is not what it should be is left out; the others work. */
static void test_a_damaged_mailbox_spoils_only_itself(void **state)
{
	struct bench *b = git_bench(state);
	char *file = path_join(tmp_dir(), "flags"), *index = path_join(b->path, "index"), *id, *commit;
	struct changes c;
	struct changes_request req = { .out = &c };
	struct err err = { 0 };

	bench_put_text(bench_mailbox(b, "bad"), 1, "x");
	bench_put_text(bench_mailbox(b, "good"), 1, "y");
	bench_snapshot(b);
	bench_close(b);
	write_file(file, bytes_of("1 2024-01-01T00:00:00+00:00 not a number ()\n"));
	git_do(b->path, "read-tree", "main");
	id = git_out(b->path, "hash-object", "-w", file, NULL);
	git_do(b->path, "update-index", "--add", "--cacheinfo", "100644", id,
	       "mailboxes/bad/flags/000000/00");
	free(id);
	id = git_out(b->path, "write-tree", NULL);
	commit = git_out(b->path, "commit-tree", "-p", "main", "-m", "x", id, NULL);
	git_do(b->path, "update-ref", "refs/heads/main", commit);
	unlink(index);
	bench_open(b);
	req.mailbox = bench_find(b, "bad");
	changes_init(&c);
	must(store_changes(b->st, &req, 1, &err), &err);
	assert_int_equal(c.err.kind, ERR_MAILBOX);
	assert_non_null(strstr(c.err.text, "mailboxes/bad"));
	assert_non_null(strstr(c.err.text, "flags/000000/00"));
	changes_release(&c);
	bench_changes(bench_find(b, "good"), &c);
	assert_int_equal(c.n, 1);
	changes_release(&c);
	bench_put_text(bench_find(b, "good"), 2, "z");
	bench_snapshot(b);
	free(id);
	free(commit);
	free(index);
	free(file);
}

/* --- a full disk --- */

static void limit_files(rlim_t bytes, struct rlimit *was)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, was);
	limit = (struct rlimit){ bytes, was->rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void test_a_full_disk_in_the_middle_of_a_pack_loses_nothing(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct buf body = BUF_INIT(8 << 20);
	struct message_sink sink;
	struct message msg = { .uid = 2 };
	struct rlimit was;
	struct err err = { 0 };
	struct name_list names = { 0 };
	void *handle;
	char *dir;
	int ret;

	bench_put_text(mb, 1, "kept");
	bench_commit(b);
	for (uint32_t n = 1; body.n < 4000000; n = n * 1664525 + 1013904223)
		buf_addf(&body, "%08x", n);
	msg.size = body.n;
	limit_files(500000, &was);
	must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
	must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
	ret = sink.write(sink.ctx, handle, buf_bytes(&body), &err);
	if (ret < 0)
		assert_int_equal(sink.end(sink.ctx, handle, NULL, false, &err), 0);
	else
		ret = sink.end(sink.ctx, handle, &msg, true, &err);
	if (ret == 0)
		ret = store_commit(b->st, &err);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERR_FATAL);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	bench_close(b);
	git_check_all(b->path);
	dir = path_join(b->path, "objects/pack");
	dir_entries(dir, &names);
	for (size_t i = 0; i < names.n; i++)
		assert_null(strstr(names.name[i], "tmp_"));
	name_list_release(&names);
	free(dir);
	buf_release(&body);
}

static void test_a_failed_commit_leaves_the_last_one(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct rlimit was;
	struct err err = { 0 };
	int ret;

	bench_put_text(mb, 1, "kept");
	bench_commit(b);
	bench_put_text(mb, 2, "lost");
	limit_files(10, &was);
	ret = store_commit(b->st, &err);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_int_equal(store_commit(b->st, &err), -1); /* and stays so until it is opened again */
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	bench_put_text(bench_find(b, "INBOX"), 2, "lost no more");
	bench_snapshot(b);
	assert_int_equal(bench_live(b), 2);
}

/* --- after the snapshot --- */

static void count_warnings(void *ctx, enum log_level level, const char *text)
{
	if (level == LOG_WARN && strstr(text, "only compares more"))
		++*(unsigned *)ctx;
	if (level == LOG_WARN && strstr(text, "The snapshot is complete"))
		++*(unsigned *)ctx;
}

static void set_token(struct mailbox *mb, uint64_t modseq)
{
	struct base base;
	struct err err = { 0 };

	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	base.token = (struct token){ .known = true, .uidvalidity = 7, .uidnext = 9, .messages = 1,
				     .highestmodseq = modseq };
	must(mailbox_set_base(mb, &base, &err), &err);
	base_release(&base);
}

static uint64_t modseq_of(struct bench *b)
{
	struct mailbox_list list;
	uint64_t modseq = bench_info(b, "INBOX", &list)->token.highestmodseq;

	mailbox_list_release(&list);
	return modseq;
}

/* What a snapshot needs is durable before; the tokens left behind are of another commit, or older. */
static void test_a_snapshot_whose_tokens_cannot_be_written_is_complete(void **state)
{
	struct bench *b = git_bench(state);
	char *tokens = path_join(b->path, "mailcask/tokens"), *old = path_join(b->path, "mailcask/old");
	char *below = path_join(tokens, "below");
	unsigned warned = 0;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	set_token(bench_find(b, "INBOX"), 100);
	bench_snapshot(b);
	log_set(LOG_WARN, count_warnings, &warned);
	for (uint64_t round = 1; round <= 2; round++) {
		assert_int_equal(rename(tokens, old), 0);
		assert_int_equal(mkdir(tokens, 0700), 0);
		assert_int_equal(mkdir(below, 0700), 0);
		if (round == 1) /* else there is nothing to note but the token */
			bench_put_text(bench_find(b, "INBOX"), 2, "two");
		set_token(bench_find(b, "INBOX"), 100 + round * 100);
		bench_snapshot(b);
		assert_int_equal(warned, round);
		bench_close(b);
		assert_int_equal(rmdir(below), 0);
		assert_int_equal(rmdir(tokens), 0);
		assert_int_equal(rename(old, tokens), 0);
		bench_open(b);
		assert_int_equal(bench_live(b), 2);
		assert_int_equal(git_snapshots(b->path), 2);
		assert_true(modseq_of(b) == 200);
	}
	set_token(bench_find(b, "INBOX"), 300);
	bench_snapshot(b);
	log_set(LOG_ERROR, NULL, NULL);
	bench_reopen(b);
	assert_true(modseq_of(b) == 300);
	assert_int_equal(warned, 2);
	free(tokens);
	free(below);
	free(old);
}

static void test_a_snapshot_whose_wip_cannot_be_removed_is_complete(void **state)
{
	struct bench *b = git_bench(state);
	char *lock = path_join(b->path, "refs/mailcask/wip.lock");
	unsigned warned = 0;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_commit(b);
	write_file(lock, bytes_of(""));
	log_set(LOG_WARN, count_warnings, &warned);
	bench_snapshot(b);
	log_set(LOG_ERROR, NULL, NULL);
	assert_int_equal(warned, 1);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(git_snapshots(b->path), 1);
	bench_put_text(bench_find(b, "INBOX"), 2, "two"); /* the same run goes on */
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 2);
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 2);
	assert_false(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	free(lock);
}

/* --- twins --- */

/* A repository that claims to hold an object of every id, with other bytes. */
static int claim_all(void *ctx, const struct object_id *id, struct err *err)
{
	(void)ctx;
	(void)id;
	(void)err;
	return 1;
}

static int give_other(void *ctx, const struct object_id *id, enum git_type *type, uint64_t *size,
		      object_sink *sink, void *sink_ctx, struct err *err)
{
	(void)ctx;
	(void)id;
	*type = GIT_BLOB;
	*size = 9;
	return sink(sink_ctx, bytes_of("evil twin"), err);
}

/* Refused, and kept in a file of its own, also when it is tried again. `announced`: its size was. */
static void sets_aside(struct bench *b, struct bytes body, bool announced)
{
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *dir = path_join(b->path, "mailcask/collisions"), *path;
	struct message msg = { .uid = 9, .size = announced ? body.n : 0 };
	struct name_list files = { 0 };
	struct buf got = BUF_INIT(8 << 20);
	struct message_sink sink;
	struct err err;
	void *handle;

	for (int again = 0; again < 2; again++) { /* in the next run */
		err = (struct err){ 0 };
		must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
		must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
		must(sink.write(sink.ctx, handle, bytes_from(body.p, body.n / 3), &err), &err);
		must(sink.write(sink.ctx, handle, bytes_skip(body, body.n / 3), &err), &err);
		assert_int_equal(sink.end(sink.ctx, handle, &msg, true, &err), -1);
		assert_int_equal(err.kind, ERR_MESSAGE);
		assert_non_null(strstr(err.text, "mailcask/collisions/"));
	}
	dir_entries(dir, &files);
	assert_int_equal(files.n, 1);
	path = path_join(dir, files.name[0]);
	assert_non_null(strstr(err.text, path));
	read_file(path, &got);
	assert_true(bytes_equal(buf_bytes(&got), body));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bench_live(b), 0);
	name_list_release(&files);
	buf_release(&got);
	free(path);
	free(dir);
}

/* Two contents with one SHA-1 cannot be made here; a repository that pretends can. */
static void test_a_twin_by_sha1_is_set_aside_and_refused(void **state)
{
	struct bench *b = git_bench(state);
	struct gitstore *g = (struct gitstore *)b->st;
	char *pack_dir = path_join(b->path, "objects/pack");
	const struct object_source liar = { .has = claim_all, .read = give_other };
	struct buf large = BUF_INIT(4 << 20);

	bench_mailbox(b, "INBOX");
	bench_commit(b);
	pack_writer_free(g->repo->writer);
	g->repo->writer = pack_writer_new(pack_dir, &liar);
	while (large.n < 3 << 20)
		buf_addf(&large, "line %zu\r\n", large.n);
	sets_aside(b, bytes_of("good twin"), true);
	sets_aside(b, bytes_of("good twin"), false);
	sets_aside(b, buf_bytes(&large), true);
	sets_aside(b, buf_bytes(&large), false);
	buf_release(&large);
	free(pack_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GIT(test_what_is_not_ours_is_left_alone),
		WITH_GIT(test_an_empty_repository_is_taken),
		WITH_GIT(test_a_newer_or_damaged_format_is_not_guessed_at),
		WITH_GIT(test_a_path_that_cannot_be_an_archive_is_told),
		WITH_GIT(test_a_repository_of_another_user_is_told_how_to_trust),
		WITH_GIT(test_a_commit_of_another_program_is_no_step_back),
		WITH_GIT(test_a_damaged_message_is_told_and_the_others_come),
		WITH_GIT(test_a_missing_pack_is_told_with_its_object),
		WITH_GIT(test_a_missing_unfinished_run_can_be_given_up),
		WITH_GIT(test_a_damaged_mailbox_spoils_only_itself),
		WITH_GIT(test_a_full_disk_in_the_middle_of_a_pack_loses_nothing),
		WITH_GIT(test_a_failed_commit_leaves_the_last_one),
		WITH_GIT(test_a_snapshot_whose_tokens_cannot_be_written_is_complete),
		WITH_GIT(test_a_snapshot_whose_wip_cannot_be_removed_is_complete),
		WITH_GIT(test_a_twin_by_sha1_is_set_aside_and_refused),
	};

	return cmocka_run_group_tests_name("git in trouble", tests, NULL, NULL);
}
