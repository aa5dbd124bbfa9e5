#ifndef BACKENDS_GIT_LAYOUT_H
#define BACKENDS_GIT_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct mailbox_name;

/*
 * Where things stand in the tree of an archive (README.md, Formats). Pure arithmetic and text.
 *
 *	mailboxes/DIR/messages/GROUP/LEAF/MESSAGE     mailboxes/DIR/flags/GROUP/LEAF
 *
 * A leaf holds the 100 UIDs with the same UID / 100, which is its number; a group the 100
 * leaves with the same UID / 10000. Paths below are relative to `mailboxes/DIR`.
 */
#define LAYOUT_MAILBOXES "mailboxes"
#define LAYOUT_MAILBOX "mailbox"
#define LAYOUT_MESSAGES "messages"
#define LAYOUT_FLAGS "flags"
#define LAYOUT_KEPT "kept"
#define LAYOUT_KEPT_LIST "list"
#define LAYOUT_QUARANTINE "quarantine"
#define LAYOUT_FORMAT "FORMAT"
#define LAYOUT_ATTRIBUTES ".gitattributes"
#define LAYOUT_ATTRIBUTES_TEXT "* -text\n"

#define LAYOUT_ID_SIZE 20 /* bytes of an object id; twice as many digits */

/*
 * DIR of a mailbox: its display form with `/`, `\`, `%`, `~`, control bytes, a leading dot and
 * the characters that HFS+ ignores as %XX; a name of more than 200 bytes is cut and ends in `~`
 * and the SHA-256 of all of it; the name "" is `%`. Distinct names have distinct directories,
 * none of which git objects to.
 */
#define LAYOUT_DIR_SIZE 216 /* the longest with its NUL */
void layout_dir(const struct mailbox_name *name, char out[LAYOUT_DIR_SIZE]);

/* Leaf arithmetic. A UID is never 0. */
#define LAYOUT_LEAF_UIDS 100
#define LAYOUT_GROUP_LEAVES 100

static inline uint32_t layout_leaf(uint32_t uid)
{
	return uid / LAYOUT_LEAF_UIDS;
}

static inline uint32_t layout_group(uint32_t leaf)
{
	return leaf / LAYOUT_GROUP_LEAVES;
}

/* The smallest and the largest UID of a leaf (of one that exists: layout_leaf() of a UID). */
static inline uint32_t layout_leaf_first(uint32_t leaf)
{
	return leaf == 0 ? 1 : leaf * LAYOUT_LEAF_UIDS;
}

static inline uint32_t layout_leaf_last(uint32_t leaf)
{
	uint32_t first = leaf * LAYOUT_LEAF_UIDS;

	return first > UINT32_MAX - (LAYOUT_LEAF_UIDS - 1) ? UINT32_MAX
							   : first + (LAYOUT_LEAF_UIDS - 1);
}

/* Names of tree entries, NUL-terminated: `000012`, `34`, `0000123456.eml`. */
#define LAYOUT_GROUP_SIZE 7
#define LAYOUT_LEAF_SIZE 3
#define LAYOUT_MESSAGE_SIZE 15
void layout_group_name(uint32_t group, char out[LAYOUT_GROUP_SIZE]);
void layout_leaf_name(uint32_t leaf, char out[LAYOUT_LEAF_SIZE]);
void layout_message_name(uint32_t uid, char out[LAYOUT_MESSAGE_SIZE]);

/* And back: false for a name that would not be written there (then *out is untouched). */
bool layout_group_parse(struct bytes name, uint32_t *group);
bool layout_leaf_parse(struct bytes name, uint32_t group, uint32_t *leaf);
bool layout_message_parse(struct bytes name, uint32_t leaf, uint32_t *uid);

/* Whole paths: `messages/000012/34/0000123456.eml`, `flags/000012/34`, `kept/ab/ab12….eml`. */
#define LAYOUT_PATH_SIZE 56
void layout_message_path(uint32_t uid, char out[LAYOUT_PATH_SIZE]);
void layout_flags_path(uint32_t leaf, char out[LAYOUT_PATH_SIZE]);
void layout_kept_path(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_PATH_SIZE]);

/* Names of tree entries below `kept`: `ab`, `ab12….eml`. */
#define LAYOUT_KEPT_DIR_SIZE 3
#define LAYOUT_KEPT_SIZE 45
void layout_kept_dir(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_KEPT_DIR_SIZE]);
void layout_kept_name(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_KEPT_SIZE]);
bool layout_kept_parse(struct bytes dir, struct bytes name, uint8_t id[LAYOUT_ID_SIZE]);

/* Object ids as lower-case digits. False, `id` being undefined, unless `text` is 40 of them. */
#define LAYOUT_HEX_SIZE 41
void layout_hex(const uint8_t id[LAYOUT_ID_SIZE], char out[LAYOUT_HEX_SIZE]);
bool layout_hex_parse(struct bytes text, uint8_t id[LAYOUT_ID_SIZE]);

/* As strcmp(): entries of a git tree, where a directory sorts as if its name ended in `/`. */
int layout_tree_order(struct bytes a, bool a_is_tree, struct bytes b, bool b_is_tree);

#endif
