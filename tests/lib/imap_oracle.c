#include "tests/lib/imap_oracle.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

enum { DEADLINE_MS = 60000, BATCH_BYTES = 4 << 20, BATCH_MESSAGES = 500 };

struct oracle {
	int fd, port;
	char *user;
	unsigned tag;
	struct buf in;       /* received, not used yet */
	size_t at;           /* where in `in` reading goes on */
	struct buf untagged; /* of the last command */
	char status[512];    /* tagged answer of the last command, without the tag */
	char *selected;
	char delimiter; /* as the last LIST said; '/' before */
	bool nonsync, multi; /* LITERAL+ and MULTIAPPEND */
};

/* One response: its text with every literal cut out, `{n}` kept, and the literals beside it. */
struct response {
	struct buf text;
	struct buf literal; /* the last one: a FETCH of ours asks for one body */
	bool has_literal;
};

static void fill(struct oracle *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLIN };
	ssize_t n;

	if (o->at > 0 && o->at == o->in.n) {
		buf_clear(&o->in);
		o->at = 0;
	}
	if (poll(&p, 1, DEADLINE_MS) <= 0)
		test_die("oracle: no answer within %d ms", DEADLINE_MS);
	if (!buf_reserve(&o->in, 1 << 18))
		test_die("oracle: a response of more than %zu bytes", o->in.max);
	n = read(o->fd, o->in.p + o->in.n, 1 << 18);
	if (n <= 0)
		test_die("oracle: the server closed the connection");
	buf_grow(&o->in, (size_t)n);
}

/* Append one line without CRLF to `to`. */
static void read_line(struct oracle *o, struct buf *to)
{
	size_t from = o->at;
	const uint8_t *nl;

	while (from == o->in.n || !(nl = memchr(o->in.p + from, '\n', o->in.n - from))) {
		size_t unread = o->in.n - o->at;

		fill(o);
		from = o->at + unread;
	}
	buf_add(to, bytes_from(o->in.p + o->at, (size_t)(nl - o->in.p) - o->at));
	o->at = (size_t)(nl - o->in.p) + 1;
	if (to->n > 0 && to->p[to->n - 1] == '\r')
		to->p[--to->n] = '\0';
}

static void read_exactly(struct oracle *o, size_t n, struct buf *to)
{
	while (n > 0) {
		size_t have = o->in.n - o->at;

		if (have == 0) {
			fill(o);
			continue;
		}
		if (have > n)
			have = n;
		if (!buf_add(to, bytes_from(o->in.p + o->at, have)))
			test_die("oracle: a literal of more than %zu bytes", to->max);
		o->at += have;
		n -= have;
	}
}

/* The size announced by a `{n}` at the end of a line, or -1. */
static long literal_size(const char *line)
{
	const char *brace = strrchr(line, '{');
	char *end;
	long n;

	if (!brace || brace[1] < '0' || brace[1] > '9')
		return -1;
	n = strtol(brace + 1, &end, 10);
	return strcmp(end, "}") == 0 ? n : -1;
}

static void response_init(struct response *r)
{
	*r = (struct response){ .text = BUF_INIT(1 << 20), .literal = BUF_INIT((size_t)1 << 30) };
}

static void response_release(struct response *r)
{
	buf_release(&r->text);
	buf_release(&r->literal);
}

static void read_response(struct oracle *o, struct response *r)
{
	size_t from = 0; /* where the last line begins in the text */
	long n;

	buf_clear(&r->text);
	buf_clear(&r->literal);
	r->has_literal = false;
	read_line(o, &r->text);
	while ((n = literal_size(buf_str(&r->text) + from)) >= 0) {
		buf_clear(&r->literal);
		r->has_literal = true;
		read_exactly(o, (size_t)n, &r->literal);
		from = r->text.n;
		read_line(o, &r->text);
	}
}

/* The tagged answer's text, or NULL when `r` is something else. */
static const char *tagged(const struct oracle *o, const struct response *r)
{
	char tag[16];
	int n = snprintf(tag, sizeof(tag), "t%u ", o->tag);

	return strncmp(buf_str(&r->text), tag, (size_t)n) == 0 ? buf_str(&r->text) + n : NULL;
}

static void send_bytes(struct oracle *o, struct bytes data)
{
	if (write_full(o->fd, data) < 0)
		test_die_sys("oracle: send");
}

static void send_command(struct oracle *o, const char *command)
{
	char *line = xasprintf("t%u %s\r\n", ++o->tag, command);

	send_bytes(o, bytes_of(line));
	free(line);
}

/* Read to the tagged answer of the last command, keeping untagged text. */
static void read_answer(struct oracle *o)
{
	struct response r;
	const char *end;

	response_init(&r);
	buf_clear(&o->untagged);
	for (read_response(o, &r); !(end = tagged(o, &r)); read_response(o, &r)) {
		buf_add(&o->untagged, buf_bytes(&r.text));
		buf_add_str(&o->untagged, "\n");
	}
	snprintf(o->status, sizeof(o->status), "%s", end);
	response_release(&r);
}

static void need_ok(struct oracle *o, const char *command)
{
	if (strncmp(o->status, "OK", 2) != 0)
		test_die("oracle: %.200s: %s", command, o->status);
}

struct bytes oracle_command(struct oracle *o, const char *fmt, ...)
{
	char *command = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		test_die("out of memory");
	va_end(ap);
	send_command(o, command);
	read_answer(o);
	need_ok(o, command);
	free(command);
	return buf_bytes(&o->untagged);
}

const char *oracle_try(struct oracle *o, const char *fmt, ...)
{
	char *command = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		test_die("out of memory");
	va_end(ap);
	send_command(o, command);
	free(command);
	read_answer(o);
	return o->status;
}

static void log_in(struct oracle *o)
{
	o->fd = connect_loopback(o->port);
	if (o->fd < 0)
		test_die_sys("oracle: connect to 127.0.0.1:%d", o->port);
	buf_clear(&o->untagged);
	read_line(o, &o->untagged);
	oracle_command(o, "LOGIN \"%s\" pw", o->user);
}

struct oracle *oracle_open(int port, const char *user)
{
	struct oracle *o = xcalloc(1, sizeof(*o));

	o->port = port;
	o->user = xstrdup(user);
	o->delimiter = '/';
	buf_init(&o->in, (size_t)1 << 30);
	buf_init(&o->untagged, (size_t)256 << 20);
	log_in(o);
	oracle_command(o, "CAPABILITY");
	o->nonsync = strstr(buf_str(&o->untagged), " LITERAL+");
	o->multi = strstr(buf_str(&o->untagged), " MULTIAPPEND");
	return o;
}

void oracle_close(struct oracle *o)
{
	if (!o)
		return;
	close(o->fd);
	buf_release(&o->in);
	buf_release(&o->untagged);
	free(o->selected);
	free(o->user);
	free(o);
}

void oracle_log_out(struct oracle *o)
{
	oracle_command(o, "LOGOUT");
	close(o->fd);
	buf_clear(&o->in);
	o->at = 0;
	free(o->selected);
	o->selected = NULL;
}

void oracle_log_in(struct oracle *o)
{
	log_in(o);
}

/* A name as a quoted string; the caller frees it. */
static char *quoted(const char *name)
{
	struct buf b = BUF_INIT(4096);

	buf_add_byte(&b, '"');
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			buf_add_byte(&b, '\\');
		buf_add_byte(&b, (uint8_t)*name);
	}
	buf_add_byte(&b, '"');
	return buf_take(&b);
}

static void with_name(struct oracle *o, const char *command, const char *mailbox)
{
	char *name = quoted(mailbox);

	oracle_command(o, "%s %s", command, name);
	free(name);
}

void oracle_create(struct oracle *o, const char *mailbox)
{
	with_name(o, "CREATE", mailbox);
}

/* Selecting anew each time: what is there now, not what a session remembers. */
static void select_mailbox(struct oracle *o, const char *mailbox)
{
	with_name(o, "SELECT", mailbox);
	free(o->selected);
	o->selected = xstrdup(mailbox);
}

/* Send what is there so far and wait for the `+`. */
static void wait_to_go_on(struct oracle *o, struct buf *batch)
{
	struct response r;

	send_bytes(o, buf_bytes(batch));
	buf_clear(batch);
	response_init(&r);
	do {
		read_response(o, &r);
		if (tagged(o, &r))
			test_die("oracle: APPEND: %s", tagged(o, &r));
	} while (*buf_str(&r.text) != '+');
	response_release(&r);
}

void oracle_append(struct oracle *o, const char *mailbox, const struct oracle_new *msg, size_t n)
{
	char *name = quoted(mailbox);
	size_t i = 0;

	/* An APPEND into the selected mailbox is several times faster. */
	if (!o->selected || strcmp(o->selected, mailbox) != 0)
		select_mailbox(o, mailbox);
	while (i < n) {
		struct buf batch = BUF_INIT((size_t)1 << 30);
		size_t first = i;

		buf_addf(&batch, "t%u APPEND %s", ++o->tag, name);
		do {
			buf_addf(&batch, " (%s)%s%s%s {%zu%s}\r\n", msg[i].flags ? msg[i].flags : "",
				 msg[i].date ? " \"" : "", msg[i].date ? msg[i].date : "",
				 msg[i].date ? "\"" : "", msg[i].body.n, o->nonsync ? "+" : "");
			if (!o->nonsync)
				wait_to_go_on(o, &batch);
			buf_add(&batch, msg[i].body);
			i++;
		} while (o->multi && i < n && i - first < BATCH_MESSAGES && batch.n < BATCH_BYTES);
		buf_add_str(&batch, "\r\n");
		send_bytes(o, buf_bytes(&batch));
		buf_release(&batch);
		read_answer(o);
		need_ok(o, "APPEND");
	}
	free(name);
}

void oracle_store(struct oracle *o, const char *mailbox, const char *set, const char *how,
		  const char *flags)
{
	select_mailbox(o, mailbox);
	oracle_command(o, "UID STORE %s %s.SILENT (%s)", set, how, flags);
}

void oracle_expunge(struct oracle *o, const char *mailbox, const char *set)
{
	oracle_store(o, mailbox, set, "+FLAGS", "\\Deleted");
	oracle_command(o, "UID EXPUNGE %s", set);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The mailbox name at the end of a LIST line, quoted or atom, into `out`. */
static void list_name(struct oracle *o, const char *line, struct buf *out)
{
	const char *p = strchr(line, ')'); /* end of the attributes */

	if (p && strncmp(p, ") \"", 3) == 0 && p[3] != '\\' && p[4] == '"')
		o->delimiter = p[3];
	p = p ? strchr(p, ' ') : NULL;      /* before the delimiter */
	p = p ? strchr(p + 1, ' ') : NULL;  /* before the name */
	if (!p)
		test_die("oracle: cannot read %s", line);
	p++;
	if (*p != '"') {
		buf_add_str(out, p);
		return;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		buf_add_byte(out, (uint8_t)*p);
	}
}

void oracle_list(struct oracle *o, struct name_list *out)
{
	struct response r;
	const char *end;

	response_init(&r);
	send_command(o, "LIST \"\" \"*\"");
	for (read_response(o, &r); !(end = tagged(o, &r)); read_response(o, &r)) {
		struct buf name = BUF_INIT(65536);

		if (strncasecmp(buf_str(&r.text), "* LIST ", 7) != 0 ||
		    strcasestr(buf_str(&r.text), "\\Noselect") ||
		    strcasestr(buf_str(&r.text), "\\NonExistent"))
			continue;
		if (r.has_literal)
			buf_add(&name, buf_bytes(&r.literal));
		else
			list_name(o, buf_str(&r.text), &name);
		name_list_add(out, buf_str(&name));
		buf_release(&name);
	}
	snprintf(o->status, sizeof(o->status), "%s", end);
	response_release(&r);
	need_ok(o, "LIST");
	if (out->n > 0)
		qsort(out->name, out->n, sizeof(*out->name), by_name);
}

char oracle_delimiter(const struct oracle *o)
{
	return o->delimiter;
}

/* What follows `item` in the text, or NULL. */
static const char *after(const char *text, const char *item)
{
	const char *p = strstr(text, item);

	return p ? p + strlen(item) : NULL;
}

static char *between(const char *text, const char *start, char stop)
{
	const char *p = after(text, start), *end = p ? strchr(p, stop) : NULL;

	if (!end)
		test_die("oracle: no %s in %.200s", start, text);
	return xasprintf("%.*s", (int)(end - p), p);
}

static char *sorted_flags(const char *list)
{
	char *words[256], *copy = xstrdup(list), *save = NULL;
	struct buf out = BUF_INIT(65536);
	size_t n = 0;

	for (char *w = strtok_r(copy, " ", &save); w && n < 256; w = strtok_r(NULL, " ", &save))
		if (strcasecmp(w, "\\Recent") != 0)
			words[n++] = w;
	qsort(words, n, sizeof(*words), by_name);
	for (size_t i = 0; i < n; i++)
		buf_addf(&out, "%s%s", i ? " " : "", words[i]);
	free(copy);
	return buf_take(&out);
}

static int by_uid(const void *a, const void *b)
{
	const struct oracle_message *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static void add_message(const struct response *r, struct oracle_dump *out)
{
	const char *text = buf_str(&r->text), *uid = after(text, "UID ");
	struct oracle_message m = { .size = r->literal.n };
	char *flags;

	if (!uid || !after(text, "FLAGS ("))
		return; /* a flag change somebody else made */
	flags = between(text, "FLAGS (", ')');
	m.uid = (uint32_t)strtoul(uid, NULL, 10);
	m.flags = sorted_flags(flags);
	m.date = between(text, "INTERNALDATE \"", '"');
	sha256_hex(buf_bytes(&r->literal), m.sha256);
	free(flags);
	out->msg = xgrow(out->msg, out->n, &out->cap, sizeof(*out->msg));
	out->msg[out->n++] = m;
}

static uint32_t code_number(const struct oracle *o, const char *code)
{
	const char *p = after(buf_str(&o->untagged), code);

	return p ? (uint32_t)strtoul(p, NULL, 10) : 0;
}

void oracle_dump(struct oracle *o, const char *mailbox, struct oracle_dump *out)
{
	char *name = quoted(mailbox);
	struct response r;
	const char *end;

	*out = (struct oracle_dump){ 0 };
	free(o->selected);
	o->selected = NULL;
	oracle_command(o, "EXAMINE %s", name);
	free(name);
	out->uidvalidity = code_number(o, "[UIDVALIDITY ");
	out->uidnext = code_number(o, "[UIDNEXT ");
	response_init(&r);
	send_command(o, "UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
	for (read_response(o, &r); !(end = tagged(o, &r)); read_response(o, &r))
		if (strstr(buf_str(&r.text), " FETCH ("))
			add_message(&r, out);
	snprintf(o->status, sizeof(o->status), "%s", end);
	response_release(&r);
	need_ok(o, "UID FETCH");
	if (out->n > 0)
		qsort(out->msg, out->n, sizeof(*out->msg), by_uid);
}

void oracle_dump_release(struct oracle_dump *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->msg[i].flags);
		free(d->msg[i].date);
	}
	free(d->msg);
	*d = (struct oracle_dump){ 0 };
}

void oracle_body(struct oracle *o, const char *mailbox, uint32_t uid, struct buf *out)
{
	char command[64];
	struct response r;

	select_mailbox(o, mailbox);
	response_init(&r);
	snprintf(command, sizeof(command), "UID FETCH %u BODY.PEEK[]", uid);
	send_command(o, command);
	for (read_response(o, &r); !tagged(o, &r); read_response(o, &r))
		if (strstr(buf_str(&r.text), " FETCH (") && r.has_literal)
			buf_add(out, buf_bytes(&r.literal));
	snprintf(o->status, sizeof(o->status), "%s", tagged(o, &r));
	response_release(&r);
	need_ok(o, command);
}
