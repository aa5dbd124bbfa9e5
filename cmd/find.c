#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/deleted.h"
#include "backends/git/history.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sync/scope.h"

#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/find_index.h"
#include "cmd/find_select.h"
#include "cmd/imap_cli.h"
#include "cmd/look.h"
#include "cmd/report.h"
#include "cmd/row.h"
#include "cmd/search.h"
#include "cmd/snapshot_arg.h"

enum { OPT_DELETED = 1, OPT_MAILBOX };

static const struct cmd_option options[] = {
	{ "deleted", 0, NULL,
	  "Look for what was deleted, in all snapshots of a git store, and say in which it was.",
	  OPT_DELETED },
	{ "mailbox", 'm', "PATTERN", "Only in these mailboxes; may be given again.", OPT_MAILBOX },
	{ NULL, 0, NULL, NULL, 0 },
};

/* What was asked for. */
struct wishes {
	struct app *app;
	bool deleted;
	const char **only; /* patterns */
	size_t n_only, cap_only;
	struct search search;
};

/* A search under way. */
struct find {
	const struct wishes *w;
	struct look look;       /* all that is looked at */
	const char *store;      /* as the user called it */
	struct history *history; /* NULL: the store has none */
	struct find_index *ix;
	struct uidset kept;     /* of the mailbox in work */
	char *mailbox;          /* its name */
	bool any, failed;       /* one was found; a message or a mailbox could not be read */
	size_t name_width, terminal;
	int digits;
};

/* --- what was found --- */

static void add_place(const struct find *f, struct buf *line, const struct git_deleted_place *at)
{
	struct buf text = BUF_INIT(2 * SNAPSHOT_ID_SIZE + 3);

	buf_addf(&text, "%.*s..%.*s", f->digits, at->first->id, f->digits, at->last->id);
	columns_add(line, buf_str(&text), 2 * (size_t)f->digits + 2);
	buf_add_str(line, "  ");
	buf_release(&text);
}

/* So that a row begins with what `show` takes: `archive@10a36767 INBOX 9`. */
static void add_source(const struct find *f, struct buf *line, const struct git_deleted_place *at)
{
	char *store = escape_text(bytes_of(f->store), 1000);

	buf_addf(line, "%s@%.*s  ", store, f->digits, at->last->id);
	free(store);
}

static void print_heading(const struct find *f)
{
	if (f->w->deleted)
		printf("%-*s  ", (int)columns_of(f->store) + 1 + f->digits, "STORE@LAST");
	printf("%-*s  %7s  %-16s  %9s  %-6s  ", (int)f->name_width, "MAILBOX", "UID", "DATE", "SIZE",
	       "FLAGS");
	if (f->w->deleted)
		printf("%-*s  ", 2 * f->digits + 2, "SNAPSHOTS");
	printf("%-*s  %s\n", (int)ROW_NAME_WIDTH, "FROM", "SUBJECT");
}

static void print_row(const struct find *f, const struct find_message *m,
		      const struct index_row *row, const struct git_deleted_place *at)
{
	struct buf line = BUF_INIT(1 << 16), size = BUF_INIT(64);
	char *name = escape_text(bytes_of(f->mailbox), 1000);
	size_t columns = columns_of(name), used;

	if (at)
		add_source(f, &line, at);
	/* A name is to be given to other commands, so it is never cut. */
	buf_add_str(&line, name);
	for (; columns < f->name_width; columns++)
		buf_add_byte(&line, ' ');
	report_bytes(&size, m->size);
	buf_addf(&line, "  %7u  ", at ? at->uid : m->uid);
	row_add_date(&line, &m->date);
	buf_addf(&line, "  %9s  ", buf_str(&size));
	row_add_letters(&line, &m->flags);
	buf_add_str(&line, "  ");
	if (at)
		add_place(f, &line, at);
	row_add_text(&line, xstrdup(row->name), ROW_NAME_WIDTH, false);
	buf_add_str(&line, "  ");
	used = columns_of(buf_str(&line));
	row_add_text(&line, xstrdup(row->subject),
		     f->terminal == 0 ? 0 : f->terminal > used + 10 ? f->terminal - used : 10, true);
	if (uidset_has(&f->kept, m->uid))
		buf_add_str(&line, "  (kept)");
	while (line.n > 0 && line.p[line.n - 1] == ' ')
		line.n--;
	printf("%.*s\n", (int)line.n, buf_str(&line));
	free(name);
	buf_release(&line);
	buf_release(&size);
}

static void add_snapshot(json_t *event, const char *name, const struct snapshot *s)
{
	struct maildate date = { 0 };
	char *key = xasprintf("%s_time", name);

	json_object_set_new(event, name, json_string(s->id));
	maildate_set(&date, s->time, 0);
	row_json_moment(event, key, &date);
	maildate_release(&date);
	free(key);
}

static void add_text(json_t *event, const char *name, const char *text)
{
	if (*text)
		json_object_set_new(event, name, imap_json_text(bytes_of(text)));
}

static void print_event(const struct find *f, const struct find_message *m,
			const struct index_row *row, const struct git_deleted_place *at)
{
	json_t *event = imap_json_event("message");

	json_object_set_new(event, "mailbox", json_string(f->mailbox));
	json_object_set_new(event, "uid", json_integer(at ? at->uid : m->uid));
	row_json_moment(event, "date", &m->date);
	json_object_set_new(event, "size", json_integer((json_int_t)m->size));
	json_object_set_new(event, "flags", imap_json_flags(&m->flags));
	add_text(event, "from", row->from);
	add_text(event, "subject", row->subject);
	add_text(event, "message_id", row->message_id);
	add_text(event, "sent", row->sent);
	if (at) {
		add_snapshot(event, "first_snapshot", at->first);
		add_snapshot(event, "last_snapshot", at->last);
	} else {
		json_object_set_new(event, "kept", json_boolean(uidset_has(&f->kept, m->uid)));
	}
	report_event(event);
}

static void print_found(struct find *f, const struct find_message *m, struct mailbox *mb)
{
	static const struct index_row unknown = { "", "", "", "", "", "", "", "", "" };
	struct index_row row = unknown;
	struct git_deleted_place at;
	struct err err;

	if (m->id && find_index_row(f->ix, m->id, &row, &err) < 0)
		row = unknown; /* it was found all the same */
	if (f->w->deleted)
		git_deleted_where(mb, m->uid, &at);
	if (f->w->app->quiet)
		return;
	if (f->w->app->json) {
		print_event(f, m, &row, f->w->deleted ? &at : NULL);
		return;
	}
	if (!f->any)
		print_heading(f);
	f->any = true;
	print_row(f, m, &row, f->w->deleted ? &at : NULL);
}

/* --- looking --- */

static void on_trouble(void *ctx, uint32_t uid, const struct err *why)
{
	struct find *f = ctx;
	char *safe = escape_text(bytes_of(f->mailbox), 400);

	f->failed = true;
	report_line(f->w->app, NULL, "message %u of %s cannot be read: %s", uid, safe, why->text);
	free(safe);
}

static int contents(struct look *lk, const struct mailbox_info *info, struct uidset *out,
		    struct mailbox **mb, struct err *err)
{
	struct changes held;
	int ret = -1;

	changes_init(&held);
	if (mailbox_open(lk->store, info, STORE_READ, mb, err) == 0 &&
	    look_contents(*mb, &held, err) == 0) {
		for (size_t i = 0; i < held.n; i++)
			uidset_add(out, held.v[i].uid);
		ret = 0;
	}
	changes_release(&held);
	return ret;
}

static int find_in(struct find *f, const struct mailbox_info *info, struct err *err)
{
	struct find_messages found = { 0 };
	struct uidset all = UIDSET_INIT;
	struct mailbox *mb;
	int ret = -1;

	uidset_clear(&f->kept);
	if (store_check_stop(f->look.store, err) < 0 ||
	    contents(&f->look, info, &all, &mb, err) < 0 ||
	    look_kept(&f->look, info, &all, &f->kept, err) < 0)
		goto out;
	ret = uidset_is_empty(&all) ? 0 :
				      find_select(&f->w->search, f->ix, mb, &all, &found,
						  on_trouble, f, err);
	for (size_t i = 0; ret == 0 && i < found.n; i++)
		print_found(f, &found.v[i], mb);
out:
	find_messages_release(&found);
	uidset_release(&all);
	return ret;
}

static bool is_wanted(const struct wishes *w, const struct mailbox_info *info)
{
	return w->n_only == 0 || scope_contains(w->only, w->n_only, &info->name, info->attributes);
}

/* A mailbox that cannot be read is told, and the others looked into. */
static int find_everywhere(struct find *f, struct err *err)
{
	for (size_t i = 0; i < f->look.list.n; i++) {
		const struct mailbox_info *info = &f->look.list.v[i];
		char *safe;

		if (!is_wanted(f->w, info))
			continue;
		free(f->mailbox);
		f->mailbox = mailbox_name_text(&info->name);
		if (find_in(f, info, err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		f->failed = true;
		safe = escape_text(bytes_of(f->mailbox), 400);
		report_line(f->w->app, NULL, "%s cannot be read: %s", safe, err->text);
		free(safe);
	}
	if (!f->any && !f->w->app->json && !f->w->app->quiet)
		puts("no message found");
	return 0;
}

static void set_widths(struct find *f)
{
	f->terminal = columns_terminal();
	f->name_width = strlen("MAILBOX");
	for (size_t i = 0; i < f->look.list.n; i++) {
		char *name = mailbox_name_text(&f->look.list.v[i].name);
		size_t n = columns_of(name);

		if (is_wanted(f->w, &f->look.list.v[i]) && n > f->name_width)
			f->name_width = n < 30 ? n : 30;
		free(name);
	}
}

static int find(const struct wishes *w, const char *text, bool *failed, struct err *err)
{
	struct find f = { .w = w, .store = text };
	int ret = look_open_at(&f.look, w->app, text, w->deleted ? LOOK_DELETED : LOOK_KEPT, err);

	if (ret == 0 && f.look.arg.ops->traits & STORE_HAS_HISTORY)
		ret = history_open(f.look.arg.path, &f.history, err);
	if (ret == 0) {
		f.digits = f.history ? history_id_digits(f.history) : 0;
		set_widths(&f);
		f.ix = find_index_open(&f.look.arg, f.history, err);
		ret = f.ix ? find_everywhere(&f, err) : -1;
	}
	*failed = f.failed;
	find_index_close(f.ix);
	free(f.mailbox);
	uidset_release(&f.kept);
	history_close(f.history);
	look_close(&f.look);
	return ret;
}

static int take_pattern(struct wishes *w, const char *pattern)
{
	struct err err = { 0 };

	if (scope_check_pattern(pattern, &err) < 0) {
		cmd_usage_error(&cmd_find, "--mailbox: %s", err.text);
		return -1;
	}
	w->only = xgrow(w->only, w->n_only, &w->cap_only, sizeof(*w->only));
	w->only[w->n_only++] = pattern;
	return 0;
}

/* 0, or -1 after telling the user. */
static int read_options(struct wishes *w, int argc, char **argv)
{
	struct err err = { 0 };
	const char *arg;
	int option;

	while ((option = cmd_next_option(w->app, &cmd_find, argc, argv, &arg)) != CMD_OPTIONS_END)
		switch (option) {
		case OPT_DELETED:
			w->deleted = true;
			break;
		case OPT_MAILBOX:
			if (take_pattern(w, arg) < 0)
				return -1;
			break;
		default:
			return -1;
		}
	if (argc - optind < 2) {
		cmd_usage_error(&cmd_find, "a STORE is needed, and what to look for");
		return -1;
	}
	if (search_add_operands(&w->search, argv + optind + 1, (size_t)(argc - optind - 1),
				clock_unix(), &err) == 0)
		return 0;
	cmd_usage_error(&cmd_find, "%s", err.text);
	return -1;
}

static int find_run(struct app *app, int argc, char **argv)
{
	struct wishes w = { .app = app, .search = { .texts = true } };
	struct err err = { 0 };
	bool failed = false;
	int ret = (int)EXIT_USAGE;

	if (read_options(&w, argc, argv) == 0) {
		ret = find(&w, argv[optind], &failed, &err);
		ret = ret < 0 ? (int)report_error(app, &err) : failed ? EXIT_INCOMPLETE : EXIT_DONE;
	}
	search_release(&w.search);
	free(w.only);
	return ret;
}

const struct cmd cmd_find = {
	.name = "find",
	.args = "STORE[@SNAPSHOT] CRITERION...",
	.summary = "Find messages of a store by sender, subject, date, size, words and more.",
	.details = "The first search reads every header, the first one with 'text' every message, and\n"
		   "remembers them in an index, which later ones add to; it may be removed at any time.",
	.more = search_show_find,
	.options = options,
	.run = find_run,
};
