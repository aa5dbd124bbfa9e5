/* Choosing messages of a store by what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/search.h"
#include "core/base/buf.h"
#include "core/msgset/uidset.h"
#include "tests/lib/memory_store.h"

#define NOON 1709208000 /* 2024-02-29 12:00:00 UTC */

/* INBOX of a store in memory. */
struct rig {
	struct memory_world world;
	struct store_config cfg;
	struct store *st;
	struct mailbox *mb;
};

static int set_up(void **state)
{
	static const struct {
		const char *text, *flags;
	} mail[] = {
		{ "From: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <jm@example.org>\r\nTo: ann@example.org\r\n"
		  "Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\nMessage-ID: <1@x>\r\n\r\nsubject: body\r\n",
		  "\\Seen $Work" },
		{ "From: Bob <bob@example.org>\r\nCc: \"Ann, the one\" <a@b>\r\nSubject: new\r\n house\r\n"
		  "List-Id: Developers <dev.example.org>\r\nMessage-ID:\r\n <2@x>\r\n\r\nfrom ann\r\n",
		  "\\Flagged" },
		{ "Subject: newhouse\n\nno sender\n", "\\Answered \\Draft \\Deleted" },
		{ "no header at all", "" },
	};
	struct rig *rig = calloc(1, sizeof(*rig));

	memory_world_init(&rig->world);
	for (size_t i = 0; i < 4; i++) {
		memory_deliver(&rig->world, "INBOX", mail[i].text, mail[i].flags);
		memory_mailbox_get(&rig->world, "INBOX")->v[i].date = NOON + (int64_t)i * 86400;
	}
	rig->cfg = (struct store_config){ .name = "store", .settings = &rig->world };
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	memory_world_release(&rig->world);
	free(rig);
	return 0;
}

/* Which of the messages are found, as a set; or "error: ..." */
static char *find(struct rig *rig, const char *text)
{
	struct search s = { 0 };
	struct mailbox_list list = { 0 };
	struct uidset found = UIDSET_INIT;
	struct buf out = BUF_INIT(1000);
	struct err err = { 0 };
	struct changes have;
	struct changes_request req = { .out = &have };

	changes_init(&have);
	rig->world.fetched = rig->world.headers = 0;
	if (search_add(&s, text, NOON, &err) < 0) {
		buf_addf(&out, "error: %s", err.text);
		goto out;
	}
	assert_int_equal(store_open(&memory_store, &rig->st, &rig->cfg, STORE_READ, &err), 0);
	assert_int_equal(store_list(rig->st, NULL, &list, &err), 0);
	assert_int_equal(mailbox_open(rig->st, &list.v[0], STORE_READ, &rig->mb, &err), 0);
	req.mailbox = rig->mb;
	assert_int_equal(store_changes(rig->st, &req, 1, &err), 0);
	assert_int_equal(search_select(&s, rig->mb, &have, &found, &err), 0);
	uidset_format(&found, &out);
	store_close(rig->st);
out:
	mailbox_list_release(&list);
	changes_release(&have);
	uidset_release(&found);
	search_release(&s);
	return buf_take(&out);
}

static void test_each_criterion_finds_what_it_says(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "from jürgen", "1" },
		{ "text body", "error: 'text' is no criterion; there are from, to, subject, header, message-id, since, "
			       "before, larger, smaller, seen, unseen, answered, flagged, draft, deleted, keyword, and "
			       "'not' before one" },
		{ "from JÜRGEN", "1" },
		{ "from \"jürgen müller\"", "1" },
		{ "FROM example.ORG", "1:2" },
		{ "from ann", "" }, /* that is in the body */
		{ "to ann", "1:2" },
		{ "to \"ann, the\"", "2" },
		{ "subject grüße", "1" },
		{ "subject GRÜSSE", "1" }, /* ß is SS */
		{ "subject \"new house\"", "2" },
		{ "subject house", "2:3" },
		{ "subject body", "" },
		{ "header \"list-id: dev\"", "2" },
		{ "header jürgen", "1" },
		{ "header sender", "" },
		{ "message-id 1@x", "1" },
		{ "message-id <2@x>", "2" },
		{ "message-id 1", "" },
		{ "since 2024-03-01", "2:4" },
		{ "before 2024-03-01", "1" },
		{ "since 2024-03-01 before 2024-03-03", "2:3" },
		{ "since \"1 day ago\" before tomorrow_is_no_date", "error: before: " },
		{ "larger 100", "1:2" },
		{ "smaller 20", "4" },
		{ "larger 1k", "" },
		{ "smaller 1M", "1:4" },
		{ "seen", "1" },
		{ "unseen", "2:4" },
		{ "not seen", "2:4" },
		{ "not not seen", "1" },
		{ "answered", "3" },
		{ "flagged", "2" },
		{ "draft", "3" },
		{ "deleted", "3" },
		{ "keyword $work", "1" },
		{ "not keyword $work", "2:4" },
		{ "from jürgen seen", "1" },
		{ "from jürgen unseen", "" },
		{ "not from example.org", "3:4" },
		{ "", "error: there is no criterion in it" },
		{ "  ", "error: there is no criterion in it" },
		{ "form ann", "error: 'form' is no criterion; there are from, to, " },
		{ "from", "error: from needs a TEXT" },
		{ "from \"\"", "error: from: there is nothing to look for" },
		{ "from \"ann", "error: a quotation mark is missing" },
		{ "not", "error: there is nothing after 'not'" },
		{ "larger 3x", "error: larger: a size is such as" },
		{ "larger 3kk", "error: larger: a size is such as" },
		{ "larger 99999999999999999999", "error: larger: a size is such as" },
		{ "since soon", "error: since: " },
	};

	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = find(*state, cases[i].text);
		bool prefix = strncmp(cases[i].want, "error:", 6) == 0;

		if (prefix ? strncmp(got, cases[i].want, strlen(cases[i].want)) != 0
			   : strcmp(got, cases[i].want) != 0)
			fail_msg("'%s' finds '%s', not '%s'", cases[i].text, got, cases[i].want);
		free(got);
	}
}

static void test_only_what_flags_and_sizes_leave_open_is_looked_into(void **state)
{
	struct rig *rig = *state;

	free(find(rig, "seen larger 5"));
	assert_int_equal(rig->world.headers + rig->world.fetched, 0);
	free(find(rig, "subject house seen"));
	assert_int_equal(rig->world.headers, 1);
	assert_int_equal(rig->world.fetched, 0);
}

static void test_what_cannot_be_read_is_chosen(void **state)
{
	struct rig *rig = *state;
	char *got;

	memory_mailbox_get(&rig->world, "INBOX")->v[3].poison = true;
	got = find(rig, "subject house");
	assert_string_equal(got, "2:4");
	free(got);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_each_criterion_finds_what_it_says),
		RIGGED(test_only_what_flags_and_sizes_leave_open_is_looked_into),
		RIGGED(test_what_cannot_be_read_is_chosen),
	};

	return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
