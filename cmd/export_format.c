#include "cmd/export_format.h"

#include <string.h>

#include "backends/maildir/names.h"
#include "core/base/buf.h"

const struct export_format *export_format_find(const char *word)
{
	static const struct export_format *const all[] = { &export_mbox, &export_eml, &export_maildir };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->word, word) == 0)
			return all[i];
	return NULL;
}

char *export_path(const char *root, const struct mailbox_name *name)
{
	struct buf out = BUF_INIT(1 << 20);

	buf_addf(&out, "%s/", root);
	maildir_directory(name, LAYOUT_FS, false, &out);
	return buf_take(&out);
}
