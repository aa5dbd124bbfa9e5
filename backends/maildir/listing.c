#include "backends/maildir/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/mem.h"

int box_each_file(struct box *box, enum box_dir which, name_fn *fn, void *ctx,
		  struct err *err)
{
	int fd = box_dir_fd(box, which), ret = 0;
	struct dirent *e;
	DIR *dir;

	if (fd < 0 && errno == ENOENT)
		return 0;
	/* A descriptor of its own: the cached one keeps its position, and closedir() closes. */
	fd = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		ret = box_sys(box, err, "list the files");
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while (ret == 0) {
		errno = 0;
		e = readdir(dir);
		if (!e)
			break;
		if (e->d_name[0] != '.' && (e->d_type == DT_REG || e->d_type == DT_UNKNOWN))
			ret = fn(ctx, which, bytes_of(e->d_name));
	}
	if (ret == 0 && errno != 0)
		ret = box_sys(box, err, "list the files");
	closedir(dir);
	return ret;
}

struct gather {
	struct listing *l;
	uint64_t key;
};

static int gather_name(void *ctx, enum box_dir dir, struct bytes name)
{
	struct gather *g = ctx;
	struct listing *l = g->l;

	l->v = xgrow(l->v, l->n, &l->cap, sizeof(*l->v));
	l->v[l->n++] = (struct listed){
		.hash = name_hash(file_name_split(name).base, g->key),
		.name = l->names.n,
		.dir = dir,
	};
	buf_add(&l->names, bytes_from(name.p, name.n + 1));
	return 0;
}

static int by_hash(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

int open_message(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat sb;

	if (fd < 0 || (fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

int rename_apart(int from_dir, const char *from, int to_dir, const char *to)
{
	if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system that cannot do it at once. */
	if (faccessat(to_dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from_dir, from, to_dir, to);
}

int listing_make(struct box *box, struct listing **out, struct err *err)
{
	struct listing *l = xcalloc(1, sizeof(*l));
	struct gather g = { .l = l, .key = maildir_of(box)->key };

	buf_init(&l->names, SIZE_MAX / 4);
	if (box_each_file(box, DIR_CUR, gather_name, &g, err) < 0 ||
	    box_each_file(box, DIR_NEW, gather_name, &g, err) < 0) {
		listing_free(l);
		return -1;
	}
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), by_hash);
	*out = l;
	return 0;
}

void listing_free(struct listing *l)
{
	if (!l)
		return;
	free(l->v);
	buf_release(&l->names);
	free(l);
}

const struct listed *listing_find(const struct listing *l, struct bytes base, uint64_t key)
{
	uint64_t hash = name_hash(base, key);
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < l->n && l->v[lo].hash == hash; lo++)
		if (bytes_equal(file_name_split(bytes_of(listing_name(l, &l->v[lo]))).base, base))
			return &l->v[lo];
	return NULL;
}

struct sum {
	uint64_t total, key;
};

static int sum_name(void *ctx, enum box_dir dir, struct bytes name)
{
	struct sum *s = ctx;
	struct file_name f = file_name_split(name);

	(void)dir;
	s->total += name_mark(f.base, f.letters, s->key);
	return 0;
}

int listing_digest(struct box *box, uint64_t *out, struct err *err)
{
	struct sum s = { .key = maildir_of(box)->key };

	if (box_each_file(box, DIR_CUR, sum_name, &s, err) < 0 ||
	    box_each_file(box, DIR_NEW, sum_name, &s, err) < 0)
		return -1;
	*out = s.total;
	return 0;
}

void box_forget_listing(struct box *box)
{
	listing_free(box->listing);
	box->listing = NULL;
}

static bool is_there(struct box *box, enum box_dir which, struct place *out)
{
	struct stat sb;

	out->which = which;
	out->dir = box_dir_fd(box, which);
	return out->dir >= 0 &&
	       fstatat(out->dir, out->name, &sb, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(sb.st_mode);
}

static void name_is_base(struct bytes base, struct place *out)
{
	memcpy(out->name, base.p, base.n);
	out->name[base.n] = '\0';
}

static int find_listed(struct box *box, struct bytes base, struct place *out,
		       struct err *err)
{
	/* A listing that names a file which has moved on since is made again, once. */
	for (int fresh = box->listing == NULL; fresh < 2; fresh++) {
		const struct listed *e;

		if (fresh) {
			box_forget_listing(box);
			if (listing_make(box, &box->listing, err) < 0)
				return -1;
		}
		e = listing_find(box->listing, base, maildir_of(box)->key);
		if (!e)
			return 0;
		memcpy(out->name, listing_name(box->listing, e),
		       strlen(listing_name(box->listing, e)) + 1);
		if (is_there(box, e->dir, out))
			return 1;
	}
	return 0;
}

int box_find_file(struct box *box, uint32_t uid, struct bytes base, struct bytes letters,
		  struct place *out, struct err *err)
{
	if (base.n > NAME_MAX)
		return err_set(err, ERR_MAILBOX, "the index is damaged: a name is too long");
	if (file_name_make(base, letters, out->name) && is_there(box, DIR_CUR, out))
		return 1;
	name_is_base(base, out);
	if (uid >= box->placing_from && is_there(box, DIR_TMP, out))
		return 1;
	if (is_there(box, DIR_NEW, out) || is_there(box, DIR_CUR, out))
		return 1;
	return find_listed(box, base, out, err);
}
