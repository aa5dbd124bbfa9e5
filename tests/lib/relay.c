#include "tests/lib/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

/*
 * One process, one poll loop. Each direction of a connection is a queue of chunks with the
 * moment each is due; a full queue stops reading, so a slow reader is felt by the sender.
 */
enum { CHUNK = 65536, SLOW_CHUNK = 4096, QUEUE_MAX = 32 << 20, LINE_MAX_KEPT = 2000, PENDING_MAX = 256 };

struct relay {
	struct relay_opts opts;
	int listener, port, pid;
	int transcript;
	char *transcript_path;
	struct relay_stats *stats; /* shared with the relaying process */
};

struct chunk {
	struct chunk *next;
	int64_t due;
	size_t n, sent;
	uint8_t data[];
};

/* Follows clear-text IMAP in one direction, whatever pieces it comes in. */
struct scanner {
	struct buf line;
	uint64_t literal_left;
	bool continued; /* the line goes on behind a literal */
};

struct flow {
	int from, to; /* -1 when closed */
	bool to_client;
	struct chunk *first, **last;
	size_t queued;
	int64_t free_at; /* clock_us() when the line has taken all that was queued */
	uint64_t passed;
	bool ended; /* `from` has sent all */
	struct scanner scan;
};

struct link {
	struct link *next;
	unsigned number;
	struct flow up, down; /* to the server, to the client */
	char pending[PENDING_MAX][24]; /* tags of commands without their answer */
	unsigned pendings;
	bool closing; /* the client has been told; waiting for its end */
};

struct relayer {
	const struct relay *r;
	struct link *links;
	int64_t start;
};

static void record(struct relayer *y, const struct link *l, const struct flow *f)
{
	struct buf out = BUF_INIT(65536);

	buf_addf(&out, "%lld %u %c: ", (long long)(clock_ms() - y->start), l->number,
		 f->to_client ? 'S' : 'C');
	escape_add(&out, buf_bytes(&f->scan.line), LINE_MAX_KEPT);
	buf_add_byte(&out, '\n');
	(void)!write(y->r->transcript, out.p, out.n);
	buf_release(&out);
}

/* A tag begins a line that goes on with a blank and a letter: neither "DONE" nor base64 does. */
static size_t tag_length(const struct buf *line)
{
	const char *s = buf_str(line), *blank = strchr(s, ' ');
	size_t n = blank ? (size_t)(blank - s) : 0;

	if (n == 0 || n > 20 || *s == '*' || *s == '+')
		return 0;
	return ascii_upper((uint8_t)blank[1]) >= 'A' && ascii_upper((uint8_t)blank[1]) <= 'Z' ? n
											       : 0;
}

static void note_command(struct relayer *y, struct link *l, const struct buf *line)
{
	struct relay_stats *st = y->r->stats;
	size_t n = tag_length(line);

	if (n == 0 || l->pendings == PENDING_MAX)
		return;
	snprintf(l->pending[l->pendings++], sizeof(l->pending[0]), "%.*s", (int)n, buf_str(line));
	if (++st->in_flight > st->max_in_flight)
		st->max_in_flight = st->in_flight;
}

static void note_answer(struct relayer *y, struct link *l, const struct buf *line)
{
	size_t n = tag_length(line);

	for (unsigned i = 0; n > 0 && i < l->pendings; i++) {
		if (strlen(l->pending[i]) != n || strncmp(l->pending[i], buf_str(line), n) != 0)
			continue;
		memmove(l->pending[i], l->pending[l->pendings - 1], sizeof(l->pending[0]));
		l->pendings--;
		y->r->stats->in_flight--;
		return;
	}
}

static void end_line(struct relayer *y, struct link *l, struct flow *f)
{
	struct scanner *sc = &f->scan;
	const char *brace, *end;

	if (sc->line.n > 0 && sc->line.p[sc->line.n - 1] == '\r')
		sc->line.p[--sc->line.n] = '\0';
	brace = strrchr(buf_str(&sc->line), '{');
	end = brace ? brace + 1 + strspn(brace + 1, "0123456789") : NULL;
	record(y, l, f);
	if (!sc->continued && f->to_client)
		note_answer(y, l, &sc->line);
	else if (!sc->continued)
		note_command(y, l, &sc->line);
	sc->continued = brace && end > brace + 1 &&
			(strcmp(end, "}") == 0 || strcmp(end, "+}") == 0);
	sc->literal_left = sc->continued ? strtoull(brace + 1, NULL, 10) : 0;
	buf_clear(&sc->line);
}

/* What passes on; long lines keep their beginning and their end, where a literal is announced. */
static void scan(struct relayer *y, struct link *l, struct flow *f, struct bytes data)
{
	struct scanner *sc = &f->scan;

	while (data.n > 0) {
		size_t n = data.n;
		const uint8_t *nl;

		if (sc->literal_left > 0) {
			n = n < sc->literal_left ? n : (size_t)sc->literal_left;
			sc->literal_left -= n;
			data = bytes_skip(data, n);
			continue;
		}
		nl = memchr(data.p, '\n', data.n);
		n = nl ? (size_t)(nl - data.p) : data.n;
		if (sc->line.n + n > sc->line.max)
			buf_consume(&sc->line, sc->line.n - LINE_MAX_KEPT);
		buf_add(&sc->line, n > LINE_MAX_KEPT ? bytes_from(data.p + n - LINE_MAX_KEPT,
								 LINE_MAX_KEPT)
						     : bytes_from(data.p, n));
		data = bytes_skip(data, n + (nl != NULL));
		if (nl)
			end_line(y, l, f);
	}
}

static void flow_init(struct flow *f, int from, int to, bool to_client)
{
	*f = (struct flow){ .from = from, .to = to, .to_client = to_client };
	f->last = &f->first;
	buf_init(&f->scan.line, CHUNK);
}

static void drop_chunk(struct flow *f)
{
	struct chunk *c = f->first;

	f->first = c->next;
	if (!f->first)
		f->last = &f->first;
	f->queued -= c->n;
	free(c);
}

/* The client still reads all that was passed on, then the end; the server is torn off. */
static void link_close(struct relayer *y, struct link *l)
{
	y->r->stats->in_flight -= l->pendings;
	l->pendings = 0;
	while (l->up.first)
		drop_chunk(&l->up);
	while (l->down.first)
		drop_chunk(&l->down);
	buf_release(&l->up.scan.line);
	buf_release(&l->down.scan.line);
	shutdown(l->down.to, SHUT_WR);
	close(l->down.from);
	l->down.from = l->up.to = -1;
	l->closing = true;
}

static void accept_link(struct relayer *y)
{
	int client = accept4(y->r->listener, NULL, NULL, SOCK_CLOEXEC);
	int server = connect_loopback(y->r->opts.port), on = 1;
	struct link *l;

	if (client < 0 || server < 0) {
		if (client >= 0)
			close(client);
		if (server >= 0)
			close(server);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l = xcalloc(1, sizeof(*l));
	flow_init(&l->up, client, server, false);
	flow_init(&l->down, server, client, true);
	l->number = ++y->r->stats->connections;
	l->next = y->links;
	y->links = l;
}

/* A line holds a fifth of a second; more waits on the sender's side. */
static bool has_room(const struct relayer *y, const struct flow *f)
{
	uint64_t rate = y->r->opts.rate;

	return f->queued < (rate ? rate / 5 + SLOW_CHUNK : QUEUE_MAX);
}

/* When `n` bytes more are through, on the sender's side of the delay. */
static int64_t through_at(const struct relayer *y, struct flow *f, size_t n)
{
	int64_t now = clock_us();

	if (!y->r->opts.rate)
		return now / 1000;
	f->free_at = (f->free_at > now ? f->free_at : now) +
		     (int64_t)(n * 1000000 / y->r->opts.rate);
	return f->free_at / 1000;
}

static void flow_read(struct relayer *y, struct flow *f)
{
	size_t max = y->r->opts.rate ? SLOW_CHUNK : CHUNK;
	struct chunk *c;
	ssize_t n;

	if (f->ended || !has_room(y, f))
		return;
	c = xmalloc(sizeof(*c) + max);
	n = recv(f->from, c->data, max, MSG_DONTWAIT);
	if (n <= 0) {
		f->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		free(c);
		return;
	}
	c = xrealloc(c, sizeof(*c) + (size_t)n);
	*c = (struct chunk){ .n = (size_t)n,
			     .due = through_at(y, f, (size_t)n) + y->r->opts.delay_ms };
	*f->last = c;
	f->last = &c->next;
	f->queued += c->n;
}

static bool may_cut(const struct relay *r)
{
	return r->opts.cut_times == 0 || (int)r->stats->cuts < r->opts.cut_times;
}

/* Pass on what is due; false when the link must be closed. */
static bool flow_write(struct relayer *y, struct link *l, struct flow *f)
{
	const struct relay_opts *o = &y->r->opts;
	uint64_t cut = f->to_client ? o->cut_to_client : o->cut_to_server;
	uint64_t *total = f->to_client ? &y->r->stats->to_client : &y->r->stats->to_server;

	while (f->first && f->first->due <= clock_ms()) {
		struct chunk *c = f->first;
		size_t want = c->n - c->sent;
		ssize_t n;

		if (o->piece && want > o->piece)
			want = o->piece;
		if (cut && may_cut(y->r) && want > cut - f->passed)
			want = (size_t)(cut - f->passed);
		n = send(f->to, c->data + c->sent, want, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		scan(y, l, f, bytes_from(c->data + c->sent, (size_t)n));
		c->sent += (size_t)n;
		f->passed += (uint64_t)n;
		*total += (uint64_t)n;
		if (c->sent == c->n)
			drop_chunk(f);
		if (cut && f->passed == cut && may_cut(y->r)) {
			y->r->stats->cuts++;
			return false;
		}
	}
	return !(f->ended && !f->first);
}

/* What to wait for on one socket: input of one flow, room for the other, if that is due. */
static struct pollfd socket_events(const struct relayer *y, const struct flow *in,
				   const struct flow *out, int64_t now)
{
	struct pollfd p = { .fd = in->from };

	if (!in->ended && has_room(y, in))
		p.events |= POLLIN;
	if (out->first && out->first->due <= now)
		p.events |= POLLOUT;
	if (!p.events)
		p.fd = -1; /* a hang-up would be told again and again */
	return p;
}

static int next_due(const struct relayer *y, int64_t now)
{
	int64_t least = -1;

	for (const struct link *l = y->links; l; l = l->next)
		for (int i = 0; i < 2; i++) {
			const struct chunk *c = i ? l->up.first : l->down.first;

			if (c && c->due > now && (least < 0 || c->due - now < least))
				least = c->due - now;
		}
	return (int)least;
}

/* Pass on what there is; false when the link is over. */
static bool serve_link(struct relayer *y, struct link *l)
{
	char unread[4096];
	ssize_t n;

	if (!l->closing) {
		flow_read(y, &l->up);
		flow_read(y, &l->down);
		if (!flow_write(y, l, &l->up) || !flow_write(y, l, &l->down))
			link_close(y, l);
		return true;
	}
	n = recv(l->up.from, unread, sizeof(unread), MSG_DONTWAIT);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void serve_links(struct relayer *y)
{
	for (struct link **at = &y->links, *l; (l = *at);) {
		if (serve_link(y, l)) {
			at = &l->next;
			continue;
		}
		close(l->up.from);
		*at = l->next;
		free(l);
	}
}

static _Noreturn void relay_for_ever(const struct relay *r)
{
	struct relayer y = { .r = r, .start = clock_ms() };
	struct pollfd *p = NULL;
	size_t cap = 0;

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int64_t now = clock_ms();
		size_t n = 0;

		p = xgrow(p, n, &cap, sizeof(*p));
		p[n++] = (struct pollfd){ .fd = r->listener, .events = POLLIN };
		for (const struct link *l = y.links; l; l = l->next) {
			p = xgrow(p, n + 1, &cap, sizeof(*p));
			p[n++] = l->closing ? (struct pollfd){ .fd = l->up.from, .events = POLLIN }
					    : socket_events(&y, &l->up, &l->down, now);
			p[n++] = socket_events(&y, &l->down, &l->up, now);
		}
		poll(p, n, next_due(&y, now));
		if (p[0].revents & POLLIN)
			accept_link(&y);
		serve_links(&y);
	}
}

struct relay *relay_start(const struct relay_opts *opts)
{
	struct relay *r = xcalloc(1, sizeof(*r));
	int keep[2];

	r->opts = *opts;
	r->listener = listen_loopback(&r->port);
	r->transcript_path = path_join(tmp_dir(), "transcript");
	r->transcript = open(r->transcript_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	r->stats = mmap(NULL, sizeof(*r->stats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (r->transcript < 0 || r->stats == MAP_FAILED)
		test_die_sys("relay");
	keep[0] = r->listener;
	keep[1] = r->transcript;
	r->pid = proc_fork_server(keep, 2);
	if (r->pid == 0)
		relay_for_ever(r);
	close(r->listener);
	return r;
}

int relay_port(const struct relay *r)
{
	return r->port;
}

void relay_stop(struct relay *r)
{
	if (!r)
		return;
	proc_end_group(r->pid);
	close(r->transcript);
	munmap(r->stats, sizeof(*r->stats));
	free(r->transcript_path);
	free(r);
}

struct relay_stats relay_stats(const struct relay *r)
{
	return *r->stats;
}

void relay_transcript(const struct relay *r, struct buf *out)
{
	read_file(r->transcript_path, out);
}

void relay_commands(const struct relay *r, struct buf *out)
{
	struct buf all = BUF_INIT((size_t)256 << 20);
	char *next;

	relay_transcript(r, &all);
	next = all.p ? (char *)all.p : NULL;
	while (next && *next) {
		char *line = strsep(&next, "\n"), *text = strstr(line, " C: ");
		struct buf command = BUF_INIT(65536);
		size_t n;

		if (!text)
			continue;
		buf_add_str(&command, text + 4);
		n = tag_length(&command);
		if (n > 0)
			buf_addf(out, "%s\n", buf_str(&command) + n + 1);
		buf_release(&command);
	}
	buf_release(&all);
}
