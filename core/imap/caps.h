#ifndef CORE_IMAP_CAPS_H
#define CORE_IMAP_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/bytes.h"

struct err;

/* Extensions this client knows of. Names as on the wire are in caps.c. */
enum imap_cap {
	IMAP_CAP_IMAP4REV1,
	IMAP_CAP_IMAP4REV2,
	IMAP_CAP_ACL,
	IMAP_CAP_APPENDLIMIT,
	IMAP_CAP_BINARY,
	IMAP_CAP_BINARY_FETCH, /* the half of BINARY that IMAP4rev2 implies; set by BINARY too */
	IMAP_CAP_CATENATE,
	IMAP_CAP_CHILDREN,
	IMAP_CAP_COMPRESS_DEFLATE,
	IMAP_CAP_CONDSTORE, /* QRESYNC implies it (RFC 7162, section 3.2) */
	IMAP_CAP_CONTEXT_SEARCH,
	IMAP_CAP_CONTEXT_SORT,
	IMAP_CAP_CREATE_SPECIAL_USE,
	IMAP_CAP_ENABLE,
	IMAP_CAP_ESEARCH,
	IMAP_CAP_ESORT,
	IMAP_CAP_ID,
	IMAP_CAP_IDLE,
	IMAP_CAP_INPROGRESS,
	IMAP_CAP_JMAPACCESS,
	IMAP_CAP_LIST_EXTENDED,
	IMAP_CAP_LIST_METADATA,
	IMAP_CAP_LIST_MYRIGHTS,
	IMAP_CAP_LIST_STATUS,
	IMAP_CAP_LITERAL_MINUS, /* LITERAL+ does not set it */
	IMAP_CAP_LITERAL_PLUS,
	IMAP_CAP_LOGINDISABLED,
	IMAP_CAP_MESSAGELIMIT,
	IMAP_CAP_METADATA,
	IMAP_CAP_METADATA_SERVER,
	IMAP_CAP_MOVE,
	IMAP_CAP_MULTIAPPEND,
	IMAP_CAP_MULTISEARCH,
	IMAP_CAP_NAMESPACE,
	IMAP_CAP_NOTIFY,
	IMAP_CAP_OBJECTID,
	IMAP_CAP_PARTIAL,
	IMAP_CAP_PREVIEW,
	IMAP_CAP_QRESYNC,
	IMAP_CAP_QUOTA,
	IMAP_CAP_REPLACE,
	IMAP_CAP_SASL_IR,
	IMAP_CAP_SAVEDATE,
	IMAP_CAP_SAVELIMIT,
	IMAP_CAP_SEARCHRES,
	IMAP_CAP_SORT,
	IMAP_CAP_SPECIAL_USE,
	IMAP_CAP_STARTTLS,
	IMAP_CAP_STATUS_DELETED,
	IMAP_CAP_STATUS_MAILBOXID, /* that part of OBJECTID, which sets it; a word of ours, for quirks */
	IMAP_CAP_STATUS_SIZE,
	IMAP_CAP_THREAD, /* any THREAD= */
	IMAP_CAP_UIDBATCHES,
	IMAP_CAP_UIDONLY,
	IMAP_CAP_UIDPLUS,
	IMAP_CAP_UNAUTHENTICATE,
	IMAP_CAP_UNSELECT,
	IMAP_CAP_URLAUTH,
	IMAP_CAP_UTF8_ACCEPT,
	IMAP_CAP_UTF8_ONLY,
	IMAP_CAP_WITHIN,
	IMAP_CAP_X_GM_EXT_1,
	IMAP_CAP_COUNT,
};

/*
 * What a server says it can do, minus what the user forbade. Zero-initialise with
 * imap_caps_init(); the mask given to imap_caps_disable() outlives imap_caps_set().
 */
struct imap_caps {
	uint64_t bits, disabled; /* 1 << enum imap_cap */
	uint64_t append_limit;   /* APPENDLIMIT=n; 0 = not said for the whole server */
	uint64_t message_limit;  /* MESSAGELIMIT=n; 0 = none */
	struct buf text;          /* as the server sent it, for display and for unknown names */
	struct buf disabled_auth; /* AUTH= names forbidden, blank-separated */
};

void imap_caps_init(struct imap_caps *caps);
void imap_caps_release(struct imap_caps *caps);

/*
 * Forget what was known and take the words of a CAPABILITY response or code. Also fit for
 * ENABLED (then without what IMAP4rev2 implies: pass `implied` false).
 */
void imap_caps_set(struct imap_caps *caps, struct bytes words, bool implied);
/* Forget all, keep the mask: after STARTTLS and after authentication (S7). */
void imap_caps_clear(struct imap_caps *caps);

/*
 * Act as if these were never advertised: names as in CAPABILITY (`QRESYNC, MOVE`, AUTH=PLAIN),
 * separated by commas or blanks. Holds from the next imap_caps_set() on; what only a masked name
 * implied goes with it. Returns 0, or -1 (ERR_CONFIG) for a name that is not known.
 */
int imap_caps_disable(struct imap_caps *caps, const char *names, struct err *err);

bool imap_caps_has(const struct imap_caps *caps, enum imap_cap cap);
/* AUTH=mechanism, in any case of letters. */
bool imap_caps_has_auth(const struct imap_caps *caps, const char *mechanism);
/* The user forbade AUTH=mechanism, whether or not it is offered. */
bool imap_caps_masks_auth(const struct imap_caps *caps, const char *mechanism);
/* Whether the server listed this very word, known or not; ignores the mask. */
bool imap_caps_lists(const struct imap_caps *caps, const char *word);
/* Nothing was learned yet, so CAPABILITY must be asked. */
bool imap_caps_unknown(const struct imap_caps *caps);
/* The name on the wire, such as "LITERAL+". */
const char *imap_cap_name(enum imap_cap cap);

#endif
