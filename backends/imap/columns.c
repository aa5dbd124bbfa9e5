#include <stdlib.h>
#include <strings.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

#include "backends/imap/changes_private.h"

/*
 * Flags without mod-sequences: UID SEARCH RETURN (ALL) for each flag in use gives all who have it as
 * ranges, which is mostly far less than a line for each message (RFC 4731). Flags that FLAGS does not
 * list would not be found that way; a server that uses such is asked message by message.
 */
#define COLUMNS_MAX 40
#define RANGE_BYTES 12  /* `123456:123460,` */
#define SEARCH_BYTES 90 /* a search with its answer, but the ranges */
#define FLAGS_BYTES 38  /* a line of UID FETCH (FLAGS) */

static const char *const system_flags[FLAG_BITS] = { "SEEN", "ANSWERED", "FLAGGED", "DELETED",
						     "DRAFT" };

bool columns_pay(const struct comparison *k)
{
	const struct flagged *f = k->req->flagged;
	uint64_t bytes = 0;

	for (size_t i = 0; i < f->n; i++)
		bytes += SEARCH_BYTES + RANGE_BYTES * (uint64_t)uidset_range_count(&f->v[i].set);
	return bytes < FLAGS_BYTES * uidset_count(k->req->known);
}

static struct column *add_column(struct comparison *k, char *criteria, const struct uidset *then)
{
	size_t cap = k->n_columns;

	k->columns = xgrow(k->columns, k->n_columns, &cap, sizeof(*k->columns));
	k->columns[k->n_columns] = (struct column){ .criteria = criteria, .then = then };
	return &k->columns[k->n_columns++];
}

/* `KEYWORD x`; NULL when it is no atom. A flag of an extension (`\\Foo`) has no search key. */
static char *search_key(const char *keyword)
{
	struct flags one = FLAGS_INIT;
	struct buf text = BUF_INIT(1 << 20);
	char *key = NULL;

	if (*keyword != '\\' && flags_add(&one, bytes_of(keyword)) &&
	    flags_format_imap(&one, &text) == 0)
		key = xasprintf("KEYWORD %s", buf_str(&text));
	flags_release(&one);
	buf_release(&text);
	return key;
}

static bool add_keyword(struct comparison *k, const char *keyword, const struct uidset *then)
{
	char *key = search_key(keyword);

	if (!key || k->n_columns == COLUMNS_MAX) {
		free(key);
		return false;
	}
	add_column(k, key, then)->listed = flags_has(&k->in_use, bytes_of(keyword));
	return true;
}

/* Whether the base has it, so that it is asked for already. */
static bool was_in_use(const struct flagged *f, const char *keyword)
{
	for (size_t i = FLAG_BITS; i < f->n; i++)
		if (strcasecmp(f->v[i].flag, keyword) == 0)
			return true;
	return false;
}

bool columns_prepare(struct comparison *k)
{
	const struct flagged *f = k->req->flagged;

	columns_release(k);
	for (size_t i = 0; i < FLAG_BITS; i++)
		add_column(k, xstrdup(system_flags[i]), &f->v[i].set)->listed = true;
	for (size_t i = FLAG_BITS; i < f->n; i++)
		if (!add_keyword(k, f->v[i].flag, &f->v[i].set))
			return false;
	for (size_t i = 0; i < k->in_use.count; i++)
		if (!was_in_use(f, k->in_use.keywords[i]) &&
		    !add_keyword(k, k->in_use.keywords[i], NULL))
			return false;
	return true;
}

bool columns_take(struct comparison *k, size_t column, const struct uidset *found)
{
	const struct column *c = &k->columns[column];
	struct uidset now = UIDSET_INIT, then = UIDSET_INIT, one = UIDSET_INIT;
	bool good;

	uidset_intersect(&now, found, k->req->known);
	good = c->listed || uidset_is_empty(&now);
	if (c->then)
		uidset_subtract(&then, c->then, &k->vanished);
	uidset_subtract(&one, &now, &then);
	uidset_union(&k->differ, &k->differ, &one);
	uidset_subtract(&one, &then, &now);
	uidset_union(&k->differ, &k->differ, &one);
	uidset_release(&now);
	uidset_release(&then);
	uidset_release(&one);
	return good;
}

bool columns_outdated(const struct comparison *k)
{
	for (size_t i = 0; i < k->in_use.count; i++) {
		char *key = search_key(k->in_use.keywords[i]);
		bool asked = false;

		for (size_t c = FLAG_BITS; key && c < k->n_columns; c++)
			asked |= strcasecmp(k->columns[c].criteria, key) == 0;
		free(key);
		if (!asked)
			return true;
	}
	return false;
}

void columns_release(struct comparison *k)
{
	for (size_t i = 0; i < k->n_columns; i++)
		free(k->columns[i].criteria);
	free(k->columns);
	k->columns = NULL;
	k->n_columns = 0;
	uidset_clear(&k->differ);
}
