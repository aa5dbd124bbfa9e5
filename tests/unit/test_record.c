#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sync/record.h"
#include "core/sync/scope.h"

#define UUID_A "aaaaaaaa-0000-4000-8000-000000000000"
#define UUID_B "bbbbbbbb-0000-4000-8000-000000000000"

static void test_the_identity_table_row_by_row(void **state)
{
	static const struct {
		bool ran; /* JOB.run is there, for UUID_A at generation 5 */
		enum store_presence presence;
		const char *uuid;
		uint64_t generation;
		bool adopt;
		enum identity_verdict want;
		enum err_kind kind;
	} rows[] = {
		{ false, STORE_MISSING, "", 0, false, IDENTITY_FIRST_RUN, ERR_NONE },
		{ false, STORE_EMPTY, "", 0, false, IDENTITY_FIRST_RUN, ERR_NONE },
		{ false, STORE_OURS, UUID_A, 5, false, IDENTITY_RETURNED, ERR_NONE },
		{ false, STORE_FOREIGN, "", 0, false, IDENTITY_REFUSED, ERR_CONFIG },
		{ false, STORE_FOREIGN, "", 0, true, IDENTITY_ADOPT, ERR_NONE },
		{ true, STORE_MISSING, "", 0, false, IDENTITY_REFUSED, ERR_HELD },
		{ true, STORE_EMPTY, "", 0, false, IDENTITY_REFUSED, ERR_HELD },
		{ true, STORE_FOREIGN, "", 0, false, IDENTITY_REFUSED, ERR_HELD },
		{ true, STORE_FOREIGN, "", 0, true, IDENTITY_REFUSED, ERR_HELD },
		{ true, STORE_OURS, UUID_B, 9, false, IDENTITY_REFUSED, ERR_HELD },
		{ true, STORE_OURS, UUID_A, 4, false, IDENTITY_OLDER, ERR_NONE },
		{ true, STORE_OURS, UUID_A, 5, false, IDENTITY_GO_ON, ERR_NONE },
		{ true, STORE_OURS, UUID_A, 6, false, IDENTITY_GO_ON, ERR_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct record record = { .exists = rows[i].ran, .uuid = UUID_A, .generation = 5 };
		struct store_identity store = { .presence = rows[i].presence,
						.generation = rows[i].generation };
		struct identity_question q = { .path = "P", .record_path = "R",
					       .record = &record, .store = &store,
					       .adopt = rows[i].adopt, .can_adopt = true };
		struct err err = { 0 };

		strcpy(store.uuid, rows[i].uuid);
		assert_int_equal(identity_judge(&q, &err), rows[i].want);
		assert_int_equal(err.kind, rows[i].kind);
	}
}

/* What is in an account is there whether we know of it or not. */
static void test_an_account_without_its_ledger_is_not_a_missing_disk(void **state)
{
	static const struct {
		bool ran;
		enum store_presence presence;
		const char *uuid;
		uint64_t generation;
		enum identity_verdict want;
	} rows[] = {
		{ false, STORE_MISSING, "", 0, IDENTITY_FIRST_RUN },
		{ true, STORE_MISSING, "", 0, IDENTITY_FORGOTTEN },
		{ false, STORE_OURS, UUID_A, 5, IDENTITY_RETURNED },
		{ true, STORE_OURS, UUID_A, 5, IDENTITY_GO_ON },
		{ true, STORE_OURS, UUID_A, 4, IDENTITY_OLDER },
		{ true, STORE_OURS, UUID_B, 9, IDENTITY_REFUSED },
		{ true, STORE_FOREIGN, "", 0, IDENTITY_REFUSED },
		{ false, STORE_FOREIGN, "", 0, IDENTITY_REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct record record = { .exists = rows[i].ran, .uuid = UUID_A, .generation = 5 };
		struct store_identity store = { .presence = rows[i].presence,
						.generation = rows[i].generation };
		struct identity_question q = { .path = "P", .record_path = "R", .record = &record,
					       .store = &store, .can_adopt = true, .account = true };
		struct err err = { 0 };

		strcpy(store.uuid, rows[i].uuid);
		assert_int_equal(identity_judge(&q, &err), rows[i].want);
		assert_int_equal(err.kind, rows[i].want == IDENTITY_REFUSED ? ERR_HELD : ERR_NONE);
	}
}

static void test_a_store_that_takes_nothing_over_does_not_offer_it(void **state)
{
	struct record record = { 0 };
	struct store_identity store = { .presence = STORE_FOREIGN };
	struct identity_question q = { .path = "P", .record_path = "R", .record = &record,
				       .store = &store };
	struct err err = { 0 };

	(void)state;
	for (int adopt = 0; adopt < 2; adopt++) {
		q.adopt = adopt;
		assert_int_equal(identity_judge(&q, &err), IDENTITY_REFUSED);
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_null(strstr(err.text, "--adopt"));
	}
}

static void add_mailbox(struct mailbox_list *list, const char *name, uint32_t uidvalidity)
{
	struct mailbox_info *info = mailbox_list_add(list);
	struct err err;

	assert_int_equal(mailbox_name_from_display(&info->name, bytes_of(name), &err), 0);
	info->token = (struct token){ .known = true, .uidvalidity = uidvalidity, .uidnext = 10 };
	mailbox_list_sort(list);
}

static void test_an_account_is_known_by_name_or_by_most_of_its_uidvalidities(void **state)
{
	struct mailbox_list source = { 0 }, target = { 0 };

	(void)state;
	assert_true(identity_same_account("ann@a", "ann@a", &source, &target));
	assert_false(identity_same_account("ann@a", "bob@a", &source, &target));
	add_mailbox(&source, "INBOX", 1700000011);
	add_mailbox(&target, "INBOX", 1700000011);
	assert_false(identity_same_account("ann@b", "ann@a", &source, &target)); /* one says little */
	add_mailbox(&source, "Sent", 1700000012);
	add_mailbox(&target, "Sent", 1700000012);
	assert_true(identity_same_account("ann@b", "ann@a", &source, &target));
	mailbox_list_find(&target, &source.v[0].name)->token.uidnext = 11; /* cannot shrink */
	assert_false(identity_same_account("ann@b", "ann@a", &source, &target));
	mailbox_list_find(&target, &source.v[0].name)->token.uidnext = 10;
	add_mailbox(&source, "a", 1700000013);
	add_mailbox(&target, "a", 1700000001);
	add_mailbox(&source, "b", 1700000014);
	add_mailbox(&target, "b", 1700000001);
	assert_false(identity_same_account("ann@b", "ann@a", &source, &target)); /* half is not most */
	mailbox_list_release(&source);
	mailbox_list_release(&target);
	for (uint32_t i = 1; i <= 9; i++) { /* two accounts of a server that counts from 1 */
		char name[] = { (char)('a' + i), '\0' };

		add_mailbox(&source, name, i);
		add_mailbox(&target, name, i);
	}
	assert_false(identity_same_account("ann@gmail", "bob@gmail", &source, &target));
	assert_true(identity_same_account("ann@gmail", "ann@gmail", &source, &target));
	mailbox_list_release(&source);
	mailbox_list_release(&target);
}

static void test_a_record_comes_back_as_written(void **state)
{
	char dir[] = "/tmp/mailcask-record-XXXXXX";
	struct record r = { .uuid = UUID_A, .generation = 7, .source_generation = 9 }, got;
	struct record_run run = { .started = 1, .ended = 2, .outcome = "done" };
	char *path, *sub;
	struct err err;
	int lock, second;

	(void)state;
	assert_non_null(mkdtemp(dir));
	sub = xasprintf("%s/deeper", dir);
	path = record_path(sub, "a/b");
	assert_string_equal(path + strlen(sub), "/a%2Fb.run"); /* never outside the directory */
	assert_int_equal(record_load(sub, "a/b", &got, &err), 0);
	assert_false(got.exists);
	r.account = xstrdup("ann@host");
	r.scope = xstrdup("INBOX\n!x\n");
	r.hint = xstrdup("((\"\" \"/\")) NIL NIL");
	for (int i = 0; i < 60; i++)
		assert_int_equal(record_save(sub, "a/b", &r, &run, &err), 0);
	assert_int_equal(record_load(sub, "a/b", &got, &err), 0);
	assert_true(got.exists);
	assert_string_equal(got.uuid, UUID_A);
	assert_string_equal(got.account, r.account);
	assert_string_equal(got.scope, r.scope);
	assert_string_equal(got.hint, r.hint);
	assert_int_equal(got.generation, 7);
	assert_int_equal(got.source_generation, 9);
	assert_int_equal(json_array_size(got.runs), 50);
	record_release(&got);
	record_release(&r);

	assert_int_equal(file_replace(path, bytes_of("{ damaged"), 0600, &err), 0);
	assert_int_equal(record_load(sub, "a/b", &got, &err), -1);
	assert_int_equal(err.kind, ERR_HELD);
	assert_int_equal(file_replace(path, bytes_of("{\"version\": 1}"), 0600, &err), 0);
	assert_int_equal(record_load(sub, "a/b", &got, &err), -1); /* names no store */
	assert_int_equal(err.kind, ERR_HELD);
	assert_int_equal(file_replace(path, bytes_of("{\"version\": 99}"), 0600, &err), 0);
	assert_int_equal(record_load(sub, "a/b", &got, &err), -1);
	assert_non_null(strstr(err.text, "newer"));
	unlink(path);

	assert_int_equal(record_lock(sub, "a/b", &lock, &err), 0);
	assert_int_equal(record_lock(sub, "a/b", &second, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	close(lock);
	assert_int_equal(record_lock(sub, "a/b", &lock, &err), 0);
	close(lock);
	free(path);
	path = xasprintf("%s/a%%2Fb.lock", sub);
	unlink(path);
	assert_int_equal(rmdir(sub), 0);
	assert_int_equal(rmdir(dir), 0);
	free(path);
	free(sub);
}

static void test_what_is_leaving_comes_back_as_written_or_not_at_all(void **state)
{
	static const char *const damaged[] = {
		"5",
		"[{\"mailbox\":\"A\",\"uidvalidity\":7,\"source\":\"1:3\",\"stored\":\"1:2\"}]",
		"[{\"mailbox\":\"A\",\"uidvalidity\":0,\"source\":\"1\",\"stored\":\"1\"}]",
		"[{\"mailbox\":\"A\",\"uidvalidity\":7,\"source\":\"1:*\",\"stored\":\"1\"}]",
		"[{\"uidvalidity\":7,\"source\":\"1\",\"stored\":\"1\"}]",
	};
	struct leaving_list list = { 0 }, got = { 0 };
	struct leaving *l = leaving_add(&list, "Work/\xc3\x84", 7);
	json_t *json;

	(void)state;
	leaving_add_pair(l, 5, 5);
	leaving_add_pair(l, 6, 9);
	leaving_add_pair(l, 7, 10);
	leaving_add_pair(leaving_add(&list, "INBOX", 8), 1, 1);
	assert_int_equal(leaving_count(&list), 4);
	json = leaving_to_json(&list);
	assert_true(leaving_from_json(&got, json));
	json_decref(json);
	assert_int_equal(got.n, 2);
	assert_null(leaving_find(&got, "INBOX", 7));
	assert_non_null(leaving_find(&got, "INBOX", 8));
	json = leaving_to_json(&got);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "source")), "5:7");
	assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "stored")), "5,9:10");
	json_decref(json);
	leaving_remove(&got, 0);
	assert_int_equal(leaving_count(&got), 1);
	leaving_list_release(&got);
	leaving_list_release(&list);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		json = json_loads(damaged[i], JSON_DECODE_ANY, NULL);
		assert_non_null(json);
		assert_false(leaving_from_json(&got, json));
		leaving_list_release(&got);
		json_decref(json);
	}
	assert_true(leaving_from_json(&got, NULL));
}

static void test_the_last_pattern_that_matches_decides(void **state)
{
	static const struct {
		const char *patterns[4];
		const char *name;
		unsigned attributes;
		bool in;
	} cases[] = {
		{ { NULL }, "anything", 0, true },
		{ { "INBOX" }, "INBOX", 0, true },
		{ { "INBOX" }, "Sent", 0, false },
		{ { "!Sent" }, "INBOX", 0, true },
		{ { "!Sent" }, "Sent", 0, false },
		{ { "*", "!\\Trash" }, "Deleted", MAILBOX_TRASH, false },
		{ { "*", "!\\Trash" }, "Trash", 0, true },
		{ { "*", "!Work/*", "Work/keep" }, "Work/keep", 0, true },
		{ { "*", "!Work/*", "Work/keep" }, "Work/other", 0, false },
		{ { "%" }, "Work/other", 0, false },
		{ { "\\sent" }, "Gesendet", MAILBOX_SENT, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mailbox_name name = MAILBOX_NAME_INIT;
		struct err err;
		size_t n = 0;

		while (n < 4 && cases[i].patterns[n])
			n++;
		assert_int_equal(mailbox_name_from_display(&name, bytes_of(cases[i].name), &err), 0);
		assert_int_equal(scope_contains(cases[i].patterns, n, &name, cases[i].attributes),
				 cases[i].in);
		mailbox_name_release(&name);
	}
}

static void test_a_pattern_that_means_nothing_is_refused(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(scope_check_pattern("!\\Junk", &err), 0);
	assert_int_equal(scope_check_pattern("Work/*", &err), 0);
	assert_int_equal(scope_check_pattern("\\Spam", &err), -1);
	assert_int_equal(scope_check_pattern("", &err), -1);
	assert_int_equal(scope_check_pattern("!", &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_identity_table_row_by_row),
		cmocka_unit_test(test_an_account_without_its_ledger_is_not_a_missing_disk),
		cmocka_unit_test(test_a_store_that_takes_nothing_over_does_not_offer_it),
		cmocka_unit_test(test_an_account_is_known_by_name_or_by_most_of_its_uidvalidities),
		cmocka_unit_test(test_a_record_comes_back_as_written),
		cmocka_unit_test(test_what_is_leaving_comes_back_as_written_or_not_at_all),
		cmocka_unit_test(test_the_last_pattern_that_matches_decides),
		cmocka_unit_test(test_a_pattern_that_means_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
