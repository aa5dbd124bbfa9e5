#ifndef TESTS_LIB_FAKE_IMAP_H
#define TESTS_LIB_FAKE_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;

/*
 * A small IMAP server for what real servers do not do: any bytes in messages, any mailbox name,
 * any UID, date and capability, and misbehaviour on request. It serves reading clients; any
 * user and password are taken. The model is built, then served by a process of its own;
 * fake_stop(), change, fake_start() keeps the port.
 *
 * Answered: CAPABILITY LOGIN AUTHENTICATE(PLAIN) ID ENABLE NAMESPACE LIST LSUB STATUS EXAMINE
 * SELECT UNSELECT CLOSE, UID SEARCH (ALL, UID set), FETCH and UID FETCH (UID FLAGS INTERNALDATE
 * RFC822.SIZE EMAILID X-GM-MSGID BODY.PEEK[] BODY[]<o.n>), NOOP, LOGOUT; BAD for the rest. With CONDSTORE in its
 * capabilities mod-sequences and CHANGEDSINCE, with QRESYNC also VANISHED (EARLIER).
 */
struct fake_imap;
struct fake_mailbox;

struct fake_imap *fake_new(void);
void fake_free(struct fake_imap *f); /* stops it; NULL is allowed */
int fake_port(const struct fake_imap *f);
void fake_start(struct fake_imap *f);
void fake_stop(struct fake_imap *f);

/*
 * Space-separated. Without this call:
 * "IMAP4rev1 LITERAL+ ID NAMESPACE UIDPLUS LIST-EXTENDED LIST-STATUS ENABLE ESEARCH".
 */
void fake_capability(struct fake_imap *f, const char *list);
/* Hierarchy delimiter, '/' by default; 0 for NIL. */
void fake_delimiter(struct fake_imap *f, char delimiter);

/* A mailbox under this wire name, any bytes. UIDVALIDITY 1. INBOX is not there unless added. */
struct fake_mailbox *fake_mailbox(struct fake_imap *f, struct bytes name);
/* NULL when there is none. */
struct fake_mailbox *fake_find(struct fake_imap *f, struct bytes name);
/* Take it out of the model: gone from LIST, NO [NONEXISTENT] by name. */
void fake_remove(struct fake_imap *f, struct bytes name);
void fake_attributes(struct fake_mailbox *mb, const char *attributes); /* "\\Noselect \\Marked" */
void fake_uidvalidity(struct fake_mailbox *mb, uint32_t uidvalidity);
/* It grows by itself; lower, as after a restored backup. */
void fake_uidnext(struct fake_mailbox *mb, uint32_t uidnext);

/* UIDs ascend. `date` NULL: "01-Jan-2020 00:00:00 +0000". The bytes are copied. */
void fake_message(struct fake_mailbox *mb, uint32_t uid, const char *flags, const char *date,
		  struct bytes body);
/* What EMAILID or X-GM-MSGID says of it, where the capability OBJECTID or X-GM-EXT-1 is there. */
void fake_identity(struct fake_mailbox *mb, uint32_t uid, const char *identity);
void fake_expunge(struct fake_mailbox *mb, uint32_t uid);
void fake_flags(struct fake_mailbox *mb, uint32_t uid, const char *flags);
/* One of each shape: bare LF, mixed, CR CR LF, NUL, 0x80-0xFF, empty, no final newline... */
void fake_hostile_messages(struct fake_mailbox *mb, uint32_t first_uid);
/* Wire names that would hurt as paths: ../../x, a/b, cur, .git, control bytes, 300 bytes... */
const struct bytes *fake_hostile_names(size_t *n);
/* A mailbox for each of them, with one message that has the name's SHA-256 as its body. */
void fake_hostile_mailboxes(struct fake_imap *f);

/*
 * Misbehaviour. `mb` is where; times: how often, -1 always, counted across connections and
 * restarts. Give it before fake_start().
 */
enum fake_trick {
	FAKE_OMIT,       /* FETCH says nothing of `uid` */
	FAKE_NO,         /* NO instead of OK for a FETCH that includes `uid`, which is omitted */
	FAKE_CUT,        /* close after `at` bytes of the body literal of `uid` */
	FAKE_EXISTS,     /* EXISTS and STATUS MESSAGES are off by `at` (signed) */
	FAKE_UNLISTED,   /* LIST omits the mailbox, though it answers by name */
	FAKE_LIST_NO,    /* LIST ends with NO after all its lines (mb NULL) */
	FAKE_LIST_SHORT, /* connection closed in the middle of the LIST answer (mb NULL) */
	FAKE_LOGIN_NO,   /* NO [AUTHENTICATIONFAILED] (mb NULL) */
	FAKE_EMPTY,      /* the body of `uid` comes as a literal of no bytes */
	FAKE_SIZE,       /* RFC822.SIZE of `uid` is off by `at` */
	FAKE_BYE,        /* "* BYE" and close at EXAMINE or SELECT */
	FAKE_FETCH_EMPTY,  /* FETCH says OK and nothing else */
	FAKE_SEARCH_EMPTY, /* so does SEARCH, with what it says when nothing is found */
	FAKE_VANISHED,     /* VANISHED (EARLIER) names 1 to `at`, whatever became of them */
	FAKE_NOT_STICKY  /* every session has another UIDVALIDITY, and UIDNOTSTICKY (times: -1) */
};
void fake_trick(struct fake_imap *f, struct fake_mailbox *mb, enum fake_trick what, uint32_t uid,
		int64_t at, int times);
void fake_tricks_clear(struct fake_imap *f);

/* Everything clients sent since fake_new() or fake_forget(), one command per line, tags removed. */
void fake_commands(struct fake_imap *f, struct buf *out);
/* The same of whole bodies sent, in order: "MAILBOX UID" one per line. */
void fake_bodies(struct fake_imap *f, struct buf *out);
void fake_forget(struct fake_imap *f);

#endif
