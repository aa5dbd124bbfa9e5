#include "backends/mbox/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/mbox/scan.h"
#include "backends/mbox/wire_form.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#define PIECE ((size_t)65536)

/* A message as it is remembered; its UID is its index + 1. */
struct held_message {
	uint64_t start, length, size;
	int64_t date;
	int16_t zone;
	bool dated, unquote, add_cr, whole;
	uint32_t flags;
};

struct mbox_store {
	struct store st; /* first */
	struct mailbox mb;
	int fd;
	struct stat then; /* when it was read */
	struct flag_table *flags;
	struct held_message *v;
	size_t n, cap;
};

/* The last part of a path. */
static struct bytes base_of(const char *path)
{
	size_t n = strlen(path), from;

	while (n > 0 && path[n - 1] == '/')
		n--;
	for (from = n; from > 0 && path[from - 1] != '/';)
		from--;
	return bytes_from(path + from, n - from);
}

void mbox_name_decode(struct mailbox_name *out, struct bytes text)
{
	struct err err;

	if (memchr(text.p, '/', text.n) || mailbox_name_from_display(out, text, &err) < 0)
		mailbox_name_from_wire(out, text, 0, true);
}

int mbox_name_of_path(const char *path, const char *suffix, struct mailbox_name *out,
		      struct err *err)
{
	struct bytes base = base_of(path);
	struct mailbox_name wire = MAILBOX_NAME_INIT;
	char *whole = NULL;
	int ret;

	if (bytes_is(base, ".") || bytes_is(base, "..")) {
		whole = realpath(path, NULL);
		base = base_of(whole ? whole : "");
	}
	if (base.n > strlen(suffix) &&
	    bytes_is_nocase(bytes_skip(base, base.n - strlen(suffix)), suffix))
		base.n -= strlen(suffix);
	/* How they came to be written so is of no interest afterwards. */
	mbox_name_decode(&wire, base);
	if (base.n == 0)
		ret = err_set(err, ERR_CONFIG, "%s has no name that a mailbox could have", path);
	else
		ret = mailbox_name_from_components(out, (const char *const *)wire.components,
						   wire.count, err);
	mailbox_name_release(&wire);
	free(whole);
	return ret;
}

static int mbox_identify(const struct store_config *cfg, struct store_identity *out,
			 struct err *err)
{
	struct stat sb;

	*out = (struct store_identity){ .presence = STORE_MISSING };
	if (stat(cfg->path, &sb) == 0) {
		out->presence = S_ISREG(sb.st_mode) ? STORE_FOREIGN : STORE_MISSING;
		return 0;
	}
	return errno == ENOENT || errno == ENOTDIR
		       ? 0
		       : err_sys(err, ERR_FATAL, "look at %s", cfg->path);
}

static void mbox_close(struct store *st)
{
	struct mbox_store *s = (struct mbox_store *)st;

	if (s->fd >= 0)
		close(s->fd);
	mailbox_name_release(&s->mb.name);
	flag_table_free(s->flags);
	free(s->v);
	free(s);
}

static int read_at(const struct mbox_store *s, uint64_t at, uint8_t *to, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t got = pread(s->fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, ERR_FATAL, "read %s", s->st.cfg->path);
		if (got == 0)
			return err_set(err, ERR_FATAL,
				       "%s became shorter while it was read; nothing may write to it "
				       "meanwhile",
				       s->st.cfg->path);
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int on_read(void *ctx, uint64_t at, uint8_t *to, size_t n, struct err *err)
{
	const struct mbox_store *s = ctx;

	if (store_check_stop(&s->st, err) < 0)
		return -1;
	return read_at(s, at, to, n, err);
}

static int on_message(void *ctx, const struct mbox_message *m, struct err *err)
{
	struct mbox_store *s = ctx;

	if (s->n == UINT32_MAX - 1)
		return err_set(err, ERR_FATAL, "it has more messages than a mailbox can have");
	s->v = xgrow(s->v, s->n, &s->cap, sizeof(*s->v));
	s->v[s->n++] = (struct held_message){
		.start = m->start,
		.length = m->length,
		.size = m->size,
		.date = m->date->unix_time,
		.zone = (int16_t)m->date->zone_minutes,
		.dated = m->date->known,
		.unquote = m->unquote,
		.add_cr = m->add_cr,
		.whole = m->whole,
		.flags = flag_table_intern(s->flags, m->flags),
	};
	return 0;
}

static int scan(struct mbox_store *s, struct err *err)
{
	const struct mbox_input in = { .size = (uint64_t)s->then.st_size, .read = on_read,
				       .ctx = s, .window = PIECE };

	if (mbox_scan(&in, on_message, s, err) == 0)
		return 0;
	return err->kind == ERR_FATAL && err->sys == 0 ? err_prefix(err, "%s", s->st.cfg->path) : -1;
}

static int open_file(struct mbox_store *s, struct err *err)
{
	const char *path = s->st.cfg->path;

	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_MISSING : ERR_FATAL, "open %s", path);
	if (fstat(s->fd, &s->then) < 0)
		return err_sys(err, ERR_FATAL, "look at %s", path);
	if (!S_ISREG(s->then.st_mode))
		return err_set(err, ERR_CONFIG, "%s is not a file", path);
	return 0;
}

static int mbox_open(struct store **out, const struct store_config *cfg, enum store_mode mode,
		     struct err *err)
{
	const struct mbox_settings *set = cfg->settings;
	struct mbox_store *s;
	int ret = 0;

	if (mode != STORE_READ)
		return err_set(err, ERR_CONFIG, "%s: an mbox can only be read", cfg->path);
	s = xcalloc(1, sizeof(*s));
	s->st = (struct store){ .ops = &mbox_store, .cfg = cfg };
	s->mb.store = &s->st;
	s->flags = flag_table_new();
	s->fd = -1;
	if (set && set->mailbox)
		mailbox_name_copy(&s->mb.name, set->mailbox);
	else
		ret = mbox_name_of_path(cfg->path, ".mbox", &s->mb.name, err);
	if (ret < 0 || open_file(s, err) < 0 || scan(s, err) < 0) {
		mbox_close(&s->st);
		return -1;
	}
	*out = &s->st;
	return 0;
}

static struct token token_of(const struct mbox_store *s)
{
	return (struct token){ .known = true, .uidvalidity = 1, .uidnext = (uint32_t)s->n + 1,
			       .messages = (uint32_t)s->n };
}

static int mbox_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err)
{
	struct mbox_store *s = (struct mbox_store *)st;
	struct mailbox_info *info = mailbox_list_add(out);

	(void)hint;
	(void)err;
	mailbox_name_copy(&info->name, &s->mb.name);
	info->token = token_of(s);
	out->complete = true;
	return 0;
}

static int mbox_exists(struct store *st, const struct mailbox_name *name, bool *out,
		       struct err *err)
{
	(void)err;
	*out = mailbox_name_equal(name, &((struct mbox_store *)st)->mb.name);
	return 0;
}

static int mbox_open_mailbox(struct store *st, const struct mailbox_info *info,
			     enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct mbox_store *s = (struct mbox_store *)st;

	(void)mode;
	if (!mailbox_name_equal(&info->name, &s->mb.name))
		return err_set(err, ERR_MAILBOX, "there is no such mailbox");
	*out = &s->mb;
	return 0;
}

static int mbox_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	const struct mbox_store *s = (struct mbox_store *)st;

	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct changes *out = req[i].out;

		for (size_t k = 0; k < s->n; k++) {
			struct entry *e = changes_add(out, (uint32_t)k + 1);

			e->flags = flag_table_intern(out->flags,
						     flag_table_get(s->flags, s->v[k].flags));
			e->size = s->v[k].size < UINT32_MAX ? (uint32_t)s->v[k].size : UINT32_MAX;
		}
		out->complete = true;
		out->token = token_of(s);
	}
	return 0;
}

/* --- fetching --- */

struct giving {
	const struct message_sink *sink;
	void *handle;
};

static int give(void *ctx, struct bytes piece, struct err *err)
{
	const struct giving *g = ctx;

	return g->sink->write(g->sink->ctx, g->handle, piece, err);
}

static int give_body(const struct mbox_store *s, const struct held_message *m, struct giving *g,
		     struct err *err)
{
	struct wire_form form = { .unquote = m->unquote, .add_cr = m->add_cr, .in_body = m->whole };
	uint8_t *piece = xmalloc(PIECE);
	int ret = 0;

	for (uint64_t at = 0; at < m->length && ret == 0;) {
		size_t n = m->length - at < PIECE ? (size_t)(m->length - at) : PIECE;

		ret = store_check_stop(&s->st, err);
		if (ret == 0)
			ret = read_at(s, m->start + at, piece, n, err);
		if (ret == 0)
			ret = wire_form_feed(&form, bytes_from(piece, n), give, g, err);
		at += n;
	}
	free(piece);
	return ret == 0 ? wire_form_end(&form, give, g, err) : -1;
}

/* Where messages lie is known of the file as it was. */
static int check_unchanged(const struct mbox_store *s, struct err *err)
{
	struct stat now;

	if (fstat(s->fd, &now) < 0)
		return err_sys(err, ERR_FATAL, "look at %s", s->st.cfg->path);
	if (now.st_size == s->then.st_size && now.st_mtim.tv_sec == s->then.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == s->then.st_mtim.tv_nsec)
		return 0;
	return err_set(err, ERR_FATAL,
		       "%s changed while it was read; run again when nothing writes to it",
		       s->st.cfg->path);
}

/* 0; or -1: ERR_MESSAGE spoils this message only. */
static int give_message(const struct mbox_store *s, uint32_t uid, const struct want *want,
			const struct message_sink *sink, struct err *err)
{
	const struct held_message *m = &s->v[uid - 1];
	struct giving g = { .sink = sink };
	struct maildate date = { 0 };
	struct message msg = { .uid = uid, .flags = flag_table_get(s->flags, m->flags),
			       .date = &date, .size = m->size };
	struct err second;
	int ret = 0;

	if (m->dated)
		maildate_set(&date, m->date, m->zone);
	if (sink->begin(sink->ctx, want->tag, &msg, &g.handle, err) < 0)
		return -1;
	if (!want->attributes)
		ret = give_body(s, m, &g, err);
	if (ret == 0)
		ret = check_unchanged(s, err);
	if (ret == 0)
		return sink->end(sink->ctx, g.handle, &msg, true, err);
	sink->end(sink->ctx, g.handle, NULL, false, &second);
	return -1;
}

static int fetch_mailbox(const struct mbox_store *s, struct want *want,
			 const struct message_sink *sink, outcome_fn *report, void *ctx,
			 struct err *err)
{
	want->complete = true;
	want->err = (struct err){ 0 };
	for (uint32_t uid = uidset_next(want->set, 0); uid; uid = uidset_next(want->set, uid)) {
		bool there = uid <= s->n;
		struct err why = { 0 };

		if (!there && !want->exact)
			break;
		if (!there) {
			report(ctx, want->tag, uid, OUTCOME_UID_UNKNOWN, 0, NULL);
		} else if (give_message(s, uid, want, sink, &why) == 0) {
			report(ctx, want->tag, uid, OUTCOME_DONE, 0, NULL);
		} else if (why.kind == ERR_MESSAGE) {
			report(ctx, want->tag, uid, OUTCOME_REFUSED, 0, &why);
		} else {
			report(ctx, want->tag, uid, OUTCOME_NO_ANSWER, 0, &why);
			want->complete = false;
			*err = why;
			return -1;
		}
	}
	return 0;
}

static int mbox_fetch(struct store *st, struct want *want, size_t n,
		      const struct message_sink *sink, outcome_fn *report, void *ctx,
		      struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (fetch_mailbox((struct mbox_store *)st, &want[i], sink, report, ctx, err) < 0)
			return -1;
	return 0;
}

const struct store_ops mbox_store = {
	.type = "mbox",
	.identify = mbox_identify,
	.open = mbox_open,
	.close = mbox_close,
	.list = mbox_list,
	.exists = mbox_exists,
	.open_mailbox = mbox_open_mailbox,
	.changes = mbox_changes,
	.fetch = mbox_fetch,
};
