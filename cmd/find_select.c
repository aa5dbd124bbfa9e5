#include "cmd/find_select.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/msgset/uidset.h"
#include "core/sync/store.h"

#include "cmd/find_index.h"
#include "cmd/index_maker.h"
#include "cmd/index_text.h"
#include "cmd/search_priv.h"

struct finding {
	const struct search *s;
	struct find_index *ix;
	struct mailbox *mb;
	struct find_messages *out;
	find_trouble_fn *trouble;
	void *ctx;
	struct uidset *words; /* of each criterion that is `text`, the IDs it holds for; borrowed for the judging */
	struct index_maker *maker;
	struct buf message;   /* the one in work, or its beginning */
	bool with_words;      /* `text` is one of the criteria: else the header is enough */
	size_t seen;          /* of a header: no line end before that */
	bool enough;          /* of the message in work */
	struct err index_err; /* kind not ERR_NONE: the index failed, and nothing more goes into it */
};

static void message_release(struct find_message *m)
{
	flags_release(&m->flags);
	maildate_release(&m->date);
}

void find_messages_release(struct find_messages *f)
{
	for (size_t i = 0; i < f->n; i++)
		message_release(&f->v[i]);
	free(f->v);
	*f = (struct find_messages){ 0 };
}

/* --- what the store says of each --- */

/* A store that does not know its content: no message like this comes again under this UID. */
static void name_content(const struct finding *f, const struct message *msg, struct find_message *m)
{
	struct buf text = BUF_INIT(CONTENT_MAX);
	char *mailbox;

	if (msg->content.n > 0 && msg->content.n <= CONTENT_MAX) {
		memcpy(m->content, msg->content.p, msg->content.n);
		m->content_size = (uint8_t)msg->content.n;
		return;
	}
	mailbox = mailbox_name_text(&f->mb->name);
	buf_addf(&text, "%x %llx %llx ", msg->uid, (unsigned long long)msg->size,
		 (unsigned long long)m->date.unix_time);
	/* A name that is too long is cut to its end, where names differ. */
	for (size_t n = strlen(mailbox), room = CONTENT_MAX - text.n, skip = n > room ? n - room : 0;
	     skip < n; skip++)
		buf_add_byte(&text, (uint8_t)mailbox[skip]);
	memcpy(m->content, text.p, text.n);
	m->content_size = (uint8_t)text.n;
	buf_release(&text);
	free(mailbox);
}

static int attributes_begin(void *ctx, void *tag, const struct message *msg, void **handle,
			    struct err *err)
{
	(void)tag;
	(void)msg;
	(void)err;
	*handle = ctx;
	return 0;
}

static int no_piece(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	(void)ctx;
	(void)handle;
	(void)piece;
	(void)err;
	return 0;
}

static int attributes_end(void *ctx, void *handle, const struct message *msg, bool complete,
			  struct err *err)
{
	struct finding *f = ctx;
	const struct facts facts = { .flags = msg ? msg->flags : NULL, .size = msg ? msg->size : 0,
				     .date = msg ? msg->date : NULL };
	struct find_message *m;

	(void)handle;
	(void)err;
	if (!complete || !search_all_hold(f->s, NEED_DATE, &facts))
		return 0;
	f->out->v = xgrow(f->out->v, f->out->n, &f->out->cap, sizeof(*f->out->v));
	m = &f->out->v[f->out->n++];
	*m = (struct find_message){ .uid = msg->uid, .size = msg->size };
	if (msg->flags)
		flags_copy(&m->flags, msg->flags);
	if (msg->date)
		maildate_copy(&m->date, msg->date);
	name_content(f, msg, m);
	return 0;
}

static void on_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct finding *f = ctx;

	(void)tag;
	(void)new_uid;
	if (what == OUTCOME_REFUSED && !f->enough && why && f->index_err.kind == ERR_NONE)
		f->trouble(f->ctx, uid, why);
	f->enough = false;
}

static int fetch(struct finding *f, const struct uidset *set, bool attributes,
		 const struct message_sink *sink, struct err *err)
{
	struct want want = { .mailbox = f->mb, .set = set, .exact = true, .attributes = attributes };

	if (store_fetch(f->mb->store, &want, 1, sink, on_outcome, f, err) < 0)
		return -1;
	if (want.err.kind == ERR_NONE)
		return 0;
	*err = want.err;
	return -1;
}

static int by_uid(const void *a, const void *b)
{
	const struct find_message *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static int gather(struct finding *f, const struct uidset *uids, struct err *err)
{
	const struct message_sink sink = { f, attributes_begin, no_piece, attributes_end };
	int ret = fetch(f, uids, true, &sink, err);

	if (f->out->n > 0)
		qsort(f->out->v, f->out->n, sizeof(*f->out->v), by_uid);
	return ret;
}

/* --- into the index --- */

static struct find_message *message_of(const struct finding *f, uint32_t uid)
{
	const struct find_message key = { .uid = uid };

	return f->out->n ? bsearch(&key, f->out->v, f->out->n, sizeof(key), by_uid) : NULL;
}

static int begin_reading(void *ctx, void *tag, const struct message *msg, void **handle,
			 struct err *err)
{
	struct finding *f = ctx;

	(void)tag;
	(void)err;
	*handle = message_of(f, msg->uid);
	f->enough = false;
	f->seen = 0;
	buf_clear(&f->message);
	return 0;
}

/* Whether the empty line after the header has come. */
static bool has_header(struct finding *f)
{
	struct bytes all = buf_bytes(&f->message);

	for (const uint8_t *lf; f->seen < all.n; f->seen = (size_t)(lf - all.p) + 1) {
		size_t n;

		lf = memchr(all.p + f->seen, '\n', all.n - f->seen);
		if (!lf)
			return false;
		n = (size_t)(lf - all.p) - f->seen;
		if (n == 0 || (n == 1 && all.p[f->seen] == '\r'))
			return true;
	}
	return false;
}

/* Refusing the rest ends the reading. */
static int read_piece(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct finding *f = ctx;
	size_t room = f->message.max - f->message.n;

	(void)handle;
	buf_add(&f->message, bytes_from(piece.p, piece.n < room ? piece.n : room));
	f->enough = piece.n > room || (!f->with_words && has_header(f));
	return f->enough ? err_set(err, ERR_MESSAGE, "no more of it is needed") : 0;
}

/* The message that was read first of those that are not in the index yet. False: there is none. */
static bool add_next(struct finding *f)
{
	struct index_text text;
	struct find_message *m = index_maker_take(f->maker, &text);

	if (!m)
		return false;
	if (f->index_err.kind == ERR_NONE)
		find_index_add(f->ix, bytes_from(m->content, m->content_size), &text, f->with_words,
			       &m->id, &f->index_err);
	index_text_release(&text);
	return true;
}

static int end_reading(void *ctx, void *handle, const struct message *msg, bool complete,
		       struct err *err)
{
	struct finding *f = ctx;

	(void)msg;
	if (!handle || (!complete && !f->enough))
		return 0;
	if (index_maker_is_full(f->maker))
		add_next(f);
	if (f->index_err.kind != ERR_NONE) {
		*err = f->index_err;
		return -1;
	}
	index_maker_put(f->maker, handle, &f->message);
	return 0;
}

static int look_up(struct finding *f, struct uidset *missing)
{
	int there = find_index_hold(f->ix, &f->index_err);

	for (size_t i = 0; i < f->out->n && there >= 0; i++) {
		struct find_message *m = &f->out->v[i];

		there = find_index_find(f->ix, bytes_from(m->content, m->content_size), f->with_words,
					&m->id, &f->index_err);
		if (there == 0)
			uidset_add(missing, m->uid);
	}
	find_index_let_go(f->ix);
	return there < 0 ? -1 : 0;
}

static int add_missing(struct finding *f, struct err *err)
{
	const struct message_sink sink = { f, begin_reading, read_piece, end_reading };
	struct uidset missing = UIDSET_INIT;
	int ret = look_up(f, &missing);

	if (ret == 0 && !uidset_is_empty(&missing)) {
		f->maker = index_maker_new(f->with_words);
		ret = fetch(f, &missing, false, &sink, err);
		while (add_next(f))
			;
		index_maker_free(f->maker);
		/* What was read is not to be read again, also when it ends here. */
		if (f->index_err.kind != ERR_NONE || find_index_commit(f->ix, &f->index_err) < 0)
			ret = -1;
	}
	uidset_release(&missing);
	return ret;
}

/* --- judging --- */

static int look_for_words(struct finding *f)
{
	for (size_t i = 0; i < f->s->n; i++)
		if (f->s->v[i].what == SEARCH_TEXT &&
		    find_index_words(f->ix, f->s->v[i].text, &f->words[i], &f->index_err) < 0)
			return -1;
	return 0;
}

static bool has_id(const char *ids, const char *id)
{
	char *line = xasprintf("\n%s\n", id);
	bool found = strstr(ids, line) != NULL;

	free(line);
	return found;
}

static bool holds(const struct finding *f, size_t i, uint32_t id, const struct index_row *row)
{
	const struct search_term *t = &f->s->v[i];

	switch (t->what) {
	case SEARCH_FROM:
		return strstr(row->from_folded, t->folded) != NULL;
	case SEARCH_TO:
		return strstr(row->to_folded, t->folded) != NULL;
	case SEARCH_SUBJECT:
		return strstr(row->subject_folded, t->folded) != NULL;
	case SEARCH_MESSAGE_ID:
		return has_id(row->ids, t->text);
	default:
		return uidset_has(&f->words[i], id);
	}
}

/* What the index knows nothing of: any line of the header. */
static bool is_indexed(const struct search_term *t)
{
	return search_criteria[t->what].need >= NEED_HEADER && t->what != SEARCH_HEADER;
}

static int judge(struct finding *f, const struct find_message *m, bool *all)
{
	struct index_row row;
	bool read = false;

	*all = true;
	/* Words first: they need no row. */
	for (int of_row = 0; of_row < 2; of_row++)
		for (size_t i = 0; *all && i < f->s->n; i++) {
			const struct search_term *t = &f->s->v[i];

			if (!is_indexed(t) || (t->what != SEARCH_TEXT) != of_row)
				continue;
			*all = m->id != 0; /* of what cannot be read nothing can be told */
			if (*all && of_row && !read && find_index_row(f->ix, m->id, &row, &f->index_err) < 0)
				return -1;
			read |= of_row;
			*all = *all && holds(f, i, m->id, &row) != t->not;
		}
	return 0;
}

static void keep_only(struct find_messages *out, const bool *keep)
{
	size_t n = 0;

	for (size_t i = 0; i < out->n; i++)
		if (keep[i])
			out->v[n++] = out->v[i];
		else
			message_release(&out->v[i]);
	out->n = n;
}

static int judge_all(struct finding *f)
{
	bool *keep = xcalloc(f->out->n + 1, sizeof(*keep));
	int ret = find_index_hold(f->ix, &f->index_err);

	if (ret == 0)
		ret = look_for_words(f);
	for (size_t i = 0; ret == 0 && i < f->out->n; i++)
		ret = judge(f, &f->out->v[i], &keep[i]);
	find_index_let_go(f->ix);
	if (ret == 0)
		keep_only(f->out, keep);
	free(keep);
	return ret;
}

/* The criteria that need the whole header are judged by reading it, of those that are left. */
static int judge_headers(struct finding *f, struct err *err)
{
	struct search rest = { 0 };
	struct changes left;
	struct uidset found = UIDSET_INIT;
	bool *keep = xcalloc(f->out->n + 1, sizeof(*keep));
	static const struct flags none = FLAGS_INIT;
	int ret = 0;

	changes_init(&left);
	for (size_t i = 0; i < f->s->n; i++)
		if (f->s->v[i].what == SEARCH_HEADER) {
			rest.v = xgrow(rest.v, rest.n, &rest.cap, sizeof(*rest.v));
			rest.v[rest.n++] = f->s->v[i];
		}
	for (size_t i = 0; rest.n > 0 && i < f->out->n; i++)
		changes_add(&left, f->out->v[i].uid)->flags = flag_table_intern(left.flags, &none);
	if (left.n > 0) {
		ret = search_select(&rest, f->mb, &left, &found, err);
		for (size_t i = 0; i < f->out->n; i++)
			keep[i] = uidset_has(&found, f->out->v[i].uid);
		keep_only(f->out, keep);
	}
	free(rest.v); /* its texts are those of *s */
	free(keep);
	uidset_release(&found);
	changes_release(&left);
	return ret;
}

static int try_once(struct finding *f, struct err *err)
{
	int ret;

	f->index_err = (struct err){ 0 };
	f->words = xcalloc(f->s->n + 1, sizeof(*f->words));
	ret = add_missing(f, err);
	if (ret == 0)
		ret = judge_all(f);
	for (size_t i = 0; i < f->s->n; i++)
		uidset_release(&f->words[i]);
	free(f->words);
	return ret;
}

int find_select(const struct search *s, struct find_index *ix, struct mailbox *mb,
		const struct uidset *uids, struct find_messages *out, find_trouble_fn *trouble,
		void *ctx, struct err *err)
{
	struct finding f = { .s = s, .ix = ix, .mb = mb, .out = out, .trouble = trouble, .ctx = ctx,
			     .message = BUF_INIT(INDEX_MESSAGE_MAX) };
	int ret;

	for (size_t i = 0; i < s->n; i++)
		f.with_words |= s->v[i].what == SEARCH_TEXT;
	ret = gather(&f, uids, err);
	while (ret == 0 && (ret = try_once(&f, err)) < 0 && f.index_err.kind != ERR_NONE) {
		*err = f.index_err;
		if (!find_index_again(ix, err))
			break;
		ret = 0;
	}
	if (ret == 0)
		ret = judge_headers(&f, err);
	buf_release(&f.message);
	return ret;
}
