#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/transport.h"

struct tcp {
	struct transport base;
	char *where; /* "host port", for messages */
	struct addrinfo *list;
	struct addrinfo *next; /* address to try when the present one fails */
	unsigned left;         /* addresses from `next` on */
	int fd;
	bool connected;
	int64_t give_up_at; /* for all addresses together */
	int last_errno;
};

static struct tcp *tcp_of(struct transport *t)
{
	return (struct tcp *)t;
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && in6.sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

static void tcp_drop(struct tcp *tcp, int why)
{
	if (tcp->fd >= 0)
		close(tcp->fd);
	tcp->fd = -1;
	tcp->last_errno = why;
}

/* Begin with the next address that lets us; each gets its share of the time that is left. */
static bool tcp_start_next(struct tcp *tcp, int64_t now)
{
	while (tcp->next) {
		const struct addrinfo *ai = tcp->next;
		int64_t share = (tcp->give_up_at - now) / tcp->left;

		tcp->next = ai->ai_next;
		tcp->left--;
		tcp->base.wake_at = now + share;
		tcp->base.is_local = is_loopback(ai->ai_addr);
		tcp->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (tcp->fd >= 0 && (connect(tcp->fd, ai->ai_addr, ai->ai_addrlen) == 0 ||
				     errno == EINPROGRESS || errno == EINTR))
			return true;
		tcp_drop(tcp, errno);
	}
	return false;
}

/* 1: connected, 0: not yet, -1: this address failed and was dropped. */
static int tcp_check(struct tcp *tcp)
{
	struct pollfd p = { .fd = tcp->fd, .events = POLLOUT };
	int why = 0;
	socklen_t size = sizeof(why);

	if (poll(&p, 1, 0) <= 0)
		return 0;
	if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0)
		why = errno;
	if (!why)
		return 1;
	tcp_drop(tcp, why);
	return -1;
}

static enum transport_io tcp_open(struct transport *t, struct err *err)
{
	struct tcp *tcp = tcp_of(t);
	int64_t now = clock_ms();
	int one = 1;

	if (tcp->connected)
		return TRANSPORT_OK;
	for (;;) {
		if (tcp->fd < 0 && !tcp_start_next(tcp, now)) {
			errno = tcp->last_errno;
			err_sys(err, ERR_RETRY, "connect to %s", tcp->where);
			return TRANSPORT_FAILED;
		}
		switch (tcp_check(tcp)) {
		case 1:
			/* Nagle holds back the last short segment of a flight for a round trip. */
			setsockopt(tcp->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			setsockopt(tcp->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
			tcp->connected = true;
			t->wake_at = 0;
			return TRANSPORT_OK;
		case 0:
			if (now < t->wake_at)
				return TRANSPORT_AGAIN;
			tcp_drop(tcp, ETIMEDOUT);
			break;
		default:
			break;
		}
	}
}

static enum transport_io tcp_read(struct transport *t, void *p, size_t max, size_t *n,
				  struct err *err)
{
	struct tcp *tcp = tcp_of(t);
	ssize_t got;

	do
		got = recv(tcp->fd, p, max, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*n = (size_t)got;
		return TRANSPORT_OK;
	}
	if (got == 0)
		return TRANSPORT_EOF;
	if (errno == EAGAIN)
		return TRANSPORT_AGAIN;
	err_sys(err, ERR_RETRY, "read from %s", tcp->where);
	return TRANSPORT_FAILED;
}

static enum transport_io tcp_write(struct transport *t, struct bytes data, size_t *n,
				   struct err *err)
{
	struct tcp *tcp = tcp_of(t);
	ssize_t put;

	do
		put = send(tcp->fd, data.p, data.n, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put >= 0) {
		*n = (size_t)put;
		return TRANSPORT_OK;
	}
	if (errno == EAGAIN)
		return TRANSPORT_AGAIN;
	err_sys(err, ERR_RETRY, "write to %s", tcp->where);
	return TRANSPORT_FAILED;
}

static bool tcp_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	struct tcp *tcp = tcp_of(t);

	*out = (struct pollfd){ .fd = tcp->fd };
	if (!tcp->connected) {
		out->events = POLLOUT;
		return tcp->fd < 0;
	}
	if (intent & TRANSPORT_READ)
		out->events |= POLLIN;
	if (intent & TRANSPORT_WRITE)
		out->events |= POLLOUT;
	if (!out->events)
		out->fd = -1; /* POLLHUP comes unasked, and poll() would return with it at once */
	return false;
}

static void tcp_free(struct transport *t)
{
	struct tcp *tcp = tcp_of(t);

	if (tcp->fd >= 0)
		close(tcp->fd);
	if (tcp->list)
		freeaddrinfo(tcp->list);
	free(tcp->where);
	free(tcp);
}

static const struct transport_ops tcp_ops = {
	.open = tcp_open,
	.read = tcp_read,
	.write = tcp_write,
	.poll = tcp_poll,
	.free = tcp_free,
};

struct transport *transport_tcp_new(const char *host, const char *port, int64_t timeout_ms,
				    struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(host, port, &hints, &list);
	struct tcp *tcp;

	if (rc == EAI_ADDRFAMILY || rc == EAI_NONAME || rc == EAI_NODATA) {
		/*
		 * AI_ADDRCONFIG ignores loopback: without any other network, literal addresses need
		 * this.
		 */
		const struct addrinfo any = { .ai_socktype = SOCK_STREAM };

		rc = getaddrinfo(host, port, &any, &list);
	}
	if (rc) {
		err_set(err, rc == EAI_NONAME || rc == EAI_NODATA ? ERR_FATAL : ERR_RETRY,
			"look up %s: %s", host,
			rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
		return NULL;
	}
	tcp = xcalloc(1, sizeof(*tcp));
	tcp->base.ops = &tcp_ops;
	tcp->where = xasprintf("%s port %s", host, port);
	tcp->list = tcp->next = list;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		tcp->left++;
	tcp->fd = -1;
	tcp->give_up_at = clock_ms() + timeout_ms;
	tcp->last_errno = EHOSTUNREACH;
	return &tcp->base;
}
