#ifndef CMD_LOGIN_MEMORY_H
#define CMD_LOGIN_MEMORY_H

#include <stdbool.h>

struct config_account;
struct err;
struct imap_login_memory;

/*
 * The strongest mechanism that a login was done by, so that a server which suddenly offers less is
 * noticed (S16): STATE_DIR/USER@HOST:PORT.login, one line with its name. A login is not the
 * configuration's section but this user on this server; another one begins anew. Written when
 * there is something stronger than handing the password over, never lowered: that is for a
 * person, by removing the file.
 */
struct login_memory {
	char *path;
	char *mechanism; /* NULL: nothing is remembered */
	char *remedy;
	bool is_loaded;
	bool read_only;
};

/* With `read_only` what is learned counts until login_memory_release() only. */
void login_memory_init(struct login_memory *m, const struct config_account *ac, bool read_only);
void login_memory_release(struct login_memory *m); /* one that is all zero is fine */

/*
 * For struct imap_account; ctx is a struct login_memory. No file there, or no way to one: nothing
 * is remembered. One that cannot be read or understood is an error (ERR_FATAL) that says what to do.
 */
int login_memory_recall(void *ctx, struct imap_login_memory *out, struct err *err);
/* What cannot be written is warned of, and does not end the login. */
void login_memory_note(void *ctx, const char *mechanism);

#endif
