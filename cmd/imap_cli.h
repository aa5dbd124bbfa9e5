#ifndef CMD_IMAP_CLI_H
#define CMD_IMAP_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/imap/commands.h"
#include "core/imap/session.h"
#include "core/msgset/uidset.h"

#include "cmd/account.h"
#include "cmd/cmd.h"

/*
 * What the commands of `mailcask imap` share. Private to cmd/imap*.c.
 *
 * Each command is one const object (struct imap_sub) in the file of its kind, listed in
 * imap_subs[]; usage, help and the checks of the manual come from there. Operands are looked at
 * before anything is connected as far as the object says what they are.
 */

/* What comes first among the operands, and which state the command runs in. */
enum imap_sub_needs {
	SUB_MAILBOX = 1 << 0, /* the first operand is a mailbox, as people write it */
	SUB_SET = 1 << 1,     /* then a SET */
	SUB_SET_IF = 1 << 4,  /* then a SET, which may be left out when nothing follows */
	SUB_EXAMINE = 1 << 2, /* the mailbox is open, read-only is enough */
	SUB_SELECT = 1 << 3,  /* the mailbox is open for changes */
};

/* Which options a command takes; --seq comes with SUB_SET. Also the options' ids. */
enum imap_sub_options {
	SUB_OPT_SEQ = 1 << 0,
	SUB_OPT_OUTPUT = 1 << 1,
	SUB_OPT_CHANGED_SINCE = 1 << 2,
	SUB_OPT_VANISHED = 1 << 3,
	SUB_OPT_UNCHANGED_SINCE = 1 << 4,
	SUB_OPT_RETURN = 1 << 5,
	SUB_OPT_PARTIAL = 1 << 6,
	SUB_OPT_FLAGS = 1 << 7,
	SUB_OPT_DATE = 1 << 8,
	SUB_OPT_USE = 1 << 9,
	SUB_OPT_SECONDS = 1 << 10,
	SUB_OPT_UTF8 = 1 << 11, /* UTF8=ACCEPT is enabled before the command runs */
};

struct flags;
struct imap_cli;
struct json_t;

/* One command with its operands, borrowed from the command line or a script's line. */
struct imap_call {
	const struct imap_sub *sub;
	const char *mailbox; /* as given; NULL unless SUB_MAILBOX */
	struct uidset set;   /* of UIDs, resolved when run() is called; never empty then */
	bool has_set, saved; /* `saved`: it was given as $ */
	unsigned given;      /* enum imap_sub_options */
	const char *output, *returns, *partial, *flags, *date, *use;
	uint64_t changed_since, unchanged_since, seconds;
	char **args; /* the operands that follow; ends with NULL */
	size_t n_args;
	bool json;
};

struct imap_sub {
	const char *name;
	const char *args; /* for the usage line */
	const char *summary;
	const char *example; /* what stands after `mailcask imap ACCOUNT` */
	unsigned needs, options;
	size_t min_args, max_args; /* of imap_call.args */
	/* Before connecting; NULL: nothing more to check. 0, or -1 (ERR_CONFIG). */
	int (*check)(const struct imap_call *call, struct err *err);
	int (*run)(struct imap_cli *cli, const struct imap_call *call, struct err *err);
};

#define SUB_MANY SIZE_MAX

/* By name; ends with NULL. */
extern const struct imap_sub *const imap_subs[];
const struct imap_sub *imap_sub_find(const char *name);
const char *imap_sub_nearest(const char *wrong);
/* What `mailcask help imap` says of them, and `mailcask imap help NAME`. */
void imap_subs_show(void);
void imap_sub_show(const struct imap_sub *sub);

extern const struct imap_sub sub_capability, sub_id, sub_namespace, sub_noop, sub_logout,
	sub_list, sub_lsub, sub_status, sub_select, sub_examine, sub_fetch, sub_search, sub_store,
	sub_copy, sub_move, sub_expunge, sub_append, sub_create, sub_delete, sub_rename,
	sub_subscribe, sub_unsubscribe, sub_check, sub_close, sub_unselect, sub_enable,
	sub_compress, sub_getquota, sub_getquotaroot, sub_getacl, sub_myrights, sub_idle,
	sub_notify, sub_xatom, sub_unauthenticate, sub_replace, sub_catenate;

/* One session, for one command or a script. */
struct imap_cli {
	struct app *app;
	struct account account;
	struct loop *loop;
	struct imap_session *session;
	struct imap_namespaces namespaces; /* asked for when a name needs them */
	bool namespaces_known;
	bool incomplete; /* something unreadable came: the exit status is EXIT_INCOMPLETE */
};

/* --- from words to a call (imap_call.c): 0, or -1 (ERR_CONFIG) --- */

extern const struct cmd_option imap_call_options[];
/* What cmd_next_option() returned. */
int imap_call_option(struct imap_call *call, int option, const char *arg, struct err *err);
/* words[0] is the command's name, the others are its operands; they are borrowed. */
int imap_call_make(struct imap_call *call, char **words, size_t n, struct err *err);

/*
 * `body`, `header`, `text` or `body[SECTION]` without a slice: what stands in BODY[...] for it. Owned
 * by the caller; NULL: it is none (imap_fetch.c).
 */
char *imap_section_of(const char *item);

/* --- running (imap.c) --- */

/* How a submitted command came out; outlives the call that submitted it. */
struct imap_answer {
	bool done, damaged;
	enum imap_outcome outcome;
	struct err err;
	const struct imap_mailbox *mailbox; /* borrowed from the session */
};
/* As imap_done_fn; `ctx` is or begins with a struct imap_answer. */
void imap_answer_take(void *ctx, const struct imap_result *result);
/* Until it is answered; -1 with *err set unless OK. */
int imap_answer_wait(struct imap_cli *cli, const struct imap_answer *answer, struct err *err);

/*
 * The name as this server spells it, for one that a person wrote: appended to `out`. 0 or -1.
 */
int imap_cli_wire_name(struct imap_cli *cli, const char *display, struct buf *out,
		       struct err *err);
/* Open it unless it is open that way already. *out (may be NULL) is borrowed from the session. */
int imap_cli_open(struct imap_cli *cli, const char *display, bool read_only, bool anew,
		  const struct imap_mailbox **out, struct err *err);

/* --- what is shown (imap_print.c) --- */

/* `uid 5 size 120 flags \Seen` or an event of that name; `file` (may be NULL) has its part. */
void imap_show_message(const struct imap_cli *cli, const char *command, const struct imap_fetch *m,
		       const char *file, uint64_t bytes);
void imap_show_status(const struct imap_cli *cli, const char *command, const char *mailbox,
		      const struct imap_mailbox_status *st);
/* `NAME SET`, or an event of that command with a member NAME. */
void imap_show_set(const struct imap_cli *cli, const char *command, const char *name,
		   const struct uidset *set);
/* The name of a mailbox the server spoke of, for people. Owned by the caller. */
char *imap_cli_display(const struct imap_cli *cli, struct bytes wire);

/*
 * What a message is made of (imap_content.c): preview, labels, envelope and structure, as far as they
 * came; as lines below that of the message, or as members of its event.
 */
void imap_say_content(const struct imap_cli *cli, const struct imap_fetch *m);
void imap_json_content(const struct imap_cli *cli, struct json_t *event,
		       const struct imap_fetch *m);

/* Text from the server, escaped, on standard output. */
void imap_say(struct bytes text);
/* Words such as attributes, which may begin with a backslash. */
void imap_say_words(struct bytes words);
/* Flags as in a flag list, with `any`: "\*" at the end. */
void imap_say_flags(const struct flags *flags, bool any);

/* A JSON string; what is not UTF-8 is escaped as on a terminal. New reference. */
struct json_t *imap_json_text(struct bytes text);
struct json_t *imap_json_nstring(struct bytes text); /* p NULL: null */
struct json_t *imap_json_flags(const struct flags *flags);
/* {"event": NAME}, to be filled in and given to report_event(). */
struct json_t *imap_json_event(const char *name);

#endif
