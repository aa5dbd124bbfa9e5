/*
 * tests/live/test_imap_commands.c on servers that are not Dovecot: every command they have, by the
 * same steps. What they answer in another way stands in the tests' expectations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/msgset/uidset.h"
#include "tests/lib/imap_client.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/peers.h"

/* One at a time; NULL while it does not run. */
static struct peer *courier, *cyrus;
static const char *const bodies[] = { "A: 1\r\n\r\na\r\n", "B: 2\r\n\r\nb\r\n",
				      "C: 3\r\n\r\nc\r\n" };

static int start_courier(void **state)
{
	(void)state;
	courier = peer_courier();
	return 0;
}

static int start_cyrus(void **state)
{
	(void)state;
	cyrus = peer_cyrus(NULL);
	return 0;
}

static int stop_courier(void **state)
{
	(void)state;
	peer_stop(courier);
	courier = NULL;
	return 0;
}

static int stop_cyrus(void **state)
{
	(void)state;
	peer_stop(cyrus);
	cyrus = NULL;
	return 0;
}

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

static void open_as(struct client *c, const struct peer *p, const char *user, const char *disable)
{
	client_open(c, &(struct client_opts){ .port = p->tls_port, .ca_file = p->ca_file,
					      .user = user, .disable = disable });
}

/* The wire name of a mailbox of bob's; valid until four calls later. */
static const char *box(const struct peer *p, const char *name)
{
	static char names[4][64];
	static unsigned next;
	char *out = names[next++ % 4];

	snprintf(out, sizeof(names[0]), "%s%s", p == courier ? "INBOX." : "", name);
	return out;
}

/* Make that mailbox, with `n` messages of a few lines: UIDs from 1 on. */
static const char *fill(const struct peer *p, const char *name, size_t n)
{
	const struct oracle_new msg = { .flags = "", .body = bytes_of("Subject: hello\r\n\r\nx\r\n") };
	struct oracle *o = oracle_open(p->port, "bob");
	const char *mailbox = box(p, name);

	oracle_create(o, mailbox);
	for (size_t i = 0; i < n; i++)
		oracle_append(o, mailbox, &msg, 1);
	oracle_close(o);
	return mailbox;
}

/* --- the server --- */

/* Asks everything; `name` is what it calls itself by ID, NULL: it has none. */
static void says_of_itself(const struct peer *p, char delimiter, const char *name,
			   const char *nonsense)
{
	const struct imap_list_options options = { .status = IMAP_ITEM_MESSAGES };
	const char *mailbox = fill(p, "asked", 2);
	struct imap_namespaces spaces;
	struct imap_mailbox_list list;
	struct imap_id id;
	struct client c;

	open_as(&c, p, "bob", NULL);
	OK(imap_capability_wait(c.session, &err_));
	assert_int_equal(imap_session_protocol(c.session), IMAP_PROTOCOL_REV1);
	OK(imap_id_wait(c.session, &id, &err_));
	assert_int_equal(id.n > 0, name != NULL);
	if (name)
		assert_string_equal(id.values[0], name);
	imap_id_release(&id);
	OK(imap_namespace_wait(c.session, &spaces, &err_));
	assert_int_equal(spaces.list[0].delimiter, delimiter);
	imap_namespaces_release(&spaces);
	OK(imap_list_wait(c.session, &options, &list, &err_));
	assert_true(list.complete);
	assert_true(bytes_is(list.entries[0].name.wire, "INBOX"));
	assert_true(bytes_is(list.entries[1].name.wire, mailbox));
	assert_int_equal(list.entries[1].messages, 2);
	imap_mailbox_list_release(&list);
	client_status(&c, mailbox);
	client_status(&c, box(p, "nowhere"));
	client_expect(&c, "2 ok no ");
	client_raw(&c, "NAMESPACE");
	client_expect(&c, "3 values ok ");
	client_raw(&c, "X-NONSENSE");
	client_expect(&c, nonsense);
	OK(imap_noop_wait(c.session, &err_));
	OK(imap_logout_wait(c.session, &err_));
	assert_int_equal(imap_session_state(c.session), IMAP_STATE_CLOSED);
	client_close(&c);
}

static void test_courier_says_what_it_is_and_has_without_id(void **state)
{
	(void)state;
	says_of_itself(courier, '.', NULL, "no ");
}

static void test_cyrus_says_what_it_is_and_has(void **state)
{
	(void)state;
	says_of_itself(cyrus, '/', "Cyrus IMAPD", "bad ");
}

/* Cyrus 3.6 takes the id that STATUS tells from memory already freed: now and then it is garbage. */
static void test_cyrus_tells_mailbox_ids_by_select_and_is_not_asked_by_status(void **state)
{
	const struct imap_list_options options = { .status = IMAP_ITEM_MESSAGES |
							     IMAP_ITEM_MAILBOXID };
	struct imap_mailbox_list list;
	struct client c;

	(void)state;
	open_as(&c, cyrus, "bob", NULL);
	client_select(&c, "INBOX");
	assert_non_null(imap_session_mailbox(c.session)->mailbox_id);
	buf_clear(&c.transcript);
	OK(imap_list_wait(c.session, &options, &list, &err_));
	assert_true(list.complete);
	assert_int_equal(list.entries[0].present, IMAP_ITEM_MESSAGES);
	assert_null(strstr(buf_str(&c.transcript), "MAILBOXID"));
	imap_mailbox_list_release(&list);
	client_close(&c);
}

/* --- mailboxes --- */

/* Courier's LSUB names parents, too: \Noselect there means that they are not subscribed. */
static bool is_subscribed(struct client *c, const char *name)
{
	struct imap_mailbox_list list;
	bool yes = false;

	OK(imap_lsub_wait(c->session, &list, &err_));
	for (size_t i = 0; i < list.n; i++)
		yes |= bytes_is(list.entries[i].name.wire, name) &&
		       (list.entries[i].attributes & IMAP_MAILBOX_SUBSCRIBED);
	imap_mailbox_list_release(&list);
	return yes;
}

static bool is_there(struct client *c, const char *name)
{
	struct imap_mailbox_list list;
	bool yes = false;

	OK(imap_list_wait(c->session, &(struct imap_list_options){ 0 }, &list, &err_));
	for (size_t i = 0; i < list.n; i++)
		yes |= bytes_is(list.entries[i].name.wire, name);
	imap_mailbox_list_release(&list);
	return yes;
}

/* Whether INBOX can be opened, by a list that is to say what is subscribed, too. */
static bool inbox_is_usable(struct client *c)
{
	const struct imap_list_options options = { .subscribed = true };
	struct imap_mailbox_list list;
	bool yes = false;

	OK(imap_list_wait(c->session, &options, &list, &err_));
	for (size_t i = 0; i < list.n; i++)
		yes |= bytes_is(list.entries[i].name.wire, "INBOX") &&
		       !(list.entries[i].attributes & IMAP_MAILBOX_NOSELECT);
	imap_mailbox_list_release(&list);
	return yes;
}

/* How the server refuses: in words alone, where Dovecot adds a code. */
struct refusals {
	const char *exists;
	const char *not_renamed; /* there is no such mailbox; NULL: it says OK */
	const char *not_deleted;
};

static void manages_mailboxes(const struct peer *p, const char *nested, const struct refusals *no)
{
	const char *plain = box(p, "c d");
	struct imap_created made;
	struct client c;

	open_as(&c, p, "bob", NULL);
	OK(imap_create_wait(c.session, b(nested), 0, &made, &err_));
	assert_false(made.existed);
	assert_int_equal(made.mailbox_id != NULL, p == cyrus);
	free(made.mailbox_id);
	REFUSED(imap_create_wait(c.session, b(nested), 0, &made, &err_), no->exists);
	OK(imap_rename_wait(c.session, b(nested), b(plain), &err_));
	if (no->not_renamed)
		REFUSED(imap_rename_wait(c.session, b(nested), b(box(p, "e")), &err_),
			no->not_renamed);
	else
		OK(imap_rename_wait(c.session, b(nested), b(box(p, "e")), &err_));
	assert_false(is_there(&c, box(p, "e")));
	OK(imap_subscribe_wait(c.session, b(plain), &err_));
	assert_true(is_subscribed(&c, plain));
	assert_false(is_subscribed(&c, nested));
	assert_true(inbox_is_usable(&c));
	OK(imap_unsubscribe_wait(c.session, b(plain), &err_));
	assert_false(is_subscribed(&c, plain));
	OK(imap_delete_wait(c.session, b(plain), &err_));
	REFUSED(imap_delete_wait(c.session, b(plain), &err_), no->not_deleted);
	client_close(&c);
}

static void test_courier_makes_renames_subscribes_and_removes_mailboxes(void **state)
{
	static const struct refusals no = { "NO Cannot create this folder.", NULL,
					    "NO Mailbox does not exist, or must be subscribed to." };
	static const char odd[] = "INBOX.with \"quotes\" and \\";
	struct client c;

	(void)state;
	manages_mailboxes(courier, "INBOX.a.b", &no);
	open_as(&c, courier, "bob", NULL);
	OK(imap_create_wait(c.session, b(odd), 0, NULL, &err_));
	OK(imap_delete_wait(c.session, b(odd), &err_));
	client_close(&c);
}

static void test_cyrus_makes_renames_subscribes_and_removes_mailboxes(void **state)
{
	static const struct refusals no = { "NO Mailbox already exists", "NO Mailbox does not exist",
					    "NO Mailbox does not exist" };
	struct client c;

	(void)state;
	manages_mailboxes(cyrus, "a/b", &no);
	open_as(&c, cyrus, "bob", NULL);
	REFUSED(imap_create_wait(c.session, b("with \"quotes\""), 0, NULL, &err_),
		"NO Invalid mailbox name");
	REFUSED(imap_create_wait(c.session, b("with \\"), 0, NULL, &err_),
		"NO Invalid mailbox name");
	client_close(&c);
}

static void test_cyrus_makes_mailboxes_for_a_special_use(void **state)
{
	struct imap_mailbox_list list;
	struct imap_created made;
	struct client c;

	(void)state;
	open_as(&c, cyrus, "sender", NULL);
	OK(imap_create_wait(c.session, b("Gone out"), IMAP_MAILBOX_SENT, &made, &err_));
	assert_non_null(made.mailbox_id);
	free(made.mailbox_id);
	OK(imap_list_wait(c.session, &(struct imap_list_options){ 0 }, &list, &err_));
	assert_int_equal(list.n, 2);
	assert_true(bytes_is(list.entries[0].name.wire, "Gone out"));
	assert_true(list.entries[0].attributes & IMAP_MAILBOX_SENT);
	imap_mailbox_list_release(&list);
	client_close(&c);
}

static void test_cyrus_unauthenticates_administrators_and_offers_it_to_nobody_else(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct oracle *o = oracle_open(cyrus->port, "bob");
	struct client c;
	const char *again;

	(void)state;
	oracle_command(o, "SETACL INBOX admin lr");
	oracle_close(o);
	open_as(&c, cyrus, "admin", NULL);
	OK(imap_enable_wait(c.session, &qresync, 1, &err_));
	client_select(&c, "user/bob");
	buf_clear(&c.transcript);
	OK(imap_unauthenticate_wait(c.session, &err_));
	assert_false(imap_session_enabled(c.session, IMAP_CAP_QRESYNC));
	assert_int_equal(imap_session_state(c.session), IMAP_STATE_AUTHENTICATED);
	again = strstr(buf_str(&c.transcript), " UNAUTHENTICATE\n");
	assert_non_null(again);
	assert_non_null(strstr(again, " AUTHENTICATE PLAIN"));
	assert_null(imap_session_mailbox(c.session));
	client_select(&c, "user/bob");
	client_close(&c);
	open_as(&c, cyrus, "bob", NULL);
	REFUSED(imap_unauthenticate_wait(c.session, &err_), "UNAUTHENTICATE");
	client_close(&c);
}

static void closes_and_unselects(const struct peer *p)
{
	const char *mailbox = fill(p, "closed", 2);
	struct client c;

	open_as(&c, p, "bob", NULL);
	client_select(&c, mailbox);
	client_store(&c, (struct imap_store_request){ .silent = true }, "1:2", "\\Deleted");
	client_forget(&c);
	OK(imap_check_wait(c.session, &err_));
	imap_unselect(c.session, client_note, &c);
	client_expect(&c, "ok ");
	client_select(&c, mailbox);
	assert_int_equal(imap_session_mailbox(c.session)->exists, 2); /* UNSELECT removes none */
	OK(imap_close_wait(c.session, &err_));
	client_select(&c, mailbox);
	assert_int_equal(imap_session_mailbox(c.session)->exists, 0); /* CLOSE does */
	client_close(&c);
}

static void test_courier_checks_closes_and_unselects(void **state)
{
	(void)state;
	closes_and_unselects(courier);
}

static void test_cyrus_checks_closes_and_unselects(void **state)
{
	(void)state;
	closes_and_unselects(cyrus);
}

static void test_cyrus_enables_qresync_and_tells_quota_and_rights(void **state)
{
	const enum imap_cap caps[] = { IMAP_CAP_QRESYNC, IMAP_CAP_UTF8_ACCEPT };
	struct oracle *admin = oracle_open(cyrus->port, "admin");
	struct imap_quotas quotas;
	struct imap_acl acl;
	struct client c;
	char *rights;

	(void)state;
	open_as(&c, cyrus, "owner", NULL);
	client_select(&c, "INBOX"); /* which makes it */
	imap_unselect(c.session, NULL, NULL);
	OK(imap_enable_wait(c.session, caps, 2, &err_));
	assert_true(imap_session_enabled(c.session, IMAP_CAP_QRESYNC));
	assert_false(imap_session_enabled(c.session, IMAP_CAP_UTF8_ACCEPT));
	OK(imap_getquotaroot_wait(c.session, b("INBOX"), &quotas, &err_));
	assert_int_equal(quotas.roots[0].n, 0);
	imap_quotas_release(&quotas);
	oracle_command(admin, "SETQUOTA user/owner (STORAGE 10240)");
	OK(imap_getquotaroot_wait(c.session, b("INBOX"), &quotas, &err_));
	assert_int_equal(quotas.n, 1);
	assert_string_equal(quotas.roots[0].root, "INBOX");
	assert_string_equal(quotas.roots[0].resources[0].name, "STORAGE");
	assert_int_equal(quotas.roots[0].resources[0].limit, 10240);
	imap_quotas_release(&quotas);
	REFUSED(imap_getquota_wait(c.session, b("INBOX"), &quotas, &err_), "NO Permission denied");
	OK(imap_myrights_wait(c.session, b("INBOX"), &rights, &err_));
	assert_non_null(strchr(rights, 'l'));
	free(rights);
	OK(imap_getacl_wait(c.session, b("INBOX"), &acl, &err_));
	assert_string_equal(acl.identifiers[0], "owner");
	imap_acl_release(&acl);
	client_close(&c);
	open_as(&c, cyrus, "admin", NULL); /* who alone may ask for a root by its name */
	OK(imap_getquota_wait(c.session, b("user/owner"), &quotas, &err_));
	assert_int_equal(quotas.roots[0].n, 1);
	imap_quotas_release(&quotas);
	client_close(&c);
	oracle_close(admin);
}

static void test_cyrus_says_in_words_alone_that_a_mailbox_is_full(void **state)
{
	struct oracle *admin = oracle_open(cyrus->port, "admin");
	struct client c;

	(void)state;
	open_as(&c, cyrus, "full", NULL);
	client_append(&c, "INBOX", bodies, 1);
	client_expect(&c, "uids=1 ok ");
	oracle_command(admin, "SETQUOTA user/full (MESSAGE 2)");
	client_append(&c, "INBOX", bodies, 3); /* one of which would fit */
	client_expect(&c, "no ");
	client_select(&c, "INBOX");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 1);
	client_close(&c);
	oracle_close(admin);
}

static void test_courier_names_a_quota_root_that_limits_nothing(void **state)
{
	struct imap_quotas quotas;
	struct client c;

	(void)state;
	open_as(&c, courier, "bob", NULL);
	OK(imap_getquotaroot_wait(c.session, b("INBOX"), &quotas, &err_));
	assert_non_null(strstr(buf_str(&c.transcript), "S: * QUOTA \"ROOT\"\n"));
	assert_int_equal(quotas.n, 0);
	imap_quotas_release(&quotas);
	OK(imap_getquota_wait(c.session, b("ROOT"), &quotas, &err_));
	assert_int_equal(quotas.n, 0);
	imap_quotas_release(&quotas);
	client_close(&c);
}

/* Alone among the three it has UTF8=ACCEPT; a name is the same with and without. */
static void test_courier_writes_names_in_utf_8_once_that_is_enabled(void **state)
{
	static const char *const wire[] = { "INBOX.R&AOk-sum&AOk-", "INBOX.R\xc3\xa9sum\xc3\xa9" };
	const enum imap_cap utf8 = IMAP_CAP_UTF8_ACCEPT;
	struct oracle *o = oracle_open(courier->port, "alice");

	(void)state;
	oracle_create(o, wire[0]);
	oracle_close(o);
	for (int i = 0; i < 2; i++) {
		struct imap_mailbox_list list;
		struct client c;

		open_as(&c, courier, "alice", NULL);
		if (i)
			OK(imap_enable_wait(c.session, &utf8, 1, &err_));
		assert_int_equal(imap_session_utf8(c.session), i);
		OK(imap_list_wait(c.session, &(struct imap_list_options){ 0 }, &list, &err_));
		assert_int_equal(list.n, 2);
		assert_true(bytes_is(list.entries[1].name.wire, wire[i]));
		assert_string_equal(list.entries[1].name.components[1], "R\xc3\xa9sum\xc3\xa9");
		client_select(&c, wire[i]);
		imap_mailbox_list_release(&list);
		client_close(&c);
	}
}

/* Nothing of this is sent. */
static void test_courier_is_not_asked_for_what_it_lacks(void **state)
{
	const char *mailbox = fill(courier, "lacking", 1);
	const struct imap_resync since = { .uid_validity = 1, .modseq = 1 };
	const struct imap_resync_sink sink = { .done = client_note };
	const struct bytes all = bytes_of("ALL");
	struct imap_search_request search = { .words = &all, .n = 1 };
	struct imap_copy_request move = { .move = true, .mailbox = b(mailbox) };
	struct uidset one = UIDSET_INIT;
	struct imap_acl acl;
	struct client c;
	size_t sent;
	char *rights;

	(void)state;
	open_as(&c, courier, "bob", NULL);
	client_select(&c, mailbox);
	sent = c.transcript.n;
	REFUSED(imap_myrights_wait(c.session, b(mailbox), &rights, &err_), "ACL");
	REFUSED(imap_getacl_wait(c.session, b(mailbox), &acl, &err_), "ACL");
	REFUSED(imap_compress_wait(c.session, &err_), "COMPRESS");
	REFUSED(imap_unauthenticate_wait(c.session, &err_), "UNAUTHENTICATE");
	REFUSED(imap_create_wait(c.session, b("INBOX.s"), IMAP_MAILBOX_SENT, NULL, &err_),
		"CREATE-SPECIAL-USE");
	REFUSED(imap_select_resync(c.session, b(mailbox), true, &since, &sink, &err_), "QRESYNC");
	search.items = IMAP_SEARCH_SAVE;
	REFUSED(imap_search_for(c.session, &search, NULL, NULL, &err_), "SEARCHRES");
	search.items = IMAP_SEARCH_PARTIAL;
	search.first = search.last = 1;
	REFUSED(imap_search_for(c.session, &search, NULL, NULL, &err_), "PARTIAL");
	uidset_add(&one, 1);
	move.set = &one;
	REFUSED(imap_copy(c.session, &move, NULL, NULL, &err_), "MOVE");
	assert_int_equal(c.transcript.n, sent);
	uidset_release(&one);
	client_close(&c);
}

/* --- messages --- */

static void stores(const struct peer *p)
{
	const char *mailbox = fill(p, "stored", 4);
	struct client c;

	open_as(&c, p, "bob", NULL);
	client_select(&c, mailbox);
	client_store(&c, (struct imap_store_request){ .how = IMAP_STORE_ADD }, "1:2", "\\Seen $Work");
	client_expect(&c, "1 2 ok ");
	client_store(&c, (struct imap_store_request){ .how = IMAP_STORE_REMOVE, .silent = true },
		     "2", "$Work");
	client_forget(&c); /* a modseq may come with .SILENT, too */
	client_store(&c, (struct imap_store_request){ .how = IMAP_STORE_REPLACE,
						      .numbering = IMAP_NUMBERS }, "3", "\\Flagged");
	client_forget(&c);
	client_fetch(&c, (struct imap_fetch_request){ .items = IMAP_FETCH_FLAGS }, "1:3");
	client_expect(&c, "|1 \\Seen $Work||2 \\Seen||3 \\Flagged|ok ");
	client_close(&c);
}

static void test_courier_stores_flags_and_keywords(void **state)
{
	(void)state;
	stores(courier);
}

static void test_cyrus_stores_flags_and_finds_what_changed_meanwhile(void **state)
{
	struct oracle *o = oracle_open(cyrus->port, "bob");
	struct client c;
	uint64_t modseq;

	(void)state;
	stores(cyrus);
	open_as(&c, cyrus, "bob", NULL);
	client_select(&c, "stored");
	modseq = imap_session_mailbox(c.session)->highest_modseq;
	oracle_store(o, "stored", "4", "+FLAGS", "\\Answered");
	client_store(&c, (struct imap_store_request){ .conditional = true, .unchanged_since = modseq },
		     "3:4", "\\Deleted");
	OK(imap_session_drain(c.session, &err_));
	assert_non_null(strstr(buf_str(&c.log), "modified=4 "));
	oracle_close(o);
	client_close(&c);
}

static void expunges(const struct peer *p, bool qresync)
{
	const enum imap_cap cap = IMAP_CAP_QRESYNC;
	const char *mailbox = fill(p, qresync ? "expunged too" : "expunged", 4);
	struct client c;

	open_as(&c, p, "bob", NULL);
	if (qresync)
		OK(imap_enable_wait(c.session, &cap, 1, &err_));
	client_select(&c, mailbox);
	client_store(&c, (struct imap_store_request){ .silent = true }, "1:3", "\\Deleted");
	client_forget(&c);
	client_expunge(&c, "2:4");
	client_expect(&c, qresync ? "2 uids=2:3 ok " : "2 uids= ok "); /* not 1, whoever marked it */
	client_expunge(&c, NULL);
	client_expect(&c, qresync ? "1 uids=1 ok " : "1 uids= ok ");
	client_close(&c);
}

static void test_courier_expunges_what_is_named(void **state)
{
	(void)state;
	expunges(courier, false);
}

static void test_cyrus_expunges_what_is_named(void **state)
{
	(void)state;
	expunges(cyrus, false);
	expunges(cyrus, true);
}

static void copies(const struct peer *p)
{
	const char *mailbox = fill(p, "copied", 4), *other = box(p, "Other");
	struct imap_copy_request q = { 0 };
	struct client c;

	open_as(&c, p, "bob", NULL);
	client_select(&c, mailbox);
	client_copy(&c, q, "2,4", other);
	client_expect(&c, "no "); /* TRYCREATE */
	OK(imap_create_wait(c.session, b(other), 0, NULL, &err_));
	client_copy(&c, q, "2,4", other);
	client_expect(&c, "from=2,4 to=1:2 ok ");
	q.numbering = IMAP_NUMBERS;
	client_copy(&c, q, "1:2", other);
	client_expect(&c, "from=1:2 to=3:4 ok ");
	client_close(&c);
}

static void test_courier_copies(void **state)
{
	(void)state;
	copies(courier);
}

static void test_cyrus_copies_and_moves(void **state)
{
	struct imap_copy_request q = { .move = true };
	struct client c;

	(void)state;
	copies(cyrus);
	open_as(&c, cyrus, "bob", NULL);
	client_select(&c, "copied");
	client_copy(&c, q, "2,4", "Other");
	client_expect(&c, "from=2,4 to=5:6 ok ");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 2);
	client_copy(&c, q, "2,4", "Other"); /* nothing is left */
	client_expect(&c, "ok ");
	q.numbering = IMAP_NUMBERS;
	client_copy(&c, q, "1:2", "Other");
	client_expect(&c, "from=1,3 to=7:8 ok ");
	client_close(&c);
}

/* `strange`: what it says to a character set it does not know. */
static void searches(const struct peer *p, const char *disable, bool esearch, const char *strange)
{
	const unsigned counts = IMAP_SEARCH_COUNT | IMAP_SEARCH_MAX;
	struct client c;

	open_as(&c, p, "bob", disable);
	client_select(&c, box(p, "searched"));
	client_search(&c, (struct imap_search_request){ 0 }, "FLAGGED", NULL);
	client_expect(&c, "found=2:5 count=4 max=5 ok ");
	client_search(&c, (struct imap_search_request){ .items = counts }, "FLAGGED", NULL);
	client_expect(&c, esearch ? "found= count=4 max=5 ok " : "found=2:5 count=4 max=5 ok ");
	client_search(&c, (struct imap_search_request){ 0 }, "SUBJECT", "gr\xc3\xbc\xc3\x9f");
	client_expect(&c, "found= count=0 ok ");
	client_search(&c, (struct imap_search_request){ .charset = "X-NONE" }, "SUBJECT", "x");
	client_expect(&c, strange);
	client_search(&c, (struct imap_search_request){ .numbering = IMAP_NUMBERS }, "1:2", NULL);
	client_expect(&c, "found=1:2 count=2 max=2 ok ");
	assert_int_equal(strstr(buf_str(&c.transcript), "RETURN") != NULL, esearch);
	client_close(&c);
}

static void flag_some(const struct peer *p)
{
	struct oracle *o;

	fill(p, "searched", 6);
	o = oracle_open(p->port, "bob");
	oracle_store(o, box(p, "searched"), "2:5", "+FLAGS", "\\Flagged");
	oracle_close(o);
}

static void test_courier_searches_without_esearch(void **state)
{
	(void)state;
	flag_some(courier);
	searches(courier, NULL, false, "no ");
}

static void test_cyrus_searches_with_and_without_esearch(void **state)
{
	(void)state;
	flag_some(cyrus);
	searches(cyrus, NULL, true, "bad ");
	searches(cyrus, "ESEARCH", false, "bad ");
}

static void appends(struct client *c, const struct peer *p, const char *mailbox)
{
	open_as(c, p, "bob", NULL);
	client_append(c, box(p, "nowhere"), bodies, 1);
	client_expect(c, "no "); /* TRYCREATE, and the message was not sent */
	client_append(c, mailbox, bodies, 1);
	client_expect(c, "uids=1 ok ");
}

static void test_courier_takes_one_message_at_a_time(void **state)
{
	const char *mailbox = fill(courier, "appended", 0);
	struct client c;

	(void)state;
	appends(&c, courier, mailbox);
	client_append(&c, mailbox, bodies + 1, 1);
	client_expect(&c, "uids=2 ok ");
	assert_null(strstr(buf_str(&c.transcript), "{11+}"));
	client_select(&c, mailbox);
	client_fetch(&c, (struct imap_fetch_request){ .section = "", .items = IMAP_FETCH_INTERNALDATE |
						      IMAP_FETCH_FLAGS }, "2");
	client_expect(&c, "B: 2\r\n\r\nb\r\n|2 760686745 \\Seen $Work|ok ");
	client_close(&c);
}

static void test_cyrus_takes_several_messages_at_once(void **state)
{
	const char *mailbox = fill(cyrus, "appended", 0);
	struct client c;

	(void)state;
	appends(&c, cyrus, mailbox);
	client_append(&c, mailbox, bodies, 3);
	client_expect(&c, "uids=2:4 ok ");
	/* The first time the literal waited, later it did not. */
	assert_non_null(strstr(buf_str(&c.transcript), "{11}"));
	assert_non_null(strstr(buf_str(&c.transcript), "{11+}"));
	client_select(&c, mailbox);
	client_fetch(&c, (struct imap_fetch_request){ .section = "", .items = IMAP_FETCH_INTERNALDATE |
						      IMAP_FETCH_FLAGS }, "3");
	client_expect(&c, "B: 2\r\n\r\nb\r\n|3 760686745 \\Seen $Work|ok ");
	client_close(&c);
}

static void fetches(struct client *c, const char *mailbox)
{
	client_select(c, mailbox);
	client_fetch(c, (struct imap_fetch_request){ .section = "", .offset = 9, .length = 5 }, "2");
	client_expect(c, "hello|2 |ok ");
	client_fetch(c, (struct imap_fetch_request){ .section = "HEADER.FIELDS (SUBJECT)" }, "2");
	client_expect(c, "Subject: hello\r\n\r\n|2 |ok ");
	client_fetch(c, (struct imap_fetch_request){ .numbering = IMAP_NUMBERS }, "3");
	client_expect(c, "|3 |ok ");
	client_fetch(c, (struct imap_fetch_request){ 0 }, "9"); /* there is none */
	client_expect(c, "ok ");
}

static void test_courier_fetches_slices_and_numbers(void **state)
{
	const char *mailbox = fill(courier, "fetched", 4);
	struct client c;

	(void)state;
	open_as(&c, courier, "bob", NULL);
	fetches(&c, mailbox);
	client_close(&c);
}

static void test_cyrus_fetches_slices_numbers_and_what_vanished(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	const char *mailbox = fill(cyrus, "fetched", 4);
	struct client c;
	uint64_t modseq;

	(void)state;
	open_as(&c, cyrus, "bob", NULL);
	OK(imap_enable_wait(c.session, &qresync, 1, &err_));
	fetches(&c, mailbox);
	modseq = imap_session_mailbox(c.session)->highest_modseq;
	client_store(&c, (struct imap_store_request){ .silent = true }, "2", "\\Deleted");
	client_expunge(&c, "2");
	client_forget(&c);
	client_fetch(&c, (struct imap_fetch_request){ .changed_since = modseq, .vanished = true },
		     "1:4");
	client_expect(&c, "gone=2 ok ");
	client_close(&c);
}

static void test_cyrus_selects_with_qresync_and_tells_what_changed_since(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	const char *mailbox = fill(cyrus, "resynced", 5);
	struct imap_resync since = { 0 };
	struct imap_resync_sink sink = { .vanished = client_on_vanished,
					 .message = client_on_message, .done = client_note };
	struct client c;
	struct oracle *o;

	(void)state;
	open_as(&c, cyrus, "bob", NULL);
	OK(imap_enable_wait(c.session, &qresync, 1, &err_));
	client_select(&c, mailbox);
	since.uid_validity = imap_session_mailbox(c.session)->uid_validity;
	since.modseq = imap_session_mailbox(c.session)->highest_modseq;
	client_select(&c, "INBOX");
	o = oracle_open(cyrus->port, "bob");
	oracle_store(o, mailbox, "4", "+FLAGS", "\\Answered");
	oracle_expunge(o, mailbox, "2");
	oracle_close(o);
	sink.ctx = &c;
	OK(imap_select_resync(c.session, b(mailbox), false, &since, &sink, &err_));
	client_expect(&c, "gone=2 4 ok ");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 4);
	since.uid_validity++; /* another mailbox of that name: nothing is told */
	OK(imap_select_resync(c.session, b(mailbox), true, &since, &sink, &err_));
	client_expect(&c, "ok ");
	OK(imap_select_resync(c.session, b("nowhere"), true, &since, &sink, &err_));
	client_expect(&c, "no ");
	client_close(&c);
}

/* --- watching --- */

static void idles(const struct peer *p)
{
	const struct imap_notify_request all = { .others = true, .selected = true };
	const char *mailbox = fill(p, "watched", 0);
	struct oracle *o = oracle_open(p->port, "bob");
	const struct oracle_new msg = { .flags = "", .body = bytes_of("A: b\r\n\r\nc\r\n") };
	struct imap_idle *idle;
	bool accepted;
	struct client c;

	open_as(&c, p, "bob", NULL);
	OK(imap_notify_wait(c.session, &all, &accepted, &err_));
	assert_false(accepted); /* it is not offered */
	assert_null(strstr(buf_str(&c.transcript), "C: NOTIFY"));
	client_select(&c, mailbox);
	client_listen(&c, IMAP_EVENT_EXISTS);
	OK(imap_idle(c.session, client_note, &c, &idle, &err_));
	oracle_append(o, mailbox, &msg, 1);
	client_hear(&c);
	imap_idle_end(idle);
	client_expect(&c, "ok ");
	assert_int_equal(imap_session_mailbox(c.session)->exists, 1);
	OK(imap_noop_wait(c.session, &err_));
	client_close(&c);
	oracle_close(o);
}

static void test_courier_tells_an_idle_client_of_a_new_message(void **state)
{
	(void)state;
	idles(courier);
}

static void test_cyrus_tells_an_idle_client_of_a_new_message(void **state)
{
	(void)state;
	idles(cyrus);
}

static void test_cyrus_compresses_within_tls(void **state)
{
	const char *mailbox = fill(cyrus, "compressed", 2);
	struct client c;

	(void)state;
	open_as(&c, cyrus, "bob", NULL);
	OK(imap_compress_wait(c.session, &err_));
	assert_true(imap_session_is_compressed(c.session));
	REFUSED(imap_compress_wait(c.session, &err_), "in force");
	client_select(&c, mailbox);
	client_fetch(&c, (struct imap_fetch_request){ .section = "TEXT" }, "1:2");
	client_expect(&c, "x\r\n|1 |x\r\n|2 |ok ");
	OK(imap_logout_wait(c.session, &err_));
	client_close(&c);
}

/* Apart, so that a server that does not start fails its own tests alone. */
int main(void)
{
	const struct CMUnitTest on_courier[] = {
		cmocka_unit_test(test_courier_says_what_it_is_and_has_without_id),
		cmocka_unit_test(test_courier_makes_renames_subscribes_and_removes_mailboxes),
		cmocka_unit_test(test_courier_checks_closes_and_unselects),
		cmocka_unit_test(test_courier_names_a_quota_root_that_limits_nothing),
		cmocka_unit_test(test_courier_writes_names_in_utf_8_once_that_is_enabled),
		cmocka_unit_test(test_courier_is_not_asked_for_what_it_lacks),
		cmocka_unit_test(test_courier_stores_flags_and_keywords),
		cmocka_unit_test(test_courier_expunges_what_is_named),
		cmocka_unit_test(test_courier_copies),
		cmocka_unit_test(test_courier_searches_without_esearch),
		cmocka_unit_test(test_courier_takes_one_message_at_a_time),
		cmocka_unit_test(test_courier_fetches_slices_and_numbers),
		cmocka_unit_test(test_courier_tells_an_idle_client_of_a_new_message),
	};
	const struct CMUnitTest on_cyrus[] = {
		cmocka_unit_test(test_cyrus_says_what_it_is_and_has),
		cmocka_unit_test(test_cyrus_tells_mailbox_ids_by_select_and_is_not_asked_by_status),
		cmocka_unit_test(test_cyrus_makes_renames_subscribes_and_removes_mailboxes),
		cmocka_unit_test(test_cyrus_makes_mailboxes_for_a_special_use),
		cmocka_unit_test(test_cyrus_unauthenticates_administrators_and_offers_it_to_nobody_else),
		cmocka_unit_test(test_cyrus_checks_closes_and_unselects),
		cmocka_unit_test(test_cyrus_says_in_words_alone_that_a_mailbox_is_full),
		cmocka_unit_test(test_cyrus_enables_qresync_and_tells_quota_and_rights),
		cmocka_unit_test(test_cyrus_stores_flags_and_finds_what_changed_meanwhile),
		cmocka_unit_test(test_cyrus_expunges_what_is_named),
		cmocka_unit_test(test_cyrus_copies_and_moves),
		cmocka_unit_test(test_cyrus_searches_with_and_without_esearch),
		cmocka_unit_test(test_cyrus_takes_several_messages_at_once),
		cmocka_unit_test(test_cyrus_fetches_slices_numbers_and_what_vanished),
		cmocka_unit_test(test_cyrus_selects_with_qresync_and_tells_what_changed_since),
		cmocka_unit_test(test_cyrus_tells_an_idle_client_of_a_new_message),
		cmocka_unit_test(test_cyrus_compresses_within_tls),
	};
	int rc = 0;

	rc |= cmocka_run_group_tests_name("imap_commands_courier", on_courier, start_courier, stop_courier);
	rc |= cmocka_run_group_tests_name("imap_commands_cyrus", on_cyrus, start_cyrus, stop_cyrus);
	return rc != 0;
}
