#include "tests/lib/imap_tour.h"

#include <stdio.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/msgset/uidset.h"
#include "tests/lib/support.h"

int imap_tour_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pw");
	return 0;
}

static void must(int rc, const char *what, const struct err *err)
{
	if (rc < 0)
		test_die("%s: %s", what, err->text);
}

static void need_ok(const struct imap_result *r)
{
	if (r->outcome != IMAP_DONE_OK || r->damaged)
		test_die("tour: %s", r->damaged ? "damaged" : r->err->text);
}

static void tour_list(struct imap_session *s, struct imap_tour *t)
{
	const struct imap_list_options options = { .status = ~0u, .subscribed = true };
	struct imap_mailbox_list list;
	struct err err;

	must(imap_list_wait(s, &options, &list, &err), "LIST", &err);
	if (!list.complete)
		test_die("tour: the list is not complete");
	t->mailboxes = list.n;
	imap_mailbox_list_release(&list);
	must(imap_lsub_wait(s, &list, &err), "LSUB", &err);
	t->subscribed = list.n;
	imap_mailbox_list_release(&list);
}

static void tour_server(struct imap_session *s, struct imap_tour *t)
{
	struct imap_namespaces ns;
	struct imap_id id;
	struct err err;

	must(imap_id_wait(s, &id, &err), "ID", &err);
	t->has_id = id.n > 0;
	imap_id_release(&id);
	must(imap_namespace_wait(s, &ns, &err), "NAMESPACE", &err);
	t->namespaces = ns.n;
	imap_namespaces_release(&ns);
	must(imap_capability_wait(s, &err), "CAPABILITY", &err);
	must(imap_noop_wait(s, &err), "NOOP", &err);
}

static void on_status(void *ctx, const struct imap_mailbox_status *st, const struct imap_result *r)
{
	need_ok(r);
	if (!st)
		test_die("tour: STATUS said nothing");
	((struct imap_tour *)ctx)->status_messages = st->messages;
}

static void on_open(void *ctx, const struct imap_result *r)
{
	struct imap_tour *t = ctx;

	need_ok(r);
	if (!r->mailbox->exists_known)
		test_die("tour: EXAMINE without EXISTS");
	t->exists = r->mailbox->exists;
	t->uid_next = r->mailbox->uid_next;
	t->uid_validity = r->mailbox->uid_validity;
	t->highest_modseq = r->mailbox->highest_modseq;
}

static void on_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	need_ok(r);
	*(uint64_t *)ctx = uidset_count(found);
}

static void on_data(void *ctx, struct bytes piece)
{
	((struct imap_tour *)ctx)->bytes += piece.n;
}

static void on_message(void *ctx, const struct imap_fetch *f)
{
	const unsigned needed = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE;
	struct imap_tour *t = ctx;

	if ((f->present & needed) != needed)
		test_die("tour: FETCH left something out");
	t->fetched++;
	t->with_modseq += (f->present & IMAP_FETCH_MODSEQ) != 0;
	t->with_email_id += (f->present & IMAP_FETCH_EMAILID) != 0;
}

static void on_changed(void *ctx, const struct imap_fetch *f)
{
	(void)f;
	((struct imap_tour *)ctx)->changed++;
}

static void on_done(void *ctx, const struct imap_result *r)
{
	(void)ctx;
	need_ok(r);
}

static void tour_mailbox(struct imap_session *s, struct imap_tour *t)
{
	const struct imap_fetch_sink all = { .body_data = on_data, .message = on_message,
					     .done = on_done, .ctx = t };
	const struct imap_fetch_sink changed = { .message = on_changed, .done = on_done, .ctx = t };
	struct imap_fetch_request q = { .items = ~0u, .section = "" };
	struct uidset uids;
	struct err err;

	must(imap_status(s, bytes_of("INBOX"), ~0u, on_status, t, &err), "STATUS", &err);
	must(imap_select(s, bytes_of("INBOX"), true, on_open, t, &err), "EXAMINE", &err);
	must(imap_search(s, "ALL", NULL, on_found, &t->found, &err), "SEARCH", &err);
	must(imap_search(s, "SEEN", NULL, on_found, &t->seen, &err), "SEARCH", &err);
	uidset_init(&uids);
	uidset_add_range(&uids, 1, 1000);
	q.uids = &uids;
	must(imap_fetch(s, &q, &all, &err), "FETCH", &err);
	must(imap_session_drain(s, &err), "the flight", &err);
	q = (struct imap_fetch_request){ .uids = &uids, .items = IMAP_FETCH_FLAGS,
					 .changed_since = t->highest_modseq };
	must(imap_fetch(s, &q, &changed, &err), "FETCH", &err);
	imap_unselect(s, on_done, NULL);
	must(imap_session_drain(s, &err), "the end", &err);
	uidset_release(&uids);
}

void imap_tour_in(struct imap_session *s, struct imap_tour *out)
{
	struct err err;

	*out = (struct imap_tour){ 0 };
	tour_server(s, out);
	tour_list(s, out);
	tour_mailbox(s, out);
	must(imap_logout_wait(s, &err), "LOGOUT", &err);
}

void imap_tour(int port, const char *user, struct imap_tour *out)
{
	char text[16];
	const struct imap_account account = { .name = user, .host = "127.0.0.1", .port = text,
					      .tls = IMAP_TLS_NONE, .user = user,
					      .password = imap_tour_password, .timeout_ms = 10000 };
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s;
	struct err err;

	snprintf(text, sizeof(text), "%d", port);
	s = imap_session_new(loop, &account, NULL);
	must(imap_session_open(s, &err), "login", &err);
	imap_tour_in(s, out);
	imap_session_free(s);
	loop_free(loop);
}
