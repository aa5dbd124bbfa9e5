#include "tests/lib/busy_account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/corpus.h"

enum { MAILBOXES = 4 };

static const char *const mailboxes[MAILBOXES] = { "INBOX", "Work/&AOQ-", "Trash", "Sent" };

uint32_t busy_roll(struct busy_account *b, uint32_t n)
{
	b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(b->seed >> 33) % n;
}

void busy_begin(struct busy_account *b, struct oracle *oracle)
{
	const char *given = getenv("SEED");

	*b = (struct busy_account){ .oracle = oracle,
				    .seed = given ? strtoull(given, NULL, 10) : 20200229 };
	print_message("SEED=%llu\n", (unsigned long long)b->seed);
	for (int i = 1; i < MAILBOXES; i++)
		oracle_create(oracle, mailboxes[i]);
}

/* Some UID of the mailbox; 0 when it is empty. */
static uint32_t some_uid(struct busy_account *b, const char *mailbox)
{
	struct oracle_dump d;
	uint32_t uid;

	oracle_dump(b->oracle, mailbox, &d);
	uid = d.n ? d.msg[busy_roll(b, (uint32_t)d.n)].uid : 0;
	oracle_dump_release(&d);
	return uid;
}

void busy_change(struct busy_account *b)
{
	static const char *const flags[] = { "\\Seen", "\\Flagged $A", "$B Later", "\\Answered",
					     "\\Deleted", "$Forwarded" };
	static const char *const how[] = { "FLAGS", "+FLAGS", "-FLAGS" };
	const char *mailbox = mailboxes[busy_roll(b, MAILBOXES)];
	uint32_t n = 1 + busy_roll(b, 6), uid = some_uid(b, mailbox), what = busy_roll(b, 5);
	char set[16];

	snprintf(set, sizeof(set), "%u", uid);
	if (what < 2 || uid == 0) {
		/* Now and then content that was there before. */
		corpus_fill(b->oracle, mailbox, busy_roll(b, 3) ? b->appended : 0, n, 0, 4000);
		b->appended += n;
	} else if (what == 2) {
		oracle_store(b->oracle, mailbox, set, how[busy_roll(b, 3)], flags[busy_roll(b, 6)]);
	} else if (what == 3) {
		oracle_expunge(b->oracle, mailbox, set);
	} else {
		oracle_command(b->oracle, "SELECT \"%s\"", mailbox);
		oracle_command(b->oracle, "UID MOVE %u:* \"%s\"", uid,
			       mailboxes[busy_roll(b, MAILBOXES)]);
	}
}
