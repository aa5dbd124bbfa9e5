#ifndef CORE_SYNC_CHECK_H
#define CORE_SYNC_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct store_config;
struct store_ops;

/*
 * Checking a store: is all there that it should hold, and is it what was stored? Nothing is changed
 * and no lock is taken, so a backup may run meanwhile; what it changes is no finding.
 */
enum finding_kind {
	FINDING_DAMAGE,     /* something is missing, or is not what was stored */
	FINDING_UNCHECKED,  /* something could not be looked at */
	FINDING_HARMLESS,  /* nothing is lost: what a run that was stopped left to the next, for one */
};

/* Texts are borrowed for the call. */
struct finding {
	enum finding_kind kind;
	const char *mailbox; /* display text, not escaped; NULL: of no single one */
	uint32_t uid;        /* the store's, as `ls` shows it; 0: of no single message */
	const char *file;    /* a path below the store, or the id of an object, not escaped; NULL */
	const char *what;    /* ready to print */
	const char *advice;  /* what to do, the same text for all findings of a sort; NULL: nothing */
};

struct check {
	/* What is asked for. */
	bool read_data;   /* read every byte, not only what tells of it */
	int64_t deadline; /* clock_ms() after which to come to an end; 0: none */
	void (*found)(void *ctx, const struct finding *f);
	void (*progress)(void *ctx, const struct check *ck); /* often; NULL: not wanted */
	void *ctx;
	/* What came of it; zero at the start. */
	uint64_t mailboxes, messages, bytes; /* what the store says it holds; bytes as on the wire */
	uint64_t snapshots; /* that were looked at; 0: the store keeps no history */
	uint64_t compared; /* messages of which all but the bytes was looked at */
	uint64_t read, read_bytes;          /* things that were read whole ... */
	uint64_t to_read, bytes_to_read;    /* ... of so many */
	const char *things;                 /* what they are: "messages" */
	uint64_t unhashed; /* read, but the store never knew what they should be */
	uint64_t foreign;  /* files that are not the store's, and were not looked at */
	uint64_t findings[FINDING_HARMLESS + 1];
	bool cut_short; /* time was up before all was done */
	bool in_use;    /* a run holds the store: what it had committed was checked */
};

/*
 * Check what lies at cfg->path. 0: it was checked, as far as the findings say. -1: it could not be
 * (ERR_MISSING, ERR_STOPPED, ERR_FATAL: damaged so badly that it cannot be opened).
 */
int store_check(const struct store_ops *ops, const struct store_config *cfg, struct check *ck,
		struct err *err);

/* For stores: */
void check_found(struct check *ck, const struct finding *f);
void check_progress(struct check *ck);
/* Whether to end now; sets cut_short. */
bool check_time_is_up(struct check *ck);

#endif
