#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/msgset/uidset.h"

/* --- STATUS --- */

struct status_call {
	char *name;
	struct imap_mailbox_status status;
	char *mailbox_id;
	bool told;
	imap_status_fn *done;
	void *ctx;
};

static void status_call_free(struct status_call *call)
{
	free(call->name);
	free(call->mailbox_id);
	free(call);
}

static bool status_claims(void *ctx, const struct imap_response *r)
{
	const struct status_call *call = ctx;

	if (bytes_is_nocase(r->u.mailbox.name, "INBOX"))
		return bytes_is_nocase(bytes_of(call->name), "INBOX");
	return bytes_is(r->u.mailbox.name, call->name);
}

static void on_status(void *ctx, const struct imap_response *r)
{
	struct status_call *call = ctx;

	call->status = r->u.mailbox;
	call->status.name = bytes_of(call->name);
	free(call->mailbox_id);
	call->mailbox_id = NULL;
	if (call->status.present & IMAP_ITEM_MAILBOXID) {
		call->mailbox_id = bytes_dup(r->u.mailbox.mailbox_id);
		call->status.mailbox_id = bytes_of(call->mailbox_id);
	}
	call->told = true;
}

static void on_status_done(void *ctx, const struct imap_result *result)
{
	struct status_call *call = ctx;
	bool ok = result->outcome == IMAP_DONE_OK && call->told;

	call->done(call->ctx, ok ? &call->status : NULL, result);
	status_call_free(call);
}

int imap_status(struct imap_session *s, struct bytes wire_name, unsigned items,
		imap_status_fn *done, void *ctx, struct err *err)
{
	struct status_call *call = xcalloc(1, sizeof(*call));
	char *what = command_describe("STATUS", wire_name);
	struct imap_encoder e;
	int ret;

	call->name = bytes_dup(wire_name);
	call->done = done;
	call->ctx = ctx;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "STATUS");
	imap_encode_mailbox(&e, wire_name);
	encode_status_items(s, &e, items);
	ret = command_submit(s, &e, &(struct imap_request){
		.what = what,
		.wants = IMAP_WANT(IMAP_RESPONSE_MAILBOX),
		.claims = status_claims,
		.handler = { .on_response = on_status, .on_done = on_status_done, .ctx = call } },
		err);
	if (ret < 0)
		status_call_free(call);
	free(what);
	return ret;
}

/* --- SELECT, EXAMINE --- */

struct select_call {
	imap_done_fn *done;
	void *ctx;
};

static void on_select_done(void *ctx, const struct imap_result *result)
{
	struct select_call *call = ctx;

	if (call->done)
		call->done(call->ctx, result);
	free(call);
}

int imap_select(struct imap_session *s, struct bytes wire_name, bool read_only, imap_done_fn *done,
		void *ctx, struct err *err)
{
	struct select_call *call = xcalloc(1, sizeof(*call));
	const char *word = read_only ? "EXAMINE" : "SELECT";
	char *what = command_describe(word, wire_name);
	struct imap_encoder e;
	int ret;

	call->done = done;
	call->ctx = ctx;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	imap_encode_mailbox(&e, wire_name);
	if (imap_session_has(s, IMAP_CAP_CONDSTORE)) {
		imap_encode_open(&e);
		imap_encode_word(&e, "CONDSTORE");
		imap_encode_close(&e);
	}
	ret = command_submit(s, &e, &(struct imap_request){
		.what = what,
		.flags = IMAP_REQUEST_OPENS | (read_only ? IMAP_REQUEST_READ_ONLY : 0),
		.mailbox_name = wire_name,
		.handler = { .on_done = on_select_done, .ctx = call } }, err);
	if (ret < 0)
		free(call);
	free(what);
	return ret;
}

/* --- UID SEARCH --- */

/* One search as the caller sees it; it may take several commands. */
struct search_call {
	struct uidset_builder found;
	struct uidset within; /* empty: anywhere. More may have been asked about */
	unsigned left;
	bool damaged;
	bool everything; /* "ALL" without restriction: EXISTS says how many there must be */
	enum imap_outcome outcome; /* the first that was not OK */
	struct err err;
	imap_search_fn *done;
	void *ctx;
};

/* Ranges in all answers together: twice what the largest mailbox could need in one. */
#define FOUND_MAX 2000000

/* Some servers send a response for each message, so they are put in order at the end only. */
static void on_found(void *ctx, const struct imap_response *r)
{
	struct search_call *call = ctx;
	const struct uidset *set = r->u.search.set;

	if (call->found.n + uidset_range_count(set) > FOUND_MAX) {
		call->damaged = true;
		return;
	}
	for (size_t i = 0; i < uidset_range_count(set); i++) {
		struct uidrange range = uidset_range(set, i);

		uidset_builder_add(&call->found, range.lo, range.hi);
	}
}

/* Some servers answer an extended search with OK and nothing in it. */
static bool is_incredible(const struct search_call *call, const struct uidset *found,
			  const struct imap_result *r)
{
	return call->outcome == IMAP_DONE_OK && call->everything &&
	       uidset_is_empty(found) && r->mailbox && r->mailbox->exists > 0;
}

static void on_search_done(void *ctx, const struct imap_result *r)
{
	struct search_call *call = ctx;
	struct imap_result result = *r;
	struct uidset found = UIDSET_INIT;

	call->damaged |= r->damaged;
	if (r->outcome != IMAP_DONE_OK && call->outcome == IMAP_DONE_OK) {
		call->outcome = r->outcome;
		call->err = *r->err;
	}
	if (--call->left)
		return;
	uidset_builder_finish(&call->found, &found);
	if (!uidset_is_empty(&call->within))
		uidset_intersect(&found, &found, &call->within);
	result.outcome = call->outcome;
	if (call->outcome != IMAP_DONE_OK) {
		result.err = &call->err;
		result.status = NULL;
	}
	result.damaged = call->damaged || is_incredible(call, &found, r);
	call->done(call->ctx, call->outcome == IMAP_DONE_OK ? &found : NULL, &result);
	uidset_builder_release(&call->found);
	uidset_release(&call->within);
	uidset_release(&found);
	free(call);
}

/* What to ask about instead of `within`: in fewer bytes, counting what more that has answered. */
static void cover(const struct imap_session *s, const struct uidset *within, struct uidset *out)
{
	const struct uidset_read_cost cost = {
		.budget = imap_session_set_budget(s),
		.command_bytes = 60, /* with its answer, but the numbers */
		.reply_bytes = imap_session_has(s, IMAP_CAP_ESEARCH) ? 2 : 7,
	};

	uidset_cover(out, within, &cost);
}

static int encode_search(void *ctx, const struct imap_session *s, struct imap_encoder *e,
			 const struct uidset *piece, struct err *err)
{
	imap_session_encoder(s, e);
	imap_encode_word(e, "UID SEARCH");
	/* Always ALL by name: some servers answer RETURN () with nothing. */
	if (imap_session_has(s, IMAP_CAP_ESEARCH))
		imap_encode_word(e, "RETURN (ALL)");
	if (piece) {
		imap_encode_word(e, "UID");
		imap_encode_uidset(e, piece);
	}
	imap_encode_word(e, ctx);
	return imap_encoder_finish(e, err);
}

int imap_search(struct imap_session *s, const char *criteria, const struct uidset *within,
		imap_search_fn *done, void *ctx, struct err *err)
{
	struct split_command split = { .encode = encode_search };
	struct uidset asked = UIDSET_INIT;
	char *words = xstrdup(criteria);
	struct search_call *call;
	int ret;

	split.ctx = words;
	if (within)
		cover(s, within, &asked);
	ret = split_command_encode(&split, s, within ? &asked : NULL, err);
	uidset_release(&asked);
	free(words);
	if (ret < 0)
		return -1;
	call = xcalloc(1, sizeof(*call));
	if (within)
		uidset_copy(&call->within, within);
	uidset_builder_init(&call->found);
	call->done = done;
	call->ctx = ctx;
	call->everything = !within && strcmp(criteria, "ALL") == 0;
	call->left = (unsigned)split.n;
	split_command_submit(&split, s, &(struct imap_request){
		.what = "UID SEARCH",
		.flags = IMAP_REQUEST_IN_MAILBOX,
		.wants = IMAP_WANT_SEARCH,
		.handler = { .on_response = on_found, .on_done = on_search_done, .ctx = call } });
	return 0;
}

struct count_call {
	uint64_t count;
	bool counted;
	imap_count_fn *done;
	void *ctx;
};

static void on_counted(void *ctx, const struct imap_response *r)
{
	struct count_call *call = ctx;

	if (r->u.search.present & IMAP_SEARCH_COUNT) {
		call->count = r->u.search.count;
		call->counted = true;
	}
}

static void on_count_done(void *ctx, const struct imap_result *r)
{
	struct count_call *call = ctx;

	call->done(call->ctx, call->counted && r->outcome == IMAP_DONE_OK && !r->damaged,
		   call->count, r);
	free(call);
}

int imap_count(struct imap_session *s, const char *criteria, imap_count_fn *done, void *ctx,
	       struct err *err)
{
	struct count_call *call;
	struct imap_encoder e;

	if (command_needs_mailbox(s, "SEARCH", err) < 0 ||
	    command_needs(s, IMAP_CAP_ESEARCH, "SEARCH with COUNT", err) < 0)
		return -1;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "UID SEARCH RETURN (COUNT)");
	imap_encode_word(&e, criteria);
	call = xcalloc(1, sizeof(*call));
	call->done = done;
	call->ctx = ctx;
	if (command_submit(s, &e, &(struct imap_request){
		.what = "UID SEARCH",
		.flags = IMAP_REQUEST_IN_MAILBOX,
		.wants = IMAP_WANT_SEARCH,
		.handler = { .on_response = on_counted, .on_done = on_count_done, .ctx = call } },
		err) == 0)
		return 0;
	free(call);
	return -1;
}
