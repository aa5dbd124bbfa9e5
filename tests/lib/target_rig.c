#include "tests/lib/target_rig.h"

#include <stdlib.h>

#include "backends/imap/imap.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

static void note(void *ctx, const struct mailbox_name *mailbox, const char *text)
{
	struct target_rig *rig = ctx;
	char *name = mailbox ? mailbox_name_text(mailbox) : xstrdup("");

	buf_addf(&rig->notes, "%s: %s\n", name, text);
	free(name);
}

void target_rig_init(struct target_rig *rig, int port, const char *user)
{
	*rig = (struct target_rig){ .notes = BUF_INIT(1 << 20) };
	probe_init(&rig->probe, port, user);
	rig->index = path_join(tmp_dir_in_memory(), "ledger/job.db"); /* many syncs */
	rig->probe.run.note = note;
	rig->probe.run.note_ctx = rig;
	rig->probe.cfg.index = rig->index;
	rig->probe.cfg.account = "source@test";
	rig->probe.cfg.create = true;
}

static void forget(struct target_rig *rig)
{
	for (size_t i = 0; i < rig->n; i++)
		free(rig->outcome[i].why);
	rig->n = 0;
	buf_clear(&rig->notes);
}

void target_rig_release(struct target_rig *rig)
{
	target_rig_close(rig);
	forget(rig);
	free(rig->outcome);
	buf_release(&rig->notes);
	free(rig->index);
	free(rig->probe.port);
}

int target_rig_try_open(struct target_rig *rig)
{
	struct mailbox_list list = { 0 };
	int ret;

	forget(rig);
	if (store_open(&imap_store, &rig->probe.store, &rig->probe.cfg, STORE_WRITE, &rig->err) < 0)
		return -1;
	ret = store_list(rig->probe.store, NULL, &list, &rig->err);
	mailbox_list_release(&list);
	return ret;
}

void target_rig_open(struct target_rig *rig)
{
	if (target_rig_try_open(rig) < 0)
		test_die("open: %s", rig->err.text);
}

void target_rig_close(struct target_rig *rig)
{
	store_close(rig->probe.store);
	rig->probe.store = NULL;
}

struct mailbox *target_rig_mailbox(struct target_rig *rig, const char *name)
{
	struct mailbox_info info = { 0 };
	struct mailbox *mb = NULL;

	if (mailbox_name_from_display(&info.name, bytes_of(name), &rig->err) == 0 &&
	    store_create(rig->probe.store, &info.name, MAILBOX_SUBSCRIBED, &rig->err) == 0 &&
	    mailbox_open(rig->probe.store, &info, STORE_WRITE, &mb, &rig->err) < 0)
		mb = NULL;
	mailbox_name_release(&info.name);
	return mb;
}

static void report(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		   const struct err *why)
{
	struct target_rig *rig = ctx;

	(void)tag;
	rig->outcome = xgrow(rig->outcome, rig->n, &rig->cap, sizeof(*rig->outcome));
	rig->outcome[rig->n++] = (struct target_outcome){
		.uid = uid, .what = what, .new_uid = new_uid, .why = why ? xstrdup(why->text) : NULL };
}

int target_rig_append(struct target_rig *rig, struct mailbox *mb, const struct target_message *m)
{
	struct message_sink sink;
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	struct message msg = { .uid = m->uid, .flags = &flags, .date = &date, .size = m->body.n };
	void *handle;
	int ret;

	flags_add_list(&flags, bytes_of(m->flags ? m->flags : ""));
	maildate_parse(&date, bytes_of(m->date ? m->date : " 1-Feb-2020 03:04:05 +0000"));
	ret = mailbox_append(mb, report, rig, rig, &sink, &rig->err);
	if (ret == 0)
		ret = sink.begin(sink.ctx, rig, &msg, &handle, &rig->err);
	if (ret == 0) {
		bool whole = sink.write(sink.ctx, handle, m->body, &rig->err) == 0;
		struct err second;

		ret = sink.end(sink.ctx, handle, &msg, whole, whole ? &rig->err : &second) < 0 || !whole ?
			      -1 : 0;
	}
	flags_release(&flags);
	maildate_release(&date);
	return ret;
}

int target_rig_commit(struct target_rig *rig)
{
	return store_commit(rig->probe.store, &rig->err);
}

const struct target_outcome *target_rig_outcome(const struct target_rig *rig, uint32_t uid)
{
	const struct target_outcome *found = NULL;

	for (size_t i = 0; i < rig->n; i++)
		if (rig->outcome[i].uid == uid) {
			if (found)
				test_die("UID %u was told twice", uid);
			found = &rig->outcome[i];
		}
	if (!found)
		test_die("UID %u was not told", uid);
	return found;
}

static void changes_of(struct target_rig *rig, struct mailbox *mb, struct changes *out)
{
	struct changes_request req = { .mailbox = mb, .out = out };

	changes_init(out);
	if (store_changes(rig->probe.store, &req, 1, &rig->err) < 0)
		test_die("changes: %s", rig->err.text);
}

size_t target_rig_count(struct target_rig *rig, struct mailbox *mb)
{
	struct changes changes;
	size_t n;

	changes_of(rig, mb, &changes);
	n = changes.n;
	changes_release(&changes);
	return n;
}

void target_rig_bound(struct target_rig *rig, struct mailbox *mb, struct uidset *out)
{
	struct changes changes;

	changes_of(rig, mb, &changes);
	uidset_clear(out);
	for (size_t i = 0; i < changes.n; i++)
		uidset_add(out, changes.v[i].source_uid);
	changes_release(&changes);
}
