#include "tests/lib/imap_deeds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/mail/flags.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"
#include "tests/lib/response_dump.h"
#include "tests/lib/support.h"

/* One command under way; released by its end. */
struct deed {
	struct deeds *all;
	char *verb;
	char *text; /* APPEND: the message */
	size_t at;
};

static struct deed *begin(struct deeds *d, const char *verb)
{
	struct deed *deed = xcalloc(1, sizeof(*deed));

	d->submitted++;
	deed->all = d;
	deed->verb = xstrdup(verb);
	return deed;
}

static void finish(struct deed *deed)
{
	deed->all->ended++;
	free(deed->verb);
	free(deed->text);
	free(deed);
}

static void log_error(struct deeds *d, const char *verb, const struct err *err)
{
	buf_addf(d->log, "%s: %s\n", verb, err->text);
}

/* Submitted or not: what could not be encoded has no other end. */
static void submitted(struct deed *deed, int rc, const struct err *err)
{
	if (rc == 0)
		return;
	log_error(deed->all, deed->verb, err);
	finish(deed);
}

static void log_result(struct deed *deed, const struct imap_result *r)
{
	static const char *const words[] = { "ok", "no", "bad", "lost" };
	struct buf *log = deed->all->log;

	buf_addf(log, "%s %s%s", deed->verb, words[r->outcome],
		 r->damaged && r->outcome != IMAP_DONE_LOST ? " damaged" : "");
	if (r->outcome != IMAP_DONE_OK && r->outcome != IMAP_DONE_LOST)
		buf_addf(log, ": %s", r->err->text);
	buf_add_byte(log, '\n');
}

static void on_done(void *ctx, const struct imap_result *r)
{
	log_result(ctx, r);
	finish(ctx);
}

/* --- mailboxes --- */

static void on_opened(void *ctx, const struct imap_result *r)
{
	struct deed *deed = ctx;
	const struct imap_mailbox *m = r->mailbox;

	if (r->outcome == IMAP_DONE_OK)
		buf_addf(deed->all->log,
			 "mailbox exists %" PRIu32 " uidvalidity %" PRIu32 " uidnext %" PRIu32
			 " modseq %" PRIu64 "%s%s\n", m->exists, m->uid_validity, m->uid_next,
			 m->highest_modseq, m->exists_known ? "" : " (exists not told)",
			 m->read_only ? " read-only" : "");
	on_done(ctx, r);
}

static void do_select(struct deeds *d, const char *verb, const char *name)
{
	struct deed *deed = begin(d, verb);
	struct err err;

	submitted(deed, imap_select(d->session, bytes_of(name), strcmp(verb, "EXAMINE") == 0,
				    on_opened, deed, &err), &err);
}

static void do_mailbox(struct deeds *d, const char *verb, const char *arg)
{
	const struct imap_mailbox *m = imap_session_mailbox(d->session);

	(void)verb;
	(void)arg;
	if (!m) {
		buf_add_str(d->log, "mailbox: none\n");
		return;
	}
	buf_addf(d->log, "mailbox exists %" PRIu32 " removed %" PRIu64 "%s\n", m->exists, m->removed,
		 m->flags_dirty ? " flags-dirty" : "");
}

static void on_status(void *ctx, const struct imap_mailbox_status *st, const struct imap_result *r)
{
	struct deed *deed = ctx;

	if (st) {
		buf_add_str(deed->all->log, "status");
		if (st->present & IMAP_ITEM_MESSAGES)
			buf_addf(deed->all->log, " messages %" PRIu32, st->messages);
		if (st->present & IMAP_ITEM_UIDNEXT)
			buf_addf(deed->all->log, " uidnext %" PRIu32, st->uid_next);
		if (st->present & IMAP_ITEM_HIGHESTMODSEQ)
			buf_addf(deed->all->log, " modseq %" PRIu64, st->highest_modseq);
		buf_add_byte(deed->all->log, '\n');
	}
	on_done(ctx, r);
}

static void do_status(struct deeds *d, const char *verb, const char *name)
{
	struct deed *deed = begin(d, verb);
	struct err err;

	submitted(deed, imap_status(d->session, bytes_of(name), ~0u, on_status, deed, &err), &err);
}

static void do_list(struct deeds *d, const char *verb, const char *arg)
{
	const struct imap_list_options options = { .status = 0 };
	struct imap_mailbox_list list;
	struct err err;

	(void)arg;
	if (imap_list_wait(d->session, &options, &list, &err) < 0) {
		log_error(d, verb, &err);
		return;
	}
	for (size_t i = 0; i < list.n; i++) {
		const struct imap_mailbox_entry *e = &list.entries[i];
		char *text = mailbox_name_text(&e->name);

		buf_add_str(d->log, "- ");
		escape_add(d->log, bytes_of(text), SIZE_MAX);
		buf_addf(d->log, "%s%s\n", e->name.exact ? "" : " (kept as bytes)",
			 e->dubious ? " (dubious)" : "");
		free(text);
	}
	buf_addf(d->log, "LIST %scomplete\n", list.complete ? "" : "not ");
	imap_mailbox_list_release(&list);
}

/* --- messages --- */

static void on_begin(void *ctx, const struct imap_fetch *f)
{
	struct deed *deed = ctx;

	buf_add_str(deed->all->log, f->body.nil ? "body NIL" : "body <");
}

static void on_data(void *ctx, struct bytes piece)
{
	struct deed *deed = ctx;

	for (size_t i = 0; i < piece.n; i++)
		escape_add(deed->all->log, bytes_skip(bytes_from(piece.p, i + 1), i), 1);
}

static void on_end(void *ctx, const struct imap_fetch *f)
{
	struct deed *deed = ctx;

	buf_add_str(deed->all->log, f->body.nil ? "\n" : ">\n");
}

static void on_drop(void *ctx)
{
	struct deed *deed = ctx;

	buf_add_str(deed->all->log, " dropped\n");
}

static void on_message(void *ctx, const struct imap_fetch *f)
{
	struct buf *log = ((struct deed *)ctx)->all->log;
	struct buf text = BUF_INIT(1 << 20);

	buf_addf(log, "message %" PRIu32, f->uid);
	if (f->present & IMAP_FETCH_FLAGS) {
		flags_format(f->flags, &text);
		buf_add_str(log, " (");
		escape_add(log, buf_bytes(&text), SIZE_MAX);
		buf_add_byte(log, ')');
	}
	if (f->present & IMAP_FETCH_SIZE)
		buf_addf(log, " size %" PRIu64, f->size);
	if (f->present & IMAP_FETCH_MODSEQ)
		buf_addf(log, " modseq %" PRIu64, f->modseq);
	if (f->present & IMAP_FETCH_INTERNALDATE) {
		buf_add_str(log, " date ");
		escape_add(log, f->date_text.p ? f->date_text : bytes_of("NIL"), SIZE_MAX);
	}
	buf_add_byte(log, '\n');
	buf_release(&text);
}

static void set_of(const char *text, struct uidset *set)
{
	struct err err;

	uidset_init(set);
	if (uidset_parse(set, bytes_of(text), 0, NULL, &err) < 0)
		test_die("case: set %s: %s", text, err.text);
}

/* FETCH is the body, FLAGS what is beside it. */
static void do_fetch(struct deeds *d, const char *verb, const char *arg)
{
	bool body = strcmp(verb, "FETCH") == 0;
	struct deed *deed = begin(d, verb);
	const struct imap_fetch_sink sink = { .body_begin = on_begin, .body_data = on_data,
					      .body_end = on_end, .drop = on_drop,
					      .message = on_message, .done = on_done, .ctx = deed };
	const unsigned beside = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE |
				IMAP_FETCH_MODSEQ | IMAP_FETCH_EMAILID;
	struct imap_fetch_request q = { .items = body ? 0 : beside, .section = body ? "" : NULL };
	struct uidset set;
	struct err err;

	set_of(arg, &set);
	q.uids = &set;
	submitted(deed, imap_fetch(d->session, &q, &sink, &err), &err);
	uidset_release(&set);
}

static void on_found(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	struct deed *deed = ctx;

	if (found) {
		buf_add_str(deed->all->log, "found ");
		uidset_format(found, deed->all->log);
		buf_add_byte(deed->all->log, '\n');
	}
	on_done(ctx, r);
}

static void do_search(struct deeds *d, const char *verb, const char *criteria)
{
	struct deed *deed = begin(d, verb);
	struct err err;

	submitted(deed, imap_search(d->session, criteria, NULL, on_found, deed, &err), &err);
}

static void on_copied(void *ctx, const struct imap_copy_answer *a, const struct imap_result *r)
{
	struct deed *deed = ctx;

	buf_addf(deed->all->log, "copied: %s\n", a && a->known ? "pairs known" : "pairs not known");
	on_done(ctx, r);
}

static void do_copy(struct deeds *d, const char *verb, const char *arg)
{
	size_t n = strcspn(arg, " ");
	char *text = bytes_dup(bytes_from(arg, n));
	struct deed *deed = begin(d, verb);
	struct imap_copy_request q = { .move = strcmp(verb, "MOVE") == 0,
				       .mailbox = bytes_of(arg + n + (arg[n] == ' ')) };
	struct uidset set;
	struct err err;

	set_of(text, &set);
	q.set = &set;
	submitted(deed, imap_copy(d->session, &q, on_copied, deed, &err), &err);
	uidset_release(&set);
	free(text);
}

static void on_stored(void *ctx, const struct uidset *modified, const struct imap_result *r)
{
	(void)modified;
	on_done(ctx, r);
}

static void do_store(struct deeds *d, const char *verb, const char *arg)
{
	size_t n = strcspn(arg, " ");
	char *text = bytes_dup(bytes_from(arg, n));
	struct deed *deed = begin(d, verb);
	const struct imap_store_sink sink = { .message = on_message, .done = on_stored,
					      .ctx = deed };
	struct imap_store_request q = { .how = IMAP_STORE_ADD };
	struct flags flags;
	struct uidset set;
	struct err err;

	flags_init(&flags);
	flags_add_list(&flags, bytes_of(arg + n));
	set_of(text, &set);
	q.set = &set;
	q.flags = &flags;
	submitted(deed, imap_store_flags(d->session, &q, &sink, &err), &err);
	flags_release(&flags);
	uidset_release(&set);
	free(text);
}

static int read_text(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct deed *deed = ctx;
	size_t left = strlen(deed->text) - deed->at;

	(void)err;
	*n = left < max ? left : max;
	memcpy(p, deed->text + deed->at, *n);
	deed->at += *n;
	return 0;
}

static void on_appended(void *ctx, const struct imap_append_answer *a, const struct imap_result *r)
{
	struct deed *deed = ctx;

	buf_addf(deed->all->log, "appended: UID %s\n", a && a->known ? "known" : "not known");
	on_done(ctx, r);
}

static void do_append(struct deeds *d, const char *verb, const char *arg)
{
	size_t n = strcspn(arg, " ");
	char *name = bytes_dup(bytes_from(arg, n));
	struct deed *deed = begin(d, verb);
	struct imap_append_message m = { .read = read_text, .ctx = deed };
	struct err err;

	deed->text = xstrdup(arg + n + (arg[n] == ' '));
	m.size = strlen(deed->text);
	submitted(deed, imap_append(d->session, &(struct imap_append_request){
		.mailbox = bytes_of(name), .messages = &m, .n = 1 }, on_appended, deed, &err), &err);
	free(name);
}

/* --- the rest --- */

static void do_noop(struct deeds *d, const char *verb, const char *arg)
{
	(void)arg;
	imap_noop(d->session, on_done, begin(d, verb));
}

static void on_response(void *ctx, const struct imap_response *r)
{
	response_dump(((struct deed *)ctx)->all->log, r);
}

/* Any command, with all that came untagged as the parser read it. */
static void do_raw(struct deeds *d, const char *verb, const char *text)
{
	struct imap_encoder e;
	struct deed *deed = begin(d, verb);
	struct err err;

	imap_session_encoder(d->session, &e);
	imap_encode_word(&e, text);
	if (imap_encoder_finish(&e, &err) < 0)
		test_die("case: %s: %s", text, err.text);
	imap_raw(d->session, &e, &(struct imap_handler){ .on_response = on_response,
		 .on_done = on_done, .ctx = deed });
}

static void log_rc(struct deeds *d, const char *verb, int rc, const struct err *err)
{
	if (rc < 0)
		log_error(d, verb, err);
	else
		buf_addf(d->log, "%s ok\n", verb);
}

static void do_waiting(struct deeds *d, const char *verb, const char *arg)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct err err;
	int rc;

	if (strcmp(verb, "ENABLE") == 0) {
		rc = imap_enable_wait(d->session, &qresync, 1, &err);
		buf_addf(d->log, "QRESYNC is %senabled\n",
			 imap_session_enabled(d->session, qresync) ? "" : "not ");
	} else if (strcmp(verb, "COMPRESS") == 0) {
		rc = imap_compress_wait(d->session, &err);
	} else if (strcmp(verb, "CREATE") == 0) {
		rc = imap_create_wait(d->session, bytes_of(arg), 0, NULL, &err);
	} else if (strcmp(verb, "CAPABILITY") == 0) {
		rc = imap_capability_wait(d->session, &err);
	} else {
		rc = imap_logout_wait(d->session, &err);
	}
	log_rc(d, verb, rc, &err);
}

static void do_caps(struct deeds *d, const char *verb, const char *arg)
{
	const struct imap_session *s = d->session;

	(void)verb;
	(void)arg;
	buf_addf(d->log, "caps:%s%s%s%s%s\n", imap_session_has(s, IMAP_CAP_LITERAL_PLUS) ? " LITERAL+" : "",
		 imap_session_has(s, IMAP_CAP_UIDPLUS) ? " UIDPLUS" : "",
		 imap_session_has(s, IMAP_CAP_MOVE) ? " MOVE" : "",
		 imap_session_has(s, IMAP_CAP_ESEARCH) ? " ESEARCH" : "",
		 imap_session_has(s, IMAP_CAP_CONDSTORE) ? " CONDSTORE" : "");
}

static void do_one(struct deeds *d, const char *text)
{
	static const struct {
		const char *verb;
		void (*run)(struct deeds *d, const char *verb, const char *arg);
	} verbs[] = {
		{ "EXAMINE", do_select }, { "SELECT", do_select },     { "MAILBOX", do_mailbox },
		{ "STATUS", do_status },  { "LIST", do_list },	       { "FETCH", do_fetch },
		{ "FLAGS", do_fetch },	  { "SEARCH", do_search },     { "COPY", do_copy },
		{ "MOVE", do_copy },	  { "STORE", do_store },       { "APPEND", do_append },
		{ "NOOP", do_noop },	  { "RAW", do_raw },	       { "ENABLE", do_waiting },
		{ "COMPRESS", do_waiting }, { "CREATE", do_waiting },  { "LOGOUT", do_waiting },
		{ "CAPABILITY", do_waiting }, { "CAPS", do_caps },
	};
	size_t n = strcspn(text, " ");

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strlen(verbs[i].verb) == n && memcmp(verbs[i].verb, text, n) == 0) {
			verbs[i].run(d, verbs[i].verb, text + n + (text[n] == ' '));
			return;
		}
	test_die("case: not a deed: %s", text);
}

void deeds_do(struct deeds *d, const char *line)
{
	struct err err;

	while (*line) {
		const char *end = strstr(line, "; ");
		char *one = bytes_dup(bytes_from(line, end ? (size_t)(end - line) : strlen(line)));

		do_one(d, one);
		free(one);
		line = end ? end + 2 : "";
	}
	/* What went wrong is told by the commands, and at the end by the session. */
	imap_session_drain(d->session, &err);
}
