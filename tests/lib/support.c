#include "tests/lib/support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/mem.h"

/* cmocka's, when the program is linked with it: ends the running test only. */
extern void _fail(const char *const file, const int line) __attribute__((weak));

static pid_t main_pid;
static struct name_list tmp_dirs;
static int janitor = -1; /* tells it what to remove; its end of file is our death */
static bool try_remove(const char *path);

static void remove_tmp_dirs(void)
{
	if (getpid() != main_pid)
		return;
	for (size_t i = 0; i < tmp_dirs.n; i++)
		if (!try_remove(tmp_dirs.name[i]))
			fprintf(stderr, "left behind: %s\n", tmp_dirs.name[i]);
	name_list_release(&tmp_dirs);
}

/* Registered before anything else, so that it runs after the servers in there were stopped. */
__attribute__((constructor)) static void remember_main(void)
{
	main_pid = getpid();
	atexit(remove_tmp_dirs);
}

/*
 * A process that outlives this one by a moment and removes what a crash, a sanitizer's abort
 * or a signal kept it from removing.
 */
static void start_janitor(void)
{
	static char paths[1 << 20];
	size_t n = 0;
	ssize_t got;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		test_die_sys("pipe");
	if (fork() > 0) {
		close(p[0]);
		janitor = p[1];
		return;
	}
	setsid(); /* Ctrl-C is not for it */
	dup2(p[0], 0);
	close_range(1, ~0U, 0);
	while (n < sizeof(paths) && (got = read(0, paths + n, sizeof(paths) - n)) > 0)
		n += (size_t)got;
	for (size_t at = 0; at < n; at += strlen(paths + at) + 1)
		for (int tries = 0; tries < 100 && !try_remove(paths + at); tries++)
			poll(NULL, 0, 20); /* servers in there are dying, too */
	_exit(0);
}

static _Noreturn void die(void)
{
	if (getpid() != main_pid)
		_exit(1); /* a forked server has no test to fail: its parent sees the status */
	if (_fail)
		_fail("tests/lib", 0);
	exit(1);
}

void test_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	die();
}

void test_die_sys(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(saved));
	die();
}

bool test_until(bool (*ready)(void *ctx), void *ctx, int ms)
{
	int64_t end = clock_ms() + ms;

	while (!ready(ctx)) {
		if (clock_ms() >= end)
			return false;
		poll(NULL, 0, 3);
	}
	return true;
}

static const char *keep_tmp_dir(const char *path)
{
	if (chmod(path, 0755) < 0)
		test_die_sys("make %s", path);
	if (janitor < 0)
		start_janitor();
	if (write(janitor, path, strlen(path) + 1) < 0)
		test_die_sys("tell the janitor of %s", path);
	name_list_add(&tmp_dirs, path);
	return tmp_dirs.name[tmp_dirs.n - 1];
}

const char *tmp_dir(void)
{
	char path[] = "/tmp/mc-XXXXXX"; /* not $TMPDIR: socket paths end at 107 bytes */

	if (!mkdtemp(path))
		test_die_sys("make %s", path);
	return keep_tmp_dir(path);
}

const char *tmp_dir_in_memory(void)
{
	char path[] = "/dev/shm/mc-XXXXXX";

	return mkdtemp(path) ? keep_tmp_dir(path) : tmp_dir();
}

char *path_join(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return (type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path)) < 0 &&
	       errno != ENOENT;
}

static bool try_remove(const char *path)
{
	/* A server that is going away may still add a file between the listing and the rmdir. */
	for (int tries = 0; tries < 20; tries++)
		if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ||
		    access(path, F_OK) < 0)
			return true;
	return false;
}

void remove_tree(const char *path)
{
	if (!try_remove(path))
		test_die_sys("remove %s", path);
}

void write_file(const char *path, struct bytes data)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write_full(fd, data) < 0 || close(fd) < 0)
		test_die_sys("write %s", path);
}

void read_file(const char *path, struct buf *out)
{
	struct err err = { 0 };

	if (file_read(path, out, &err) < 0)
		test_die("%s", err.text);
}

static void digest_hex(EVP_MD_CTX *ctx, char out[SHA256_HEX_SIZE])
{
	unsigned char raw[32];

	EVP_DigestFinal_ex(ctx, raw, NULL);
	EVP_MD_CTX_free(ctx);
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static EVP_MD_CTX *digest_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		test_die("SHA-256 is not available");
	return ctx;
}

void sha256_hex(struct bytes data, char out[SHA256_HEX_SIZE])
{
	EVP_MD_CTX *ctx = digest_new();

	EVP_DigestUpdate(ctx, data.p, data.n);
	digest_hex(ctx, out);
}

void sha256_file_hex(const char *path, char out[SHA256_HEX_SIZE])
{
	EVP_MD_CTX *ctx = digest_new();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char piece[65536];
	ssize_t n;

	if (fd < 0)
		test_die_sys("open %s", path);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		EVP_DigestUpdate(ctx, piece, (size_t)n);
	if (n < 0)
		test_die_sys("read %s", path);
	close(fd);
	digest_hex(ctx, out);
}

void name_list_add(struct name_list *l, const char *name)
{
	l->name = xgrow(l->name, l->n, &l->cap, sizeof(*l->name));
	l->name[l->n++] = xstrdup(name);
}

void name_list_release(struct name_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
	*l = (struct name_list){ 0 };
}

bool name_list_has(const struct name_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->name[i], name) == 0)
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void dir_entries(const char *path, struct name_list *out)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		test_die_sys("open directory %s", path);
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			name_list_add(out, e->d_name);
	closedir(dir);
	if (out->n > 0)
		qsort(out->name, out->n, sizeof(*out->name), by_name);
}

static void add_files(const char *root, const char *below, struct name_list *out)
{
	char *path = below ? path_join(root, below) : xstrdup(root);
	struct name_list entries = { 0 };

	dir_entries(path, &entries);
	for (size_t i = 0; i < entries.n; i++) {
		char *name = below ? path_join(below, entries.name[i]) : xstrdup(entries.name[i]);
		char *full = path_join(root, name);
		struct stat st;

		if (lstat(full, &st) < 0)
			test_die_sys("look at %s", full);
		if (S_ISDIR(st.st_mode))
			add_files(root, name, out);
		else
			name_list_add(out, name);
		free(full);
		free(name);
	}
	name_list_release(&entries);
	free(path);
}

void tree_files(const char *root, struct name_list *out)
{
	add_files(root, NULL, out);
	if (out->n > 0)
		qsort(out->name, out->n, sizeof(*out->name), by_name);
}

static int loopback_socket(struct sockaddr_in *addr, int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		test_die_sys("socket");
	*addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd;
}

int listen_loopback(int *port)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd = loopback_socket(&addr, 0);

	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		test_die_sys("listen on 127.0.0.1");
	*port = ntohs(addr.sin_port);
	return fd;
}

int free_port(void)
{
	int port, fd = listen_loopback(&port);

	close(fd);
	return port;
}

int connect_loopback(int port)
{
	struct sockaddr_in addr;
	int fd = loopback_socket(&addr, port), on = 1;

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

void hang_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char unread[4096];

	shutdown(fd, SHUT_WR);
	while (poll(&p, 1, 5000) > 0 && read(fd, unread, sizeof(unread)) > 0)
		;
	close(fd);
}

const char *program_path(void)
{
	static char *path;
	const char *b = getenv("B"), *top = getenv("TOP");

	if (!path)
		path = xasprintf("%s%s%s/mailcask-test", top && (!b || b[0] != '/') ? top : "",
				 top && (!b || b[0] != '/') ? "/" : "", b ? b : "build");
	return path;
}
