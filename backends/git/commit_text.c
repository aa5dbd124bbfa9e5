#include "backends/git/commit_text.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"

#define TRAILER "Generation: "
#define WHO "mailcask <mailcask@localhost>"

static struct bytes take_line(struct bytes *rest)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	struct bytes line = *rest;

	if (end)
		line.n = (size_t)(end - rest->p);
	*rest = bytes_skip(*rest, line.n + (end != NULL));
	return line;
}

/* Whether the line is `key VALUE`. */
static bool has_key(struct bytes line, const char *key, struct bytes *value)
{
	size_t n = strlen(key);

	if (line.n < n || memcmp(line.p, key, n) != 0)
		return false;
	*value = bytes_skip(line, n);
	return true;
}

static size_t last_space(struct bytes b)
{
	while (b.n > 0 && b.p[b.n - 1] != ' ')
		b.n--;
	return b.n; /* just behind it; 0: none */
}

/* The seconds in "Name <mail> 1700000000 +0000"; 0 when they cannot be made out. */
static int64_t time_of(struct bytes who)
{
	uint64_t t;

	who.n = last_space(who);
	if (who.n > 0)
		who.n--;
	who = bytes_skip(who, last_space(who));
	return bytes_to_u64(who, &t) && t <= INT64_MAX ? (int64_t)t : 0;
}

static uint64_t generation_of(struct bytes message)
{
	uint64_t found = 0, n;
	struct bytes value;

	while (message.n > 0)
		if (has_key(take_line(&message), TRAILER, &value) && bytes_to_u64(value, &n))
			found = n;
	return found;
}

int commit_text_read(struct bytes text, struct commit_text *out, struct err *err)
{
	struct bytes line, value;
	bool tree = false;

	*out = (struct commit_text){ 0 };
	while (text.n > 0 && (line = take_line(&text)).n > 0) {
		if (has_key(line, "tree ", &value) && !tree)
			tree = object_id_parse(&out->tree, value);
		else if (has_key(line, "parent ", &value)) {
			struct object_id id;

			if (!object_id_parse(&id, value))
				return err_set(err, ERR_FATAL, "a commit is damaged");
			if (out->parents++ == 0)
				out->parent = id;
		} else if (has_key(line, "committer ", &value)) {
			out->time = time_of(value);
		}
	}
	if (!tree)
		return err_set(err, ERR_FATAL, "a commit is damaged");
	out->message = text;
	out->generation = generation_of(text);
	return 0;
}

void commit_text_write(const struct commit_text *c, struct buf *out)
{
	char hex[OBJECT_HEX_SIZE];

	buf_addf(out, "tree %s\n", object_id_hex(&c->tree, hex));
	if (c->parents > 0)
		buf_addf(out, "parent %s\n", object_id_hex(&c->parent, hex));
	buf_addf(out, "author " WHO " %lld +0000\n", (long long)c->time);
	buf_addf(out, "committer " WHO " %lld +0000\n\n", (long long)c->time);
	buf_add(out, c->message);
	commit_text_add_generation(c->generation, out);
}

void commit_text_add_generation(uint64_t generation, struct buf *out)
{
	buf_addf(out, "\n" TRAILER "%llu\n", (unsigned long long)generation);
}

void commit_text_move(struct bytes text, const struct object_id *parent, struct buf *out)
{
	struct bytes rest = text, line, value;
	char hex[OBJECT_HEX_SIZE];

	while (rest.n > 0 && rest.p[0] != '\n') {
		line = take_line(&rest);
		if (has_key(line, "parent ", &value))
			continue;
		buf_add(out, line);
		buf_add_byte(out, '\n');
		if (has_key(line, "tree ", &value) && parent)
			buf_addf(out, "parent %s\n", object_id_hex(parent, hex));
	}
	buf_add(out, rest);
}
