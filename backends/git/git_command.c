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

static void listen_to(pid_t pid, int out_fd, int words_fd, const volatile int *stop, struct buf *out,
		      struct buf *words)
{
	struct pollfd p[2] = { { .fd = out_fd, .events = POLLIN }, { .fd = words_fd, .events = POLLIN } };
	bool told = false;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (stop && *stop && !told) {
			kill(pid, SIGTERM);
			told = true;
		}
		if (poll(p, 2, TICK_MS) <= 0)
			continue;
		hear(&p[0], out);
		hear(&p[1], words);
	}
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

static int judge(int status, const struct buf *words, const volatile int *stop, struct err *err)
{
	struct buf text = BUF_INIT(4096);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (stop && *stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	last_words(words, &text);
	err_set(err, ERR_RETRY, "%s", buf_str(&text));
	buf_release(&text);
	return -1;
}

int git_command(const char *dir, const char *const *args, const volatile int *stop, struct buf *out,
		struct err *err)
{
	struct buf words = BUF_INIT(WORDS_MAX);
	int out_fd[2], words_fd[2], status, rc, ret;
	pid_t pid;

	if (pipe2(out_fd, O_CLOEXEC) < 0)
		return err_sys(err, ERR_FATAL, "make a pipe");
	if (pipe2(words_fd, O_CLOEXEC) < 0) {
		err_sys(err, ERR_FATAL, "make a pipe");
		close(out_fd[0]);
		close(out_fd[1]);
		return -1;
	}
	rc = start(dir, args, (const int[2]){ out_fd[1], words_fd[1] }, &pid);
	close(out_fd[1]);
	close(words_fd[1]);
	if (rc != 0) {
		close(out_fd[0]);
		close(words_fd[0]);
		errno = rc;
		return err_sys(err, ERR_FATAL, "run git");
	}
	listen_to(pid, out_fd[0], words_fd[0], stop, out, &words);
	while ((rc = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	ret = rc < 0 ? err_sys(err, ERR_FATAL, "wait for git") : judge(status, &words, stop, err);
	buf_release(&words);
	return ret;
}
