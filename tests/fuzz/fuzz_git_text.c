/*
 * The text files of an archive that came from a stranger, every reader on every input: what is
 * read and written reads the same, and is written with the same bytes ever after.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/git/entry_text.h"
#include "backends/git/format_text.h"
#include "backends/git/layout.h"
#include "backends/git/mailbox_text.h"
#include "backends/git/quarantine_text.h"
#include "backends/git/tokens_text.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#define TEXT_MAX (1 << 24)

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void check_error(const struct err *err)
{
	must(err->kind == ERR_FATAL && err->text[0]);
}

static void check_date(struct bytes field)
{
	struct buf text = BUF_INIT(10000);
	struct maildate d, again;

	maildate_init(&d);
	maildate_init(&again);
	entry_date_read(field, &d);
	entry_date_write(&d, &text);
	entry_date_read(buf_bytes(&text), &again);
	must(maildate_equal(&d, &again));
	buf_release(&text);
	maildate_release(&d);
	maildate_release(&again);
}

static void check_flags(const struct entry_line *e)
{
	struct flag_table *table = flag_table_new();
	struct flags flags = FLAGS_INIT;
	struct flag_memo memo;
	struct err err;
	uint32_t id, again;

	flag_memo_init(&memo, table);
	if (flag_memo_id(&memo, e, &id, &err) == 0) {
		must(flags_add_list(&flags, e->flags));
		must(flags_equal(flag_table_get(table, id), &flags));
		must(flag_memo_id(&memo, e, &again, &err) == 0 && id == again);
	} else {
		check_error(&err);
	}
	flags_release(&flags);
	flag_memo_release(&memo);
	flag_table_free(table);
}

static void check_same(const struct entry_line *a, const struct entry_line *b)
{
	must(a->uid == b->uid && a->source_uid == b->source_uid && a->size == b->size);
	must(bytes_equal(a->date, b->date) && bytes_equal(a->flags, b->flags));
	must(bytes_equal(a->extra, b->extra));
}

/* The leaf of the first line, so that something is read. */
static uint32_t leaf_of(struct bytes text)
{
	uint32_t uid = 0;

	for (; text.n > 0 && ascii_is_digit(text.p[0]); text = bytes_skip(text, 1))
		uid = uid * 10 + (uint32_t)(text.p[0] - '0');
	return layout_leaf(uid);
}

static void check_entries(struct bytes text)
{
	struct buf line = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX);
	uint32_t leaf = leaf_of(text), last = 0;
	struct entry_reader r, r2;
	struct entry_line e, e2;
	struct err err;
	int rc;

	entry_reader_init(&r, text, leaf);
	while ((rc = entry_next(&r, &e, &err)) > 0) {
		must(e.uid > last && layout_leaf(e.uid) == leaf);
		last = e.uid;
		check_date(e.date);
		check_flags(&e);
		buf_clear(&line);
		entry_write(&e, &line);
		entry_reader_init(&r2, buf_bytes(&line), leaf);
		must(entry_next(&r2, &e2, &err) == 1 && r2.rest.n == 0);
		check_same(&e, &e2);
		buf_clear(&again);
		entry_write(&e2, &again);
		must(bytes_equal(buf_bytes(&line), buf_bytes(&again)));
	}
	if (rc < 0)
		check_error(&err);
	buf_release(&line);
	buf_release(&again);
}

static void check_kept(struct bytes text)
{
	struct buf again = BUF_INIT(TEXT_MAX);
	struct entry_reader r;
	struct kept_line k;
	uint32_t last = 0;
	struct err err;
	int rc;

	kept_reader_init(&r, text);
	while ((rc = kept_next(&r, &k, &err)) > 0) {
		must(k.entry.uid > last && k.entry.source_uid == 0);
		last = k.entry.uid;
		check_date(k.entry.date);
		kept_write(&k, &again);
	}
	if (rc < 0)
		check_error(&err);
	else /* there is one way to write it */
		must(bytes_equal(buf_bytes(&again), text));
	buf_release(&again);
}

/* Where the mailbox that the text names belongs. */
static void find_dir(struct bytes text, char dir[LAYOUT_DIR_SIZE])
{
	const uint8_t *at = text.n ? memmem(text.p, text.n, "name: ", 6) : NULL, *end;
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct err err;

	strcpy(dir, "INBOX");
	if (!at)
		return;
	text = bytes_skip(text, (size_t)(at - text.p) + 6);
	end = text.n ? memchr(text.p, '\n', text.n) : NULL;
	if (end)
		text.n = (size_t)(end - text.p);
	if (mailbox_name_from_display(&name, text, &err) == 0)
		layout_dir(&name, dir);
	mailbox_name_release(&name);
}

static void check_mailbox(struct bytes text)
{
	struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);
	struct mailbox_text m, again;
	char dir[LAYOUT_DIR_SIZE];
	struct err err;

	mailbox_text_init(&m);
	mailbox_text_init(&again);
	find_dir(text, dir);
	if (mailbox_text_read(text, dir, &m, &err) == 0) {
		mailbox_text_write(&m, &first);
		must(mailbox_text_read(buf_bytes(&first), dir, &again, &err) == 0);
		mailbox_text_write(&again, &second);
		must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		must(mailbox_name_equal(&m.name, &again.name));
		must(bytes_equal(m.name.wire, again.name.wire));
		must(mailbox_text_same_but_token(&m, &again));
	} else {
		check_error(&err);
	}
	mailbox_text_release(&m);
	mailbox_text_release(&again);
	buf_release(&first);
	buf_release(&second);
}

static void check_quarantine(struct bytes text)
{
	struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);
	struct quarantined *v;
	struct err err;
	size_t n;

	if (quarantine_text_read(text, &v, &n, &err) < 0) {
		check_error(&err);
		return;
	}
	quarantine_text_write(v, n, &first);
	quarantine_free(v, n);
	must(quarantine_text_read(buf_bytes(&first), &v, &n, &err) == 0);
	quarantine_text_write(v, n, &second);
	quarantine_free(v, n);
	must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	buf_release(&first);
	buf_release(&second);
}

static void check_format(struct bytes text)
{
	struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);
	struct format_text f;
	struct err err;

	format_text_init(&f);
	switch (format_text_read(text, &f, &err)) {
	case FORMAT_OURS:
		format_text_write(&f, &first);
		must(format_text_read(buf_bytes(&first), &f, &err) == FORMAT_OURS);
		format_text_write(&f, &second);
		must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		break;
	case FORMAT_NEWER:
		must(f.version > FORMAT_VERSION);
		break;
	case FORMAT_FOREIGN:
		break;
	case FORMAT_DAMAGED:
		check_error(&err);
		break;
	}
	format_text_release(&f);
	buf_release(&first);
	buf_release(&second);
}

/* The text as what stands between a good head and a good sum; as it is, it has no sum. */
static void check_tokens(struct bytes text)
{
	static const uint8_t tip[LAYOUT_ID_SIZE] = { 1 };
	struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);
	struct tokens_reader r;
	struct bytes dir, mailbox;

	must(!tokens_reader_init(&r, text, tip) || text.n > 64);
	tokens_begin(&first, tip);
	buf_add(&first, text);
	tokens_end(&first);
	if (tokens_reader_init(&r, buf_bytes(&first), tip)) {
		tokens_begin(&second, tip);
		while (tokens_next(&r, &dir, &mailbox)) {
			char *name = bytes_dup(dir);

			must(strlen(name) == dir.n);
			tokens_add(&second, name, mailbox);
			free(name);
		}
		tokens_end(&second);
		must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	}
	buf_release(&first);
	buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = bytes_from(data, size);

	check_entries(text);
	check_kept(text);
	check_mailbox(text);
	check_quarantine(text);
	check_format(text);
	check_tokens(text);
	return 0;
}
