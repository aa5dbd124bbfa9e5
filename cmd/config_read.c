#include "cmd/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

/*
 * inih splits `key = value`; everything it would get wrong in silence is decided before a line
 * reaches it, by read_line():
 *
 *   it cuts a long line and takes the rest for another   refused, with the length allowed
 *   it tells no line numbers                             counted here
 *   it takes an indented `key = value` for more of the   such a line is not indented when it gets
 *   value above                                          it; any other does continue a value
 *   it cuts a value at ` ;`                              refused
 *   it keeps section names to 49 bytes, does not tell    sections are read here, it never sees them
 *   empty ones, nor a section or key given twice
 *   it goes on after a bad line and reads a directory    refused here
 *   as an empty file
 */

#define INCLUDE_DEPTH 8

enum scope { SCOPE_TOP, SCOPE_GLOBAL, SCOPE_SECTION, SCOPE_TEMPLATE, SCOPE_IGNORE /* after a bad header */ };

struct reader {
	struct config *cfg;
	FILE *in;
	const char *file;
	unsigned line;
	unsigned depth;
	dev_t dev; /* with ino: who is including whom */
	ino_t ino;
	const struct reader *parent;
	bool private; /* nobody but the owner can read the file */
	enum scope scope;
	enum config_kind kind;
	void *section;
	struct config_template *template;
	bool continues; /* the line now with inih goes on with the value above */
	bool broken;    /* the key above was refused: so is what continues it */
	char *key;      /* the last key, until it is known that no more of it follows; or NULL */
	struct buf value;
	struct config_place place; /* of `key` */
};

static void include(struct reader *rd, const char *pattern, struct config_place place);

static struct config_place here(const struct reader *rd)
{
	return (struct config_place){ rd->file, rd->line };
}

static const char *known_key(enum config_kind kind, const char *name)
{
	const struct config_section_type *type = &config_sections[kind];
	const char *words[CONFIG_KEYS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < type->n_keys; i++)
		words[n++] = type->keys[i].name;
	return nearest_word(name, words, n);
}

/* "account" for a key that some section has, else NULL. */
static const char *key_home(const char *name)
{
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++)
		if (config_key_index(k, name) >= 0)
			return config_sections[k].name;
	return NULL;
}

static void unknown_key(struct reader *rd, const char *section, const char *near)
{
	const char *home = key_home(rd->key);

	if (strcmp(rd->key, "include") == 0)
		config_problem(rd->cfg, rd->place,
			       "'include' does not belong in %s but in [global] or before the "
			       "first section",
			       section);
	else if (home)
		config_problem(rd->cfg, rd->place, "'%s' does not belong in %s but in [%s NAME]",
			       rd->key, section, home);
	else if (near)
		config_problem(rd->cfg, rd->place, "unknown key '%s' in %s; did you mean '%s'?",
			       rd->key, section, near);
	else
		config_problem(rd->cfg, rd->place, "unknown key '%s' in %s", rd->key, section);
}

static void check_secret(struct reader *rd, const struct config_key *key)
{
	if (key->secret && !rd->private)
		config_problem(rd->cfg, rd->place,
			       "a file with '%s' in it must not be readable by others: "
			       "chmod 600 %s",
			       key->name, rd->file);
}

/* Index of the key in the section called `name`, or -1 after a problem. */
static int own_key(struct reader *rd, const char *name)
{
	int key = config_key_index(rd->kind, rd->key);

	if (key < 0) {
		char *section = xasprintf("[%s %s]", config_sections[rd->kind].name, name);

		unknown_key(rd, section, known_key(rd->kind, rd->key));
		free(section);
	}
	return key;
}

/* False after a problem. */
static bool is_first(struct reader *rd, struct config_place first)
{
	if (first.line)
		config_problem(rd->cfg, rd->place, "'%s' is here a second time; first in line %u", rd->key,
			       first.line);
	return first.line == 0;
}

static void section_key(struct reader *rd)
{
	struct config_head *head = rd->section;
	int key = own_key(rd, head->name);

	if (key < 0 || !is_first(rd, head->at[key]))
		return;
	check_secret(rd, &config_sections[rd->kind].keys[key]);
	config_set(rd->cfg, rd->kind, rd->section, (size_t)key, buf_str(&rd->value), rd->place);
}

static void template_key(struct reader *rd)
{
	struct config_template *t = rd->template;
	int key = own_key(rd, t->name);

	if (key < 0 || !is_first(rd, t->value[key].place))
		return;
	if (!config_template_is_field(buf_str(&rd->value))) /* else the secret is in the accounts file alone */
		check_secret(rd, &config_sections[rd->kind].keys[key]);
	config_template_set(rd->cfg, t, (size_t)key, buf_str(&rd->value), rd->place);
}

static void keep_global(struct reader *rd, enum config_kind kind, size_t key)
{
	struct config_priv *priv = rd->cfg->priv;
	size_t before = rd->cfg->n_problems;
	void *scratch;

	for (size_t i = 0; i < priv->n_globals; i++)
		if (priv->globals[i].kind == kind && priv->globals[i].key == key) {
			config_problem(rd->cfg, rd->place,
				       "'%s' is here a second time; first in line %u", rd->key,
				       priv->globals[i].place.line);
			return;
		}
	/* Judged once, here, not again in every section it is a default for. */
	scratch = xcalloc(1, config_sections[kind].size);
	config_set(rd->cfg, kind, scratch, key, buf_str(&rd->value), rd->place);
	config_section_free(kind, scratch);
	check_secret(rd, &config_sections[kind].keys[key]);
	if (rd->cfg->n_problems > before)
		return;
	priv->globals = xgrow(priv->globals, priv->n_globals, &priv->cap_globals,
			      sizeof(*priv->globals));
	priv->globals[priv->n_globals++] = (struct config_global){
		kind, key, xstrdup(buf_str(&rd->value)), rd->place
	};
}

static void global_key(struct reader *rd)
{
	const char *near = NULL;

	for (enum config_kind k = 0; k < CONFIG_KINDS; k++) {
		int key = config_key_index(k, rd->key);

		if (key >= 0) {
			keep_global(rd, k, (size_t)key);
			return;
		}
		if (!near)
			near = known_key(k, rd->key);
	}
	unknown_key(rd, "[global]", near);
}

/* The value of the last key is complete. */
static void flush(struct reader *rd)
{
	if (!rd->key)
		return;
	if (rd->value.overflow)
		config_problem(rd->cfg, rd->place, "the value of '%s' is too long", rd->key);
	else if (strcmp(rd->key, "include") == 0 && rd->scope <= SCOPE_GLOBAL)
		include(rd, buf_str(&rd->value), rd->place);
	else if (rd->scope == SCOPE_GLOBAL)
		global_key(rd);
	else if (rd->scope == SCOPE_SECTION)
		section_key(rd);
	else if (rd->scope == SCOPE_TEMPLATE)
		template_key(rd);
	else if (rd->scope == SCOPE_TOP)
		config_problem(rd->cfg, rd->place,
			       "'%s' stands before the first section, like [account NAME]",
			       rd->key);
	free(rd->key);
	rd->key = NULL;
	buf_release_secret(&rd->value);
}

bool config_is_name(const char *name)
{
	if (*name == '.' || *name == '-')
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-@+", *p))
			return false;
	return *name && strlen(name) <= CONFIG_NAME_MAX;
}

static void global_section(struct reader *rd)
{
	struct config_place *first = &rd->cfg->priv->global;

	if (first->line) {
		config_problem(rd->cfg, here(rd), "[global] is here a second time; first at %s:%u",
			       first->file, first->line);
		return;
	}
	*first = here(rd);
	rd->scope = SCOPE_GLOBAL;
}

static void named_section(struct reader *rd, enum config_kind kind, const char *name)
{
	const struct config_head *first;

	if (config_is_template(name)) {
		rd->kind = kind;
		rd->template = config_template_new(rd->cfg, kind, name, here(rd));
		rd->scope = rd->template ? SCOPE_TEMPLATE : SCOPE_IGNORE;
		return;
	}
	if (!config_is_name(name)) {
		config_problem(rd->cfg, here(rd),
			       "[%s %s]: a name of letters, digits and . _ - @ + is expected, "
			       "at most %d",
			       config_sections[kind].name, *name ? name : "NAME", CONFIG_NAME_MAX);
		return;
	}
	first = config_section(rd->cfg, kind, name);
	if (first) {
		config_problem(rd->cfg, here(rd), "[%s %s] is here a second time; first at %s:%u",
			       config_sections[kind].name, name, first->place.file,
			       first->place.line);
		return;
	}
	rd->kind = kind;
	rd->section = config_section_new(rd->cfg, kind, name, here(rd));
	rd->scope = SCOPE_SECTION;
}

/* `text` begins with '['; it is changed. */
static void section_line(struct reader *rd, char *text)
{
	static const char *const words[] = { "global", "account", "store", "job" };
	char *end = strchr(text, ']'), *word = text + 1, *name;
	const char *near;

	flush(rd);
	rd->scope = SCOPE_IGNORE;
	if (!end || end[1] != '\0') {
		config_problem(rd->cfg, here(rd),
			       "a section's line ends with ']' and has nothing after it");
		return;
	}
	*end = '\0';
	word += strspn(word, " \t");
	name = word + strcspn(word, " \t");
	if (*name) {
		*name++ = '\0';
		name += strspn(name, " \t");
	}
	for (char *p = name + strlen(name); p > name && isblank((unsigned char)p[-1]);)
		*--p = '\0';
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++)
		if (strcmp(word, config_sections[k].name) == 0) {
			named_section(rd, k, name);
			return;
		}
	if (strcmp(word, "global") == 0 && *name == '\0') {
		global_section(rd);
		return;
	}
	near = nearest_word(word, words, sizeof(words) / sizeof(words[0]));
	config_problem(rd->cfg, here(rd), "unknown section [%s]; %s%s%s", word,
		       near ? "did you mean '" : "there are account, store, job and global",
		       near ? near : "", near ? "'?" : "");
}

/* `word =` or `word :` at the start. */
static bool is_key_line(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '_' || text[n] == '-')
		n++;
	if (n == 0)
		return false;
	n += strspn(text + n, " \t");
	return text[n] == '=' || text[n] == ':';
}

/* What is wrong with a line whatever it means; NULL: nothing. */
static const char *bad_line(const char *line, size_t n)
{
	if (memchr(line, '\0', n))
		return "there is a NUL byte in this line";
	if (!utf8_is_valid(bytes_from(line, n)))
		return "this line is not UTF-8";
	for (const char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			return "there is a control character in this line";
	for (const char *p = line + 1; *line && *p; p++)
		if (*p == ';' && isblank((unsigned char)p[-1]))
			return "';' after a blank would begin a comment and cut the value: "
			       "comments stand on lines of their own";
	return NULL;
}

/*
 * Decide what a line is. True: it is for inih, and begins at *from; false: it was dealt with here.
 */
static bool take_line(struct reader *rd, char *line, size_t n, int room, char **from)
{
	char *text = line + strspn(line, " \t");
	const char *bad;

	rd->continues = false;
	if (*text == '\0' && strlen(line) == n)
		return false;
	if (*text == '#' || *text == ';')
		return false;
	bad = bad_line(line, n);
	if (bad) {
		flush(rd);
		rd->broken = true;
		config_problem(rd->cfg, here(rd), "%s", bad);
		return false;
	}
	if (*text == '[' && (text == line || strchr(text, ']'))) {
		rd->broken = false;
		section_line(rd, text);
		return false;
	}
	rd->continues = text > line && !is_key_line(text);
	if (rd->continues && rd->broken)
		return false;
	rd->broken = false;
	if (n + 2 > (size_t)room) {
		flush(rd);
		rd->broken = true;
		config_problem(rd->cfg, here(rd),
			       "this line has %zu bytes; %d are allowed: go on in the next line, "
			       "indented",
			       n, room - 2);
		return false;
	}
	if (rd->continues ? !rd->key : !strpbrk(text, "=:")) {
		flush(rd);
		config_problem(rd->cfg, here(rd), "neither 'key = value' nor a [section]");
		return false;
	}
	*from = rd->continues ? line : text;
	return true;
}

/* fgets() for inih: one line for each line of the file, empty when it is none of its business. */
static char *read_line(char *str, int room, void *stream)
{
	struct reader *rd = stream;
	char *line = NULL, *from;
	size_t cap = 0, n;
	ssize_t got = getline(&line, &cap, rd->in);

	if (got < 0) {
		free(line);
		return NULL;
	}
	rd->line++;
	n = (size_t)got;
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' ' ||
			 line[n - 1] == '\t'))
		n--;
	line[n] = '\0';
	if (rd->line == 1 && n >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
		n -= 3;
		memmove(line, line + 3, n + 1);
	}
	if (take_line(rd, line, n, room, &from))
		snprintf(str, (size_t)room, "%s\n", from);
	else
		snprintf(str, (size_t)room, "\n");
	secret_wipe(line, cap);
	free(line);
	return str;
}

static int take_key(void *ctx, const char *section, const char *name, const char *value)
{
	struct reader *rd = ctx;

	(void)section;
	if (rd->continues) {
		buf_addf(&rd->value, " %s", value);
		return 1;
	}
	flush(rd);
	rd->key = xstrdup(name);
	rd->place = here(rd);
	buf_add_str(&rd->value, value);
	return 1;
}

const char *config_keep_file(struct config *cfg, const char *path)
{
	struct config_priv *priv = cfg->priv;

	priv->files = xgrow(priv->files, priv->n_files, &priv->cap_files, sizeof(*priv->files));
	priv->files[priv->n_files] = xstrdup(path);
	return priv->files[priv->n_files++];
}

FILE *config_open_file(struct config *cfg, const char *path, struct config_place from, struct stat *st)
{
	FILE *in = fopen(path, "re");
	struct config_place place = from.line ? from : (struct config_place){ path, 0 };
	const char *what = from.line ? path : "cannot be read";

	if (!in || fstat(fileno(in), st) < 0) {
		config_problem(cfg, place, "%s: %s", what, strerror(errno));
	} else if (S_ISDIR(st->st_mode)) {
		config_problem(cfg, place, "%s: it is a directory", what);
	} else {
		return in;
	}
	if (in)
		fclose(in);
	return NULL;
}

static void read_file(struct config *cfg, const char *path, const struct reader *parent,
		      struct config_place from)
{
	struct reader rd = { .cfg = cfg, .parent = parent, .value = BUF_INIT(64 * 1024) };
	struct stat st;

	rd.in = config_open_file(cfg, path, from, &st);
	if (!rd.in)
		return;
	rd.file = config_keep_file(cfg, path);
	rd.dev = st.st_dev;
	rd.ino = st.st_ino;
	rd.depth = parent ? parent->depth + 1 : 0;
	rd.private = (st.st_mode & 077) == 0;
	for (const struct reader *up = parent; up; up = up->parent)
		if (up->dev == rd.dev && up->ino == rd.ino) {
			config_problem(cfg, from, "%s includes itself", path);
			goto out;
		}
	if (rd.depth > INCLUDE_DEPTH) {
		config_problem(cfg, from, "includes are nested more than %d deep", INCLUDE_DEPTH);
		goto out;
	}
	if (ini_parse_stream(read_line, &rd, take_key, &rd) != 0)
		config_problem(cfg, here(&rd), "a line could not be understood");
	flush(&rd);
	if (ferror(rd.in))
		config_problem(cfg, here(&rd), "reading it failed");
out:
	fclose(rd.in);
}

static void include(struct reader *rd, const char *pattern, struct config_place place)
{
	char *path = config_path(pattern, rd->file);
	glob_t found = { 0 };
	int rc;

	if (*pattern == '\0' || !path) {
		config_problem(rd->cfg, place,
			       "include: expected a file or a pattern like conf.d/*.ini");
		free(path);
		return;
	}
	rc = glob(path, GLOB_ERR, NULL, &found); /* sorted */
	if (rc == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(rd->cfg, found.gl_pathv[i], rd, place);
	else if (rc != GLOB_NOMATCH && errno != ENOENT)
		config_problem(rd->cfg, place, "include: %s: %s", path, strerror(errno));
	else if (!strpbrk(pattern, "*?[")) /* a pattern may match nothing, a name may not */
		config_problem(rd->cfg, place, "include: %s: no such file", path);
	globfree(&found);
	free(path);
}

void config_read(struct config *cfg, const char *path)
{
	read_file(cfg, path, NULL, (struct config_place){ 0 });
}
