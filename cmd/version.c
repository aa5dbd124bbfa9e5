#include <git2.h>
#include <gsasl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/report.h"

void version_show(const struct app *app)
{
	const char *gsasl = gsasl_check_version(NULL);
	char git[40];
	int major, minor, revision;

	git_libgit2_version(&major, &minor, &revision);
	snprintf(git, sizeof(git), "%d.%d.%d", major, minor, revision);
	if (app->json) {
		report_event(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s}", "event", "version",
				       "mailcask", MAILCASK_VERSION, "openssl",
				       OpenSSL_version(OPENSSL_VERSION_STRING), "sqlite",
				       sqlite3_libversion(), "libgit2", git, "gsasl",
				       gsasl, "jansson",
				       jansson_version_str()));
		return;
	}
	printf("mailcask %s\n", MAILCASK_VERSION);
	printf("OpenSSL %s, SQLite %s, libgit2 %s, libgsasl %s, jansson %s\n",
	       OpenSSL_version(OPENSSL_VERSION_STRING), sqlite3_libversion(), git,
	       gsasl ? gsasl : "unknown", jansson_version_str());
}

static int version_run(struct app *app, int argc, char **argv)
{
	if (cmd_no_operands(app, &cmd_version, argc, argv) < 0)
		return EXIT_USAGE;
	version_show(app);
	return EXIT_DONE;
}

const struct cmd cmd_version = {
	.name = "version",
	.args = "",
	.summary = "Show the version, and those of the libraries in use.",
	.run = version_run,
};
