#ifndef CORE_SYNC_RECORD_H
#define CORE_SYNC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync/leaving.h"
#include "core/sync/store.h"

/*
 * A UIDVALIDITY from here on is the time its mailbox was made, as most servers have it. Others
 * count from 1, Gmail among them: then the same mailboxes have the same numbers in every
 * account.
 */
#define UIDVALIDITY_TELLING 100000000

/*
 * STATE_DIR/JOB.run: what a job remembers about its store, so that an unmounted, emptied or swapped
 * one is recognised before anything is done to it. Never needed to read or restore the store.
 */
struct record {
	bool exists; /* false: this job never ran here */
	char uuid[37];
	char *account;       /* fingerprint, owned */
	uint64_t generation; /* of the store after the last run */
	uint64_t source_generation; /* of the store that was read in it, if it was one */
	char *scope;         /* the patterns, one a line, owned */
	/*
	 * Files that others put into the store count as its messages, where they pair: from the run that began
	 * with it until one ends well that looked at all mailboxes.
	 */
	bool adopting;
	int64_t flags_checked; /* Unix time: when flags were last compared everywhere; 0: never */
	char *hint;          /* for the source's next list(), owned, may be NULL */
	struct leaving_list leaving; /* what an interrupted prune-server was about */
	/* The last runs, oldest first, as JSON objects. */
	struct json_t *runs;
};

struct record_run {
	int64_t started, ended; /* Unix time */
	const char *outcome;    /* "done", "incomplete", "held", "failed" */
	uint64_t new_messages, removed, flags_changed, bytes;
	bool trouble; /* it lacks more than messages in quarantine: mailboxes were skipped, or the like */
};

void record_release(struct record *r);
/* Read it. No file: exists is false. A damaged one is an error (ERR_HELD) that says what to do. */
int record_load(const char *state_dir, const char *job, struct record *out, struct err *err);
/* Write it, durably; makes the directory. Keeps the last 50 runs. `run` may be NULL. */
int record_save(const char *state_dir, const char *job, struct record *r,
		const struct record_run *run, struct err *err);
/* Seconds that so many bytes take, by the latest run that moved enough of them to say; 0: none did. */
int64_t record_estimate(const struct record *r, uint64_t bytes);
/*
 * STATE_DIR/NAME and the suffix; bytes of the name that mean something in a path are
 * percent-encoded. Owned by the caller.
 */
char *state_path(const char *state_dir, const char *name, const char *suffix);
/* The file's path, owned by the caller. */
char *record_path(const char *state_dir, const char *job);

/* Where the UIDs of a Maildir that is not ours are kept for a job that reads it; owned by the caller. */
char *record_source_index(const char *state_dir, const char *job, const char *path);

/*
 * Take the job's lock, STATE_DIR/JOB.lock; *fd is closed by the caller to give it back. ERR_LOCKED
 * with the holder's pid when another run has it.
 */
int record_lock(const char *state_dir, const char *job, int *fd, struct err *err);
void record_unlock(int fd); /* negative: nothing to do */
/*
 * The process of the run that is under way, by what the lock's file says; 0: none. Taking the lock to find
 * out could make a run fail that starts at that moment.
 */
long record_running(const char *state_dir, const char *job);

/* What the store's identity and the record together say (DESIGN: identity table). */
enum identity_verdict {
	IDENTITY_FIRST_RUN, /* make it */
	IDENTITY_GO_ON,
	IDENTITY_RETURNED, /* ours, but this job does not know it: a clone, a new machine: no deletions */
	IDENTITY_OLDER,    /* an older state of it came back: go on from the store's base */
	IDENTITY_ADOPT,    /* not ours; the user said --adopt */
	IDENTITY_FORGOTTEN, /* an account whose ledger is gone: make one, take over what is there, no deletions */
	IDENTITY_REFUSED,  /* *err says why and what to do; ERR_HELD or ERR_CONFIG */
};

struct identity_question {
	const char *path; /* of the store, or of an account's ledger, for messages */
	const char *record_path;
	const struct record *record;
	const struct store_identity *store;
	bool adopt;
	bool can_adopt; /* the type of store knows how to take over what is not ours */
	bool account;   /* the store is an account: what lies at the path is only what we know of it */
};

/* Whether the account is the same is judged later, when both sides were listed. Pure. */
enum identity_verdict identity_judge(const struct identity_question *q, struct err *err);

/*
 * Same account: the same user and host, or most mailboxes the two lists have in common keep
 * their UIDVALIDITY (the server was renamed, a tunnel or another name is used). Small numbers
 * do not count: servers that number from 1 give every account the same. NULL or "" was no account's yet: it will do.
 */
bool identity_same_account(const char *fingerprint_now, const char *fingerprint_then,
			   const struct mailbox_list *source, const struct mailbox_list *target);

#endif
