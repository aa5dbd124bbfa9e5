/* Servers that show the newest so many messages of a mailbox, and say that these are all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/fake_imap.h"
#include "tests/lib/support.h"

#define COMMON "IMAP4rev1 UIDPLUS LIST-EXTENDED LIST-STATUS ESEARCH NAMESPACE ID "

static struct fake_imap *server;
static struct backup job;

static void add(uint32_t from, uint32_t to)
{
	struct fake_mailbox *mb = fake_find(server, bytes_of("INBOX"));

	for (uint32_t uid = from; uid <= to; uid++) {
		char *body = xasprintf("Subject: %u\r\n\r\nx\r\n", uid);

		fake_message(mb, uid, "", NULL, bytes_of(body));
		free(body);
	}
}

static void begin(const char *capability, uint32_t messages)
{
	struct backup_config config = { 0 };

	server = fake_new();
	fake_capability(server, capability);
	fake_mailbox(server, bytes_of("INBOX"));
	add(1, messages);
	config.port = fake_port(server);
	backup_init(&job, &config);
	fake_start(server);
}

static void end(void)
{
	backup_release(&job);
	fake_free(server);
}

/* Exit status, and whether it says what to look at. */
static void backup_says(int status, const char *word)
{
	struct backup_result res;

	backup_expect(&job, &res, status, "");
	if (word)
		assert_non_null(strstr(buf_str(&res.out), word));
	else
		assert_null(strstr(buf_str(&res.out), "may have more"));
	backup_result_release(&res);
}

/* Two came, and hide the two oldest. */
static void slide(uint32_t messages)
{
	fake_stop(server);
	add(messages + 1, messages + 2);
	fake_expunge(fake_find(server, bytes_of("INBOX")), 1);
	fake_expunge(fake_find(server, bytes_of("INBOX")), 2);
	fake_start(server);
}

static void test_just_10000_messages_at_yahoo_are_told_loudly(void **state)
{
	(void)state;
	begin(COMMON "XYMHIGHESTMODSEQ", 10000);
	backup_says(3, "export.imap.mail.yahoo.com");
	backup_says(3, "export.imap.mail.yahoo.com");
	slide(10000);
	backup_says(3, "may just not show them");
	assert_int_equal(archive_count(job.root), 10002);
	end();
}

static void test_the_limits_of_gmail_are_named_and_remove_nothing(void **state)
{
	static const uint32_t counts[] = { 1000, 2000 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(COMMON "X-GM-EXT-1", counts[i]);
		backup_says(0, "Folder size limits");
		slide(counts[i]);
		backup_says(3, "may just not show them");
		assert_int_equal(archive_count(job.root), counts[i] + 2);
		end();
	}
}

/* With one message more or less, or elsewhere, it is a mailbox like any other. */
static void test_any_other_number_is_only_a_number(void **state)
{
	static const struct {
		const char *capability;
		uint32_t messages;
	} cases[] = {
		{ COMMON "X-GM-EXT-1", 999 },
		{ COMMON "XYMHIGHESTMODSEQ", 1000 },
		{ COMMON, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(cases[i].capability, cases[i].messages);
		backup_says(0, NULL);
		slide(cases[i].messages);
		backup_says(0, NULL);
		assert_int_equal(archive_count(job.root), cases[i].messages);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_just_10000_messages_at_yahoo_are_told_loudly),
		cmocka_unit_test(test_the_limits_of_gmail_are_named_and_remove_nothing),
		cmocka_unit_test(test_any_other_number_is_only_a_number),
	};

	return cmocka_run_group_tests_name("limited", tests, NULL, NULL);
}
