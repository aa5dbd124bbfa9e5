/* `fetch`: attributes as lines or events, bodies to standard output or to files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <jansson.h>

#include "core/base/file.h"
#include "core/base/mem.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

/* --- what is asked --- */

struct wanted {
	unsigned items;
	char *section; /* NULL: no body */
	uint64_t offset, length;
	bool body; /* the whole message or a slice of it: raw on standard output */
};

static const struct {
	const char *name;
	unsigned bit;
} fetch_items[] = {
	{ "uid", IMAP_FETCH_UID },	     { "flags", IMAP_FETCH_FLAGS },
	{ "size", IMAP_FETCH_SIZE },	     { "date", IMAP_FETCH_INTERNALDATE },
	{ "modseq", IMAP_FETCH_MODSEQ },     { "emailid", IMAP_FETCH_EMAILID },
	{ "threadid", IMAP_FETCH_THREADID }, { "savedate", IMAP_FETCH_SAVEDATE },
	{ "preview", IMAP_FETCH_PREVIEW },   { "envelope", IMAP_FETCH_ENVELOPE },
	{ "bodystructure", IMAP_FETCH_STRUCTURE },
	{ "x-gm-msgid", IMAP_FETCH_GM_MSGID }, { "x-gm-thrid", IMAP_FETCH_GM_THRID },
	{ "x-gm-labels", IMAP_FETCH_GM_LABELS },
};

#define FETCH_ITEMS (sizeof(fetch_items) / sizeof(fetch_items[0]))

/* `<o.n>` at the end of an item. */
static bool parse_slice(struct bytes text, uint64_t *offset, uint64_t *length)
{
	const uint8_t *dot = text.n ? memchr(text.p, '.', text.n) : NULL;
	size_t at = dot ? (size_t)(dot - text.p) : 0;

	if (!dot || text.p[0] != '<' || text.p[text.n - 1] != '>')
		return false;
	return bytes_to_u64(bytes_from(text.p + 1, at - 1), offset) &&
	       bytes_to_u64(bytes_from(dot + 1, text.n - at - 2), length) && *length &&
	       *offset <= UINT32_MAX && *length <= UINT32_MAX;
}

/* " (SUBJECT FROM)" */
static bool is_field_list(struct bytes text)
{
	if (text.n < 4 || text.p[0] != ' ' || text.p[1] != '(' || text.p[text.n - 1] != ')')
		return false;
	for (size_t i = 2; i + 1 < text.n; i++) {
		uint8_t c = text.p[i];

		if (c == ' ' ? text.p[i - 1] == ' ' || text.p[i - 1] == '(' :
			       c < 33 || c > 126 || strchr("()<>{}[]%*\"\\:", c))
			return false;
	}
	return text.p[text.n - 2] != ' ';
}

/*
 * section-spec of RFC 9051, section 9, since what is between the brackets is sent as it is:
 * `1.2`, `TEXT`, `1.MIME`, `HEADER.FIELDS (SUBJECT)`.
 */
static bool is_section(struct bytes text)
{
	bool part = false;

	while (text.n && text.p[0] >= '1' && text.p[0] <= '9') {
		while (text.n && ascii_is_digit(*text.p))
			text = bytes_skip(text, 1);
		if (!text.n)
			return true;
		if (*text.p != '.')
			return false;
		text = bytes_skip(text, 1);
		part = true;
	}
	if (bytes_is_nocase(text, "HEADER") || bytes_is_nocase(text, "TEXT") ||
	    (part ? bytes_is_nocase(text, "MIME") : !text.n))
		return true;
	if (bytes_starts_nocase(text, "HEADER.FIELDS.NOT "))
		return is_field_list(bytes_skip(text, strlen("HEADER.FIELDS.NOT")));
	return bytes_starts_nocase(text, "HEADER.FIELDS ") &&
	       is_field_list(bytes_skip(text, strlen("HEADER.FIELDS")));
}

/* `body`, `header`, `text` or `body[SECTION]`, each perhaps with a slice. */
static bool parse_section(struct wanted *w, const char *arg)
{
	static const struct {
		const char *name, *section;
	} names[] = { { "body", "" }, { "header", "HEADER" }, { "text", "TEXT" } };
	size_t n = strcspn(arg, "[<");
	struct bytes rest = bytes_skip(bytes_of(arg), n), section = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == n && strncasecmp(names[i].name, arg, n) == 0)
			section = bytes_of(names[i].section);
	if (!section.p)
		return false;
	if (rest.n && *rest.p == '[') {
		const uint8_t *end = memchr(rest.p, ']', rest.n);

		if (section.n || !end)
			return false;
		section = bytes_from(rest.p + 1, (size_t)(end - rest.p) - 1);
		rest = bytes_skip(rest, section.n + 2);
		if (!is_section(section))
			return false;
	}
	if (rest.n && !parse_slice(rest, &w->offset, &w->length))
		return false;
	w->body = !section.n;
	w->section = bytes_dup(section);
	return true;
}

char *imap_section_of(const char *item)
{
	struct wanted w = { 0 };

	if (parse_section(&w, item) && !w.length)
		return w.section;
	free(w.section);
	return NULL;
}

static int parse_items(struct wanted *w, const struct imap_call *call, struct err *err)
{
	*w = (struct wanted){ 0 };
	for (size_t i = 0; i < call->n_args; i++) {
		const char *arg = call->args[i];
		unsigned bit = 0;

		for (size_t j = 0; j < FETCH_ITEMS; j++)
			if (strcasecmp(fetch_items[j].name, arg) == 0)
				bit = fetch_items[j].bit;
		w->items |= bit;
		if (bit)
			continue;
		if (w->section)
			return err_set(err, ERR_CONFIG, "fetch: only one part of the messages at "
							"once, not '%s', too", arg);
		if (!parse_section(w, arg))
			return err_set(err, ERR_CONFIG, "fetch: '%s' is no item", arg);
	}
	if (!w->items && !w->section)
		w->items = IMAP_FETCH_FLAGS | IMAP_FETCH_SIZE | IMAP_FETCH_INTERNALDATE;
	return 0;
}

static int check_output(const struct imap_call *call, const struct wanted *w, struct err *err)
{
	if (call->output && !w->section)
		return err_set(err, ERR_CONFIG, "fetch: --output needs something to write, such as "
						"body");
	if (w->section && w->items && !call->output)
		return err_set(err, ERR_CONFIG, "fetch: a part of the messages goes to standard "
						"output alone; with other items give --output");
	if (w->section && call->json && !call->output)
		return err_set(err, ERR_CONFIG, "fetch: with --json a part of the messages needs "
						"--output");
	return 0;
}

static int fetch_check(const struct imap_call *call, struct err *err)
{
	struct wanted w;
	int ret;

	if ((call->given & SUB_OPT_VANISHED) &&
	    (!call->changed_since || (call->given & SUB_OPT_SEQ)))
		return err_set(err, ERR_CONFIG, "fetch: --vanished goes with --changed-since and "
						"UIDs");
	ret = parse_items(&w, call, err) < 0 || check_output(call, &w, err) < 0 ? -1 : 0;

	free(w.section);
	return ret;
}

/* --- what comes --- */

struct fetch {
	struct imap_answer answer; /* first */
	struct imap_cli *cli;
	const struct wanted *wanted;
	const char *dir; /* NULL: standard output */
	int fd;          /* of the file being written, -1: none */
	char *temporary, *path;
	uint64_t bytes; /* of this message's part */
	bool nil;       /* the server has no such part of this message */
	bool got;       /* a part came to its end */
	struct uidset seen, whole; /* messages told of, and those whose part came */
	struct err err; /* the first thing that went wrong here */
};

/* No use to read on: whoever waits is told why. */
static void give_up(struct fetch *f)
{
	imap_session_close(f->cli->session, &f->err);
}

static void close_file(struct fetch *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	if (f->temporary)
		unlink(f->temporary);
	free(f->temporary);
	f->temporary = NULL;
}

/* The UID may come after the body, so the file gets its name at the end. */
static void on_body_begin(void *ctx, const struct imap_fetch *m)
{
	struct fetch *f = ctx;

	f->bytes = 0;
	f->nil = m->body.nil;
	f->got = false;
	if (!f->dir || f->nil)
		return;
	f->temporary = xasprintf("%s/.fetch-XXXXXX", f->dir);
	f->fd = mkostemp(f->temporary, O_CLOEXEC);
	if (f->fd >= 0)
		return;
	err_sys(&f->err, ERR_FATAL, "create a file in %s", f->dir);
	free(f->temporary);
	f->temporary = NULL;
	give_up(f);
}

/* Only a whole message goes to a terminal as it is; of the rest, line ends are kept. */
static void say_part(const struct fetch *f, struct bytes piece)
{
	if (f->wanted->body || !isatty(STDOUT_FILENO)) {
		fwrite(piece.p, 1, piece.n, stdout);
		return;
	}
	while (piece.n) {
		const uint8_t *end = memchr(piece.p, '\n', piece.n);
		size_t n = end ? (size_t)(end - piece.p) : piece.n;

		imap_say(bytes_from(piece.p, n && end && piece.p[n - 1] == '\r' ? n - 1 : n));
		if (end)
			putchar('\n');
		piece = bytes_skip(piece, n + (end != NULL));
	}
}

static void on_body_data(void *ctx, struct bytes piece)
{
	struct fetch *f = ctx;

	f->bytes += piece.n;
	if (f->fd < 0 && !f->dir) {
		say_part(f, piece);
		if (!ferror(stdout))
			return;
		err_sys(&f->err, ERR_FATAL, "write to standard output");
		give_up(f);
	} else if (f->fd >= 0 && write_full(f->fd, piece) < 0) {
		err_sys(&f->err, ERR_FATAL, "write %s", f->temporary);
		close_file(f);
		give_up(f);
	}
}

static void on_body_end(void *ctx, const struct imap_fetch *m)
{
	struct fetch *f = ctx;

	(void)m;
	f->got = !f->nil;
}

static void on_drop(void *ctx)
{
	struct fetch *f = ctx;

	f->got = false;
	close_file(f);
	if (f->dir || !f->bytes)
		return;
	err_set(&f->err, ERR_RETRY, "the server sent a part of a message that was not asked for, "
				    "or not all of it; what was written is not to be used");
	give_up(f);
}

static int keep_file(struct fetch *f, uint32_t uid)
{
	int ret;

	free(f->path);
	f->path = xasprintf("%s/%u.%s", f->dir, uid, f->wanted->body ? "eml" : "part");
	ret = close(f->fd);
	f->fd = -1;
	if (ret < 0 || renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->path, RENAME_NOREPLACE) < 0)
		return err_sys(&f->err, ERR_FATAL, "%s", f->path);
	free(f->temporary);
	f->temporary = NULL;
	return 0;
}

static void on_message(void *ctx, const struct imap_fetch *m)
{
	struct fetch *f = ctx;

	free(f->path);
	f->path = NULL;
	uidset_add(&f->seen, m->uid);
	/* Without a part it may be news of its flags. */
	if (f->wanted->section && !f->got)
		return;
	uidset_add(&f->whole, m->uid);
	if (f->fd >= 0 && keep_file(f, m->uid) < 0) {
		close_file(f);
		give_up(f);
		return;
	}
	f->got = false;
	if (f->wanted->section && !f->dir)
		return;
	imap_show_message(f->cli, "fetch", m, f->path, f->bytes);
}

static void on_vanished(void *ctx, const struct uidset *uids)
{
	struct fetch *f = ctx;

	imap_show_set(f->cli, "fetch", "vanished", uids);
}

static int check_parts(struct fetch *f, struct err *err)
{
	struct buf text = BUF_INIT(200);

	uidset_subtract(&f->seen, &f->seen, &f->whole);
	if (uidset_is_empty(&f->seen))
		return 0;
	if (!uidset_format(&f->seen, &text))
		buf_addf(&text, "%u and others", uidset_min(&f->seen));
	err_set(err, ERR_MESSAGE, "fetch: the server has no such part of UID %s", buf_str(&text));
	buf_release(&text);
	return -1;
}

static int do_fetch(struct fetch *f, const struct imap_call *call, struct err *err)
{
	const struct imap_fetch_request request = {
		.uids = &call->set,
		.items = f->wanted->items,
		.section = f->wanted->section,
		.offset = f->wanted->offset,
		.length = f->wanted->length,
		.changed_since = call->changed_since,
		.vanished = call->given & SUB_OPT_VANISHED,
	};
	const struct imap_fetch_sink sink = {
		.body_begin = on_body_begin,
		.body_data = on_body_data,
		.body_end = on_body_end,
		.message = on_message,
		.vanished = on_vanished,
		.drop = on_drop,
		.done = imap_answer_take,
		.ctx = f,
	};

	if (imap_fetch(f->cli->session, &request, &sink, err) < 0 ||
	    imap_answer_wait(f->cli, &f->answer, err) < 0)
		return -1;
	return f->wanted->section ? check_parts(f, err) : 0;
}

/* What was asked for by name and left out of the answer would look like an empty value. */
static int check_offered(const struct imap_cli *cli, unsigned items, struct err *err)
{
	unsigned missing = items & ~imap_fetch_offered(cli->session, items);

	for (size_t i = 0; i < FETCH_ITEMS; i++)
		if (missing & fetch_items[i].bit)
			return err_set(err, ERR_CONFIG, "fetch: the server does not offer %s",
				       fetch_items[i].name);
	return 0;
}

static int fetch_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct wanted wanted;
	struct fetch f = { .cli = cli, .wanted = &wanted, .dir = call->output, .fd = -1 };
	int ret = -1;

	if (parse_items(&wanted, call, err) < 0 || check_offered(cli, wanted.items, err) < 0)
		goto out;
	if (call->changed_since && !imap_session_has(cli->session, IMAP_CAP_CONDSTORE)) {
		err_set(err, ERR_CONFIG, "fetch: the server has no CONDSTORE, so it cannot tell "
					 "what changed");
		goto out;
	}
	if (call->output && dir_make(call->output, 0700, err) < 0)
		goto out;
	ret = do_fetch(&f, call, err);
out:
	close_file(&f);
	uidset_release(&f.seen);
	uidset_release(&f.whole);
	free(f.path);
	free(wanted.section);
	return ret;
}

const struct imap_sub sub_fetch = {
	.name = "fetch",
	.args = "MAILBOX SET [ITEM]...",
	.summary = "Show messages: uid, flags, size, date, envelope, bodystructure, modseq, emailid, "
		   "threadid, savedate, preview, x-gm-msgid, x-gm-thrid, x-gm-labels; or write one "
		   "part of them: body, header, text, body[SECTION], each perhaps with "
		   "<OFFSET.LENGTH>.",
	.example = "fetch INBOX 7 body >message.eml",
	.needs = SUB_MAILBOX | SUB_SET | SUB_EXAMINE,
	.options = SUB_OPT_OUTPUT | SUB_OPT_CHANGED_SINCE | SUB_OPT_VANISHED,
	.max_args = SUB_MANY,
	.check = fetch_check,
	.run = fetch_run,
};
