#include "cmd/decode.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <iconv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gmime/gmime.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/mail/maildate.h"

#include "cmd/exit_status.h"

#define GMIME_LIBRARY "libgmime-3.0.so.0"
#define PIECE ((size_t)64 * 1024)

/*
 * GMime is loaded when the first word is to be decoded. With all it stands on it costs more than
 * the rest of a start (2.3 ms and 3.3 MB), and a backup, which may run every few minutes, never
 * needs it.
 */
#define GMIME_CALLS(X) \
	X(g_mime_init) X(g_free) X(g_strdup) X(g_utf8_make_valid) X(g_utf8_casefold) X(g_utf8_normalize) X(g_object_unref) \
	X(g_type_check_instance_is_a) X(g_mime_utils_header_unfold) \
	X(g_mime_utils_header_decode_text) X(g_mime_utils_header_decode_date) \
	X(g_date_time_to_unix) X(g_date_time_get_utc_offset) X(g_date_time_unref) \
	X(internet_address_list_parse) X(internet_address_list_length) \
	X(internet_address_list_get_address) X(internet_address_list_to_string) \
	X(internet_address_get_name) X(internet_address_mailbox_get_type) \
	X(internet_address_mailbox_get_addr) X(g_mime_content_type_parse) \
	X(g_mime_content_type_get_mime_type) X(g_mime_content_type_get_parameter) \
	X(g_mime_content_disposition_parse) X(g_mime_content_disposition_is_attachment) \
	X(g_mime_content_disposition_get_parameter) X(g_mime_content_encoding_from_string) \
	X(g_mime_encoding_init_decode) X(g_mime_encoding_outlen) X(g_mime_encoding_step) \
	X(g_mime_encoding_flush) X(g_mime_charset_iconv_name)

static struct {
#define MEMBER(name) __typeof__(name) *name;
	GMIME_CALLS(MEMBER)
#undef MEMBER
} gm;

static void *find_call(void *library, const char *name)
{
	void *call = dlsym(library, name);

	if (call)
		return call;
	fprintf(stderr, "mailcask: %s is too old or broken: it has no %s\n", GMIME_LIBRARY, name);
	exit(EXIT_FAILED);
}

static void start(void)
{
	struct sigaction on_pipe;
	void *library;

	if (gm.g_mime_init)
		return;
	library = dlopen(GMIME_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "mailcask: looking into mail needs GMime: %s\n", dlerror());
		exit(EXIT_FAILED);
	}
#define FIND(name) gm.name = (__typeof__(gm.name))find_call(library, #name);
	GMIME_CALLS(FIND)
#undef FIND
	/* It starts gpgme, which has SIGPIPE ignored from then on. */
	sigaction(SIGPIPE, NULL, &on_pipe);
	gm.g_mime_init();
	sigaction(SIGPIPE, &on_pipe, NULL);
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
	char *valid = text ? gm.g_utf8_make_valid(text, -1) : NULL;
	char *out = xstrdup(valid ? valid : "");

	gm.g_free(valid);
	gm.g_free(text);
	return out;
}

/* The same of a text that stays GLib's; NULL when there is none, or nothing in it. */
static char *own_copy(const char *text)
{
	return text && *text ? own(gm.g_strdup(text)) : NULL;
}

/* Nothing is encoded, folded or to be put right: most values, and GMime gives them as they are. */
static bool is_plain(struct bytes raw)
{
	if (raw.n == 0 || raw.n > DECODE_VALUE_MAX || memmem(raw.p, raw.n, "=?", 2))
		return false;
	for (size_t i = 0; i < raw.n; i++)
		if (raw.p[i] < ' ' || raw.p[i] > '~')
			return false;
	return raw.p[0] != ' ' && raw.p[raw.n - 1] != ' ';
}

char *decode_words(struct bytes raw)
{
	char *text, *flat, *out;

	if (is_plain(raw))
		return bytes_dup(raw);
	start();
	text = value_text(raw);
	flat = gm.g_mime_utils_header_unfold(text);
	/* A TAB is how many programs fold a line: a blank, as those who read it take it. */
	for (char *p = flat; *p; p++)
		if (*p == '\t')
			*p = ' ';
	out = own(gm.g_mime_utils_header_decode_text(NULL, flat));
	gm.g_free(flat);
	free(text);
	return out;
}

char *decode_fold(const char *text)
{
	char *valid, *folded, *out;
	const char *p = text;

	while (*p && !((uint8_t)*p & 0x80))
		p++;
	if (!*p) { /* ASCII */
		out = xstrdup(text);
		for (char *c = out; *c; c++)
			*c = (char)ascii_lower((uint8_t)*c);
		return out;
	}
	start();
	valid = gm.g_utf8_make_valid(text, -1);
	folded = gm.g_utf8_casefold(valid, -1);
	out = own(gm.g_utf8_normalize(folded, -1, G_NORMALIZE_ALL_COMPOSE));
	gm.g_free(folded);
	gm.g_free(valid);
	return out;
}

static bool is_mailbox(InternetAddress *address)
{
	return gm.g_type_check_instance_is_a((GTypeInstance *)address,
					     gm.internet_address_mailbox_get_type());
}

static InternetAddressList *addresses(struct bytes raw)
{
	char *text = value_text(raw);
	InternetAddressList *list;

	start();
	list = gm.internet_address_list_parse(NULL, text);
	free(text);
	return list;
}

char *decode_addresses(struct bytes raw)
{
	InternetAddressList *list = addresses(raw);
	char *out;

	if (!list) /* no address in it at all */
		return decode_words(raw);
	out = own(gm.internet_address_list_to_string(list, NULL, FALSE));
	gm.g_object_unref(list);
	return out;
}

char *decode_first_name(struct bytes raw)
{
	InternetAddressList *list = addresses(raw);
	InternetAddress *first =
		list && gm.internet_address_list_length(list) > 0
			? gm.internet_address_list_get_address(list, 0)
			: NULL;
	char *out = first ? own_copy(gm.internet_address_get_name(first)) : NULL;

	if (!out && first && is_mailbox(first))
		out = own_copy(gm.internet_address_mailbox_get_addr(
			(InternetAddressMailbox *)first));
	if (list)
		gm.g_object_unref(list);
	return out ? out : decode_words(raw);
}

bool decode_date(struct bytes raw, struct maildate *out)
{
	char *text = value_text(raw);
	GDateTime *when;

	start();
	when = gm.g_mime_utils_header_decode_date(text);
	free(text);
	if (!when)
		return false;
	maildate_set(out, gm.g_date_time_to_unix(when),
		     (int)(gm.g_date_time_get_utc_offset(when) / G_TIME_SPAN_MINUTE));
	gm.g_date_time_unref(when);
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
	ct = gm.g_mime_content_type_parse(NULL, text);
	lower = gm.g_mime_content_type_get_mime_type(ct);
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	out->type = own(lower);
	out->charset = own_copy(gm.g_mime_content_type_get_parameter(ct, "charset"));
	out->boundary = own_copy(gm.g_mime_content_type_get_parameter(ct, "boundary"));
	if (out->boundary && strpbrk(out->boundary, "\r\n")) {
		free(out->boundary); /* no line could be it */
		out->boundary = NULL;
	}
	out->name = own_copy(gm.g_mime_content_type_get_parameter(ct, "name"));
	gm.g_object_unref(ct);
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
	cd = gm.g_mime_content_disposition_parse(NULL, text);
	free(text);
	if (!cd)
		return false;
	attachment = gm.g_mime_content_disposition_is_attachment(cd);
	*name = own_copy(gm.g_mime_content_disposition_get_parameter(cd, "filename"));
	gm.g_object_unref(cd);
	return attachment;
}

enum encoding decode_encoding(struct bytes raw)
{
	char *text = value_text(raw);
	GMimeContentEncoding which;
	bool none;

	start();
	which = gm.g_mime_content_encoding_from_string(text);
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
	gm.g_mime_encoding_init_decode(&state, gmime_encoding(encoding));
	out = xmalloc(gm.g_mime_encoding_outlen(&state, PIECE) + 16);
	while (ret == 0 && left.n > 0) {
		size_t take = left.n < PIECE ? left.n : PIECE, n;

		n = take == left.n ? gm.g_mime_encoding_flush(&state, (const char *)left.p, take, out)
				   : gm.g_mime_encoding_step(&state, (const char *)left.p, take, out);
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

/* glibc's UTF-8 goes beyond U+10FFFF; ours does not. */
static int pass_on_strictly(struct conversion *c, struct err *err)
{
	struct bytes left = buf_bytes(&c->out);
	struct buf strict = BUF_INIT(PIECE * sizeof(replacement));
	uint32_t ignored;
	int ret;

	while (left.n > 0) {
		size_t n = utf8_decode(left, &ignored);

		buf_add(&strict, n ? bytes_from(left.p, n) : bytes_of(replacement));
		left = bytes_skip(left, n ? n : 1);
	}
	ret = c->fn(c->ctx, buf_bytes(&strict), err);
	buf_release(&strict);
	return ret;
}

static int pass_on(struct conversion *c, struct err *err)
{
	int ret = 0;

	if (c->out.n > 0)
		ret = utf8_is_valid(buf_bytes(&c->out)) ? c->fn(c->ctx, buf_bytes(&c->out), err)
							: pass_on_strictly(c, err);
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
		cd = iconv_open("UTF-8", gm.g_mime_charset_iconv_name(charset));
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
