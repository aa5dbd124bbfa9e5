#include "backends/maildir/box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/maildir/adopt.h"
#include "backends/maildir/keywords.h"
#include "backends/maildir/listing.h"
#include "backends/maildir/maildir.h"
#include "core/base/crash.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define MAX_OPEN_FDS 192 /* well under the usual limit of 1024 */

struct box *box_new(struct maildir *m)
{
	struct box *box = xcalloc(1, sizeof(*box));

	box->mb.store = &m->st;
	mailbox_name_init(&box->mb.name);
	box->next_uid = box->placing_from = box->placed_to = 1;
	box->fds = (struct box_fds){ .cur = -1, .new_ = -1, .tmp = -1 };
	return box;
}

static void close_fd(struct maildir *m, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	m->open_fds--;
}

void box_close_fds(struct box *box)
{
	struct maildir *m = maildir_of(box);

	close_fd(m, &box->fds.cur);
	close_fd(m, &box->fds.new_);
	close_fd(m, &box->fds.tmp);
}

void box_free(struct maildir *m, struct box *box)
{
	(void)m;
	box_close_fds(box);
	box_forget_listing(box);
	foreign_free(box->foreign);
	keyword_letters_release(&box->letters);
	uidset_release(&box->missing);
	mailbox_name_release(&box->mb.name);
	free(box->dir);
	free(box->moved_from);
	free(box);
}

/* Where `name` is in m->box, or would be. */
static size_t box_position(const struct maildir *m, const struct mailbox_name *name)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (mailbox_name_compare(&m->box[mid]->mb.name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void box_insert(struct maildir *m, struct box *box)
{
	size_t at = box_position(m, &box->mb.name);

	m->box = xgrow(m->box, m->n, &m->cap, sizeof(struct box *));
	memmove(m->box + at + 1, m->box + at, (m->n - at) * sizeof(struct box *));
	m->box[at] = box;
	m->n++;
}

void box_take_out(struct maildir *m, const struct box *box)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->box[i] == box) {
			m->n--;
			memmove(m->box + i, m->box + i + 1, (m->n - i) * sizeof(struct box *));
			return;
		}
}

struct box *box_find(const struct maildir *m, const struct mailbox_name *name)
{
	size_t at = box_position(m, name);

	return at < m->n && mailbox_name_equal(&m->box[at]->mb.name, name) ? m->box[at] : NULL;
}

char *box_label(const struct box *box)
{
	char *text = mailbox_name_text(&box->mb.name);
	char *safe = escape_text(bytes_of(text), 200);

	free(text);
	return safe;
}

int box_sys(const struct box *box, struct err *err, const char *what)
{
	bool store = errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EROFS ||
		     errno == EMFILE || errno == ENFILE || errno == EFBIG;
	const struct maildir *m = maildir_of(box);

	return err_sys(err, store ? ERR_FATAL : ERR_MAILBOX, "%s in %s/%s", what, m->path,
		       box->dir);
}

/* One component below `fd`, which is closed. */
static int step_into(struct maildir *m, int fd, const char *name, bool make)
{
	const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int next = openat(fd, name, how);

	int sys;

	if (next < 0 && errno == ENOENT && make) {
		crash_point("maildir: make directory");
		if (mkdirat(fd, name, 0700) == 0 || errno == EEXIST)
			next = openat(fd, name, how);
	}
	sys = errno;
	/* Also when it was there: a run that was stopped may have made it and not come this far. */
	if (next >= 0 && make && !m->batch && fsync(fd) < 0) {
		sys = errno;
		close(next);
		next = -1;
	}
	if (fd != m->root)
		close(fd);
	errno = sys;
	return next;
}

int open_below(struct maildir *m, const char *dir, bool make)
{
	char name[NAME_MAX + 1];
	int fd = m->root;

	while (*dir) {
		size_t n = strcspn(dir, "/");

		if (n == 0 || n > NAME_MAX || strncmp(dir, "..", n) == 0) {
			if (fd != m->root)
				close(fd);
			errno = EINVAL; /* a database that somebody edited */
			return -1;
		}
		memcpy(name, dir, n);
		name[n] = '\0';
		fd = step_into(m, fd, name, make);
		if (fd < 0)
			return -1;
		dir += n + (dir[n] == '/');
	}
	return fd == m->root ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : fd;
}

static void evict(struct maildir *m, const struct box *keep)
{
	struct box *oldest = NULL;

	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[i];
		bool open = box->fds.cur >= 0 || box->fds.new_ >= 0 || box->fds.tmp >= 0;

		if (box != keep && open && (!oldest || box->fds.used < oldest->fds.used))
			oldest = box;
	}
	if (oldest)
		box_close_fds(oldest);
}

static void note_file_system(struct box *box, int dir)
{
	struct stat sb;

	box->other_fs |= fstat(dir, &sb) < 0 || sb.st_dev != maildir_of(box)->device;
}

static const char *const dir_names[] = { "cur", "new", "tmp" };

int box_dir_fd(struct box *box, enum box_dir which)
{
	struct maildir *m = maildir_of(box);
	int *fd = which == DIR_CUR ? &box->fds.cur
				   : which == DIR_NEW ? &box->fds.new_ : &box->fds.tmp;
	int parent;

	box->fds.used = ++m->clock;
	if (*fd >= 0)
		return *fd;
	if (m->open_fds >= MAX_OPEN_FDS)
		evict(m, box);
	parent = open_below(m, box->dir, false);
	if (parent < 0)
		return -1;
	note_file_system(box, parent);
	*fd = openat(parent, dir_names[which],
		     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0)
		m->open_fds++;
	else {
		int sys = errno;

		close(parent);
		errno = sys;
		return -1;
	}
	close(parent);
	return *fd;
}

int box_make_dirs(struct box *box, struct err *err)
{
	struct maildir *m = maildir_of(box);
	const struct maildir_settings *set = m->st.cfg->settings;
	int parent = open_below(m, box->dir, true), ret = 0;

	if (parent < 0)
		return box_sys(box, err, "make the directory");
	note_file_system(box, parent);
	crash_point("maildir: make cur, new, tmp");
	for (size_t i = 0; i < 3 && ret == 0; i++)
		if (mkdirat(parent, dir_names[i], 0700) < 0 && errno != EEXIST)
			ret = box_sys(box, err, "make cur, new and tmp");
	if (ret == 0 && set && set->keyword_letters && keyword_letters_begin(parent) < 0)
		ret = box_sys(box, err, "make dovecot-keywords");
	if (ret == 0 && m->layout == LAYOUT_PLUS && box->dir[0] != '\0') {
		int fd = openat(parent, "maildirfolder",
				O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd >= 0)
			close(fd);
	}
	if (ret == 0 && box_syncs_alone(box) && fsync(parent) < 0)
		ret = box_sys(box, err, "sync the directory");
	close(parent);
	return ret;
}

static int64_t to_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

int box_stamp(const struct box *box, struct stamp *out, struct err *err)
{
	struct maildir *m = maildir_of(box);
	char path[MAILDIR_PATH_MAX + 8];

	*out = (struct stamp){ 0 };
	for (size_t i = 0; i < 2; i++) {
		struct stat sb;

		snprintf(path, sizeof(path), "%s%s%s", box->dir, box->dir[0] ? "/" : "",
			 dir_names[i]);
		if (fstatat(m->root, path, &sb, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT || errno == ENOTDIR)
				continue;
			return box_sys(box, err, "look at cur and new");
		}
		out->inode[i] = sb.st_ino;
		out->changed_ns[i] = to_ns(&sb.st_ctim);
		out->modified_ns[i] = to_ns(&sb.st_mtim);
	}
	return 0;
}

bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool stamp_is_set(const struct stamp *s)
{
	return s->inode[0] != 0;
}

int64_t stamp_racy_ns(const struct maildir *m, const struct stamp *s)
{
	const int64_t second = 1000000000;
	int64_t latest = 0, tick = m->tick_ns;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now); /* what the kernel stamps files with */
	for (size_t i = 0; i < 2; i++) {
		if (s->changed_ns[i] > latest)
			latest = s->changed_ns[i];
		if (s->modified_ns[i] > latest)
			latest = s->modified_ns[i];
	}
	/* ext3, or ext4 with small inodes, keeps whole seconds. */
	if (s->changed_ns[0] % second == 0 && s->changed_ns[1] % second == 0 && tick < 2 * second)
		tick = 2 * second;
	return latest + tick - to_ns(&now);
}

void box_expect(struct box *box, struct bytes base, struct bytes letters)
{
	box->digest += name_mark(base, letters, maildir_of(box)->key);
}

void box_unexpect(struct box *box, struct bytes base, struct bytes letters)
{
	box->digest -= name_mark(base, letters, maildir_of(box)->key);
}

void box_touch(struct box *box)
{
	maildir_of(box)->unsynced = true;
	box->dirty = true;
	box->written = true;
	box->stamp = (struct stamp){ 0 };
}

bool file_name_make(struct bytes base, struct bytes letters, char out[NAME_MAX + 1])
{
	if (base.n + 3 + letters.n > NAME_MAX)
		return false;
	memcpy(out, base.p, base.n);
	memcpy(out + base.n, ":2,", 3);
	if (letters.n > 0)
		memcpy(out + base.n + 3, letters.p, letters.n);
	out[base.n + 3 + letters.n] = '\0';
	return true;
}

void base_make(struct maildir *m, char *out, size_t size)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* R is random by the Maildir rules; here it says which store made the file. */
	snprintf(out, size, "%lld.M%06ldP%ldQ%lluR%.8s.%s", (long long)now.tv_sec,
		 now.tv_nsec / 1000, (long)getpid(), (unsigned long long)++m->deliveries,
		 m->uuid, m->host);
}

bool base_is_ours(const struct maildir *m, struct bytes name)
{
	char mark[16];
	size_t n = (size_t)snprintf(mark, sizeof(mark), "R%.8s.", m->uuid);

	return memmem(name.p, name.n, mark, n) != NULL;
}

static int sync_one(struct box *box, enum box_dir which, bool *wanted, struct err *err)
{
	int fd;

	if (!*wanted)
		return 0;
	fd = box_dir_fd(box, which);
	if (fd < 0 || fsync(fd) < 0)
		return box_sys(box, err, "sync the directory");
	*wanted = false;
	return 0;
}

static int sync_box(struct box *box, struct err *err)
{
	if (sync_one(box, DIR_CUR, &box->sync_cur, err) < 0 ||
	    sync_one(box, DIR_NEW, &box->sync_new, err) < 0)
		return -1;
	return sync_one(box, DIR_TMP, &box->sync_tmp, err);
}

int maildir_sync(struct maildir *m, struct err *err)
{
	crash_point("maildir: sync");
	for (size_t i = 0; i < m->n; i++)
		if (box_syncs_alone(m->box[i]) && sync_box(m->box[i], err) < 0)
			return -1;
	if (m->batch)
		return sync_batch(m->root, err) < 0 ? err_prefix(err, "%s", m->path) : 0;
	return fsync(m->root) < 0 ? err_sys(err, ERR_FATAL, "sync %s", m->path) : 0;
}
