#ifndef CMD_CONFIG_PRIV_H
#define CMD_CONFIG_PRIV_H

#include <stdbool.h>

#include "cmd/config.h"

/* Shared by the config_*.c files only. */

/* A key of [global], applied to every section that can have it and has not. */
struct config_global {
	enum config_kind kind;
	size_t key; /* index in the table */
	char *value;
	struct config_place place;
};

struct config_priv {
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
