#ifndef CMD_CONFIG_PRIV_H
#define CMD_CONFIG_PRIV_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cmd/config.h"

/* Shared by the config_*.c files only. */

/* A key of [global], applied to every section that can have it and has not. */
struct config_global {
	enum config_kind kind;
	size_t key; /* index in the table */
	char *value;
	struct config_place place;
};

/*
 * A section with a `%` in its name, which becomes one for each account (config_template.c). Its values wait as they
 * were written.
 */
struct config_template {
	enum config_kind kind;
	char *name;
	struct config_place place;
	struct config_template_value {
		char *text; /* NULL: the key is not there */
		struct config_place place;
	} value[CONFIG_KEYS_MAX]; /* by the index of the key */
};

#define CONFIG_NAME_MAX 64 /* bytes of the name of a section */
#define CONFIG_PROBLEMS_MAX 200

struct config_priv {
	struct json_t *index[CONFIG_KINDS]; /* where in all[] a name is */
	struct config_template **templates;
	size_t n_templates, cap_templates;
	char **files; /* names, alive as long as places point at them */
	size_t n_files, cap_files;
	struct config_global *globals;
	size_t n_globals, cap_globals;
	struct config_place global; /* of [global] */
	size_t cap_problems;
};

/* Add `FILE:LINE: text`, escaped. */
void config_problem(struct config *cfg, struct config_place place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* config_read.c: read `path` and what it includes into cfg. */
void config_read(struct config *cfg, const char *path);
/*
 * Open a file that was named at `from` (line 0: on the command line), for reading. NULL after a problem. Its name, alive as
 * long as cfg.
 */
FILE *config_open_file(struct config *cfg, const char *path, struct config_place from, struct stat *st);
const char *config_keep_file(struct config *cfg, const char *path);
/* What an account, a store or a job can be called. */
bool config_is_name(const char *name);

/* config_template.c. Whether it names a template: a `%`, and otherwise what config_is_name() allows. */
bool config_is_template(const char *name);
/* A new one; NULL after a problem. */
struct config_template *config_template_new(struct config *cfg, enum config_kind kind, const char *name,
					    struct config_place place);
/* Whether a value is one field of the accounts file and nothing else. */
bool config_template_is_field(const char *value);
/* Take the value of a key. What can be judged without an account is. */
void config_template_set(struct config *cfg, struct config_template *t, size_t key, const char *value,
			 struct config_place place);
/* Make sections of them. `accounts` as config_load() has it. */
void config_expand(struct config *cfg, const char *accounts);
void config_templates_free(struct config_priv *priv);

/* config_value.c: store the text of key `key` in `section`; a problem is noted. */
void config_set(struct config *cfg, enum config_kind kind, void *section, size_t key,
		const char *value, struct config_place place);
/* Give a new section its defaults. */
void config_defaults(enum config_kind kind, void *section);
void config_section_free(enum config_kind kind, void *section);
/* Index of a key in the table of `kind`, or -1. */
int config_key_index(enum config_kind kind, const char *name);

/* config_sense.c: apply [global], find what is missing or does not fit together. */
void config_cross_check(struct config *cfg);

/* config.c */
void *config_section_new(struct config *cfg, enum config_kind kind, const char *name,
			 struct config_place place);

#endif
