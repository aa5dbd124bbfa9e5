#ifndef TESTS_LIB_PRUNE_SCENE_H
#define TESTS_LIB_PRUNE_SCENE_H

#include <stddef.h>

#include "tests/lib/backup.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/support.h"

/* An account with old mail, the job that backs it up, and what must not be lost of it. */
struct prune_scene {
	struct oracle *o;
	struct backup job;
	struct name_list ever; /* SHA-256 of what the account had */
};

#define PRUNE_OLD "job --older-than=2y"
#define PRUNE_ALL PRUNE_OLD " --allow-deletes=1000"

/*
 * 20 old messages in INBOX and 10 in Work, UIDs 1 to 20 and 1 to 10; and a new one in each. Backed up into a store of
 * this type. `more`: further lines of the job's section, or NULL.
 */
void prune_begin(struct prune_scene *s, const struct dovecot *server, const char *user, const char *type,
		 const char *more);
void prune_end(struct prune_scene *s);
void prune_append_now(struct prune_scene *s, const char *mailbox, const char *text);
void prune_append_old(struct prune_scene *s, const char *mailbox, const char *flags, const char *text);
/* What is at the account now is not to be lost, either. */
void prune_remember(struct prune_scene *s);
void prune_nothing_is_lost(const struct prune_scene *s, const char *root);
size_t prune_count_at_account(struct prune_scene *s, const char *mailbox);
/* All that is old is gone at the account and kept here, and a backup has nothing to do. */
void prune_is_complete(struct prune_scene *s);
/* `mailcask COMMAND --json ARGS` ends with `status`, and says `out` and `err` somewhere. */
void prune_says(const struct prune_scene *s, const char *command, const char *args, int status, const char *out,
		const char *err);

#endif
