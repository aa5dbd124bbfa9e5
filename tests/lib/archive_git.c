#include "tests/lib/archive_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/proc.h"

/* The tree as files, by git and tar; then the files by the documented formats. */

bool archive_is_git(const char *root)
{
	char *head = path_join(root, "HEAD"), *objects = path_join(root, "objects");
	bool is = access(head, F_OK) == 0 && access(objects, F_OK) == 0;

	free(head);
	free(objects);
	return is;
}

/* Owned by the caller, who removes the directory. */
static char *export(const char *root)
{
	static unsigned number;
	char *name = xasprintf("exported-%u", ++number), *dir = path_join(tmp_dir(), name);
	bool wip = git_try(root, "rev-parse", "-q", "--verify", "refs/mailcask/wip", NULL);
	struct proc_result res;

	proc_runl(&res, NULL, "sh", "-c",
		  "mkdir \"$2\" && git -C \"$1\" archive --format=tar \"$3\" >\"$2.tar\" &&"
		  " tar -xf \"$2.tar\" -C \"$2\" && rm \"$2.tar\"",
		  "sh", root, dir, wip ? "refs/mailcask/wip" : "refs/heads/main", NULL);
	if (res.status != 0)
		test_die("export %s: %s", root, buf_str(&res.err));
	proc_result_release(&res);
	free(name);
	return dir;
}

static char *undo_percent(const char *text)
{
	char *out = xstrdup(text), *to = out;

	for (const char *p = text; *p; p++) {
		unsigned byte;

		if (*p == '%' && sscanf(p + 1, "%2X", &byte) == 1) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return out;
}

/* The value of `key: value` in the file `mailbox`, owned by the caller; "" when it is not there. */
static char *value_of(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, key, n) == 0 && strncmp(line + n, ": ", 2) == 0)
			return bytes_dup(bytes_from(line + n + 2, strcspn(line + n + 2, "\n")));
	return xstrdup("");
}

/* As store.h numbers them. */
static unsigned attributes_of(const char *text)
{
	static const char *const words[] = { "noselect", "subscribed", "all",  "archive", "drafts",
					     "flagged",	 "junk",       "sent", "trash" };
	char *value = value_of(text, "attributes"), *subscribed = value_of(text, "subscribed");
	char *save = NULL;
	unsigned out = strcmp(subscribed, "yes") == 0 ? 1U << 1 : 0;

	for (char *w = strtok_r(value, " ", &save); w; w = strtok_r(NULL, " ", &save))
		for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strcmp(w, words[i]) == 0)
				out |= 1U << i;
	free(value);
	free(subscribed);
	return out;
}

static void read_name(struct archive_mailbox *mb, const char *text)
{
	char *name = value_of(text, "name"), *wire = value_of(text, "wire");
	char *number = value_of(text, "uidvalidity"), *parts, *undone = undo_percent(wire);

	mb->text = undo_percent(name);
	mb->uidvalidity = (uint32_t)strtoul(number, NULL, 10);
	mb->attributes = attributes_of(text);
	mb->wire = bytes_of(undone);
	parts = xcalloc(1, strlen(mb->text) + 2);
	strcpy(parts, mb->text);
	mb->name = bytes_from(parts, strlen(parts) + 1);
	for (char *p = parts; *p; p++)
		if (*p == '/')
			*p = '\0';
	free(name);
	free(wire);
	free(number);
}

/* 2024-05-06T07:08:09+02:00 as a server writes it. */
static char *internal_date(const char *field)
{
	struct tm tm = { 0 };
	char text[64];
	long offset;

	if (*field == '"') {
		char *raw = bytes_dup(bytes_from(field + 1, strcspn(field + 1, "\"")));
		char *date = undo_percent(raw);

		free(raw);
		return date;
	}
	if (!strptime(field, "%Y-%m-%dT%H:%M:%S%z", &tm))
		return xstrdup(field);
	offset = tm.tm_gmtoff / 60;
	strftime(text, sizeof(text), "%e-%b-%Y %H:%M:%S", &tm);
	return xasprintf("%s %c%02ld%02ld", text, offset < 0 ? '-' : '+', labs(offset) / 60,
			 labs(offset) % 60);
}

static char *sorted_words(const char *flags)
{
	char *copy = xstrdup(flags), *save = NULL;
	struct name_list words = { 0 };

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		name_list_add(&words, w);
	free(copy);
	return archive_join(&words);
}

static const char *size_of(const char *line)
{
	const char *date = line + strcspn(line, " ") + 1;

	return *date == '"' ? strchr(date + 1, '"') + 2 : date + strcspn(date, " ") + 1;
}

/* "UID date size (flags) pairs", from the UID on. */
static struct archive_message *add_line(struct archive_mailbox *mb, const char *line,
					char *path)
{
	const char *date = line + strcspn(line, " ") + 1, *size = size_of(line);
	const char *open = strchr(size, '('), *close;
	struct archive_message *m;
	char *field, *flags;


	close = open ? strchr(open, ')') : NULL;
	if (!close)
		test_die("%s: not a line of flags: %s", path, line);
	mb->msg = xgrow(mb->msg, mb->n, &mb->cap, sizeof(*mb->msg));
	m = &mb->msg[mb->n++];
	*m = (struct archive_message){ .path = path, .indexed = true };
	m->source_uid = (uint32_t)strtoul(line, NULL, 10);
	if (strstr(close, " source="))
		m->source_uid = (uint32_t)strtoul(strstr(close, " source=") + 8, NULL, 10);
	field = bytes_dup(bytes_from(date, (size_t)(size - 1 - date)));
	m->date = internal_date(field);
	flags = bytes_dup(bytes_from(open + 1, (size_t)(close - open - 1)));
	m->flags = sorted_words(flags);
	m->file_flags = archive_lettered(m->flags);
	if (strcmp(m->date, "NIL") != 0)
		m->mtime = archive_moment(m->date);
	free(field);
	free(flags);
	return m;
}

static void hash_and_count(struct archive_message *m, const char *dir, const char *size)
{
	char *full = path_join(dir, m->path);
	struct buf body = BUF_INIT((size_t)1 << 30);

	read_file(full, &body);
	sha256_hex(buf_bytes(&body), m->sha256);
	if (strtoull(size, NULL, 10) != body.n)
		test_die("%s: %zu bytes, its line says %s", m->path, body.n, size);
	buf_release(&body);
	free(full);
}

/* Every line of a flags file or of kept/list. */
static void read_lines(struct archive_mailbox *mb, const char *dir, const char *rest, bool kept)
{
	struct buf text = BUF_INIT(1 << 26);
	char *file = path_join(dir, rest), *save = NULL, *copy;

	read_file(file, &text);
	copy = xstrdup(buf_str(&text));
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct archive_message *m;
		unsigned long uid;
		char *path;

		if (kept) {
			path = xasprintf("kept/%.2s/%.40s.eml", line, line);
			line += 41;
		} else {
			uid = strtoul(line, NULL, 10);
			path = xasprintf("messages/%06lu/%02lu/%010lu.eml", uid / 10000,
					 uid / 100 % 100, uid);
		}
		m = add_line(mb, line, path);
		m->kept = kept;
		if (kept)
			m->source_uid = 0;
		hash_and_count(m, dir, size_of(line));
	}
	free(copy);
	free(file);
	buf_release(&text);
}

static void read_mailbox(const char *exported, const char *name, struct archive *a)
{
	char *below = xasprintf("mailboxes/%s", name), *dir = path_join(exported, below);
	char *file = path_join(dir, "mailbox");
	struct name_list files = { 0 };
	struct archive_mailbox *mb;
	struct buf text = BUF_INIT(1 << 24);
	size_t messages = 0, live = 0;

	a->v = xgrow(a->v, a->n, &a->cap, sizeof(*a->v));
	mb = &a->v[a->n++];
	*mb = (struct archive_mailbox){ .directory = below };
	read_file(file, &text);
	read_name(mb, buf_str(&text));
	tree_files(dir, &files);
	for (size_t i = 0; i < files.n; i++) {
		messages += strncmp(files.name[i], "messages/", 9) == 0;
		if (strncmp(files.name[i], "flags/", 6) == 0)
			read_lines(mb, dir, files.name[i], false);
		else if (strcmp(files.name[i], "kept/list") == 0)
			read_lines(mb, dir, files.name[i], true);
	}
	for (size_t i = 0; i < mb->n; i++)
		live += !mb->msg[i].kept;
	if (live != messages)
		test_die("%s: %zu messages, %zu lines", name, messages, live);
	if (mb->n > 0)
		qsort(mb->msg, mb->n, sizeof(*mb->msg), archive_by_uid);
	name_list_release(&files);
	buf_release(&text);
	free(file);
	free(dir);
}

void archive_git_read(const char *root, struct archive *out)
{
	char *exported = export(root), *boxes = path_join(exported, "mailboxes");
	struct name_list names = { 0 };

	if (access(boxes, F_OK) == 0)
		dir_entries(boxes, &names);
	for (size_t i = 0; i < names.n; i++)
		read_mailbox(exported, names.name[i], out);
	name_list_release(&names);
	remove_tree(exported);
	free(boxes);
	free(exported);
	git_check_all(root);
}

void archive_git_hashes(const char *root, struct name_list *out)
{
	struct archive a = { 0 };

	archive_git_read(root, &a);
	for (size_t i = 0; i < a.n; i++)
		for (size_t k = 0; k < a.v[i].n; k++)
			name_list_add(out, a.v[i].msg[k].sha256);
	archive_release(&a);
}
