#include "backends/git/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/git/box.h"
#include "backends/git/collision.h"
#include "backends/git/kept_list.h"
#include "backends/git/leaf.h"
#include "backends/git/pack_write.h"
#include "backends/git/unbound.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

/* What one append() handed out. */
struct appender {
	struct gitbox *box;
	outcome_fn *report;
	void *ctx, *tag;
	struct appender *next;
};

/* Larger messages stream into the pack. */
#define GATHER_MAX ((size_t)1 << 20)

/* A message on its way in. */
struct delivery {
	struct appender *to;
	struct buf body;            /* all of it, while it is small */
	struct pack_stream *stream; /* NULL: it is, or the stream has ended */
	struct collision *twin;     /* of a stream's bytes that cannot be stored */
	uint64_t size;
};

static void delivery_free(struct delivery *d)
{
	if (!d)
		return;
	buf_release(&d->body);
	free(d);
}

void appenders_release(struct gitstore *g)
{
	delivery_free(g->spare);
	g->spare = NULL;
	while (g->appenders) {
		struct appender *a = g->appenders;

		g->appenders = a->next;
		free(a);
	}
}

static struct delivery *delivery_new(struct appender *a)
{
	struct gitstore *g = gitstore_of(a->box);
	struct delivery *d = g->spare;

	g->spare = NULL;
	if (!d) {
		d = xcalloc(1, sizeof(*d));
		buf_init(&d->body, GATHER_MAX);
	}
	buf_clear(&d->body);
	d->to = a;
	d->stream = NULL;
	d->size = 0;
	return d;
}

/* Give its memory to the next one. */
static void delivery_done(struct delivery *d)
{
	struct gitstore *g = gitstore_of(d->to->box);

	if (g->spare)
		delivery_free(d);
	else
		g->spare = d;
}

static int begin_stream(struct delivery *d, uint64_t size, struct err *err)
{
	struct gitstore *g = gitstore_of(d->to->box);

	d->stream = pack_stream_begin(g->repo->writer, GIT_BLOB, size, err);
	return d->stream ? 0 : -1;
}

static int sink_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		      struct err *err)
{
	struct appender *a = ctx;
	struct delivery *d;

	(void)tag;
	if (gitstore_is_broken(gitstore_of(a->box), err))
		return -1;
	d = delivery_new(a);
	if (msg->size > GATHER_MAX && begin_stream(d, msg->size, err) < 0) {
		delivery_done(d);
		return -1;
	}
	*handle = d;
	return 0;
}

static int sink_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct delivery *d = handle;

	(void)ctx;
	d->size += piece.n;
	if (!d->stream && piece.n <= GATHER_MAX - d->body.n) {
		buf_add(&d->body, piece);
		return 0;
	}
	if (!d->stream && (begin_stream(d, PACK_SIZE_UNKNOWN, err) < 0 ||
			   pack_stream_write(d->stream, buf_bytes(&d->body), err) < 0))
		return -1;
	return pack_stream_write(d->stream, piece, err);
}

struct search {
	uint32_t source_uid, uid;
};

static int compare_source(void *ctx, const struct entry_line *line, struct err *err)
{
	struct search *s = ctx;

	(void)err;
	if (line->source_uid == s->source_uid)
		s->uid = line->uid;
	return 0;
}

int append_find(struct gitbox *box, uint32_t source_uid, uint32_t *uid, struct err *err)
{
	struct search s = { .source_uid = source_uid };

	if (gitbox_load_base(box, err) < 0)
		return -1;
	if (source_uid == 0 || !uidset_has(&box->sources, source_uid))
		return 0;
	if (box->text.remapped == 0) {
		*uid = source_uid;
		return 1;
	}
	/* Rare: nobody asks for what is stored. */
	if (leaf_each_line(box, compare_source, &s, err) < 0)
		return gitbox_damaged(box, err);
	*uid = s.uid;
	return s.uid != 0;
}

/* The kept message of equal content, if there is one, becomes live again. */
static int take_kept(struct gitbox *box, struct entry_line *line, const struct object_id *id,
		     struct err *err)
{
	struct buf extra = BUF_INIT(LEAF_TEXT_MAX);
	struct kept_item *kept;
	int got = kept_list_by_content(box, id, line->size, &kept, err);

	if (got <= 0)
		return got;
	line->uid = kept->line.entry.uid;
	entry_take_pairs(line, &kept->line.entry, &extra);
	got = leaf_insert(box, line, id, err);
	buf_release(&extra);
	if (got < 0)
		return -1;
	kept_list_remove(box, kept);
	return 1;
}

/*
 * A message of equal content that is live but bound to nothing, or kept: for one of the source, and
 * not for one that is put here by itself.
 */
static int adopt(struct gitbox *box, struct entry_line *line, const struct object_id *id,
		 struct err *err)
{
	int got = line->source_uid ? unbound_take(box, line, id, err) : 0;

	if (got == 0 && line->source_uid)
		got = take_kept(box, line, id, err);
	box->tally.adopted += got > 0;
	return got;
}

static int insert_new(struct gitbox *box, struct entry_line *line, const struct object_id *id,
		      struct err *err)
{
	if (gitbox_choose_uid(box, line->source_uid, &line->uid, err) < 0 ||
	    leaf_insert(box, line, id, err) < 0)
		return -1;
	box->tally.new_messages++;
	return 0;
}

int append_blob(struct gitbox *box, const struct message *msg, const struct object_id *id,
		uint64_t size, enum outcome *what, uint32_t *uid, struct err *err)
{
	static const struct flags none = FLAGS_INIT;
	static const struct maildate nil = { 0 };
	struct buf flags = BUF_INIT(LEAF_TEXT_MAX), date = BUF_INIT(LEAF_TEXT_MAX);
	struct buf extra = BUF_INIT(LEAF_TEXT_MAX);
	struct entry_line line = { .source_uid = msg->uid, .size = size };
	int got;

	flags_format(msg->flags ? msg->flags : &none, &flags);
	entry_date_write(msg->date ? msg->date : &nil, &date);
	line.flags = buf_bytes(&flags);
	line.date = buf_bytes(&date);
	entry_extra_write((struct bytes){ 0 }, msg->identity, &extra);
	line.extra = buf_bytes(&extra);
	got = adopt(box, &line, id, err);
	*what = got > 0 ? OUTCOME_ADOPTED : OUTCOME_DONE;
	if (got == 0)
		got = insert_new(box, &line, id, err);
	if (got >= 0)
		gitbox_count_in(box, &line);
	*uid = line.uid;
	buf_release(&flags);
	buf_release(&date);
	buf_release(&extra);
	return got < 0 ? -1 : leaf_bound(gitstore_of(box), err);
}

static int save_twin(void *ctx, struct bytes piece, struct err *err)
{
	struct delivery *d = ctx;

	if (!d->twin)
		d->twin = collision_begin(gitstore_of(d->to->box)->repo, err);
	return d->twin ? collision_write(d->twin, piece, err) : -1;
}

/* The bytes into the pack: their id. */
static int store_body(struct delivery *d, struct object_id *id, struct err *err)
{
	struct gitstore *g = gitstore_of(d->to->box);
	struct pack_stream *stream = d->stream;
	int ret;

	d->stream = NULL;
	d->twin = NULL;
	if (stream) {
		pack_stream_save_twin(stream, save_twin, d);
		ret = pack_stream_end(stream, id, NULL, err);
	} else {
		ret = pack_add(g->repo->writer, GIT_BLOB, buf_bytes(&d->body), id, NULL, err);
		if (ret < 0 && err->kind == ERR_MESSAGE)
			save_twin(d, buf_bytes(&d->body), err);
	}
	if (d->twin && err->kind == ERR_MESSAGE)
		return collision_end(d->twin, id, err);
	collision_abort(d->twin);
	return ret;
}

/* 0 with *what and *uid, or -1. */
static int take(struct delivery *d, const struct message *msg, enum outcome *what,
		uint32_t *uid, struct err *err)
{
	struct gitbox *box = d->to->box;
	struct object_id id;
	int got = append_find(box, msg->uid, uid, err);

	*what = OUTCOME_DONE;
	if (got != 0)
		return got < 0 ? -1 : 0;
	if (store_body(d, &id, err) < 0)
		return -1;
	return append_blob(box, msg, &id, d->size, what, uid, err);
}

static int sink_end(void *ctx, void *handle, const struct message *msg, bool complete,
		    struct err *err)
{
	struct delivery *d = handle;
	struct appender *a = d->to;
	enum outcome what;
	uint32_t uid = 0;
	int ret = 0;

	(void)ctx;
	if (complete)
		ret = take(d, msg, &what, &uid, err);
	pack_stream_abort(d->stream);
	if (complete && ret == 0 && a->report)
		a->report(a->ctx, a->tag, message_called(msg), what, uid, NULL);
	delivery_done(d);
	return ret;
}

int gitstore_append(struct mailbox *mb, outcome_fn *report, void *ctx, void *tag,
		    struct message_sink *sink, struct err *err)
{
	struct gitstore *g = (struct gitstore *)mb->store;
	struct appender *a;

	if (gitstore_is_broken(g, err))
		return -1;
	a = xmalloc(sizeof(*a));
	*a = (struct appender){ .box = (struct gitbox *)mb, .report = report, .ctx = ctx,
				.tag = tag, .next = g->appenders };
	g->appenders = a;
	*sink = (struct message_sink){ .ctx = a, .begin = sink_begin, .write = sink_write,
				       .end = sink_end };
	return 0;
}
