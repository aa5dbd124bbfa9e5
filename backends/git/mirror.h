#ifndef BACKENDS_GIT_MIRROR_H
#define BACKENDS_GIT_MIRROR_H

#include <stdbool.h>

#include "backends/git/object.h"
#include "core/base/err.h"

struct repo;

/*
 * A mirror: another repository, to which main is pushed after each run, by git
 *
 * Pushed is only what leads on from what is there. The one exception: gitstore_forget() made another history
 * of ours. Then what is there is replaced if it is something that we put there, or what main was when that
 * was done; git is told to replace just that (--force-with-lease). Anything else is somebody
 * else's: a mirror that is ahead, one of another archive. It is left as it is, and so is wip here.
 *
 * The file `mailcask/mirror` of the repository remembers both:
 *
 *	mailcask mirror 1
 *	at <id>              main there, as far as we know: one that was pushed, and one that may have been
 *	forgot <id> <id>     main before and after, until that was pushed
 */
enum mirror_outcome {
	MIRROR_NOTHING, /* no snapshot yet: nothing to push */
	MIRROR_SAME,    /* it has what is here */
	MIRROR_PUSHED,
	MIRROR_REPLACED, /* the forgotten history there, too */
	MIRROR_DIVERGED, /* -1, and the text has both ids */
	MIRROR_FAILED,   /* -1: not reached, or refused; the next run tries again */
};

struct mirroring {
	const char *url;
	const volatile int *stop; /* NULL: nobody can interrupt it */
	enum mirror_outcome outcome;
	char here[OBJECT_HEX_SIZE], there[OBJECT_HEX_SIZE]; /* main; "": none. `there`: before it was pushed */
};

/* Push the archive at `path`; takes no lock. ERR_RETRY or, when it diverged, ERR_HELD. */
int gitstore_mirror(const char *path, struct mirroring *m, struct err *err);

/* For gitstore_forget(), before main goes from `before` to `after`. Durable. Nothing where nothing was ever pushed. */
int mirror_note_forgotten(const struct repo *r, const struct object_id *before,
			  const struct object_id *after, struct err *err);

#endif
