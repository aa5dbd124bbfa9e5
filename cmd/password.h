#ifndef CMD_PASSWORD_H
#define CMD_PASSWORD_H

struct buf;
struct config_account;
struct err;

/*
 * An account's password, from the first of these that there is: the environment
 * (MAILCASK_PASSWORD_ and the account's name in capitals, other characters as `_`),
 * `password_command`, `password_file`, `password`, and the person at the terminal. It is asked
 * for once and kept for further connections until password_release().
 */
struct password_source {
	const struct config_account *account;
	char *kept;
};

/* As imap_account.password; `ctx` is a struct password_source. */
int password_get(void *ctx, struct buf *out, struct err *err);
/* As imap_account.token: `token_command` is run each time, since tokens do not last. */
int token_get(void *ctx, struct buf *out, struct err *err);
void password_release(struct password_source *src);
/* The name of the environment variable, owned by the caller. */
char *password_variable(const struct config_account *ac);

#endif
