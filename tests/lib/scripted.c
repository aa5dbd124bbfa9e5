#include "tests/lib/scripted.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

enum { DEADLINE_MS = 20000, TAG_MAX = 64 };

enum step_kind {
	STEP_EXPECT,       /* C: a command, with its tag */
	STEP_EXPECT_PLAIN, /* C+: a line without tag */
	STEP_EXPECT_BYTES, /* C{n} that many bytes, then as a line of them */
	STEP_SEND,         /* S: a line */
	STEP_SEND_RAW,     /* S+: bytes */
	STEP_FILL,         /* S{n} that many bytes, the text over and over */
	STEP_PIECES,
	STEP_CUT_AFTER,
	STEP_CUT,
	STEP_CLOSED,
	STEP_ACCEPT,
};

struct step {
	enum step_kind kind;
	int line;
	char *name; /* under which the tag is kept; NULL: only as the last */
	char *text; /* escapes still in it */
	size_t n;
};

struct scripted {
	int port, pid, report;
	struct step *step;
	size_t n, cap;
};

/* The serving process. */
struct player {
	const struct scripted *s;
	const struct step *now;
	int listener, fd, report;
	size_t pieces;
	int64_t cut_after; /* -1: never */
	struct buf in;
	struct tag {
		const char *name;
		char tag[TAG_MAX];
	} *tag;
	size_t tags, tags_cap;
	char last[TAG_MAX];
};

/*
 * Reading the transcript
 */

static const struct keyword {
	const char *word;
	enum step_kind kind;
	bool number;
} keywords[] = {
	{ "PIECES", STEP_PIECES, true }, { "CUT-AFTER", STEP_CUT_AFTER, true },
	{ "CUT", STEP_CUT, false },	 { "CLOSED", STEP_CLOSED, false },
	{ "ACCEPT", STEP_ACCEPT, false },
};

static struct step *add_step(struct scripted *s, enum step_kind kind, int line)
{
	s->step = xgrow(s->step, s->n, &s->cap, sizeof(*s->step));
	s->step[s->n] = (struct step){ .kind = kind, .line = line };
	return &s->step[s->n++];
}

static void read_keyword(struct scripted *s, const char *text, int line)
{
	size_t len = strcspn(text, " ");

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const char *arg = text + len + strspn(text + len, " ");
		struct step *st;
		char *end;

		if (strlen(keywords[i].word) != len || strncmp(text, keywords[i].word, len) != 0)
			continue;
		st = add_step(s, keywords[i].kind, line);
		st->n = strtoul(arg, &end, 10);
		if (*end || keywords[i].number != (*arg != '\0'))
			break;
		return;
	}
	test_die("transcript line %d: cannot understand: %s", line, text);
}

/* "C: text", "C(name): text", "C+: text", "C{n}: text" and the same with S. */
static void read_line_step(struct scripted *s, const char *text, int line)
{
	bool client = text[0] == 'C';
	const char *p = text + 1;
	struct step *st = add_step(s, client ? STEP_EXPECT : STEP_SEND, line);
	char *end = NULL;

	if (*p == '+') {
		st->kind = client ? STEP_EXPECT_PLAIN : STEP_SEND_RAW;
		p++;
	} else if (*p == '{') {
		st->kind = client ? STEP_EXPECT_BYTES : STEP_FILL;
		st->n = strtoul(p + 1, &end, 10);
		p = *end == '}' ? end + 1 : "";
	} else if (*p == '(' && client) {
		size_t n = strcspn(p, ")");

		st->name = xasprintf("%.*s", (int)n - 1, p + 1);
		p += n + (p[n] == ')');
	}
	if (*p != ':')
		test_die("transcript line %d: cannot understand: %s", line, text);
	st->text = xstrdup(p + 1 + (p[1] == ' '));
	if (st->kind == STEP_FILL && !*st->text)
		test_die("transcript line %d: nothing to fill with", line);
}

static void read_transcript(struct scripted *s, const char *transcript)
{
	char *copy = xstrdup(transcript), *next = copy;

	for (int line = 1; next; line++) {
		char *text = strsep(&next, "\n");

		text += strspn(text, " \t");
		if (!*text || *text == '#')
			continue;
		if ((*text == 'C' || *text == 'S') && strchr(":+{(", text[1]) && text[1])
			read_line_step(s, text, line);
		else
			read_keyword(s, text, line);
	}
	free(copy);
}

/*
 * Playing it
 */

/* Say what went wrong, where, and end. */
static _Noreturn void mismatch(struct player *p, const char *what, struct bytes got)
{
	char *shown = escape_text(got, 400);
	const struct step *now = p->now;
	char *report = now ? xasprintf("transcript line %d: %s\n"
				       "  expected: %s\n  got:      %s\n",
				       now->line, what, now->text ? now->text : "(end)", shown)
			   : xasprintf("after the last line: %s\n  got: %s\n", what, shown);

	(void)!write(p->report, report, strlen(report));
	_exit(1);
}

/* One escape at *p (which points behind the backslash), moving *p past it. */
static uint8_t unescape(const char **p)
{
	static const char from[] = "rnt0e", to[] = "\r\n\t\0\x1b";
	const char *known = **p ? strchr(from, **p) : NULL;
	char hex[3] = "";

	if (**p == 'x' && (*p)[1] && (*p)[2]) {
		memcpy(hex, *p + 1, 2);
		*p += 3;
		return (uint8_t)strtoul(hex, NULL, 16);
	}
	if (known) {
		++*p;
		return (uint8_t)to[known - from];
	}
	return **p ? (uint8_t)*(*p)++ : '\\';
}

static const char *tag_named(const struct player *p, const char *name, size_t n)
{
	if (n == 3 && strncmp(name, "TAG", 3) == 0)
		return p->last;
	for (size_t i = p->tags; i-- > 0;)
		if (strlen(p->tag[i].name) == n && strncmp(p->tag[i].name, name, n) == 0)
			return p->tag[i].tag;
	return NULL;
}

/* Escapes and $names replaced. */
static void expand(const struct player *p, const char *text, struct buf *out)
{
	while (*text) {
		if (*text == '\\') {
			text++;
			buf_add_byte(out, unescape(&text));
		} else if (*text == '$') {
			size_t n = strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						    "abcdefghijklmnopqrstuvwxyz0123456789");
			const char *tag = tag_named(p, text + 1, n);

			buf_add(out, tag ? bytes_of(tag) : bytes_from(text, n + 1));
			text += n + 1;
		} else {
			buf_add_byte(out, (uint8_t)*text++);
		}
	}
}

/* Does all of `got` match? `*` is any bytes; the rest as in expand(), without $names. */
static bool matches(const char *pattern, struct bytes got)
{
	for (; *pattern; got = bytes_skip(got, 1)) {
		uint8_t c;

		if (*pattern == '*') {
			for (size_t i = 0; i <= got.n; i++)
				if (matches(pattern + 1, bytes_skip(got, i)))
					return true;
			return false;
		}
		c = (uint8_t)*pattern++;
		if (c == '\\')
			c = unescape(&pattern);
		if (got.n == 0 || *got.p != c)
			return false;
	}
	return got.n == 0;
}

static void need_connection(struct player *p)
{
	struct pollfd poll_fd = { .fd = p->listener, .events = POLLIN };

	if (p->fd >= 0)
		return;
	if (poll(&poll_fd, 1, DEADLINE_MS) <= 0)
		mismatch(p, "nobody connects", bytes_of(""));
	p->fd = accept(p->listener, NULL, NULL);
	buf_clear(&p->in);
}

/* Read more; false at the end of the stream. */
static bool read_more(struct player *p)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&poll_fd, 1, DEADLINE_MS) <= 0)
		mismatch(p, "the client sends nothing more", buf_bytes(&p->in));
	buf_reserve(&p->in, 65536);
	n = read(p->fd, p->in.p + p->in.n, 65536);
	if (n > 0)
		buf_grow(&p->in, (size_t)n);
	return n > 0;
}

static void disconnect(struct player *p)
{
	hang_up(p->fd);
	p->fd = -1;
	p->cut_after = -1;
}

static void send_all(struct player *p, struct bytes data)
{
	need_connection(p);
	while (data.n > 0 && p->fd >= 0) {
		size_t n = p->pieces && p->pieces < data.n ? p->pieces : data.n;

		if (p->cut_after >= 0 && (int64_t)n > p->cut_after)
			n = (size_t)p->cut_after;
		if (n > 0 && write_full(p->fd, bytes_from(data.p, n)) < 0)
			mismatch(p, "the client has closed the connection", bytes_of(""));
		data = bytes_skip(data, n);
		if (p->cut_after >= 0)
			p->cut_after -= (int64_t)n;
		if (p->cut_after == 0)
			disconnect(p);
	}
}

static void keep_tag(struct player *p, struct bytes tag)
{
	snprintf(p->last, sizeof(p->last), "%.*s", (int)tag.n, (const char *)tag.p);
	if (!p->now->name)
		return;
	p->tag = xgrow(p->tag, p->tags, &p->tags_cap, sizeof(*p->tag));
	p->tag[p->tags].name = p->now->name;
	memcpy(p->tag[p->tags++].tag, p->last, sizeof(p->last));
}

static void expect_line(struct player *p, bool with_tag)
{
	const uint8_t *nl, *blank = NULL;
	struct bytes line, rest;

	need_connection(p);
	while (!(nl = p->in.n ? memchr(p->in.p, '\n', p->in.n) : NULL))
		if (!read_more(p))
			mismatch(p, "the client closed the connection", buf_bytes(&p->in));
	line = bytes_from(p->in.p, (size_t)(nl - p->in.p));
	if (line.n == 0 || line.p[line.n - 1] != '\r')
		mismatch(p, "a line that does not end in CRLF", line);
	line.n--;
	rest = line;
	if (with_tag) {
		blank = line.n ? memchr(line.p, ' ', line.n) : NULL;
		if (!blank || blank == line.p || blank - line.p >= TAG_MAX)
			mismatch(p, "a command without tag", line);
		rest = bytes_skip(line, (size_t)(blank - line.p) + 1);
	}
	if (!matches(p->now->text, rest))
		mismatch(p, "not what was expected", rest);
	if (with_tag)
		keep_tag(p, bytes_from(line.p, (size_t)(blank - line.p)));
	buf_consume(&p->in, line.n + 2);
}

static void expect_bytes(struct player *p)
{
	need_connection(p);
	while (p->in.n < p->now->n)
		if (!read_more(p))
			mismatch(p, "the client closed the connection", buf_bytes(&p->in));
	if (!matches(p->now->text, bytes_from(p->in.p, p->now->n)))
		mismatch(p, "not what was expected", bytes_from(p->in.p, p->now->n));
	buf_consume(&p->in, p->now->n);
}

static void expect_end(struct player *p, const char *otherwise)
{
	if (p->fd < 0)
		return;
	while (p->in.n == 0 && read_more(p))
		;
	if (p->in.n > 0)
		mismatch(p, otherwise, buf_bytes(&p->in));
	close(p->fd);
	p->fd = -1;
}

/* `text` over and over, `total` bytes in all, held in memory only a block at a time. */
static void send_filled(struct player *p, struct bytes text, uint64_t total)
{
	struct buf block = BUF_INIT((size_t)1 << 30);
	size_t n;

	do {
		buf_add(&block, text);
	} while (block.n < 65536);
	for (; total > 0; total -= n) {
		n = total < block.n ? (size_t)total : block.n;
		send_all(p, bytes_from(block.p, n));
	}
	buf_release(&block);
}

static void send_text(struct player *p, const struct step *st)
{
	struct buf out = BUF_INIT((size_t)1 << 30);

	expand(p, st->text, &out);
	if (st->kind == STEP_FILL) {
		send_filled(p, buf_bytes(&out), st->n);
	} else {
		if (st->kind == STEP_SEND)
			buf_add_str(&out, "\r\n");
		send_all(p, buf_bytes(&out));
	}
	buf_release(&out);
}

static void play(struct player *p, const struct step *st)
{
	p->now = st;
	switch (st->kind) {
	case STEP_EXPECT:
	case STEP_EXPECT_PLAIN:
		expect_line(p, st->kind == STEP_EXPECT);
		break;
	case STEP_EXPECT_BYTES:
		expect_bytes(p);
		break;
	case STEP_SEND:
	case STEP_SEND_RAW:
	case STEP_FILL:
		send_text(p, st);
		break;
	case STEP_PIECES:
		p->pieces = st->n;
		break;
	case STEP_CUT_AFTER:
		p->cut_after = (int64_t)st->n;
		break;
	case STEP_CUT:
		need_connection(p);
		disconnect(p);
		break;
	case STEP_CLOSED:
		need_connection(p);
		expect_end(p, "more, where the client should close");
		break;
	case STEP_ACCEPT:
		expect_end(p, "more, where the client should connect anew");
		need_connection(p);
		break;
	}
}

static _Noreturn void play_all(const struct scripted *s, int listener, int report)
{
	struct player p = { .s = s, .listener = listener, .fd = -1, .report = report,
			    .cut_after = -1, .in = BUF_INIT((size_t)256 << 20) };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < s->n; i++)
		play(&p, &s->step[i]);
	p.now = NULL;
	if (p.fd >= 0)
		shutdown(p.fd, SHUT_WR);
	expect_end(&p, "the client sends more");
	_exit(0);
}

struct scripted *scripted_start(const char *transcript)
{
	struct scripted *s = xcalloc(1, sizeof(*s));
	int report[2], listener, keep[2];

	read_transcript(s, transcript);
	listener = listen_loopback(&s->port);
	if (pipe(report) < 0)
		test_die_sys("pipe");
	keep[0] = listener;
	keep[1] = report[1];
	s->pid = proc_fork_server(keep, 2);
	if (s->pid == 0)
		play_all(s, listener, report[1]);
	close(listener);
	close(report[1]);
	s->report = report[0];
	return s;
}

struct scripted *scripted_start_file(const char *path)
{
	struct buf text = BUF_INIT(16 << 20);
	struct scripted *s;

	read_file(path, &text);
	s = scripted_start(buf_str(&text));
	buf_release(&text);
	return s;
}

int scripted_port(const struct scripted *s)
{
	return s->port;
}

static void scripted_free(struct scripted *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->step[i].name);
		free(s->step[i].text);
	}
	close(s->report);
	free(s->step);
	free(s);
}

bool scripted_played(struct scripted *s, struct buf *why)
{
	char report[2048];
	int status = -1;
	ssize_t n;

	if (!proc_wait(s->pid, 2 * DEADLINE_MS, &status))
		proc_end_group(s->pid);
	while (why && (n = read(s->report, report, sizeof(report))) > 0)
		buf_add(why, bytes_from(report, (size_t)n));
	scripted_free(s);
	return status == 0;
}

void scripted_finish(struct scripted *s)
{
	struct buf why = BUF_INIT(65536);

	if (!scripted_played(s, &why))
		test_die("%s", why.n ? buf_str(&why) : "the scripted server did not end");
	buf_release(&why);
}

void scripted_abandon(struct scripted *s)
{
	if (!s)
		return;
	proc_end_group(s->pid);
	scripted_free(s);
}
