#ifndef TESTS_LIB_MEMORY_STORE_H
#define TESTS_LIB_MEMORY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * A store in memory, so that the engine is tested without servers and files. It outlives being
 * opened and closed: cfg->settings points to a struct memory_world. It serves as a source that
 * misbehaves on demand and as a target that holds a base. What is not committed is gone after
 * close(), as after a crash. A target without a path is an account: what is remembered of it tells its flags, and a mailbox
 * with strangers in it cannot be removed.
 */
struct memory_message {
	uint32_t uid, source_uid;
	char *body;
	int64_t date; /* Unix time; a minute apart unless a test says otherwise */
	struct flags flags, base_flags;
	bool kept, held;
	bool adopted; /* target: it was there, and was taken over */
	bool poison; /* source: refuses to give it */
	bool unanswered; /* source: nothing comes of it, not even a word */
	bool silent; /* source: lists it, yet leaves it out of what it delivers */
};

struct memory_mailbox {
	char *name; /* display form */
	char *source; /* target: what the source calls it, where that is another name; else NULL */
	unsigned attributes;
	uint32_t uidvalidity, uidnext;
	char mailboxid[16]; /* source: what it is known by; "": not told */
	uint64_t modseq;
	struct memory_message *v;
	size_t n, cap;
	struct base base;
	bool gone_from_list; /* source: LIST leaves it out */
	bool name_only;      /* source: LIST has it, but it does not exist */
	bool unreadable;     /* source: changes and fetch fail with ERR_MAILBOX */
	bool forgetful;      /* target: cannot write down a whole agreement, with ERR_MAILBOX */
	bool unwritable;     /* target: takes no message and no flag, with ERR_MAILBOX */
	bool touched;        /* target: files changed since changes() last looked */
	bool no_status;      /* source: LIST says nothing of its state */
	bool no_modseq, no_uidnext; /* source: never told */
	bool says_nothing_changed;  /* source: since the last agreement, until flags are counted */
	bool unopenable;     /* open_mailbox() fails with ERR_MAILBOX */
	bool partial;        /* target: changes() sees only the first half of it */
	struct uidset lost;  /* target: what changes() says is missing */
	char **strangers;    /* target: what others put there; NULL: taken over */
	size_t n_strangers;
	uint32_t hide;       /* source: a UID that the listing leaves out, without proof; 0: none */
};

struct memory_state {
	struct memory_mailbox *v;
	size_t n, cap;
};

struct memory_world {
	struct memory_state now;    /* as seen while open */
	struct memory_state stable; /* as committed */
	enum store_presence presence;
	char uuid[37];
	char *account;
	uint64_t generation;
	const char *prefix;  /* source: below what all mailboxes are; NULL: nothing */
	uint64_t room;       /* target: bytes that fit; 0: not told */
	const char *says;    /* target: what it notes of INBOX when it is listed; NULL: nothing */
	bool list_incomplete;
	bool list_twice;
	bool backwards;      /* source: delivers the newest first */
	bool exists_unclear; /* source: no clear answer when asked by name */
	uint64_t full_after; /* target: no space for more than so many messages; 0: never */
	uint64_t fail_after; /* source: fail after so many messages; 0: never */
	enum err_kind fail_kind; /* with this; ERR_NONE means ERR_RETRY: the line was cut */
	bool twice;          /* source: delivers every message twice, and one nobody asked for */
	const char *refuse;  /* target: refuses messages with this body */
	const char *choke;   /* target: fails to take messages with this body, and only that */
	const char *forget;  /* target: cannot say what became of messages with this body */
	const char *becomes; /* target: turns out to be this account's, once opened to write */
	bool swap_at_open;   /* target: turns out to be another store once opened */
	bool settles_at_open; /* target: opening commits what a crash left */
	unsigned list_fails;   /* source: the so manieth list() from now on fails; 0: none */
	unsigned commit_fails; /* target: the so manieth commit from now on fails; 0: none */
	/* source: called before each mailbox is compared or fetched; may change the world. */
	void (*meanwhile)(struct memory_world *w, const char *what, const char *mailbox);
	const char *note; /* for `meanwhile` to use as it likes */
	bool noted;
	const char *slippery; /* target: a stranger of this content is another when it is to be taken */
	bool unrenumberable; /* target: renumber() fails */
	bool renumbered; /* target: was told that it is an older state of itself */
	bool rebound; /* target: was opened to drop its base */
	/* Counters for assertions. */
	unsigned opened, opened_to_write, listed, compared, fetched, committed;
	unsigned looked_into; /* target: messages whose content was told */
	unsigned described, headers; /* source: mailboxes, and messages whose header was asked for */
	unsigned renamed;
	unsigned snapshots; /* of `committed`: those said to be complete */
};

extern const struct store_ops memory_store;
/* The same with STORE_HAS_HISTORY. */
extern const struct store_ops memory_history_store;

void memory_world_init(struct memory_world *w);
void memory_world_release(struct memory_world *w);
/* Working on `stable`, between runs. The mailbox is borrowed until the next one is added. */
struct memory_mailbox *memory_mailbox_get(struct memory_world *w, const char *name);
void memory_remove_mailbox(struct memory_world *w, const char *name);
/* With all that lies below it. */
void memory_rename_mailbox(struct memory_world *w, const char *from, const char *to);
bool memory_has_mailbox(struct memory_world *w, const char *name);
void memory_deliver(struct memory_world *w, const char *mailbox, const char *body, const char *flags);
void memory_delete(struct memory_world *w, const char *mailbox, uint32_t uid);
void memory_set_flags(struct memory_world *w, const char *mailbox, uint32_t uid, const char *flags);
/* A file of the target goes missing behind our back: still known to the base. */
void memory_lose(struct memory_world *w, const char *mailbox, uint32_t uid);
/* Nothing is remembered of a mailbox of a target any more: what it holds was put there by others. */
void memory_forget(struct memory_world *w, const char *mailbox);
/* A file that others put into a target. */
void memory_put_stranger(struct memory_world *w, const char *mailbox, const char *body);
/* How many of these are left. */
size_t memory_strangers(struct memory_world *w, const char *mailbox);
/* How many messages are live, and how many kept. */
size_t memory_live(struct memory_world *w, const char *mailbox);
size_t memory_kept(struct memory_world *w, const char *mailbox);
/*
 * Whether both hold the same live messages with the same flags, as multisets, mailbox by
 * mailbox.
 */
bool memory_equal(struct memory_world *a, struct memory_world *b);

#endif
