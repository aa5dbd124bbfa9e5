#include "cmd/config_priv.h"

#include <jansson.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/mem.h"

void config_problem(struct config *cfg, struct config_place place, const char *fmt, ...)
{
	struct buf line = BUF_INIT(16 * 1024);
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	escape_add(&line, bytes_of(place.file), 4096);
	if (place.line)
		buf_addf(&line, ":%u", place.line);
	buf_add_str(&line, ": ");
	escape_add(&line, bytes_of(text), 4096);
	secret_free(text);
	/* What is wrong with a template is wrong with all that was made of it: once is enough. */
	for (size_t i = 0; i < cfg->n_problems; i++)
		if (strcmp(cfg->problems[i], buf_str(&line)) == 0 || i == CONFIG_PROBLEMS_MAX) {
			buf_release(&line);
			return;
		}
	if (cfg->n_problems == CONFIG_PROBLEMS_MAX) {
		buf_clear(&line);
		buf_add_str(&line, "and more of this kind");
	}
	cfg->problems = xgrow(cfg->problems, cfg->n_problems, &cfg->priv->cap_problems,
			      sizeof(*cfg->problems));
	cfg->problems[cfg->n_problems++] = buf_take(&line);
}

static const char *home_dir(void)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (home && *home == '/')
		return home;
	pw = getpwuid(getuid());
	return pw ? pw->pw_dir : "/";
}

char *config_path(const char *text, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (strcmp(text, "~") == 0 || strcmp(text, "$HOME") == 0)
		return xstrdup(home_dir());
	if (strncmp(text, "~/", 2) == 0)
		return xasprintf("%s%s", home_dir(), text + 1);
	if (strncmp(text, "$HOME/", 6) == 0)
		return xasprintf("%s%s", home_dir(), text + 5);
	if (*text == '~' || *text == '$')
		return NULL;
	if (*text == '/' || !slash)
		return xstrdup(text);
	return xasprintf("%.*s/%s", (int)(slash - file), file, text);
}

char *config_find(const char *given)
{
	const char *env = getenv("MAILCASK_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME");

	if (given)
		return xstrdup(given);
	if (env && *env)
		return xstrdup(env);
	if (xdg && *xdg == '/')
		return xasprintf("%s/mailcask/config.ini", xdg);
	return xasprintf("%s/.config/mailcask/config.ini", home_dir());
}

void *config_section(const struct config *cfg, enum config_kind kind, const char *name)
{
	const json_t *at = json_object_get(cfg->priv->index[kind], name);

	return at ? cfg->all[kind].v[json_integer_value(at)] : NULL;
}

void *config_section_new(struct config *cfg, enum config_kind kind, const char *name,
			 struct config_place place)
{
	struct config_all *all = &cfg->all[kind];
	struct config_head *head = xcalloc(1, config_sections[kind].size);

	head->name = xstrdup(name);
	head->place = place;
	config_defaults(kind, head);
	all->v = xgrow(all->v, all->n, &all->cap, sizeof(*all->v));
	json_object_set_new(cfg->priv->index[kind], name, json_integer((json_int_t)all->n));
	all->v[all->n++] = head;
	return head;
}

const char *config_nearest(const struct config *cfg, enum config_kind kind, const char *wrong)
{
	const struct config_all *all = &cfg->all[kind];
	const char **words = xcalloc(all->n + 1, sizeof(*words));
	const char *near;

	for (size_t i = 0; i < all->n; i++)
		words[i] = ((const struct config_head *)all->v[i])->name;
	near = nearest_word(wrong, words, all->n);
	free(words);
	return near;
}

struct config *config_load(const char *path, const char *accounts)
{
	struct config *cfg = xcalloc(1, sizeof(*cfg));

	cfg->priv = xcalloc(1, sizeof(*cfg->priv));
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++)
		cfg->priv->index[k] = json_object();
	config_read(cfg, path);
	config_expand(cfg, accounts);
	config_cross_check(cfg);
	return cfg;
}

void config_free(struct config *cfg)
{
	struct config_priv *priv;

	if (!cfg)
		return;
	priv = cfg->priv;
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++) {
		for (size_t i = 0; i < cfg->all[k].n; i++)
			config_section_free(k, cfg->all[k].v[i]);
		free(cfg->all[k].v);
		json_decref(priv->index[k]);
	}
	config_templates_free(priv);
	for (size_t i = 0; i < cfg->n_problems; i++)
		free(cfg->problems[i]);
	free(cfg->problems);
	for (size_t i = 0; i < priv->n_files; i++)
		free(priv->files[i]);
	free(priv->files);
	for (size_t i = 0; i < priv->n_globals; i++)
		secret_free(priv->globals[i].value);
	free(priv->globals);
	free(priv);
	free(cfg);
}

bool config_store_has_layout(const struct config_store *st)
{
	return st->head.at[config_key_index(CONFIG_STORE, "layout")].line != 0;
}

bool config_store_is_per_account(const struct config_store *st)
{
	for (const char *p = st->path; *p; p++) {
		if (*p == '%' && p[1] == 'a')
			return true;
		p += *p == '%' && p[1] == '%';
	}
	return false;
}

/* What else follows a `%` makes a configuration unsound; what is said of that shows it as it is. */
static char *expand(const char *text, const char *account)
{
	struct buf out = BUF_INIT(64 * 1024);

	for (const char *p = text; *p; p++) {
		if (*p == '%' && p[1] == 'a')
			buf_add_str(&out, account);
		else
			buf_add_byte(&out, (uint8_t)*p);
		p += *p == '%' && (p[1] == 'a' || p[1] == '%');
	}
	return buf_take(&out);
}

char *config_store_path(const struct config_store *st, const char *account)
{
	return expand(st->path, account);
}

/* As git has it: with a colon before the first slash it is a URL, or HOST:PATH. */
static bool is_path(const char *place)
{
	return place[strcspn(place, ":/")] != ':';
}

char *config_store_mirror(const struct config_store *st, const char *account)
{
	char *place, *path;

	if (!st->mirror)
		return NULL;
	place = expand(st->mirror, account);
	if (!is_path(place))
		return place;
	path = config_path(place, st->head.at[config_key_index(CONFIG_STORE, "mirror")].file);
	if (!path)
		return place;
	free(place);
	return path;
}
