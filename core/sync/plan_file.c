#include "core/sync/plan_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/mem.h"

#define FORMAT "mailcask plan"
#define VERSION 2 /* 1 knew nothing of mailboxes that go or are renamed */
#define FILE_MAX ((size_t)256 << 20)

static void mailbox_release(struct planned_mailbox *m)
{
	for (size_t i = 0; i < m->n_flags; i++) {
		flags_release(&m->flags[i].add);
		flags_release(&m->flags[i].remove);
		uidset_release(&m->flags[i].set);
	}
	free(m->flags);
	free(m->name);
	uidset_release(&m->fetch);
	uidset_release(&m->gone);
}

void plan_file_release(struct plan_file *f)
{
	for (size_t i = 0; i < f->n; i++)
		mailbox_release(&f->v[i]);
	free(f->v);
	for (size_t i = 0; i < f->n_renames; i++) {
		free(f->renames[i].from);
		free(f->renames[i].to);
	}
	free(f->renames);
	free(f->job);
	free(f->account);
	*f = (struct plan_file){ 0 };
}

struct planned_mailbox *plan_file_add(struct plan_file *f, const char *name)
{
	f->v = xgrow(f->v, f->n, &f->cap, sizeof(*f->v));
	f->v[f->n] = (struct planned_mailbox){ .name = xstrdup(name) };
	return &f->v[f->n++];
}

void plan_file_add_rename(struct plan_file *f, const char *from, const char *to)
{
	f->renames = xgrow(f->renames, f->n_renames, &f->cap_renames, sizeof(*f->renames));
	f->renames[f->n_renames++] =
		(struct planned_rename){ .from = xstrdup(from), .to = xstrdup(to) };
}

bool plan_file_renames(const struct plan_file *f, const char *from, const char *to)
{
	for (size_t i = 0; i < f->n_renames; i++)
		if (strcmp(f->renames[i].from, from) == 0 && strcmp(f->renames[i].to, to) == 0)
			return true;
	return false;
}

const struct planned_mailbox *plan_file_find(const struct plan_file *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, name) == 0)
			return &f->v[i];
	return NULL;
}

bool plan_file_removes(const struct plan_file *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!uidset_is_empty(&f->v[i].gone))
			return true;
	return false;
}

/* --- writing --- */

static json_t *text_json(struct buf *text)
{
	json_t *json = json_string(buf_str(text));

	buf_release(text);
	return json;
}

static json_t *set_json(const struct uidset *set)
{
	struct buf text = BUF_INIT(FILE_MAX);

	uidset_format(set, &text);
	return text_json(&text);
}

static json_t *flags_json(const struct flags *flags)
{
	struct buf text = BUF_INIT(FILE_MAX);

	flags_format(flags, &text);
	return text_json(&text);
}

static json_t *mailbox_json(const struct planned_mailbox *m)
{
	json_t *json = json_pack("{s:s, s:I}", "mailbox", m->name, "uidvalidity",
				 (json_int_t)m->uidvalidity);
	json_t *changes = json_array();

	if (!uidset_is_empty(&m->fetch)) {
		json_object_set_new(json, "fetch", set_json(&m->fetch));
		json_object_set_new(json, "messages",
				    json_integer((json_int_t)uidset_count(&m->fetch)));
		json_object_set_new(json, "bytes", json_integer((json_int_t)m->bytes));
	}
	for (size_t i = 0; i < m->n_flags; i++)
		json_array_append_new(changes,
				      json_pack("{s:o, s:o, s:o}", "uids",
						set_json(&m->flags[i].set), "add",
						flags_json(&m->flags[i].add), "remove",
						flags_json(&m->flags[i].remove)));
	if (m->n_flags)
		json_object_set(json, "flags", changes);
	json_decref(changes);
	if (!uidset_is_empty(&m->gone))
		json_object_set_new(json, "gone", set_json(&m->gone));
	if (m->removed)
		json_object_set_new(json, "removed", json_true());
	return json;
}

static json_t *renames_json(const struct plan_file *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n_renames; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "from", f->renames[i].from, "to",
						      f->renames[i].to));
	return list;
}

int plan_file_write(const struct plan_file *f, const char *path, struct err *err)
{
	json_t *list = json_array();
	json_t *root;
	char *text;
	int ret;

	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(list, mailbox_json(&f->v[i]));
	root = json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:o, s:o}", "format", FORMAT, "version",
			 VERSION, "job", f->job, "account", f->account, "store", f->store, "made",
			 (json_int_t)f->made, "renames", renames_json(f), "mailboxes", list);
	text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
	if (text)
		ret = file_replace(path, bytes_of(text), 0600, err);
	else
		ret = err_set(err, ERR_FATAL, "%s: a name in the plan is no valid text", path);
	free(text);
	json_decref(root);
	return ret;
}

/* --- reading: everything in it may be wrong --- */

static int wrong(const char *path, const char *what, struct err *err)
{
	return err_set(err, ERR_CONFIG,
		       "%s is no plan that can be carried out (%s); make a new one with "
		       "mailcask plan JOB -o FILE",
		       path, what);
}

/* A member that is a set; an absent one is empty. */
static bool take_set(const json_t *object, const char *key, struct uidset *out)
{
	const json_t *json = json_object_get(object, key);
	struct err ignored;

	if (!json)
		return true;
	return json_is_string(json) &&
	       uidset_parse(out, bytes_from(json_string_value(json), json_string_length(json)),
			    UIDSET_STRICT, NULL, &ignored) == 0;
}

static bool take_flags(const json_t *object, const char *key, struct flags *out)
{
	const json_t *json = json_object_get(object, key);

	return json_is_string(json) &&
	       flags_add_list(out, bytes_from(json_string_value(json), json_string_length(json)));
}

static bool take_change(const json_t *json, struct planned_mailbox *m)
{
	struct planned_flags *f;

	m->flags = xgrow(m->flags, m->n_flags, &m->cap_flags, sizeof(*m->flags));
	f = &m->flags[m->n_flags++];
	*f = (struct planned_flags){ 0 };
	flags_init(&f->add);
	flags_init(&f->remove);
	return take_set(json, "uids", &f->set) && !uidset_is_empty(&f->set) &&
	       take_flags(json, "add", &f->add) && take_flags(json, "remove", &f->remove);
}

static const char *take_mailbox(const json_t *json, struct plan_file *out)
{
	const char *name = json_string_value(json_object_get(json, "mailbox"));
	const json_t *changes = json_object_get(json, "flags");
	json_int_t uidvalidity = json_integer_value(json_object_get(json, "uidvalidity"));
	struct planned_mailbox *m;

	if (!name)
		return "a mailbox without a name";
	if (plan_file_find(out, name))
		return "a mailbox that stands in it twice";
	if (uidvalidity < 0 || uidvalidity > UINT32_MAX)
		return "a UIDVALIDITY that cannot be";
	m = plan_file_add(out, name);
	m->uidvalidity = (uint32_t)uidvalidity;
	m->removed = json_is_true(json_object_get(json, "removed"));
	m->bytes = (uint64_t)json_integer_value(json_object_get(json, "bytes"));
	if (!take_set(json, "fetch", &m->fetch) || !take_set(json, "gone", &m->gone))
		return "a set of messages that cannot be read";
	if (changes && !json_is_array(changes))
		return "flags that are no list";
	for (size_t i = 0; i < json_array_size(changes); i++)
		if (!take_change(json_array_get(changes, i), m))
			return "a change of flags that cannot be read";
	return NULL;
}

static const char *take_rename(const json_t *json, struct plan_file *out)
{
	const char *from = json_string_value(json_object_get(json, "from"));
	const char *to = json_string_value(json_object_get(json, "to"));

	if (!from || !to)
		return "a rename without both names";
	plan_file_add_rename(out, from, to);
	return NULL;
}

static int take_root(const json_t *root, const char *path, struct plan_file *out, struct err *err)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	const char *job = json_string_value(json_object_get(root, "job"));
	const char *account = json_string_value(json_object_get(root, "account"));
	const char *store = json_string_value(json_object_get(root, "store"));
	const json_t *list = json_object_get(root, "mailboxes");
	const json_t *renames = json_object_get(root, "renames");
	json_int_t version = json_integer_value(json_object_get(root, "version"));

	if (!format || strcmp(format, FORMAT) != 0)
		return wrong(path, "it does not say that it is one", err);
	if (version < 1 || version > VERSION)
		return wrong(path, "it is of another version", err);
	if (!job || !account || !store || strlen(store) >= sizeof(out->store) ||
	    !json_is_array(list) || (renames && !json_is_array(renames)))
		return wrong(path, "it is not whole", err);
	out->job = xstrdup(job);
	out->account = xstrdup(account);
	strcpy(out->store, store);
	out->made = json_integer_value(json_object_get(root, "made"));
	for (size_t i = 0; i < json_array_size(renames); i++) {
		const char *trouble = take_rename(json_array_get(renames, i), out);

		if (trouble)
			return wrong(path, trouble, err);
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *trouble = take_mailbox(json_array_get(list, i), out);

		if (trouble)
			return wrong(path, trouble, err);
	}
	return 0;
}

int plan_file_read(const char *path, struct plan_file *out, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX);
	json_error_t why;
	json_t *root = NULL;
	int ret = -1;

	*out = (struct plan_file){ 0 };
	if (file_read(path, &text, err) < 0) {
		if (err->sys == ENOENT || err->sys == ENOTDIR)
			err->kind = ERR_MISSING;
		goto out;
	}
	root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
	ret = root ? take_root(root, path, out, err) : wrong(path, why.text, err);
	if (ret < 0)
		plan_file_release(out);
out:
	json_decref(root);
	buf_release(&text);
	return ret;
}
