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
#include "tests/lib/certs.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

/*
 * Run with $DIR (the server's directory), $LIVE ($B/live), $CERTS (certs.h), $PORT and $TLS_PORT,
 * leading a process group; what they end in stays in the foreground.
 */

/*
 * /etc/courier and /run/courier are compiled in, hence a mount namespace. An ordinary user makes
 * one as root of a user namespace, and takes his own name again in another within: as root Courier
 * would want to change its groups, which nobody may there. For STARTTLS it becomes "courier", so
 * /etc/passwd gives him that name. The namespace of processes is for those that leave the process
 * group: they end with it.
 */
static const char courier_script[] =
	"set -e; PATH=$PATH:/usr/sbin:/sbin\n"
	"M=$(id -u) G=$(id -g) NS='unshare -m --pid --kill-child' SELF=\n"
	"if [ $M = 0 ]; then M=$(id -u courier) G=$(id -g courier); else\n"
	"  SELF=\"unshare -U --map-user=$M --map-group=$G\" NS=\"$NS -Ur\"\n"
	"  $NS true || { echo 'Courier needs root, or user namespaces for everybody:' >&2\n"
	"    echo 'its configuration is at a fixed place, /etc/courier' >&2; exit 1; }\n"
	"fi; export SELF\n"
	"mkdir -p $DIR/etc\n"
	"sed \"s|^courier:.*|courier:x:$M:$G::$DIR:|\" /etc/passwd >$DIR/passwd\n"
	"cat $CERTS/srv.key $CERTS/good.pem >$DIR/both.pem\n"
	": >$DIR/etc/userdb; chmod 600 $DIR/etc/userdb\n"
	"for u in alice bob; do\n"
	"  mkdir -p $DIR/mail/$u; maildirmake.courier $DIR/mail/$u/Maildir\n"
	"  [ -z \"$SELF\" ] && chown -R $M:$G $DIR/mail/$u\n"
	"  printf '%s\\tuid=%s|gid=%s|home=%s|mail=%s|systempw=%s|hmac-md5pw=%s\\n' $u $M $G \\\n"
	"    $DIR/mail/$u $DIR/mail/$u/Maildir \"$(openssl passwd -6 pw)\" \\\n"
	"    \"$(printf 'pw\\npw\\n' | userdbpw -hmac-md5 2>/dev/null)\" >>$DIR/etc/userdb\n"
	"done\n"
	"printf '%s\\n' 'authmodulelist=\"authuserdb\"' daemons=2 \\\n"
	"  authdaemonvar=/run/courier/authdaemon >$DIR/etc/authdaemonrc\n"
	"cat >$DIR/serve <<'C'\n"
	"set -e; makeuserdb; set -a; . /etc/courier/authdaemonrc\n"
	"IMAP_CAPABILITY='IMAP4rev1 UIDPLUS CHILDREN NAMESPACE SORT QUOTA IDLE AUTH=CRAM-MD5'\n"
	"IMAP_CAPABILITY_TLS=\"$IMAP_CAPABILITY AUTH=PLAIN\" IMAP_KEYWORDS=1\n"
	"COURIERTLS=/usr/bin/couriertls TLS_CERTFILE=$DIR/both.pem TLS_VERIFYPEER=NONE\n"
	"T='couriertcpd -address=127.0.0.1 -maxprocs=100 -maxperip=100 -nodnslookup -noidentlookup'\n"
	"L=\"$LIVE/courier/usr/lib/courier/courier/imaplogin $LIVE/courier/usr/bin/imapd Maildir\"\n"
	"/usr/lib/courier/courier-authlib/authdaemond &\n"
	"IMAP_TLS=1 $T $TLS_PORT /usr/bin/couriertls -server -tcpd $L &\n"
	"IMAP_STARTTLS=YES exec $T $PORT $L\n"
	"C\n"
	"exec $NS sh -c 'set -e; mount --bind $DIR/etc /etc/courier\n"
	"  mount --bind $DIR/passwd /etc/passwd\n"
	"  mount -t tmpfs courier /run; mkdir -p /run/courier/authdaemon; exec $SELF sh $DIR/serve'\n";

static const char cyrus_script[] =
	"set -e\n"
	"if [ $(id -u) = 0 ]; then U=cyrus; else U=$(id -un); fi\n"
	"for d in conf spool sock lock proc; do mkdir -p $DIR/$d; done\n"
	"for f in ca.pem good.pem srv.key; do cat $CERTS/$f >$DIR/$f; done\n"
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
	"imapidlepoll: 1\n"
	"unixhierarchysep: yes\n"
	"allowplaintext: yes\n"
	"failedloginpause: 0\n"
	"munge8bit: no\n"
	"autocreate_quota: 0\n"
	"tls_server_cert: $DIR/good.pem\n"
	"tls_server_key: $DIR/srv.key\n"
	"tls_client_ca_file: $DIR/ca.pem\n"
	"tls_client_certs: optional\n"
	"delete_mode: immediate\n"
	"expunge_mode: immediate\n"
	"C\n"
	"[ -z \"$TLS_VERSIONS\" ] || echo \"tls_versions: $TLS_VERSIONS\" >>$DIR/imapd.conf\n"
	"if [ -n \"$SASLDB\" ]; then cat >>$DIR/imapd.conf <<C\n"
	"sasl_pwcheck_method: auxprop\n"
	"sasl_auxprop_plugin: sasldb\n"
	"sasl_sasldb_path: $DIR/sasldb2\n"
	"sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 \\\n"
	"  SCRAM-SHA-256-PLUS EXTERNAL\n"
	"C\n"
	"  for u in alice bob admin; do\n"
	"    printf pw | /usr/sbin/saslpasswd2 -p -c -f $DIR/sasldb2 -u localhost $u\n"
	"  done\n"
	"else cat >>$DIR/imapd.conf <<C\n"
	"sasl_pwcheck_method: alwaystrue\n"
	"sasl_mech_list: PLAIN LOGIN\n"
	"C\n"
	"fi\n"
	"I=\"$LIVE/cyrus/usr/lib/cyrus/bin/imapd -C $DIR/imapd.conf\"\n"
	"cat >$DIR/cyrus.conf <<C\n"
	"START {\n"
	"  recover cmd=\"/usr/lib/cyrus/bin/ctl_cyrusdb -C $DIR/imapd.conf -r\"\n"
	"}\n"
	"SERVICES {\n"
	"  imap cmd=\"$I\" listen=\"127.0.0.1:$PORT\" prefork=0\n"
	"  imaps cmd=\"$I -s\" listen=\"127.0.0.1:$TLS_PORT\" prefork=0\n"
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

/* `more`: environment of its own, two at most; taken over. */
static struct peer *peer_start(const char *name, const char *script, char *const more[2])
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct peer *p = xcalloc(1, sizeof(*p));
	char *live = live_directory();
	int64_t end = clock_ms() + 30000;
	struct proc_spawn how = { .group = true };
	char *env[] = { NULL, NULL, NULL, NULL, NULL, more[0], more[1], NULL };

	p->name = name;
	p->dir = tmp_dir();
	p->port = free_port();
	p->tls_port = free_port();
	p->ca_file = path_join(certs_dir(), "ca.pem");
	p->priv = xcalloc(1, sizeof(*p->priv));
	p->priv->log = xasprintf("%s/log", tmp_dir());
	env[0] = xasprintf("DIR=%s", p->dir);
	env[1] = xasprintf("LIVE=%s", live);
	env[2] = xasprintf("CERTS=%s", certs_dir());
	env[3] = xasprintf("PORT=%d", p->port);
	env[4] = xasprintf("TLS_PORT=%d", p->tls_port);
	how.env = (const char *const *)env;
	how.out_fd = how.err_fd = open(p->priv->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	p->priv->pid = proc_spawn(argv, &how);
	close(how.out_fd);
	while (!greets(p->port))
		if (proc_wait(p->priv->pid, 20, NULL) || clock_ms() > end)
			die_with_log(p);
	for (int i = 0; env[i]; i++)
		free(env[i]);
	free(live);
	return p;
}

struct peer *peer_courier(void)
{
	return peer_start("Courier", courier_script, (char *const[2]){ NULL, NULL });
}

char *peer_courier_tunnel(void)
{
	char *live = live_directory();
	char *command = xasprintf(
		"cd %s && maildirmake.courier Maildir && exec env -i HOME=$PWD IMAP_KEYWORDS=1 "
		"IMAP_CAPABILITY='IMAP4rev1 UIDPLUS CHILDREN NAMESPACE SORT QUOTA IDLE' "
		"%s/courier/usr/bin/imapd Maildir", tmp_dir(), live);

	free(live);
	return command;
}

struct peer *peer_cyrus(const struct cyrus_opts *opts)
{
	const char *versions = opts && opts->tls_versions ? opts->tls_versions : "";

	return peer_start("Cyrus", cyrus_script, (char *const[2]){
		xasprintf("SASLDB=%s", opts && opts->sasldb ? "yes" : ""),
		xasprintf("TLS_VERSIONS=%s", versions) });
}

void peer_stop(struct peer *p)
{
	if (!p)
		return;
	proc_end_group(p->priv->pid);
	remove_tree(p->dir);
	free(p->ca_file);
	free(p->priv->log);
	free(p->priv);
	free(p);
}
