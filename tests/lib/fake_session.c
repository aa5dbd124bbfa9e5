/*
 * One connection of the fake server: reads a command with its literals, answers, and
 * misbehaves where it was told to. Blocking and forgiving to itself: a client that stops
 * reading or goes away ends the process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/fake_private.h"
#include "tests/lib/support.h"

enum { MAX_WORDS = 256, FLUSH_AT = 1 << 18 };
#define COMMAND_MAX ((size_t)16 << 20)

struct session {
	const struct fake_imap *f;
	int fd;
	uint8_t in[16384];
	size_t in_at, in_n;
	struct buf out;
	struct buf line;  /* the command as logged: literals left out */
	struct buf store; /* bytes of the words */
	struct word {
		size_t at, n;
		bool quoted; /* or literal: never a keyword or parenthesis */
	} word[MAX_WORDS];
	size_t words;
	const struct fake_mailbox *selected;
};

static void flush(struct session *s)
{
	if (write_full(s->fd, buf_bytes(&s->out)) < 0)
		_exit(0);
	buf_clear(&s->out);
}

static _Noreturn void close_now(struct session *s)
{
	flush(s);
	hang_up(s->fd);
	_exit(0);
}

static uint8_t next_byte(struct session *s)
{
	if (s->in_at == s->in_n) {
		ssize_t n;

		flush(s);
		n = read(s->fd, s->in, sizeof(s->in));
		if (n <= 0)
			_exit(0);
		s->in_at = 0;
		s->in_n = (size_t)n;
	}
	return s->in[s->in_at++];
}

static struct bytes word(const struct session *s, size_t i)
{
	if (i >= s->words)
		return bytes_of("");
	return bytes_from(s->store.p + s->word[i].at, s->word[i].n);
}

static bool is(const struct session *s, size_t i, const char *text)
{
	return i < s->words && !s->word[i].quoted && bytes_is_nocase(word(s, i), text);
}

static void end_word(struct session *s, size_t at, bool quoted)
{
	if (s->words < MAX_WORDS)
		s->word[s->words++] = (struct word){ at, s->store.n - at, quoted };
}

static uint8_t logged(struct session *s)
{
	uint8_t c = next_byte(s);

	if (c != '\r' && c != '\n')
		buf_add_byte(&s->line, c);
	return c;
}

static void read_quoted(struct session *s)
{
	size_t at = s->store.n;
	uint8_t c;

	while ((c = logged(s)) != '"' && c != '\n')
		buf_add_byte(&s->store, c == '\\' ? logged(s) : c);
	end_word(s, at, true);
}

/* After '{' */
static void read_literal(struct session *s)
{
	size_t at = s->store.n, n = 0;
	bool wait = true;
	uint8_t c;

	while ((c = logged(s)) != '}' && c != '\n')
		if (c == '+')
			wait = false;
		else
			n = n * 10 + (c - '0');
	while (c != '\n')
		c = logged(s);
	if (wait)
		buf_add_str(&s->out, "+ go on\r\n");
	while (n-- > 0)
		buf_add_byte(&s->store, next_byte(s));
	end_word(s, at, true);
}

/* An atom; parentheses within brackets belong to it. Returns the byte that ended it. */
static uint8_t read_atom(struct session *s, uint8_t c)
{
	size_t at = s->store.n;
	int depth = 0;

	while (c != '\r' && c != '\n' && (depth > 0 || (c != ' ' && c != '(' && c != ')'))) {
		depth += (c == '[') - (c == ']');
		buf_add_byte(&s->store, c);
		c = logged(s);
	}
	end_word(s, at, false);
	return c;
}

static void read_command(struct session *s)
{
	uint8_t c = 0;

	buf_clear(&s->line);
	buf_clear(&s->store);
	s->words = 0;
	while (c != '\n') {
		c = logged(s);
		if (c == '"')
			read_quoted(s);
		else if (c == '{')
			read_literal(s);
		else if (c != ' ' && c != '(' && c != ')' && c != '\r' && c != '\n')
			c = read_atom(s, c);
		if (c == '(' || c == ')') {
			size_t at = s->store.n;

			buf_add_byte(&s->store, c);
			end_word(s, at, false);
		}
	}
}

static void log_command(struct session *s)
{
	const char *blank = strchr(buf_str(&s->line), ' ');
	char *line = xasprintf("%s\n", blank ? blank + 1 : buf_str(&s->line));

	(void)!write(s->f->log, line, strlen(line));
	free(line);
}

static void tagged(struct session *s, const char *text)
{
	buf_add(&s->out, word(s, 0));
	buf_addf(&s->out, " %s\r\n", text);
}

static void add_string(struct buf *out, struct bytes v)
{
	bool plain = v.n < 1000;

	for (size_t i = 0; i < v.n && plain; i++)
		plain = v.p[i] >= ' ' && v.p[i] < 127 && v.p[i] != '"' && v.p[i] != '\\';
	if (plain) {
		buf_add_byte(out, '"');
		buf_add(out, v);
		buf_add_byte(out, '"');
	} else {
		buf_addf(out, "{%zu}\r\n", v.n);
		buf_add(out, v);
	}
}

static const struct fake_mailbox *mailbox_named(const struct session *s, struct bytes name)
{
	for (size_t i = 0; i < s->f->n; i++) {
		const struct fake_mailbox *mb = s->f->mb[i];

		if (bytes_equal(buf_bytes(&mb->name), name) ||
		    (bytes_is_nocase(name, "INBOX") && bytes_is(buf_bytes(&mb->name), "INBOX")))
			return mb;
	}
	return NULL;
}

static bool selectable(const struct fake_mailbox *mb)
{
	return !strcasestr(mb->attributes, "\\Noselect") &&
	       !strcasestr(mb->attributes, "\\NonExistent");
}

static long long exists(const struct session *s, const struct fake_mailbox *mb)
{
	const struct fake_trick_entry *lie = fake_use(s->f, mb, FAKE_EXISTS, 0);

	return (long long)mb->n + (lie ? lie->at : 0);
}

/* A session is a process of its own. */
static uint32_t uidvalidity(const struct session *s, const struct fake_mailbox *mb)
{
	return mb->uidvalidity + (fake_use(s->f, mb, FAKE_NOT_STICKY, 0) ? (uint32_t)getpid() : 0);
}

/* FNV-1a: something of its own for every name. */
static unsigned hash_of(struct bytes name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 16777619u;
	return h;
}

/* "* STATUS name (items)" for the items in words [from, to); false when one is unknown. */
static bool status_line(struct session *s, const struct fake_mailbox *mb, size_t from, size_t to)
{
	struct buf line = BUF_INIT(1 << 17);
	uint64_t size = 0, unseen = 0;
	bool known = true;

	for (size_t i = 0; i < mb->n; i++) {
		size += mb->msg[i].body.n;
		unseen += !strcasestr(mb->msg[i].flags, "\\Seen");
	}
	buf_add_str(&line, "* STATUS ");
	add_string(&line, buf_bytes(&mb->name));
	for (size_t i = from; i < to; i++) {
		char *item = bytes_dup(word(s, i));

		buf_addf(&line, "%s%s ", i == from ? " (" : " ", item);
		if (is(s, i, "MESSAGES"))
			buf_addf(&line, "%lld", exists(s, mb));
		else if (is(s, i, "UIDNEXT"))
			buf_addf(&line, "%u", mb->uidnext);
		else if (is(s, i, "UIDVALIDITY"))
			buf_addf(&line, "%u", uidvalidity(s, mb));
		else if (is(s, i, "HIGHESTMODSEQ") && fake_can(s->f, "CONDSTORE"))
			buf_addf(&line, "%llu", (unsigned long long)mb->modseq);
		else if (is(s, i, "UNSEEN"))
			buf_addf(&line, "%llu", (unsigned long long)unseen);
		else if (is(s, i, "RECENT"))
			buf_add_str(&line, "0");
		else if (is(s, i, "SIZE") && fake_can(s->f, "STATUS=SIZE"))
			buf_addf(&line, "%llu", (unsigned long long)size);
		else if (is(s, i, "MAILBOXID") && fake_can(s->f, "OBJECTID"))
			buf_addf(&line, "(F%08x-%u)", hash_of(buf_bytes(&mb->name)), mb->uidvalidity);
		else
			known = false;
		free(item);
	}
	buf_add_str(&line, ")\r\n");
	if (known)
		buf_add(&s->out, buf_bytes(&line));
	buf_release(&line);
	return known;
}

static void do_status(struct session *s)
{
	const struct fake_mailbox *mb = mailbox_named(s, word(s, 2));

	if (!mb || !selectable(mb))
		tagged(s, "NO [NONEXISTENT] no such mailbox");
	else if (s->words < 6 || !status_line(s, mb, 4, s->words - 1))
		tagged(s, "BAD unknown STATUS item");
	else
		tagged(s, "OK STATUS done");
}

static bool list_matches(struct bytes pattern, struct bytes name, char delimiter)
{
	if (pattern.n == 0)
		return name.n == 0;
	if (*pattern.p != '*' && *pattern.p != '%')
		return name.n > 0 && *pattern.p == *name.p &&
		       list_matches(bytes_skip(pattern, 1), bytes_skip(name, 1), delimiter);
	for (size_t i = 0;; i++) {
		if (list_matches(bytes_skip(pattern, 1), bytes_skip(name, i), delimiter))
			return true;
		if (i == name.n || (*pattern.p == '%' && name.p[i] == (uint8_t)delimiter))
			return false;
	}
}

static void add_delimiter(struct session *s)
{
	char d = s->f->delimiter;

	if (d)
		buf_addf(&s->out, "\"%s%c\"", d == '\\' || d == '"' ? "\\" : "", d);
	else
		buf_add_str(&s->out, "NIL");
}

/* The words after "STATUS (" in RETURN (...): *to is the closing parenthesis; false: no STATUS. */
static bool status_return(const struct session *s, size_t *from, size_t *to)
{
	for (size_t i = 4; i + 1 < s->words; i++)
		if (is(s, i, "STATUS") && is(s, i + 1, "(")) {
			*from = *to = i + 2;
			while (*to < s->words && !is(s, *to, ")"))
				++*to;
			return true;
		}
	return false;
}

static void do_list(struct session *s, const char *name)
{
	size_t ref = 2, from = 0, to = 0;
	bool status;
	struct bytes pattern;

	while (is(s, 2, "(") && ref < s->words && !is(s, ref++, ")"))
		; /* selection options: everything counts as subscribed */
	pattern = word(s, ref + 1);
	status = status_return(s, &from, &to);
	if (s->words > ref + 2 && !fake_can(s->f, status ? "LIST-STATUS" : "LIST-EXTENDED")) {
		tagged(s, "BAD LIST takes two arguments here");
		return;
	}
	if (pattern.n == 0) {
		buf_addf(&s->out, "* %s (\\Noselect) ", name);
		add_delimiter(s);
		buf_add_str(&s->out, " \"\"\r\n");
	}
	for (size_t i = 0; i < s->f->n; i++) {
		const struct fake_mailbox *mb = s->f->mb[i];

		if (!list_matches(pattern, buf_bytes(&mb->name), s->f->delimiter) ||
		    fake_use(s->f, mb, FAKE_UNLISTED, 0))
			continue;
		if (i == s->f->n / 2 && fake_use(s->f, NULL, FAKE_LIST_SHORT, 0)) {
			buf_addf(&s->out, "* %s (", name);
			close_now(s);
		}
		buf_addf(&s->out, "* %s (%s) ", name, mb->attributes);
		add_delimiter(s);
		buf_add_byte(&s->out, ' ');
		add_string(&s->out, buf_bytes(&mb->name));
		buf_add_str(&s->out, "\r\n");
		if (status && selectable(mb) && !status_line(s, mb, from, to)) {
			tagged(s, "BAD unknown STATUS item");
			return;
		}
	}
	tagged(s, fake_use(s->f, NULL, FAKE_LIST_NO, 0) ? "NO that was not all" : "OK LIST done");
}

static void do_select(struct session *s, bool read_only)
{
	const struct fake_mailbox *mb = mailbox_named(s, word(s, 2));

	s->selected = NULL;
	if (!mb || !selectable(mb)) {
		tagged(s, "NO [NONEXISTENT] no such mailbox");
		return;
	}
	if (fake_use(s->f, mb, FAKE_BYE, 0)) {
		buf_add_str(&s->out, "* BYE going down\r\n");
		close_now(s);
	}
	s->selected = mb;
	buf_addf(&s->out,
		 "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
		 "* OK [PERMANENTFLAGS ()] none\r\n* %lld EXISTS\r\n* 0 RECENT\r\n"
		 "* OK [UIDVALIDITY %u] valid\r\n* OK [UIDNEXT %u] next\r\n",
		 exists(s, mb), uidvalidity(s, mb), mb->uidnext);
	if (fake_can(s->f, "CONDSTORE"))
		buf_addf(&s->out, "* OK [HIGHESTMODSEQ %llu] highest\r\n",
			 (unsigned long long)mb->modseq);
	if (fake_use(s->f, mb, FAKE_NOT_STICKY, 0))
		buf_add_str(&s->out, "* OK [UIDNOTSTICKY] for this session only\r\n");
	tagged(s, read_only ? "OK [READ-ONLY] done" : "OK [READ-WRITE] done");
}

static uint32_t set_number(const char **p, uint32_t star)
{
	char *end;
	uint32_t v;

	if (**p == '*') {
		++*p;
		return star;
	}
	v = (uint32_t)strtoul(*p, &end, 10);
	*p = end;
	return v;
}

static bool set_has(const char *set, uint32_t v, uint32_t star)
{
	while (*set) {
		uint32_t a = set_number(&set, star), b = a;

		if (*set == ':') {
			set++;
			b = set_number(&set, star);
		}
		if ((a <= v && v <= b) || (b <= v && v <= a))
			return true;
		if (*set != ',')
			return false;
		set++;
	}
	return false;
}

/* Is message `i` of the selected mailbox in the set? */
static bool wanted(const struct session *s, const char *set, size_t i, bool uid)
{
	const struct fake_mailbox *mb = s->selected;

	return uid ? set_has(set, mb->msg[i].uid, mb->msg[mb->n - 1].uid)
		   : set_has(set, (uint32_t)i + 1, (uint32_t)mb->n);
}

static void log_body(const struct session *s, const struct fake_msg *m)
{
	char *line = xasprintf("%s %u\n", buf_str(&s->selected->name), m->uid);

	(void)!write(s->f->sent, line, strlen(line));
	free(line);
}

static void add_body(struct session *s, const struct fake_msg *m, const char *item)
{
	const char *section = strchr(item, '['), *part = strchr(item, '<');
	const struct fake_trick_entry *cut;
	struct bytes body = buf_bytes(&m->body);

	if (strncasecmp(section, "[HEADER", 7) == 0) {
		const uint8_t *end = body.n ? memmem(body.p, body.n, "\r\n\r\n", 4) : NULL;

		body.n = end ? (size_t)(end - body.p) + 4 : body.n;
	}
	buf_addf(&s->out, "BODY%.*s", (int)(strchr(section, ']') + 1 - section), section);
	if (part) {
		unsigned long from = 0, n = 0;

		sscanf(part, "<%lu.%lu>", &from, &n);
		body = bytes_skip(body, from < body.n ? from : body.n);
		body.n = n < body.n ? n : body.n;
		buf_addf(&s->out, "<%lu>", from);
	}
	if (fake_use(s->f, s->selected, FAKE_EMPTY, m->uid))
		body.n = 0;
	buf_addf(&s->out, " {%zu}\r\n", body.n);
	if (section[1] == ']')
		log_body(s, m);
	cut = fake_use(s->f, s->selected, FAKE_CUT, m->uid);
	if (cut) {
		body.n = (size_t)cut->at < body.n ? (size_t)cut->at : body.n;
		buf_add(&s->out, body);
		close_now(s);
	}
	buf_add(&s->out, body);
}

static long long size_told(const struct session *s, const struct fake_msg *m)
{
	const struct fake_trick_entry *lie = fake_use(s->f, s->selected, FAKE_SIZE, m->uid);

	return (long long)m->body.n + (lie ? lie->at : 0);
}

/* One FETCH item; false when it is unknown. */
static bool add_item(struct session *s, const struct fake_msg *m, size_t w)
{
	char *item = bytes_dup(word(s, w));
	bool known = true;

	if (is(s, w, "FLAGS"))
		buf_addf(&s->out, "FLAGS (%s)", m->flags);
	else if (is(s, w, "INTERNALDATE"))
		buf_addf(&s->out, "INTERNALDATE \"%s\"", m->date);
	else if (is(s, w, "RFC822.SIZE"))
		buf_addf(&s->out, "RFC822.SIZE %lld", size_told(s, m));
	else if (is(s, w, "EMAILID") && fake_can(s->f, "OBJECTID"))
		buf_addf(&s->out, "EMAILID (%s)", m->identity ? m->identity : "");
	else if (is(s, w, "X-GM-MSGID") && fake_can(s->f, "X-GM-EXT-1"))
		buf_addf(&s->out, "X-GM-MSGID %s", m->identity ? m->identity : "0");
	else if (strncasecmp(item, "BODY[", 5) == 0 || strncasecmp(item, "BODY.PEEK[", 10) == 0)
		add_body(s, m, item);
	else
		known = false;
	free(item);
	return known;
}

/* What a FETCH asks for. */
struct asked {
	size_t from, to; /* the words that are items */
	uint64_t since;  /* CHANGEDSINCE; 0: not there */
	bool vanished;
};

static struct asked what_is_asked(const struct session *s, size_t from)
{
	struct asked a = { .from = from, .to = s->words };

	for (size_t i = from; i + 1 < s->words && fake_can(s->f, "CONDSTORE"); i++)
		if (is(s, i, "CHANGEDSINCE")) {
			char *number = bytes_dup(word(s, i + 1));

			a.to = i;
			a.since = strtoull(number, NULL, 10);
			a.vanished = is(s, i + 2, "VANISHED") && fake_can(s->f, "QRESYNC");
			free(number);
		}
	return a;
}

static bool fetch_one(struct session *s, size_t i, const struct asked *a)
{
	const struct fake_msg *m = &s->selected->msg[i];

	buf_addf(&s->out, "* %zu FETCH (UID %u", i + 1, m->uid);
	if (a->since)
		buf_addf(&s->out, " MODSEQ (%llu)", (unsigned long long)m->modseq);
	for (size_t w = a->from; w < a->to; w++) {
		if (is(s, w, "(") || is(s, w, ")") || is(s, w, "UID"))
			continue;
		buf_add_byte(&s->out, ' ');
		if (!add_item(s, m, w))
			return false;
	}
	buf_add_str(&s->out, ")\r\n");
	if (s->out.n > FLUSH_AT)
		flush(s);
	return true;
}

static void tell_vanished(struct session *s, const char *set, uint64_t since)
{
	const struct fake_mailbox *mb = s->selected;
	const struct fake_trick_entry *lie = fake_use(s->f, mb, FAKE_VANISHED, 0);

	if (lie)
		buf_addf(&s->out, "* VANISHED (EARLIER) 1:%lld\r\n", (long long)lie->at);
	for (size_t i = 0; i < mb->n_gone; i++)
		if (mb->gone[i].modseq > since && set_has(set, mb->gone[i].uid, mb->uidnext))
			buf_addf(&s->out, "* VANISHED (EARLIER) %u\r\n", mb->gone[i].uid);
}

static void do_fetch(struct session *s, size_t at, bool uid)
{
	char *set = bytes_dup(word(s, at));
	struct asked asked = what_is_asked(s, at + 1);
	bool refused = false, known = true;
	bool silent = fake_use(s->f, s->selected, FAKE_FETCH_EMPTY, 0);

	if (asked.vanished)
		tell_vanished(s, set, asked.since);
	for (size_t i = 0; known && !silent && i < s->selected->n; i++) {
		const struct fake_msg *m = &s->selected->msg[i];
		bool no;

		if (!wanted(s, set, i, uid) || (asked.since && m->modseq <= asked.since) ||
		    fake_use(s->f, s->selected, FAKE_OMIT, m->uid))
			continue;
		no = fake_use(s->f, s->selected, FAKE_NO, m->uid) != NULL;
		refused = refused || no;
		known = no || fetch_one(s, i, &asked);
	}
	free(set);
	if (!known)
		buf_add_str(&s->out, ")\r\n");
	tagged(s, !known  ? "BAD unknown FETCH item"
		  : refused ? "NO [SERVERBUG] a message cannot be read"
			    : "OK FETCH done");
}

/* The UIDs (or numbers) found, as a list with blanks or as a set. */
static void do_search(struct session *s, size_t at, bool uid)
{
	bool extended = is(s, at, "RETURN"), all;
	bool none = fake_use(s->f, s->selected, FAKE_SEARCH_EMPTY, 0);
	size_t found = 0;
	char *set;

	while (extended && at < s->words && !is(s, at++, ")"))
		;
	all = is(s, at, "ALL");
	set = bytes_dup(word(s, is(s, at, "UID") ? at + 1 : at));
	if ((extended && !fake_can(s->f, "ESEARCH")) || (!all && !strchr("0123456789*", *set))) {
		free(set);
		tagged(s, "BAD unknown SEARCH criteria");
		return;
	}
	buf_add_str(&s->out, extended ? "* ESEARCH (TAG \"" : "* SEARCH");
	if (extended) {
		buf_add(&s->out, word(s, 0));
		buf_addf(&s->out, "\")%s", uid ? " UID" : "");
	}
	for (size_t i = 0; !none && i < s->selected->n; i++)
		if (all || wanted(s, set, i, uid || is(s, at, "UID")))
			buf_addf(&s->out, "%s%u", !extended ? " " : found++ ? "," : " ALL ",
				 uid ? s->selected->msg[i].uid : (uint32_t)i + 1);
	buf_add_str(&s->out, "\r\n");
	free(set);
	tagged(s, "OK SEARCH done");
}

static void do_authenticate(struct session *s)
{
	if (!is(s, 2, "PLAIN")) {
		tagged(s, "NO unknown mechanism");
		return;
	}
	if (s->words < 4) {
		buf_add_str(&s->out, "+ \r\n");
		while (next_byte(s) != '\n')
			;
	}
	tagged(s, fake_use(s->f, NULL, FAKE_LOGIN_NO, 0) ? "NO [AUTHENTICATIONFAILED] wrong"
							 : "OK in");
}

/* Commands for which a mailbox must be selected; false: not one of them. */
static bool run_selected(struct session *s)
{
	bool uid = is(s, 1, "UID");
	size_t at = uid ? 2 : 1;

	if (!s->selected)
		return false;
	if (is(s, at, "FETCH"))
		do_fetch(s, at + 1, uid);
	else if (is(s, at, "SEARCH"))
		do_search(s, at + 1, uid);
	else if (is(s, 1, "CLOSE") || (is(s, 1, "UNSELECT") && fake_can(s->f, "UNSELECT"))) {
		s->selected = NULL;
		tagged(s, "OK closed");
	} else {
		return false;
	}
	return true;
}

static void run(struct session *s)
{
	if (is(s, 1, "CAPABILITY")) {
		buf_addf(&s->out, "* CAPABILITY %s\r\n", s->f->capability);
		tagged(s, "OK done");
	} else if (is(s, 1, "LOGIN")) {
		tagged(s, fake_use(s->f, NULL, FAKE_LOGIN_NO, 0)
				  ? "NO [AUTHENTICATIONFAILED] wrong"
				  : "OK in");
	} else if (is(s, 1, "AUTHENTICATE")) {
		do_authenticate(s);
	} else if (is(s, 1, "ID") && fake_can(s->f, "ID")) {
		buf_add_str(&s->out, "* ID (\"name\" \"fake\")\r\n");
		tagged(s, "OK done");
	} else if (is(s, 1, "ENABLE") && fake_can(s->f, "ENABLE")) {
		buf_addf(&s->out, "* ENABLED%s\r\n",
			 fake_can(s->f, "QRESYNC") && is(s, 2, "QRESYNC") ? " QRESYNC" : "");
		tagged(s, "OK done");
	} else if (is(s, 1, "NAMESPACE") && fake_can(s->f, "NAMESPACE")) {
		buf_add_str(&s->out, "* NAMESPACE ((\"\" ");
		add_delimiter(s);
		buf_add_str(&s->out, ")) NIL NIL\r\n");
		tagged(s, "OK done");
	} else if (is(s, 1, "LIST") || is(s, 1, "LSUB")) {
		do_list(s, is(s, 1, "LIST") ? "LIST" : "LSUB");
	} else if (is(s, 1, "STATUS")) {
		do_status(s);
	} else if (is(s, 1, "EXAMINE") || is(s, 1, "SELECT")) {
		do_select(s, is(s, 1, "EXAMINE"));
	} else if (is(s, 1, "NOOP")) {
		tagged(s, "OK done");
	} else if (is(s, 1, "LOGOUT")) {
		buf_add_str(&s->out, "* BYE see you\r\n");
		tagged(s, "OK out");
		close_now(s);
	} else if (!run_selected(s)) {
		tagged(s, "BAD this server does not know that");
	}
}

_Noreturn void fake_serve(const struct fake_imap *f, int fd)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->f = f;
	s->fd = fd;
	buf_init(&s->out, (size_t)2 << 30);
	buf_init(&s->line, COMMAND_MAX);
	buf_init(&s->store, COMMAND_MAX);
	buf_addf(&s->out, "* OK [CAPABILITY %s] fake server\r\n", f->capability);
	for (;;) {
		read_command(s);
		log_command(s);
		run(s);
		/* Answer at once unless more commands are here already: next_byte() flushes. */
	}
}
