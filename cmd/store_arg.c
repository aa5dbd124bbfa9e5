#include "cmd/store_arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"

const struct store_ops *const store_types[] = { &maildir_store, &git_store, NULL };

const struct store_ops *store_type(const char *word)
{
	for (size_t i = 0; store_types[i]; i++)
		if (strcmp(store_types[i]->type, word) == 0)
			return store_types[i];
	return NULL;
}

/* The user's words, fit for a message. */
static char *shown(const char *text)
{
	return escape_text(bytes_of(text), 400);
}

static bool exists(const char *path, bool directory_only)
{
	struct stat sb;

	return stat(path, &sb) == 0 && (!directory_only || S_ISDIR(sb.st_mode));
}

/* Nobody calls a store that. */
static bool only_a_path(const char *text)
{
	return *text == '/' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
	       strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0;
}

/* The accounts that jobs put into the store, each once. */
struct users {
	const char **v;
	size_t n, cap;
};

static void find_users(const struct config *cfg, const struct config_store *st,
		       struct users *out)
{
	for (size_t i = 0; i < config_jobs(cfg); i++) {
		const struct config_job *job = config_job_at(cfg, i);
		bool again = false;

		if (job->store != st)
			continue;
		for (size_t k = 0; k < out->n; k++)
			again |= strcmp(out->v[k], job->whose) == 0;
		if (again)
			continue;
		out->v = xgrow(out->v, out->n, &out->cap, sizeof(*out->v));
		out->v[out->n++] = job->whose;
	}
}

/* "archive/work, archive/home" */
static char *candidates(const char *store, const struct users *users)
{
	struct buf out = BUF_INIT(1 << 20);

	for (size_t i = 0; i < users->n; i++)
		buf_addf(&out, "%s%s/%s", i ? ", " : "", store, users->v[i]);
	return buf_take(&out);
}

/* Only NAME was said, and %a needs an account. */
static int one_account(const struct config *cfg, const struct config_store *st,
		       const char **account, struct err *err)
{
	const char *store = st->head.name;
	struct users users = { 0 };
	char *list;

	find_users(cfg, st, &users);
	*account = users.n == 1 ? users.v[0] : NULL;
	list = candidates(store, &users);
	free(users.v);
	if (users.n > 1)
		err_set(err, ERR_CONFIG, "the store %s has a directory for each account; say one of %s",
			store, list);
	else if (users.n == 0)
		err_set(err, ERR_CONFIG,
			"the store %s has a directory for each account, and no job uses it; say "
			"%s/ACCOUNT",
			store, store);
	free(list);
	return *account ? 0 : -1;
}

/* Something of this account lies in the store, or the configuration knows the account. */
static bool has_account(const struct config *cfg, const struct config_store *st,
			const char *account)
{
	char *path = config_store_path(st, account);
	bool there = config_section(cfg, CONFIG_ACCOUNT, account) || exists(path, true);

	free(path);
	return there;
}

/* `text` as NAME or NAME/ACCOUNT: 1 and name and path, 0 it is none, -1. */
static int by_name(const struct config *cfg, const char *text, struct store_arg *out,
		   struct err *err)
{
	size_t n = strcspn(text, "/");
	char *name = bytes_dup(bytes_from(text, n));
	const struct config_store *st = config_section(cfg, CONFIG_STORE, name);
	const char *account = text[n] ? text + n + 1 : NULL;
	bool per_account = st && config_store_is_per_account(st);

	free(name);
	if (!st)
		return 0;
	if (account && (!per_account || !*account || strchr(account, '/') ||
			!has_account(cfg, st, account)))
		return 0;
	if (per_account && !account && one_account(cfg, st, &account, err) < 0)
		return -1;
	out->name = per_account ? xasprintf("%s/%s", st->head.name, account)
				: xstrdup(st->head.name);
	out->path = config_store_path(st, per_account ? account : "");
	return 1;
}

/* As by_name(); a path comes second. */
static int find_place(const struct config *cfg, const char *text, struct store_arg *out,
		      struct err *err)
{
	int found = cfg && !only_a_path(text) ? by_name(cfg, text, out, err) : 0;

	if (found != 0)
		return found;
	if (!exists(text, !strchr(text, '/')))
		return 0;
	out->name = xstrdup(text);
	out->path = xstrdup(text);
	return 1;
}

/* The whole of `text`, or without what stands behind its last @: that may belong to a path. */
static int split(const struct config *cfg, const char *text, struct store_arg *out,
		 struct err *err)
{
	const char *at = strrchr(text, '@');
	int found = find_place(cfg, text, out, err);
	char *store;

	if (found != 0 || !at || at == text || strchr(at, '/'))
		return found;
	store = bytes_dup(bytes_from(text, (size_t)(at - text)));
	found = find_place(cfg, store, out, err);
	free(store);
	if (found <= 0)
		return found;
	if (!at[1])
		return err_set(err, ERR_CONFIG, "%s@: no snapshot is named after the @", out->name);
	out->snapshot = xstrdup(at + 1);
	return 1;
}

static int not_found(struct app *app, const struct config *cfg, const char *text, struct err *err)
{
	char *safe = shown(text), *word = bytes_dup(bytes_from(text, strcspn(text, "/@")));
	const char *near = cfg ? config_nearest(cfg, CONFIG_STORE, word) : NULL;
	bool no_config = app->config_is_missing && !app->config_path;
	struct stat sb;

	/* It may be there, for all that can be seen. */
	if (strchr(text, '/') && stat(text, &sb) < 0 && errno != ENOENT && errno != ENOTDIR)
		err_sys(err, ERR_FATAL, "look at %s", safe);
	else if (near)
		err_set(err, ERR_MISSING, "there is no store and no directory '%s'; did you mean '%s'?",
			safe, near);
	else if (cfg || only_a_path(text))
		err_set(err, ERR_MISSING, "there is no store and no directory '%s'", safe);
	else if (no_config)
		err_set(err, ERR_MISSING,
			"there is no directory '%s', and no configuration that knows a store of "
			"that name",
			safe);
	else if (!app_config(app))
		err_set(err, ERR_CONFIG,
			"there is no directory '%s', and the configuration, which may know a store "
			"of that name, cannot be used",
			safe);
	free(safe);
	free(word);
	return -1;
}

/* Which type of store says that this is one of its own. */
static int recognise(struct store_arg *arg, struct err *err)
{
	enum store_presence presence = STORE_MISSING;
	struct err trouble = { 0 };
	char *path;

	for (size_t i = 0; store_types[i]; i++) {
		struct err why;

		store_identity_release(&arg->identity);
		if (store_types[i]->identify(&arg->config, &arg->identity, &why) < 0) {
			if (trouble.kind == ERR_NONE) {
				trouble = why;
				arg->ops = store_types[i];
			}
			continue;
		}
		if (arg->identity.presence == STORE_OURS) {
			arg->ops = store_types[i];
			return 0;
		}
		presence = arg->identity.presence;
	}
	if (trouble.kind != ERR_NONE) {
		*err = trouble;
		return -1;
	}
	path = shown(arg->path);
	err_set(err, ERR_MISSING, "%s %s", path,
		presence == STORE_MISSING ? "is not there: is a disk missing?"
		: presence == STORE_EMPTY ? "is empty: is a disk missing?"
					  : "is not a store of mailcask");
	free(path);
	return -1;
}

int store_arg_find(struct store_arg *out, struct app *app, const char *text, struct err *err)
{
	const struct config *cfg = app_config_if_sound(app);
	int found;

	*out = (struct store_arg){ 0 };
	found = split(cfg, text, out, err);
	if (found == 0)
		return not_found(app, cfg, text, err);
	if (found < 0)
		return -1;
	out->config = (struct store_config){ .name = out->name, .path = out->path };
	return recognise(out, err);
}

void store_arg_release(struct store_arg *arg)
{
	store_identity_release(&arg->identity);
	free(arg->name);
	free(arg->path);
	free(arg->snapshot);
	free(arg->moment);
	*arg = (struct store_arg){ 0 };
}
