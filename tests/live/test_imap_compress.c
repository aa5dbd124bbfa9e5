#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "core/msgset/uidset.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"

enum { MESSAGES = 60, MESSAGE_SIZE = 100000 };

static struct dovecot *server;

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pw");
	return 0;
}

/* Text that shrinks to a third or so, every message another. */
static void fill_message(struct buf *out, uint32_t seed)
{
	buf_add_str(out, "Subject: text\r\n\r\n");
	while (out->n < MESSAGE_SIZE) {
		seed = seed * 1664525 + 1013904223;
		buf_addf(out, "the number that comes next is %u\r\n", seed >> 8);
	}
}

static int setup(void **state)
{
	static const struct dovecot_opts opts = { .extra_imap = "  mail_plugins = zlib imap_zlib" };
	struct oracle_new new[MESSAGES] = { 0 };
	struct buf text[MESSAGES];
	struct oracle *o;

	(void)state;
	server = dovecot_start(&opts);
	o = oracle_open(server->port, "alice");
	for (uint32_t i = 0; i < MESSAGES; i++) {
		buf_init(&text[i], 1 << 20);
		fill_message(&text[i], i);
		new[i] = (struct oracle_new){ .flags = "", .body = buf_bytes(&text[i]) };
	}
	oracle_append(o, "INBOX", new, MESSAGES);
	for (uint32_t i = 0; i < MESSAGES; i++)
		buf_release(&text[i]);
	oracle_close(o);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

/* --- a connection that does not know it is a local one --- */

struct far {
	struct transport base;
	struct transport *lower;
};

static enum transport_io far_open(struct transport *t, struct err *err)
{
	enum transport_io io = transport_open(((struct far *)t)->lower, err);

	t->wake_at = ((struct far *)t)->lower->wake_at;
	return io;
}

static enum transport_io far_read(struct transport *t, void *p, size_t max, size_t *n,
				  struct err *err)
{
	return transport_read(((struct far *)t)->lower, p, max, n, err);
}

static enum transport_io far_write(struct transport *t, struct bytes data, size_t *n,
				   struct err *err)
{
	return transport_write(((struct far *)t)->lower, data, n, err);
}

static bool far_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	return transport_poll(((struct far *)t)->lower, intent, out);
}

static void far_free(struct transport *t)
{
	transport_free(((struct far *)t)->lower);
	free(t);
}

static struct transport *far_new(struct transport *lower)
{
	static const struct transport_ops ops = {
		.open = far_open, .read = far_read, .write = far_write,
		.poll = far_poll, .free = far_free };
	struct far *far = xcalloc(1, sizeof(*far));

	far->base.ops = &ops;
	far->lower = lower;
	return &far->base;
}

/* --- fetching all of it, a message to a command --- */

struct fetched {
	uint64_t bytes;
	unsigned messages, failed;
};

static void on_data(void *ctx, struct bytes piece)
{
	((struct fetched *)ctx)->bytes += piece.n;
}

static void on_message(void *ctx, const struct imap_fetch *f)
{
	(void)f;
	((struct fetched *)ctx)->messages++;
}

static void on_done(void *ctx, const struct imap_result *r)
{
	((struct fetched *)ctx)->failed += r->outcome != IMAP_DONE_OK;
}

static void fetch_all(struct imap_session *s)
{
	struct fetched got = { 0 };
	const struct imap_fetch_sink sink = { .body_data = on_data, .message = on_message,
					      .done = on_done, .ctx = &got };
	struct err err = { 0 };

	/* On a busy machine a single answer may take as long as one from far away. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(imap_noop_wait(s, &err), 0);
	assert_int_equal(imap_select(s, bytes_of("INBOX"), true, NULL, NULL, &err), 0);
	for (uint32_t uid = 1; uid <= MESSAGES; uid++) {
		struct uidset set;

		uidset_init(&set);
		uidset_add(&set, uid);
		assert_int_equal(imap_fetch(s, &(struct imap_fetch_request){
			.uids = &set, .section = "" }, &sink, &err), 0);
		uidset_release(&set);
	}
	assert_int_equal(imap_session_drain(s, &err), 0);
	assert_int_equal(got.failed, 0);
	assert_int_equal(got.messages, MESSAGES);
	assert_in_range(got.bytes, (uint64_t)MESSAGES * MESSAGE_SIZE, MESSAGES * (MESSAGE_SIZE + 100));
}

/* Fetch all over a line like that; is it compressed at the end, and what went over the line? */
static bool compresses(const struct relay_opts *line, bool is_far, enum imap_compress compress,
		       uint64_t *on_line)
{
	const struct imap_account account = { .name = "alice", .host = "127.0.0.1",
					      .tls = IMAP_TLS_NONE, .user = "alice",
					      .password = give_password, .compress = compress,
					      .timeout_ms = 20000 };
	struct relay_opts opts = *line;
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s;
	struct transport *t;
	struct relay *relay;
	struct err err = { 0 };
	char port[16];
	bool yes;

	opts.port = server->port;
	relay = relay_start(&opts);
	snprintf(port, sizeof(port), "%d", relay_port(relay));
	t = transport_tcp_new("127.0.0.1", port, 5000, &err);
	assert_non_null(t);
	s = imap_session_new_on(loop, &account, NULL, is_far ? far_new(t) : t);
	assert_int_equal(imap_session_open(s, &err), 0);
	fetch_all(s);
	yes = imap_session_is_compressed(s);
	assert_int_equal(imap_noop_wait(s, &err), 0);
	assert_int_equal(imap_logout_wait(s, &err), 0);
	imap_session_free(s);
	loop_free(loop);
	*on_line = relay_stats(relay).to_client;
	relay_stop(relay);
	return yes;
}

static void test_auto_compresses_a_far_and_slow_line_only(void **state)
{
	static const struct {
		struct relay_opts line;
		bool is_far, compressed;
	} cases[] = {
		{ { .delay_ms = 20, .rate = 2500000 }, true, true },
		{ { .delay_ms = 20 }, true, false },        /* far and fast */
		{ { .rate = 4000000 }, true, false },       /* near and slow: a local network */
		{ { .delay_ms = 20, .rate = 4000000 }, false, false }, /* this machine, whatever it looks like */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t all = (uint64_t)MESSAGES * MESSAGE_SIZE, on_line;
		bool got = compresses(&cases[i].line, cases[i].is_far, IMAP_COMPRESS_AUTO, &on_line);

		if (got != cases[i].compressed)
			fail_msg("case %zu: %s", i, got ? "compressed" : "not compressed");
		if (got)
			assert_in_range(on_line, all / 4, all * 9 / 10);
		else
			assert_in_range(on_line, all, all * 11 / 10);
	}
}

static void test_yes_compresses_from_the_start_and_no_never(void **state)
{
	static const struct relay_opts line = { .delay_ms = 0 }, slow = { .delay_ms = 20, .rate = 4000000 };
	uint64_t all = (uint64_t)MESSAGES * MESSAGE_SIZE, on_line;

	(void)state;
	assert_true(compresses(&line, false, IMAP_COMPRESS_YES, &on_line));
	assert_in_range(on_line, 1, all / 2);
	assert_false(compresses(&slow, true, IMAP_COMPRESS_NO, &on_line));
	assert_in_range(on_line, all, all * 11 / 10);
}

static void test_compress_works_in_tls_and_in_starttls(void **state)
{
	static const enum imap_tls modes[] = { IMAP_TLS_IMPLICIT, IMAP_TLS_STARTTLS };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char port[16];
		const struct imap_account account = {
			.name = "alice", .host = "127.0.0.1", .port = port, .tls = modes[i],
			.tls_ca_file = server->ca_file, .user = "alice",
			.password = give_password, .compress = IMAP_COMPRESS_YES,
			.timeout_ms = 10000 };
		struct loop *loop = loop_new(NULL, NULL);
		struct imap_session *s;
		struct err err = { 0 };

		snprintf(port, sizeof(port), "%d", i ? server->port : server->tls_port);
		s = imap_session_new(loop, &account, NULL);
		assert_int_equal(imap_session_open(s, &err), 0);
		fetch_all(s);
		assert_true(imap_session_is_compressed(s));
		assert_int_equal(imap_logout_wait(s, &err), 0);
		imap_session_free(s);
		loop_free(loop);
	}
}

static void test_a_compressed_backup_is_the_same_backup(void **state)
{
	struct relay *relay = relay_start(&(struct relay_opts){ .port = server->port });
	struct oracle *o = oracle_open(server->port, "alice");
	struct backup b;

	(void)state;
	backup_init(&b, &(struct backup_config){ .port = relay_port(relay),
						 .account = "compress = yes\n" });
	backup_ends_with(&b, 0, "");
	archive_equals(b.root, o);
	backup_idle(&b);
	assert_in_range(relay_stats(relay).to_client, 1, MESSAGES * MESSAGE_SIZE / 2);
	backup_release(&b);
	oracle_close(o);
	relay_stop(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto_compresses_a_far_and_slow_line_only),
		cmocka_unit_test(test_yes_compresses_from_the_start_and_no_never),
		cmocka_unit_test(test_compress_works_in_tls_and_in_starttls),
		cmocka_unit_test(test_a_compressed_backup_is_the_same_backup),
	};

	return cmocka_run_group_tests_name("imap_compress", tests, setup, teardown);
}
