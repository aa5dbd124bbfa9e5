#include "cmd/password.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"

#include "cmd/config.h"

/* Longer than any password; what comes after it on the first line is an error, not cut. */
#define PASSWORD_MAX 4096
/* Some providers put much into theirs. */
#define TOKEN_MAX 32768

extern char **environ;

char *password_variable(const struct config_account *ac)
{
	char *name = xasprintf("MAILCASK_PASSWORD_%s", ac->head.name);

	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	return name;
}

/* Read until the end, keeping the first line without its end. */
static int read_line(int fd, struct buf *out, const char *what, struct err *err)
{
	char piece[512];
	bool ended = false;
	int ret = -1;

	for (;;) {
		ssize_t n = read(fd, piece, sizeof(piece));
		const char *nl;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, ERR_AUTH, "read from %s", what);
			goto out;
		}
		if (n == 0)
			break;
		nl = memchr(piece, '\n', (size_t)n);
		if (!ended)
			buf_add(out, bytes_from(piece, nl ? (size_t)(nl - piece) : (size_t)n));
		ended = ended || nl;
	}
	if (out->n > 0 && out->p[out->n - 1] == '\r')
		out->p[--out->n] = '\0';
	if (out->overflow || memchr(buf_str(out), '\0', out->n))
		err_set(err, ERR_AUTH, "the first line of %s is no password", what);
	else if (out->n == 0)
		err_set(err, ERR_AUTH, "%s gave no password: its first line is empty", what);
	else
		ret = 0;
out:
	secret_wipe(piece, sizeof(piece));
	return ret;
}

static int start_shell(const char *command, pid_t *pid, int *fd)
{
	char sh[] = "sh", flag[] = "-c", *text = xstrdup(command);
	char *const argv[] = { sh, flag, text, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int pipe_fd[2], rc;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0) {
		free(text);
		return -1;
	}
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	free(text);
	if (rc != 0) {
		close(pipe_fd[0]);
		errno = rc;
		return -1;
	}
	*fd = pipe_fd[0];
	return 0;
}

/* `key` is the command's key, for messages. */
static int from_command(const struct config_account *ac, const char *key, const char *command,
			struct buf *out, struct err *err)
{
	struct err read_err = { 0 };
	int fd, status, rc;
	pid_t pid;

	if (start_shell(command, &pid, &fd) < 0)
		return err_sys(err, ERR_AUTH, "run %s of [account %s]", key, ac->head.name);
	rc = read_line(fd, out, key, &read_err);
	close(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, ERR_AUTH, "wait for %s", key);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_AUTH, "%s of [account %s] was killed by signal %d", key,
			       ac->head.name, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, ERR_AUTH, "%s of [account %s] failed with status %d", key,
			       ac->head.name, WEXITSTATUS(status));
	if (rc < 0)
		*err = read_err;
	return rc;
}

static int from_file(const struct config_account *ac, struct buf *out, struct err *err)
{
	const char *path = ac->password_file;
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err_sys(err, ERR_CONFIG, "password_file %s", path);
	else if (st.st_mode & 077)
		err_set(err, ERR_CONFIG, "password_file %s can be read by others: chmod 600 it",
			path);
	else
		ret = read_line(fd, out, "password_file", err);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* One line from the terminal. -1 with errno; EINTR when the user pressed ^C. */
static int read_hidden(int tty, struct buf *out)
{
	struct termios before, hidden;
	int saved = 0, ret = -1;
	char c = 0;

	if (tcgetattr(tty, &before) < 0)
		return -1;
	hidden = before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(tty, TCSAFLUSH, &hidden) < 0)
		return -1;
	for (;;) {
		ssize_t n = read(tty, &c, 1);

		if (n < 0) {
			saved = errno;
			break;
		}
		if (n == 0 || c == '\n') {
			ret = 0;
			break;
		}
		buf_add_byte(out, (uint8_t)c);
	}
	tcsetattr(tty, TCSAFLUSH, &before);
	errno = saved;
	return ret;
}

static int from_person(const struct config_account *ac, struct buf *out, struct err *err)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), rc;

	if (tty < 0) {
		char *variable = password_variable(ac);

		err_set(err, ERR_AUTH,
			"there is no password for [account %s]: set password_command, "
			"password_file or the variable %s",
			ac->head.name, variable);
		free(variable);
		return -1;
	}
	dprintf(tty, "Password of %s at %s: ", ac->user, ac->host);
	rc = read_hidden(tty, out);
	dprintf(tty, "\n");
	if (rc < 0 && errno == EINTR)
		err_set(err, ERR_STOPPED, "interrupted");
	else if (rc < 0)
		err_sys(err, ERR_AUTH, "read the password from the terminal");
	else if (out->n == 0 || out->overflow)
		rc = err_set(err, ERR_AUTH, "no password was typed for [account %s]",
			     ac->head.name);
	close(tty);
	return rc;
}

static int add_password(struct buf *out, const char *password, struct err *err)
{
	if (buf_add_str(out, password))
		return 0;
	return err_set(err, ERR_AUTH, "the password is too long");
}

static int find_password(const struct config_account *ac, struct buf *out, struct err *err)
{
	char *variable = password_variable(ac);
	const char *value = getenv(variable);

	free(variable);
	if (value && *value)
		return add_password(out, value, err);
	if (ac->password_command)
		return from_command(ac, "password_command", ac->password_command, out, err);
	if (ac->password_file)
		return from_file(ac, out, err);
	if (ac->password)
		return add_password(out, ac->password, err);
	return from_person(ac, out, err);
}

int password_get(void *ctx, struct buf *out, struct err *err)
{
	struct password_source *src = ctx;

	if (!src->kept) {
		struct buf found = BUF_INIT(PASSWORD_MAX);

		if (find_password(src->account, &found, err) < 0) {
			buf_release_secret(&found);
			return -1;
		}
		src->kept = buf_take(&found);
	}
	return add_password(out, src->kept, err);
}

int token_get(void *ctx, struct buf *out, struct err *err)
{
	const struct password_source *src = ctx;
	struct buf found = BUF_INIT(TOKEN_MAX);
	int rc;

	buf_reserve(&found, TOKEN_MAX - 1); /* growing leaves copies behind */
	rc = from_command(src->account, "token_command", src->account->token_command, &found, err);
	if (rc == 0 && !buf_add(out, buf_bytes(&found)))
		rc = err_set(err, ERR_AUTH, "the token is too long");
	buf_release_secret(&found);
	return rc;
}

void password_release(struct password_source *src)
{
	secret_free(src->kept);
	src->kept = NULL;
}
