#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/imap/transport.h"
#include "tests/lib/support.h"
#include "tests/lib/tls_peer.h"

/*
 * A server over real TLS whose SASL is libgsasl's: what ties a login to its connection is worked
 * out at both ends by programs that do not know each other.
 */
struct server {
	const char *caps;      /* under TLS */
	const char *mechanism; /* the one it takes */
	const char *binding;   /* the only one it knows: "tls-exporter" or "tls-unique" */
	bool relayed;          /* somebody in between: its connection is another one */
	struct tls_peer *peer;
	Gsasl *context;
	Gsasl_session *session;
	char tag[32];
	bool in_exchange, ended;
	struct buf first; /* the client's first message, decoded */
	struct buf remembered; /* what the client said it logged in by */
};

static size_t binding_of(struct server *sv, uint8_t *data)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	SSL *ssl = tls_peer_ssl(sv->peer);
	size_t n = 32;

	if (strcmp(sv->binding, "tls-unique") == 0)
		n = SSL_get_peer_finished(ssl, data, 64);
	else if (SSL_export_keying_material(ssl, data, n, label, strlen(label), NULL, 0, 0) != 1)
		n = 0;
	if (sv->relayed)
		data[0] ^= 1;
	return n;
}

static int property(Gsasl *context, Gsasl_session *session, Gsasl_property what)
{
	struct server *sv = gsasl_session_hook_get(session);
	Gsasl_property known = strcmp(sv->binding, "tls-unique") == 0 ? GSASL_CB_TLS_UNIQUE :
									 GSASL_CB_TLS_EXPORTER;
	uint8_t data[64];
	char *text = NULL;
	size_t n;

	(void)context;
	if (what == GSASL_PASSWORD)
		return gsasl_property_set(session, what, "pencil");
	if (what != known || !strstr(sv->mechanism, "-PLUS"))
		return GSASL_NO_CALLBACK;
	n = binding_of(sv, data);
	assert_true(n > 0);
	assert_int_equal(gsasl_base64_to((const char *)data, n, &text, NULL), GSASL_OK);
	assert_int_equal(gsasl_property_set(session, what, text), GSASL_OK);
	gsasl_free(text);
	return GSASL_OK;
}

static void say(struct server *sv, const char *a, const char *b, const char *c)
{
	struct buf text = BUF_INIT(65536);

	buf_add_str(&text, a);
	buf_add_str(&text, b);
	buf_add_str(&text, c);
	buf_add_str(&text, "\r\n");
	tls_peer_say(sv->peer, buf_bytes(&text));
	buf_release(&text);
}

static void answer(struct server *sv, const char *line)
{
	char *word = NULL;
	int rc;

	if (sv->ended) { /* the client's empty answer to the signature */
		say(sv, sv->tag, " OK [CAPABILITY IMAP4rev1]", " in");
		return;
	}
	if (!sv->first.n) {
		char *text = NULL;
		size_t n = 0;

		assert_int_equal(gsasl_base64_from(line, strlen(line), &text, &n), GSASL_OK);
		buf_add(&sv->first, bytes_from(text, n));
		gsasl_free(text);
	}
	rc = gsasl_step64(sv->session, line, &word);
	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
		say(sv, sv->tag, " NO [AUTHENTICATIONFAILED] ", gsasl_strerror(rc));
		return;
	}
	sv->ended = rc == GSASL_OK;
	say(sv, "+ ", word, "");
	gsasl_free(word);
}

static void serve(void *ctx, struct tls_peer *p, struct bytes said)
{
	struct server *sv = ctx;
	char *line = bytes_dup(said), *rest;

	line[strcspn(line, "\r\n")] = 0;
	if (sv->in_exchange) {
		answer(sv, line);
		free(line);
		return;
	}
	rest = strchr(line, ' ');
	assert_non_null(rest);
	*rest++ = 0;
	snprintf(sv->tag, sizeof(sv->tag), "%s", line);
	if (strcmp(rest, "STARTTLS") == 0) {
		say(sv, sv->tag, " OK go", "");
		tls_peer_clear(p, false);
	} else if (strcmp(rest, "CAPABILITY") == 0) {
		say(sv, "* CAPABILITY IMAP4rev1 SASL-IR ", sv->caps, "");
		say(sv, sv->tag, " OK", "");
	} else {
		char *word = strchr(rest, ' ') + 1, *first = strchr(word, ' ');

		assert_non_null(first);
		*first++ = 0;
		assert_string_equal(word, sv->mechanism);
		sv->in_exchange = true;
		answer(sv, first);
	}
	free(line);
}

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pencil");
	return 0;
}

static void remember(void *ctx, const char *mechanism)
{
	buf_add_str(&((struct server *)ctx)->remembered, mechanism);
}

/* Log in; 0 or -1 with *err. */
static int log_in(struct server *sv, const struct tls_peer_cert *cert, enum imap_auth auth,
		  struct err *err)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .user = "alice",
				  .tls = IMAP_TLS_STARTTLS, .auth = auth,
				  .password = give_password, .remember = remember,
				  .memory_ctx = sv, .timeout_ms = 5000 };
	struct loop *loop = loop_new(NULL, NULL);
	struct imap_session *s;
	int rc;

	sv->peer = tls_peer_new(cert, tmp_dir(), serve, sv);
	buf_init(&sv->first, 4096);
	buf_init(&sv->remembered, 4096);
	assert_int_equal(gsasl_init(&sv->context), GSASL_OK);
	gsasl_callback_set(sv->context, property);
	assert_int_equal(gsasl_server_start(sv->context, sv->mechanism, &sv->session), GSASL_OK);
	gsasl_session_hook_set(sv->session, sv);
	a.tls_ca_file = tls_peer_cert_file(sv->peer);
	tls_peer_clear(sv->peer, true);
	tls_peer_say(sv->peer, bytes_of("* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n"));
	s = imap_session_new_on(loop, &a, NULL, tls_peer_transport(sv->peer));
	rc = imap_session_open(s, err);
	imap_session_free(s);
	loop_free(loop);
	gsasl_finish(sv->session);
	gsasl_done(sv->context);
	tls_peer_free(sv->peer);
	return rc;
}

static void test_a_login_is_bound_to_its_connection_as_the_tls_version_allows(void **state)
{
#define BOTH_PLUS "AUTH=PLAIN AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-256 " \
		  "AUTH=SCRAM-SHA-256-PLUS"
	static const struct {
		bool tls_1_2;
		const char *caps;
		enum imap_auth auth;
		const char *mechanism, *binding, *begins;
	} cases[] = {
		{ false, BOTH_PLUS, IMAP_AUTH_AUTO, "SCRAM-SHA-256-PLUS", "tls-exporter",
		  "p=tls-exporter,," },
		{ true, BOTH_PLUS, IMAP_AUTH_AUTO, "SCRAM-SHA-256-PLUS", "tls-unique",
		  "p=tls-unique,," },
		{ false, BOTH_PLUS, IMAP_AUTH_SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS", "tls-exporter",
		  "p=tls-exporter,," },
		/* bound by SHA-1 before unbound by SHA-256 */
		{ false, "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1-PLUS", IMAP_AUTH_AUTO,
		  "SCRAM-SHA-1-PLUS", "tls-exporter", "p=tls-exporter,," },
		/* asked for by name: not bound, and it is not pretended that nobody could */
		{ false, BOTH_PLUS, IMAP_AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", "tls-exporter", "n,," },
		/* the offer may have been taken away */
		{ false, "AUTH=PLAIN AUTH=SCRAM-SHA-256", IMAP_AUTH_AUTO, "SCRAM-SHA-256",
		  "tls-exporter", "y,," },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct tls_peer_cert cert = { .names = "DNS:mail.example",
						    .tls_1_2 = cases[i].tls_1_2 };
		struct server sv = { .caps = cases[i].caps, .mechanism = cases[i].mechanism,
				     .binding = cases[i].binding };
		struct err err = { 0 };

		if (log_in(&sv, &cert, cases[i].auth, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		if (!bytes_starts_nocase(buf_bytes(&sv.first), cases[i].begins))
			fail_msg("case %zu: %s", i, buf_str(&sv.first));
		assert_string_equal(buf_str(&sv.remembered), cases[i].mechanism);
		buf_release(&sv.first);
		buf_release(&sv.remembered);
	}
}

static void test_a_relayed_login_fails_and_nothing_weaker_is_tried(void **state)
{
	static const struct {
		const char *caps, *mechanism;
		const char *advice; /* for a server that only binds in another way; NULL: none */
	} cases[] = {
		{ BOTH_PLUS, "SCRAM-SHA-256-PLUS", "'auth = scram-sha-256' logs in without" },
		{ "AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS",
		  "'auth = scram-sha-1' logs in without" },
		/* nobody is told to give his password away */
		{ "AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", NULL },
	};
	const struct tls_peer_cert cert = { .names = "DNS:mail.example" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server sv = { .caps = cases[i].caps, .mechanism = cases[i].mechanism,
				     .binding = "tls-exporter", .relayed = true };
		struct err err = { 0 };

		assert_int_equal(log_in(&sv, &cert, IMAP_AUTH_AUTO, &err), -1);
		assert_int_equal(err.kind, ERR_AUTH);
		assert_string_equal(buf_str(&sv.remembered), "");
		assert_non_null(strstr(err.text, "tied to the TLS connection by tls-exporter"));
		if (cases[i].advice)
			assert_non_null(strstr(err.text, cases[i].advice));
		else
			assert_null(strstr(err.text, "'auth"));
		buf_release(&sv.first);
	}
}

/* Without the extended master secret tls-unique can be the same at two connections. */
static void test_an_old_tls_binds_to_the_certificate(void **state)
{
	const struct tls_peer_cert cert = { .names = "DNS:mail.example", .tls_1_2 = true,
					    .no_ems = true };
	struct tls_peer *peer = tls_peer_new(&cert, tmp_dir(), NULL, NULL);
	const struct transport_tls_settings set = { .host = "mail.example",
						    .ca_file = tls_peer_cert_file(peer) };
	struct err err = { 0 };
	struct transport *t = transport_tls_new(tls_peer_transport(peer), &set, &err);
	FILE *f = fopen(tls_peer_cert_file(peer), "r");
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
	enum transport_io io = TRANSPORT_AGAIN;
	struct transport_binding b;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	(void)state;
	assert_false(transport_binding(t, &b)); /* not open yet */
	assert_null(b.type);
	for (int i = 0; i < 1000 && io == TRANSPORT_AGAIN; i++)
		io = transport_open(t, &err);
	assert_int_equal(io, TRANSPORT_OK);
	assert_true(transport_binding(t, &b));
	assert_string_equal(b.type, "tls-server-end-point");
	assert_int_equal(X509_digest(x, EVP_sha256(), digest, &n), 1);
	assert_int_equal(b.n, n);
	assert_memory_equal(b.data, digest, n);
	X509_free(x);
	fclose(f);
	transport_free(t);
	tls_peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_login_is_bound_to_its_connection_as_the_tls_version_allows),
		cmocka_unit_test(test_a_relayed_login_fails_and_nothing_weaker_is_tried),
		cmocka_unit_test(test_an_old_tls_binds_to_the_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
