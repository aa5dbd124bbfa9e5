#ifndef CORE_IMAP_SESSION_PRIVATE_H
#define CORE_IMAP_SESSION_PRIVATE_H

#include "core/base/buf.h"
#include "core/imap/append_trust.h"
#include "core/imap/loop.h"
#include "core/imap/session.h"

/*
 * What the parts of the session share; nobody else includes this.
 *
 *   session.c          birth, end, the loop's view: when to wait, when to give up
 *   session_io.c       connect, TLS, read, write
 *   session_compress.c when to compress, and the step to it
 *   session_login.c    from the greeting to AUTHENTICATED
 *   session_auth.c     the login itself: which mechanism, its exchange
 *   session_send.c     the queue: what may go out when
 *   session_receive.c  to whom a response belongs, how a command ends
 *   session_mailbox.c  the state of the selected mailbox, and which one data is about
 */

/*
 * How fast the line is, as far as it was waited for: the time between a read that found nothing
 * and the next that found something. The time this program needs itself does not count.
 */
struct link_meter {
	int64_t round_trip;   /* shortest answer to a command, in ms; -1: none yet */
	int64_t empty_since;  /* clock_us() of a read that found nothing; 0: the line is not waited for */
	int64_t waited;       /* microseconds of this sample */
	uint64_t bytes;       /* of this sample */
	bool streaming;  /* the answer to a command with much data has begun */
	unsigned samples;
	unsigned slow;        /* of the last ones, in a row */
};

/* Shared by the session and every command that runs in it. */
struct mailbox_ref {
	struct imap_mailbox state;
	unsigned refs;
	bool failed; /* its SELECT was refused */
};

struct command {
	struct command *next;
	struct imap_request request; /* `command` and `what` inside are not used */
	struct imap_encoder encoder;
	char *what; /* escaped: there may be a name in it that a server chose */
	char tag[24];
	struct mailbox_ref *mailbox; /* that it opens or runs in; NULL: none */
	size_t next_chunk;
	uint64_t stream_left; /* of the chunk being streamed */
	bool in_stream;
	bool internal;
	bool damaged;
	bool held;	   /* open until imap_session_continue() */
	bool all_queued;   /* its last byte is in the output buffer or gone */
	uint64_t end_at;   /* value of `written` at which it has been sent completely */
	int64_t started_at; /* clock_ms() */
	size_t wire_bytes; /* what counts against the cap of unacknowledged bytes */
};

struct command_list {
	struct command *first, *last;
	size_t n;
};

struct imap_session {
	struct loop_member member; /* first: the loop knows the session by it */
	struct loop *loop;
	const struct imap_account *account;
	struct imap_trace trace;
	struct transport *transport; /* NULL once closed */
	struct imap_parser *parser;
	struct imap_caps caps;
	enum imap_state state;
	struct err error; /* why CLOSED */

	char tag_prefix[8];
	uint32_t tag_number;

	/* Login */
	bool starting_tls; /* STARTTLS was answered OK: handshake next */
	bool tls_layered;  /* the handshake is ours to finish before NOT_AUTHENTICATED */
	bool id_sent;
	bool utf8;
	uint64_t enabled; /* 1 << enum imap_cap: what ENABLED named */
	struct sasl *sasl;
	const char *mechanism; /* of the login under way, as in AUTH=; NULL: the LOGIN command */
	struct err sasl_error; /* why we gave the exchange up */

	/* COMPRESS */
	bool starting_deflate; /* it was answered OK: what follows is compressed */
	bool compressed;
	bool compress_asked; /* by the session itself; once is enough */
	struct link_meter meter;

	/* Queue */
	struct command_list setup;   /* waiting, the session's own: login */
	struct command_list waiting; /* submitted */
	struct command_list in_flight;
	struct command *sending;     /* last of in_flight, not completely queued yet; NULL: none */
	bool await_continue;         /* `sending` may go on only after `+` */
	size_t unacknowledged;       /* bytes of the commands in flight */
	size_t pending;              /* commands of others, waiting or in flight */

	struct append_trust append_trust;

	/* Bytes */
	uint8_t *in;
	size_t in_at, in_end;
	bool unparsed; /* the parser may have more without new bytes */
	bool paused;
	struct buf out;
	uint64_t queued, written; /* bytes ever put into `out`, and gone from it */
	int64_t last_activity;
	int64_t last_progress; /* a command was answered, or somebody got what he asked for */

	/* Receiving */
	void (*listener)(void *ctx, const struct imap_response *r); /* NULL: none */
	void *listener_ctx;
	char *bye; /* escaped text of BYE; NULL: none came */
	int64_t retry_after_ms; /* that BYE asked for; 0: nothing */
	bool fetch_routed;
	struct command *fetch_route; /* who gets the rest of the FETCH; NULL: nobody */
	char *last_alert;
	unsigned alerts;
	unsigned bad_lines; /* that were warned of */

	struct mailbox_ref *mailbox;   /* selected as far as answered */
	struct mailbox_ref *opening;   /* SELECT whose data comes now */
	struct mailbox_ref *submitted; /* by the last OPENS submitted */

	struct imap_traffic traffic;
};

/* session.c */
void session_fail(struct imap_session *s, const struct err *why);
/* As session_fail(), for `text` about the server. */
void session_fail_text(struct imap_session *s, enum err_kind kind, const char *text);
int64_t session_timeout(const struct imap_session *s);
bool session_is_private(const struct imap_session *s);

/* session_io.c */
#define SESSION_INPUT_SIZE 65536
/* Put TLS over the transport; the session fails when the settings cannot be used. */
void session_layer_tls(struct imap_session *s);
void session_go_on_opening(struct imap_session *s, int64_t now);
/* There is a stream, and it is past its handshake. */
bool session_is_streaming(const struct imap_session *s);
void session_read(struct imap_session *s, int64_t now);
void session_write(struct imap_session *s, int64_t now);

/* session_compress.c */
void session_compress_init(struct imap_session *s);
/* The login is over: ask for it if the account says so. */
void session_compress_login(struct imap_session *s);
/* Put compression over the transport. */
void session_begin_deflate(struct imap_session *s);
/* For the measurement: a command was answered; a read brought `n` bytes (0: none were there). */
void session_note_answer(struct imap_session *s, const struct command *c);
void session_note_read(struct imap_session *s, size_t n);

/* session_login.c */
void session_greeting(struct imap_session *s, const struct imap_response *r);
void session_login_next(struct imap_session *s);
/* The server forgot who we are, and all that was enabled or selected (RFC 8437). */
void session_login_again(struct imap_session *s);
/* The server has let us in. */
void session_authenticated(struct imap_session *s);
/* Act as if the server did not have what is known not to work there. */
void session_apply_quirks(struct imap_session *s, struct bytes greeting);

/* session_auth.c */
void session_authenticate(struct imap_session *s);

/* session_send.c */
void command_list_add(struct command_list *list, struct command *c);
void command_list_remove(struct command_list *list, struct command *c);
void command_free(struct imap_session *s, struct command *c);
/* As imap_session_submit(), for the session's own commands. */
void session_submit_own(struct imap_session *s, const struct imap_request *request);
/* There is something to put into the output buffer. */
bool session_can_send(const struct imap_session *s);
/* Do so, as far as it has room. Handlers of commands that cannot be sent run from here. */
void session_fill_output(struct imap_session *s);
void session_answer_continue(struct imap_session *s, struct bytes text);
bool command_is_sent(const struct imap_session *s, const struct command *c);
void session_queue_bytes(struct imap_session *s, struct bytes data);

/* session_receive.c */
/*
 * *err tells what is unreadable: put before it to which command (NULL: the oldest under way) the
 * server said it.
 */
void session_blame_answer(const struct imap_session *s, const char *what, struct err *err);
void session_receive(struct imap_session *s, const struct imap_response *r);
/* The refusal is about the moment: the same may be granted later. */
bool session_is_passing(const struct imap_status *st);
/* The command is over without an answer; it must be in no list any more. */
void session_lose_command(struct imap_session *s, struct command *c, const struct err *why);

/* session_mailbox.c */
struct mailbox_ref *mailbox_ref_new(struct bytes name);
struct mailbox_ref *mailbox_ref_take(struct mailbox_ref *m); /* NULL is allowed */
void mailbox_ref_drop(struct mailbox_ref *m);		     /* NULL is allowed */
/* The mailbox that untagged data is about now; NULL: none. */
struct mailbox_ref *session_data_mailbox(const struct imap_session *s);
/* A command went out or ended: which SELECT's data may come next? */
void session_update_opening(struct imap_session *s);
void session_closed_code(struct imap_session *s);
/* None is selected any more. */
void session_mailbox_forget(struct imap_session *s);
void session_mailbox_code(struct imap_session *s, const struct imap_status *status);
void session_mailbox_data(struct imap_session *s, const struct imap_response *r);
/* An OPENS or LEAVES command ended. */
void session_mailbox_done(struct imap_session *s, struct command *c, const struct imap_status *st);

#endif
