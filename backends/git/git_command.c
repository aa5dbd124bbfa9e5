#include "backends/git/git_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define ARGS_MAX 16
#define WORDS_MAX ((size_t)64 << 10)
#define TICK_MS 200 /* how often `stop` is looked at */

/* Of a git that runs us, as a hook does, these would mean its repository. */
static bool is_left_out(const char *variable)
{
	static const char *const names[] = { "GIT_DIR=", "GIT_WORK_TREE=", "GIT_INDEX_FILE=",
					     "GIT_OBJECT_DIRECTORY=", "GIT_ALTERNATE_OBJECT_DIRECTORIES=",
					     "GIT_NAMESPACE=", "GIT_TERMINAL_PROMPT=", "LC_ALL=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Ours without these; the caller frees the array alone. */
static char **environment(void)
{
	static char no_prompt[] = "GIT_TERMINAL_PROMPT=0", plain[] = "LC_ALL=C";
	size_t n = 0, to = 0;
	char **v;

	while (environ[n])
		n++;
	v = xcalloc(n + 3, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		if (!is_left_out(environ[i]))
			v[to++] = environ[i];
	v[to++] = no_prompt;
	v[to] = plain;
	return v;
}

/* 0, or an errno. */
static int start(const char *dir, const char *const *args, const int fd[2], pid_t *pid)
{
	char *argv[ARGS_MAX + 3] = { xstrdup("git"), xasprintf("--git-dir=%s", dir) };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char **env = environment();
	sigset_t set;
	size_t n = 2;
	int rc;

	for (; *args && n < ARGS_MAX + 2; args++)
		argv[n++] = xstrdup(*args);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd[0], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fd[1], STDERR_FILENO);
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawnp(pid, "git", &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	for (size_t i = 0; i < n; i++)
		free(argv[i]);
	free(env);
	return rc;
}

/* Takes what is there; at the end closes the descriptor. Of what has no room the end is dropped. */
static void hear(struct pollfd *p, struct buf *to)
{
	uint8_t piece[4096];
	ssize_t n;

	if (!(p->revents & (POLLIN | POLLHUP | POLLERR)))
		return;
	n = read(p->fd, piece, sizeof(piece));
	if (n > 0)
		buf_add(to, bytes_from(piece, (size_t)n));
	else if (n == 0 || errno != EINTR) {
		close(p->fd);
		p->fd = -1;
	}
}

/* git while it runs. */
struct child {
	pid_t pid;
	const volatile int *stop;
	int64_t until; /* by clock_ms(); 0: as long as it likes */
	bool told, late; /* it was told to end; since it took too long */
	bool ended;
	int status;
};

static void tell_to_end(struct child *c)
{
	c->late = c->until != 0 && clock_ms() >= c->until;
	if (c->told || !(c->late || (c->stop && *c->stop)))
		return;
	kill(c->pid, SIGTERM);
	c->told = true;
}

/*
 * Until git has ended and said all. Something that it started may have the pipe longer: an ssh that connects to
 * nowhere, or stays for the next connection.
 */
static void listen_to(struct child *c, int out_fd, int words_fd, struct buf *out, struct buf *words)
{
	struct pollfd p[2] = { { .fd = out_fd, .events = POLLIN }, { .fd = words_fd, .events = POLLIN } };

	while ((p[0].fd >= 0 || p[1].fd >= 0) && !c->ended) {
		int got = poll(p, 2, TICK_MS);

		tell_to_end(c);
		if (got > 0) {
			hear(&p[0], out);
			hear(&p[1], words);
		} else if (got == 0) {
			c->ended = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
		}
	}
	for (int i = 0; i < 2; i++)
		if (p[i].fd >= 0)
			close(p[i].fd);
}

/* The last lines that say something, as one. */
static void last_words(const struct buf *words, struct buf *out)
{
	size_t from = words->n > 500 ? words->n - 500 : 0;
	char *text = bytes_dup(bytes_from(words->p + from, words->n - from)), *safe;

	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--)
		text[n - 1] = '\0';
	safe = escape_text(bytes_of(text), 600);
	buf_add_str(out, *safe ? safe : "it says nothing");
	free(safe);
	free(text);
}

static int judge(const struct child *c, const struct buf *words, struct err *err)
{
	struct buf text = BUF_INIT(4096);

	if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0)
		return 0;
	if (c->stop && *c->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	if (c->late)
		return err_set(err, ERR_RETRY, "no answer in time");
	last_words(words, &text);
	err_set(err, ERR_RETRY, "%s", buf_str(&text));
	buf_release(&text);
	return -1;
}

static int not_started(int sys, struct err *err)
{
	errno = sys;
	if (sys == ENOENT)
		return err_set(err, ERR_FATAL, "the program git is not there (apt install git)");
	return err_sys(err, ERR_FATAL, "run git");
}

int git_command(const char *dir, const char *const *args, int64_t limit_ms, const volatile int *stop,
		struct buf *out, struct err *err)
{
	struct buf words = BUF_INIT(WORDS_MAX);
	struct child c = { .stop = stop, .until = limit_ms ? clock_ms() + limit_ms : 0 };
	int out_fd[2], words_fd[2], rc, ret;

	if (pipe2(out_fd, O_CLOEXEC) < 0)
		return err_sys(err, ERR_FATAL, "make a pipe");
	if (pipe2(words_fd, O_CLOEXEC) < 0) {
		err_sys(err, ERR_FATAL, "make a pipe");
		close(out_fd[0]);
		close(out_fd[1]);
		return -1;
	}
	rc = start(dir, args, (const int[2]){ out_fd[1], words_fd[1] }, &c.pid);
	close(out_fd[1]);
	close(words_fd[1]);
	if (rc != 0) {
		close(out_fd[0]);
		close(words_fd[0]);
		return not_started(rc, err);
	}
	listen_to(&c, out_fd[0], words_fd[0], out, &words);
	while (!c.ended && !(c.ended = waitpid(c.pid, &c.status, 0) == c.pid) && errno == EINTR)
		;
	ret = c.ended ? judge(&c, &words, err) : err_sys(err, ERR_FATAL, "wait for git");
	buf_release(&words);
	return ret;
}
