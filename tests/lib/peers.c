#include "tests/lib/peers.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

/*
 * Run with $DIR (the server's directory), $LIVE ($B/live) and $PORT, leading a process group; what
 * they end in stays in the foreground.
 */

/* /etc/courier and /run/courier are compiled in, hence a mount namespace of its own (root). */
static const char courier_script[] =
	"set -e\n"
	"mkdir -p $DIR/etc $DIR/run/authdaemon /run/courier\n"
	"cp /etc/courier/dhparams.pem $DIR/etc/\n"
	": >$DIR/etc/userdb; chmod 600 $DIR/etc/userdb\n"
	"for u in alice bob; do\n"
	"  mkdir -p $DIR/mail/$u; maildirmake.courier $DIR/mail/$u/Maildir\n"
	"  chown -R 5000:5000 $DIR/mail/$u\n"
	"  printf '%s\\tuid=5000|gid=5000|home=%s|mail=%s|systempw=%s\\n' $u $DIR/mail/$u \\\n"
	"    $DIR/mail/$u/Maildir \"$(openssl passwd -6 pw)\" >>$DIR/etc/userdb\n"
	"done\n"
	"printf '%s\\n' 'authmodulelist=\"authuserdb\"' daemons=2 \\\n"
	"  authdaemonvar=/run/courier/authdaemon >$DIR/etc/authdaemonrc\n"
	"mount --bind $DIR/etc /etc/courier; mount --bind $DIR/run /run/courier; makeuserdb\n"
	"set -a; . /etc/courier/authdaemonrc\n"
	"IMAP_CAPABILITY='IMAP4rev1 UIDPLUS CHILDREN NAMESPACE SORT QUOTA IDLE' IMAP_KEYWORDS=1 IMAP_USELOCKS=0\n"
	"/usr/lib/courier/courier-authlib/authdaemond &\n"
	"exec couriertcpd -address=127.0.0.1 -maxprocs=100 -maxperip=100 -nodnslookup \\\n"
	"  -noidentlookup $PORT $LIVE/courier/usr/lib/courier/courier/imaplogin \\\n"
	"  $LIVE/courier/usr/bin/imapd Maildir\n";

static const char cyrus_script[] =
	"set -e\n"
	"if [ $(id -u) = 0 ]; then U=cyrus; else U=$(id -un); fi\n"
	"for d in conf spool sock lock proc; do mkdir -p $DIR/$d; done\n"
	"cat >$DIR/imapd.conf <<C\n"
	"configdirectory: $DIR/conf\n"
	"partition-default: $DIR/spool\n"
	"cyrus_user: $U\n"
	"admins: admin\n"
	"servername: localhost\n"
	"proc_path: $DIR/proc\n"
	"mboxname_lockpath: $DIR/lock\n"
	"idlesocket: $DIR/sock/idle\n"
	"notifysocket: $DIR/sock/notify\n"
	"unixhierarchysep: yes\n"
	"allowplaintext: yes\n"
	"autocreate_quota: 0\n"
	"sasl_pwcheck_method: alwaystrue\n"
	"sasl_mech_list: PLAIN LOGIN\n"
	"delete_mode: immediate\n"
	"expunge_mode: immediate\n"
	"C\n"
	"cat >$DIR/cyrus.conf <<C\n"
	"START {\n"
	"  recover cmd=\"/usr/lib/cyrus/bin/ctl_cyrusdb -C $DIR/imapd.conf -r\"\n"
	"}\n"
	"SERVICES {\n"
	"  imap cmd=\"$LIVE/cyrus/usr/lib/cyrus/bin/imapd -C $DIR/imapd.conf\" \\\n"
	"    listen=\"127.0.0.1:$PORT\" prefork=0\n"
	"}\n"
	"EVENTS {\n"
	"}\n"
	"C\n"
	"[ $(id -u) != 0 ] || chown -R cyrus:mail $DIR\n"
	"exec /usr/lib/cyrus/bin/master -C $DIR/imapd.conf -M $DIR/cyrus.conf -p $DIR/pid\n";

struct peer_priv {
	pid_t pid;
	char *log;
};

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

static char *live_directory(void)
{
	const char *b = getenv("B"), *top = getenv("TOP");
	char *relative = xasprintf("%s/%s/live", top ? top : ".", b ? b : "build"), *path;

	path = realpath(relative, NULL);
	if (!path)
		test_die("%s is missing: run `make deps-live`", relative);
	free(relative);
	return path;
}

_Noreturn static void die_with_log(const struct peer *p)
{
	struct buf log = BUF_INIT(1 << 20);

	read_file(p->priv->log, &log);
	test_die("%s does not start:\n%s", p->name, buf_str(&log));
}

static struct peer *peer_start(const char *name, const char *const *argv)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	char *live = live_directory();
	int64_t end = clock_ms() + 30000;
	struct proc_spawn how = { .group = true };
	char *env[4] = { 0 };

	p->name = name;
	p->dir = tmp_dir();
	p->port = free_port();
	p->priv = xcalloc(1, sizeof(*p->priv));
	p->priv->log = xasprintf("%s/log", tmp_dir());
	env[0] = xasprintf("DIR=%s", p->dir);
	env[1] = xasprintf("LIVE=%s", live);
	env[2] = xasprintf("PORT=%d", p->port);
	how.env = (const char *const *)env;
	how.out_fd = how.err_fd = open(p->priv->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	p->priv->pid = proc_spawn(argv, &how);
	close(how.out_fd);
	while (!greets(p->port))
		if (proc_wait(p->priv->pid, 20, NULL) || clock_ms() > end)
			die_with_log(p);
	for (int i = 0; i < 3; i++)
		free(env[i]);
	free(live);
	return p;
}

struct peer *peer_courier(void)
{
	static const char *const argv[] = { "unshare", "-m", "sh", "-c", courier_script, NULL };

	return peer_start("Courier", argv);
}

struct peer *peer_cyrus(void)
{
	static const char *const argv[] = { "sh", "-c", cyrus_script, NULL };

	return peer_start("Cyrus", argv);
}

void peer_stop(struct peer *p)
{
	if (!p)
		return;
	proc_end_group(p->priv->pid);
	remove_tree(p->dir);
	free(p->priv->log);
	free(p->priv);
	free(p);
}
