/* What only a git store promises: what git makes of it, its history, and what others do to it. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <git2.h>

#include "backends/git/git.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/check_rig.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/support.h"

static void set_flags(struct mailbox *mb, const char *set, const char *add, const char *remove)
{
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct uidset uids = set_of(set);
	struct err err = { 0 };

	flags_add_list(&delta.add, bytes_of(add));
	flags_add_list(&delta.remove, bytes_of(remove));
	must(mailbox_change_flags(mb, &uids, &delta, &err), &err);
	flags_release(&delta.add);
	flags_release(&delta.remove);
	uidset_release(&uids);
}

static void expunge(struct mailbox *mb, const char *set)
{
	struct uidset uids = set_of(set);
	struct err err = { 0 };

	must(mailbox_expunge(mb, &uids, &err), &err);
	uidset_release(&uids);
}

static void set_token(struct mailbox *mb, uint32_t uidnext, uint64_t modseq)
{
	struct base base;
	struct err err = { 0 };

	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	base.token = (struct token){ .known = true, .uidvalidity = 7, .uidnext = uidnext,
				     .messages = 1, .highestmodseq = modseq };
	must(mailbox_set_base(mb, &base, &err), &err);
	base_release(&base);
}

/* --- what git sees --- */

static void test_git_shows_a_message_byte_for_byte(void **state)
{
	struct bench *b = git_bench(state);
	struct bytes body = bytes_from("Subject: \xc3\xa4\r\n\r\na\0b\nc\r\r\n.", 24);
	struct put put = { .body = body, .flags = "\\Seen $Todo", .date = PUT_DATE };
	struct buf got = BUF_INIT(1 << 20);

	bench_put(bench_mailbox(b, "Work/\xc3\xa4 b"), 1234567, &put, NULL);
	bench_snapshot(b);
	git_show(b->path, "main:mailboxes/Work%2F\xc3\xa4 b/messages/000123/45/0001234567.eml", &got);
	assert_true(bytes_equal(buf_bytes(&got), body));
	git_show(b->path, "main:mailboxes/Work%2F\xc3\xa4 b/flags/000123/45", &got);
	assert_string_equal(buf_str(&got),
			    "1234567 1996-07-17T02:44:25-07:00 24 (\\Seen $Todo)\n");
	buf_release(&got);
}

static void test_a_clone_has_exact_files_and_is_a_store(void **state)
{
	struct bench *b = git_bench(state);
	struct bytes body = bytes_of("Subject: x\r\n\r\nLF only\nCRLF\r\n");
	struct put put = { .body = body };
	struct bench clone = *b;
	struct buf got = BUF_INIT(1 << 20);
	char *file;
	struct store *st;
	struct err err = { 0 };

	bench_put(bench_mailbox(b, "INBOX"), 5, &put, NULL);
	bench_snapshot(b);
	clone.path = path_join(tmp_dir(), "store-clone");
	clone.cfg.path = clone.path;
	clone.cfg.create = false;
	git_do(b->path, "clone", "-q", "-c", "core.autocrlf=true", b->path, clone.path);
	file = path_join(clone.path, "mailboxes/INBOX/messages/000000/00/0000000005.eml");
	read_file(file, &got);
	assert_true(bytes_equal(buf_bytes(&got), body));
	/* With a work tree it is for reading only. */
	assert_int_equal(store_open(&git_store, &st, &clone.cfg, STORE_WRITE, &err), -1);
	assert_non_null(strstr(err.text, "work tree"));
	assert_false(git_try(clone.path, "ls-files", "--error-unmatch", "--others", "mailcask.lock",
			     NULL));
	bench_open_as(&clone, STORE_READ);
	assert_int_equal(bench_live(&clone), 1);
	bench_close(&clone);
	remove_tree(clone.path);
	/* A bare one goes on. */
	git_do(b->path, "clone", "-q", "--bare", b->path, clone.path);
	bench_open(&clone);
	bench_put_text(bench_find(&clone, "INBOX"), 6, "more");
	bench_snapshot(&clone);
	assert_int_equal(git_snapshots(clone.path), 2);
	assert_int_equal(git_number(clone.path, "config", "gc.auto", NULL), 0);
	bench_close(&clone);
	git_check_all(clone.path);
	remove_tree(clone.path);
	free(clone.path);
	free(file);
	buf_release(&got);
}

/* Bytes in all packs together. */
static size_t packed_size(const struct bench *b)
{
	struct name_list packs = { 0 };
	char *dir = path_join(b->path, "objects/pack");
	size_t size = 0;

	dir_entries(dir, &packs);
	for (size_t i = 0; i < packs.n; i++) {
		char *path = path_join(dir, packs.name[i]);
		struct stat sb;

		assert_int_equal(stat(path, &sb), 0);
		size += (size_t)sb.st_size;
		free(path);
	}
	name_list_release(&packs);
	free(dir);
	return size;
}

static void test_equal_messages_are_stored_once_in_all_mailboxes(void **state)
{
	struct bench *b = git_bench(state);
	struct buf body = BUF_INIT(1 << 20);
	char *one, *other;
	size_t once;

	for (uint32_t n = 1; body.n < 300000; n = n * 1664525 + 1013904223)
		buf_addf(&body, "%08x%s", n, body.n % 64 ? "" : "\r\n");
	bench_put_text(bench_mailbox(b, "a"), 1, buf_str(&body));
	bench_commit(b);
	once = packed_size(b);
	assert_true(once > 100000);
	bench_put_text(bench_find(b, "a"), 2, buf_str(&body));
	bench_put_text(bench_mailbox(b, "b"), 9, buf_str(&body));
	bench_snapshot(b);
	one = git_id(b->path, "main:mailboxes/a/messages/000000/00/0000000002.eml");
	other = git_id(b->path, "main:mailboxes/b/messages/000000/00/0000000009.eml");
	assert_string_equal(one, other);
	assert_true(packed_size(b) < once + 20000);
	free(one);
	free(other);
	buf_release(&body);
}

/* --- history --- */

static void test_a_run_that_changed_something_is_one_commit(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *text;

	assert_int_equal(git_snapshots(b->path), 0);
	bench_put_text(mb, 1, "one");
	bench_commit(b); /* a batch on the way */
	bench_put_text(mb, 2, "two");
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 1);
	set_flags(mb, "1:2", "\\Seen", "");
	expunge(mb, "1");
	bench_put_text(bench_mailbox(b, "Sent"), 1, "sent");
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 2);
	text = git_out(b->path, "log", "-1", "--format=%an <%ae>%n%B", "main", NULL);
	assert_string_equal(text, "mailcask <mailcask@localhost>\n"
				  "user@host: 1 new, 1 removed, 2 flag changes\n\n"
				  "INBOX: 1 removed, 2 flag changes\n"
				  "Sent: 1 new\n"
				  "Sent: created\n\n"
				  "Generation: 4\n");
	free(text);
	assert_false(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
}

static void test_a_run_that_changed_nothing_is_none(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *before, *after;

	bench_put_text(mb, 1, "one");
	set_token(mb, 2, 100);
	bench_snapshot(b);
	before = git_id(b->path, "main");
	bench_reopen(b);
	bench_snapshot(b);
	mb = bench_find(b, "INBOX");
	set_flags(mb, "1", "\\Seen", "");
	set_flags(mb, "1", "", "\\Seen");
	bench_snapshot(b);
	after = git_id(b->path, "main");
	assert_string_equal(before, after);
	assert_false(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	free(before);
	free(after);
}

/* How far the source went is remembered without a commit; a tip that moved makes it void. */
static void test_a_token_alone_is_no_commit_and_is_not_forgotten(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox_list list;
	char *tokens = path_join(b->path, "mailcask/tokens");

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	set_token(bench_find(b, "INBOX"), 2, 100);
	bench_snapshot(b);
	set_token(bench_find(b, "INBOX"), 3, 200);
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 1);
	bench_reopen(b);
	assert_true(bench_info(b, "INBOX", &list)->token.highestmodseq == 200);
	assert_int_equal(list.v[0].token.uidnext, 3);
	assert_int_equal(list.v[0].stored, 1);
	mailbox_list_release(&list);
	/* Without the file, or with a damaged one, it is as the commit says. */
	for (int damaged = 0; damaged < 2; damaged++) {
		if (damaged)
			write_file(tokens, bytes_of("rubbish\n"));
		else
			assert_int_equal(unlink(tokens), 0);
		bench_reopen(b);
		assert_true(bench_info(b, "INBOX", &list)->token.highestmodseq == 100);
		mailbox_list_release(&list);
	}
	free(tokens);
}

static void quarantine_one(struct mailbox *mb, uint32_t uid)
{
	char reason[] = "no";
	struct quarantined q = { .uid = uid, .reason = reason, .attempts = 1 };
	struct err err = { 0 };
	struct base base;

	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	free(base.quarantine);
	base.quarantine = &q;
	base.n_quarantine = 1;
	must(mailbox_set_base(mb, &base, &err), &err);
	base.quarantine = NULL;
	base.n_quarantine = 0;
	base_release(&base);
}

static void test_a_change_between_runs_is_a_commit_that_says_what_it_was(void **state)
{
	struct bench *b = git_bench(state);
	struct err err = { 0 };
	char *text;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	bench_reopen(b);
	must(store_commit_change(b->st, "nothing", &err), &err);
	assert_int_equal(git_snapshots(b->path), 1);
	quarantine_one(bench_find(b, "INBOX"), 7);
	must(store_commit_change(b->st, "1 accepted", &err), &err);
	assert_int_equal(git_snapshots(b->path), 2);
	text = git_out(b->path, "log", "-1", "--format=%s", "main", NULL);
	assert_string_equal(text, "user@host: 1 accepted");
	free(text);
}

/* What was begun is for the next run to complete: a change must not pass it for complete. */
static void test_a_change_leaves_an_interrupted_run_interrupted(void **state)
{
	struct bench *b = git_bench(state);
	struct err err = { 0 };
	char *text;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_commit(b);
	bench_reopen(b);
	quarantine_one(bench_find(b, "INBOX"), 7);
	must(store_commit_change(b->st, "1 accepted", &err), &err);
	assert_int_equal(git_snapshots(b->path), 1);
	assert_true(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	bench_reopen(b); /* durable all the same */
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 2);
	text = git_out(b->path, "log", "-1", "--format=%B", "main", NULL);
	assert_non_null(strstr(text, ": 1 new\n\nINBOX: 1 new\n1 accepted\n"));
	free(text);
	assert_true(git_try(b->path, "cat-file", "-e", "main:mailboxes/INBOX/quarantine", NULL));
}

static void test_an_interrupted_run_is_taken_up(void **state)
{
	struct bench *b = git_bench(state);
	char *text;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_put_text(bench_mailbox(b, "new"), 1, "three");
	bench_commit(b);
	bench_put_text(bench_find(b, "INBOX"), 3, "not committed");
	bench_reopen(b);
	assert_int_equal(bench_live(b), 3);
	assert_int_equal(git_snapshots(b->path), 1);
	bench_snapshot(b); /* nothing more to do: what was begun is complete */
	assert_int_equal(git_snapshots(b->path), 2);
	text = git_out(b->path, "log", "-1", "--format=%B", "main", NULL);
	assert_non_null(strstr(text, ": 2 new\n\nINBOX: 1 new\nnew: 1 new\nnew: created\n"));
	free(text);
	assert_false(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	bench_reopen(b);
	assert_int_equal(bench_live(b), 3);
}

static void test_earlier_moments_can_be_looked_at(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char *first;
	struct gots got;
	struct store *st;
	struct err err = { 0 };

	bench_put_text(mb, 1, "gone later");
	bench_snapshot(b);
	first = git_id(b->path, "main");
	expunge(mb, "1");
	bench_snapshot(b);
	bench_close(b);
	b->cfg.snapshot = first;
	bench_open_as(b, STORE_READ);
	b->cfg.create = false; /* bench_find() opens for reading then */
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 1);
	assert_true(bytes_is(buf_bytes(&got.v[0].body), "gone later"));
	gots_release(&got);
	bench_close(b);
	b->cfg.snapshot = "yesterday";
	assert_int_equal(store_open(&git_store, &st, &b->cfg, STORE_READ, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
	b->cfg.snapshot = NULL;
	bench_open_as(b, STORE_READ);
	assert_int_equal(bench_live(b), 0);
	free(first);
}

/* --- other programs --- */

/* What somebody else's commit on main would be: the same tree. */
static void move_main(const struct bench *b)
{
	char *id = git_out(b->path, "commit-tree", "-p", "main", "-m", "by hand", "main^{tree}", NULL);

	git_do(b->path, "update-ref", "refs/heads/main", id);
	free(id);
}

static void test_what_was_begun_on_an_older_state_is_dropped(void **state)
{
	struct bench *b = git_bench(state);

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_commit(b);
	bench_close(b);
	move_main(b);
	bench_open_as(b, STORE_READ);
	assert_int_equal(bench_live(b), 1);
	bench_close(b);
	assert_true(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	bench_open(b);
	assert_int_equal(bench_live(b), 1);
	assert_false(git_try(b->path, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL));
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 3);
}

static void test_a_branch_that_moved_meanwhile_is_told_and_nothing_is_lost(void **state)
{
	struct bench *b = git_bench(state);
	struct err err = { 0 };

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	move_main(b);
	assert_int_equal(store_snapshot(b->st, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_non_null(strstr(err.text, "Nothing was lost"));
	assert_int_equal(store_commit(b->st, &err), -1); /* only close() is left */
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_snapshot(b);
	assert_int_equal(git_snapshots(b->path), 3);
}

static void test_stale_locks_of_refs_are_removed(void **state)
{
	static const char *const locks[] = { "refs/heads/main.lock", "refs/mailcask/wip.lock",
					     "packed-refs.lock" };
	struct bench *b = git_bench(state);

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	git_do(b->path, "pack-refs", "--all");
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_commit(b);
	git_do(b->path, "pack-refs", "--all"); /* wip among them */
	bench_close(b);
	for (size_t i = 0; i < 3; i++) {
		char *path = path_join(b->path, locks[i]);

		write_file(path, bytes_of("a killed git left this"));
		free(path);
	}
	bench_open(b);
	bench_put_text(bench_find(b, "INBOX"), 3, "three");
	bench_snapshot(b);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 3);
	assert_int_equal(git_snapshots(b->path), 2);
}

static void test_gc_and_repack_at_any_time_do_no_harm(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct gots got;

	for (uint32_t uid = 1; uid <= 300; uid++) {
		char *text = xasprintf("message %u of many", uid % 250);

		bench_put_text(mb, uid, text);
		free(text);
		if (uid % 50 == 0)
			bench_commit(b);
		/* With a pack under way. */
		if (uid % 100 == 75)
			git_do(b->path, "gc", "-q", "--prune=now");
		if (uid % 100 == 85)
			git_do(b->path, "repack", "-adq");
	}
	bench_snapshot(b);
	git_do(b->path, "gc", "-q", "--prune=now");
	git_do(b->path, "repack", "-adfq");
	expunge(mb, "7");
	bench_snapshot(b);
	bench_reopen(b);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 299);
	for (size_t i = 0; i < got.n; i++)
		assert_int_equal(got.v[i].what, OUTCOME_DONE);
	gots_release(&got);
}

/* Everything as git's own packs and deltas have it, ours gone. */
static void test_a_repository_that_git_packed_anew_is_read(void **state)
{
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct name_list packs = { 0 };
	char *dir = path_join(b->path, "objects/pack"), *path;
	struct gots got;

	for (uint32_t uid = 1; uid <= 250; uid++) {
		char *text = xasprintf("Subject: %u\r\n\r\nmuch the same\r\n", uid);

		bench_put_text(mb, uid, text);
		free(text);
	}
	bench_snapshot(b);
	set_flags(mb, "1:250", "\\Seen", "");
	bench_snapshot(b);
	bench_close(b);
	dir_entries(dir, &packs);
	for (size_t i = 0; i < packs.n; i++)
		if (strstr(packs.name[i], ".keep")) {
			char *keep = path_join(dir, packs.name[i]);

			assert_int_equal(unlink(keep), 0);
			free(keep);
		}
	path = path_join(b->path, "info/attributes");
	write_file(path, bytes_of("")); /* deltas, please */
	git_do(b->path, "repack", "-adfq");
	bench_open(b);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 250);
	for (size_t i = 0; i < got.n; i++)
		assert_int_equal(got.v[i].what, OUTCOME_DONE);
	gots_release(&got);
	/* And written to. */
	bench_put_text(bench_find(b, "INBOX"), 251, "Subject: 7\r\n\r\nmuch the same\r\n");
	expunge(bench_find(b, "INBOX"), "100:120");
	bench_snapshot(b);
	name_list_release(&packs);
	free(path);
	free(dir);
}

/* --- libgit2, which is slow to begin --- */

static unsigned opened; /* how often it opened a repository */

int git_repository_open_ext(git_repository **out, const char *path, unsigned flags, const char *ceiling)
{
	typedef int open_fn(git_repository **, const char *, unsigned, const char *);
	union {
		void *symbol;
		open_fn *fn;
	} real = { dlsym(RTLD_NEXT, "git_repository_open_ext") };

	opened++;
	return real.fn(out, path, flags, ceiling);
}

/* Whether a run that finds nothing to do, and a look at the snapshots, do without it; they see `live` messages. */
static bool does_without(struct bench *b, size_t live)
{
	struct checked got;

	bench_close(b);
	opened = 0;
	bench_open(b);
	assert_int_equal(bench_live(b), live);
	bench_snapshot(b);
	bench_close(b);
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.messages, live);
	checked_release(&got);
	return opened == 0;
}

static void test_a_run_with_nothing_to_do_reads_the_refs_itself(void **state)
{
	struct bench *b = git_bench(state);
	char *main = path_join(b->path, "refs/heads/main"), *packed = path_join(b->path, "packed-refs");
	struct err err = { 0 };
	struct store *st;
	char *id, *line;

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "one");
	bench_snapshot(b);
	assert_true(does_without(b, 1));
	bench_open(b);
	bench_put_text(bench_find(b, "INBOX"), 2, "two");
	bench_commit(b); /* and now there is a wip */
	bench_close(b);
	bench_open_as(b, STORE_READ);
	assert_int_equal(bench_live(b), 2);
	bench_close(b);
	bench_open(b);
	bench_snapshot(b);
	assert_true(does_without(b, 2));
	/* What it does not read itself it leaves to libgit2. */
	git_do(b->path, "pack-refs", "--all");
	assert_false(does_without(b, 2));
	id = git_id(b->path, "main");
	git_do(b->path, "update-ref", "refs/heads/other", id);
	write_file(main, bytes_of("ref: refs/heads/other\n"));
	assert_false(does_without(b, 2));
	write_file(main, bytes_of("nonsense\n"));
	assert_int_equal(store_open(&git_store, &st, &b->cfg, STORE_READ, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	line = xasprintf("%s\n", id);
	write_file(main, bytes_of(line));
	assert_int_equal(unlink(packed), 0);
	assert_true(does_without(b, 2));
	git_do(b->path, "config", "core.something", "else");
	assert_false(does_without(b, 2));
	free(line);
	free(id);
	free(packed);
	free(main);
}

static void test_a_message_taken_over_counts_once_and_new_uids_are_noted(void **state)
{
	static const uint32_t from[] = { 1 }, to[] = { 8 };
	struct bench *b = git_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct buf got = BUF_INIT(1 << 20);
	struct err err = { 0 };
	char *said;

	bench_put_text(mb, 1, "x");
	bench_put_text(mb, 2, "y");
	bench_snapshot(b);
	must(mailbox_renumber(mb, from, to, 1, &err), &err);
	assert_int_equal(bench_put_text(mb, 9, "y"), OUTCOME_ADOPTED);
	bench_commit(b);
	bench_reopen(b); /* another run ends it */
	bench_snapshot(b);
	git_show(b->path, "main:mailboxes/INBOX/mailbox", &got);
	assert_non_null(strstr(buf_str(&got), "\nlive: 2\n"));
	assert_non_null(strstr(buf_str(&got), "\nstored: 2\n"));
	assert_non_null(strstr(buf_str(&got), "\nremapped: 2\n"));
	said = git_out(b->path, "log", "-1", "--format=%B", "main", NULL);
	assert_non_null(strstr(said, "INBOX: its messages have new UIDs at the source; 1 of 2 "
				     "recognised\n"));
	assert_non_null(strstr(said, "INBOX: 1 taken over\n"));
	free(said);
	buf_release(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GIT(test_git_shows_a_message_byte_for_byte),
		WITH_GIT(test_a_clone_has_exact_files_and_is_a_store),
		WITH_GIT(test_equal_messages_are_stored_once_in_all_mailboxes),
		WITH_GIT(test_a_run_that_changed_something_is_one_commit),
		WITH_GIT(test_a_run_that_changed_nothing_is_none),
		WITH_GIT(test_a_token_alone_is_no_commit_and_is_not_forgotten),
		WITH_GIT(test_a_change_between_runs_is_a_commit_that_says_what_it_was),
		WITH_GIT(test_a_change_leaves_an_interrupted_run_interrupted),
		WITH_GIT(test_an_interrupted_run_is_taken_up),
		WITH_GIT(test_earlier_moments_can_be_looked_at),
		WITH_GIT(test_a_run_with_nothing_to_do_reads_the_refs_itself),
		WITH_GIT(test_what_was_begun_on_an_older_state_is_dropped),
		WITH_GIT(test_a_branch_that_moved_meanwhile_is_told_and_nothing_is_lost),
		WITH_GIT(test_stale_locks_of_refs_are_removed),
		WITH_GIT(test_gc_and_repack_at_any_time_do_no_harm),
		WITH_GIT(test_a_repository_that_git_packed_anew_is_read),
		WITH_GIT(test_a_message_taken_over_counts_once_and_new_uids_are_noted),
	};

	return cmocka_run_group_tests_name("git", tests, NULL, NULL);
}
