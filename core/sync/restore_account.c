#include "core/sync/restore_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/sync/naming.h"
#include "core/sync/record.h"

/*
 * An account as target: its ledger, what it calls mailboxes, and what it holds. The ledger knows only what was put
 * there by us, so the account is opened once more, as one that is read, and asked.
 */

int restore_check_account(struct restore *r, struct err *err)
{
	struct store_config *cfg = &r->target_config;
	char *name = xasprintf("restore-%s", cfg->account);
	struct store_identity id = { 0 };
	int ret = 0;

	r->index = state_path(r->set->state_dir, name, ".db");
	free(name);
	r->look_config = *cfg;
	cfg->index = r->index;
	if (r->set->target->identify)
		ret = r->set->target->identify(cfg, &id, err);
	cfg->account = RESTORE_ACCOUNT;
	if (ret == 0 && id.presence == STORE_OURS && id.account && strcmp(id.account, RESTORE_ACCOUNT) != 0)
		ret = err_set(err, ERR_HELD,
			      "%s remembers what was put into the account by a job, not by restoring; move it "
			      "away",
			      r->index);
	store_identity_release(&id);
	return ret;
}

/* --- names --- */

/*
 * A store does not say below what its server put everything. Where all mailboxes lie below INBOX, it was
 * that; unless the target does the same as a matter of taste.
 */
static void find_prefix(struct restore *r)
{
	const char *inbox = "INBOX";
	struct mailbox_name name = MAILBOX_NAME_INIT;
	bool any = false, all = true;
	struct err err;

	if (r->from.prefix.count > 0 || mailbox_name_from_components(&name, &inbox, 1, &err) < 0)
		return;
	for (size_t i = 0; i < r->from.n; i++) {
		const struct mailbox_name *m = &r->from.v[i].name;

		if (m->count == 1 && mailbox_name_is_inbox(m))
			continue;
		any = true;
		all &= mailbox_name_is_below(m, &name);
	}
	for (size_t i = 0; i < r->to.n; i++)
		all &= r->to.v[i].name.count == 1 || !mailbox_name_is_below(&r->to.v[i].name, &name);
	if (any && all)
		mailbox_name_copy(&r->from.prefix, &name);
	mailbox_name_release(&name);
}

static int put_below(const struct mailbox_name *top, const struct mailbox_name *name,
		     struct mailbox_name *out, struct err *err)
{
	const char **v = xcalloc(top->count + name->count, sizeof(*v));
	int ret;

	for (size_t i = 0; i < top->count; i++)
		v[i] = top->components[i];
	for (size_t i = 0; i < name->count; i++)
		v[top->count + i] = name->components[i];
	ret = mailbox_name_from_components(out, v, top->count + name->count, err);
	free(v);
	return ret;
}

static void choose_names(struct restore *r)
{
	static const struct name_map no_rules;
	bool *selected = xcalloc(r->from.n + 1, sizeof(*selected));
	struct naming names = { 0 };

	find_prefix(r);
	for (size_t i = 0; i < r->n; i++)
		selected[r->lanes[i].from - r->from.v] = true;
	naming_choose(&names, &no_rules, &r->from, selected, &r->to);
	for (size_t i = 0; i < r->n; i++) {
		const struct mailbox_name *own = &r->lanes[i].from->name;
		const struct mailbox_name *as = naming_find(&names, own);

		mailbox_name_copy(&r->lanes[i].as, as ? as : own);
	}
	naming_release(&names);
	free(selected);
}

int restore_name_lanes(struct restore *r, struct err *err)
{
	const struct mailbox_name *into = r->set->into;

	if (!into && restore_is_to_account(r))
		choose_names(r);
	for (size_t i = 0; i < r->n; i++) {
		struct restore_lane *lane = &r->lanes[i];

		if (into && put_below(into, &lane->from->name, &lane->as, err) < 0)
			return -1;
		if (!into && !restore_is_to_account(r))
			mailbox_name_copy(&lane->as, &lane->from->name);
		lane->to = mailbox_list_find(&r->to, &lane->as);
		if (!mailbox_name_equal(&lane->as, &lane->from->name))
			restore_line(lane)->target = mailbox_name_text(&lane->as);
	}
	return 0;
}

/* --- what is there --- */

/* A mailbox as the account lists it for who reads: below the prefix, or else by its own name. */
static const struct mailbox_info *at_server(const struct restore *r, const struct mailbox_name *as)
{
	const struct mailbox_list *list = &r->at_server;
	struct mailbox_name whole = MAILBOX_NAME_INIT;
	const struct mailbox_info *found = NULL;
	struct err err;

	if (list->prefix.count > 0 && !mailbox_name_is_inbox(as) &&
	    put_below(&list->prefix, as, &whole, &err) == 0)
		found = mailbox_list_find(list, &whole);
	mailbox_name_release(&whole);
	return found ? found : mailbox_list_find(list, as);
}

static bool is_archive_of_it(const struct restore *r)
{
	struct store_identity id = { 0 };
	struct err err;
	bool same = r->set->source->identify &&
		    r->set->source->identify(&r->source_config, &id, &err) == 0 &&
		    id.presence == STORE_OURS && id.account &&
		    identity_same_account(r->look_config.account, id.account, &r->at_server, &r->from);

	store_identity_release(&id);
	return same;
}

/*
 * UIDs are those of then if the archive is of this account (see identity_same_account()), the mailbox has its name
 * and its UIDVALIDITY.
 */
static void take_answer(struct restore_lane *lane)
{
	const struct token *then = &lane->from->token;
	const struct changes *there = &lane->there;

	/* One that is gone since it was listed is made again. */
	if (there->err.kind != ERR_NONE && !there->absent)
		restore_skip(lane, there->err.text);
	else if (!there->complete && !there->absent)
		restore_skip(lane, "the server did not tell all that it holds");
	lane->same_uids &= then->known && then->uidvalidity != 0 &&
			   then->uidvalidity == there->token.uidvalidity;
}

/* Ask for all lanes in one call, so that the store can overlap round trips. */
static int ask(struct restore *r, struct err *err)
{
	struct changes_request *req = xcalloc(r->n + 1, sizeof(*req));
	struct restore_lane **lane = xcalloc(r->n + 1, sizeof(*lane));
	bool same = is_archive_of_it(r);
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < r->n && ret == 0; i++) {
		struct restore_lane *one = &r->lanes[i];
		const struct mailbox_info *info = at_server(r, &one->as);
		struct mailbox *mb;

		if (!one->skipped && !info && one->target) {
			restore_skip(one, "the server left it out of one of two lists");
			continue;
		}
		if (one->skipped || !info || one->have.n == 0 || restore_leaves_out(one) || (info->attributes & MAILBOX_NOSELECT))
			continue;
		ret = mailbox_open(r->look, info, STORE_READ, &mb, err);
		if (ret < 0 && err->kind == ERR_MAILBOX) {
			restore_skip(one, err->text);
			ret = 0;
			continue;
		}
		one->same_uids = same && mailbox_name_equal(&one->from->name, &info->name);
		lane[n] = one;
		req[n++] = (struct changes_request){ .mailbox = mb, .sizes = true, .out = &one->there };
	}
	if (ret == 0)
		ret = store_changes(r->look, req, n, err);
	for (size_t i = 0; i < n && ret == 0; i++)
		take_answer(lane[i]);
	free(lane);
	free(req);
	return ret;
}

int restore_target_failed(const struct restore *r, struct err *err)
{
	return restore_is_to_account(r) && err->kind != ERR_STOPPED ?
	       err_prefix(err, "%s", r->target_config.name) : -1;
}

int restore_look(struct restore *r, struct err *err)
{
	int ret;

	restore_tell(r, JOB_COMPARE);
	if (store_open(r->set->target, &r->look, &r->look_config, STORE_READ, err) < 0 ||
	    store_list(r->look, NULL, &r->at_server, err) < 0)
		return restore_target_failed(r, err);
	ret = ask(r, err);
	/* Its connections are of more use to what follows. */
	store_close(r->look);
	r->look = NULL;
	return ret;
}

/* --- what has to be looked into --- */

static int compare_sizes(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool may_be_wanted(const uint32_t *sizes, size_t n, uint32_t size)
{
	bool told = size != 0 && size != UINT32_MAX;

	/* One of a size that is not told may be anything. */
	return !told || sizes[0] == 0 || sizes[n - 1] == UINT32_MAX ||
	       bsearch(&size, sizes, n, sizeof(*sizes), compare_sizes);
}

/* The sizes that messages had when they were put there: some servers keep them in other bytes. */
static int sizes_of_then(struct restore_lane *lane, struct changes *out, struct err *err)
{
	struct changes_request req = { .mailbox = lane->target, .sizes = true, .out = out };

	changes_init(out);
	if (!lane->target || store_changes(lane->run->target, &req, 1, err) == 0)
		return 0;
	changes_release(out);
	return -1;
}

int restore_candidates(struct restore_lane *lane, uint32_t *sizes, size_t n, const struct uidset *but,
		       struct uidset *out, struct err *err)
{
	struct uidset_builder b;
	struct changes then;

	if (n == 0)
		return 0;
	if (sizes_of_then(lane, &then, err) < 0)
		return -1;
	qsort(sizes, n, sizeof(*sizes), compare_sizes);
	uidset_builder_init(&b);
	for (size_t i = 0, k = 0; i < lane->there.n; i++) {
		const struct entry *e = &lane->there.v[i];
		bool wanted = may_be_wanted(sizes, n, e->size);

		while (k < then.n && then.v[k].uid < e->uid)
			k++;
		if (k < then.n && then.v[k].uid == e->uid)
			wanted |= may_be_wanted(sizes, n, then.v[k].size);
		if (wanted && !uidset_has(but, e->uid))
			uidset_builder_add(&b, e->uid, e->uid);
	}
	uidset_builder_finish(&b, out);
	uidset_builder_release(&b);
	changes_release(&then);
	return 0;
}
