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
#include "tests/lib/check_rig.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/support.h"

/* Messages that a source says are the same: every store remembers it, and makes one of another. */
static const struct store_under_test stores[] = {
	{ "maildir, fs", &maildir_store, "fs" },
	{ "maildir, maildir++", &maildir_store, "maildir++" },
	{ "git", &git_store, NULL },
	{ "imap", &imap_store, NULL },
};

#define BODY "Subject: one\r\n\r\nin two places\r\n"
#define ID "gmmsgid=1278455344230334865"

static struct bench *bench_of(void **state)
{
	return *state;
}

static uint32_t put_known(struct mailbox *mb, uint32_t source_uid, const char *identity)
{
	const struct put put = { .body = bytes_of(BODY), .flags = "\\Seen", .identity = identity };
	uint32_t uid = 0;

	bench_put(mb, source_uid, &put, &uid);
	return uid;
}

static bool find(struct bench *b, const char *identity, struct held *out)
{
	struct err err = { 0 };
	int got = store_find_identity(b->st, bytes_of(identity), out, &err);

	must(got < 0 ? -1 : 0, &err);
	return got > 0;
}

/* A message that comes by fetch() has it, too; an account gives what its server says. */
static void assert_identity(struct bench *b, const struct got *got, const char *want)
{
	struct held held;

	if (!b->account)
		assert_string_equal(buf_str(&got->identity), want);
	else if (*want)
		assert_true(find(b, want, &held));
}

static bool holds_any(struct bench *b)
{
	struct err err = { 0 };
	bool any;

	must(store_holds_identities(b->st, &any, &err), &err);
	return any;
}

/* As the message `source_uid` with other flags and another date. */
static enum outcome copy_as(const struct held *held, struct mailbox *to, uint32_t source_uid,
			    uint64_t size, uint32_t *new_uid, struct err *why)
{
	struct flags flags = FLAGS_INIT;
	struct maildate date;
	struct message as = { .uid = source_uid, .flags = &flags, .date = &date, .size = size,
			      .identity = bytes_of(ID) };
	struct err err = { 0 };
	enum outcome what;

	flags_add_list(&flags, bytes_of("\\Flagged label"));
	maildate_init(&date);
	/* A server's copy has the date of what was copied, or there is none. */
	maildate_parse(&date, bytes_of(to->store->ops == &imap_store ? PUT_DATE
								     : "02-Jan-2021 03:04:05 +0100"));
	must(mailbox_copy_as(held, to, &as, &what, new_uid, why, &err), &err);
	flags_release(&flags);
	maildate_release(&date);
	return what;
}

static void assert_sound(struct bench *b)
{
	struct checked found;

	if (b->account)
		return;
	bench_close(b);
	check_now(b, &found, true);
	check_says(&found, "");
	checked_release(&found);
	bench_open(b);
}

static void test_identities_come_back_and_are_found(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct held held;
	struct gots got;
	uint32_t uid;

	assert_false(holds_any(b));
	uid = put_known(mb, 5, ID);
	bench_put_text(mb, 6, "nothing is said of this one");
	bench_commit(b);
	bench_reopen(b);
	assert_true(holds_any(b));
	assert_true(find(b, ID, &held));
	assert_ptr_equal(held.mailbox, bench_find(b, "INBOX"));
	assert_int_equal(held.uid, uid);
	assert_false(find(b, "emailid=1278455344230334865", &held));
	assert_false(find(b, "gmmsgid=127845534423033486", &held));
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_identity(b, &got.v[0], ID);
	assert_identity(b, &got.v[1], "");
	gots_release(&got);
}

static void test_attributes_come_without_a_body(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct gots got;

	put_known(mb, 5, ID);
	bench_commit(b);
	bench_fetch_attributes(mb, &got);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.v[0].body.n, 0);
	assert_int_equal(got.v[0].size, strlen(BODY));
	assert_string_equal(buf_str(&got.v[0].identity), ID);
	assert_string_equal(buf_str(&got.v[0].flags), "\\Seen");
	assert_string_equal(buf_str(&got.v[0].date), PUT_DATE);
	gots_release(&got);
}

/* Its own flags, date and source UID; the bytes of the other. Also before anything is committed. */
static void test_one_message_is_made_of_another(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *all = bench_mailbox(b, "All"), *inbox = bench_mailbox(b, "INBOX");
	struct held held = { .mailbox = all };
	struct changes c;
	struct gots got;
	struct err why;
	uint32_t uid;

	held.uid = put_known(all, 5, ID);
	assert_int_equal(copy_as(&held, inbox, 77, strlen(BODY), &uid, &why), OUTCOME_DONE);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.v[0].source_uid, 77);
	assert_int_equal(c.v[0].uid, uid);
	changes_release(&c);
	bench_fetch_all(bench_find(b, "INBOX"), &got);
	assert_string_equal(buf_str(&got.v[0].body), BODY);
	assert_string_equal(buf_str(&got.v[0].flags), "\\Flagged label");
	if (!b->account) /* in the server's zone */
		assert_string_equal(buf_str(&got.v[0].date), "02-Jan-2021 03:04:05 +0100");
	assert_identity(b, &got.v[0], ID);
	gots_release(&got);
	bench_fetch_all(bench_find(b, "All"), &got);
	assert_string_equal(buf_str(&got.v[0].flags), "\\Seen");
	gots_release(&got);
	assert_sound(b);
}

static void test_a_source_uid_is_made_once(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *all = bench_mailbox(b, "All"), *inbox = bench_mailbox(b, "INBOX");
	struct held held = { .mailbox = all };
	struct err why;
	uint32_t first, second;

	held.uid = put_known(all, 5, ID);
	copy_as(&held, inbox, 77, strlen(BODY), &first, &why);
	bench_commit(b);
	copy_as(&held, inbox, 77, strlen(BODY), &second, &why);
	assert_int_equal(first, second);
	bench_commit(b);
	assert_int_equal(bench_live(b), 2);
}

static void test_of_another_size_nothing_is_made(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *all = bench_mailbox(b, "All"), *inbox = bench_mailbox(b, "INBOX");
	struct held held = { .mailbox = all };
	struct err why;
	uint32_t uid;

	held.uid = put_known(all, 5, ID);
	assert_int_equal(copy_as(&held, inbox, 77, strlen(BODY) + 1, &uid, &why), OUTCOME_REFUSED);
	assert_non_null(strstr(why.text, "bytes here"));
	held.uid = 999;
	assert_int_equal(copy_as(&held, inbox, 77, strlen(BODY), &uid, &why), OUTCOME_UID_UNKNOWN);
	bench_commit(b);
	assert_int_equal(bench_live(b), 1);
}

/* One bit of the only message of "All", which has the UID 5. */
static void damage(struct bench *b)
{
	struct buf file = BUF_INIT(1 << 20);
	char *path;

	if (b->sut->ops == &git_store) {
		git_damage(b->path, "refs/mailcask/wip:mailboxes/All/messages/000000/00/0000000005.eml");
		return;
	}
	path = mdir_file(b, strcmp(b->sut->layout, "fs") == 0 ? "All/cur" : ".All/cur", 0);
	read_file(path, &file);
	file.p[3] ^= 1;
	write_file(path, buf_bytes(&file));
	buf_release(&file);
	free(path);
}

static void test_a_damaged_message_is_not_copied(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *all = bench_mailbox(b, "All"), *inbox = bench_mailbox(b, "INBOX");
	struct held held = { .mailbox = all };
	struct err why;
	uint32_t uid;

	held.uid = put_known(all, 5, ID);
	bench_commit(b);
	damage(b);
	bench_reopen(b);
	inbox = bench_find(b, "INBOX");
	assert_true(find(b, ID, &held));
	assert_int_equal(copy_as(&held, inbox, 77, strlen(BODY), &uid, &why), OUTCOME_REFUSED);
	bench_commit(b);
	assert_int_equal(bench_live(b), 1);
	/* With the bytes it is stored, and whole. */
	put_known(inbox, 77, ID);
	bench_commit(b);
	{
		struct gots got;

		bench_fetch_all(inbox, &got);
		assert_int_equal(got.v[0].what, OUTCOME_DONE);
		assert_string_equal(buf_str(&got.v[0].body), BODY);
		gots_release(&got);
	}
	bench_close(b);
	remove_tree(b->path); /* git would find the damage */
	bench_open(b);
}

static struct uidset one(uint32_t uid)
{
	struct uidset set = UIDSET_INIT;

	uidset_add(&set, uid);
	return set;
}

/* A moved message left its old place before the new one is made: its content is there all the same. */
static void test_kept_messages_are_found_and_copied(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *old = bench_mailbox(b, "Old"), *new = bench_mailbox(b, "New");
	struct uidset set = one(put_known(old, 5, ID));
	struct held held;
	struct gots got;
	struct err err = { 0 }, why;
	uint32_t uid;

	must(mailbox_keep(old, &set, true, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	new = bench_find(b, "New");
	assert_true(find(b, ID, &held));
	assert_ptr_equal(held.mailbox, bench_find(b, "Old"));
	assert_int_equal(copy_as(&held, new, 8, strlen(BODY), &uid, &why), OUTCOME_DONE);
	bench_commit(b);
	bench_fetch_all(new, &got);
	assert_string_equal(buf_str(&got.v[0].body), BODY);
	gots_release(&got);
	uidset_release(&set);
	assert_sound(b);
}

/* As append() does. */
static void test_a_copy_takes_over_the_kept_message_of_its_mailbox(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *all = bench_mailbox(b, "All"), *label = bench_mailbox(b, "Label");
	struct held held = { .mailbox = all };
	struct uidset set = one(put_known(label, 5, NULL));
	struct err err = { 0 }, why;
	struct gots got;
	uint32_t uid;

	held.uid = put_known(all, 6, ID);
	must(mailbox_keep(label, &set, false, &err), &err);
	bench_commit(b);
	assert_int_equal(copy_as(&held, label, 9, strlen(BODY), &uid, &why), OUTCOME_ADOPTED);
	assert_true(uidset_has(&set, uid));
	bench_commit(b);
	bench_fetch_all(label, &got);
	assert_int_equal(got.n, 1);
	assert_identity(b, &got.v[0], ID);
	assert_string_equal(buf_str(&got.v[0].flags), "\\Flagged label");
	gots_release(&got);
	uidset_release(&set);
	assert_sound(b);
}

static void test_what_is_removed_is_not_found(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset set = one(put_known(mb, 5, ID));
	struct held held;
	struct err err = { 0 };

	bench_commit(b);
	assert_true(find(b, ID, &held));
	must(mailbox_expunge(mb, &set, &err), &err);
	if (!b->account) /* which removes at commit(), and until then can be copied from */
		assert_false(find(b, ID, &held));
	bench_commit(b);
	bench_reopen(b);
	assert_false(find(b, ID, &held));
	assert_false(holds_any(b));
	uidset_release(&set);
}

/* A server that says the same of different messages knows nothing. */
static void test_an_identity_of_two_contents_is_none(void **state)
{
	const struct put other = { .body = bytes_of("Subject: two\r\n\r\nin two places\r\n"),
				   .identity = ID };
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct held held;

	put_known(mb, 5, ID);
	put_known(mb, 6, ID);
	bench_commit(b);
	assert_true(find(b, ID, &held)); /* twice the same is no contradiction */
	bench_put(bench_mailbox(b, "Other"), 7, &other, NULL);
	bench_commit(b);
	bench_reopen(b);
	assert_false(find(b, ID, &held));
	assert_true(holds_any(b));
}

static void test_identities_stay_when_flags_and_uids_change(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX"), *other = bench_mailbox(b, "Other");
	struct uidset set = one(put_known(mb, 5, ID));
	struct flag_delta delta = { .add = FLAGS_INIT, .remove = FLAGS_INIT };
	const uint32_t from[] = { 5 }, to[] = { 50 };
	struct err err = { 0 };
	struct held held;
	struct gots got;

	flags_add_list(&delta.add, bytes_of("\\Flagged keyword"));
	must(mailbox_change_flags(mb, &set, &delta, &err), &err);
	must(mailbox_renumber(mb, from, to, 1, &err), &err);
	must(mailbox_copy(mb, &set, other, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	assert_true(find(b, ID, &held));
	bench_fetch_all(bench_find(b, "Other"), &got);
	assert_identity(b, &got.v[0], ID);
	gots_release(&got);
	flags_release(&delta.add);
	uidset_release(&set);
	assert_sound(b);
}

/* What was taken over without an identity gets it; what comes without one does not lose it. */
static void test_taking_over_learns_the_identity(void **state)
{
	static const char *const known[][2] = { { NULL, ID }, { ID, NULL } };
	struct bench *b = bench_of(state);
	struct err err = { 0 };

	for (size_t i = 0; i < 2; i++) {
		struct mailbox *mb = bench_mailbox(b, i ? "B" : "A");
		struct uidset set = one(put_known(mb, 5, known[i][0]));
		struct gots got;

		must(mailbox_keep(mb, &set, false, &err), &err);
		bench_commit(b);
		put_known(mb, 6, known[i][1]);
		bench_commit(b);
		bench_fetch_all(mb, &got);
		assert_int_equal(got.n, 1);
		assert_identity(b, &got.v[0], ID);
		gots_release(&got);
		uidset_release(&set);
	}
}

static void test_another_account_knows_no_identities(void **state)
{
	struct bench *b = bench_of(state);
	struct mailbox *mb = bench_mailbox(b, "INBOX");
	struct uidset set = one(put_known(mb, 5, ID));
	struct held held;
	struct err err = { 0 };

	put_known(mb, 6, "emailid=M6d99ac3275bb4e");
	must(mailbox_keep(mb, &set, false, &err), &err);
	bench_commit(b);
	bench_close(b);
	b->cfg.rebind = true;
	b->cfg.account = "other@host";
	bench_open(b);
	b->cfg.rebind = false;
	bench_commit(b);
	bench_reopen(b);
	assert_false(find(b, ID, &held));
	assert_false(find(b, "emailid=M6d99ac3275bb4e", &held));
	assert_false(holds_any(b));
	uidset_release(&set);
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

#undef FOR /* of maildir_rig.h */
#define FOR(sut, test) { #test, test, setup, teardown, (void *)(uintptr_t)(sut) }
#define ALL_TESTS(sut)                                                           \
	FOR(sut, test_identities_come_back_and_are_found),                       \
	FOR(sut, test_one_message_is_made_of_another),                           \
	FOR(sut, test_a_source_uid_is_made_once),                                \
	FOR(sut, test_of_another_size_nothing_is_made),                          \
	FOR(sut, test_kept_messages_are_found_and_copied),                       \
	FOR(sut, test_a_copy_takes_over_the_kept_message_of_its_mailbox),        \
	FOR(sut, test_what_is_removed_is_not_found),                             \
	FOR(sut, test_an_identity_of_two_contents_is_none),                      \
	FOR(sut, test_identities_stay_when_flags_and_uids_change),               \
	FOR(sut, test_taking_over_learns_the_identity),                          \
	FOR(sut, test_another_account_knows_no_identities)

/* An account's server says itself what a message is, and keeps it whole. */
#define LOCAL_TESTS(sut)                                                         \
	FOR(sut, test_attributes_come_without_a_body),                           \
	FOR(sut, test_a_damaged_message_is_not_copied)

int main(void)
{
	const struct CMUnitTest tests[] = { ALL_TESTS(&stores[0]), LOCAL_TESTS(&stores[0]),
					    ALL_TESTS(&stores[1]), LOCAL_TESTS(&stores[1]),
					    ALL_TESTS(&stores[2]), LOCAL_TESTS(&stores[2]),
					    ALL_TESTS(&stores[3]) };

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
