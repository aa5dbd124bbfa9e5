#ifndef TESTS_LIB_STORE_SCRIPT_H
#define TESTS_LIB_STORE_SCRIPT_H

#include <stdbool.h>

#include "tests/lib/scripted.h"
#include "tests/lib/store_probe.h"

/* Transcripts for a store with one connection and, for script_fetch(), an INBOX of UIDs 1 to 3. */
#define SCRIPT_CAPS "IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS ESEARCH"
#define LOGIN                                                                              \
	"S: * OK [CAPABILITY " SCRIPT_CAPS " SASL-IR AUTH=PLAIN] ready\n"                         \
	"C: AUTHENTICATE PLAIN *\n"                                                        \
	"S: $TAG OK [CAPABILITY " SCRIPT_CAPS "] in\n"
#define EXAMINE(exists)                                                                    \
	"C: EXAMINE INBOX\n"                                                               \
	"S: * " exists " EXISTS\n"                                                         \
	"S: * OK [UIDVALIDITY 7] valid\n"                                                  \
	"S: * OK [UIDNEXT 4] next\n"                                                       \
	"S: $TAG OK [READ-ONLY] done\n"
#define BODIES "C: UID FETCH 1:3 (UID FLAGS INTERNALDATE BODY.PEEK\\[\\])\n"
#define MESSAGE(n, uid) "S: * " n " FETCH (UID " uid " FLAGS () BODY[] {3}\nS: abc)\n"

#define LOGOUT "C: LOGOUT\nS: * BYE\nS: $TAG OK bye\n"

struct script {
	struct scripted *server;
	struct store_probe probe;
	struct probe_sink sink;
	struct uidset set;
	bool header; /* only headers are wanted */
	struct want want;
};

/* Logs in. */
void script_start(struct script *t, const char *text);
/* INBOX, as if listed with UIDVALIDITY 7 and the UIDs 1 to 3. */
struct mailbox *script_inbox(struct script *t);
/* UIDs 1 to 3 of it; the result of store_fetch(). */
int script_try_fetch(struct script *t, bool exact, struct err *err);
/* The same, which must succeed. */
void script_fetch(struct script *t, bool exact);
/* Logs out; the script must have come to its end. */
void script_end(struct script *t);

#endif
