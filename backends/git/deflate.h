#ifndef BACKENDS_GIT_DEFLATE_H
#define BACKENDS_GIT_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

/*
 * Streams in zlib format (RFC 1950), as packs hold them, in pieces of any size. Two coders: Intel's
 * ISA-L, four times as fast on text and ten times on base64, where the build found it; else zlib.
 * Either reads what the other wrote.
 */
struct coder;
extern const struct coder *const coders[]; /* those built in, the best first, NULL at the end */
const char *coder_name(const struct coder *c); /* "isa-l" or "zlib" */

struct deflater;
struct deflater *deflater_new(const struct coder *c); /* NULL: the best */
void deflater_free(struct deflater *d); /* NULL is allowed */
void deflater_reset(struct deflater *d); /* begin a new stream */
/*
 * Take bytes from *in, moving it forward, and put at most `room` (> 0) at `out`; returns how many. `last`:
 * nothing comes after *in. Until *whole says that the stream is complete, call again with the
 * rest of *in or with more, and with more room.
 */
size_t deflater_run(struct deflater *d, struct bytes *in, bool last, uint8_t *out, size_t room,
		    bool *whole);

enum inflate_step {
	INFLATE_MORE,    /* *in is used up, or there is no more room: call again */
	INFLATE_END,     /* the stream is whole, its checksum right; some of what follows may be taken, too */
	INFLATE_DAMAGED, /* not such a stream, or the checksum is wrong */
};

struct inflater;
struct inflater *inflater_new(const struct coder *c); /* NULL: the best */
void inflater_free(struct inflater *i); /* NULL is allowed */
void inflater_reset(struct inflater *i); /* begin a new stream */
/* As deflater_run(), the other way round; *put is how many bytes came out. `room` > 0. */
enum inflate_step inflater_run(struct inflater *i, struct bytes *in, uint8_t *out, size_t room,
			       size_t *put);

/* CRC-32 as in zip and pack indexes, continued from `crc` (0 at the beginning). */
uint32_t crc32_of(uint32_t crc, struct bytes data);

#endif
