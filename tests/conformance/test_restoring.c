/* What restoring asks of the store that it reads and of the one that it fills. */
#include <errno.h>
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
#include "backends/imap/imap.h"
#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/conformance.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/support.h"

static const struct store_under_test stores[] = {
	{ "maildir, fs", &maildir_store, "fs" },
	{ "maildir, maildir++", &maildir_store, "maildir++" },
	{ "git", &git_store, NULL },
	{ "imap", &imap_store, NULL },
};

/* What contents() told: a line for each message, sorted. */
struct told {
	struct name_list lines;
	unsigned stop_after; /* 0: never */
};

static int tell(void *ctx, uint32_t uid, uint64_t size, const uint8_t sha256[CONTENT_HASH_SIZE],
		struct err *err)
{
	struct told *t = ctx;
	struct buf line = BUF_INIT(256);

	(void)uid;
	buf_addf(&line, "%llu ", (unsigned long long)size);
	for (size_t i = 0; i < CONTENT_HASH_SIZE; i++)
		buf_addf(&line, "%02x", sha256[i]);
	name_list_add(&t->lines, buf_str(&line));
	buf_release(&line);
	if (t->stop_after && t->lines.n == t->stop_after)
		return err_set(err, ERR_STOPPED, "enough");
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Fails the test unless `mb` holds exactly these. */
static void assert_contents(struct mailbox *mb, const char *const *bodies, size_t n)
{
	struct told got = { 0 };
	struct name_list want = { 0 };
	struct err err = { 0 };

	must(mailbox_contents(mb, NULL, tell, &got, &err), &err);
	for (size_t i = 0; i < n; i++) {
		char sha[SHA256_HEX_SIZE], *line;

		sha256_hex(bytes_of(bodies[i]), sha);
		line = xasprintf("%zu %s", strlen(bodies[i]), sha);
		name_list_add(&want, line);
		free(line);
	}
	assert_int_equal(got.lines.n, n);
	if (n > 0) {
		qsort(got.lines.name, n, sizeof(*got.lines.name), by_text);
		qsort(want.name, n, sizeof(*want.name), by_text);
	}
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got.lines.name[i], want.name[i]);
	name_list_release(&got.lines);
	name_list_release(&want);
}

static void test_contents_tell_each_message_once(void **state)
{
	static const char *const bodies[] = { "a\r\n", "twice\r\n", "twice\r\n", "bare\n", "",
					      "no end" };
	static const char *const fewer[] = { "a\r\n", "twice\r\n", "bare\n", "", "no end" };
	/* Servers make line ends CRLF, and take no message without a byte. */
	static const char *const mail[] = { "a\r\n", "twice\r\n", "twice\r\n", "b\r\n", "c\r\n",
					    "no end" };
	static const char *const fewer_mail[] = { "a\r\n", "twice\r\n", "b\r\n", "c\r\n", "no end" };
	struct bench *b = mdir_bench(state);
	const char *const *all = b->account ? mail : bodies;
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset second = set_of("2"), fourth = set_of("4");
	struct err err = { 0 };

	assert_contents(mb, NULL, 0);
	for (uint32_t i = 0; i < 6; i++)
		bench_put_text(mb, i + 1, all[i]);
	assert_contents(mb, all, 6); /* not committed yet, all the same */
	bench_commit(b);
	assert_contents(mb, all, 6);
	must(mailbox_expunge(mb, &second, &err), &err);
	must(mailbox_keep(mb, &fourth, false, &err), &err);
	bench_commit(b);
	bench_close(b);
	b->cfg.create = false;
	bench_open_as(b, STORE_READ);
	assert_contents(bench_find(b, "INBOX"), b->account ? fewer_mail : fewer, 5);
	uidset_release(&second);
	uidset_release(&fourth);
}

static void test_contents_end_when_the_listener_has_enough(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct told got = { .stop_after = 2 };
	struct err err = { 0 };

	for (uint32_t i = 1; i < 5; i++)
		bench_put_text(mb, i, "x\r\n");
	assert_int_equal(mailbox_contents(mb, NULL, tell, &got, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
	assert_int_equal(got.lines.n, 2);
	name_list_release(&got.lines);
	bench_commit(b); /* and the store is as it was */
}

static void test_kept_messages_are_read_when_asked_for(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset kept = UIDSET_INIT, held = UIDSET_INIT;
	struct put put = { .body = bytes_of("kept\r\n"), .flags = "\\Flagged $Work" };
	struct err err = { 0 };
	uint32_t uid;
	struct gots got;
	struct changes c;

	bench_put_text(mb, 11, "live\r\n");
	bench_put(mb, 12, &put, &uid);
	uidset_add(&kept, uid);
	put.body = bytes_of("held\r\n");
	bench_put(mb, 13, &put, &uid);
	uidset_add(&held, uid);
	put.body = bytes_of("kept\r\n");
	bench_commit(b);
	must(mailbox_keep(mb, &kept, false, &err), &err);
	must(mailbox_keep(mb, &held, true, &err), &err);
	bench_commit(b);
	b->cfg.create = false;
	for (int with = 0; with < 2; with++) {
		bench_close(b);
		b->cfg.with_kept = with;
		bench_open_as(b, STORE_READ);
		mb = bench_find(b, "INBOX");
		bench_changes(mb, &c);
		assert_int_equal(c.n, with ? 3 : 1);
		assert_true(c.complete);
		bench_fetch_all(mb, &got);
		assert_int_equal(got.n, with ? 3 : 1);
		for (size_t i = 0; i < got.n; i++)
			assert_int_equal(got.v[i].uid, c.v[i].uid);
		if (with) {
			assert_int_equal(c.v[1].source_uid, 0);
			assert_int_equal(c.v[1].size, put.body.n);
			assert_true(bytes_equal(buf_bytes(&got.v[1].body), put.body));
			assert_string_equal(buf_str(&got.v[1].flags), "\\Flagged $Work");
			assert_string_equal(buf_str(&got.v[1].date), PUT_DATE);
		}
		changes_release(&c);
		gots_release(&got);
	}
	uidset_release(&kept);
	uidset_release(&held);
}

static void test_a_message_bound_to_none_is_paired_with_none(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset first = set_of("1");
	struct err err = { 0 };
	struct changes c;

	bench_put_text(mb, 1, "same\r\n");
	bench_commit(b);
	must(mailbox_keep(mb, &first, false, &err), &err);
	bench_commit(b);
	assert_int_equal(bench_put_text(mb, 0, "same\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 0, "same\r\n"), OUTCOME_DONE);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.v[0].source_uid, 0);
	changes_release(&c);
	uidset_release(&first);
}

static void test_creating_what_exists_sets_its_attributes(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "Sent");
	struct mailbox_list list;
	struct err err = { 0 };

	bench_put_text(mb, 1, "x\r\n");
	must(store_create(b->st, &mb->name, MAILBOX_SENT | MAILBOX_SUBSCRIBED, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(bench_info(b, "Sent", &list)->attributes,
			 MAILBOX_SENT | MAILBOX_SUBSCRIBED);
	assert_int_equal(list.n, b->account ? 2 : 1); /* with INBOX, which is always there */
	assert_int_equal(list.v[list.n - 1].stored, 1);
	mailbox_list_release(&list);
}

/* What only a Maildir has: files of others. */

static void test_files_of_others_are_among_the_contents(void **state)
{
	static const char *const want[] = { "ours\r\n", "theirs\r\n", "theirs\r\n", "exact\n\r\n" };
	struct bench *b = mdir_bench(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");

	bench_put_text(mb, 1, "ours\r\n");
	bench_put_text(mb, 2, "deleted by a reader\r\n");
	bench_commit(b);
	mdir_put(b, "INBOX/cur/1.foreign:2,S", "theirs\n");
	mdir_put(b, "INBOX/new/2.foreign", "theirs\n");
	mdir_put(b, "INBOX/new/3.foreign,X", "exact\n\r\n");
	mdir_put(b, "INBOX/tmp/4.foreign", "on its way\n");
	/* A base name twice is one message. */
	mdir_put(b, "INBOX/new/1.foreign", "theirs\n");
	for (size_t i = 0; i < mdir_count(b, "INBOX/cur"); i++) {
		char *path = mdir_file(b, "INBOX/cur", i);
		struct buf body = BUF_INIT(1000);

		read_file(path, &body);
		if (strstr(buf_str(&body), "deleted"))
			unlink(path);
		buf_release(&body);
		free(path);
	}
	assert_contents(mb, want, 4);
}

static void test_a_strange_maildir_has_contents_without_becoming_ours(void **state)
{
	static const char *const want[] = { "Subject: a\r\n\r\nb\r\n", "Subject: a\r\n\r\nb\r\n",
					    "exact\r\n" };
	struct bench *b = mdir_bench(state);

	mdir_make_foreign(b);
	b->cfg.create = false;
	b->cfg.claim_foreign = true;
	bench_open_as(b, STORE_READ);
	assert_contents(bench_find(b, "INBOX"), want, 3);
	assert_int_equal(mdir_count(b, ""), 2);
}

static void make_maildir(const struct bench *b, const char *dir)
{
	static const char *const below[] = { "", "/cur", "/new", "/tmp" };

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		char *rest = xasprintf("%s%s", dir, below[i]), *path = mdir_path(b, rest);

		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			test_die_sys("mkdir %s", path);
		free(path);
		free(rest);
	}
}

static void test_the_layout_of_a_strange_maildir_is_seen(void **state)
{
	static const struct {
		const char *dirs[3], *mailboxes[3];
	} cases[] = {
		{ { "INBOX", "Work" }, { "INBOX", "Work" } },
		{ { "", ".Work" }, { "INBOX", "Work" } },
		{ { "", "Work" }, { "INBOX", "Work" } },
		{ { "" }, { "INBOX" } },
		{ { "Work", "Work/.hidden", ".hidden" }, { "Work" } },
		{ { "", ".A.B", "C" }, { "A/B", "INBOX" } },
	};
	struct bench *b = mdir_bench(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_list list = { 0 };
		struct err err = { 0 };
		size_t n = 0;

		bench_close(b);
		remove_tree(b->path);
		make_maildir(b, "");
		if (*cases[i].dirs[0])
			for (size_t k = 0; k < 3; k++) {
				static const char *const parts[] = { "cur", "new", "tmp" };
				char *path = mdir_path(b, parts[k]);

				rmdir(path);
				free(path);
			}
		for (size_t k = 0; k < 3 && cases[i].dirs[k]; k++)
			make_maildir(b, cases[i].dirs[k]);
		b->cfg.layout = NULL;
		b->cfg.create = false;
		b->cfg.claim_foreign = true;
		bench_open_as(b, STORE_READ);
		must(store_list(b->st, NULL, &list, &err), &err);
		for (; n < 3 && cases[i].mailboxes[n]; n++) {
			char *name = n < list.n ? mailbox_name_text(&list.v[n].name) : NULL;

			assert_non_null(name);
			assert_string_equal(name, cases[i].mailboxes[n]);
			free(name);
		}
		assert_int_equal(list.n, n);
		mailbox_list_release(&list);
	}
}

/* With a file of the same content there, which `adopt` lets be taken over: not by this one. */
static void test_restored_messages_never_take_files_of_others(void **state)
{
	struct bench *b = mdir_bench(state);
	struct mailbox *mb;

	mdir_make_foreign(b);
	b->cfg.adopt = true;
	bench_open(b);
	mb = bench_mailbox(b, "INBOX");
	assert_int_equal(bench_put_text(mb, 0, "exact\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 1, "exact\r\n"), OUTCOME_ADOPTED);
	bench_commit(b);
}

static size_t given_out_whole(struct bench *b)
{
	struct gots got;
	size_t n = 0;

	bench_fetch_all(bench_find(b, "INBOX"), &got);
	for (size_t i = 0; i < got.n; i++)
		n += got.v[i].complete && got.v[i].what == OUTCOME_DONE;
	gots_release(&got);
	return n;
}

/* As long as it was, so that only the checksum tells. */
static void test_a_changed_message_is_never_given_out_as_the_stored_one(void **state)
{
	static const char *const bodies[] = { "Subject: exact\nbare\r\n\r\n", "Subject: lf\r\n\r\n" };
	struct bench *b = mdir_bench(state);

	for (uint32_t i = 0; i < 2; i++)
		bench_put_text(bench_mailbox(b, "INBOX"), i + 1, bodies[i]);
	bench_commit(b);
	assert_int_equal(given_out_whole(b), 2);
	for (size_t i = 0; i < 2; i++) {
		char *file = mdir_file(b, "INBOX/cur", i);
		struct buf content = BUF_INIT(1 << 20);

		read_file(file, &content);
		content.p[0] ^= 1;
		write_file(file, buf_bytes(&content));
		assert_int_equal(given_out_whole(b), 1);
		content.p[0] ^= 1;
		write_file(file, buf_bytes(&content));
		assert_int_equal(given_out_whole(b), 2);
		buf_release(&content);
		free(file);
	}
}

#define ALL_TESTS(sut)                                                                     \
	FOR(sut, test_contents_tell_each_message_once),                                    \
	FOR(sut, test_contents_end_when_the_listener_has_enough),                          \
	FOR(sut, test_a_message_bound_to_none_is_paired_with_none),                        \
	FOR(sut, test_creating_what_exists_sets_its_attributes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL_TESTS(&stores[0]),
		ALL_TESTS(&stores[1]),
		ALL_TESTS(&stores[2]),
		ALL_TESTS(&stores[3]),
		/* An account tells its reader all that is there, whatever its ledger says. */
		FOR(&stores[0], test_kept_messages_are_read_when_asked_for),
		FOR(&stores[1], test_kept_messages_are_read_when_asked_for),
		FOR(&stores[2], test_kept_messages_are_read_when_asked_for),
		FOR(&stores[0], test_files_of_others_are_among_the_contents),
		FOR(&stores[0], test_a_strange_maildir_has_contents_without_becoming_ours),
		FOR(&stores[0], test_the_layout_of_a_strange_maildir_is_seen),
		FOR(&stores[0], test_restored_messages_never_take_files_of_others),
		FOR(&stores[0], test_a_changed_message_is_never_given_out_as_the_stored_one),
	};

	return cmocka_run_group_tests_name("restoring", tests, NULL, NULL);
}
