#ifndef TESTS_LIB_CONFORMANCE_H
#define TESTS_LIB_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/sync/store.h"

/*
 * What every test of a store needs: open it again and again as a new run would, put messages in,
 * read all of it back. Failures of what should work fail the test with the error's text.
 */
struct store_under_test {
	const char *name;
	const struct store_ops *ops;
	const char *layout;
};

/* One store in a temporary directory. */
struct bench {
	const struct store_under_test *sut;
	char *path;
	struct store_config cfg;
	struct store *st; /* NULL while closed */
	struct account_rig *account; /* account_rig.h; NULL: a local store */
};

void bench_init(struct bench *b, const struct store_under_test *sut);
void bench_open(struct bench *b); /* for writing, made when missing */
void bench_open_as(struct bench *b, enum store_mode mode);
void bench_close(struct bench *b);
/* close() and open() as a new run would. */
void bench_reopen(struct bench *b);
void bench_release(struct bench *b);

void must(int ret, const struct err *err);
struct mailbox *bench_mailbox(struct bench *b, const char *name); /* made when missing */
struct mailbox *bench_find(struct bench *b, const char *name);    /* must be there */
void bench_commit(struct bench *b);

struct put {
	struct bytes body;
	const char *flags; /* as flags_add_list() takes them; NULL: none */
	const char *date;  /* NULL: a fixed one */
	size_t piece;      /* bytes per write(); 0: all at once */
	const char *identity; /* NULL: none */
};
#define PUT_DATE "17-Jul-1996 02:44:25 -0700"
/* Commits where append() has not reported by then. */
enum outcome bench_put(struct mailbox *mb, uint32_t source_uid, const struct put *put,
		       uint32_t *new_uid);
/* A small message of its own content. */
enum outcome bench_put_text(struct mailbox *mb, uint32_t source_uid, const char *text);

/* What fetch() gave of one message. */
struct got {
	uint32_t uid;
	struct buf body, flags, date, identity;
	uint64_t size; /* as it was told */
	bool complete;
	enum outcome what;
};
struct gots {
	struct got *v;
	size_t n, cap;
	size_t unknown; /* UIDs reported as not existing */
	bool complete;
	bool attributes; /* no bodies were asked for */
	bool headers;    /* what came may be no more than the header */
	bool sizeless;   /* end() need not tell the size: an account knows it when the body begins */
};
void bench_fetch(struct mailbox *mb, const struct uidset *set, bool exact, struct gots *out);
/* Without bodies. */
void bench_fetch_attributes(struct mailbox *mb, struct gots *out);
void bench_fetch_all(struct mailbox *mb, struct gots *out);
/* What strangers() gives; flags and dates are missing. */
void bench_strangers(struct mailbox *mb, struct gots *out);
/* At least those of these sizes. */
void bench_strangers_of(struct mailbox *mb, const struct uidset *sizes, struct gots *out);
/* Take one for source UID `source_uid`; its UID in the store, 0: it was left alone. */
uint32_t bench_take(struct mailbox *mb, uint32_t stranger, uint32_t source_uid, const char *flags);
void gots_release(struct gots *g);

/* `out` is initialised here. */
void bench_changes(struct mailbox *mb, struct changes *out);
/* The flags of an entry as text, in `out`. */
const char *bench_flags(const struct changes *c, uint32_t id, struct buf *out);
const struct mailbox_info *bench_info(struct bench *b, const char *name,
				      struct mailbox_list *list);
struct uidset set_of(const char *text);
/* How many live messages, over all of the store. */
size_t bench_live(struct bench *b);

#endif
