/*
 * Hostile server: the first byte says how the rest is cut. However it is cut, the same responses
 * come out, and nothing that is borrowed is read after it is gone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "tests/lib/response_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(1 << 24), cut = BUF_INIT(1 << 24);
	struct bytes in;

	if (size == 0)
		return 0;
	in = bytes_from(data + 1, size - 1);
	response_dump_all(&whole, "A", in, 0);
	response_dump_all(&cut, "A", in, 1 + data[0] % 13u);
	if (strcmp(buf_str(&whole), buf_str(&cut)) != 0)
		abort();
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
