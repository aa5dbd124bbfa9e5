/*
 * Names from a hostile server and from a person: what came from the wire goes back to it as it
 * came, what is displayed names the same mailbox, and no two wire names become one. The first byte
 * is the delimiter and the mode.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/utf8.h"
#include "core/mail/mailbox_name.h"

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void check_components(const struct mailbox_name *m)
{
	must(m->count > 0);
	for (size_t i = 0; i < m->count; i++)
		must(utf8_is_valid(bytes_of(m->components[i])));
}

/* The same name without its wire form, as a store gives it back, is spelled the same. */
static void check_wire(const struct mailbox_name *m, struct bytes wire, uint8_t delimiter,
		       bool utf8)
{
	struct mailbox_name again = MAILBOX_NAME_INIT;
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	struct err err;

	must(mailbox_name_to_wire(m, delimiter, utf8, &out, &err) == 0);
	must(bytes_equal(buf_bytes(&out), wire));
	must(mailbox_name_from_components(&again, (const char *const *)m->components, m->count,
					  &err) == 0);
	must(mailbox_name_equal(m, &again) && mailbox_name_compare(m, &again) == 0 &&
	     mailbox_name_hash(m) == mailbox_name_hash(&again));
	buf_clear(&out);
	must(mailbox_name_to_wire(&again, delimiter, utf8, &out, &err) == 0);
	must(mailbox_name_is_inbox(m) || bytes_starts_nocase(wire, "inbox") ||
	     bytes_equal(buf_bytes(&out), wire));
	mailbox_name_release(&again);
	buf_release(&out);
}

static void check_display(const struct mailbox_name *m)
{
	struct mailbox_name again = MAILBOX_NAME_INIT;
	char *text = mailbox_name_text(m), *same;
	struct err err;

	must(utf8_is_valid(bytes_of(text)));
	must(mailbox_name_from_display(&again, bytes_of(text), &err) == 0);
	must(mailbox_name_equal(m, &again));
	same = mailbox_name_text(&again);
	must(strcmp(text, same) == 0);
	must(mailbox_name_matches(m, bytes_of("*")));
	free(text);
	free(same);
	mailbox_name_release(&again);
}

static void check_distinct(const struct mailbox_name *m, struct bytes wire, uint8_t delimiter,
			   bool utf8)
{
	struct mailbox_name other = MAILBOX_NAME_INIT;
	char *copy = bytes_dup(wire);

	copy[wire.n / 2] ^= 1;
	mailbox_name_from_wire(&other, bytes_from(copy, wire.n), delimiter, utf8);
	must(!mailbox_name_equal(m, &other) || mailbox_name_equal(&other, m));
	must(!mailbox_name_equal(m, &other) || bytes_starts_nocase(wire, "inbox"));
	mailbox_name_release(&other);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mailbox_name m = MAILBOX_NAME_INIT;
	struct bytes in;
	struct err err;
	uint8_t delimiter;
	bool utf8;

	if (size < 2)
		return 0;
	in = bytes_from(data + 1, size - 1);
	delimiter = data[0] & 0x7f;
	utf8 = data[0] >> 7;
	mailbox_name_from_wire(&m, in, delimiter, utf8);
	check_components(&m);
	check_wire(&m, in, delimiter, utf8);
	check_display(&m);
	check_distinct(&m, in, delimiter, utf8);
	if (mailbox_name_from_display(&m, in, &err) == 0) {
		check_components(&m);
		check_display(&m);
	} else {
		must(err.text[0] != 0);
	}
	mailbox_name_release(&m);
	return 0;
}
