/* The history of a git archive, and commands on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/git/history.h"
#include "backends/git/git.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test git_sut = { "git", &git_store, NULL };

/* --- making one --- */

static void snapshot(struct bench *b)
{
	struct err err = { 0 };

	must(store_snapshot(b->st, &err), &err);
}

static void expunge(struct bench *b, const char *mailbox, const char *uids)
{
	struct uidset set = set_of(uids);
	struct err err = { 0 };

	must(mailbox_expunge(bench_find(b, mailbox), &set, &err), &err);
	uidset_release(&set);
}

static void set_flag(struct bench *b, const char *mailbox, const char *uids, const char *flag)
{
	struct uidset set = set_of(uids);
	struct flag_delta delta = { 0 };
	struct err err = { 0 };

	flags_add(&delta.add, bytes_of(flag));
	must(mailbox_change_flags(bench_find(b, mailbox), &set, &delta, &err), &err);
	flags_release(&delta.add);
	uidset_release(&set);
}

static void put(struct bench *b, const char *mailbox, uint32_t uid, const char *text)
{
	bench_put_text(bench_mailbox(b, mailbox), uid, text);
}

static void name_of(const char *display, struct mailbox_name *out)
{
	struct err err = { 0 };

	mailbox_name_init(out);
	must(mailbox_name_from_display(out, bytes_of(display), &err), &err);
}

static void rename_mailbox(struct bench *b, const char *from, const char *to)
{
	struct mailbox_name a, z;
	struct err err = { 0 };

	name_of(from, &a);
	name_of(to, &z);
	must(store_rename(b->st, &a, &z, &err), &err);
	mailbox_name_release(&a);
	mailbox_name_release(&z);
}

/* Output of git in the repository, without the last line end; owned by the caller. */
static char *git(const struct bench *b, const char *date, const char *arg, ...)
{
	const char *argv[16] = { "git", "-C", b->path, arg };
	char *when = xasprintf("GIT_COMMITTER_DATE=%s", date ? date : "2024-01-01T00:00:00Z");
	char *author = xasprintf("GIT_AUTHOR_DATE=%s", date ? date : "2024-01-01T00:00:00Z");
	const char *env[] = { when, author, "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t",
			      "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@t", "HOME=/nonexistent",
			      NULL };
	struct proc_opts opts = { .env = env };
	struct proc_result res;
	va_list ap;
	char *out;

	va_start(ap, arg);
	for (size_t n = 4; (argv[n] = va_arg(ap, const char *)) != NULL; n++)
		assert_true(n < 14);
	va_end(ap);
	proc_run(&res, &opts, argv);
	if (res.status != 0)
		test_die("git %s: %s", arg, buf_str(&res.err));
	out = bytes_dup(bytes_from(res.out.p, res.out.n ? res.out.n - 1 : 0));
	proc_result_release(&res);
	free(when);
	free(author);
	return out;
}

/* Make the commits of main anew, with times a day apart from 2024-02-27 12:00 UTC on. */
static void retime(struct bench *b)
{
	char *list = git(b, NULL, "rev-list", "--reverse", "main", NULL), *save = NULL;
	char *parent = NULL;
	unsigned day = 0;

	bench_close(b);
	for (char *id = strtok_r(list, "\n", &save); id; id = strtok_r(NULL, "\n", &save), day++) {
		struct tm tm = { .tm_year = 124, .tm_mon = 1, .tm_mday = 27 + (int)day,
				 .tm_hour = 12 };
		char date[32], *tree = xasprintf("%s^{tree}", id), *made;
		char *message = git(b, NULL, "log", "-1", "--format=%B", id, NULL);

		timegm(&tm);
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
		made = parent ? git(b, date, "commit-tree", "-m", message, "-p", parent, tree, NULL)
			      : git(b, date, "commit-tree", "-m", message, tree, NULL);
		free(parent);
		free(tree);
		free(message);
		parent = made;
	}
	free(git(b, NULL, "update-ref", "refs/heads/main", parent, NULL));
	free(parent);
	free(list);
}

static struct history *open_history(const struct bench *b)
{
	struct history *h;
	struct err err = { 0 };

	must(history_open(b->path, &h, &err), &err);
	return h;
}

/*
 * Six days: 27 Feb INBOX 1-3 and Work 1; 28 Feb flags of INBOX 1:2, INBOX 4; 29 Feb INBOX 2 moved to Work;
 * 1 Mar Work renamed Office; 2 Mar INBOX 3 gone, then its equal 5 came and went again on 3 Mar.
 */
static void make_history(struct bench *b)
{
	bench_open(b);
	put(b, "INBOX", 1, "one");
	put(b, "INBOX", 2, "two");
	put(b, "INBOX", 3, "three");
	put(b, "Work", 1, "work");
	snapshot(b);
	set_flag(b, "INBOX", "1:2", "\\Seen");
	put(b, "INBOX", 4, "four");
	snapshot(b);
	expunge(b, "INBOX", "2");
	put(b, "Work", 2, "two");
	snapshot(b);
	rename_mailbox(b, "Work", "Office");
	snapshot(b);
	expunge(b, "INBOX", "3");
	put(b, "INBOX", 5, "three");
	snapshot(b);
	expunge(b, "INBOX", "5");
	expunge(b, "Office", "1");
	snapshot(b);
	retime(b);
}

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	setenv("TZ", "UTC0", 1);
	tzset();
	bench_init(b, &git_sut);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

/* --- what a snapshot is called --- */

static int64_t noon(int day) /* of February 2024 */
{
	struct tm tm = { .tm_year = 124, .tm_mon = 1, .tm_mday = day, .tm_hour = 12 };

	return timegm(&tm);
}

static void test_snapshots_are_found_by_time_place_and_id(void **state)
{
	static const struct {
		const char *text;
		size_t number;
	} cases[] = {
		{ "latest", 0 }, { "Latest~1", 1 }, { "latest~5", 5 }, { "2024-02-27", 5 },
		{ "2024-02-29", 3 }, { "2024-02-29~1", 4 }, { "2024-02-29T12:00:00Z", 3 },
		{ "2024-02-29 11:59", 4 }, { "2024-02", 3 }, { "2030-01-01", 0 },
		{ "yesterday", 1 }, { "3 days ago", 3 }, { "3-days-ago", 3 }, { "now", 0 },
	};
	struct bench *b = *state;
	struct history *h;
	struct err err = { 0 };
	size_t got;

	make_history(b);
	h = open_history(b);
	assert_int_equal(history_count(h), 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		must(history_resolve(h, cases[i].text, noon(32), &got, &err), &err);
		if (got != cases[i].number)
			test_die("'%s' is %zu, not %zu", cases[i].text, got, cases[i].number);
	}
	for (size_t i = 0; i < 6; i++) {
		const char *id = history_snapshot(h, i)->id;
		char *prefix = bytes_dup(bytes_from(id, (size_t)history_id_digits(h)));

		assert_int_equal(history_snapshot(h, i)->time, noon(32 - (int)i));
		must(history_resolve(h, id, 0, &got, &err), &err);
		assert_int_equal(got, i);
		must(history_resolve(h, prefix, 0, &got, &err), &err);
		assert_int_equal(got, i);
		free(prefix);
	}
	history_close(h);
}

static void test_a_name_that_no_snapshot_has_says_which_there_are(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *says;
	} cases[] = {
		{ "2024-02-26", ERR_MISSING, "the oldest is " },
		{ "latest~6", ERR_MISSING, " of 2024-03-03 12:00" },
		{ "latest~4294967295", ERR_MISSING, " of 2024-02-27 12:00" },
		{ "0000000000000000000000000000000000000000", ERR_MISSING, "that begins with 0000" },
		{ "soon", ERR_CONFIG, "'soon' names no snapshot" },
		{ "", ERR_CONFIG, "names no snapshot" },
		{ "latest~x", ERR_CONFIG, "names no snapshot" },
		{ "\x1b", ERR_CONFIG, "'\\x1B'" },
	};
	struct bench *b = *state;
	struct history *h;

	make_history(b);
	h = open_history(b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		size_t got;

		assert_int_equal(history_resolve(h, cases[i].text, noon(32), &got, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.text, cases[i].says))
			test_die("'%s': kind %d: %s", cases[i].text, (int)err.kind, err.text);
	}
	history_close(h);
}

/* Of 70,000 commits two begin with the same four digits; a few hundred are enough to be sure, too. */
static void test_an_id_that_several_begin_with_lists_them(void **state)
{
	struct bench *b = *state;
	struct history *h;
	struct err err = { 0 };
	char *parent, *tree, four[5] = "";
	size_t got;

	bench_open(b);
	put(b, "INBOX", 1, "one");
	snapshot(b);
	bench_close(b);
	parent = git(b, NULL, "rev-parse", "main", NULL);
	tree = git(b, NULL, "rev-parse", "main^{tree}", NULL);
	/* Until two have the first four digits in common: by the birthday, after 300 or so. */
	for (unsigned i = 0; !*four; i++) {
		static char seen[0x10000];
		char message[16], *made;
		unsigned key;

		snprintf(message, sizeof(message), "%u", i);
		made = git(b, NULL, "commit-tree", "-m", message, "-p", parent, tree, NULL);
		free(parent);
		parent = made;
		snprintf(message, sizeof(message), "%.4s", made);
		key = (unsigned)strtoul(message, NULL, 16);
		if (seen[key])
			memcpy(four, made, 4);
		seen[key] = 1;
	}
	free(git(b, NULL, "update-ref", "refs/heads/main", parent, NULL));
	h = open_history(b);
	assert_int_equal(history_resolve(h, four, 0, &got, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, "several snapshots begin with"));
	assert_non_null(strstr(err.text, "2024-01-01 00:00"));
	history_close(h);
	free(parent);
	free(tree);
}

static void test_an_archive_whose_first_run_has_not_ended_has_no_snapshots(void **state)
{
	struct bench *b = *state;
	struct history *h;
	struct err err = { 0 };
	size_t got;

	bench_open(b);
	put(b, "INBOX", 1, "one");
	bench_commit(b);
	bench_close(b);
	h = open_history(b);
	assert_int_equal(history_count(h), 0);
	assert_int_equal(history_resolve(h, "latest", 0, &got, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
	assert_string_equal(err.text, "there are no snapshots yet: the first run has not ended");
	history_close(h);
}

static snapshot_fn on_stats;
static deleted_fn on_deleted;

/* A disk lost a commit, or the archive is a clone of depth 3. The newer snapshots are as good as before. */
static void test_snapshots_newer_than_one_that_is_lost_are_reached(void **state)
{
	struct bench *b = *state;
	char *shallow = xasprintf("%s-shallow", b->path), *url = xasprintf("file://%s", b->path);
	struct buf got = BUF_INIT(1 << 16);
	struct history *h;
	struct err err = { 0 };
	size_t i;

	make_history(b);
	free(git(b, NULL, "clone", "-q", "--bare", "--depth=3", url, shallow, NULL));
	must(history_open(shallow, &h, &err), &err);
	assert_int_equal(history_count(h), 3);
	assert_non_null(history_cut(h));
	must(history_resolve(h, "latest~2", 0, &i, &err), &err);
	assert_int_equal(i, 2);
	assert_int_equal(history_resolve(h, "latest~3", 0, &i, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_non_null(strstr(err.text, "older ones cannot be read"));
	must(history_each(h, SIZE_MAX, on_stats, &got, &err), &err);
	assert_string_equal(buf_str(&got), "2 3: +0 -2 ~0\n2 5: +1 -1 ~0\n2 5: ?\n");
	must(history_deleted_since(h, history_snapshot(h, 1)->time, on_deleted, &got, &err), &err);
	assert_int_equal(history_deleted_since(h, 0, on_deleted, &got, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	history_close(h);
	buf_release(&got);
	free(shallow);
	free(url);
}

/* --- what changed --- */

static int on_stats(void *ctx, const struct snapshot *s, const struct snapshot_stats *t,
		    struct err *err)
{
	(void)s;
	(void)err;
	if (t->alone) {
		buf_addf(ctx, "%llu %llu: ?\n", (unsigned long long)t->mailboxes,
			 (unsigned long long)t->messages);
		return 0;
	}
	buf_addf(ctx, "%llu %llu: +%llu -%llu ~%llu\n", (unsigned long long)t->mailboxes,
		 (unsigned long long)t->messages, (unsigned long long)t->added,
		 (unsigned long long)t->removed, (unsigned long long)t->flags);
	return 0;
}

static void test_each_snapshot_tells_what_it_holds_and_what_changed(void **state)
{
	struct bench *b = *state;
	struct buf got = BUF_INIT(1 << 16);
	struct history *h;
	struct err err = { 0 };

	make_history(b);
	h = open_history(b);
	must(history_each(h, SIZE_MAX, on_stats, &got, &err), &err);
	assert_string_equal(buf_str(&got), "2 3: +0 -2 ~0\n"
					   "2 5: +1 -1 ~0\n"
					   "2 5: +0 -0 ~0\n"
					   "2 5: +1 -1 ~0\n"
					   "2 5: +1 -0 ~2\n"
					   "2 4: +4 -0 ~0\n");
	buf_clear(&got);
	must(history_each(h, 1, on_stats, &got, &err), &err);
	assert_string_equal(buf_str(&got), "2 3: +0 -2 ~0\n");
	history_close(h);
	buf_release(&got);
}

static void expect_same(const struct bench *b, const char *path)
{
	struct buf here = BUF_INIT(1 << 16), there = BUF_INIT(1 << 16);
	struct history *h = open_history(b);
	struct err err = { 0 };

	must(history_each(h, SIZE_MAX, on_stats, &here, &err), &err);
	must(history_deleted_since(h, 0, on_deleted, &here, &err), &err);
	history_close(h);
	must(history_open(path, &h, &err), &err);
	must(history_each(h, SIZE_MAX, on_stats, &there, &err), &err);
	must(history_deleted_since(h, 0, on_deleted, &there, &err), &err);
	history_close(h);
	assert_string_equal(buf_str(&here), buf_str(&there));
	buf_release(&here);
	buf_release(&there);
}

/* What git makes of it: deltas, packed refs, a work tree. */
static void test_a_clone_has_the_same_history(void **state)
{
	struct bench *b = *state;
	char *bare = xasprintf("%s-bare", b->path), *tree = xasprintf("%s-tree", b->path);
	char *main_bare;

	make_history(b);
	free(git(b, NULL, "clone", "-q", "--bare", "--no-local", b->path, bare, NULL));
	main_bare = xasprintf("--git-dir=%s", bare);
	free(git(b, NULL, main_bare, "gc", "-q", "--aggressive", "--prune=now", NULL));
	free(git(b, NULL, "clone", "-q", "--no-local", b->path, tree, NULL));
	expect_same(b, bare);
	expect_same(b, tree);
	free(main_bare);
	free(bare);
	free(tree);
}

/* Sizes by differences, against what the store itself says of each. */
static int check_bytes(void *ctx, const struct snapshot *s, const struct snapshot_stats *t,
		       struct err *err)
{
	struct bench *b = ctx;
	uint64_t sum = 0;
	struct mailbox_list list = { 0 };

	b->cfg.snapshot = s->id;
	bench_open_as(b, STORE_READ);
	must(store_list(b->st, NULL, &list, err), err);
	for (size_t i = 0; i < list.n; i++) {
		struct mailbox *mb;
		struct changes c;

		must(mailbox_open(b->st, &list.v[i], STORE_READ, &mb, err), err);
		bench_changes(mb, &c);
		for (size_t k = 0; k < c.n; k++)
			sum += c.v[k].size;
		changes_release(&c);
	}
	assert_int_equal(t->bytes, sum);
	assert_true(sum > 0);
	mailbox_list_release(&list);
	bench_close(b);
	return 0;
}

static void test_sizes_are_those_of_the_store_at_that_moment(void **state)
{
	struct bench *b = *state;
	struct history *h;
	struct err err = { 0 };

	make_history(b);
	h = open_history(b);
	must(history_each(h, SIZE_MAX, check_bytes, b, &err), &err);
	history_close(h);
}

/* As after a change of UIDVALIDITY. */
static void test_another_message_under_the_same_uid_is_one_that_went_and_one_that_came(void **state)
{
	struct bench *b = *state;
	struct buf got = BUF_INIT(1 << 16);
	struct history *h;
	struct err err = { 0 };

	bench_open(b);
	put(b, "INBOX", 1, "one");
	put(b, "INBOX", 2, "two");
	snapshot(b);
	expunge(b, "INBOX", "2");
	put(b, "INBOX", 2, "two, and that is longer");
	snapshot(b);
	bench_close(b);
	h = open_history(b);
	must(history_each(h, SIZE_MAX, on_stats, &got, &err), &err);
	assert_string_equal(buf_str(&got), "1 2: +1 -1 ~0\n1 2: +2 -0 ~0\n");
	must(history_each(h, SIZE_MAX, check_bytes, b, &err), &err);
	history_close(h);
	buf_release(&got);
}

/* --- what was deleted --- */

static int on_deleted(void *ctx, const struct deleted *d, struct err *err)
{
	char *name = mailbox_name_text(d->mailbox);

	(void)err;
	buf_addf(ctx, "%s %u %zu%s\n", name, d->uid, d->snapshot, d->moved ? " moved" : "");
	free(name);
	return 0;
}

static void expect_deleted(const struct bench *b, int day, const char *want)
{
	struct buf got = BUF_INIT(1 << 16);
	struct history *h = open_history(b);
	struct err err = { 0 };

	must(history_deleted_since(h, noon(day), on_deleted, &got, &err), &err);
	if (strcmp(buf_str(&got), want) != 0)
		test_die("since day %d:\n%sinstead of\n%s", day, buf_str(&got), want);
	history_close(h);
	buf_release(&got);
}

static void test_what_was_deleted_since_then_is_found(void **state)
{
	struct bench *b = *state;

	make_history(b);
	expect_deleted(b, 27, "INBOX 2 4 moved\nINBOX 5 1\nOffice 1 1\n");
	expect_deleted(b, 28, "INBOX 2 4 moved\nINBOX 5 1\nOffice 1 1\n");
	expect_deleted(b, 29, "INBOX 5 1\nOffice 1 1\n");
	expect_deleted(b, 32, "");
	expect_deleted(b, 1, "INBOX 2 4 moved\nINBOX 5 1\nOffice 1 1\n"); /* before the oldest */
	expect_deleted(b, 100, "");
}

static void test_equal_messages_are_counted(void **state)
{
	struct bench *b = *state;

	bench_open(b);
	put(b, "A", 1, "same");
	put(b, "A", 2, "same");
	put(b, "B", 1, "same");
	snapshot(b);
	expunge(b, "A", "1"); /* of three two are left: one is missing from A */
	snapshot(b);
	put(b, "A", 3, "same"); /* and now none */
	put(b, "A", 4, "short-lived");
	snapshot(b);
	expunge(b, "A", "2,3,4");
	put(b, "B", 2, "same");
	snapshot(b);
	retime(b);
	expect_deleted(b, 27, "A 2 1 moved\nA 3 1\nA 4 1\n");
}

/* As after a new UIDVALIDITY; whichever of the two UIDs is the lower. */
static void test_a_message_under_a_new_uid_is_not_deleted(void **state)
{
	struct bench *b = *state;

	bench_open(b);
	put(b, "INBOX", 5, "one");
	put(b, "INBOX", 6, "two");
	snapshot(b);
	expunge(b, "INBOX", "5,6");
	put(b, "INBOX", 1, "two");
	put(b, "INBOX", 7, "one");
	snapshot(b);
	retime(b);
	expect_deleted(b, 27, "");
}

static void test_a_mailbox_that_is_gone_gives_all_its_messages(void **state)
{
	struct bench *b = *state;
	struct mailbox_name name;
	struct err err = { 0 };

	bench_open(b);
	put(b, "Old/a%2Fb", 1, "one");
	put(b, "Old/a%2Fb", 20001, "two");
	put(b, "INBOX", 1, "stays");
	snapshot(b);
	expunge(b, "Old/a%2Fb", "1,20001");
	bench_commit(b);
	name_of("Old/a%2Fb", &name);
	must(store_remove(b->st, &name, &err), &err);
	mailbox_name_release(&name);
	snapshot(b);
	retime(b);
	expect_deleted(b, 27, "Old/a%2Fb 1 1\nOld/a%2Fb 20001 1\n");
}

/* --- the commands --- */

static void run(struct proc_result *res, const char *a1, const char *a2, const char *a3,
		const char *a4, const char *a5)
{
	const char *argv[] = { program_path(), a1, a2, a3, a4, a5, NULL };
	const char *env[] = { "TZ=UTC", "LC_ALL=C.UTF-8", "MAILCASK_CONFIG=/nonexistent", NULL };
	struct proc_opts opts = { .env = env };

	proc_run(res, &opts, argv);
}

static void shows(struct proc_result *res, int status, const char *what)
{
	const struct buf *where = status == 0 ? &res->out : &res->err;

	if (res->status != status || !strstr(buf_str(where), what))
		test_die("exit %d instead of %d, and this, not '%s':\n%s%s", res->status, status,
			 what, buf_str(&res->out), buf_str(&res->err));
	proc_result_release(res);
}

/* They are no damaged archives. */
static void test_a_clone_that_borrows_or_lacks_objects_says_how_to_have_all(void **state)
{
	struct bench *b = *state;
	char *shared = xasprintf("%s-shared", b->path), *shallow = xasprintf("%s-shallow", b->path);
	char *url = xasprintf("file://%s", b->path), *borrowed = path_join(shared, "objects/info/alternates");
	struct proc_result res;

	make_history(b);
	free(git(b, NULL, "clone", "-q", "--bare", "--shared", b->path, shared, NULL));
	run(&res, "ls", shared, NULL, NULL, NULL);
	shows(&res, 1, "borrows objects of another repository");
	git_do(shared, "repack", "-q", "-a", "-d");
	assert_int_equal(unlink(borrowed), 0);
	expect_same(b, shared);
	free(git(b, NULL, "clone", "-q", "--bare", "--depth=2", url, shallow, NULL));
	run(&res, "ls", shallow, NULL, NULL, NULL);
	shows(&res, 0, "INBOX");
	run(&res, "diff", shallow, "latest~3", NULL, NULL);
	shows(&res, 1, "is a clone without its older snapshots");
	git_do(shallow, "fetch", "-q", "--unshallow");
	expect_same(b, shallow);
	free(borrowed);
	free(shared);
	free(shallow);
	free(url);
}

static void test_the_commands_look_at_any_moment(void **state)
{
	struct bench *b = *state;
	char *then = xasprintf("%s@2024-02-27", b->path), *later = xasprintf("%s@latest", b->path);
	char *before = xasprintf("%s@2020-01-01", b->path);
	struct proc_result res;

	make_history(b);
	run(&res, "ls", then, NULL, NULL, NULL);
	shows(&res, 0, "  Work\n");
	run(&res, "ls", later, NULL, NULL, NULL);
	shows(&res, 0, "  Office\n");
	run(&res, "show", "--raw", then, "INBOX", "3");
	shows(&res, 0, "three");
	run(&res, "show", "--raw", later, "INBOX", "3");
	shows(&res, 10, "INBOX has no message 3 at that moment");
	run(&res, "ls", before, NULL, NULL, NULL);
	shows(&res, 10, "there is no snapshot as old as 2020-01-01; the oldest is ");
	free(then);
	free(later);
	free(before);
}

static void test_restore_brings_back_any_moment(void **state)
{
	struct bench *b = *state;
	char *then = xasprintf("%s@2024-02-27", b->path), *target = xasprintf("%s-then", b->path);
	struct proc_result res;
	struct history *h;
	char *found;

	make_history(b);
	h = open_history(b);
	found = xasprintf("@2024-02-27 (%.8s of 2024-02-27 12:00:00) to ", history_snapshot(h, 5)->id);
	history_close(h);
	run(&res, "restore", then, target, NULL, NULL);
	shows(&res, 0, found); /* which moment a time turned out to be */
	free(found);
	run(&res, "ls", target, NULL, NULL, NULL);
	shows(&res, 0, "       3         3       11 B  INBOX\n"
		       "       1         1        4 B  Work\n");
	free(then);
	free(target);
}

static void test_snapshots_lists_them(void **state)
{
	struct bench *b = *state;
	char *spec = xasprintf("%s@latest", b->path);
	struct proc_result res;
	struct history *h;
	char *want;

	make_history(b);
	h = open_history(b);
	want = xasprintf(
		"ID        TIME                 MAILBOXES   MESSAGES       SIZE       NEW   REMOVED  "
		"   FLAGS\n"
		"%.8s  2024-03-03 12:00:00          2          3       %s         0         2         0\n"
		"%.8s  2024-03-02 12:00:00          2          5       %s         1         1         0\n",
		history_snapshot(h, 0)->id, "10 B", history_snapshot(h, 1)->id, "19 B");
	run(&res, "snapshots", "--last=2", b->path, NULL, NULL);
	shows(&res, 0, want);
	run(&res, "snapshots", "--json", "-n1", b->path, NULL);
	shows(&res, 0, "\"time\":\"2024-03-03T12:00:00+00:00\"");
	run(&res, "snapshots", "-n0", b->path, NULL, NULL);
	shows(&res, 2, "'0' is not a number above 0");
	run(&res, "snapshots", spec, NULL, NULL, NULL);
	shows(&res, 2, "all snapshots are listed");
	history_close(h);
	free(want);
	free(spec);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_snapshots_are_found_by_time_place_and_id),
		TEST(test_a_name_that_no_snapshot_has_says_which_there_are),
		TEST(test_an_id_that_several_begin_with_lists_them),
		TEST(test_an_archive_whose_first_run_has_not_ended_has_no_snapshots),
		TEST(test_snapshots_newer_than_one_that_is_lost_are_reached),
		TEST(test_each_snapshot_tells_what_it_holds_and_what_changed),
		TEST(test_a_clone_has_the_same_history),
		TEST(test_sizes_are_those_of_the_store_at_that_moment),
		TEST(test_another_message_under_the_same_uid_is_one_that_went_and_one_that_came),
		TEST(test_what_was_deleted_since_then_is_found),
		TEST(test_equal_messages_are_counted),
		TEST(test_a_message_under_a_new_uid_is_not_deleted),
		TEST(test_a_mailbox_that_is_gone_gives_all_its_messages),
		TEST(test_a_clone_that_borrows_or_lacks_objects_says_how_to_have_all),
		TEST(test_the_commands_look_at_any_moment),
		TEST(test_restore_brings_back_any_moment),
		TEST(test_snapshots_lists_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
