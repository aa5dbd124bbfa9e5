#ifndef TESTS_LIB_BACKUP_H
#define TESTS_LIB_BACKUP_H

#include <stdint.h>

#include "core/base/buf.h"

/*
 * A backup job as a user has it: a config file, a state directory and a store to be, in a
 * temporary directory of its own. The program is run as users run it, with --json.
 */
struct backup_config {
	int port;
	const char *host; /* NULL: 127.0.0.1 */
	const char *tls;  /* NULL: none */
	const char *user; /* NULL: alice */
	const char *password; /* NULL: pw */
	const char *type; /* NULL: maildir */
	const char *account, *store, *job; /* more lines of each section, each ended by \n; NULL: none */
	/*
	 * Not 0: the job is a migration to an account there, for migrate_expect(). `near`: more lines of its section.
	 */
	int to_port;
	const char *to_user; /* NULL: bob */
	const char *near;
};

struct backup {
	char *dir;    /* holds all of the below; only `root` and what the program makes change in it */
	char *config; /* config.ini */
	char *state;  /* $XDG_STATE_HOME */
	char *parent; /* of the root: holds nothing else */
	char *root;   /* the store; not made */
	char *env[3]; /* for proc.h */
};

/* The job is called "job". */
void backup_init(struct backup *b, const struct backup_config *config);
void backup_configure(struct backup *b, const struct backup_config *config);
/* Forget the store and the state: the next run is a first one. */
void backup_reset(struct backup *b);
void backup_release(struct backup *b);
/* STATE/mailcask/job.run, owned by the caller. */
char *backup_record(const struct backup *b);

struct backup_result {
	int status;
	struct buf out, err; /* use buf_str() */
	long max_rss_kb;
	unsigned jobs; /* summary events */
	/* Of the last of them; all 0 when there was none. */
	int job_exit;
	uint64_t mailboxes, unchanged, renamed, new_messages, flags_changed, removed, kept, held, bytes,
		allow_deletes;
	/* Of a migration: what it accounts for, and of that in this run. */
	uint64_t messages, copied, adopted, quarantined, copied_now, adopted_now;
	int64_t missing;
};

/* `mailcask backup --json ARG...`; `args` as one string, split at blanks. */
void backup_run(const struct backup *b, struct backup_result *res, const char *args);
/* The same, failing the test with what was printed unless it exits with `status`. */
void backup_expect(const struct backup *b, struct backup_result *res, int status,
		   const char *args);
/* `mailcask migrate --json ARG...`, and as backup_expect(); `env` as below. */
void migrate_expect(const struct backup *b, struct backup_result *res, int status, const char *env,
		    const char *args);
/* The same with one variable more in the environment ("CRASH_AT=3"), or NULL. */
void backup_run_env(const struct backup *b, struct backup_result *res, const char *env,
		    const char *args);
/* Any command with --json: `mailcask COMMAND --json ARG...`; `env` as above. Only status and output are set. */
void program_run(const struct backup *b, struct backup_result *res, const char *env,
		 const char *command, const char *args);
/*
 * The same, failing the test unless it exits with `status`: what it wrote to both, owned by the caller. The arguments by a format,
 * split at blanks.
 */
char *program_says(const struct backup *b, int status, const char *command, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void backup_result_release(struct backup_result *res);
/* backup_expect() when only the exit status matters. */
void backup_ends_with(const struct backup *b, int status, const char *args);
/* Exits 0, and says that nothing was transferred, changed or removed. */
void backup_idle(const struct backup *b);

/* Build with sanitizers: their memory is not the program's. */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 0
#endif

#endif
