#ifndef BACKENDS_MAILDIR_LISTING_H
#define BACKENDS_MAILDIR_LISTING_H

#include "backends/maildir/box.h"

/*
 * What lies in cur and new, found by base name: for when a file is not where its row says. Also
 * finds names that no row explains.
 */
struct listed {
	uint64_t hash; /* name_hash() of the base */
	size_t name;   /* offset of its text, NUL-terminated */
	enum box_dir dir;
};

struct listing {
	struct listed *v; /* by hash, then as found */
	size_t n, cap;
	struct buf names;
};

int listing_make(struct box *box, struct listing **out, struct err *err);
void listing_free(struct listing *l); /* NULL is allowed */
/* NULL when no file has this base name. */
const struct listed *listing_find(const struct listing *l, struct bytes base, uint64_t key);

static inline const char *listing_name(const struct listing *l, const struct listed *e)
{
	return (const char *)l->names.p + e->name;
}

/* Sum of name_mark() over all of cur and new. */
int listing_digest(struct box *box, uint64_t *out, struct err *err);

#endif
