#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_watch.h"
#include "core/imap/loop.h"
#include "core/imap/tree.h"
#include "core/imap/url.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"

/* Every command against a real server; each test is a user of its own. */
static struct dovecot *server;

struct fixture {
	struct imap_account account;
	char port[16];
	struct imap_trace trace;
	struct buf transcript;
	struct loop *loop;
	struct imap_session *session;
	struct buf log; /* what handlers saw */
};

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pw");
	return 0;
}

static void keep_trace(void *ctx, char direction, const char *line)
{
	buf_addf(&((struct fixture *)ctx)->transcript, "%c: %s\n", direction, line);
}

#define OK(call)                                                         \
	do {                                                             \
		struct err err_ = { 0 };                                 \
		if ((call) < 0)                                          \
			fail_msg("%s: %s", #call, err_.text);            \
	} while (0)
/* The server refuses, or we do. */
#define REFUSED(call, words)                                             \
	do {                                                             \
		struct err err_ = { 0 };                                 \
		if ((call) == 0 || !strstr(err_.text, words))            \
			fail_msg("%s: \"%s\"", #call, err_.text);        \
	} while (0)

static void open_as(struct fixture *f, const char *user, const char *disable)
{
	*f = (struct fixture){ 0 };
	snprintf(f->port, sizeof(f->port), "%d", server->tls_port);
	f->account = (struct imap_account){
		.name = user, .host = "127.0.0.1", .port = f->port, .user = user,
		.tls_ca_file = server->ca_file, .password = give_password,
		.timeout_ms = 10000, .disable_extensions = disable,
	};
	buf_init(&f->transcript, 1 << 22);
	buf_init(&f->log, 1 << 20);
	f->trace = (struct imap_trace){ .level = IMAP_TRACE_ALL, .fn = keep_trace, .ctx = f };
	f->loop = loop_new(NULL, NULL);
	f->session = imap_session_new(f->loop, &f->account, &f->trace);
	OK(imap_session_open(f->session, &err_));
}

static void close_all(struct fixture *f)
{
	imap_session_free(f->session);
	loop_free(f->loop);
	buf_release(&f->transcript);
	buf_release(&f->log);
}

static void expect(struct fixture *f, const char *want)
{
	OK(imap_session_drain(f->session, &err_));
	if (strcmp(buf_str(&f->log), want) != 0)
		fail_msg("expected \"%s\", got \"%s\"", want, buf_str(&f->log));
	buf_clear(&f->log);
}

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

static void note(void *ctx, const struct imap_result *result)
{
	static const char *const words[] = { [IMAP_DONE_OK] = "ok ", [IMAP_DONE_NO] = "no ",
					     [IMAP_DONE_BAD] = "bad ", [IMAP_DONE_LOST] = "lost " };

	buf_add_str(&((struct fixture *)ctx)->log, words[result->outcome]);
}

static void add_set(struct fixture *f, const char *name, const struct uidset *set)
{
	buf_addf(&f->log, "%s=", name);
	uidset_format(set, &f->log);
	buf_add_str(&f->log, " ");
}

static void add_list(struct fixture *f, const char *name, const struct uidlist *list)
{
	buf_addf(&f->log, "%s=", name);
	uidlist_format(list, &f->log);
	buf_add_str(&f->log, " ");
}

static void set_of(struct uidset *set, const char *text)
{
	uidset_init(set);
	OK(uidset_parse(set, b(text), UIDSET_STRICT, NULL, &err_));
}

static void select_box(struct fixture *f, const char *name)
{
	OK(imap_select(f->session, b(name), false, NULL, NULL, &err_));
	OK(imap_session_drain(f->session, &err_));
	assert_non_null(imap_session_mailbox(f->session));
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

static void on_status(void *ctx, const struct imap_mailbox_status *status,
		      const struct imap_result *result)
{
	struct fixture *f = ctx;

	if (status)
		buf_addf(&f->log, "%u ", status->messages);
	note(ctx, result);
}

static void on_raw(void *ctx, const struct imap_response *r)
{
	struct fixture *f = ctx;
	struct imap_node *root;

	if (r->type != IMAP_RESPONSE_OTHER)
		return;
	root = imap_tree_new(r->u.other.text);
	assert_non_null(root);
	buf_addf(&f->log, "%zu values ", root->n);
	imap_tree_free(root);
}

static void test_what_a_server_says_of_itself_and_of_its_mailboxes(void **state)
{
	const struct imap_list_options options = { .status = IMAP_ITEM_MESSAGES };
	struct imap_namespaces spaces;
	struct imap_mailbox_list list;
	struct imap_encoder e;
	struct imap_id id;
	struct fixture f;

	(void)state;
	fill("asker", "INBOX", 2);
	open_as(&f, "asker", NULL);
	OK(imap_capability_wait(f.session, &err_));
	assert_int_equal(imap_session_protocol(f.session), IMAP_PROTOCOL_REV1);
	OK(imap_id_wait(f.session, &id, &err_));
	assert_string_equal(id.values[0], "Dovecot");
	imap_id_release(&id);
	OK(imap_namespace_wait(f.session, &spaces, &err_));
	assert_int_equal(spaces.list[0].delimiter, '/');
	imap_namespaces_release(&spaces);
	OK(imap_list_wait(f.session, &options, &list, &err_));
	assert_true(list.complete);
	assert_int_equal(list.entries[0].messages, 2);
	imap_mailbox_list_release(&list);
	OK(imap_status(f.session, b("INBOX"), IMAP_ITEM_MESSAGES, on_status, &f, &err_));
	OK(imap_status(f.session, b("nowhere"), IMAP_ITEM_MESSAGES, on_status, &f, &err_));
	expect(&f, "2 ok no ");
	imap_session_encoder(f.session, &e);
	imap_encode_atom(&e, b("NAMESPACE"));
	OK(imap_encoder_finish(&e, &err_));
	imap_raw(f.session, &e, &(struct imap_handler){ .on_response = on_raw, .on_done = note,
							.ctx = &f });
	expect(&f, "3 values ok ");
	imap_session_encoder(f.session, &e);
	imap_encode_atom(&e, b("X-NONSENSE"));
	OK(imap_encoder_finish(&e, &err_));
	imap_raw(f.session, &e, &(struct imap_handler){ .on_done = note, .ctx = &f });
	expect(&f, "bad ");
	OK(imap_noop_wait(f.session, &err_));
	OK(imap_logout_wait(f.session, &err_));
	assert_int_equal(imap_session_state(f.session), IMAP_STATE_CLOSED);
	close_all(&f);
}

/* --- mailboxes --- */

static void test_mailboxes_are_made_renamed_subscribed_and_removed(void **state)
{
	struct imap_mailbox_list list;
	struct imap_created made;
	struct fixture f;

	(void)state;
	open_as(&f, "manager", NULL);
	OK(imap_create_wait(f.session, b("with \"quotes\" and \\"), 0, NULL, &err_));
	OK(imap_create_wait(f.session, b("a/b"), 0, &made, &err_));
	assert_false(made.existed);
	free(made.mailbox_id);
	OK(imap_create_wait(f.session, b("a/b"), 0, &made, &err_));
	assert_true(made.existed);
	REFUSED(imap_create_wait(f.session, b("a/b"), 0, NULL, &err_), "ALREADYEXISTS");
	OK(imap_rename_wait(f.session, b("a/b"), b("c d"), &err_));
	REFUSED(imap_rename_wait(f.session, b("a/b"), b("e"), &err_), "NONEXISTENT");
	OK(imap_subscribe_wait(f.session, b("c d"), &err_));
	OK(imap_lsub_wait(f.session, &list, &err_));
	assert_int_equal(list.n, 1);
	assert_true(bytes_is(list.entries[0].name.wire, "c d"));
	imap_mailbox_list_release(&list);
	OK(imap_unsubscribe_wait(f.session, b("c d"), &err_));
	OK(imap_delete_wait(f.session, b("c d"), &err_));
	REFUSED(imap_delete_wait(f.session, b("c d"), &err_), "NONEXISTENT");
	REFUSED(imap_create_wait(f.session, b("s"), IMAP_MAILBOX_SENT, NULL, &err_),
		"CREATE-SPECIAL-USE");
	REFUSED(imap_unauthenticate_wait(f.session, &err_), "UNAUTHENTICATE");
	close_all(&f);
}

static void test_check_close_and_unselect(void **state)
{
	struct oracle *o;
	struct fixture f;

	(void)state;
	fill("closer", "INBOX", 2);
	o = oracle_open(server->port, "closer");
	oracle_store(o, "INBOX", "1:2", "+FLAGS", "\\Deleted");
	open_as(&f, "closer", NULL);
	select_box(&f, "INBOX");
	OK(imap_check_wait(f.session, &err_));
	imap_unselect(f.session, note, &f);
	expect(&f, "ok ");
	assert_int_equal(imap_session_state(f.session), IMAP_STATE_AUTHENTICATED);
	select_box(&f, "INBOX");
	assert_int_equal(imap_session_mailbox(f.session)->exists, 2); /* UNSELECT removes none */
	OK(imap_close_wait(f.session, &err_));
	select_box(&f, "INBOX");
	assert_int_equal(imap_session_mailbox(f.session)->exists, 0); /* CLOSE does */
	close_all(&f);
	oracle_close(o);
}

static void test_enable_quota_and_rights(void **state)
{
	const enum imap_cap caps[] = { IMAP_CAP_QRESYNC, IMAP_CAP_UTF8_ACCEPT };
	struct imap_quotas quotas;
	struct imap_acl acl;
	struct fixture f;
	char *rights;

	(void)state;
	open_as(&f, "owner", NULL);
	OK(imap_enable_wait(f.session, caps, 2, &err_));
	assert_true(imap_session_enabled(f.session, IMAP_CAP_QRESYNC));
	assert_false(imap_session_enabled(f.session, IMAP_CAP_UTF8_ACCEPT));
	OK(imap_getquotaroot_wait(f.session, b("INBOX"), &quotas, &err_));
	assert_int_equal(quotas.n, 1);
	assert_string_equal(quotas.roots[0].root, "User quota");
	assert_string_equal(quotas.roots[0].resources[0].name, "STORAGE");
	assert_int_equal(quotas.roots[0].resources[0].limit, 10240);
	imap_quotas_release(&quotas);
	OK(imap_getquota_wait(f.session, b("User quota"), &quotas, &err_));
	assert_int_equal(quotas.roots[0].n, 1);
	imap_quotas_release(&quotas);
	REFUSED(imap_getquota_wait(f.session, b("other"), &quotas, &err_), "NO");
	OK(imap_myrights_wait(f.session, b("INBOX"), &rights, &err_));
	assert_non_null(strchr(rights, 'l'));
	free(rights);
	OK(imap_getacl_wait(f.session, b("INBOX"), &acl, &err_));
	assert_int_equal(acl.n, 1);
	assert_string_equal(acl.identifiers[0], "owner");
	imap_acl_release(&acl);
	close_all(&f);
}

/* --- messages --- */

static void on_stored(void *ctx, const struct imap_fetch *fetch)
{
	struct fixture *f = ctx;

	buf_addf(&f->log, "%u ", fetch->uid);
}

static void on_store_done(void *ctx, const struct uidset *modified,
			  const struct imap_result *result)
{
	if (!uidset_is_empty(modified))
		add_set(ctx, "modified", modified);
	note(ctx, result);
}

static void store(struct fixture *f, struct imap_store_request q, const char *set,
		  const char *text)
{
	const struct imap_store_sink sink = { .message = on_stored, .done = on_store_done,
					      .ctx = f };
	struct flags flags = FLAGS_INIT;
	struct uidset uids;

	set_of(&uids, set);
	flags_add_list(&flags, b(text));
	q.set = &uids;
	q.flags = &flags;
	OK(imap_store_flags(f->session, &q, &sink, &err_));
	uidset_release(&uids);
	flags_release(&flags);
}

static void test_store_adds_removes_and_finds_what_changed_meanwhile(void **state)
{
	struct fixture f;
	struct oracle *o;
	uint64_t modseq;

	(void)state;
	fill("storer", "INBOX", 4);
	open_as(&f, "storer", NULL);
	select_box(&f, "INBOX");
	store(&f, (struct imap_store_request){ .how = IMAP_STORE_ADD }, "1:2", "\\Seen $Work");
	expect(&f, "1 2 ok ");
	store(&f, (struct imap_store_request){ .how = IMAP_STORE_REMOVE, .silent = true }, "2",
	      "$Work");
	OK(imap_session_drain(f.session, &err_));
	buf_clear(&f.log); /* a modseq may come with .SILENT, too */
	store(&f, (struct imap_store_request){ .numbering = IMAP_NUMBERS }, "3", "\\Flagged");
	OK(imap_session_drain(f.session, &err_));
	assert_non_null(strstr(buf_str(&f.log), "ok "));
	buf_clear(&f.log);
	select_box(&f, "INBOX");
	modseq = imap_session_mailbox(f.session)->highest_modseq;
	o = oracle_open(server->port, "storer");
	oracle_store(o, "INBOX", "4", "+FLAGS", "\\Answered");
	store(&f, (struct imap_store_request){ .conditional = true, .unchanged_since = modseq },
	      "3:4", "\\Deleted");
	OK(imap_session_drain(f.session, &err_));
	assert_non_null(strstr(buf_str(&f.log), "modified=4 "));
	oracle_close(o);
	close_all(&f);
}

static void on_expunge_done(void *ctx, const struct imap_expunge_answer *answer,
			    const struct imap_result *result)
{
	struct fixture *f = ctx;

	buf_addf(&f->log, "%u ", (unsigned)answer->removed);
	add_set(f, "uids", answer->uids);
	note(ctx, result);
}

static void test_expunge_removes_what_is_named(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *user = i ? "expunger2" : "expunger";
		struct uidset uids;
		struct fixture f;

		fill(user, "INBOX", 4);
		open_as(&f, user, NULL);
		if (i)
			OK(imap_enable_wait(f.session, &qresync, 1, &err_));
		select_box(&f, "INBOX");
		store(&f, (struct imap_store_request){ .silent = true }, "1:3", "\\Deleted");
		OK(imap_session_drain(f.session, &err_));
		buf_clear(&f.log);
		set_of(&uids, "2:4");
		OK(imap_expunge(f.session, &uids, on_expunge_done, &f, &err_));
		expect(&f, i ? "2 uids=2:3 ok " : "2 uids= ok "); /* not 1, whoever marked it */
		OK(imap_expunge(f.session, NULL, on_expunge_done, &f, &err_));
		expect(&f, i ? "1 uids=1 ok " : "1 uids= ok ");
		uidset_release(&uids);
		close_all(&f);
	}
}

static void on_copy_done(void *ctx, const struct imap_copy_answer *answer,
			 const struct imap_result *result)
{
	struct fixture *f = ctx;

	if (answer->known) {
		add_list(f, "from", answer->source);
		add_list(f, "to", answer->target);
	}
	note(ctx, result);
}

static void test_copy_and_move_tell_the_new_uids(void **state)
{
	struct imap_copy_request q = { .mailbox = bytes_of("Other") };
	struct uidset uids;
	struct fixture f;

	(void)state;
	fill("copier", "INBOX", 4);
	open_as(&f, "copier", NULL);
	select_box(&f, "INBOX");
	set_of(&uids, "2,4");
	q.set = &uids;
	OK(imap_copy(f.session, &q, on_copy_done, &f, &err_));
	expect(&f, "no "); /* TRYCREATE */
	OK(imap_create_wait(f.session, b("Other"), 0, NULL, &err_));
	OK(imap_copy(f.session, &q, on_copy_done, &f, &err_));
	expect(&f, "from=2,4 to=1:2 ok ");
	q.move = true;
	OK(imap_copy(f.session, &q, on_copy_done, &f, &err_));
	expect(&f, "from=2,4 to=3:4 ok ");
	assert_int_equal(imap_session_mailbox(f.session)->exists, 2);
	OK(imap_copy(f.session, &q, on_copy_done, &f, &err_)); /* nothing is left */
	expect(&f, "ok ");
	uidset_release(&uids);
	set_of(&uids, "1:2");
	q.numbering = IMAP_NUMBERS;
	OK(imap_copy(f.session, &q, on_copy_done, &f, &err_));
	expect(&f, "from=1,3 to=5:6 ok ");
	uidset_release(&uids);
	close_all(&f);
}

static void on_found(void *ctx, const struct imap_search_answer *a,
		     const struct imap_result *result)
{
	struct fixture *f = ctx;

	if (a) {
		add_set(f, "found", a->found);
		if (a->present & IMAP_SEARCH_COUNT)
			buf_addf(&f->log, "count=%u ", (unsigned)a->count);
		if (a->present & IMAP_SEARCH_MAX)
			buf_addf(&f->log, "max=%u ", a->max);
	}
	note(ctx, result);
}

static void search_for(struct fixture *f, struct imap_search_request q, const char *word,
		       const char *arg)
{
	const struct bytes words[] = { bytes_of(word), bytes_of(arg ? arg : "") };

	q.words = words;
	q.n = arg ? 2 : 1;
	OK(imap_search_for(f->session, &q, on_found, f, &err_));
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
		struct fixture f;

		open_as(&f, "seeker", i ? "ESEARCH, SEARCHRES, CONTEXT=SEARCH" : NULL);
		select_box(&f, "INBOX");
		search_for(&f, (struct imap_search_request){ 0 }, "FLAGGED", NULL);
		expect(&f, "found=2:5 count=4 max=5 ok ");
		search_for(&f, (struct imap_search_request){ .items = counts }, "FLAGGED", NULL);
		expect(&f, i ? "found=2:5 count=4 max=5 ok " : "found= count=4 max=5 ok ");
		search_for(&f, (struct imap_search_request){ 0 }, "SUBJECT", "gr\xc3\xbc\xc3\x9f");
		expect(&f, "found= count=0 ok ");
		search_for(&f, (struct imap_search_request){ .charset = "X-NONE" }, "SUBJECT", "x");
		expect(&f, "no ");
		search_for(&f, (struct imap_search_request){ .numbering = IMAP_NUMBERS }, "1:2",
			   NULL);
		expect(&f, "found=1:2 count=2 max=2 ok ");
		if (i == 0) {
			search_for(&f, (struct imap_search_request){
				.items = IMAP_SEARCH_PARTIAL, .first = 2, .last = 3 }, "FLAGGED",
				NULL);
			expect(&f, "found=3:4 ok ");
			search_for(&f, (struct imap_search_request){ .items = IMAP_SEARCH_SAVE },
				   "FLAGGED", NULL);
			expect(&f, "found= ok ");
			store(&f, (struct imap_store_request){ .numbering = IMAP_SAVED }, "1",
			      "\\Answered");
			expect(&f, "2 3 4 5 ok ");
		}
		assert_int_equal(strstr(buf_str(&f.transcript), "RETURN") == NULL, i == 1);
		close_all(&f);
	}
}

struct source {
	struct bytes body;
	size_t at;
};

static int read_source(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct source *source = ctx;

	(void)err;
	*n = source->body.n - source->at < max ? source->body.n - source->at : max;
	memcpy(p, source->body.p + source->at, *n);
	source->at += *n;
	return 0;
}

static void on_append_done(void *ctx, const struct imap_append_answer *answer,
			   const struct imap_result *result)
{
	if (answer->known)
		add_list(ctx, "uids", answer->uids);
	note(ctx, result);
}

static void append(struct fixture *f, const char *mailbox, const char *const *bodies, size_t n)
{
	struct imap_append_message messages[4] = { { 0 } };
	struct source sources[4];
	struct flags flags = FLAGS_INIT;
	struct maildate date;

	maildate_init(&date);
	maildate_set(&date, 760686745, -480);
	flags_add_list(&flags, b("\\Seen $Work"));
	for (size_t i = 0; i < n; i++) {
		sources[i] = (struct source){ .body = bytes_of(bodies[i]) };
		messages[i] = (struct imap_append_message){
			.flags = &flags, .date = &date, .size = sources[i].body.n,
			.read = read_source, .ctx = &sources[i] };
	}
	OK(imap_append(f->session, &(struct imap_append_request){
		.mailbox = b(mailbox), .messages = messages, .n = n }, on_append_done, f, &err_));
	OK(imap_session_drain(f->session, &err_));
	flags_release(&flags);
	maildate_release(&date);
}

static void on_body(void *ctx, struct bytes piece)
{
	buf_add(&((struct fixture *)ctx)->log, piece);
}

static void on_message(void *ctx, const struct imap_fetch *fetch)
{
	struct fixture *f = ctx;

	buf_addf(&f->log, "|%u ", fetch->uid);
	if (fetch->present & IMAP_FETCH_INTERNALDATE)
		buf_addf(&f->log, "%lld ", (long long)fetch->date->unix_time);
	if (fetch->present & IMAP_FETCH_FLAGS)
		flags_format(fetch->flags, &f->log);
	buf_add_str(&f->log, "|");
}

static void on_vanished(void *ctx, const struct uidset *uids)
{
	add_set(ctx, "gone", uids);
}

static void fetch(struct fixture *f, struct imap_fetch_request q, const char *set)
{
	struct uidset uids;

	set_of(&uids, set);
	q.uids = &uids;
	OK(imap_fetch(f->session, &q, &(struct imap_fetch_sink){
		.body_data = on_body, .message = on_message, .vanished = on_vanished, .done = note,
		.ctx = f }, &err_));
	uidset_release(&uids);
}

static void test_append_streams_one_or_several_messages(void **state)
{
	static const char *const bodies[] = { "A: 1\r\n\r\na\r\n", "B: 2\r\n\r\nb\r\n",
					      "C: 3\r\n\r\nc\r\n" };
	struct fixture f;

	(void)state;
	open_as(&f, "appender", NULL);
	append(&f, "nowhere", bodies, 1);
	expect(&f, "no "); /* TRYCREATE, and the message was not sent */
	append(&f, "INBOX", bodies, 1);
	expect(&f, "uids=1 ok ");
	append(&f, "INBOX", bodies, 3);
	expect(&f, "uids=2:4 ok ");
	/* The first time the literal waited, later it did not. */
	assert_non_null(strstr(buf_str(&f.transcript), "{11}"));
	assert_non_null(strstr(buf_str(&f.transcript), "{11+}"));
	select_box(&f, "INBOX");
	fetch(&f, (struct imap_fetch_request){ .section = "", .items = IMAP_FETCH_INTERNALDATE |
					       IMAP_FETCH_FLAGS }, "3");
	expect(&f, "B: 2\r\n\r\nb\r\n|3 760686745 \\Seen $Work|ok ");
	close_all(&f);
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
		buf_add_str(&((struct fixture *)ctx)->log, "bad-url ");
	on_append_done(ctx, answer, result);
}

/* One that has other bytes of another message in front: header, text, part 2 and all of it. */
static void catenate(struct fixture *f, struct imap_url url)
{
	struct imap_url header = url, two = url;
	struct source texts[2] = { { .body = b("\r\n-- \r\nX: ") }, { .body = b("end\r\n") } };
	const struct imap_append_part parts[] = {
		{ .url = &header },
		{ .size = texts[0].body.n, .read = read_source, .ctx = &texts[0] },
		{ .url = &two },
		{ .url = &url },
		{ .size = texts[1].body.n, .read = read_source, .ctx = &texts[1] },
	};
	const struct imap_append_message message = { .parts = parts, .n_parts = 5 };

	header.section = "HEADER";
	two.section = "2";
	OK(imap_append(f->session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = &message, .n = 1 }, on_catenated, f, &err_));
	OK(imap_session_drain(f->session, &err_));
}

static void test_catenate_builds_a_message_of_what_is_there_and_what_is_sent(void **state)
{
	const struct oracle_new whole = { .flags = "", .body = b(PARTS_HEADER PARTS_TEXT) };
	struct imap_url url = { .mailbox = b(PARTS_BOX), .uid = 1 };
	struct fixture f;
	struct oracle *o;

	(void)state;
	open_as(&f, "catenator", NULL);
	OK(imap_create_wait(f.session, url.mailbox, 0, NULL, &err_));
	o = oracle_open(server->port, "catenator");
	oracle_append(o, PARTS_BOX, &whole, 1);
	oracle_close(o);
	select_box(&f, PARTS_BOX);
	url.uid_validity = imap_session_mailbox(f.session)->uid_validity;
	catenate(&f, url);
	expect(&f, "uids=1 ok ");
	url.uid_validity++;
	catenate(&f, url);
	expect(&f, "bad-url no ");
	url.uid_validity--;
	url.uid = 77;
	catenate(&f, url);
	expect(&f, "bad-url no ");
	select_box(&f, "INBOX");
	fetch(&f, (struct imap_fetch_request){ .section = "" }, "1:9");
	expect(&f, PARTS_HEADER "\r\n-- \r\nX: two \303\274\r\n" PARTS_HEADER PARTS_TEXT
		   "end\r\n|1 |ok ");
	assert_null(strstr(buf_str(&f.transcript), "{11+}"));
	close_all(&f);
}

static void test_replace_and_utf8_headers_are_refused_where_they_are_not_offered(void **state)
{
	struct source source = { .body = b("A: 1\r\n") };
	struct imap_append_message m = { .size = 6, .read = read_source, .ctx = &source };
	const struct imap_replace_request replace = { .number = 1, .mailbox = b("INBOX"),
						      .message = &m };
	struct fixture f;

	(void)state;
	fill("replacer", "INBOX", 1);
	open_as(&f, "replacer", NULL);
	select_box(&f, "INBOX");
	buf_clear(&f.transcript);
	REFUSED(imap_replace(f.session, &replace, on_append_done, &f, &err_), "offer REPLACE");
	m.utf8 = true;
	REFUSED(imap_append(f.session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = &m, .n = 1 }, on_append_done, &f, &err_),
		"UTF8=ACCEPT enabled");
	assert_int_equal(f.transcript.n, 0);
	close_all(&f);
}

static void test_fetch_slices_numbers_and_what_vanished(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct uidset gone;
	struct fixture f;
	uint64_t modseq;

	(void)state;
	fill("fetcher", "INBOX", 4);
	open_as(&f, "fetcher", NULL);
	OK(imap_enable_wait(f.session, &qresync, 1, &err_));
	select_box(&f, "INBOX");
	modseq = imap_session_mailbox(f.session)->highest_modseq;
	fetch(&f, (struct imap_fetch_request){ .section = "", .offset = 9, .length = 5 }, "2");
	expect(&f, "hello|2 |ok ");
	fetch(&f, (struct imap_fetch_request){ .numbering = IMAP_NUMBERS }, "3");
	expect(&f, "|3 |ok ");
	set_of(&gone, "2");
	store(&f, (struct imap_store_request){ .silent = true }, "2", "\\Deleted");
	OK(imap_expunge(f.session, &gone, on_expunge_done, &f, &err_));
	OK(imap_session_drain(f.session, &err_));
	buf_clear(&f.log);
	fetch(&f, (struct imap_fetch_request){ .changed_since = modseq, .vanished = true }, "1:4");
	expect(&f, "gone=2 ok ");
	uidset_release(&gone);
	close_all(&f);
}

static void test_select_with_qresync_tells_what_changed_since(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct imap_resync since = { 0 };
	struct imap_resync_sink sink = { .vanished = on_vanished, .message = on_stored,
					 .done = note };
	struct fixture f;
	struct oracle *o;

	(void)state;
	fill("resyncer", "INBOX", 5);
	open_as(&f, "resyncer", NULL);
	OK(imap_enable_wait(f.session, &qresync, 1, &err_));
	OK(imap_create_wait(f.session, b("Other"), 0, NULL, &err_));
	select_box(&f, "INBOX");
	since.uid_validity = imap_session_mailbox(f.session)->uid_validity;
	since.modseq = imap_session_mailbox(f.session)->highest_modseq;
	select_box(&f, "Other");
	o = oracle_open(server->port, "resyncer");
	oracle_store(o, "INBOX", "4", "+FLAGS", "\\Answered");
	oracle_store(o, "INBOX", "2", "+FLAGS", "\\Deleted");
	oracle_command(o, "SELECT INBOX");
	oracle_command(o, "EXPUNGE");
	oracle_close(o);
	sink.ctx = &f;
	OK(imap_select_resync(f.session, b("INBOX"), false, &since, &sink, &err_));
	expect(&f, "gone=2 4 ok ");
	assert_int_equal(imap_session_mailbox(f.session)->exists, 4);
	since.uid_validity++; /* another mailbox of that name: nothing is told */
	OK(imap_select_resync(f.session, b("INBOX"), true, &since, &sink, &err_));
	expect(&f, "ok ");
	OK(imap_select_resync(f.session, b("nowhere"), true, &since, &sink, &err_));
	expect(&f, "no ");
	close_all(&f);
}

/* --- watching --- */

struct watch {
	struct oracle *other;
	bool seen;
	enum imap_event_kind kind;
};

static bool until_new(void *ctx, const struct imap_event *ev)
{
	struct watch *w = ctx;

	w->seen |= ev->kind == w->kind;
	return !w->seen;
}

static void on_idle_response(void *ctx, const struct imap_response *r)
{
	struct imap_event ev;

	if (imap_event_from(r, &ev))
		until_new(ctx, &ev);
}

static bool was_seen(void *ctx)
{
	return ((struct watch *)ctx)->seen;
}

static void test_idle_hears_of_a_new_message(void **state)
{
	struct watch w = { .kind = IMAP_EVENT_EXISTS };
	struct imap_idle *idle;
	struct fixture f;

	(void)state;
	open_as(&f, "idler", NULL);
	select_box(&f, "INBOX");
	/* Nothing happens: it ends in time, and the session is of use afterwards. */
	OK(imap_idle_wait(f.session, until_new, &w, clock_ms() + 50, &err_));
	assert_false(w.seen);
	imap_session_listen(f.session, on_idle_response, &w);
	OK(imap_idle(f.session, note, &f, &idle, &err_));
	fill("idler", "INBOX", 1);
	OK(loop_run(f.loop, was_seen, &w, &err_));
	imap_idle_end(idle);
	expect(&f, "ok ");
	assert_int_equal(imap_session_mailbox(f.session)->exists, 1);
	OK(imap_noop_wait(f.session, &err_));
	close_all(&f);
}

static void test_notify_hears_of_other_mailboxes(void **state)
{
	const struct imap_notify_request all = { .others = true, .selected = true };
	struct watch w = { .kind = IMAP_EVENT_STATUS };
	struct fixture f;
	bool accepted;

	(void)state;
	open_as(&f, "listener", NULL);
	OK(imap_create_wait(f.session, b("Other"), 0, NULL, &err_));
	select_box(&f, "INBOX");
	imap_session_listen(f.session, on_idle_response, &w);
	OK(imap_notify_wait(f.session, &all, &accepted, &err_));
	assert_true(accepted);
	fill("listener", "Other", 1);
	OK(loop_run(f.loop, was_seen, &w, &err_));
	OK(imap_notify_wait(f.session, &(struct imap_notify_request){ 0 }, &accepted, &err_));
	assert_true(accepted);
	close_all(&f);
	open_as(&f, "listener", "NOTIFY");
	OK(imap_notify_wait(f.session, &all, &accepted, &err_));
	assert_false(accepted);
	close_all(&f);
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
