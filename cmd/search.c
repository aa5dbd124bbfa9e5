#include "cmd/search_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/bytes.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/when.h"

#include "cmd/decode.h"

const struct criterion search_criteria[CRITERIA] = {
	[SEARCH_FROM] = { "from", A_TEXT, NEED_HEADER, "TEXT", "it is from somebody whose name or address has that" },
	[SEARCH_TO] = { "to", A_TEXT, NEED_HEADER, "TEXT", "the same of To, Cc and Bcc" },
	[SEARCH_SUBJECT] = { "subject", A_TEXT, NEED_HEADER, "TEXT", "the subject has that" },
	[SEARCH_HEADER] = { "header", A_TEXT, NEED_HEADER, "TEXT", "a line of the header, such as 'List-Id: dev', has that" },
	[SEARCH_MESSAGE_ID] = { "message-id", A_TEXT, NEED_HEADER, "ID", "this very message" },
	[SEARCH_TEXT] = { "text", A_TEXT, NEED_TEXT, "WORDS", "it has these words, one after the other; 'hous*' is any word that begins so" },
	[SEARCH_SINCE] = { "since", A_DATE, NEED_DATE, "DATE", "it arrived on that day, or at that time, or later" },
	[SEARCH_BEFORE] = { "before", A_DATE, NEED_DATE, "DATE", "it arrived earlier" },
	[SEARCH_LARGER] = { "larger", A_SIZE, NEED_ENTRY, "SIZE", "it has more bytes: 5000, 20k, 3M" },
	[SEARCH_SMALLER] = { "smaller", A_SIZE, NEED_ENTRY, "SIZE", "it has fewer" },
	[SEARCH_SEEN] = { "seen", NO_ARGUMENT, NEED_ENTRY, "", "it was read" },
	[SEARCH_UNSEEN] = { "unseen", NO_ARGUMENT, NEED_ENTRY, "", "it was not" },
	[SEARCH_ANSWERED] = { "answered", NO_ARGUMENT, NEED_ENTRY, "", "it was answered" },
	[SEARCH_FLAGGED] = { "flagged", NO_ARGUMENT, NEED_ENTRY, "", "it is flagged" },
	[SEARCH_DRAFT] = { "draft", NO_ARGUMENT, NEED_ENTRY, "", "it is a draft" },
	[SEARCH_DELETED] = { "deleted", NO_ARGUMENT, NEED_ENTRY, "", "it is marked as deleted" },
	[SEARCH_KEYWORD] = { "keyword", A_TEXT, NEED_ENTRY, "NAME", "it has that keyword" },
};

void search_release(struct search *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].text);
		free(s->v[i].folded);
	}
	free(s->v);
	*s = (struct search){ 0 };
}

static void show_criteria(const char *heading, bool texts)
{
	printf("\n%s (all of them must hold; with 'not' before it, one must not):\n", heading);
	for (size_t i = 0; i < CRITERIA; i++) {
		char left[40];

		if (i == SEARCH_TEXT && !texts)
			continue;
		snprintf(left, sizeof(left), "%s %s", search_criteria[i].name, search_criteria[i].shown);
		printf("  %-16s  %s\n", left, search_criteria[i].help);
	}
	printf("A word with blanks in it stands in double quotes: 'subject \"new house\" since 2024-02'.\n");
}

void search_show(void)
{
	show_criteria("criteria of --search", false);
}

void search_show_find(void)
{
	show_criteria("criteria", true);
}

/* --- words --- */

/* Where words come from: one text, then the operands. */
struct words {
	const char *at;
	char *const *argv;
	size_t n;
};

/* Go to where the next word begins, if there is one. */
static void skip_blanks(struct words *w)
{
	for (;;) {
		w->at += strspn(w->at, " \t\n");
		if (*w->at || w->n == 0)
			return;
		w->at = *w->argv++;
		w->n--;
	}
}

/* The next word into *word, owned by the caller: 1, 0 at the end, -1. */
static int next_word(struct words *w, char **word, struct err *err)
{
	const char *p;
	bool quoted;
	size_t n;

	skip_blanks(w);
	p = w->at;
	quoted = *p == '"';
	if (!*p)
		return 0;
	p += quoted;
	n = strcspn(p, quoted ? "\"" : " \t\n");
	if (quoted && p[n] != '"')
		return err_set(err, ERR_CONFIG, "a quotation mark is missing at the end of a word");
	*word = bytes_dup(bytes_from(p, n));
	w->at = p + n + quoted;
	return 1;
}

/* The same of an argument: an operand of its own is one word. */
static int next_argument(struct words *w, char **word, struct err *err)
{
	if (w->at[strspn(w->at, " \t\n")] || w->n == 0 || **w->argv == '"')
		return next_word(w, word, err);
	*word = xstrdup(*w->argv++);
	w->n--;
	w->at = "";
	return 1;
}

static int unknown_word(const struct search *s, const char *word, struct err *err)
{
	char *safe = escape_text(bytes_of(word), 100);
	struct buf all = BUF_INIT(1000);

	for (size_t i = 0; i < CRITERIA; i++)
		if (i != SEARCH_TEXT || s->texts)
			buf_addf(&all, "%s%s", i ? ", " : "", search_criteria[i].name);
	err_set(err, ERR_CONFIG, "'%s' is no criterion; there are %s, and 'not' before one", safe,
		buf_str(&all));
	buf_release(&all);
	free(safe);
	return -1;
}

static bool parse_size(const char *text, uint64_t *out)
{
	size_t n = strspn(text, "0123456789");
	uint64_t unit = 1;

	if (!bytes_to_u64(bytes_from(text, n), out))
		return false;
	if (text[n] && !text[n + 1]) {
		unit = text[n] == 'k' || text[n] == 'K' ? 1000 :
		       text[n] == 'M'			 ? 1000000 :
		       text[n] == 'G'			 ? 1000000000 :
							   0;
		n++;
	}
	return unit && !text[n] && !__builtin_mul_overflow(*out, unit, out);
}

void search_strip_brackets(char *text)
{
	size_t n = strlen(text);

	if (n < 2 || text[0] != '<' || text[n - 1] != '>')
		return;
	memmove(text, text + 1, n - 2);
	text[n - 2] = '\0';
}

/* Letters and digits make words; beyond ASCII the index tells. */
static bool has_letter(const char *text)
{
	for (; *text; text++)
		if (ascii_is_digit((uint8_t)*text) || (uint8_t)*text >= 0x80 ||
		    (ascii_lower((uint8_t)*text) >= 'a' && ascii_lower((uint8_t)*text) <= 'z'))
			return true;
	return false;
}

static int take_argument(struct search_term *t, int64_t now, struct err *err)
{
	const struct criterion *c = &search_criteria[t->what];
	struct when when;

	switch (c->argument) {
	case A_DATE:
		if (when_parse(t->text, now, &when, err) < 0)
			return err_prefix(err, "%s", c->name);
		t->moment = when.first;
		return 0;
	case A_SIZE:
		if (!parse_size(t->text, &t->size))
			return err_set(err, ERR_CONFIG, "%s: a size is such as 5000, 20k or 3M",
				       c->name);
		return 0;
	default:
		if (!*t->text)
			return err_set(err, ERR_CONFIG, "%s: there is nothing to look for", c->name);
		if (t->what == SEARCH_TEXT && !has_letter(t->text))
			return err_set(err, ERR_CONFIG, "text: there is no word in '%s'",
				       strlen(t->text) < 40 ? t->text : "it");
		if (t->what == SEARCH_MESSAGE_ID)
			search_strip_brackets(t->text);
		t->folded = decode_fold(t->text);
		return 0;
	}
}

static int find_criterion(const struct search *s, const char *word)
{
	for (int i = 0; i < CRITERIA; i++)
		if (bytes_is_nocase(bytes_of(word), search_criteria[i].name) &&
		    (i != SEARCH_TEXT || s->texts))
			return i;
	return -1;
}

/* The term whose first word is *word; that is freed or replaced. */
static int add_term(struct search *s, struct words *w, char **word, int64_t now, struct err *err)
{
	struct search_term t = { 0 };
	int ret = 1;

	while (bytes_is_nocase(bytes_of(*word), "not") && ret == 1) {
		t.not = !t.not;
		free(*word);
		*word = NULL;
		ret = next_word(w, word, err);
		if (ret == 0)
			return err_set(err, ERR_CONFIG, "there is nothing after 'not'");
	}
	if (ret < 0)
		return -1;
	t.what = find_criterion(s, *word);
	if (t.what < 0)
		return unknown_word(s, *word, err);
	if (search_criteria[t.what].argument != NO_ARGUMENT) {
		ret = next_argument(w, &t.text, err);
		if (ret <= 0)
			return ret < 0 ? -1
				       : err_set(err, ERR_CONFIG, "%s needs a %s",
						 search_criteria[t.what].name, search_criteria[t.what].shown);
	}
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n++] = t;
	return t.text ? take_argument(&s->v[s->n - 1], now, err) : 0;
}

static int add_terms(struct search *s, struct words *w, int64_t now, struct err *err)
{
	size_t before = s->n;

	for (;;) {
		char *word = NULL;
		int ret = next_word(w, &word, err);

		if (ret == 1)
			ret = add_term(s, w, &word, now, err) < 0 ? -1 : 1;
		free(word);
		if (ret < 0)
			return -1;
		if (ret == 0)
			break;
	}
	return s->n > before ? 0 : err_set(err, ERR_CONFIG, "there is no criterion in it");
}

int search_add(struct search *s, const char *text, int64_t now, struct err *err)
{
	struct words w = { .at = text };

	return add_terms(s, &w, now, err);
}

int search_add_operands(struct search *s, char *const *argv, size_t n, int64_t now, struct err *err)
{
	struct words w = { .at = "", .argv = argv, .n = n };

	return add_terms(s, &w, now, err);
}
