/* An account as a target, as far as the ledger and the account's list go: Dovecot behind the prefix INBOX/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/imap/imap.h"
#include "backends/imap/ledger.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/account_rig.h"
#include "tests/lib/accounts.h"
#include "tests/lib/conformance.h"
#include "tests/lib/support.h"

static const struct store_under_test sut = { "imap", &imap_store, NULL };
static struct buf notes = BUF_INIT(65536);

static void on_note(void *ctx, const struct mailbox_name *mailbox, const char *text)
{
	char *name = mailbox ? mailbox_name_text(mailbox) : xstrdup("-");

	buf_addf(ctx, "%s: %s\n", name, text);
	free(name);
}

static const struct run run = { .note = on_note, .note_ctx = &notes };

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	buf_clear(&notes);
	bench_init(b, &sut);
	b->cfg.run = &run;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	buf_release(&notes);
	return 0;
}

static void append(struct oracle *o, const char *mailbox, const char *body, const char *flags)
{
	const struct oracle_new m = { .flags = flags, .body = bytes_of(body),
				      .date = "17-Jul-1996 02:44:25 -0700" };

	oracle_append(o, mailbox, &m, 1);
}

/* As a run that agreed on what the source had: token and base. */
static void agree(struct mailbox *mb, const char *known)
{
	struct base base = { .token = { .known = true, .uidvalidity = 7, .uidnext = 10, .messages = 3 } };
	struct err err = { 0 };

	base.known = set_of(known);
	must(mailbox_set_base(mb, &base, &err), &err);
	uidset_release(&base.known);
}

static void assert_names(const struct mailbox_list *list, const char *want)
{
	struct buf got = BUF_INIT(65536);

	for (size_t i = 0; i < list->n; i++) {
		char *text = mailbox_name_text(&list->v[i].name);

		buf_addf(&got, "%s ", text);
		free(text);
	}
	assert_string_equal(buf_str(&got), want);
	buf_release(&got);
}

/* Take every stranger, bound to source UIDs from 1 on. */
static void take_all(struct mailbox *mb, const char *flags)
{
	struct gots got;

	bench_strangers(mb, &got);
	for (size_t i = 0; i < got.n; i++)
		assert_int_equal(bench_take(mb, got.v[i].uid, (uint32_t)i + 1, flags), got.v[i].uid);
	gots_release(&got);
}

static void test_names_are_told_without_the_prefix_and_the_prefix_is_told(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_list list = { 0 };
	struct err err = { 0 };

	oracle_create(o, "INBOX/Work");
	oracle_create(o, "INBOX/Work/B&AOk-");
	oracle_create(o, "INBOX/INBOX/x");
	bench_open(b);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_names(&list, "INBOX INBOX/x Work Work/Bé ");
	assert_true(list.complete);
	assert_int_equal(list.prefix.count, 1);
	assert_string_equal(list.prefix.components[0], "INBOX");
	for (size_t i = 0; i < list.n; i++) {
		assert_false(list.v[i].token.known);
		assert_int_equal(list.v[i].stored, 0);
		assert_null(list.v[i].name.wire.p); /* that of a source is meant */
	}
	mailbox_list_release(&list);
	bench_close(b);
	/* As a source the account's names are its own. */
	b->cfg.index = NULL;
	bench_open_as(b, STORE_READ);
	must(store_list(b->st, NULL, &list, &err), &err);
	assert_names(&list, "INBOX INBOX/INBOX INBOX/INBOX/x INBOX/Work INBOX/Work/Bé ");
	assert_int_equal(list.prefix.count, 1);
	mailbox_list_release(&list);
	oracle_close(o);
}

static void test_a_mailbox_is_found_under_the_name_that_is_told(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err err = { 0 };
	struct gots got;
	bool there = false;

	oracle_create(o, "INBOX/Work");
	append(o, "INBOX/Work", "Subject: x\r\n\r\nx\r\n", "");
	bench_open(b);
	bench_fetch_all(bench_find(b, "Work"), &got);
	assert_int_equal(got.n, 1);
	gots_release(&got);
	must(mailbox_name_from_display(&name, bytes_of("Work"), &err), &err);
	must(store_exists(b->st, &name, &there, &err), &err);
	assert_true(there);
	must(mailbox_name_from_display(&name, bytes_of("Wor"), &err), &err);
	must(store_exists(b->st, &name, &there, &err), &err);
	assert_false(there);
	mailbox_name_release(&name);
	oracle_close(o);
}

static void test_a_mailbox_is_open_once_and_goes_on_under_another_name(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_name from = MAILBOX_NAME_INIT, to = MAILBOX_NAME_INIT;
	struct mailbox *mb, *below;
	struct err err = { 0 };

	bench_open(b);
	mb = bench_mailbox(b, "Work");
	below = bench_mailbox(b, "Work/x");
	bench_put_text(mb, 1, "x\r\n");
	assert_ptr_equal(bench_find(b, "Work"), mb);
	must(mailbox_name_from_display(&from, bytes_of("Work"), &err), &err);
	must(mailbox_name_from_display(&to, bytes_of("Play"), &err), &err);
	must(store_rename(b->st, &from, &to, &err), &err);
	assert_ptr_equal(bench_find(b, "Play"), mb);
	bench_put_text(mb, 2, "y\r\n");
	bench_put_text(below, 1, "z\r\n");
	bench_commit(b);
	assert_int_equal(mailbox_count(o, "INBOX/Play"), 2);
	assert_int_equal(mailbox_count(o, "INBOX/Play/x"), 1);
	bench_reopen(b);
	assert_int_equal(bench_live(b), 3);
	mailbox_name_release(&from);
	mailbox_name_release(&to);
	oracle_close(o);
}

static void test_what_was_agreed_is_told_with_the_list(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	const struct mailbox_info *info;
	struct mailbox_list list;
	struct changes c;
	struct mailbox *mb;

	oracle_create(o, "INBOX/Work");
	append(o, "INBOX/Work", "Message-ID: <1>\r\n\r\nx\r\n", "\\Seen");
	append(o, "INBOX/Work", "Message-ID: <2>\r\n\r\nxyz\r\n", "\\Seen");
	bench_open(b);
	mb = bench_find(b, "Work");
	take_all(mb, "\\Seen");
	agree(mb, "1:2");
	bench_commit(b);
	bench_reopen(b);
	info = bench_info(b, "Work", &list);
	assert_non_null(info);
	assert_true(info->token.known);
	assert_int_equal(info->token.uidnext, 10);
	assert_int_equal(info->known, 2);
	assert_int_equal(info->stored, 2);
	assert_int_equal(info->bytes, 22 + 24);
	assert_false(info->touched);
	mailbox_list_release(&list);
	/* What became of them since is not asked for. */
	oracle_store(o, "INBOX/Work", "1", "FLAGS", "\\Flagged");
	oracle_expunge(o, "INBOX/Work", "2");
	bench_changes(bench_find(b, "Work"), &c);
	assert_true(c.complete);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.v[0].uid, 1);
	assert_int_equal(c.v[0].source_uid, 1);
	assert_int_equal(c.v[0].size, 22);
	assert_int_equal(c.v[0].flags, c.v[0].base_flags);
	assert_int_equal(flag_table_get(c.flags, c.v[0].flags)->bits, FLAG_SEEN);
	changes_release(&c);
	oracle_close(o);
}

/* Gone at the source and kept, removed by the account's user, and back at the source: it has to be put there again. */
static void test_a_kept_message_that_was_removed_is_not_taken_for_one_that_is_there(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct uidset set = set_of("1:3");
	struct mailbox_list list;
	struct err err = { 0 };
	struct mailbox *mb;

	bench_open(b);
	mb = bench_mailbox(b, "Work");
	for (uint32_t uid = 1; uid <= 3; uid++)
		assert_int_equal(bench_put_text(mb, uid, uid == 3 ? "y\r\n" : "x\r\n"), OUTCOME_DONE);
	bench_commit(b);
	must(mailbox_keep(mb, &set, false, &err), &err);
	bench_commit(b);
	bench_reopen(b);
	oracle_expunge(o, "INBOX/Work", "1,3");
	mb = bench_find(b, "Work");
	assert_int_equal(bench_put_text(mb, 11, "x\r\n"), OUTCOME_ADOPTED); /* the other one */
	assert_int_equal(bench_put_text(mb, 12, "x\r\n"), OUTCOME_DONE);
	assert_int_equal(bench_put_text(mb, 13, "y\r\n"), OUTCOME_DONE);
	/* One that came in this run is there. */
	uidset_clear(&set);
	uidset_add_range(&set, 4, 9);
	must(mailbox_keep(mb, &set, false, &err), &err);
	assert_int_equal(bench_put_text(mb, 14, "y\r\n"), OUTCOME_ADOPTED);
	bench_commit(b);
	assert_int_equal(mailbox_count(o, "INBOX/Work"), 3);
	bench_reopen(b);
	assert_int_equal(bench_info(b, "Work", &list)->stored, 2);
	mailbox_list_release(&list);
	uidset_release(&set);
	oracle_close(o);
}

static void test_a_copy_has_its_own_flags_and_not_those_that_a_user_gave_the_other(void **state)
{
	const struct put put = { .body = bytes_of("x\r\n"), .flags = "\\Seen", .identity = "emailid=a" };
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct oracle_dump dump = { 0 };
	struct message as = { .uid = 7, .size = 3 };
	struct flags flags = FLAGS_INIT;
	struct err err = { 0 }, why;
	struct maildate date;
	struct held held;
	enum outcome what;
	uint32_t uid;

	bench_open(b);
	bench_put(bench_mailbox(b, "All"), 1, &put, NULL);
	bench_commit(b);
	oracle_store(o, "INBOX/All", "1", "FLAGS", "\\Flagged $Mine");
	maildate_init(&date);
	maildate_parse(&date, bytes_of(PUT_DATE));
	flags_add_list(&flags, bytes_of("\\Seen $Label"));
	as.flags = &flags;
	as.date = &date;
	assert_int_equal(store_find_identity(b->st, bytes_of("emailid=a"), &held, &err), 1);
	must(mailbox_copy_as(&held, bench_mailbox(b, "Work"), &as, &what, &uid, &why, &err), &err);
	assert_int_equal(what, OUTCOME_DONE);
	bench_commit(b);
	oracle_dump(o, "INBOX/Work", &dump);
	assert_int_equal(dump.n, 1);
	assert_string_equal(dump.msg[0].flags, "$Label \\Seen");
	oracle_dump_release(&dump);
	maildate_release(&date);
	flags_release(&flags);
	oracle_close(o);
}

static void test_that_some_were_removed_at_the_target_is_said_once(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_list list;
	struct mailbox *mb;

	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <2>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <3>\r\n\r\nx\r\n", "");
	bench_open(b);
	mb = bench_find(b, "INBOX");
	take_all(mb, "");
	agree(mb, "1:3");
	bench_commit(b);
	oracle_expunge(o, "INBOX", "1:2");
	for (int i = 0; i < 2; i++) {
		bench_reopen(b);
		assert_int_equal(bench_info(b, "INBOX", &list)->stored, 3);
		mailbox_list_release(&list);
		bench_commit(b);
	}
	assert_string_equal(buf_str(&notes), "INBOX: 2 of the messages copied here earlier were removed "
					     "since; they are not copied again\n");
	oracle_close(o);
}

static void assert_begins_anew(struct bench *b, const char *name)
{
	const struct mailbox_info *info;
	struct mailbox_list list;
	struct changes c;
	struct base base;
	struct err err = { 0 };
	struct mailbox *mb;

	info = bench_info(b, name, &list);
	assert_non_null(info);
	assert_false(info->token.known);
	assert_true(info->touched);
	assert_int_equal(info->known + info->stored + info->kept, 0);
	must(mailbox_open(b->st, info, STORE_READ, &mb, &err), &err);
	mailbox_list_release(&list);
	base_init(&base);
	must(mailbox_base(mb, &base, &err), &err);
	assert_false(base.token.known);
	assert_true(uidset_is_empty(&base.known));
	base_release(&base);
	bench_changes(mb, &c);
	assert_int_equal(c.n, 0);
	changes_release(&c);
}

static void test_another_uidvalidity_begins_anew_and_what_is_there_can_be_taken(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_list list;
	struct mailbox *mb;

	oracle_create(o, "INBOX/Work");
	append(o, "INBOX/Work", "Message-ID: <1>\r\n\r\nx\r\n", "");
	bench_open(b);
	mb = bench_find(b, "Work");
	take_all(mb, "");
	agree(mb, "1");
	bench_commit(b);
	bench_close(b);
	oracle_command(o, "UNSELECT");
	oracle_command(o, "DELETE INBOX/Work");
	oracle_create(o, "INBOX/Work");
	append(o, "INBOX/Work", "Message-ID: <2>\r\n\r\nx\r\n", "");
	bench_open(b);
	assert_begins_anew(b, "Work");
	/* Looking forgets nothing; opening it to be written does. */
	bench_reopen(b);
	assert_begins_anew(b, "Work");
	mb = bench_find(b, "Work");
	take_all(mb, "");
	bench_commit(b);
	bench_reopen(b);
	assert_int_equal(bench_info(b, "Work", &list)->stored, 1);
	assert_false(list.v[1].token.known);
	assert_false(list.v[1].touched);
	mailbox_list_release(&list);
	oracle_close(o);
}

static void test_a_mailbox_that_is_gone_is_not_told_and_begins_anew_when_it_is_made(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_list list;
	struct changes c;
	struct mailbox *mb;

	oracle_create(o, "INBOX/Work");
	append(o, "INBOX/Work", "Message-ID: <1>\r\n\r\nx\r\n", "");
	bench_open(b);
	mb = bench_find(b, "Work");
	take_all(mb, "");
	bench_commit(b);
	oracle_command(o, "UNSELECT");
	oracle_command(o, "DELETE INBOX/Work");
	bench_reopen(b);
	assert_null(bench_info(b, "Work", &list));
	mailbox_list_release(&list);
	oracle_create(o, "INBOX/Work"); /* as create() would */
	bench_changes(bench_find(b, "Work"), &c);
	assert_int_equal(c.n, 0);
	changes_release(&c);
	oracle_close(o);
}

static void test_a_dry_run_says_the_same_and_makes_nothing(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_list list;
	struct changes c;
	struct stat sb;

	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	b->cfg.create = false; /* bench_find() then opens to read */
	bench_open_as(b, STORE_READ);
	assert_false(bench_info(b, "INBOX", &list)->token.known);
	assert_int_equal(list.prefix.count, 1);
	mailbox_list_release(&list);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 0);
	changes_release(&c);
	assert_int_equal(stat(b->cfg.index, &sb), -1);
	bench_close(b);
	b->cfg.create = true;
	bench_open(b);
	take_all(bench_find(b, "INBOX"), "");
	agree(bench_find(b, "INBOX"), "1");
	bench_commit(b);
	bench_close(b);
	b->cfg.create = false;
	bench_open_as(b, STORE_READ);
	assert_true(bench_info(b, "INBOX", &list)->token.known);
	mailbox_list_release(&list);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 1);
	changes_release(&c);
	oracle_close(o);
}

static void test_strangers_come_in_order_with_their_size_and_those_that_are_ours_do_not(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct uidset sizes = set_of("23,9000");
	struct mailbox *mb;
	struct gots got;

	append(o, "INBOX", "Message-ID: <1>\r\nX-Other: y\r\n\r\nbody\r\n", "");
	append(o, "INBOX", "Message-ID: <2>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <3>\r\n\r\nxx\r\n", "");
	bench_open(b);
	mb = bench_find(b, "INBOX");
	bench_strangers(mb, &got);
	assert_int_equal(got.n, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(got.v[i].uid, i + 1);
	assert_int_equal(got.v[0].size, 37);
	assert_non_null(strstr(buf_str(&got.v[0].body), "Message-ID: <1>"));
	assert_null(strstr(buf_str(&got.v[0].body), "body"));
	gots_release(&got);
	bench_strangers_of(mb, &sizes, &got);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.v[0].uid, 3);
	gots_release(&got);
	bench_strangers(mb, &got);
	gots_release(&got);
	assert_int_equal(bench_take(mb, 2, 7, ""), 2);
	assert_int_equal(bench_take(mb, 2, 8, ""), 0); /* it is ours by now */
	bench_strangers(mb, &got);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.v[1].uid, 3);
	gots_release(&got);
	uidset_release(&sizes);
	oracle_close(o);
}

static void test_strangers_that_look_alike_are_equal_only_where_their_bytes_are(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct gots got;

	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <1>\r\n\r\ny\r\n", "");
	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <2>\r\n\r\nx\r\n", "");
	bench_open(b);
	bench_strangers(bench_find(b, "INBOX"), &got);
	assert_int_equal(got.n, 4);
	assert_true(bytes_equal(buf_bytes(&got.v[0].body), buf_bytes(&got.v[2].body)));
	assert_false(bytes_equal(buf_bytes(&got.v[0].body), buf_bytes(&got.v[1].body)));
	assert_true(got.v[3].body.n < got.v[0].body.n); /* only the header */
	gots_release(&got);
	oracle_close(o);
}

static void test_what_is_taken_gets_the_flags_it_is_taken_with_and_keeps_its_own(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct oracle_dump dump = { 0 };
	struct mailbox *mb;
	struct changes c;
	struct gots got;

	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "\\Flagged $Old");
	append(o, "INBOX", "Message-ID: <2>\r\n\r\nx\r\n", "\\Flagged $Old");
	append(o, "INBOX", "Message-ID: <3>\r\n\r\nx\r\n", "\\Seen");
	append(o, "INBOX", "Message-ID: <4>\r\n\r\nx\r\n", "\\Flagged $Old");
	bench_open(b);
	mb = bench_find(b, "INBOX");
	bench_strangers(mb, &got);
	for (uint32_t uid = 1; uid <= 3; uid++)
		assert_int_equal(bench_take(mb, uid, uid + 10, "\\Seen"), uid);
	gots_release(&got);
	bench_commit(b);
	bench_reopen(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 3);
	oracle_dump(o, "INBOX", &dump);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(dump.msg[i].flags, i < 2 ? "$Old \\Flagged \\Seen" : "\\Seen");
		assert_int_equal(flag_table_get(c.flags, c.v[i].flags)->bits, FLAG_SEEN);
		assert_int_equal(flag_table_get(c.flags, c.v[i].flags)->count, 0);
	}
	assert_string_equal(dump.msg[3].flags, "$Old \\Flagged");
	changes_release(&c);
	oracle_dump_release(&dump);
	oracle_close(o);
}

static void test_where_all_is_ours_nothing_is_asked(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox *mb;
	struct gots got;

	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <2>\r\n\r\nx\r\n", "");
	bench_open(b);
	take_all(bench_find(b, "INBOX"), "");
	bench_commit(b);
	bench_reopen(b);
	mb = bench_find(b, "INBOX");
	dovecot_down(account_rig_server());
	bench_strangers(mb, &got);
	assert_int_equal(got.n, 0);
	dovecot_restart(account_rig_server());
	oracle_close(o);
}

struct told {
	unsigned n, of[8]; /* times that each UID was told */
	uint64_t size;
	uint8_t sha256[8][CONTENT_HASH_SIZE];
};

static int on_content(void *ctx, uint32_t uid, uint64_t size, const uint8_t sha256[CONTENT_HASH_SIZE],
		      struct err *err)
{
	struct told *t = ctx;

	(void)err;
	t->n++;
	t->of[uid]++;
	t->size += size;
	memcpy(t->sha256[uid], sha256, CONTENT_HASH_SIZE);
	return 0;
}

static void contents(struct mailbox *mb, const char *uids, struct told *t)
{
	struct uidset set = UIDSET_INIT;
	struct err err = { 0 };

	*t = (struct told){ 0 };
	if (uids)
		set = set_of(uids);
	must(mailbox_contents(mb, uids ? &set : NULL, on_content, t, &err), &err);
	uidset_release(&set);
}

static int write_row(void *ctx, const struct ledger_row *row, struct err *err)
{
	(void)err;
	assert_int_equal(row->sha256.n, CONTENT_HASH_SIZE);
	assert_int_equal(row->how, LEDGER_FOUND);
	buf_addf(ctx, "%u:%llu(%.*s) ", row->uid, (unsigned long long)row->size, (int)row->flags.n,
		 row->flags.n ? (const char *)row->flags.p : "");
	return 0;
}

/* With its hash, so that it need not be fetched for that again. */
static void assert_remembered(const struct bench *b, const char *want)
{
	struct buf got = BUF_INIT(65536);
	char *whose = imap_fingerprint(b->cfg.settings);
	struct ledger *l = NULL;
	struct err err = { 0 };
	size_t n;

	must(ledger_open(&l, b->cfg.index, whose, STORE_READ, &err), &err);
	must(ledger_each(l, ledger_boxes(l, &n)[0], NULL, write_row, &got, &err), &err);
	assert_non_null(strstr(buf_str(&got), want));
	buf_release(&got);
	free(whose);
	ledger_close(l);
}

static void test_contents_are_what_is_there_and_are_read_once(void **state)
{
	struct bench *b = *state;
	struct oracle *o = account_rig_oracle(b);
	struct mailbox_list list;
	struct told t, again;
	struct changes c;

	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <2>\r\n\r\nxx\r\n", "\\Seen $Work");
	append(o, "INBOX", "Message-ID: <1>\r\n\r\nx\r\n", "");
	append(o, "INBOX", "Message-ID: <4>\r\n\r\nx\r\n", "");
	bench_open(b);
	contents(bench_find(b, "INBOX"), "2:3,9", &t);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.of[2] + t.of[3], 2);
	assert_int_equal(t.size, 45);
	contents(bench_find(b, "INBOX"), NULL, &t);
	assert_int_equal(t.n, 4);
	assert_memory_equal(t.sha256[1], t.sha256[3], CONTENT_HASH_SIZE);
	bench_commit(b);
	bench_close(b);
	assert_remembered(b, "2:23(\\Seen $Work) ");
	bench_open(b);
	bench_changes(bench_find(b, "INBOX"), &c);
	assert_int_equal(c.n, 0); /* the user's own */
	changes_release(&c);
	/* A message that is not there any more is not told, and nothing is copied that would say so. */
	oracle_expunge(o, "INBOX", "2");
	contents(bench_find(b, "INBOX"), NULL, &again);
	assert_int_equal(again.n, 3);
	assert_int_equal(again.of[2], 0);
	assert_memory_equal(t.sha256[4], again.sha256[4], CONTENT_HASH_SIZE);
	assert_int_equal(bench_info(b, "INBOX", &list)->stored, 0);
	mailbox_list_release(&list);
	assert_int_equal(notes.n, 0);
	oracle_close(o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names_are_told_without_the_prefix_and_the_prefix_is_told),
		TEST(test_a_mailbox_is_found_under_the_name_that_is_told),
		TEST(test_a_mailbox_is_open_once_and_goes_on_under_another_name),
		TEST(test_what_was_agreed_is_told_with_the_list),
		TEST(test_a_kept_message_that_was_removed_is_not_taken_for_one_that_is_there),
		TEST(test_a_copy_has_its_own_flags_and_not_those_that_a_user_gave_the_other),
		TEST(test_that_some_were_removed_at_the_target_is_said_once),
		TEST(test_another_uidvalidity_begins_anew_and_what_is_there_can_be_taken),
		TEST(test_a_mailbox_that_is_gone_is_not_told_and_begins_anew_when_it_is_made),
		TEST(test_a_dry_run_says_the_same_and_makes_nothing),
		TEST(test_strangers_come_in_order_with_their_size_and_those_that_are_ours_do_not),
		TEST(test_strangers_that_look_alike_are_equal_only_where_their_bytes_are),
		TEST(test_what_is_taken_gets_the_flags_it_is_taken_with_and_keeps_its_own),
		TEST(test_where_all_is_ours_nothing_is_asked),
		TEST(test_contents_are_what_is_there_and_are_read_once),
	};

	account_rig_start(&(struct dovecot_opts){ .extra = "namespace inbox {\n  prefix = INBOX/\n}" });
	return cmocka_run_group_tests(tests, NULL, NULL);
}
