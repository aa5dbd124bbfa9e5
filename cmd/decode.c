#include "cmd/decode.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include <gmime/gmime.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/mail/maildate.h"

#define PIECE ((size_t)64 * 1024)

static void start(void)
{
	static bool started;

	if (!started)
		g_mime_init();
	started = true;
}

/* A value as GMime takes it: a C string, and not too much of it. */
static char *value_text(struct bytes raw)
{
	char *text = bytes_dup(bytes_from(raw.p, raw.n < DECODE_VALUE_MAX ? raw.n : DECODE_VALUE_MAX));
	size_t n = raw.n < DECODE_VALUE_MAX ? raw.n : DECODE_VALUE_MAX;

	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}

/* What GLib gave as a string of ours. `text` is freed and may be NULL. */
static char *own(char *text)
{
	char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
	char *out = xstrdup(valid ? valid : "");

	g_free(valid);
	g_free(text);
	return out;
}

/* The same of a text that stays GLib's; NULL when there is none, or nothing in it. */
static char *own_copy(const char *text)
{
	return text && *text ? own(g_strdup(text)) : NULL;
}

char *decode_words(struct bytes raw)
{
	char *text = value_text(raw), *flat, *out;

	start();
	flat = g_mime_utils_header_unfold(text);
	out = own(g_mime_utils_header_decode_text(NULL, flat));
	g_free(flat);
	free(text);
	return out;
}

static InternetAddressList *addresses(struct bytes raw)
{
	char *text = value_text(raw);
	InternetAddressList *list;

	start();
	list = internet_address_list_parse(NULL, text);
	free(text);
	return list;
}

char *decode_addresses(struct bytes raw)
{
	InternetAddressList *list = addresses(raw);
	char *out;

	if (!list) /* no address in it at all */
		return decode_words(raw);
	out = own(internet_address_list_to_string(list, NULL, FALSE));
	g_object_unref(list);
	return out;
}

char *decode_first_name(struct bytes raw)
{
	InternetAddressList *list = addresses(raw);
	InternetAddress *first =
		list && internet_address_list_length(list) > 0
			? internet_address_list_get_address(list, 0)
			: NULL;
	char *out = first ? own_copy(internet_address_get_name(first)) : NULL;

	if (!out && first && INTERNET_ADDRESS_IS_MAILBOX(first))
		out = own_copy(internet_address_mailbox_get_addr(
			INTERNET_ADDRESS_MAILBOX(first)));
	if (list)
		g_object_unref(list);
	return out ? out : decode_words(raw);
}

bool decode_date(struct bytes raw, struct maildate *out)
{
	char *text = value_text(raw);
	GDateTime *when;

	start();
	when = g_mime_utils_header_decode_date(text);
	free(text);
	if (!when)
		return false;
	maildate_set(out, g_date_time_to_unix(when),
		     (int)(g_date_time_get_utc_offset(when) / G_TIME_SPAN_MINUTE));
	g_date_time_unref(when);
	return true;
}

void content_type_read(struct content_type *out, struct bytes raw, const char *otherwise)
{
	GMimeContentType *ct;
	char *text, *lower;

	*out = (struct content_type){ 0 };
	if (!raw.p) {
		out->type = xstrdup(otherwise);
		return;
	}
	start();
	text = value_text(raw);
	ct = g_mime_content_type_parse(NULL, text);
	lower = g_mime_content_type_get_mime_type(ct);
	for (char *p = lower; *p; p++)
		*p = g_ascii_tolower(*p);
	out->type = own(lower);
	out->charset = own_copy(g_mime_content_type_get_parameter(ct, "charset"));
	out->boundary = own_copy(g_mime_content_type_get_parameter(ct, "boundary"));
	if (out->boundary && strpbrk(out->boundary, "\r\n")) {
		free(out->boundary); /* no line could be it */
		out->boundary = NULL;
	}
	out->name = own_copy(g_mime_content_type_get_parameter(ct, "name"));
	g_object_unref(ct);
	free(text);
}

void content_type_release(struct content_type *ct)
{
	free(ct->type);
	free(ct->charset);
	free(ct->boundary);
	free(ct->name);
	*ct = (struct content_type){ 0 };
}

bool decode_disposition(struct bytes raw, char **name)
{
	GMimeContentDisposition *cd;
	char *text;
	bool attachment;

	*name = NULL;
	if (!raw.p)
		return false;
	start();
	text = value_text(raw);
	cd = g_mime_content_disposition_parse(NULL, text);
	free(text);
	if (!cd)
		return false;
	attachment = g_mime_content_disposition_is_attachment(cd);
	*name = own_copy(g_mime_content_disposition_get_parameter(cd, "filename"));
	g_object_unref(cd);
	return attachment;
}

enum encoding decode_encoding(struct bytes raw)
{
	char *text = value_text(raw);
	GMimeContentEncoding which;
	bool none;

	start();
	which = g_mime_content_encoding_from_string(text);
	none = text[strspn(text, " \t\r\n")] == '\0';
	free(text);
	switch (which) {
	case GMIME_CONTENT_ENCODING_7BIT:
	case GMIME_CONTENT_ENCODING_8BIT:
	case GMIME_CONTENT_ENCODING_BINARY:
		return ENCODING_NONE;
	case GMIME_CONTENT_ENCODING_BASE64:
		return ENCODING_BASE64;
	case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE:
		return ENCODING_QUOTED;
	case GMIME_CONTENT_ENCODING_UUENCODE:
		return ENCODING_UU;
	case GMIME_CONTENT_ENCODING_DEFAULT:
		break;
	}
	return none ? ENCODING_NONE : ENCODING_UNKNOWN;
}

static GMimeContentEncoding gmime_encoding(enum encoding encoding)
{
	switch (encoding) {
	case ENCODING_BASE64:
		return GMIME_CONTENT_ENCODING_BASE64;
	case ENCODING_QUOTED:
		return GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
	case ENCODING_UU:
		return GMIME_CONTENT_ENCODING_UUENCODE;
	case ENCODING_NONE:
	case ENCODING_UNKNOWN:
		break;
	}
	return GMIME_CONTENT_ENCODING_BINARY;
}

int decode_body(enum encoding encoding, struct bytes body, decoded_fn *fn, void *ctx,
		struct err *err)
{
	GMimeEncoding state;
	struct bytes left = body;
	char *out;
	int ret = 0;

	start();
	g_mime_encoding_init_decode(&state, gmime_encoding(encoding));
	out = xmalloc(g_mime_encoding_outlen(&state, PIECE) + 16);
	while (ret == 0 && left.n > 0) {
		size_t take = left.n < PIECE ? left.n : PIECE, n;

		n = take == left.n ? g_mime_encoding_flush(&state, (const char *)left.p, take, out)
				   : g_mime_encoding_step(&state, (const char *)left.p, take, out);
		left = bytes_skip(left, take);
		if (n > 0)
			ret = fn(ctx, bytes_from(out, n), err);
	}
	free(out);
	return ret;
}

/* Text on its way through iconv. */
struct conversion {
	iconv_t cd;
	struct buf rest; /* bytes of a character whose end has not come yet */
	struct buf out;
	decoded_fn *fn;
	void *ctx;
};

/* Longer than a character of any charset; what does not become one by then is none. */
#define CHARACTER_MAX 16u

static const char replacement[] = "\xef\xbf\xbd";

static int pass_on(struct conversion *c, struct err *err)
{
	int ret = c->out.n > 0 ? c->fn(c->ctx, buf_bytes(&c->out), err) : 0;

	buf_clear(&c->out);
	return ret;
}

/* iconv() with its pointers moved; returns its errno, 0 when it took all. */
static int step(struct conversion *c, struct bytes *in)
{
	char *from = (char *)(uintptr_t)in->p; /* only read, whatever the prototype says */
	char *to = (char *)c->out.p + c->out.n;
	size_t left = in->n, room = c->out.max - c->out.n, before = room;
	int why = iconv(c->cd, &from, &left, &to, &room) == (size_t)-1 ? errno : 0;

	buf_grow(&c->out, before - room);
	*in = bytes_skip(*in, in->n - left);
	return why;
}

/* Convert all of *in, but not a character that is cut at its end, unless that is the `last`. */
static int convert_all(struct conversion *c, struct bytes *in, bool last, struct err *err)
{
	while (in->n > 0) {
		int why = step(c, in);

		if (why == 0 || (why == EINVAL && !last && in->n < CHARACTER_MAX))
			break;
		/* What makes no character even with all room: one sign for one byte, and on. */
		if (why != E2BIG || c->out.n == 0) {
			*in = bytes_skip(*in, 1);
			if (c->out.max - c->out.n < CHARACTER_MAX && pass_on(c, err) < 0)
				return -1;
			buf_add_str(&c->out, replacement);
		} else if (pass_on(c, err) < 0) {
			return -1;
		}
	}
	return pass_on(c, err);
}

static int convert(struct conversion *c, struct bytes piece, bool last, struct err *err)
{
	struct bytes in = piece;
	int ret;

	if (c->rest.n > 0) {
		buf_add(&c->rest, piece);
		in = buf_bytes(&c->rest);
	}
	ret = convert_all(c, &in, last, err);
	if (c->rest.n > 0)
		buf_consume(&c->rest, c->rest.n - in.n);
	else
		buf_add(&c->rest, in);
	return ret;
}

static int on_decoded(void *ctx, struct bytes piece, struct err *err)
{
	return convert(ctx, piece, false, err);
}

/* iconv() takes names with options and of files, too: only plain names come from mail. */
static iconv_t open_charset(const char *charset, bool *known)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.:+";
	iconv_t cd = (iconv_t)-1;

	*known = true;
	/* ASCII is part of UTF-8, and mail that says ASCII often means that. */
	if (!charset || strcasecmp(charset, "us-ascii") == 0 || strcasecmp(charset, "ascii") == 0)
		return iconv_open("UTF-8", "UTF-8");
	start();
	if (strlen(charset) <= 40 && charset[strspn(charset, letters)] == '\0')
		cd = iconv_open("UTF-8", g_mime_charset_iconv_name(charset));
	*known = cd != (iconv_t)-1;
	return *known ? cd : iconv_open("UTF-8", "UTF-8");
}

int decode_text(enum encoding encoding, const char *charset, struct bytes body, bool *known,
		decoded_fn *fn, void *ctx, struct err *err)
{
	struct conversion c = { .fn = fn, .ctx = ctx };
	int ret;

	buf_init(&c.rest, PIECE * 4);
	buf_init(&c.out, PIECE);
	buf_reserve(&c.out, PIECE);
	c.cd = open_charset(charset, known);
	if (c.cd == (iconv_t)-1) /* not even UTF-8: a broken libc */
		return err_sys(err, ERR_FATAL, "iconv");
	ret = decode_body(encoding, body, on_decoded, &c, err);
	if (ret == 0)
		ret = convert(&c, bytes_from(NULL, 0), true, err);
	iconv_close(c.cd);
	buf_release(&c.rest);
	buf_release(&c.out);
	return ret;
}
