#include "core/imap/commands.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/imap/loop.h"

/* --- what all commands are made with --- */

char *command_describe(const char *word, struct bytes wire_name)
{
	char *name = bytes_dup(wire_name);
	char *what = xasprintf("%s %s", word, name);

	free(name);
	return what;
}

int command_submit(struct imap_session *s, struct imap_encoder *e,
		   const struct imap_request *request, struct err *err)
{
	struct imap_request q = *request;

	if (imap_encoder_finish(e, err) < 0) {
		imap_encoder_release(e);
		return -1;
	}
	q.command = e;
	imap_session_submit(s, &q);
	return 0;
}

int command_needs(const struct imap_session *s, enum imap_cap cap, const char *what,
		  struct err *err)
{
	if (imap_session_has(s, cap))
		return 0;
	return err_set(err, ERR_CONFIG, "%s: the server does not offer %s", what,
		       imap_cap_name(cap));
}

int command_needs_mailbox(const struct imap_session *s, const char *what, struct err *err)
{
	if (imap_session_submitted(s))
		return 0;
	return err_set(err, ERR_CONFIG, "%s: no mailbox is selected", what);
}

/* --- waiting --- */

void waiter_note(struct waiter *w, const struct imap_result *result)
{
	w->left--;
	w->damaged |= result->damaged;
	if (result->outcome != IMAP_DONE_OK && w->outcome == IMAP_DONE_OK) {
		w->outcome = result->outcome;
		w->err = *result->err;
	}
}

static void on_waited(void *ctx, const struct imap_result *result)
{
	struct waiter *w = ctx;

	waiter_note(w, result);
	if (w->on_result)
		w->on_result(w, result);
}

int waiter_submit(struct waiter *w, struct imap_encoder *e, const struct imap_request *request,
		  struct err *err)
{
	struct imap_request q = *request;

	if (imap_encoder_finish(e, err) < 0) {
		imap_encoder_release(e);
		return -1;
	}
	q.command = e;
	q.handler.on_done = on_waited;
	q.handler.ctx = w;
	w->left++;
	imap_session_submit(w->session, &q);
	return 0;
}

static bool is_answered(void *ctx)
{
	return !((struct waiter *)ctx)->left;
}

int waiter_run(struct waiter *w, struct err *err)
{
	const struct err *closed;
	struct err why;

	if (loop_run(imap_session_loop(w->session), is_answered, w, &why) < 0) {
		/* Nothing may be left that would call back into a frame that is gone. */
		imap_session_close(w->session, &why);
		*err = why;
		return -1;
	}
	closed = imap_session_error(w->session);
	if (!closed || !closed->kind)
		return 0;
	*err = *closed;
	return -1;
}

int waiter_do(struct waiter *w, struct imap_encoder *e, const struct imap_request *request,
	      struct err *err)
{
	if (waiter_submit(w, e, request, err) < 0 || waiter_run(w, err) < 0)
		return -1;
	if (w->outcome == IMAP_DONE_OK)
		return 0;
	*err = w->err;
	return -1;
}

/* --- commands of one word --- */

static int do_word(struct imap_session *s, const char *word, unsigned flags, struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;

	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	return waiter_do(&w, &e, &(struct imap_request){ .flags = flags }, err);
}

int imap_capability_wait(struct imap_session *s, struct err *err)
{
	return do_word(s, "CAPABILITY", 0, err);
}

int imap_noop_wait(struct imap_session *s, struct err *err)
{
	return do_word(s, "NOOP", 0, err);
}

int imap_compress_wait(struct imap_session *s, struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;

	if (imap_session_is_compressed(s) || !imap_session_has(s, IMAP_CAP_COMPRESS_DEFLATE))
		return err_set(err, ERR_MAILBOX, "COMPRESS: %s", imap_session_is_compressed(s) ?
			       "in force already" : "the server does not offer it");
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "COMPRESS");
	imap_encode_word(&e, "DEFLATE");
	return waiter_do(&w, &e, &(struct imap_request){
		.flags = IMAP_REQUEST_ALONE | IMAP_REQUEST_COMPRESS }, err);
}

int imap_logout_wait(struct imap_session *s, struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;

	imap_session_encoder(s, &e);
	imap_encode_word(&e, "LOGOUT");
	if (waiter_submit(&w, &e, &(struct imap_request){ .flags = IMAP_REQUEST_LOGOUT }, err) < 0)
		return -1;
	return waiter_run(&w, err);
}

struct word_call {
	imap_done_fn *done;
	void *ctx;
};

static void on_word_done(void *ctx, const struct imap_result *result)
{
	struct word_call *call = ctx;

	if (call->done)
		call->done(call->ctx, result);
	free(call);
}

static void submit_word(struct imap_session *s, const char *word, unsigned flags,
			imap_done_fn *done, void *ctx)
{
	struct word_call *call = xcalloc(1, sizeof(*call));
	struct imap_encoder e;
	struct err never;

	call->done = done;
	call->ctx = ctx;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	if (imap_encoder_finish(&e, &never) < 0)
		abort(); /* a word of our own that cannot be sent */
	imap_session_submit(s, &(struct imap_request){
		.command = &e,
		.flags = flags,
		.handler = { .on_done = on_word_done, .ctx = call } });
}

void imap_noop(struct imap_session *s, imap_done_fn *done, void *ctx)
{
	submit_word(s, "NOOP", 0, done, ctx);
}

void imap_unselect(struct imap_session *s, imap_done_fn *done, void *ctx)
{
	const struct imap_mailbox *m = imap_session_submitted(s);
	const unsigned flags = IMAP_REQUEST_LEAVES | IMAP_REQUEST_IN_MAILBOX;
	const struct err none = { .kind = ERR_NONE };

	/* CLOSE expunges, unless the mailbox was opened by EXAMINE (RFC 3501, section 6.4.2). */
	if (m && imap_session_has(s, IMAP_CAP_UNSELECT))
		submit_word(s, "UNSELECT", flags, done, ctx);
	else if (m && m->examined)
		submit_word(s, "CLOSE", flags, done, ctx);
	else if (done)
		done(ctx, &(struct imap_result){ .outcome = IMAP_DONE_OK, .err = &none });
}

void imap_raw(struct imap_session *s, struct imap_encoder *command,
	      const struct imap_handler *handler)
{
	imap_session_submit(s, &(struct imap_request){
		.command = command,
		.flags = IMAP_REQUEST_ALONE,
		.wants = ~0u,
		.handler = *handler });
}

/* --- ID --- */

void imap_id_release(struct imap_id *id)
{
	for (size_t i = 0; i < id->n; i++) {
		free(id->keys[i]);
		free(id->values[i]);
	}
	free(id->keys);
	free(id->values);
	*id = (struct imap_id){ 0 };
}

/* RFC 2971 allows 30 pairs; twice that is generous. */
#define ID_PAIRS_MAX 60

struct id_wait {
	struct waiter waiter;
	struct imap_id *out;
};

static void add_pair(struct imap_id *id, struct bytes key, struct bytes value)
{
	size_t cap = id->cap;

	id->keys = xgrow(id->keys, id->n, &cap, sizeof(*id->keys));
	cap = id->cap;
	id->values = xgrow(id->values, id->n, &cap, sizeof(*id->values));
	id->cap = cap;
	id->keys[id->n] = bytes_dup(key);
	id->values[id->n++] = value.p ? bytes_dup(value) : NULL;
}

static void on_id(void *ctx, const struct imap_response *r)
{
	struct id_wait *w = ctx;
	char *text = bytes_dup(r->u.other.text);
	struct imap_scan scan = imap_scan_init(text, r->u.other.text.n);
	struct bytes key, value;

	if (imap_scan_byte(&scan, '('))
		while (w->out->n < ID_PAIRS_MAX && imap_scan_astring(&scan, &key) &&
		       imap_scan_nstring(&scan, &value))
			add_pair(w->out, key, value);
	free(text);
}

int imap_id_wait(struct imap_session *s, struct imap_id *out, struct err *err)
{
	struct id_wait w = { .waiter.session = s, .out = out };
	struct imap_encoder e;

	*out = (struct imap_id){ 0 };
	if (!imap_session_has(s, IMAP_CAP_ID))
		return 0;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "ID");
	imap_encode_nstring(&e, bytes_from(NULL, 0));
	return waiter_do(&w.waiter, &e, &(struct imap_request){
		.wants = IMAP_WANT(IMAP_RESPONSE_OTHER),
		.wants_other = "ID",
		.handler.on_response = on_id }, err);
}

/* --- NAMESPACE --- */

#define NAMESPACES_MAX 64

void imap_namespaces_release(struct imap_namespaces *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		free(ns->prefixes[i]);
	free(ns->prefixes);
	free(ns->list);
	*ns = (struct imap_namespaces){ 0 };
}

struct namespace_wait {
	struct waiter waiter;
	struct imap_namespaces *out;
};

static void namespaces_set(struct imap_namespaces *out, const struct imap_namespace *list, size_t n)
{
	imap_namespaces_release(out);
	out->list = xcalloc(n ? n : 1, sizeof(*out->list));
	out->prefixes = xcalloc(n ? n : 1, sizeof(*out->prefixes));
	for (size_t i = 0; i < n; i++) {
		out->prefixes[i] = bytes_dup(list[i].prefix);
		out->list[i] = list[i];
		out->list[i].prefix = bytes_from(out->prefixes[i], list[i].prefix.n);
	}
	out->n = n;
}

static void on_namespace(void *ctx, const struct imap_response *r)
{
	struct namespace_wait *w = ctx;
	struct imap_namespace list[NAMESPACES_MAX];
	char *text = bytes_dup(r->u.other.text);
	struct imap_scan scan = imap_scan_init(text, r->u.other.text.n);
	size_t n = 0;

	if (imap_scan_namespaces(&scan, list, NAMESPACES_MAX, &n))
		namespaces_set(w->out, list, n);
	free(text);
}

static void on_root(void *ctx, const struct imap_response *r)
{
	struct namespace_wait *w = ctx;
	const struct imap_namespace personal = {
		.kind = IMAP_NAMESPACE_PERSONAL,
		.delimiter = r->u.list.delimiter,
		.prefix = bytes_of(""),
	};

	if (!r->u.list.lsub)
		namespaces_set(w->out, &personal, 1);
}

int imap_namespace_wait(struct imap_session *s, struct imap_namespaces *out, struct err *err)
{
	struct namespace_wait w = { .waiter.session = s, .out = out };
	struct imap_request q = { .wants = IMAP_WANT(IMAP_RESPONSE_LIST),
				  .handler.on_response = on_root };
	struct imap_encoder e;

	*out = (struct imap_namespaces){ 0 };
	imap_session_encoder(s, &e);
	if (imap_session_has(s, IMAP_CAP_NAMESPACE)) {
		imap_encode_word(&e, "NAMESPACE");
		q = (struct imap_request){ .wants = IMAP_WANT(IMAP_RESPONSE_OTHER),
					   .wants_other = "NAMESPACE",
					   .handler.on_response = on_namespace };
	} else {
		imap_encode_word(&e, "LIST");
		imap_encode_string(&e, bytes_of(""));
		imap_encode_string(&e, bytes_of(""));
	}
	if (waiter_do(&w.waiter, &e, &q, err) < 0) {
		imap_namespaces_release(out);
		return -1;
	}
	return 0;
}
