#ifndef TESTS_LIB_PROC_H
#define TESTS_LIB_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/buf.h"
#include "core/base/bytes.h"

/*
 * Child processes. Each dies with the process that started it, and whatever is still running
 * at exit is killed by its pid. Exit states are the exit status, or 128 + the signal's number.
 */
struct proc_opts {
	const char *const *env; /* "NAME=value" sets, "NAME" unsets; NULL at the end; may be NULL */
	const char *dir;        /* working directory; NULL: as ours */
	struct bytes input;     /* what stdin gives */
	int deadline_ms;        /* 0: 60 s. Past it the program is killed and the test fails. */
};

struct proc_result {
	int status;
	struct buf out, err; /* use buf_str() */
	long max_rss_kb; /* largest resident memory, its last 10 ms perhaps left out */
};

/* Run to the end, collecting what it prints. `argv` is NULL-terminated. `opts` may be NULL. */
void proc_run(struct proc_result *res, const struct proc_opts *opts, const char *const argv[]);
/* The same with the arguments listed, ended by NULL. */
void proc_runl(struct proc_result *res, const struct proc_opts *opts, const char *arg0, ...)
	__attribute__((sentinel));
void proc_result_release(struct proc_result *res);

/*
 * Start a program and return its pid. `env` as above. stdin is /dev/null; stdout and stderr go
 * to `out_fd` and `err_fd`, or stay ours when -1. With `group` it leads a process group of its own.
 */
struct proc_spawn {
	const char *const *env;
	int out_fd, err_fd;
	bool group;
};
pid_t proc_spawn(const char *const argv[], const struct proc_spawn *how);
/* fork(): 0 in the child, which dies with us and must end by _exit(). */
pid_t proc_fork(void);

/* The same in a process group of its own, with only 0-2 and these descriptors open: a server. */
pid_t proc_fork_server(const int *keep, size_t n);

/* Wait for the end; false when `ms` have passed first. */
bool proc_wait(pid_t pid, int ms, int *status);
/* Send `sig` and wait for the end; SIGKILL follows when it takes more than five seconds. */
int proc_end(pid_t pid, int sig);
/* SIGKILL a process group started with `group`, and reap all of it. */
void proc_end_group(pid_t leader);

#endif
