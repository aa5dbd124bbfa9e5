#ifndef BACKENDS_GIT_HISTORY_H
#define BACKENDS_GIT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct mailbox_name;

/*
 * The history of an archive: its snapshots, which are the commits of refs/heads/main along first
 * parents. Read-only, without a lock; what it costs follows what changed from one snapshot to the
 * next. A run under way is not part of it (the store itself shows that).
 */
struct history;

#define SNAPSHOT_ID_SIZE 41

struct snapshot {
	char id[SNAPSHOT_ID_SIZE]; /* of the commit, in hexadecimal digits */
	int64_t time;              /* Unix time */
	char *summary;             /* first line of its message */
};

/*
 * Reads the list of snapshots. An archive whose first run has not ended has none. The list ends where
 * a snapshot cannot be read, since only that one names the one before it. *out is the caller's.
 */
int history_open(const char *path, struct history **out, struct err *err);
void history_close(struct history *h); /* NULL is allowed */
size_t history_count(const struct history *h);
/* Number 0 is the newest. Borrowed. */
const struct snapshot *history_snapshot(const struct history *h, size_t i);
/* Why older snapshots than those of the list cannot be reached; NULL when it is whole. Borrowed. */
const struct err *history_cut(const struct history *h);
/* How many digits tell all snapshots apart: at least 8. */
int history_id_digits(const struct history *h);

/*
 * Which snapshot a text names, with `now` as the time it is:
 *
 *	latest             the newest
 *	4f2a91c0           the one whose id begins so (4 digits or more)
 *	a time (when.h)    the last one made by then: "2024-02-29" by the end of that day
 *	...~N              the N-th before the one that stands in front of it
 *
 * ERR_MISSING: there is none, and which there are; ERR_FATAL: it may be one of those that cannot be
 * reached; ERR_CONFIG: several, or the text means nothing.
 */
int history_resolve(const struct history *h, const char *text, int64_t now, size_t *i,
		    struct err *err);

/* What a snapshot holds, and what changed against the one before (all of it for the first). */
struct snapshot_stats {
	uint64_t mailboxes, messages, bytes; /* live messages, bytes as on the wire */
	uint64_t added, removed, flags;      /* messages; `flags`: with other flags than before */
	bool alone; /* the one before cannot be reached: what changed is not known */
};

typedef int snapshot_fn(void *ctx, const struct snapshot *s, const struct snapshot_stats *stats,
			struct err *err);
/* The newest `most` snapshots, newest first. -1 of `fn` ends it. */
int history_each(struct history *h, size_t most, snapshot_fn *fn, void *ctx, struct err *err);

/* A message that was live and is so no more. Borrowed for the call. */
struct deleted {
	const struct mailbox_name *mailbox;
	uint32_t uid;
	char blob[SNAPSHOT_ID_SIZE]; /* id of its content */
	size_t snapshot;             /* number of the last one that has it under this UID */
	size_t first;                /* of the first one of those looked at that had it there; older is higher */
	/*
	 * As many messages with this content are live now, in all mailboxes, as ever since then: it
	 * was moved.
	 */
	bool moved;
};

typedef int deleted_fn(void *ctx, const struct deleted *d, struct err *err);
/*
 * Every message that was live in a mailbox in some snapshot from the one in force at `since` on
 * (the oldest, when all are later), and is missing from that mailbox in the newest. Equal
 * messages are counted: of two, of which one is left, one is missing. By mailbox, then
 * UID; the same content at most as often as it is missing. A mailbox that was renamed keeps its
 * messages. -1 of `fn` ends it; ERR_FATAL, too, where snapshots since then cannot be reached.
 */
int history_deleted_since(struct history *h, int64_t since, deleted_fn *fn, void *ctx,
			  struct err *err);

#endif
