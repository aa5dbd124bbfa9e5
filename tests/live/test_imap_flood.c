/*
 * Both directions full at once. A server that is busy writing does not read, so a client that
 * insists on writing first waits for ever (as 1,101 pipelined commands did with Dovecot).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/commands_message.h"
#include "core/imap/loop.h"
#include "core/msgset/uidset.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/imap_tour.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

enum {
	COMMANDS = 600, COMMAND_SIZE = 900, ANSWER_SIZE = 65536,
	/* more than a socket takes in while nobody reads it, either way */
	MESSAGES = 3, MESSAGE_SIZE = 8 << 20, LITERAL_FLOODS = 256,
};

/* --- a server of the rudest kind: small buffers, and never reading while it writes --- */

static void say(int fd, const char *text)
{
	if (write_full(fd, bytes_of(text)) < 0)
		_exit(1);
}

static void flood(int fd)
{
	static char line[1024];

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "* OK ", 5);
	memcpy(line + sizeof(line) - 3, "\r\n", 2);
	for (size_t n = 0; n < ANSWER_SIZE; n += sizeof(line) - 1)
		say(fd, line);
}

/* Half of the literal, a flood, the other half. */
static void take_literal(int fd, FILE *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; i == n / 2 && k < LITERAL_FLOODS; k++)
			flood(fd);
		if (getc(in) == EOF)
			_exit(1);
	}
}

static _Noreturn void serve_rudely(int listener)
{
	int fd = accept(listener, NULL, NULL);
	FILE *in = fdopen(fd, "r");
	char line[4096], tag[64] = "";

	say(fd, "* OK [CAPABILITY IMAP4rev1 LITERAL+] at your service\r\n");
	while (fgets(line, sizeof(line), in)) {
		const char *brace = strrchr(line, '{');

		if (!*tag)
			sscanf(line, "%63s", tag);
		flood(fd);
		if (brace && strncmp(line + strlen(line) - 3, "}\r\n", 3) == 0) {
			if (!strchr(brace, '+'))
				say(fd, "+ go on\r\n");
			take_literal(fd, in, strtoul(brace + 1, NULL, 10));
			continue; /* the rest of the command's line */
		}
		say(fd, tag);
		say(fd, " OK [CAPABILITY IMAP4rev1 LITERAL+] done\r\n");
		*tag = '\0';
	}
	_exit(0);
}

static pid_t rude_server(int *port)
{
	int listener = listen_loopback(port), small = 4096;
	pid_t pid;

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	pid = proc_fork_server(&listener, 1);
	if (pid == 0)
		serve_rudely(listener);
	close(listener);
	return pid;
}

/* --- the client --- */

struct client {
	struct imap_account account;
	char port[16];
	struct loop *loop;
	struct imap_session *session;
	unsigned ok, other, fetched;
	uint64_t bytes;
};

static void client_open(struct client *c, int port, const char *user)
{
	struct err err;

	*c = (struct client){ .account = { .name = user, .host = "127.0.0.1", .port = c->port,
					   .tls = IMAP_TLS_NONE, .user = user,
					   .password = imap_tour_password, .timeout_ms = 10000 } };
	snprintf(c->port, sizeof(c->port), "%d", port);
	c->loop = loop_new(NULL, NULL);
	c->session = imap_session_new(c->loop, &c->account, NULL);
	if (imap_session_open(c->session, &err) < 0)
		fail_msg("%s", err.text);
}

static void client_finish(struct client *c)
{
	struct err err;

	if (imap_session_drain(c->session, &err) < 0)
		fail_msg("%s", err.text);
	imap_session_free(c->session);
	loop_free(c->loop);
}

static void count(struct client *c, const struct imap_result *r)
{
	c->ok += r->outcome == IMAP_DONE_OK;
	c->other += r->outcome != IMAP_DONE_OK;
}

static void on_done(void *ctx, const struct imap_result *r)
{
	count(ctx, r);
}

static void on_appended(void *ctx, const struct imap_append_answer *answer,
			const struct imap_result *r)
{
	(void)answer;
	count(ctx, r);
}

static int give_message(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	(void)ctx;
	(void)err;
	memset(p, 'm', max);
	*n = max;
	return 0;
}

static void append(struct client *c, uint64_t size)
{
	const struct imap_append_message message = { .size = size, .read = give_message };
	struct err err;

	if (imap_append(c->session, &(struct imap_append_request){
		.mailbox = bytes_of("INBOX"), .messages = &message, .n = 1 },
		on_appended, c, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_commands_and_messages_go_out_while_a_server_writes_and_does_not_read(void **state)
{
	char argument[COMMAND_SIZE];
	struct client c;
	int port;
	pid_t pid = rude_server(&port);

	(void)state;
	client_open(&c, port, "alice");
	memset(argument, 'a', sizeof(argument));
	for (unsigned i = 0; i < COMMANDS; i++) {
		struct imap_encoder e;
		struct err err;

		imap_session_encoder(c.session, &e);
		imap_encode_word(&e, "XFLOOD");
		imap_encode_string(&e, bytes_from(argument, sizeof(argument)));
		assert_int_equal(imap_encoder_finish(&e, &err), 0);
		imap_session_submit(c.session, &(struct imap_request){
			.command = &e, .handler = { .on_done = on_done, .ctx = &c } });
		if (i % (COMMANDS / MESSAGES) == 0)
			append(&c, MESSAGE_SIZE);
	}
	client_finish(&c);
	assert_int_equal(c.ok, COMMANDS + MESSAGES);
	assert_int_equal(c.other, 0);
	proc_end_group(pid);
}

static void on_message(void *ctx, const struct imap_fetch *f)
{
	(void)f;
	((struct client *)ctx)->fetched++;
}

static void on_data(void *ctx, struct bytes piece)
{
	((struct client *)ctx)->bytes += piece.n;
}

/* Much more than the 66,051 bytes of commands that fill the buffers of a Dovecot for good. */
static void test_dovecot_is_fetched_from_and_appended_to_at_once(void **state)
{
	struct dovecot *server = dovecot_start(NULL);
	struct oracle *o = oracle_open(server->port, "alice");
	struct oracle_new new = { .flags = "" };
	struct buf text = BUF_INIT(1 << 24);
	struct client c;
	struct uidset set;
	struct err err;

	(void)state;
	buf_add_str(&text, "A: b\r\n\r\n");
	while (text.n < 1 << 20)
		buf_add_str(&text, "a line of the message that is fetched again and again\r\n");
	new.body = buf_bytes(&text);
	oracle_append(o, "INBOX", &new, 1);
	oracle_close(o);
	client_open(&c, server->port, "alice");
	assert_int_equal(imap_select(c.session, bytes_of("INBOX"), true, NULL, NULL, &err), 0);
	uidset_init(&set);
	uidset_add(&set, 1);
	for (unsigned i = 0; i < 128; i++) {
		const struct imap_fetch_sink sink = { .body_data = on_data, .message = on_message,
						      .done = on_done, .ctx = &c };

		assert_int_equal(imap_fetch(c.session, &(struct imap_fetch_request){
			.uids = &set, .section = "" }, &sink, &err), 0);
		for (unsigned k = 0; k < 8; k++)
			imap_noop(c.session, on_done, &c);
		if (i % 16 == 0)
			append(&c, 1 << 20);
	}
	uidset_release(&set);
	client_finish(&c);
	assert_int_equal(c.other, 0);
	assert_int_equal(c.ok, 128 * 9 + 8);
	assert_int_equal(c.fetched, 128);
	assert_int_equal(c.bytes, 128 * text.n);
	buf_release(&text);
	dovecot_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_and_messages_go_out_while_a_server_writes_and_does_not_read),
		cmocka_unit_test(test_dovecot_is_fetched_from_and_appended_to_at_once),
	};

	return cmocka_run_group_tests_name("imap_flood", tests, NULL, NULL);
}
