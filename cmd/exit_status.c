#include "cmd/exit_status.h"

#include <stddef.h>

#include "core/sync/job.h"

const struct exit_meaning exit_meanings[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_FAILED, "failed, check found damage or what a backup lacks, or status a job that fails" },
	{ EXIT_USAGE, "the command line or the configuration is wrong" },
	{ EXIT_INCOMPLETE,
	  "done but incomplete: messages in quarantine, mailboxes skipped, not all could be checked, or "
	  "the mirror has something else" },
	{ EXIT_HELD,
	  "done, but the guard held deletions back; or the store is not the expected one" },
	{ EXIT_MISSING, "a store or mailbox that was named does not exist" },
	{ EXIT_LOCKED, "another run holds the store" },
	{ EXIT_AUTH,
	  "the server refused the login or offers a weaker one than before, or there was no password" },
	{ EXIT_TEMPORARY, "temporary (network, server busy): try again later" },
	{ EXIT_INTERRUPTED, "interrupted" },
	{ EXIT_DONE, NULL },
};

enum exit_status exit_of_err(enum err_kind kind)
{
	switch (kind) {
	case ERR_CONFIG:
		return EXIT_USAGE;
	case ERR_AUTH:
		return EXIT_AUTH;
	case ERR_LOCKED:
		return EXIT_LOCKED;
	case ERR_MISSING:
		return EXIT_MISSING;
	case ERR_HELD:
		return EXIT_HELD;
	case ERR_RETRY:
		return EXIT_TEMPORARY;
	case ERR_STOPPED:
		return EXIT_INTERRUPTED;
	case ERR_NONE:
	case ERR_MESSAGE:
	case ERR_MAILBOX:
	case ERR_FATAL:
		break;
	}
	return EXIT_FAILED;
}

enum exit_status exit_of_job(int failed, const struct err *err, const struct job_report *report)
{
	if (failed)
		return exit_of_err(err->kind);
	if (report->held)
		return EXIT_HELD;
	return report->incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
}

/*
 * An interruption ends everything, so it comes before all; a configuration that a job found
 * wrong only when it ran is as bad as a failure.
 */
static int rank(enum exit_status s)
{
	static const enum exit_status order[] = {
		EXIT_INTERRUPTED, EXIT_FAILED, EXIT_USAGE, EXIT_AUTH,      EXIT_LOCKED,
		EXIT_MISSING,     EXIT_HELD,   EXIT_INCOMPLETE, EXIT_TEMPORARY, EXIT_DONE,
	};
	int i = 0;

	while (order[i] != s && order[i] != EXIT_DONE)
		i++;
	return i;
}

enum exit_status exit_worse(enum exit_status a, enum exit_status b)
{
	return rank(a) <= rank(b) ? a : b;
}
