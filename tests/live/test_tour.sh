#!/bin/sh
# The tour of an archive in README.md: what it shows is what the program prints. Its commands are run one
# after the other, as they stand there, in a home of their own with an account on a throw-away server. Ids,
# times of day and durations differ from run to run, and count as equal. `TOUR=print` prints
# what README.md should hold.
set -eu
TOP=${TOP:-$PWD}
. tests/lib/server.sh
"$B/tests/tools/seed" "$SERVER_PORT" anna demo

export HOME="$dir/home" TZ=UTC GIT_CONFIG_SYSTEM=/dev/null
unset XDG_CONFIG_HOME XDG_STATE_HOME MAILCASK_CONFIG
mkdir -p "$HOME/.config/mailcask" "$dir/bin"
ln -s "$(realpath "$B/mailcask")" "$dir/bin/mailcask"
export PATH="$dir/bin:$PATH"
umask 077
cat >"$HOME/.config/mailcask/config.ini" <<C
[account work]
host = 127.0.0.1
port = $SERVER_TLS_PORT
tls_ca_file = $SERVER_CA_FILE
user = anna
password = $SERVER_PASSWORD
[store archive]
type = git
path = ~/mail/%a
[job nightly]
kind = backup
from = work
to = archive
C

# The blocks of the section, without their fences.
awk '/^## / { tour = $0 == "## A tour of an archive"; block = 0 }
	/^```/ { block = !block; next }
	tour && block' "$TOP/README.md" >"$dir/shown"
[ "$(grep -c '^\$ ' "$dir/shown")" -ge 8 ] || fail "README.md has no tour"

sed -n 's/^\$ //p' "$dir/shown" >"$dir/commands"
while read -r command; do
	printf '$ %s\n' "$command"
	(cd "$HOME" && sh -c "$command" 2>&1 3>&- </dev/null) || fail "'$command' ends with $?"
done <"$dir/commands" >"$dir/printed"
exec 3>&-
wait "$server" || fail "the server ended with $?"

if [ "${TOUR:-}" = print ]; then
	cat "$dir/printed"
	exit 0
fi
alike() { # ids, times of day, durations, modseqs; and a page about mail has LF alone
	tr -d '\r' <"$1" | sed -E 's/modseq [0-9]+/modseq N/; s/\b[0-9a-f]{8}\b/ID/; s/\b20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}/TIME/; s/\([0-9.]+ s\)/(TIME)/'
}
alike "$dir/shown" >"$dir/want"
alike "$dir/printed" >"$dir/got"
diff -u "$dir/want" "$dir/got" || fail "README.md shows something else than what is printed"
