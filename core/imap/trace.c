#include "core/imap/trace.h"

#include "core/base/buf.h"
#include "core/base/log.h"

bool imap_trace_wants(const struct imap_trace *t)
{
	return t->level != IMAP_TRACE_OFF && (t->fn || log_wants(LOG_TRACE));
}

void imap_trace_line(struct imap_trace *t, char direction, struct bytes line)
{
	struct buf text = BUF_INIT(sizeof(t->line) * 8);

	if (!imap_trace_wants(t))
		return;
	escape_add(&text, line, sizeof(t->line));
	if (t->fn)
		t->fn(t->ctx, direction, buf_str(&text));
	else
		log_write(LOG_TRACE, "%s %c: %s", t->name ? t->name : "imap", direction,
			  buf_str(&text));
	buf_release(&text);
}

/* Status lines end in free text, in which `{5}` announces nothing. */
static bool is_status(struct bytes line)
{
	static const char *const words[] = { "OK", "NO", "BAD", "BYE", "PREAUTH" };
	size_t at = 0;

	if (line.n && line.p[0] == '+')
		return true;
	while (at < line.n && line.p[at] != ' ')
		at++;
	if (at == line.n)
		return false;
	line = bytes_skip(line, at + 1);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (bytes_starts_nocase(line, words[i]) &&
		    (line.n == n || line.p[n] == ' ' || line.p[n] == '\r'))
			return true;
	}
	return false;
}

/* The size announced by `{n}` or `{n+}` at the end of the line, in *size. */
static bool ends_in_literal(const struct imap_trace *t, uint64_t *size)
{
	size_t end = t->tail_held, start;

	if (end && t->tail[end - 1] == '\r')
		end--;
	if (!end || t->tail[--end] != '}')
		return false;
	if (end && t->tail[end - 1] == '+')
		end--;
	for (start = end; start && ascii_is_digit(t->tail[start - 1]);)
		start--;
	return start && t->tail[start - 1] == '{' &&
	       bytes_to_u64(bytes_from(t->tail + start, end - start), size);
}

static void keep_byte(struct imap_trace *t, uint8_t c)
{
	if (t->held < sizeof(t->line))
		t->line[t->held++] = c;
	if (t->tail_held == sizeof(t->tail)) {
		memmove(t->tail, t->tail + 1, sizeof(t->tail) - 1);
		t->tail_held--;
	}
	t->tail[t->tail_held++] = c;
}

static void end_line(struct imap_trace *t)
{
	struct bytes line = bytes_from(t->line, t->held);
	uint64_t literal = 0;
	bool status = is_status(line);

	if (!status && ends_in_literal(t, &literal)) {
		t->skip = literal;
		t->tail_held = 0; /* the line goes on behind the literal */
		if (t->held && t->line[t->held - 1] == '\r')
			t->held--;
		return;
	}
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (t->level == IMAP_TRACE_ALL || status)
		imap_trace_line(t, 'S', line);
	imap_trace_reset(t);
}

void imap_trace_received(struct imap_trace *t, struct bytes data)
{
	if (!imap_trace_wants(t))
		return;
	for (size_t i = 0; i < data.n; i++) {
		if (t->skip) {
			size_t step = data.n - i < t->skip ? data.n - i : (size_t)t->skip;

			t->skip -= step;
			i += step - 1;
		} else if (data.p[i] == '\n') {
			end_line(t);
		} else {
			keep_byte(t, data.p[i]);
		}
	}
}

void imap_trace_reset(struct imap_trace *t)
{
	t->held = t->tail_held = 0;
	t->skip = 0;
}
