#ifndef TESTS_LIB_DOVECOT_H
#define TESTS_LIB_DOVECOT_H

#include <stdbool.h>

/*
 * A throw-away Dovecot on 127.0.0.1 in its own directory, for root and for ordinary users. Any
 * user name is accepted with the password "pw"; mail is kept as Maildir. What is still running
 * when the test program ends is stopped and removed; its log goes to stderr when a test failed.
 */
enum dovecot_cert {
	DOVECOT_CERT_GOOD,       /* localhost and 127.0.0.1, signed by ca_file */
	DOVECOT_CERT_WRONG_HOST, /* other.example, signed by ca_file */
	DOVECOT_CERT_SELF_SIGNED /* localhost, signed by itself */
};

struct dovecot_opts {
	const char *imap_capability; /* replaces the list; "+X" adds; NULL: Dovecot's own */
	int max_user_connections;    /* 0: 50 */
	enum dovecot_cert cert;
	const char *passdb;     /* instead of anybody with "pw"; NULL: that */
	const char *extra;      /* more lines of dovecot.conf; NULL: none */
	const char *extra_imap; /* more lines within protocol imap { } */
};

struct dovecot {
	int port;            /* clear text, STARTTLS offered */
	int tls_port;        /* implicit TLS */
	const char *dir;     /* everything lies in here */
	char *ca_file;       /* PEM of the CA that signed the good certificate */
	struct dovecot_priv *priv;
};

/* Returns when it answers on both ports. `opts` may be NULL. */
struct dovecot *dovecot_start(const struct dovecot_opts *opts);
/* Stop and start again on the same ports and mail, e.g. after changing files. */
void dovecot_restart(struct dovecot *dv);
/* Nobody listens on the ports then; dovecot_restart() brings it back. */
void dovecot_down(struct dovecot *dv);
void dovecot_stop(struct dovecot *dv); /* NULL is allowed; removes everything */
/* The Maildir of one user, owned by the caller. */
char *dovecot_maildir(const struct dovecot *dv, const char *user);
/* Give a file or a tree that the test wrote to the user whom servers here serve mail as. */
void dovecot_own(const char *path);
/* The server's log so far, owned by the caller. */
char *dovecot_log(const struct dovecot *dv);

#endif
