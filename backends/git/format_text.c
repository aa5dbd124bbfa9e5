#include "backends/git/format_text.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/text_line.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define MAGIC "mailcask archive"

void format_text_init(struct format_text *f)
{
	*f = (struct format_text){ 0 };
}

void format_text_release(struct format_text *f)
{
	free(f->account);
	free(f->extra);
	format_text_init(f);
}

/* `01234567-89ab-…`, in lower case. */
static bool is_uuid(struct bytes in)
{
	if (in.n != sizeof("01234567-89ab-cdef-0123-456789abcdef") - 1)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? in.p[i] != '-'
			 : !ascii_is_digit(in.p[i]) && !(in.p[i] >= 'a' && in.p[i] <= 'f'))
			return false;
	}
	return true;
}

static const char *read_uuid(struct bytes in, struct format_text *f)
{
	if (!is_uuid(in))
		return "not a UUID";
	if (f->uuid[0])
		return "a second UUID";
	memcpy(f->uuid, in.p, in.n);
	return NULL;
}

static const char *read_account(struct bytes in, struct format_text *f)
{
	struct buf account = BUF_INIT(in.n);

	if (f->account)
		return "a second account";
	if (text_unescaped_size(in) == SIZE_MAX)
		return "not escaped as it should be";
	text_unescape(in, &account);
	f->account = buf_take(&account);
	return NULL;
}

static const char *read_line(struct bytes line, struct format_text *f, struct buf *extra)
{
	struct bytes in = line, key;

	if (!text_take_until(&in, ' ', &key) || !text_is_word(key) || text_has_control(in))
		return "not a key and a value";
	if (bytes_is(key, "uuid"))
		return read_uuid(in, f);
	if (bytes_is(key, "account"))
		return read_account(in, f);
	if (bytes_is(key, "version"))
		return "a second version";
	buf_add(extra, line);
	buf_add_byte(extra, '\n');
	return NULL;
}

static int read_rest(struct bytes text, struct format_text *f, struct err *err)
{
	struct buf extra = BUF_INIT(text.n);
	size_t number = 2; /* lines before */
	struct bytes line;
	int rc;

	while ((rc = text_line(&text, &number, &line, err)) > 0) {
		const char *wrong = read_line(line, f, &extra);

		if (wrong) {
			rc = text_fail(number, wrong, line, err);
			break;
		}
	}
	if (rc == 0 && extra.n > 0)
		f->extra = buf_take(&extra);
	buf_release(&extra);
	if (rc == 0 && !f->uuid[0])
		return err_set(err, ERR_FATAL, "no line `uuid`");
	return rc;
}

enum format_result format_text_read(struct bytes text, struct format_text *out, struct err *err)
{
	struct format_text f;
	struct bytes line;
	uint64_t version;

	format_text_release(out);
	if (!text_take(&text, MAGIC "\n"))
		return FORMAT_FOREIGN;
	if (!text_take_until(&text, '\n', &line))
		line = text;
	if (!text_take(&line, "version ") || !text_number(line, UINT32_MAX, &version) ||
	    version == 0) {
		text_fail(2, "not a version", line, err);
		return FORMAT_DAMAGED;
	}
	if (version > FORMAT_VERSION) {
		out->version = (uint32_t)version;
		return FORMAT_NEWER;
	}
	format_text_init(&f);
	f.version = (uint32_t)version;
	if (read_rest(text, &f, err) < 0) {
		format_text_release(&f);
		return FORMAT_DAMAGED;
	}
	*out = f;
	return FORMAT_OURS;
}

void format_text_write(const struct format_text *f, struct buf *out)
{
	buf_add_str(out, MAGIC "\nversion ");
	text_add_number(FORMAT_VERSION, out);
	buf_add_str(out, "\nuuid ");
	buf_add_str(out, f->uuid);
	if (f->account) {
		buf_add_str(out, "\naccount ");
		text_escape(bytes_of(f->account), 0, out);
	}
	buf_add_byte(out, '\n');
	if (f->extra)
		buf_add_str(out, f->extra);
}
