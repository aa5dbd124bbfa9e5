/* Decoding and encoding are exact inverses. */
#include <stdint.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_codec(bytes_from(data, size));
	return 0;
}
