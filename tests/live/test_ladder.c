/*
 * What finding out what changed costs on the wire, by what the server can do, against a Dovecot with
 * 100,000 messages in one mailbox. The account hides capabilities, so one server is all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/sync/flagged.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/store_probe.h"

#define MESSAGES 100000
#define NO_EXTENSIONS "CONDSTORE, QRESYNC, ESEARCH, LIST-EXTENDED, LIST-STATUS, ENABLE, NAMESPACE, UNSELECT"

static const struct profile {
	const char *name;
	const char *disabled;
} profiles[] = {
	{ "qresync", "" },
	{ "condstore", "QRESYNC" },
	{ "esearch", "QRESYNC, CONDSTORE" },
	{ "plain", "QRESYNC, CONDSTORE, ESEARCH" },
	{ "bare", NO_EXTENSIONS },
};
enum { QRESYNC, WITH_CONDSTORE, WITH_ESEARCH, PLAIN, BARE };

static struct dovecot *server;
static struct oracle *oracle;
static struct uidset there; /* UIDs in the mailbox now */

static void fill(void)
{
	enum { BATCH = 1000 };
	static struct oracle_new v[BATCH];

	for (size_t i = 0; i < BATCH; i++)
		v[i] = (struct oracle_new){ i % 3 ? "\\Seen" : "", NULL, bytes_of("A: b\r\n\r\nc\r\n") };
	for (size_t n = 0; n < MESSAGES; n += BATCH)
		oracle_append(oracle, "INBOX", v, BATCH);
	uidset_add_range(&there, 1, MESSAGES);
}

static int start(void **state)
{
	static const struct dovecot_opts opts = { .extra = "mail_location = mdbox:~/mdbox\n" };

	(void)state;
	server = dovecot_start(&opts);
	oracle = oracle_open(server->port, "alice");
	fill();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	oracle_close(oracle);
	dovecot_stop(server);
	uidset_release(&there);
	return 0;
}

static void expunge(const struct uidset *set)
{
	struct buf text = BUF_INIT(1 << 20);

	uidset_format(set, &text);
	oracle_expunge(oracle, "INBOX", buf_str(&text));
	uidset_subtract(&there, &there, set);
	buf_release(&text);
}

/* As many, spread evenly, never the same twice. */
static void scattered(uint32_t n, struct uidset *out)
{
	uint32_t count = (uint32_t)uidset_count(&there), step = count / n;

	for (uint32_t i = 0; i < n; i++)
		uidset_add(out, uidset_select(&there, 1 + i * step + step / 3));
}

struct cost {
	uint64_t bytes; /* both ways, from EXAMINE on, LOGOUT included */
	unsigned round_trips;
};

#define DELAY_MS 100 /* each way: a client that falls behind by less is not blamed */
#define COMMANDS_MAX 1000

/*
 * A new flight begins with a command that was sent when one of the flight before it had been answered:
 * so many times something had to be waited for, however much was on the way.
 */
static unsigned count_flights(const char *transcript)
{
	char *copy = xstrdup(transcript), *save = NULL;
	unsigned flight_of[COMMANDS_MAX], n = 0, answered = 0, flight = 0;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char side, tag[32];

		if (sscanf(l, "%*d %*d %c: %31s", &side, tag) != 2 || strstr(l, " LOGOUT"))
			continue;
		if (side == 'C') {
			assert_true(n < COMMANDS_MAX);
			if (n == 0 || (answered > 0 && flight_of[answered - 1] == flight))
				flight++;
			flight_of[n++] = flight;
		} else if (tag[0] != '*' && tag[0] != '+' && answered < n) {
			answered++; /* they are answered in order */
		}
	}
	free(copy);
	return flight;
}

/* What is known is `known`, agreed upon at `since`; what is told must be what is there. */
static struct cost look(const struct profile *p, const struct token *since, const struct uidset *known,
			bool flags_as_then, const struct flagged *flagged, struct changes *out)
{
	struct relay *relay = relay_start(&(struct relay_opts){ .port = server->port, .delay_ms = DELAY_MS });
	struct changes_request req = { .since = since, .known = known, .out = out,
				       .flags_as_then = flags_as_then, .flagged = flagged };
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(64 << 20);
	struct relay_stats then;
	struct store_probe probe;
	struct cost cost;
	struct err err;

	probe_init(&probe, relay_port(relay), "alice");
	probe.account.disable_extensions = p->disabled;
	probe_open(&probe);
	probe_list(&probe, NULL);
	req.mailbox = probe_mailbox(&probe, "INBOX");
	relay_transcript(relay, &before);
	then = relay_stats(relay);
	changes_init(out);
	if (store_changes(probe.store, &req, 1, &err) < 0)
		fail_msg("%s: %s", p->name, err.text);
	probe_close(&probe); /* and then the relay has counted what went before */
	relay_transcript(relay, &after);
	cost = (struct cost){ .bytes = relay_stats(relay).to_client - then.to_client +
				       relay_stats(relay).to_server - then.to_server,
			      .round_trips = count_flights(buf_str(&after) + before.n) };
	relay_stop(relay);
	buf_release(&before);
	buf_release(&after);
	assert_int_equal(out->err.kind, ERR_NONE);
	assert_true(out->complete);
	return cost;
}

static void look_and_forget(const struct profile *p, struct token *token)
{
	struct changes c;

	look(p, NULL, NULL, false, NULL, &c);
	assert_int_equal(c.n, uidset_count(&there));
	*token = c.token;
	changes_release(&c);
}

/* Bytes of `* SEARCH 1 2 3 ...` over all there is. */
static uint64_t plain_search_bytes(void)
{
	uint64_t bytes = 0;
	char text[16];

	for (uint32_t uid = 0; (uid = uidset_next(&there, uid)) != 0;)
		bytes += (uint64_t)snprintf(text, sizeof(text), " %u", uid);
	return bytes;
}

static struct cost after_expunging(const struct profile *p, uint32_t n)
{
	struct uidset known = UIDSET_INIT, gone = UIDSET_INIT;
	struct token since;
	struct changes c;
	struct cost cost;

	look_and_forget(p, &since);
	uidset_copy(&known, &there);
	scattered(n, &gone);
	expunge(&gone);
	cost = look(p, &since, &known, true, NULL, &c);
	assert_true(c.delta);
	assert_true(uidset_equal(&c.vanished, &gone));
	print_message("%-10s %u gone: %llu bytes, %u round trips; UID SEARCH ALL is %llu bytes\n",
		      p->name, n, (unsigned long long)cost.bytes, cost.round_trips,
		      (unsigned long long)plain_search_bytes());
	changes_release(&c);
	uidset_release(&known);
	uidset_release(&gone);
	return cost;
}

static void test_500_of_100000_gone_cost_a_part_of_the_list(void **state)
{
	uint64_t list = plain_search_bytes();
	struct cost cost;

	(void)state;
	assert_in_range(after_expunging(&profiles[QRESYNC], 500).bytes, 1, 10240);
	assert_in_range(after_expunging(&profiles[WITH_CONDSTORE], 500).bytes, 1, 10240);
	assert_in_range(after_expunging(&profiles[WITH_ESEARCH], 500).bytes, 1, 10240);
	for (size_t i = PLAIN; i <= BARE; i++) {
		cost = after_expunging(&profiles[i], 500);
		assert_in_range(cost.bytes, 1, list * 35 / 100);
		assert_in_range(cost.round_trips, 1, 4);
	}
}

static void test_5_of_100000_gone_cost_a_twentieth_of_the_list(void **state)
{
	(void)state;
	for (size_t i = PLAIN; i <= BARE; i++) {
		struct cost cost = after_expunging(&profiles[i], 5);

		assert_in_range(cost.bytes, 1, plain_search_bytes() / 20);
		assert_in_range(cost.round_trips, 1, 4);
	}
}

/* What a base of all that is there would say. */
static void know_flags(const struct profile *p, struct token *since, struct changes *all,
		       struct flagged *flagged)
{
	look(p, NULL, NULL, false, NULL, all);
	*since = all->token;
	for (size_t i = 0; i < all->n; i++) {
		all->v[i].source_uid = all->v[i].uid;
		all->v[i].base_flags = all->v[i].flags;
	}
	assert_true(flagged_gather(flagged, all, &there));
}

static void test_flags_without_mod_sequences_cost_a_part_of_all_flags(void **state)
{
	struct changes all, c;
	struct flagged flagged;
	struct token since;
	struct uidset told = UIDSET_INIT, changed = UIDSET_INIT;
	struct buf set = BUF_INIT(1000);
	struct cost whole, cost;

	(void)state;
	know_flags(&profiles[WITH_ESEARCH], &since, &all, &flagged);
	for (unsigned i = 1; i <= 3; i++) {
		uint32_t uid = uidset_select(&there, 1000 * i);

		uidset_add(&changed, uid);
		buf_clear(&set);
		buf_addf(&set, "%u", uid);
		oracle_store(oracle, "INBOX", buf_str(&set), "+FLAGS", i == 1 ? "$New" : "\\Answered");
	}
	cost = look(&profiles[WITH_ESEARCH], &since, &there, false, &flagged, &c);
	assert_true(c.delta);
	assert_int_equal(c.n, 3);
	for (size_t i = 0; i < c.n; i++)
		uidset_add(&told, c.v[i].uid);
	assert_true(uidset_equal(&told, &changed));
	changes_release(&c);
	whole = look(&profiles[PLAIN], &since, &there, false, &flagged, &c);
	assert_false(c.delta);
	print_message("3 flags changed: %llu bytes, %u round trips; all flags are %llu bytes\n",
		      (unsigned long long)cost.bytes, cost.round_trips, (unsigned long long)whole.bytes);
	assert_in_range(cost.bytes, 1, whole.bytes / 5);
	assert_in_range(cost.round_trips, 1, 3);
	changes_release(&c);
	changes_release(&all);
	flagged_release(&flagged);
	uidset_release(&told);
	uidset_release(&changed);
	buf_release(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_500_of_100000_gone_cost_a_part_of_the_list),
		cmocka_unit_test(test_5_of_100000_gone_cost_a_twentieth_of_the_list),
		cmocka_unit_test(test_flags_without_mod_sequences_cost_a_part_of_all_flags),
	};

	return cmocka_run_group_tests_name("ladder", tests, start, stop);
}
