/*
 * The least that a client can do: log in over TLS, send all commands at once, read the answers and throw
 * them away, log out. What a program that does more is measured against. -v prints the answers, without
 * literals. With -a it adds the files of a directory to a mailbox, in APPENDs of many messages each (MULTIAPPEND,
 * LITERAL+), one after the other.
 */
#include <arpa/inet.h>
#include <dirent.h>
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

/* --- adding files --- */

#define BATCH 128

struct batch {
	char *p;
	size_t n, cap;
	unsigned messages, number;
};

static char *make_room(struct batch *b, size_t n)
{
	if (b->cap - b->n < n) {
		b->cap = (b->n + n) * 2;
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			die("out of memory", "");
	}
	return b->p + b->n;
}

/* A file whose lines end with LF goes with CRLF. */
static void add_file(struct batch *b, const char *path, const char *mailbox)
{
	static char text[1 << 20], wire[2 << 20];
	FILE *f = fopen(path, "r");
	size_t n, out = 0;

	if (!f)
		die("cannot read ", path);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			wire[out++] = '\r';
		wire[out++] = text[i];
	}
	if (b->messages++ == 0)
		b->n += (size_t)sprintf(make_room(b, 1000), "a%u APPEND %s", b->number, mailbox);
	b->n += (size_t)sprintf(make_room(b, out + 100), " (\\Seen) {%zu+}\r\n", out);
	memcpy(b->p + b->n, wire, out);
	b->n += out;
}

static void flush(struct line *l, struct batch *b)
{
	char tag[32];

	if (b->messages == 0)
		return;
	memcpy(make_room(b, 2), "\r\n", 2);
	b->n += 2;
	for (size_t at = 0; at < b->n;) {
		int n = SSL_write(l->ssl, b->p + at, b->n - at > 1 << 20 ? 1 << 20 : (int)(b->n - at));

		if (n <= 0)
			die("cannot send", "");
		at += (size_t)n;
	}
	snprintf(tag, sizeof(tag), "a%u", b->number);
	await(l, tag);
	b->n = b->messages = 0;
	b->number++;
}

static void add_files(struct line *l, const char *mailbox, const char *dir)
{
	struct batch b = { 0 };
	DIR *d = opendir(dir);

	if (!d)
		die("cannot read ", dir);
	snprintf(l->text, sizeof(l->text), "s SELECT %s\r\n", mailbox);
	send_text(l, l->text);
	await(l, "s");
	for (struct dirent *e; (e = readdir(d));) {
		char path[4096];

		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		add_file(&b, path, mailbox);
		if (b.messages == BATCH)
			flush(l, &b);
	}
	flush(l, &b);
	closedir(d);
	free(b.p);
}

int main(int argc, char **argv)
{
	const char *usage = "usage: least [-v] TLS_PORT CA_FILE USER PASSWORD [COMMAND]...\n"
			    "       least [-v] TLS_PORT CA_FILE USER PASSWORD -a MAILBOX DIRECTORY\n";
	static struct line l;
	static char text[1 << 20];
	char last[32] = "";

	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		l.verbose = true;
		argc--;
		argv++;
	}
	if (argc < 5 || (argc > 5 && strcmp(argv[5], "-a") == 0 && argc != 8)) {
		fputs(usage, stderr);
		return 2;
	}
	connect_to(&l, atoi(argv[1]), argv[2]);
	read_line(&l);
	snprintf(text, sizeof(text), "in LOGIN %s %s\r\n", argv[3], argv[4]);
	send_text(&l, text);
	await(&l, "in");
	text[0] = '\0';
	if (argc == 8 && strcmp(argv[5], "-a") == 0) {
		add_files(&l, argv[6], argv[7]);
		argc = 5;
	}
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
