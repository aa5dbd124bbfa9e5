/* What an account that is written to remembers: backends/imap/ledger.h, in a file of its own each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "backends/imap/ledger.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

#define TARGET "anna@mail.example.org"
#define OK(call)                                                                                 \
	do {                                                                                     \
		if ((call) < 0)                                                                  \
			fail_msg("%s", err.text);                                                \
	} while (0)

static char *path;
static struct ledger *l;
static struct ledger_box *inbox;
static struct err err;

static struct ledger_box *add_box(const char *name)
{
	struct mailbox_name n = MAILBOX_NAME_INIT;
	struct ledger_box *box = NULL;

	OK(mailbox_name_from_display(&n, bytes_of(name), &err));
	OK(ledger_box_add(l, &n, &box, &err));
	mailbox_name_release(&n);
	return box;
}

static struct ledger_box *find_box(const char *name)
{
	struct mailbox_name n = MAILBOX_NAME_INIT;
	struct ledger_box *box;

	OK(mailbox_name_from_display(&n, bytes_of(name), &err));
	box = ledger_box_find(l, &n);
	mailbox_name_release(&n);
	return box;
}

static int begin(void **state)
{
	static unsigned count;
	char *name = xasprintf("state%u/job.db", count++);

	(void)state;
	path = path_join(tmp_dir(), name);
	free(name);
	OK(ledger_open(&l, path, TARGET, STORE_WRITE, &err));
	inbox = add_box("INBOX");
	return 0;
}

static int end(void **state)
{
	(void)state;
	ledger_close(l);
	l = NULL;
	free(path);
	return 0;
}

static void open_again(void)
{
	ledger_close(l);
	OK(ledger_open(&l, path, TARGET, STORE_WRITE, &err));
	inbox = find_box("INBOX");
}

static const uint8_t *content(char c)
{
	static uint8_t sha256[CONTENT_HASH_SIZE];

	memset(sha256, c, sizeof(sha256));
	return sha256;
}

static void insert(struct ledger_box *box, uint32_t uid, uint32_t source_uid, char c, const char *flags)
{
	struct ledger_row row = { .uid = uid, .source_uid = source_uid, .size = 100 + uid,
				  .flags = bytes_of(flags), .date = bytes_of(" 7-Feb-1994 21:52:25 -0800") };

	if (c)
		row.sha256 = bytes_from(content(c), CONTENT_HASH_SIZE);
	OK(ledger_insert(l, box, &row, &err));
}

static struct uidset set_of(const char *text)
{
	struct uidset set = UIDSET_INIT;

	OK(uidset_parse(&set, bytes_of(text), UIDSET_STRICT, NULL, &err));
	return set;
}

static void change_flags(const char *uids, const char *add, const char *take)
{
	struct uidset set = set_of(uids);
	struct flag_delta delta = { 0 };

	flags_add_list(&delta.add, bytes_of(add));
	flags_add_list(&delta.remove, bytes_of(take));
	OK(ledger_change_flags(l, inbox, &set, &delta, &err));
	flags_release(&delta.add);
	flags_release(&delta.remove);
	uidset_release(&set);
}

static void keep(const char *uids, bool held)
{
	struct uidset set = set_of(uids);

	OK(ledger_keep(l, inbox, &set, held, &err));
	uidset_release(&set);
}

static void delete(const char *uids)
{
	struct uidset set = set_of(uids);

	OK(ledger_delete(l, inbox, &set, &err));
	uidset_release(&set);
}

static int write_row(void *ctx, const struct ledger_row *row, struct err *e)
{
	(void)e;
	buf_addf(ctx, "%u<%u%s(%.*s) ", row->uid, row->source_uid,
		 row->state == LEDGER_LIVE   ? ""
		 : row->state == LEDGER_KEPT ? "k"
					     : "h",
		 (int)row->flags.n, row->flags.n ? (const char *)row->flags.p : "");
	return 0;
}

static void assert_rows(const struct ledger_box *box, const char *want)
{
	struct buf got = BUF_INIT(65536);

	OK(ledger_each(l, box, NULL, write_row, &got, &err));
	assert_string_equal(buf_str(&got), want);
	buf_release(&got);
}

/* Also that a reader counts the same. */
static void assert_counts(const struct ledger_box *box, unsigned live, unsigned stored, unsigned kept,
			  unsigned held, unsigned bytes)
{
	assert_int_equal(box->live, live);
	assert_int_equal(box->stored, stored);
	assert_int_equal(box->kept, kept);
	assert_int_equal(box->held, held);
	assert_int_equal(box->bytes, bytes);
}

static void test_it_is_made_with_its_directory_and_nobody_else_may_read_it(void **state)
{
	struct store_identity id;
	struct stat sb;

	(void)state;
	OK(ledger_identify(path, TARGET, &id, &err));
	assert_int_equal(id.presence, STORE_OURS);
	assert_int_equal(strlen(id.uuid), 36);
	assert_null(id.account);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	store_identity_release(&id);
}

static void test_what_is_missing_is_said_to_be_and_is_not_made_by_looking(void **state)
{
	struct ledger *none = l;
	struct store_identity id;
	struct stat sb;
	char *other = path_join(tmp_dir(), "nowhere.db");

	(void)state;
	OK(ledger_identify(other, TARGET, &id, &err));
	assert_int_equal(id.presence, STORE_MISSING);
	OK(ledger_identify(NULL, TARGET, &id, &err));
	assert_int_equal(id.presence, STORE_MISSING);
	OK(ledger_open(&none, other, TARGET, STORE_READ, &err));
	assert_null(none);
	assert_int_equal(stat(other, &sb), -1);
	free(other);
}

static void test_the_ledger_of_another_account_is_held(void **state)
{
	struct store_identity id;
	struct ledger *other = NULL;

	(void)state;
	OK(ledger_commit(l, &err));
	assert_int_equal(ledger_identify(path, "ben@mail.example.org", &id, &err), -1);
	assert_int_equal(err.kind, ERR_HELD);
	assert_int_equal(ledger_open(&other, path, "ben@mail.example.org", STORE_READ, &err), -1);
	assert_int_equal(err.kind, ERR_HELD);
	assert_non_null(strstr(err.text, TARGET));
}

static void test_one_writer_at_a_time(void **state)
{
	struct ledger *second = NULL;

	(void)state;
	assert_int_equal(ledger_open(&second, path, TARGET, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	OK(ledger_open(&second, path, TARGET, STORE_READ, &err));
	assert_non_null(second);
	ledger_close(second);
}

static void test_what_is_not_a_ledger_is_refused_with_what_to_do(void **state)
{
	char *other = path_join(tmp_dir(), "garbage.db");
	struct ledger *none = NULL;

	(void)state;
	write_file(other, bytes_of("This is no database, though it is long enough to be looked at by "
				   "who wants to know whether it is one or not. It is none."));
	assert_int_equal(ledger_open(&none, other, TARGET, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_non_null(strstr(err.text, "Move it away"));
	free(other);
}

static void test_one_of_a_newer_version_is_left_alone(void **state)
{
	struct store_identity id;
	sqlite3 *db = NULL;

	(void)state;
	OK(ledger_commit(l, &err));
	ledger_close(l);
	l = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(ledger_identify(path, TARGET, &id, &err), -1);
	assert_int_equal(ledger_open(&l, path, TARGET, STORE_WRITE, &err), -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_non_null(strstr(err.text, "newer version"));
}

/* What cannot be remembered must not be worked with: nothing after it is written, and what was is whole. */
static void test_on_a_full_disk_it_is_broken_until_it_is_opened_again(void **state)
{
	struct rlimit was, small;
	int ret = 0;

	(void)state;
	insert(inbox, 1, 1, 'a', "");
	OK(ledger_commit(l, &err));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = (struct rlimit){ .rlim_cur = 200000, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint32_t uid = 2; ret == 0 && uid < 5000; uid++) {
		struct ledger_row row = { .uid = uid, .size = 1, .flags = bytes_of("a rather long text of flags") };

		ret = ledger_insert(l, inbox, &row, &err);
		if (ret == 0 && uid % 10 == 0)
			ret = ledger_commit(l, &err);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(ret, -1);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(ledger_commit(l, &err), -1);
	assert_non_null(strstr(err.text, "open it again"));
	assert_int_equal(ledger_insert(l, inbox, &(struct ledger_row){ .uid = 9999 }, &err), -1);
	open_again();
	assert_int_equal(inbox->live % 10, 0); /* whole transactions: UIDs 1 to 10, to 20 ... */
	assert_true(inbox->live > 0);
	insert(inbox, 9999, 1, 'a', "");
	OK(ledger_commit(l, &err));
}

static void test_only_what_was_committed_is_there_again(void **state)
{
	struct store_identity id;

	(void)state;
	insert(inbox, 7, 3, 'a', "\\Seen");
	OK(ledger_set_account(l, "carl@source", &err));
	OK(ledger_commit(l, &err));
	insert(inbox, 8, 4, 'b', "");
	keep("7", false);
	inbox->missing = 4;
	OK(ledger_box_touch(l, inbox, &err));
	open_again();
	assert_int_equal(inbox->missing, 0);
	assert_rows(inbox, "7<3(\\Seen) ");
	assert_counts(inbox, 1, 1, 0, 0, 107);
	OK(ledger_identify(path, TARGET, &id, &err));
	assert_string_equal(id.account, "carl@source");
	assert_int_equal(id.generation, 1);
	store_identity_release(&id);
	/* Nothing to do is no commit. */
	OK(ledger_set_account(l, "carl@source", &err));
	OK(ledger_commit(l, &err));
	OK(ledger_identify(path, TARGET, &id, &err));
	assert_int_equal(id.generation, 1);
	store_identity_release(&id);
}

static void test_every_change_is_counted(void **state)
{
	(void)state;
	for (uint32_t uid = 1; uid <= 9; uid++)
		insert(inbox, uid, uid == 9 ? 0 : uid + 10, 'a', "");
	assert_counts(inbox, 9, 8, 0, 0, 945);
	keep("2:3", false);
	keep("3:4", true); /* 3 is kept already, and held from now on */
	keep("4", false);
	assert_counts(inbox, 6, 5, 3, 2, 945 - 102 - 103 - 104);
	delete("1:2,4,20");
	assert_counts(inbox, 5, 4, 1, 1, 105 + 106 + 107 + 108 + 109);
	assert_rows(inbox, "3<0h() 5<15() 6<16() 7<17() 8<18() 9<0() ");
	OK(ledger_commit(l, &err));
	open_again();
	assert_counts(inbox, 5, 4, 1, 1, 105 + 106 + 107 + 108 + 109);
}

static void test_what_was_taken_over_is_told_apart_while_it_is_bound(void **state)
{
	struct ledger_row row = { .uid = 6, .source_uid = 16, .how = LEDGER_ADOPTED };
	struct base got;

	(void)state;
	base_init(&got);
	insert(inbox, 5, 15, 'a', "");
	OK(ledger_insert(l, inbox, &row, &err));
	row.uid = 7;
	row.source_uid = 0;
	OK(ledger_insert(l, inbox, &row, &err));
	OK(ledger_commit(l, &err));
	open_again();
	OK(ledger_base(l, inbox, &got, &err));
	assert_int_equal(got.stored, 2);
	assert_int_equal(got.adopted, 1);
	keep("6", false);
	OK(ledger_base(l, inbox, &got, &err));
	assert_int_equal(got.stored, 1);
	assert_int_equal(got.adopted, 0);
	base_release(&got);
}

static void test_a_uid_that_another_row_has_is_refused(void **state)
{
	struct ledger_row row = { .uid = 5, .source_uid = 9 };

	(void)state;
	insert(inbox, 5, 3, 'a', "\\Seen");
	assert_int_equal(ledger_insert(l, inbox, &row, &err), -1);
	assert_int_equal(err.kind, ERR_MAILBOX);
	assert_rows(inbox, "5<3(\\Seen) ");
	assert_counts(inbox, 1, 1, 0, 0, 105);
}

static void test_a_row_becomes_another_and_keeps_what_is_not_told(void **state)
{
	struct ledger_row row = { .uid = 5, .source_uid = 9, .size = 50, .flags = bytes_of("$Work"),
				  .how = LEDGER_ADOPTED };
	struct ledger_copy c = { 0 };

	(void)state;
	insert(inbox, 5, 3, 'a', "\\Seen");
	keep("5", true);
	OK(ledger_replace(l, inbox, &row, &err));
	assert_rows(inbox, "5<9($Work) ");
	assert_counts(inbox, 1, 1, 0, 0, 50);
	assert_int_equal(ledger_find(l, inbox, 5, &c, &err), 1);
	assert_memory_equal(c.row.sha256.p, content('a'), CONTENT_HASH_SIZE);
	assert_int_equal(c.row.how, LEDGER_ADOPTED);
	OK(ledger_set_hash(l, inbox, 5, content('z'), &err));
	assert_int_equal(ledger_find_source(l, inbox, 9, &c, &err), 1);
	assert_memory_equal(c.row.sha256.p, content('z'), CONTENT_HASH_SIZE);
	assert_int_equal(ledger_find_source(l, inbox, 3, &c, &err), 0);
	assert_int_equal(ledger_find(l, inbox, 6, &c, &err), 0);
	ledger_copy_release(&c);
}

static void test_flags_move_by_the_delta_of_live_messages_only(void **state)
{
	(void)state;
	insert(inbox, 1, 1, 'a', "\\Seen");
	insert(inbox, 2, 2, 'a', "\\Seen $Work");
	insert(inbox, 3, 3, 'a', "");
	insert(inbox, 4, 4, 'a', "\\Seen");
	keep("4", false);
	change_flags("1:2,4:9", "\\Flagged", "$work \\Seen");
	assert_rows(inbox, "1<1(\\Flagged) 2<2(\\Flagged) 3<3() 4<0k(\\Seen) ");
}

static void test_renumbering_unbinds_what_is_not_named(void **state)
{
	static const uint32_t from[] = { 11, 12 }, to[] = { 12, 11 };

	(void)state;
	insert(inbox, 1, 11, 'a', "");
	insert(inbox, 2, 12, 'a', "");
	insert(inbox, 3, 13, 'a', "");
	OK(ledger_renumber(l, inbox, from, to, 2, &err));
	assert_rows(inbox, "1<12() 2<11() 3<0() ");
	assert_counts(inbox, 3, 2, 0, 0, 306);
}

static void test_the_base_comes_back_as_it_was_set(void **state)
{
	static char reason[] = "too big";
	struct quarantined q[] = { { .uid = 4, .size = 9, .reason = reason, .since = 5, .attempts = 2, .last = 6 },
				   { .uid = 5, .reason = reason, .accepted = true } };
	struct base b = { .token = { true, 7, 100, 50, 12345 }, .mailboxid = "M1", .quarantine = q,
			  .n_quarantine = 2 }, got;

	(void)state;
	base_init(&got);
	b.known = set_of("1:50,99");
	OK(ledger_set_base(l, inbox, &b, &err));
	insert(inbox, 1, 11, 'a', "");
	insert(inbox, 2, 12, 'a', "");
	keep("1", true);
	keep("2", false);
	inbox->uidvalidity = 77;
	inbox->missing = 4;
	OK(ledger_box_touch(l, inbox, &err));
	OK(ledger_commit(l, &err));
	open_again();
	assert_int_equal(inbox->uidvalidity, 77);
	assert_int_equal(inbox->missing, 4);
	assert_int_equal(inbox->known, 51);
	assert_int_equal(inbox->pending, 1);
	OK(ledger_base(l, inbox, &got, &err));
	assert_memory_equal(&got.token, &b.token, sizeof(b.token));
	assert_string_equal(got.mailboxid, "M1");
	assert_true(uidset_equal(&got.known, &b.known));
	assert_int_equal(uidset_count(&got.held), 1);
	assert_true(uidset_has(&got.held, 1));
	assert_int_equal(uidset_count(&got.kept), 2);
	assert_int_equal(got.n_quarantine, 2);
	assert_string_equal(got.quarantine[0].reason, "too big");
	assert_int_equal(got.quarantine[0].last, 6);
	assert_true(got.quarantine[1].accepted);
	base_release(&got);
	uidset_release(&b.known);
}

static void test_one_more_in_quarantine_is_known(void **state)
{
	static char reason[] = "several are like it";
	const struct quarantined q = { .uid = 60, .reason = reason };
	struct base got;

	(void)state;
	base_init(&got);
	OK(ledger_quarantine_add(l, inbox, &q, &err));
	OK(ledger_quarantine_add(l, inbox, &q, &err));
	assert_int_equal(inbox->pending, 1);
	OK(ledger_base(l, inbox, &got, &err));
	assert_false(got.token.known);
	assert_true(uidset_has(&got.known, 60));
	assert_int_equal(got.n_quarantine, 1);
	base_release(&got);
}

static void add_intent(struct ledger_box *box, int64_t batch, uint32_t order, const char *id)
{
	struct ledger_intent in = { .batch = batch, .order = order, .uidvalidity = 9, .uidnext = 40,
				    .source_uid = 3, .size = 77, .message_id = bytes_of(id),
				    .date = bytes_of("date"), .flags = bytes_of("\\Seen"),
				    .identity = bytes_of("emailid=x"), .created = 1234 };

	memcpy(in.sha256, content('c'), sizeof(in.sha256));
	OK(ledger_intent_add(l, box, &in, &err));
	assert_true(in.id > 0);
}

static void test_intents_come_back_in_their_order_until_they_are_deleted(void **state)
{
	struct ledger_box *other = add_box("Other");
	struct ledger_intents in = { 0 };

	(void)state;
	add_intent(inbox, 2, 0, "<c>");
	add_intent(inbox, 1, 1, "<b>");
	add_intent(inbox, 1, 0, "<a>");
	add_intent(other, 1, 0, "");
	OK(ledger_commit(l, &err));
	open_again();
	assert_int_equal(inbox->intents, 3);
	OK(ledger_intents(l, inbox, &in, &err));
	assert_int_equal(in.n, 3);
	assert_true(bytes_is(in.v[0].message_id, "<a>"));
	assert_true(bytes_is(in.v[1].message_id, "<b>"));
	assert_true(bytes_is(in.v[2].message_id, "<c>"));
	assert_true(bytes_is(in.v[2].date, "date") && bytes_is(in.v[2].flags, "\\Seen") &&
		    bytes_is(in.v[2].identity, "emailid=x"));
	assert_int_equal(in.v[2].uidvalidity, 9);
	assert_int_equal(in.v[2].uidnext, 40);
	assert_int_equal(in.v[2].source_uid, 3);
	assert_int_equal(in.v[2].size, 77);
	assert_int_equal(in.v[2].created, 1234);
	assert_memory_equal(in.v[2].sha256, content('c'), CONTENT_HASH_SIZE);
	OK(ledger_intent_delete(l, inbox, in.v[1].id, &err));
	OK(ledger_intent_delete(l, inbox, in.v[1].id, &err));
	assert_int_equal(inbox->intents, 2);
	OK(ledger_intents(l, inbox, &in, &err));
	assert_int_equal(in.n, 2);
	ledger_intents_release(&in);
}

static void test_a_mailbox_whose_uids_are_void_holds_nothing(void **state)
{
	struct base b = { .token = { .known = true, .uidvalidity = 7 } }, got;
	struct ledger_intents in = { 0 };

	(void)state;
	base_init(&got);
	b.known = set_of("1:5");
	insert(inbox, 1, 11, 'a', "");
	insert(inbox, 2, 12, 'a', "");
	keep("2", true);
	add_intent(inbox, 1, 0, "<a>");
	OK(ledger_set_base(l, inbox, &b, &err));
	OK(ledger_box_void(l, inbox, 99, &err));
	OK(ledger_commit(l, &err));
	open_again();
	assert_int_equal(inbox->uidvalidity, 99);
	assert_counts(inbox, 0, 0, 0, 0, 0);
	assert_int_equal(inbox->known + inbox->pending + inbox->intents, 0);
	OK(ledger_intents(l, inbox, &in, &err));
	assert_int_equal(in.n, 0);
	OK(ledger_base(l, inbox, &got, &err));
	assert_false(got.token.known);
	assert_true(uidset_is_empty(&got.known) && uidset_is_empty(&got.kept));
	uidset_release(&b.known);
	base_release(&got);
}

static void test_names_with_both_spellings_come_back_and_can_be_changed(void **state)
{
	struct mailbox_name source = MAILBOX_NAME_INIT, as = MAILBOX_NAME_INIT, got = MAILBOX_NAME_INIT;
	struct ledger_box *box;
	size_t n;

	(void)state;
	mailbox_name_from_wire(&source, bytes_of("a.B&AOk-"), '.', false);
	OK(mailbox_name_from_display(&as, bytes_of("New/Name"), &err));
	mailbox_name_map(&as, &source, &as);
	OK(ledger_box_add(l, &as, &box, &err));
	OK(ledger_commit(l, &err));
	open_again();
	box = find_box("New/Name");
	assert_non_null(box);
	mailbox_name_source(&got, &box->name);
	assert_true(mailbox_name_equal(&got, &source));
	OK(mailbox_name_from_display(&as, bytes_of("Aaa"), &err));
	OK(ledger_box_rename(l, box, &as, &err));
	assert_ptr_equal(ledger_boxes(l, &n)[0], box);
	assert_int_equal(n, 2);
	assert_null(find_box("New/Name"));
	OK(ledger_commit(l, &err));
	open_again();
	OK(ledger_box_remove(l, find_box("Aaa"), &err));
	assert_null(find_box("Aaa"));
	mailbox_name_release(&source);
	mailbox_name_release(&as);
	mailbox_name_release(&got);
}

static void test_equal_content_that_is_bound_to_nothing_is_found_live_first(void **state)
{
	struct ledger_box *other = add_box("Other");
	struct ledger_copy c = { 0 };

	(void)state;
	insert(inbox, 1, 11, 'a', "");
	insert(other, 2, 0, 'a', "");
	assert_int_equal(ledger_find_free(l, inbox, content('a'), 101, &c, &err), 0);
	keep("1", false);
	assert_int_equal(ledger_find_free(l, inbox, content('a'), 101, &c, &err), 1);
	assert_int_equal(c.row.uid, 1);
	assert_int_equal(ledger_find_free(l, inbox, content('a'), 102, &c, &err), 0);
	assert_int_equal(ledger_find_free(l, inbox, content('b'), 101, &c, &err), 0);
	struct ledger_row row = { .uid = 9, .size = 101, .sha256 = bytes_from(content('a'), 32) };

	OK(ledger_insert(l, inbox, &row, &err));
	assert_int_equal(ledger_find_free(l, inbox, content('a'), 101, &c, &err), 1);
	assert_int_equal(c.row.uid, 9);
	ledger_copy_release(&c);
}

static void test_equal_content_elsewhere_is_found_by_date_first_and_never_what_was_altered(void **state)
{
	struct ledger_box *other = add_box("Other");
	struct ledger_row row = { .uid = 1, .size = 5, .how = LEDGER_ALTERED };
	struct ledger_copy c = { 0 };

	(void)state;
	row.sha256 = bytes_from(content('a'), 32);
	OK(ledger_insert(l, other, &row, &err));
	assert_int_equal(ledger_find_elsewhere(l, inbox, content('a'), 5, bytes_of("x"), &c, &err), 0);
	row.how = LEDGER_COPIED;
	for (row.uid = 2; row.uid <= 3; row.uid++) {
		row.date = bytes_of(row.uid == 2 ? "then" : "now");
		OK(ledger_insert(l, other, &row, &err));
	}
	assert_int_equal(ledger_find_elsewhere(l, inbox, content('a'), 5, bytes_of("now"), &c, &err), 1);
	assert_int_equal(c.box, other->id);
	assert_ptr_equal(ledger_box_by_id(l, c.box), other);
	assert_int_equal(c.row.uid, 3);
	assert_true(bytes_is(c.row.date, "now"));
	assert_int_equal(ledger_find_elsewhere(l, inbox, content('a'), 5, bytes_of("x"), &c, &err), 1);
	assert_int_equal(c.row.uid, 2);
	assert_int_equal(ledger_find_elsewhere(l, other, content('a'), 5, bytes_of("x"), &c, &err), 0);
	ledger_copy_release(&c);
}

static void insert_with_identity(struct ledger_box *box, uint32_t uid, char c, const char *identity)
{
	struct ledger_row row = { .uid = uid, .source_uid = uid, .identity = bytes_of(identity) };

	if (c)
		row.sha256 = bytes_from(content(c), CONTENT_HASH_SIZE);
	OK(ledger_insert(l, box, &row, &err));
}

static void test_identities_are_found_while_all_that_have_one_agree(void **state)
{
	struct ledger_box *other = add_box("Other");
	struct ledger_copy c = { 0 };
	bool any = true;

	(void)state;
	OK(ledger_holds_identities(l, &any, &err));
	assert_false(any);
	insert_with_identity(inbox, 1, 'a', "emailid=A");
	insert_with_identity(other, 2, 'a', "emailid=A");
	insert_with_identity(inbox, 3, 'b', "emailid=B");
	insert_with_identity(other, 4, 'c', "emailid=B");
	insert_with_identity(inbox, 5, 0, "emailid=C");
	OK(ledger_holds_identities(l, &any, &err));
	assert_true(any);
	keep("1", false);
	assert_int_equal(ledger_find_identity(l, bytes_of("emailid=A"), &c, &err), 1);
	assert_int_equal(c.row.uid, 2); /* live ones first */
	assert_int_equal(c.box, other->id);
	assert_int_equal(ledger_find_identity(l, bytes_of("emailid=B"), &c, &err), 0);
	assert_int_equal(ledger_find_identity(l, bytes_of("emailid=C"), &c, &err), 0);
	assert_int_equal(ledger_find_identity(l, bytes_of("emailid=D"), &c, &err), 0);
	ledger_copy_release(&c);
}

static void test_content_that_is_live_nowhere_else_is_lost(void **state)
{
	struct ledger_box *other = add_box("Other");
	struct uidset first = set_of("1:4"), second = set_of("1");
	struct ledger_box *const boxes[] = { inbox, other };
	const struct uidset *const sets[] = { &first, &second };
	uint64_t lost[2] = { 0 };

	(void)state;
	insert(inbox, 1, 1, 'a', ""); /* also in Other, which goes too */
	insert(inbox, 2, 2, 'b', ""); /* also in INBOX, which stays */
	insert(inbox, 3, 3, 'c', ""); /* only kept elsewhere */
	insert(inbox, 4, 4, 0, "");   /* not known */
	insert(inbox, 5, 5, 'b', "");
	insert(inbox, 6, 6, 'c', "");
	keep("6", false);
	insert(other, 1, 1, 'a', "");
	OK(ledger_count_lost(l, boxes, sets, lost, 2, &err));
	assert_int_equal(lost[0], 3);
	assert_int_equal(lost[1], 1);
	OK(ledger_count_lost(l, boxes, sets, lost, 1, &err));
	assert_int_equal(lost[0], 2);
	uidset_release(&first);
	uidset_release(&second);
}

/* A migration that follows deletions later removes what it kept: the guard has to see that. */
static void test_kept_messages_that_go_are_lost_like_live_ones(void **state)
{
	struct uidset gone = set_of("1:4");
	const struct uidset *const sets[] = { &gone };
	uint64_t lost = 0;

	(void)state;
	insert(inbox, 1, 1, 'a', "");
	insert(inbox, 2, 2, 'b', ""); /* also as one that stays */
	insert(inbox, 3, 3, 'c', "");
	insert(inbox, 4, 4, 'd', "");
	insert(inbox, 5, 5, 'b', "");
	keep("1:3", false);
	keep("4", true);
	OK(ledger_count_lost(l, &inbox, sets, &lost, 1, &err));
	assert_int_equal(lost, 3);
	uidset_release(&gone);
}

static void test_a_ledger_that_is_rebound_keeps_messages_and_forgets_where_they_came_from(void **state)
{
	struct base b = { .token = { .known = true, .uidvalidity = 7 } }, got;
	struct ledger_copy c = { 0 };

	(void)state;
	base_init(&got);
	b.known = set_of("1:5");
	insert_with_identity(inbox, 1, 'a', "emailid=A");
	insert(inbox, 2, 12, 'b', "");
	keep("2", true);
	OK(ledger_set_base(l, inbox, &b, &err));
	OK(ledger_rebind(l, &err));
	assert_rows(inbox, "1<0k() 2<0h() ");
	assert_counts(inbox, 0, 0, 2, 1, 0);
	OK(ledger_base(l, inbox, &got, &err));
	assert_false(got.token.known);
	assert_true(uidset_is_empty(&got.known));
	assert_int_equal(ledger_find_identity(l, bytes_of("emailid=A"), &c, &err), 0);
	assert_int_equal(ledger_find_free(l, inbox, content('a'), 0, &c, &err), 1);
	base_release(&got);
	uidset_release(&b.known);
	ledger_copy_release(&c);
}

static void test_uids_from_one_on(void **state)
{
	struct uidset got = UIDSET_INIT, want = set_of("5,7");

	(void)state;
	insert(inbox, 4, 1, 'a', "");
	insert(inbox, 5, 2, 'a', "");
	insert(inbox, 7, 0, 'a', "");
	OK(ledger_uids(l, inbox, 5, &got, &err));
	assert_true(uidset_equal(&got, &want));
	uidset_release(&got);
	uidset_release(&want);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_is_made_with_its_directory_and_nobody_else_may_read_it),
		TEST(test_what_is_missing_is_said_to_be_and_is_not_made_by_looking),
		TEST(test_the_ledger_of_another_account_is_held),
		TEST(test_one_writer_at_a_time),
		TEST(test_what_is_not_a_ledger_is_refused_with_what_to_do),
		TEST(test_one_of_a_newer_version_is_left_alone),
		TEST(test_on_a_full_disk_it_is_broken_until_it_is_opened_again),
		TEST(test_only_what_was_committed_is_there_again),
		TEST(test_every_change_is_counted),
		TEST(test_what_was_taken_over_is_told_apart_while_it_is_bound),
		TEST(test_a_uid_that_another_row_has_is_refused),
		TEST(test_a_row_becomes_another_and_keeps_what_is_not_told),
		TEST(test_flags_move_by_the_delta_of_live_messages_only),
		TEST(test_renumbering_unbinds_what_is_not_named),
		TEST(test_the_base_comes_back_as_it_was_set),
		TEST(test_one_more_in_quarantine_is_known),
		TEST(test_intents_come_back_in_their_order_until_they_are_deleted),
		TEST(test_a_mailbox_whose_uids_are_void_holds_nothing),
		TEST(test_names_with_both_spellings_come_back_and_can_be_changed),
		TEST(test_equal_content_that_is_bound_to_nothing_is_found_live_first),
		TEST(test_equal_content_elsewhere_is_found_by_date_first_and_never_what_was_altered),
		TEST(test_identities_are_found_while_all_that_have_one_agree),
		TEST(test_content_that_is_live_nowhere_else_is_lost),
		TEST(test_kept_messages_that_go_are_lost_like_live_ones),
		TEST(test_a_ledger_that_is_rebound_keeps_messages_and_forgets_where_they_came_from),
		TEST(test_uids_from_one_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
