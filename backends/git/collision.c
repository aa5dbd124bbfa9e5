#include "backends/git/collision.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/mem.h"

/* 1: the file holds just these bytes; 0: other bytes; -1: there is none. */
static int holds(const char *path, struct bytes body)
{
	struct buf there = BUF_INIT(body.n + 1);
	struct err err;
	int ret = 0;

	if (file_read(path, &there, &err) < 0)
		ret = err.sys ? -1 : 0;
	else
		ret = bytes_equal(buf_bytes(&there), body);
	buf_release(&there);
	return ret;
}

int collision_keep(const struct repo *r, const struct object_id *id, struct bytes body,
		   struct err *err)
{
	char *dir = xasprintf("%s/mailcask/collisions", r->dir), *path = NULL;
	char hex[OBJECT_HEX_SIZE];
	int there = 0;

	if (dir_make(dir, 0700, err) < 0)
		goto out;
	for (unsigned n = 1; there == 0; n++) {
		free(path);
		path = xasprintf("%s/%s-%u.eml", dir, object_id_hex(id, hex), n);
		there = holds(path, body);
	}
	if (there < 0 && file_replace(path, body, 0600, err) < 0)
		goto out;
	err_set(err, ERR_MESSAGE,
		"it has the same SHA-1 (%s) as another message of the archive, which git cannot "
		"tell from it; its bytes are in %s",
		hex, path);
out:
	free(dir);
	free(path);
	return -1;
}
