#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static struct dovecot *server;

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

static void assert_same_flags(const char *got, const char *want)
{
	size_t words = 0;
	char *copy = xstrdup(want), *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		words += strlen(w) + 1;
		if (!strstr(got, w))
			fail_msg("%s is missing in %s", w, got);
	}
	assert_int_equal(strlen(got) + (*got != '\0'), words);
	free(copy);
}

/* Dovecot keeps the moment of an INTERNALDATE, not its zone. */
static time_t moment(const char *date)
{
	struct tm tm = { 0 };
	long offset;

	assert_non_null(strptime(date, "%d-%b-%Y %H:%M:%S %z", &tm));
	offset = tm.tm_gmtoff;
	return timegm(&tm) - offset;
}

static void test_what_was_appended_is_what_the_dump_says(void **state)
{
	struct oracle *o = oracle_open(server->port, "mixed");
	struct oracle_dump d;

	(void)state;
	corpus_fill_mixed(o, "INBOX", 450, 110, (size_t)25 << 20);
	oracle_dump(o, "INBOX", &d);
	assert_int_equal(d.n, 110);
	assert_int_equal(d.uidnext, 111);
	assert_true(d.uidvalidity > 0);
	for (uint32_t i = 0; i < d.n; i++) {
		struct corpus_message m;
		char hex[SHA256_HEX_SIZE];

		corpus_message(450 + i, corpus_mixed_size(450 + i, (size_t)25 << 20), &m);
		sha256_hex(buf_bytes(&m.body), hex);
		assert_int_equal(d.msg[i].uid, i + 1);
		assert_int_equal(d.msg[i].size, m.body.n);
		assert_string_equal(d.msg[i].sha256, hex);
		assert_true(moment(d.msg[i].date) == moment(m.date));
		assert_same_flags(d.msg[i].flags, m.flags);
		corpus_message_release(&m);
	}
	oracle_dump_release(&d);
	oracle_close(o);
}

static void test_flags_change_and_messages_go(void **state)
{
	static const struct oracle_new three[] = {
		{ .flags = "", .body = { (const uint8_t *)"A: 1\r\n\r\n", 8 } },
		{ .flags = "\\Seen", .body = { (const uint8_t *)"", 0 } },
		{ .flags = "\\Seen", .body = { (const uint8_t *)"A: 3\r\n\r\nx", 9 } },
	};
	struct oracle *o = oracle_open(server->port, "flags");
	struct buf body = BUF_INIT(1000);
	struct oracle_dump d;

	(void)state;
	oracle_create(o, "a \"b\" \\c");
	oracle_append(o, "a \"b\" \\c", &three[0], 1);
	oracle_append(o, "a \"b\" \\c", &three[2], 1);
	oracle_append(o, "a \"b\" \\c", &three[2], 1);
	oracle_store(o, "a \"b\" \\c", "1", "+FLAGS", "\\Flagged $Forwarded");
	oracle_store(o, "a \"b\" \\c", "3", "-FLAGS", "\\Seen");
	oracle_expunge(o, "a \"b\" \\c", "2");
	oracle_dump(o, "a \"b\" \\c", &d);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.msg[0].flags, "$Forwarded \\Flagged");
	assert_int_equal(d.msg[1].uid, 3);
	assert_string_equal(d.msg[1].flags, "");
	oracle_body(o, "a \"b\" \\c", 3, &body);
	assert_string_equal(buf_str(&body), "A: 3\r\n\r\nx");
	assert_int_equal(strncmp(oracle_try(o, "EXAMINE nowhere"), "NO ", 3), 0);
	buf_release(&body);
	oracle_dump_release(&d);
	oracle_close(o);
}

static void test_the_demo_account_has_every_kind_of_mailbox(void **state)
{
	struct oracle *o = oracle_open(server->port, "demo");
	struct name_list names = { 0 };

	(void)state;
	corpus_fill_demo(o);
	oracle_list(o, &names);
	for (size_t i = 0; i < corpus_mailboxes_n; i++) {
		struct oracle_dump d;
		unsigned extra = i == 0; /* the attachment */

		assert_true(name_list_has(&names, corpus_mailboxes[i].wire));
		oracle_dump(o, corpus_mailboxes[i].wire, &d);
		assert_int_equal(d.n, corpus_mailboxes[i].messages + extra);
		if (extra)
			assert_true(d.msg[d.n - 1].size > (size_t)20 << 20);
		oracle_dump_release(&d);
	}
	name_list_release(&names);
	oracle_close(o);
}

static void test_twenty_thousand_messages_are_seeded_in_seconds(void **state)
{
	struct oracle *o = oracle_open(server->port, "many");
	int64_t begin = clock_ms();
	struct bytes status;

	(void)state;
	corpus_fill(o, "INBOX", 0, 20000, 200, 600);
	status = oracle_command(o, "STATUS INBOX (MESSAGES)");
	print_message("20,000 messages in %lld ms\n", (long long)(clock_ms() - begin));
	assert_non_null(memmem(status.p, status.n, "MESSAGES 20000", 14));
	oracle_close(o);
}

/* What openssl thinks of the certificate on the TLS port, when asked for `host`. */
static int verify(const struct dovecot *dv, const char *host)
{
	char *to = xasprintf("127.0.0.1:%d", dv->tls_port);
	struct proc_opts opts = { .input = bytes_of("a LOGOUT\r\n") };
	struct proc_result res;

	proc_runl(&res, &opts, "openssl", "s_client", "-connect", to, "-CAfile", dv->ca_file,
		  "-verify_hostname", host, "-verify_return_error", "-quiet", NULL);
	proc_result_release(&res);
	free(to);
	return res.status;
}

static void test_good_certificates_verify_and_bad_ones_do_not(void **state)
{
	struct dovecot_opts opts = { .cert = DOVECOT_CERT_WRONG_HOST };
	struct dovecot *bad;

	(void)state;
	assert_int_equal(verify(server, "localhost"), 0);
	assert_int_not_equal(verify(server, "other.example"), 0);
	bad = dovecot_start(&opts);
	assert_int_not_equal(verify(bad, "localhost"), 0);
	assert_int_equal(verify(bad, "other.example"), 0);
	dovecot_stop(bad);
	opts.cert = DOVECOT_CERT_SELF_SIGNED;
	bad = dovecot_start(&opts);
	assert_int_not_equal(verify(bad, "localhost"), 0);
	dovecot_stop(bad);
}

static void test_the_capability_list_can_be_replaced(void **state)
{
	struct dovecot_opts opts = { .imap_capability = "IMAP4rev1 UIDPLUS",
				     .max_user_connections = 1 };
	struct dovecot *dv = dovecot_start(&opts);
	struct oracle *o = oracle_open(dv->port, "alice");
	struct bytes caps = oracle_command(o, "CAPABILITY");

	(void)state;
	assert_non_null(memmem(caps.p, caps.n, "UIDPLUS", 7));
	assert_null(memmem(caps.p, caps.n, "CONDSTORE", 9));
	oracle_close(o);
	dovecot_stop(dv);
}

static void test_a_server_comes_back_on_its_ports_and_leaves_nothing(void **state)
{
	struct dovecot *dv = dovecot_start(NULL);
	char *dir = xstrdup(dv->dir);
	int port = dv->port;
	struct oracle *o = oracle_open(port, "alice");

	(void)state;
	oracle_create(o, "kept");
	oracle_close(o);
	dovecot_down(dv);
	assert_int_equal(connect_loopback(port), -1);
	dovecot_restart(dv);
	o = oracle_open(port, "alice");
	oracle_command(o, "EXAMINE kept");
	oracle_close(o);
	dovecot_stop(dv);
	assert_int_equal(connect_loopback(port), -1);
	assert_int_equal(access(dir, F_OK), -1);
	free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_appended_is_what_the_dump_says),
		cmocka_unit_test(test_flags_change_and_messages_go),
		cmocka_unit_test(test_the_demo_account_has_every_kind_of_mailbox),
		cmocka_unit_test(test_twenty_thousand_messages_are_seeded_in_seconds),
		cmocka_unit_test(test_good_certificates_verify_and_bad_ones_do_not),
		cmocka_unit_test(test_the_capability_list_can_be_replaced),
		cmocka_unit_test(test_a_server_comes_back_on_its_ports_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
