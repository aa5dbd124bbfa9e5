/* Looking into a store with `ls` and `show`: the program, on every kind of local store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test stores[] = {
	{ "maildir, fs", &maildir_store, "fs" },
	{ "maildir, maildir++", &maildir_store, "maildir++" },
	{ "git", &git_store, NULL },
};

static const char letter[] =
	"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\r\n"
	"To: Anna <anna@example.org>,\r\n Bob <bob@example.org>\r\n"
	"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= \x1b[31m\r\n"
	"Date: Thu, 29 Feb 2024 12:00:00 +0100\r\n"
	"Message-ID: <1@example.org>\r\n"
	"X-Long: a\r\n b\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=b\r\n"
	"\r\n"
	"--b\r\n"
	"Content-Type: text/plain; charset=iso-8859-1\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"Sch=F6n!\tC:\\x =1B[2J\r\n"
	"--b\r\n"
	"Content-Type: image/png\r\n"
	"Content-Disposition: attachment; filename=\"a\x1b.png\"\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"\r\n"
	"AAEC/w==\r\n"
	"--b--\r\n";

/* Given to the program; the answers are the caller's. */
static void run(struct proc_result *res, const char *a1, const char *a2, const char *a3,
		const char *a4, const char *a5, const char *a6)
{
	const char *argv[] = { program_path(), a1, a2, a3, a4, a5, a6, NULL };
	const char *env[] = { "TZ=UTC", "LC_ALL=C.UTF-8", "MAILCASK_CONFIG=/nonexistent", NULL };
	struct proc_opts opts = { .env = env };

	proc_run(res, &opts, argv);
}

#define RUN(res, ...) RUN_(res, __VA_ARGS__, NULL, NULL, NULL, NULL, NULL, NULL)
#define RUN_(res, a1, a2, a3, a4, a5, a6, ...) run(res, a1, a2, a3, a4, a5, a6)

static void expect(struct proc_result *res, int status, const char *out)
{
	if (res->status != status || (out && strcmp(buf_str(&res->out), out) != 0))
		test_die("exit %d instead of %d, and this:\n%s%s\ninstead of:\n%s", res->status,
			 status, buf_str(&res->out), buf_str(&res->err), out ? out : "");
	proc_result_release(res);
}

static void complains(struct proc_result *res, int status, const char *what)
{
	if (res->status != status || !strstr(buf_str(&res->err), what))
		test_die("exit %d instead of %d, and this, not '%s':\n%s%s", res->status, status,
			 what, buf_str(&res->out), buf_str(&res->err));
	assert_string_equal(buf_str(&res->out), "");
	proc_result_release(res);
}

/* INBOX: 1 plain, 2 the letter, 4 nothing in it; Work/Reports empty. */
static void fill(struct bench *b)
{
	struct mailbox *inbox, *other;
	struct put plain = { .body = bytes_of("From: a@example.org\r\nSubject: one\r\n\r\nhi\r\n"),
			     .flags = "\\Seen $Forwarded" };
	struct put full = { .body = bytes_of(letter), .flags = "\\Flagged",
			    .date = "29-Feb-2024 12:00:01 +0100" };
	struct put empty = { .body = bytes_of("") };

	bench_open(b);
	inbox = bench_mailbox(b, "INBOX");
	other = bench_mailbox(b, "Work/Reports");
	bench_put(inbox, 1, &plain, NULL);
	bench_put(inbox, 2, &full, NULL);
	bench_put(inbox, 4, &empty, NULL);
	bench_put_text(other, 1, "soon gone");
	bench_commit(b);
	{
		struct uidset all = set_of("1");
		struct err err = { 0 };

		must(mailbox_expunge(other, &all, &err), &err);
		uidset_release(&all);
	}
	bench_commit(b);
	bench_close(b);
}

/* The UID the store gave to what was put in with this source UID. */
static const char *uid(const struct bench *b, unsigned source)
{
	static char text[4][12];
	static unsigned turn;
	char *out = text[turn++ % 4];
	unsigned number = source == 4 && !(b->sut->ops->traits & STORE_HAS_HISTORY) ? 3 : source;

	snprintf(out, sizeof(text[0]), "%u", number);
	return out;
}

static void test_ls_lists_mailboxes_with_their_counts(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "ls", b->path);
	expect(&res, 0,
	       "MESSAGES    UNSEEN       SIZE  MAILBOX\n"
	       "       3         2      591 B  INBOX\n"
	       "       0         0        0 B  Work/Reports\n");
	RUN(&res, "ls", "--json", b->path);
	expect(&res, 0,
	       "{\"event\":\"mailbox\",\"mailbox\":\"INBOX\",\"messages\":3,\"unseen\":2,"
	       "\"bytes\":591,\"pending\":0,\"kept\":0,\"held\":0}\n"
	       "{\"event\":\"mailbox\",\"mailbox\":\"Work/Reports\",\"messages\":0,\"unseen\":0,"
	       "\"bytes\":0,\"pending\":0,\"kept\":0,\"held\":0}\n");
	RUN(&res, "ls", "--quiet", b->path);
	expect(&res, 0, "");
}

static void keep(struct bench *b, const char *uids, bool held)
{
	struct uidset set = set_of(uids);
	struct err err = { 0 };

	must(mailbox_keep(bench_find(b, "INBOX"), &set, held, &err), &err);
	bench_commit(b);
	uidset_release(&set);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void test_ls_counts_and_marks_kept_messages(void **state)
{
	static const char *const want[] = {
		"       2         2      550 B  INBOX  (and 1 kept)\n",
		"       1         1        0 B  INBOX  (and 2 kept, 1 of them held back by the guard)\n",
	};
	struct bench *b = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct proc_result res;

		bench_reopen(b);
		keep(b, i ? "2" : "1", i);
		bench_close(b);
		RUN(&res, "ls", b->path);
		if (!strstr(buf_str(&res.out), want[i]))
			test_die("ls says\n%s", buf_str(&res.out));
		proc_result_release(&res);
		RUN(&res, "ls", "--json", b->path);
		assert_non_null(strstr(buf_str(&res.out), i ? "\"kept\":2,\"held\":1" : "\"kept\":1,\"held\":0"));
		proc_result_release(&res);
		RUN(&res, "ls", b->path, "INBOX");
		assert_int_equal(count(buf_str(&res.out), "  (kept)\n"), i + 1);
		assert_int_equal(count(buf_str(&res.out), "\n"), 4);
		proc_result_release(&res);
	}
}

static void test_ls_lists_the_mailboxes_beside_a_damaged_one(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	git_damage(b->path, "refs/mailcask/wip:mailboxes/INBOX/messages");
	RUN(&res, "ls", b->path);
	assert_non_null(strstr(buf_str(&res.err), "INBOX cannot be read: "));
	expect(&res, 3,
	       "MESSAGES    UNSEEN       SIZE  MAILBOX\n"
	       "       0         0        0 B  Work/Reports\n");
}

static void test_ls_lists_messages_decoded_and_escaped(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *want;

	RUN(&res, "ls", b->path, "INBOX");
	want = xasprintf(
		"UID  DATE                   SIZE  FLAGS   FROM                    SUBJECT\n"
		"  1  1996-07-17 09:44       41 B  S+      a@example.org           one\n"
		"  2  2024-02-29 11:00      550 B  F       J\xc3\xb6rg                    "
		"Gr\xc3\xbc\xc3\x9f""e \\x1B[31m\n"
		"  %s  1996-07-17 09:44        0 B  -\n",
		uid(b, 4));
	expect(&res, 0, want);
	free(want);
	RUN(&res, "ls", b->path, "Work/Reports");
	expect(&res, 0, "UID  DATE                   SIZE  FLAGS   FROM                    SUBJECT\n");
}

static void test_ls_tells_programs_all_there_is(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *want;

	RUN(&res, "ls", "--json", b->path, "INBOX");
	want = xasprintf(
		"{\"event\":\"message\",\"uid\":1,\"date\":\"1996-07-17T02:44:25-07:00\",\"size\":41,"
		"\"flags\":[\"\\\\Seen\",\"$Forwarded\"],\"kept\":false,\"from\":\"a@example.org\","
		"\"subject\":\"one\"}\n"
		"{\"event\":\"message\",\"uid\":2,\"date\":\"2024-02-29T12:00:01+01:00\",\"size\":550,"
		"\"flags\":[\"\\\\Flagged\"],\"kept\":false,\"from\":\"J\\u00F6rg <joerg@example.org>\","
		"\"subject\":\"Gr\\u00FC\\u00DFe \\u001B[31m\",\"message_id\":\"<1@example.org>\","
		"\"sent\":\"2024-02-29T12:00:00+01:00\"}\n"
		"{\"event\":\"message\",\"uid\":%s,\"date\":\"1996-07-17T02:44:25-07:00\","
		"\"size\":0,\"flags\":[],\"kept\":false}\n",
		uid(b, 4));
	expect(&res, 0, want);
	free(want);
}

static void test_show_shows_text_and_lists_the_rest(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "show", b->path, "INBOX", uid(b, 2));
	expect(&res, 0,
	       "INBOX 2, 550 B, arrived 2024-02-29T12:00:01+01:00, flags \\Flagged\n"
	       "Date: Thu, 29 Feb 2024 12:00:00 +0100\n"
	       "From: J\xc3\xb6rg <joerg@example.org>\n"
	       "To: Anna <anna@example.org>, Bob <bob@example.org>\n"
	       "Subject: Gr\xc3\xbc\xc3\x9f""e \\x1B[31m\n"
	       "\n"
	       "Sch\xc3\xb6n!\tC:\\x \\x1B[2J\n"
	       "\n"
	       "Parts not shown (--part writes one):\n"
	       "  2               4 B  image/png                   a\\x1B.png\n");
}

static void test_show_names_the_message_that_is_damaged(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	for (size_t i = 0; i < mdir_count(b, "INBOX/cur"); i++) {
		char *file = mdir_file(b, "INBOX/cur", i);
		struct buf content = BUF_INIT(1 << 20);

		read_file(file, &content);
		if (content.n > 0)
			content.p[0] ^= 1;
		write_file(file, buf_bytes(&content));
		buf_release(&content);
		free(file);
	}
	RUN(&res, "show", b->path, "INBOX", "2");
	complains(&res, 1, "message 2 cannot be read: its content is not what was stored");
}

static void test_show_headers_shows_every_field(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "show", "--headers", b->path, "INBOX", uid(b, 2));
	expect(&res, 0,
	       "From: J\xc3\xb6rg <joerg@example.org>\n"
	       "To: Anna <anna@example.org>, Bob <bob@example.org>\n"
	       "Subject: Gr\xc3\xbc\xc3\x9f""e \\x1B[31m\n"
	       "Date: Thu, 29 Feb 2024 12:00:00 +0100\n"
	       "Message-ID: <1@example.org>\n"
	       "X-Long: a b\n"
	       "MIME-Version: 1.0\n"
	       "Content-Type: multipart/mixed; boundary=b\n");
}

static void test_show_raw_writes_every_byte(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "show", "--raw", b->path, "INBOX", uid(b, 2));
	expect(&res, 0, letter);
	RUN(&res, "show", "--raw", b->path, "INBOX", uid(b, 4));
	expect(&res, 0, "");
}

static void test_show_part_writes_an_attachment_as_a_file(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "show", "--part=2", b->path, "INBOX", uid(b, 2));
	assert_int_equal(res.status, 0);
	assert_int_equal(res.out.n, 4);
	assert_memory_equal(res.out.p, "\x00\x01\x02\xff", 4);
	proc_result_release(&res);
	RUN(&res, "show", "--part=3", b->path, "INBOX", uid(b, 2));
	complains(&res, 10, "the message has no part 3, only 1, 2");
}

static void test_show_tells_programs_all_there_is(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "show", "--json", b->path, "INBOX", uid(b, 2));
	expect(&res, 0,
	       "{\"event\":\"message\",\"mailbox\":\"INBOX\",\"uid\":2,\"size\":550,"
	       "\"date\":\"2024-02-29T12:00:01+01:00\",\"flags\":[\"\\\\Flagged\"],\"headers\":["
	       "{\"name\":\"From\",\"value\":\"J\\u00F6rg <joerg@example.org>\"},"
	       "{\"name\":\"To\",\"value\":\"Anna <anna@example.org>, Bob <bob@example.org>\"},"
	       "{\"name\":\"Subject\",\"value\":\"Gr\\u00FC\\u00DFe \\u001B[31m\"},"
	       "{\"name\":\"Date\",\"value\":\"Thu, 29 Feb 2024 12:00:00 +0100\"},"
	       "{\"name\":\"Message-ID\",\"value\":\"<1@example.org>\"},"
	       "{\"name\":\"X-Long\",\"value\":\"a b\"},"
	       "{\"name\":\"MIME-Version\",\"value\":\"1.0\"},"
	       "{\"name\":\"Content-Type\",\"value\":\"multipart/mixed; boundary=b\"}],"
	       "\"text\":\"Sch\\u00F6n!\\tC:\\\\x \\u001B[2J\",\"text_type\":\"text/plain\","
	       "\"text_is_cut\":false,\"parts\":["
	       "{\"part\":\"1\",\"type\":\"text/plain\",\"charset\":\"iso-8859-1\",\"size\":16,"
	       "\"attachment\":false},"
	       "{\"part\":\"2\",\"type\":\"image/png\",\"name\":\"a\\u001B.png\",\"size\":4,"
	       "\"attachment\":true}],\"parts_are_cut\":false}\n");
}

static void test_what_is_not_there_ends_with_10(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "ls", "/nonexistent/store");
	complains(&res, 10, "there is no store and no directory '/nonexistent/store'");
	RUN(&res, "ls", b->path, "INBOXX");
	complains(&res, 10, "there is no mailbox 'INBOXX'; did you mean 'INBOX'?");
	RUN(&res, "show", b->path, "INBOX", "77");
	complains(&res, 10, "INBOX has no message 77; 'mailcask ls' lists what there is");
	RUN(&res, "show", b->path, "No\x1bthing", "1");
	complains(&res, 10, "there is no mailbox 'No\\x1Bthing'");
}

static void test_a_command_line_that_means_nothing_ends_with_2(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "ls");
	complains(&res, 2, "a STORE is needed");
	RUN(&res, "ls", b->path, "INBOX", "1");
	complains(&res, 2, "a STORE is needed, and then perhaps a MAILBOX");
	RUN(&res, "show", b->path, "INBOX");
	complains(&res, 2, "a STORE, a MAILBOX and a UID are needed");
	RUN(&res, "show", b->path, "INBOX", "1:2");
	complains(&res, 2, "'1:2' is not a UID");
	RUN(&res, "show", "--raw", "--headers", b->path, "INBOX", "1");
	complains(&res, 2, "only one of --raw, --part and --headers");
}

static void test_a_store_without_history_has_no_snapshots(void **state)
{
	struct bench *b = *state;
	char *spec = xasprintf("%s@latest", b->path);
	struct proc_result res;

	if (!(b->sut->ops->traits & STORE_HAS_HISTORY)) {
		RUN(&res, "ls", spec);
		complains(&res, 2, "it has no snapshots");
	}
	free(spec);
}

static void test_looking_changes_nothing_and_waits_for_no_lock(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	bench_open(b); /* a backup is running */
	RUN(&res, "ls", b->path, "INBOX");
	expect(&res, 0, NULL);
	RUN(&res, "show", b->path, "INBOX", uid(b, 2));
	expect(&res, 0, NULL);
	bench_close(b);
}

/* More is written than a pipe holds, and the rest is not read: no word about that. */
static void first_line_only(const struct bench *b)
{
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c", "\"$0\" ls \"$1\" Large | head -n 1", program_path(),
		  b->path, NULL);
	assert_int_equal(res.status, 0);
	assert_string_equal(buf_str(&res.err), "");
	proc_result_release(&res);
}

/* 200 MB of them; the limit holds with sanitizers on two busy cores, too. */
static void test_a_thousand_large_messages_are_listed_at_once(void **state)
{
	struct bench *b = *state;
	struct buf body = BUF_INIT(1 << 24);
	struct put put;
	struct mailbox *mb;
	struct proc_result res;
	int64_t start;
	size_t lines = 0;

	buf_add_str(&body, "Subject: large\r\n\r\n");
	while (body.n < 200000)
		buf_add_str(&body, "0123456789 0123456789 0123456789 0123456789 0123456789\r\n");
	put = (struct put){ .body = buf_bytes(&body) };
	bench_open(b);
	mb = bench_mailbox(b, "Large");
	for (uint32_t i = 1; i <= 1000; i++)
		bench_put(mb, i, &put, NULL);
	bench_commit(b);
	bench_close(b);
	start = clock_ms();
	RUN(&res, "ls", b->path, "Large");
	start = clock_ms() - start;
	assert_int_equal(res.status, 0);
	for (size_t i = 0; i < res.out.n; i++)
		lines += res.out.p[i] == '\n';
	assert_int_equal(lines, 1001);
	if (start > 2000)
		test_die("listing 1,000 messages took %d ms", (int)start);
	proc_result_release(&res);
	first_line_only(b);
	buf_release(&body);
}

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	bench_init(b, *state);
	fill(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

#define ON(i, test) { #test, test, setup, teardown, (void *)(uintptr_t)&stores[i] }
#define ALL(i)                                                           \
	ON(i, test_ls_lists_mailboxes_with_their_counts), \
	ON(i, test_ls_counts_and_marks_kept_messages), \
	ON(i, test_ls_lists_messages_decoded_and_escaped), \
	ON(i, test_ls_tells_programs_all_there_is), \
	ON(i, test_show_shows_text_and_lists_the_rest), \
	ON(i, test_show_headers_shows_every_field), \
	ON(i, test_show_raw_writes_every_byte), \
	ON(i, test_show_part_writes_an_attachment_as_a_file), \
	ON(i, test_show_tells_programs_all_there_is), \
	ON(i, test_what_is_not_there_ends_with_10), \
	ON(i, test_a_command_line_that_means_nothing_ends_with_2), \
	ON(i, test_a_store_without_history_has_no_snapshots), \
	ON(i, test_looking_changes_nothing_and_waits_for_no_lock), \
	ON(i, test_a_thousand_large_messages_are_listed_at_once)

int main(void)
{
	const struct CMUnitTest tests[] = { ALL(0), ALL(1), ALL(2),
		ON(0, test_show_names_the_message_that_is_damaged),
		ON(2, test_ls_lists_the_mailboxes_beside_a_damaged_one) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
