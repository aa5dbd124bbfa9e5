/* Trees and commits of a repository that came from a stranger. */
#include <stdint.h>
#include <stdlib.h>

#include "backends/git/commit_text.h"
#include "backends/git/tree.h"
#include "core/base/buf.h"
#include "core/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
	if (!promise)
		abort();
}

/* What can be read is written with the same meaning, and then the same bytes. */
static void check_tree(struct bytes data)
{
	struct buf first = BUF_INIT(1 << 24), second = BUF_INIT(1 << 24);
	struct tree t;
	struct err err;

	tree_init(&t);
	if (tree_parse(&t, data, &err) == 0) {
		size_t n = t.n;

		tree_format(&t, &first);
		must(tree_parse(&t, buf_bytes(&first), &err) == 0 && t.n == n);
		tree_format(&t, &second);
		must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	} else {
		must(err.kind == ERR_FATAL);
	}
	tree_release(&t);
	buf_release(&first);
	buf_release(&second);
}

static void check_commit(struct bytes data)
{
	struct commit_text c, again;
	struct buf text = BUF_INIT(1 << 24);
	struct err err;

	if (commit_text_read(data, &c, &err) < 0)
		return;
	commit_text_write(&c, &text);
	must(commit_text_read(buf_bytes(&text), &again, &err) == 0);
	must(object_id_equal(&c.tree, &again.tree));
	must(c.generation == again.generation && c.time == again.time);
	buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_tree(bytes_from(data, size));
	check_commit(bytes_from(data, size));
	return 0;
}
