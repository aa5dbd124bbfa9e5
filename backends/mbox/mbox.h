#ifndef BACKENDS_MBOX_MBOX_H
#define BACKENDS_MBOX_MBOX_H

#include "core/sync/store.h"

/*
 * Mail in files as other programs write it, as stores that can only be read: to restore from. UIDs are
 * numbers from 1 on, in the order of the file or of the files' names, and mean something in one opening
 * only. Sizes are told, flags are those of traits.h, or of mark.h. A message that holds a CRLF is given as it
 * stands, in any other CR goes before each LF.
 *
 * cfg->settings points to a struct mbox_settings, or is NULL.
 */
struct mbox_settings {
	/*
	 * What the mailbox is called, and with eml what the mailboxes lie below. NULL: as the file, without `.mbox`,
	 * or as the directory.
	 */
	const struct mailbox_name *mailbox;
};

/*
 * "mbox": one file. open() reads it all, and fails where it is not sound; fetch() where it changed
 * since then.
 */
extern const struct store_ops mbox_store;
/*
 * "eml": a directory; each one in it that holds files called *.eml is a mailbox, and each of these files
 * a message. Symbolic links, and names that begin with a dot, are not followed. The date is that of the Date field,
 * or else the file's.
 */
extern const struct store_ops eml_store;

/*
 * What a file or directory calls a mailbox, or one level of its name: any bytes do. `%XX` is a byte where that makes a name; so `export` and
 * others write what a file name cannot hold.
 */
void mbox_name_decode(struct mailbox_name *out, struct bytes text);

/*
 * What the file or directory at `path` is called, without `suffix`, as a mailbox. *out is initialised. ERR_CONFIG: it has no name.
 */
int mbox_name_of_path(const char *path, const char *suffix, struct mailbox_name *out,
		      struct err *err);

#endif
