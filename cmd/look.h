#ifndef CMD_LOOK_H
#define CMD_LOOK_H

#include "backends/git/deleted.h"
#include "core/sync/store.h"

#include "cmd/exit_status.h"
#include "cmd/store_arg.h"

struct app;

/* A store that a command looks into: opened read-only, without a lock, with its mailboxes. */
struct look {
	struct app *app;
	struct store_arg arg;
	struct run run;
	struct store *store;
	struct mailbox_list list;
	struct git_deleted deleted; /* of LOOK_DELETED: all of history */
	/* Of LOOK_KEPT, opened by look_kept(): the same store without kept messages. */
	struct store_config live_config;
	struct store *live;
};

enum look_what {
	LOOK_LIVE,
	LOOK_KEPT,    /* live and kept messages */
	LOOK_DELETED, /* messages that were live once, as git_deleted_store has them */
};

/*
 * Open STORE[@SNAPSHOT]: look_open() its live messages. After a failure, too, look_close() must follow. ERR_CONFIG: there are
 * none of that kind in it.
 */
int look_open(struct look *lk, struct app *app, const char *text, struct err *err);
int look_open_at(struct look *lk, struct app *app, const char *text, enum look_what what,
		 struct err *err);
void look_close(struct look *lk);

/*
 * Open the mailbox with that name, as `ls` shows it. *mb belongs to the store. ERR_MISSING when
 * there is none.
 */
int look_mailbox(struct look *lk, const char *name, struct mailbox **mb, struct err *err);
/* Every message that the store shows, into *out (initialised). */
int look_contents(struct mailbox *mb, struct changes *out, struct err *err);
/* Which of `all`, the UIDs that a store opened as LOOK_KEPT shows in this mailbox, are kept: adds them to *out. */
int look_kept(struct look *lk, const struct mailbox_info *info, const struct uidset *all, struct uidset *out,
	      struct err *err);

#endif
