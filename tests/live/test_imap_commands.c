#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_watch.h"
#include "core/imap/url.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_client.h"
#include "tests/lib/imap_oracle.h"

/* Every command against a real server; each test is a user of its own. */
static struct dovecot *server;

static void open_as(struct client *c, const char *user, const char *disable)
{
	client_open(c, &(struct client_opts){ .port = server->tls_port, .ca_file = server->ca_file,
					      .user = user, .disable = disable });
}

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

/* `n` messages of a few lines, with UIDs from 1 on in a fresh mailbox. */
static void fill(const char *user, const char *mailbox, size_t n)
{
	struct oracle *o = oracle_open(server->port, user);
	const struct oracle_new msg = { .flags = "", .body = bytes_of("Subject: hello\r\n\r\nx\r\n") };

	for (size_t i = 0; i < n; i++)
		oracle_append(o, mailbox, &msg, 1);
	oracle_close(o);
}

/* --- the server --- */

static void test_what_a_server_says_of_itself_and_of_its_mailboxes(void **state)
{
	const struct imap_list_options options = { .status = IMAP_ITEM_MESSAGES };
	struct imap_namespaces spaces;
	struct imap_mailbox_list list;
	struct imap_id id;
	struct client c;

	(void)state;
	fill("asker", "INBOX", 2);
	open_as(&c, "asker", NULL);
	OK(imap_capability_wait(c.session, &err_));
	assert_int_equal(imap_session_protocol(c.session), IMAP_PROTOCOL_REV1);
	OK(imap_id_wait(c.session, &id, &err_));
	assert_string_equal(id.values[0], "Dovecot");
	imap_id_release(&id);
	OK(imap_namespace_wait(c.session, &spaces, &err_));
	assert_int_equal(spaces.list[0].delimiter, '/');
	imap_namespaces_release(&spaces);
	OK(imap_list_wait(c.session, &options, &list, &err_));
	assert_true(list.complete);
	assert_int_equal(list.entries[0].messages, 2);
	imap_mailbox_list_release(&list);
	client_status(&c, "INBOX");
	client_status(&c, "nowhere");
	client_expect(&c, "2 ok no ");
	client_raw(&c, "NAMESPACE");
	client_expect(&c, "3 values ok ");
	client_raw(&c, "X-NONSENSE");
	client_expect(&c, "bad ");
	OK(imap_noop_wait(c.session, &err_));
	OK(imap_logout_wait(c.session, &err_));
	assert_int_equal(imap_session_state(c.session), IMAP_STATE_CLOSED);
	client_close(&c);
}

/* --- mailboxes --- */

static void test_mailboxes_are_made_renamed_subscribed_and_removed(void **state)
{
	struct imap_mailbox_list list;
	struct imap_created made;
	struct client c;

	(void)state;
	open_as(&c, "manager", NULL);
	OK(imap_create_wait(c.session, b("with \"quotes\" and \\"), 0, NULL, &err_));
	OK(imap_create_wait(c.session, b("a/b"), 0, &made, &err_));
	assert_false(made.existed);
	free(made.mailbox_id);
	OK(imap_create_wait(c.session, b("a/b"), 0, &made, &err_));
	assert_true(made.existed);
	REFUSED(imap_create_wait(c.session, b("a/b"), 0, NULL, &err_), "ALREADYEXISTS");
	OK(imap_rename_wait(c.session, b("a/b"), b("c d"), &err_));
	REFUSED(imap_rename_wait(c.session, b("a/b"), b("e"), &err_), "NONEXISTENT");
	OK(imap_subscribe_wait(c.session, b("c d"), &err_));
	OK(imap_lsub_wait(c.session, &list, &err_));
	assert_int_equal(list.n, 1);
	assert_true(bytes_is(list.entries[0].name.wire, "c d"));
	imap_mailbox_list_release(&list);
	OK(imap_unsubscribe_wait(c.session, b("c d"), &err_));
	OK(imap_delete_wait(c.session, b("c d"), &err_));
	REFUSED(imap_delete_wait(c.session, b("c d"), &err_), "NONEXISTENT");
	REFUSED(imap_create_wait(c.session, b("s"), IMAP_MAILBOX_SENT, NULL, &err_),
		"CREATE-SPECIAL-USE");
	REFUSED(imap_unauthenticate_wait(c.session, &err_), "UNAUTHENTICATE");
	client_close(&c);
}

static void test_check_close_and_unselect(void **state)
{
	struct oracle *o;
	struct client c;

	(void)state;
	fill("closer", "INBOX", 2);
	o = oracle_open(server->port, "closer");
	oracle_store(o, "INBOX", "1:2", "+FLAGS", "\\Deleted");
	open_as(&c, "closer", NULL);
	client_select(&c, "INBOX");
	OK(imap_check_wait(c.session, &err_));
	imap_unselect(c.session, client_note, &c);
	client_expect(&c, "ok ");
	assert_int_equal(imap_session_state(c.session), IMAP_STATE_AUTHENTICATED);
	client_select(&c, "INBOX");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 2); /* UNSELECT removes none */
	OK(imap_close_wait(c.session, &err_));
	client_select(&c, "INBOX");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 0); /* CLOSE does */
	client_close(&c);
	oracle_close(o);
}

static void test_enable_quota_and_rights(void **state)
{
	const enum imap_cap caps[] = { IMAP_CAP_QRESYNC, IMAP_CAP_UTF8_ACCEPT };
	struct imap_quotas quotas;
	struct imap_acl acl;
	struct client c;
	char *rights;

	(void)state;
	open_as(&c, "owner", NULL);
	OK(imap_enable_wait(c.session, caps, 2, &err_));
	assert_true(imap_session_enabled(c.session, IMAP_CAP_QRESYNC));
	assert_false(imap_session_enabled(c.session, IMAP_CAP_UTF8_ACCEPT));
	OK(imap_getquotaroot_wait(c.session, b("INBOX"), &quotas, &err_));
	assert_int_equal(quotas.n, 1);
	assert_string_equal(quotas.roots[0].root, "User quota");
	assert_string_equal(quotas.roots[0].resources[0].name, "STORAGE");
	assert_int_equal(quotas.roots[0].resources[0].limit, 10240);
	imap_quotas_release(&quotas);
	OK(imap_getquota_wait(c.session, b("User quota"), &quotas, &err_));
	assert_int_equal(quotas.roots[0].n, 1);
	imap_quotas_release(&quotas);
	REFUSED(imap_getquota_wait(c.session, b("other"), &quotas, &err_), "NO");
	OK(imap_myrights_wait(c.session, b("INBOX"), &rights, &err_));
	assert_non_null(strchr(rights, 'l'));
	free(rights);
	OK(imap_getacl_wait(c.session, b("INBOX"), &acl, &err_));
	assert_int_equal(acl.n, 1);
	assert_string_equal(acl.identifiers[0], "owner");
	imap_acl_release(&acl);
	client_close(&c);
}

/* --- messages --- */

static void test_store_adds_removes_and_finds_what_changed_meanwhile(void **state)
{
	struct client c;
	struct oracle *o;
	uint64_t modseq;

	(void)state;
	fill("storer", "INBOX", 4);
	open_as(&c, "storer", NULL);
	client_select(&c, "INBOX");
	client_store(&c, (struct imap_store_request){ .how = IMAP_STORE_ADD }, "1:2", "\\Seen $Work");
	client_expect(&c, "1 2 ok ");
	client_store(&c, (struct imap_store_request){ .how = IMAP_STORE_REMOVE, .silent = true }, "2",
	      "$Work");
	client_forget(&c); /* a modseq may come with .SILENT, too */
	client_store(&c, (struct imap_store_request){ .numbering = IMAP_NUMBERS }, "3", "\\Flagged");
	OK(imap_session_drain(c.session, &err_));
	assert_non_null(strstr(buf_str(&c.log), "ok "));
	buf_clear(&c.log);
	client_select(&c, "INBOX");
	modseq = imap_session_mailbox(c.session)->highest_modseq;
	o = oracle_open(server->port, "storer");
	oracle_store(o, "INBOX", "4", "+FLAGS", "\\Answered");
	client_store(&c, (struct imap_store_request){ .conditional = true, .unchanged_since = modseq },
	      "3:4", "\\Deleted");
	OK(imap_session_drain(c.session, &err_));
	assert_non_null(strstr(buf_str(&c.log), "modified=4 "));
	oracle_close(o);
	client_close(&c);
}

static void test_expunge_removes_what_is_named(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *user = i ? "expunger2" : "expunger";
		struct client c;

		fill(user, "INBOX", 4);
		open_as(&c, user, NULL);
		if (i)
			OK(imap_enable_wait(c.session, &qresync, 1, &err_));
		client_select(&c, "INBOX");
		client_store(&c, (struct imap_store_request){ .silent = true }, "1:3", "\\Deleted");
		client_forget(&c);
		client_expunge(&c, "2:4");
		client_expect(&c, i ? "2 uids=2:3 ok " : "2 uids= ok "); /* not 1, whoever marked it */
		client_expunge(&c, NULL);
		client_expect(&c, i ? "1 uids=1 ok " : "1 uids= ok ");
		client_close(&c);
	}
}

static void test_copy_and_move_tell_the_new_uids(void **state)
{
	struct imap_copy_request q = { 0 };
	struct client c;

	(void)state;
	fill("copier", "INBOX", 4);
	open_as(&c, "copier", NULL);
	client_select(&c, "INBOX");
	client_copy(&c, q, "2,4", "Other");
	client_expect(&c, "no "); /* TRYCREATE */
	OK(imap_create_wait(c.session, b("Other"), 0, NULL, &err_));
	client_copy(&c, q, "2,4", "Other");
	client_expect(&c, "from=2,4 to=1:2 ok ");
	q.move = true;
	client_copy(&c, q, "2,4", "Other");
	client_expect(&c, "from=2,4 to=3:4 ok ");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 2);
	client_copy(&c, q, "2,4", "Other"); /* nothing is left */
	client_expect(&c, "ok ");
	q.numbering = IMAP_NUMBERS;
	client_copy(&c, q, "1:2", "Other");
	client_expect(&c, "from=1,3 to=5:6 ok ");
	client_close(&c);
}

static void test_search_returns_counts_parts_and_a_saved_result(void **state)
{
	const unsigned counts = IMAP_SEARCH_COUNT | IMAP_SEARCH_MAX;
	struct oracle *o;

	(void)state;
	fill("seeker", "INBOX", 6);
	o = oracle_open(server->port, "seeker");
	oracle_store(o, "INBOX", "2:5", "+FLAGS", "\\Flagged");
	oracle_close(o);
	for (int i = 0; i < 2; i++) {
		struct client c;

		open_as(&c, "seeker", i ? "ESEARCH, SEARCHRES, CONTEXT=SEARCH" : NULL);
		client_select(&c, "INBOX");
		client_search(&c, (struct imap_search_request){ 0 }, "FLAGGED", NULL);
		client_expect(&c, "found=2:5 count=4 max=5 ok ");
		client_search(&c, (struct imap_search_request){ .items = counts }, "FLAGGED", NULL);
		client_expect(&c, i ? "found=2:5 count=4 max=5 ok " : "found= count=4 max=5 ok ");
		client_search(&c, (struct imap_search_request){ 0 }, "SUBJECT", "gr\xc3\xbc\xc3\x9f");
		client_expect(&c, "found= count=0 ok ");
		client_search(&c, (struct imap_search_request){ .charset = "X-NONE" }, "SUBJECT", "x");
		client_expect(&c, "no ");
		client_search(&c, (struct imap_search_request){ .numbering = IMAP_NUMBERS }, "1:2",
			   NULL);
		client_expect(&c, "found=1:2 count=2 max=2 ok ");
		if (i == 0) {
			client_search(&c, (struct imap_search_request){
				.items = IMAP_SEARCH_PARTIAL, .first = 2, .last = 3 }, "FLAGGED",
				NULL);
			client_expect(&c, "found=3:4 ok ");
			client_search(&c, (struct imap_search_request){ .items = IMAP_SEARCH_SAVE },
				   "FLAGGED", NULL);
			client_expect(&c, "found= ok ");
			client_store(&c, (struct imap_store_request){ .numbering = IMAP_SAVED }, "1",
			      "\\Answered");
			client_expect(&c, "2 3 4 5 ok ");
		}
		assert_int_equal(strstr(buf_str(&c.transcript), "RETURN") == NULL, i == 1);
		client_close(&c);
	}
}

static void test_append_streams_one_or_several_messages(void **state)
{
	static const char *const bodies[] = { "A: 1\r\n\r\na\r\n", "B: 2\r\n\r\nb\r\n",
					      "C: 3\r\n\r\nc\r\n" };
	struct client c;

	(void)state;
	open_as(&c, "appender", NULL);
	client_append(&c, "nowhere", bodies, 1);
	client_expect(&c, "no "); /* TRYCREATE, and the message was not sent */
	client_append(&c, "INBOX", bodies, 1);
	client_expect(&c, "uids=1 ok ");
	client_append(&c, "INBOX", bodies, 3);
	client_expect(&c, "uids=2:4 ok ");
	/* The first time the literal waited, later it did not. */
	assert_non_null(strstr(buf_str(&c.transcript), "{11}"));
	assert_non_null(strstr(buf_str(&c.transcript), "{11+}"));
	client_select(&c, "INBOX");
	client_fetch(&c, (struct imap_fetch_request){ .section = "", .items = IMAP_FETCH_INTERNALDATE |
					       IMAP_FETCH_FLAGS }, "3");
	client_expect(&c, "B: 2\r\n\r\nb\r\n|3 760686745 \\Seen $Work|ok ");
	client_close(&c);
}

/* Below a name that has to be encoded in a URL. */
#define PARTS_BOX "Entw&APw-rfe/a b;UID=1"
#define PARTS_TEXT "--q\r\n\r\none\r\n--q\r\n\r\ntwo \303\274\r\n\r\n--q--\r\n"
#define PARTS_HEADER "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; " \
		     "boundary=q\r\n\r\n"

static void on_catenated(void *ctx, const struct imap_append_answer *answer,
			 const struct imap_result *result)
{
	if (answer->bad_url.p)
		buf_add_str(&((struct client *)ctx)->log, "bad-url ");
	client_on_appended(ctx, answer, result);
}

/* One that has other bytes of another message in front: header, text, part 2 and all of it. */
static void catenate(struct client *c, struct imap_url url)
{
	struct imap_url header = url, two = url;
	struct client_source texts[2] = { { .body = b("\r\n-- \r\nX: ") }, { .body = b("end\r\n") } };
	const struct imap_append_part parts[] = {
		{ .url = &header },
		{ .size = texts[0].body.n, .read = client_read, .ctx = &texts[0] },
		{ .url = &two },
		{ .url = &url },
		{ .size = texts[1].body.n, .read = client_read, .ctx = &texts[1] },
	};
	const struct imap_append_message message = { .parts = parts, .n_parts = 5 };

	header.section = "HEADER";
	two.section = "2";
	OK(imap_append(c->session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = &message, .n = 1 }, on_catenated, c, &err_));
	OK(imap_session_drain(c->session, &err_));
}

static void test_catenate_builds_a_message_of_what_is_there_and_what_is_sent(void **state)
{
	const struct oracle_new whole = { .flags = "", .body = b(PARTS_HEADER PARTS_TEXT) };
	struct imap_url url = { .mailbox = b(PARTS_BOX), .uid = 1 };
	struct client c;
	struct oracle *o;

	(void)state;
	open_as(&c, "catenator", NULL);
	OK(imap_create_wait(c.session, url.mailbox, 0, NULL, &err_));
	o = oracle_open(server->port, "catenator");
	oracle_append(o, PARTS_BOX, &whole, 1);
	oracle_close(o);
	client_select(&c, PARTS_BOX);
	url.uid_validity = imap_session_mailbox(c.session)->uid_validity;
	catenate(&c, url);
	client_expect(&c, "uids=1 ok ");
	url.uid_validity++;
	catenate(&c, url);
	client_expect(&c, "bad-url no ");
	url.uid_validity--;
	url.uid = 77;
	catenate(&c, url);
	client_expect(&c, "bad-url no ");
	client_select(&c, "INBOX");
	client_fetch(&c, (struct imap_fetch_request){ .section = "" }, "1:9");
	client_expect(&c, PARTS_HEADER "\r\n-- \r\nX: two \303\274\r\n" PARTS_HEADER PARTS_TEXT
		   "end\r\n|1 |ok ");
	assert_null(strstr(buf_str(&c.transcript), "{11+}"));
	client_close(&c);
}

static void test_replace_and_utf8_headers_are_refused_where_they_are_not_offered(void **state)
{
	struct client_source source = { .body = b("A: 1\r\n") };
	struct imap_append_message m = { .size = 6, .read = client_read, .ctx = &source };
	const struct imap_replace_request replace = { .number = 1, .mailbox = b("INBOX"),
						      .message = &m };
	struct client c;

	(void)state;
	fill("replacer", "INBOX", 1);
	open_as(&c, "replacer", NULL);
	client_select(&c, "INBOX");
	buf_clear(&c.transcript);
	REFUSED(imap_replace(c.session, &replace, client_on_appended, &c, &err_), "offer REPLACE");
	m.utf8 = true;
	REFUSED(imap_append(c.session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = &m, .n = 1 }, client_on_appended, &c, &err_),
		"UTF8=ACCEPT enabled");
	assert_int_equal(c.transcript.n, 0);
	client_close(&c);
}

static void test_fetch_slices_numbers_and_what_vanished(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct client c;
	uint64_t modseq;

	(void)state;
	fill("fetcher", "INBOX", 4);
	open_as(&c, "fetcher", NULL);
	OK(imap_enable_wait(c.session, &qresync, 1, &err_));
	client_select(&c, "INBOX");
	modseq = imap_session_mailbox(c.session)->highest_modseq;
	client_fetch(&c, (struct imap_fetch_request){ .section = "", .offset = 9, .length = 5 }, "2");
	client_expect(&c, "hello|2 |ok ");
	client_fetch(&c, (struct imap_fetch_request){ .numbering = IMAP_NUMBERS }, "3");
	client_expect(&c, "|3 |ok ");
	client_store(&c, (struct imap_store_request){ .silent = true }, "2", "\\Deleted");
	client_expunge(&c, "2");
	client_forget(&c);
	client_fetch(&c, (struct imap_fetch_request){ .changed_since = modseq, .vanished = true }, "1:4");
	client_expect(&c, "gone=2 ok ");
	client_close(&c);
}

static void test_select_with_qresync_tells_what_changed_since(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct imap_resync since = { 0 };
	struct imap_resync_sink sink = { .vanished = client_on_vanished, .message = client_on_message,
					 .done = client_note };
	struct client c;
	struct oracle *o;

	(void)state;
	fill("resyncer", "INBOX", 5);
	open_as(&c, "resyncer", NULL);
	OK(imap_enable_wait(c.session, &qresync, 1, &err_));
	OK(imap_create_wait(c.session, b("Other"), 0, NULL, &err_));
	client_select(&c, "INBOX");
	since.uid_validity = imap_session_mailbox(c.session)->uid_validity;
	since.modseq = imap_session_mailbox(c.session)->highest_modseq;
	client_select(&c, "Other");
	o = oracle_open(server->port, "resyncer");
	oracle_store(o, "INBOX", "4", "+FLAGS", "\\Answered");
	oracle_store(o, "INBOX", "2", "+FLAGS", "\\Deleted");
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "EXPUNGE");
	oracle_close(o);
	sink.ctx = &c;
	OK(imap_select_resync(c.session, b("INBOX"), false, &since, &sink, &err_));
	client_expect(&c, "gone=2 4 ok ");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 4);
	since.uid_validity++; /* another mailbox of that name: nothing is told */
	OK(imap_select_resync(c.session, b("INBOX"), true, &since, &sink, &err_));
	client_expect(&c, "ok ");
	OK(imap_select_resync(c.session, b("nowhere"), true, &since, &sink, &err_));
	client_expect(&c, "no ");
	client_close(&c);
}

/* --- watching --- */

static bool never(void *ctx, const struct imap_event *ev)
{
	*(bool *)ctx |= ev->kind == IMAP_EVENT_EXISTS;
	return true;
}

static void test_idle_hears_of_a_new_message(void **state)
{
	struct imap_idle *idle;
	bool seen = false;
	struct client c;

	(void)state;
	open_as(&c, "idler", NULL);
	client_select(&c, "INBOX");
	/* Nothing happens: it ends in time, and the session is of use afterwards. */
	OK(imap_idle_wait(c.session, never, &seen, clock_ms() + 50, &err_));
	assert_false(seen);
	client_listen(&c, IMAP_EVENT_EXISTS);
	OK(imap_idle(c.session, client_note, &c, &idle, &err_));
	fill("idler", "INBOX", 1);
	client_hear(&c);
	imap_idle_end(idle);
	client_expect(&c, "ok ");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 1);
	OK(imap_noop_wait(c.session, &err_));
	client_close(&c);
}

static void test_notify_hears_of_other_mailboxes(void **state)
{
	const struct imap_notify_request all = { .others = true, .selected = true };
	struct client c;
	bool accepted;

	(void)state;
	open_as(&c, "listener", NULL);
	OK(imap_create_wait(c.session, b("Other"), 0, NULL, &err_));
	client_select(&c, "INBOX");
	client_listen(&c, IMAP_EVENT_STATUS);
	OK(imap_notify_wait(c.session, &all, &accepted, &err_));
	assert_true(accepted);
	fill("listener", "Other", 1);
	client_hear(&c);
	OK(imap_notify_wait(c.session, &(struct imap_notify_request){ 0 }, &accepted, &err_));
	assert_true(accepted);
	client_close(&c);
	open_as(&c, "listener", "NOTIFY");
	OK(imap_notify_wait(c.session, &all, &accepted, &err_));
	assert_false(accepted);
	client_close(&c);
}

static int start_server(void **state)
{
	static const struct dovecot_opts opts = {
		.extra = "plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n"
			 "  quota_rule = *:storage=10M\n  acl = vfile\n}\n",
		.extra_imap = "  mail_plugins = quota acl imap_quota imap_acl\n",
	};

	(void)state;
	server = dovecot_start(&opts);
	return server ? 0 : -1;
}

static int stop_server(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_server_says_of_itself_and_of_its_mailboxes),
		cmocka_unit_test(test_mailboxes_are_made_renamed_subscribed_and_removed),
		cmocka_unit_test(test_check_close_and_unselect),
		cmocka_unit_test(test_enable_quota_and_rights),
		cmocka_unit_test(test_store_adds_removes_and_finds_what_changed_meanwhile),
		cmocka_unit_test(test_expunge_removes_what_is_named),
		cmocka_unit_test(test_copy_and_move_tell_the_new_uids),
		cmocka_unit_test(test_search_returns_counts_parts_and_a_saved_result),
		cmocka_unit_test(test_append_streams_one_or_several_messages),
		cmocka_unit_test(test_catenate_builds_a_message_of_what_is_there_and_what_is_sent),
		cmocka_unit_test(test_replace_and_utf8_headers_are_refused_where_they_are_not_offered),
		cmocka_unit_test(test_fetch_slices_numbers_and_what_vanished),
		cmocka_unit_test(test_select_with_qresync_tells_what_changed_since),
		cmocka_unit_test(test_idle_hears_of_a_new_message),
		cmocka_unit_test(test_notify_hears_of_other_mailboxes),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
