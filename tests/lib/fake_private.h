#ifndef TESTS_LIB_FAKE_PRIVATE_H
#define TESTS_LIB_FAKE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "tests/lib/fake_imap.h"

/* The model that fake_imap.c builds and fake_session.c serves. */
struct fake_msg {
	uint32_t uid;
	uint64_t modseq;
	char *flags, *date, *identity;
	struct buf body;
};

struct fake_mailbox {
	struct buf name;
	char *attributes;
	uint32_t uidvalidity, uidnext;
	uint64_t modseq; /* the highest given out */
	struct fake_msg *msg;
	size_t n, cap;
	struct fake_gone {
		uint32_t uid;
		uint64_t modseq;
	} *gone; /* expunged */
	size_t n_gone, cap_gone;
};

enum { FAKE_TRICKS_MAX = 64 };

struct fake_trick_entry {
	const struct fake_mailbox *mb;
	enum fake_trick what;
	uint32_t uid;
	int64_t at;
};

struct fake_imap {
	int listener, port;
	int pid; /* 0: stopped */
	int log; /* what clients sent */
	int sent; /* which bodies were sent */
	char *log_path, *sent_path, *capability;
	char delimiter;
	struct fake_mailbox **mb; /* pointers: callers keep theirs while more are added */
	size_t n, cap;
	struct fake_trick_entry trick[FAKE_TRICKS_MAX];
	size_t tricks;
	int *left; /* shared with the serving processes: how often each trick may still happen */
};

/* Use a trick up once; NULL when there is none such left. */
const struct fake_trick_entry *fake_use(const struct fake_imap *f, const struct fake_mailbox *mb,
					enum fake_trick what, uint32_t uid);
bool fake_can(const struct fake_imap *f, const char *capability);
/* Serve one connection to its end; does not return. */
_Noreturn void fake_serve(const struct fake_imap *f, int fd);

#endif
