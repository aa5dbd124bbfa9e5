#include "backends/mbox/dates.h"

#include <stdio.h>

#include "core/mail/maildate.h"

static const char *const months[12] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char *const weekdays[7] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

/* As far as it was read. */
struct moment {
	unsigned day, month, year; /* month from 1 on */
	unsigned hour, minute, second;
	int zone; /* minutes east of UTC */
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The next word; false at the end. */
static bool next_word(struct bytes *in, struct bytes *word)
{
	size_t n = 0;

	while (in->n > 0 && is_blank(*in->p))
		*in = bytes_skip(*in, 1);
	while (n < in->n && !is_blank(in->p[n]))
		n++;
	*word = bytes_from(in->p, n);
	*in = bytes_skip(*in, n);
	return n > 0;
}

/* A word that is a number of `least` to `most` digits. */
static bool is_number(struct bytes word, size_t least, size_t most, unsigned *out)
{
	uint32_t n;

	if (word.n < least || word.n > most || !bytes_to_u32(word, &n))
		return false;
	*out = n;
	return true;
}

static unsigned index_of(const char *const *names, unsigned n, struct bytes word)
{
	for (unsigned i = 0; i < n; i++)
		if (bytes_is_nocase(word, names[i]))
			return i + 1;
	return 0;
}

/* 13:05 or 13:05:09 */
static bool is_time(struct bytes word, struct moment *m)
{
	const uint8_t *colon = memchr(word.p, ':', word.n), *second;
	struct bytes rest;

	if (!colon || !is_number(bytes_from(word.p, (size_t)(colon - word.p)), 1, 2, &m->hour))
		return false;
	rest = bytes_skip(word, (size_t)(colon - word.p) + 1);
	second = rest.n ? memchr(rest.p, ':', rest.n) : NULL;
	m->second = 0;
	if (!second)
		return is_number(rest, 2, 2, &m->minute);
	return is_number(bytes_from(rest.p, (size_t)(second - rest.p)), 2, 2, &m->minute) &&
	       is_number(bytes_skip(rest, (size_t)(second - rest.p) + 1), 2, 2, &m->second);
}

/* RFC 5322, section 4.3; of other names only their owners know what they mean. */
static bool is_zone(struct bytes word, int *minutes)
{
	static const struct {
		const char *name;
		int hours;
	} known[] = { { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 }, { "MST", -7 },
		      { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 }, { "CET", 1 },  { "CEST", 2 } };
	unsigned n;

	*minutes = 0;
	if (word.n == 5 && (*word.p == '+' || *word.p == '-') &&
	    is_number(bytes_skip(word, 1), 4, 4, &n)) {
		*minutes = (int)(n / 100 * 60 + n % 100) * (*word.p == '-' ? -1 : 1);
		return n % 100 < 60 && n / 100 < 24;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (bytes_is_nocase(word, known[i].name))
			*minutes = known[i].hours * 60;
	for (size_t i = 0; i < word.n; i++)
		if (ascii_upper(word.p[i]) < 'A' || ascii_upper(word.p[i]) > 'Z')
			return false;
	return word.n >= 1 && word.n <= 5;
}

static bool is_year(struct bytes word, unsigned *year)
{
	return is_number(word, 4, 4, year);
}

static bool is_day(const struct moment *m)
{
	static const unsigned char days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = m->year % 4 == 0 && (m->year % 100 != 0 || m->year % 400 == 0);

	return m->day >= 1 && m->day <= days[m->month - 1] &&
	       (leap || m->month != 2 || m->day < 29);
}

static bool take(const struct moment *m, struct maildate *out)
{
	char text[64];
	struct maildate parsed;
	int zone = m->zone < 0 ? -m->zone : m->zone;
	bool good;

	if (!is_day(m))
		return false;
	snprintf(text, sizeof(text), "%02u-%s-%04u %02u:%02u:%02u %c%02d%02d", m->day,
		 months[m->month - 1], m->year, m->hour, m->minute,
		 m->second > 59 ? 59 : m->second, m->zone < 0 ? '-' : '+', zone / 60, zone % 60);
	maildate_init(&parsed);
	good = maildate_parse(&parsed, bytes_of(text));
	if (good)
		maildate_set(out, parsed.unix_time, parsed.zone_minutes);
	maildate_release(&parsed);
	return good;
}

/* What follows the day of the week. */
static bool read_asctime(struct bytes rest, struct moment *m)
{
	struct bytes word;

	if (!next_word(&rest, &word) || !(m->month = index_of(months, 12, word)) ||
	    !next_word(&rest, &word) || !is_number(word, 1, 2, &m->day) ||
	    !next_word(&rest, &word) || !is_time(word, m) || !next_word(&rest, &word))
		return false;
	m->zone = 0;
	if (is_year(word, &m->year)) {
		if (next_word(&rest, &word) && !is_zone(word, &m->zone))
			m->zone = 0; /* such as "remote from host" */
		return true;
	}
	return is_zone(word, &m->zone) && next_word(&rest, &word) && is_year(word, &m->year);
}

bool date_of_from_line(struct bytes line, struct maildate *out)
{
	struct bytes word;
	struct moment m;

	/* The sender may have blanks in it, and may be missing. */
	while (next_word(&line, &word))
		if (index_of(weekdays, 7, word) && read_asctime(line, &m))
			return take(&m, out);
	return false;
}

/* RFC 5322, section 4.3: years of two digits, of messages from before 2000. */
static bool is_header_year(struct bytes word, unsigned *year)
{
	if (is_year(word, year))
		return true;
	if (!is_number(word, 2, 3, year))
		return false;
	*year += word.n == 2 && *year < 50 ? 2000 : 1900;
	return true;
}

bool date_of_header(struct bytes value, struct maildate *out)
{
	const uint8_t *comma = value.n ? memchr(value.p, ',', value.n) : NULL;
	struct bytes word;
	struct moment m = { 0 };

	if (comma)
		value = bytes_skip(value, (size_t)(comma - value.p) + 1);
	if (!next_word(&value, &word) || !is_number(word, 1, 2, &m.day) ||
	    !next_word(&value, &word) || !(m.month = index_of(months, 12, word)) ||
	    !next_word(&value, &word) || !is_header_year(word, &m.year) ||
	    !next_word(&value, &word) || !is_time(word, &m))
		return false;
	if (next_word(&value, &word) && !is_zone(word, &m.zone))
		return false;
	return take(&m, out);
}
