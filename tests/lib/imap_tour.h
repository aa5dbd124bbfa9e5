#ifndef TESTS_LIB_IMAP_TOUR_H
#define TESTS_LIB_IMAP_TOUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imap_account;
struct imap_session;

/*
 * Every reading command once, with everything asked for that any server may have: what is not
 * offered must not be sent, what is must be answered. A command that does not come back OK fails
 * the test.
 */
struct imap_tour {
	size_t mailboxes, subscribed, namespaces;
	/* of INBOX, as STATUS, EXAMINE, SEARCH and FETCH each say it */
	uint32_t status_messages, exists, uid_next, uid_validity;
	uint64_t highest_modseq; /* by EXAMINE */
	uint64_t found, seen;    /* by SEARCH ALL and SEARCH SEEN */
	unsigned fetched;
	uint64_t bytes;          /* of their bodies */
	unsigned with_modseq, with_email_id;
	unsigned changed;        /* by FETCH ... (CHANGEDSINCE) of the highest modseq, or all */
	bool has_id;             /* the server says what it is */
};

/* A login as `user` with the password "pw", in clear text on 127.0.0.1, and all of it. */
void imap_tour(int port, const char *user, struct imap_tour *out);
/* The same in a session that is open already; ends with LOGOUT. */
void imap_tour_in(struct imap_session *s, struct imap_tour *out);

/* For struct imap_account: gives "pw". */
struct buf;
struct err;
int imap_tour_password(void *ctx, struct buf *out, struct err *err);

#endif
