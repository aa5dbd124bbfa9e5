#include "tests/lib/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"

static long long moment(const char *date)
{
	struct tm tm = { 0 };
	const char *zone = date ? strptime(date, "%d-%b-%Y %H:%M:%S", &tm) : NULL;
	int hours, minutes;
	char sign;

	if (!zone || sscanf(zone, " %c%2d%2d", &sign, &hours, &minutes) != 3)
		test_die("not a date: %s", date ? date : "none");
	return (long long)timegm(&tm) - (sign == '-' ? -60 : 60) * (hours * 60 + minutes);
}

static char *line_of(const struct oracle_message *m)
{
	char *copy = xstrdup(m->flags), *save = NULL, *line = xasprintf("%s %lld", m->sha256, moment(m->date));

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *longer;

		longer = xasprintf("%s %s", line, w);
		free(line);
		line = longer;
	}
	free(copy);
	return line;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_of(struct oracle *o, const char *mailbox, struct name_list *out)
{
	struct oracle_dump d;

	oracle_dump(o, mailbox, &d);
	for (size_t i = 0; i < d.n; i++) {
		char *line = line_of(&d.msg[i]);

		name_list_add(out, line);
		free(line);
	}
	if (out->n)
		qsort(out->name, out->n, sizeof(*out->name), compare_text);
	oracle_dump_release(&d);
}

void mailboxes_equal(struct oracle *a, const char *in_a, struct oracle *b, const char *in_b)
{
	struct name_list want = { 0 }, got = { 0 };

	lines_of(a, in_a, &want);
	lines_of(b, in_b, &got);
	for (size_t i = 0; i < want.n && i < got.n; i++)
		if (strcmp(want.name[i], got.name[i]) != 0)
			test_die("%s and %s differ: %s and %s", in_a, in_b, want.name[i], got.name[i]);
	if (want.n != got.n)
		test_die("%s has %zu messages and %s has %zu", in_a, want.n, in_b, got.n);
	name_list_release(&want);
	name_list_release(&got);
}

static char *name_there(const char *name, char from, char to, const char *prefix)
{
	char *there = strcmp(name, "INBOX") == 0 ? xstrdup(name) : xasprintf("%s%s", prefix, name);

	for (char *p = there + strlen(there) - strlen(name); *p; p++)
		if (*p == from)
			*p = to;
	return there;
}

void accounts_equal(struct oracle *a, struct oracle *b, const char *prefix)
{
	struct name_list names = { 0 }, others = { 0 };

	oracle_list(a, &names);
	oracle_list(b, &others); /* for its delimiter */
	for (size_t i = 0; i < names.n; i++) {
		char *there = name_there(names.name[i], oracle_delimiter(a), oracle_delimiter(b), prefix);

		mailboxes_equal(a, names.name[i], b, there);
		free(there);
	}
	name_list_release(&names);
	name_list_release(&others);
}

size_t mailbox_count(struct oracle *o, const char *mailbox)
{
	struct oracle_dump d;
	size_t n;

	oracle_dump(o, mailbox, &d);
	n = d.n;
	oracle_dump_release(&d);
	return n;
}
