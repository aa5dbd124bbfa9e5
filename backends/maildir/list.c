#include "backends/maildir/scan.h"
#include "backends/maildir/source.h"

static bool is_touched(const struct box *box)
{
	struct stamp now;
	struct err err;

	if (box->attributes & MAILBOX_NOSELECT)
		return false;
	return !stamp_is_set(&box->stamp) || box_stamp(box, &now, &err) < 0 ||
	       !stamp_equal(&now, &box->stamp);
}

int maildir_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err)
{
	struct maildir *m = (struct maildir *)st;

	bool moved = false;

	(void)hint;
	if (st->cfg->as_source && source_has_moved(m, &moved, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];
		struct mailbox_info own = { 0 };
		struct mailbox_info *info;

		if (st->cfg->as_source && !source_info(box, &own))
			continue;
		info = mailbox_list_add(out);

		mailbox_name_copy(&info->name, &box->mb.name);
		info->attributes = box->attributes;
		if (st->cfg->as_source) {
			info->token = own.token;
			continue;
		}
		info->token = box->token;
		memcpy(info->mailboxid, box->mailboxid, sizeof(info->mailboxid));
		info->known = box->known;
		info->stored = box->stored;
		info->pending = box->pending;
		info->kept = box->kept;
		info->held = box->held;
		info->touched = is_touched(box);
	}
	mailbox_list_sort(out);
	out->complete = !moved;
	return 0;
}
