/*
 * Run a throw-away Dovecot: print where it is as shell variables, close stdout, and stop and
 * remove it when stdin ends or a signal asks for it.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lib/dovecot.h"
#include "tests/lib/serving.h"

static const char usage[] = "usage: dovecot-run [--capability LIST] "
			    "[--cert good|wrong-host|self-signed]\n";

static bool read_options(int argc, char **argv, struct dovecot_opts *opts)
{
	static const struct {
		const char *name;
		enum dovecot_cert cert;
	} certs[] = { { "good", DOVECOT_CERT_GOOD },
		      { "wrong-host", DOVECOT_CERT_WRONG_HOST },
		      { "self-signed", DOVECOT_CERT_SELF_SIGNED } };

	for (int i = 1; i < argc; i += 2) {
		size_t c = 0;

		if (i + 1 == argc)
			return false;
		if (strcmp(argv[i], "--capability") == 0) {
			opts->imap_capability = argv[i + 1];
			continue;
		}
		while (c < 3 && strcmp(certs[c].name, argv[i + 1]) != 0)
			c++;
		if (strcmp(argv[i], "--cert") != 0 || c == 3)
			return false;
		opts->cert = certs[c].cert;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct dovecot_opts opts = { 0 };
	struct dovecot *dv;
	sigset_t set;

	if (!read_options(argc, argv, &opts)) {
		fputs(usage, stderr);
		return 2;
	}
	serving_begin(&set);
	dv = dovecot_start(&opts);
	printf("SERVER_PORT=%d\nSERVER_TLS_PORT=%d\nSERVER_CA_FILE=%s\nSERVER_DIR=%s\n"
	       "SERVER_PASSWORD=pw\n",
	       dv->port, dv->tls_port, dv->ca_file, dv->dir);
	fclose(stdout);
	serving_wait(&set);
	dovecot_stop(dv);
	return 0;
}
