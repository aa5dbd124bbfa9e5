#include "cmd/search_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/sync/store.h"

#include "cmd/decode.h"
#include "cmd/mime.h"

/* --- judging --- */

static bool contains(char *decoded, const char *folded)
{
	char *text = decode_fold(decoded);
	bool found = strstr(text, folded) != NULL;

	free(text);
	free(decoded);
	return found;
}

static bool is_one_of(struct bytes name, const char *const *names)
{
	for (; *names; names++)
		if (bytes_is_nocase(name, *names))
			return true;
	return false;
}

/* One of the fields has the text in it. */
static bool has_text(const struct search_term *t, struct bytes header, const char *const *names,
		     char *(*decode)(struct bytes raw))
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value))
		if (is_one_of(name, names) &&
		    (contains(decode(value), t->folded) || contains(decode_words(value), t->folded)))
			return true;
	return false;
}

/* Name and value, as one reads them. */
static bool has_line(const struct search_term *t, struct bytes header)
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value)) {
		char *field = bytes_dup(name), *text = decode_words(value);
		char *line = xasprintf("%s: %s", field, text + strspn(text, " "));

		free(field);
		free(text);
		if (contains(line, t->folded))
			return true;
	}
	return false;
}

static bool has_id(const struct search_term *t, struct bytes header)
{
	struct bytes name, value;

	while (mime_next_field(&header, &name, &value)) {
		char *text, *id;
		bool same;

		if (!bytes_is_nocase(name, "Message-ID"))
			continue;
		text = decode_words(value);
		id = text + strspn(text, " ");
		for (size_t n = strlen(id); n > 0 && id[n - 1] == ' ';)
			id[--n] = '\0';
		search_strip_brackets(id);
		same = strcmp(id, t->text) == 0;
		free(text);
		if (same)
			return true;
	}
	return false;
}

bool search_holds(const struct search_term *t, const struct facts *f)
{
	static const char *const from[] = { "From", NULL }, *const to[] = { "To", "Cc", "Bcc", NULL },
				 *const subject[] = { "Subject", NULL };
	static const struct flags none;
	const struct flags *flags = f->flags ? f->flags : &none;

	switch (t->what) {
	case SEARCH_FROM:
		return has_text(t, f->header, from, decode_addresses);
	case SEARCH_TO:
		return has_text(t, f->header, to, decode_addresses);
	case SEARCH_SUBJECT:
		return has_text(t, f->header, subject, decode_words);
	case SEARCH_HEADER:
		return has_line(t, f->header);
	case SEARCH_MESSAGE_ID:
		return has_id(t, f->header);
	case SEARCH_SINCE:
		return f->date && f->date->known && f->date->unix_time >= t->moment;
	case SEARCH_BEFORE:
		return f->date && f->date->known && f->date->unix_time < t->moment;
	case SEARCH_LARGER:
		return f->size > t->size;
	case SEARCH_SMALLER:
		return f->size < t->size;
	case SEARCH_SEEN:
		return flags->bits & FLAG_SEEN;
	case SEARCH_UNSEEN:
		return !(flags->bits & FLAG_SEEN);
	case SEARCH_ANSWERED:
		return flags->bits & FLAG_ANSWERED;
	case SEARCH_FLAGGED:
		return flags->bits & FLAG_FLAGGED;
	case SEARCH_DRAFT:
		return flags->bits & FLAG_DRAFT;
	case SEARCH_DELETED:
		return flags->bits & FLAG_DELETED;
	default:
		return flags_has(flags, bytes_of(t->text));
	}
}

bool search_all_hold(const struct search *s, enum need most, const struct facts *f)
{
	for (size_t i = 0; i < s->n; i++)
		if (search_criteria[s->v[i].what].need <= most && search_holds(&s->v[i], f) == s->v[i].not)
			return false;
	return true;
}

static enum need need_of(const struct search *s)
{
	enum need need = NEED_ENTRY;

	for (size_t i = 0; i < s->n; i++)
		if (search_criteria[s->v[i].what].need > need)
			need = search_criteria[s->v[i].what].need;
	return need;
}

/* --- looking into messages --- */

/* Local stores give one message after the other. */
struct looking {
	const struct search *s;
	enum need need;
	struct uidset *out;
	struct buf header;
	size_t seen;  /* of the header: no line end before that */
	bool told;    /* begin() told flags and date, so the body need not be read to its end */
	uint32_t uid, judged; /* the message in work, and the one that was judged last */
	uint64_t size;
	struct flags flags;
	struct maildate date;
};

static void judge(struct looking *l, uint32_t uid)
{
	const struct facts f = { .flags = &l->flags, .size = l->size, .date = &l->date,
				 .header = buf_bytes(&l->header) };

	l->judged = uid;
	if (search_all_hold(l->s, l->need, &f))
		uidset_add(l->out, uid);
}

static void take_attributes(struct looking *l, const struct message *msg)
{
	l->size = msg->size;
	l->told = msg->flags && msg->date;
	if (msg->flags)
		flags_copy(&l->flags, msg->flags);
	if (msg->date)
		maildate_copy(&l->date, msg->date);
}

static int on_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err)
{
	struct looking *l = ctx;

	(void)tag;
	(void)err;
	*handle = l;
	l->uid = msg->uid;
	buf_clear(&l->header);
	l->seen = 0;
	take_attributes(l, msg);
	return 0;
}

/* Whether an empty line has come. */
static bool is_whole(struct looking *l)
{
	struct bytes all = buf_bytes(&l->header);

	for (const uint8_t *lf; l->seen < all.n; l->seen = (size_t)(lf - all.p) + 1) {
		struct bytes rest;

		lf = memchr(all.p + l->seen, '\n', all.n - l->seen);
		if (!lf)
			return false;
		rest = bytes_from(all.p + l->seen, (size_t)(lf - all.p) - l->seen);
		if (rest.n == 0 || (rest.n == 1 && *rest.p == '\r'))
			return true;
	}
	return false;
}

/* Once the header was seen, the rest need not be read: refusing the message ends it. */
static int on_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct looking *l = ctx;

	(void)handle;
	if (!l->header.overflow)
		buf_add(&l->header, piece);
	if (!l->told || (!l->header.overflow && !is_whole(l)))
		return 0;
	judge(l, l->uid);
	return err_set(err, ERR_MESSAGE, "no more of it is needed");
}

static int on_end(void *ctx, void *handle, const struct message *msg, bool complete, struct err *err)
{
	struct looking *l = ctx;

	(void)handle;
	(void)err;
	if (!complete)
		return 0;
	take_attributes(l, msg);
	judge(l, msg->uid);
	return 0;
}

static void on_outcome(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		       const struct err *why)
{
	struct looking *l = ctx;

	(void)tag;
	(void)new_uid;
	(void)why;
	if (what == OUTCOME_REFUSED && l->judged != uid)
		uidset_add(l->out, uid);
}

static int look_into(const struct search *s, enum need need, struct mailbox *mb,
		     const struct uidset *set, struct uidset *out, struct err *err)
{
	struct looking l = { .s = s, .need = need, .out = out, .header = BUF_INIT(MIME_HEADER_MAX) };
	const struct message_sink sink = { &l, on_begin, on_write, on_end };
	struct want want = { .mailbox = mb, .set = set, .exact = true, .header = need == NEED_HEADER,
			     .attributes = need != NEED_HEADER };
	int ret = store_fetch(mb->store, &want, 1, &sink, on_outcome, &l, err);

	buf_release(&l.header);
	flags_release(&l.flags);
	maildate_release(&l.date);
	if (ret == 0 && want.err.kind != ERR_NONE) {
		*err = want.err;
		ret = -1;
	}
	return ret;
}

int search_select(const struct search *s, struct mailbox *mb, const struct changes *have,
		  struct uidset *out, struct err *err)
{
	enum need need = need_of(s);
	struct uidset open = UIDSET_INIT;
	int ret = 0;

	for (size_t i = 0; i < have->n; i++) {
		const struct entry *e = &have->v[i];
		const struct facts f = { .flags = flag_table_get(have->flags, e->flags), .size = e->size };
		bool told = e->size != 0 && e->size != UINT32_MAX; /* else flags may not be, either */

		if (told && !search_all_hold(s, NEED_ENTRY, &f))
			continue;
		uidset_add(told && need == NEED_ENTRY ? out : &open, e->uid);
	}
	if (!uidset_is_empty(&open))
		ret = look_into(s, need, mb, &open, out, err);
	uidset_release(&open);
	return ret;
}
