#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backends/imap/imap.h"
#include "core/base/mem.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/store_probe.h"
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

static size_t count_lines(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, part)); p++)
		n++;
	return n;
}

/* The zone does not survive Dovecot, the moment does. */
static time_t moment(const char *date)
{
	struct tm tm = { 0 };
	long offset;

	assert_non_null(strptime(date, "%d-%b-%Y %H:%M:%S %z", &tm));
	offset = tm.tm_gmtoff;
	return timegm(&tm) - offset;
}

static void assert_same_words(const char *got, const char *want)
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

static void assert_equals_dump(const struct probe_sink *s, const void *tag,
			       const struct oracle_dump *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct probed_message *m = probe_message(s, tag, d->msg[i].uid);

		assert_string_equal(m->sha256, d->msg[i].sha256);
		assert_same_words(m->flags, d->msg[i].flags);
		assert_int_equal(moment(m->date), moment(d->msg[i].date));
		assert_int_equal(probe_outcome(s, tag, m->uid)->what, OUTCOME_DONE);
	}
}

/* Everything of a mailbox that nothing is stored of. */
static void want_all(struct want *w, struct uidset *set, struct store_probe *p, const char *name)
{
	struct changes changes;
	struct changes_request req = { .mailbox = probe_mailbox(p, name), .everything_new = true,
				       .out = &changes };
	struct err err;

	changes_init(&changes);
	assert_int_equal(store_changes(p->store, &req, 1, &err), 0);
	assert_int_equal(changes.err.kind, ERR_NONE);
	uidset_init(set);
	uidset_copy(set, &changes.fresh);
	*w = (struct want){ .mailbox = req.mailbox, .set = set, .tag = w,
			    .expect = changes.token.messages };
	changes_release(&changes);
}

static void fetch_all(struct store_probe *p, struct want *w, size_t n, struct probe_sink *s)
{
	struct err err;

	if (store_fetch(p->store, w, n, &s->sink, probe_report, s, &err) < 0)
		fail_msg("fetch: %s", err.text);
	for (size_t i = 0; i < n; i++) {
		if (!w[i].complete)
			fail_msg("not complete: %s", w[i].err.text);
		assert_int_equal(w[i].err.kind, ERR_NONE);
	}
	assert_int_equal(s->open, 0);
}

static void test_every_message_comes_as_the_server_has_it(void **state)
{
	struct oracle *o = oracle_open(server->port, "whole");
	struct store_probe p;
	struct probe_sink s;
	struct want *w;
	struct uidset *set;
	size_t messages = 0, selectable = 0;

	(void)state;
	corpus_fill_demo(o);
	probe_init(&p, server->port, "whole");
	probe_open(&p);
	probe_list(&p, NULL);
	probe_sink_init(&s);
	w = xcalloc(corpus_mailboxes_n, sizeof(*w));
	set = xcalloc(corpus_mailboxes_n, sizeof(*set));
	for (size_t i = 0; i < corpus_mailboxes_n; i++)
		want_all(&w[i], &set[i], &p, corpus_mailboxes[i].utf8);
	fetch_all(&p, w, corpus_mailboxes_n, &s);
	for (size_t i = 0; i < corpus_mailboxes_n; i++) {
		const struct mailbox_info *info = probe_info(&p, corpus_mailboxes[i].utf8);
		struct oracle_dump d;

		oracle_dump(o, corpus_mailboxes[i].wire, &d);
		assert_int_equal(info->token.messages, d.n);
		assert_int_equal(info->token.uidvalidity, d.uidvalidity);
		assert_int_equal(info->token.uidnext, d.uidnext);
		assert_equals_dump(&s, &w[i], &d);
		messages += d.n;
		oracle_dump_release(&d);
		uidset_release(&set[i]);
	}
	assert_int_equal(s.n, messages);
	assert_int_equal(s.n_outcomes, messages);
	/* What stands above others is a name only. */
	for (size_t i = 0; i < p.list.n; i++)
		selectable += !(p.list.v[i].attributes & MAILBOX_NOSELECT);
	assert_int_equal(selectable, corpus_mailboxes_n);
	free(w);
	free(set);
	probe_sink_release(&s);
	probe_close(&p);
	oracle_close(o);
}

static void test_a_pass_with_nothing_new_is_one_list_after_login(void **state)
{
	struct oracle *o = oracle_open(server->port, "quiet");
	struct relay_opts opts = { .port = server->port };
	struct relay *r;
	struct store_probe p;
	struct buf commands = BUF_INIT(1 << 20);
	const char *after;
	char *hint;

	(void)state;
	for (int i = 0; i < 50; i++) {
		char name[32];

		snprintf(name, sizeof(name), "box%d", i);
		oracle_create(o, name);
	}
	corpus_fill(o, "box7", 1, 3, 100, 200);
	probe_init(&p, server->port, "quiet");
	probe_open(&p);
	probe_list(&p, NULL);
	assert_non_null(p.list.hint);
	hint = xstrdup(p.list.hint);
	probe_close(&p);

	r = relay_start(&opts);
	probe_init(&p, relay_port(r), "quiet");
	probe_open(&p);
	probe_list(&p, hint);
	assert_int_equal(p.list.n, 51);
	assert_int_equal(probe_info(&p, "box7")->token.messages, 3);
	assert_true(probe_info(&p, "box7")->token.highestmodseq > 0);
	assert_string_equal(p.list.hint, hint);
	probe_close(&p);
	relay_commands(r, &commands);
	after = strstr(buf_str(&commands), "LIST");
	assert_non_null(after);
	assert_int_equal(count_lines(buf_str(&commands), "LIST"), 1);
	assert_int_equal(count_lines(after, "\n"), 2);
	assert_non_null(strstr(after, "\nLOGOUT"));
	assert_int_equal(count_lines(buf_str(&commands), "NAMESPACE"), 0);
	relay_stop(r);
	free(hint);
	buf_release(&commands);
	oracle_close(o);
}

static void test_bodies_come_in_few_commands_two_in_flight(void **state)
{
	struct oracle *o = oracle_open(server->port, "flight");
	struct relay_opts opts = { .port = server->port, .delay_ms = 20 };
	struct relay *r = relay_start(&opts);
	struct store_probe p;
	struct probe_sink s;
	struct want w;
	struct uidset set;
	struct buf text = BUF_INIT(64 << 20);
	struct oracle_dump d;
	size_t commands;

	(void)state;
	corpus_fill_mixed(o, "INBOX", 1, 1000, (size_t)25 << 20);
	probe_init(&p, relay_port(r), "flight");
	probe_open(&p);
	probe_list(&p, NULL);
	probe_sink_init(&s);
	want_all(&w, &set, &p, "INBOX");
	fetch_all(&p, &w, 1, &s);
	oracle_dump(o, "INBOX", &d);
	assert_int_equal(s.n, 1000);
	assert_equals_dump(&s, &w, &d);
	oracle_dump_release(&d);
	probe_close(&p);
	relay_commands(r, &text);
	commands = count_lines(buf_str(&text), "BODY.PEEK[]");
	if (commands > (s.bytes + (8 << 20) - 1) / (8 << 20) + 1)
		fail_msg("%zu commands for %llu bytes", commands, (unsigned long long)s.bytes);
	assert_true(commands >= 2);
	assert_true(relay_stats(r).max_in_flight >= 2);
	relay_stop(r);
	buf_release(&text);
	uidset_release(&set);
	probe_sink_release(&s);
	oracle_close(o);
}

static void test_small_messages_after_large_ones_take_no_more_commands(void **state)
{
	struct oracle *o = oracle_open(server->port, "shrink");
	struct relay_opts opts = { .port = server->port };
	struct relay *r = relay_start(&opts);
	struct store_probe p;
	struct probe_sink s;
	struct want w;
	struct uidset set;
	struct buf text = BUF_INIT(64 << 20);

	(void)state;
	corpus_fill(o, "INBOX", 1, 300, 100000, 110000);
	corpus_fill(o, "INBOX", 1000, 12000, 200, 300);
	probe_init(&p, relay_port(r), "shrink");
	probe_open(&p);
	probe_list(&p, NULL);
	probe_sink_init(&s);
	want_all(&w, &set, &p, "INBOX");
	fetch_all(&p, &w, 1, &s);
	assert_int_equal(s.n, 12300);
	probe_close(&p);
	relay_commands(r, &text);
	assert_in_range(count_lines(buf_str(&text), "BODY.PEEK[]"), 2,
			(s.bytes + (8 << 20) - 1) / (8 << 20) + 1);
	relay_stop(r);
	buf_release(&text);
	uidset_release(&set);
	probe_sink_release(&s);
	oracle_close(o);
}

/* Several mailboxes, one of them large, over as many connections as the server grants. */
static void fetch_many(int port, unsigned granted)
{
	static const char *const names[] = { "INBOX", "A", "B", "C", "D", "E", "F", "G" };
	enum { N = sizeof(names) / sizeof(names[0]) };
	struct oracle *o = oracle_open(port, "many");
	struct relay_opts opts = { .port = port };
	struct relay *r = relay_start(&opts);
	struct store_probe p;
	struct probe_sink s;
	struct want w[N];
	struct uidset set[N];
	struct buf text = BUF_INIT(64 << 20);
	size_t messages = 0;

	for (int i = 0; i < N; i++) {
		if (i)
			oracle_create(o, names[i]);
		corpus_fill(o, names[i], (uint32_t)i * 100, i ? 20 : 5000, 300, 900);
	}
	probe_init(&p, relay_port(r), "many");
	probe_open(&p);
	probe_list(&p, NULL);
	probe_sink_init(&s);
	for (int i = 0; i < N; i++)
		want_all(&w[i], &set[i], &p, names[i]);
	fetch_all(&p, w, N, &s);
	probe_close(&p);
	for (int i = 0; i < N; i++) {
		struct oracle_dump d;

		oracle_dump(o, names[i], &d);
		messages += d.n;
		if (i)
			assert_equals_dump(&s, &w[i], &d);
		oracle_dump_release(&d);
		uidset_release(&set[i]);
	}
	assert_int_equal(s.n, messages);
	assert_int_equal(s.n_outcomes, messages);
	relay_commands(r, &text);
	assert_in_range(count_lines(buf_str(&text), "BODY.PEEK[]"), N, N + 1);
	if (granted == 1)
		assert_int_equal(count_lines(buf_str(&text), "EXAMINE"), N);
	else
		assert_true(relay_stats(r).connections > 1);
	relay_stop(r);
	buf_release(&text);
	probe_sink_release(&s);
	oracle_close(o);
}

static void test_work_is_spread_over_connections(void **state)
{
	(void)state;
	fetch_many(server->port, 4);
}

static void test_a_server_that_grants_one_connection_is_content_with_one(void **state)
{
	/* The other one is the oracle's. */
	const struct dovecot_opts one = { .max_user_connections = 2 };
	struct dovecot *dv = dovecot_start(&one);

	(void)state;
	fetch_many(dv->port, 1);
	dovecot_stop(dv);
}

static struct changes compare_with(struct store_probe *p, const char *name)
{
	struct changes c;
	struct changes_request req = { .mailbox = probe_mailbox(p, name), .out = &c };
	struct err err;

	changes_init(&c);
	if (store_changes(p->store, &req, 1, &err) < 0)
		fail_msg("changes: %s", err.text);
	return c;
}

static void test_a_comparison_tells_every_message_and_its_flags(void **state)
{
	struct oracle *o = oracle_open(server->port, "compare");
	struct store_probe p;
	struct changes c;
	struct buf text = BUF_INIT(1000);

	(void)state;
	corpus_fill(o, "INBOX", 1, 200, 100, 400);
	oracle_expunge(o, "INBOX", "3,50:60");
	oracle_store(o, "INBOX", "7", "FLAGS", "\\Flagged $Important");
	probe_init(&p, server->port, "compare");
	probe_open(&p);
	probe_list(&p, NULL);
	c = compare_with(&p, "INBOX");
	assert_int_equal(c.err.kind, ERR_NONE);
	assert_true(c.complete);
	assert_int_equal(c.n, 188);
	assert_int_equal(c.token.messages, 188);
	assert_int_equal(c.token.uidnext, 201);
	assert_true(c.token.highestmodseq > 0);
	for (size_t i = 0; i < c.n; i++) {
		assert_true(c.v[i].uid != 3 && (c.v[i].uid < 50 || c.v[i].uid > 60));
		if (c.v[i].uid == 7)
			flags_format(flag_table_get(c.flags, c.v[i].flags), &text);
	}
	assert_string_equal(buf_str(&text), "\\Flagged $Important");
	changes_release(&c);
	/* What arrives and goes after the list is part of the answer. */
	corpus_fill(o, "INBOX", 300, 2, 100, 400);
	oracle_expunge(o, "INBOX", "1");
	c = compare_with(&p, "INBOX");
	assert_true(c.complete);
	assert_int_equal(c.n, 189);
	assert_int_equal(c.token.uidnext, 203);
	assert_int_equal(c.v[c.n - 1].uid, 202);
	changes_release(&c);
	buf_release(&text);
	probe_close(&p);
	oracle_close(o);
}

static void test_a_name_that_does_not_exist_is_told_from_one_that_does(void **state)
{
	struct oracle *o = oracle_open(server->port, "names");
	struct store_probe p;
	struct mailbox_name name;
	struct err err;
	bool there = false;

	(void)state;
	oracle_create(o, "here");
	probe_init(&p, server->port, "names");
	probe_open(&p);
	probe_list(&p, NULL);
	mailbox_name_init(&name);
	mailbox_name_from_display(&name, bytes_of("here"), &err);
	assert_int_equal(store_exists(p.store, &name, &there, &err), 0);
	assert_true(there);
	mailbox_name_from_display(&name, bytes_of("nowhere/at all"), &err);
	assert_int_equal(store_exists(p.store, &name, &there, &err), 0);
	assert_false(there);
	mailbox_name_release(&name);
	probe_close(&p);
	oracle_close(o);
}

static void test_a_torn_line_costs_nothing_but_time(void **state)
{
	struct oracle *o = oracle_open(server->port, "torn");
	struct relay_opts opts = { .port = server->port, .cut_to_client = 300000, .cut_times = 3 };
	struct relay *r;
	struct store_probe p;
	struct probe_sink s;
	struct want w;
	struct uidset set;
	struct oracle_dump d;

	(void)state;
	corpus_fill(o, "INBOX", 1, 100, 10000, 20000);
	r = relay_start(&opts);
	probe_init(&p, relay_port(r), "torn");
	p.account.connections = 1;
	probe_open(&p);
	probe_list(&p, NULL);
	probe_sink_init(&s);
	want_all(&w, &set, &p, "INBOX");
	fetch_all(&p, &w, 1, &s);
	oracle_dump(o, "INBOX", &d);
	assert_int_equal(s.n, 100);
	assert_equals_dump(&s, &w, &d);
	assert_int_equal(relay_stats(r).cuts, 3);
	oracle_dump_release(&d);
	probe_close(&p);
	relay_stop(r);
	uidset_release(&set);
	probe_sink_release(&s);
	oracle_close(o);
}

static void test_a_wrong_host_or_port_is_worth_another_try_later(void **state)
{
	struct store_probe p;
	struct err err;

	(void)state;
	probe_init(&p, free_port(), "nobody");
	assert_int_equal(store_open(&imap_store, &p.store, &p.cfg, STORE_READ, &err), -1);
	assert_int_equal(err.kind, ERR_RETRY);
	probe_close(&p);
}

static void test_the_fingerprint_is_user_and_host(void **state)
{
	struct imap_account a = { .host = "IMAP.Example.ORG", .user = "Jo" };
	char *text = imap_fingerprint(&a);

	(void)state;
	assert_string_equal(text, "Jo@imap.example.org");
	free(text);
	a.authzid = "boss";
	text = imap_fingerprint(&a);
	assert_string_equal(text, "boss@imap.example.org");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_comes_as_the_server_has_it),
		cmocka_unit_test(test_a_pass_with_nothing_new_is_one_list_after_login),
		cmocka_unit_test(test_bodies_come_in_few_commands_two_in_flight),
		cmocka_unit_test(test_small_messages_after_large_ones_take_no_more_commands),
		cmocka_unit_test(test_work_is_spread_over_connections),
		cmocka_unit_test(test_a_server_that_grants_one_connection_is_content_with_one),
		cmocka_unit_test(test_a_comparison_tells_every_message_and_its_flags),
		cmocka_unit_test(test_a_name_that_does_not_exist_is_told_from_one_that_does),
		cmocka_unit_test(test_a_torn_line_costs_nothing_but_time),
		cmocka_unit_test(test_a_wrong_host_or_port_is_worth_another_try_later),
		cmocka_unit_test(test_the_fingerprint_is_user_and_host),
	};

	return cmocka_run_group_tests_name("imap store", tests, start, stop);
}
