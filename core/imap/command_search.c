#include <inttypes.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_private.h"
#include "core/imap/criteria.h"
#include "core/msgset/uidset.h"

/* Ranges in all answers together: twice what the largest mailbox could need in one. */
#define FOUND_MAX 2000000

struct search_for_call {
	unsigned items; /* asked for */
	bool extended;  /* with RETURN */
	bool damaged;
	struct uidset_builder found;
	struct imap_search_answer answer;
	imap_search_answer_fn *done;
	void *ctx;
};

static void on_search_answer(void *ctx, const struct imap_response *r)
{
	struct search_for_call *call = ctx;
	const struct imap_search *found = &r->u.search;
	struct imap_search_answer *answer = &call->answer;

	if (call->found.n + uidset_range_count(found->set) > FOUND_MAX) {
		call->damaged = true;
		return;
	}
	for (size_t i = 0; i < uidset_range_count(found->set); i++) {
		struct uidrange range = uidset_range(found->set, i);

		uidset_builder_add(&call->found, range.lo, range.hi);
	}
	answer->present |= found->present;
	if (found->present & IMAP_SEARCH_COUNT)
		answer->count = found->count;
	if (found->present & IMAP_SEARCH_MIN)
		answer->min = found->min;
	if (found->present & IMAP_SEARCH_MAX)
		answer->max = found->max;
	if (found->present & IMAP_SEARCH_MODSEQ)
		answer->modseq = found->modseq;
}

/* All that was found is known, so whatever was asked for is, too. */
static void answer_from_all(struct search_for_call *call, const struct uidset *found)
{
	struct imap_search_answer *answer = &call->answer;

	answer->present |= IMAP_SEARCH_ALL | IMAP_SEARCH_COUNT;
	answer->count = uidset_count(found);
	if (answer->count) {
		answer->present |= IMAP_SEARCH_MIN | IMAP_SEARCH_MAX;
		answer->min = uidset_min(found);
		answer->max = uidset_max(found);
	}
}

static void on_search_for_done(void *ctx, const struct imap_result *r)
{
	struct search_for_call *call = ctx;
	struct imap_result result = *r;
	struct uidset found = UIDSET_INIT;

	uidset_builder_finish(&call->found, &found);
	if (r->outcome == IMAP_DONE_OK && (!call->extended || (call->items & IMAP_SEARCH_ALL)))
		answer_from_all(call, &found);
	call->answer.found = &found;
	result.damaged |= call->damaged;
	call->done(call->ctx, r->outcome == IMAP_DONE_OK ? &call->answer : NULL, &result);
	uidset_builder_release(&call->found);
	uidset_release(&found);
	free(call);
}

static void encode_return(struct imap_encoder *e, const struct imap_search_request *q,
			  unsigned items)
{
	static const struct {
		unsigned item;
		const char *name;
	} table[] = {
		{ IMAP_SEARCH_SAVE, "SAVE" }, { IMAP_SEARCH_MIN, "MIN" },
		{ IMAP_SEARCH_MAX, "MAX" },   { IMAP_SEARCH_ALL, "ALL" },
		{ IMAP_SEARCH_COUNT, "COUNT" },
	};

	imap_encode_word(e, "RETURN");
	imap_encode_open(e);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (items & table[i].item)
			imap_encode_word(e, table[i].name);
	if (items & IMAP_SEARCH_PARTIAL) {
		char *range = xasprintf("PARTIAL %" PRId64 ":%" PRId64, q->first, q->last);

		imap_encode_word(e, range);
		free(range);
	}
	imap_encode_close(e);
}

/* PARTIAL counts from 1, or with RFC 9394 from -1 backwards; both ends on one side. */
static int check_partial(const struct imap_session *s, const struct imap_search_request *q,
			 struct err *err)
{
	const int64_t max = UINT32_MAX;
	bool backwards = q->first < 0;

	if (!imap_session_has(s, IMAP_CAP_PARTIAL) &&
	    (backwards || !imap_session_has(s, IMAP_CAP_CONTEXT_SEARCH)))
		return err_set(err, ERR_CONFIG, "SEARCH: the server does not offer %s",
			       backwards ? "PARTIAL" : "PARTIAL or CONTEXT=SEARCH");
	if (q->first == 0 || q->last == 0 || (q->last < 0) != backwards || q->first > max ||
	    q->last > max || q->first < -max || q->last < -max)
		return err_set(err, ERR_CONFIG, "SEARCH: not a range of results: %" PRId64
			       ":%" PRId64, q->first, q->last);
	return 0;
}

static int check_search(const struct imap_session *s, const struct imap_search_request *q,
			unsigned items, struct err *err)
{
	if (command_needs_mailbox(s, "SEARCH", err) < 0)
		return -1;
	if ((items & IMAP_SEARCH_SAVE) &&
	    command_needs(s, IMAP_CAP_SEARCHRES, "SEARCH with SAVE", err) < 0)
		return -1;
	if (items & IMAP_SEARCH_PARTIAL)
		return check_partial(s, q, err);
	return 0;
}

static void encode_search_for(const struct imap_session *s, struct imap_encoder *e,
			      const struct imap_search_request *q, unsigned items, bool extended)
{
	imap_session_encoder(s, e);
	imap_encode_word(e, q->numbering == IMAP_NUMBERS ? "SEARCH" : "UID SEARCH");
	if (extended)
		encode_return(e, q, items);
	/* With UTF8=ACCEPT all is UTF-8, and naming it is forbidden (RFC 6855, section 3). */
	if (q->charset || (imap_criteria_are_8bit(q->words, q->n) && !imap_session_utf8(s))) {
		imap_encode_word(e, "CHARSET");
		imap_encode_astring(e, bytes_of(q->charset ? q->charset : "UTF-8"));
	}
	imap_encode_criteria(e, q->words, q->n);
}

int imap_search_for(struct imap_session *s, const struct imap_search_request *request,
		    imap_search_answer_fn *done, void *ctx, struct err *err)
{
	unsigned items = request->items ? request->items : IMAP_SEARCH_ALL;
	bool extended = imap_session_has(s, IMAP_CAP_ESEARCH) || (items & IMAP_SEARCH_SAVE) ||
			(items & IMAP_SEARCH_PARTIAL);
	struct search_for_call *call;
	struct imap_encoder e;

	if (check_search(s, request, items, err) < 0)
		return -1;
	encode_search_for(s, &e, request, items, extended);
	call = xcalloc(1, sizeof(*call));
	uidset_builder_init(&call->found);
	call->items = items;
	call->extended = extended;
	call->done = done;
	call->ctx = ctx;
	/* Criteria may hold message numbers, so they must not shift meanwhile. */
	if (command_submit(s, &e, &(struct imap_request){
		.what = "SEARCH",
		.flags = IMAP_REQUEST_DATA | IMAP_REQUEST_IN_MAILBOX | IMAP_REQUEST_ALONE,
		.wants = IMAP_WANT_SEARCH,
		.handler = { .on_response = on_search_answer, .on_done = on_search_for_done,
			     .ctx = call } }, err) < 0) {
		uidset_builder_release(&call->found);
		free(call);
		return -1;
	}
	return 0;
}
