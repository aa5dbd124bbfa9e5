#include "core/sync/name_map.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/base/mem.h"

void name_map_release(struct name_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		mailbox_name_release(&map->v[i].from);
		mailbox_name_release(&map->v[i].to);
		free(map->v[i].text);
	}
	free(map->v);
	*map = (struct name_map){ 0 };
}

static struct bytes trimmed(struct bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t'))
		b = bytes_skip(b, 1);
	while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

/* One side of a rule. */
static int read_side(struct bytes side, const char *rule, struct mailbox_name *name, bool *below,
		     struct err *err)
{
	*below = side.n > 0 && side.p[side.n - 1] == '*';
	if (*below)
		side.n--;
	if (memchr(side.p, '*', side.n) || (*below && side.n > 0 && side.p[side.n - 1] != '/'))
		return err_set(err, ERR_CONFIG,
			       "'%s': a '*' can only stand at the end, after a '/' or alone", rule);
	if (*below && side.n == 0)
		return 0;
	if (*below)
		side.n--;
	if (side.n == 0)
		return err_set(err, ERR_CONFIG, "'%s': a name is missing", rule);
	return mailbox_name_from_display(name, side, err);
}

static int read_rule(const char *text, struct name_rule *r, struct err *err)
{
	const char *arrow = strstr(text, "->");
	bool below = false;

	r->text = xstrdup(text);
	if (!arrow)
		return err_set(err, ERR_CONFIG,
			       "'%s' is no rule; expected 'Old -> New', or 'Old/* -> New/*' for all "
			       "below Old",
			       text);
	if (read_side(trimmed(bytes_from(text, (size_t)(arrow - text))), text, &r->from, &r->below,
		      err) < 0 ||
	    read_side(trimmed(bytes_of(arrow + 2)), text, &r->to, &below, err) < 0)
		return -1;
	if (r->below != below)
		return err_set(err, ERR_CONFIG, "'%s': either both sides end in a '*' or none does",
			       text);
	return 0;
}

/* Every name without components is the top. */
static bool is_below(const struct mailbox_name *m, const struct mailbox_name *top)
{
	return top->count == 0 || (m->count > 0 && mailbox_name_is_below(m, top));
}

static bool fits(const struct name_rule *r, const struct mailbox_name *name)
{
	return r->below ? name->count > r->from.count && is_below(name, &r->from)
			: mailbox_name_equal(name, &r->from);
}

/* Whether every mailbox that `late` fits is one that `early` fits. */
static bool covers(const struct name_rule *early, const struct name_rule *late)
{
	if (late->below)
		return early->below && is_below(&late->from, &early->from);
	return fits(early, &late->from);
}

static int check_rule(const struct name_map *map, size_t at, struct err *err)
{
	const struct name_rule *r = &map->v[at];

	for (size_t i = 0; i < at; i++) {
		const struct name_rule *early = &map->v[i];

		if (covers(early, r))
			return err_set(err, ERR_CONFIG,
				       "'%s' never applies, because '%s' stands before it", r->text,
				       early->text);
		if (early->below == r->below && mailbox_name_equal(&early->to, &r->to))
			return err_set(err, ERR_CONFIG, "'%s' and '%s' lead to the same name",
				       early->text, r->text);
	}
	return 0;
}

int name_map_parse(struct name_map *out, const char *const *rules, size_t n, struct err *err)
{
	name_map_release(out);
	out->v = xcalloc(n, sizeof(*out->v));
	for (out->n = 0; out->n < n;) {
		out->n++;
		if (read_rule(rules[out->n - 1], &out->v[out->n - 1], err) < 0 ||
		    check_rule(out, out->n - 1, err) < 0) {
			name_map_release(out);
			return -1;
		}
	}
	return 0;
}

static size_t find_rule(const struct name_map *map, const struct mailbox_name *source)
{
	size_t i = 0;

	while (i < map->n && !fits(&map->v[i], source))
		i++;
	return i;
}

bool name_map_fits(const struct name_map *map, const struct mailbox_name *source)
{
	return find_rule(map, source) < map->n;
}

void name_map_apply(const struct name_map *map, const struct mailbox_name *source,
		    struct mailbox_name *out)
{
	struct mailbox_name as = MAILBOX_NAME_INIT;
	size_t i = find_rule(map, source);
	struct err err;

	/* It cannot fail: these are components of names already. */
	if (i == map->n ||
	    mailbox_name_move(&as, source, &map->v[i].from, &map->v[i].to, &err) < 0)
		mailbox_name_copy(&as, source);
	mailbox_name_map(out, source, &as);
	mailbox_name_release(&as);
}
