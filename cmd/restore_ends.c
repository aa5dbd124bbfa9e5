#include "cmd/restore_ends.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/imap/imap.h"
#include "backends/maildir/maildir.h"
#include "backends/mbox/mbox.h"
#include "core/base/log.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/mail/mailbox_name.h"
#include "core/sync/restore.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/jobs.h"

/* --- the source --- */

/* Whether an entry called `below` is a directory in `name` of `dir`. */
static bool has_directory(int dir, const char *name, const char *below)
{
	char *path = xasprintf("%s/%s", name, below);
	struct stat sb;
	bool is = fstatat(dir, path, &sb, 0) == 0 && S_ISDIR(sb.st_mode);

	free(path);
	return is;
}

/* What lies in a directory: mailboxes of a Maildir, or something else. */
static bool looks_like_maildir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool is = false;

	if (!dir)
		return false;
	is = has_directory(dirfd(dir), ".", "cur");
	while (!is && (e = readdir(dir)))
		is = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		     has_directory(dirfd(dir), e->d_name, "cur");
	closedir(dir);
	return is;
}

int restore_read_into(struct mailbox_name *out, const struct cmd *cmd, const char *text)
{
	struct err err = { 0 };

	if (!*text)
		err_set(&err, ERR_CONFIG, "a mailbox has a name");
	else if (mailbox_name_from_display(out, bytes_of(text), &err) == 0)
		return 0;
	cmd_usage_error(cmd, "--into: %s", err.text);
	return -1;
}

void restore_source_into(const struct store_arg *source, struct restore_settings *set,
			 struct mbox_settings *files)
{
	if (source->ops != &mbox_store && source->ops != &eml_store)
		return;
	files->mailbox = set->into;
	set->source_config.settings = files;
	set->into = NULL;
}

static bool is_file(const char *text)
{
	struct stat sb;

	return stat(text, &sb) == 0 && S_ISREG(sb.st_mode);
}

/* A store of the configuration that is not there, or an empty directory, is nothing else. */
static bool may_be_foreign(const struct store_arg *arg, const char *text, const struct err *err)
{
	return err->kind == ERR_MISSING && !arg->snapshot && arg->path &&
	       strcmp(arg->path, text) == 0 && arg->identity.presence != STORE_EMPTY;
}

static int take_foreign(struct store_arg *out, const char *text)
{
	const struct store_ops *ops = is_file(text)	      ? &mbox_store :
				      looks_like_maildir(text) ? &maildir_store :
								 &eml_store;

	store_arg_release(out);
	*out = (struct store_arg){ .ops = ops, .name = xstrdup(text), .path = xstrdup(text),
				   .identity.presence = STORE_FOREIGN };
	out->config = (struct store_config){ .name = out->name, .path = out->path,
					     .claim_foreign = ops == &maildir_store };
	return 0;
}

int restore_source_find(struct store_arg *out, struct app *app, const char *text, struct err *err)
{
	bool sound = app_config_if_sound(app) != NULL;

	*out = (struct store_arg){ 0 };
	if (is_file(text) && !(sound && config_section(app->config, CONFIG_STORE, text)))
		return take_foreign(out, text);
	if (store_arg_find(out, app, text, err) == 0)
		return 0;
	if (!may_be_foreign(out, text, err))
		return sound && config_section(app->config, CONFIG_ACCOUNT, text)
			       ? err_set(err, ERR_CONFIG,
					 "%s is an account, and mail is restored from a store or from files; "
					 "see 'mailcask help migrate' for copying an account",
					 text)
			       : -1;
	*err = (struct err){ 0 };
	return take_foreign(out, text);
}

/* --- the target --- */

/* A slip in an account's name must not fill a new directory with mail, and the account with none. */
static int check_slip(const struct config *cfg, const char *text, struct err *err)
{
	const char *meant = config_nearest(cfg, CONFIG_ACCOUNT, text);
	struct stat sb;

	if (!meant || lstat(text, &sb) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "there is no [account %s] and no such directory; did you mean '%s'? A new "
		       "directory of that name is ./%s",
		       text, meant, text);
}

int restore_target_find(struct restore_target *out, struct app *app, const char *text, bool dry_run,
			struct err *err)
{
	bool sound = app_config_if_sound(app) != NULL;
	const struct config *cfg = app->config; /* what is wrong in it may be elsewhere */
	const struct config_account *account;

	*out = (struct restore_target){ .text = text };
	if (strchr(text, '/') || !cfg)
		return 0;
	/* A name that the configuration gives something else is no directory, unless it says ./NAME. */
	if (config_section(cfg, CONFIG_STORE, text))
		return err_set(err, ERR_CONFIG,
			       "%s is a store of the configuration, which backups fill; a directory "
			       "of that name is ./%s",
			       text, text);
	account = config_section(cfg, CONFIG_ACCOUNT, text);
	if (!account)
		return check_slip(cfg, text, err);
	if (!sound) {
		app_config(app); /* which says what is wrong */
		return err_set(err, ERR_CONFIG, "the account %s is in a configuration that cannot be used",
			       text);
	}
	out->is_account = true;
	account_init(&out->account, account, dry_run);
	out->fingerprint = imap_fingerprint(&out->account.imap);
	out->state_dir = jobs_state_dir();
	return 0;
}

void restore_target_release(struct restore_target *target)
{
	if (target->is_account)
		account_release(&target->account);
	free(target->fingerprint);
	free(target->state_dir);
	*target = (struct restore_target){ 0 };
}

/* As realpath(), also of what does not exist yet. NULL with errno. */
static char *true_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent, *base, *out = realpath(path, NULL);

	if (out || errno != ENOENT)
		return out;
	parent = path_parent(path);
	base = true_path(parent);
	free(parent);
	if (!base)
		return NULL;
	out = xasprintf("%s%s%s", base, strcmp(base, "/") == 0 ? "" : "/",
			slash ? slash + 1 : path);
	free(base);
	return out;
}

static bool is_within(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int restore_check_apart(const struct store_arg *source, const char *target, struct err *err)
{
	char *from = true_path(source->path), *to = true_path(target);
	int ret = 0;

	if (!from || !to)
		ret = err_sys(err, ERR_FATAL, "look at %s", from ? target : source->path);
	else if (strcmp(from, to) == 0)
		ret = err_set(err, ERR_CONFIG, "%s is the store itself", target);
	else if (is_within(to, from) || is_within(from, to))
		ret = err_set(err, ERR_CONFIG, "%s and %s lie one within the other", source->path,
			      target);
	free(from);
	free(to);
	return ret;
}

/* A directory that is a store of another type is no directory to put a Maildir into. */
static int check_type(const char *target, struct err *err)
{
	const struct store_config cfg = { .name = target, .path = target };

	for (size_t i = 0; store_types[i]; i++) {
		struct store_identity id = { 0 };
		struct err why;
		bool ours = store_types[i] != &maildir_store &&
			    store_types[i]->identify(&cfg, &id, &why) == 0 &&
			    id.presence == STORE_OURS;

		store_identity_release(&id);
		if (ours)
			return err_set(err, ERR_CONFIG,
				       "%s is a store of type %s; mail is restored into a Maildir, "
				       "so name another directory",
				       target, store_types[i]->type);
	}
	return 0;
}

int restore_target_check(const struct restore_target *target, const struct store_arg *source,
			 struct err *err)
{
	if (target->is_account)
		return 0;
	return check_type(target->text, err) < 0 ? -1 : restore_check_apart(source, target->text, err);
}
