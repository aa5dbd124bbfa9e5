#include "tests/lib/imap_play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/imap/transport.h"
#include "tests/lib/support.h"
#include "tests/lib/tls_peer.h"

#define LABELS_MAX 64

struct imap_play {
	char *script;
	char *next; /* line not played yet */
	struct transport *transport;
	struct buf got; /* of the client, not matched yet */
	struct {
		char *label, *tag;
	} labels[LABELS_MAX];
	size_t label_count;
	char *complaint;
	bool paused;
	bool deflating;
	struct tls_peer *tls; /* NULL: clear text only */
	void (*mangle)(void *ctx, struct buf *line); /* NULL: an honest server */
	void *mangle_ctx;
	z_stream inflate, deflate;
};

/* The line at p->next without its line end, or NULL at the end. Terminates it in place. */
static char *peek_line(struct imap_play *p)
{
	for (;;) {
		char *end = strchr(p->next, '\n');

		if (end)
			*end = 0;
		if (*p->next)
			return p->next;
		if (!end)
			return NULL;
		p->next = end + 1;
	}
}

static void take_line(struct imap_play *p, const char *line)
{
	p->next += strlen(line) + 1; /* the script has a spare NUL behind its end */
}

static const char *tag_of(const struct imap_play *p, const char *label, size_t n)
{
	for (size_t i = 0; i < p->label_count; i++)
		if (strlen(p->labels[i].label) == n && memcmp(p->labels[i].label, label, n) == 0)
			return p->labels[i].tag;
	return NULL;
}

/* Add what `<label>` or `<label+>` stands for. False: nothing, it is text. */
static bool add_tag(const struct imap_play *p, const char *label, size_t n, struct buf *out)
{
	bool next = n && label[n - 1] == '+';
	const char *tag = tag_of(p, label, next ? n - 1 : n);

	if (tag)
		buf_add_str(out, tag);
	if (tag && next)
		out->p[out->n - 1]++; /* tags end in a number; scripts are short */
	return tag != NULL;
}

/* What zlib makes of `data`, added to `out`. */
static void through_zlib(z_stream *z, int (*step)(z_stream *z, int flush), struct bytes data,
			 struct buf *out)
{
	struct buf in = BUF_INIT(1 << 24); /* zlib takes no const */
	uint8_t piece[4096];

	buf_add(&in, data);
	z->next_in = in.p;
	z->avail_in = (uInt)in.n;
	do {
		z->next_out = piece;
		z->avail_out = sizeof(piece);
		if (step(z, Z_SYNC_FLUSH) < 0 && z->avail_in)
			break; /* not compressed: no line of it will match */
		buf_add(out, bytes_from(piece, sizeof(piece) - z->avail_out));
	} while (!z->avail_out);
	buf_release(&in);
}

static void start_deflate(struct imap_play *p)
{
	int rc = inflateInit2(&p->inflate, -MAX_WBITS);

	if (rc == Z_OK)
		rc = deflateInit2(&p->deflate, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS,
				  MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY);
	if (rc != Z_OK)
		test_die("imap_play: zlib");
	p->deflating = true;
}

static void feed(struct imap_play *p, struct bytes data)
{
	struct buf out = BUF_INIT(1 << 24);

	if (p->deflating) {
		through_zlib(&p->deflate, deflate, data, &out);
		data = buf_bytes(&out);
	}
	if (p->tls)
		tls_peer_say(p->tls, data);
	else
		transport_memory_feed(p->transport, data);
	buf_release(&out);
}

static void send_out(struct imap_play *p, struct buf *out)
{
	if (p->mangle)
		p->mangle(p->mangle_ctx, out);
	feed(p, buf_bytes(out));
	buf_release(out);
}

/* Text with escapes. */
static void send_raw(struct imap_play *p, const char *text)
{
	static const char letters[] = "rntes", meant[] = "\r\n\t\033 ";
	struct buf out = BUF_INIT(1 << 24);
	unsigned byte;

	for (; *text; text++) {
		const char *letter = text[0] == '\\' && text[1] ? strchr(letters, text[1]) : NULL;

		if (text[0] == '\\' && sscanf(text, "\\x%2x", &byte) == 1) {
			buf_add_byte(&out, (uint8_t)byte);
			text += 3;
		} else if (letter) {
			buf_add_byte(&out, (uint8_t)meant[letter - letters]);
			text++;
		} else {
			text += text[0] == '\\' && text[1] == '\\';
			buf_add_byte(&out, (uint8_t)*text);
		}
	}
	send_out(p, &out);
}

static void send_line(struct imap_play *p, const char *text)
{
	struct buf out = BUF_INIT(1 << 24);
	size_t word = strcspn(text, " ");
	const char *tag = tag_of(p, text, word);

	if (tag) {
		buf_add_str(&out, tag);
		text += word;
	}
	while (*text) {
		const char *close = *text == '<' ? strchr(text, '>') : NULL;

		if (close && add_tag(p, text + 1, (size_t)(close - text - 1), &out))
			text = close + 1;
		else
			buf_add_byte(&out, (uint8_t)*text++);
	}
	buf_add_str(&out, "\r\n");
	send_out(p, &out);
}

static void complain(struct imap_play *p, const char *want, const char *got)
{
	if (!p->complaint)
		p->complaint = xasprintf("expected \"%s\", got \"%s\"", want, got);
	transport_memory_end(p->transport);
}

static bool matches(const char *want, const char *got)
{
	size_t n = strlen(want);

	if (n >= 3 && strcmp(want + n - 3, "...") == 0)
		return strncmp(want, got, n - 3) == 0;
	return strcmp(want, got) == 0;
}

/* `want` is a script line that begins with C. */
static void match_line(struct imap_play *p, const char *want, const char *got)
{
	size_t label, tag;

	if (want[1] == '=') {
		if (!p->mangle && !matches(want + 3, got))
			complain(p, want, got);
		return;
	}
	want += 3;
	label = strcspn(want, " ");
	tag = strcspn(got, " ");
	if (!p->mangle && (!want[label] || !got[tag] || p->label_count == LABELS_MAX ||
			   !matches(want + label, got + tag))) {
		complain(p, want, got);
		return;
	}
	if (p->label_count == LABELS_MAX)
		return;
	p->labels[p->label_count].label = bytes_dup(bytes_from(want, label));
	p->labels[p->label_count++].tag = bytes_dup(bytes_from(got, tag));
}

static void play_on(struct imap_play *p)
{
	char *line;

	while (!p->paused && !p->complaint && (line = peek_line(p))) {
		if (line[0] == 'C') {
			const uint8_t *end = p->got.n ? memchr(p->got.p, '\n', p->got.n) : NULL;
			char *got;

			if (!end)
				return;
			got = bytes_dup(bytes_from(p->got.p, (size_t)(end - p->got.p)));
			got[strcspn(got, "\r")] = 0;
			buf_consume(&p->got, (size_t)(end - p->got.p) + 1);
			take_line(p, line);
			match_line(p, line, got);
			free(got);
			continue;
		}
		take_line(p, line);
		if (strncmp(line, "S: ", 3) == 0)
			send_line(p, line + 3);
		else if (strcmp(line, "END") == 0)
			transport_memory_end(p->transport);
		else if (strcmp(line, "PAUSE") == 0)
			p->paused = true;
		else if (strncmp(line, "S+: ", 4) == 0)
			send_raw(p, line + 4);
		else if (strcmp(line, "TLS") == 0 && p->tls)
			tls_peer_clear(p->tls, false);
		else if (strcmp(line, "DEFLATE") == 0)
			start_deflate(p);
		else
			test_die("imap_play: not a script line: %s", line);
	}
}

static void take(struct imap_play *p, struct bytes written)
{
	if (p->deflating)
		through_zlib(&p->inflate, inflate, written, &p->got);
	else
		buf_add(&p->got, written);
	play_on(p);
}

static void on_written(void *ctx, struct transport *t, struct bytes written)
{
	(void)t;
	take(ctx, written);
}

static void on_said(void *ctx, struct tls_peer *peer, struct bytes said)
{
	(void)peer;
	take(ctx, said);
}

static struct imap_play *play_alloc(const char *script)
{
	struct imap_play *p = xcalloc(1, sizeof(*p));

	p->script = xcalloc(1, strlen(script) + 2);
	strcpy(p->script, script);
	p->next = p->script;
	buf_init(&p->got, 1 << 24);
	return p;
}

struct imap_play *play_new(const char *script)
{
	struct imap_play *p = play_alloc(script);

	p->transport = transport_memory_new(on_written, p);
	play_on(p);
	return p;
}

struct imap_play *play_new_tls(const char *script, const struct tls_peer_cert *cert,
			       const char *dir)
{
	struct imap_play *p = play_alloc(script);

	p->tls = tls_peer_new(cert, dir, on_said, p);
	p->transport = tls_peer_transport(p->tls);
	tls_peer_clear(p->tls, true);
	play_on(p);
	return p;
}

struct tls_peer *play_tls_peer(struct imap_play *p)
{
	return p->tls;
}

void play_hostile(struct imap_play *p, void (*mangle)(void *ctx, struct buf *line), void *ctx)
{
	p->mangle = mangle;
	p->mangle_ctx = ctx;
}

struct transport *play_transport(struct imap_play *p)
{
	return p->transport;
}

void play_resume(struct imap_play *p)
{
	p->paused = false;
	play_on(p);
}

void play_finish(struct imap_play *p)
{
	char *rest = p->paused ? NULL : peek_line(p);
	char *why = p->complaint;
	bool hostile;

	if (!why && rest)
		why = xasprintf("never reached: %s", rest);
	if (!why && p->got.n)
		why = xasprintf("sent, but not expected: %s", buf_str(&p->got));
	for (size_t i = 0; i < p->label_count; i++) {
		free(p->labels[i].label);
		free(p->labels[i].tag);
	}
	if (p->deflating) {
		inflateEnd(&p->inflate);
		deflateEnd(&p->deflate);
	}
	if (p->tls)
		tls_peer_free(p->tls);
	buf_release(&p->got);
	free(p->script);
	hostile = p->mangle != NULL;
	free(p);
	if (why && !hostile)
		test_die("imap_play: %s", why);
	free(why);
}
