/*
 * A plan from a stranger: it is refused with a reason, or what was read and written reads the same and is
 * written with the same bytes ever after. Carried out, it never does more than would be done without it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/sync/plan_file.h"

#define TEXT_MAX (1 << 26)

enum { UIDVALIDITY = 7, STORED = 10, AT_SOURCE = 12, GONE = 3, OWN = 100 };

static char dir[] = "/tmp/fuzz-plan.XXXXXX";
static char path[64], path_again[64];

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void remove_all(void)
{
	unlink(path);
	unlink(path_again);
	rmdir(dir);
}

static void write_file(const uint8_t *data, size_t size)
{
	FILE *f;

	if (!path[0]) {
		must(mkdtemp(dir) != NULL);
		snprintf(path, sizeof(path), "%s/plan", dir);
		snprintf(path_again, sizeof(path_again), "%s/again", dir);
		atexit(remove_all);
	}
	f = fopen(path, "we");
	must(f != NULL);
	must(fwrite(data, 1, size, f) == size);
	must(fclose(f) == 0);
}

/* --- written and read again --- */

static void check_same_mailbox(const struct planned_mailbox *a, const struct planned_mailbox *b)
{
	must(strcmp(a->name, b->name) == 0 && a->uidvalidity == b->uidvalidity);
	must(a->removed == b->removed && uidset_equal(&a->fetch, &b->fetch));
	must(uidset_equal(&a->gone, &b->gone) && a->n_flags == b->n_flags);
	for (size_t i = 0; i < a->n_flags; i++)
		must(uidset_equal(&a->flags[i].set, &b->flags[i].set) &&
		     flags_equal(&a->flags[i].add, &b->flags[i].add) &&
		     flags_equal(&a->flags[i].remove, &b->flags[i].remove));
}

static void check_written(const struct plan_file *f)
{
	struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);
	struct plan_file again;
	struct err err;

	must(plan_file_write(f, path_again, &err) == 0);
	must(file_read(path_again, &first, &err) == 0);
	must(plan_file_read(path_again, &again, &err) == 0);
	must(strcmp(f->job, again.job) == 0 && strcmp(f->account, again.account) == 0);
	must(strcmp(f->store, again.store) == 0 && f->made == again.made && f->n == again.n);
	must(f->n_renames == again.n_renames);
	for (size_t i = 0; i < f->n_renames; i++) {
		must(strcmp(f->renames[i].from, again.renames[i].from) == 0);
		must(strcmp(f->renames[i].to, again.renames[i].to) == 0);
	}
	for (size_t i = 0; i < f->n; i++) {
		check_same_mailbox(&f->v[i], &again.v[i]);
		must(plan_file_find(f, f->v[i].name) == &f->v[i]);
	}
	must(plan_file_removes(f) == plan_file_removes(&again));
	must(plan_file_write(&again, path_again, &err) == 0);
	must(file_read(path_again, &second, &err) == 0);
	must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	plan_file_release(&again);
	buf_release(&first);
	buf_release(&second);
}

/* --- carried out --- */

static void add(struct changes *c, uint32_t uid, uint32_t source_uid, const char *flags)
{
	struct flags f = FLAGS_INIT;
	struct entry *e = changes_add(c, uid);

	must(flags_add_list(&f, bytes_of(flags)));
	e->source_uid = source_uid;
	e->flags = e->base_flags = flag_table_intern(c->flags, &f);
	flags_release(&f);
}

/* 3 is gone, 11 and 12 came, 5 and 6 got a flag, and 8 lost one. */
static void compare(struct changes *source, struct changes *target, struct base *base)
{
	changes_init(source);
	changes_init(target);
	base_init(base);
	source->complete = target->complete = true;
	source->token = base->token = (struct token){ .known = true, .uidvalidity = UIDVALIDITY };
	uidset_add_range(&base->known, 1, STORED);
	for (uint32_t uid = 1; uid <= AT_SOURCE; uid++) {
		if (uid != GONE)
			add(source, uid, 0, uid == 5 || uid == 6 ? "\\Flagged" : uid == 8 ? "" : "\\Seen");
		if (uid <= STORED)
			add(target, uid + OWN, uid, "\\Seen");
	}
}

static bool plan_is_less(const struct plan *less, const struct plan *more)
{
	bool yes = uidset_is_subset(&less->fetch, &more->fetch) &&
		   uidset_is_subset(&less->gone, &more->gone) &&
		   uidset_is_subset(&less->gone_source, &more->gone_source) &&
		   less->flags_changed <= more->flags_changed && less->n_flags <= more->n_flags;

	for (size_t i = 0; i < less->n_flags; i++) {
		bool found = false;

		for (size_t k = 0; k < more->n_flags; k++)
			found |= uidset_is_subset(&less->flags[i].set, &more->flags[k].set) &&
				 flags_equal(&less->flags[i].delta.add, &more->flags[k].delta.add) &&
				 flags_equal(&less->flags[i].delta.remove,
					     &more->flags[k].delta.remove);
		yes &= found;
	}
	return yes;
}

static void check_carried_out(const struct planned_mailbox *wanted, bool all_new)
{
	struct changes source, target;
	struct plan now, restricted;
	struct base base;
	bool left_out;
	struct err err;

	compare(&source, &target, &base);
	const struct plan_input in = { .source = &source, .base = &base, .target = &target };

	plan_init(&now);
	plan_init(&restricted);
	plan_mailbox(&in, &now);
	plan_mailbox(&in, &restricted);
	must(!uidset_is_empty(&now.gone) && now.flags_changed == 3);
	if (plan_restrict(&restricted, &target, UIDVALIDITY, wanted, all_new, &left_out, &err) == 0) {
		must(wanted->uidvalidity == UIDVALIDITY);
		must(plan_is_less(&restricted, &now));
		must(uidset_is_subset(&restricted.gone_source, &wanted->gone));
		must(all_new || uidset_is_subset(&restricted.fetch, &wanted->fetch));
		must(left_out == !plan_is_less(&now, &restricted));
	} else {
		must(err.kind == ERR_MAILBOX && err.text[0]);
	}
	plan_release(&now);
	plan_release(&restricted);
	base_release(&base);
	changes_release(&source);
	changes_release(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan_file f;
	struct err err;

	write_file(data, size);
	if (plan_file_read(path, &f, &err) < 0) {
		must(err.kind == ERR_CONFIG && strstr(err.text, path) == err.text);
		return 0;
	}
	check_written(&f);
	for (size_t i = 0; i < f.n; i++) {
		check_carried_out(&f.v[i], false);
		check_carried_out(&f.v[i], true);
	}
	plan_file_release(&f);
	return 0;
}
