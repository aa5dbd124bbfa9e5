#ifndef TESTS_LIB_IMAP_CLIENT_H
#define TESTS_LIB_IMAP_CLIENT_H

#include <stdbool.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/commands_message.h"
#include "core/imap/commands_watch.h"
#include "core/imap/session.h"
#include "core/imap/trace.h"
#include "tests/lib/support.h"

struct loop;

/*
 * The client layer on a real server of 127.0.0.1: every command submitted writes what its handlers
 * saw to a log, as text to compare with client_expect(). "pw" is the password.
 */
struct client {
	struct imap_account account; /* may be changed between client_init() and client_try() */
	char port[16];
	char password[32];
	struct imap_trace trace;
	struct buf transcript; /* what went over the wire, a line each after "C: ", "S: " or "*: " */
	struct loop *loop;
	struct imap_session *session;
	struct buf log;
	enum imap_event_kind awaited; /* by client_listen() */
	bool heard;
};

struct client_opts {
	int port;
	const char *ca_file; /* TLS from the first byte, with this authority; NULL: clear text */
	const char *user;
	const char *disable; /* extensions as if they were not offered; may be NULL */
};

/* The call must work. */
#define OK(call)                                                                                  \
	do {                                                                                      \
		struct err err_ = { 0 };                                                          \
		if ((call) < 0)                                                                   \
			test_die("%s:%d: %s: %s", __FILE__, __LINE__, #call, err_.text);          \
	} while (0)
/* The server refuses, or we do, with these words. */
#define REFUSED(call, words)                                                                      \
	do {                                                                                      \
		struct err err_ = { 0 };                                                          \
		if ((call) == 0 || !strstr(err_.text, words))                                     \
			test_die("%s:%d: %s: \"%s\"", __FILE__, __LINE__, #call, err_.text);      \
	} while (0)

void client_init(struct client *c, const struct client_opts *opts);
/* Connect and log in: 0, or -1 with *err. */
int client_try(struct client *c, struct err *err);
/* client_init() and client_try(), which must work. */
void client_open(struct client *c, const struct client_opts *opts);
void client_close(struct client *c); /* without LOGOUT */

/* Wait for all commands; what their handlers wrote since must be `want`. Forgets it. */
void client_expect(struct client *c, const char *want);
/* Wait for all commands and forget what their handlers wrote. */
void client_forget(struct client *c);
/* Handler, with the client as ctx: "ok ", "no ", "bad " or "lost ". */
void client_note(void *ctx, const struct imap_result *result);

/* SELECT, and wait until it is open. */
void client_select(struct client *c, const char *mailbox);

/*
 * The rest is submitted; sets and flags as on the wire. In the log, before how it ended:
 *	store    "1 2 " messages told of, "modified=3 " those that had changed
 *	expunge  "2 uids=1:2 " how many went, and which as far as told
 *	copy     "from=2,4 to=1:2 " if the server told
 *	search   "found=2:5 count=4 max=5 "
 *	append   "uids=1:3 " if the server told
 *	fetch    the body, "|UID date flags|" of each; "gone=2 " vanished
 *	status   "messages "
 */
void client_store(struct client *c, struct imap_store_request q, const char *set,
		  const char *flags);
void client_expunge(struct client *c, const char *set); /* NULL: all that are marked */
void client_copy(struct client *c, struct imap_copy_request q, const char *set, const char *to);
/* One word of criteria, and its argument or NULL. */
void client_search(struct client *c, struct imap_search_request q, const char *word,
		   const char *argument);
/* `n` messages in one command, with the flags \Seen $Work and a date in 1994. */
void client_append(struct client *c, const char *mailbox, const char *const *bodies, size_t n);
void client_fetch(struct client *c, struct imap_fetch_request q, const char *set);
void client_status(struct client *c, const char *mailbox);
/* A command of one word: "3 values " for each untagged answer that has no type. */
void client_raw(struct client *c, const char *word);

/* From now on news of this kind are waited for; client_hear() returns once some came. */
void client_listen(struct client *c, enum imap_event_kind kind);
void client_hear(struct client *c);

/* What client_append() is made of: bytes to send, as ctx of client_read(). */
struct client_source {
	struct bytes body;
	size_t at; /* read so far */
};
int client_read(void *ctx, void *p, size_t max, size_t *n, struct err *err);

/* Parts of the above, as handlers with the client as ctx. */
void client_on_appended(void *ctx, const struct imap_append_answer *answer,
			const struct imap_result *result);
void client_on_message(void *ctx, const struct imap_fetch *fetch); /* its UID alone */
void client_on_vanished(void *ctx, const struct uidset *uids);

#endif
