/* Checking a git archive: every kind of damage is found and named with who needs what is damaged. */
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

#include "backends/git/git.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/backup.h"
#include "tests/lib/check_rig.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

/* Damaged on purpose, so without git_check_all(). */
static int teardown(void **state)
{
	struct bench *b = *state;

	bench_release(b);
	free(b);
	return 0;
}

#define DAMAGED(test) cmocka_unit_test_setup_teardown(test, git_setup, teardown)

static void set_quarantine(struct mailbox *mb)
{
	struct quarantined q = { .uid = 77, .reason = (char[]){ "no" }, .since = 1, .attempts = 2 };
	struct err err = { 0 };
	struct base base;

	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	uidset_add_range(&base.known, 1, 90);
	free(base.quarantine);
	base.quarantine = &q;
	base.n_quarantine = 1;
	base.token = (struct token){ .known = true, .uidvalidity = 5, .uidnext = 91 };
	must(mailbox_set_base(mb, &base, &err), &err);
	base.quarantine = NULL;
	base.n_quarantine = 0;
	base_release(&base);
}

/*
 * Two snapshots. INBOX: 1 to 3, 101, 10001 and, from the second on, 4 without 2 and with 3 flagged.
 * Work: 1 kept, 2 equal to INBOX's 1, one in quarantine. empty, A/B.
 */
static void fill(struct bench *b)
{
	struct mailbox *inbox = bench_mailbox(b, "INBOX"), *work = bench_mailbox(b, "Work");
	struct uidset first = set_of("1"), second = set_of("2"), third = set_of("3");
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct err err = { 0 };

	bench_put_text(inbox, 1, "Subject: one\r\n\r\nin two mailboxes\r\n");
	bench_put_text(inbox, 2, "Subject: two\r\n\r\nonly in the first snapshot\r\n");
	bench_put_text(inbox, 3, "Subject: three\r\n\r\nin both\r\n");
	bench_put_text(inbox, 101, "another leaf\r\n");
	bench_put_text(inbox, 10001, "another group\r\n");
	bench_put_text(work, 1, "to be kept\r\n");
	bench_put_text(work, 2, "Subject: one\r\n\r\nin two mailboxes\r\n");
	bench_mailbox(b, "empty");
	bench_mailbox(b, "A/B");
	set_quarantine(work);
	bench_snapshot(b);
	must(mailbox_keep(work, &first, true, &err), &err);
	must(mailbox_expunge(inbox, &second, &err), &err);
	flags_add(&delta.add, bytes_of("\\Flagged"));
	must(mailbox_change_flags(inbox, &third, &delta, &err), &err);
	bench_put_text(inbox, 4, "Subject: four\r\n\r\nonly in the second\r\n");
	bench_snapshot(b);
	bench_close(b);
	flags_release(&delta.add);
	uidset_release(&first);
	uidset_release(&second);
	uidset_release(&third);
}

/* As git counts the messages of main. */
static uint64_t bytes_of_all(const struct bench *b)
{
	char *list = git_out(b->path, "ls-tree", "-r", "-l", "main", NULL), *save = NULL;
	uint64_t sum = 0;

	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strstr(line, ".eml"))
			sum += strtoull(line + strlen("100644 blob ") + 40, NULL, 10);
	free(list);
	return sum;
}

static void test_a_sound_archive_has_no_findings(void **state)
{
	struct bench *b = git_bench(state);
	struct checked got;

	fill(b);
	check_now(b, &got, false);
	check_says(&got, "");
	assert_int_equal(got.ck.mailboxes, 4);
	assert_int_equal(got.ck.messages, 7);
	assert_int_equal(got.ck.compared, 7);
	assert_int_equal(got.ck.bytes, bytes_of_all(b)); /* kept ones, too */
	assert_int_equal(got.ck.snapshots, 1);
	assert_int_equal(got.ck.read, 0);
	checked_release(&got);
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.snapshots, 2);
	assert_int_equal(got.ck.messages, 7);
	assert_int_equal(got.ck.compared, 7);
	assert_true(got.ck.read > 20);
	assert_int_equal(got.ck.read, got.ck.to_read);
	assert_false(got.ck.cut_short);
	assert_false(got.ck.in_use);
	checked_release(&got);
}

static void test_a_run_under_way_is_checked_as_committed(void **state)
{
	struct bench *b = git_bench(state);
	struct checked got;

	fill(b);
	bench_open(b);
	bench_put_text(bench_find(b, "INBOX"), 5, "committed\r\n");
	bench_commit(b);
	bench_put_text(bench_find(b, "INBOX"), 6, "not yet\r\n");
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.messages, 8);
	assert_int_equal(got.ck.snapshots, 2);
	assert_true(got.ck.in_use);
	checked_release(&got);
}

static void test_clones_and_what_git_repacked_are_sound(void **state)
{
	struct bench *b = git_bench(state), other = *b;
	struct name_list files = { 0 };
	struct checked got;
	char *clone = path_join(tmp_dir(), "clone"), *pack = path_join(b->path, "objects/pack");

	fill(b);
	git_do("/", "clone", "-q", "--no-hardlinks", b->path, clone);
	other.path = clone;
	check_now(&other, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.messages, 7);
	checked_release(&got);
	/* Deltas, and loose objects. */
	dir_entries(pack, &files);
	for (size_t i = 0; i < files.n; i++)
		if (strstr(files.name[i], ".keep")) {
			char *keep = path_join(pack, files.name[i]);

			unlink(keep);
			free(keep);
		}
	git_do(b->path, "-c", "pack.window=50", "repack", "-adfq");
	check_now(b, &got, true);
	check_says(&got, "");
	assert_int_equal(got.ck.messages, 7);
	checked_release(&got);
	name_list_release(&files);
	free(clone);
	free(pack);
}

/* --- bytes that change --- */

static void pack_files(const struct bench *b, struct name_list *out)
{
	char *pack = path_join(b->path, "objects/pack");

	dir_entries(pack, out);
	for (size_t i = 0; i < out->n; i++) {
		char *path = path_join(pack, out->name[i]);

		free(out->name[i]);
		out->name[i] = path;
	}
	free(pack);
}

static bool ends_in(const char *s, const char *end)
{
	return strlen(s) > strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

static bool check_finds(struct bench *b)
{
	struct checked got;
	bool found = check_try(b, &got, true) < 0 || got.ck.findings[FINDING_DAMAGE] > 0;

	checked_release(&got);
	return found;
}

/* `text`: a line, in which case and what ends it mean nothing. */
static size_t flip_every_byte(struct bench *b, const char *path, size_t step, bool text)
{
	struct buf data = BUF_INIT(1 << 20);
	size_t tried = 0;

	read_file(path, &data);
	for (size_t at = 0; at < data.n - text; at += step, tried++) {
		uint8_t bit = (uint8_t)(text ? 1u : 1u << (at % 8));

		data.p[at] = (uint8_t)(data.p[at] ^ bit);
		git_overwrite(path, buf_bytes(&data));
		if (!check_finds(b))
			fail_msg("%s: byte %zu may change", path, at);
		data.p[at] = (uint8_t)(data.p[at] ^ bit);
	}
	git_overwrite(path, buf_bytes(&data));
	assert_false(check_finds(b));
	buf_release(&data);
	return tried;
}

static void test_every_byte_that_changes_is_found(void **state)
{
	static const char *const others[] = { "HEAD", "refs/heads/main" };
	struct bench *b = git_bench(state);
	const size_t step = TEST_SANITIZED ? 7 : 1;
	struct name_list files = { 0 };
	size_t tried = 0;

	fill(b);
	pack_files(b, &files);
	assert_true(files.n >= 6);
	for (size_t i = 0; i < files.n; i++)
		if (ends_in(files.name[i], ".pack"))
			tried += flip_every_byte(b, files.name[i], step, false);
		else if (ends_in(files.name[i], ".idx"))
			tried += flip_every_byte(b, files.name[i], 5 * step, false);
	for (size_t i = 0; i < 2; i++) {
		char *path = path_join(b->path, others[i]);

		tried += flip_every_byte(b, path, 1, true);
		free(path);
	}
	print_message("%zu bytes\n", tried);
	name_list_release(&files);
}

static void test_files_that_are_cut_or_gone_are_found(void **state)
{
	struct bench *b = git_bench(state);
	struct name_list files = { 0 };

	fill(b);
	pack_files(b, &files);
	for (size_t i = 0; i < files.n; i++) {
		struct buf data = BUF_INIT(1 << 20);

		if (!ends_in(files.name[i], ".pack") && !ends_in(files.name[i], ".idx"))
			continue;
		read_file(files.name[i], &data);
		for (size_t n = 0; n < data.n; n += n < 40 || n + 60 > data.n ? 1 : 37) {
			git_overwrite(files.name[i], bytes_from(data.p, n));
			if (!check_finds(b))
				fail_msg("%s: cut to %zu", files.name[i], n);
		}
		assert_int_equal(unlink(files.name[i]), 0);
		if (!check_finds(b))
			fail_msg("%s: gone", files.name[i]);
		git_overwrite(files.name[i], buf_bytes(&data));
		buf_release(&data);
	}
	assert_false(check_finds(b));
	name_list_release(&files);
}

/* --- who needs it --- */

/* A line for each finding: kind, mailbox, UID, and of the text only what stands before a parenthesis. */
static void says_roughly(const struct checked *c, const char *want)
{
	struct buf rough = BUF_INIT(1 << 20);

	for (const char *line = c->text; *line; line += strcspn(line, "\n") + 1) {
		size_t n = strcspn(line, "\n");
		const char *why = memmem(line, n, " (", 2), *when = memmem(line, n, " (in the", 8);

		buf_add(&rough, bytes_from(line, why ? (size_t)(why - line) : n));
		buf_add_str(&rough, when ? " - old\n" : "\n");
	}
	if (strcmp(buf_str(&rough), want) != 0)
		test_die("the check says:\n%s\ninstead of:\n%s", c->text, want);
	buf_release(&rough);
}

static void test_damage_is_named_with_who_needs_it(void **state)
{
	static const struct {
		const char *rev, *want, *advice;
	} cases[] = {
		{ "main:mailboxes/INBOX/messages/000000/00/0000000004.eml",
		  "damage INBOX 4 its content is damaged\n", "cp -f the files" },
		{ "main:mailboxes/INBOX/messages/000000/00/0000000001.eml",
		  "damage INBOX 1 its content is damaged\n"
		  "damage Work 2 its content is damaged\n",
		  "cp -f the files" },
		{ "main~1:mailboxes/INBOX/messages/000000/00/0000000002.eml",
		  "damage INBOX 2 its content is damaged - old\n", "cp -f the files" },
		{ "main~1:mailboxes/Work/messages/000000/00/0000000001.eml",
		  "damage Work 1 its content is damaged\n", "cp -f the files" },
		{ "main:mailboxes/INBOX/flags/000000/00",
		  "damage INBOX 0 a list of flags cannot be read\n", "from a clone" },
		{ "main:mailboxes/INBOX/messages/000001",
		  "damage INBOX 0 a directory of the archive cannot be read\n", "from a clone" },
		{ "main:mailboxes/Work/mailbox",
		  "damage Work 0 the file `mailbox` cannot be read\n", "from a clone" },
		{ "main:mailboxes/Work/kept/list",
		  "damage Work 0 the list of kept messages cannot be read\n", "from a clone" },
		{ "main:mailboxes/Work/quarantine",
		  "damage Work 0 the list of quarantined messages cannot be read\n",
		  "from a clone" },
		{ "main:mailboxes/A%2FB", "damage A/B 0 a directory of the archive cannot be read\n",
		  "from a clone" },
		{ "main:mailboxes", "damage - 0 a directory of the archive cannot be read\n",
		  "from a clone" },
		{ "main:FORMAT", "damage - 0 the file FORMAT cannot be read\n", "from a clone" },
		{ "main~1", "damage - 0 a snapshot cannot be read - old\n", "from a clone" },
		{ "main~1:mailboxes/INBOX/flags/000000/00",
		  "damage INBOX 0 a list of flags cannot be read - old\n", "from a clone" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b;
		struct checked got;

		git_setup(state);
		b = git_bench(state);
		fill(b);
		git_damage(b->path, cases[i].rev);
		check_now(b, &got, true);
		says_roughly(&got, cases[i].want);
		check_advises(&got, cases[i].advice);
		checked_release(&got);
		teardown(state);
	}
}

static void test_damage_that_nobody_needs_is_told_so(void **state)
{
	struct bench *b = git_bench(state);
	struct name_list files = { 0 };
	struct checked got;

	fill(b);
	bench_open(b);
	bench_put_text(bench_find(b, "INBOX"), 5, "x\r\n");
	bench_commit(b); /* a state that the next one replaces */
	char *old = git_id(b->path, "refs/mailcask/wip");

	bench_put_text(bench_find(b, "INBOX"), 6, "y\r\n");
	bench_snapshot(b);
	bench_close(b);
	git_damage(b->path, old);
	check_now(b, &got, false);
	check_says(&got, "");
	checked_release(&got);
	check_now(b, &got, true);
	assert_int_equal(got.ck.findings[FINDING_DAMAGE], 1);
	check_advises(&got, "No snapshot needs");
	check_advises(&got, "git repack -adF");
	checked_release(&got);
	/* What it advises works. */
	pack_files(b, &files);
	for (size_t i = 0; i < files.n; i++)
		if (ends_in(files.name[i], ".keep"))
			unlink(files.name[i]);
	git_do(b->path, "repack", "-q", "-adF");
	check_now(b, &got, true);
	check_says(&got, "");
	checked_release(&got);
	git_check_all(b->path);
	name_list_release(&files);
	free(old);
}

/* --- texts that do not agree --- */

static char *git_tree_with(const struct bench *b, const char *path, const char *text)
{
	char *file = path_join(tmp_dir(), "text"), *index = path_join(b->path, "index"), *id, *tree;

	git_do(b->path, "read-tree", "main");
	if (text) {
		write_file(file, bytes_of(text));
		id = git_out(b->path, "hash-object", "-w", file, NULL);
		git_do(b->path, "update-index", "--add", "--cacheinfo", "100644", id, path);
		free(id);
	} else {
		git_do(b->path, "--git-dir=.", "--work-tree=.", "update-index", "--force-remove",
		       path);
	}
	tree = git_out(b->path, "write-tree", NULL);
	unlink(index);
	free(file);
	free(index);
	return tree;
}

/* A commit on main with other words in `path`; NULL: without it. */
static void commit_text(const struct bench *b, const char *path, const char *text)
{
	char *tree = git_tree_with(b, path, text);
	char *id = git_out(b->path, "commit-tree", "-p", "main", "-m", "x\n\nGeneration: 50", tree,
			   NULL);

	git_do(b->path, "update-ref", "refs/heads/main", id);
	free(tree);
	free(id);
}

/* The words of a file in main, with one part replaced. */
static char *text_with(const struct bench *b, const char *path, const char *from, const char *to)
{
	struct buf text = BUF_INIT(1 << 20);
	char *spec = xasprintf("main:%s", path), *at, *out;

	git_show(b->path, spec, &text);
	at = strstr(buf_str(&text), from);
	if (!at)
		fail_msg("%s: no '%s' in %s", path, from, buf_str(&text));
	out = xasprintf("%.*s%s%s", (int)(at - buf_str(&text)), buf_str(&text), to,
			at + strlen(from));
	buf_release(&text);
	free(spec);
	return out;
}

static void test_texts_that_do_not_agree_are_found(void **state)
{
	static const char inbox[] = "mailboxes/INBOX/mailbox", flags[] = "mailboxes/INBOX/flags/000000/00";
	static const char work[] = "mailboxes/Work/mailbox";
	static const struct {
		const char *path, *from, *to, *want;
	} cases[] = {
		{ inbox, "live: 5", "live: 6",
		  "damage INBOX 0 the file `mailbox` counts 6 messages, and there are 5\n" },
		{ inbox, "\nbytes: ", "\nbytes: 1",
		  "damage INBOX 0 the file `mailbox` counts 1127 bytes, and there are 127\n" },
		{ inbox, "stored: 5", "stored: 4",
		  "damage INBOX 0 the file `mailbox` counts 4 messages bound to the account, and there "
		  "are 5\n" },
		{ inbox, "name: INBOX", "name: Work",
		  "damage INBOX 0 the file `mailbox`: line 1: a mailbox that belongs in another "
		  "directory: \"Work\"\n" },
		{ work, "kept: 1", "kept: 0",
		  "damage Work 0 the file `mailbox` counts 0 kept messages, and there are 1\n" },
		{ work, "held: 1", "held: 0",
		  "damage Work 0 the file `mailbox` counts 0 messages held back, and there are 1\n" },
		{ work, "pending: 1", "pending: 2",
		  "damage Work 0 the file `mailbox` counts 2 messages in quarantine, and there are "
		  "1\n" },
		{ work, "known: 90", "known: 80",
		  "damage Work 0 the file `mailbox` counts 80 known messages of the account, and there "
		  "are 90\n" },
		{ flags, "4 19", "9 19", "?" },
		{ flags, "\\Flagged", "(", "?" },
		{ flags, "3 ", "1 ", "?" },
		{ "mailboxes/INBOX/messages/000000/00/0000000004.eml", "four", "nine!", "?" },
		{ "mailboxes/INBOX/messages/000000/00/0000000004.eml", NULL, NULL,
		  "damage INBOX 4 it has a line in the list of flags, but no content\n" },
		{ flags, NULL, NULL, "?" },
		{ "mailboxes/INBOX/messages/000000/00/x.txt", "", "x",
		  "damage INBOX 0 flags/000000/00: a file that is no message stands among the "
		  "messages\n" },
		{ "mailboxes/INBOX/messages/x", "", "x",
		  "damage INBOX 0 a file that is no message stands among the messages\n" },
		{ "mailboxes/Work/kept/list", NULL, NULL,
		  "damage Work 0 the kept messages are not those of their list\n"
		  "damage Work 0 the file `mailbox` counts 1 kept messages, and there are 0\n"
		  "damage Work 0 the file `mailbox` counts 1 messages held back, and there are 0\n" },
		{ "mailboxes/Work/kept/list", " held", " hold", "?" },
		{ "mailboxes/Work/quarantine", "pending", "Pending", "?" },
		{ "mailboxes/Work/kept/00/x.eml", "", "x",
		  "damage Work 0 a kept message has a name that is not its own\n" },
		{ work, NULL, NULL, "damage Work 0 it has no file `mailbox`\n" },
		{ "mailboxes/x", "", "x", "damage - 0 mailboxes/x is no directory\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b;
		struct checked got;
		char *text = NULL;

		git_setup(state);
		b = git_bench(state);
		fill(b);
		if (cases[i].from)
			text = *cases[i].from ? text_with(b, cases[i].path, cases[i].from, cases[i].to)
					      : xstrdup(cases[i].to);
		commit_text(b, cases[i].path, text);
		check_now(b, &got, true);
		if (strcmp(cases[i].want, "?") != 0)
			check_says(&got, cases[i].want);
		else if (got.ck.findings[FINDING_DAMAGE] == 0)
			fail_msg("case %zu is not found", i);
		check_advises(&got, "git update-ref");
		checked_release(&got);
		free(text);
		teardown(state);
	}
}

/* Its owner is not told to go back to an older snapshot of what only a newer mailcask understands. */
static void test_an_archive_of_a_newer_mailcask_is_left_to_it(void **state)
{
	struct bench *b = git_bench(state);
	char *text;
	struct checked got;

	fill(b);
	text = text_with(b, "FORMAT", "version 1", "version 2");
	commit_text(b, "FORMAT", text);
	assert_int_equal(check_try(b, &got, true), -1);
	check_says(&got, "");
	checked_release(&got);
	free(text);
}

static void test_a_lost_index_is_named_with_what_makes_it_anew(void **state)
{
	struct bench *b = git_bench(state);
	struct name_list files = { 0 };
	struct checked got;

	fill(b);
	pack_files(b, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *pack = files.name[i], *kept;
		size_t n = strlen(pack);

		if (!ends_in(pack, ".pack"))
			continue;
		kept = xasprintf("%.*sidx", (int)(n - 4), pack);
		assert_int_equal(unlink(kept), 0);
		check_now(b, &got, true);
		assert_non_null(strstr(got.text, "the index of this pack is missing"));
		assert_non_null(strstr(got.advice, "git index-pack"));
		checked_release(&got);
		git_do(b->path, "index-pack", pack);
		assert_false(check_finds(b));
		free(kept);
	}
	name_list_release(&files);
}

static void test_a_content_that_is_nowhere_is_named(void **state)
{
	static const char nowhere[] = "0123456789012345678901234567890123456789";
	struct bench *b = git_bench(state);
	char *index = path_join(b->path, "index"), *tree, *id;
	struct checked got;

	fill(b);
	git_do(b->path, "read-tree", "main");
	git_do(b->path, "update-index", "--add", "--cacheinfo", "100644", nowhere,
	       "mailboxes/INBOX/messages/000000/00/0000000004.eml");
	tree = git_out(b->path, "write-tree", "--missing-ok", NULL);
	id = git_out(b->path, "commit-tree", "-p", "main", "-m", "x\n\nGeneration: 50", tree, NULL);
	git_do(b->path, "update-ref", "refs/heads/main", id);
	unlink(index);
	check_now(b, &got, false);
	check_says(&got, "damage INBOX 4 its content is missing\n");
	assert_string_equal(got.files, "0123456789012345678901234567890123456789\n");
	checked_release(&got);
	free(index);
	free(tree);
	free(id);
}

static void test_limited_runs_come_to_read_everything(void **state)
{
	struct bench *b = git_bench(state);
	struct name_list seen = { 0 };
	struct checked got;
	size_t all = 0;

	fill(b);
	/* All contents are damaged, so that reading one tells which it was. */
	static const char *const revs[] = {
		"main:mailboxes/INBOX/messages/000000/00/0000000004.eml",
		"main:mailboxes/INBOX/messages/000000/00/0000000003.eml",
		"main:mailboxes/INBOX/messages/000000/01/0000000101.eml",
		"main:mailboxes/INBOX/messages/000001/00/0000010001.eml",
		"main~1:mailboxes/INBOX/messages/000000/00/0000000002.eml",
	};

	all = sizeof(revs) / sizeof(revs[0]);
	for (size_t i = 0; i < all; i++)
		git_damage(b->path, revs[i]);
	for (unsigned i = 0; i < 3000 && seen.n < all; i++) {
		check_part(b, &got, 1);
		assert_true(got.ck.cut_short);
		assert_int_equal(got.ck.read, 1);
		assert_true(got.ck.to_read > 20);
		if (got.files[0] && !name_list_has(&seen, got.files))
			name_list_add(&seen, got.files);
		checked_release(&got);
	}
	assert_int_equal(seen.n, all);
	name_list_release(&seen);
}

/* A run that adds, removes and commits while checks go round: none of it is damage. */
static void test_a_run_at_work_gives_no_false_alarm(void **state)
{
	struct bench *b = git_bench(state);
	int64_t until = clock_ms() + 1500;
	unsigned rounds = 0;
	int status = 0;
	pid_t child;

	fill(b);
	child = proc_fork();
	if (child == 0) {
		uint32_t source = 20000;

		bench_open(b);
		for (unsigned n = 0; clock_ms() < until; n++) {
			struct uidset some = UIDSET_INIT;
			struct err err = { 0 };

			for (unsigned i = 0; i < 30; i++)
				bench_put_text(bench_find(b, "INBOX"), source++, "some text\r\n");
			uidset_add_range(&some, 20000, source - 50);
			must(mailbox_expunge(bench_find(b, "INBOX"), &some, &err), &err);
			if (n % 3 == 0)
				bench_snapshot(b);
			else
				bench_commit(b);
			uidset_release(&some);
		}
		bench_close(b);
		_exit(0);
	}
	assert_true(child > 0);
	while (clock_ms() < until) {
		struct checked got;

		check_now(b, &got, rounds % 2);
		check_says(&got, "");
		checked_release(&got);
		rounds++;
	}
	assert_true(proc_wait(child, 30000, &status));
	assert_int_equal(status, 0);
	assert_true(rounds > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GIT(test_a_sound_archive_has_no_findings),
		WITH_GIT(test_a_run_under_way_is_checked_as_committed),
		WITH_GIT(test_clones_and_what_git_repacked_are_sound),
		WITH_GIT(test_every_byte_that_changes_is_found),
		WITH_GIT(test_files_that_are_cut_or_gone_are_found),
		cmocka_unit_test(test_damage_is_named_with_who_needs_it),
		DAMAGED(test_damage_that_nobody_needs_is_told_so),
		cmocka_unit_test(test_texts_that_do_not_agree_are_found),
		DAMAGED(test_a_content_that_is_nowhere_is_named),
		WITH_GIT(test_an_archive_of_a_newer_mailcask_is_left_to_it),
		WITH_GIT(test_a_lost_index_is_named_with_what_makes_it_anew),
		DAMAGED(test_limited_runs_come_to_read_everything),
		WITH_GIT(test_a_run_at_work_gives_no_false_alarm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
