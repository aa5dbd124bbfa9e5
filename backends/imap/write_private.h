#ifndef BACKENDS_IMAP_WRITE_PRIVATE_H
#define BACKENDS_IMAP_WRITE_PRIVATE_H

#include "backends/imap/private.h"

#define UPLOAD_BATCH_MESSAGES 128
/* So many go first where each has a command of its own: which flags need not wait is known by the answers. */
#define UPLOAD_RAMP_FIRST 4

/*
 * What the parts that change an account share; nobody else includes this.
 *
 *   write.c          the connection that changes things, what it has selected, what the mailbox keeps
 *   manage.c         mailboxes: made, renamed, removed, subscribed to; quota
 *   alter.c          flags changed, messages removed
 *   copy.c           copies that the server makes
 *   upload*.c        messages added: upload_private.h
 *   present.c        whether what is kept is there still
 *   prune.c          messages removed from an account that is read: no target, and no ledger
 *
 * Commands of manage.c and alter.c are waited for; they may be repeated after a lost line, since doing them twice
 * is the same as once. Uploads overlap; what is under way for one mailbox goes over one connection, so that
 * the server sees it in order.
 */

#define WRITER_LINES 4

/* The connections that change things. */
struct writer {
	/*
	 * The one in use: all commands but uploads go over it. Uploads to several mailboxes use more of them
	 * (writer_use()), but all to one mailbox that are under way the same.
	 */
	struct connection *conn; /* NULL: none yet, or it was lost */
	struct connection *lines[WRITER_LINES]; /* lines[at] is `conn`, and only that is looked at */
	size_t at;
	size_t n_lines;          /* may be used at once */
	bool no_more_lines;      /* the server refused one */
	unsigned losses;         /* in a row, without anything done in between */
	struct uploads *uploads; /* NULL: nothing was appended */
	bool trash_known;
	struct buf trash;        /* wire name of the mailbox for \Trash; empty: there is none */
};

/* Messages for a mailbox that are no full batch yet. */
struct gathering {
	struct upload_batch *batch; /* NULL: none */
	uint64_t bytes;
};

/* What a mailbox that was selected said of itself. */
struct writing {
	bool known;
	struct flags permanent;  /* that are kept; if permanent_known */
	bool permanent_known;
	bool new_keywords;       /* others can be made */
	uint32_t uid_next;       /* what is added from now on has this UID or a higher one; at least 1 */
	uint64_t append_limit;   /* 0: none is known */
	bool no_insert;          /* our rights there do not allow to add messages */
	bool no_remove;          /* nor to remove any */
	bool recreated;          /* made anew in this run since it was gone; once is enough */
	bool gone_once;          /* an APPEND said that it is not there; a second time is the end */
	struct flags noted;      /* flags that the user was told are not kept here */
	struct uidset remove;    /* at the next commit */
	struct gathering gathered, copies;
	unsigned passed_in;      /* scan of the queue in which a batch of it had to wait: so do the later ones */
	size_t ramp;             /* how many may be sent at once, where each goes by itself */
	struct uidset present;   /* what was there, of UIDs below present_below */
	uint32_t present_below;  /* 0: nobody asked yet */
	struct err failed;       /* nothing is added in this run any more, and why; kind ERR_NONE: it is */
};

struct writer *writer_of(struct imap_store *st);
/* With LOGOUT where that can be said. */
void writer_close(struct imap_store *st);
struct writing *writing_of(struct imap_mailbox_handle *mb);
void writing_free(struct writing *w); /* NULL is allowed */

/* --- write.c --- */

/*
 * One thing to be done on a connection that is ready and has `mb` selected. 0, or -1: ERR_RETRY has it done
 * again on the next one, any other kind is the end.
 */
typedef int writer_fn(void *ctx, struct connection *c, struct err *err);
/*
 * Do it, with `mb` (NULL: none in particular) selected for writing. A line that is lost is made anew, at most
 * three times in a row. ERR_MAILBOX when the mailbox cannot be written to.
 */
int writer_do(struct imap_store *st, struct imap_mailbox_handle *mb, writer_fn *fn, void *ctx,
	      struct err *err);
/* All commands submitted on `c` are answered. ERR_RETRY when the line was lost, ERR_STOPPED. */
int writer_wait(struct connection *c, struct err *err);
/* The connection, with `mb` selected. Does not try again. */
int writer_select(struct imap_store *st, struct imap_mailbox_handle *mb, struct connection **out,
		  struct err *err);
/* Line `k` becomes the one in use. */
void writer_use(struct imap_store *st, size_t k);
/* NULL: it is not there (any more). */
struct connection *writer_line(const struct writer *w, size_t k);
/* Connect the line in use, once. */
int writer_connect(struct imap_store *st, struct err *err);
/* No line has a mailbox selected any more. */
void writer_leave_mailboxes(struct imap_store *st);
/* Wait before the next try after *why, if there may be one; else -1 and *err is *why. */
int writer_retry(struct imap_store *st, const struct err *why, struct err *err);

/* Those of `flags` that the mailbox keeps and that can be sent; what it does not keep the user is told once. */
void writing_filter(struct imap_mailbox_handle *mb, const struct flags *flags, struct flags *out);
/* The server refused this one: it is not asked again. */
void writing_refused_flag(struct imap_mailbox_handle *mb, const char *flag);
/* To the user; `mb` may be NULL. */
void imap_note(const struct imap_store *st, const struct mailbox_name *mb, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));


int imap_store_commit(struct store *base, struct err *err);

/* --- manage.c --- */

int imap_store_create(struct store *base, const struct mailbox_name *name, unsigned attributes,
		      struct err *err);
int imap_store_rename(struct store *base, const struct mailbox_name *from, const struct mailbox_name *to,
		      struct err *err);
int imap_store_remove(struct store *base, const struct mailbox_name *name, struct err *err);
int imap_store_subscribe(struct store *base, const struct mailbox_name *name, bool on, struct err *err);
int imap_store_room(struct store *base, uint64_t *bytes, struct err *err);
/* Make it, or find it there, at the server only. *made: it was not there. */
int manage_create(struct imap_store *st, struct connection *c, struct bytes wire, unsigned attributes,
		  bool *made, struct err *err);

/* --- upload.c, see upload_private.h --- */

int imap_store_append(struct mailbox *base, outcome_fn *report, void *ctx, void *tag,
		      struct message_sink *sink, struct err *err);
/* Everything that was appended has its outcome when it returns. */
int uploads_flush(struct imap_store *st, struct err *err);
/* The same at once: what has no answer yet is told so; the ledger knows that it may have come. */
void uploads_abandon(struct imap_store *st, const struct err *why);
void uploads_free(struct uploads *u); /* NULL is allowed */
/* Settle what an earlier run had begun to put into `mb`. */
int uploads_settle_intents(struct imap_store *st, struct imap_mailbox_handle *mb, struct err *err);

/* --- prune.c --- */

/* Whether what MYRIGHTS says includes marking messages \Deleted and expunging them. */
bool rights_allow_removal(const char *rights);
int imap_store_prunable(struct mailbox *base, enum store_mode mode, struct err *err);
int imap_store_prune(struct mailbox *base, const struct uidset *set, bool again, still_fn *still, void *ctx,
		     struct uidset *stay, struct err *err);
/* ERR_CONFIG where removing a message is not what it seems, or cannot be done: what to do instead. */
int prune_check_server(const struct imap_session *s, const char *account, struct err *err);

/* --- alter.c --- */

int imap_store_change_flags(struct mailbox *base, const struct uidset *set,
			    const struct flag_delta *delta, struct err *err);
/* At the server only: what the mailbox does not keep is left out. */
int alter_flags(struct imap_mailbox_handle *mb, const struct uidset *set, const struct flags *add,
		const struct flags *remove, struct err *err);
/* At the server only: these and no others, as far as it can. */
int alter_remove(struct imap_mailbox_handle *mb, const struct uidset *set, struct err *err);
int imap_store_expunge(struct mailbox *base, const struct uidset *set, struct err *err);
/* Carry out what imap_store_expunge() was told: at the server, then in the ledger. */
int alter_remove_all(struct imap_store *st, struct err *err);

#endif
