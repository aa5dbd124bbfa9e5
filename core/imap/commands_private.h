#ifndef CORE_IMAP_COMMANDS_PRIVATE_H
#define CORE_IMAP_COMMANDS_PRIVATE_H

#include "core/imap/commands.h"

/* For the `_wait` commands; lives on the stack of the one who waits. */
struct waiter {
	struct imap_session *session;
	unsigned left; /* commands not done yet */
	enum imap_outcome outcome; /* of the first that was not OK */
	bool damaged;  /* any was */
	struct err err;
};

/* Count one result; for an on_done. */
void waiter_note(struct waiter *w, const struct imap_result *result);
/*
 * Finish the encoder and submit; on_response as given, on_done counts into `w`. `ctx` of on_response must begin
 * with the waiter. -1 when it cannot be encoded.
 */
int waiter_submit(struct waiter *w, struct imap_encoder *e, const struct imap_request *request,
		  struct err *err);
/*
 * Run the loop until all are done. 0 when the session still stands, whatever they came to; -1 (the session is
 * closed, *err says why).
 */
int waiter_run(struct waiter *w, struct err *err);
/* Both, for one command that has to be OK. */
int waiter_do(struct waiter *w, struct imap_encoder *e, const struct imap_request *request,
	      struct err *err);

/* Add the parenthesised STATUS items that this server knows. Returns what it added. */
unsigned encode_status_items(const struct imap_session *s, struct imap_encoder *e, unsigned items);

#endif
