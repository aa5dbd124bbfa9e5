#include "core/sync/leaving.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#define LIST_TEXT_MAX ((size_t)32 << 20)

static void leaving_release(struct leaving *l)
{
	free(l->mailbox);
	uidlist_release(&l->source);
	uidlist_release(&l->stored);
}

void leaving_list_release(struct leaving_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		leaving_release(&l->v[i]);
	free(l->v);
	*l = (struct leaving_list){ 0 };
}

void leaving_remove(struct leaving_list *l, size_t at)
{
	leaving_release(&l->v[at]);
	memmove(&l->v[at], &l->v[at + 1], (l->n - at - 1) * sizeof(*l->v));
	l->n--;
}

struct leaving *leaving_add(struct leaving_list *l, const char *mailbox, uint32_t uidvalidity)
{
	l->v = xgrow(l->v, l->n, &l->cap, sizeof(*l->v));
	l->v[l->n] = (struct leaving){ .mailbox = xstrdup(mailbox), .uidvalidity = uidvalidity };
	return &l->v[l->n++];
}

void leaving_add_pair(struct leaving *l, uint32_t source, uint32_t stored)
{
	uidlist_append(&l->source, source);
	uidlist_append(&l->stored, stored);
}

const struct leaving *leaving_find(const struct leaving_list *l, const char *mailbox, uint32_t uidvalidity)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].uidvalidity == uidvalidity && strcmp(l->v[i].mailbox, mailbox) == 0)
			return &l->v[i];
	return NULL;
}

uint64_t leaving_count(const struct leaving_list *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += uidlist_count(&l->v[i].source);
	return n;
}

static json_t *list_text(const struct uidlist *l)
{
	struct buf text = BUF_INIT(LIST_TEXT_MAX);
	json_t *out;

	uidlist_format(l, &text);
	out = json_string(buf_str(&text));
	buf_release(&text);
	return out;
}

json_t *leaving_to_json(const struct leaving_list *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:o}", "mailbox", l->v[i].mailbox,
						      "uidvalidity", (json_int_t)l->v[i].uidvalidity, "source",
						      list_text(&l->v[i].source), "stored",
						      list_text(&l->v[i].stored)));
	return list;
}

static bool read_list(const json_t *entry, const char *key, struct uidlist *out)
{
	const struct uidset_limits limits = { .bytes = LIST_TEXT_MAX, .ranges = SIZE_MAX };
	const char *text = json_string_value(json_object_get(entry, key));
	struct err err;

	return text && uidlist_parse(out, bytes_of(text), UIDSET_STRICT, &limits, &err) == 0;
}

bool leaving_from_json(struct leaving_list *out, const json_t *json)
{
	for (size_t i = 0; json && i < json_array_size(json); i++) {
		const json_t *entry = json_array_get(json, i);
		const char *mailbox = json_string_value(json_object_get(entry, "mailbox"));
		json_int_t uidvalidity = json_integer_value(json_object_get(entry, "uidvalidity"));
		struct leaving *l;

		if (!mailbox || uidvalidity <= 0 || uidvalidity > UINT32_MAX)
			return false;
		l = leaving_add(out, mailbox, (uint32_t)uidvalidity);
		if (!read_list(entry, "source", &l->source) || !read_list(entry, "stored", &l->stored) ||
		    uidlist_count(&l->source) != uidlist_count(&l->stored))
			return false;
	}
	return !json || json_is_array(json);
}
