#include "backends/maildir/names.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/base/buf.h"
#include "core/mail/flags.h"
#include "core/mail/mailbox_name.h"

#define COMPONENT_MAX 200 /* encoded bytes; the longest file name is 255 */
#define COMPONENT_KEPT 150
#define DIRECTORY_MAX 1000 /* whole path; the kernel takes 4095 with the root */
#define HASH_DIGITS 32

bool layout_from_text(const char *text, enum maildir_layout *out)
{
	if (!text || strcmp(text, "fs") == 0)
		*out = LAYOUT_FS;
	else if (strcmp(text, "maildir++") == 0)
		*out = LAYOUT_PLUS;
	else
		return false;
	return true;
}

const char *layout_text(enum maildir_layout layout)
{
	return layout == LAYOUT_PLUS ? "maildir++" : "fs";
}

/* Names that mean something else to a Maildir, to its readers or to us. */
static bool is_taken(struct bytes c)
{
	static const char *const names[] = { "cur", "new", "tmp", "maildirfolder",
					     "subscriptions", "lost+found" };
	static const char *const prefixes[] = { ".", "mailcask.", "dovecot" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_is_nocase(c, names[i]))
			return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (bytes_starts_nocase(c, prefixes[i]))
			return true;
	return false;
}

static void add_percent(struct buf *out, uint8_t c)
{
	static const char hex[] = "0123456789ABCDEF";

	buf_add_byte(out, '%');
	buf_add_byte(out, (uint8_t)hex[c >> 4]);
	buf_add_byte(out, (uint8_t)hex[c & 15]);
}

/* `~` is left to the hash that tells shortened names apart. */
static bool must_escape(uint8_t c, enum maildir_layout layout)
{
	return c < 0x20 || c == 0x7f || c == '/' || c == '%' || c == '~' || c == '\\' ||
	       (c == '.' && layout == LAYOUT_PLUS);
}

static void add_encoded(struct bytes c, enum maildir_layout layout, struct buf *out)
{
	bool escape_first = layout == LAYOUT_FS && is_taken(c);

	if (c.n == 0)
		buf_add_str(out, "%");
	for (size_t i = 0; i < c.n; i++) {
		if (must_escape(c.p[i], layout) || (i == 0 && escape_first))
			add_percent(out, c.p[i]);
		else
			buf_add_byte(out, c.p[i]);
	}
}

static void add_hash(struct buf *out, struct bytes whole)
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	EVP_Digest(whole.p, whole.n, sum, NULL, EVP_sha256(), NULL);
	buf_add_byte(out, '~');
	for (size_t i = 0; i < HASH_DIGITS / 2; i++)
		buf_addf(out, "%02x", sum[i]);
}

/* Shorten what was added from `start` on without leaving half a character or half an escape. */
static void cut(struct buf *out, size_t start, size_t keep)
{
	size_t n = start + keep;

	if (out->n <= n)
		return;
	while (n > start && (out->p[n] & 0xc0) == 0x80)
		n--;
	for (size_t back = 1; back <= 2 && n >= start + back; back++)
		if (out->p[n - back] == '%') {
			n -= back;
			break;
		}
	out->n = n;
	out->p[n] = '\0';
}

void maildir_component(struct bytes component, enum maildir_layout layout, struct buf *out)
{
	size_t start = out->n;

	add_encoded(component, layout, out);
	if (out->n - start > COMPONENT_MAX) {
		cut(out, start, COMPONENT_KEPT);
		add_hash(out, component);
	}
}

/* The name as bytes that no other name has: components hold no NUL. */
static void add_whole(const struct mailbox_name *name, struct buf *out)
{
	for (size_t i = 0; i < name->count; i++)
		buf_add(out, bytes_from(name->components[i], strlen(name->components[i]) + 1));
}

static void add_fs(const struct mailbox_name *name, struct buf *out)
{
	for (size_t i = 0; i < name->count; i++) {
		if (i > 0)
			buf_add_byte(out, '/');
		maildir_component(bytes_of(name->components[i]), LAYOUT_FS, out);
	}
}

static void add_plus(const struct mailbox_name *name, struct buf *out)
{
	if (name->count == 1 && mailbox_name_is_inbox(name))
		return;
	for (size_t i = 0; i < name->count; i++) {
		buf_add_byte(out, '.');
		add_encoded(bytes_of(name->components[i]), LAYOUT_PLUS, out);
	}
	/* `.git`, but also what it is on file systems without case. */
	if (bytes_is_nocase(buf_bytes(out), ".git")) {
		buf_clear(out);
		buf_add_str(out, ".%67it");
	}
}

/* One component in the root; `~` with a hash of all of it is nobody else's. */
static void put_in_root(struct buf *dir, struct bytes whole)
{
	for (size_t i = 0; i < dir->n; i++)
		if (dir->p[i] == '/')
			dir->p[i] = '_';
	cut(dir, 0, COMPONENT_KEPT);
	buf_add_byte(dir, '~');
	add_hash(dir, whole);
}

void maildir_directory(const struct mailbox_name *name, enum maildir_layout layout, bool apart,
		       struct buf *out)
{
	struct buf dir = BUF_INIT(SIZE_MAX / 4), whole = BUF_INIT(SIZE_MAX / 4);
	size_t longest = layout == LAYOUT_PLUS ? COMPONENT_MAX : DIRECTORY_MAX;

	add_whole(name, &whole);
	if (layout == LAYOUT_PLUS)
		add_plus(name, &dir);
	else
		add_fs(name, &dir);
	if (dir.n > longest) {
		put_in_root(&dir, buf_bytes(&whole));
	} else if (apart) {
		size_t last = dir.n;

		while (last > 0 && dir.p[last - 1] != '/')
			last--;
		cut(&dir, last, COMPONENT_KEPT);
		buf_add_byte(&dir, '~');
		add_hash(&dir, buf_bytes(&whole));
	}
	buf_add(out, buf_bytes(&dir));
	buf_release(&dir);
	buf_release(&whole);
}

void maildir_directory_in_root(const struct mailbox_name *name, struct buf *out)
{
	struct buf dir = BUF_INIT(SIZE_MAX / 4), whole = BUF_INIT(SIZE_MAX / 4);

	add_whole(name, &whole);
	add_fs(name, &dir);
	put_in_root(&dir, buf_bytes(&whole));
	buf_add(out, buf_bytes(&dir));
	buf_release(&dir);
	buf_release(&whole);
}

struct file_name file_name_split(struct bytes name)
{
	struct file_name out = { .base = name };
	const uint8_t *colon = memchr(name.p, ':', name.n);

	if (!colon)
		return out;
	out.base.n = (size_t)(colon - name.p);
	name = bytes_skip(name, out.base.n);
	if (name.n >= 3 && memcmp(name.p, ":2,", 3) == 0)
		out.letters = bytes_skip(name, 3);
	return out;
}

void letters_from_flags(const struct flags *flags, char out[LETTERS_MAX])
{
	char *p = out;

	if (flags->bits & FLAG_DRAFT)
		*p++ = 'D';
	if (flags->bits & FLAG_FLAGGED)
		*p++ = 'F';
	if (flags->count > 0 && flags_has(flags, bytes_of("$Forwarded")))
		*p++ = 'P';
	if (flags->bits & FLAG_ANSWERED)
		*p++ = 'R';
	if (flags->bits & FLAG_SEEN)
		*p++ = 'S';
	if (flags->bits & FLAG_DELETED)
		*p++ = 'T';
	*p = '\0';
}

bool base_says_exact(struct bytes base)
{
	for (size_t i = 0; i + 2 <= base.n; i++)
		if (base.p[i] == ',' && base.p[i + 1] == 'X' &&
		    (i + 2 == base.n || base.p[i + 2] == ','))
			return true;
	return false;
}

/* Multiply and fold, eight bytes at a time. The key keeps others from choosing collisions. */
static uint64_t hash_bytes(struct bytes b, uint64_t h)
{
	while (b.n > 0) {
		uint64_t word = 0;
		size_t n = b.n < 8 ? b.n : 8;

		memcpy(&word, b.p, n);
		h = (h ^ word ^ ((uint64_t)n << 56)) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
		b = bytes_skip(b, n);
	}
	return h;
}

uint64_t name_hash(struct bytes base, uint64_t key)
{
	uint64_t h = hash_bytes(base, key) * 0xbf58476d1ce4e5b9u;

	return h ^ (h >> 32);
}

uint64_t name_mark(struct bytes base, struct bytes letters, uint64_t key)
{
	uint64_t h = hash_bytes(letters, name_hash(base, key)) * 0x94d049bb133111ebu;

	return h ^ (h >> 31);
}
