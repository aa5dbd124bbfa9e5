#!/bin/sh
# dovecot-run and seed, as the demo uses them: a server with mail, gone when its stdin ends or on
# SIGTERM.
set -eu
B=${B:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkfifo "$dir/stop" "$dir/vars"

fail() {
	echo "test_tools: $*" >&2
	exit 1
}

start() {
	"$B/tests/tools/dovecot-run" "$@" <"$dir/stop" >"$dir/vars" &
	pid=$!
	exec 3>"$dir/stop"
	eval "$(cat "$dir/vars")"
	[ -d "$SERVER_DIR" ] && [ -s "$SERVER_CA_FILE" ] || fail "no directory or no CA"
}

gone() {
	wait "$pid" || fail "ended with an error"
	[ ! -e "$SERVER_DIR" ] || fail "$SERVER_DIR was left behind"
	[ ! -e "$SERVER_CA_FILE" ] || fail "$SERVER_CA_FILE was left behind"
	! "$B/tests/tools/seed" "$SERVER_PORT" alice demo 2>/dev/null || fail "still answers"
}

start
"$B/tests/tools/seed" "$SERVER_PORT" alice demo
"$B/tests/tools/seed" "$SERVER_PORT" alice messages Archive/more 30 100 200
"$B/tests/tools/seed" "$SERVER_PORT" alice mixed INBOX 5 100000
"$B/tests/tools/seed" "$SERVER_PORT" bob mailboxes 3 2 100 300
n=$(find "$SERVER_DIR/mail/alice" -path '*/cur/*' -o -path '*/new/*' | wc -l)
[ "$n" -eq 75 ] || fail "alice has $n messages"
n=$(find "$SERVER_DIR/mail/bob" -path '*/cur/*' -o -path '*/new/*' | wc -l)
[ "$n" -eq 6 ] || fail "bob has $n messages"
exec 3>&-
gone
start --capability 'IMAP4rev1 UIDPLUS' --cert self-signed
kill "$pid"
gone
exec 3>&-
! "$B/tests/tools/dovecot-run" --cert odd 2>/dev/null || fail "an unknown certificate was taken"
