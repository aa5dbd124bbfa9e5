#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/bytes.h"
#include "core/base/mem.h"

#include "cmd/accounts_file.h"
#include "cmd/config_priv.h"

#define VALUE_MAX ((size_t)64 << 10)

/* --- as they are read --- */

/* `%` by the account's name; the caller frees it. */
static char *name_for(const char *name, const char *account)
{
	size_t n = strcspn(name, "%");

	return xasprintf("%.*s%s%s", (int)n, name, account, name + n + 1);
}

bool config_is_template(const char *name)
{
	const char *percent = strchr(name, '%');
	char *example;
	bool yes;

	if (!percent || strchr(percent + 1, '%'))
		return false;
	example = name_for(name, "a");
	yes = config_is_name(example);
	free(example);
	return yes;
}

struct config_template *config_template_new(struct config *cfg, enum config_kind kind, const char *name,
					    struct config_place place)
{
	struct config_priv *priv = cfg->priv;
	struct config_template *t;

	for (size_t i = 0; i < priv->n_templates; i++) {
		t = priv->templates[i];
		if (t->kind == kind && strcmp(t->name, name) == 0) {
			config_problem(cfg, place, "[%s %s] is here a second time; first at %s:%u",
				       config_sections[kind].name, name, t->place.file, t->place.line);
			return NULL;
		}
	}
	t = xcalloc(1, sizeof(*t));
	*t = (struct config_template){ .kind = kind, .name = xstrdup(name), .place = place };
	priv->templates = xgrow(priv->templates, priv->n_templates, &priv->cap_templates,
				sizeof(struct config_template *));
	priv->templates[priv->n_templates++] = t;
	cfg->n_templates = priv->n_templates;
	return t;
}

void config_templates_free(struct config_priv *priv)
{
	for (size_t i = 0; i < priv->n_templates; i++) {
		for (size_t k = 0; k < CONFIG_KEYS_MAX; k++)
			secret_free(priv->templates[i]->value[k].text);
		free(priv->templates[i]->name);
		free(priv->templates[i]);
	}
	free(priv->templates);
}

/* The other end of a job, where `%` is the account's name as it is in the names of sections. */
static bool is_reference(enum config_kind kind, const struct config_key *key)
{
	return kind == CONFIG_JOB && (strcmp(key->name, "from") == 0 || strcmp(key->name, "to") == 0);
}

static bool is_accounts(enum config_kind kind, const struct config_key *key)
{
	return kind == CONFIG_ACCOUNT && strcmp(key->name, "accounts") == 0;
}

void config_template_set(struct config *cfg, struct config_template *t, size_t key, const char *value,
			 struct config_place place)
{
	size_t before = cfg->n_problems;

	t->value[key].place = place;
	if (!strstr(value, "%{")) {
		void *scratch = xcalloc(1, config_sections[t->kind].size);

		config_set(cfg, t->kind, scratch, key, value, place);
		config_section_free(t->kind, scratch);
		if (cfg->n_problems > before)
			return;
	} else if (is_accounts(t->kind, &config_sections[t->kind].keys[key])) {
		config_problem(cfg, place, "accounts: there is one file for all accounts, so its name has no %%{}");
		return;
	}
	t->value[key].text = xstrdup(value);
}

/* --- the values of one account --- */

struct expansion {
	struct config *cfg;
	const struct accounts_file *file;
	const struct config_template *t;
	const struct accounts_row *row;
	const char *account;
};

static struct config_place row_place(const struct expansion *x)
{
	return (struct config_place){ x->file->path, x->row->line };
}

/* The name between `%{` at `at` and `}`; *end is behind that. False: there is no such. */
static bool read_column(const char *at, char **name, const char **end)
{
	size_t n = strcspn(at + 2, "}");

	*name = NULL;
	if (at[2 + n] != '}')
		return false;
	*name = bytes_dup(bytes_from(at + 2, n));
	*end = at + 2 + n + 1;
	return true;
}

bool config_template_is_field(const char *text)
{
	return strncmp(text, "%{", 2) == 0 && text[strcspn(text, "}")] == '}' && !text[strcspn(text, "}") + 1];
}

/*
 * What a field must not have where it becomes part of a command, of a place or of a list: then whoever may choose it
 * (a user their name) could have another command run, another file written, other mailboxes taken. NULL: nothing.
 */
static const char *unfit_part(const struct config_key *key, const char *field)
{
	if (key->type == CONFIG_COMMAND && !key->secret) {
		if (*field == '-')
			return "it begins with '-'";
		for (const char *p = field; *p; p++)
			if (!isalnum((unsigned char)*p) && !strchr("._@+=:,/-", *p))
				return "it has other characters than letters, digits and . _ - @ + = : , /";
	}
	if (key->type == CONFIG_PATH || strcmp(key->name, "mirror") == 0) {
		if (strchr(".~$", *field))
			return "it begins with '.', '~' or '$'";
		if (strpbrk(field, "/%"))
			return "it has '/' or '%' in it";
	}
	if ((key->type == CONFIG_LIST || key->type == CONFIG_MAP) && (strpbrk(field, ",*%") || strstr(field, "->")))
		return "it has ',', '*', '%' or '->' in it";
	return NULL;
}

/* False after a problem. */
static bool add_field(const struct expansion *x, const struct config_key *key, const char *column,
		      struct buf *out)
{
	const char *field = x->row->field[accounts_file_column(x->file, column)];
	const char *unfit = *field ? unfit_part(key, field) : "it is empty";

	if (!unfit)
		return buf_add_str(out, field);
	config_problem(x->cfg, row_place(x), "'%s' of [%s %s] cannot have the field '%s' as a part: %s", key->name,
		       config_sections[x->t->kind].name, x->t->name, column, unfit);
	return false;
}

/* False after a problem. */
static bool add_value(const struct expansion *x, const struct config_key *key, const char *text,
		      struct buf *out)
{
	bool fine = true;
	char *column;

	while (*text && fine) {
		if (strncmp(text, "%{", 2) == 0 && read_column(text, &column, &text)) {
			fine = add_field(x, key, column, out);
			free(column);
		} else if (*text == '%' && is_reference(x->t->kind, key)) {
			buf_add_str(out, x->account);
			text++;
		} else {
			buf_add_byte(out, (uint8_t)*text++);
		}
	}
	return fine;
}

/* A field that is a whole value counts as written in its file; where it is empty, the key is not there. */
static void set_whole(const struct expansion *x, void *section, size_t key, const char *text)
{
	struct config_head *head = section;
	const char *end;
	char *column, *field = NULL;

	if (read_column(text, &column, &end))
		field = x->row->field[accounts_file_column(x->file, column)];
	if (field && *field)
		config_set(x->cfg, x->t->kind, section, key, field, row_place(x));
	else
		head->at[key] = (struct config_place){ 0 };
	free(column);
}

static void set_value(const struct expansion *x, void *section, size_t k)
{
	const struct config_key *key = &config_sections[x->t->kind].keys[k];
	const struct config_template_value *value = &x->t->value[k];
	struct buf text = BUF_INIT(VALUE_MAX);

	((struct config_head *)section)->at[k] = value->place; /* whatever becomes of it, it is there */
	if (config_template_is_field(value->text))
		set_whole(x, section, k, value->text);
	else if (add_value(x, key, value->text, &text))
		config_set(x->cfg, x->t->kind, section, k, buf_str(&text), value->place);
	buf_release_secret(&text);
}

static void make_section(const struct expansion *x)
{
	const struct config_section_type *type = &config_sections[x->t->kind];
	char *name = name_for(x->t->name, x->account);
	const struct config_head *first = config_section(x->cfg, x->t->kind, name);
	struct config_head *section;

	if (first || !config_is_name(name)) {
		if (first)
			config_problem(x->cfg, row_place(x), "[%s %s] is there already, at %s:%u", type->name, name,
				       first->place.file, first->place.line);
		else
			config_problem(x->cfg, row_place(x), "[%s %s]: the name is longer than %d bytes", type->name,
				       name, CONFIG_NAME_MAX);
		free(name);
		return;
	}
	section = config_section_new(x->cfg, x->t->kind, name, row_place(x));
	section->template = x->t->name;
	free(name);
	for (size_t k = 0; k < type->n_keys; k++)
		if (x->t->value[k].text && !is_accounts(x->t->kind, &type->keys[k]))
			set_value(x, section, k);
}

/* --- all of them --- */

/* Whether the file has the columns that a value names, and may hold what it holds. */
static bool check_value(struct config *cfg, const struct accounts_file *f, const struct config_key *key,
			const struct config_template_value *value)
{
	const char *at = value->text;
	bool fine = true;
	char *column;

	while (fine && (at = strstr(at, "%{")) != NULL) {
		const char *near;

		if (!read_column(at, &column, &at)) {
			config_problem(cfg, value->place, "%s: '%%{' begins the name of a column, and '}' ends it",
				       key->name);
			return false;
		}
		fine = accounts_file_column(f, column) >= 0;
		near = fine ? NULL : nearest_word(column, (const char *const *)f->column, f->n_columns);
		if (!fine)
			config_problem(cfg, value->place, "%s: %s has no column '%s'%s%s%s", key->name, f->path, column,
				       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
		free(column);
		if (fine && key->secret && !f->private) {
			config_problem(cfg, value->place, "a file with '%s' in it must not be readable by others: chmod "
							  "600 %s",
				       key->name, f->path);
			return false;
		}
	}
	return fine;
}

static bool check_template(struct config *cfg, const struct accounts_file *f, const struct config_template *t)
{
	const struct config_section_type *type = &config_sections[t->kind];
	bool fine = true;

	for (size_t k = 0; k < type->n_keys; k++)
		if (t->value[k].text)
			fine &= check_value(cfg, f, &type->keys[k], &t->value[k]);
	return fine;
}

/* The file that a key names: of a template, or of [global]. Freed by the caller; NULL: none does. */
static char *named_file(struct config *cfg, struct config_place *place)
{
	struct config_priv *priv = cfg->priv;
	size_t key = (size_t)config_key_index(CONFIG_ACCOUNT, "accounts");
	char *path = NULL;

	for (size_t i = 0; i < priv->n_templates; i++) {
		const struct config_template_value *value = &priv->templates[i]->value[key];
		char *another;

		if (priv->templates[i]->kind != CONFIG_ACCOUNT || !value->text)
			continue;
		another = config_path(value->text, value->place.file);
		if (path && strcmp(path, another) != 0)
			config_problem(cfg, value->place,
				       "accounts: all templates are made into sections with one file; at %s:%u it is %s",
				       place->file, place->line, path);
		if (!path)
			*place = value->place;
		free(path ? another : NULL);
		path = path ? path : another;
	}
	for (size_t i = 0; i < priv->n_globals && !path; i++)
		if (priv->globals[i].kind == CONFIG_ACCOUNT && priv->globals[i].key == key) {
			*place = priv->globals[i].place;
			path = config_path(priv->globals[i].value, place->file);
		}
	return path;
}

static void expand_all(struct config *cfg, const struct accounts_file *f)
{
	struct config_priv *priv = cfg->priv;
	bool fine = true;

	for (size_t i = 0; i < priv->n_templates; i++)
		fine &= check_template(cfg, f, priv->templates[i]);
	for (size_t i = 0; i < priv->n_templates && fine; i++) {
		struct expansion x = { .cfg = cfg, .file = f, .t = priv->templates[i] };

		for (size_t r = 0; r < f->n; r++) {
			x.row = &f->row[r];
			x.account = x.row->field[f->name];
			make_section(&x);
		}
	}
}

/* It would be parsed and mean nothing. */
static void check_ordinary(struct config *cfg)
{
	int key = config_key_index(CONFIG_ACCOUNT, "accounts");

	for (size_t i = 0; i < cfg->all[CONFIG_ACCOUNT].n; i++) {
		const struct config_head *head = cfg->all[CONFIG_ACCOUNT].v[i];

		if (head->at[key].line)
			config_problem(cfg, head->at[key],
				       "'accounts' belongs to a template, such as [account %%], not to one account");
	}
}

void config_expand(struct config *cfg, const char *accounts)
{
	struct config_place place = { 0 };
	size_t before = cfg->n_problems;
	struct accounts_file file;
	char *path;

	check_ordinary(cfg);
	path = named_file(cfg, &place);
	if (accounts) {
		free(path);
		path = xstrdup(accounts);
		place = (struct config_place){ 0 };
	}
	if (path && cfg->n_templates == 0)
		config_problem(cfg, place.line ? place : (struct config_place){ path, 0 },
			       "there is no template to make sections of with it, such as [account %%] and [job %%]");
	if (path && cfg->n_templates > 0) {
		accounts_file_read(&file, cfg, path, place);
		cfg->accounts = file.path;
		if (cfg->n_problems == before)
			expand_all(cfg, &file);
		accounts_file_release(&file);
	}
	free(path);
}
