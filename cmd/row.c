#include "cmd/row.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "cmd/columns.h"
#include "cmd/imap_cli.h"

void row_add_letters(struct buf *out, const struct flags *flags)
{
	static const struct {
		unsigned bit;
		char letter;
	} letters[] = { { FLAG_SEEN, 'S' },
			{ FLAG_ANSWERED, 'A' },
			{ FLAG_FLAGGED, 'F' },
			{ FLAG_DELETED, 'D' },
			{ FLAG_DRAFT, 'T' } };
	size_t before = out->n;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (flags->bits & letters[i].bit)
			buf_add_byte(out, (uint8_t)letters[i].letter);
	if (flags->count)
		buf_add_byte(out, '+');
	if (out->n == before)
		buf_add_byte(out, '-');
	buf_addf(out, "%*s", (int)(6 - (out->n - before)), "");
}

void row_add_date(struct buf *out, const struct maildate *date)
{
	char text[32];
	time_t when = (time_t)date->unix_time;
	struct tm tm;
	char *safe;

	if (date->known && localtime_r(&when, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm) > 0) {
		columns_add(out, text, 16);
		return;
	}
	safe = escape_text(bytes_of(date->raw ? date->raw : "-"), 100);
	columns_add(out, safe, 16);
	free(safe);
}

void row_add_text(struct buf *out, char *decoded, size_t width, bool last)
{
	char *safe = escape_text(bytes_of(decoded), 1000);

	if (last)
		columns_add_last(out, safe, width);
	else
		columns_add(out, safe, width);
	free(safe);
	free(decoded);
}

void row_json_moment(json_t *event, const char *name, const struct maildate *date)
{
	struct buf text = BUF_INIT(1024);

	if (maildate_format_rfc3339(date, &text))
		json_object_set_new(event, name, json_string(buf_str(&text)));
	else if (date->raw)
		json_object_set_new(event, name, imap_json_text(bytes_of(date->raw)));
	buf_release(&text);
}
