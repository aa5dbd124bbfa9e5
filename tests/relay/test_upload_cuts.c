#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/imap/imap.h"
#include "core/base/mem.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"
#include "tests/lib/target_rig.h"

/*
 * Uploads whose line is cut at any byte, of what is sent or of what is answered. The run goes on by itself, or it
 * dies with the line and another one ends its work: then the account has each message once. Several mailboxes, messages
 * with several combinations of flags, three of them equal.
 */
#define MESSAGES 10u
#define MAILBOXES 5u /* enough for several connections */

static const char *const mailboxes[MAILBOXES] = { "One", "Two", "Three", "Four", "Five" };
static const char *const flags[] = { "", "\\Seen", "\\Flagged $Todo" };

/* The same text for the same numbers; 7, 8 and 9 are equal. */
static char *body_of(size_t mailbox, uint32_t uid)
{
	uint32_t number = uid == 8 || uid == 9 ? 7 : uid;
	struct buf text = BUF_INIT(1 << 16);

	buf_addf(&text, "Message-ID: <%zu.%u@test>\r\nSubject: message %u\r\n\r\n", mailbox, number, number);
	for (uint32_t i = 0; i < number * 7; i++)
		buf_addf(&text, "line %u of message %u, x DELETE INBOX\r\n", i, number);
	return buf_take(&text);
}

/* What the source holds of a mailbox that the store does not say that it has. */
static int append_missing(struct target_rig *rig, size_t which)
{
	struct mailbox *mb = target_rig_mailbox(rig, mailboxes[which]);
	struct uidset has = UIDSET_INIT;
	int ret = 0;

	if (!mb)
		return -1;
	target_rig_bound(rig, mb, &has);
	for (uint32_t uid = 1; uid <= MESSAGES && ret == 0; uid++) {
		char *body;

		if (uidset_has(&has, uid))
			continue;
		body = body_of(which, uid);
		ret = target_rig_append(rig, mb, &(struct target_message){
			.uid = uid, .flags = flags[uid % 3], .body = bytes_of(body) });
		free(body);
	}
	uidset_release(&has);
	return ret;
}

static int run(struct target_rig *rig)
{
	int ret = target_rig_try_open(rig);

	if (ret == 0)
		imap_store_set_patience(rig->probe.store, 8);
	for (size_t i = 0; i < MAILBOXES && ret == 0; i++)
		ret = append_missing(rig, i);
	return ret == 0 ? target_rig_commit(rig) : -1;
}

static void has_each_once(struct oracle *o, const char *what)
{
	for (size_t i = 0; i < MAILBOXES; i++) {
		struct oracle_dump d;
		bool used[2 * MESSAGES] = { false };

		oracle_dump(o, mailboxes[i], &d);
		if (d.n != MESSAGES)
			fail_msg("%s: %zu messages in %s", what, d.n, mailboxes[i]);
		for (uint32_t uid = 1; uid <= MESSAGES; uid++) {
			char *body = body_of(i, uid), sha[SHA256_HEX_SIZE];
			size_t k = 0;

			sha256_hex(bytes_of(body), sha);
			while (k < d.n && (used[k] || strcmp(d.msg[k].sha256, sha) != 0))
				k++;
			if (k == d.n)
				fail_msg("%s: message %u is not in %s", what, uid, mailboxes[i]);
			used[k] = true;
			free(body);
		}
		oracle_dump_release(&d);
	}
}

static struct relay_stats whole_run(struct dovecot *dv)
{
	struct relay *r = relay_start(&(struct relay_opts){ .port = dv->port });
	struct oracle *o = oracle_open(dv->port, "whole");
	struct target_rig rig;
	struct relay_stats stats;

	target_rig_init(&rig, relay_port(r), "whole");
	if (run(&rig) < 0)
		fail_msg("%s", rig.err.text);
	target_rig_close(&rig);
	has_each_once(o, "no cut");
	stats = relay_stats(r);
	target_rig_release(&rig);
	oracle_close(o);
	relay_stop(r);
	return stats;
}

/* Ended as by a power cut, as soon as the line is torn. */
static void die_with_the_line(struct target_rig *rig, const struct relay *r)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		run(rig);
		_exit(0);
	}
	while (!relay_stats(r).cuts && waitpid(child, &status, WNOHANG) == 0)
		usleep(500);
	if (relay_stats(r).cuts) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
}

static void cut_once(struct dovecot *dv, unsigned number, const struct relay_stats *whole)
{
	bool dies = number % 2, answers = number % 4 >= 2;
	uint64_t all = answers ? whole->to_client : whole->to_server;
	uint64_t at = 1 + (uint64_t)rand() % (all * 2 / 3); /* of one of the connections */
	struct relay *r = relay_start(&(struct relay_opts){
		.port = dv->port, .cut_times = dies ? 0 : 1,
		.cut_to_client = answers ? at : 0, .cut_to_server = answers ? 0 : at });
	char user[32], what[80], port[16];
	struct target_rig rig;
	struct oracle *o;

	snprintf(user, sizeof(user), "cut%u", number);
	snprintf(what, sizeof(what), "cut %u after %llu bytes to the %s, the run %s", number,
		 (unsigned long long)at, answers ? "client" : "server", dies ? "dies" : "goes on");
	target_rig_init(&rig, relay_port(r), user);
	if (dies)
		die_with_the_line(&rig, r);
	else
		run(&rig); /* the login may be what was cut; that is no upload's business */
	target_rig_close(&rig);
	snprintf(port, sizeof(port), "%d", dv->port);
	rig.probe.account.port = port;
	if (run(&rig) < 0)
		fail_msg("%s: %s", what, rig.err.text);
	target_rig_close(&rig);
	o = oracle_open(dv->port, user);
	has_each_once(o, what);
	oracle_close(o);
	target_rig_release(&rig);
	relay_stop(r);
}

/* CUTS=n: that many, for more than a check has time for. */
static void cut_everywhere(const char *capability, unsigned cuts)
{
	struct dovecot *dv = dovecot_start(&(struct dovecot_opts){
		.imap_capability = capability, .extra = "mail_fsync = never\n" });
	struct relay_stats whole = whole_run(dv);
	const char *rounds = getenv("CUTS");

	srand(1);
	for (unsigned i = 0; i < (rounds ? (unsigned)atoi(rounds) : cuts); i++)
		cut_once(dv, i, &whole);
	dovecot_stop(dv);
}

static void test_nothing_is_lost_or_doubled_wherever_the_line_is_cut(void **state)
{
	(void)state;
	cut_everywhere(NULL, 100);
}

static void test_nothing_is_lost_or_doubled_where_uids_are_not_told(void **state)
{
	(void)state;
	cut_everywhere("IMAP4rev1 LITERAL+ MULTIAPPEND NAMESPACE", 80);
}

static void test_nothing_is_lost_or_doubled_where_messages_go_one_by_one(void **state)
{
	(void)state;
	cut_everywhere("IMAP4rev1 UIDPLUS", 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_lost_or_doubled_wherever_the_line_is_cut),
		cmocka_unit_test(test_nothing_is_lost_or_doubled_where_uids_are_not_told),
		cmocka_unit_test(test_nothing_is_lost_or_doubled_where_messages_go_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
