# A throw-away Dovecot for a script: source this after `set -eu`. It sets B, `dir`, a directory that is removed at
# the end (in BENCH_DIR, where that is set), and what dovecot-run prints. The server stops when nobody holds
# descriptor 3: what runs on in the background is started with 3>&-. at_end(), where there is one, runs first at the end.
B=${B:-build}
dir=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}")
server=

fail() {
	echo "$(basename "$0" .sh): $*" >&2
	exit 1
}

clean_up() {
	status=$?
	trap - EXIT
	! command -v at_end >/dev/null || at_end
	exec 3>&-
	[ -z "$server" ] || wait "$server" || :
	rm -rf "$dir"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkfifo "$dir/stop" "$dir/vars"
"$B/tests/tools/dovecot-run" <"$dir/stop" >"$dir/vars" &
server=$!
exec 3>"$dir/stop"
eval "$(cat "$dir/vars")"
