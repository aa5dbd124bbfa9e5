#include "core/mail/maildate.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/mem.h"

#define DAY 86400
#define ZONE_MAX (23 * 60 + 59)
/* 0000-01-01 00:00:00 and 9999-12-31 23:59:59, local time. */
#define FIRST_SECOND INT64_C(-62167219200)
#define LAST_SECOND INT64_C(253402300799)

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct civil {
	int64_t year;
	int month, day; /* 1 to 12, 1 to 31 */
	int hour, minute, second;
};

void maildate_init(struct maildate *d)
{
	*d = (struct maildate){ 0 };
}

void maildate_release(struct maildate *d)
{
	free(d->raw);
	maildate_init(d);
}

void maildate_copy(struct maildate *dst, const struct maildate *src)
{
	struct maildate copy = *src;

	if (src->raw)
		copy.raw = xstrdup(src->raw);
	maildate_release(dst);
	*dst = copy;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Days since 1970-01-01 of the proleptic Gregorian calendar. Years are counted from March, so
 * that the leap day is the last of its year; 153 days are five months from March on, in any
 * row.
 */
static int64_t days_of(const struct civil *c)
{
	int64_t year = c->month > 2 ? c->year : c->year - 1;
	int64_t era = floor_div(year, 400), of_era = year - era * 400;
	int month = (c->month + 9) % 12;
	int64_t day = (153 * month + 2) / 5 + c->day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

static int64_t seconds_of(const struct civil *c)
{
	return days_of(c) * DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

static struct civil civil_of(int64_t seconds)
{
	int64_t days = floor_div(seconds, DAY) + 719468;
	int of_day = (int)(seconds - floor_div(seconds, DAY) * DAY);
	int64_t era = floor_div(days, 146097), of_era = days - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int day = (int)(of_era - (365 * year + year / 4 - year / 100));
	int month = (5 * day + 2) / 153;

	return (struct civil){
		.year = year + era * 400 + (month >= 10),
		.month = (month + 2) % 12 + 1,
		.day = day - (153 * month + 2) / 5 + 1,
		.hour = of_day / 3600,
		.minute = of_day / 60 % 60,
		.second = of_day % 60,
	};
}

static bool take(struct bytes *in, uint8_t c)
{
	if (in->n == 0 || in->p[0] != c)
		return false;
	*in = bytes_skip(*in, 1);
	return true;
}

static void take_blanks(struct bytes *in)
{
	while (take(in, ' '))
		;
}

/* At least one digit, at most `most`; more are a failure. */
static bool take_number(struct bytes *in, size_t most, int64_t *out)
{
	size_t n = 0;

	*out = 0;
	while (n < in->n && ascii_is_digit(in->p[n]))
		n++;
	if (n == 0 || n > most)
		return false;
	for (size_t i = 0; i < n; i++)
		*out = *out * 10 + (in->p[i] - '0');
	*in = bytes_skip(*in, n);
	return true;
}

static bool take_below(struct bytes *in, int limit, int *out)
{
	int64_t v;

	if (!take_number(in, 2, &v) || v >= limit)
		return false;
	*out = (int)v;
	return true;
}

static bool take_month(struct bytes *in, int *out)
{
	for (int i = 0; i < 12 && in->n >= 3; i++)
		if (bytes_equal_nocase(bytes_from(in->p, 3), bytes_of(months[i]))) {
			*out = i + 1;
			*in = bytes_skip(*in, 3);
			return true;
		}
	return false;
}

static bool take_date(struct bytes *in, struct civil *c)
{
	take_blanks(in);
	if (!take_below(in, 32, &c->day) || c->day == 0 || !(take(in, '-') || take(in, ' ')) ||
	    !take_month(in, &c->month) || !(take(in, '-') || take(in, ' ')))
		return false;
	return take_number(in, 9, &c->year);
}

static bool take_time(struct bytes *in, struct civil *c)
{
	take_blanks(in);
	return take_below(in, 24, &c->hour) && take(in, ':') && take_below(in, 60, &c->minute) &&
	       take(in, ':') && take_below(in, 61, &c->second);
}

/* 0, the best guess, when it is missing, odd or out of range. */
static int take_zone(struct bytes *in)
{
	size_t before;
	bool west;
	int64_t v;

	take_blanks(in);
	west = take(in, '-');
	if (!west && !take(in, '+'))
		return 0;
	before = in->n;
	if (!take_number(in, 4, &v) || before - in->n != 4 || v % 100 > 59)
		return 0;
	v = v / 100 * 60 + v % 100;
	if (v > ZONE_MAX)
		return 0;
	return west ? -(int)v : (int)v;
}

static void add_date_time(const struct maildate *d, struct buf *out)
{
	struct civil c = civil_of(d->unix_time + d->zone_minutes * 60);
	int zone = abs(d->zone_minutes);

	buf_addf(out, "%2d-%s-%04lld %02d:%02d:%02d %c%02d%02d", c.day, months[c.month - 1],
		 (long long)c.year, c.hour, c.minute, c.second, d->zone_minutes < 0 ? '-' : '+',
		 zone / 60, zone % 60);
}

static bool is_sayable(const struct maildate *d)
{
	int64_t local = d->unix_time + d->zone_minutes * 60;

	return local >= FIRST_SECOND && local <= LAST_SECOND;
}

/* Would maildate_format() without raw text give `text`? */
static bool is_canonical(const struct maildate *d, struct bytes text)
{
	struct buf again = BUF_INIT(MAILDATE_RAW_MAX);
	bool same;

	if (d->known && !is_sayable(d))
		return false;
	maildate_format(d, &again);
	same = bytes_equal(buf_bytes(&again), text);
	buf_release(&again);
	return same;
}

bool maildate_parse(struct maildate *d, struct bytes text)
{
	struct civil c;
	struct bytes in;

	text.n = text.n > MAILDATE_RAW_MAX ? MAILDATE_RAW_MAX : text.n;
	if (text.n > 0)
		text.n = strnlen((const char *)text.p, text.n);
	in = text;
	maildate_release(d);
	if (take_date(&in, &c) && take_time(&in, &c)) {
		d->known = true;
		d->zone_minutes = take_zone(&in);
		d->unix_time = seconds_of(&c) - d->zone_minutes * 60;
	}
	if (!is_canonical(d, text))
		d->raw = bytes_dup(text);
	return d->known;
}

/* Into the years that four digits can say, in the date's own zone. */
static void clamp(struct maildate *d)
{
	int64_t first = FIRST_SECOND - d->zone_minutes * 60;
	int64_t last = LAST_SECOND - d->zone_minutes * 60;

	if (d->unix_time < first)
		d->unix_time = first;
	if (d->unix_time > last)
		d->unix_time = last;
}

void maildate_set(struct maildate *d, int64_t unix_time, int zone_minutes)
{
	maildate_release(d);
	d->known = true;
	d->unix_time = unix_time;
	d->zone_minutes = zone_minutes < -ZONE_MAX  ? -ZONE_MAX
			  : zone_minutes > ZONE_MAX ? ZONE_MAX
						    : zone_minutes;
	clamp(d);
}

void maildate_format(const struct maildate *d, struct buf *out)
{
	if (d->raw)
		buf_add_str(out, d->raw);
	else if (d->known)
		add_date_time(d, out);
	else
		buf_add_str(out, "NIL");
}

bool maildate_format_append(const struct maildate *d, struct buf *out)
{
	struct maildate plain = *d;

	if (!d->known)
		return false;
	clamp(&plain);
	add_date_time(&plain, out);
	return true;
}

/* Exactly `n` digits and the mark that follows them. */
static char *put_digits(char *p, int n, int v, char mark)
{
	p[n] = mark;
	for (int i = n - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n + 1;
}

/* By hand: an archive writes one for every message. */
bool maildate_format_rfc3339(const struct maildate *d, struct buf *out)
{
	char text[] = "1994-02-07T21:52:25-08:00", *p = text;
	int zone = abs(d->zone_minutes);
	struct civil c;
	bool short_year;

	if (!d->known)
		return false;
	c = civil_of(d->unix_time + d->zone_minutes * 60);
	short_year = c.year >= 0 && c.year <= 9999;
	p = put_digits(p, 4, short_year ? (int)c.year : 0, '-');
	p = put_digits(p, 2, c.month, '-');
	p = put_digits(p, 2, c.day, 'T');
	p = put_digits(p, 2, c.hour, ':');
	p = put_digits(p, 2, c.minute, ':');
	p = put_digits(p, 2, c.second, d->zone_minutes < 0 ? '-' : '+');
	p = put_digits(p, 2, zone / 60, ':');
	put_digits(p, 2, zone % 60, '\0');
	if (!short_year)
		buf_addf(out, "%04lld", (long long)c.year);
	buf_add_str(out, short_year ? text : text + 4);
	return true;
}

/* `n` digits and nothing else. */
static bool read_digits(const uint8_t *p, int n, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		if (!ascii_is_digit(p[i]))
			return false;
		*out = *out * 10 + (p[i] - '0');
	}
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* `1994-02-07T21:52:25`, 19 bytes. */
static bool read_local(const uint8_t *p, struct civil *c)
{
	int year;

	if (!read_digits(p, 4, &year) || p[4] != '-' || !read_digits(p + 5, 2, &c->month) ||
	    p[7] != '-' || !read_digits(p + 8, 2, &c->day) || p[10] != 'T' ||
	    !read_digits(p + 11, 2, &c->hour) || p[13] != ':' ||
	    !read_digits(p + 14, 2, &c->minute) || p[16] != ':' ||
	    !read_digits(p + 17, 2, &c->second))
		return false;
	c->year = year;
	return c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= days_in_month(year, c->month) && c->hour < 24 && c->minute < 60 &&
	       c->second < 60;
}

/* `-08:00`, 6 bytes; `-00:00` is never written. */
static bool read_zone(const uint8_t *p, int *zone)
{
	int hour, minute;

	if ((p[0] != '+' && p[0] != '-') || !read_digits(p + 1, 2, &hour) || p[3] != ':' ||
	    !read_digits(p + 4, 2, &minute) || hour > 23 || minute > 59)
		return false;
	*zone = hour * 60 + minute;
	if (p[0] == '-' && *zone == 0)
		return false;
	if (p[0] == '-')
		*zone = -*zone;
	return true;
}

bool maildate_parse_rfc3339(struct maildate *d, struct bytes text)
{
	struct civil c;
	int zone;

	if (text.n != sizeof("1994-02-07T21:52:25-08:00") - 1 || !read_local(text.p, &c) ||
	    !read_zone(text.p + 19, &zone))
		return false;
	maildate_release(d);
	d->known = true;
	d->zone_minutes = zone;
	d->unix_time = seconds_of(&c) - zone * 60;
	return true;
}

bool maildate_equal(const struct maildate *a, const struct maildate *b)
{
	if (a->known != b->known || !a->raw != !b->raw)
		return false;
	return a->unix_time == b->unix_time && a->zone_minutes == b->zone_minutes &&
	       (!a->raw || strcmp(a->raw, b->raw) == 0);
}
