#!/bin/sh
# What the program says of itself (help, from its tables) against the manual, the README, the
# completion and the example: every command, option, key and exit code is in each, and no other.
set -u
cd "${TOP:-.}" || exit 1
program=${B:-build}/mailcask
man=cmd/share/mailcask.1
bash=cmd/share/mailcask.bash
rc=0

fail() {
	echo "$*"
	rc=1
}

# same WHAT "LIST" "LIST": two lists of lines, equal as sets
same() {
	a=$(printf '%s\n' "$2" | sort -u)
	b=$(printf '%s\n' "$3" | sort -u)
	[ "$a" = "$b" ] || fail "$1 differ:" "$(printf '\nprogram:\n%s\nthere:\n%s' "$a" "$b")"
	[ -n "$a" ] || fail "$1: nothing to compare"
}

# The headings (.TP and the line after it) within a .SH section of the manual, fonts taken out.
heads() {
	awk -v want="$1" '/^\.S[HS] / { on = $0 ~ "^.S[HS] " want "$" } on && tp { print } { tp = /^\.TP/ }' "$man" |
		sed 's/^\.[A-Z]* *//; s/"//g; s/\\f.//g; s/\\-/-/g; s/\\e/\\/g'
}

help=$("$program" help) || fail "help does not work"
commands=$(printf '%s\n' "$help" | sed -n '/^commands:/,/^$/s/^  \([a-z-]\{1,\}\( [a-z]\{1,\}\)\{0,1\}\)  .*/\1/p')
global=$(printf '%s\n' "$help" | sed -n 's/^  *\(-.,\)\{0,1\} *--\([a-z-]*\).*/\2/p')

# Commands.
same "commands of $man" "$commands" "$(heads COMMANDS | grep -v '^ *-' | sed 's/ *\[.*//; s/ *$//' | grep '^[a-z]')"
same "commands of README.md" "$commands" \
	"$(sed -n '/^| command /,/^$/s/^| `mailcask \([a-z-]*\( check\)\{0,1\}\).*/\1/p' README.md)"
same "commands of $bash" "$(printf '%s\n' "$commands" | sed 's/ .*//')" \
	"$(sed -n 's/^\t"") COMPREPLY=($(compgen -W "\(.*\) \$global".*/\1/p' "$bash" | tr ' ' '\n')"

# Options.
own=
for c in $(printf '%s\n' "$commands" | tr ' ' '_'); do
	text=$("$program" help $(echo "$c" | tr '_' ' ')) || fail "help $c does not work"
	options=$(printf '%s\n' "$text" | sed -n '/^options:/,/^$/s/^  *\(-.,\)\{0,1\} *--\([a-z-]*\).*/\2/p')
	own="$own
$options"
	case $c in backup | migrate | plan | restore | snapshots | show | find | diff | stats | export | import | check | compact | forget | prune-server | status | quarantine | imap) ;; *) continue ;; esac
	in_bash=$(sed -n "/^	$c)/,/;;/p" "$bash" | grep -o -- '--[a-z-]*' | sed 's/^--//')
	same "options of $c in $bash" "$options" "$in_bash"
done
own=$(printf '%s\n' "$own" | sed '/^$/d')
same "options of commands in $man" "$own" "$(heads COMMANDS | grep -o -- '--[a-z-]*' | sed 's/^--//')"
same "options of every command in $man" "$global" "$(heads OPTIONS | grep -o -- '--[a-z-]*' | sed 's/^--//')"
same "options of every command in $bash" "$global" \
	"$(sed -n 's/.*global="\(.*\)"/\1/p' "$bash" | tr ' ' '\n' | sed 's/^--//')"

# What `imap` takes, each with the example the program gives.
imap=$("$program" help imap | sed -n '/^IMAP commands/,/^$/s/^  \([a-z]*\)  .*/\1/p')
same "IMAP commands of $man" "$imap" "$(heads 'IMAP COMMANDS' | sed 's/ .*//')"
same "IMAP commands of $bash" "$imap" \
	"$(sed -n '/imap_commands="/,/"$/p' "$bash" | sed 's/.*="//; s/["\\]//g' | tr -s '\t ' '\n' | sed '/^$/d')"
plain=$(sed "s/\\\\f.//g; s/\\\\-/-/g; s/\\\\e/\\\\/g; s/\\\\(aq/'/g; s/^\.B //" "$man")
for c in $imap; do
	example=$("$program" imap help "$c" | sed -n 's/^  //p')
	[ -n "$example" ] || fail "imap help $c: no example"
	printf '%s\n' "$plain" | grep -qxF -- "$example" || fail "$man lacks: $example"
done

# Criteria of `find`; --search has them, but for `text`.
same "criteria of $man" \
	"$("$program" help find | sed -n '/^criteria (/,/^A word/s/^  \([a-z-]*\) .*/\1/p')" \
	"$(heads 'SEARCH CRITERIA' | sed 's/ .*//')"

# Keys.
keys=$("$program" help config) || fail "help config does not work"
for section in account store job; do
	have=$(printf '%s\n' "$keys" | sed -n "/^\[$section NAME\]/,/^\$/s/^  \([a-z_]*\) .*/\1/p")
	same "keys of [$section NAME] in $man" "$have" "$(heads "\\\\[$section NAME\\\\]" | tr -d ' ')"
	same "keys of [$section NAME] in config.example.ini" "$have" \
		"$(sed -n "/^\[$section /,/^\[/s/^#\{0,1\}\([a-z_]*\) = .*/\1/p" config.example.ini)"
done

# Exit codes.
codes=$("$program" help exit-codes | sed -n 's/^ *\([0-9]\{1,\}\)  .*/\1/p')
same "exit codes of $man" "$codes" "$(heads 'EXIT CODES')"
same "exit codes of README.md" "$codes" "$(sed -n '/^| exit /,/^$/s/^| \([0-9]\{1,\}\) .*/\1/p' README.md)"

# The example in README.md and the one in the manual are sound.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
sed -n '/^```ini/,/^```/{/^```/d;p;}' README.md >"$tmp/readme.ini"
sed -n '/^\.SH EXAMPLES/,/^\.fi/{/^\./d;p;}' "$man" >"$tmp/man.ini"
for f in readme man; do
	"$program" --config "$tmp/$f.ini" config check >"$tmp/out" 2>&1 && grep -q '^nightly: backup' "$tmp/out" ||
		fail "the example of $f: $(cat "$tmp/out")"
done
# So is the domain in README.md, with its accounts.
domain=$(sed -n '/^## Whole domains/,/^## Backing/p' README.md)
printf '%s\n' "$domain" | awk '/^```/ { n++; next } n == 1' >"$tmp/domain.ini"
printf '%s\n' "$domain" | awk '/^```/ { n++; next } n == 3' >"$tmp/users.csv"
chmod 600 "$tmp/users.csv"
"$program" --config "$tmp/domain.ini" --json config check >"$tmp/out" 2>&1 && [ "$(wc -l <"$tmp/out")" -eq 4 ] ||
	fail "the domain of README.md: $(cat "$tmp/out")"
bash -n "$bash" || fail "$bash has errors"
exit $rc
