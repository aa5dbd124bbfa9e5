/* `search`: criteria as typed, answers as a set that other commands take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/mem.h"
#include "core/imap/commands_message.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

static const struct {
	const char *name;
	unsigned bit;
} items[] = {
	{ "all", IMAP_SEARCH_ALL }, { "count", IMAP_SEARCH_COUNT }, { "min", IMAP_SEARCH_MIN },
	{ "max", IMAP_SEARCH_MAX }, { "save", IMAP_SEARCH_SAVE },
};

static int parse_returns(const char *list, unsigned *out, struct err *err)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, ",");
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
			if (bytes_is_nocase(bytes_from(p, n), items[i].name))
				bit = items[i].bit;
		if (!bit)
			return err_set(err, ERR_CONFIG, "search: --return knows all, count, min, max "
							"and save, not '%.*s'",
				       (int)n, p);
		*out |= bit;
		p += n;
		p += *p == ',';
	}
	return 0;
}

static bool parse_position(struct bytes text, int64_t *out)
{
	bool minus = text.n && *text.p == '-';
	uint32_t n;

	if (!bytes_to_u32(bytes_skip(text, minus), &n) || !n)
		return false;
	*out = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

static int parse_partial(const char *text, struct imap_search_request *request, struct err *err)
{
	const char *colon = strchr(text, ':');

	if (colon && parse_position(bytes_from(text, (size_t)(colon - text)), &request->first) &&
	    parse_position(bytes_of(colon + 1), &request->last) &&
	    (request->first < 0) == (request->last < 0))
		return 0;
	return err_set(err, ERR_CONFIG, "search: --partial is such as 1:100 or -1:-100, not '%s'",
		       text);
}

static int prepare(const struct imap_call *call, struct imap_search_request *request,
		   struct err *err)
{
	*request = (struct imap_search_request){
		.numbering = call->given & SUB_OPT_SEQ ? IMAP_NUMBERS : IMAP_UIDS,
		.n = call->n_args,
	};
	if (call->partial) {
		request->items |= IMAP_SEARCH_PARTIAL;
		if (parse_partial(call->partial, request, err) < 0)
			return -1;
	}
	return parse_returns(call->returns, &request->items, err);
}

static int search_check(const struct imap_call *call, struct err *err)
{
	struct imap_search_request request;

	return prepare(call, &request, err);
}

struct search {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
	unsigned items;
};

static void say_answer(const struct search *s, const struct imap_search_answer *a,
		       const char *found)
{
	/* Alone the set is what the next command may want to be given. */
	if (!(s->items & ~(unsigned)IMAP_SEARCH_ALL)) {
		if (*found)
			puts(found);
		return;
	}
	if (a->present & (IMAP_SEARCH_ALL | IMAP_SEARCH_PARTIAL))
		printf("%s %s\n", a->present & IMAP_SEARCH_PARTIAL ? "partial" : "all", found);
	if (a->present & IMAP_SEARCH_COUNT)
		printf("count %llu\n", (unsigned long long)a->count);
	if (a->present & IMAP_SEARCH_MIN)
		printf("min %u\n", a->min);
	if (a->present & IMAP_SEARCH_MAX)
		printf("max %u\n", a->max);
	if (a->modseq)
		printf("modseq %llu\n", (unsigned long long)a->modseq);
}

static void tell_answer(const struct imap_search_answer *a, const char *found)
{
	json_t *event = imap_json_event("search");

	if (a->present & (IMAP_SEARCH_ALL | IMAP_SEARCH_PARTIAL))
		json_object_set_new(event, a->present & IMAP_SEARCH_PARTIAL ? "partial" : "all",
				    json_string(found));
	if (a->present & IMAP_SEARCH_COUNT)
		json_object_set_new(event, "count", json_integer((json_int_t)a->count));
	if (a->present & IMAP_SEARCH_MIN)
		json_object_set_new(event, "min", json_integer(a->min));
	if (a->present & IMAP_SEARCH_MAX)
		json_object_set_new(event, "max", json_integer(a->max));
	if (a->modseq)
		json_object_set_new(event, "modseq", json_integer((json_int_t)a->modseq));
	report_event(event);
}

static void on_answer(void *ctx, const struct imap_search_answer *a,
		      const struct imap_result *result)
{
	struct search *s = ctx;
	struct buf found;

	imap_answer_take(&s->answer, result);
	if (result->outcome != IMAP_DONE_OK)
		return;
	buf_init(&found, uidset_text_size(a->found) + 1);
	uidset_format(a->found, &found);
	if (s->cli->app->json)
		tell_answer(a, buf_str(&found));
	else
		say_answer(s, a, buf_str(&found));
	buf_release(&found);
}

static int search_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct imap_search_request request;
	struct search search = { .cli = cli };
	struct bytes *words;
	int ret = -1;

	if (prepare(call, &request, err) < 0)
		return -1;
	words = xcalloc(call->n_args, sizeof(*words));
	for (size_t i = 0; i < call->n_args; i++)
		words[i] = bytes_of(call->args[i]);
	request.words = words;
	search.items = request.items;
	if (imap_search_for(cli->session, &request, on_answer, &search, err) == 0)
		ret = imap_answer_wait(cli, &search.answer, err);
	free(words);
	return ret;
}

const struct imap_sub sub_search = {
	.name = "search",
	.args = "MAILBOX CRITERION...",
	.summary = "Find messages; the answer is a SET. What --return=save keeps is the SET $ in "
		   "the same script.",
	.example = "search INBOX UNSEEN FROM anna SINCE 2024-02-29",
	.needs = SUB_MAILBOX | SUB_EXAMINE,
	.options = SUB_OPT_SEQ | SUB_OPT_RETURN | SUB_OPT_PARTIAL,
	.min_args = 1,
	.max_args = SUB_MANY,
	.check = search_check,
	.run = search_run,
};
