#include "backends/git/layout.h"

#include <assert.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "core/mail/mailbox_name.h"

#define DIR_PLAIN 200 /* encoded bytes that stand as they are */
#define DIR_KEPT 150  /* of a longer one, before its hash */
#define SUM_SIZE 32

static void put_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

/* Characters that HFS+ drops from names, so that `.g<U+200C>it` is `.git` there. */
static bool is_ignorable(uint32_t c)
{
	return (c >= 0x200c && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x206a && c <= 0x206f) || c == 0xfeff;
}

/* `~` is left to the hash, and in `git~1` means .git to NTFS; `\` separates paths on Windows. */
static bool must_escape(uint32_t c, bool first)
{
	return c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == '%' || c == '~' ||
	       (first && c == '.') || is_ignorable(c);
}

static void encode(struct bytes display, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t start = out->n;

	while (display.n > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(display, &c);

		assert(n > 0);
		if (!must_escape(c, out->n == start))
			buf_add(out, bytes_from(display.p, n));
		else
			for (size_t i = 0; i < n; i++) {
				const char text[] = { '%', hex[display.p[i] >> 4],
						      hex[display.p[i] & 15] };

				buf_add(out, bytes_from(text, sizeof(text)));
			}
		display = bytes_skip(display, n);
	}
}

/* At most DIR_KEPT bytes that end in neither half a character nor half an escape. */
static size_t where_to_cut(struct bytes encoded)
{
	size_t n = DIR_KEPT;

	while (n > 0 && (encoded.p[n] & 0xc0) == 0x80)
		n--;
	for (size_t back = 1; back <= 2 && back <= n; back++)
		if (encoded.p[n - back] == '%')
			return n - back;
	return n;
}

void layout_dir(const struct mailbox_name *name, char out[LAYOUT_DIR_SIZE])
{
	struct buf display = BUF_INIT(SIZE_MAX / 8), dir = BUF_INIT(SIZE_MAX / 2);
	uint8_t sum[SUM_SIZE];
	size_t n;

	mailbox_name_display(name, &display);
	encode(buf_bytes(&display), &dir);
	if (dir.n == 0) /* no escape is a `%` alone */
		buf_add_byte(&dir, '%');
	n = dir.n > DIR_PLAIN ? where_to_cut(buf_bytes(&dir)) : dir.n;
	memcpy(out, dir.p, n);
	out[n] = '\0';
	if (dir.n > DIR_PLAIN) {
		EVP_Digest(dir.p, dir.n, sum, NULL, EVP_sha256(), NULL);
		out[n++] = '~';
		put_hex(sum, sizeof(sum), out + n);
	}
	buf_release(&display);
	buf_release(&dir);
}

/* Exactly `n` digits, zeros in front, and the end. */
static void put_number(uint32_t v, size_t n, char *out)
{
	out[n] = '\0';
	for (size_t i = n; i > 0; i--, v /= 10)
		out[i - 1] = (char)('0' + v % 10);
}

void layout_group_name(uint32_t group, char out[LAYOUT_GROUP_SIZE])
{
	put_number(group, LAYOUT_GROUP_SIZE - 1, out);
}

void layout_leaf_name(uint32_t leaf, char out[LAYOUT_LEAF_SIZE])
{
	put_number(leaf % LAYOUT_GROUP_LEAVES, LAYOUT_LEAF_SIZE - 1, out);
}

void layout_message_name(uint32_t uid, char out[LAYOUT_MESSAGE_SIZE])
{
	put_number(uid, 10, out);
	memcpy(out + 10, ".eml", 5);
}

static bool read_number(struct bytes name, size_t digits, uint32_t most, uint32_t *out)
{
	uint32_t v;

	if (name.n != digits || !bytes_to_u32(name, &v) || v > most)
		return false;
	*out = v;
	return true;
}

bool layout_group_parse(struct bytes name, uint32_t *group)
{
	return read_number(name, LAYOUT_GROUP_SIZE - 1, layout_group(layout_leaf(UINT32_MAX)),
			   group);
}

bool layout_leaf_parse(struct bytes name, uint32_t group, uint32_t *leaf)
{
	const uint32_t last = layout_leaf(UINT32_MAX);
	uint32_t v;

	if (group > layout_group(last) ||
	    !read_number(name, LAYOUT_LEAF_SIZE - 1, LAYOUT_GROUP_LEAVES - 1, &v) ||
	    v > last - group * LAYOUT_GROUP_LEAVES)
		return false;
	*leaf = group * LAYOUT_GROUP_LEAVES + v;
	return true;
}

bool layout_message_parse(struct bytes name, uint32_t leaf, uint32_t *uid)
{
	uint32_t v;

	if (name.n != LAYOUT_MESSAGE_SIZE - 1 || !bytes_is(bytes_skip(name, 10), ".eml") ||
	    !read_number(bytes_from(name.p, 10), 10, UINT32_MAX, &v) || v == 0 ||
	    layout_leaf(v) != leaf)
		return false;
	*uid = v;
	return true;
}

/* Add `text` and a slash at *at. */
static void put_part(char *out, size_t *at, const char *text)
{
	size_t n = strlen(text);

	memcpy(out + *at, text, n);
	out[*at + n] = '/';
	*at += n + 1;
}

static void put_leaf(uint32_t leaf, const char *below, char *out, size_t *at)
{
	char name[LAYOUT_GROUP_SIZE];

	put_part(out, at, below);
	layout_group_name(layout_group(leaf), name);
	put_part(out, at, name);
	layout_leaf_name(leaf, out + *at);
	*at += LAYOUT_LEAF_SIZE - 1;
}

void layout_message_path(uint32_t uid, char out[LAYOUT_PATH_SIZE])
{
	size_t at = 0;

	put_leaf(layout_leaf(uid), LAYOUT_MESSAGES, out, &at);
	out[at++] = '/';
	layout_message_name(uid, out + at);
}

void layout_flags_path(uint32_t leaf, char out[LAYOUT_PATH_SIZE])
{
	size_t at = 0;

	put_leaf(leaf, LAYOUT_FLAGS, out, &at);
}

void layout_kept_path(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_PATH_SIZE])
{
	char dir[LAYOUT_KEPT_DIR_SIZE];
	size_t at = 0;

	layout_kept_dir(id, dir);
	put_part(out, &at, LAYOUT_KEPT);
	put_part(out, &at, dir);
	layout_kept_name(id, out + at);
}

void layout_kept_dir(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_KEPT_DIR_SIZE])
{
	put_hex(id, 1, out);
}

void layout_kept_name(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_KEPT_SIZE])
{
	layout_hex(id, out);
	memcpy(out + LAYOUT_HEX_SIZE - 1, ".eml", 5);
}

bool layout_kept_parse(struct bytes dir, struct bytes name, uint8_t id[LAYOUT_ID_SIZE])
{
	const size_t digits = LAYOUT_HEX_SIZE - 1;

	return name.n == LAYOUT_KEPT_SIZE - 1 && bytes_is(bytes_skip(name, digits), ".eml") &&
	       bytes_equal(dir, bytes_from(name.p, 2)) &&
	       layout_hex_parse(bytes_from(name.p, digits), id);
}

void layout_hex(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_HEX_SIZE])
{
	put_hex(id, LAYOUT_ID_SIZE, out);
}

static int hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool layout_hex_parse(struct bytes text, uint8_t id[LAYOUT_ID_SIZE])
{
	if (text.n != LAYOUT_HEX_SIZE - 1)
		return false;
	for (size_t i = 0; i < LAYOUT_ID_SIZE; i++) {
		int high = hex_value(text.p[2 * i]), low = hex_value(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int layout_tree_order(struct bytes a, bool a_is_tree, struct bytes b, bool b_is_tree)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	int end_a = a.n > n ? a.p[n] : a_is_tree ? '/' : 0;
	int end_b = b.n > n ? b.p[n] : b_is_tree ? '/' : 0;

	return c ? c : end_a - end_b;
}
