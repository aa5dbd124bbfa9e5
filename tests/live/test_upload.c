#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/support.h"
#include "tests/lib/target_rig.h"

/* Messages into an account on Dovecot, as servers of several kinds. */

static void must(struct target_rig *rig, int ret)
{
	if (ret < 0)
		fail_msg("%s", rig->err.text);
}

static struct mailbox *must_open(struct target_rig *rig, const char *name)
{
	struct mailbox *mb = target_rig_mailbox(rig, name);

	if (!mb)
		fail_msg("%s: %s", name, rig->err.text);
	return mb;
}

/* Messages first to last of the corpus, UIDs as their numbers. */
static void append_corpus(struct target_rig *rig, struct mailbox *mb, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i <= last; i++) {
		struct corpus_message m;

		corpus_message(i, corpus_size(i, 500, 20000), &m);
		must(rig, target_rig_append(rig, mb, &(struct target_message){
			.uid = i, .flags = m.flags, .date = m.date, .body = buf_bytes(&m.body) }));
		corpus_message_release(&m);
	}
}

/* The mailbox holds just the corpus messages first to last, bytes and flags, each once. */
static void holds_corpus(struct oracle *o, const char *mailbox, uint32_t first, uint32_t last)
{
	struct oracle_dump d;

	oracle_dump(o, mailbox, &d);
	assert_int_equal(d.n, last - first + 1);
	for (uint32_t i = first; i <= last; i++) {
		char want[SHA256_HEX_SIZE];
		struct corpus_message m;
		size_t found = 0;

		corpus_message(i, corpus_size(i, 500, 20000), &m);
		sha256_hex(buf_bytes(&m.body), want);
		for (size_t k = 0; k < d.n; k++)
			found += strcmp(d.msg[k].sha256, want) == 0;
		if (found != 1)
			fail_msg("message %u is there %zu times", i, found);
		corpus_message_release(&m);
	}
	oracle_dump_release(&d);
}

static const char *const profiles[] = {
	NULL,
	"IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND LIST-EXTENDED LIST-STATUS NAMESPACE UNSELECT",
	"IMAP4rev1 LITERAL+ UIDPLUS NAMESPACE",
	"IMAP4rev1 LITERAL+ NAMESPACE",
	"IMAP4rev1 LITERAL+ MULTIAPPEND",
	"IMAP4rev1 UIDPLUS",
	"IMAP4rev1",
};

static void test_messages_arrive_as_they_are_whatever_the_server_can(void **state)
{
	(void)state;
	for (size_t p = 0; p < sizeof(profiles) / sizeof(profiles[0]); p++) {
		struct dovecot *dv = dovecot_start(&(struct dovecot_opts){ .imap_capability = profiles[p] });
		struct oracle *o = oracle_open(dv->port, "up");
		struct target_rig rig;
		struct mailbox *mb;

		target_rig_init(&rig, dv->port, "up");
		target_rig_open(&rig);
		mb = must_open(&rig, "Archive/2024");
		append_corpus(&rig, mb, 1, 300);
		must(&rig, target_rig_commit(&rig));
		for (uint32_t i = 1; i <= 300; i++)
			assert_int_equal(target_rig_outcome(&rig, i)->what, OUTCOME_DONE);
		assert_int_equal(target_rig_count(&rig, mb), 300);
		holds_corpus(o, "Archive/2024", 1, 300);
		oracle_close(o);
		target_rig_release(&rig);
		dovecot_stop(dv);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_arrive_as_they_are_whatever_the_server_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
