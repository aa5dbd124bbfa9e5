#include "backends/git/collision.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/base/file.h"
#include "core/base/mem.h"

struct collision {
	char *dir, *tmp;
	int fd;
	EVP_MD_CTX *sha;
};

struct collision *collision_begin(const struct repo *r, struct err *err)
{
	struct collision *c = xcalloc(1, sizeof(*c));

	c->dir = xasprintf("%s/mailcask/collisions", r->dir);
	c->tmp = xasprintf("%s/new", c->dir);
	c->fd = -1;
	c->sha = EVP_MD_CTX_new();
	EVP_DigestInit_ex(c->sha, EVP_sha256(), NULL);
	if (dir_make(c->dir, 0700, err) == 0) {
		c->fd = open(c->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (c->fd >= 0)
			return c;
		err_sys(err, ERR_FATAL, "create %s", c->tmp);
	}
	collision_abort(c);
	return NULL;
}

int collision_write(void *collision, struct bytes piece, struct err *err)
{
	struct collision *c = collision;

	EVP_DigestUpdate(c->sha, piece.p, piece.n);
	return write_full(c->fd, piece) < 0 ? err_sys(err, ERR_FATAL, "write %s", c->tmp) : 0;
}

/* Named by its content, so that the next run's attempt makes no second file. */
static char *final_path(struct collision *c, const struct object_id *id)
{
	char hex[OBJECT_HEX_SIZE], sum[2 * EVP_MAX_MD_SIZE + 1] = "";
	uint8_t sha[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	EVP_DigestFinal_ex(c->sha, sha, &n);
	for (unsigned i = 0; i < n; i++)
		snprintf(sum + (size_t)2 * i, 3, "%02x", sha[i]);
	return xasprintf("%s/%s-%s.eml", c->dir, object_id_hex(id, hex), sum);
}

int collision_end(struct collision *c, const struct object_id *id, struct err *err)
{
	char *path = final_path(c, id), hex[OBJECT_HEX_SIZE];

	if (fsync(c->fd) < 0)
		err_sys(err, ERR_FATAL, "sync %s", c->tmp);
	else if (rename(c->tmp, path) < 0)
		err_sys(err, ERR_FATAL, "rename %s to %s", c->tmp, path);
	else if (dir_sync(c->dir, err) == 0)
		err_set(err, ERR_MESSAGE,
			"it has the same SHA-1 (%s) as another message of the archive, which git "
			"cannot tell from it; its bytes are in %s",
			object_id_hex(id, hex), path);
	free(path);
	collision_abort(c);
	return -1;
}

void collision_abort(struct collision *c)
{
	if (!c)
		return;
	if (c->fd >= 0) {
		close(c->fd);
		unlink(c->tmp); /* where it has its final name, there is none of this any more */
	}
	EVP_MD_CTX_free(c->sha);
	free(c->tmp);
	free(c->dir);
	free(c);
}
