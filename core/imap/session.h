#ifndef CORE_IMAP_SESSION_H
#define CORE_IMAP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/imap/caps.h"
#include "core/imap/encode.h"
#include "core/imap/response.h"
#include "core/imap/trace.h"
#include "core/mail/flags.h"

struct append_trust;
struct imap_account;
struct imap_session;
struct loop;
struct transport;

/*
 * One connection to one server, driven by a loop (loop.h). Commands are submitted at any time and
 * go out as the limits allow, many in flight at once; each is answered through its handler.
 * Typed commands are in commands.h; this file is what they are made of.
 *
 *   CONNECTING -> GREETING -> NOT_AUTHENTICATED -> AUTHENTICATED <-> SELECTED -> LOGOUT -> CLOSED
 *                                  (PREAUTH: straight to AUTHENTICATED)   any state -> CLOSED
 *
 * Up to AUTHENTICATED the session runs by itself: TLS or STARTTLS, capabilities, ID, login. What
 * is submitted before is kept until then.
 *
 * Invariants
 *  1. Every command that was submitted gets exactly one on_done, at the latest in
 *     imap_session_free().
 *  2. Handlers run from within the loop or imap_session_free(). They may submit, pause and close,
 *     on any session of the loop; they must not free a session nor run the loop.
 *  3. Reading goes on while anything waits to be written, so a pipeline cannot deadlock; only
 *     imap_session_pause() stops it.
 *  4. After CLOSED nothing is read or written; a new session has to be made.
 */
enum imap_state {
	IMAP_STATE_CONNECTING,
	IMAP_STATE_GREETING,
	IMAP_STATE_NOT_AUTHENTICATED,
	IMAP_STATE_AUTHENTICATED,
	IMAP_STATE_SELECTED,
	IMAP_STATE_LOGOUT, /* LOGOUT was sent or the server said BYE */
	IMAP_STATE_CLOSED,
};

/*
 * What the server told of a mailbox while it was selected; filled in by SELECT or EXAMINE and kept
 * up to date by untagged data until the next one or the end of the session.
 */
struct imap_mailbox {
	char *name; /* wire name as NUL-terminated bytes, for messages only */
	bool open;  /* SELECT or EXAMINE came back OK, and the mailbox was not left yet */
	bool examined;  /* by EXAMINE, not SELECT */
	bool read_only; /* [READ-ONLY] was said */
	bool uid_not_sticky;
	bool no_modseq;      /* [NOMODSEQ]: HIGHESTMODSEQ means nothing here */
	bool exists_known;   /* EXISTS was sent: without it `exists` 0 proves nothing */
	bool flags_dirty;    /* a FETCH nobody asked for came: some flags changed */
	uint32_t exists;     /* EXPUNGE and VANISHED are counted off */
	uint32_t uid_next;   /* 0: not told */
	uint32_t uid_validity; /* 0: not told */
	uint64_t highest_modseq; /* 0: not told */
	uint64_t removed;    /* messages expunged while open */
	struct flags flags;  /* FLAGS: what is in use here */
	struct flags permanent_flags;
	bool permanent_known; /* PERMANENTFLAGS was sent; else all of `flags` are */
	bool new_keywords;    /* PERMANENTFLAGS had \* */
	char *mailbox_id;     /* OBJECTID; NULL: not told */
};

enum imap_outcome {
	IMAP_DONE_OK,
	IMAP_DONE_NO,
	IMAP_DONE_BAD,
	/* the connection ended first, or the command was never sent: nothing is known */
	IMAP_DONE_LOST,
};

/* How a command ended. Borrowed for the call of on_done. */
struct imap_result {
	enum imap_outcome outcome;
	/* Something unreadable came while it ran: an answer that must be complete may not be. */
	bool damaged;
	const struct imap_status *status;   /* the tagged response; NULL when LOST */
	const struct imap_mailbox *mailbox; /* the one it ran in or opened; NULL: none */
	/*
	 * Unless OK: what to pass up, with the server's text. ERR_RETRY for LOST (or what closed
	 * the session) and for UNAVAILABLE, INUSE, LIMIT, THROTTLED...; ERR_MISSING for
	 * NONEXISTENT; else ERR_MAILBOX.
	 */
	const struct err *err;
	/* The server wants to be left alone for a while, whatever the outcome. */
	bool throttled;
	/* For how long; 0: it did not say. When it refused, err->retry_after_ms is the same. */
	int64_t retry_after_ms;
};

struct imap_handler {
	/* An untagged response this command asked for (`wants`). May be NULL. */
	void (*on_response)(void *ctx, const struct imap_response *r);
	/* Called once, after everything else. May be NULL. */
	void (*on_done)(void *ctx, const struct imap_result *result);
	void *ctx;
};

enum imap_request_flags {
	/* Answered with much data: few of these are in flight at once (4, others 16). */
	IMAP_REQUEST_DATA = 1 << 0,
	/* Nothing else in flight, before or after. */
	IMAP_REQUEST_ALONE = 1 << 1,
	/*
	 * SELECT or EXAMINE of `mailbox_name`; what is submitted next with IN_MAILBOX runs in it.
	 */
	IMAP_REQUEST_OPENS = 1 << 2,
	/*
	 * Runs in the mailbox opened by the last OPENS submitted before. When that one fails, so
	 * does this, without being sent if it was not yet.
	 */
	IMAP_REQUEST_IN_MAILBOX = 1 << 3,
	/* UNSELECT or CLOSE: when OK no mailbox is selected. */
	IMAP_REQUEST_LEAVES = 1 << 4,
	/* LOGOUT: BYE is not a failure. */
	IMAP_REQUEST_LOGOUT = 1 << 5,
	/* With OPENS: it is EXAMINE. */
	IMAP_REQUEST_READ_ONLY = 1 << 6,
	/* COMPRESS, with ALONE: when OK all that follows is deflated, both ways. */
	IMAP_REQUEST_COMPRESS = 1 << 7,
	/* UNAUTHENTICATE: when OK the session logs in anew. */
	IMAP_REQUEST_UNAUTHENTICATES = 1 << 8,
};

#define IMAP_WANT(type) (1u << (type)) /* of enum imap_response_type */
#define IMAP_WANT_FETCH                                                                    \
	(IMAP_WANT(IMAP_RESPONSE_BODY_BEGIN) | IMAP_WANT(IMAP_RESPONSE_BODY_DATA) |        \
	 IMAP_WANT(IMAP_RESPONSE_BODY_END) | IMAP_WANT(IMAP_RESPONSE_FETCH))
#define IMAP_WANT_SEARCH (IMAP_WANT(IMAP_RESPONSE_SEARCH) | IMAP_WANT(IMAP_RESPONSE_ESEARCH))

#define IMAP_CONTINUE_LATER 1

/*
 * One command. Untagged responses have no tag: those listed in `wants` go to the first command in
 * flight, in the order sent, that wants them, belongs to the mailbox they are about, and whose
 * `claims` (if any) says yes. ESEARCH goes by its correlator. All pieces of one FETCH go to the
 * same command. What nobody wants only updates the mailbox state.
 */
struct imap_request {
	struct imap_encoder *command; /* finished; taken over and released by the session */
	unsigned flags;
	unsigned wants;
	/* name of the IMAP_RESPONSE_OTHER it wants, e.g. "NAMESPACE"; static */
	const char *wants_other;
	bool (*claims)(void *ctx, const struct imap_response *r);
	/*
	 * For chunks with `stream`: put 1 to `max` bytes of the current one into `p`, *n is how
	 * many. -1 with *err set ends the session, since the announced size cannot be taken
	 * back.
	 */
	int (*stream)(void *ctx, void *p, size_t max, size_t *n, struct err *err);
	/*
	 * Answer a `+` that no literal waits for: append a line without CRLF to `answer`, which is
	 * treated as secret. -1 with *err set sends `*` (cancel) instead. IMAP_CONTINUE_LATER: the
	 * command stays open, however long, until imap_session_continue(). NULL: such a `+` closes
	 * the connection.
	 */
	int (*on_continue)(void *ctx, struct bytes text, struct buf *answer, struct err *err);
	struct bytes mailbox_name; /* OPENS; copied */
	/* for messages, e.g. "EXAMINE Archive/2024"; copied; NULL: the command's name */
	const char *what;
	struct imap_handler handler; /* ctx is that of all the functions above, too */
};

/*
 * Begin: the connection is made while the loop runs. `account` and `trace` (NULL: off; copied) must
 * stay valid. Never NULL; what fails, the name look-up included, ends in CLOSED. Joins the loop.
 */
struct imap_session *imap_session_new(struct loop *loop, const struct imap_account *account,
				      const struct imap_trace *trace);
/* The same on a transport that is there already (tests, tunnels), which it owns. */
struct imap_session *imap_session_new_on(struct loop *loop, const struct imap_account *account,
					 const struct imap_trace *trace,
					 struct transport *transport);
/* Leave the loop and close without LOGOUT; commands under way end with LOST. NULL is allowed. */
void imap_session_free(struct imap_session *s);

/*
 * Run the loop until the session is AUTHENTICATED (0), or -1 with *err: ERR_AUTH (the server
 * refused the login, or offers only weaker ones than before: do not try again), ERR_RETRY (network,
 * busy), ERR_FATAL (certificate, protocol, settings), ERR_STOPPED.
 */
int imap_session_open(struct imap_session *s, struct err *err);
/*
 * Run the loop until no command of this session is waiting or in flight. 0, or -1: ERR_STOPPED, or
 * why the session closed. What the commands came to their handlers know.
 */
int imap_session_drain(struct imap_session *s, struct err *err);
/* End now, as if the connection was lost; *why is what commands under way are told. */
void imap_session_close(struct imap_session *s, const struct err *why);

enum imap_state imap_session_state(const struct imap_session *s);
/* Why it is CLOSED: kind is ERR_NONE after LOGOUT. NULL in any other state. */
const struct err *imap_session_error(const struct imap_session *s);
/* Ready for commands: AUTHENTICATED or SELECTED. */
bool imap_session_is_ready(const struct imap_session *s);
const struct imap_caps *imap_session_caps(const struct imap_session *s);
static inline bool imap_session_has(const struct imap_session *s, enum imap_cap cap)
{
	return imap_caps_has(imap_session_caps(s), cap);
}
/*
 * The mailbox that is selected as far as the server has answered; NULL: none. Borrowed until it is
 * left.
 */
const struct imap_mailbox *imap_session_mailbox(const struct imap_session *s);
/* The one that what is submitted now would run in; its state may not be there yet. NULL: none. */
const struct imap_mailbox *imap_session_submitted(const struct imap_session *s);
struct loop *imap_session_loop(const struct imap_session *s);
/* The server said ENABLED to it (RFC 5161). */
bool imap_session_enabled(const struct imap_session *s, enum imap_cap cap);
/* UTF8=ACCEPT or IMAP4rev2 is enabled: mailbox names on the wire are UTF-8. */
bool imap_session_utf8(const struct imap_session *s);
/* COMPRESS is in force: `compress = yes`, found worth it by `auto`, or imap_compress_wait(). */
bool imap_session_is_compressed(const struct imap_session *s);

/*
 * What an encoder for this session is to be given: literals, and a ceiling for the whole command.
 */
enum imap_literals imap_session_literals(const struct imap_session *s);
void imap_session_encoder(const struct imap_session *s, struct imap_encoder *e);
/* How long a message set in a command may be, in bytes. */
size_t imap_session_set_budget(const struct imap_session *s);

/* The version spoken: IMAP4rev2 only where it was enabled or nothing older is offered. */
enum imap_protocol { IMAP_PROTOCOL_IMAP4, IMAP_PROTOCOL_REV1, IMAP_PROTOCOL_REV2 };
enum imap_protocol imap_session_protocol(const struct imap_session *s);

/* What commands have to keep to; 0: no limit is known. */
struct imap_limits {
	size_t command_bytes; /* of one command, messages not counted */
	size_t set_bytes;     /* of a message set in it */
	uint64_t append_bytes; /* APPENDLIMIT */
	uint64_t messages;     /* MESSAGELIMIT: of one command */
};
struct imap_limits imap_session_limits(const struct imap_session *s);

/* What imap_append() has learned of this server; owned by the session. */
struct append_trust *imap_session_append_trust(struct imap_session *s);

/*
 * Queue a command; it is sent when its turn comes, in the order submitted. The session must have
 * been READY when its arguments were encoded, since that depends on the capabilities. On a session
 * that is closed on_done is called at once.
 */
void imap_session_submit(struct imap_session *s, const struct imap_request *request);
/*
 * Send the line that on_continue owed to the server. Does nothing when no command is open, since
 * the server may have ended it.
 */
void imap_session_continue(struct imap_session *s, struct bytes line);
/*
 * What comes in the selected mailbox or about others without anybody having asked for it goes to
 * `listener` from now on, besides its effect on the mailbox state. NULL: to nobody.
 */
void imap_session_listen(struct imap_session *s,
			 void (*listener)(void *ctx, const struct imap_response *r), void *ctx);
/* Commands submitted and not yet done. */
size_t imap_session_pending(const struct imap_session *s);

/*
 * Stop or go on reading: for a consumer that is busy. May be called from on_response: nothing more
 * is delivered from then on. Time spent paused does not count as silence.
 */
void imap_session_pause(struct imap_session *s, bool paused);

/* For measurements and tests. */
struct imap_traffic {
	uint64_t read, written; /* bytes, after decryption */
	uint64_t commands;      /* sent */
	unsigned most_in_flight;
	unsigned most_data_in_flight;
};
struct imap_traffic imap_session_traffic(const struct imap_session *s);

#endif
