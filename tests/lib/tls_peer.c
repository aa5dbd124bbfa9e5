#include "tests/lib/tls_peer.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/transport.h"
#include "tests/lib/support.h"

struct tls_peer {
	struct transport *transport;
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* what came from the client, what goes to it; owned by `ssl` */
	char *cert_file, *key_file;
	bool clear; /* no TLS yet */
	tls_peer_fn *fn;
	void *fn_ctx;
};

static void must(bool ok, const char *what)
{
	if (!ok)
		test_die("tls_peer: %s", what);
}

static X509 *make_cert(const struct tls_peer_cert *cert, EVP_PKEY *key)
{
	const long day = 24 * 60 * 60;
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, cert->names);

	must(names != NULL, "names of the certificate");
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -2 * day);
	X509_gmtime_adj(X509_getm_notAfter(x), cert->expired ? -day : day);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_add_ext(x, names, -1);
	X509_EXTENSION_free(names);
	must(X509_sign(x, key, EVP_sha256()) > 0, "sign the certificate");
	return x;
}

static void write_files(const struct tls_peer *p, const struct tls_peer_cert *cert, X509 *x,
			EVP_PKEY *key)
{
	const char *password = cert->key_password;
	FILE *f = fopen(p->cert_file, "w");

	must(f && PEM_write_X509(f, x) == 1 && fclose(f) == 0, "write the certificate");
	f = fopen(p->key_file, "w");
	must(f && PEM_write_PrivateKey(f, key, password ? EVP_aes_128_cbc() : NULL,
				       (const uint8_t *)password,
				       password ? (int)strlen(password) : 0, NULL, NULL) == 1 &&
	     fclose(f) == 0, "write the key");
}

static void flush(struct tls_peer *p)
{
	char piece[4096];
	int n;

	while ((n = BIO_read(p->out, piece, sizeof(piece))) > 0)
		transport_memory_feed(p->transport, bytes_from(piece, (size_t)n));
}

static void on_written(void *ctx, struct transport *t, struct bytes written)
{
	struct tls_peer *p = ctx;
	char piece[4096];
	int n;

	(void)t;
	if (p->clear) {
		p->fn(p->fn_ctx, p, written);
		return;
	}
	BIO_write(p->in, written.p, (int)written.n);
	while ((n = SSL_read(p->ssl, piece, sizeof(piece))) > 0)
		if (p->fn)
			p->fn(p->fn_ctx, p, bytes_from(piece, (size_t)n));
	flush(p);
}

struct tls_peer *tls_peer_new(const struct tls_peer_cert *cert, const char *dir, tls_peer_fn *fn,
			      void *ctx)
{
	struct tls_peer *p = xcalloc(1, sizeof(*p));
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make_cert(cert, key);

	p->fn = fn;
	p->fn_ctx = ctx;
	p->cert_file = xasprintf("%s/cert.pem", dir);
	p->key_file = xasprintf("%s/key.pem", dir);
	write_files(p, cert, x, key);
	p->ctx = SSL_CTX_new(TLS_server_method());
	must(SSL_CTX_use_certificate(p->ctx, x) == 1 && SSL_CTX_use_PrivateKey(p->ctx, key) == 1,
	     "use the certificate");
	if (cert->tls_1_1)
		must(SSL_CTX_set_min_proto_version(p->ctx, TLS1_1_VERSION) == 1 &&
		     SSL_CTX_set_max_proto_version(p->ctx, TLS1_1_VERSION) == 1 &&
		     SSL_CTX_set_cipher_list(p->ctx, "ALL:@SECLEVEL=0") == 1, "speak TLS 1.1");
	if (cert->tls_1_2)
		SSL_CTX_set_max_proto_version(p->ctx, TLS1_2_VERSION);
	if (cert->no_ems)
		SSL_CTX_set_options(p->ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	p->ssl = SSL_new(p->ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_accept_state(p->ssl);
	X509_free(x);
	EVP_PKEY_free(key);
	p->transport = transport_memory_new(on_written, p);
	return p;
}

struct transport *tls_peer_transport(struct tls_peer *p)
{
	return p->transport;
}

void tls_peer_say(struct tls_peer *p, struct bytes text)
{
	if (p->clear) {
		transport_memory_feed(p->transport, text);
		return;
	}
	must(SSL_write(p->ssl, text.p, (int)text.n) == (int)text.n, "say something");
	flush(p);
}

void tls_peer_clear(struct tls_peer *p, bool clear)
{
	p->clear = clear;
}

struct ssl_st *tls_peer_ssl(struct tls_peer *p)
{
	return p->ssl;
}

const char *tls_peer_cert_file(const struct tls_peer *p)
{
	return p->cert_file;
}

const char *tls_peer_key_file(const struct tls_peer *p)
{
	return p->key_file;
}

void tls_peer_free(struct tls_peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	free(p->cert_file);
	free(p->key_file);
	free(p);
}
