#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/transport.h"
#include "tests/lib/support.h"
#include "tests/lib/tls_peer.h"

/* --- TCP --- */

static enum transport_io open_within(struct transport *t, struct err *err)
{
	enum transport_io io;
	struct pollfd p;

	for (int i = 0; (io = transport_open(t, err)) == TRANSPORT_AGAIN && i < 1000; i++) {
		transport_poll(t, TRANSPORT_READ, &p);
		poll(&p, 1, 10);
	}
	return io;
}

static void test_a_stream_nobody_waits_for_does_not_wake_the_loop(void **state)
{
	int port, listener = listen_loopback(&port), fd;
	char text[16];
	struct err err = { 0 };
	struct transport *t;
	struct pollfd p;

	(void)state;
	snprintf(text, sizeof(text), "%d", port);
	t = transport_tcp_new("127.0.0.1", text, 2000, &err);
	assert_non_null(t);
	assert_int_equal(open_within(t, &err), TRANSPORT_OK);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
				    sizeof(struct linger)), 0);
	close(fd); /* with a reset */
	transport_poll(t, TRANSPORT_READ, &p);
	assert_int_equal(poll(&p, 1, 2000), 1);
	transport_poll(t, 0, &p);
	assert_int_equal(poll(&p, 1, 0), 0);
	transport_free(t);
	close(listener);
}

/* --- TLS --- */

struct link {
	struct tls_peer *peer;
	struct transport *tls;
	struct err err;
	struct buf heard; /* by the server */
};

static void hear(void *ctx, struct tls_peer *p, struct bytes said)
{
	(void)p;
	buf_add(&((struct link *)ctx)->heard, said);
}

static void link_init(struct link *l, const struct tls_peer_cert *cert)
{
	*l = (struct link){ .heard = BUF_INIT(1 << 20) };
	l->peer = tls_peer_new(cert, tmp_dir(), hear, l);
}

/* Begin TLS, trusting the certificate itself unless `set` says otherwise. */
static void link_begin(struct link *l, const struct transport_tls_settings *set)
{
	struct transport_tls_settings s = *set;

	if (!s.ca_file)
		s.ca_file = tls_peer_cert_file(l->peer);
	l->tls = transport_tls_new(tls_peer_transport(l->peer), &s, &l->err);
}

static enum transport_io link_open(struct link *l)
{
	enum transport_io io = TRANSPORT_AGAIN;

	for (int i = 0; i < 100000 && io == TRANSPORT_AGAIN; i++)
		io = transport_open(l->tls, &l->err);
	return io;
}

static void link_release(struct link *l)
{
	transport_free(l->tls);
	tls_peer_free(l->peer);
	buf_release(&l->heard);
}

static void test_a_certificate_must_be_good_and_name_the_host(void **state)
{
	static const struct {
		const char *host, *names;
		bool expired, untrusted;
		const char *refusal; /* NULL: accepted */
	} cases[] = {
		{ "mail.example.org", "DNS:mail.example.org", false, false, NULL },
		{ "MAIL.example.org", "DNS:mail.Example.org", false, false, NULL },
		{ "mail.example.org", "DNS:other,DNS:mail.example.org", false, false, NULL },
		{ "mail.example.org", "DNS:*.example.org", false, false, NULL },
		{ "a.mail.example.org", "DNS:*.example.org", false, false, "ostname mismatch" },
		{ "mail.example.org", "DNS:mai*.example.org", false, false, "ostname mismatch" },
		{ "mail.example.org", "DNS:mail.example.com", false, false, "ostname mismatch" },
		{ "mail.example.org", "email:root@mail.example.org", false, false,
		  "ostname mismatch" },
		{ "127.0.0.1", "IP:127.0.0.1", false, false, NULL },
		{ "::1", "IP:0:0:0:0:0:0:0:1", false, false, NULL },
		{ "127.0.0.1", "DNS:127.0.0.1", false, false, "IP address mismatch" },
		{ "127.0.0.1", "IP:127.0.0.2", false, false, "IP address mismatch" },
		{ "mail.example.org", "DNS:mail.example.org", true, false, "has expired" },
		{ "mail.example.org", "DNS:mail.example.org", false, true, "self" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct tls_peer_cert cert = { .names = cases[i].names,
						    .expired = cases[i].expired };
		const struct transport_tls_settings set = {
			.host = cases[i].host,
			.ca_file = cases[i].untrusted ? tmp_dir() : NULL };
		struct link l;

		link_init(&l, &cert);
		link_begin(&l, &set);
		assert_non_null(l.tls);
		assert_int_equal(link_open(&l), cases[i].refusal ? TRANSPORT_FAILED : TRANSPORT_OK);
		if (cases[i].refusal && (l.err.kind != ERR_FATAL ||
					 !strstr(l.err.text, cases[i].refusal) ||
					 !strstr(l.err.text, "tls_pin = sha256:")))
			fail_msg("case %zu: %s", i, l.err.text);
		link_release(&l);
	}
}

/* Files are found by the hash of the name, as `openssl rehash` calls them. */
static void test_authorities_may_be_a_directory(void **state)
{
	static const char *const hosts[] = { "mail.example.org", "other.example.org" };
	const struct tls_peer_cert cert = { .names = "DNS:mail.example.org" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct transport_tls_settings set = { .host = hosts[i], .ca_file = tmp_dir() };
		struct buf pem = BUF_INIT(65536);
		char name[32], *path;
		struct link l;
		FILE *f;
		X509 *x;

		link_init(&l, &cert);
		f = fopen(tls_peer_cert_file(l.peer), "r");
		x = PEM_read_X509(f, NULL, NULL, NULL);
		fclose(f);
		snprintf(name, sizeof(name), "%08lx.0", X509_subject_name_hash(x));
		X509_free(x);
		path = path_join(set.ca_file, name);
		read_file(tls_peer_cert_file(l.peer), &pem);
		write_file(path, buf_bytes(&pem));
		link_begin(&l, &set);
		assert_non_null(l.tls);
		assert_int_equal(link_open(&l), i ? TRANSPORT_FAILED : TRANSPORT_OK);
		link_release(&l);
		buf_release(&pem);
		free(path);
	}
}

static void test_only_tls_1_2_and_later_is_spoken(void **state)
{
	static const struct {
		struct tls_peer_cert cert;
		enum transport_io want;
	} cases[] = {
		{ { .names = "DNS:mail.example.org", .tls_1_1 = true }, TRANSPORT_FAILED },
		{ { .names = "DNS:mail.example.org", .tls_1_2 = true }, TRANSPORT_OK },
		{ { .names = "DNS:mail.example.org" }, TRANSPORT_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct transport_tls_settings set = { .host = "mail.example.org" };
		struct link l;

		link_init(&l, &cases[i].cert);
		link_begin(&l, &set);
		assert_int_equal(link_open(&l), cases[i].want);
		if (cases[i].want == TRANSPORT_FAILED && (l.err.kind != ERR_FATAL ||
							  !strstr(l.err.text, "version")))
			fail_msg("%s", l.err.text);
		link_release(&l);
	}
}

static void test_a_pin_decides_alone(void **state)
{
	const struct tls_peer_cert bad = { .names = "DNS:other.example", .expired = true };
	const struct tls_peer_cert good = { .names = "DNS:mail.example.org" };
	char pin[64];
	struct link l;

	(void)state;
	/* The refusal of a bad certificate names the pin; with it all that was wrong is not. */
	link_init(&l, &bad);
	link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org" });
	assert_int_equal(link_open(&l), TRANSPORT_FAILED);
	assert_int_equal(sscanf(strstr(l.err.text, "sha256:"), "%51[^)]", pin), 1);
	link_release(&l);

	/* Another key, with a certificate that has nothing wrong. */
	link_init(&l, &good);
	link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org", .pin = pin });
	assert_int_equal(link_open(&l), TRANSPORT_FAILED);
	assert_int_equal(l.err.kind, ERR_FATAL);
	assert_non_null(strstr(l.err.text, "not the pinned one"));
	assert_int_equal(sscanf(strstr(l.err.text, "sha256:"), "%51[^)]", pin), 1);
	link_release(&l);

	/* Something that cannot be a pin is no reason to look at the chain instead. */
	link_init(&l, &good);
	link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org",
							 .pin = "sha256:short" });
	assert_null(l.tls);
	assert_int_equal(l.err.kind, ERR_CONFIG);
	tls_peer_free(l.peer);
}

static void say_twice(struct link *l, size_t max)
{
	static const char hello[] = "hello, world";
	char got[64];
	size_t n = 0, have = 0;

	for (size_t at = 0; at < 12;) {
		enum transport_io io = transport_write(l->tls, bytes_from(hello + at, 12 - at), &n,
						       &l->err);

		assert_true(io == TRANSPORT_OK || io == TRANSPORT_AGAIN);
		at += io == TRANSPORT_OK ? n : 0;
	}
	assert_string_equal(buf_str(&l->heard), "hello, world");
	tls_peer_say(l->peer, bytes_of("good"));
	tls_peer_say(l->peer, bytes_of("bye"));
	while (have < 7) {
		enum transport_io io = transport_read(l->tls, got + have, max, &n, &l->err);

		assert_true(io == TRANSPORT_OK || io == TRANSPORT_AGAIN);
		have += io == TRANSPORT_OK ? n : 0;
	}
	assert_memory_equal(got, "goodbye", 7);
}

/* Whoever waits with poll() must not sleep on what OpenSSL or the read-ahead holds already. */
static void test_what_is_decrypted_already_is_not_waited_for(void **state)
{
	const struct tls_peer_cert cert = { .names = "DNS:mail.example.org" };
	struct pollfd p;
	struct link l;
	size_t n = 0;
	char c;

	(void)state;
	link_init(&l, &cert);
	link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org" });
	assert_int_equal(link_open(&l), TRANSPORT_OK);
	while (transport_read(l.tls, &c, 1, &n, &l.err) != TRANSPORT_AGAIN)
		;
	tls_peer_say(l.peer, bytes_of("ab"));
	tls_peer_say(l.peer, bytes_of("c"));
	for (int i = 0; i < 3; i++) {
		assert_true(transport_poll(l.tls, TRANSPORT_READ, &p));
		assert_int_equal(transport_read(l.tls, &c, 1, &n, &l.err), TRANSPORT_OK);
		assert_int_equal(c, "abc"[i]);
	}
	assert_int_equal(transport_read(l.tls, &c, 1, &n, &l.err), TRANSPORT_AGAIN);
	assert_false(transport_poll(l.tls, TRANSPORT_READ, &p));
	link_release(&l);
}

static void test_tls_goes_on_whatever_pieces_the_network_takes(void **state)
{
	static const size_t limits[][2] = { { SIZE_MAX, SIZE_MAX }, { 1, SIZE_MAX },
					    { SIZE_MAX, 1 }, { 1, 1 }, { 7, 3 } };
	const struct tls_peer_cert cert = { .names = "DNS:mail.example.org" };

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct link l;

		link_init(&l, &cert);
		transport_memory_limit(tls_peer_transport(l.peer), limits[i][0], limits[i][1]);
		link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org" });
		assert_int_equal(link_open(&l), TRANSPORT_OK);
		say_twice(&l, 1 + i);
		link_release(&l);
	}
}

/* What waits in a buffer is moved when more is added to it. */
static void test_a_write_that_had_to_wait_may_go_on_from_elsewhere(void **state)
{
	const struct tls_peer_cert cert = { .names = "DNS:mail.example.org" };
	const char first[] = "hello", second[] = "hello";
	struct link l;
	size_t n = 0;

	(void)state;
	link_init(&l, &cert);
	link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org" });
	assert_int_equal(link_open(&l), TRANSPORT_OK);
	transport_memory_limit(tls_peer_transport(l.peer), SIZE_MAX, 0);
	assert_int_equal(transport_write(l.tls, bytes_from(first, 5), &n, &l.err),
			 TRANSPORT_AGAIN);
	transport_memory_limit(tls_peer_transport(l.peer), SIZE_MAX, SIZE_MAX);
	assert_int_equal(transport_write(l.tls, bytes_from(second, 5), &n, &l.err), TRANSPORT_OK);
	assert_string_equal(buf_str(&l.heard), "hello");
	link_release(&l);
}

static void ignore(void *ctx, struct transport *t, struct bytes written)
{
	(void)ctx;
	(void)t;
	(void)written;
}

static void test_a_handshake_that_breaks_ends_with_its_reason(void **state)
{
	static const struct {
		const char *answer;
		enum err_kind kind;
	} cases[] = {
		{ "", ERR_RETRY },
		{ "\x16\x03\x03", ERR_RETRY },
		{ "* OK no TLS is spoken here\r\n", ERR_FATAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct transport *lower = transport_memory_new(ignore, NULL);
		struct link l = { .err.kind = ERR_NONE };

		transport_memory_feed(lower, bytes_of(cases[i].answer));
		transport_memory_end(lower);
		l.tls = transport_tls_new(lower, &(struct transport_tls_settings){
			.host = "mail.example.org" }, &l.err);
		assert_non_null(l.tls);
		assert_int_equal(link_open(&l), TRANSPORT_FAILED);
		assert_int_equal(l.err.kind, cases[i].kind);
		transport_free(l.tls);
	}
}

static void test_the_end_of_a_tls_stream_is_an_end_but_garbage_is_not(void **state)
{
	static const struct {
		const char *last;
		enum transport_io io;
	} cases[] = {
		{ "", TRANSPORT_EOF },
		{ "\x17\x03\x03", TRANSPORT_EOF }, /* half a record */
		{ "* BYE in clear text\r\n", TRANSPORT_FAILED },
	};
	const struct tls_peer_cert cert = { .names = "DNS:mail.example.org" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum transport_io io = TRANSPORT_OK;
		struct link l;
		size_t n = 0;
		char c;

		link_init(&l, &cert);
		link_begin(&l, &(struct transport_tls_settings){ .host = "mail.example.org" });
		assert_int_equal(link_open(&l), TRANSPORT_OK);
		transport_memory_feed(tls_peer_transport(l.peer), bytes_of(cases[i].last));
		transport_memory_end(tls_peer_transport(l.peer));
		for (int turns = 0; io <= TRANSPORT_AGAIN && turns < 100; turns++)
			io = transport_read(l.tls, &c, 1, &n, &l.err);
		assert_int_equal(io, cases[i].io);
		if (io == TRANSPORT_FAILED)
			assert_int_equal(l.err.kind, ERR_RETRY);
		link_release(&l);
	}
}

static void test_a_key_with_a_password_is_refused_and_nobody_is_asked(void **state)
{
	const struct tls_peer_cert cert = { .names = "DNS:mail.example.org",
					    .key_password = "secret" };
	struct link l;
	int ends[2], in;

	(void)state;
	/* Whoever asks gets the right answer here. */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "secret\n", 7), 7);
	close(ends[1]);
	in = dup(0);
	dup2(ends[0], 0);
	link_init(&l, &cert);
	link_begin(&l, &(struct transport_tls_settings){
		.host = "mail.example.org", .cert_file = tls_peer_cert_file(l.peer),
		.key_file = tls_peer_key_file(l.peer) });
	dup2(in, 0);
	close(in);
	close(ends[0]);
	assert_null(l.tls);
	assert_int_equal(l.err.kind, ERR_CONFIG);
	assert_non_null(strstr(l.err.text, "tls_client_key"));
	tls_peer_free(l.peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stream_nobody_waits_for_does_not_wake_the_loop),
		cmocka_unit_test(test_a_certificate_must_be_good_and_name_the_host),
		cmocka_unit_test(test_authorities_may_be_a_directory),
		cmocka_unit_test(test_only_tls_1_2_and_later_is_spoken),
		cmocka_unit_test(test_a_pin_decides_alone),
		cmocka_unit_test(test_what_is_decrypted_already_is_not_waited_for),
		cmocka_unit_test(test_tls_goes_on_whatever_pieces_the_network_takes),
		cmocka_unit_test(test_a_write_that_had_to_wait_may_go_on_from_elsewhere),
		cmocka_unit_test(test_a_handshake_that_breaks_ends_with_its_reason),
		cmocka_unit_test(test_the_end_of_a_tls_stream_is_an_end_but_garbage_is_not),
		cmocka_unit_test(test_a_key_with_a_password_is_refused_and_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
