#ifndef CMD_NEW_FILE_H
#define CMD_NEW_FILE_H

#include <stdio.h>

#include "core/base/err.h"

/*
 * A file that is made for the user: it appears under its name when it is whole and durable, and never in the place of
 * another one. Until then it is NAME.part-XXXXXX, which goes away when it is not finished.
 */
struct new_file {
	char *path;
	char *part; /* NULL: standard output, or there is nothing to remove */
	FILE *out;
};

/* "-" is standard output. ERR_CONFIG: something with that name is there. After a failure, too, new_file_close() must follow. */
int new_file_open(struct new_file *f, const char *path, struct err *err);
/* It is whole. */
int new_file_finish(struct new_file *f, struct err *err);
void new_file_close(struct new_file *f);

/* The same for a directory with all that is put into it. */
struct new_dir {
	char *path;
	char *part; /* where it is filled; NULL: there is nothing to remove */
};

int new_dir_open(struct new_dir *d, const char *path, struct err *err);
int new_dir_finish(struct new_dir *d, struct err *err);
void new_dir_close(struct new_dir *d);

#endif
