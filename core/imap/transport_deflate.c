#define ZLIB_CONST
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/transport.h"

/*
 * Raw deflate in both directions (RFC 4978, section 4). What is written together is one flight
 * and ends with one Z_SYNC_FLUSH. Inflating stops when the caller's buffer is full, so memory does
 * not depend on what the peer sends.
 */
#define INPUT_SIZE 32768
/* Taken per write: a flight is smaller, and the rest of a large message follows. */
#define WRITE_MAX 32768
/* Much more than compressed mail ever was: 200 times its size, and that only beyond 256 MiB. */
#define BOMB_RATIO 200
#define BOMB_FREE ((uint64_t)256 << 20)

struct deflate {
	struct transport base;
	struct transport *lower;
	z_stream in, out;
	uint8_t *input;
	bool more;  /* inflate() stopped for want of room: it has more without new input */
	bool ended; /* the peer finished its stream */
	uint64_t taken, made; /* bytes inflated, and into how many */
	struct buf pending;   /* deflated, not written below yet */
	size_t held;          /* bytes of the caller's that `pending` is made of */
};

static struct deflate *deflate_of(struct transport *t)
{
	return (struct deflate *)t;
}

static enum transport_io deflate_open(struct transport *t, struct err *err)
{
	(void)t;
	(void)err;
	return TRANSPORT_OK; /* layered on a stream that is open */
}

static enum transport_io broken(struct err *err, const char *what)
{
	err_set(err, ERR_RETRY, "COMPRESS: the server sent %s", what);
	return TRANSPORT_FAILED;
}

/* Inflate what is there. OK with *n bytes, or AGAIN when more input is needed first. */
static enum transport_io inflate_some(struct deflate *d, void *p, size_t max, size_t *n,
				      struct err *err)
{
	uInt room = max < (1u << 30) ? (uInt)max : 1u << 30, before = d->in.avail_in;
	int rc;

	d->in.next_out = p;
	d->in.avail_out = room;
	rc = inflate(&d->in, Z_SYNC_FLUSH);
	if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
		return broken(err, "data that is not compressed");
	*n = room - d->in.avail_out;
	d->taken += before - d->in.avail_in;
	d->made += *n;
	d->more = d->in.avail_out == 0;
	d->ended = rc == Z_STREAM_END;
	if (d->ended && d->in.avail_in)
		return broken(err, "data past the end of what is compressed");
	if (d->made > BOMB_FREE && d->made - BOMB_FREE > d->taken * BOMB_RATIO)
		return broken(err, "more than mail can be compressed to; try compress = no");
	return *n ? TRANSPORT_OK : TRANSPORT_AGAIN;
}

static enum transport_io deflate_read(struct transport *t, void *p, size_t max, size_t *n,
				      struct err *err)
{
	struct deflate *d = deflate_of(t);
	enum transport_io io = TRANSPORT_AGAIN;
	size_t got = 0;

	if (!d->ended && (d->more || d->in.avail_in))
		io = inflate_some(d, p, max, n, err);
	if (io != TRANSPORT_AGAIN)
		return io;
	if (d->ended)
		return TRANSPORT_EOF;
	/* One read per call: a peer that sends empty blocks must not keep the loop here. */
	io = transport_read(d->lower, d->input, INPUT_SIZE, &got, err);
	if (io != TRANSPORT_OK)
		return io;
	d->in.next_in = d->input;
	d->in.avail_in = (uInt)got;
	return inflate_some(d, p, max, n, err);
}

static void deflate_flight(struct deflate *d, struct bytes data)
{
	uint8_t piece[16384];

	d->held = data.n < WRITE_MAX ? data.n : WRITE_MAX;
	d->out.next_in = data.p;
	d->out.avail_in = (uInt)d->held;
	do {
		d->out.next_out = piece;
		d->out.avail_out = sizeof(piece);
		deflate(&d->out, Z_SYNC_FLUSH);
		buf_add(&d->pending, bytes_from(piece, sizeof(piece) - d->out.avail_out));
	} while (!d->out.avail_out);
}

/*
 * Nothing counts as written before all of it went out below: the session must know which commands
 * the server can have seen. So the caller has to come back with the same bytes, as with TLS.
 */
static enum transport_io deflate_write(struct transport *t, struct bytes data, size_t *n,
				       struct err *err)
{
	struct deflate *d = deflate_of(t);
	enum transport_io io;
	size_t gone = 0;

	if (!d->held)
		deflate_flight(d, data);
	while (d->pending.n) {
		io = transport_write(d->lower, buf_bytes(&d->pending), &gone, err);
		if (io != TRANSPORT_OK)
			return io;
		buf_consume(&d->pending, gone);
	}
	*n = d->held;
	d->held = 0;
	return TRANSPORT_OK;
}

static bool deflate_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	struct deflate *d = deflate_of(t);

	return transport_poll(d->lower, intent, out) ||
	       ((intent & TRANSPORT_READ) && (d->more || d->in.avail_in || d->ended));
}

static void deflate_free(struct transport *t)
{
	struct deflate *d = deflate_of(t);

	inflateEnd(&d->in);
	deflateEnd(&d->out);
	buf_release_secret(&d->pending);
	free(d->input);
	transport_free(d->lower);
	free(d);
}

static char *deflate_last_words(struct transport *t)
{
	return transport_last_words(deflate_of(t)->lower);
}

static const struct transport_ops deflate_ops = {
	.open = deflate_open,
	.read = deflate_read,
	.write = deflate_write,
	.poll = deflate_poll,
	.free = deflate_free,
	.last_words = deflate_last_words,
};

/* Ends the program when memory is gone, as everything here does. */
static voidpf give_memory(voidpf opaque, uInt n, uInt size)
{
	(void)opaque;
	return xcalloc(n, size);
}

static void take_memory(voidpf opaque, voidpf p)
{
	(void)opaque;
	free(p);
}

struct transport *transport_deflate_new(struct transport *lower, struct bytes received)
{
	struct deflate *d = xcalloc(1, sizeof(*d));
	int rc;

	d->base = (struct transport){ .ops = &deflate_ops,
				      .is_private = lower->is_private,
				      .is_local = lower->is_local };
	d->lower = lower;
	d->input = xmalloc(received.n > INPUT_SIZE ? received.n : INPUT_SIZE);
	if (received.n)
		memcpy(d->input, received.p, received.n);
	buf_init(&d->pending, (size_t)WRITE_MAX * 2);
	d->in.zalloc = d->out.zalloc = give_memory;
	d->in.zfree = d->out.zfree = take_memory;
	rc = inflateInit2(&d->in, -MAX_WBITS);
	assert(rc == Z_OK);
	rc = deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL - 1,
			  Z_DEFAULT_STRATEGY);
	assert(rc == Z_OK);
	(void)rc;
	d->in.next_in = d->input;
	d->in.avail_in = (uInt)received.n;
	return &d->base;
}
