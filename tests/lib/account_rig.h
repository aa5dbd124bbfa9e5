#ifndef TESTS_LIB_ACCOUNT_RIG_H
#define TESTS_LIB_ACCOUNT_RIG_H

#include "tests/lib/conformance.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"

/*
 * The store "imap" on a bench: an account of its own on a throw-away Dovecot, with a ledger in the bench's
 * directory. bench_init() and bench_release() do it for a sut of imap_store.
 */
void account_rig_prepare(struct bench *b);
void account_rig_finish(struct bench *b);

/* One server for the program, at the latest by the first bench. `opts` as in dovecot.h, may be NULL. */
void account_rig_start(const struct dovecot_opts *opts);
struct dovecot *account_rig_server(void);
/* As somebody else of the same account. The caller closes it. */
struct oracle *account_rig_oracle(const struct bench *b);

#endif
