/* Ways to log in that Dovecot 2.3 lacks, or that need a second opinion: Cyrus, Courier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "tests/lib/certs.h"
#include "tests/lib/imap_client.h"
#include "tests/lib/peers.h"

static struct peer *courier, *cyrus, *cyrus_12; /* TLS 1.2 alone */

static int start_courier(void **state)
{
	(void)state;
	courier = peer_courier();
	return 0;
}

static int start_cyrus(void **state)
{
	(void)state;
	cyrus = peer_cyrus(&(struct cyrus_opts){ .sasldb = true });
	cyrus_12 = peer_cyrus(&(struct cyrus_opts){ .sasldb = true, .tls_versions = "tls1_2" });
	return 0;
}

static int stop_courier(void **state)
{
	(void)state;
	peer_stop(courier);
	courier = NULL;
	return 0;
}

static int stop_cyrus(void **state)
{
	(void)state;
	peer_stop(cyrus);
	peer_stop(cyrus_12);
	cyrus = cyrus_12 = NULL;
	return 0;
}

static void init(struct client *c, const struct peer *p, enum imap_tls tls, const char *user)
{
	client_init(c, &(struct client_opts){
		.port = tls == IMAP_TLS_IMPLICIT ? p->tls_port : p->port, .ca_file = p->ca_file,
		.user = user });
	c->account.tls = tls;
}

/* With the certificate of that client instead of a password. */
static void init_with_cert(struct client *c, enum imap_tls tls, const char *name)
{
	static char path[2][256];

	snprintf(path[0], sizeof(path[0]), "%s/%s.pem", certs_dir(), name);
	snprintf(path[1], sizeof(path[1]), "%s/srv.key", certs_dir());
	init(c, cyrus, tls, name);
	c->account.password = NULL; /* nobody is asked for one */
	c->account.tls_client_cert = path[0];
	c->account.tls_client_key = path[1];
}

/* "LOGIN" for the command, else the mechanism; no other was tried, and no secret can be seen. */
static void check_trace(const struct client *c, const char *mechanism)
{
	const char *text = buf_str(&c->transcript), *at;
	char *line = xasprintf(strcmp(mechanism, "LOGIN") == 0 ? " %s *** ***\n" : " AUTHENTICATE %s",
			       mechanism);
	size_t n = strlen(line);

	at = strstr(text, line);
	if (!at || (at[n] != ' ' && at[n] != '\n' && line[n - 1] != '\n'))
		test_die("no%s in\n%s", line, text);
	assert_null(strstr(at + n, " AUTHENTICATE "));
	assert_null(strstr(at + n, " LOGIN *** "));
	free(line);
}

/* The login was tied to the connection in this way; NULL: in none. */
static void check_binding(const struct client *c, const char *type)
{
	char *line = xasprintf("*: the login is tied to the TLS connection by %s\n",
			       type ? type : "");
	const char *text = buf_str(&c->transcript);

	if (type)
		assert_non_null(strstr(text, line));
	else
		assert_null(strstr(text, "*: the login is tied"));
	free(line);
}

/* Who the server thinks it let in: the owner of INBOX. */
static void check_user(struct client *c, const char *user)
{
	struct imap_acl acl;

	OK(imap_getacl_wait(c->session, bytes_of("INBOX"), &acl, &err_));
	assert_in_range(acl.n, 1, 9);
	assert_string_equal(acl.identifiers[0], user);
	imap_acl_release(&acl);
}

static void test_cyrus_binds_a_login_to_tls_1_2_by_tls_unique(void **state)
{
	static const struct {
		enum imap_auth auth;
		enum imap_tls tls;
		const char *mechanism, *binding;
	} cases[] = {
		{ IMAP_AUTH_AUTO, IMAP_TLS_IMPLICIT, "SCRAM-SHA-256-PLUS", "tls-unique" },
		{ IMAP_AUTH_AUTO, IMAP_TLS_STARTTLS, "SCRAM-SHA-256-PLUS", "tls-unique" },
		{ IMAP_AUTH_SCRAM_SHA_256_PLUS, IMAP_TLS_IMPLICIT, "SCRAM-SHA-256-PLUS",
		  "tls-unique" },
		{ IMAP_AUTH_SCRAM_SHA_1_PLUS, IMAP_TLS_IMPLICIT, "SCRAM-SHA-1-PLUS", "tls-unique" },
		{ IMAP_AUTH_SCRAM_SHA_256, IMAP_TLS_IMPLICIT, "SCRAM-SHA-256", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client c;

		init(&c, cyrus_12, cases[i].tls, "alice");
		c.account.auth = cases[i].auth;
		OK(client_try(&c, &err_));
		check_trace(&c, cases[i].mechanism);
		check_binding(&c, cases[i].binding);
		check_user(&c, "alice");
		client_close(&c);
	}
}

static void refused(const struct peer *p, enum imap_auth auth, const char *password,
		    const char *mechanism, const char *words)
{
	struct err err = { 0 };
	struct client c;

	init(&c, p, IMAP_TLS_IMPLICIT, "alice");
	snprintf(c.password, sizeof(c.password), "%s", password);
	c.account.auth = auth;
	assert_int_equal(client_try(&c, &err), -1);
	if (err.kind != ERR_AUTH || !strstr(err.text, words))
		test_die("kind %d: %s", err.kind, err.text);
	check_trace(&c, mechanism);
	client_close(&c);
}

/*
 * Cyrus compares with tls-unique whatever the client names, and TLS 1.3 has none that could be
 * trusted. The bound login fails there, and the error says what to set.
 */
static void test_cyrus_cannot_bind_to_tls_1_3_and_the_error_says_what_to_set(void **state)
{
	static const char says[] =
		"NO bad protocol / cancel; the login was tied to the TLS connection by "
		"tls-exporter, which the server may not know: if the password is right, "
		"'auth = scram-sha-256' logs in without";
	struct client c;

	(void)state;
	refused(cyrus, IMAP_AUTH_AUTO, "pw", "SCRAM-SHA-256-PLUS", says);
	refused(cyrus, IMAP_AUTH_SCRAM_SHA_256_PLUS, "pw", "SCRAM-SHA-256-PLUS", says);
	for (int tls = IMAP_TLS_IMPLICIT; tls <= IMAP_TLS_STARTTLS; tls++) {
		init(&c, cyrus, (enum imap_tls)tls, "alice");
		c.account.auth = IMAP_AUTH_SCRAM_SHA_256; /* as the error said */
		OK(client_try(&c, &err_));
		check_trace(&c, "SCRAM-SHA-256");
		check_binding(&c, NULL);
		check_user(&c, "alice");
		client_close(&c);
	}
}

static void test_cyrus_refuses_a_wrong_password_and_nothing_else_is_tried(void **state)
{
	static const char says[] = "NO authentication failure";

	(void)state;
	refused(cyrus_12, IMAP_AUTH_AUTO, "wrong", "SCRAM-SHA-256-PLUS", says);
	refused(cyrus, IMAP_AUTH_SCRAM_SHA_256, "wrong", "SCRAM-SHA-256", says);
	refused(cyrus, IMAP_AUTH_PLAIN, "wrong", "PLAIN", says);
}

/* It takes its time, five seconds. */
static void test_courier_refuses_a_wrong_password_and_nothing_else_is_tried(void **state)
{
	(void)state;
	refused(courier, IMAP_AUTH_AUTO, "wrong", "PLAIN", "NO Login failed");
}

static void lets_in(const struct peer *p, enum imap_tls tls, enum imap_auth auth,
		    const char *mechanism)
{
	struct client c;

	init(&c, p, tls, "alice");
	c.account.auth = auth;
	OK(client_try(&c, &err_));
	check_trace(&c, mechanism);
	check_binding(&c, NULL);
	OK(imap_noop_wait(c.session, &err_));
	OK(imap_logout_wait(c.session, &err_));
	client_close(&c);
}

static void test_cyrus_lets_in_by_other_mechanisms_over_tls_starttls_and_in_clear_text(void **state)
{
	(void)state;
	for (int i = IMAP_TLS_IMPLICIT; i <= IMAP_TLS_NONE; i++) {
		enum imap_tls tls = (enum imap_tls)i;

		lets_in(cyrus, tls, IMAP_AUTH_PLAIN, "PLAIN");
		lets_in(cyrus, tls, IMAP_AUTH_LOGIN, "LOGIN");
		lets_in(cyrus, tls, IMAP_AUTH_CRAM_MD5, "CRAM-MD5");
		lets_in(cyrus, tls, IMAP_AUTH_SCRAM_SHA_1, "SCRAM-SHA-1");
		lets_in(cyrus, tls, IMAP_AUTH_SCRAM_SHA_256, "SCRAM-SHA-256");
	}
	/* There is nothing to bind to: no -PLUS is offered. */
	lets_in(cyrus, IMAP_TLS_NONE, IMAP_AUTH_AUTO, "SCRAM-SHA-256");
}

static void test_courier_lets_in_over_tls_starttls_and_in_clear_text(void **state)
{
	(void)state;
	for (int i = IMAP_TLS_IMPLICIT; i <= IMAP_TLS_NONE; i++) {
		enum imap_tls tls = (enum imap_tls)i;

		lets_in(courier, tls, IMAP_AUTH_LOGIN, "LOGIN");
		lets_in(courier, tls, IMAP_AUTH_CRAM_MD5, "CRAM-MD5");
		/* PLAIN is offered over TLS alone. */
		lets_in(courier, tls, IMAP_AUTH_AUTO, tls == IMAP_TLS_NONE ? "LOGIN" : "PLAIN");
	}
}

static void test_a_client_certificate_is_a_login_at_cyrus(void **state)
{
	static const struct {
		enum imap_auth auth;
		enum imap_tls tls;
		const char *cert, *authzid, *who;
	} cases[] = {
		{ IMAP_AUTH_AUTO, IMAP_TLS_IMPLICIT, "alice", NULL, "alice" },
		{ IMAP_AUTH_AUTO, IMAP_TLS_STARTTLS, "alice", NULL, "alice" },
		{ IMAP_AUTH_EXTERNAL, IMAP_TLS_IMPLICIT, "alice", "alice", "alice" },
		{ IMAP_AUTH_AUTO, IMAP_TLS_IMPLICIT, "admin", "bob", "bob" },
		{ IMAP_AUTH_EXTERNAL, IMAP_TLS_STARTTLS, "admin", "bob", "bob" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client c;

		init_with_cert(&c, cases[i].tls, cases[i].cert);
		c.account.auth = cases[i].auth;
		c.account.authzid = cases[i].authzid;
		OK(client_try(&c, &err_));
		check_trace(&c, "EXTERNAL");
		check_user(&c, cases[i].who);
		client_close(&c);
	}
}

static void test_a_certificate_opens_nobody_elses_mail_and_none_at_all_no_mail(void **state)
{
	struct err err = { 0 };
	struct client c;

	(void)state;
	init_with_cert(&c, IMAP_TLS_IMPLICIT, "alice");
	c.account.authzid = "bob";
	assert_int_equal(client_try(&c, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
	check_trace(&c, "EXTERNAL");
	client_close(&c);

	init(&c, cyrus, IMAP_TLS_IMPLICIT, "alice"); /* and shows none */
	c.account.auth = IMAP_AUTH_EXTERNAL;
	assert_int_equal(client_try(&c, &err), -1);
	assert_non_null(strstr(err.text, "does not offer AUTHENTICATE EXTERNAL"));
	client_close(&c);
}

static void test_an_administrator_reads_the_mail_of_others_at_cyrus(void **state)
{
	static const enum imap_auth auths[] = { IMAP_AUTH_PLAIN, IMAP_AUTH_SCRAM_SHA_256,
						IMAP_AUTH_AUTO };
	static const char *const mechanisms[] = { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct client c;

		init(&c, cyrus_12, IMAP_TLS_IMPLICIT, "admin");
		c.account.auth = auths[i];
		c.account.authzid = "bob";
		OK(client_try(&c, &err_));
		check_trace(&c, mechanisms[i]);
		check_user(&c, "bob");
		client_close(&c);
	}
}

static void test_couriers_imapd_is_reached_through_a_tunnel(void **state)
{
	static const char *const body[] = { "A: b\r\n\r\nc\r\n" };
	char *command = peer_courier_tunnel();
	struct client c;

	(void)state;
	client_init(&c, &(struct client_opts){ .user = "alice" });
	c.account.password = NULL;
	c.account.tunnel = command;
	OK(client_try(&c, &err_));
	assert_null(strstr(buf_str(&c.transcript), "LOGIN"));
	client_append(&c, "INBOX", body, 1);
	client_expect(&c, "uids=1 ok ");
	client_select(&c, "INBOX");
	client_fetch(&c, (struct imap_fetch_request){ .section = "" }, "1");
	client_expect(&c, "A: b\r\n\r\nc\r\n|1 |ok ");
	OK(imap_logout_wait(c.session, &err_));
	client_close(&c);
	free(command);
}

/* Apart, so that a server that does not start fails its own tests alone. */
int main(void)
{
	const struct CMUnitTest on_cyrus[] = {
		cmocka_unit_test(test_cyrus_binds_a_login_to_tls_1_2_by_tls_unique),
		cmocka_unit_test(test_cyrus_cannot_bind_to_tls_1_3_and_the_error_says_what_to_set),
		cmocka_unit_test(test_cyrus_refuses_a_wrong_password_and_nothing_else_is_tried),
		cmocka_unit_test(test_cyrus_lets_in_by_other_mechanisms_over_tls_starttls_and_in_clear_text),
		cmocka_unit_test(test_a_client_certificate_is_a_login_at_cyrus),
		cmocka_unit_test(test_a_certificate_opens_nobody_elses_mail_and_none_at_all_no_mail),
		cmocka_unit_test(test_an_administrator_reads_the_mail_of_others_at_cyrus),
	};
	const struct CMUnitTest on_courier[] = {
		cmocka_unit_test(test_courier_refuses_a_wrong_password_and_nothing_else_is_tried),
		cmocka_unit_test(test_courier_lets_in_over_tls_starttls_and_in_clear_text),
	};
	const struct CMUnitTest by_itself[] = {
		cmocka_unit_test(test_couriers_imapd_is_reached_through_a_tunnel),
	};
	int rc = 0;

	rc |= cmocka_run_group_tests_name("imap_login_cyrus", on_cyrus, start_cyrus, stop_cyrus);
	rc |= cmocka_run_group_tests_name("imap_login_courier", on_courier, start_courier, stop_courier);
	rc |= cmocka_run_group_tests_name("imap_login_tunnel", by_itself, NULL, NULL);
	return rc != 0;
}
