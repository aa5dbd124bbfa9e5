#include "tests/lib/dovecot.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/certs.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

enum { ROOTS_MAIL_UID = 5000 }; /* Dovecot serves no mail as root */

struct dovecot_priv {
	pid_t pid; /* 0: down */
	struct dovecot *next;
};

static struct dovecot *started;    /* those not stopped yet */
static struct buf logs = BUF_INIT(1 << 20); /* of those stopped */

static void add_log(const struct dovecot *dv)
{
	char *log = dovecot_log(dv);

	buf_addf(&logs, "--- log of dovecot in %s\n%s", dv->dir, log);
	free(log);
}

static void at_exit(int status, void *ctx)
{
	(void)ctx;
	for (struct dovecot *dv = started; dv && status != 0; dv = dv->priv->next)
		add_log(dv);
	if (status != 0)
		fputs(buf_str(&logs), stderr);
	buf_release(&logs);
}

static void make_dir(const char *dir, const char *name)
{
	char *path = path_join(dir, name);

	if (mkdir(path, 0755) < 0)
		test_die_sys("make %s", path);
	free(path);
}

static void add_identity(struct buf *conf)
{
	const struct passwd *pw = getpwuid(getuid());
	const struct group *gr = getgrgid(getgid());
	bool root = getuid() == 0;

	if (!pw || !gr)
		test_die("this process runs as a user or group that has no name");
	buf_addf(conf,
		 "default_internal_user = %s\n"
		 "default_internal_group = %s\n"
		 "default_login_user = %s\n",
		 root ? "dovecot" : pw->pw_name, root ? "dovecot" : gr->gr_name,
		 root ? "dovenull" : pw->pw_name);
}

static uid_t mail_uid(void)
{
	return getuid() == 0 ? ROOTS_MAIL_UID : getuid();
}

static gid_t mail_gid(void)
{
	return getuid() == 0 ? ROOTS_MAIL_UID : getgid();
}

static void add_tls(struct buf *conf, enum dovecot_cert cert)
{
	static const char *const file[] = { [DOVECOT_CERT_GOOD] = "good",
					    [DOVECOT_CERT_WRONG_HOST] = "wrong",
					    [DOVECOT_CERT_SELF_SIGNED] = "self" };

	buf_addf(conf, "ssl = yes\nssl_cert = <%s/%s.pem\nssl_key = <%s/srv.key\n",
		 certs_dir(), file[cert], certs_dir());
}

static void add_mail(struct buf *conf, const char *dir, const char *passdb)
{
	buf_addf(conf,
		 "%s"
		 "userdb {\n  driver = static\n"
		 "  args = uid=%u gid=%u home=%s/mail/%%u allow_all_users=yes\n}\n"
		 "first_valid_uid = 1\n"
		 "mail_location = maildir:%s/mail/%%u/Maildir\n"
		 "mailbox_list_index = yes\n"
		 "mail_fsync = never\n"
		 "namespace inbox {\n  inbox = yes\n  separator = /\n"
		 "  mailbox Sent {\n    special_use = \\Sent\n  }\n"
		 "  mailbox Trash {\n    special_use = \\Trash\n  }\n}\n",
		 passdb ? passdb : "passdb {\n  driver = static\n  args = password=pw\n}\n",
		 mail_uid(), mail_gid(), dir, dir);
}

static void add_services(struct buf *conf, const struct dovecot *dv)
{
	/* service_count = 0: one login process serves every connection. */
	buf_addf(conf,
		 "service imap-login {\n  chroot =\n  service_count = 0\n"
		 "  inet_listener imap {\n    port = %d\n  }\n"
		 "  inet_listener imaps {\n    port = %d\n    ssl = yes\n  }\n}\n"
		 "service anvil {\n  chroot =\n"
		 "  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"
		 "service stats {\n  unix_listener stats-writer {\n    mode = 0666\n  }\n}\n",
		 dv->port, dv->tls_port);
}

static void write_conf(const struct dovecot *dv, const struct dovecot_opts *opts)
{
	struct buf conf = BUF_INIT(65536);
	char *path = path_join(dv->dir, "dovecot.conf");

	buf_addf(&conf,
		 "base_dir = %s/run\nstate_dir = %s/state\nlog_path = %s/log\n"
		 "protocols = imap\nlisten = 127.0.0.1\nauth_failure_delay = 0\n"
		 "default_vsz_limit = 2G\nshutdown_clients = yes\n",
		 dv->dir, dv->dir, dv->dir);
	add_identity(&conf);
	add_tls(&conf, opts->cert);
	add_mail(&conf, dv->dir, opts->passdb);
	add_services(&conf, dv);
	if (opts->imap_capability)
		buf_addf(&conf, "imap_capability = %s\n", opts->imap_capability);
	buf_addf(&conf, "protocol imap {\n  mail_max_userip_connections = %d\n%s\n}\n%s\n",
		 opts->max_user_connections ? opts->max_user_connections : 50,
		 opts->extra_imap ? opts->extra_imap : "", opts->extra ? opts->extra : "");
	write_file(path, buf_bytes(&conf));
	buf_release(&conf);
	free(path);
}

static bool greets(int port)
{
	int fd = connect_loopback(port);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char first = 0;

	if (fd < 0)
		return false;
	if (poll(&p, 1, 5000) > 0)
		(void)!read(fd, &first, 1);
	close(fd);
	return first == '*';
}

static bool accepts(int port)
{
	int fd = connect_loopback(port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* False when it ended by itself before answering, which is what a taken port looks like. */
static bool launch(struct dovecot *dv)
{
	char *conf = path_join(dv->dir, "dovecot.conf"), *log = path_join(dv->dir, "log");
	const char *argv[] = { "/usr/sbin/dovecot", "-F", "-c", conf, NULL };
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	const struct proc_spawn how = { .out_fd = fd, .err_fd = fd, .group = true };
	int64_t end = clock_ms() + 20000;
	pid_t pid = proc_spawn(argv, &how);
	bool up = false, ended = false;

	close(fd);
	free(conf);
	free(log);
	while (!up && !ended && clock_ms() < end) {
		up = greets(dv->port) && accepts(dv->tls_port);
		ended = !up && proc_wait(pid, 3, NULL);
	}
	dv->priv->pid = ended ? 0 : pid;
	if (!up && !ended)
		test_die("dovecot does not answer");
	return up;
}

static void make_home(struct dovecot *dv)
{
	char *mail;

	dv->dir = tmp_dir();
	make_dir(dv->dir, "run");
	make_dir(dv->dir, "state");
	make_dir(dv->dir, "mail");
	mail = path_join(dv->dir, "mail");
	dovecot_own(mail);
	free(mail);
}

struct dovecot *dovecot_start(const struct dovecot_opts *opts)
{
	static const struct dovecot_opts none;
	static bool registered;
	struct dovecot *dv = xcalloc(1, sizeof(*dv));
	int tries = 0;
	char *log;

	if (!registered)
		on_exit(at_exit, NULL);
	registered = true;
	dv->priv = xcalloc(1, sizeof(*dv->priv));
	dv->ca_file = xasprintf("%s/ca.pem", certs_dir());
	make_home(dv);
	do {
		if (tries++ == 5) {
			log = dovecot_log(dv);
			test_die("dovecot does not start:\n%s", log);
		}
		dv->port = free_port();
		dv->tls_port = free_port();
		write_conf(dv, opts ? opts : &none);
	} while (!launch(dv));
	dv->priv->next = started;
	started = dv;
	return dv;
}

void dovecot_down(struct dovecot *dv)
{
	if (dv->priv->pid)
		proc_end_group(dv->priv->pid); /* SIGTERM would take it a second or two */
	dv->priv->pid = 0;
}

void dovecot_restart(struct dovecot *dv)
{
	dovecot_down(dv);
	if (!launch(dv))
		test_die("dovecot does not start again on ports %d and %d", dv->port, dv->tls_port);
}

void dovecot_stop(struct dovecot *dv)
{
	struct dovecot **at = &started;

	if (!dv)
		return;
	dovecot_down(dv);
	while (*at != dv)
		at = &(*at)->priv->next;
	*at = dv->priv->next;
	add_log(dv);
	remove_tree(dv->dir);
	free(dv->ca_file);
	free(dv->priv);
	free(dv);
}

char *dovecot_maildir(const struct dovecot *dv, const char *user)
{
	return xasprintf("%s/mail/%s/Maildir", dv->dir, user);
}

static int own_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return lchown(path, mail_uid(), mail_gid());
}

void dovecot_own(const char *path)
{
	if (nftw(path, own_one, 16, FTW_PHYS) != 0)
		test_die_sys("give away %s", path);
}

char *dovecot_log(const struct dovecot *dv)
{
	char *path = path_join(dv->dir, "log");
	struct buf log = BUF_INIT((size_t)64 << 20);

	if (access(path, R_OK) == 0)
		read_file(path, &log);
	free(path);
	return buf_take(&log);
}
