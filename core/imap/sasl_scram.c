#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/sasl_private.h"

/*
 * SCRAM (RFC 5802, 7677). Not libgsasl's: that one cannot say `y` ("I could bind"), knows no
 * tls-server-end-point and believes any number of iterations.
 *
 *   C: gs2-header n=user,r=nonce      S: r=nonce+,s=salt,i=iterations
 *   C: c=binding,r=nonce+,p=proof     S: v=signature    C: (nothing)
 */
#define NONCE_BYTES 18
/* Fewer make guessing from what was overheard cheap; more are an attack on our processor (S16). */
#define ITERATIONS_MIN 4096
#define ITERATIONS_MAX 1000000
#define SALT_MAX 1024

struct scram {
	const EVP_MD *md;
	bool plus;
	char nonce[NONCE_BYTES / 3 * 4 + 1];
	struct buf gs2;     /* header, then the binding's data: what `c=` stands for */
	struct buf message; /* AuthMessage: the texts both sides sign */
	uint8_t signature[EVP_MAX_MD_SIZE]; /* the server's, to come */
};

static size_t size_of(const struct scram *sc)
{
	return (size_t)EVP_MD_get_size(sc->md);
}

static int bad(const struct sasl *sasl, struct err *err, const char *what)
{
	return err_set(err, ERR_FATAL, "%s: %s", sasl->how->name, what);
}

static int begin(struct sasl *sasl, const EVP_MD *md, bool plus, struct err *err)
{
	struct scram *sc = xcalloc(1, sizeof(*sc));
	uint8_t random[NONCE_BYTES];

	sasl->state = sc;
	sc->md = md;
	sc->plus = plus;
	buf_init(&sc->gs2, SASL_MESSAGE_MAX);
	buf_init(&sc->message, SASL_MESSAGE_MAX);
	if (plus && !sasl->binding.type)
		return bad(sasl, err, "this connection has nothing to bind the login to");
	if (RAND_bytes(random, sizeof(random)) != 1)
		return bad(sasl, err, "no random numbers");
	EVP_EncodeBlock((uint8_t *)sc->nonce, random, sizeof(random));
	return 0;
}

static int begin_sha_1(struct sasl *sasl, struct err *err)
{
	return begin(sasl, EVP_sha1(), false, err);
}

static int begin_sha_256(struct sasl *sasl, struct err *err)
{
	return begin(sasl, EVP_sha256(), false, err);
}

static int begin_sha_1_plus(struct sasl *sasl, struct err *err)
{
	return begin(sasl, EVP_sha1(), true, err);
}

static int begin_sha_256_plus(struct sasl *sasl, struct err *err)
{
	return begin(sasl, EVP_sha256(), true, err);
}

static void end(struct sasl *sasl)
{
	struct scram *sc = sasl->state;

	buf_release(&sc->gs2);
	buf_release(&sc->message);
	secret_wipe(sc, sizeof(*sc));
	free(sc);
}

/* SASLprep (RFC 4013); what it cannot prepare goes as it is, since servers differ here. */
static char *prepared(const char *text)
{
	char *out = NULL, *ret;

	if (gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &out, NULL) != GSASL_OK)
		return xstrdup(text);
	ret = xstrdup(out);
	secret_wipe(out, strlen(out));
	gsasl_free(out);
	return ret;
}

/*
 * `p`: bound. `y`: we could, the server does not offer it; one that does knows then that somebody
 * in between took the offer away. `n`: we cannot, or were told not to.
 */
static void first_message(struct sasl *sasl, struct buf *out)
{
	struct scram *sc = sasl->state;
	char *user = prepared(sasl->user);

	if (sc->plus)
		buf_addf(&sc->gs2, "p=%s,", sasl->binding.type);
	else
		buf_add_str(&sc->gs2, sasl->binding.type && !sasl->binding_offered ? "y," : "n,");
	if (sasl->authzid) {
		buf_add_str(&sc->gs2, "a=");
		sasl_add_name(&sc->gs2, sasl->authzid);
	}
	buf_add_str(&sc->gs2, ",");
	buf_add_str(&sc->message, "n=");
	sasl_add_name(&sc->message, user);
	buf_addf(&sc->message, ",r=%s", sc->nonce);
	buf_add(out, buf_bytes(&sc->gs2));
	buf_add(out, buf_bytes(&sc->message));
	if (sc->plus)
		buf_add(&sc->gs2, bytes_from(sasl->binding.data, sasl->binding.n));
	free(user);
}

/* Take `name=value` and the comma behind it off *text. */
static bool take(struct bytes *text, char name, struct bytes *value)
{
	const uint8_t *comma;

	if (text->n < 2 || text->p[0] != name || text->p[1] != '=')
		return false;
	*value = bytes_skip(*text, 2);
	comma = value->n ? memchr(value->p, ',', value->n) : NULL;
	if (comma)
		value->n = (size_t)(comma - value->p);
	*text = bytes_skip(*text, value->n + 2 + (comma != NULL));
	return true;
}

static bool hmac(const struct scram *sc, const uint8_t *key, struct bytes data, uint8_t *out)
{
	return HMAC(sc->md, key, (int)size_of(sc), data.p, data.n, out, NULL) != NULL;
}

/* Fills `proof` and the server's signature to come from what both sides now know. */
static bool sign(struct sasl *sasl, struct bytes salt, int iterations, uint8_t *proof)
{
	struct scram *sc = sasl->state;
	struct bytes message = buf_bytes(&sc->message);
	uint8_t salted[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE], signature[EVP_MAX_MD_SIZE];
	char *password = prepared(sasl->secret);
	bool ok = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt.p, (int)salt.n,
				    iterations, sc->md, (int)size_of(sc), salted) == 1 &&
		  hmac(sc, salted, bytes_of("Client Key"), proof) &&
		  EVP_Digest(proof, size_of(sc), stored, NULL, sc->md, NULL) == 1 &&
		  hmac(sc, stored, message, signature);

	for (size_t i = 0; i < size_of(sc); i++)
		proof[i] ^= signature[i];
	ok = ok && hmac(sc, salted, bytes_of("Server Key"), stored) &&
	     hmac(sc, stored, message, sc->signature);
	secret_free(password);
	secret_wipe(salted, sizeof(salted));
	secret_wipe(stored, sizeof(stored));
	return ok;
}

/* What the server's first message says, if it can be believed. */
static int read_first(const struct sasl *sasl, struct bytes in, struct bytes *nonce,
		      struct buf *salt, int *iterations, struct err *err)
{
	const struct scram *sc = sasl->state;
	size_t ours = strlen(sc->nonce);
	struct bytes salt64, count;
	uint64_t n = 0;

	/* An extension we must understand (`m=`) would stand first, where `r=` has to. */
	if (!take(&in, 'r', nonce) || !take(&in, 's', &salt64) || !take(&in, 'i', &count) ||
	    !sasl_decode_base64(salt64, salt) || !salt->n || !bytes_to_u64(count, &n))
		return bad(sasl, err, "the server's first message cannot be read");
	if (nonce->n <= ours || memcmp(nonce->p, sc->nonce, ours) != 0)
		return bad(sasl, err, "the server answers somebody else's login");
	if (n < ITERATIONS_MIN || n > ITERATIONS_MAX)
		return err_set(err, ERR_FATAL,
			       "%s: the server wants %llu iterations, which is not within %d and %d",
			       sasl->how->name, (unsigned long long)n, ITERATIONS_MIN,
			       ITERATIONS_MAX);
	*iterations = (int)n;
	return 0;
}

static int final_message(struct sasl *sasl, struct bytes in, struct buf *out, struct err *err)
{
	struct scram *sc = sasl->state;
	struct buf salt = BUF_INIT(SALT_MAX);
	uint8_t proof[EVP_MAX_MD_SIZE] = { 0 };
	struct bytes nonce;
	int iterations = 0, ret = read_first(sasl, in, &nonce, &salt, &iterations, err);

	if (ret == 0) {
		buf_add_str(out, "c=");
		sasl_add_base64(out, buf_bytes(&sc->gs2));
		buf_add_str(out, ",r=");
		buf_add(out, nonce);
		buf_add_str(&sc->message, ",");
		buf_add(&sc->message, in);
		buf_add_str(&sc->message, ",");
		buf_add(&sc->message, buf_bytes(out));
		if (sc->message.overflow || !sign(sasl, buf_bytes(&salt), iterations, proof))
			ret = bad(sasl, err, "the proof cannot be computed");
		buf_add_str(out, ",p=");
		sasl_add_base64(out, bytes_from(proof, size_of(sc)));
	}
	buf_release(&salt);
	return ret;
}

/* Who does not know the password cannot have made this signature. */
static int check_server(struct sasl *sasl, struct bytes in, struct err *err)
{
	struct scram *sc = sasl->state;
	struct buf signature = BUF_INIT(SASL_MESSAGE_MAX);
	struct bytes value;
	int ret = 0;

	if (take(&in, 'e', &value)) {
		char *text = escape_text(value, 100);

		ret = err_set(err, ERR_AUTH, "%s: the server says %s", sasl->how->name, text);
		free(text);
		return ret;
	}
	if (!take(&in, 'v', &value) || !sasl_decode_base64(value, &signature) ||
	    signature.n != size_of(sc) ||
	    CRYPTO_memcmp(signature.p, sc->signature, signature.n) != 0)
		ret = bad(sasl, err, "the server does not know the password itself: "
				     "it is not the one it pretends to be");
	sasl->done = ret == 0;
	buf_release(&signature);
	return ret;
}

static int step(struct sasl *sasl, struct bytes in, struct buf *out, struct err *err)
{
	switch (sasl->steps) {
	case 0:
		first_message(sasl, out);
		return 0;
	case 1:
		return final_message(sasl, in, out, err);
	case 2:
		return check_server(sasl, in, err);
	default:
		return bad(sasl, err, "the server asks for more than there is");
	}
}

const struct sasl_mechanism sasl_scram_sha_1 = {
	"SCRAM-SHA-1", .begin = begin_sha_1, .step = step, .end = end };
const struct sasl_mechanism sasl_scram_sha_256 = {
	"SCRAM-SHA-256", .begin = begin_sha_256, .step = step, .end = end };
const struct sasl_mechanism sasl_scram_sha_1_plus = {
	"SCRAM-SHA-1-PLUS", .begin = begin_sha_1_plus, .step = step, .end = end };
const struct sasl_mechanism sasl_scram_sha_256_plus = {
	"SCRAM-SHA-256-PLUS", .begin = begin_sha_256_plus, .step = step, .end = end };
