#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/sync/job_internal.h"

/*
 * The names of a job with a `map`, or with an account as target. Everywhere in core/sync a mailbox has the name it has at the target,
 * from which mailbox_name_source() finds that of the source; the source itself is only ever asked by its own.
 */

/* What the target calls the source's mailbox `source`. */
static void apply_names(const struct job *job, const struct mailbox_name *source, struct mailbox_name *out)
{
	const struct mailbox_name *as = naming_find(&job->names, source);

	if (as && !name_map_fits(&job->set->map, source))
		mailbox_name_map(out, source, as);
	else
		name_map_apply(&job->set->map, source, out);
}

bool job_leads_to(const struct job *job, const struct mailbox_name *name)
{
	struct mailbox_name source = MAILBOX_NAME_INIT, as = MAILBOX_NAME_INIT;
	bool same;

	if (job->set->map.n == 0 && job->names.n == 0 && !name->mapped)
		return true;
	mailbox_name_source(&source, name);
	apply_names(job, &source, &as);
	same = mailbox_name_equal(&as, name);
	mailbox_name_release(&source);
	mailbox_name_release(&as);
	return same;
}

int job_ask_source(struct job *job, const struct mailbox_name *name, bool *exists, struct err *err)
{
	struct mailbox_name source = MAILBOX_NAME_INIT;
	int ret;

	mailbox_name_source(&source, name);
	ret = store_exists(job->source, &source, exists, err);
	mailbox_name_release(&source);
	return ret;
}

int job_open_source(struct job *job, const struct mailbox_info *info, struct mailbox **out,
		    struct err *err)
{
	struct mailbox_info own = *info;
	int ret;

	mailbox_name_init(&own.name);
	mailbox_name_source(&own.name, &info->name);
	ret = mailbox_open(job->source, &own, STORE_READ, out, err);
	mailbox_name_release(&own.name);
	return ret;
}

char *job_scope_text(const struct job_settings *set)
{
	struct buf b = BUF_INIT(1 << 20);

	for (size_t i = 0; i < set->n_mailboxes; i++)
		buf_addf(&b, "%s\n", set->mailboxes[i]);
	for (size_t i = 0; i < set->map.n; i++)
		buf_addf(&b, "map %s\n", set->map.v[i].text);
	return buf_take(&b);
}

static int meet(const struct job *job, const struct mailbox_name *a, const struct mailbox_name *b,
		struct err *err)
{
	struct mailbox_name x = MAILBOX_NAME_INIT, y = MAILBOX_NAME_INIT;
	char *one, *other, *as = mailbox_name_text(a);

	mailbox_name_source(&x, a);
	mailbox_name_source(&y, b);
	one = mailbox_name_text(&x);
	other = mailbox_name_text(&y);
	err_set(err, ERR_CONFIG,
		job->set->map.n ? "'map' gives %s and %s the same name, %s; give one of them another, or "
				  "leave it out under 'mailboxes'"
				: "%s and %s would have the same name at the target, %s; give one of them "
				  "another under 'map', or leave it out under 'mailboxes'",
		one, other, as);
	free(one);
	free(other);
	free(as);
	mailbox_name_release(&x);
	mailbox_name_release(&y);
	return -1;
}

static int compare_names(const void *a, const void *b)
{
	const struct mailbox_info *x = a, *y = b;

	return mailbox_name_compare(&x->name, &y->name);
}

static bool is_backed_up(const struct job *job, const struct mailbox_info *info)
{
	return !(info->attributes & MAILBOX_NOSELECT) && job_selects(job, info);
}

/*
 * Of those under one name one may be what the job is about; the others are names only, or left out by
 * `mailboxes`, and are dropped: they would pass for it.
 */
static int drop_shadowed(const struct job *job, struct mailbox_list *list, struct err *err)
{
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct mailbox_info *v = list->v, *last = n ? &v[n - 1] : NULL;

		if (!last || compare_names(last, &v[i]) != 0) {
			if (n++ != i)
				v[n - 1] = v[i];
			continue;
		}
		if (is_backed_up(job, &v[i])) {
			struct mailbox_info other = *last;

			if (is_backed_up(job, last) && ret == 0)
				ret = meet(job, &last->name, &v[i].name, err);
			*last = v[i];
			v[i] = other;
		}
		mailbox_name_release(&v[i].name);
	}
	list->n = n;
	return ret;
}

void job_choose_names(struct job *job)
{
	bool *selected = xcalloc(job->from.n, sizeof(*selected));

	for (size_t i = 0; i < job->from.n; i++)
		selected[i] = job_matches(job->set->mailboxes, job->set->n_mailboxes, &job->from.v[i]);
	naming_choose(&job->names, &job->set->map, &job->from, selected, &job->to);
	free(selected);
}

int job_apply_names(struct job *job, struct mailbox_list *list, struct err *err)
{
	struct mailbox_name as = MAILBOX_NAME_INIT;

	if (job->set->map.n == 0 && job->names.n == 0)
		return 0;
	for (size_t i = 0; i < list->n; i++) {
		struct mailbox_info *info = &list->v[i];

		if (!job_matches(job->set->mailboxes, job->set->n_mailboxes, info))
			continue;
		apply_names(job, &info->name, &as);
		mailbox_name_copy(&info->name, &as);
	}
	mailbox_name_release(&as);
	qsort(list->v, list->n, sizeof(*list->v), compare_names);
	return drop_shadowed(job, list, err);
}

int job_list_source(struct job *job, const char *hint, struct mailbox_list *out, struct err *err)
{
	if (store_list(job->source, hint, out, err) < 0)
		return -1;
	return job_apply_names(job, out, err);
}
