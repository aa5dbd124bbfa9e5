#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/git/history_changes.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/mailbox_name.h"

#include "cmd/cmd.h"
#include "cmd/imap_cli.h"
#include "cmd/report.h"
#include "cmd/snapshot_arg.h"
#include "cmd/store_arg.h"

typedef unsigned long long ull;

enum { OPT_LIST = 1 };

static const struct cmd_option options[] = {
	{ "list", 'l', NULL, "Name every message that differs, too.", OPT_LIST },
	{ NULL, 0, NULL, NULL, 0 },
};

/* What differs in one mailbox. */
struct sum {
	char *mailbox;
	uint64_t added, removed, moved_in, moved_out, flags;
};

struct diff {
	struct app *app;
	bool list;
	struct sum *v;
	size_t n, cap;
	bool any;
};

/* Few mailboxes differ, and one comes many times in a row. */
static struct sum *sum_of(struct diff *d, const struct mailbox_name *mailbox)
{
	char *name = mailbox_name_text(mailbox);

	for (size_t i = d->n; i-- > 0;)
		if (strcmp(d->v[i].mailbox, name) == 0) {
			free(name);
			return &d->v[i];
		}
	d->v = xgrow(d->v, d->n, &d->cap, sizeof(*d->v));
	d->v[d->n] = (struct sum){ .mailbox = name };
	return &d->v[d->n++];
}

static const char *const words[] = {
	[CHANGE_ADDED] = "added",	     [CHANGE_REMOVED] = "removed",
	[CHANGE_MOVED] = "moved",	     [CHANGE_FLAGS] = "flags",
	[CHANGE_CREATED] = "mailbox_created", [CHANGE_DELETED] = "mailbox_deleted",
	[CHANGE_RENAMED] = "mailbox_renamed",
};

static bool is_of_mailbox(const struct change *c)
{
	return c->kind >= CHANGE_CREATED;
}

static json_t *flags_json(struct bytes text)
{
	struct flags flags = FLAGS_INIT;
	json_t *out;

	flags_add_list(&flags, text);
	out = imap_json_flags(&flags);
	flags_release(&flags);
	return out;
}

static void print_event(const struct change *c)
{
	json_t *event = imap_json_event(words[c->kind]);
	char *name = mailbox_name_text(c->mailbox), *to = c->to ? mailbox_name_text(c->to) : NULL;

	json_object_set_new(event, "mailbox", json_string(name));
	if (c->uid)
		json_object_set_new(event, "uid", json_integer(c->uid));
	if (to)
		json_object_set_new(event, "to", json_string(to));
	if (c->to_uid)
		json_object_set_new(event, "to_uid", json_integer(c->to_uid));
	if (c->kind == CHANGE_FLAGS) {
		json_object_set_new(event, "old_flags", flags_json(c->old_flags));
		json_object_set_new(event, "flags", flags_json(c->flags));
	}
	report_event(event);
	free(name);
	free(to);
}

/* The backslash of a flag is part of the word; the rest may come from anywhere. */
static void add_flags(struct buf *out, struct bytes flags)
{
	bool cr = false;

	buf_add_byte(out, '(');
	escape_add_lines(out, flags, &cr);
	escape_add_lines_end(out, &cr);
	buf_add_byte(out, ')');
}

static void print_line(const struct change *c)
{
	struct buf line = BUF_INIT(1 << 20);
	char *name = mailbox_name_text(c->mailbox), *to = c->to ? mailbox_name_text(c->to) : NULL;

	buf_addf(&line, "%-16s ", is_of_mailbox(c) ? words[c->kind] + 8 : words[c->kind]);
	if (is_of_mailbox(c))
		buf_add_str(&line, "mailbox ");
	escape_add(&line, bytes_of(name), 1000);
	if (c->uid)
		buf_addf(&line, " %u", c->uid);
	if (to) {
		buf_add_str(&line, " -> ");
		escape_add(&line, bytes_of(to), 1000);
	}
	if (c->to_uid)
		buf_addf(&line, " %u", c->to_uid);
	if (c->kind == CHANGE_FLAGS) {
		buf_add_byte(&line, ' ');
		add_flags(&line, c->old_flags);
		buf_add_str(&line, " -> ");
		add_flags(&line, c->flags);
	}
	puts(buf_str(&line));
	buf_release(&line);
	free(name);
	free(to);
}

static void count(struct diff *d, const struct change *c)
{
	switch (c->kind) {
	case CHANGE_ADDED:
		sum_of(d, c->mailbox)->added++;
		break;
	case CHANGE_REMOVED:
		sum_of(d, c->mailbox)->removed++;
		break;
	case CHANGE_MOVED:
		sum_of(d, c->mailbox)->moved_out++;
		sum_of(d, c->to)->moved_in++;
		break;
	case CHANGE_FLAGS:
		sum_of(d, c->mailbox)->flags++;
		break;
	default:
		break;
	}
}

static int on_change(void *ctx, const struct change *c, struct err *err)
{
	struct diff *d = ctx;

	if (*d->app->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	d->any = true;
	count(d, c);
	if (d->app->quiet || (!d->list && !is_of_mailbox(c)))
		return 0;
	if (d->app->json)
		print_event(c);
	else
		print_line(c);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sum *)a)->mailbox, ((const struct sum *)b)->mailbox);
}

static void print_sum(const struct diff *d, const struct sum *s)
{
	char *safe;

	if (d->app->json) {
		report_event(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "event", "mailbox",
				       "mailbox", s->mailbox, "added", (json_int_t)s->added,
				       "removed", (json_int_t)s->removed, "moved_in",
				       (json_int_t)s->moved_in, "moved_out",
				       (json_int_t)s->moved_out, "flags", (json_int_t)s->flags));
		return;
	}
	safe = escape_text(bytes_of(s->mailbox), 1000);
	printf("%8llu  %8llu  %8llu  %9llu  %8llu  %s\n", (ull)s->added, (ull)s->removed,
	       (ull)s->moved_in, (ull)s->moved_out, (ull)s->flags, safe);
	free(safe);
}

static void print_sums(struct diff *d)
{
	if (d->app->quiet)
		return;
	if (d->n > 0)
		qsort(d->v, d->n, sizeof(*d->v), by_name);
	if (!d->app->json && d->n > 0)
		printf("%8s  %8s  %8s  %9s  %8s  %s\n", "ADDED", "REMOVED", "MOVED IN", "MOVED OUT",
		       "FLAGS", "MAILBOX");
	for (size_t i = 0; i < d->n; i++)
		print_sum(d, &d->v[i]);
	if (!d->any && !d->app->json)
		puts("no difference");
}

static int compare(struct diff *d, const struct store_arg *arg, const char *from, const char *to,
		   struct err *err)
{
	struct history *h = NULL;
	size_t old, now;
	int ret = -1;

	if (snapshot_arg_open(arg, &h, err) == 0 &&
	    history_resolve(h, from, clock_unix(), &old, err) == 0 &&
	    history_resolve(h, to, clock_unix(), &now, err) == 0)
		ret = history_changes(h, old, now, on_change, d, err);
	history_close(h);
	if (ret == 0)
		print_sums(d);
	return ret;
}

static int diff_run(struct app *app, int argc, char **argv)
{
	struct diff d = { .app = app };
	struct store_arg arg = { 0 };
	struct err err = { 0 };
	const char *text;
	int option, ret;

	while ((option = cmd_next_option(app, &cmd_diff, argc, argv, &text)) != CMD_OPTIONS_END) {
		if (option != OPT_LIST)
			return EXIT_USAGE;
		d.list = true;
	}
	if (argc - optind < 2 || argc - optind > 3)
		return cmd_usage_error(&cmd_diff, "a STORE and one or two snapshots are needed");
	signal(SIGPIPE, SIG_DFL); /* nothing to put in order when nobody reads on */
	if (app_start(app) < 0)
		return EXIT_FAILED;
	ret = store_arg_find(&arg, app, argv[optind], &err);
	if (ret == 0 && arg.snapshot)
		ret = err_set(&err, ERR_CONFIG,
			      "the snapshots come after the store: leave @ and what follows out");
	if (ret == 0)
		ret = compare(&d, &arg, argv[optind + 1],
			      argc - optind == 3 ? argv[optind + 2] : "latest", &err);
	for (size_t i = 0; i < d.n; i++)
		free(d.v[i].mailbox);
	free(d.v);
	store_arg_release(&arg);
	return ret < 0 ? (int)report_error(app, &err) : EXIT_DONE;
}

const struct cmd cmd_diff = {
	.name = "diff",
	.args = "STORE SNAPSHOT [SNAPSHOT]",
	.summary = "Compare two snapshots of a git store: what came, went, moved and changed flags.",
	.details = "By mailbox; without the second snapshot with the newest one.",
	.options = options,
	.run = diff_run,
};
