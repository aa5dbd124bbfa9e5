#ifndef CORE_BASE_FILE_H
#define CORE_BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/* Write all of `data`, through short writes and EINTR. 0, or -1 with errno. */
int write_full(int fd, struct bytes data);

/*
 * Replace `path` by `data` so that a crash leaves the old file or the new one, never a
 * part. Returns 0, or -1 with *err set; then the old file is intact, unless the text
 * says the rename itself could not be made durable.
 */
int file_replace(const char *path, struct bytes data, mode_t mode, struct err *err);

/*
 * Read a whole file into `out` (whose ceiling is the largest file taken). Returns 0, or -1
 * with *err set; err->sys is ENOENT when there is none.
 */
int file_read(const char *path, struct buf *out, struct err *err);

/* The directory that `path` lies in, as it is written there; owned by the caller. */
char *path_parent(const char *path);

/* Make `path` and its missing parents, each durable in its parent. Existing ones are left as they are. */
int dir_make(const char *path, mode_t mode, struct err *err);

/* Make a directory's entries durable: creations, renames and removals in it. */
int dir_sync(const char *path, struct err *err);
/* Those of the directory that `path` lies in. */
int dir_sync_parent(const char *path, struct err *err);

/*
 * Make many files durable at once. On file systems where one call does it for all (ext4,
 * xfs, btrfs, f2fs, zfs) `sync_can_batch` is true for a descriptor on them and sync_batch()
 * makes everything written there so far durable, files and directories alike. Elsewhere
 * (network file systems, and those we do not know) the caller must fsync() each file and directory.
 * Both report the write errors that a plain sync would hide.
 */
bool sync_can_batch(int fd);
int sync_batch(int fd, struct err *err);

#endif
