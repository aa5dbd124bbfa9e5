#ifndef CMD_IMAP_SOURCE_H
#define CMD_IMAP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/imap/commands_message.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "cmd/imap_cli.h"

/* What append, replace and catenate have in common. Private to cmd/imap*.c. */

/*
 * A file as a message or a piece of one. Line ends become CRLF, as messages have them on the wire,
 * unless there are NULs in it.
 */
struct source {
	const char *command, *path; /* borrowed */
	FILE *file;    /* NULL: not open */
	uint64_t size; /* as it will be sent */
	bool binary;   /* holds NULs: sent as it is */
	bool after_cr; /* the byte read last */
	bool owes_lf;  /* a CR was put in, its LF is next */
};
/* `-` is standard input. 0, or -1 with *err; close it in any case. An empty file is refused. */
int source_open(struct source *s, const char *command, const char *path, struct err *err);
void source_close(struct source *s);
imap_append_read source_read; /* ctx is the source */

/* What --flags and --date say. 0, or -1 (ERR_CONFIG); release it in any case. */
struct new_message {
	struct flags flags;
	struct maildate date;
};
int new_message_init(struct new_message *m, const struct imap_call *call, struct err *err);
void new_message_release(struct new_message *m);
/* For a command that takes these and has nothing more to check. */
int new_message_check(const struct imap_call *call, struct err *err);

/* Shows the UIDs of what was added; `ctx` of imap_added() is one. */
struct added {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
	const char *command;
};
imap_append_fn imap_added;

#endif
