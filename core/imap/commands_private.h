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
	/* Sees each result as it comes; may be NULL. */
	void (*on_result)(struct waiter *w, const struct imap_result *result);
};

/* Count one result; for an on_done. */
void waiter_note(struct waiter *w, const struct imap_result *result);
/*
 * Finish the encoder and submit; on_response as given, on_done counts into `w`. `ctx` of
 * on_response must begin with the waiter. -1 when it cannot be encoded.
 */
int waiter_submit(struct waiter *w, struct imap_encoder *e, const struct imap_request *request,
		  struct err *err);
/*
 * Run the loop until all are done. 0 when the session still stands, whatever they came to; -1 (the
 * session is closed, *err says why).
 */
int waiter_run(struct waiter *w, struct err *err);
/* Both, for one command that has to be OK. */
int waiter_do(struct waiter *w, struct imap_encoder *e, const struct imap_request *request,
	      struct err *err);

/* Finish the encoder and submit; -1 when it cannot be encoded, the encoder is released then. */
int command_submit(struct imap_session *s, struct imap_encoder *e,
		   const struct imap_request *request, struct err *err);
/* "EXAMINE Archive", for messages; the name as the server spells it. Owned. */
char *command_describe(const char *word, struct bytes wire_name);
/* -1 (ERR_CONFIG) unless the server has `cap`. */
int command_needs(const struct imap_session *s, enum imap_cap cap, const char *what,
		  struct err *err);
/* -1 (ERR_CONFIG) unless a mailbox is selected, or will be by what was submitted. */
int command_needs_mailbox(const struct imap_session *s, const char *what, struct err *err);

/* Add the parenthesised STATUS items that this server knows. */
void encode_status_items(const struct imap_session *s, struct imap_encoder *e, unsigned items);

/*
 * One command about a message set, made into as many as its text needs. All are encoded before the
 * first is sent, so that a set either goes out whole or not at all.
 */
struct split_command {
	/* Fill in and finish one command; `piece` is NULL when there is no set. */
	int (*encode)(void *ctx, const struct imap_session *s, struct imap_encoder *e,
		      const struct uidset *piece, struct err *err);
	void *ctx;
	struct imap_encoder *encoders; /* private */
	size_t n, cap;
};
/* 0, or -1 with *err set and nothing kept. `set` NULL: one command without; not empty. */
int split_command_encode(struct split_command *split, const struct imap_session *s,
			 const struct uidset *set, struct err *err);
/* Submit them all with the same handler, and release. */
void split_command_submit(struct split_command *split, struct imap_session *s,
			  const struct imap_request *request);

/* The beginning of a command about messages: "UID STORE 1:5", "STORE 1:5" or "UID STORE $". */
void command_encode_set(const struct imap_session *s, struct imap_encoder *e, const char *word,
			enum imap_numbering numbering, const struct uidset *piece);
/* Its flags; message numbers must be alone, for they shift. */
unsigned command_set_flags(enum imap_numbering numbering);
/* -1 (ERR_CONFIG): no mailbox, no SEARCHRES for IMAP_SAVED, a set that is empty or open. */
int command_check_set(const struct imap_session *s, const char *word,
		      enum imap_numbering numbering, const struct uidset *set, struct err *err);

/* Makes one result of those of several commands. */
struct tally {
	unsigned left;
	bool damaged;
	enum imap_outcome outcome; /* the first that was not OK */
	struct err err;
};
/* True: that was the last, and *out is the result of all. */
bool tally_note(struct tally *t, const struct imap_result *r, struct imap_result *out);

#endif
