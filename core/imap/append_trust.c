#include "core/imap/append_trust.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

/* Beyond this it starts anew, which costs a round trip for each combination, no more. */
#define KEYS_MAX 4096

static void clear(struct append_trust *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->keys[i]);
	t->n = 0;
}

void append_trust_release(struct append_trust *t)
{
	clear(t);
	free(t->keys);
	*t = (struct append_trust){ 0 };
}

char *append_trust_key(struct bytes wire_name, const struct flags *flags)
{
	struct buf key = BUF_INIT((size_t)1 << 20);

	/* No flag holds a line end, so this cannot be read in two ways. */
	if (flags)
		flags_format(flags, &key);
	buf_add_byte(&key, '\n');
	buf_add(&key, wire_name);
	return buf_take(&key);
}

/* Where it is, or belongs. */
static size_t position(const struct append_trust *t, const char *key)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (strcmp(t->keys[middle], key) < 0)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

bool append_trust_has(const struct append_trust *t, const char *key)
{
	size_t at = position(t, key);

	return at < t->n && strcmp(t->keys[at], key) == 0;
}

void append_trust_add(struct append_trust *t, const char *key)
{
	size_t at;

	if (append_trust_has(t, key))
		return;
	if (t->n == KEYS_MAX)
		clear(t);
	at = position(t, key);
	t->keys = xgrow(t->keys, t->n, &t->cap, sizeof(*t->keys));
	memmove(&t->keys[at + 1], &t->keys[at], (t->n - at) * sizeof(*t->keys));
	t->keys[at] = xstrdup(key);
	t->n++;
}
