#!/bin/sh
# First backup and no-change run of mailcask beside mbsync, where that is installed, on the same Dovecot
# over TLS on loopback. Each time is the best of RUNS (2). What an earlier run wrote is moved aside, not removed: ext4
# avoids inodes freed in the last minutes, and a benchmark that deletes would measure that.
set -eu
RUNS=${RUNS:-2}
. tests/lib/server.sh
have_mbsync=
command -v mbsync >/dev/null && have_mbsync=1

configure() { # USER
	umask 077
	cat >"$dir/config.ini" <<C
[account far]
host = localhost
port = $SERVER_TLS_PORT
tls_ca_file = $SERVER_CA_FILE
user = $1
password = $SERVER_PASSWORD
[store near]
type = maildir
path = $dir/now/mailcask
[job job]
kind = backup
from = far
to = near
C
	cat >"$dir/mbsyncrc" <<C
IMAPAccount a
Host localhost
Port $SERVER_TLS_PORT
User $1
Pass $SERVER_PASSWORD
SSLType IMAPS
CertificateFile $SERVER_CA_FILE

IMAPStore far
Account a

MaildirStore near
Path $dir/now/mbsync/
Inbox $dir/now/mbsync/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
C
}

run() { # FILE PROGRAM ARG...
	file=$1
	shift
	"$B/tests/tools/measure" "$dir/$file" "$@" >"$dir/out" 2>&1 3>&- || {
		cat "$dir/out" >&2
		echo "bench: $* failed" >&2
		exit 1
	}
}

best() { # FILE: least milliseconds and most KB
	awk 'NR == 1 || $1 < ms { ms = $1 } $2 > kb { kb = $2 } END { print ms, kb }' "$dir/$1"
}

row() { # TEXT MAILCASK-FILE MBSYNC-FILE
	peer="- -"
	[ -z "$have_mbsync" ] || peer=$(best "$3")
	echo "$(best "$2") $peer" | awk -v what="$1" '{
		printf "%-34s %9.2f s %7.1f MB", what, $1 / 1000, $2 / 1024
		if ($3 != "-")
			printf " %9.2f s %7.1f MB %8.1fx", $3 / 1000, $4 / 1024, $3 / ($1 ? $1 : 1)
		print ""
	}'
}

scenario() { # NAME USER
	rm -f "$dir"/t.*
	configure "$2"
	export MAILCASK_CONFIG="$dir/config.ini"
	for i in $(seq "$RUNS"); do
		mkdir -p "$dir/now/mbsync"
		export XDG_STATE_HOME="$dir/now/state"
		run t.first "$B/mailcask" backup
		run t.again "$B/mailcask" backup
		run t.again "$B/mailcask" backup
		if [ -n "$have_mbsync" ]; then
			run t.peer-first mbsync -c "$dir/mbsyncrc" -a
			run t.peer-again mbsync -c "$dir/mbsyncrc" -a
		fi
		mv "$dir/now" "$dir/aside.$2.$i"
	done
	row "first backup, $1" t.first t.peer-first
	row "nothing changed, $1" t.again t.peer-again
}

"$B/tests/tools/seed" "$SERVER_PORT" one messages INBOX 20000 4000 8000
"$B/tests/tools/seed" "$SERVER_PORT" many mailboxes 500 40 4000 8000
printf '%-34s %11s %10s' "" mailcask memory
[ -z "$have_mbsync" ] || printf ' %11s %10s %9s' mbsync memory "faster by"
echo
scenario "20,000 of 4-8 KB" one
scenario "500 mailboxes x 40" many
