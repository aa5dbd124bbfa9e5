#ifndef CORE_SYNC_AGAINST_H
#define CORE_SYNC_AGAINST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * Comparing what a store holds with what its source holds now: which messages, how large, with which
 * flags, and of a sample every byte. Both are only read. What changed since the last backup is told
 * apart from what the backup should have.
 */
enum difference_kind {
	DIFFERENCE_LACKING,    /* the source has it, had it at the last backup, and the store does not */
	DIFFERENCE_CONTENT,    /* other bytes */
	DIFFERENCE_UNCOMPARED, /* something could not be compared */
	DIFFERENCE_QUARANTINED, /* the store lacks it, and says so */
	DIFFERENCE_GONE,       /* the store has it, and the source not any more */
	DIFFERENCE_FLAGS,
	DIFFERENCE_NEW, /* came to the source since the last backup */
	DIFFERENCE_KINDS,
};

/* Texts are borrowed for the call. */
struct difference {
	enum difference_kind kind;
	const char *mailbox; /* display text, not escaped */
	uint32_t uid;        /* the source's; 0: of no single message */
	uint32_t stored_uid; /* the store's, as `ls` shows it; 0: it has none */
	const char *what;    /* ready to print */
};

struct against {
	/* What is asked for. The source and the store are open for reading. */
	struct store *source, *target;
	const struct mailbox_list *from, *to; /* of both */
	const char *const *mailboxes;         /* patterns, as a job's; n 0: all */
	size_t n_mailboxes;
	uint64_t sample; /* so many messages, chosen at random, are fetched and compared */
	void (*found)(void *ctx, const struct difference *d);
	void *ctx;
	/* What came of it; zero at the start. */
	uint64_t compared; /* mailboxes */
	uint64_t messages; /* that both have */
	uint64_t fetched;  /* of these: compared byte by byte */
	uint64_t fetched_bytes;
	uint64_t differences[DIFFERENCE_KINDS];
};

/*
 * Sizes that differ are no difference by themselves, since servers tell them wrongly: such messages are
 * fetched, too, up to AGAINST_SIZES_MAX of them; the others count as not compared. -1: it could not be
 * done to the end (ERR_RETRY, ERR_STOPPED, ERR_FATAL).
 */
#define AGAINST_SIZES_MAX 1000
int against_run(struct against *a, struct err *err);

#endif
