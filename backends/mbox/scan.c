#include "backends/mbox/scan.h"

#include <stdlib.h>
#include <string.h>

#include "backends/mbox/dates.h"
#include "backends/mbox/mark.h"
#include "backends/mbox/traits.h"
#include "backends/mbox/wire_form.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

typedef unsigned long long ull;

#define FIELD_NAME_MAX ((size_t)128)

/* What was counted of a message. */
struct counts {
	uint64_t lf, crlf, quoted;
};

struct scan {
	const struct mbox_input *in;
	uint8_t *window;
	uint64_t window_at;
	size_t window_n;
	uint8_t begin[MBOX_WINDOW_MIN]; /* of a line that is longer than what the window holds of it */
	struct traits *traits;
	uint64_t line; /* how many came before `at` */
};

struct line {
	struct bytes begin; /* at least its first MBOX_WINDOW_MIN bytes, until the next look */
	uint64_t length;    /* with its LF; 0: the end of the file */
	bool lf, crlf, empty;
};

/* What is there at `at`: up to the end of the file, or at least MBOX_WINDOW_MIN bytes. */
static int look(struct scan *s, uint64_t at, struct bytes *out, struct err *err)
{
	uint64_t rest = s->in->size - at;
	size_t want = rest < MBOX_WINDOW_MIN ? (size_t)rest : MBOX_WINDOW_MIN;

	if (at < s->window_at || at + want > s->window_at + s->window_n) {
		size_t n = rest < s->in->window ? (size_t)rest : s->in->window;

		s->window_n = 0;
		if (s->in->read(s->in->ctx, at, s->window, n, err) < 0)
			return -1;
		s->window_at = at;
		s->window_n = n;
	}
	*out = bytes_from(s->window + (at - s->window_at),
			  s->window_n - (size_t)(at - s->window_at));
	return 0;
}

static int next_line(struct scan *s, uint64_t at, struct line *out, struct err *err)
{
	struct bytes piece;
	const uint8_t *lf = NULL;
	uint8_t last = 0;

	*out = (struct line){ 0 };
	if (look(s, at, &piece, err) < 0)
		return -1;
	out->begin = piece;
	while (piece.n > 0 && !(lf = memchr(piece.p, '\n', piece.n))) {
		if (out->length == 0) {
			size_t n = piece.n < sizeof(s->begin) ? piece.n : sizeof(s->begin);

			memcpy(s->begin, piece.p, n);
			out->begin = bytes_from(s->begin, n);
		}
		last = piece.p[piece.n - 1];
		out->length += piece.n;
		if (look(s, at + out->length, &piece, err) < 0)
			return -1;
	}
	if (piece.n == 0)
		return 0; /* the last line has no end */
	out->length += (uint64_t)(lf - piece.p) + 1;
	out->lf = true;
	out->crlf = (lf > piece.p ? lf[-1] : last) == '\r';
	out->empty = out->length == 1 || (out->length == 2 && out->crlf);
	if (out->begin.n > out->length)
		out->begin.n = (size_t)out->length;
	return 0;
}

static bool starts_with(struct bytes text, const char *what)
{
	size_t n = strlen(what);

	return text.n >= n && memcmp(text.p, what, n) == 0;
}

/* A field's name, or the line that old sendmails leave above the header. */
static bool is_field(struct bytes line)
{
	size_t n = 0;

	while (n < line.n && n < FIELD_NAME_MAX && line.p[n] > 32 && line.p[n] < 127 &&
	       line.p[n] != ':')
		n++;
	return (n > 0 && n < line.n && line.p[n] == ':') || starts_with(line, ">From ");
}

/* One that text hardly begins with. */
static bool is_well_known(struct bytes line)
{
	static const char *const names[] = { "Return-Path:", "Received:", "Delivered-To:", "Message-ID:",
					     "MIME-Version:", "Date:", "Subject:", "X-Mozilla-Status:",
					     "X-GM-THRID:" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_starts_nocase(line, names[i]))
			return true;
	return false;
}

enum verdict { TEXT, SEPARATOR, ODD };

/* What a line is, by it and what follows. Of a separator, *length and *date (initialised) are set. */
static enum verdict judge(struct bytes ahead, bool after_empty, struct maildate *date,
			  size_t *length)
{
	size_t most = ahead.n < FROM_LINE_MAX ? ahead.n : FROM_LINE_MAX, n;
	const uint8_t *lf = starts_with(ahead, "From ") ? memchr(ahead.p, '\n', most) : NULL;
	struct bytes line, next;
	struct mbox_mark mark;

	if (!lf)
		return TEXT;
	n = (size_t)(lf - ahead.p);
	next = bytes_skip(ahead, n + 1);
	line = bytes_skip(bytes_from(ahead.p, n > 5 && lf[-1] == '\r' ? n - 1 : n), 5);
	*length = n + 1;
	if (date_of_from_line(line, date)) {
		bool nothing = next.n == 0 || *next.p == '\n' || starts_with(next, "\r\n");

		return is_field(next) || (after_empty && (nothing || mbox_mark_read(line, &mark)))
			       ? SEPARATOR
			       : TEXT;
	}
	return after_empty && is_well_known(next) ? ODD : TEXT;
}

/* One message while it is taken apart. */
struct part {
	struct mbox_message m; /* start is set */
	uint64_t at;           /* the line in work */
	struct counts counts, before_empty;
	bool in_body;
	struct mbox_mark mark; /* of the line that began it */
	char flags[FROM_LINE_MAX]; /* what the mark says of them */
	bool marked;
	bool exact;         /* and its length leads to the end of the message */
	bool after_empty;   /* the line before `at` is empty, and a part of the message */
	uint64_t empty_at;  /* that */
	bool from_in_body;  /* an unquoted `From ` */
	uint64_t claimed;   /* where Content-Length says that it ends; 0: it does not, or that is not so */
	unsigned claim_gap; /* lines from there to the next one */
	uint64_t next;      /* the line that begins the next one; the size of the file: there is none */
	size_t next_length;
	struct maildate next_date;
};

static int read_traits(struct scan *s, const struct part *p, uint64_t until, struct err *err)
{
	uint64_t at = p->m.start;
	bool more = true;

	traits_reset(s->traits);
	while (more && at < until) {
		struct bytes piece;

		if (look(s, at, &piece, err) < 0)
			return -1;
		if (piece.n > until - at)
			piece.n = (size_t)(until - at);
		more = traits_feed(s->traits, piece);
		at += piece.n;
	}
	traits_end(s->traits);
	return 0;
}

/* Does a message end `length` bytes after `at`, as it is said to? Then p->next is set, too. */
static int check_claim(struct scan *s, struct part *p, uint64_t at, uint64_t length,
		       struct err *err)
{
	uint64_t end;
	struct bytes ahead;

	if (length > s->in->size - at)
		return 0;
	end = p->next = at + length;
	for (int i = 0; i <= 2 && p->next <= s->in->size; i++) {
		bool after_empty = i > 0;

		if (look(s, p->next, &ahead, err) < 0)
			return -1;
		if (ahead.n == 0 ||
		    judge(ahead, after_empty, &p->next_date, &p->next_length) == SEPARATOR) {
			p->claimed = end;
			p->claim_gap = (unsigned)i;
			return 0;
		}
		if (*ahead.p != '\n' && !starts_with(ahead, "\r\n"))
			return 0;
		p->next += *ahead.p == '\n' ? 1 : 2;
	}
	return 0;
}

static int odd_line(const struct scan *s, const struct part *p, struct err *err)
{
	return err_set(err, ERR_FATAL,
		       "line %llu (byte %llu) begins with 'From ' and a header follows, as where a message "
		       "begins, but no date is in it that can be read. If it belongs to a text, put a "
		       "'>' before it; else write it as 'From - Thu Feb 29 13:05:09 2024'",
		       (ull)s->line + 1, (ull)p->at);
}

/* A line `From ...`; *ends: the message ends before it. */
static int on_from(struct scan *s, struct part *p, bool *ends, struct err *err)
{
	enum verdict verdict = TEXT;
	struct bytes ahead;

	*ends = false;
	if (!p->claimed) {
		if (look(s, p->at, &ahead, err) < 0)
			return -1;
		verdict = judge(ahead, p->after_empty, &p->next_date, &p->next_length);
	}
	if (verdict == ODD)
		return odd_line(s, p, err);
	if (verdict == TEXT) {
		p->from_in_body |= p->in_body;
		return 0;
	}
	*ends = true;
	p->next = p->at;
	return 0;
}

static int on_line(struct scan *s, struct part *p, const struct line *line, struct err *err)
{
	uint64_t length;

	if (line->empty) {
		p->empty_at = p->at;
		p->before_empty = p->counts;
	}
	p->after_empty = line->empty;
	p->counts.lf += line->lf;
	p->counts.crlf += line->crlf;
	p->counts.quoted += (p->in_body || p->exact) && wire_is_quoted(line->begin);
	p->at += line->length;
	s->line += line->lf;
	if (p->in_body || !line->empty)
		return 0;
	p->in_body = true;
	if (p->exact) /* what its header says of itself means nothing here */
		return 0;
	if (read_traits(s, p, p->at, err) < 0)
		return -1;
	return traits_length(s->traits, &length) ? check_claim(s, p, p->at, length, err) : 0;
}

static void clip(struct line *line, uint64_t most)
{
	if (line->length <= most)
		return;
	line->length = most;
	line->lf = line->crlf = line->empty = false;
	if (line->begin.n > most)
		line->begin.n = (size_t)most;
}

/* To the end of the message; its length is what belongs to it. */
static int scan_lines(struct scan *s, struct part *p, struct err *err)
{
	bool ends = false;

	for (;;) {
		struct line line;

		if (p->claimed && p->at == p->claimed) {
			p->m.length = p->at - p->m.start;
			s->line += p->claim_gap;
			return 0;
		}
		if (next_line(s, p->at, &line, err) < 0)
			return -1;
		if (p->claimed)
			clip(&line, p->claimed - p->at);
		if (starts_with(line.begin, "From ")) {
			if (on_from(s, p, &ends, err) < 0)
				return -1;
			line.begin.n = 0; /* it has looked elsewhere, and there is nothing more in it */
		}
		if (ends || line.length == 0)
			break;
		if (on_line(s, p, &line, err) < 0)
			return -1;
	}
	if (!ends)
		p->next = s->in->size;
	if (p->after_empty)
		p->counts = p->before_empty;
	p->m.length = (p->after_empty ? p->empty_at : p->at) - p->m.start;
	return 0;
}

/* Flags and date, into what is initialised. */
static int describe(struct scan *s, const struct part *p, const struct maildate *from,
		    struct flags *flags, struct maildate *date, struct err *err)
{
	if (p->marked)
		flags_add_list(flags, bytes_from(p->flags, p->mark.flags.n));
	if (p->marked && p->mark.date.known) {
		maildate_copy(date, &p->mark.date);
		return 0;
	}
	if ((p->exact || !p->in_body) &&
	    read_traits(s, p, p->m.start + p->m.length, err) < 0)
		return -1;
	if (!p->marked) {
		traits_flags(s->traits, flags);
		maildate_copy(date, from);
	}
	if (!date->known)
		traits_date(s->traits, date);
	return 0;
}

static int tell(struct scan *s, struct part *p, const struct maildate *from, mbox_fn *each,
		void *ctx, struct err *err)
{
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	int ret;

	p->m.unquote = p->counts.quoted > 0 && !p->from_in_body;
	p->m.whole = p->exact;
	p->m.add_cr = p->exact ? p->mark.add_cr : p->counts.crlf == 0;
	p->m.size = p->m.length + (p->m.add_cr ? p->counts.lf : 0) -
		    (p->m.unquote ? p->counts.quoted : 0);
	p->m.flags = &flags;
	p->m.date = &date;
	ret = describe(s, p, from, &flags, &date, err);
	if (ret == 0)
		ret = each(ctx, &p->m, err);
	flags_release(&flags);
	maildate_release(&date);
	return ret;
}

/* What we wrote on the line at `at`, which begins a message. */
static int read_mark(struct scan *s, struct part *p, uint64_t at, struct err *err)
{
	size_t n = (size_t)(p->m.start - at);
	struct bytes line;

	if (look(s, at, &line, err) < 0)
		return -1;
	n -= n > 6 && line.p[n - 2] == '\r' ? 2 : 1;
	line = bytes_skip(bytes_from(line.p, n), 5);
	p->marked = mbox_mark_read(line, &p->mark);
	if (!p->marked)
		return 0;
	memcpy(p->flags, p->mark.flags.p, p->mark.flags.n);
	if (check_claim(s, p, p->m.start, p->mark.length, err) < 0)
		return -1;
	p->exact = p->claimed != 0;
	return 0;
}

/* The first line has to begin a message, with or without a date that can be read. */
static int first_line(struct scan *s, size_t *length, struct maildate *date, struct err *err)
{
	struct bytes ahead;
	const uint8_t *lf;
	size_t n;

	if (look(s, 0, &ahead, err) < 0)
		return -1;
	lf = starts_with(ahead, "From ")
		     ? memchr(ahead.p, '\n', ahead.n < FROM_LINE_MAX ? ahead.n : FROM_LINE_MAX)
		     : NULL;
	if (!lf)
		return err_set(err, ERR_FATAL,
			       "line 1 (byte 0) does not begin with 'From ' and a sender, so it is no "
			       "mbox");
	*length = (size_t)(lf - ahead.p) + 1;
	n = *length - 6;
	date_of_from_line(bytes_from(ahead.p + 5, n > 0 && lf[-1] == '\r' ? n - 1 : n), date);
	return 0;
}

static int scan_all(struct scan *s, mbox_fn *each, void *ctx, struct err *err)
{
	uint64_t at = 0;
	struct maildate date = { 0 }; /* never with raw text, so nothing to release */
	size_t length = 0;

	if (s->in->size > 0 && first_line(s, &length, &date, err) < 0)
		return -1;
	while (at < s->in->size) {
		struct part p = { .m.start = at + length, .at = at + length };

		s->line++;
		if (read_mark(s, &p, at, err) < 0 || scan_lines(s, &p, err) < 0 ||
		    tell(s, &p, &date, each, ctx, err) < 0)
			return -1;
		at = p.next;
		length = p.next_length;
		date = p.next_date;
	}
	return 0;
}

int mbox_scan(const struct mbox_input *in, mbox_fn *each, void *ctx, struct err *err)
{
	struct scan *s = xcalloc(1, sizeof(*s));
	int ret;

	s->in = in;
	s->window = xmalloc(in->window);
	s->traits = traits_new();
	ret = scan_all(s, each, ctx, err);
	traits_free(s->traits);
	free(s->window);
	free(s);
	return ret;
}
