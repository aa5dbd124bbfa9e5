#ifndef CORE_IMAP_TREE_H
#define CORE_IMAP_TREE_H

#include <stddef.h>

#include "core/base/bytes.h"

/*
 * The values of a response that nothing here has a type for (IMAP_RESPONSE_OTHER), as a tree: for a
 * command given by hand, and for extensions nobody has written a function for yet.
 */
enum imap_node_type {
	IMAP_NODE_ATOM,   /* text: as sent, numbers and flags too */
	IMAP_NODE_STRING, /* text: without quotes and escapes */
	IMAP_NODE_NIL,
	IMAP_NODE_LIST,
};

struct imap_node {
	enum imap_node_type type;
	char *text;                 /* ATOM, STRING; followed by a NUL, which is not counted */
	size_t size;
	struct imap_node *children; /* LIST */
	size_t n, cap;
};

/*
 * Read what stands behind the response's name. The root is a LIST of all values; NULL when
 * parentheses or quotes do not match, lists are more than 32 deep, or there are over 100,000
 * values.
 */
struct imap_node *imap_tree_new(struct bytes text);
void imap_tree_free(struct imap_node *root); /* NULL is allowed */

#endif
