#include "core/imap/url.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/mail/mutf7.h"

#define NAME_MAX_BYTES 65536

static bool is_unreserved(uint8_t c)
{
	return ascii_is_digit(c) || (ascii_upper(c) >= 'A' && ascii_upper(c) <= 'Z') ||
	       (c && strchr("-._~", c));
}

static void add_encoded(struct buf *out, struct bytes text, bool keep_slash)
{
	for (size_t i = 0; i < text.n; i++) {
		if (is_unreserved(text.p[i]) || (keep_slash && text.p[i] == '/'))
			buf_add_byte(out, text.p[i]);
		else
			buf_addf(out, "%%%02X", text.p[i]);
	}
}

/* Between the slashes: what would be read as a step, or as the beginning of a host. */
static bool has_step(struct bytes name)
{
	for (;;) {
		const uint8_t *slash = name.n ? memchr(name.p, '/', name.n) : NULL;
		struct bytes part = bytes_from(name.p, slash ? (size_t)(slash - name.p) : name.n);

		if (!part.n || bytes_is(part, ".") || bytes_is(part, ".."))
			return true;
		if (!slash)
			return false;
		name = bytes_skip(name, part.n + 1);
	}
}

static int refuse(struct bytes mailbox, struct err *err)
{
	char *shown = escape_text(mailbox, 100);

	err_set(err, ERR_CONFIG, "no URL can name the mailbox %s", shown);
	free(shown);
	return -1;
}

int imap_url_add(const struct imap_url *url, bool utf8, struct buf *out, struct err *err)
{
	struct buf name = BUF_INIT(NAME_MAX_BYTES);
	struct bytes section = bytes_of(url->section ? url->section : "");
	int ret = -1;

	if (!url->uid || !url->uid_validity) {
		err_set(err, ERR_CONFIG, "a URL of a message needs its UID and UIDVALIDITY");
		goto out;
	}
	if (utf8 ? !utf8_is_valid(url->mailbox) || !buf_add(&name, url->mailbox) :
		   !mutf7_decode(url->mailbox, &name)) {
		refuse(url->mailbox, err);
		goto out;
	}
	if (has_step(buf_bytes(&name))) {
		refuse(url->mailbox, err);
		goto out;
	}
	buf_add_byte(out, '/');
	add_encoded(out, buf_bytes(&name), true);
	buf_addf(out, ";UIDVALIDITY=%u/;UID=%u", url->uid_validity, url->uid);
	if (section.n) {
		buf_add_str(out, "/;SECTION=");
		add_encoded(out, section, false);
	}
	ret = 0;
out:
	buf_release(&name);
	return ret;
}
