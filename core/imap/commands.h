#ifndef CORE_IMAP_COMMANDS_H
#define CORE_IMAP_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/imap/response.h"
#include "core/imap/scan.h"
#include "core/imap/session.h"
#include "core/mail/mailbox_name.h"

struct uidset;

/*
 * Typed commands. Two kinds:
 *  - imap_NAME(session, ..., done, ctx) submits and returns; `done` is called from the loop with
 *    the typed answer and the result. Many may be under way.
 *  - imap_NAME_wait(session, ..., err) runs the loop until it is answered, for what is done
 *    once. Not from within a handler. When it is interrupted (ERR_STOPPED) the session is closed.
 * The session must be ready (imap_session_is_ready()). Mailbox names are as on the wire: what LIST
 * gave, or mailbox_name_to_wire(). Every item is sent only if its extension is advertised, so
 * ask for all you would like and look at what came.
 * Those returning int fail (-1, *err) only when the command cannot be encoded; then `done` is not
 * called.
 */

/* --- 0 or -1 with *err set; the caller may look at the session for more --- */

/* Ask again what the server can do; imap_session_caps() has the answer. */
int imap_capability_wait(struct imap_session *s, struct err *err);
int imap_noop_wait(struct imap_session *s, struct err *err);
/*
 * COMPRESS DEFLATE: everything after it is compressed, both ways. ERR_MAILBOX when the server does
 * not offer or refuses it, or it is in force already; the session goes on as it was.
 */
int imap_compress_wait(struct imap_session *s, struct err *err);
/* Says LOGOUT and waits for the end; the session is CLOSED afterwards. */
int imap_logout_wait(struct imap_session *s, struct err *err);

/* Submits NOOP; `done` may be NULL. */
typedef void imap_done_fn(void *ctx, const struct imap_result *result);
void imap_noop(struct imap_session *s, imap_done_fn *done, void *ctx);
/*
 * Leave the mailbox without expunging: UNSELECT, or what else is safe; nothing is sent if there is
 * no such way.
 */
void imap_unselect(struct imap_session *s, imap_done_fn *done, void *ctx);

/* What the server says it is; strings owned, NULL where NIL. Released with imap_id_release(). */
struct imap_id {
	char **keys;
	char **values;
	size_t n, cap;
};
void imap_id_release(struct imap_id *id);
/* Without ID advertised: nothing is sent and *out is empty. */
int imap_id_wait(struct imap_session *s, struct imap_id *out, struct err *err);

struct imap_namespaces {
	struct imap_namespace *list;
	char **prefixes; /* what list[i].prefix points to */
	size_t n;
};
void imap_namespaces_release(struct imap_namespaces *ns);
/* Without NAMESPACE advertised: one personal namespace "" with the delimiter LIST "" "" tells. */
int imap_namespace_wait(struct imap_session *s, struct imap_namespaces *out, struct err *err);

/* --- mailboxes --- */

struct imap_mailbox_entry {
	struct mailbox_name name; /* with its wire form and delimiter */
	unsigned attributes;      /* enum imap_mailbox_attribute; SUBSCRIBED merged in */
	char *raw_attributes;     /* as sent */
	char *old_name;           /* wire name before a rename the server tells of; NULL: none */
	bool dubious;             /* the server's line was not legal: read by guessing */
	/*
	 * Values true where `present` has the bit (enum imap_mailbox_item). 0: STATUS did not work.
	 */
	unsigned present;
	uint32_t messages, uid_next, uid_validity, unseen;
	uint64_t highest_modseq, append_limit;
	char *mailbox_id; /* NULL unless present */
};

struct imap_mailbox_list {
	struct imap_mailbox_entry *entries; /* sorted by name, each once */
	size_t n, cap;
	/*
	 * Every command ended with OK and every line could be read, so a mailbox that is not here
	 * is not there. Never true when hierarchies deeper than 20 had to be left out.
	 */
	bool complete;
	unsigned commands; /* how many it took */
};

void imap_mailbox_list_release(struct imap_mailbox_list *list);

struct imap_list_options {
	const char *prefix;    /* wire name prefix of what to list; NULL: everything */
	/* enum imap_mailbox_item wanted of each mailbox that can be opened; 0: none */
	unsigned status;
	bool subscribed;       /* say which are subscribed */
	size_t max_mailboxes;  /* more end the session (ERR_FATAL); 0: 100,000 */
};

/*
 * Every mailbox with its status, in as few round trips as the server can: LIST-EXTENDED with
 * LIST-STATUS in one command; LIST, then STATUS pipelined; level by level where `*` is refused.
 * INBOX is always asked for. -1 only when the session closed or every way was refused.
 */
int imap_list_wait(struct imap_session *s, const struct imap_list_options *options,
		   struct imap_mailbox_list *out, struct err *err);
/* LSUB (or LIST (SUBSCRIBED)): only names and attributes. */
int imap_lsub_wait(struct imap_session *s, struct imap_mailbox_list *out, struct err *err);

/*
 * STATUS of one mailbox that is not selected. `status` is NULL when the server said OK without a
 * line for it. result->err->kind is ERR_MISSING when it surely does not exist.
 */
typedef void imap_status_fn(void *ctx, const struct imap_mailbox_status *status,
			    const struct imap_result *result);
int imap_status(struct imap_session *s, struct bytes wire_name, unsigned items,
		imap_status_fn *done, void *ctx, struct err *err);

/*
 * EXAMINE (read_only) or SELECT, with CONDSTORE where advertised. result->mailbox is the state,
 * borrowed until the mailbox is left. Submit what is to be done in it right behind: see
 * IMAP_REQUEST_IN_MAILBOX.
 */
int imap_select(struct imap_session *s, struct bytes wire_name, bool read_only, imap_done_fn *done,
		void *ctx, struct err *err);

/*
 * What was known of the mailbox at its last visit; RFC 7162, section 3.2.5. Nothing is told when
 * uid_validity is not the server's any more.
 */
struct imap_resync {
	uint32_t uid_validity;
	uint64_t modseq; /* > 0 */
	const struct uidset *known; /* UIDs; a superset is fine; NULL: all */
	/*
	 * Some message numbers and their UIDs, ascending, for servers that forgot when a message
	 * was removed; NULL: none. Equally many, both not empty.
	 */
	const struct uidset *sample_numbers, *sample_uids;
};
struct imap_resync_sink {
	/* Gone since then; perhaps of what was never known, perhaps in parts. */
	void (*vanished)(void *ctx, const struct uidset *uids);
	/* Came or changed since then: UID, flags and modseq. */
	void (*message)(void *ctx, const struct imap_fetch *f);
	/* As with imap_select(). result->damaged: something may be missing. */
	imap_done_fn *done;
	void *ctx;
};
/* SELECT or EXAMINE with QRESYNC, which must be enabled (ERR_CONFIG otherwise). */
int imap_select_resync(struct imap_session *s, struct bytes wire_name, bool read_only,
		       const struct imap_resync *since, const struct imap_resync_sink *sink,
		       struct err *err);

/*
 * UID SEARCH in the mailbox opened by the last imap_select(). `within` (NULL: all; not empty, not
 * open) restricts to UIDs (the server may be asked about small gaps between them, too); `criteria` is
 * trusted protocol text such as "ALL", "UNSEEN", "DELETED".
 * Answers as a set; `found` is empty when the server said OK and listed nothing, NULL unless OK.
 * result->damaged: the set may lack members.
 */
typedef void imap_search_fn(void *ctx, const struct uidset *found,
			    const struct imap_result *result);
int imap_search(struct imap_session *s, const char *criteria, const struct uidset *within,
		imap_search_fn *done, void *ctx, struct err *err);

/*
 * UID SEARCH RETURN (COUNT): how many messages of the mailbox opened by the last imap_select() match.
 * `criteria` as above, without message numbers. Needs ESEARCH (ERR_CONFIG). `counted`: result is OK
 * and the server told a count.
 */
typedef void imap_count_fn(void *ctx, bool counted, uint64_t count, const struct imap_result *result);
int imap_count(struct imap_session *s, const char *criteria, imap_count_fn *done, void *ctx,
	       struct err *err);

/* --- messages --- */

/* What the numbers of a message set are. */
enum imap_numbering {
	IMAP_UIDS,
	/* Message numbers. They shift, so nothing else is in flight meanwhile. */
	IMAP_NUMBERS,
	/* No set: what the last search with IMAP_SEARCH_SAVE found (RFC 5182). */
	IMAP_SAVED,
};

struct imap_fetch_request {
	const struct uidset *uids; /* not empty, not open; need not outlive the call */
	enum imap_numbering numbering; /* of `uids`; answers bring the UID all the same */
	unsigned items;            /* enum imap_fetch_item but BODY: gated, UID always */
	/*
	 * Body section as trusted protocol text: "" the whole message, "HEADER",
	 * "HEADER.FIELDS (MESSAGE-ID)"; NULL: no body. Always PEEK.
	 */
	const char *section;
	uint64_t offset, length; /* length > 0: BODY.PEEK[...]<offset.length> */
	uint64_t changed_since;  /* > 0: only those with a higher modseq (CONDSTORE) */
	/*
	 * With changed_since and UIDs: tell which of them vanished since then, too. QRESYNC must be
	 * enabled.
	 */
	bool vanished;
};

/* Those of `items` that this server offers: the others are not asked for. */
unsigned imap_fetch_offered(const struct imap_session *s, unsigned items);

/*
 * Where the answers go; all may be NULL, `done` excepted. For each message: body_begin,
 * body_data..., body_end (as asked; not at all when the server has no such message) and then
 * `message` with all attributes. The UID may come after the body: before `message`, uid counts only
 * when `present` has it. Bodies of messages that were not asked for are not passed on where the UID
 * is known in time; look at `message` in any case. Answers may come in any order, twice, or not at
 * all.
 */
struct imap_fetch_sink {
	void (*body_begin)(void *ctx, const struct imap_fetch *f);
	void (*body_data)(void *ctx, struct bytes piece);
	void (*body_end)(void *ctx, const struct imap_fetch *f);
	/* UID is present and was asked for. */
	void (*message)(void *ctx, const struct imap_fetch *f);
	/* Some of the UIDs asked for are gone; others may be among them, and it may repeat. */
	void (*vanished)(void *ctx, const struct uidset *uids);
	/*
	 * A message whose body began turned out not to be one that was asked for, or to have no
	 * UID: forget what was gathered since body_begin.
	 */
	void (*drop)(void *ctx);
	/* Once, after all commands it took: the first result that is not OK, else the last. */
	imap_done_fn *done;
	void *ctx;
};

/*
 * UID FETCH in the mailbox opened by the last imap_select(). A set too long for one command is
 * spread over several, pipelined; the sink does not notice.
 */
int imap_fetch(struct imap_session *s, const struct imap_fetch_request *request,
	       const struct imap_fetch_sink *sink, struct err *err);

/*
 * Any command by name, with arguments already encoded by the caller's encoder; for what has no
 * function here. Untagged responses of all kinds that nobody else claims go to handler.on_response.
 * Nothing else is in flight.
 */
void imap_raw(struct imap_session *s, struct imap_encoder *command,
	      const struct imap_handler *handler);

#endif
