#ifndef TESTS_LIB_PEERS_H
#define TESTS_LIB_PEERS_H

/*
 * Throw-away servers other than Dovecot on 127.0.0.1, each in a directory of its own, from what
 * `make deps-live` put into $B/live. Clear text; any user ("alice" and "bob" on Courier) with the
 * password "pw". Stopped at the end of the process at the latest.
 */
struct peer {
	const char *name; /* "Courier" */
	int port;
	const char *dir;
	struct peer_priv *priv;
};

/* Courier-IMAP 5.0: few extensions, names INBOX.x. Needs root: its configuration has a fixed place. */
struct peer *peer_courier(void);
/* Cyrus 3.6: nearly all extensions, OBJECTID among them. */
struct peer *peer_cyrus(void);
void peer_stop(struct peer *p); /* NULL is allowed */

#endif
