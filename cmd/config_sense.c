#include "cmd/config_priv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/mem.h"

/* A password of [global] is for accounts that say nothing of where theirs comes from. */
static bool has_password(const struct config_account *ac)
{
	return ac->password || ac->password_command || ac->password_file || ac->token_command;
}

static bool is_password(const struct config_global *gl)
{
	const struct config_key *key = &config_sections[gl->kind].keys[gl->key];

	return gl->kind == CONFIG_ACCOUNT && (strncmp(key->name, "password", 8) == 0 ||
					      strcmp(key->name, "token_command") == 0);
}

static bool wants_global(const struct config_global *gl, const void *section)
{
	const struct config_head *head = section;

	return !head->at[gl->key].line && !(is_password(gl) && has_password(section));
}

static void apply_globals(struct config *cfg)
{
	for (size_t g = 0; g < cfg->priv->n_globals; g++) {
		const struct config_global *gl = &cfg->priv->globals[g];
		const struct config_all *all = &cfg->all[gl->kind];

		for (size_t i = 0; i < all->n; i++)
			if (wants_global(gl, all->v[i]))
				config_set(cfg, gl->kind, all->v[i], gl->key, gl->value,
					   gl->place);
	}
}

/* Where a key of a section was written, or the section's own line. */
static struct config_place place_of(enum config_kind kind, const void *section, const char *name)
{
	const struct config_head *head = section;
	int key = config_key_index(kind, name);

	return head->at[key].line ? head->at[key] : head->place;
}

static void check_required(struct config *cfg, enum config_kind kind, const void *section)
{
	const struct config_section_type *type = &config_sections[kind];
	const struct config_head *head = section;

	for (size_t i = 0; i < type->n_keys; i++)
		if (type->keys[i].required && !head->at[i].line) {
			config_problem(cfg, head->place, "[%s %s] has no '%s'", type->name,
				       head->name, type->keys[i].name);
		}
}

/* What the mechanism asked for needs and cannot take. */
static void check_auth(struct config *cfg, const struct config_account *ac)
{
	bool by_token = ac->auth == IMAP_AUTH_XOAUTH2 || ac->auth == IMAP_AUTH_OAUTHBEARER;
	struct config_place place = place_of(CONFIG_ACCOUNT, ac, "auth");

	if (ac->authzid && (ac->auth == IMAP_AUTH_LOGIN || ac->auth == IMAP_AUTH_CRAM_MD5))
		config_problem(cfg, place_of(CONFIG_ACCOUNT, ac, "authzid"),
			       "'authzid' needs auth = plain or scram-sha-256: LOGIN and CRAM-MD5 "
			       "cannot carry it");
	if (by_token && !ac->token_command)
		config_problem(cfg, place, "this auth needs a 'token_command'");
	if (ac->token_command && !by_token && ac->auth != IMAP_AUTH_AUTO)
		config_problem(cfg, place, "with a 'token_command' auth can only be auto, "
					   "oauthbearer or xoauth2");
	if (ac->auth == IMAP_AUTH_EXTERNAL && !ac->tls_client_cert && !ac->tunnel)
		config_problem(cfg, place, "auth = external needs a 'tls_client_cert'");
}

static bool is_global(const struct config *cfg, struct config_place place)
{
	for (size_t i = 0; i < cfg->priv->n_globals; i++)
		if (cfg->priv->globals[i].place.file == place.file &&
		    cfg->priv->globals[i].place.line == place.line)
			return true;
	return false;
}

/* The command is the connection: what describes another would be of no effect. */
static void check_tunnel(struct config *cfg, const struct config_account *ac)
{
	static const char *const useless[] = { "port", "tls", "tls_ca_file", "tls_pin",
					       "tls_client_cert", "tls_client_key" };

	for (size_t i = 0; ac->tunnel && i < sizeof(useless) / sizeof(useless[0]); i++) {
		struct config_place at =
			ac->head.at[config_key_index(CONFIG_ACCOUNT, useless[i])];

		if (at.line && !is_global(cfg, at))
			config_problem(cfg, at, "'%s' is of no use with a 'tunnel'", useless[i]);
	}
}

static void check_account(struct config *cfg, const struct config_account *ac)
{
	int sources = !!ac->password + !!ac->password_command + !!ac->password_file +
		      !!ac->token_command;

	if (sources > 1)
		config_problem(cfg, ac->head.place,
			       "[account %s]: give only one of 'password', 'password_command', "
			       "'password_file', 'token_command'",
			       ac->head.name);
	check_auth(cfg, ac);
	check_tunnel(cfg, ac);
	if (ac->tls_client_key && !ac->tls_client_cert)
		config_problem(cfg, place_of(CONFIG_ACCOUNT, ac, "tls_client_key"),
			       "'tls_client_key' is of no use without 'tls_client_cert'");
	if (ac->tls == IMAP_TLS_NONE && (ac->tls_pin || ac->tls_client_cert))
		config_problem(cfg, place_of(CONFIG_ACCOUNT, ac, "tls"),
			       "with tls = none neither 'tls_pin' nor 'tls_client_cert' can be "
			       "kept to");
	if (config_section(cfg, CONFIG_STORE, ac->head.name))
		config_problem(cfg, ac->head.place,
			       "an account and a store are both named '%s': jobs could mean either",
			       ac->head.name);
}

/* Something else than %a and %% in a path. */
static bool has_odd_percent(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p == '%' && *++p != 'a' && *p != '%')
			return true;
	return false;
}

static bool names_password(const char *url)
{
	const char *host = strstr(url, "://"), *at;

	if (!host)
		return false;
	host += 3;
	at = memchr(host, '@', strcspn(host, "/"));
	return at && memchr(host, ':', (size_t)(at - host));
}

static void check_mirror(struct config *cfg, const struct config_store *st)
{
	struct config_place place = st->head.at[config_key_index(CONFIG_STORE, "mirror")];

	if (!st->mirror || (st->type != CONFIG_STORE_GIT && is_global(cfg, place)))
		return;
	if (st->type != CONFIG_STORE_GIT)
		config_problem(cfg, place, "mirror: only a store of type git can be pushed to another place");
	else if (has_odd_percent(st->mirror))
		config_problem(cfg, place, "mirror: after '%%' only 'a' (the account's name) or '%%' can follow");
	else if (names_password(st->mirror))
		config_problem(cfg, place, "mirror: leave the password out of the URL and give it to git: git help "
					   "credentials");
	else if (st->path && config_store_is_per_account(st) && !strstr(st->mirror, "%a"))
		config_problem(cfg, place, "mirror: the path has a directory for each account: write %%a here, too");
}

static void check_store(struct config *cfg, const struct config_store *st)
{
	struct config_place layout = st->head.at[config_key_index(CONFIG_STORE, "layout")];

	if (st->type == CONFIG_STORE_GIT && layout.line && !is_global(cfg, layout))
		config_problem(cfg, layout, "layout: a store of type git has none; it is for maildir");
	check_mirror(cfg, st);
	if (st->path && has_odd_percent(st->path))
		config_problem(cfg, place_of(CONFIG_STORE, st, "path"),
			       "path: after '%%' only 'a' (the account's name) or '%%' can follow");
}

/* The problem with a name that no section has. `kind` is the one that was rather meant. */
static void no_such_side(struct config *cfg, const struct config_job *job, const char *key,
			 const char *name, enum config_kind kind)
{
	struct config_place place = place_of(CONFIG_JOB, job, key);
	const char *near = config_nearest(cfg, kind, name);

	if (near)
		config_problem(cfg, place, "%s: there is no [%s %s]; did you mean '%s'?", key,
			       config_sections[kind].name, name, near);
	else
		config_problem(cfg, place, "%s: there is no [%s %s]", key,
			       config_sections[kind].name, name);
}

/* The store that is read, NAME or NAME/ACCOUNT. *whose is what the one that is written calls it. */
static const struct config_store *source_store(const struct config *cfg, const char *from,
					       const char **whose)
{
	size_t n = strcspn(from, "/");
	char *name = bytes_dup(bytes_from(from, n));
	const struct config_store *st = config_section(cfg, CONFIG_STORE, name);

	free(name);
	*whose = from[n] ? from + n + 1 : from;
	return st;
}

static void check_source(struct config *cfg, struct config_job *job)
{
	struct config_place place = place_of(CONFIG_JOB, job, "from");
	const struct config_store *st;
	bool per_account;

	job->whose = job->from;
	job->account = config_section(cfg, CONFIG_ACCOUNT, job->from);
	if (job->account)
		return;
	st = source_store(cfg, job->from, &job->whose);
	if (st && job->kind == CONFIG_JOB_MIGRATE) {
		config_problem(cfg, place,
			       "from: '%s' is a store; a migration goes from an account to another (restore "
			       "puts what a store holds into an account)",
			       job->from);
		return;
	}
	if (!st) {
		no_such_side(cfg, job, "from", job->from,
			     config_nearest(cfg, CONFIG_ACCOUNT, job->from) ? CONFIG_ACCOUNT
			     : config_nearest(cfg, CONFIG_STORE, job->from) ? CONFIG_STORE
									    : CONFIG_ACCOUNT);
		return;
	}
	if (!st->path)
		return; /* reported where it is missing */
	per_account = config_store_is_per_account(st);
	if (st->type != CONFIG_STORE_MAILDIR)
		config_problem(cfg, place,
			       "from: %s is a store of type %s; a backup reads an account or a Maildir",
			       job->from, config_choice_word(config_type_words, st->type));
	else if (per_account && job->whose == job->from)
		config_problem(cfg, place,
			       "from: the store %s has a directory for each account: say %s/ACCOUNT",
			       job->from, job->from);
	else if (!per_account && job->whose != job->from)
		config_problem(cfg, place, "from: there is no %%a in the path of the store %s: say %s",
			       st->head.name, st->head.name);
	else
		job->source = st;
}

static bool is_within(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What is written would be read in the next run. */
static void check_within(struct config *cfg, const struct config_job *job)
{
	char *from = config_store_path(job->source, job->whose);
	char *to = config_store_path(job->store, job->whose);

	if (is_within(to, from) || is_within(from, to))
		config_problem(cfg, place_of(CONFIG_JOB, job, "to"),
			       "to: %s and %s, which is read, lie one within the other", to, from);
	free(from);
	free(to);
}

/* One directory holds the mail of one account. `filled`: which job was the first to fill a path. */
static void check_shared_store(struct config *cfg, const struct config_job *job, size_t index, json_t *filled)
{
	char *path = config_store_path(job->store, job->whose);
	const json_t *first = json_object_get(filled, path);
	const struct config_job *other = first ? config_job_at(cfg, (size_t)json_integer_value(first)) : NULL;

	if (!other)
		json_object_set_new(filled, path, json_integer((json_int_t)index));
	else if (strcmp(other->from, job->from) != 0)
		config_problem(cfg, place_of(CONFIG_JOB, job, "to"),
			       "the jobs %s and %s would put two accounts into %s; "
			       "write %%a in the store's path",
			       other->head.name, job->head.name, path);
	free(path);
}

static void check_target(struct config *cfg, struct config_job *job)
{
	job->store = config_section(cfg, CONFIG_STORE, job->to);
	if (!job->store && config_section(cfg, CONFIG_ACCOUNT, job->to))
		config_problem(cfg, place_of(CONFIG_JOB, job, "to"),
			       "to: '%s' is an account; a backup goes from an account or a Maildir "
			       "to a store (kind = migrate copies to an account)",
			       job->to);
	else if (!job->store)
		no_such_side(cfg, job, "to", job->to, CONFIG_STORE);
	else if (!job->store->path)
		job->store = NULL; /* reported where it is missing */
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* As far as the configuration tells: one server can be reached by several names. */
static bool same_account(const struct config_account *a, const struct config_account *b)
{
	return a == b || (same_text(a->host, b->host) && a->port == b->port && a->tls == b->tls &&
			  same_text(a->user, b->user) && same_text(a->authzid, b->authzid) &&
			  same_text(a->tunnel, b->tunnel));
}

static void check_target_account(struct config *cfg, struct config_job *job)
{
	struct config_place place = place_of(CONFIG_JOB, job, "to");

	job->target = config_section(cfg, CONFIG_ACCOUNT, job->to);
	if (!job->target && config_section(cfg, CONFIG_STORE, job->to))
		config_problem(cfg, place,
			       "to: '%s' is a store; a migration goes from an account to another (kind = "
			       "backup fills a store)",
			       job->to);
	else if (!job->target)
		no_such_side(cfg, job, "to", job->to, CONFIG_ACCOUNT);
	else if (job->account && same_account(job->account, job->target))
		config_problem(cfg, place, "to: '%s' is the account that is read: a migration goes to another",
			       job->to);
}

/* A default of [global] is for backups: a migration removes nothing unless it says so itself. */
static void default_deletions(struct config *cfg, struct config_job *job)
{
	struct config_place at = job->head.at[config_key_index(CONFIG_JOB, "deletions")];

	if (!at.line || is_global(cfg, at))
		job->deletions = DELETIONS_KEEP;
}

static void check_job(struct config *cfg, struct config_job *job, size_t index, json_t *filled)
{
	if (job->from)
		check_source(cfg, job);
	if (job->kind == CONFIG_JOB_MIGRATE) {
		default_deletions(cfg, job);
		if (job->to)
			check_target_account(cfg, job);
		return;
	}
	if (job->to)
		check_target(cfg, job);
	if (job->source && job->store)
		check_within(cfg, job);
	if ((job->account || job->source) && job->store)
		check_shared_store(cfg, job, index, filled);
}

void config_cross_check(struct config *cfg)
{
	json_t *filled = json_object();

	apply_globals(cfg);
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++)
		for (size_t i = 0; i < cfg->all[k].n; i++)
			check_required(cfg, k, cfg->all[k].v[i]);
	for (size_t i = 0; i < cfg->all[CONFIG_ACCOUNT].n; i++)
		check_account(cfg, cfg->all[CONFIG_ACCOUNT].v[i]);
	for (size_t i = 0; i < cfg->all[CONFIG_STORE].n; i++)
		check_store(cfg, cfg->all[CONFIG_STORE].v[i]);
	for (size_t i = 0; i < cfg->all[CONFIG_JOB].n; i++)
		check_job(cfg, cfg->all[CONFIG_JOB].v[i], i, filled);
	json_decref(filled);
}
