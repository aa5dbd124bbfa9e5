#ifndef TESTS_LIB_IMAP_ORACLE_H
#define TESTS_LIB_IMAP_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "tests/lib/support.h"

/*
 * A second, deliberately independent and simple IMAP client: blocking, clear text on loopback,
 * parsing of its own. What it says a server holds is what a backup is compared with, and it
 * fills servers. Any answer other than OK fails the test. Mailbox names are wire names
 * (modified UTF-7 where the server wants it).
 */
struct oracle;

struct oracle *oracle_open(int port, const char *user); /* password "pw" */
void oracle_close(struct oracle *o); /* NULL is allowed */
/* For changes behind the server's back, whose process for this client must not be there then. */
void oracle_log_out(struct oracle *o);
void oracle_log_in(struct oracle *o);

/*
 * Send one command (no tag, no CRLF) and wait for its OK. Returns the untagged answers, literals
 * left out, borrowed until the next call.
 */
struct bytes oracle_command(struct oracle *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* As oracle_command(), for NO and BAD too: returns "OK ...", "NO ..." or "BAD ...", borrowed. */
const char *oracle_try(struct oracle *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void oracle_create(struct oracle *o, const char *mailbox);

struct oracle_new {
	const char *flags; /* "\\Seen $Forwarded" without parentheses; "" for none */
	const char *date;  /* " 1-Feb-2020 03:04:05 +0100"; NULL: now */
	struct bytes body;
};
/*
 * Append in MULTIAPPEND batches with non-synchronising literals, thousands a second; one by one
 * where the server cannot.
 */
void oracle_append(struct oracle *o, const char *mailbox, const struct oracle_new *msg, size_t n);

/* `set` is a UID set, `how` is FLAGS, +FLAGS or -FLAGS, `flags` without parentheses. */
void oracle_store(struct oracle *o, const char *mailbox, const char *set, const char *how,
		  const char *flags);
/* Mark \Deleted and UID EXPUNGE. */
void oracle_expunge(struct oracle *o, const char *mailbox, const char *set);

/* Names of all selectable mailboxes as on the wire, sorted. */
void oracle_list(struct oracle *o, struct name_list *out);

/* Between the levels of those names, as oracle_list() saw it. */
char oracle_delimiter(const struct oracle *o);

struct oracle_message {
	uint32_t uid;
	char *flags; /* sorted by byte value, blank between, without \Recent */
	char *date;  /* INTERNALDATE as sent, without quotes */
	uint64_t size;
	char sha256[SHA256_HEX_SIZE]; /* of the BODY.PEEK[] literal */
};

struct oracle_dump {
	uint32_t uidvalidity, uidnext;
	struct oracle_message *msg; /* by ascending UID */
	size_t n, cap;
};

void oracle_dump(struct oracle *o, const char *mailbox, struct oracle_dump *out);
void oracle_dump_release(struct oracle_dump *d);
/* The body of one message, in `out` which the caller initialised. */
void oracle_body(struct oracle *o, const char *mailbox, uint32_t uid, struct buf *out);

#endif
