#ifndef CORE_IMAP_COMMANDS_WATCH_H
#define CORE_IMAP_COMMANDS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/imap/commands.h"
#include "core/imap/session.h"

/*
 * Hearing of changes: IDLE tells of the selected mailbox, NOTIFY of all. Either way the news are
 * what no command has asked for, so they come through one listener (imap_session_listen()).
 */
enum imap_event_kind {
	IMAP_EVENT_EXISTS,   /* u.number: so many messages there are now in the selected mailbox */
	IMAP_EVENT_REMOVED,  /* EXPUNGE or VANISHED in the selected mailbox */
	IMAP_EVENT_FLAGS,    /* FETCH: flags, or a new message as NOTIFY describes it */
	IMAP_EVENT_STATUS,   /* something changed in another mailbox: u.mailbox */
	IMAP_EVENT_NAME,     /* a mailbox came, went, was renamed or (un)subscribed: u.list */
	IMAP_EVENT_OVERFLOW, /* the server stops NOTIFY: too much happened */
};

struct imap_event {
	enum imap_event_kind kind;
	const struct imap_response *response;
};
/* False when it is no news (keep-alives and such). */
bool imap_event_from(const struct imap_response *r, struct imap_event *out);

/*
 * IDLE (RFC 2177) in the selected mailbox. It lasts until imap_idle_end(), which may be called from
 * the listener; what is submitted meanwhile waits. Servers give up after 30 minutes, routers
 * earlier. `done` comes once; *out is valid until then.
 */
struct imap_idle;
int imap_idle(struct imap_session *s, imap_done_fn *done, void *ctx, struct imap_idle **out,
	      struct err *err);
void imap_idle_end(struct imap_idle *idle);

/*
 * IDLE until `event` says false or clock_ms() is at `until`, beginning anew every 24 minutes. Takes
 * the session's listener for the time being.
 */
int imap_idle_wait(struct imap_session *s, bool (*event)(void *ctx, const struct imap_event *ev),
		   void *ctx, int64_t until, struct err *err);

/* NOTIFY (RFC 5465). All false: NOTIFY NONE. */
struct imap_notify_request {
	bool status;   /* with `others`: the STATUS of each right away */
	bool selected; /* messages of the selected mailbox */
	bool others;   /* messages, names and subscriptions of all personal mailboxes */
};
/*
 * *accepted says whether it is on; if not (not offered, BADEVENT, too much), use IDLE or ask from
 * time to time. -1 only when the session closed.
 */
int imap_notify_wait(struct imap_session *s, const struct imap_notify_request *request,
		     bool *accepted, struct err *err);

#endif
