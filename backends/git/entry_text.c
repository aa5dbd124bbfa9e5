#include "backends/git/entry_text.h"

#include <stdlib.h>
#include <string.h>

#include "backends/git/text_line.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/sync/identity.h"

#define KEPT_KEY "kept="

#define DATE_SIZE 25 /* `2024-05-06T07:08:09+02:00` */
#define DATE_TEXT_MAX 400
#define MEMO_TEXT_MAX 1000 /* of a stranger's text nothing longer is remembered */

/* What stops the word of a flag list that is not quoted. */
static bool ends_word(uint8_t c)
{
	return c == ' ' || c == ')';
}

static bool take_atom(struct bytes *in)
{
	size_t n = 0;

	for (; n < in->n && !ends_word(in->p[n]); n++)
		if (in->p[n] < 0x20 || in->p[n] == 0x7f || in->p[n] == '(' || in->p[n] == '"')
			return false;
	*in = bytes_skip(*in, n);
	return n > 0;
}

static bool take_quoted_flag(struct bytes *in)
{
	for (size_t n = 1; n < in->n; n++) {
		if (in->p[n] < 0x20 || in->p[n] == 0x7f)
			return false;
		if (in->p[n] == '\\')
			n++;
		else if (in->p[n] == '"') {
			*in = bytes_skip(*in, n + 1);
			return true;
		}
	}
	return false;
}

/* `(\Seen "a b")`, the spelling of flags_format(), which alone says where the list ends. */
static bool take_flags(struct bytes *in, struct bytes *flags)
{
	struct bytes at = *in;

	if (!text_take(&at, "("))
		return false;
	if (!text_take(&at, ")"))
		for (;;) {
			if (at.n == 0 || !(at.p[0] == '"' ? take_quoted_flag(&at) : take_atom(&at)))
				return false;
			if (text_take(&at, ")"))
				break;
			if (!text_take(&at, " "))
				return false;
		}
	*flags = bytes_from(in->p + 1, in->n - at.n - 2);
	*in = at;
	return true;
}

static bool take_quoted_date(struct bytes *in, struct bytes *date)
{
	struct bytes at = bytes_skip(*in, 1), raw;

	if (!text_take_until(&at, '"', &raw) || text_unescaped_size(raw) > MAILDATE_RAW_MAX)
		return false;
	*date = bytes_from(in->p, in->n - at.n);
	*in = at;
	return true;
}

static bool take_date(struct bytes *in, struct bytes *date)
{
	struct maildate d = { 0 };

	if (in->n > 0 && in->p[0] == '"')
		return take_quoted_date(in, date);
	*date = bytes_from(in->p, 3);
	if (text_take(in, "NIL"))
		return true;
	*date = bytes_from(in->p, DATE_SIZE);
	if (in->n < DATE_SIZE || !maildate_parse_rfc3339(&d, *date))
		return false;
	*in = bytes_skip(*in, DATE_SIZE);
	return true;
}

/* ` key=value`, the value without blanks and control bytes. */
static bool take_pair(struct bytes *in, struct bytes *key)
{
	struct bytes at = *in;
	size_t n = 0;

	if (!text_take(&at, " ") || !text_take_until(&at, '=', key) || !text_is_word(*key))
		return false;
	while (n < at.n && at.p[n] > 0x20 && at.p[n] != 0x7f)
		n++;
	*in = bytes_skip(at, n);
	return true;
}

/* The next pair as it stands, without the blank before it. */
static bool next_pair(struct bytes *in, struct bytes *pair)
{
	const uint8_t *end;

	if (in->n == 0)
		return false;
	*pair = bytes_skip(*in, 1);
	end = memchr(pair->p, ' ', pair->n);
	if (end)
		pair->n = (size_t)(end - pair->p);
	*in = bytes_skip(*in, pair->n + 1);
	return true;
}

struct bytes entry_identity(const struct entry_line *e)
{
	struct bytes rest = e->extra, pair;

	while (next_pair(&rest, &pair))
		if (identity_is_valid(pair))
			return pair;
	return (struct bytes){ 0 };
}

void entry_extra_write(struct bytes extra, struct bytes identity, struct buf *out)
{
	struct bytes pair;

	while (next_pair(&extra, &pair)) {
		if (identity_is_valid(pair))
			continue;
		buf_add_byte(out, ' ');
		buf_add(out, pair);
	}
	if (identity.n == 0)
		return;
	buf_add_byte(out, ' ');
	buf_add(out, identity);
}

/* The value of a pair `kept=`, when it is one. */
static bool is_kept_pair(struct bytes pair, struct bytes *value)
{
	*value = pair;
	return text_take(value, KEPT_KEY);
}

int64_t kept_time(const struct kept_line *k)
{
	struct bytes rest = k->entry.extra, pair, value;
	uint64_t time;

	while (next_pair(&rest, &pair))
		if (is_kept_pair(pair, &value) && bytes_to_u64(value, &time) && time <= INT64_MAX)
			return (int64_t)time;
	return 0;
}

void kept_extra_write(struct bytes extra, int64_t time, struct buf *out)
{
	struct bytes pair, value;

	while (next_pair(&extra, &pair)) {
		if (is_kept_pair(pair, &value))
			continue;
		buf_add_byte(out, ' ');
		buf_add(out, pair);
	}
	if (time > 0)
		buf_addf(out, " " KEPT_KEY "%lld", (long long)time);
}

void entry_take_pairs(struct entry_line *line, const struct entry_line *old, struct buf *text)
{
	struct bytes identity = entry_identity(line);
	struct buf extra = BUF_INIT(LEAF_TEXT_MAX);

	kept_extra_write(old->extra, 0, &extra);
	entry_extra_write(buf_bytes(&extra), identity.n ? identity : entry_identity(old), text);
	line->extra = buf_bytes(text);
	buf_release(&extra);
}

/* What follows is to be pairs of a later version. What is ours comes before them. */
static const char *read_extra(struct bytes in, struct bytes *extra)
{
	struct bytes key;

	*extra = in;
	while (in.n > 0)
		if (!take_pair(&in, &key))
			return "not a key=value pair";
		else if (bytes_is(key, "source"))
			return "source= is not first or not a UID";
	return NULL;
}

/* `UID DATE SIZE (FLAGS)`. These give NULL or what is wrong with the line. */
static const char *take_core(struct bytes *in, struct entry_line *e)
{
	uint64_t uid;

	e->uid = 0;
	if (!text_take_number(in, UINT32_MAX, &uid) || uid == 0 || !text_take(in, " "))
		return "does not begin with a UID";
	e->uid = (uint32_t)uid;
	if (!take_date(in, &e->date) || !text_take(in, " "))
		return "no date after the UID";
	if (!text_take_number(in, UINT64_MAX, &e->size) || !text_take(in, " "))
		return "no size after the date";
	if (!take_flags(in, &e->flags))
		return "no list of flags after the size";
	return NULL;
}

static const char *read_entry(struct bytes in, struct entry_line *e)
{
	const char *wrong = take_core(&in, e);
	struct bytes at = in;
	uint64_t source;

	if (wrong)
		return wrong;
	e->source_uid = e->uid;
	if (text_take(&at, " source=") && text_take_number(&at, UINT32_MAX, &source) &&
	    (at.n == 0 || at.p[0] == ' ')) {
		e->source_uid = (uint32_t)source;
		in = at;
	}
	return read_extra(in, &e->extra);
}

static const char *read_kept(struct bytes in, struct kept_line *k)
{
	struct bytes id, at;
	const char *wrong;

	k->entry.uid = 0;
	if (!text_take_until(&in, ' ', &id) || !layout_hex_parse(id, k->id))
		return "does not begin with an object id";
	wrong = take_core(&in, &k->entry);
	if (wrong)
		return wrong;
	k->entry.source_uid = 0;
	at = in;
	k->held = text_take(&at, " held") && (at.n == 0 || at.p[0] == ' ');
	return read_extra(k->held ? at : in, &k->entry.extra);
}

void entry_reader_init(struct entry_reader *r, struct bytes text, uint32_t leaf)
{
	*r = (struct entry_reader){ .rest = text,
				    .low = layout_leaf_first(leaf),
				    .high = layout_leaf_last(leaf) };
}

void kept_reader_init(struct entry_reader *r, struct bytes text)
{
	*r = (struct entry_reader){ .rest = text, .low = 1, .high = UINT32_MAX };
}

static int accept(struct entry_reader *r, const char *wrong, uint32_t uid, struct bytes line,
		  struct err *err)
{
	if (!wrong && (uid < r->low || uid > r->high))
		wrong = "its UID is out of place";
	if (wrong)
		return text_fail(r->line, wrong, line, err);
	r->low = (uint64_t)uid + 1;
	return 1;
}

int entry_next(struct entry_reader *r, struct entry_line *e, struct err *err)
{
	struct bytes line;
	const char *wrong;
	int rc = text_line(&r->rest, &r->line, &line, err);

	if (rc <= 0)
		return rc;
	wrong = read_entry(line, e);
	return accept(r, wrong, e->uid, line, err);
}

int kept_next(struct entry_reader *r, struct kept_line *k, struct err *err)
{
	struct bytes line;
	const char *wrong;
	int rc = text_line(&r->rest, &r->line, &line, err);

	if (rc <= 0)
		return rc;
	wrong = read_kept(line, k);
	return accept(r, wrong, k->entry.uid, line, err);
}

static void write_core(const struct entry_line *e, struct buf *out)
{
	text_add_number(e->uid, out);
	buf_add_byte(out, ' ');
	buf_add(out, e->date);
	buf_add_byte(out, ' ');
	text_add_number(e->size, out);
	buf_add_str(out, " (");
	buf_add(out, e->flags);
	buf_add_byte(out, ')');
}

void entry_write(const struct entry_line *e, struct buf *out)
{
	write_core(e, out);
	if (e->source_uid != e->uid) {
		buf_add_str(out, " source=");
		text_add_number(e->source_uid, out);
	}
	buf_add(out, e->extra);
	buf_add_byte(out, '\n');
}

void kept_write(const struct kept_line *k, struct buf *out)
{
	char hex[LAYOUT_HEX_SIZE];

	layout_hex(k->id, hex);
	buf_add_str(out, hex);
	buf_add_byte(out, ' ');
	write_core(&k->entry, out);
	if (k->held)
		buf_add_str(out, " held");
	buf_add(out, k->entry.extra);
	buf_add_byte(out, '\n');
}

/* A date whose text matters, or that RFC 3339 cannot say, is written as the server sent it. */
void entry_date_write(const struct maildate *d, struct buf *out)
{
	struct buf text = BUF_INIT(DATE_TEXT_MAX);
	struct maildate again = { 0 };

	if (!d->known && !d->raw) {
		buf_add_str(out, "NIL");
		return;
	}
	if (maildate_format_rfc3339(d, &text) &&
	    maildate_parse_rfc3339(&again, buf_bytes(&text)) && maildate_equal(d, &again)) {
		buf_add(out, buf_bytes(&text));
	} else {
		buf_clear(&text);
		maildate_format(d, &text);
		buf_add_byte(out, '"');
		text_escape(buf_bytes(&text), TEXT_QUOTED, out);
		buf_add_byte(out, '"');
	}
	buf_release(&text);
}

void entry_date_read(struct bytes field, struct maildate *d)
{
	struct buf raw = BUF_INIT(MAILDATE_RAW_MAX);

	if (maildate_parse_rfc3339(d, field))
		return;
	if (field.n >= 2 && field.p[0] == '"')
		text_unescape(bytes_from(field.p + 1, field.n - 2), &raw);
	else
		buf_add(&raw, field); /* NIL */
	maildate_parse(d, buf_bytes(&raw));
	buf_release(&raw);
}

void flag_memo_init(struct flag_memo *m, struct flag_table *table)
{
	*m = (struct flag_memo){ .table = table };
}

void flag_memo_release(struct flag_memo *m)
{
	for (size_t i = 0; i < FLAG_MEMO_SLOTS; i++)
		free(m->slots[i].text);
	flag_memo_init(m, m->table);
}

static struct flag_memo_slot *slot_of(struct flag_memo *m, struct bytes text)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ text.p[i]) * 16777619u;
	return &m->slots[(hash ^ hash >> 16) % FLAG_MEMO_SLOTS];
}

int flag_memo_id(struct flag_memo *m, const struct entry_line *e, uint32_t *id, struct err *err)
{
	struct flag_memo_slot *slot = slot_of(m, e->flags);
	struct flags flags = FLAGS_INIT;

	if (slot->text && bytes_equal(e->flags, bytes_from(slot->text, slot->n))) {
		*id = slot->id;
		return 0;
	}
	if (!flags_add_list(&flags, e->flags)) {
		flags_release(&flags);
		return err_set(err, ERR_FATAL, "UID %u: what stands as its flags is none", e->uid);
	}
	*id = flag_table_intern(m->table, &flags);
	flags_release(&flags);
	if (e->flags.n > MEMO_TEXT_MAX)
		return 0;
	free(slot->text);
	*slot = (struct flag_memo_slot){ .text = bytes_dup(e->flags), .n = e->flags.n,
					 .id = *id };
	return 0;
}
