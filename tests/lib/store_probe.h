#ifndef TESTS_LIB_STORE_PROBE_H
#define TESTS_LIB_STORE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/imap/account.h"
#include "core/sync/store.h"
#include "tests/lib/support.h"

/* An account on a test server, opened as a store. Clear text on loopback, password "pw". */
struct store_probe {
	struct imap_account account;
	struct store_config cfg;
	struct run run;
	volatile int stop;
	char *port;
	struct store *store;
	struct mailbox_list list;
};

/* Fills in the account without connecting; change what a test wants changed, then probe_open(). */
void probe_init(struct store_probe *p, int port, const char *user);
void probe_open(struct store_probe *p);
/* list(), which must be complete; `hint` may be NULL. */
void probe_list(struct store_probe *p, const char *hint);
/* A mailbox of the list, opened. `name` is the display form. */
struct mailbox *probe_mailbox(struct store_probe *p, const char *name);
const struct mailbox_info *probe_info(const struct store_probe *p, const char *name);
void probe_close(struct store_probe *p);

struct probed_message {
	void *tag;
	uint32_t uid;
	uint64_t size;
	char sha256[SHA256_HEX_SIZE]; /* of what was written; "" unless end() was complete */
	char *flags;                  /* flags_format() */
	char *date;                   /* maildate_format() */
};

struct probed_outcome {
	void *tag;
	uint32_t uid;
	enum outcome what;
	char *why; /* NULL: none */
};

/* A sink that remembers what came, and what was reported of it. */
struct probe_sink {
	struct message_sink sink;
	struct probed_message *msg; /* complete ones, in the order they ended */
	size_t n, cap;
	struct probed_outcome *outcome;
	size_t n_outcomes, cap_outcomes;
	size_t open, most_open; /* messages between begin() and end() */
	size_t cut;             /* ended incomplete */
	uint64_t bytes;
	uint32_t refuse_uid;  /* fail this one with ERR_MESSAGE in write(); 0: none */
	uint32_t fatal_uid;   /* fail this one with ERR_FATAL in end() */
	volatile int *stop_at_end; /* set to 1 when the first message ends */
};

void probe_sink_init(struct probe_sink *s);
void probe_sink_release(struct probe_sink *s);
outcome_fn probe_report; /* ctx is the probe_sink */
/* The message of `uid` (and `tag`), which must have come exactly once. */
const struct probed_message *probe_message(const struct probe_sink *s, const void *tag,
					   uint32_t uid);
/* What was reported of `uid`; fails the test unless it was exactly once. */
const struct probed_outcome *probe_outcome(const struct probe_sink *s, const void *tag,
					   uint32_t uid);

#endif
