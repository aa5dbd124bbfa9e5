#ifndef CMD_STORE_ARG_H
#define CMD_STORE_ARG_H

#include "core/sync/store.h"

struct app;

/* Every type of local store; ends with NULL. */
extern const struct store_ops *const store_types[];
/* By the word that names it in the configuration; NULL: none of them. */
const struct store_ops *store_type(const char *word);

/*
 * A store as it is named on a command line, STORE[@SNAPSHOT]. STORE is the name of a [store] of the
 * configuration; NAME/ACCOUNT where its path has %a and several jobs use it; or a path, which
 * is a text with a `/` in it or an existing directory. A path needs no configuration. A name of
 * the configuration comes before a directory of that name, ./NAME is the directory.
 *
 * What lies there says of which type it is and which layout it has, not the configuration.
 */
struct store_arg {
	const struct store_ops *ops;
	/* For store_open() in STORE_READ; borrows from this struct, which must not move or end. */
	struct store_config config;
	struct store_identity identity; /* presence is STORE_OURS */
	char *name;     /* the section's, with the account if one was said or meant; or the path */
	char *path;
	char *snapshot; /* what stood after the last @; NULL: nothing */
	char *moment;   /* what snapshot_arg_resolve() found: "9edfa3bb of 2024-02-29 13:05:00"; or NULL */
};

/*
 * Find the store. ERR_MISSING: there is none; ERR_CONFIG: it cannot be told which one is meant, or
 * only the configuration could tell and is not sound (then that was told to the user). Another kind:
 * what lies there is damaged; then `ops` is the type that it seems to be of.
 */
int store_arg_find(struct store_arg *out, struct app *app, const char *text, struct err *err);
void store_arg_release(struct store_arg *arg); /* also after a failure */

#endif
