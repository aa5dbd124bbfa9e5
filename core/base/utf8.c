#include "core/base/utf8.h"

size_t utf8_decode(struct bytes in, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = in.p[0];
	size_t n;
	uint32_t v;

	if (first < 0x80) {
		*c = first;
		return 1;
	}
	n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || in.n < n)
		return 0;
	v = first & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((in.p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (in.p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*c = v;
	return n;
}

size_t utf8_encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

bool utf8_is_valid(struct bytes in)
{
	uint32_t c;

	while (in.n > 0) {
		size_t n = utf8_decode(in, &c);

		if (n == 0)
			return false;
		in = bytes_skip(in, n);
	}
	return true;
}
