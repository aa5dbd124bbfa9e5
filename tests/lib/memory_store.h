#ifndef TESTS_LIB_MEMORY_STORE_H
#define TESTS_LIB_MEMORY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sync/store.h"

/*
 * A store in memory, so that the engine is tested without servers and files. It outlives being opened and
 * closed: cfg->settings points to a struct memory_world. It serves as a source that misbehaves on demand and
 * as a target that holds a base. What is not committed is gone after close(), as after a crash.
 */
struct memory_message {
	uint32_t uid, source_uid;
	char *body;
	struct flags flags, base_flags;
	bool kept, held;
	bool poison; /* source: refuses to give it */
};

struct memory_mailbox {
	char *name; /* display form */
	unsigned attributes;
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;
	struct memory_message *v;
	size_t n, cap;
	struct base base;
	bool gone_from_list; /* source: LIST leaves it out */
	bool unreadable;     /* source: changes and fetch fail with ERR_MAILBOX */
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
	bool list_incomplete;
	uint64_t fail_after; /* source: lose the line after so many messages; 0: never */
	/* Counters for assertions. */
	unsigned opened, listed, compared, fetched, committed;
};

extern const struct store_ops memory_store;

void memory_world_init(struct memory_world *w);
void memory_world_release(struct memory_world *w);
/* Working on `stable`, between runs. The mailbox is borrowed until the next one is added. */
struct memory_mailbox *memory_mailbox_get(struct memory_world *w, const char *name);
void memory_deliver(struct memory_world *w, const char *mailbox, const char *body, const char *flags);
void memory_delete(struct memory_world *w, const char *mailbox, uint32_t uid);
void memory_set_flags(struct memory_world *w, const char *mailbox, uint32_t uid, const char *flags);
/* How many messages are live, and how many kept. */
size_t memory_live(struct memory_world *w, const char *mailbox);
size_t memory_kept(struct memory_world *w, const char *mailbox);
/* Whether both hold the same live messages with the same flags, as multisets, mailbox by mailbox. */
bool memory_equal(struct memory_world *a, struct memory_world *b);

#endif
