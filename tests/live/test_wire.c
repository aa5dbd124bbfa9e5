/* What goes over the wire, read from the transcript of a relay that delays each way by 20 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"

enum { FETCH_BYTES = 8 << 20, MANY = 500 };

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

static struct relay *relay_to_server(void)
{
	return relay_start(&(struct relay_opts){ .port = server->port, .delay_ms = 20 });
}

struct body_fetches {
	unsigned total, in_flight, most_in_flight;
	char open[64][48]; /* "connection tag" */
};

static void fetch_begins(struct body_fetches *f, const char *key)
{
	assert_true(f->in_flight < 64);
	snprintf(f->open[f->in_flight++], sizeof(f->open[0]), "%s", key);
	f->total++;
	if (f->in_flight > f->most_in_flight)
		f->most_in_flight = f->in_flight;
}

static void fetch_ends(struct body_fetches *f, const char *key)
{
	for (unsigned i = 0; i < f->in_flight; i++)
		if (strcmp(f->open[i], key) == 0) {
			memcpy(f->open[i], f->open[--f->in_flight], sizeof(f->open[0]));
			return;
		}
}

/* Transcript lines are "<ms> <connection> C|S: <tag> ...". */
static void count_body_fetches(const char *transcript, struct body_fetches *f)
{
	char *copy = xstrdup(transcript), *save = NULL;

	*f = (struct body_fetches){ 0 };
	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char side, tag[24], key[48];
		int connection;

		if (sscanf(l, "%*d %d %c: %23s", &connection, &side, tag) != 3)
			continue;
		snprintf(key, sizeof(key), "%d %s", connection, tag);
		if (side == 'S')
			fetch_ends(f, key);
		else if (strstr(l, " UID FETCH ") && strstr(l, "BODY.PEEK[]"))
			fetch_begins(f, key);
	}
	free(copy);
}

static void test_bodies_come_in_few_commands_two_in_flight(void **state)
{
	static const unsigned messages[] = { 40, 9, 3, 1 };
	struct oracle *o = oracle_open(server->port, "bodies");
	struct relay *relay = relay_to_server();
	struct backup_config config = { .port = relay_port(relay), .user = "bodies" };
	struct buf transcript = BUF_INIT(1 << 24);
	struct backup_result res;
	struct body_fetches f;
	struct backup job;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "box%u", i);
		oracle_create(o, name);
		corpus_fill(o, name, 100 * i, messages[i], 1 << 20, 1200000);
	}
	backup_init(&job, &config);
	backup_expect(&job, &res, 0, "");
	assert_true(res.bytes > 50 << 20);
	relay_transcript(relay, &transcript);
	count_body_fetches(buf_str(&transcript), &f);
	print_message("%llu bytes, %u body FETCH commands, %u in flight\n",
		      (unsigned long long)res.bytes, f.total, f.most_in_flight);
	assert_in_range(f.total, 1, (res.bytes + FETCH_BYTES - 1) / FETCH_BYTES + 4);
	assert_true(f.most_in_flight >= 2);
	archive_equals(job.root, o);
	backup_result_release(&res);
	relay_stop(relay);
	backup_release(&job);
	buf_release(&transcript);
	oracle_close(o);
}

static void make_many(const char *user)
{
	struct oracle *o = oracle_open(server->port, user);

	for (uint32_t i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "box%03u", i);
		oracle_create(o, name);
		corpus_fill(o, name, i, 1, 0, 300);
	}
	oracle_close(o);
}

/* What follows the login: ENABLE and LIST, in one flight, and the goodbye. */
static void assert_one_list(const char *commands)
{
	char *copy = xstrdup(commands), *save = NULL;
	bool in = false;
	int lists = 0;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (in && strncmp(l, "LIST ", 5) == 0)
			lists++;
		else if (in && strcmp(l, "ENABLE QRESYNC") != 0 && strcmp(l, "LOGOUT") != 0)
			fail_msg("\"%s\" was sent, all of it:\n%s", l, commands);
		in = in || strncmp(l, "LOGIN", 5) == 0 || strncmp(l, "AUTHENTICATE", 12) == 0;
	}
	assert_true(in);
	assert_int_equal(lists, 1);
	free(copy);
}

struct pass {
	uint64_t bytes;	 /* both ways, after the login and before the goodbye */
	uint64_t names;	 /* bytes in the names of the mailboxes listed */
	unsigned flights; /* of commands: each but the first waited for an answer */
};

/* From the transcript of one connection. */
static void measure(const char *transcript, struct pass *out)
{
	char *copy = xstrdup(transcript), *save = NULL;
	bool in = false, answered = true;

	*out = (struct pass){ 0 };
	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		const char *text = strchr(strchr(l, ' ') + 1, ' ') + 4; /* "<ms> <n> C: " */
		bool ours = text[-3] == 'C';

		if (ours && strstr(text, " LOGOUT"))
			break;
		if (in) {
			out->bytes += strlen(text) + 2;
			out->flights += ours && answered;
			answered = !ours;
			if (strncmp(text, "* LIST ", 7) == 0)
				out->names += strlen(strrchr(text, ' ') + 1);
		}
		in = in || (!ours && strstr(text, "Logged in"));
	}
	free(copy);
}

/* A directory changed a moment ago may change again unseen, so the first look after a backup is closer. */
static void test_a_pass_over_500_unchanged_mailboxes_sends_one_list(void **state)
{
	struct backup_config config = { .port = server->port, .user = "many" };
	struct buf commands = BUF_INIT(1 << 20), transcript = BUF_INIT(1 << 20);
	struct relay *relay;
	struct backup job;
	struct pass pass;

	(void)state;
	make_many("many");
	backup_init(&job, &config);
	backup_ends_with(&job, 0, "");
	relay = relay_to_server();
	config.port = relay_port(relay);
	backup_configure(&job, &config);
	backup_idle(&job);
	relay_commands(relay, &commands);
	assert_one_list(buf_str(&commands));
	assert_int_equal(relay_stats(relay).connections, 1);
	relay_transcript(relay, &transcript);
	measure(buf_str(&transcript), &pass);
	print_message("%llu bytes, %u round trips\n", (unsigned long long)pass.bytes, pass.flights);
	assert_int_equal(pass.flights, 1);
	assert_in_range(pass.bytes, MANY * 60, (MANY + 1) * 110 + 4 * pass.names);
	relay_stop(relay);
	backup_release(&job);
	buf_release(&commands);
	buf_release(&transcript);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_come_in_few_commands_two_in_flight),
		cmocka_unit_test(test_a_pass_over_500_unchanged_mailboxes_sends_one_list),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
