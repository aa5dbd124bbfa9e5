#ifndef CMD_EXPORT_FORMAT_H
#define CMD_EXPORT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct flags;
struct mailbox_name;
struct maildate;
struct run;

/*
 * What `export` writes: mailboxes one after the other, and of each its messages one after the other. Where it is written is new,
 * and the caller's to make durable and to remove.
 */
struct export_writer; /* each format's own */

struct export_message {
	uint32_t uid;
	uint64_t size;
	const struct flags *flags;
	const struct maildate *date;
};

struct export_format {
	const char *word; /* of --format */
	/* Into the directory `path`. `run` outlives it. NULL with *err. */
	struct export_writer *(*open)(const char *path, const struct run *run, struct err *err);
	void (*close)(struct export_writer *w); /* NULL is allowed */
	/* The next mailbox, which is made also if nothing comes. */
	int (*mailbox)(struct export_writer *w, const struct mailbox_name *name, struct err *err);
	/* The next message; one that was not ended is forgotten. ERR_MESSAGE from these: it cannot be written so. */
	int (*begin)(struct export_writer *w, uint64_t size, struct err *err);
	int (*add)(struct export_writer *w, struct bytes piece, struct err *err);
	/* *all_flags: none had to be left out for want of room. */
	int (*end)(struct export_writer *w, const struct export_message *msg, bool *all_flags, struct err *err);
	/* Nothing more comes. */
	int (*finish)(struct export_writer *w, struct err *err);
};

extern const struct export_format export_mbox, export_eml, export_maildir;
/* NULL: there is none called that. */
const struct export_format *export_format_find(const char *word);

/* An mbox of one mailbox, which mailbox() is not called for. `out` is the caller's. */
struct export_writer *export_mbox_to(FILE *out, struct err *err);

/* Where a mailbox lies below `root`: directories by the levels of its name, escaped as in a Maildir. Owned by the caller. */
char *export_path(const char *root, const struct mailbox_name *name);

#endif
