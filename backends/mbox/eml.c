#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/mbox/eml_tree.h"
#include "backends/mbox/mbox.h"
#include "backends/mbox/traits.h"
#include "backends/mbox/wire_form.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#define PIECE ((size_t)65536)

struct eml_box {
	struct mailbox mb; /* first */
	const struct eml_dir *dir;
	char **names; /* a message's UID is its index + 1; NULL: not read yet */
	size_t n;
	bool read;
};

struct eml_store {
	struct store st; /* first */
	int root;
	struct eml_tree tree;
	struct eml_box *box; /* one for each of the tree's */
};

static int eml_identify(const struct store_config *cfg, struct store_identity *out, struct err *err)
{
	struct stat sb;

	*out = (struct store_identity){ .presence = STORE_MISSING };
	if (stat(cfg->path, &sb) == 0) {
		out->presence = S_ISDIR(sb.st_mode) ? STORE_FOREIGN : STORE_MISSING;
		return 0;
	}
	return errno == ENOENT || errno == ENOTDIR
		       ? 0
		       : err_sys(err, ERR_FATAL, "look at %s", cfg->path);
}

static void eml_close(struct store *st)
{
	struct eml_store *s = (struct eml_store *)st;

	for (size_t i = 0; s->box && i < s->tree.n; i++) {
		mailbox_name_release(&s->box[i].mb.name);
		eml_names_free(s->box[i].names, s->box[i].n);
	}
	free(s->box);
	eml_tree_release(&s->tree);
	if (s->root >= 0)
		close(s->root);
	free(s);
}

/* The name of a directory below the root, under `above` if that has components. */
static int name_box(const struct eml_dir *dir, const struct mailbox_name *above,
		    struct mailbox_name *out, struct err *err)
{
	size_t n = 0, fixed = above ? above->count : 0;
	const char **v = xcalloc(fixed + dir->depth + 1, sizeof(*v));
	struct mailbox_name *parts = xcalloc(dir->depth + 1, sizeof(*parts));
	int ret;

	for (size_t i = 0; i < fixed; i++)
		v[n++] = above->components[i];
	for (size_t i = 0; i < dir->depth; i++) {
		mbox_name_decode(&parts[i], bytes_of(dir->path[i]));
		v[n++] = parts[i].components[0];
	}
	ret = mailbox_name_from_components(out, v, n, err);
	for (size_t i = 0; i < dir->depth; i++)
		mailbox_name_release(&parts[i]);
	free(parts);
	free(v);
	return ret;
}

static int name_boxes(struct eml_store *s, struct err *err)
{
	const struct mbox_settings *set = s->st.cfg->settings;
	const struct mailbox_name *into = set ? set->mailbox : NULL;
	struct mailbox_name own = MAILBOX_NAME_INIT;
	int ret = into ? 0 : mbox_name_of_path(s->st.cfg->path, "", &own, err);

	s->box = xcalloc(s->tree.n + 1, sizeof(*s->box));
	for (size_t i = 0; i < s->tree.n && ret == 0; i++) {
		struct eml_box *box = &s->box[i];

		box->mb.store = &s->st;
		box->dir = &s->tree.v[i];
		/* What lies in the directory itself has no other name than the directory's. */
		ret = name_box(box->dir, into ? into : box->dir->depth ? NULL : &own,
			       &box->mb.name, err);
		for (size_t k = 0; k < i && ret == 0; k++)
			if (mailbox_name_equal(&s->box[k].mb.name, &box->mb.name))
				ret = err_set(err, ERR_CONFIG,
					      "two directories of %s would be one mailbox: messages lie in it, "
					      "and in one in it that has the same name",
					      s->st.cfg->path);
	}
	mailbox_name_release(&own);
	return ret;
}

static int check_stop(void *ctx, struct err *err)
{
	return store_check_stop(ctx, err);
}

static int eml_open(struct store **out, const struct store_config *cfg, enum store_mode mode,
		    struct err *err)
{
	struct eml_store *s;

	if (mode != STORE_READ)
		return err_set(err, ERR_CONFIG, "%s: a directory of messages can only be read",
			       cfg->path);
	s = xcalloc(1, sizeof(*s));
	s->st = (struct store){ .ops = &eml_store, .cfg = cfg };
	s->root = open(cfg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0) {
		err_sys(err, errno == ENOENT ? ERR_MISSING : ERR_FATAL, "open %s", cfg->path);
		goto fail;
	}
	if (eml_tree_find(s->root, cfg->path, &s->tree, check_stop, &s->st, err) < 0)
		goto fail;
	if (s->tree.n == 0) {
		err_set(err, ERR_MISSING, "%s: no store of mailcask, no Maildir and no .eml file is in it",
			cfg->path);
		goto fail;
	}
	if (name_boxes(s, err) < 0)
		goto fail;
	*out = &s->st;
	return 0;
fail:
	eml_close(&s->st);
	return -1;
}

static int eml_list(struct store *st, const char *hint, struct mailbox_list *out, struct err *err)
{
	struct eml_store *s = (struct eml_store *)st;

	(void)hint;
	(void)err;
	for (size_t i = 0; i < s->tree.n; i++)
		mailbox_name_copy(&mailbox_list_add(out)->name, &s->box[i].mb.name);
	mailbox_list_sort(out);
	out->complete = true;
	return 0;
}

static struct eml_box *find_box(struct eml_store *s, const struct mailbox_name *name)
{
	for (size_t i = 0; i < s->tree.n; i++)
		if (mailbox_name_equal(&s->box[i].mb.name, name))
			return &s->box[i];
	return NULL;
}

static int eml_exists(struct store *st, const struct mailbox_name *name, bool *out,
		      struct err *err)
{
	(void)err;
	*out = find_box((struct eml_store *)st, name) != NULL;
	return 0;
}

static int read_names(struct eml_box *box, struct err *err)
{
	struct eml_store *s = (struct eml_store *)box->mb.store;
	int fd, ret;

	if (box->read)
		return 0;
	fd = eml_dir_open(s->root, box->dir);
	if (fd < 0)
		return err_sys(err, ERR_MAILBOX, "open its directory");
	ret = eml_dir_names(fd, &box->names, &box->n);
	if (ret < 0)
		err_sys(err, ERR_MAILBOX, "read its directory");
	close(fd);
	box->read = ret == 0;
	return ret;
}

static int eml_open_mailbox(struct store *st, const struct mailbox_info *info,
			    enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct eml_box *box = find_box((struct eml_store *)st, &info->name);

	(void)mode;
	if (!box)
		return err_set(err, ERR_MAILBOX, "there is no such mailbox");
	if (read_names(box, err) < 0)
		return -1;
	*out = &box->mb;
	return 0;
}

/* --- a message --- */

/* What is known of a file before its bytes are given: read once through. */
struct eml {
	int fd;
	struct stat sb;
	uint64_t size, lf, crlf;
	bool add_cr;
	struct flags flags;
	struct maildate date;
};

/* Of any failure: the message, by its file's name. */
static int trouble(struct err *err, const char *name, const char *what)
{
	char *safe = escape_text(bytes_of(name), 200);

	err_sys(err, ERR_MESSAGE, "%s %s", what, safe);
	free(safe);
	return -1;
}

static int read_piece(int fd, const char *name, uint8_t *piece, size_t *n, struct err *err)
{
	ssize_t got;

	do
		got = read(fd, piece, PIECE);
	while (got < 0 && errno == EINTR);
	*n = got > 0 ? (size_t)got : 0;
	return got < 0 ? trouble(err, name, "read") : 0;
}

static void count_ends(struct eml *e, const uint8_t *p, size_t n, uint8_t *last)
{
	for (const uint8_t *at = p; (at = memchr(at, '\n', (size_t)(p + n - at))); at++) {
		e->lf++;
		e->crlf += (at > p ? at[-1] : *last) == '\r';
	}
	*last = p[n - 1];
}

static int look_through(struct eml_store *s, struct eml *e, const char *name, uint8_t *piece,
			struct err *err)
{
	struct traits *traits = traits_new();
	uint8_t last = 0;
	size_t n = 1;
	int ret = 0;

	while (ret == 0 && n > 0) {
		ret = store_check_stop(&s->st, err);
		if (ret == 0)
			ret = read_piece(e->fd, name, piece, &n, err);
		if (ret < 0 || n == 0)
			break;
		traits_feed(traits, bytes_from(piece, n));
		count_ends(e, piece, n, &last);
		e->size += n;
	}
	traits_end(traits);
	traits_flags(traits, &e->flags);
	if (!traits_date(traits, &e->date))
		maildate_set(&e->date, (int64_t)e->sb.st_mtim.tv_sec, 0);
	traits_free(traits);
	e->add_cr = e->crlf == 0 && !eml_name_says_exact(name);
	if (e->add_cr)
		e->size += e->lf;
	return ret;
}

static void eml_release(struct eml *e)
{
	if (e->fd >= 0)
		close(e->fd);
	flags_release(&e->flags);
	maildate_release(&e->date);
}

/* A file that is open, looked through, and at its beginning again; to be released in any case. */
static int eml_read(struct eml_store *s, int dir, const char *name, uint8_t *piece, struct eml *e,
		    struct err *err)
{
	*e = (struct eml){ .fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) };
	if (e->fd < 0)
		return trouble(err, name, "open");
	if (fstat(e->fd, &e->sb) < 0)
		return trouble(err, name, "look at");
	if (!S_ISREG(e->sb.st_mode)) {
		errno = EISDIR;
		return trouble(err, name, "read");
	}
	if (look_through(s, e, name, piece, err) < 0)
		return -1;
	return lseek(e->fd, 0, SEEK_SET) < 0 ? trouble(err, name, "read") : 0;
}

/* What cannot be read is told by fetch(): its size is not. */
static int list_box(struct eml_store *s, struct eml_box *box, struct changes *out, struct err *err)
{
	int dir = eml_dir_open(s->root, box->dir), ret = 0;
	uint8_t *piece;

	if (dir < 0)
		return err_sys(err, ERR_MAILBOX, "open its directory");
	piece = xmalloc(PIECE);
	for (size_t i = 0; i < box->n && ret == 0; i++) {
		struct eml e;
		struct entry *entry = changes_add(out, (uint32_t)i + 1);

		ret = eml_read(s, dir, box->names[i], piece, &e, err);
		entry->flags = flag_table_intern(out->flags, &e.flags);
		if (ret == 0)
			entry->size = e.size < UINT32_MAX ? (uint32_t)e.size : UINT32_MAX;
		else if (err->kind == ERR_MESSAGE)
			ret = 0;
		eml_release(&e);
	}
	free(piece);
	close(dir);
	out->token = (struct token){ .known = true, .uidvalidity = 1,
				     .uidnext = (uint32_t)box->n + 1,
				     .messages = (uint32_t)box->n };
	out->complete = ret == 0;
	return ret;
}

static int eml_changes(struct store *st, struct changes_request *req, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = { 0 };

		if (list_box((struct eml_store *)st, (struct eml_box *)req[i].mailbox, req[i].out,
			     &why) == 0)
			continue;
		if (why.kind != ERR_MAILBOX) {
			*err = why;
			return -1;
		}
		req[i].out->err = why;
	}
	return 0;
}

struct giving {
	const struct message_sink *sink;
	void *handle;
	uint64_t given;
};

static int give(void *ctx, struct bytes piece, struct err *err)
{
	struct giving *g = ctx;

	g->given += piece.n;
	return g->sink->write(g->sink->ctx, g->handle, piece, err);
}

static int give_body(struct eml_store *s, const struct eml *e, const char *name, uint8_t *piece,
		     struct giving *g, struct err *err)
{
	struct wire_form form = { .add_cr = e->add_cr };
	size_t n = 1;

	while (n > 0) {
		if (store_check_stop(&s->st, err) < 0 ||
		    read_piece(e->fd, name, piece, &n, err) < 0 ||
		    wire_form_feed(&form, bytes_from(piece, n), give, g, err) < 0)
			return -1;
	}
	if (g->given == e->size)
		return 0;
	return err_set(err, ERR_MESSAGE, "its file changed while it was read");
}

static int give_message(struct eml_store *s, int dir, const struct eml_box *box, uint32_t uid,
			const struct want *want, const struct message_sink *sink, uint8_t *piece,
			struct err *err)
{
	const char *name = box->names[uid - 1];
	struct giving g = { .sink = sink };
	struct message msg = { .uid = uid };
	struct err second;
	struct eml e;
	int ret = eml_read(s, dir, name, piece, &e, err);

	msg.flags = &e.flags;
	msg.date = &e.date;
	msg.size = e.size;
	if (ret == 0)
		ret = sink->begin(sink->ctx, want->tag, &msg, &g.handle, err);
	if (ret == 0) {
		if (!want->attributes)
			ret = give_body(s, &e, name, piece, &g, err);
		if (ret == 0)
			ret = sink->end(sink->ctx, g.handle, &msg, true, err);
		else
			sink->end(sink->ctx, g.handle, NULL, false, &second);
	}
	eml_release(&e);
	return ret;
}

static int fetch_messages(struct eml_store *s, int dir, struct want *want,
			  const struct message_sink *sink, outcome_fn *report, void *ctx,
			  uint8_t *piece, struct err *err)
{
	const struct eml_box *box = (const struct eml_box *)want->mailbox;

	for (uint32_t uid = uidset_next(want->set, 0); uid; uid = uidset_next(want->set, uid)) {
		bool there = uid <= box->n;
		struct err why = { 0 };

		if (!there && !want->exact)
			break;
		if (!there) {
			report(ctx, want->tag, uid, OUTCOME_UID_UNKNOWN, 0, NULL);
		} else if (give_message(s, dir, box, uid, want, sink, piece, &why) == 0) {
			report(ctx, want->tag, uid, OUTCOME_DONE, 0, NULL);
		} else if (why.kind == ERR_MESSAGE) {
			report(ctx, want->tag, uid, OUTCOME_REFUSED, 0, &why);
		} else {
			report(ctx, want->tag, uid, OUTCOME_NO_ANSWER, 0, &why);
			*err = why;
			return -1;
		}
	}
	return 0;
}

static int eml_fetch(struct store *st, struct want *want, size_t n,
		     const struct message_sink *sink, outcome_fn *report, void *ctx,
		     struct err *err)
{
	struct eml_store *s = (struct eml_store *)st;
	uint8_t *piece = xmalloc(PIECE);
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		const struct eml_box *box = (const struct eml_box *)want[i].mailbox;
		int dir = eml_dir_open(s->root, box->dir);

		want[i].err = (struct err){ 0 };
		if (dir < 0) {
			err_sys(&want[i].err, ERR_MAILBOX, "open its directory");
			want[i].complete = false;
			continue;
		}
		ret = fetch_messages(s, dir, &want[i], sink, report, ctx, piece, err);
		want[i].complete = ret == 0;
		close(dir);
	}
	free(piece);
	return ret;
}

const struct store_ops eml_store = {
	.type = "eml",
	.identify = eml_identify,
	.open = eml_open,
	.close = eml_close,
	.list = eml_list,
	.exists = eml_exists,
	.open_mailbox = eml_open_mailbox,
	.changes = eml_changes,
	.fetch = eml_fetch,
};
