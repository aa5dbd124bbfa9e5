/* Files of other programs as stores that can only be read: an mbox, and a directory of .eml files. */
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

#include "backends/mbox/eml_write.h"
#include "backends/mbox/mbox.h"
#include "core/base/mem.h"
#include "core/mail/maildate.h"
#include "core/mail/mailbox_name.h"
#include "tests/lib/conformance.h"
#include "tests/lib/support.h"

static const struct store_under_test mbox = { "mbox", &mbox_store, NULL };
static const struct store_under_test eml = { "eml", &eml_store, NULL };

static int setup_mbox(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, &mbox);
	*state = b;
	return 0;
}

static int setup_eml(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, &eml);
	mkdir(b->path, 0700);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

static void fill(const char *path, const char *text)
{
	write_file(path, bytes_of(text));
}

static void put(struct bench *b, const char *name, const char *text)
{
	char *path = path_join(b->path, name);

	fill(path, text);
	free(path);
}

static void make_dir(struct bench *b, const char *name)
{
	char *path = path_join(b->path, name);

	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
}

/* "NAME NAME": the mailboxes. */
static void has_mailboxes(struct bench *b, const char *want)
{
	struct mailbox_list list = { 0 };
	struct buf got = BUF_INIT(10000);
	struct err err = { 0 };

	must(store_list(b->st, NULL, &list, &err), &err);
	assert_true(list.complete);
	for (size_t i = 0; i < list.n; i++) {
		char *name = mailbox_name_text(&list.v[i].name);

		buf_addf(&got, "%s%s", i ? " " : "", name);
		free(name);
	}
	assert_string_equal(buf_str(&got), want);
	buf_release(&got);
	mailbox_list_release(&list);
}

/* "UID FLAGS DATE BODY" of every message, whose size is what was told before. */
static void holds(struct bench *b, const char *mailbox, const char *want)
{
	struct mailbox *mb = bench_find(b, mailbox);
	struct buf text = BUF_INIT(1 << 20);
	struct changes c;
	struct gots g;

	bench_changes(mb, &c);
	assert_true(c.complete);
	bench_fetch_all(mb, &g);
	assert_true(g.complete);
	assert_int_equal(g.n, c.n);
	for (size_t i = 0; i < g.n; i++) {
		struct buf flags = BUF_INIT(1000);

		assert_int_equal(g.v[i].uid, i + 1);
		assert_int_equal(c.v[i].uid, i + 1);
		assert_int_equal(c.v[i].size, g.v[i].body.n);
		assert_int_equal(g.v[i].size, g.v[i].body.n);
		assert_string_equal(bench_flags(&c, c.v[i].flags, &flags), buf_str(&g.v[i].flags));
		buf_addf(&text, "[%s] %s %s", buf_str(&g.v[i].flags), buf_str(&g.v[i].date),
			 buf_str(&g.v[i].body));
		buf_release(&flags);
	}
	assert_string_equal(buf_str(&text), want);
	buf_release(&text);
	gots_release(&g);
	changes_release(&c);
}

#define ANN "From ann@example.org Thu Feb 29 13:05:09 2024\n"
#define BOB "From bob Fri Mar  1 00:00:00 2024\n"

static void test_an_mbox_is_one_mailbox_called_like_the_file(void **state)
{
	struct bench *b = *state;
	struct uidset set = set_of("2,9");
	struct gots g;

	fill(b->path, ANN "Subject: a\nStatus: RO\n\n>From here\n\n" BOB "X-Status: A\n\ntwo\n\n");
	bench_open_as(b, STORE_READ);
	has_mailboxes(b, strrchr(b->path, '/') + 1);
	holds(b, strrchr(b->path, '/') + 1,
	      "[\\Seen] 29-Feb-2024 13:05:09 +0000 Subject: a\r\nStatus: RO\r\n\r\nFrom here\r\n"
	      "[\\Answered]  1-Mar-2024 00:00:00 +0000 X-Status: A\r\n\r\ntwo\r\n");
	bench_fetch(bench_find(b, strrchr(b->path, '/') + 1), &set, true, &g);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.unknown, 1);
	gots_release(&g);
	uidset_release(&set);
}

static void test_the_mailbox_can_be_called_otherwise(void **state)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	const struct mbox_settings set = { .mailbox = &name };
	struct bench *b = *state;
	struct err err = { 0 };

	must(mailbox_name_from_display(&name, bytes_of("Old/2019"), &err), &err);
	fill(b->path, ANN "Subject: a\n\n");
	b->cfg.settings = &set;
	bench_open_as(b, STORE_READ);
	has_mailboxes(b, "Old/2019");
	bench_close(b);
	mailbox_name_release(&name);
	must(mbox_name_of_path("/home/ann/Mail/Sent.MBOX", ".mbox", &name, &err), &err);
	assert_string_equal(name.components[0], "Sent");
	must(mbox_name_of_path("inbox/", ".mbox", &name, &err), &err);
	assert_true(mailbox_name_is_inbox(&name));
	must(mbox_name_of_path("a\xff.mbox", ".mbox", &name, &err), &err);
	assert_string_equal(name.components[0], "a=FF");
	assert_int_equal(name.wire.n, 0);
	assert_int_equal(mbox_name_of_path("/", ".mbox", &name, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	mailbox_name_release(&name);
}

static void open_fails(struct bench *b, enum err_kind kind, const char *text)
{
	struct err err = { 0 };

	assert_int_equal(store_open(b->sut->ops, &b->st, &b->cfg, STORE_READ, &err), -1);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.text, text))
		fail_msg("%s", err.text);
	b->st = NULL;
}

static void test_what_is_no_mbox_is_not_opened(void **state)
{
	struct bench *b = *state;

	open_fails(b, ERR_MISSING, b->path);
	fill(b->path, "PK\3\4\n");
	open_fails(b, ERR_FATAL, "line 1 (byte 0)");
	open_fails(b, ERR_FATAL, b->path);
	fill(b->path, ANN "Subject: a\n\none\n\nFrom x\nDate: today\n\n");
	open_fails(b, ERR_FATAL, "line 6 (byte 63)");
	unlink(b->path);
	assert_int_equal(mkdir(b->path, 0700), 0);
	open_fails(b, ERR_CONFIG, "not a file");
}

static int take_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	(void)ctx;
	(void)tag;
	(void)msg;
	(void)handle;
	(void)err;
	return 0;
}

static int take_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)handle;
	(void)piece;
	(void)err;
	return 0;
}

/* Counts those that came whole. */
static int take_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	size_t *whole = ctx;

	(void)handle;
	(void)msg;
	(void)err;
	*whole += complete;
	return 0;
}

static void ignore(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		   const struct err *why)
{
	(void)ctx;
	(void)tag;
	(void)uid;
	(void)what;
	(void)new_uid;
	(void)why;
}

static void fetch_fails(struct bench *b, const char *text)
{
	size_t whole = 0;
	const struct message_sink sink = { &whole, take_begin, take_write, take_end };
	struct uidset set = set_of("1:2");
	struct want want = { .mailbox = bench_find(b, strrchr(b->path, '/') + 1), .set = &set,
			     .exact = true };
	struct err err = { 0 };

	assert_int_equal(store_fetch(b->st, &want, 1, &sink, ignore, &whole, &err), -1);
	assert_int_equal(whole, 0);
	assert_false(want.complete);
	if (!strstr(err.text, text))
		fail_msg("%s", err.text);
	uidset_release(&set);
}

static void test_a_file_that_changed_meanwhile_is_noticed(void **state)
{
	struct bench *b = *state;

	fill(b->path, ANN "Subject: a\n\n" BOB "Subject: b\n\n");
	bench_open_as(b, STORE_READ);
	fill(b->path, BOB "Subject: b\n\n" ANN "Subject: a\n\nmore\n\n");
	fetch_fails(b, "changed while it was read");
	fill(b->path, BOB);
	fetch_fails(b, "became shorter while it was read");
}

/* --- eml --- */

static void test_directories_of_messages_are_mailboxes(void **state)
{
	struct bench *b = *state;
	const char *own = strrchr(b->path, '/') + 1;
	char *want = xasprintf("A=FF A=FF/below %s", own);

	put(b, "2.eml", "Date: Thu, 29 Feb 2024 13:05:09 +0100\nStatus: R\n\ntwo\n>From x\n");
	put(b, "10.EML", "Date: Fri, 1 Mar 2024 00:00:00 +0000\r\n\r\nten\n\r\n");
	put(b, "readme.txt", "no message");
	put(b, ".hidden.eml", "no message");
	make_dir(b, "A\xff");
	make_dir(b, "A\xff/below");
	make_dir(b, "empty");
	make_dir(b, ".git");
	put(b, "A\xff/a.eml", "");
	put(b, "A\xff/below/b.eml", "Subject: b\n");
	put(b, ".git/c.eml", "Subject: c\n");
	bench_open_as(b, STORE_READ);
	has_mailboxes(b, want);
	holds(b, own,
	      "[]  1-Mar-2024 00:00:00 +0000 Date: Fri, 1 Mar 2024 00:00:00 +0000\r\n\r\nten\n\r\n"
	      "[\\Seen] 29-Feb-2024 13:05:09 +0100 Date: Thu, 29 Feb 2024 13:05:09 +0100\r\n"
	      "Status: R\r\n\r\ntwo\r\n>From x\r\n");
	free(want);
}

/* Whatever the line ends, and in pieces of any size. */
static void test_messages_written_as_files_come_back_byte_for_byte(void **state)
{
	static const char *const texts[] = { "Subject: a\r\n\r\n>From x\r\n", "Subject: b\n\nx\n", "c\r\n\nd\ne",
					     "no end", "", "\r", "f\r\r\ng\n", "h\n\r" };
	enum { N = sizeof(texts) / sizeof(texts[0]) };

	for (size_t step = 1; step < 4; step++) {
		struct bench *b = *state;
		struct buf want = BUF_INIT(4096);
		struct maildate date = { 0 };
		struct eml_writer *w;
		struct err err = { 0 };

		remove_tree(b->path);
		mkdir(b->path, 0700);
		maildate_set(&date, 1709211909, 0);
		w = eml_writer_new(b->path, &err);
		for (uint32_t i = 0; i < N; i++) {
			eml_writer_begin(w);
			must(eml_writer_add(w, bytes_of("given up"), &err), &err);
			eml_writer_begin(w);
			for (size_t at = 0, n = strlen(texts[i]); at < n; at += step)
				must(eml_writer_add(w, bytes_from(texts[i] + at, n - at < step ? n - at : step), &err),
				     &err);
			must(eml_writer_end(w, i + 1, &date, &err), &err);
			buf_addf(&want, "[] 29-Feb-2024 13:05:09 +0000 %s", texts[i]);
		}
		eml_writer_free(w);
		bench_open_as(b, STORE_READ);
		holds(b, strrchr(b->path, '/') + 1, buf_str(&want));
		bench_close(b);
		buf_release(&want);
		maildate_release(&date);
	}
}

static void test_a_large_message_written_as_a_file_comes_back(void **state)
{
	struct bench *b = *state;
	char *path = path_join(b->path, "0000000007,X.eml");
	struct buf body = BUF_INIT(4 << 20), file = BUF_INIT(4 << 20);
	struct eml_writer *w;
	struct err err = { 0 };

	for (size_t i = 0; body.n < 3 << 20; i++)
		buf_addf(&body, "line %zu\n", i);
	w = eml_writer_new(b->path, &err);
	for (size_t i = 0; i < 2; i++) { /* the first one is given up */
		eml_writer_begin(w);
		must(eml_writer_add(w, buf_bytes(&body), &err), &err);
	}
	must(eml_writer_end(w, 7, NULL, &err), &err);
	eml_writer_begin(w);
	must(eml_writer_add(w, buf_bytes(&body), &err), &err);
	eml_writer_free(w);
	read_file(path, &file);
	assert_true(bytes_equal(buf_bytes(&file), buf_bytes(&body)));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(b->path), 0); /* nothing else is left */
	buf_release(&file);
	buf_release(&body);
	free(path);
}

static void test_directories_and_files_with_escapes_are_what_they_stand_for(void **state)
{
	struct bench *b = *state;

	make_dir(b, "a%2Fb");
	make_dir(b, "100%");
	put(b, "a%2Fb/1.eml", "Subject: 1\n");
	put(b, "100%/1.eml", "Subject: 1\n");
	bench_open_as(b, STORE_READ);
	has_mailboxes(b, "100%25 a%2Fb");
}

static void test_a_message_without_a_date_has_that_of_its_file(void **state)
{
	struct bench *b = *state;
	char *path = path_join(b->path, "a.eml");
	const struct timespec times[2] = { { 0 }, { .tv_sec = 1709211909 } };

	fill(path, "Subject: a\n\none");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	bench_open_as(b, STORE_READ);
	holds(b, strrchr(b->path, '/') + 1, "[] 29-Feb-2024 13:05:09 +0000 Subject: a\r\n\r\none");
	free(path);
}

static void test_links_lead_nowhere(void **state)
{
	struct bench *b = *state;
	char *link = path_join(b->path, "link.eml"), *loop = path_join(b->path, "loop");
	char *fifo = path_join(b->path, "fifo.eml");
	struct uidset set = set_of("1:2");
	struct gots g;

	put(b, "real.eml", "Subject: a\n");
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(symlink(".", loop), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	bench_open_as(b, STORE_READ);
	has_mailboxes(b, strrchr(b->path, '/') + 1);
	/* The fifo has a message's name, and is refused. */
	bench_fetch(bench_find(b, strrchr(b->path, '/') + 1), &set, true, &g);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.unknown, 0);
	assert_int_equal(g.v[0].uid, 2);
	assert_string_equal(buf_str(&g.v[0].body), "Subject: a\r\n");
	gots_release(&g);
	uidset_release(&set);
	free(link);
	free(loop);
	free(fifo);
}

static void test_mailboxes_can_be_put_below_one(void **state)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	const struct mbox_settings set = { .mailbox = &name };
	struct bench *b = *state;
	struct err err = { 0 };

	must(mailbox_name_from_display(&name, bytes_of("Old"), &err), &err);
	put(b, "a.eml", "Subject: a\n");
	make_dir(b, "Sub");
	put(b, "Sub/b.eml", "Subject: b\n");
	b->cfg.settings = &set;
	bench_open_as(b, STORE_READ);
	has_mailboxes(b, "Old Old/Sub");
	bench_close(b);
	mailbox_name_release(&name);
}

static void test_a_directory_without_messages_is_not_opened(void **state)
{
	struct bench *b = *state;

	make_dir(b, "Sub");
	put(b, "Sub/a.txt", "no message");
	open_fails(b, ERR_MISSING, "no .eml file is in it");
}

static void test_two_directories_are_not_made_one_mailbox(void **state)
{
	struct bench *b = *state;
	const char *own = strrchr(b->path, '/') + 1;
	char *below = xasprintf("%s/b.eml", own);

	put(b, "a.eml", "Subject: a\n");
	make_dir(b, own);
	put(b, below, "Subject: b\n");
	open_fails(b, ERR_CONFIG, "one mailbox");
	free(below);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define MBOX(test) cmocka_unit_test_setup_teardown(test, setup_mbox, teardown)
#define EML(test) cmocka_unit_test_setup_teardown(test, setup_eml, teardown)
		MBOX(test_an_mbox_is_one_mailbox_called_like_the_file),
		MBOX(test_the_mailbox_can_be_called_otherwise),
		MBOX(test_what_is_no_mbox_is_not_opened),
		MBOX(test_a_file_that_changed_meanwhile_is_noticed),
		EML(test_directories_of_messages_are_mailboxes),
		EML(test_messages_written_as_files_come_back_byte_for_byte),
		EML(test_a_large_message_written_as_a_file_comes_back),
		EML(test_directories_and_files_with_escapes_are_what_they_stand_for),
		EML(test_a_message_without_a_date_has_that_of_its_file),
		EML(test_links_lead_nowhere),
		EML(test_mailboxes_can_be_put_below_one),
		EML(test_a_directory_without_messages_is_not_opened),
		EML(test_two_directories_are_not_made_one_mailbox),
	};

	return cmocka_run_group_tests_name("mbox and eml", tests, NULL, NULL);
}
