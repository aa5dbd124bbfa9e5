#!/bin/sh
# The order of system calls in prune-server: what goes is written down, then kept in the store, both durable, before the
# first message is touched at the server. The check itself is checked on the same trace with the syncs taken out.
set -eu
. tests/lib/server.sh

umask 077
configure() { # TYPE
	cat >"$dir/config.ini" <<C
[account far]
host = 127.0.0.1
port = $SERVER_PORT
tls = none
user = $1
password = $SERVER_PASSWORD
[store near]
type = $1
path = $dir/$1
[job job]
kind = backup
from = far
to = near
C
}
export MAILCASK_CONFIG="$dir/config.ini"

# Under ASan the leak check, which traces the program itself, cannot share it with strace.
traced() { # TRACE
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -y -s 200000 -o "$1" \
		-e trace=write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync,rename,renameat,renameat2 \
		"$B/mailcask" prune-server job --older-than=2y --allow-deletes=1000 3>&- || fail "it ended with $?"
}

in_order() { # TRACE
	awk -f tests/crash/prune_order.awk "$1"
}

for type in git maildir; do
	export XDG_STATE_HOME="$dir/$type.state"
	configure $type
	"$B/tests/tools/seed" "$SERVER_PORT" $type mailboxes 2 20 100 2000
	"$B/mailcask" backup 3>&- || fail "the backup into $type ended with $?"
	traced "$dir/trace"
	in_order "$dir/trace" || fail "$type: messages are touched too early"
	grep -Ev '^fsync\([0-9]+<[^>]*state/mailcask>' "$dir/trace" >"$dir/not-noted"
	if in_order "$dir/not-noted"; then fail "$type: a missing sync of JOB.run goes unnoticed"; fi
	grep -Ev '^f(data)?sync\([0-9]+<[^>]*(refs/heads|mailcask\.db-wal)>' "$dir/trace" >"$dir/not-kept"
	if in_order "$dir/not-kept"; then fail "$type: a missing sync of the store goes unnoticed"; fi
done
