#!/bin/sh
# Passes in which nothing or little changed: mailcask into both kinds of stores, mbsync and offlineimap, where these
# are installed, on the same Dovecot over TLS on loopback; and the least that any client can do, which logs in, asks, throws the
# answers away and logs out. Each time is the best of RUNS (5), of peers behind the slow line of one run. A peer whose first
# run takes more than PEER_LIMIT seconds (900) is left out of that scenario.
set -eu
RUNS=${RUNS:-5}
PEER_LIMIT=${PEER_LIMIT:-900}
LARGE=${LARGE:-100000} MANY=${MANY:-500}
relay=

at_end() {
	exec 4>&-
	[ -z "$relay" ] || wait "$relay" || :
}
. tests/lib/server.sh

mkfifo "$dir/stop-relay" "$dir/vars-relay"
"$B/tests/tools/relay-run" "$SERVER_TLS_PORT" 20 <"$dir/stop-relay" >"$dir/vars-relay" 3>&- &
relay=$!
exec 4>"$dir/stop-relay"
eval "$(cat "$dir/vars-relay")"

peers=
for p in ${PEERS-mbsync offlineimap}; do
	if command -v $p >/dev/null; then
		peers="$peers $p"
	else
		echo "$p is not installed."
	fi
done

# The programs' configurations, in $dir/USER, for a port.
configure() { # USER PORT
	mkdir -p "$dir/$1/mbsync" "$dir/$1/offlineimap"
	umask 077
	cat >"$dir/$1/config.ini" <<C
[account far]
host = localhost
port = $2
tls_ca_file = $SERVER_CA_FILE
user = $1
password = $SERVER_PASSWORD
[store maildir]
type = maildir
path = $dir/$1/maildir
[store git]
type = git
path = $dir/$1/git
[job maildir]
kind = backup
from = far
to = maildir
[job git]
kind = backup
from = far
to = git
C
	cat >"$dir/$1/mbsyncrc" <<C
IMAPAccount a
Host localhost
Port $2
User $1
Pass $SERVER_PASSWORD
SSLType IMAPS
CertificateFile $SERVER_CA_FILE

IMAPStore far
Account a

MaildirStore near
Path $dir/$1/mbsync/
Inbox $dir/$1/mbsync/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge Near
Sync Pull
SyncState *
C
	cat >"$dir/$1/offlineimaprc" <<C
[general]
accounts = a
metadata = $dir/$1/offlineimap/state
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = $dir/$1/offlineimap/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = $2
remoteuser = $1
remotepass = $SERVER_PASSWORD
ssl = yes
sslcacertfile = $SERVER_CA_FILE
readonly = True
C
}

timed() { # FILE COMMAND...
	file=$1
	shift
	"$B/tests/tools/measure" "$dir/$file" "$@" >"$dir/out" 2>&1 3>&- 4>&- || {
		cat "$dir/out" >&2
		echo "bench: $* failed" >&2
		exit 1
	}
}

pass() { # PROGRAM USER [COMMAND]...: the commands are those of the least client
	program=$1 user=$2
	shift 2
	case $program in
	least) timed t.least "$B/tests/tools/least" "$port" "$SERVER_CA_FILE" "$user" "$SERVER_PASSWORD" "$@" ;;
	mbsync) timed t.mbsync mbsync -q -c "$dir/$user/mbsyncrc" -a ;;
	offlineimap) timed t.offlineimap offlineimap -o -u quiet -c "$dir/$user/offlineimaprc" ;;
	*) timed "t.$program" "$B/mailcask" backup "$program" ;;
	esac
}

# Fill the stores of all programs. Afterwards $here has the peers that made it in time.
first() { # USER
	configure "$1" "$SERVER_TLS_PORT"
	export MAILCASK_CONFIG="$dir/$1/config.ini" XDG_STATE_HOME="$dir/$1/state"
	port=$SERVER_TLS_PORT here=
	for i in 1 2; do
		"$B/mailcask" backup maildir git 3>&- 4>&-
	done
	for p in $peers; do
		case $p in
		mbsync) set -- "$1" mbsync -q -c "$dir/$1/mbsyncrc" -a ;;
		*) set -- "$1" offlineimap -o -u quiet -c "$dir/$1/offlineimaprc" ;;
		esac
		user=$1
		shift
		if timeout "$PEER_LIMIT" "$@" >"$dir/out" 2>&1 3>&- 4>&-; then
			here="$here $p"
		else
			echo "$p: the first run for '$user' takes more than $PEER_LIMIT s, or fails; left out."
		fi
		set -- "$user"
	done
}

best() { # PROGRAM COLUMN: least seconds, or -
	[ -s "$dir/t.$1" ] || {
		echo -
		return
	}
	awk -v c="$2" 'NR == 1 || $c < ms { ms = $c } END { print ms / 1000 }' "$dir/t.$1"
}

line() { # TEXT BUDGET COLUMN
	echo "$(best least "$3") $(best maildir "$3") $(best git "$3") $(best mbsync "$3") $(best offlineimap "$3")" |
		awk -v what="$1" -v budget="$2" '
		function peer(s) { return s == "-" ? sprintf(" %8s %7s", "-", "") : sprintf(" %8.3f %6.0fx", s, s / $2) }
		{ printf "%-44s %7.3f %8.3f %5.2fx %8.3f %5.2fx %6s%s%s\n", what, $1, $2, $2 / $1, $3, $3 / $1,
			budget, peer($4), peer($5) }'
}

row() { # TEXT BUDGET: what was timed since the last row
	line "$1" "$2" 1
	line "  processor time" "" 4
	rm -f "$dir"/t.*
}

list='LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))'

nothing_changed() { # USER PEER-RUNS
	for i in $(seq "$RUNS"); do
		pass least "$1" "$list"
		pass maildir "$1"
		pass git "$1"
		for p in $here; do
			[ "$i" -gt "$2" ] || pass "$p" "$1"
		done
	done
}

value() { # NAME, of what least printed
	sed -n "s/.*$1 \\([0-9]*\\).*/\\1/p" "$dir/out"
}

little_changed() { # USER
	for i in $(seq "$RUNS"); do
		"$B/tests/tools/least" -v "$port" "$SERVER_CA_FILE" "$1" "$SERVER_PASSWORD" \
			'STATUS INBOX (UIDNEXT HIGHESTMODSEQ)' >"$dir/out"
		next=$(value UIDNEXT) modseq=$(value HIGHESTMODSEQ)
		"$B/tests/tools/seed" "$SERVER_PORT" "$1" change INBOX 100 1000 100
		pass least "$1" 'ENABLE QRESYNC' "$list" 'EXAMINE INBOX' \
			"UID FETCH 1:$((next - 1)) (FLAGS) (CHANGEDSINCE $modseq VANISHED)" \
			"UID FETCH $next:* (UID FLAGS INTERNALDATE BODY.PEEK[])"
		for p in maildir git $here; do
			pass "$p" "$1"
		done
	done
}

"$B/tests/tools/seed" "$SERVER_PORT" one messages INBOX "$LARGE" 2000 4000
"$B/tests/tools/seed" "$SERVER_PORT" many mailboxes "$MANY" 2 2000 4000
first one
printf '%-44s %7s %8s %6s %8s %6s %6s %8s %7s %8s %7s\n' "seconds" "least" "maildir" "" "git" "" "budget" \
	"mbsync" "" "offline" ""
nothing_changed one "$RUNS"
row "nothing changed, $LARGE in one mailbox" 1.5x
little_changed one
row "100 new, 1,000 flags, 100 gone in $LARGE" 2.5x
first many
nothing_changed many "$RUNS"
row "nothing changed, $MANY mailboxes" 1.5x
configure many "$RELAY_PORT"
port=$RELAY_PORT
nothing_changed many 1
row "the same, round trip of 40 ms" 1.3x
