#ifndef CMD_ACCOUNTS_FILE_H
#define CMD_ACCOUNTS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/config_priv.h"

/*
 * The accounts that templates are made into sections for: a CSV file (RFC 4180, read by libcsv). Its first line names the
 * columns; that called `account`, else that called `user`, has the names of the accounts. A field ends in
 * the line it began in. Empty lines and those that begin with '#' are none.
 */
struct accounts_row {
	char **field; /* as many as there are columns; free of control characters */
	unsigned line;
};

struct accounts_file {
	const char *path; /* owned by the config */
	char **column;
	size_t n_columns;
	size_t name; /* which column names the accounts */
	struct accounts_row *row;
	size_t n, cap;
	bool private; /* nobody but the owner can read it */
};

/*
 * Read it; what is wrong with it is noted in cfg. `from`: where the file was named; line 0: on the
 * command line. To be released in any case.
 */
void accounts_file_read(struct accounts_file *f, struct config *cfg, const char *path,
			struct config_place from);
void accounts_file_release(struct accounts_file *f); /* wipes secrets */
/* Number of the column of that name, or -1. */
int accounts_file_column(const struct accounts_file *f, const char *name);

#endif
