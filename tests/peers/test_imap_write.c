/* The commands that change something, against servers that are not Dovecot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/imap/loop.h"
#include "core/mail/flags.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"
#include "tests/lib/imap_tour.h"
#include "tests/lib/peers.h"

#define OK(call)                                        \
	do {                                            \
		struct err err_ = { 0 };                \
		if ((call) < 0)                         \
			fail_msg("%s: %s", #call, err_.text); \
	} while (0)

struct client {
	struct imap_account account;
	char port[16];
	struct loop *loop;
	struct imap_session *s;
	struct uidset set;
	uint64_t copied, removed;
};

static void client_open(struct client *c, const struct peer *p, const char *user)
{
	*c = (struct client){ .account = { .name = user, .host = "127.0.0.1", .port = c->port,
					   .tls = IMAP_TLS_NONE, .user = user,
					   .password = imap_tour_password, .timeout_ms = 10000 } };
	snprintf(c->port, sizeof(c->port), "%d", p->port);
	uidset_init(&c->set);
	c->loop = loop_new(NULL, NULL);
	c->s = imap_session_new(c->loop, &c->account, NULL);
	OK(imap_session_open(c->s, &err_));
}

static void client_close(struct client *c)
{
	OK(imap_logout_wait(c->s, &err_));
	imap_session_free(c->s);
	loop_free(c->loop);
	uidset_release(&c->set);
}

static void need_ok(const struct imap_result *r)
{
	if (r->outcome != IMAP_DONE_OK)
		fail_msg("%s", r->err->text);
}

static void on_done(void *ctx, const struct imap_result *r)
{
	(void)ctx;
	need_ok(r);
}

static int give_message(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	const char **left = ctx;

	(void)err;
	*n = strlen(*left) < max ? strlen(*left) : max;
	memcpy(p, *left, *n);
	*left += *n;
	return 0;
}

static void on_appended(void *ctx, const struct imap_append_answer *a, const struct imap_result *r)
{
	struct client *c = ctx;

	need_ok(r);
	assert_true(a->known);
	uidset_clear(&c->set);
	uidlist_to_set(a->uids, &c->set);
	assert_int_equal(uidset_count(&c->set), 1);
}

static void append(struct client *c, const char *mailbox, const char *text)
{
	struct imap_append_message m = { .size = strlen(text), .read = give_message, .ctx = &text };

	OK(imap_append(c->s, &(struct imap_append_request){
		.mailbox = bytes_of(mailbox), .messages = &m, .n = 1 }, on_appended, c, &err_));
	OK(imap_session_drain(c->s, &err_));
}

static void on_stored(void *ctx, const struct uidset *modified, const struct imap_result *r)
{
	(void)ctx;
	need_ok(r);
	assert_true(uidset_is_empty(modified));
}

static void on_copied(void *ctx, const struct imap_copy_answer *a, const struct imap_result *r)
{
	struct client *c = ctx;

	need_ok(r);
	assert_true(a->known);
	c->copied += uidlist_count(a->target);
}

static void on_expunged(void *ctx, const struct imap_expunge_answer *a, const struct imap_result *r)
{
	need_ok(r);
	((struct client *)ctx)->removed += a->removed;
}

static void on_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	need_ok(r);
	*(uint64_t *)ctx = uidset_count(found);
}

static uint64_t found_in(struct client *c, const char *mailbox, const char *criteria)
{
	uint64_t n = 0;

	OK(imap_select(c->s, bytes_of(mailbox), true, on_done, c, &err_));
	OK(imap_search(c->s, criteria, NULL, on_found, &n, &err_));
	OK(imap_session_drain(c->s, &err_));
	return n;
}

static void mark(struct client *c, enum imap_store_how how, const char *list)
{
	struct flags flags;

	flags_init(&flags);
	assert_true(flags_add_list(&flags, bytes_of(list)));
	OK(imap_store_flags(c->s, &(struct imap_store_request){
		.set = &c->set, .how = how, .flags = &flags },
		&(struct imap_store_sink){ .done = on_stored, .ctx = c }, &err_));
	flags_release(&flags);
}

/* Courier's LSUB names parents, too: \Noselect there means that they are not subscribed. */
static bool is_subscribed(struct client *c, const char *name)
{
	struct imap_mailbox_list list;
	bool yes = false;

	OK(imap_lsub_wait(c->s, &list, &err_));
	for (size_t i = 0; i < list.n; i++)
		yes |= bytes_is(list.entries[i].name.wire, name) &&
		       (list.entries[i].attributes & IMAP_MAILBOX_SUBSCRIBED);
	imap_mailbox_list_release(&list);
	return yes;
}

/* Whether INBOX can be opened, by a list that is to say what is subscribed, too. */
static bool inbox_is_usable(struct client *c)
{
	const struct imap_list_options options = { .subscribed = true };
	struct imap_mailbox_list list;
	bool yes = false;

	OK(imap_list_wait(c->s, &options, &list, &err_));
	for (size_t i = 0; i < list.n; i++)
		yes |= bytes_is(list.entries[i].name.wire, "INBOX") &&
		       !(list.entries[i].attributes & IMAP_MAILBOX_NOSELECT);
	imap_mailbox_list_release(&list);
	return yes;
}

/* Make two mailboxes, put messages into them, mark, copy, move and remove these, undo all. */
static void changes_work(const struct peer *p, const char *first, const char *second,
			 const char *renamed)
{
	struct client c;

	client_open(&c, p, "bob");
	OK(imap_create_wait(c.s, bytes_of(first), 0, NULL, &err_));
	OK(imap_create_wait(c.s, bytes_of(second), 0, NULL, &err_));
	OK(imap_subscribe_wait(c.s, bytes_of(first), &err_));
	assert_true(is_subscribed(&c, first));
	assert_false(is_subscribed(&c, second));
	assert_true(inbox_is_usable(&c));
	OK(imap_unsubscribe_wait(c.s, bytes_of(first), &err_));
	assert_false(is_subscribed(&c, first));

	append(&c, first, "A: b\r\n\r\none\r\n");
	append(&c, first, "A: b\r\n\r\ntwo\r\n");
	/* a server may show what was appended in a session only after NOOP */
	OK(imap_noop_wait(c.s, &err_));
	OK(imap_select(c.s, bytes_of(first), false, on_done, &c, &err_));
	mark(&c, IMAP_STORE_ADD, "\\Flagged \\Seen Later");
	mark(&c, IMAP_STORE_REMOVE, "\\Seen");
	OK(imap_copy(c.s, &(struct imap_copy_request){ .set = &c.set, .mailbox = bytes_of(second) },
		     on_copied, &c, &err_));
	if (imap_session_has(c.s, IMAP_CAP_MOVE)) {
		OK(imap_copy(c.s, &(struct imap_copy_request){
			.set = &c.set, .move = true, .mailbox = bytes_of(second) },
			on_copied, &c, &err_));
	} else {
		OK(imap_copy(c.s, &(struct imap_copy_request){
			.set = &c.set, .mailbox = bytes_of(second) }, on_copied, &c, &err_));
		mark(&c, IMAP_STORE_ADD, "\\Deleted");
		OK(imap_expunge(c.s, &c.set, on_expunged, &c, &err_));
	}
	OK(imap_session_drain(c.s, &err_));
	assert_int_equal(c.copied, 2);
	assert_int_equal(c.removed, imap_session_has(c.s, IMAP_CAP_MOVE) ? 0 : 1);
	OK(imap_check_wait(c.s, &err_));
	OK(imap_close_wait(c.s, &err_));
	assert_int_equal(found_in(&c, first, "ALL"), 1);
	assert_int_equal(found_in(&c, second, "FLAGGED KEYWORD Later UNSEEN"), 2);

	imap_unselect(c.s, on_done, &c);
	OK(imap_rename_wait(c.s, bytes_of(second), bytes_of(renamed), &err_));
	assert_int_equal(found_in(&c, renamed, "ALL"), 2);
	imap_unselect(c.s, on_done, &c);
	OK(imap_delete_wait(c.s, bytes_of(renamed), &err_));
	OK(imap_delete_wait(c.s, bytes_of(first), &err_));
	client_close(&c);
}

static struct peer *courier, *cyrus;

static void test_courier_takes_changes(void **state)
{
	(void)state;
	changes_work(courier, "INBOX.One", "INBOX.Two", "INBOX.Three");
}

static void test_cyrus_takes_changes(void **state)
{
	(void)state;
	changes_work(cyrus, "One", "Two", "Three");
}

static void test_cyrus_tells_rights_and_quota(void **state)
{
	struct imap_quotas quotas;
	struct imap_acl acl;
	struct client c;
	char *rights;

	(void)state;
	client_open(&c, cyrus, "bob");
	OK(imap_myrights_wait(c.s, bytes_of("INBOX"), &rights, &err_));
	assert_non_null(strchr(rights, 'r'));
	free(rights);
	OK(imap_getacl_wait(c.s, bytes_of("INBOX"), &acl, &err_));
	assert_in_range(acl.n, 1, 9);
	assert_string_equal(acl.identifiers[0], "bob");
	imap_acl_release(&acl);
	OK(imap_getquotaroot_wait(c.s, bytes_of("INBOX"), &quotas, &err_));
	imap_quotas_release(&quotas);
	client_close(&c);
}

/* What a server does not have is refused here, before anything is sent. */
static void test_courier_is_not_asked_for_what_it_lacks(void **state)
{
	struct client c;
	struct err err;
	char *rights;

	(void)state;
	client_open(&c, courier, "bob");
	assert_int_equal(imap_myrights_wait(c.s, bytes_of("INBOX"), &rights, &err), -1);
	assert_int_equal(imap_compress_wait(c.s, &err), -1);
	uidset_add(&c.set, 1);
	OK(imap_select(c.s, bytes_of("INBOX"), true, on_done, &c, &err_));
	assert_int_equal(imap_copy(c.s, &(struct imap_copy_request){
		.set = &c.set, .move = true, .mailbox = bytes_of("INBOX.x") }, on_copied, &c, &err), -1);
	OK(imap_session_drain(c.s, &err_));
	client_close(&c);
}

static int start(void **state)
{
	(void)state;
	courier = peer_courier();
	cyrus = peer_cyrus();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	peer_stop(courier);
	peer_stop(cyrus);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_courier_takes_changes),
		cmocka_unit_test(test_cyrus_takes_changes),
		cmocka_unit_test(test_cyrus_tells_rights_and_quota),
		cmocka_unit_test(test_courier_is_not_asked_for_what_it_lacks),
	};

	return cmocka_run_group_tests_name("imap_write", tests, start, stop);
}
