/*
 * From a temporary file to a pack that readers find. The order: everything written and synced;
 * then the .keep, durable, before there is a pack that a user's `git gc` could take for garbage;
 * then the .pack; last the .idx, without which nobody looks at the .pack.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/git/pack_private.h"
#include "core/base/buf.h"
#include "core/base/crash.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define KEEP_TEXT "mailcask\n"
#define GOING_TEXT "mailcask removes this pack\n" /* as .keep, until pack_remove() is through */

/*
 * The system's own stamps are some milliseconds apart, and which of two packs came first is told by them:
 * is_last(), and whose copy of an object is read. Where it cannot be set, they will do.
 */
static void stamp(const struct out_file *f)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[1] = times[0];
	futimens(f->fd, times);
}

static int sync_file(struct out_file *f, const char *step, struct err *err)
{
	if (out_file_flush(f, err) < 0)
		return -1;
	stamp(f);
	crash_point(step);
	if (fsync(f->fd) < 0)
		return err_sys(err, ERR_FATAL, "sync %s", f->path);
	return 0;
}

/* The number of objects is known only now, and it comes first in what the checksum covers. */
static int hash_file(struct pack_writer *w, struct object_id *checksum, struct err *err)
{
	uint8_t *piece = xmalloc(PACK_CHUNK), count[4];
	int ret = -1;
	size_t n;

	if (out_file_flush(&w->pack, err) < 0)
		goto out;
	put_be32(count, (uint32_t)w->table.n);
	if (pwrite(w->pack.fd, count, sizeof(count), 8) != (ssize_t)sizeof(count)) {
		err_sys(err, ERR_FATAL, "write %s", w->pack.path);
		goto out;
	}
	object_hash_begin_raw(w->hash);
	for (uint64_t at = 0; at < w->pack.flushed; at += n) {
		if (out_file_read_at(&w->pack, at, piece, PACK_CHUNK, &n, err) < 0)
			goto out;
		object_hash_update(w->hash, bytes_from(piece, n));
	}
	object_hash_end(w->hash, checksum);
	ret = 0;
out:
	free(piece);
	return ret;
}

static int seal(struct pack_writer *w, struct out_file *index, struct object_id *checksum,
		struct err *err)
{
	if (hash_file(w, checksum, err) < 0 ||
	    out_file_put(&w->pack, bytes_from(checksum->b, OBJECT_ID_SIZE), err) < 0 ||
	    sync_file(&w->pack, "pack: sync", err) < 0)
		return -1;
	if (out_file_create(index, w->dir, "idx", false, err) < 0 ||
	    pack_index_write(index, w->table.v, w->table.n, UINT64_C(1) << 31, checksum, err) < 0)
		return -1;
	return sync_file(index, "pack: sync index", err);
}

static int move(struct out_file *f, const char *to, const char *step, struct err *err)
{
	crash_point(step);
	return out_file_rename(f, to, err);
}

static int write_keep(const char *dir, const char *path, const char *text, struct err *err)
{
	struct out_file f;
	int ret = -1;

	if (out_file_create(&f, dir, "keep", false, err) == 0 &&
	    out_file_put(&f, bytes_of(text), err) == 0 &&
	    sync_file(&f, "pack: sync keep", err) == 0)
		ret = move(&f, path, "pack: rename keep", err);
	out_file_discard(&f);
	return ret;
}

static int place(struct pack_writer *w, struct out_file *index, const char *name, struct err *err)
{
	char *keep = xasprintf("%s/%s.keep", w->dir, name);
	char *pack = xasprintf("%s/%s.pack", w->dir, name);
	char *idx = xasprintf("%s/%s.idx", w->dir, name);
	/* The same objects in the same order were packed before: what is in use is not ours to undo. */
	bool was_there = access(idx, F_OK) == 0;
	int ret = -1;

	if (write_keep(w->dir, keep, KEEP_TEXT, err) < 0)
		goto out;
	crash_point("pack: sync directory for keep");
	if (dir_sync(w->dir, err) < 0)
		goto out;
	if (move(&w->pack, pack, "pack: rename", err) < 0 ||
	    move(index, idx, "pack: rename index", err) < 0)
		goto out;
	crash_point("pack: sync directory");
	ret = dir_sync(w->dir, err);
out:
	if (ret < 0 && !was_there) {
		unlink(idx);
		unlink(pack);
		unlink(keep);
	}
	free(keep);
	free(pack);
	free(idx);
	return ret;
}

int pack_publish(struct pack_writer *w, char name[PACK_NAME_SIZE], struct err *err)
{
	struct out_file index = OUT_FILE_INIT, next = OUT_FILE_INIT;
	struct pack_stream *direct = w->direct;
	struct object_id checksum;
	char hex[OBJECT_HEX_SIZE];
	int ret = -1;

	name[0] = '\0';
	if (pack_writer_check(w, err) < 0)
		return -1;
	if (w->table.n == 0)
		return 0;
	if ((direct && pack_writer_carry(w, &next, err) < 0) ||
	    seal(w, &index, &checksum, err) < 0)
		goto out;
	snprintf(name, PACK_NAME_SIZE, "pack-%s", object_id_hex(&checksum, hex));
	ret = place(w, &index, name, err);
out:
	if (ret < 0) {
		name[0] = '\0';
		pack_writer_spoil(w, err);
	}
	out_file_discard(&index);
	out_file_discard(&w->pack);
	pack_table_clear(&w->table);
	w->pack = next;
	w->direct = ret == 0 ? direct : NULL;
	w->first_aside = 0;
	return ret;
}

/* --- what others or crashes leave, and removal --- */

static bool exists(const char *dir, const char *name, const char *ending)
{
	char *path = xasprintf("%s/%s%s", dir, name, ending);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static int remove_one(const char *dir, const char *name, const char *ending, struct err *err)
{
	char *path = xasprintf("%s/%s%s", dir, name, ending);
	int ret = 0;

	if (unlink(path) < 0 && errno != ENOENT)
		ret = err_sys(err, ERR_FATAL, "remove %s", path);
	free(path);
	return ret;
}

static bool keep_says(const char *dir, const char *name, const char *what)
{
	char *path = xasprintf("%s/%s.keep", dir, name);
	struct buf text = BUF_INIT(256);
	struct err err;
	bool does = file_read(path, &text, &err) == 0 && bytes_is(buf_bytes(&text), what);

	buf_release(&text);
	free(path);
	return does;
}

bool pack_keep_is_ours(const char *dir, const char *name)
{
	return keep_says(dir, name, KEEP_TEXT);
}

static bool is_index(const char *file)
{
	size_t n = strlen(file);

	return n > 4 && strcmp(file + n - 4, ".idx") == 0;
}

/*
 * Whether a .pack without index is what a crash left of a publication: then nothing was published
 * after it. Of any other the index got lost, and there may be mail in it.
 */
static int is_last(const char *dir, const char *name, bool *out, struct err *err)
{
	char *pack = xasprintf("%s/%s.pack", dir, name);
	DIR *d = opendir(dir);
	struct stat this, other;
	struct dirent *e;
	int ret = 0;

	*out = d && stat(pack, &this) == 0;
	while (*out && (e = readdir(d)) != NULL)
		if (is_index(e->d_name) && fstatat(dirfd(d), e->d_name, &other, 0) == 0)
			*out = other.st_mtim.tv_sec < this.st_mtim.tv_sec ||
			       (other.st_mtim.tv_sec == this.st_mtim.tv_sec &&
				other.st_mtim.tv_nsec < this.st_mtim.tv_nsec);
	if (d)
		closedir(d);
	else
		ret = err_sys(err, ERR_FATAL, "open directory %s", dir);
	free(pack);
	return ret;
}

/* A .keep of ours without a whole pack. */
static int clean_torn(const char *dir, const char *name, struct err *err)
{
	bool pack = exists(dir, name, ".pack"), index = exists(dir, name, ".idx"), last = true;

	if (pack && index)
		return 0;
	if (pack && is_last(dir, name, &last, err) < 0)
		return -1;
	if (!index && last)
		return pack_remove(dir, name, err);
	if (pack)
		log_warn("%s/%s.pack is there and its index is not: git index-pack %s/%s.pack "
			 "makes it anew", dir, name, dir, name);
	else
		log_warn("%s/%s.pack is missing, while its index is there", dir, name);
	return 0;
}

/* What a publication or removal that did not come to its end may have left. */
static int clean_keep(const char *dir, const char *file, struct err *err)
{
	size_t n = strlen(file);
	char *name;
	int ret = 0;

	if (n < 5 || strcmp(file + n - 5, ".keep") != 0)
		return 0;
	name = xasprintf("%.*s", (int)(n - 5), file);
	if (keep_says(dir, name, GOING_TEXT))
		ret = pack_remove(dir, name, err);
	else if (keep_says(dir, name, KEEP_TEXT))
		ret = clean_torn(dir, name, err);
	free(name);
	return ret;
}

int pack_clean(const char *pack_dir, struct err *err)
{
	DIR *d = opendir(pack_dir);
	struct dirent *e;
	int ret = 0;

	if (!d)
		return err_sys(err, ERR_FATAL, "open directory %s", pack_dir);
	while (ret == 0 && (errno = 0, e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "tmp_mailcask_", 13) == 0)
			ret = remove_one(pack_dir, e->d_name, "", err);
		else
			ret = clean_keep(pack_dir, e->d_name, err);
	}
	if (ret == 0 && errno != 0)
		ret = err_sys(err, ERR_FATAL, "read directory %s", pack_dir);
	closedir(d);
	return ret;
}

/* So that the next run goes on with the removal, and takes no other torn pack for one. */
static int say_it_goes(const char *dir, const char *name, struct err *err)
{
	char *keep = xasprintf("%s/%s.keep", dir, name);
	int ret = write_keep(dir, keep, GOING_TEXT, err);

	free(keep);
	crash_point("pack: sync directory before removal");
	return ret < 0 ? -1 : dir_sync(dir, err);
}

int pack_remove(const char *pack_dir, const char *name, struct err *err)
{
	/* git's index over all packs would point to nothing: it is only a cache, so it goes first. */
	static const char *const endings[] = { ".idx", ".rev",    ".bitmap",
					     ".mtimes", ".pack", ".keep" };

	if (exists(pack_dir, name, ".idx") && say_it_goes(pack_dir, name, err) < 0)
		return -1;
	crash_point("pack: remove");
	if (remove_one(pack_dir, "multi-pack-index", "", err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (remove_one(pack_dir, name, endings[i], err) < 0)
			return -1;
	crash_point("pack: sync directory after removal");
	return dir_sync(pack_dir, err);
}
