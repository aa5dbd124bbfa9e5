/* What was parsed comes back, and the clean forms parse to the same moment. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/mail/maildate.h"

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void check_clean_form(const struct maildate *d)
{
	struct buf text = BUF_INIT(100);
	struct maildate again;

	maildate_init(&again);
	must(maildate_format_append(d, &text) && text.n == 26);
	must(maildate_parse(&again, buf_bytes(&text)) && !again.raw);
	must(again.zone_minutes == d->zone_minutes);
	/* Only years of more than four digits are moved. */
	must(again.unix_time == d->unix_time || again.unix_time > INT64_C(253402200000));
	buf_clear(&text);
	must(maildate_format_rfc3339(d, &text) && text.n >= 25);
	if (maildate_parse_rfc3339(&again, buf_bytes(&text)))
		must(again.unix_time == d->unix_time && again.zone_minutes == d->zone_minutes);
	else
		must(d->raw); /* a year that four digits cannot say */
	buf_release(&text);
	maildate_release(&again);
}

/* What is read as RFC 3339 is written so. */
static void check_rfc3339(struct bytes in)
{
	struct buf text = BUF_INIT(100);
	struct maildate d;

	maildate_init(&d);
	if (maildate_parse_rfc3339(&d, in)) {
		must(d.known && !d.raw && maildate_format_rfc3339(&d, &text));
		must(bytes_equal(buf_bytes(&text), in));
	} else {
		must(!d.known);
	}
	buf_release(&text);
	maildate_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_from(data, size);
	struct buf text = BUF_INIT(1000);
	struct maildate d;

	in.n = in.n > MAILDATE_RAW_MAX ? MAILDATE_RAW_MAX : in.n;
	if (in.n > 0)
		in.n = strnlen((const char *)data, in.n);
	maildate_init(&d);
	maildate_parse(&d, bytes_from(data, size));
	maildate_format(&d, &text);
	must(bytes_equal(buf_bytes(&text), in));
	if (d.known)
		check_clean_form(&d);
	check_rfc3339(bytes_from(data, size));
	buf_release(&text);
	maildate_release(&d);
	return 0;
}
