#include "cmd/accounts_file.h"

#include <csv.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

#define COLUMNS_MAX 64

struct reading {
	struct accounts_file *f;
	struct config *cfg;
	struct config_place place;
	char *field[COLUMNS_MAX + 1]; /* of the line now being read; one more shows that there are too many */
	size_t n;
	json_t *seen; /* names of accounts, and in which line */
};

int accounts_file_column(const struct accounts_file *f, const char *name)
{
	for (size_t i = 0; i < f->n_columns; i++)
		if (strcmp(f->column[i], name) == 0)
			return (int)i;
	return -1;
}

static void drop_fields(struct reading *rd)
{
	while (rd->n > 0)
		secret_free(rd->field[--rd->n]);
}

/* As libcsv calls it. */
static void take_field(void *text, size_t n, void *ctx)
{
	struct reading *rd = ctx;

	if (rd->n <= COLUMNS_MAX)
		rd->field[rd->n++] = bytes_dup(bytes_from(text, n));
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
	return NULL;
}

/* The line into fields; what is wrong with it, or NULL. */
static const char *split(struct reading *rd, const char *line, size_t n)
{
	const char *bad = bad_line(line, n);
	struct csv_parser parser;

	if (bad)
		return bad;
	if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
		abort();
	if (csv_parse(&parser, line, n, take_field, NULL, rd) != n)
		bad = "a quote stands within a field: the whole field goes into quotes, and a quote in it is doubled";
	else if (csv_fini(&parser, take_field, NULL, rd) != 0)
		bad = "a quote is not closed: a field ends in the line it began in";
	csv_free(&parser);
	return bad;
}

static bool is_column(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return false;
	return *name != '\0';
}

/* The first line. False after a problem: nothing can be told of the others. */
static bool take_columns(struct reading *rd)
{
	struct accounts_file *f = rd->f;
	int name;

	if (rd->n > COLUMNS_MAX) {
		config_problem(rd->cfg, rd->place, "more than %d columns", COLUMNS_MAX);
		return false;
	}
	f->column = xcalloc(rd->n, sizeof(*f->column));
	for (size_t i = 0; i < rd->n; i++) {
		if (!is_column(rd->field[i])) {
			config_problem(rd->cfg, rd->place,
				       "the first line names the columns, separated by commas, such as "
				       "'user,password'; field %zu is no name of letters, digits, _ and -",
				       i + 1); /* not what it is: without such a line it can be a password */
			return false;
		}
		if (accounts_file_column(f, rd->field[i]) >= 0) {
			config_problem(rd->cfg, rd->place, "the column '%s' is there twice", rd->field[i]);
			return false;
		}
		f->column[f->n_columns++] = xstrdup(rd->field[i]);
	}
	name = accounts_file_column(f, "account");
	if (name < 0)
		name = accounts_file_column(f, "user");
	if (name >= 0) {
		f->name = (size_t)name;
		return true;
	}
	config_problem(rd->cfg, rd->place,
		       "no column is called 'account', or 'user': it is what the accounts are named by");
	return false;
}

static bool is_right_length(const struct reading *rd)
{
	const struct accounts_file *f = rd->f;

	if (rd->n == f->n_columns)
		return true;
	config_problem(rd->cfg, rd->place, "%s%zu field%s, but the first line names %zu columns%s",
		       rd->n > COLUMNS_MAX ? "more than " : "", rd->n - (rd->n > COLUMNS_MAX),
		       rd->n == 1 ? "" : "s", f->n_columns,
		       rd->n > f->n_columns ? ": a field with a comma in it stands in quotes" : "");
	return false;
}

static void take_row(struct reading *rd)
{
	struct accounts_file *f = rd->f;
	const char *name;
	json_t *first;
	char **field;

	if (!is_right_length(rd))
		return;
	name = rd->field[f->name];
	first = json_object_get(rd->seen, name);
	if (!config_is_name(name)) {
		config_problem(rd->cfg, rd->place,
			       "'%s' cannot name an account: letters, digits and . _ - @ + are allowed, at most "
			       "%d of them; a column 'account' can name it otherwise than 'user'",
			       name, CONFIG_NAME_MAX);
		return;
	}
	if (first) {
		config_problem(rd->cfg, rd->place, "%s is here a second time; first in line %lld", name,
			       (long long)json_integer_value(first));
		return;
	}
	json_object_set_new(rd->seen, name, json_integer((json_int_t)rd->place.line));
	field = xcalloc(rd->n, sizeof(*field));
	memcpy(field, rd->field, rd->n * sizeof(*field));
	rd->n = 0;
	f->row = xgrow(f->row, f->n, &f->cap, sizeof(*f->row));
	f->row[f->n++] = (struct accounts_row){ field, rd->place.line };
}

/* False: there is no use in reading on. */
static bool take_line(struct reading *rd, char *line, size_t n)
{
	const char *bad;
	bool go_on = true;

	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	if (rd->place.line == 1 && n >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
		line += 3;
		n -= 3;
	}
	if (*line == '#' || (n == strlen(line) && strspn(line, " \t") == n))
		return true;
	bad = split(rd, line, n);
	if (bad)
		config_problem(rd->cfg, rd->place, "%s", bad);
	if (rd->f->n_columns == 0)
		go_on = !bad && take_columns(rd);
	else if (!bad)
		take_row(rd);
	drop_fields(rd);
	return go_on;
}

void accounts_file_read(struct accounts_file *f, struct config *cfg, const char *path,
			struct config_place from)
{
	struct reading rd = { .f = f, .cfg = cfg };
	size_t before = cfg->n_problems, cap = 0;
	bool go_on = true;
	char *line = NULL;
	struct stat st;
	ssize_t got = 0;
	FILE *in;

	*f = (struct accounts_file){ 0 };
	in = config_open_file(cfg, path, from, &st);
	if (!in)
		return;
	f->path = rd.place.file = config_keep_file(cfg, path);
	f->private = (st.st_mode & 077) == 0;
	rd.seen = json_object();
	while (go_on && (got = getline(&line, &cap, in)) >= 0) {
		rd.place.line++;
		go_on = take_line(&rd, line, (size_t)got);
	}
	if (ferror(in))
		config_problem(cfg, rd.place, "reading it failed");
	else if (f->n == 0 && cfg->n_problems == before)
		config_problem(cfg, (struct config_place){ f->path, 0 }, "there is no account in it");
	if (line)
		secret_wipe(line, cap);
	free(line);
	json_decref(rd.seen);
	fclose(in);
}

void accounts_file_release(struct accounts_file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		for (size_t c = 0; c < f->n_columns; c++)
			secret_free(f->row[i].field[c]);
		free(f->row[i].field);
	}
	for (size_t c = 0; c < f->n_columns; c++)
		free(f->column[c]);
	free(f->column);
	free(f->row);
	*f = (struct accounts_file){ 0 };
}
