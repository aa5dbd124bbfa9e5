#!/bin/sh
# The way back: restoring an archive into an account, and migrating an account to another, 20,000 messages of 4-8 KB, over
# TLS on loopback. Beside mbsync (with its own defaults, and without compression and fsync) and interimap, where they are installed, and
# the least that any client can do: download all messages, and add them by APPENDs of 128 messages each. Each time is the
# best of RUNS (2), every run into an account of its own.
set -eu
RUNS=${RUNS:-2}
MESSAGES=${MESSAGES:-20000}
. tests/lib/server.sh
umask 077

has() {
	command -v "$1" >/dev/null
}
for p in mbsync interimap; do
	has $p || echo "$p is not installed."
done

run() { # FILE PROGRAM ARG...
	file=$1
	shift
	"$B/tests/tools/measure" "$dir/$file" "$@" >"$dir/out" 2>&1 3>&- || {
		cat "$dir/out" >&2
		echo "bench: $* failed" >&2
		exit 1
	}
}

mailcask_account() { # NAME USER
	cat <<C
[account $1]
host = localhost
port = $SERVER_TLS_PORT
tls_ca_file = $SERVER_CA_FILE
user = $2
password = $SERVER_PASSWORD
C
}

configure_mailcask() { # TARGET-USER
	{
		mailcask_account from one
		mailcask_account to "$1"
		cat <<C
[store archive]
type = git
path = $dir/archive
[job save]
kind = backup
from = from
to = archive
[job move]
kind = migrate
from = from
to = to
C
	} >"$dir/config.ini"
}

mbsync_account() { # NAME USER EXTENSIONS-OFF
	cat <<C
IMAPAccount $1
Host localhost
Port $SERVER_TLS_PORT
User $2
Pass $SERVER_PASSWORD
SSLType IMAPS
CertificateFile $SERVER_CA_FILE
$3

IMAPStore $1
Account $1

C
}

# Restoring is pushing a Maildir of its own making, which is copied for each run.
configure_mbsync() { # TARGET-USER FAST
	off=
	[ -z "$2" ] || off="DisableExtension COMPRESS=DEFLATE"
	{
		[ -z "$2" ] || printf 'FSync no\n\n'
		mbsync_account from one "$off"
		mbsync_account to "$1" "$off"
		cat <<C
MaildirStore near
Path $dir/push/
Inbox $dir/push/INBOX
SubFolders Verbatim

Channel restore
Far :to:
Near :near:
Sync Push New
SyncState $dir/sync.$1.

Channel move
Far :from:
Near :to:
Sync Pull New
SyncState $dir/sync.$1.
C
	} >"$dir/mbsyncrc"
}

configure_interimap() { # TARGET-USER
	{
		printf 'database = %s/interimap.%s.db\nlist-mailbox = INBOX\n' "$dir" "$1"
		for side in local:"$1" remote:one; do
			cat <<C
[${side%%:*}]
type = imaps
host = localhost
port = $SERVER_TLS_PORT
username = ${side#*:}
password = $SERVER_PASSWORD
SSL_CAfile = $SERVER_CA_FILE
compress = NO
C
		done
	} >"$dir/interimaprc"
}

"$B/tests/tools/seed" "$SERVER_PORT" one messages INBOX "$MESSAGES" 4000 8000
configure_mailcask none
export MAILCASK_CONFIG="$dir/config.ini" XDG_STATE_HOME="$dir/state"
"$B/mailcask" -q backup save
"$B/mailcask" -q restore archive "$dir/near"
mkdir -p "$dir/push/INBOX/tmp" "$dir/push/INBOX/new"
find "$dir/near/INBOX/cur" -type f | wc -l >"$dir/n"
[ "$(cat "$dir/n")" -eq "$MESSAGES" ] || { echo "bench: the Maildir to push is not whole" >&2; exit 1; }

for i in $(seq "$RUNS"); do
	export XDG_STATE_HOME="$dir/state$i" # a job remembers its target
	run limit.fetch "$B/tests/tools/least" "$SERVER_TLS_PORT" "$SERVER_CA_FILE" one "$SERVER_PASSWORD" \
		"EXAMINE INBOX" "UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])"
	run limit.append "$B/tests/tools/least" "$SERVER_TLS_PORT" "$SERVER_CA_FILE" "raw$i" "$SERVER_PASSWORD" \
		-a INBOX "$dir/near/INBOX/cur"
	configure_mailcask "back$i"
	run restore.mailcask "$B/mailcask" restore archive to
	configure_mailcask "moved$i"
	run migrate.mailcask "$B/mailcask" migrate move
	run again.mailcask "$B/mailcask" migrate move
	if has mbsync; then
		for fast in "" fast; do
			rm -rf "$dir/push/INBOX/cur"
			cp -rl "$dir/near/INBOX/cur" "$dir/push/INBOX/cur"
			configure_mbsync "mb-back$i$fast" "$fast"
			run "restore.mbsync$fast" mbsync -c "$dir/mbsyncrc" restore
			configure_mbsync "mb-moved$i$fast" "$fast"
			run "migrate.mbsync$fast" mbsync -c "$dir/mbsyncrc" move
			run "again.mbsync$fast" mbsync -c "$dir/mbsyncrc" move
		done
	fi
	if has interimap; then
		configure_interimap "im$i"
		run migrate.interimap interimap --config="$dir/interimaprc"
		run again.interimap interimap --config="$dir/interimaprc"
	fi
done

best() { # FILE: least milliseconds and most KB
	awk 'NR == 1 || $1 < ms { ms = $1 } $2 > kb { kb = $2 } END { print ms, kb }' "$dir/$1"
}

whole() { # FILE: least milliseconds
	set -- $(best "$1")
	echo "${1%.*}"
}

fetch=$(whole limit.fetch) append=$(whole limit.append)

row() { # WHAT PROGRAM FILE LIMIT
	[ -f "$dir/$3" ] || return 0
	echo "$(best "$3") $4 $(best "${3%.*}.mailcask")" | awk -v what="$1" -v who="$2" '{
		printf "%-22s %-26s %8.2f s %7.1f MB", what, who, $1 / 1000, $2 / 1024
		if ($3) printf " %7.2fx the limit", $1 / $3
		if (who != "mailcask") printf " %7.1fx mailcask", $1 / ($4 ? $4 : 1)
		print ""
	}'
}

echo "$MESSAGES messages; the limit: download $fetch ms, add $append ms"
for what in restore:"$append" migrate:"$((fetch + append))" again:0; do
	name=${what%%:*} limit=${what#*:}
	row "$name" mailcask "$name.mailcask" "$limit"
	row "$name" "mbsync" "$name.mbsync" "$limit"
	row "$name" "mbsync, without safety" "$name.mbsyncfast" "$limit"
	row "$name" "interimap" "$name.interimap" "$limit"
done
