#include "core/mail/flags.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

static const struct {
	enum flag_bit bit;
	const char *name;
} system_flags[] = {
	{ FLAG_SEEN, "\\Seen" },       { FLAG_ANSWERED, "\\Answered" },
	{ FLAG_FLAGGED, "\\Flagged" }, { FLAG_DELETED, "\\Deleted" },
	{ FLAG_DRAFT, "\\Draft" },
};

#define SYSTEM_FLAGS (sizeof(system_flags) / sizeof(system_flags[0]))

void flags_init(struct flags *f)
{
	*f = (struct flags)FLAGS_INIT;
}

void flags_release(struct flags *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->keywords[i]);
	free(f->keywords);
	flags_init(f);
}

void flags_copy(struct flags *dst, const struct flags *src)
{
	struct flags copy = { .bits = src->bits, .count = src->count, .cap = src->count };

	if (copy.count > 0)
		copy.keywords = xcalloc(copy.count, sizeof(*copy.keywords));
	for (size_t i = 0; i < copy.count; i++)
		copy.keywords[i] = xstrdup(src->keywords[i]);
	flags_release(dst);
	*dst = copy;
}

static int compare_nocase(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		int d = ascii_lower(a.p[i]) - ascii_lower(b.p[i]);

		if (d)
			return d;
	}
	return (a.n > b.n) - (a.n < b.n);
}

int flags_compare(const struct flags *a, const struct flags *b)
{
	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		int d = compare_nocase(bytes_of(a->keywords[i]), bytes_of(b->keywords[i]));

		if (d)
			return d;
	}
	return (a->count > b->count) - (a->count < b->count);
}

bool flags_equal(const struct flags *a, const struct flags *b)
{
	return a->count == b->count && flags_compare(a, b) == 0;
}

bool flags_is_empty(const struct flags *f)
{
	return f->bits == 0 && f->count == 0;
}

/* Where `keyword` is, or would go. */
static size_t find(const struct flags *f, struct bytes keyword, bool *found)
{
	size_t lo = 0, hi = f->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = compare_nocase(bytes_of(f->keywords[mid]), keyword);

		if (d == 0) {
			*found = true;
			return mid;
		}
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = false;
	return lo;
}

static unsigned system_bit(struct bytes flag)
{
	for (size_t i = 0; i < SYSTEM_FLAGS; i++)
		if (bytes_is_nocase(flag, system_flags[i].name))
			return system_flags[i].bit;
	return 0;
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

static bool is_keepable(struct bytes flag)
{
	if (flag.n == 0 || bytes_is(flag, "\\") || bytes_is(flag, "\\*") ||
	    bytes_is_nocase(flag, "\\Recent"))
		return false;
	for (size_t i = 0; i < flag.n; i++)
		if (is_control(flag.p[i]))
			return false;
	return true;
}

bool flags_add(struct flags *f, struct bytes flag)
{
	unsigned bit = system_bit(flag);
	bool found;
	size_t at;

	f->bits |= bit;
	if (bit)
		return true;
	if (!is_keepable(flag))
		return false;
	at = find(f, flag, &found);
	if (found)
		return true;
	f->keywords = xgrow(f->keywords, f->count, &f->cap, sizeof(*f->keywords));
	memmove(f->keywords + at + 1, f->keywords + at,
		(f->count - at) * sizeof(*f->keywords));
	f->keywords[at] = bytes_dup(flag);
	f->count++;
	return true;
}

bool flags_remove(struct flags *f, struct bytes flag)
{
	unsigned bit = system_bit(flag);
	bool found;
	size_t at;

	if (bit) {
		found = (f->bits & bit) != 0;
		f->bits &= ~bit;
		return found;
	}
	at = find(f, flag, &found);
	if (!found)
		return false;
	free(f->keywords[at]);
	f->count--;
	memmove(f->keywords + at, f->keywords + at + 1,
		(f->count - at) * sizeof(*f->keywords));
	return true;
}

bool flags_has(const struct flags *f, struct bytes flag)
{
	unsigned bit = system_bit(flag);
	bool found;

	if (bit)
		return (f->bits & bit) != 0;
	find(f, flag, &found);
	return found;
}

void flags_add_all(struct flags *f, const struct flags *add)
{
	f->bits |= add->bits;
	for (size_t i = 0; i < add->count; i++)
		flags_add(f, bytes_of(add->keywords[i]));
}

void flags_remove_all(struct flags *f, const struct flags *remove)
{
	assert(f != remove);
	f->bits &= ~remove->bits;
	for (size_t i = 0; i < remove->count; i++)
		flags_remove(f, bytes_of(remove->keywords[i]));
}

static bool needs_quotes(const char *keyword)
{
	return strpbrk(keyword, " \"()") || strchr(keyword + 1, '\\');
}

static void add_quoted(struct buf *out, const char *keyword)
{
	buf_add_byte(out, '"');
	for (; *keyword; keyword++) {
		if (*keyword == '"' || *keyword == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, (uint8_t)*keyword);
	}
	buf_add_byte(out, '"');
}

/* RFC 3501 ATOM-CHAR, and `]`; a backslash only in front. */
static bool fits_atom(const char *keyword)
{
	for (const char *s = keyword[0] == '\\' ? keyword + 1 : keyword; *s; s++)
		if ((uint8_t)*s > 0x7e || strchr(" (){%*\"\\", *s))
			return false;
	return true;
}

static void add_system_flags(unsigned bits, struct buf *out, const char **space)
{
	for (size_t i = 0; i < SYSTEM_FLAGS; i++)
		if (bits & system_flags[i].bit) {
			buf_addf(out, "%s%s", *space, system_flags[i].name);
			*space = " ";
		}
}

void flags_format(const struct flags *f, struct buf *out)
{
	const char *space = "";

	add_system_flags(f->bits, out, &space);
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, space);
		if (needs_quotes(f->keywords[i]))
			add_quoted(out, f->keywords[i]);
		else
			buf_add_str(out, f->keywords[i]);
		space = " ";
	}
}

size_t flags_format_imap(const struct flags *f, struct buf *out)
{
	const char *space = "";
	size_t left_out = 0;

	add_system_flags(f->bits, out, &space);
	for (size_t i = 0; i < f->count; i++) {
		if (!fits_atom(f->keywords[i])) {
			left_out++;
			continue;
		}
		buf_addf(out, "%s%s", space, f->keywords[i]);
		space = " ";
	}
	return left_out;
}

/* Take one flag, quoted or not, off the front of *text. */
static bool add_next(struct flags *f, struct bytes *text)
{
	struct buf word;
	bool quoted = text->p[0] == '"', closed = !quoted, ok;
	size_t i = quoted ? 1 : 0;

	buf_init(&word, text->n);
	for (; i < text->n; i++) {
		uint8_t c = text->p[i];

		if (quoted && c == '"') {
			closed = true;
			i++;
			break;
		}
		if (!quoted && c == ' ')
			break;
		if (quoted && c == '\\' && i + 1 < text->n)
			c = text->p[++i];
		buf_add_byte(&word, c);
	}
	*text = bytes_skip(*text, i);
	ok = closed && flags_add(f, buf_bytes(&word));
	buf_release(&word);
	return ok;
}

bool flags_add_list(struct flags *f, struct bytes text)
{
	bool all = true;

	if (text.n >= 2 && text.p[0] == '(' && text.p[text.n - 1] == ')')
		text = bytes_from(text.p + 1, text.n - 2);
	while (text.n > 0) {
		if (text.p[0] == ' ')
			text = bytes_skip(text, 1);
		else if (!add_next(f, &text))
			all = false;
	}
	return all;
}

void flags_diff(const struct flags *from, const struct flags *to, struct flags *add,
		struct flags *remove)
{
	struct flags more = FLAGS_INIT, less = FLAGS_INIT;

	flags_copy(&more, to);
	flags_remove_all(&more, from);
	flags_copy(&less, from);
	flags_remove_all(&less, to);
	flags_release(add);
	flags_release(remove);
	*add = more;
	*remove = less;
}

void flags_merge(const struct flags *base, const struct flags *a, const struct flags *b,
		 struct flags *out)
{
	struct flags result = FLAGS_INIT, add = FLAGS_INIT, remove = FLAGS_INIT;

	flags_copy(&result, a);
	flags_diff(base, b, &add, &remove);
	flags_add_all(&result, &add);
	flags_remove_all(&result, &remove);
	flags_release(&add);
	flags_release(&remove);
	flags_release(out);
	*out = result;
}
