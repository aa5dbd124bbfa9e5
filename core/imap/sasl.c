#include <gsasl.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/sasl_private.h"

/* --- base64 --- */

void sasl_add_base64(struct buf *out, struct bytes data)
{
	/* At once with the line end and the NUL: growing leaves a copy behind. */
	if (!buf_reserve(out, (data.n + 2) / 3 * 4 + 3))
		return;
	buf_grow(out, (size_t)EVP_EncodeBlock(out->p + out->n, data.p, (int)data.n));
}

/* OpenSSL takes blanks and cut-off ends for base64, too. */
static bool is_base64(struct bytes text)
{
	size_t pad = 0;

	while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < text.n - pad; i++) {
		uint8_t c = text.p[i];

		if (!ascii_is_digit(c) && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    c != '+' && c != '/')
			return false;
	}
	return text.n % 4 == 0;
}

bool sasl_decode_base64(struct bytes text, struct buf *out)
{
	int n;

	if (!text.n)
		return true;
	if (!is_base64(text) || !buf_reserve(out, text.n))
		return false;
	n = EVP_DecodeBlock(out->p + out->n, text.p, (int)text.n);
	if (n < 0)
		return false;
	/* What the padding stands for is counted as zero bytes. */
	for (size_t i = text.n; text.p[i - 1] == '='; i--)
		n--;
	buf_grow(out, (size_t)n);
	return true;
}

void sasl_add_name(struct buf *out, const char *name)
{
	for (; *name; name++)
		if (*name == ',')
			buf_add_str(out, "=2C");
		else if (*name == '=')
			buf_add_str(out, "=3D");
		else
			buf_add_byte(out, (uint8_t)*name);
}

/* --- what libgsasl does --- */

struct library {
	Gsasl *context;
	Gsasl_session *session;
};

/*
 * What is not given must be refused here rather than set empty: an empty authzid would be sent
 * as one ("a=,"), which servers refuse.
 */
static int property(Gsasl *context, Gsasl_session *session, Gsasl_property what)
{
	const struct sasl *sasl = gsasl_session_hook_get(session);
	const char *value = NULL;

	(void)context;
	if (what == GSASL_AUTHID)
		value = sasl->user;
	else if (what == GSASL_AUTHZID)
		value = sasl->authzid;
	else if (what == GSASL_PASSWORD)
		value = sasl->secret;
	if (!value)
		return GSASL_NO_CALLBACK;
	return gsasl_property_set(session, what, value);
}

static int library_begin(struct sasl *sasl, struct err *err)
{
	struct library *lib = xcalloc(1, sizeof(*lib));
	int rc = gsasl_init(&lib->context);

	sasl->state = lib;
	if (rc == GSASL_OK) {
		gsasl_callback_set(lib->context, property);
		rc = gsasl_client_start(lib->context, sasl->how->name, &lib->session);
	}
	if (rc != GSASL_OK)
		return err_set(err, ERR_FATAL, "SASL mechanism %s: %s", sasl->how->name,
			       gsasl_strerror(rc));
	gsasl_session_hook_set(lib->session, sasl);
	return 0;
}

static int library_step(struct sasl *sasl, struct bytes in, struct buf *out, struct err *err)
{
	struct library *lib = sasl->state;
	char *answer = NULL;
	size_t n = 0;
	int rc;

	if (sasl->done)
		return err_set(err, ERR_FATAL, "the server asks for more than %s has",
			       sasl->how->name);
	rc = gsasl_step(lib->session, (const char *)in.p, in.n, &answer, &n);
	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
		return err_set(err, ERR_FATAL, "SASL mechanism %s: %s", sasl->how->name,
			       gsasl_strerror(rc));
	sasl->done = rc == GSASL_OK;
	buf_reserve(out, n + 1);
	buf_add(out, bytes_from(answer, n));
	if (answer)
		secret_wipe(answer, n);
	gsasl_free(answer);
	return 0;
}

static void library_end(struct sasl *sasl)
{
	struct library *lib = sasl->state;

	if (lib->session)
		gsasl_finish(lib->session);
	if (lib->context)
		gsasl_done(lib->context);
	free(lib);
}

#define LIBRARY .begin = library_begin, .step = library_step, .end = library_end
static const struct sasl_mechanism plain = { "PLAIN", LIBRARY };
static const struct sasl_mechanism external = { "EXTERNAL", LIBRARY };
static const struct sasl_mechanism login_mechanism = { "LOGIN", .server_first = true, LIBRARY };
static const struct sasl_mechanism cram_md5 = { "CRAM-MD5", .server_first = true, LIBRARY };

/* --- the frame --- */

static const struct sasl_mechanism *const mechanisms[] = {
	&plain, &external, &login_mechanism, &cram_md5, &sasl_scram_sha_1, &sasl_scram_sha_256,
	&sasl_scram_sha_1_plus, &sasl_scram_sha_256_plus, &sasl_xoauth2, &sasl_oauthbearer,
};

static const struct sasl_mechanism *find_mechanism(const char *name)
{
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (strcmp(mechanisms[i]->name, name) == 0)
			return mechanisms[i];
	return NULL;
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

struct sasl *sasl_new(const char *mechanism, const struct sasl_login *login, struct err *err)
{
	const struct sasl_mechanism *how = find_mechanism(mechanism);
	struct sasl *sasl;

	if (!how) {
		err_set(err, ERR_FATAL, "SASL mechanism %s is not supported", mechanism);
		return NULL;
	}
	sasl = xcalloc(1, sizeof(*sasl));
	sasl->how = how;
	sasl->user = copy(login->user);
	sasl->authzid = copy(login->authzid);
	sasl->secret = bytes_dup(login->secret);
	sasl->host = copy(login->host);
	sasl->port = copy(login->port);
	if (login->binding)
		sasl->binding = *login->binding;
	sasl->binding_offered = login->binding_offered;
	if (how->begin && how->begin(sasl, err) < 0) {
		sasl_free(sasl);
		return NULL;
	}
	return sasl;
}

void sasl_free(struct sasl *sasl)
{
	if (!sasl)
		return;
	if (sasl->state)
		sasl->how->end(sasl);
	free(sasl->user);
	free(sasl->authzid);
	secret_free(sasl->secret);
	free(sasl->host);
	free(sasl->port);
	free(sasl->remark);
	free(sasl);
}

bool sasl_speaks_first(const struct sasl *sasl)
{
	return !sasl->how->server_first;
}

int sasl_step(struct sasl *sasl, struct bytes challenge, struct buf *out, struct err *err)
{
	struct buf in = BUF_INIT(SASL_MESSAGE_MAX), answer = BUF_INIT(SASL_MESSAGE_MAX);
	int ret = -1;

	/* `+` alone is the right way to say "go on", but some add a word of their own. */
	if (!sasl->steps && !sasl->how->server_first)
		challenge.n = 0;
	if (!sasl_decode_base64(challenge, &in))
		err_set(err, ERR_FATAL, "%s: the server's challenge is not base64",
			sasl->how->name);
	else if (sasl->how->step(sasl, buf_bytes(&in), &answer, err) == 0)
		ret = 0;
	if (ret == 0 && answer.overflow)
		ret = err_set(err, ERR_FATAL, "%s: the answer would be too long", sasl->how->name);
	if (ret == 0)
		sasl_add_base64(out, buf_bytes(&answer));
	sasl->steps++;
	buf_release(&in);
	buf_release_secret(&answer);
	return ret;
}

bool sasl_is_done(const struct sasl *sasl)
{
	return sasl->done;
}

const char *sasl_remark(const struct sasl *sasl)
{
	return sasl->remark;
}
