#include "backends/maildir/keywords.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "backends/maildir/maildir.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"

#define KEYWORDS_FILE "dovecot-keywords"
#define KEYWORDS_LOCK "dovecot-keywords.lock" /* Dovecot writes the new file under this name */

void keyword_letters_release(struct keyword_letters *k)
{
	for (size_t i = 0; i < 26; i++)
		free(k->name[i]);
	*k = (struct keyword_letters){ 0 };
}

/* `INDEX NAME` on each line. */
static void parse_line(struct keyword_letters *k, struct bytes line)
{
	const uint8_t *blank = memchr(line.p, ' ', line.n);
	uint32_t index;

	if (!blank || !bytes_to_u32(bytes_from(line.p, (size_t)(blank - line.p)), &index) ||
	    index >= 26 || k->name[index])
		return;
	k->name[index] = bytes_dup(bytes_skip(line, (size_t)(blank - line.p) + 1));
}

static void parse(struct keyword_letters *k, struct bytes text)
{
	while (text.n > 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;

		parse_line(k, bytes_from(text.p, n));
		text = bytes_skip(text, end ? n + 1 : n);
	}
}

/* Anything wrong with the file means that its letters say nothing to us. */
static void load(struct box *box)
{
	struct keyword_letters *k = &box->letters;
	struct buf text = BUF_INIT(64 * 1024);
	int dir, fd = -1;

	if (k->loaded)
		return;
	k->loaded = true;
	dir = open_below(maildir_of(box), box->dir, false);
	if (dir >= 0)
		fd = open_message(dir, KEYWORDS_FILE);
	while (fd >= 0 && buf_reserve(&text, 4096)) {
		ssize_t n = read(fd, text.p + text.n, 4096);

		if (n <= 0)
			break;
		buf_grow(&text, (size_t)n);
	}
	k->present = fd >= 0;
	parse(k, buf_bytes(&text));
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	buf_release(&text);
}

int keyword_letters_begin(int dir)
{
	int fd = openat(dir, KEYWORDS_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int write_lines(int fd, const struct keyword_letters *k)
{
	struct buf text = BUF_INIT(64 * 1024);
	int ret;

	for (unsigned i = 0; i < 26; i++)
		if (k->name[i])
			buf_addf(&text, "%u %s\n", i, k->name[i]);
	ret = text.overflow ? -1 : write_full(fd, buf_bytes(&text));
	buf_release(&text);
	return ret < 0 ? -1 : fsync(fd);
}

/* As Dovecot does it: the lock file becomes the new file. False when somebody else is at it. */
static bool save(struct box *box)
{
	int dir = open_below(maildir_of(box), box->dir, false), fd = -1;
	bool ok = false;

	if (dir >= 0)
		fd = openat(dir, KEYWORDS_LOCK,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ok = write_lines(fd, &box->letters) == 0;
		crash_point("maildir: replace dovecot-keywords");
		ok = ok && renameat(dir, KEYWORDS_LOCK, dir, KEYWORDS_FILE) == 0;
		if (!ok)
			unlinkat(dir, KEYWORDS_LOCK, 0);
		close(fd);
	}
	if (dir >= 0)
		close(dir);
	return ok;
}

static int find_letter(const struct keyword_letters *k, const char *keyword)
{
	for (int i = 0; i < 26; i++)
		if (k->name[i] && bytes_is_nocase(bytes_of(k->name[i]), keyword))
			return i;
	return -1;
}

static bool fits_a_line(const char *keyword)
{
	for (; *keyword; keyword++)
		if ((uint8_t)*keyword <= ' ' || (uint8_t)*keyword == 0x7f)
			return false;
	return true;
}

/* -1: it stays without one. */
static int letter_for(struct box *box, const char *keyword)
{
	struct keyword_letters *k = &box->letters;
	int at;

	load(box);
	if (!k->present)
		return -1;
	at = find_letter(k, keyword);
	if (at >= 0 || !fits_a_line(keyword))
		return at;
	/* Dovecot may have added some since. */
	keyword_letters_release(k);
	load(box);
	at = find_letter(k, keyword);
	for (int i = 0; i < 26 && at < 0; i++) {
		if (k->name[i])
			continue;
		k->name[i] = xstrdup(keyword);
		if (save(box))
			return i;
		free(k->name[i]);
		k->name[i] = NULL;
		break;
	}
	return at;
}

static int by_byte(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

static bool is_unknown(struct box *box, uint8_t letter)
{
	if (letter >= 'a' && letter <= 'z') {
		load(box);
		return !box->letters.name[letter - 'a'];
	}
	return letter >= 'A' && letter <= 'Z' && !strchr("DFPRST", letter);
}

void keywords_to_letters(struct box *box, const struct flags *flags, struct bytes was,
			 char out[ALL_LETTERS_MAX])
{
	const struct maildir_settings *set = maildir_of(box)->st.cfg->settings;
	size_t n;

	letters_from_flags(flags, out);
	n = strlen(out);
	for (size_t i = 0; i < flags->count; i++) {
		/* It has P already, which Dovecot does not know. */
		bool has_one = strcasecmp(flags->keywords[i], "$Forwarded") == 0 && !(set && set->keyword_letters);
		int at = has_one ? -1 : letter_for(box, flags->keywords[i]);

		if (at >= 0 && !memchr(out, 'a' + at, n))
			out[n++] = (char)('a' + at);
	}
	for (size_t i = 0; i < was.n && n < ALL_LETTERS_MAX - 1; i++)
		if (is_unknown(box, was.p[i]) && !memchr(out, was.p[i], n))
			out[n++] = (char)was.p[i];
	qsort(out, n, 1, by_byte);
	out[n] = '\0';
}

static struct bytes meaning(struct box *box, uint8_t letter)
{
	static const struct {
		char letter;
		const char *flag;
	} known[] = {
		{ 'D', "\\Draft" },    { 'F', "\\Flagged" }, { 'P', "$Forwarded" },
		{ 'R', "\\Answered" }, { 'S', "\\Seen" },    { 'T', "\\Deleted" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].letter == (char)letter)
			return bytes_of(known[i].flag);
	if (letter >= 'a' && letter <= 'z') {
		load(box);
		if (box->letters.name[letter - 'a'])
			return bytes_of(box->letters.name[letter - 'a']);
	}
	return (struct bytes){ 0 };
}

void keywords_follow_letters(struct box *box, struct bytes ours, struct bytes found,
			     struct flags *flags)
{
	for (size_t i = 0; i < ours.n; i++)
		if (!found.n || !memchr(found.p, ours.p[i], found.n))
			flags_remove(flags, meaning(box, ours.p[i]));
	for (size_t i = 0; i < found.n; i++)
		if (!ours.n || !memchr(ours.p, found.p[i], ours.n))
			flags_add(flags, meaning(box, found.p[i]));
}

void flags_from_columns(unsigned bits, struct bytes keywords, struct flags *out)
{
	flags_init(out);
	out->bits = bits & FLAG_ALL_BITS;
	if (keywords.n > 0)
		flags_add_list(out, keywords);
}

void flags_keywords_text(const struct flags *flags, struct buf *out)
{
	struct flags only = *flags;

	only.bits = 0;
	if (only.count > 0)
		flags_format(&only, out);
}
