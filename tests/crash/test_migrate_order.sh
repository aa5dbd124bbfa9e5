#!/bin/sh
# The order of system calls in a migration: an intent is durable before its message is sent, the ledger before the record
# of the run. The check itself is checked on the same trace with the syncs taken out.
set -eu
. tests/lib/server.sh
"$B/tests/tools/seed" "$SERVER_PORT" alice mailboxes 3 40 100 5000

umask 077
cat >"$dir/config.ini" <<C
[account far]
host = 127.0.0.1
port = $SERVER_PORT
tls = none
user = alice
password = $SERVER_PASSWORD
[account near]
host = 127.0.0.1
port = $SERVER_PORT
tls = none
user = bob
password = $SERVER_PASSWORD
[job job]
kind = migrate
from = far
to = near
C
export MAILCASK_CONFIG="$dir/config.ini" XDG_STATE_HOME="$dir/state"

# Under ASan the leak check, which traces the program itself, cannot share it with strace.
traced() { # TRACE
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -y -s 200000 -o "$1" \
		-e trace=write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync,rename,renameat,renameat2 \
		"$B/mailcask" migrate 3>&- || fail "the migration ended with $?"
}

in_order() { # TRACE
	awk -f tests/crash/migrate_order.awk "$1"
}

traced "$dir/first"
in_order "$dir/first" || fail "a migration does its steps in the wrong order"

grep -Ev '^f(data)?sync\([0-9]+<[^>]*job\.db-wal' "$dir/first" >"$dir/no-sync"
if in_order "$dir/no-sync"; then fail "a missing sync of the ledger goes unnoticed"; fi
grep -Ev '^pwrite64\([0-9]+<[^>]*job\.db-wal' "$dir/first" >"$dir/no-intents"
if in_order "$dir/no-intents"; then fail "missing intents go unnoticed"; fi
