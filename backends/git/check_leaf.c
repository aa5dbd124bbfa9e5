/* Live messages: contents and the lists of their flags, group by group, leaf by leaf. */
#include <stdlib.h>
#include <string.h>

#include <git2.h>

#include "backends/git/check.h"
#include "backends/git/entry_text.h"
#include "backends/git/layout.h"
#include "backends/git/pack_read.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/msgset/uidset.h"

struct looking {
	struct checking *c;
	const char *mailbox;
	struct uidset_builder *sources;
	struct flag_table *flags;
	struct flag_memo memo;
};

static const struct object_id none;

/* --- contents --- */

static int told_size(struct checking *c, const struct object_id *id, uint64_t *size)
{
	struct git_odb *odb;
	struct pack_at at;
	enum git_type type;
	struct err why;
	git_object_t other;
	size_t n;
	git_oid oid;

	if (pack_set_find(c->repo->packs, id, &at))
		return pack_object_info(c->repo->packs, &at, &type, size, &why) < 0 ||
				       type != GIT_BLOB
			       ? -1
			       : 0;
	odb = repo_odb(c->repo, &why);
	git_oid_fromraw(&oid, id->b);
	if (!odb || git_odb_read_header(&n, &other, odb, &oid) < 0 || other != GIT_OBJECT_BLOB)
		return -1;
	*size = n;
	return 0;
}

static void name_fault(struct checking *c, const char *mailbox, uint32_t uid,
		       const struct object_id *id)
{
	struct pack_record *r = pack_table_find(&c->faulty, id);
	struct fault *f = r ? &c->fault[r->where] : NULL;
	char *what;

	if (!f || f->good_copy)
		return;
	f->told = true;
	if (!check_is_news(c, id))
		return;
	what = xasprintf("its content is damaged (%s)", f->why);
	check_tell(c, mailbox, uid, id, what, check_advice_content);
	free(what);
}

int check_content(struct checking *c, const char *mailbox, uint32_t uid, uint64_t size,
		  const struct object_id *id, struct err *err)
{
	uint64_t is = size;
	int there;

	if (c->naming) {
		name_fault(c, mailbox, uid, id);
		return 0;
	}
	there = check_is_there(c, id, err);
	if (there < 0)
		return -1;
	if (!there && check_is_news(c, id))
		check_tell(c, mailbox, uid, id, "its content is missing", check_advice_content);
	/* The head may be damaged; reading everything will say so. */
	if (there && c->ck->read_data && told_size(c, id, &is) == 0 && is != size)
		check_tell(c, mailbox, uid, id, "its content is not as long as the list of flags says",
			   check_advice_texts);
	return 0;
}

/* --- a leaf --- */

static void tell_uid(struct looking *l, uint32_t uid, const char *what)
{
	if (!l->c->naming)
		check_tell(l->c, l->mailbox, uid, NULL, what, check_advice_texts);
}

static void tell_text(struct looking *l, uint32_t leaf, const char *what)
{
	char path[LAYOUT_PATH_SIZE], *text;

	if (l->c->naming)
		return;
	layout_flags_path(leaf, path);
	text = xasprintf("%s: %s", path, what);
	check_tell(l->c, l->mailbox, 0, NULL, text, check_advice_texts);
	free(text);
}

struct content {
	uint32_t uid;
	struct object_id id;
};

/* The entries of a leaf's tree, ascending, as git has them. */
static size_t read_contents(struct looking *l, uint32_t leaf, const struct buf *data,
			    struct content out[LAYOUT_LEAF_UIDS])
{
	struct bytes rest = buf_bytes(data);
	struct tree_entry e;
	struct err why;
	size_t n = 0;

	while (tree_next(&rest, &e, &why) > 0) {
		uint32_t uid;

		if (!layout_message_parse(e.name, leaf, &uid) || (e.mode & 0170000) != 0100000 ||
		    n == LAYOUT_LEAF_UIDS || (n > 0 && uid <= out[n - 1].uid))
			tell_text(l, leaf, "a file that is no message stands among the messages");
		else
			out[n++] = (struct content){ .uid = uid, .id = e.id };
	}
	return n;
}

static void add_up(struct looking *l, const struct entry_line *e, struct sums *sums)
{
	struct err why;
	uint32_t flags;

	if (l->c->is_base && !l->c->naming)
		l->c->ck->compared++;
	sums->live++;
	sums->bytes += e->size;
	sums->stored += e->source_uid != 0;
	sums->remapped += e->source_uid != e->uid;
	if (l->sources && e->source_uid)
		uidset_builder_add(l->sources, e->source_uid, e->source_uid);
	if (flag_memo_id(&l->memo, e, &flags, &why) < 0)
		tell_uid(l, e->uid, "its flags cannot be understood");
}

/* Lines and contents, both ascending. */
static int match(struct looking *l, uint32_t leaf, const struct buf *text,
		 const struct content *v, size_t n, struct sums *sums, struct err *err)
{
	struct entry_reader r;
	struct entry_line e;
	struct err why;
	size_t at = 0;
	int got;

	entry_reader_init(&r, buf_bytes(text), leaf);
	while ((got = entry_next(&r, &e, &why)) > 0) {
		for (; at < n && v[at].uid < e.uid; at++)
			tell_uid(l, v[at].uid, "it has a content, but no line in the list of flags");
		add_up(l, &e, sums);
		if (at < n && v[at].uid == e.uid) {
			if (check_content(l->c, l->mailbox, e.uid, e.size, &v[at].id, err) < 0)
				return -1;
			at++;
		} else {
			tell_uid(l, e.uid, "it has a line in the list of flags, but no content");
		}
	}
	for (; at < n && got == 0; at++)
		tell_uid(l, v[at].uid, "it has a content, but no line in the list of flags");
	if (got < 0) {
		tell_text(l, leaf, why.text);
		sums->gap = true;
	}
	return 0;
}

static int check_leaf(struct looking *l, uint32_t leaf, const struct object_id *messages,
		      const struct object_id *flags, struct sums *sums, struct err *err)
{
	struct buf tree = BUF_INIT(TREE_MAX), text = BUF_INIT(LEAF_TEXT_MAX);
	struct content v[LAYOUT_LEAF_UIDS];
	size_t n = 0;
	bool readable = true;
	struct err why;
	int ret = 0;

	if (!object_id_is_zero(messages)) {
		readable = check_read_tree(l->c, l->mailbox, messages, &tree);
		n = readable ? read_contents(l, leaf, &tree, v) : 0;
	}
	if (!object_id_is_zero(flags) &&
	    repo_read(l->c->repo, flags, GIT_BLOB, &text, &why) < 0) {
		check_unreadable(l->c, l->mailbox, flags, "a list of flags", &why);
		readable = false;
	}
	sums->gap |= !readable;
	if (readable)
		ret = match(l, leaf, &text, v, n, sums, err);
	buf_release(&tree);
	buf_release(&text);
	return ret;
}

/* --- two trees side by side --- */

/* What is known of a pair, as one id. */
static void pair_id(const struct object_id *a, const struct object_id *b, struct object_id *out)
{
	uint8_t both[2 * OBJECT_ID_SIZE];

	memcpy(both, a->b, OBJECT_ID_SIZE);
	memcpy(both + OBJECT_ID_SIZE, b->b, OBJECT_ID_SIZE);
	object_id_of(out, GIT_BLOB, bytes_from(both, sizeof(both)));
}

static void add_sums(struct sums *to, const struct sums *s)
{
	to->live += s->live;
	to->bytes += s->bytes;
	to->stored += s->stored;
	to->remapped += s->remapped;
	to->gap |= s->gap;
}

typedef int pair_fn(struct looking *l, uint32_t number, const struct object_id *messages,
		    const struct object_id *flags, struct sums *sums, struct err *err);

/*
 * By `fn`, unless that pair was seen before: snapshots share most of theirs. For the base all are looked at,
 * since it also wants the sources.
 */
static int once(struct looking *l, pair_fn *fn, uint32_t number, const struct object_id *messages,
		const struct object_id *flags, struct sums *sums, struct err *err)
{
	struct checking *c = l->c;
	struct sums here = { 0 };
	struct pack_record *r;
	struct object_id pair;

	pair_id(messages, flags, &pair);
	r = pack_table_find(&c->seen, &pair);
	if (r && !c->is_base) {
		add_sums(sums, &c->sums[r->where]);
		return 0;
	}
	if (fn(l, number, messages, flags, &here, err) < 0)
		return -1;
	add_sums(sums, &here);
	if (r)
		return 0;
	c->sums = xgrow(c->sums, c->n_sums, &c->cap_sums, sizeof(*c->sums));
	c->sums[c->n_sums] = here;
	pack_table_add(&c->seen, &(struct pack_record){ .id = pair, .where = c->n_sums++ });
	return 0;
}

/* Entries of both trees by name; what only one has goes with `none`. */
static int each_pair(struct looking *l, const struct object_id *messages,
		     const struct object_id *flags, bool (*parse)(struct bytes, uint32_t, uint32_t *),
		     uint32_t parent, pair_fn *fn, struct sums *sums, struct err *err)
{
	struct buf a_data = BUF_INIT(TREE_MAX), b_data = BUF_INIT(TREE_MAX);
	struct tree a, b;
	struct err why;
	size_t i = 0, j = 0;
	int ret = 0;

	tree_init(&a);
	tree_init(&b);
	if ((!object_id_is_zero(messages) &&
	     (!check_read_tree(l->c, l->mailbox, messages, &a_data) ||
	      tree_parse(&a, buf_bytes(&a_data), &why) < 0)) ||
	    (!object_id_is_zero(flags) &&
	     (!check_read_tree(l->c, l->mailbox, flags, &b_data) ||
	      tree_parse(&b, buf_bytes(&b_data), &why) < 0))) {
		sums->gap = true;
		goto out;
	}
	while (ret == 0 && (i < a.n || j < b.n)) {
		int order = i == a.n ? 1 : j == b.n ? -1 : strcmp(a.v[i].name, b.v[j].name);
		const char *name = order <= 0 ? a.v[i].name : b.v[j].name;
		const struct object_id *m = order <= 0 ? &a.v[i].id : &none;
		const struct object_id *f = order >= 0 ? &b.v[j].id : &none;
		uint32_t number;

		if (parse(bytes_of(name), parent, &number))
			ret = once(l, fn, number, m, f, sums, err);
		else if (!l->c->naming)
			check_tell(l->c, l->mailbox, 0, NULL,
				   "a file that is no message stands among the messages",
				   check_advice_texts);
		i += order <= 0;
		j += order >= 0;
	}
out:
	tree_release(&a);
	tree_release(&b);
	buf_release(&a_data);
	buf_release(&b_data);
	return ret;
}

static int check_group(struct looking *l, uint32_t group, const struct object_id *messages,
		       const struct object_id *flags, struct sums *sums, struct err *err)
{
	int ret = check_go_on(l->c, err);

	if (ret != 0) {
		sums->gap = true;
		return ret < 0 ? -1 : 0;
	}
	return each_pair(l, messages, flags, layout_leaf_parse, group, check_leaf, sums, err);
}

static bool parse_group(struct bytes name, uint32_t parent, uint32_t *group)
{
	(void)parent;
	return layout_group_parse(name, group);
}

int check_messages(struct checking *c, const char *mailbox, const struct object_id *messages,
		   const struct object_id *flags, struct sums *sums,
		   struct uidset_builder *sources, struct err *err)
{
	struct looking l = { .c = c, .mailbox = mailbox, .sources = sources };
	int ret;

	l.flags = flag_table_new();
	flag_memo_init(&l.memo, l.flags);
	ret = each_pair(&l, messages, flags, parse_group, 0, check_group, sums, err);
	flag_memo_release(&l.memo);
	flag_table_free(l.flags);
	return ret;
}
