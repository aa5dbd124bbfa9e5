/*
 * The least that a client can do: log in over TLS, send all commands at once, read the answers and throw
 * them away, log out. What a program that does more is measured against. -v prints the answers, without
 * literals.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

struct line {
	SSL *ssl;
	bool verbose;
	char in[1 << 16];
	size_t at, n;
	char text[1 << 16]; /* the line read last, without its end */
};

static _Noreturn void die(const char *what, const char *more)
{
	fprintf(stderr, "least: %s%s\n", what, more);
	exit(1);
}

static void fill(struct line *l)
{
	int n = SSL_read(l->ssl, l->in, sizeof(l->in));

	if (n <= 0)
		die("the connection ended", "");
	l->at = 0;
	l->n = (size_t)n;
}

static void skip(struct line *l, unsigned long long n)
{
	while (n > 0) {
		size_t have = l->n - l->at;

		if (have == 0) {
			fill(l);
			continue;
		}
		if (have > n)
			have = (size_t)n;
		l->at += have;
		n -= have;
	}
}

/* One line, of which the end is kept when it is too long; the literals in it are skipped. */
static void read_line(struct line *l)
{
	for (bool more = true; more;) {
		unsigned long long literal = 0;
		size_t n = 0;
		char *open;

		for (char c = 0; c != '\n';) {
			if (l->at == l->n)
				fill(l);
			c = l->in[l->at++];
			if (n + 1 < sizeof(l->text))
				l->text[n++] = c;
		}
		while (n > 0 && (l->text[n - 1] == '\n' || l->text[n - 1] == '\r'))
			n--;
		l->text[n] = '\0';
		if (l->verbose)
			puts(l->text);
		open = n > 0 && l->text[n - 1] == '}' ? strrchr(l->text, '{') : NULL;
		more = open && sscanf(open, "{%llu}", &literal) == 1;
		skip(l, literal);
	}
}

static void send_text(struct line *l, const char *text)
{
	size_t n = strlen(text);

	if (n > 0 && SSL_write(l->ssl, text, (int)n) <= 0)
		die("cannot send", "");
}

/* Until the answer with this tag, which must be OK. */
static void await(struct line *l, const char *tag)
{
	size_t n = strlen(tag);

	do
		read_line(l);
	while (strncmp(l->text, tag, n) != 0 || l->text[n] != ' ');
	if (strncmp(l->text + n, " OK", 3) != 0)
		die("refused: ", l->text);
}

static void connect_to(struct line *l, int port, const char *ca)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (!ctx || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		die("cannot use ", ca);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("cannot connect", "");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l->ssl = SSL_new(ctx);
	if (!l->ssl || SSL_set_fd(l->ssl, fd) != 1 || SSL_connect(l->ssl) != 1)
		die("no TLS", "");
}

int main(int argc, char **argv)
{
	static struct line l;
	static char text[1 << 20];
	char last[32] = "";

	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		l.verbose = true;
		argc--;
		argv++;
	}
	if (argc < 5) {
		fputs("usage: least [-v] TLS_PORT CA_FILE USER PASSWORD [COMMAND]...\n", stderr);
		return 2;
	}
	connect_to(&l, atoi(argv[1]), argv[2]);
	read_line(&l);
	snprintf(text, sizeof(text), "in LOGIN %s %s\r\n", argv[3], argv[4]);
	send_text(&l, text);
	await(&l, "in");
	text[0] = '\0';
	for (int i = 5; i < argc; i++) {
		size_t n = strlen(text);

		snprintf(last, sizeof(last), "c%d", i);
		if ((size_t)snprintf(text + n, sizeof(text) - n, "%s %s\r\n", last, argv[i]) >=
		    sizeof(text) - n)
			die("too many commands", "");
	}
	send_text(&l, text);
	if (*last)
		await(&l, last);
	send_text(&l, "out LOGOUT\r\n");
	await(&l, "out");
	return 0;
}
