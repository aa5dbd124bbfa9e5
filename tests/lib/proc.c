#include "tests/lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/support.h"

enum { SAMPLE_MS = 10 };
#define OUTPUT_MAX ((size_t)256 << 20)

static struct {
	struct child {
		pid_t pid;
		bool group;
	} *child;
	size_t n, cap;
	pid_t owner; /* forked children inherit the list, not the duty */
} running;

static void forget(pid_t pid)
{
	for (size_t i = 0; i < running.n; i++)
		if (running.child[i].pid == pid)
			running.child[i] = running.child[--running.n];
}

static void kill_the_rest(void)
{
	if (getpid() != running.owner)
		return;
	while (running.n > 0) {
		struct child c = running.child[running.n - 1];

		if (c.group)
			proc_end_group(c.pid);
		else
			proc_end(c.pid, SIGKILL);
	}
	free(running.child);
	running.child = NULL;
}

static void remember(pid_t pid, bool group)
{
	if (running.owner != getpid()) {
		running.owner = getpid();
		running.n = 0;
		/* Grandchildren of a killed server become ours, so that none is left behind. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		atexit(kill_the_rest);
	}
	running.child = xgrow(running.child, running.n, &running.cap, sizeof(*running.child));
	running.child[running.n++] = (struct child){ .pid = pid, .group = group };
}

static pid_t fork_child(bool group)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		test_die_sys("fork");
	if (pid > 0) {
		if (group)
			setpgid(pid, pid);
		remember(pid, group);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (group)
		setpgid(0, 0);
	return 0;
}

pid_t proc_fork(void)
{
	return fork_child(false);
}

pid_t proc_fork_server(const int *keep, size_t n)
{
	pid_t pid = fork_child(true);
	unsigned from = 3;

	/* A copy of the client's socket here would keep its connection open after it closes. */
	while (pid == 0) {
		unsigned next = ~0U;

		for (size_t i = 0; i < n; i++)
			if ((unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			close_range(from, next - 1, 0);
		if (next == ~0U)
			break;
		from = next + 1;
	}
	return pid;
}

static void set_env(const char *const *env)
{
	for (; env && *env; env++) {
		char *copy = xstrdup(*env), *eq = strchr(copy, '=');

		if (eq)
			*eq = '\0';
		if (eq)
			setenv(copy, eq + 1, 1);
		else
			unsetenv(copy);
		free(copy);
	}
}

static _Noreturn void exec_child(const char *const argv[], const char *const *env, int in, int out,
				 int err)
{
	sigset_t none;

	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(in, 0) < 0 || (out >= 0 && dup2(out, 1) < 0) || (err >= 0 && dup2(err, 2) < 0))
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_env(env);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

pid_t proc_spawn(const char *const argv[], const struct proc_spawn *how)
{
	pid_t pid = fork_child(how->group);

	if (pid == 0)
		exec_child(argv, how->env, -1, how->out_fd, how->err_fd);
	return pid;
}

static int exit_state(int raw)
{
	return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

bool proc_wait(pid_t pid, int ms, int *status)
{
	struct pollfd end = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int raw = 0, n;

	if (end.fd < 0)
		test_die_sys("open process %d", (int)pid);
	do
		n = poll(&end, 1, ms);
	while (n < 0 && errno == EINTR);
	close(end.fd);
	if (n == 0)
		return false;
	if (waitpid(pid, &raw, 0) != pid)
		test_die_sys("wait for process %d", (int)pid);
	forget(pid);
	if (status)
		*status = exit_state(raw);
	return true;
}

int proc_end(pid_t pid, int sig)
{
	int status;

	kill(pid, sig);
	if (!proc_wait(pid, 5000, &status)) {
		kill(pid, SIGKILL);
		proc_wait(pid, -1, &status);
	}
	return status;
}

void proc_end_group(pid_t leader)
{
	kill(-leader, SIGKILL);
	while (waitpid(-leader, NULL, 0) > 0 || errno == EINTR)
		;
	forget(leader);
}

/*
 * Note the largest resident memory so far. Not rusage: that would count what this process had
 * when it forked. What the program takes in its very last milliseconds goes unseen.
 */
static void sample_memory(pid_t pid, struct proc_result *res)
{
	char path[64], text[4096], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "VmHWM:"); /* none once it has ended */
	if (at)
		res->max_rss_kb = strtol(at + 6, NULL, 10);
}

/* Pump stdin, stdout and stderr until both outputs are closed; false when the time is up. */
static bool pump(pid_t pid, int in, int out, int err, struct bytes input, struct proc_result *res,
		 int64_t end)
{
	struct pollfd p[] = { { .fd = in, .events = POLLOUT },
			      { .fd = out, .events = POLLIN },
			      { .fd = err, .events = POLLIN } };
	struct buf *to[] = { NULL, &res->out, &res->err };

	while (p[1].fd >= 0 || p[2].fd >= 0) {
		sample_memory(pid, res);
		if (clock_ms() >= end)
			return false;
		if (input.n == 0 && p[0].fd >= 0) {
			close(p[0].fd);
			p[0].fd = -1;
		}
		if (poll(p, 3, SAMPLE_MS) <= 0)
			continue;
		if (p[0].fd >= 0 && p[0].revents) {
			ssize_t n = write(p[0].fd, input.p, input.n);

			/* A program may end without reading all: not our failure. */
			input = n < 0 ? (struct bytes){ 0 } : bytes_skip(input, (size_t)n);
		}
		for (int i = 1; i < 3; i++) {
			ssize_t n;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			if (!buf_reserve(to[i], 65536))
				test_die("a program printed more than %zu bytes", OUTPUT_MAX);
			n = read(p[i].fd, to[i]->p + to[i]->n, 65536);
			if (n > 0)
				buf_grow(to[i], (size_t)n);
			else
				p[i].fd = -1;
		}
	}
	if (p[0].fd >= 0)
		close(p[0].fd);
	return true;
}

/* Wait for the end by `end`. */
static bool reap(pid_t pid, int64_t end, struct proc_result *res)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int64_t left = end - clock_ms();
	int raw, n = poll(&p, 1, left > 0 ? (int)left : 0);

	close(p.fd);
	if (n <= 0)
		return false;
	if (waitpid(pid, &raw, 0) != pid)
		test_die_sys("wait for process %d", (int)pid);
	forget(pid);
	res->status = exit_state(raw);
	return true;
}

void proc_run(struct proc_result *res, const struct proc_opts *opts, const char *const argv[])
{
	static const struct proc_opts none;
	int in[2], out[2], err[2], started[2];
	int64_t end;
	bool ended;
	char none_yet;
	pid_t pid;

	if (!opts)
		opts = &none;
	*res = (struct proc_result){ .out = BUF_INIT(OUTPUT_MAX), .err = BUF_INIT(OUTPUT_MAX) };
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 ||
	    pipe2(started, O_CLOEXEC) < 0)
		test_die_sys("pipe");
	signal(SIGPIPE, SIG_IGN);
	pid = fork_child(false);
	if (pid == 0) {
		if (opts->dir && chdir(opts->dir) < 0)
			_exit(126);
		exec_child(argv, opts->env, in[0], out[1], err[1]);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(started[1]);
	/* Its end closes in exec; before, the memory is a copy of ours. */
	(void)!read(started[0], &none_yet, 1);
	close(started[0]);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	end = clock_ms() + (opts->deadline_ms ? opts->deadline_ms : 60000);
	ended = pump(pid, in[1], out[0], err[0], opts->input, res, end) && reap(pid, end, res);
	close(out[0]);
	close(err[0]);
	if (!ended) {
		proc_end(pid, SIGKILL);
		test_die("%s did not end in time; it printed:\n%s%s", argv[0], buf_str(&res->out),
			 buf_str(&res->err));
	}
	buf_add(&res->out, (struct bytes){ 0 });
}

void proc_runl(struct proc_result *res, const struct proc_opts *opts, const char *arg0, ...)
{
	const char *argv[64] = { arg0 };
	size_t n = 1;
	va_list ap;

	va_start(ap, arg0);
	while (n < 63 && (argv[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	proc_run(res, opts, argv);
}

void proc_result_release(struct proc_result *res)
{
	buf_release(&res->out);
	buf_release(&res->err);
}
