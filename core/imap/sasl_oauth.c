#include "core/base/log.h"
#include "core/imap/sasl_private.h"

/*
 * An access token as the login. When it is refused the server says why (JSON) in a continuation
 * that must be answered before the NO comes.
 */

#define REMARK_MAX 200

/* A token is visible ASCII (RFC 6750, section 2.1); ^A in it would end its field. */
static int check_token(const struct sasl *sasl, struct err *err)
{
	for (const char *p = sasl->secret; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return err_set(err, ERR_AUTH, "what was given as access token is none");
	return *sasl->secret ? 0 : err_set(err, ERR_AUTH, "the access token is empty");
}

static const char *whose(const struct sasl *sasl)
{
	return sasl->authzid ? sasl->authzid : sasl->user;
}

static int check_user(const struct sasl *sasl, struct err *err)
{
	if (strchr(whose(sasl), 1))
		return err_set(err, ERR_CONFIG, "%s: a user name with ^A in it", sasl->how->name);
	return 0;
}

static int begin(struct sasl *sasl, struct err *err)
{
	return check_token(sasl, err) < 0 || check_user(sasl, err) < 0 ? -1 : 0;
}

/* The answer to the refusal: nothing is left to try, so this only asks for the NO. */
static int take_refusal(struct sasl *sasl, struct bytes in, struct err *err)
{
	if (!sasl->done)
		return err_set(err, ERR_FATAL, "%s: the server asks for more than there is",
			       sasl->how->name);
	sasl->done = false;
	sasl->remark = escape_text(in, REMARK_MAX);
	return 0;
}

static int xoauth2_step(struct sasl *sasl, struct bytes in, struct buf *out, struct err *err)
{
	if (sasl->steps)
		return take_refusal(sasl, in, err);
	buf_reserve(out, strlen(whose(sasl)) + strlen(sasl->secret) + 32);
	buf_add_str(out, "user=");
	buf_add_str(out, whose(sasl));
	buf_add_str(out, "\001auth=Bearer ");
	buf_add_str(out, sasl->secret);
	buf_add_str(out, "\001\001");
	sasl->done = true;
	return 0;
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_add_str(out, "\001");
	buf_add_str(out, name);
	buf_add_str(out, value);
}

static int oauthbearer_step(struct sasl *sasl, struct bytes in, struct buf *out, struct err *err)
{
	if (sasl->steps) {
		buf_add_byte(out, 1); /* RFC 7628, section 3.2.3 */
		return take_refusal(sasl, in, err);
	}
	buf_reserve(out, strlen(whose(sasl)) * 3 + strlen(sasl->secret) + 400);
	buf_add_str(out, "n,a=");
	sasl_add_name(out, whose(sasl));
	buf_add_str(out, ",");
	add_field(out, "host=", sasl->host);
	add_field(out, "port=", sasl->port);
	add_field(out, "auth=Bearer ", sasl->secret);
	buf_add_str(out, "\001\001");
	sasl->done = true;
	return 0;
}

const struct sasl_mechanism sasl_xoauth2 = {
	"XOAUTH2", .begin = begin, .step = xoauth2_step };
const struct sasl_mechanism sasl_oauthbearer = {
	"OAUTHBEARER", .begin = begin, .step = oauthbearer_step };
