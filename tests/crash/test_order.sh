#!/bin/sh
# The order of system calls in a backup: data durable, then the index that records it, then the rename
# into cur. The check itself is checked on the same trace with steps taken out.
set -eu
. tests/lib/server.sh
"$B/tests/tools/seed" "$SERVER_PORT" alice mailboxes 3 4 100 5000
"$B/tests/tools/seed" "$SERVER_PORT" alice messages INBOX 8 2000000 2100000

umask 077
cat >"$dir/config.ini" <<C
[account far]
host = 127.0.0.1
port = $SERVER_PORT
tls = none
user = alice
password = $SERVER_PASSWORD
[store near]
type = maildir
path = $dir/mail
[job job]
kind = backup
from = far
to = near
C
export MAILCASK_CONFIG="$dir/config.ini" XDG_STATE_HOME="$dir/state"

# Under ASan the leak check, which traces the program itself, cannot share it with strace.
traced() { # TRACE
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -y -s 200000 -o "$1" \
		-e trace=openat,write,writev,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2 \
		"$B/mailcask" backup 3>&- || fail "the backup ended with $?"
}

in_order() { # TRACE
	awk -f tests/crash/order.awk "$1"
}

traced "$dir/first"
in_order "$dir/first" || fail "a first backup does its steps in the wrong order"
"$B/tests/tools/seed" "$SERVER_PORT" alice messages INBOX 5 100 5000
traced "$dir/second"
in_order "$dir/second" || fail "a later backup does its steps in the wrong order"

# Without the sync of the data, and without that of the index, the check must say so.
grep -Ev '^syncfs|^fsync\([0-9]+<[^>]*/tmp' "$dir/first" >"$dir/no-data-sync"
if in_order "$dir/no-data-sync"; then fail "a missing sync of the data goes unnoticed"; fi
grep -Ev '^(fsync|fdatasync)\([0-9]+<[^>]*mailcask\.db' "$dir/first" >"$dir/no-index-sync"
if in_order "$dir/no-index-sync"; then fail "a missing sync of the index goes unnoticed"; fi
