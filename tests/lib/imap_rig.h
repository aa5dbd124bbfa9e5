#ifndef TESTS_LIB_IMAP_RIG_H
#define TESTS_LIB_IMAP_RIG_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/session.h"

struct imap_play;
struct loop;

/* A session that is logged in, against a script (imap_play.h). */
struct imap_rig {
	struct imap_account account;
	struct imap_play *play;
	struct loop *loop;
	struct imap_session *session;
	struct buf log; /* for what handlers saw */
	struct err err;
};

/* `caps` are added to IMAP4rev1; the script begins after the greeting. */
void imap_rig_open(struct imap_rig *rig, const char *caps, const char *script);
/* As above, and INBOX was opened, by EXAMINE if `read_only`. Needs no CONDSTORE in `caps`. */
void imap_rig_open_inbox(struct imap_rig *rig, const char *caps, bool read_only,
			 const char *script);
/* Until all commands are done, whatever they came to. */
void imap_rig_drain(struct imap_rig *rig);
/* The test fails unless what the handlers wrote since is `want`; forgets it. */
void imap_rig_expect(struct imap_rig *rig, const char *want);
/*
 * Handler: "ok ", "no ", "bad " or "lost " to the log, "damaged " before it where that is not the
 * end of the session; ctx is the rig.
 */
void imap_rig_note(void *ctx, const struct imap_result *result);
/* Fails the test when the script was not played to its end. */
void imap_rig_close(struct imap_rig *rig);

#endif
