/* Freeing servers that are not Dovecot: what is old goes there, is kept here, and nothing else is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/peers.h"
#include "tests/lib/prune_scene.h"

/* INBOX: UIDs 1 to 25 are old, 3 of them marked by somebody; 26 is new. */
static void fill(struct oracle *o)
{
	for (int i = 0; i < 25; i++) {
		char *text = xasprintf("Message-ID: <%d@x>\r\nSubject: number %d\r\n\r\nold\r\n", i, i);

		oracle_append(o, "INBOX", &(struct oracle_new){ .flags = i < 3 ? "\\Deleted" : "\\Seen",
								.date = " 1-Feb-2010 03:04:05 +0100",
								.body = bytes_of(text) }, 1);
		free(text);
	}
	oracle_append(o, "INBOX", &(struct oracle_new){ .flags = "", .body = bytes_of("Subject: new\r\n\r\nnew\r\n") },
		      1);
}

static void old_messages_go(const struct peer *p, const char *type)
{
	struct prune_scene s = { .o = oracle_open(p->port, "alice") };

	backup_init(&s.job, &(struct backup_config){ .port = p->port, .type = type });
	fill(s.o);
	prune_remember(&s);
	backup_ends_with(&s.job, 0, "");
	prune_says(&s, "prune-server", PRUNE_OLD, 4, "\"allow_deletes\":22,", "");
	prune_says(&s, "prune-server", PRUNE_ALL, 0, "\"removed\":22,", "");
	assert_int_equal(prune_count_at_account(&s, "INBOX"), 4);
	archive_holds(s.job.root, 4, 22);
	prune_nothing_is_lost(&s, s.job.root);
	backup_idle(&s.job);
	archive_holds(s.job.root, 4, 22);
	prune_end(&s);
}

static void test_courier_is_freed(void **state)
{
	struct peer *p = peer_courier();

	(void)state;
	old_messages_go(p, "git");
	peer_stop(p);
}

static void test_cyrus_is_freed(void **state)
{
	struct peer *p = peer_cyrus(NULL);

	(void)state;
	old_messages_go(p, "maildir");
	peer_stop(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_courier_is_freed),
		cmocka_unit_test(test_cyrus_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
