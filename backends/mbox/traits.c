#include "backends/mbox/traits.h"

#include <stdlib.h>

#include "backends/mbox/dates.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/header.h"

enum field { STATUS, X_STATUS, X_KEYWORDS, X_MOZILLA_STATUS, CONTENT_LENGTH, DATE, FIELDS };

static const char *const names[FIELDS] = { "Status", "X-Status", "X-Keywords", "X-Mozilla-Status",
					   "Content-Length", "Date" };

struct traits {
	struct header_reader *header;
};

struct traits *traits_new(void)
{
	struct traits *t = xcalloc(1, sizeof(*t));

	t->header = header_reader_new(names, FIELDS);
	return t;
}

void traits_free(struct traits *t)
{
	if (!t)
		return;
	header_reader_free(t->header);
	free(t);
}

void traits_reset(struct traits *t)
{
	header_reader_reset(t->header);
}

bool traits_feed(struct traits *t, struct bytes piece)
{
	return header_reader_feed(t->header, piece) == HEADER_MORE;
}

void traits_end(struct traits *t)
{
	header_reader_finish(t->header);
}

static void add_letters(struct flags *out, struct bytes letters)
{
	for (size_t i = 0; i < letters.n; i++)
		switch (letters.p[i]) {
		case 'R':
			out->bits |= FLAG_SEEN;
			break;
		case 'A':
			out->bits |= FLAG_ANSWERED;
			break;
		case 'F':
			out->bits |= FLAG_FLAGGED;
			break;
		case 'T':
			out->bits |= FLAG_DRAFT;
			break;
		case 'D':
			out->bits |= FLAG_DELETED;
			break;
		default: /* O: it was there before */
			break;
		}
}

/* Four hexadecimal digits. */
static void add_mozilla(struct flags *out, struct bytes digits)
{
	static const struct {
		unsigned long bit;
		unsigned flag;
	} bits[] = { { 0x1, FLAG_SEEN },
		     { 0x2, FLAG_ANSWERED },
		     { 0x4, FLAG_FLAGGED },
		     { 0x8, FLAG_DELETED } };
	char text[8] = "";
	unsigned long n;
	char *end;

	if (digits.n != 4)
		return;
	memcpy(text, digits.p, 4);
	n = strtoul(text, &end, 16);
	for (size_t i = 0; *end == '\0' && i < sizeof(bits) / sizeof(bits[0]); i++)
		if (n & bits[i].bit)
			out->bits |= bits[i].flag;
}

static void add_keywords(struct flags *out, struct bytes words)
{
	while (words.n > 0) {
		const uint8_t *blank = memchr(words.p, ' ', words.n);
		size_t n = blank ? (size_t)(blank - words.p) : words.n;

		if (n > 0 && *words.p != '\\') /* a flag that means something stands elsewhere */
			flags_add(out, bytes_from(words.p, n));
		words = bytes_skip(words, blank ? n + 1 : n);
	}
}

void traits_flags(const struct traits *t, struct flags *out)
{
	add_letters(out, header_reader_value(t->header, STATUS));
	add_letters(out, header_reader_value(t->header, X_STATUS));
	add_mozilla(out, header_reader_value(t->header, X_MOZILLA_STATUS));
	add_keywords(out, header_reader_value(t->header, X_KEYWORDS));
}

bool traits_length(const struct traits *t, uint64_t *out)
{
	return bytes_to_u64(header_reader_value(t->header, CONTENT_LENGTH), out);
}

bool traits_date(const struct traits *t, struct maildate *out)
{
	return date_of_header(header_reader_value(t->header, DATE), out);
}
