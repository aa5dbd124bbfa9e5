#ifndef BACKENDS_GIT_CODER_H
#define BACKENDS_GIT_CODER_H

#include "backends/git/deflate.h"

/* What a coder fills in; the contracts are those of deflate.h. `state` is its own. */
struct coder {
	const char *name;
	void *(*deflate_new)(void);
	void (*deflate_free)(void *state);
	void (*deflate_reset)(void *state);
	size_t (*deflate)(void *state, struct bytes *in, bool last, uint8_t *out, size_t room,
			  bool *whole);
	void *(*inflate_new)(void);
	void (*inflate_free)(void *state);
	void (*inflate_reset)(void *state);
	enum inflate_step (*inflate)(void *state, struct bytes *in, uint8_t *out, size_t room,
				     size_t *put);
};

extern const struct coder coder_zlib;
#ifdef HAVE_ISAL
extern const struct coder coder_isal;
#endif

#endif
