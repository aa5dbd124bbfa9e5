#include "tests/lib/imap_client.h"

#include <stdio.h>

#include "core/imap/encode.h"
#include "core/imap/loop.h"
#include "core/imap/tree.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"

enum { APPEND_MAX = 4 };

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)err;
	buf_add_str(out, ctx);
	return 0;
}

static void keep_trace(void *ctx, char direction, const char *line)
{
	buf_addf(ctx, "%c: %s\n", direction, line);
}

void client_init(struct client *c, const struct client_opts *opts)
{
	*c = (struct client){ .password = "pw" };
	snprintf(c->port, sizeof(c->port), "%d", opts->port);
	c->account = (struct imap_account){
		.name = opts->user, .host = "127.0.0.1", .port = c->port, .user = opts->user,
		.tls = opts->ca_file ? IMAP_TLS_IMPLICIT : IMAP_TLS_NONE,
		.tls_ca_file = opts->ca_file, .password = give_password,
		.password_ctx = c->password, .timeout_ms = 10000,
		.disable_extensions = opts->disable,
	};
	buf_init(&c->transcript, 1 << 22);
	buf_init(&c->log, 1 << 20);
	c->trace = (struct imap_trace){ .level = IMAP_TRACE_ALL, .fn = keep_trace,
					.ctx = &c->transcript };
	c->loop = loop_new(NULL, NULL);
}

int client_try(struct client *c, struct err *err)
{
	c->session = imap_session_new(c->loop, &c->account, &c->trace);
	return imap_session_open(c->session, err);
}

void client_open(struct client *c, const struct client_opts *opts)
{
	client_init(c, opts);
	OK(client_try(c, &err_));
}

void client_close(struct client *c)
{
	imap_session_free(c->session);
	loop_free(c->loop);
	buf_release(&c->transcript);
	buf_release(&c->log);
}

void client_expect(struct client *c, const char *want)
{
	OK(imap_session_drain(c->session, &err_));
	if (strcmp(buf_str(&c->log), want) != 0)
		test_die("expected \"%s\", got \"%s\"", want, buf_str(&c->log));
	buf_clear(&c->log);
}

void client_forget(struct client *c)
{
	OK(imap_session_drain(c->session, &err_));
	buf_clear(&c->log);
}

void client_note(void *ctx, const struct imap_result *result)
{
	static const char *const words[] = { [IMAP_DONE_OK] = "ok ", [IMAP_DONE_NO] = "no ",
					     [IMAP_DONE_BAD] = "bad ", [IMAP_DONE_LOST] = "lost " };

	buf_add_str(&((struct client *)ctx)->log, words[result->outcome]);
}

static void add_set(struct client *c, const char *name, const struct uidset *set)
{
	buf_addf(&c->log, "%s=", name);
	uidset_format(set, &c->log);
	buf_add_str(&c->log, " ");
}

static void add_list(struct client *c, const char *name, const struct uidlist *list)
{
	buf_addf(&c->log, "%s=", name);
	uidlist_format(list, &c->log);
	buf_add_str(&c->log, " ");
}

static void set_of(struct uidset *set, const char *text)
{
	uidset_init(set);
	OK(uidset_parse(set, bytes_of(text), UIDSET_STRICT, NULL, &err_));
}

void client_select(struct client *c, const char *mailbox)
{
	OK(imap_select(c->session, bytes_of(mailbox), false, NULL, NULL, &err_));
	OK(imap_session_drain(c->session, &err_));
	if (!imap_session_mailbox(c->session))
		test_die("%s cannot be selected", mailbox);
}

/* --- STORE, EXPUNGE, COPY --- */

void client_on_message(void *ctx, const struct imap_fetch *fetch)
{
	buf_addf(&((struct client *)ctx)->log, "%u ", fetch->uid);
}

static void on_store_done(void *ctx, const struct uidset *modified,
			  const struct imap_result *result)
{
	if (!uidset_is_empty(modified))
		add_set(ctx, "modified", modified);
	client_note(ctx, result);
}

void client_store(struct client *c, struct imap_store_request q, const char *set,
		  const char *text)
{
	const struct imap_store_sink sink = { .message = client_on_message, .done = on_store_done,
					      .ctx = c };
	struct flags flags = FLAGS_INIT;
	struct uidset uids;

	set_of(&uids, set);
	flags_add_list(&flags, bytes_of(text));
	q.set = &uids;
	q.flags = &flags;
	OK(imap_store_flags(c->session, &q, &sink, &err_));
	uidset_release(&uids);
	flags_release(&flags);
}

static void on_expunge_done(void *ctx, const struct imap_expunge_answer *answer,
			    const struct imap_result *result)
{
	struct client *c = ctx;

	buf_addf(&c->log, "%u ", (unsigned)answer->removed);
	add_set(c, "uids", answer->uids);
	client_note(ctx, result);
}

void client_expunge(struct client *c, const char *set)
{
	struct uidset uids = UIDSET_INIT;

	if (set)
		set_of(&uids, set);
	OK(imap_expunge(c->session, set ? &uids : NULL, on_expunge_done, c, &err_));
	uidset_release(&uids);
}

static void on_copy_done(void *ctx, const struct imap_copy_answer *answer,
			 const struct imap_result *result)
{
	struct client *c = ctx;

	if (answer->known) {
		add_list(c, "from", answer->source);
		add_list(c, "to", answer->target);
	}
	client_note(ctx, result);
}

void client_copy(struct client *c, struct imap_copy_request q, const char *set, const char *to)
{
	struct uidset uids;

	set_of(&uids, set);
	q.set = &uids;
	q.mailbox = bytes_of(to);
	OK(imap_copy(c->session, &q, on_copy_done, c, &err_));
	uidset_release(&uids);
}

/* --- SEARCH --- */

static void on_found(void *ctx, const struct imap_search_answer *a,
		     const struct imap_result *result)
{
	struct client *c = ctx;

	if (a) {
		add_set(c, "found", a->found);
		if (a->present & IMAP_SEARCH_COUNT)
			buf_addf(&c->log, "count=%u ", (unsigned)a->count);
		if (a->present & IMAP_SEARCH_MAX)
			buf_addf(&c->log, "max=%u ", a->max);
	}
	client_note(ctx, result);
}

void client_search(struct client *c, struct imap_search_request q, const char *word,
		   const char *argument)
{
	const struct bytes words[] = { bytes_of(word), bytes_of(argument ? argument : "") };

	q.words = words;
	q.n = argument ? 2 : 1;
	OK(imap_search_for(c->session, &q, on_found, c, &err_));
}

/* --- APPEND --- */

int client_read(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct client_source *source = ctx;

	(void)err;
	*n = source->body.n - source->at < max ? source->body.n - source->at : max;
	memcpy(p, source->body.p + source->at, *n);
	source->at += *n;
	return 0;
}

void client_on_appended(void *ctx, const struct imap_append_answer *answer,
			const struct imap_result *result)
{
	if (answer->known)
		add_list(ctx, "uids", answer->uids);
	client_note(ctx, result);
}

/* Waits for the end, since the bodies are read until then. */
void client_append(struct client *c, const char *mailbox, const char *const *bodies, size_t n)
{
	struct imap_append_message messages[APPEND_MAX] = { { 0 } };
	struct client_source sources[APPEND_MAX];
	struct flags flags = FLAGS_INIT;
	struct maildate date;

	if (n > APPEND_MAX)
		test_die("client_append: at most %d messages", APPEND_MAX);
	maildate_init(&date);
	maildate_set(&date, 760686745, -480);
	flags_add_list(&flags, bytes_of("\\Seen $Work"));
	for (size_t i = 0; i < n; i++) {
		sources[i] = (struct client_source){ .body = bytes_of(bodies[i]) };
		messages[i] = (struct imap_append_message){
			.flags = &flags, .date = &date, .size = sources[i].body.n,
			.read = client_read, .ctx = &sources[i] };
	}
	OK(imap_append(c->session, &(struct imap_append_request){
		.mailbox = bytes_of(mailbox), .messages = messages, .n = n }, client_on_appended, c,
		&err_));
	OK(imap_session_drain(c->session, &err_));
	flags_release(&flags);
	maildate_release(&date);
}

/* --- FETCH, STATUS --- */

static void on_body(void *ctx, struct bytes piece)
{
	buf_add(&((struct client *)ctx)->log, piece);
}

static void on_fetched(void *ctx, const struct imap_fetch *fetch)
{
	struct client *c = ctx;

	buf_addf(&c->log, "|%u ", fetch->uid);
	if (fetch->present & IMAP_FETCH_INTERNALDATE)
		buf_addf(&c->log, "%lld ", (long long)fetch->date->unix_time);
	if (fetch->present & IMAP_FETCH_FLAGS)
		flags_format(fetch->flags, &c->log);
	buf_add_str(&c->log, "|");
}

void client_on_vanished(void *ctx, const struct uidset *uids)
{
	add_set(ctx, "gone", uids);
}

void client_fetch(struct client *c, struct imap_fetch_request q, const char *set)
{
	struct uidset uids;

	set_of(&uids, set);
	q.uids = &uids;
	OK(imap_fetch(c->session, &q, &(struct imap_fetch_sink){
		.body_data = on_body, .message = on_fetched, .vanished = client_on_vanished,
		.done = client_note, .ctx = c }, &err_));
	uidset_release(&uids);
}

static void on_status(void *ctx, const struct imap_mailbox_status *status,
		      const struct imap_result *result)
{
	if (status)
		buf_addf(&((struct client *)ctx)->log, "%u ", status->messages);
	client_note(ctx, result);
}

void client_status(struct client *c, const char *mailbox)
{
	OK(imap_status(c->session, bytes_of(mailbox), IMAP_ITEM_MESSAGES, on_status, c, &err_));
}

/* --- what has no function; what nobody asked for --- */

static void on_raw(void *ctx, const struct imap_response *r)
{
	struct client *c = ctx;
	struct imap_node *root;

	if (r->type != IMAP_RESPONSE_OTHER)
		return;
	root = imap_tree_new(r->u.other.text);
	if (!root)
		test_die("an answer is no tree");
	buf_addf(&c->log, "%zu values ", root->n);
	imap_tree_free(root);
}

void client_raw(struct client *c, const char *word)
{
	struct imap_encoder e;

	imap_session_encoder(c->session, &e);
	imap_encode_atom(&e, bytes_of(word));
	OK(imap_encoder_finish(&e, &err_));
	imap_raw(c->session, &e, &(struct imap_handler){ .on_response = on_raw,
							 .on_done = client_note, .ctx = c });
}

static void on_news(void *ctx, const struct imap_response *r)
{
	struct client *c = ctx;
	struct imap_event ev;

	c->heard |= imap_event_from(r, &ev) && ev.kind == c->awaited;
}

void client_listen(struct client *c, enum imap_event_kind kind)
{
	c->awaited = kind;
	c->heard = false;
	imap_session_listen(c->session, on_news, c);
}

static bool has_heard(void *ctx)
{
	return ((struct client *)ctx)->heard;
}

void client_hear(struct client *c)
{
	OK(loop_run(c->loop, has_heard, c, &err_));
}
