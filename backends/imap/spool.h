#ifndef BACKENDS_IMAP_SPOOL_H
#define BACKENDS_IMAP_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/sync/store.h"

/*
 * A whole message between the one who gives it and the server: APPEND has to announce its size, and it may
 * have to be sent again. In memory up to SPOOL_MEMORY, above that in a file without a name. What it is known by is
 * found out on the way.
 */
#define SPOOL_MEMORY ((size_t)1 << 20)

struct spool {
	uint64_t size;
	bool has_nul;
	/* After spool_finish(): */
	uint8_t sha256[CONTENT_HASH_SIZE];
	char *message_id; /* as in the header; NULL: it has none */

	const char *dir;  /* where the file is made; borrowed */
	int fd;           /* -1: all is in `memory` */
	struct buf memory;
	void *hash;
	struct header_reader *header;
};

void spool_init(struct spool *s, const char *dir, uint64_t expected);
void spool_release(struct spool *s);
/* 0, or -1 (ERR_FATAL: the disk). */
int spool_write(struct spool *s, struct bytes piece, struct err *err);
void spool_finish(struct spool *s);
/* 1 to `max` bytes from offset `at` (below size) into `p`; *n is how many. */
int spool_read(const struct spool *s, uint64_t at, void *p, size_t max, size_t *n, struct err *err);

/* The value of Message-ID in a header or a piece of one, owned by the caller; NULL: none. */
char *message_id_of(struct bytes header);

#endif
