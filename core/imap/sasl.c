#include "core/imap/sasl.h"

#include <gsasl.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

struct sasl {
	Gsasl *context;
	Gsasl_session *session;
	char *user;
	char *authzid;
	char *password;
	bool done;
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
		value = sasl->password;
	if (!value)
		return GSASL_NO_CALLBACK;
	return gsasl_property_set(session, what, value);
}

struct sasl *sasl_new(const char *mechanism, const struct sasl_login *login, struct err *err)
{
	struct sasl *sasl = xcalloc(1, sizeof(*sasl));
	int rc = gsasl_init(&sasl->context);

	if (rc == GSASL_OK) {
		gsasl_callback_set(sasl->context, property);
		rc = gsasl_client_start(sasl->context, mechanism, &sasl->session);
	}
	if (rc != GSASL_OK) {
		err_set(err, ERR_FATAL, "SASL mechanism %s: %s", mechanism, gsasl_strerror(rc));
		sasl_free(sasl);
		return NULL;
	}
	gsasl_session_hook_set(sasl->session, sasl);
	sasl->user = xstrdup(login->user);
	sasl->authzid = login->authzid ? xstrdup(login->authzid) : NULL;
	sasl->password = bytes_dup(login->password);
	return sasl;
}

void sasl_free(struct sasl *sasl)
{
	if (!sasl)
		return;
	if (sasl->session)
		gsasl_finish(sasl->session);
	if (sasl->context)
		gsasl_done(sasl->context);
	free(sasl->user);
	free(sasl->authzid);
	secret_free(sasl->password);
	free(sasl);
}

int sasl_step(struct sasl *sasl, struct bytes challenge, struct buf *out, struct err *err)
{
	char *in = bytes_dup(challenge);
	char *answer = NULL;
	int rc = gsasl_step64(sasl->session, in, &answer);

	free(in);
	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
		gsasl_free(answer);
		return err_set(err, ERR_FATAL, "SASL: %s", gsasl_strerror(rc));
	}
	sasl->done = rc == GSASL_OK;
	buf_reserve(out, strlen(answer) + 2); /* for the line end: growing leaves a copy behind */
	buf_add_str(out, answer);
	secret_wipe(answer, strlen(answer));
	gsasl_free(answer);
	return 0;
}

bool sasl_is_done(const struct sasl *sasl)
{
	return sasl->done;
}
