#ifndef CORE_IMAP_COMMANDS_MANAGE_H
#define CORE_IMAP_COMMANDS_MANAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/imap/caps.h"
#include "core/imap/session.h"

/*
 * Mailboxes as a whole, and what surrounds them: see commands.h for what holds for all `_wait`
 * commands. 0, or -1 with *err: ERR_MISSING when the mailbox surely does not exist, ERR_MAILBOX
 * when the server refuses, ERR_CONFIG when it does not have the extension (nothing is sent then).
 */

struct imap_created {
	bool existed;     /* [ALREADYEXISTS]: it was there before, nothing was made */
	char *mailbox_id; /* OBJECTID; NULL: not told. Released with free(). */
};

/*
 * CREATE. `use`: what it is for, of enum imap_mailbox_attribute (ALL to TRASH); not 0 needs
 * CREATE-SPECIAL-USE (RFC 6154, section 3). With `out` a mailbox that is there already is no
 * failure; NULL: it is. Nothing else is in flight meanwhile, here and in the next two.
 */
int imap_create_wait(struct imap_session *s, struct bytes wire_name, unsigned use,
		     struct imap_created *out, struct err *err);
int imap_delete_wait(struct imap_session *s, struct bytes wire_name, struct err *err);
/*
 * What is below goes along. INBOX stays and is empty afterwards: its messages move (RFC 9051,
 * section 6.3.6).
 */
int imap_rename_wait(struct imap_session *s, struct bytes from, struct bytes to, struct err *err);
int imap_subscribe_wait(struct imap_session *s, struct bytes wire_name, struct err *err);
int imap_unsubscribe_wait(struct imap_session *s, struct bytes wire_name, struct err *err);

/* CHECK; NOOP where IMAP4rev2 has done away with it. Needs a selected mailbox. */
int imap_check_wait(struct imap_session *s, struct err *err);
/*
 * CLOSE: leaves the mailbox and removes for good what is marked \Deleted in it, whoever did so,
 * unless it was opened by EXAMINE. imap_unselect() is the one that removes nothing.
 */
int imap_close_wait(struct imap_session *s, struct err *err);

/*
 * ENABLE (RFC 5161), before a mailbox is selected. What the server does not advertise is left out,
 * and nothing is sent when nothing is left; imap_session_enabled() knows what came of it.
 */
int imap_enable_wait(struct imap_session *s, const enum imap_cap *caps, size_t n,
		     struct err *err);
/* The same for one extension, submitted and not waited for; not at all where it is refused above. */
void imap_enable(struct imap_session *s, enum imap_cap cap);

/*
 * UNAUTHENTICATE (RFC 8437) and log in again, so that nothing is selected nor enabled: 0 once that
 * is done. Not while other commands are under way, nor with compression.
 */
int imap_unauthenticate_wait(struct imap_session *s, struct err *err);

/* --- quota (RFC 9208) --- */

struct imap_quota_resource {
	char *name; /* STORAGE (in units of 1024 bytes), MESSAGE, MAILBOX, ... */
	uint64_t usage, limit;
};
struct imap_quota {
	char *root; /* often "" */
	struct imap_quota_resource *resources;
	size_t n, cap;
};
struct imap_quotas {
	struct imap_quota *roots;
	size_t n, cap;
};
void imap_quotas_release(struct imap_quotas *q);
int imap_getquota_wait(struct imap_session *s, struct bytes root, struct imap_quotas *out,
		       struct err *err);
/* The quotas a message added to this mailbox counts against; n is 0 when there are none. */
int imap_getquotaroot_wait(struct imap_session *s, struct bytes wire_name,
			   struct imap_quotas *out, struct err *err);

/* --- access rights (RFC 4314) --- */

/* What we may do, one letter each ("lrswipkxtea"); owned by the caller. */
int imap_myrights_wait(struct imap_session *s, struct bytes wire_name, char **rights,
		       struct err *err);

struct imap_acl {
	char **identifiers; /* who; "-name" takes rights away */
	char **rights;
	size_t n, cap;
};
void imap_acl_release(struct imap_acl *acl);
int imap_getacl_wait(struct imap_session *s, struct bytes wire_name, struct imap_acl *out,
		     struct err *err);

#endif
