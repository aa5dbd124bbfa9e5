/*
 * Stop a run of a store before every durable step, run again, and look: all there, nothing twice,
 * no litter, and a third run changes nothing. The program runs itself as the child that is
 * stopped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/crash.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test stores[] = {
	{ "maildir, fs", &maildir_store, "fs" },
	{ "maildir, maildir++", &maildir_store, "maildir++" },
	{ "git", &git_store, NULL },
};

struct wanted {
	const char *mailbox;
	uint32_t uid;
	const char *flags, *body;
};

/* The source before and after: new mail, changed flags, something gone, a new mailbox. */
static const struct wanted before[] = {
	{ "INBOX", 1, "", "Subject: 1\r\n\r\none\r\n" },
	{ "INBOX", 2, "\\Seen", "Subject: 2\n\ntwo\n" },
	{ "INBOX", 5, "\\Seen $Label1", "Subject: 5\r\n\r\nfive\n\r\n" },
	{ "a/b", 1, "", "Subject: same\r\n\r\n" },
	{ "a/b", 2, "", "Subject: same\r\n\r\n" },
};
static const struct wanted after[] = {
	{ "INBOX", 1, "\\Seen \\Answered", "Subject: 1\r\n\r\none\r\n" },
	{ "INBOX", 5, "", "Subject: 5\r\n\r\nfive\n\r\n" },
	{ "INBOX", 6, "\\Flagged", "Subject: 6\r\n\r\nsix" },
	{ "a/b", 2, "\\Draft", "Subject: same\r\n\r\n" },
	{ "a/b", 3, "", "Subject: new\r\n\r\n" },
	{ "c", 9, "", "" },
};
struct world {
	const struct wanted *v;
	size_t n;
};
static const struct world worlds[] = { { before, sizeof(before) / sizeof(before[0]) },
				       { after, sizeof(after) / sizeof(after[0]) } };

static const struct wanted *find_wanted(const struct world *w, const char *mailbox,
					uint32_t uid)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].uid == uid && strcmp(w->v[i].mailbox, mailbox) == 0)
			return &w->v[i];
	return NULL;
}

/* As a backup would: additions and flags; what is gone is left in `gone`. Returns the work done. */
static unsigned add_mailbox(struct bench *b, const struct world *w, const char *name,
			    struct uidset *gone)
{
	struct mailbox *mb = bench_mailbox(b, name);
	struct uidset have = UIDSET_INIT;
	struct changes c;
	unsigned work = 0;

	bench_changes(mb, &c);
	for (size_t i = 0; i < c.n; i++) {
		const struct wanted *want = find_wanted(w, name, c.v[i].source_uid);
		const struct flags *now = flag_table_get(c.flags, c.v[i].flags);
		struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
		struct flags flags = FLAGS_INIT;
		struct uidset one = UIDSET_INIT;
		struct err err = { 0 };

		uidset_add(&have, c.v[i].source_uid);
		if (!want) {
			uidset_add(gone, c.v[i].uid);
			continue;
		}
		flags_add_list(&flags, bytes_of(want->flags));
		uidset_add(&one, c.v[i].uid);
		flags_diff(now, &flags, &delta.add, &delta.remove);
		if (!flags_equal(now, &flags) || c.v[i].flags != c.v[i].base_flags) {
			must(mailbox_change_flags(mb, &one, &delta, &err), &err);
			work++;
		}
		flags_release(&delta.add);
		flags_release(&delta.remove);
		flags_release(&flags);
		uidset_release(&one);
	}
	for (size_t i = 0; i < w->n; i++) {
		struct put put = { .body = bytes_of(w->v[i].body), .flags = w->v[i].flags };

		if (strcmp(w->v[i].mailbox, name) != 0 || uidset_has(&have, w->v[i].uid))
			continue;
		bench_put(mb, w->v[i].uid, &put, NULL);
		if (++work == 2)
			bench_commit(b); /* so that a batch follows one that is not final yet */
	}
	uidset_release(&have);
	changes_release(&c);
	return work;
}

static unsigned one_run(struct bench *b, const struct world *w)
{
	static const char *const names[] = { "INBOX", "a/b", "c" };
	struct uidset gone[3] = { UIDSET_INIT, UIDSET_INIT, UIDSET_INIT };
	struct err err = { 0 };
	unsigned work = 0;

	bench_open(b);
	for (size_t i = 0; i < 3; i++)
		if (i < 2 || w == &worlds[1])
			work += add_mailbox(b, w, names[i], &gone[i]);
	bench_commit(b);
	for (size_t i = 0; i < 3; i++) {
		work += !uidset_is_empty(&gone[i]);
		/* INBOX removes what is gone, the other keeps it. */
		if (!uidset_is_empty(&gone[i]) && i == 0)
			must(mailbox_expunge(bench_find(b, names[i]), &gone[i], &err), &err);
		else if (!uidset_is_empty(&gone[i]))
			must(mailbox_keep(bench_find(b, names[i]), &gone[i], false, &err), &err);
		uidset_release(&gone[i]);
	}
	bench_snapshot(b);
	bench_close(b);
	return work;
}

static void check_mailbox(struct bench *b, const struct world *w, const char *name)
{
	struct mailbox *mb = bench_find(b, name);
	struct buf text = BUF_INIT(4096);
	struct changes c;
	struct gots got;
	size_t want = 0;

	for (size_t i = 0; i < w->n; i++)
		want += strcmp(w->v[i].mailbox, name) == 0;
	bench_changes(mb, &c);
	bench_fetch_all(mb, &got);
	assert_int_equal(c.n, want);
	assert_int_equal(got.n, want);
	assert_int_equal(c.foreign, 0);
	for (size_t i = 0; i < c.n; i++) {
		const struct wanted *m = find_wanted(w, name, c.v[i].source_uid);

		assert_non_null(m);
		assert_string_equal(bench_flags(&c, c.v[i].flags, &text), m->flags);
		assert_int_equal(c.v[i].flags, c.v[i].base_flags);
		assert_int_equal(got.v[i].uid, c.v[i].uid);
		assert_true(bytes_equal(buf_bytes(&got.v[i].body), bytes_of(m->body)));
	}
	gots_release(&got);
	changes_release(&c);
	buf_release(&text);
}

/* What a stopped run leaves in a repository, and the next one has to remove. */
static bool is_litter(const struct name_list *files, const char *name)
{
	char *keep = strstr(name, ".keep"), *pack;
	bool lone;

	if (keep) {
		pack = xasprintf("%.*s.pack", (int)(keep - name), name);
		lone = !name_list_has(files, pack);
		free(pack);
		return lone;
	}
	return strstr(name, "tmp_") || strstr(name, "refs/mailcask/") ||
	       strcmp(name, "mailcask/new") == 0 ||
	       (strstr(name, ".lock") && strcmp(name, "mailcask.lock") != 0);
}

/* Live and kept messages of a repository that git has nothing to say against. */
static size_t count_blobs(const struct bench *b)
{
	struct name_list files = { 0 };
	char *names = git_out(b->path, "ls-tree", "-r", "--name-only", "main", NULL);
	size_t n = 0;

	for (const char *at = names; (at = strstr(at, ".eml")); at++)
		n++;
	free(names);
	git_check_all(b->path);
	tree_files(b->path, &files);
	for (size_t i = 0; i < files.n; i++)
		if (is_litter(&files, files.name[i]))
			fail_msg("litter: %s", files.name[i]);
	name_list_release(&files);
	return n;
}

/* Message files, in cur only: nothing in tmp or new. */
static size_t count_files(const struct bench *b)
{
	struct name_list files = { 0 };
	size_t n = 0;

	if (b->sut->ops == &git_store)
		return count_blobs(b);
	tree_files(b->path, &files);
	for (size_t i = 0; i < files.n; i++) {
		if (strncmp(files.name[i], "mailcask.", 9) == 0 ||
		    strstr(files.name[i], "maildirfolder"))
			continue;
		if (!strstr(files.name[i], "cur/"))
			fail_msg("litter: %s", files.name[i]);
		n++;
	}
	name_list_release(&files);
	return n;
}

/* `what`: "child" does two runs, "reopen" only opens and closes. */
static int crash_once(const struct bench *b, const char *what, unsigned n)
{
	char at[32], which[8], self[4096];
	const char *const env[] = { at, NULL };
	const struct proc_opts opts = { .env = env };
	struct proc_result res;
	int status;

	snprintf(at, sizeof(at), "CRASH_AT=%u", n);
	snprintf(which, sizeof(which), "%zu", (size_t)(b->sut - stores));
	if (!realpath("/proc/self/exe", self))
		fail();
	proc_runl(&res, &opts, self, what, b->path, which, NULL);
	status = res.status;
	if (status != 0 && status != CRASH_STATUS)
		fail_msg("stopped at %u: status %d: %s", n, status, buf_str(&res.err));
	proc_result_release(&res);
	return status;
}

/* What was committed is there as soon as the store is open: nothing is left to be fetched again. */
static void check_nothing_is_missing(struct bench *b)
{
	struct mailbox_list list = { 0 };
	struct err err = { 0 };

	bench_open(b);
	must(store_list(b->st, NULL, &list, &err), &err);
	for (size_t i = 0; i < list.n; i++) {
		struct mailbox *mb;
		struct changes c;

		must(mailbox_open(b->st, &list.v[i], STORE_READ, &mb, &err), &err);
		bench_changes(mb, &c);
		assert_true(uidset_is_empty(&c.missing));
		assert_int_equal(c.n, list.v[i].stored);
		assert_int_equal(c.foreign, 0);
		changes_release(&c);
	}
	mailbox_list_release(&list);
	bench_close(b);
}

static void test_stopped_anywhere_the_next_run_completes(void **state)
{
	const struct store_under_test *sut = *state;
	unsigned n = 0, again = 0;
	int status;

	do {
		struct bench b;
		size_t files, kept = 1;

		bench_init(&b, sut);
		status = crash_once(&b, "child", ++n);
		/* And again while it is put right, one step further each time; making a
		 * repository has many. */
		for (unsigned k = 1; (sut->ops != &git_store || n % 8 == 1) &&
				     crash_once(&b, "reopen", k) == CRASH_STATUS;
		     k++)
			again++;
		check_nothing_is_missing(&b);
		one_run(&b, &worlds[1]);
		bench_open(&b);
		check_mailbox(&b, &worlds[1], "INBOX");
		check_mailbox(&b, &worlds[1], "a/b");
		check_mailbox(&b, &worlds[1], "c");
		bench_close(&b);
		files = count_files(&b);
		/* Stopped before a/b was committed, the message that is gone was never here. */
		if (files == worlds[1].n)
			kept = 0;
		assert_int_equal(files, worlds[1].n + kept);
		assert_int_equal(one_run(&b, &worlds[1]), 0);
		assert_int_equal(count_files(&b), files);
		bench_release(&b);
	} while (status == CRASH_STATUS);
	assert_true(n > 20);
	assert_true(again > 20);
	print_message("%u crash points, %u while opening after them\n", n - 1, again);
}

static int child(const char *what, const char *path, const char *which)
{
	struct bench b;

	bench_init(&b, &stores[atoi(which)]);
	b.cfg.path = path;
	if (strcmp(what, "reopen") == 0) {
		bench_open(&b);
		bench_close(&b);
	} else {
		one_run(&b, &worlds[0]);
		one_run(&b, &worlds[1]);
	}
	free(b.path);
	return 0;
}

#define FOR_STORE(i)                                                                       \
	{ "test_stopped_anywhere_the_next_run_completes", \
	  test_stopped_anywhere_the_next_run_completes, NULL, NULL, \
	  (void *)(uintptr_t)&stores[i] }

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { FOR_STORE(0), FOR_STORE(1), FOR_STORE(2) };

	if (argc == 4)
		return child(argv[1], argv[2], argv[3]);
	return cmocka_run_group_tests_name("crash points of stores", tests, NULL, NULL);
}
