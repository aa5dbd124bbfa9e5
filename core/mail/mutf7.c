#include "core/mail/mutf7.h"

#include "core/base/buf.h"
#include "core/base/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* Base64 in the making: the lowest `bits` bits of `acc` are still to be written or read. */
struct shift {
	uint32_t acc;
	unsigned bits;
};

static void put_unit(struct shift *s, uint32_t unit, struct buf *out)
{
	s->acc = s->acc << 16 | unit;
	s->bits += 16;
	while (s->bits >= 6) {
		s->bits -= 6;
		buf_add_byte(out, (uint8_t)alphabet[s->acc >> s->bits & 63]);
	}
}

/* Encode the run of characters at the front of *in that must be shifted. */
static bool encode_run(struct bytes *in, struct buf *out)
{
	struct shift s = { 0 };

	buf_add_byte(out, '&');
	while (in->n > 0) {
		uint32_t c;
		size_t n = utf8_decode(*in, &c);

		if (n == 0)
			return false;
		if (is_direct(c))
			break;
		if (c >= 0x10000) {
			put_unit(&s, 0xd800 + ((c - 0x10000) >> 10), out);
			put_unit(&s, 0xdc00 + ((c - 0x10000) & 0x3ff), out);
		} else {
			put_unit(&s, c, out);
		}
		*in = bytes_skip(*in, n);
	}
	if (s.bits > 0)
		buf_add_byte(out, (uint8_t)alphabet[s.acc << (6 - s.bits) & 63]);
	buf_add_byte(out, '-');
	return true;
}

bool mutf7_encode(struct bytes in, struct buf *out)
{
	struct buf text;
	bool ok = true;

	buf_init(&text, in.n * MUTF7_GROWTH);
	while (ok && in.n > 0) {
		if (!is_direct(in.p[0])) {
			ok = encode_run(&in, &text);
			continue;
		}
		buf_add_byte(&text, in.p[0]);
		if (in.p[0] == '&')
			buf_add_byte(&text, '-');
		in = bytes_skip(in, 1);
	}
	ok = ok && !text.overflow && buf_add(out, buf_bytes(&text));
	buf_release(&text);
	return ok;
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static void add_char(uint32_t c, struct buf *out)
{
	uint8_t text[4];
	size_t n = utf8_encode(c, text);

	buf_add(out, bytes_from(text, n));
}

/* One UTF-16 unit; *high waits for its other half when not 0. */
static bool take_unit(uint32_t unit, uint32_t *high, struct buf *out)
{
	bool is_low = unit >= 0xdc00 && unit <= 0xdfff;

	if (is_low != (*high != 0) || is_direct(unit))
		return false;
	if (is_low) {
		add_char(0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00), out);
		*high = 0;
	} else if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
	} else {
		add_char(unit, out);
	}
	return true;
}

/* The base64 after `&` up to and with the closing `-`. */
static bool decode_run(struct bytes *in, struct buf *out)
{
	struct shift s = { 0 };
	uint32_t high = 0;
	size_t i = 0;

	for (; i < in->n && in->p[i] != '-'; i++) {
		int v = base64_value(in->p[i]);

		if (v < 0)
			return false;
		s.acc = s.acc << 6 | (uint32_t)v;
		s.bits += 6;
		if (s.bits >= 16) {
			s.bits -= 16;
			if (!take_unit(s.acc >> s.bits & 0xffff, &high, out))
				return false;
		}
	}
	/* The padding is shorter than one base64 character, and zero. */
	if (i == in->n || high || s.bits >= 6 || (s.acc & ((1u << s.bits) - 1)))
		return false;
	*in = bytes_skip(*in, i + 1);
	return true;
}

static bool decode(struct bytes in, struct buf *text)
{
	bool shifted = false; /* a shift has just ended: another one would be superfluous */

	while (in.n > 0) {
		uint8_t c = in.p[0];

		if (!is_direct(c))
			return false;
		in = bytes_skip(in, 1);
		if (c != '&') {
			buf_add_byte(text, c);
			shifted = false;
		} else if (in.n > 0 && in.p[0] == '-') {
			buf_add_byte(text, '&');
			in = bytes_skip(in, 1);
			shifted = false;
		} else if (shifted || !decode_run(&in, text)) {
			return false;
		} else {
			shifted = true;
		}
	}
	return true;
}

bool mutf7_decode(struct bytes in, struct buf *out)
{
	struct buf text;
	bool ok;

	buf_init(&text, in.n); /* decoding never makes it longer */
	ok = decode(in, &text) && !text.overflow && buf_add(out, buf_bytes(&text));
	buf_release(&text);
	return ok;
}
