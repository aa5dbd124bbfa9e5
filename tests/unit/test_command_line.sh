#!/bin/sh
# Usage errors: exit 2 and one line that says what is wrong and where help is. Also what needs
# neither configuration nor server.
set -u
cd "${TOP:-.}" || exit 1
program=${B:-build}/mailcask
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
rc=0
export HOME="$tmp" XDG_STATE_HOME="$tmp/state"
unset MAILCASK_CONFIG XDG_CONFIG_HOME

# expect STATUS "STANDARD ERROR" ARGUMENT...
expect() {
	status=$1 want=$2
	shift 2
	"$program" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	if [ $got -ne "$status" ] || [ "$(cat "$tmp/err")" != "$want" ]; then
		echo "mailcask $*"
		echo "wanted $status: $want"
		echo "got $got: $(cat "$tmp/err")"
		rc=1
	fi
}

expect 2 "mailcask: unknown command 'bakup'; did you mean 'backup'? (see 'mailcask help')" bakup
expect 2 "mailcask: unknown command 'sync' (see 'mailcask help')" sync
expect 2 "mailcask: 'config' is followed by 'check' (see 'mailcask help')" config
expect 2 "mailcask: unknown option '--dry-rn'; did you mean '--dry-run'? (see 'mailcask help backup')" backup --dry-rn
expect 2 "mailcask: unknown option '-z' (see 'mailcask help backup')" backup -z
expect 2 "mailcask: unknown option '-z' (see 'mailcask help')" -z backup
expect 2 "mailcask: option '--allow-deletes' needs an argument (see 'mailcask help backup')" backup --allow-deletes
expect 2 "mailcask: option '-c' needs an argument (see 'mailcask help backup')" backup -c
expect 2 "mailcask: --allow-deletes needs a number, not '-1' (see 'mailcask help backup')" backup --allow-deletes=-1
expect 2 "mailcask: option '--json' takes no argument (see 'mailcask help backup')" backup --json=1
expect 2 "mailcask: --mailbox: empty mailbox pattern (see 'mailcask help backup')" backup --mailbox=
expect 2 "mailcask: 'version' takes no 'x' (see 'mailcask help version')" version x
expect 2 "mailcask: there is no help on 'x' (see 'mailcask help')" help x
expect 2 "mailcask: $tmp/.config/mailcask/config.ini: cannot be read: No such file or directory
mailcask: config.example.ini shows what goes into it; --config names another file" backup
expect 2 "mailcask: there is no [job nighly]; did you mean 'nightly'? (see 'mailcask help backup')" \
	-c config.example.ini backup nighly
expect 2 "mailcask: there is no [job nighly]; did you mean 'nightly'? (see 'mailcask help plan')" \
	plan -c config.example.ini nighly
expect 2 "mailcask: a source and a target are needed (see 'mailcask help restore')" restore archive
expect 2 "mailcask: a source and a target are needed (see 'mailcask help restore')" restore a b c
expect 2 "mailcask: --search: from needs a TEXT (see 'mailcask help restore')" restore --search from a b
expect 2 "mailcask: --into: a mailbox has a name (see 'mailcask help restore')" restore --into= a b
expect 2 "mailcask: --deleted-since does not go with --flags (see 'mailcask help restore')" \
	restore --flags --deleted-since today a b
expect 2 "mailcask: --layout: fs or maildir++, not 'mh' (see 'mailcask help restore')" restore --layout=mh a b
expect 2 "mailcask: --uid: message set: '*' is not allowed here at byte 1, near '*' (see 'mailcask help restore')" \
	restore --uid '*' a b
expect 2 "mailcask: --deleted-since does not go with --uid (see 'mailcask help restore')" \
	restore --deleted-since yesterday --mailbox A --uid 1 a b
expect 2 "mailcask: --deleted-since does not go with --without-kept (see 'mailcask help restore')" \
	restore --without-kept --deleted-since yesterday a b
expect 10 "mailcask: x: there is no directory 'x', and no configuration that knows a store of that name. Check the \
names in the command and the configuration." restore x y
expect 2 "mailcask: one STORE is needed (see 'mailcask help check')" check
expect 2 "mailcask: one STORE is needed (see 'mailcask help check')" check a b
for t in 10 0s 1.5h m 10minutes -1m 99999999999s; do
	expect 2 "mailcask: --max-duration is such as 90s, 10m or 2h, not '$t' (see 'mailcask help check')" \
		check --max-duration=$t x
done
expect 10 "mailcask: there is no store and no directory './nowhere'" check ./nowhere
expect 2 "mailcask: one STORE is needed (see 'mailcask help compact')" compact
expect 10 "mailcask: there is no store and no directory './nowhere'" compact ./nowhere
expect 2 "mailcask: one STORE is needed (see 'mailcask help forget')" forget --keep-last=1
expect 10 "mailcask: there is no store and no directory './nowhere'" forget --keep-last=1 ./nowhere
expect 2 "mailcask: one JOB is needed (see 'mailcask help prune-server')" prune-server --older-than=2y
expect 2 "mailcask: how old must they be? For instance --older-than=2y (see 'mailcask help prune-server')" \
	-c config.example.ini prune-server nightly
for t in 2 0y 2w -1y 2y1y 2005-01-01; do
	expect 2 "mailcask: --older-than is such as 2y or 1y6m (m: months), not '$t' (see 'mailcask help prune-server')" \
		prune-server --older-than=$t nightly
done
# What is wrong with an IMAP command is told before anything is connected.
while IFS='|' read -r words want; do
	eval "set -- $words"
	expect 2 "mailcask: $want (see 'mailcask help imap')" -c config.example.ini imap "$@"
done <<'EOF'
work|an account and a command are needed
wrok noop|there is no [account wrok]; did you mean 'work'?
work nop|there is no IMAP command 'nop'; did you mean 'noop'?
work status|too little: status MAILBOX [ITEM]...
work noop x|noop: 'x' is too much: noop 
work noop --seq|noop takes no --seq
work fetch INBOX 0|fetch: message set: numbers begin with 1 to 9 at byte 1, near '0'
work fetch INBOX 1 body[1.|fetch: 'body[1.' is no item
work fetch INBOX 1 'body[1]<0.0>'|fetch: 'body[1]<0.0>' is no item
work fetch INBOX 1 'body[HEADER.FIELDS (A) (B)]'|fetch: 'body[HEADER.FIELDS (A) (B)]' is no item
work fetch INBOX 1 body header|fetch: only one part of the messages at once, not 'header', too
work fetch INBOX 1 body flags|fetch: a part of the messages goes to standard output alone; with other items give --output
work --json fetch INBOX 1 body|fetch: with --json a part of the messages needs --output
work fetch --output=x INBOX 1 flags|fetch: --output needs something to write, such as body
work fetch --vanished INBOX 1|fetch: --vanished goes with --changed-since and UIDs
work fetch --changed-since=0 INBOX 1|--changed-since needs a number above 0, not '0'
work status INBOX size cheese|status: there is no item 'cheese'
work select INBOX 1|select: UIDVALIDITY and MODSEQ are two numbers above 0
work store INBOX 1 plus x|store: add, remove or set, not 'plus'
work store INBOX 1 add|store: which flags?
work store INBOX 1 add '\Recent'|store: '\\Recent' is no flag
work search --return=all,some INBOX ALL|search: --return knows all, count, min, max and save, not 'some'
work search --partial=1:-2 INBOX ALL|search: --partial is such as 1:100 or -1:-100, not '1:-2'
work append --date=yesterday INBOX x|append: --date is such as 2024-02-29T12:00:00+01:00, not 'yesterday'
work append --date=2024-13-01T12:00:00+01:00 INBOX x|append: --date is such as 2024-02-29T12:00:00+01:00, not '2024-13-01T12:00:00+01:00'
work append --flags='\Recent' INBOX x|append: '\\Recent' are not all flags
work create --use='\Cheese' x|create: '\\Cheese' is no special use, such as \\Archive
work enable CHEESE|enable: no extension 'CHEESE' is known
work xatom select INBOX|xatom: select only by the command of that name, or by the configuration
work idle --seconds=0 INBOX|--seconds needs a number above 0, not '0'
work - noop|with '-' everything else stands in the script
help cheese|there is no help on 'cheese'
EOF
echo >"$tmp/empty.ini"
expect 2 "mailcask: the configuration has no [job NAME] (see 'mailcask help backup')" -c "$tmp/empty.ini" backup
expect 2 "" # shows help
grep -q '^usage: mailcask' "$tmp/out" || { echo "no usage without arguments"; rc=1; }
for args in help 'help imap' 'imap help' 'imap help fetch' 'help backup' 'backup --help' 'backup -h' '-h' '--version' version '--json version' \
	'-c config.example.ini config check' 'config check --json -c config.example.ini'; do
	# shellcheck disable=SC2086 # a list of words
	expect 0 "" $args
	[ -s "$tmp/out" ] || { echo "mailcask $args: says nothing"; rc=1; }
done
expect 0 "" -q -c config.example.ini config check
[ ! -s "$tmp/out" ] || { echo "not quiet"; rc=1; }

# What cannot be written is not success.
"$program" version >/dev/full 2>"$tmp/err"
[ $? -eq 1 ] || { echo "output to a full disk counts as success"; rc=1; }
# What failed before the end is not explained by whatever went wrong last.
printf 'From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\nx\n' >"$tmp/m.mbox"
"$program" -q import --create=git "$tmp/m.mbox" "$tmp/imported"
"$program" export "$tmp/imported" - >/dev/full 2>"$tmp/err"
[ $? -eq 1 ] || { echo "mail to a full disk counts as success"; rc=1; }
grep -q 'not all of it was written$' "$tmp/err" || { echo "another error is told: $(cat "$tmp/err")"; rc=1; }
# A server that is down: temporary, told for each job; nothing is made.
printf '%s\n' '[account a]' 'host = 127.0.0.1' 'port = 1' 'tls = none' 'user = u' 'password = p' \
	'[store s]' 'type = maildir' "path = $tmp/mail" \
	'[job one]' 'kind = backup' 'from = a' 'to = s' \
	'[job two]' 'kind = backup' 'from = a' 'to = s' >"$tmp/down.ini"
chmod 600 "$tmp/down.ini"
"$program" -c "$tmp/down.ini" backup >"$tmp/out" 2>"$tmp/err"
[ $? -eq 75 ] || { echo "a server that is down is not temporary: $(cat "$tmp/err")"; rc=1; }
[ "$(grep -c '^mailcask: one: ' "$tmp/err")" = 1 ] && [ "$(grep -c '^mailcask: two: ' "$tmp/err")" = 1 ] ||
	{ echo "not every job was told of: $(cat "$tmp/err")"; rc=1; }
[ ! -e "$tmp/mail" ] || { echo "a store was made though the server is down"; rc=1; }
"$program" --json -c "$tmp/down.ini" backup one >"$tmp/out" 2>/dev/null
grep -q '^{"event":"summary","job":"one".*"exit":75' "$tmp/out" || { echo "no summary event"; rc=1; }
exit $rc
