#!/bin/sh
# make demo: a tour of mailcask on a throw-away mail server. Touches nothing outside a temporary
# directory and removes it, and the server, at the end. B: the build directory.
set -eu
B=${B:-build}
dir=$(mktemp -d)
server=

clean_up() {
	status=$?
	trap - EXIT
	exec 3>&- # the server stops and removes itself when nobody holds its stdin
	[ -z "$server" ] || wait "$server" || :
	rm -rf "$dir"
	[ "$status" -eq 0 ] || echo "The demo failed (status $status)." >&2
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() {
	printf '\n%s\n' "$*"
}

run() { # mailcask ARGUMENTS...
	printf '\n$ mailcask %s\n' "$*"
	"$B/mailcask" "$@" 3>&-
}

say "== A mail server, for the length of this tour"
mkfifo "$dir/stop" "$dir/vars"
"$B/tests/tools/dovecot-run" <"$dir/stop" >"$dir/vars" &
server=$!
exec 3>"$dir/stop"
eval "$(cat "$dir/vars")"
"$B/tests/tools/seed" "$SERVER_PORT" alice demo
echo "Dovecot listens on 127.0.0.1, port $SERVER_TLS_PORT (TLS). The account alice has nested"
echo "mailboxes, names that are not ASCII, flags and keywords, a 20 MB attachment and an empty"
echo "mailbox."

say "== What mailcask is told"
umask 077
printf '%s\n' "$SERVER_PASSWORD" >"$dir/password"
export MAILCASK_CONFIG="$dir/config.ini" XDG_STATE_HOME="$dir/state"
cat >"$MAILCASK_CONFIG" <<C
[account alice]
host = 127.0.0.1
port = $SERVER_TLS_PORT
tls = implicit
tls_ca_file = $SERVER_CA_FILE
user = alice
password_file = $dir/password

[store archive]
type = maildir
path = $dir/mail

[job demo]
kind = backup
from = alice
to = archive
C
cat "$MAILCASK_CONFIG"
run config check

say "== What it would do"
run plan demo

say "== The backup"
run backup -v demo

say "== What there is now: a Maildir for each mailbox, a file for each message"
(
	cd "$dir/mail"
	find . -type d -name cur | sort | while read -r cur; do
		n=$(find "$cur" "${cur%cur}new" -type f | wc -l)
		printf '%5d  %s\n' "$n" "${cur%/cur}"
	done
	printf '%5s  %s\n' "$(du -sh . | cut -f1)" "in all"
)
kept=$(find "$dir/mail" -path '*/cur/*' -type f -o -path '*/new/*' -type f | wc -l)
there=$(find "$SERVER_DIR/mail/alice" -path '*/cur/*' -type f -o -path '*/new/*' -type f | wc -l)
echo "The server has $there messages, the backup $kept."
[ "$kept" -eq "$there" ]

say "== The same once more: nothing has changed, so there is nothing to do"
mail_files() { # what changes when anything does
	find "$dir/mail" -mindepth 1 ! -name 'mailcask.*' -printf '%i %T@ %p\n' | sort
}
mail_files >"$dir/before"
run backup -v demo
mail_files | cmp - "$dir/before"
echo "No file was touched."

say "== What was stored comes back: into a new Maildir, without the server"
run restore -v archive "$dir/restored"
contents() { # of every message in a Maildir
	find "$1" -path '*/cur/*' -type f -exec sha256sum {} + | cut -c 1-64 | sort
}
contents "$dir/restored" >"$dir/after"
contents "$dir/mail" | cmp - "$dir/after"
echo "Every file is the same."

say "== That was all. The server and every file of this tour are removed now."
