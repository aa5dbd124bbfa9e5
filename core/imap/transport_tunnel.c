#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/transport.h"

/*
 * The command gets one end of a socket as standard input and output (which knows no SIGPIPE). Its
 * standard error is a pipe, of which the last is kept for the error text. One that is full would
 * stop the command, so an epoll descriptor, which poll() can wait for like any other, stands for
 * both.
 */
#define WORDS_MAX 250
#define SHOWN_MAX 300
/* Between being asked to end and being made to. */
#define END_MS 1000

extern char **environ;

struct tunnel {
	struct transport base;
	int fd;
	int both_fd;  /* epoll: `fd` and `words_fd` */
	int words_fd; /* its standard error; -1: ended */
	pid_t pid;
	char words[WORDS_MAX];
	size_t n_words;
};

static struct tunnel *tunnel_of(struct transport *t)
{
	return (struct tunnel *)t;
}

static void keep_words(struct tunnel *tn, const char *p, size_t n)
{
	size_t drop;

	if (n > WORDS_MAX) {
		p += n - WORDS_MAX;
		n = WORDS_MAX;
	}
	drop = tn->n_words + n > WORDS_MAX ? tn->n_words + n - WORDS_MAX : 0;
	memmove(tn->words, tn->words + drop, tn->n_words - drop);
	memcpy(tn->words + tn->n_words - drop, p, n);
	tn->n_words = tn->n_words - drop + n;
}

static void hear(struct tunnel *tn)
{
	char piece[4096];
	ssize_t n = 1;

	while (tn->words_fd >= 0 && n > 0) {
		n = read(tn->words_fd, piece, sizeof(piece));
		if (n > 0)
			keep_words(tn, piece, (size_t)n);
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n == 0 && tn->words_fd >= 0) {
		close(tn->words_fd); /* which takes it out of `both_fd` */
		tn->words_fd = -1;
	}
}

static enum transport_io tunnel_open(struct transport *t, struct err *err)
{
	(void)t;
	(void)err;
	return TRANSPORT_OK;
}

static enum transport_io tunnel_read(struct transport *t, void *p, size_t max, size_t *n,
				     struct err *err)
{
	struct tunnel *tn = tunnel_of(t);
	ssize_t got;

	hear(tn);
	do
		got = recv(tn->fd, p, max, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*n = (size_t)got;
		return TRANSPORT_OK;
	}
	if (got == 0 || errno == ECONNRESET)
		return TRANSPORT_EOF;
	if (errno == EAGAIN)
		return TRANSPORT_AGAIN;
	err_sys(err, ERR_RETRY, "read from the tunnel");
	return TRANSPORT_FAILED;
}

static enum transport_io tunnel_write(struct transport *t, struct bytes data, size_t *n,
				      struct err *err)
{
	struct tunnel *tn = tunnel_of(t);
	ssize_t put;

	hear(tn);
	do
		put = send(tn->fd, data.p, data.n, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put >= 0) {
		*n = (size_t)put;
		return TRANSPORT_OK;
	}
	if (errno == EAGAIN)
		return TRANSPORT_AGAIN;
	err_sys(err, ERR_RETRY, "write to the tunnel");
	return TRANSPORT_FAILED;
}

static bool tunnel_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	struct tunnel *tn = tunnel_of(t);
	struct epoll_event want = { 0 };

	if (intent & TRANSPORT_READ)
		want.events |= EPOLLIN;
	if (intent & TRANSPORT_WRITE)
		want.events |= EPOLLOUT;
	/* EPOLLHUP comes unasked, and poll() would return with it at once. */
	*out = (struct pollfd){ .fd = intent ? tn->both_fd : -1, .events = POLLIN };
	return intent && epoll_ctl(tn->both_fd, EPOLL_CTL_MOD, tn->fd, &want) < 0;
}

/* True when it has ended within the time. */
static bool ends_within(pid_t pid, int ms)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int rc;

	if (p.fd < 0)
		return false;
	do
		rc = poll(&p, 1, ms);
	while (rc < 0 && errno == EINTR);
	close(p.fd);
	return rc > 0;
}

/* The leader is waited for last: until then its id, which is the group's, is nobody else's. */
static void tunnel_free(struct transport *t)
{
	struct tunnel *tn = tunnel_of(t);

	close(tn->fd);
	close(tn->both_fd);
	if (tn->words_fd >= 0)
		close(tn->words_fd);
	kill(-tn->pid, SIGTERM);
	ends_within(tn->pid, END_MS);
	kill(-tn->pid, SIGKILL);
	while (waitpid(tn->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(tn);
}

/* The stream may end before the last words were written: wait for their end for a moment. */
static char *tunnel_last_words(struct transport *t)
{
	struct tunnel *tn = tunnel_of(t);
	struct bytes words;

	if (ends_within(tn->pid, END_MS))
		hear(tn);
	words = bytes_from(tn->words, tn->n_words);
	while (words.n && words.p[words.n - 1] <= ' ')
		words.n--;
	return words.n ? escape_text(words, SHOWN_MAX) : NULL;
}

static const struct transport_ops tunnel_ops = {
	.open = tunnel_open,
	.read = tunnel_read,
	.write = tunnel_write,
	.poll = tunnel_poll,
	.free = tunnel_free,
	.last_words = tunnel_last_words,
};

/* 0, or an errno. `io` and `words` are what the command gets. */
static int start(const char *command, int io, int words, pid_t *pid)
{
	char sh[] = "sh", flag[] = "-c", *text = xstrdup(command);
	char *const argv[] = { sh, flag, text, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, io, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, io, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, words, STDERR_FILENO);
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSID);
	rc = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	free(text);
	return rc;
}

static int not_blocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int watch(int both, int fd)
{
	struct epoll_event want = { .events = EPOLLIN };

	return epoll_ctl(both, EPOLL_CTL_ADD, fd, &want);
}

static void close_all(const int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

struct transport *transport_tunnel_new(const char *command, struct err *err)
{
	int fd[5] = { -1, -1, -1, -1, -1 }, *io = fd, *words = fd + 2, *both = fd + 4;
	struct tunnel *tn;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io) < 0 ||
	    pipe2(words, O_CLOEXEC) < 0 || not_blocking(io[0]) < 0 || not_blocking(words[0]) < 0 ||
	    (*both = epoll_create1(EPOLL_CLOEXEC)) < 0 || watch(*both, io[0]) < 0 ||
	    watch(*both, words[0]) < 0 || (errno = start(command, io[1], words[1], &pid)) != 0) {
		err_sys(err, ERR_RETRY, "start the tunnel");
		close_all(fd, 5);
		return NULL;
	}
	close(io[1]);
	close(words[1]);
	tn = xcalloc(1, sizeof(*tn));
	tn->base = (struct transport){ .ops = &tunnel_ops, .is_private = true, .is_local = true,
				       .may_preauth = true };
	tn->fd = io[0];
	tn->words_fd = words[0];
	tn->both_fd = *both;
	tn->pid = pid;
	return &tn->base;
}
