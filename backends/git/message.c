#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/commit.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define TALLY "Tally: "
#define NOTE "Note: "
#define NAME_SHOWN 400

void message_note(struct gitstore *g, const struct gitbox *box, const char *fmt, ...)
{
	char *name = mailbox_name_text(&box->mb.name), *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	escape_add(&g->notes, bytes_of(name), NAME_SHOWN);
	buf_add_str(&g->notes, ": ");
	escape_add(&g->notes, bytes_of(text), NAME_SHOWN);
	buf_add_byte(&g->notes, '\n');
	free(name);
	free(text);
}

/* Add "3 new" with a comma before it if it is not the first. */
static void add_part(struct buf *out, size_t from, uint64_t n, const char *what)
{
	if (n > 0)
		buf_addf(out, "%s%" PRIu64 " %s", out->n > from ? ", " : "", n, what);
}

static void add_tally(struct buf *out, const struct tally *t)
{
	size_t from = out->n;

	add_part(out, from, t->new_messages, "new");
	add_part(out, from, t->adopted, "taken over");
	add_part(out, from, t->removed, "removed");
	add_part(out, from, t->kept, "kept");
	add_part(out, from, t->flags, t->flags == 1 ? "flag change" : "flag changes");
}

static bool tally_is_empty(const struct tally *t)
{
	return !t->new_messages && !t->adopted && !t->removed && !t->kept && !t->flags;
}

static struct tally sum_of(const struct gitstore *g)
{
	struct tally sum = { 0 };

	for (size_t i = 0; i < g->n; i++) {
		const struct tally *t = &g->box[i]->tally;

		sum.new_messages += t->new_messages;
		sum.adopted += t->adopted;
		sum.removed += t->removed;
		sum.kept += t->kept;
		sum.flags += t->flags;
	}
	return sum;
}

static void write_summary(const struct gitstore *g, struct buf *out)
{
	struct tally sum = sum_of(g);

	escape_add(out, bytes_of(g->format.account ? g->format.account : "mail"), NAME_SHOWN);
	buf_add_str(out, ": ");
	if (g->why)
		buf_add_str(out, g->why);
	else if (tally_is_empty(&sum))
		buf_add_str(out, "no message changed");
	else
		add_tally(out, &sum);
	buf_add_byte(out, '\n');
}

/* For people. */
static void write_details(const struct gitstore *g, struct buf *out)
{
	size_t from = out->n;

	buf_add_byte(out, '\n');
	for (size_t i = 0; i < g->n; i++) {
		char *name;

		if (tally_is_empty(&g->box[i]->tally))
			continue;
		name = mailbox_name_text(&g->box[i]->mb.name);
		escape_add(out, bytes_of(name), NAME_SHOWN);
		buf_add_str(out, ": ");
		add_tally(out, &g->box[i]->tally);
		buf_add_byte(out, '\n');
		free(name);
	}
	buf_add(out, buf_bytes(&g->notes));
	if (out->n == from + 1)
		out->n = from; /* no details: the trailer has its own blank line */
}

/* For the run that takes over. */
static void write_state(const struct gitstore *g, struct buf *out)
{
	struct bytes rest = buf_bytes(&g->notes);

	buf_add_byte(out, '\n');
	for (size_t i = 0; i < g->n; i++) {
		const struct tally *t = &g->box[i]->tally;

		if (!tally_is_empty(t))
			buf_addf(out, TALLY "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
				 " %" PRIu64 " %s\n",
				 t->new_messages, t->adopted, t->removed, t->kept, t->flags,
				 g->box[i]->dir);
	}
	while (rest.n > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) + 1 : rest.n;

		buf_add_str(out, NOTE);
		buf_add(out, bytes_from(rest.p, n));
		rest = bytes_skip(rest, n);
	}
}

void message_write(const struct gitstore *g, bool snapshot, struct buf *out)
{
	write_summary(g, out);
	if (snapshot)
		write_details(g, out);
	else
		write_state(g, out);
}

static void resume_tally(struct gitstore *g, const char *line)
{
	struct tally t;
	int at = 0;

	if (sscanf(line, TALLY "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %n",
		   &t.new_messages, &t.adopted, &t.removed, &t.kept, &t.flags, &at) < 5 || at == 0)
		return;
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->box[i]->dir, line + at) == 0)
			g->box[i]->tally = t;
}

void message_resume(struct gitstore *g, struct bytes message)
{
	char *text = bytes_dup(message), *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, TALLY, strlen(TALLY)) == 0)
			resume_tally(g, line);
		else if (strncmp(line, NOTE, strlen(NOTE)) == 0)
			buf_addf(&g->notes, "%s\n", line + strlen(NOTE));
	}
	free(text);
}

void message_reset(struct gitstore *g)
{
	for (size_t i = 0; i < g->n; i++)
		g->box[i]->tally = (struct tally){ 0 };
	buf_clear(&g->notes);
}
