/* Decoding and encoding are exact inverses; any bytes are a mailbox name that comes back. */
#include <stdint.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/utf8.h"
#include "core/mail/mailbox_name.h"
#include "core/mail/mutf7.h"

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void check_codec(struct bytes in)
{
	struct buf out, back;

	buf_init(&out, in.n * MUTF7_GROWTH);
	buf_init(&back, in.n * MUTF7_GROWTH);
	if (mutf7_decode(in, &out)) {
		must(utf8_is_valid(buf_bytes(&out)));
		must(mutf7_encode(buf_bytes(&out), &back) && bytes_equal(buf_bytes(&back), in));
	}
	buf_clear(&out);
	buf_clear(&back);
	if (mutf7_encode(in, &out))
		must(mutf7_decode(buf_bytes(&out), &back) && bytes_equal(buf_bytes(&back), in));
	else
		must(!utf8_is_valid(in));
	buf_release(&out);
	buf_release(&back);
}

static void check_name(struct bytes wire, uint8_t delimiter, bool utf8)
{
	struct mailbox_name m = MAILBOX_NAME_INIT, again = MAILBOX_NAME_INIT;
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	struct err err;
	char *text;

	mailbox_name_from_wire(&m, wire, delimiter, utf8);
	text = mailbox_name_text(&m);
	must(mailbox_name_from_display(&again, bytes_of(text), &err) == 0);
	must(mailbox_name_equal(&m, &again));
	must(mailbox_name_to_wire(&again, delimiter, utf8, &out, &err) == 0);
	must(bytes_starts_nocase(wire, "inbox") || bytes_equal(buf_bytes(&out), wire));
	free(text);
	buf_release(&out);
	mailbox_name_release(&m);
	mailbox_name_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_from(data, size);

	check_codec(in);
	check_name(in, '/', false);
	check_name(in, '.', true);
	if (size > 0)
		check_name(bytes_skip(in, 1), data[0], data[0] & 1);
	return 0;
}
