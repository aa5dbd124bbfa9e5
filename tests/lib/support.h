#ifndef TESTS_LIB_SUPPORT_H
#define TESTS_LIB_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;

/*
 * What every test program and tool needs. Nothing here returns an error: what goes wrong in a
 * test's surroundings ends the test (cmocka's failure when cmocka is linked, else exit 1).
 */

/* Print the reason to stderr and fail the running test. */
_Noreturn void test_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* As test_die(), adding the text of errno. */
_Noreturn void test_die_sys(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ask `ready` every few milliseconds until it says true; false when `ms` have passed. */
bool test_until(bool (*ready)(void *ctx), void *ctx, int ms);

/*
 * A new empty directory, removed with all it holds when the process that made it ends. The path
 * is short (server sockets lie below it), 0755 and so are its parents; it stays valid until then.
 */
const char *tmp_dir(void);
/* The same in memory where the system has that, for very many small files. */
const char *tmp_dir_in_memory(void);
/* A path below `dir`, owned by the caller. */
char *path_join(const char *dir, const char *name);
/* Remove a file or a directory with all it holds; none is fine. */
void remove_tree(const char *path);
void write_file(const char *path, struct bytes data);
/* Whole file into `out`, which the caller initialised. */
void read_file(const char *path, struct buf *out);

/* Lower-case hexadecimal SHA-256 with its NUL. */
#define SHA256_HEX_SIZE 65
void sha256_hex(struct bytes data, char out[SHA256_HEX_SIZE]);
void sha256_file_hex(const char *path, char out[SHA256_HEX_SIZE]);

struct name_list {
	char **name;
	size_t n, cap;
};

void name_list_add(struct name_list *l, const char *name);
void name_list_release(struct name_list *l);
bool name_list_has(const struct name_list *l, const char *name);
/* The entries of one directory, sorted, without . and .. */
void dir_entries(const char *path, struct name_list *out);
/* Every file (not directory) below `root`, as sorted paths relative to it. */
void tree_files(const char *root, struct name_list *out);

/* A TCP port of 127.0.0.1 that nothing listened on a moment ago. */
int free_port(void);
/* Listen on a free port of 127.0.0.1; *port is set. The descriptor is the caller's. */
int listen_loopback(int *port);
/* Connect to 127.0.0.1; -1 with errno when refused. */
int connect_loopback(int port);
/*
 * Close a connection so that the other side reads all that was sent before the end: a plain
 * close() with unread input would reset the line and throw it away.
 */
void hang_up(int fd);

/* The program under test, with crash points: $B/mailcask-test. */
const char *program_path(void);

#endif
