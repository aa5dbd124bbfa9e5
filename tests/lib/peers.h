#ifndef TESTS_LIB_PEERS_H
#define TESTS_LIB_PEERS_H

#include <stdbool.h>

/*
 * Throw-away servers other than Dovecot on 127.0.0.1, each in a directory of its own, from what
 * `make deps-live` put into $B/live; for root and for ordinary users. Any user ("alice" and "bob" on
 * Courier) with the password "pw". Stopped at the end of the process at the latest.
 */
struct peer {
	const char *name; /* "Courier" */
	int port;         /* clear text, STARTTLS offered */
	int tls_port;     /* implicit TLS */
	char *ca_file;    /* the authority that signed its certificate and those of certs.h */
	const char *dir;
	struct peer_priv *priv;
};

/*
 * Courier-IMAP 5.0: few extensions, names INBOX.x. Its configuration has a fixed place, so it needs
 * a mount namespace: an ordinary user must be allowed user namespaces.
 */
struct peer *peer_courier(void);

/*
 * For struct imap_account's `tunnel`: Courier's imapd without a login (PREAUTH) on an empty Maildir.
 * Needs no namespace. Owned by the caller.
 */
char *peer_courier_tunnel(void);

struct cyrus_opts {
	/* alice, bob and admin alone, by sasldb: SCRAM needs to know passwords. false: anybody */
	bool sasldb;
	const char *tls_versions; /* "tls1_2"; NULL: TLS 1.2 and 1.3 */
};
/*
 * Cyrus 3.6: nearly all extensions, OBJECTID among them. A client certificate is a login; "admin" is
 * an administrator. `opts` may be NULL.
 */
struct peer *peer_cyrus(const struct cyrus_opts *opts);
void peer_stop(struct peer *p); /* NULL is allowed */

#endif
