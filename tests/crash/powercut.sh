#!/bin/sh
# make check-powercut (root): the power goes ten times while a first backup runs, each time at another moment,
# for each type of store (TYPES). Whatever the program had reported as stored must be there after the disk came
# back, the next run completes, and the one after it has nothing to do.
# The disk is an ext4 image on a loop device, cut by EXT4_IOC_SHUTDOWN.
set -eu
B=${B:-build}
# Alone with the disk: a mount that another process copied along would outlive our umount.
if [ -z "${POWERCUT_ALONE:-}" ] && [ "$(id -u)" = 0 ]; then
	POWERCUT_ALONE=1 exec unshare -m sh "$0"
fi
messages=5000
dir=$(mktemp -d)
server= mounted=

clean_up() {
	status=$?
	trap - EXIT
	[ -z "$mounted" ] || umount "$dir/disk" || :
	exec 3>&-
	[ -z "$server" ] || wait "$server" || :
	rm -rf "$dir"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "powercut: $*" >&2
	[ ! -s "$dir/errors" ] || cat "$dir/errors" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || fail "must run as root, to mount a disk and to cut its power"

mkfifo "$dir/stop" "$dir/vars"
chmod 755 "$dir"
"$B/tests/tools/dovecot-run" <"$dir/stop" >"$dir/vars" &
server=$!
exec 3>"$dir/stop"
eval "$(cat "$dir/vars")"
"$B/tests/tools/seed" "$SERVER_PORT" alice messages INBOX $((messages / 2)) 15000 30000
"$B/tests/tools/seed" "$SERVER_PORT" alice messages Archive $((messages / 2)) 15000 30000

configure() { # TYPE of the store
	cat >"$dir/config.ini" <<C
[account far]
host = 127.0.0.1
port = $SERVER_PORT
tls = none
user = alice
password = $SERVER_PASSWORD
[store near]
type = $1
path = $dir/disk/mail
[job job]
kind = backup
from = far
to = near
C
	chmod 600 "$dir/config.ini"
}
export MAILCASK_CONFIG="$dir/config.ini" XDG_STATE_HOME="$dir/disk/state"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
mkdir "$dir/disk"

mount_disk() {
	mount -o loop "$dir/image" "$dir/disk" || fail "a loop device cannot be mounted here"
	mounted=1
}

unmount_disk() {
	umount "$dir/disk" || fail "cannot unmount"
	mounted=
}

used() { # of the disk, in KiB; what waits to be written counts
	df --output=used "$dir/disk" | tail -n 1
}

new_of() { # the summary's "new"
	sed -n 's/.*"event":"summary".*"new":\([0-9]*\).*/\1/p' "$1"
}

fresh_disk() {
	rm -f "$dir/image"
	truncate -s 600M "$dir/image"
	mkfs.ext4 -q -F "$dir/image" >/dev/null || fail "mkfs.ext4 failed"
	mount_disk
	empty=$(used)
}

whole() { # how much of the disk a backup takes that nobody disturbs
	fresh_disk
	"$B/mailcask" backup --json >"$dir/events" 2>"$dir/errors" 3>&- || fail "the backup failed with $?"
	whole=$(($(used) - empty))
	unmount_disk
}

check_store() { # TYPE
	"$B/tests/tools/same-as-server" "$SERVER_PORT" alice "$dir/disk/mail" ||
		fail "the store differs from the server"
	[ "$1" != git ] || git --git-dir="$dir/disk/mail" fsck --full --strict >"$dir/errors" 2>&1 ||
		fail "git finds fault with the archive"
}

cut_at() { # TYPE PERCENT of the disk space that it takes, 100: once the program has ended
	fresh_disk
	"$B/mailcask" backup --json >"$dir/events" 2>"$dir/errors" 3>&- &
	program=$!
	while [ $((($(used) - empty) * 100)) -lt $((whole * $2)) ] && kill -0 "$program" 2>/dev/null; do :; done
	[ "$2" -lt 100 ] || wait "$program" || fail "the backup failed with $?"
	"$B/tests/tools/powercut" "$dir/disk" || fail "the power cannot be cut"
	[ "$2" -ge 100 ] || wait "$program" || :
	unmount_disk
	mount_disk
	reported=$(new_of "$dir/events")
	reported=${reported:-0}
	"$B/mailcask" backup --json >"$dir/again" 2>"$dir/errors" 3>&- ||
		fail "$1: the run after the cut at $2 % ended with $?"
	fetched=$(new_of "$dir/again")
	echo "$1, cut at $2 %: $reported reported as stored, $fetched fetched afterwards"
	[ $((reported + fetched)) -le "$messages" ] ||
		fail "$((reported + fetched - messages)) messages were reported as stored, and lost"
	check_store "$1"
	"$B/mailcask" backup --json >"$dir/again" 2>"$dir/errors" 3>&- || fail "the third run: $?"
	[ "$(new_of "$dir/again")" = 0 ] || fail "the third run fetched something"
	unmount_disk
}

for type in ${TYPES:-maildir git}; do
	configure "$type"
	whole
	for percent in 5 20 35 45 60 75 85 92 99 100; do
		cut_at "$type" $percent
	done
	echo "$type: 10 power cuts, nothing that was reported as stored is missing"
done
