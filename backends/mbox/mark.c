#include "backends/mbox/mark.h"

#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/mail/flags.h"

#define SENDER "MAILER-DAEMON "
#define ASCTIME_SIZE 24
#define OURS " mailcask length="

static bool skip(struct bytes *text, const char *what)
{
	size_t n = strlen(what);

	if (text->n < n || memcmp(text->p, what, n) != 0)
		return false;
	*text = bytes_skip(*text, n);
	return true;
}

static struct bytes take_word(struct bytes *text)
{
	const uint8_t *blank = text->n ? memchr(text->p, ' ', text->n) : NULL;
	size_t n = blank ? (size_t)(blank - text->p) : text->n;
	struct bytes word = bytes_from(text->p, n);

	*text = bytes_skip(*text, n);
	return word;
}

bool mbox_mark_read(struct bytes line, struct mbox_mark *out)
{
	struct bytes date;

	*out = (struct mbox_mark){ 0 };
	if (!skip(&line, SENDER) || line.n < ASCTIME_SIZE)
		return false;
	line = bytes_skip(line, ASCTIME_SIZE);
	if (!skip(&line, OURS) || !bytes_to_u64(take_word(&line), &out->length))
		return false;
	out->add_cr = skip(&line, " lines=crlf");
	if ((!out->add_cr && !skip(&line, " lines=asis")) || !skip(&line, " date="))
		return false;
	date = take_word(&line);
	if (!bytes_is(date, "none") && !maildate_parse_rfc3339(&out->date, date))
		return false;
	if (!skip(&line, " flags="))
		return false;
	out->flags = line;
	return true;
}

static void add_asctime(const struct maildate *date, struct buf *out)
{
	int64_t moment = date->known ? date->unix_time : 0;
	time_t when = (time_t)(moment < 0 ? 0 : moment > UINT32_MAX ? UINT32_MAX : moment);
	struct tm tm = { 0 };
	char text[ASCTIME_SIZE + 2] = "";

	gmtime_r(&when, &tm);
	asctime_r(&tm, text); /* which knows no locale */
	text[ASCTIME_SIZE] = '\0';
	buf_add_str(out, text);
}

/* As many as there is room for: those that mean something first. */
static bool add_flags(const struct flags *flags, size_t room, struct buf *out)
{
	struct flags some = FLAGS_INIT;
	struct buf text = BUF_INIT(room), longer = BUF_INIT(room);
	bool all = true;

	some.bits = flags->bits;
	flags_format(&some, &text);
	for (size_t i = 0; i < flags->count; i++) {
		struct bytes keyword = bytes_of(flags->keywords[i]);

		flags_add(&some, keyword);
		buf_clear(&longer);
		flags_format(&some, &longer);
		if (longer.overflow) {
			flags_remove(&some, keyword);
			all = false;
			continue;
		}
		buf_clear(&text);
		buf_add(&text, buf_bytes(&longer));
	}
	buf_add(out, buf_bytes(&text));
	flags_release(&some);
	buf_release(&text);
	buf_release(&longer);
	return all;
}

bool mbox_mark_write(const struct mbox_mark *m, const struct flags *flags, struct buf *out)
{
	size_t before = out->n;
	struct maildate date = { 0 };
	bool all;

	buf_add_str(out, "From " SENDER);
	add_asctime(&m->date, out);
	buf_addf(out, OURS "%llu lines=%s date=", (unsigned long long)m->length,
		 m->add_cr ? "crlf" : "asis");
	if (m->date.known) /* made anew: without what the server may have written instead */
		maildate_set(&date, m->date.unix_time, m->date.zone_minutes);
	if (!maildate_format_rfc3339(&date, out))
		buf_add_str(out, "none");
	buf_add_str(out, " flags=");
	all = add_flags(flags, FROM_LINE_MAX - 1 - (out->n - before), out);
	buf_add_str(out, "\n");
	maildate_release(&date);
	return all;
}
