#include "backends/git/tokens_text.h"

#include <openssl/evp.h>

#include "backends/git/text_line.h"
#include "core/base/buf.h"

#define MAGIC "mailcask tokens 1\n"
#define SUM_SIZE 32
#define SUM_LINE (sizeof("sum \n") - 1 + 2 * SUM_SIZE)

/* `sum ` and the SHA-256 of all the text before it. */
static void add_sum(struct bytes text, struct buf *out)
{
	uint8_t sum[SUM_SIZE];

	EVP_Digest(text.p, text.n, sum, NULL, EVP_sha256(), NULL);
	buf_add_str(out, "sum ");
	for (size_t i = 0; i < sizeof(sum); i++)
		buf_addf(out, "%02x", sum[i]);
	buf_add_byte(out, '\n');
}

/* Take the sum off the end of *text, if it is right. */
static bool take_sum(struct bytes *text)
{
	struct buf sum = BUF_INIT(SUM_LINE);
	struct bytes body;
	bool ok;

	if (text->n < SUM_LINE)
		return false;
	body = bytes_from(text->p, text->n - SUM_LINE);
	add_sum(body, &sum);
	ok = bytes_equal(bytes_skip(*text, body.n), buf_bytes(&sum));
	buf_release(&sum);
	*text = body;
	return ok;
}

static bool take_tip(struct bytes *text, const uint8_t tip[LAYOUT_ID_SIZE])
{
	char hex[LAYOUT_HEX_SIZE];

	layout_hex(tip, hex);
	return text_take(text, "tip ") && text_take(text, hex) && text_take(text, "\n");
}

static bool take_mailbox(struct bytes *text, struct bytes *dir, struct bytes *mailbox)
{
	uint64_t n;

	if (!text_take(text, "mailbox ") || !text_take_number(text, SIZE_MAX, &n) ||
	    !text_take(text, " ") || !text_take_until(text, '\n', dir) || text_has_control(*dir) ||
	    n > text->n)
		return false;
	*mailbox = bytes_from(text->p, (size_t)n);
	*text = bytes_skip(*text, (size_t)n);
	return true;
}

/* Whoever can write the file can write its sum, too. */
static bool is_sound(struct bytes text)
{
	struct bytes last = { 0 }, dir, mailbox;

	while (text.n > 0) {
		if (!take_mailbox(&text, &dir, &mailbox) || bytes_compare(last, dir) >= 0)
			return false;
		last = dir;
	}
	return true;
}

bool tokens_reader_init(struct tokens_reader *r, struct bytes text,
			const uint8_t tip[LAYOUT_ID_SIZE])
{
	r->rest = (struct bytes){ 0 };
	if (!take_sum(&text) || !text_take(&text, MAGIC) || !take_tip(&text, tip) ||
	    !is_sound(text))
		return false;
	r->rest = text;
	return true;
}

bool tokens_next(struct tokens_reader *r, struct bytes *dir, struct bytes *mailbox)
{
	return r->rest.n > 0 && take_mailbox(&r->rest, dir, mailbox);
}

void tokens_begin(struct buf *out, const uint8_t tip[LAYOUT_ID_SIZE])
{
	char hex[LAYOUT_HEX_SIZE];

	layout_hex(tip, hex);
	buf_add_str(out, MAGIC "tip ");
	buf_add_str(out, hex);
	buf_add_byte(out, '\n');
}

void tokens_add(struct buf *out, const char *dir, struct bytes mailbox)
{
	buf_add_str(out, "mailbox ");
	text_add_number(mailbox.n, out);
	buf_add_byte(out, ' ');
	buf_add_str(out, dir);
	buf_add_byte(out, '\n');
	buf_add(out, mailbox);
}

void tokens_end(struct buf *out)
{
	add_sum(buf_bytes(out), out);
}
