#ifndef BACKENDS_MAILDIR_BOX_H
#define BACKENDS_MAILDIR_BOX_H

#include <limits.h>

#include "backends/maildir/internal.h"

struct box *box_new(struct maildir *m);
void box_free(struct maildir *m, struct box *box);
/* Into its place in m->box, or out of it. */
void box_insert(struct maildir *m, struct box *box);
void box_take_out(struct maildir *m, const struct box *box);
struct box *box_find(const struct maildir *m, const struct mailbox_name *name);
/* A text for messages, owned by the caller. */
char *box_label(const struct box *box);
/* err_sys() of kind ERR_MAILBOX or, when the disk is full or broken, ERR_FATAL. */
int box_sys(const struct box *box, struct err *err, const char *what);

/* Descriptors of a mailbox. Few are open at any time: use one before asking for another's. */
enum box_dir { DIR_CUR, DIR_NEW, DIR_TMP };
/* -1 with errno, also when a directory on the way is a symbolic link. */
int box_dir_fd(struct box *box, enum box_dir which);
void box_close_fds(struct box *box);
/* A directory below the root; no component may be a link. With `make` missing ones are made. */
int open_below(struct maildir *m, const char *dir, bool make);
/* Make cur, new and tmp where they are missing. */
int box_make_dirs(struct box *box, struct err *err);

/* How cur and new look now. A missing directory is all zero. */
int box_stamp(const struct box *box, struct stamp *out, struct err *err);
bool stamp_equal(const struct stamp *a, const struct stamp *b);
bool stamp_is_set(const struct stamp *s);
/* Nanoseconds until changes after `s` are sure to look different; <= 0: they do now. */
int64_t stamp_racy_ns(const struct maildir *m, const struct stamp *s);

/* Count what our row adds to or takes from cur. */
void box_expect(struct box *box, struct bytes base, struct bytes letters);
void box_unexpect(struct box *box, struct bytes base, struct bytes letters);
/* Before anything of it changes. Marks it for the next commit. */
void box_touch(struct box *box);

/*
 * Read a directory of the mailbox: `fn` sees every name that does not begin with a dot, until
 * it returns other than 0. What is known for no regular file is left out. A missing directory has none. 0, fn's value, or -1 with *err set.
 */
typedef int name_fn(void *ctx, enum box_dir dir, struct bytes name);
int box_each_file(struct box *box, enum box_dir which, name_fn *fn, void *ctx,
		  struct err *err);

/* Where the file of a row is now. */
struct place {
	int dir; /* descriptor, borrowed until another mailbox is used */
	enum box_dir which;
	char name[NAME_MAX + 1];
};
/* 1 found, 0 it is nowhere, -1 with *err set. */
int box_find_file(struct box *box, uint32_t uid, struct bytes base, struct bytes letters,
		  struct place *out, struct err *err);
void box_forget_listing(struct box *box);
/* A regular file for reading. -1 with errno; a link or a pipe is none, and nothing waits for one. */
int open_message(int dir, const char *name);
/* As renameat(), but never over another file: EEXIST. */
int rename_apart(int from_dir, const char *from, int to_dir, const char *to);
/* `base:2,letters`. False when that is longer than a file name can be. */
bool file_name_make(struct bytes base, struct bytes letters, char out[NAME_MAX + 1]);
/* An unfinished file name with its own time, process and number: also a name for tmp. */
void base_make(struct maildir *m, char *out, size_t size);
/* Whether base_make() of this store (whichever process) made it. */
bool base_is_ours(const struct maildir *m, struct bytes name);

/* Durable: the files and directories written so far. */
int maildir_sync(struct maildir *m, struct err *err);

#endif
