#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "backends/imap/imap.h"
#include "backends/maildir/maildir.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/support.h"

/* Every test below runs on each of these. */
static const struct store_under_test stores[] = {
	{ "maildir, fs", &maildir_store, "fs" },
	{ "maildir, maildir++", &maildir_store, "maildir++" },
	{ "git", &git_store, NULL },
};

/* The server holds the mail: only TESTS below. */
static const struct store_under_test account = { "imap", &imap_store, NULL };

static struct bench *bench_of(void **state)
{
	return *state;
}

/* Bodies that no real server sends, but that come back as they were. */
static const struct {
	const char *name;
	struct bytes body;
	bool mail; /* a server takes it and keeps it so */
} corpus[] = {
#define BODY(n, s) { n, { (const uint8_t *)(s), sizeof(s) - 1 }, false }
#define MAIL(n, s) { n, { (const uint8_t *)(s), sizeof(s) - 1 }, true }
	BODY("empty", ""),
	MAIL("plain", "Subject: a\r\n\r\nb\r\n"),
	MAIL("no final newline", "Subject: a\r\n\r\nb"),
	MAIL("no line end at all", "Subject"),
	BODY("bare LF only", "Subject: a\n\nb\n"),
	BODY("mixed", "Subject: a\r\n\r\nb\nc\r\n"),
	BODY("bare LF first", "\nSubject: a\r\n"),
	BODY("CR CR LF", "Subject: a\r\r\n\r\nb\r\n"),
	BODY("only CR CR LF", "\r\r\n"),
	MAIL("only CRLF", "\r\n"),
	BODY("only LF", "\n"),
	BODY("lone CR", "a\rb\r\nc\r"),
	BODY("only CR", "\r"),
	BODY("CR CR", "a\r\r"),
	BODY("NUL", "a\0b\r\n\0\r\n"),
	BODY("8 bit", "\x80\xff\xfe\r\n\xc3\xa4\r\n\xff"),
	BODY("LF CR", "a\n\rb\n\r"),
	BODY("CRLF then LF CR", "a\r\n\n\rb"),
	MAIL("8 bit, with line ends", "Subject: \xc3\xa4\r\n\r\n\x80\xff\xfe\r\n"),
	MAIL("a command", "Subject: a\r\n\r\nx DELETE INBOX\r\n)\r\n{5}\r\n"),
};
#define CORPUS_N (sizeof(corpus) / sizeof(corpus[0]))

/* Servers tell the moment, not always in the same zone. */
static void assert_date(const struct bench *b, const char *got, const char *want)
{
	struct maildate x, y;

	if (!b->account) {
		assert_string_equal(got, want);
		return;
	}
	maildate_init(&x);
	maildate_init(&y);
	assert_true(maildate_parse(&x, bytes_of(got)) && maildate_parse(&y, bytes_of(want)));
	if (x.unix_time != y.unix_time)
		fail_msg("%s, not %s", got, want);
	maildate_release(&x);
	maildate_release(&y);
}

static void test_bytes_come_back_as_they_went_in(void **state)
{
	static const size_t pieces[] = { 0, 1, 2, 7 };
	struct bench *b = bench_of(state);
	size_t put_at[CORPUS_N], n = 0;

	for (size_t i = 0; i < CORPUS_N; i++)
		if (!b->account || corpus[i].mail)
			put_at[n++] = i;
	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		struct mailbox *mb = bench_mailbox(b, "INBOX");
		struct gots got;

		for (size_t i = 0; i < n; i++) {
			struct put put = { .body = corpus[put_at[i]].body, .piece = pieces[p] };

			assert_int_equal(bench_put(mb, (uint32_t)(p * 100 + i + 1), &put, NULL),
					 OUTCOME_DONE);
		}
		bench_commit(b);
		bench_reopen(b);
		bench_fetch_all(bench_find(b, "INBOX"), &got);
		assert_true(got.complete);
		assert_int_equal(got.n, (p + 1) * n);
		for (size_t i = 0; i < got.n; i++) {
			size_t at = put_at[i % n];

			if (!bytes_equal(buf_bytes(&got.v[i].body), corpus[at].body))
				fail_msg("%s changed", corpus[at].name);
			assert_int_equal(got.v[i].what, OUTCOME_DONE);
			assert_date(b, buf_str(&got.v[i].date), PUT_DATE);
		}
		gots_release(&got);
	}
}

static void fill_lines(struct buf *out, size_t size, const char *ending)
{
	while (out->n < size) {
		buf_addf(out, "line %zu of a message that is long enough for pieces", out->n);
		buf_add_str(out, ending);
	}
}

/* Larger than what is gathered in memory, with the line ends turning at the very end. */
static void test_large_bodies_come_back_as_they_went_in(void **state)
{
	static const struct {
		size_t size, piece;
		const char *ending, *tail;
		bool mail;
	} cases[] = {
		{ 1024 * 1024 + 5, 0, "\r\n", "", true },
		{ 1024 * 1024 + 5, 4096, "\r\n", "late\n", false },
		{ 3 * 1024 * 1024, 65536, "\r\n", "late\r\r\n", false },
		{ 3 * 1024 * 1024, 1000, "\n", "no final newline", false },
		{ 5 * 1024 * 1024, 16384, "\r\n", "\r", false },
		{ 2 * 1024 * 1024, 0, "\r", "x", false },
		{ 5 * 1024 * 1024, 16384, "\r\n", "no final newline", true },
	};
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf body = BUF_INIT(SIZE_MAX / 4);
		struct uidset one = UIDSET_INIT;
		struct gots got;
		uint32_t uid;

		if (b->account && !cases[i].mail)
			continue;
		fill_lines(&body, cases[i].size, cases[i].ending);
		buf_add_str(&body, cases[i].tail);
		struct put put = { .body = buf_bytes(&body), .piece = cases[i].piece };

		bench_put(mb, (uint32_t)i + 1, &put, &uid);
		bench_commit(b);
		uidset_add(&one, uid);
		bench_fetch(mb, &one, true, &got);
		assert_int_equal(got.n, 1);
		assert_true(bytes_equal(buf_bytes(&got.v[0].body), buf_bytes(&body)));
		gots_release(&got);
		uidset_release(&one);
		buf_release(&body);
	}
}

/* Every CR and LF pattern of seven bytes across the edge of what is gathered. */
static void test_line_ends_at_the_edge_of_a_piece_stay(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	const size_t edge = 1024 * 1024;

	for (unsigned pattern = 0; pattern < 81; pattern++) {
		struct buf body = BUF_INIT(SIZE_MAX / 4);
		struct uidset one = UIDSET_INIT;
		struct gots got;
		uint32_t uid;

		while (body.n < edge - 2)
			buf_add_byte(&body, 'x');
		for (unsigned i = 0, p = pattern; i < 4; i++, p /= 3)
			buf_add_byte(&body, (uint8_t)"\r\ny"[p % 3]);
		struct put put = { .body = buf_bytes(&body), .piece = edge - 1 };

		bench_put(mb, pattern + 1, &put, &uid);
		uidset_add(&one, uid);
		bench_commit(b);
		bench_fetch(mb, &one, true, &got);
		if (!bytes_equal(buf_bytes(&got.v[0].body), buf_bytes(&body)))
			fail_msg("pattern %u changed", pattern);
		gots_release(&got);
		uidset_release(&one);
		buf_release(&body);
	}
}

struct open_message {
	void *handle;
	struct flags flags;
	struct maildate date;
	struct message msg;
	struct buf body;
	bool told; /* the size is told beforehand */
};

static void begin_message(const struct message_sink *sink, struct open_message *m, uint32_t uid,
			  size_t size, const char *ending, bool told)
{
	struct err err = { 0 };

	*m = (struct open_message){ .told = told };
	buf_init(&m->body, SIZE_MAX / 4);
	fill_lines(&m->body, size, ending);
	maildate_init(&m->date);
	maildate_parse(&m->date, bytes_of(PUT_DATE));
	m->msg = (struct message){ .uid = uid, .flags = &m->flags, .date = &m->date,
				   .size = told ? m->body.n : 0 };
	must(sink->begin(sink->ctx, NULL, &m->msg, &m->handle, &err), &err);
}

/* As from several connections: pieces of different messages take turns, and end in another order. */
static void test_messages_may_arrive_interleaved(void **state)
{
	static const size_t sizes[] = { 3 << 20, 100, 2 << 20, 70000, 5 << 20, 1 << 20 };
	enum { N = sizeof(sizes) / sizeof(sizes[0]), PIECE = 65536 };
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct open_message m[N];
	struct message_sink sink;
	struct err err = { 0 };
	struct gots got;

	must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
	for (size_t i = 0; i < N; i++)
		begin_message(&sink, &m[i], (uint32_t)i + 1, sizes[i],
			      b->account || i % 2 == 0 ? "\r\n" : "\n", i % 3 != 1);
	for (size_t at = 0; at < (6 << 20); at += PIECE)
		for (size_t i = 0; i < N; i++) {
			size_t n = m[i].body.n - (at < m[i].body.n ? at : m[i].body.n);

			if (n > 0)
				must(sink.write(sink.ctx, m[i].handle,
						bytes_from(m[i].body.p + at, n < PIECE ? n : PIECE),
						&err), &err);
		}
	must(sink.end(sink.ctx, m[4].handle, NULL, false, &err), &err); /* this one was cut */
	for (size_t i = N; i > 0; i--)
		if (i != 5)
			must(sink.end(sink.ctx, m[i - 1].handle, &m[i - 1].msg, true, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, N - 1);
	for (size_t i = 0; i < got.n; i++) {
		size_t found = 0;

		for (size_t k = 0; k < N; k++)
			found += k != 4 && bytes_equal(buf_bytes(&got.v[i].body),
						       buf_bytes(&m[k].body));
		assert_int_equal(found, 1);
	}
	gots_release(&got);
	for (size_t i = 0; i < N; i++) {
		buf_release(&m[i].body);
		maildate_release(&m[i].date);
	}
}

static void test_flags_keywords_and_dates_come_back(void **state)
{
	static const struct {
		const char *flags, *date;
	} cases[] = {
		{ "", " 7-Feb-1994 21:52:25 -0800" },
		{ "\\Seen \\Answered \\Flagged \\Deleted \\Draft", "01-Jan-1970 00:00:01 +0000" },
		{ "\\Seen $Label1 NonJunk $Forwarded", "17-Jul-2016 02:44:25 +1400" },
		/* Of these servers keep no more than a part. */
		{ "$Forwarded", "not a date" },
		{ "", "31-Dec-1969 23:59:59 -0000" },
		{ "\"a b\" \xc3\xa4 \\Foo", "17-Jul-2096 02:44:25 +1400" },
	};
	struct bench *b = bench_of(state);
	const size_t n = b->account ? 3 : sizeof(cases) / sizeof(cases[0]);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct buf text = BUF_INIT(4096);
	struct changes c;
	struct gots got;

	for (size_t i = 0; i < n; i++) {
		struct put put = { .body = bytes_of("a\r\n"), .flags = cases[i].flags,
				   .date = cases[i].date };

		bench_put(mb, (uint32_t)i + 1, &put, NULL);
	}
	bench_commit(b);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	bench_changes(mb, &c);
	bench_fetch_all(mb, &got);
	assert_int_equal(c.n, n);
	assert_int_equal(got.n, n);
	for (size_t i = 0; i < n; i++) {
		struct flags want = FLAGS_INIT;

		flags_add_list(&want, bytes_of(cases[i].flags));
		assert_true(flags_equal(flag_table_get(c.flags, c.v[i].flags), &want));
		assert_int_equal(c.v[i].flags, c.v[i].base_flags);
		assert_date(b, buf_str(&got.v[i].date), cases[i].date);
		buf_clear(&text);
		flags_format(&want, &text);
		assert_string_equal(buf_str(&got.v[i].flags), buf_str(&text));
		flags_release(&want);
	}
	gots_release(&got);
	changes_release(&c);
	buf_release(&text);
}

static void test_changed_flags_become_the_base(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct put put = { .body = bytes_of("a\r\n"), .flags = "\\Seen $A" };
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct uidset set = set_of("1:2");
	struct buf text = BUF_INIT(4096);
	struct changes c;
	struct err err = { 0 };

	bench_put(mb, 1, &put, NULL);
	bench_commit(b);
	bench_put(mb, 2, &put, NULL); /* not committed yet when its flags change */
	flags_add_list(&delta.add, bytes_of("\\Flagged $B"));
	flags_add_list(&delta.remove, bytes_of("\\Seen $A"));
	must(mailbox_change_flags(mb, &set, &delta, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(bench_flags(&c, c.v[i].flags, &text), "\\Flagged $B");
		assert_int_equal(c.v[i].flags, c.v[i].base_flags);
	}
	changes_release(&c);
	flags_release(&delta.add);
	flags_release(&delta.remove);
	uidset_release(&set);
	buf_release(&text);
}

static void test_a_source_uid_is_stored_once(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "a/b");
	const struct mailbox_info *info;
	struct mailbox_list list;
	struct changes c;

	assert_int_equal(bench_put_text(mb, 7, "x\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 7, "x\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 9, "y\r\n"), OUTCOME_DONE);
	bench_commit(b);
	assert_int_equal(bench_put_text(mb, 7, "x\r\n"), OUTCOME_DONE);
	bench_commit(b);
	bench_reopen(b);
	info = bench_info(b, "a/b", &list);
	assert_non_null(info);
	assert_int_equal(info->stored, 2);
	assert_false(info->touched);
	assert_false(info->token.known);
	mailbox_list_release(&list);
	bench_changes(bench_find(b, "a/b"), &c);
	assert_true(c.complete);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.v[0].source_uid, 7);
	assert_int_equal(c.v[1].source_uid, 9);
	assert_int_equal(c.v[0].size, 3);
	assert_int_equal(c.token.messages, 2);
	changes_release(&c);
}

static void test_equal_messages_stay_two(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");

	assert_int_equal(bench_put_text(mb, 1, "same"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 2, "same"), OUTCOME_DONE);
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 2);
}

static void test_what_was_not_committed_is_gone(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset set = set_of("1");
	struct err err = { 0 };

	bench_put_text(mb, 1, "one");
	bench_commit(b);
	bench_put_text(mb, 2, "two");
	must(mailbox_expunge(mb, &set, &err), &err);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
	uidset_release(&set);
}

static void test_expunging_twice_is_no_error(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset set = set_of("1,3,7:900");
	struct err err = { 0 };
	struct changes c;

	for (uint32_t uid = 1; uid <= 3; uid++)
		bench_put_text(mb, uid, "x");
	bench_commit(b);
	for (int i = 0; i < 2; i++) {
		must(mailbox_expunge(mb, &set, &err), &err);
		bench_commit(b);
	}
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.v[0].source_uid, 2);
	assert_true(uidset_is_empty(&c.missing));
	changes_release(&c);
	uidset_release(&set);
}

static void test_kept_messages_are_taken_over_by_equal_ones(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset set = set_of("1:2"), third = set_of("3");
	struct put put = { .body = bytes_of("same\r\n"), .flags = "\\Flagged" };
	struct mailbox_list list;
	struct base base;
	struct err err = { 0 };
	struct changes c;

	bench_put_text(mb, 1, "same\r\n");
	bench_put_text(mb, 2, "same\r\n");
	bench_put_text(mb, 3, "other\r\n");
	bench_commit(b);
	must(mailbox_keep(mb, &set, true, &err), &err);
	must(mailbox_keep(mb, &third, false, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	assert_int_equal(bench_live(b), 0);
	assert_int_equal(bench_info(b, "INBOX", &list)->held, 2);
	assert_int_equal(list.v[0].stored, 0);
	mailbox_list_release(&list);
	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	assert_true(uidset_equal(&base.held, &set));
	base_release(&base);
	/* One to one: the third equal message finds none left. */
	assert_int_equal(bench_put(mb, 11, &put, NULL), OUTCOME_ADOPTED);
	assert_int_equal(bench_put(mb, 12, &put, NULL), OUTCOME_ADOPTED);
	assert_int_equal(bench_put(mb, 13, &put, NULL), OUTCOME_DONE);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(flag_table_get(c.flags, c.v[i].flags)->bits, FLAG_FLAGGED);
		assert_int_equal(c.v[i].flags, c.v[i].base_flags);
	}
	changes_release(&c);
	assert_int_equal(bench_info(b, "INBOX", &list)->held, 0);
	mailbox_list_release(&list);
	uidset_release(&set);
	uidset_release(&third);
}

static void test_a_moved_message_is_not_lost(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *from = bench_mailbox(b, "a"), *to = bench_mailbox(b, "b");
	struct uidset all = set_of("1:3"), none = set_of("9");
	struct removal r[2] = { { .mailbox = from, .set = &all }, { .mailbox = to, .set = &none } };
	struct err err = { 0 };

	bench_put_text(from, 1, "moved");
	bench_put_text(from, 2, "deleted");
	bench_put_text(from, 3, "deleted");
	bench_put_text(to, 1, "moved");
	bench_commit(b);
	must(store_count_lost(b->st, r, 2, &err), &err);
	assert_int_equal(r[0].lost, 2);
	assert_int_equal(r[1].lost, 0);
	uidset_add(&none, 1); /* and now the other copy goes as well */
	must(store_count_lost(b->st, r, 2, &err), &err);
	assert_int_equal(r[0].lost, 3);
	assert_int_equal(r[1].lost, 1);
	uidset_release(&all);
	uidset_release(&none);
}

static void test_the_base_is_remembered(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	char reason[] = "server says \"no\"";
	struct quarantined q[2] = { { .uid = 5, .size = 10, .reason = reason, .since = 77,
				      .attempts = 2, .last = 1720000000 },
				    { .uid = 8, .reason = reason, .accepted = true } };
	struct base set = { .token = { true, 3, 100, 50, UINT64_MAX / 2 },
			    .mailboxid = "F2212ea87-6097",
			    .known = set_of("1:10,4294967295"),
			    .quarantine = q, .n_quarantine = 2 };
	struct mailbox_list list;
	struct base got;
	struct err err = { 0 };

	base_init(&got);
	must(mailbox_base(mb, &got, &err), &err);
	assert_false(got.token.known);
	must(mailbox_set_base(mb, &set, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	must(mailbox_base(bench_find(b, "INBOX"), &got, &err), &err);
	assert_true(got.token.known);
	assert_int_equal(got.token.uidvalidity, 3);
	assert_int_equal(got.token.uidnext, 100);
	assert_int_equal(got.token.messages, 50);
	assert_true(got.token.highestmodseq == UINT64_MAX / 2);
	assert_string_equal(got.mailboxid, "F2212ea87-6097");
	assert_true(uidset_equal(&got.known, &set.known));
	assert_int_equal(got.n_quarantine, 2);
	assert_string_equal(got.quarantine[0].reason, reason);
	assert_int_equal(got.quarantine[0].since, 77);
	assert_int_equal(got.quarantine[0].last, 1720000000);
	assert_true(got.quarantine[1].accepted);
	assert_int_equal(bench_info(b, "INBOX", &list)->pending, 1);
	assert_int_equal(list.v[0].known, 11);
	assert_string_equal(list.v[0].mailboxid, "F2212ea87-6097");
	mailbox_list_release(&list);
	base_release(&got);
	/* Also by itself, before and after the rest was read. */
	for (int i = 0; i < 2; i++) {
		bench_reopen(b);
		mb = bench_find(b, "INBOX");
		if (i == 1)
			must(mailbox_base(mb, &got, &err), &err);
		must(mailbox_quarantine(mb, &got, &err), &err);
		assert_int_equal(got.n_quarantine, 2);
		assert_int_equal(got.quarantine[0].attempts, 2);
		assert_int_equal(got.quarantine[1].uid, 8);
		assert_true(uidset_is_empty(&got.known));
		base_release(&got);
	}
	uidset_release(&set.known);
}

static void test_renumbering_unbinds_the_others(void **state)
{
	static const uint32_t from[] = { 1, 2 }, to[] = { 2, 1 };
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct err err = { 0 };
	struct changes c;

	for (uint32_t uid = 1; uid <= 3; uid++)
		bench_put_text(mb, uid, "x");
	must(mailbox_renumber(mb, from, to, 2, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.v[0].source_uid, 2);
	assert_int_equal(c.v[1].source_uid, 1);
	assert_int_equal(c.v[2].source_uid, 0);
	changes_release(&c);
}

/* Of live ones, and of kept ones only when there is no live one. */
static void test_unbound_messages_are_taken_over_by_equal_ones(void **state)
{
	static const uint32_t from[] = { 1 }, to[] = { 11 };
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct put put = { .body = bytes_of("x"), .flags = "\\Flagged",
			   .date = " 1-Feb-2003 04:05:06 +0000" };
	struct uidset set = set_of("3");
	struct mailbox_list list;
	struct err err = { 0 };
	struct changes c;
	struct gots got;
	uint32_t uid;

	for (uint32_t i = 1; i <= 4; i++)
		bench_put_text(mb, i, i < 4 ? "x" : "y");
	must(mailbox_keep(mb, &set, false, &err), &err);
	must(mailbox_renumber(mb, from, to, 1, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	bench_changes(mb, &c);
	changes_release(&c);
	put.body = bytes_of("z");
	assert_int_equal(bench_put(mb, 20, &put, &uid), OUTCOME_DONE);
	bench_fetch_all(mb, &got);
	put.body = buf_bytes(&got.v[0].body);
	assert_int_equal(bench_put(mb, 0, &put, &uid), OUTCOME_DONE);
	assert_int_equal(bench_put(mb, 12, &put, &uid), OUTCOME_ADOPTED);
	assert_int_equal(uid, 2);
	bench_commit(b);
	gots_release(&got);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	assert_int_equal(bench_info(b, "INBOX", &list)->stored, 3);
	mailbox_list_release(&list);
	bench_fetch_all(mb, &got);
	assert_string_equal(buf_str(&got.v[1].flags), "\\Flagged");
	if (!b->account) /* what is there already has its date */
		assert_string_equal(buf_str(&got.v[1].date), put.date);
	bench_changes(mb, &c);
	assert_int_equal(c.n, 5);
	assert_int_equal(c.v[0].source_uid, 11);
	assert_int_equal(c.v[1].source_uid, 12);
	assert_int_equal(c.v[2].uid, 4);
	assert_int_equal(c.v[2].source_uid, 0);
	/* One more: the one put here by itself, and then the kept one. */
	put.body = buf_bytes(&got.v[0].body);
	assert_int_equal(bench_put(mb, 13, &put, &uid), OUTCOME_ADOPTED);
	assert_int_not_equal(uid, 3);
	assert_int_equal(bench_put(mb, 14, &put, &uid), OUTCOME_ADOPTED);
	assert_int_equal(uid, 3);
	assert_int_equal(bench_put(mb, 15, &put, &uid), OUTCOME_DONE);
	bench_commit(b);
	changes_release(&c);
	gots_release(&got);
	uidset_release(&set);
}

static void test_described_messages_have_date_and_size(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct put put = { .body = bytes_of("a\r\nb\r\n"), .date = " 1-Jan-1970 01:02:03 +0100" };
	struct put undated = { .body = bytes_of("c\n"), .date = "no date at all" };
	struct changes_request req = { .describe = true };
	struct changes c;
	struct base base;
	struct err err = { 0 };

	bench_put(mb, 4, &put, NULL);
	bench_put(mb, 7, &undated, NULL);
	bench_commit(b);
	bench_reopen(b);
	req.mailbox = bench_find(b, "INBOX");
	req.out = &c;
	base_init(&base);
	must(mailbox_base(req.mailbox, &base, &err), &err); /* as a run does first */
	base_release(&base);
	for (int again = 0; again < 2; again++) {
		changes_init(&c);
		must(store_changes(b->st, &req, 1, &err), &err);
		assert_int_equal(c.n, 2);
		assert_int_equal(c.v[0].size, 6);
		assert_true(c.dates[0] == 123);
		assert_int_equal(c.v[1].size, 2);
		assert_true(c.dates[1] == CHANGES_NO_DATE);
		changes_release(&c);
	}
}

static void test_copies_carry_content_flags_and_date(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *from = bench_mailbox(b, "a"), *to = bench_mailbox(b, "b");
	struct put put = { .body = bytes_of(b->account ? "x\r\n\r\n" : "x\n\r\n"),
			   .flags = "\\Seen $K" };
	struct uidset set = set_of("1");
	struct err err = { 0 };
	struct changes c;
	struct gots got;

	bench_put(from, 1, &put, NULL);
	bench_commit(b);
	must(mailbox_copy(from, &set, to, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	bench_fetch_all(bench_find(b, "b"), &got);
	assert_int_equal(got.n, 1);
	assert_true(bytes_equal(buf_bytes(&got.v[0].body), put.body));
	assert_string_equal(buf_str(&got.v[0].flags), "\\Seen $K");
	assert_date(b, buf_str(&got.v[0].date), PUT_DATE);
	gots_release(&got);
	bench_changes(bench_find(b, "b"), &c);
	assert_int_equal(c.v[0].source_uid, 0);
	changes_release(&c);
	uidset_release(&set);
}

static void test_fetching_exact_sets_reports_what_is_not_there(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset set = set_of("1:6");
	struct gots got;

	bench_put_text(mb, 1, "x");
	bench_put_text(mb, 2, "y");
	bench_commit(b);
	bench_fetch(mb, &set, true, &got);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.unknown, 4);
	assert_true(got.complete);
	gots_release(&got);
	uidset_release(&set);
}

static void test_hostile_names_stay_inside_and_come_back(void **state)
{
	static const char *const names[] = {
		"..", "../../x", "a%2Fb", "cur", "new/tmp", ".git", ".GIT", "Foo", "foo", "FOO",
		"%01%1B[2J", "a.b", "a/b", "~", "mailcask.db", "dovecot-keywords", ".", "a//b",
		"\xc3\xa4/\xe2\x82\xac", "-rf", " ", "a\\b", "INBOX", "INBOX/x", "%0A",
	};
	const size_t n = sizeof(names) / sizeof(names[0]);
	struct bench *b = bench_of(state);
	struct buf longest = BUF_INIT(4096);
	struct mailbox_list list = { 0 };
	struct name_list around = { 0 };
	struct err err = { 0 };

	while (longest.n < 300)
		buf_add_str(&longest, "\xc3\xa4");
	for (size_t i = 0; i < n; i++)
		bench_put_text(bench_mailbox(b, names[i]), 1, names[i]);
	bench_put_text(bench_mailbox(b, buf_str(&longest)), 1, "x");
	buf_add_str(&longest, "2");
	bench_put_text(bench_mailbox(b, buf_str(&longest)), 1, "x");
	bench_commit(b);
	bench_reopen(b);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_int_equal(list.n, n + 2);
	for (size_t i = 0; i < n; i++) {
		struct gots got;

		bench_fetch_all(bench_find(b, names[i]), &got);
		assert_int_equal(got.n, 1);
		assert_true(bytes_is(buf_bytes(&got.v[0].body), names[i]));
		gots_release(&got);
	}
	dir_entries(tmp_dir(), &around);
	for (size_t i = 0; i < around.n; i++)
		assert_memory_equal(around.name[i], "store-", 6);
	name_list_release(&around);
	mailbox_list_release(&list);
	buf_release(&longest);
}

static void test_wire_names_come_back_exactly(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct mailbox_list list = { 0 };
	struct err err = { 0 };

	mailbox_name_from_wire(&name, bytes_of("A&AOQ-.&bad.\xff"), '.', false);
	must(store_create(b->st, &name, MAILBOX_SENT | MAILBOX_SUBSCRIBED, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_true(list.complete);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.v[0].attributes, MAILBOX_SENT | MAILBOX_SUBSCRIBED);
	assert_true(mailbox_name_equal(&list.v[0].name, &name));
	assert_true(bytes_is(list.v[0].name.wire, "A&AOQ-.&bad.\xff"));
	mailbox_list_release(&list);
	mailbox_name_release(&name);
}

static void rename_box(struct bench *b, const char *from, const char *to)
{
	struct mailbox_name a = MAILBOX_NAME_INIT, c = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	must(mailbox_name_from_display(&a, bytes_of(from), &err), &err);
	must(mailbox_name_from_display(&c, bytes_of(to), &err), &err);
	must(store_rename(b->st, &a, &c, &err), &err);
	mailbox_name_release(&a);
	mailbox_name_release(&c);
}

static void list_has(struct bench *b, const char *name, const char *source)
{
	struct mailbox_name was = MAILBOX_NAME_INIT;
	struct mailbox_list list;
	const struct mailbox_info *info = bench_info(b, name, &list);
	char *text;

	assert_non_null(info);
	mailbox_name_source(&was, &info->name);
	text = mailbox_name_text(&was);
	assert_string_equal(text, source);
	assert_int_equal(info->name.mapped, strcmp(name, source) != 0);
	free(text);
	mailbox_name_release(&was);
	mailbox_list_release(&list);
}

static void test_a_mapped_mailbox_knows_what_it_is_elsewhere(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox_name source = MAILBOX_NAME_INIT, name = MAILBOX_NAME_INIT;
	struct err err = { 0 };

	mailbox_name_from_wire(&source, bytes_of("Entw&APw-rfe"), '.', false);
	must(mailbox_name_from_display(&name, bytes_of("Drafts/x"), &err), &err);
	mailbox_name_map(&name, &source, &name);
	must(store_create(b->st, &name, 0, &err), &err);
	bench_put_text(bench_find(b, "Drafts/x"), 1, "x");
	bench_commit(b);
	bench_reopen(b);
	list_has(b, "Drafts/x", "Entwürfe");
	/* One that is there takes over what it is said to be, with all that is in it. */
	mailbox_name_from_wire(&source, bytes_of("Old"), '.', false);
	mailbox_name_map(&name, &source, &name);
	must(store_create(b->st, &name, 0, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	list_has(b, "Drafts/x", "Old");
	assert_int_equal(bench_live(b), 1);
	rename_box(b, "Drafts/x", "Other");
	bench_reopen(b);
	list_has(b, "Other", "Other");
	mailbox_name_release(&source);
	mailbox_name_release(&name);
}

static void test_renaming_takes_what_is_below_along(void **state)
{
	struct bench *b = bench_of(state);
	struct gots got;

	bench_put_text(bench_mailbox(b, "a"), 1, "top");
	bench_put_text(bench_mailbox(b, "a/b"), 1, "below");
	bench_put_text(bench_mailbox(b, "ab"), 1, "beside");
	bench_commit(b);
	rename_box(b, "a", "c/d");
	bench_reopen(b);
	assert_int_equal(bench_live(b), 3);
	bench_fetch_all(bench_find(b, "c/d/b"), &got);
	assert_int_equal(got.n, 1);
	assert_true(bytes_is(buf_bytes(&got.v[0].body), "below"));
	gots_release(&got);
	bench_find(b, "ab");
}

static void test_only_an_empty_mailbox_is_removed(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "a");
	struct uidset set = set_of("1");
	struct mailbox_list list;
	struct err err = { 0 };

	bench_put_text(mb, 1, "x");
	bench_commit(b);
	assert_int_equal(store_remove(b->st, &mb->name, &err), -1);
	assert_int_equal(err.kind, ERR_MAILBOX);
	must(mailbox_expunge(mb, &set, &err), &err);
	must(store_remove(b->st, &mb->name, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	assert_null(bench_info(b, "a", &list));
	mailbox_list_release(&list);
	uidset_release(&set);
}

static void test_a_second_writer_is_refused(void **state)
{
	struct bench *b = bench_of(state);
	struct store *second;
	struct err err = { 0 };

	assert_int_equal(store_open(b->sut->ops, &second, &b->cfg, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	/* Readers are not. */
	must(store_open(b->sut->ops, &second, &b->cfg, STORE_READ, &err), &err);
	store_close(second);
}

static void test_every_commit_has_its_number(void **state)
{
	struct bench *b = bench_of(state);
	struct store_identity first, second;
	struct err err = { 0 };

	bench_put_text(bench_mailbox(b, "a"), 1, "x");
	bench_commit(b);
	bench_close(b);
	must(b->sut->ops->identify(&b->cfg, &first, &err), &err);
	assert_int_equal(first.presence, STORE_OURS);
	assert_string_equal(first.account, "user@host");
	bench_open(b);
	bench_put_text(bench_mailbox(b, "a"), 2, "y");
	bench_commit(b);
	bench_close(b);
	must(b->sut->ops->identify(&b->cfg, &second, &err), &err);
	assert_string_equal(first.uuid, second.uuid);
	assert_true(second.generation > first.generation);
	store_identity_release(&first);
	store_identity_release(&second);
}

static void test_nothing_is_made_where_nothing_is_expected(void **state)
{
	struct bench *b = bench_of(state);
	struct store_identity id;
	struct store *st;
	struct err err = { 0 };

	bench_close(b);
	remove_tree(b->path);
	must(b->sut->ops->identify(&b->cfg, &id, &err), &err);
	assert_int_equal(id.presence, STORE_MISSING);
	b->cfg.create = false;
	assert_int_equal(store_open(b->sut->ops, &st, &b->cfg, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_MISSING);
	must(b->sut->ops->identify(&b->cfg, &id, &err), &err);
	assert_int_equal(id.presence, STORE_MISSING);
}

static void test_another_account_starts_from_the_content(void **state)
{
	struct bench *b = bench_of(state);
	struct base base;
	struct err err = { 0 };

	bench_put_text(bench_mailbox(b, "INBOX"), 1, "x");
	bench_commit(b);
	bench_close(b);
	b->cfg.rebind = true;
	b->cfg.account = "other@host";
	bench_open(b);
	base_init(&base);
	must(mailbox_base(bench_find(b, "INBOX"), &base, &err), &err);
	assert_false(base.token.known);
	assert_true(uidset_is_empty(&base.held));
	base_release(&base);
	assert_int_equal(bench_live(b), 0);
	assert_int_equal(bench_put_text(bench_find(b, "INBOX"), 70, "x"), OUTCOME_ADOPTED);
	bench_commit(b);
	b->cfg.rebind = false;
	bench_reopen(b);
	assert_int_equal(bench_live(b), 1);
}

static int setup(void **state)
{
	const struct store_under_test *sut = *state;
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, sut);
	bench_open(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	bench_close(b);
	if (b->sut->ops == &git_store)
		git_check_all(b->path);
	bench_release(b);
	free(*state);
	return 0;
}

#define FOR(sut, test) { #test, test, setup, teardown, (void *)(uintptr_t)(sut) }
#define TESTS(sut)                                                               \
	FOR(sut, test_bytes_come_back_as_they_went_in),                                 \
	FOR(sut, test_large_bodies_come_back_as_they_went_in),                          \
	FOR(sut, test_messages_may_arrive_interleaved),                                 \
	FOR(sut, test_flags_keywords_and_dates_come_back),                              \
	FOR(sut, test_changed_flags_become_the_base),                                   \
	FOR(sut, test_a_source_uid_is_stored_once),                                     \
	FOR(sut, test_equal_messages_stay_two),                                         \
	FOR(sut, test_expunging_twice_is_no_error),                                     \
	FOR(sut, test_kept_messages_are_taken_over_by_equal_ones),                      \
	FOR(sut, test_a_moved_message_is_not_lost),                                     \
	FOR(sut, test_the_base_is_remembered),                                          \
	FOR(sut, test_renumbering_unbinds_the_others),                                  \
	FOR(sut, test_unbound_messages_are_taken_over_by_equal_ones),                   \
	FOR(sut, test_described_messages_have_date_and_size),                           \
	FOR(sut, test_copies_carry_content_flags_and_date),                             \
	FOR(sut, test_fetching_exact_sets_reports_what_is_not_there),                   \
	FOR(sut, test_a_mapped_mailbox_knows_what_it_is_elsewhere),                     \
	FOR(sut, test_renaming_takes_what_is_below_along),                              \
	FOR(sut, test_only_an_empty_mailbox_is_removed),                                \
	FOR(sut, test_a_second_writer_is_refused),                                      \
	FOR(sut, test_every_commit_has_its_number),                                     \
	FOR(sut, test_another_account_starts_from_the_content)
/*
 * What an account cannot promise: a server has its own line ends and names, says what it wants of special uses and
 * does at once what it is told; and an account is always there, so that its ledger is made where it is missing.
 */
#define LOCAL_TESTS(sut)                                                         \
	FOR(sut, test_line_ends_at_the_edge_of_a_piece_stay),                           \
	FOR(sut, test_hostile_names_stay_inside_and_come_back),                         \
	FOR(sut, test_wire_names_come_back_exactly),                                    \
	FOR(sut, test_what_was_not_committed_is_gone),                                  \
	FOR(sut, test_nothing_is_made_where_nothing_is_expected)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS(&stores[0]), LOCAL_TESTS(&stores[0]),
		TESTS(&stores[1]), LOCAL_TESTS(&stores[1]),
		TESTS(&stores[2]), LOCAL_TESTS(&stores[2]),
		TESTS(&account),
	};

	return cmocka_run_group_tests_name("stores", tests, NULL, NULL);
}
