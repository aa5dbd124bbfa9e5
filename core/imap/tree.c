#include "core/imap/tree.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/scan.h"

#define VALUES_MAX 100000
#define DEPTH_MAX 32

static void release(struct imap_node *node)
{
	for (size_t i = 0; i < node->n; i++)
		release(&node->children[i]);
	free(node->children);
	free(node->text);
}

void imap_tree_free(struct imap_node *root)
{
	if (!root)
		return;
	release(root);
	free(root);
}

static struct imap_node *add_child(struct imap_node *parent, enum imap_node_type type)
{
	struct imap_node *child;

	parent->children = xgrow(parent->children, parent->n, &parent->cap,
				 sizeof(*parent->children));
	child = &parent->children[parent->n++];
	*child = (struct imap_node){ .type = type };
	return child;
}

static void add_text(struct imap_node *parent, enum imap_node_type type, struct bytes text)
{
	struct imap_node *child = add_child(parent, type);

	child->text = bytes_dup(text);
	child->size = text.n;
}

/* Values up to the end or the closing parenthesis, which is taken. */
static bool read_values(struct imap_scan *scan, struct imap_node *list, size_t *left,
			unsigned depth)
{
	struct bytes text;

	if (depth > DEPTH_MAX)
		return false;
	while (!imap_scan_at_end(scan)) {
		if (imap_scan_byte(scan, ')'))
			return depth > 0;
		if (!(*left)--)
			return false;
		if (imap_scan_byte(scan, '(')) {
			if (!read_values(scan, add_child(list, IMAP_NODE_LIST), left, depth + 1))
				return false;
		} else if (imap_scan_peek(scan) == '"') {
			if (!imap_scan_quoted(scan, &text))
				return false;
			add_text(list, IMAP_NODE_STRING, text);
		} else if (imap_scan_atom(scan, &text)) {
			if (bytes_is_nocase(text, "NIL"))
				add_child(list, IMAP_NODE_NIL);
			else
				add_text(list, IMAP_NODE_ATOM, text);
		} else {
			return false;
		}
	}
	return depth == 0;
}

struct imap_node *imap_tree_new(struct bytes text)
{
	struct imap_node *root = xcalloc(1, sizeof(*root));
	char *own = bytes_dup(text);
	struct imap_scan scan = imap_scan_init(own, text.n);
	size_t left = VALUES_MAX;

	root->type = IMAP_NODE_LIST;
	if (!read_values(&scan, root, &left, 0)) {
		imap_tree_free(root);
		root = NULL;
	}
	free(own);
	return root;
}
