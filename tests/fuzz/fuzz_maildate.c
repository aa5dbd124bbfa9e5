/* What was parsed comes back, and the clean form parses to the same moment. */
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
	buf_release(&text);
	maildate_release(&again);
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
	buf_release(&text);
	maildate_release(&d);
	return 0;
}
