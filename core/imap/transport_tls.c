#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/transport.h"

/*
 * OpenSSL reads and writes through a BIO made of the lower transport, so that TLS runs over
 * anything. SSL_read() may need the lower stream to be written and SSL_write() may need it
 * read (key update, renegotiated parameters): what each last asked for is kept and polled for.
 */
struct tls {
	struct transport base;
	struct transport *lower;
	/*
	 * Read ahead: OpenSSL asks for 5 bytes, then for one record, and each would be a system
	 * call.
	 */
	uint8_t *ahead;
	size_t ahead_at, ahead_end;
	SSL_CTX *ctx;
	SSL *ssl;
	char *host;
	char *pin;
	bool open;
	unsigned open_wants;  /* TRANSPORT_ bits the lower stream must be ready for */
	unsigned read_wants;
	unsigned write_wants;
	struct err lower_err; /* what failed below; OpenSSL would lose the text */
	bool lower_eof;
	char *refused;  /* why the certificate was not accepted */
	char *peer_pin; /* of the certificate last looked at */
};

static struct tls *tls_of(struct transport *t)
{
	return (struct tls *)t;
}

#define AHEAD_SIZE 65536

/* --- the BIO over the lower transport --- */

static int take_ahead(struct tls *tls, char *p, size_t max, size_t *n)
{
	size_t have = tls->ahead_end - tls->ahead_at;

	*n = have < max ? have : max;
	memcpy(p, tls->ahead + tls->ahead_at, *n);
	tls->ahead_at += *n;
	return 1;
}

static int bio_read(BIO *bio, char *p, size_t max, size_t *n)
{
	struct tls *tls = BIO_get_data(bio);
	size_t got = 0;

	BIO_clear_retry_flags(bio);
	if (tls->ahead_at < tls->ahead_end)
		return take_ahead(tls, p, max, n);
	switch (transport_read(tls->lower, tls->ahead, AHEAD_SIZE, &got, &tls->lower_err)) {
	case TRANSPORT_OK:
		tls->ahead_at = 0;
		tls->ahead_end = got;
		return take_ahead(tls, p, max, n);
	case TRANSPORT_AGAIN:
		BIO_set_retry_read(bio);
		return 0;
	case TRANSPORT_EOF:
		tls->lower_eof = true;
		return 0;
	default:
		return 0;
	}
}

static int bio_write(BIO *bio, const char *p, size_t len, size_t *n)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	switch (transport_write(tls->lower, bytes_from(p, len), n, &tls->lower_err)) {
	case TRANSPORT_OK:
		return 1;
	case TRANSPORT_AGAIN:
		BIO_set_retry_write(bio);
		return 0;
	default:
		return 0;
	}
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *p)
{
	struct tls *tls = BIO_get_data(bio);

	(void)num;
	(void)p;
	if (cmd == BIO_CTRL_EOF)
		return tls->lower_eof;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO *bio_new(struct tls *tls)
{
	/* One table for the life of the process: there is no moment at which it could be freed. */
	static BIO_METHOD *method;
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
		if (!method)
			return NULL;
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, tls);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* --- the certificate --- */

static char *pin_of(X509 *cert)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint8_t text[EVP_MAX_MD_SIZE * 2];
	unsigned size = 0;
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, digest, &size, EVP_sha256(), NULL);

	OPENSSL_free(der);
	if (!ok)
		return NULL;
	EVP_EncodeBlock(text, digest, (int)size);
	return xasprintf("sha256:%s", (const char *)text);
}

/* The one place where a peer is accepted or refused, for implicit TLS and STARTTLS alike. */
static int verify_peer(X509_STORE_CTX *store, void *arg)
{
	struct tls *tls = arg;
	X509 *cert = X509_STORE_CTX_get0_cert(store);

	free(tls->peer_pin);
	tls->peer_pin = cert ? pin_of(cert) : NULL;
	free(tls->refused);
	tls->refused = NULL;
	if (tls->pin) {
		if (tls->peer_pin && strcmp(tls->pin, tls->peer_pin) == 0) {
			X509_STORE_CTX_set_error(store, X509_V_OK);
			return 1;
		}
		tls->refused = xstrdup("its public key is not the pinned one");
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	if (X509_verify_cert(store) == 1)
		return 1;
	tls->refused = xstrdup(X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	return 0;
}

/* --- failures --- */

static const char *openssl_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	/* OpenSSL's word for a greeting in clear text is no help. */
	if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
		return "the server does not begin with TLS on this port; is it one for STARTTLS?";
	return text ? text : "TLS failed";
}

static enum transport_io tls_failed(struct tls *tls, struct err *err)
{
	if (tls->refused && tls->peer_pin)
		err_set(err, ERR_FATAL,
			"certificate of %s refused: %s (only if this server is really wanted: "
			"tls_pin = %s)", tls->host, tls->refused, tls->peer_pin);
	else if (tls->refused)
		err_set(err, ERR_FATAL, "certificate of %s refused: %s", tls->host, tls->refused);
	else if (tls->lower_err.kind)
		*err = tls->lower_err;
	else if (tls->lower_eof)
		err_set(err, ERR_RETRY, "%s closed the connection during TLS", tls->host);
	else
		err_set(err, tls->open ? ERR_RETRY : ERR_FATAL, "TLS with %s: %s", tls->host,
			openssl_reason());
	return TRANSPORT_FAILED;
}

/* Turn what an SSL_ call returned into a result; *wants is what it must wait for. */
static enum transport_io tls_result(struct tls *tls, int rc, unsigned *wants, struct err *err)
{
	switch (SSL_get_error(tls->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		*wants = TRANSPORT_READ;
		return TRANSPORT_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		*wants = TRANSPORT_WRITE;
		return TRANSPORT_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return TRANSPORT_EOF;
	default:
		/*
		 * An end without close_notify is an end: IMAP itself tells a complete answer from a
		 * cut one.
		 */
		if (tls->open && tls->lower_eof && !tls->lower_err.kind)
			return TRANSPORT_EOF;
		return tls_failed(tls, err);
	}
}

/* --- the transport --- */

static enum transport_io tls_open(struct transport *t, struct err *err)
{
	struct tls *tls = tls_of(t);
	enum transport_io io;
	int rc;

	if (tls->open)
		return TRANSPORT_OK;
	io = transport_open(tls->lower, err);
	t->wake_at = tls->lower->wake_at;
	if (io != TRANSPORT_OK)
		return io;
	t->is_local = tls->lower->is_local;
	ERR_clear_error();
	rc = SSL_connect(tls->ssl);
	if (rc != 1) {
		io = tls_result(tls, rc, &tls->open_wants, err);
		return io == TRANSPORT_EOF ? tls_failed(tls, err) : io;
	}
	tls->open = true;
	tls->read_wants = TRANSPORT_READ;
	tls->write_wants = TRANSPORT_WRITE;
	return TRANSPORT_OK;
}

static enum transport_io tls_read(struct transport *t, void *p, size_t max, size_t *n,
				  struct err *err)
{
	struct tls *tls = tls_of(t);
	int rc;

	tls->read_wants = TRANSPORT_READ;
	ERR_clear_error();
	rc = SSL_read_ex(tls->ssl, p, max, n);
	return rc == 1 ? TRANSPORT_OK : tls_result(tls, rc, &tls->read_wants, err);
}

static enum transport_io tls_write(struct transport *t, struct bytes data, size_t *n,
				   struct err *err)
{
	struct tls *tls = tls_of(t);
	int rc;

	tls->write_wants = TRANSPORT_WRITE;
	ERR_clear_error();
	rc = SSL_write_ex(tls->ssl, data.p, data.n, n);
	if (rc == 1)
		return TRANSPORT_OK;
	return tls_result(tls, rc, &tls->write_wants, err) == TRANSPORT_AGAIN ? TRANSPORT_AGAIN :
									    tls_failed(tls, err);
}

static bool tls_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	struct tls *tls = tls_of(t);
	unsigned wants = 0;

	if (!tls->open) {
		wants = tls->open_wants;
	} else {
		if (intent & TRANSPORT_READ)
			wants |= tls->read_wants;
		if (intent & TRANSPORT_WRITE)
			wants |= tls->write_wants;
	}
	/* An SSL_read() that could not go on has used up all that was read ahead. */
	return transport_poll(tls->lower, wants, out) ||
	       (tls->open && (intent & TRANSPORT_READ) &&
		(SSL_pending(tls->ssl) > 0 || tls->ahead_at < tls->ahead_end));
}

static void tls_free(struct transport *t)
{
	struct tls *tls = tls_of(t);

	if (tls->open && !tls->lower_err.kind) {
		/* one try at telling the peer; nobody waits for its answer */
		SSL_shutdown(tls->ssl);
		ERR_clear_error();
	}
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->ctx);
	transport_free(tls->lower);
	free(tls->ahead);
	free(tls->host);
	free(tls->pin);
	free(tls->refused);
	free(tls->peer_pin);
	free(tls);
}

/* --- channel binding --- */

/* RFC 5929, section 4.1: the certificate by the hash of its signature, weak ones by SHA-256. */
static bool bind_to_certificate(const struct tls *tls, struct transport_binding *out)
{
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	const EVP_MD *md;
	unsigned n = 0;
	int hash = NID_undef;

	if (!cert || X509_get_signature_info(cert, &hash, NULL, NULL, NULL) != 1)
		return false;
	if (hash == NID_md5 || hash == NID_sha1)
		hash = NID_sha256;
	md = EVP_get_digestbynid(hash);
	if (!md || (size_t)EVP_MD_get_size(md) > sizeof(out->data) ||
	    X509_digest(cert, md, out->data, &n) != 1)
		return false;
	out->type = "tls-server-end-point";
	out->n = n;
	return true;
}

/*
 * TLS 1.3 has no tls-unique. In TLS 1.2 it is safe only with the extended master secret: without,
 * somebody in between can give two connections the same one (RFC 7627).
 */
static bool tls_binding(struct transport *t, struct transport_binding *out)
{
	struct tls *tls = tls_of(t);
	static const char label[] = "EXPORTER-Channel-Binding";

	if (!tls->open)
		return false;
	if (SSL_version(tls->ssl) >= TLS1_3_VERSION) {
		out->type = "tls-exporter";
		out->n = 32;
		return SSL_export_keying_material(tls->ssl, out->data, out->n, label,
						  strlen(label), NULL, 0, 0) == 1;
	}
	if (SSL_get_extms_support(tls->ssl) != 1)
		return bind_to_certificate(tls, out);
	/* The first Finished: ours, for no session is ever resumed. */
	out->type = "tls-unique";
	out->n = SSL_get_finished(tls->ssl, out->data, sizeof(out->data));
	return out->n > 0 && out->n <= sizeof(out->data);
}

static char *tls_last_words(struct transport *t)
{
	return transport_last_words(tls_of(t)->lower);
}

static const struct transport_ops tls_ops = {
	.open = tls_open,
	.read = tls_read,
	.write = tls_write,
	.poll = tls_poll,
	.free = tls_free,
	.binding = tls_binding,
	.last_words = tls_last_words,
};

static int load_authorities(struct tls *tls, const char *path, struct err *err)
{
	struct stat st;
	int ok;

	if (tls->pin)
		return 0;
	if (!path) {
		if (SSL_CTX_set_default_verify_paths(tls->ctx) != 1)
			return err_set(err, ERR_FATAL, "system's CA certificates: %s",
				       openssl_reason());
		return 0;
	}
	if (stat(path, &st) < 0)
		return err_sys(err, ERR_CONFIG, "tls_ca_file %s", path);
	ok = S_ISDIR(st.st_mode) ? SSL_CTX_load_verify_dir(tls->ctx, path) :
				   SSL_CTX_load_verify_file(tls->ctx, path);
	if (ok != 1)
		return err_set(err, ERR_CONFIG, "tls_ca_file %s: %s", path, openssl_reason());
	return 0;
}

/* OpenSSL would ask at the terminal, and a run under cron would wait there for ever. */
static int no_password(char *text, int size, int writing, void *ctx)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

static int load_client_key(struct tls *tls, const char *cert, const char *key, struct err *err)
{
	if (!cert)
		return 0;
	if (!key)
		key = cert;
	SSL_CTX_set_default_passwd_cb(tls->ctx, no_password);
	if (SSL_CTX_use_certificate_chain_file(tls->ctx, cert) != 1)
		return err_set(err, ERR_CONFIG, "tls_client_cert %s: %s", cert, openssl_reason());
	if (SSL_CTX_use_PrivateKey_file(tls->ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(tls->ctx) != 1)
		return err_set(err, ERR_CONFIG, "tls_client_key %s: %s", key, openssl_reason());
	return 0;
}

/* Whom the certificate must name: an address must be listed as an address, never as a name. */
static int set_peer(struct tls *tls, const char *host, struct err *err)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
	uint8_t addr[sizeof(struct in6_addr)];
	int ok;

	if (inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1) {
		ok = X509_VERIFY_PARAM_set1_ip_asc(param, host);
	} else {
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		ok = X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
		     SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1;
	}
	return ok == 1 ? 0 : err_set(err, ERR_CONFIG, "host %s: %s", host, openssl_reason());
}

static int tls_setup(struct tls *tls, const struct transport_tls_settings *set, struct err *err)
{
	BIO *bio;

	tls->ctx = SSL_CTX_new(TLS_client_method());
	if (!tls->ctx || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1)
		return err_set(err, ERR_FATAL, "TLS: %s", openssl_reason());
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(tls->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(tls->ctx, verify_peer, tls);
	if (load_authorities(tls, set->ca_file, err) < 0 ||
	    load_client_key(tls, set->cert_file, set->key_file, err) < 0)
		return -1;
	tls->ssl = SSL_new(tls->ctx);
	bio = tls->ssl ? bio_new(tls) : NULL;
	if (!bio)
		return err_set(err, ERR_FATAL, "TLS: %s", openssl_reason());
	SSL_set_bio(tls->ssl, bio, bio);
	return set_peer(tls, set->host, err);
}

static bool pin_is_wellformed(const char *pin)
{
	static const char prefix[] = "sha256:";
	uint8_t digest[48];

	/* 32 bytes are 43 base64 characters and one "=". */
	return strncmp(pin, prefix, strlen(prefix)) == 0 && strlen(pin) == strlen(prefix) + 44 &&
	       EVP_DecodeBlock(digest, (const uint8_t *)pin + strlen(prefix), 44) == 33;
}

struct transport *transport_tls_new(struct transport *lower,
				    const struct transport_tls_settings *set, struct err *err)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));

	tls->base = (struct transport){ .ops = &tls_ops, .is_private = true };
	tls->lower = lower;
	tls->ahead = xmalloc(AHEAD_SIZE);
	tls->open_wants = TRANSPORT_WRITE; /* the first word is ours */
	tls->host = xstrdup(set->host);
	tls->pin = set->pin ? xstrdup(set->pin) : NULL;
	ERR_clear_error();
	if (tls->pin && !pin_is_wellformed(tls->pin)) {
		err_set(err, ERR_CONFIG, "tls_pin: expected sha256: and 44 characters of base64");
		transport_free(&tls->base);
		return NULL;
	}
	if (tls_setup(tls, set, err) < 0) {
		transport_free(&tls->base);
		return NULL;
	}
	return &tls->base;
}
