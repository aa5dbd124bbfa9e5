#include <fts.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "backends/git/history.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/msgset/uidset.h"

#include "cmd/cmd.h"
#include "cmd/find_index.h"
#include "cmd/find_select.h"
#include "cmd/imap_cli.h"
#include "cmd/look.h"
#include "cmd/report.h"
#include "cmd/search.h"

typedef unsigned long long ull;

enum { OPT_TOP = 1 };
#define TOP 10

static const struct cmd_option options[] = {
	{ "top", 'n', "N", "How many mailboxes and senders to list (10).", OPT_TOP },
	{ NULL, 0, NULL, NULL, 0 },
};

/* Messages of one kind: of a mailbox, or from a sender. */
struct group {
	char *name;
	uint64_t messages, bytes;
};

struct groups {
	struct group *v;
	size_t n, cap;
	size_t merged; /* so many were there after the last merge() */
};

/* A month, as its last snapshot left it. */
struct month {
	char name[16];
	uint64_t snapshots, added, removed, messages, bytes;
};

struct stats {
	struct app *app;
	uint32_t top;
	struct look look;
	struct history *history; /* NULL: the store has none */
	struct find_index *ix;
	char *mailbox; /* in work */
	bool failed;
	struct groups mailboxes, senders;
	struct group all, distinct; /* messages, and contents */
	uint8_t *seen;              /* a bit for each content of the index */
	size_t n_seen;
	struct month *months; /* newest first */
	size_t n_months, cap_months;
	uint64_t snapshots, snapshot_bytes, disk;
};

/* --- groups --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->name, ((const struct group *)b)->name);
}

static int by_size(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return by_name(a, b);
}

/* One of each name. */
static void merge(struct groups *g)
{
	size_t n = 0;

	if (g->n > 0)
		qsort(g->v, g->n, sizeof(*g->v), by_name);
	for (size_t i = 0; i < g->n; i++)
		if (n > 0 && strcmp(g->v[n - 1].name, g->v[i].name) == 0) {
			g->v[n - 1].messages += g->v[i].messages;
			g->v[n - 1].bytes += g->v[i].bytes;
			free(g->v[i].name);
		} else {
			g->v[n++] = g->v[i];
		}
	g->n = g->merged = n;
}

/* `name` is taken over. What is held stays within twice what there is to hold. */
static void add(struct groups *g, char *name, uint64_t bytes)
{
	if (g->n >= 2 * g->merged + 1000)
		merge(g);
	g->v = xgrow(g->v, g->n, &g->cap, sizeof(*g->v));
	g->v[g->n++] = (struct group){ .name = name, .messages = 1, .bytes = bytes };
}

static void groups_release(struct groups *g)
{
	for (size_t i = 0; i < g->n; i++)
		free(g->v[i].name);
	free(g->v);
}

/* --- what is there --- */

/* "anna@example.org" of what decode_addresses() gave; the whole where it has no such thing. */
static char *sender_of(const char *from)
{
	const char *open = strchr(from, '<'), *comma = strchr(from, ','), *end;
	char *out;

	if (open && (end = strchr(open, '>')))
		out = bytes_dup(bytes_from(open + 1, (size_t)(end - open) - 1));
	else
		out = bytes_dup(bytes_from(from, comma ? (size_t)(comma - from) : strlen(from)));
	for (char *p = out; *p; p++)
		*p = (char)ascii_lower((uint8_t)*p);
	return out;
}

/* True at the first call for this content. */
static bool is_new(struct stats *s, uint32_t id)
{
	size_t at = id / 8;
	uint8_t bit = (uint8_t)(1u << id % 8);

	if (at >= s->n_seen) {
		size_t n = 2 * at + 1024;

		s->seen = xrealloc(s->seen, n);
		memset(s->seen + s->n_seen, 0, n - s->n_seen);
		s->n_seen = n;
	}
	if (s->seen[at] & bit)
		return false;
	s->seen[at] |= bit;
	return true;
}

static void take_message(struct stats *s, const struct find_message *m, struct group *mailbox)
{
	struct index_row row;
	struct err err;

	mailbox->messages++;
	mailbox->bytes += m->size;
	if (m->id == 0)
		return; /* it cannot be read, and was named */
	if (is_new(s, m->id)) {
		s->distinct.messages++;
		s->distinct.bytes += m->size;
	}
	if (find_index_row(s->ix, m->id, &row, &err) < 0)
		return;
	add(&s->senders, sender_of(row.from), m->size);
}

static void on_trouble(void *ctx, uint32_t uid, const struct err *why)
{
	struct stats *s = ctx;
	char *safe = escape_text(bytes_of(s->mailbox), 400);

	s->failed = true;
	report_line(s->app, NULL, "message %u of %s cannot be read: %s", uid, safe, why->text);
	free(safe);
}

/* A search without criteria: all of them. */
static int take_mailbox(struct stats *s, const struct mailbox_info *info, struct err *err)
{
	static const struct search everything;
	struct group sum = { .name = s->mailbox };
	struct find_messages found = { 0 };
	struct uidset uids = UIDSET_INIT;
	struct mailbox *mb;
	struct changes held;
	int ret = -1;

	changes_init(&held);
	if (store_check_stop(s->look.store, err) == 0 &&
	    mailbox_open(s->look.store, info, STORE_READ, &mb, err) == 0 &&
	    look_contents(mb, &held, err) == 0) {
		for (size_t i = 0; i < held.n; i++)
			uidset_add(&uids, held.v[i].uid);
		ret = held.n == 0 ? 0 :
				    find_select(&everything, s->ix, mb, &uids, &found, on_trouble, s,
						err);
	}
	if (ret == 0)
		ret = find_index_hold(s->ix, err);
	for (size_t i = 0; ret == 0 && i < found.n; i++)
		take_message(s, &found.v[i], &sum);
	find_index_let_go(s->ix);
	if (ret == 0) {
		add(&s->mailboxes, xstrdup(s->mailbox), sum.bytes);
		s->mailboxes.v[s->mailboxes.n - 1].messages = sum.messages;
		s->all.messages += sum.messages;
		s->all.bytes += sum.bytes;
	}
	find_messages_release(&found);
	uidset_release(&uids);
	changes_release(&held);
	return ret;
}

static int take_mailboxes(struct stats *s, struct err *err)
{
	for (size_t i = 0; i < s->look.list.n; i++) {
		char *safe;

		free(s->mailbox);
		s->mailbox = mailbox_name_text(&s->look.list.v[i].name);
		if (take_mailbox(s, &s->look.list.v[i], err) == 0)
			continue;
		if (err->kind != ERR_MAILBOX)
			return -1;
		s->failed = true;
		safe = escape_text(bytes_of(s->mailbox), 400);
		report_line(s->app, NULL, "%s cannot be read: %s", safe, err->text);
		free(safe);
	}
	return 0;
}

/* --- over time --- */

static int on_snapshot(void *ctx, const struct snapshot *snap, const struct snapshot_stats *st,
		       struct err *err)
{
	struct stats *s = ctx;
	time_t when = (time_t)snap->time;
	struct month *m;
	struct tm tm = { 0 };
	char name[16];

	if (*s->app->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	localtime_r(&when, &tm);
	if (strftime(name, sizeof(name), "%Y-%m", &tm) == 0)
		snprintf(name, sizeof(name), "?"); /* a year of more than ten digits */
	if (s->n_months == 0 || strcmp(s->months[s->n_months - 1].name, name) != 0) {
		s->months = xgrow(s->months, s->n_months, &s->cap_months, sizeof(*s->months));
		m = &s->months[s->n_months++];
		*m = (struct month){ .messages = st->messages, .bytes = st->bytes };
		memcpy(m->name, name, sizeof(name));
	}
	m = &s->months[s->n_months - 1];
	m->snapshots++;
	m->added += st->added;
	m->removed += st->removed;
	s->snapshots++;
	s->snapshot_bytes += st->bytes;
	return 0;
}

/* All files of the store together, as the file system counts them, but the index, which is no part of it. */
static uint64_t disk_usage(const char *path)
{
	char *paths[] = { xstrdup(path), NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	uint64_t sum = 0;
	FTSENT *e;

	while (walk && (e = fts_read(walk)))
		if ((e->fts_info == FTS_F && !find_index_is_file(e->fts_name)) ||
		    e->fts_info == FTS_D)
			sum += (uint64_t)e->fts_statp->st_blocks * 512;
	if (walk)
		fts_close(walk);
	free(paths[0]);
	return sum;
}

static int take_history(struct stats *s, struct err *err)
{
	if (history_each(s->history, SIZE_MAX, on_snapshot, s, err) < 0)
		return -1;
	if (!history_cut(s->history))
		return 0;
	s->failed = true;
	report_line(s->app, NULL, "the snapshots before %s cannot be read: %s",
		    s->n_months ? s->months[s->n_months - 1].name : "now",
		    history_cut(s->history)->text);
	return 0;
}

/* --- telling --- */

static void group_event(const char *kind, const struct group *g)
{
	json_t *event = imap_json_event(kind);

	json_object_set_new(event, kind, imap_json_text(bytes_of(g->name)));
	json_object_set_new(event, "messages", json_integer((json_int_t)g->messages));
	json_object_set_new(event, "bytes", json_integer((json_int_t)g->bytes));
	report_event(event);
}

static void print_groups(struct stats *s, const char *kind, const char *heading, struct groups *g)
{
	merge(g);
	if (g->n > 0)
		qsort(g->v, g->n, sizeof(*g->v), by_size);
	if (!s->app->json && g->n > 0)
		printf("\n%9s  %9s  %s\n", "MESSAGES", "SIZE", heading);
	for (size_t i = 0; i < g->n && i < s->top; i++) {
		struct buf size = BUF_INIT(64);
		char *safe;

		if (s->app->json) {
			group_event(kind, &g->v[i]);
			continue;
		}
		report_bytes(&size, g->v[i].bytes);
		safe = escape_text(bytes_of(*g->v[i].name ? g->v[i].name : "(nobody)"), 1000);
		printf("%9llu  %9s  %s\n", (ull)g->v[i].messages, buf_str(&size), safe);
		free(safe);
		buf_release(&size);
	}
}

static void month_event(const struct month *m)
{
	report_event(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "event", "month", "month",
			       m->name, "snapshots", (json_int_t)m->snapshots, "new",
			       (json_int_t)m->added, "removed", (json_int_t)m->removed, "messages",
			       (json_int_t)m->messages, "bytes", (json_int_t)m->bytes));
}

/* Oldest first. GROWTH is against the month before. */
static void print_months(const struct stats *s)
{
	uint64_t before = 0;

	if (s->n_months > 0 && !s->app->json)
		printf("\n%-7s  %9s  %9s  %9s  %9s  %9s  %10s\n", "MONTH", "SNAPSHOTS", "NEW",
		       "REMOVED", "MESSAGES", "SIZE", "GROWTH");
	for (size_t i = s->n_months; i-- > 0;) {
		const struct month *m = &s->months[i];
		struct buf size = BUF_INIT(64), growth = BUF_INIT(64);

		if (s->app->json) {
			month_event(m);
			continue;
		}
		report_bytes(&size, m->bytes);
		buf_add_byte(&growth, m->bytes < before ? '-' : '+');
		report_bytes(&growth, m->bytes < before ? before - m->bytes : m->bytes - before);
		printf("%-7s  %9llu  %9llu  %9llu  %9llu  %9s  %10s\n", m->name, (ull)m->snapshots,
		       (ull)m->added, (ull)m->removed, (ull)m->messages, buf_str(&size),
		       buf_str(&growth));
		before = m->bytes;
		buf_release(&size);
		buf_release(&growth);
	}
}

static double ratio(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 1;
}

static void total_event(const struct stats *s)
{
	json_t *event = json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "event", "total", "mailboxes",
		(json_int_t)s->look.list.n, "messages", (json_int_t)s->all.messages, "bytes",
		(json_int_t)s->all.bytes, "contents", (json_int_t)s->distinct.messages,
		"content_bytes", (json_int_t)s->distinct.bytes, "dedup_ratio",
		ratio(s->all.bytes, s->distinct.bytes), "disk_bytes", (json_int_t)s->disk);

	if (s->history)
		json_object_update_new(event, json_pack("{s:I, s:I}", "snapshots",
							(json_int_t)s->snapshots, "snapshot_bytes",
							(json_int_t)s->snapshot_bytes));
	report_event(event);
}

static void print_total(const struct stats *s)
{
	struct buf size = BUF_INIT(64), distinct = BUF_INIT(64), disk = BUF_INIT(64),
		   all = BUF_INIT(64);

	if (s->app->json) {
		total_event(s);
		return;
	}
	report_bytes(&size, s->all.bytes);
	report_bytes(&distinct, s->distinct.bytes);
	report_bytes(&disk, s->disk);
	report_bytes(&all, s->snapshot_bytes);
	printf("mailboxes  %zu\nmessages   %llu, %s\n", s->look.list.n, (ull)s->all.messages,
	       buf_str(&size));
	printf("different  %llu, %s: the same bytes are there %.2f times\n",
	       (ull)s->distinct.messages, buf_str(&distinct),
	       ratio(s->all.bytes, s->distinct.bytes));
	if (s->history)
		printf("snapshots  %llu, %s together\n", (ull)s->snapshots, buf_str(&all));
	printf("on disk    %s\n", buf_str(&disk));
	buf_release(&size);
	buf_release(&distinct);
	buf_release(&disk);
	buf_release(&all);
}

static int gather(struct stats *s, const char *text, struct err *err)
{
	if (look_open(&s->look, s->app, text, err) < 0)
		return -1;
	if (s->look.arg.snapshot)
		return err_set(err, ERR_CONFIG,
			       "it is about all snapshots: leave @ and what follows out");
	if (s->look.arg.ops->traits & STORE_HAS_HISTORY &&
	    (history_open(s->look.arg.path, &s->history, err) < 0 || take_history(s, err) < 0))
		return -1;
	s->disk = disk_usage(s->look.arg.path);
	s->ix = find_index_open(&s->look.arg, s->history, err);
	return s->ix ? take_mailboxes(s, err) : -1;
}

static int read_options(struct stats *s, int argc, char **argv)
{
	const char *arg;
	int option;

	while ((option = cmd_next_option(s->app, &cmd_stats, argc, argv, &arg)) != CMD_OPTIONS_END) {
		if (option != OPT_TOP)
			return -1;
		if (!bytes_to_u32(bytes_of(arg), &s->top) || s->top == 0) {
			cmd_usage_error(&cmd_stats, "--top: '%s' is not a number above 0", arg);
			return -1;
		}
	}
	if (argc - optind == 1)
		return 0;
	cmd_usage_error(&cmd_stats, "a STORE is needed, and nothing else");
	return -1;
}

static int stats_run(struct app *app, int argc, char **argv)
{
	struct stats s = { .app = app, .top = TOP };
	struct err err = { 0 };
	int ret;

	if (read_options(&s, argc, argv) < 0)
		return EXIT_USAGE;
	ret = gather(&s, argv[optind], &err);
	if (ret == 0 && !app->quiet) {
		print_total(&s);
		print_months(&s);
		print_groups(&s, "mailbox", "MAILBOX", &s.mailboxes);
		print_groups(&s, "sender", "SENDER", &s.senders);
	}
	find_index_close(s.ix);
	history_close(s.history);
	look_close(&s.look);
	groups_release(&s.mailboxes);
	groups_release(&s.senders);
	free(s.mailbox);
	free(s.seen);
	free(s.months);
	if (ret < 0)
		return (int)report_error(app, &err);
	return s.failed ? EXIT_INCOMPLETE : EXIT_DONE;
}

const struct cmd cmd_stats = {
	.name = "stats",
	.args = "STORE",
	.summary = "Show what a store holds: how it grew, duplicates, the biggest mailboxes and senders.",
	.details = "Senders are read from the index of 'find', which is made or added to first.",
	.options = options,
	.run = stats_run,
};
