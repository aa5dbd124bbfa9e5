#include <poll.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/imap/transport.h"

/* A test that feeds more than this at once has gone wrong. */
#define MEMORY_MAX ((size_t)1 << 30)

struct memory {
	struct transport base;
	transport_peer_fn *peer;
	void *ctx;
	struct buf in;
	size_t in_at;
	size_t read_max;
	size_t write_max;
	bool ended;
};

static struct memory *memory_of(struct transport *t)
{
	return (struct memory *)t;
}

static enum transport_io memory_open(struct transport *t, struct err *err)
{
	(void)t;
	(void)err;
	return TRANSPORT_OK;
}

static enum transport_io memory_read(struct transport *t, void *p, size_t max, size_t *n,
				     struct err *err)
{
	struct memory *m = memory_of(t);
	size_t have = m->in.n - m->in_at;

	(void)err;
	if (!have)
		return m->ended ? TRANSPORT_EOF : TRANSPORT_AGAIN;
	if (max > m->read_max)
		max = m->read_max;
	*n = have < max ? have : max;
	memcpy(p, m->in.p + m->in_at, *n);
	m->in_at += *n;
	if (m->in_at == m->in.n) {
		buf_clear(&m->in);
		m->in_at = 0;
	}
	return TRANSPORT_OK;
}

static enum transport_io memory_write(struct transport *t, struct bytes data, size_t *n,
				      struct err *err)
{
	struct memory *m = memory_of(t);

	(void)err;
	if (!m->write_max)
		return TRANSPORT_AGAIN;
	*n = data.n < m->write_max ? data.n : m->write_max;
	m->peer(m->ctx, t, bytes_from(data.p, *n));
	return TRANSPORT_OK;
}

static bool memory_poll(struct transport *t, unsigned intent, struct pollfd *out)
{
	struct memory *m = memory_of(t);

	*out = (struct pollfd){ .fd = -1 };
	return ((intent & TRANSPORT_READ) && (m->in.n > m->in_at || m->ended)) ||
	       ((intent & TRANSPORT_WRITE) && m->write_max);
}

static void memory_free(struct transport *t)
{
	buf_release(&memory_of(t)->in);
	free(t);
}

static const struct transport_ops memory_ops = {
	.open = memory_open,
	.read = memory_read,
	.write = memory_write,
	.poll = memory_poll,
	.free = memory_free,
};

struct transport *transport_memory_new(transport_peer_fn *peer, void *ctx)
{
	struct memory *m = xcalloc(1, sizeof(*m));

	m->base = (struct transport){ .ops = &memory_ops, .is_local = true, .may_preauth = true };
	m->peer = peer;
	m->ctx = ctx;
	buf_init(&m->in, MEMORY_MAX);
	m->read_max = m->write_max = SIZE_MAX;
	return &m->base;
}

void transport_memory_feed(struct transport *t, struct bytes data)
{
	buf_add(&memory_of(t)->in, data);
}

void transport_memory_end(struct transport *t)
{
	memory_of(t)->ended = true;
}

void transport_memory_limit(struct transport *t, size_t read_max, size_t write_max)
{
	memory_of(t)->read_max = read_max;
	memory_of(t)->write_max = write_max;
}

void transport_memory_claim(struct transport *t, bool is_private, bool is_local)
{
	t->is_private = is_private;
	t->is_local = is_local;
	t->may_preauth = false;
}
