#!/bin/sh
# The tables of servers and of commands in core/imap/README.md: no empty cell, every function is
# declared in a header there, every test is defined in the file named and is on its list of tests. With
# TEST_RESULTS, a file with the output of test programs, every test must have passed in it, too, but
# those of tests/peers, which `make check` does not run.
set -u
cd "${TOP:-.}" || exit 1
readme=${1:-core/imap/README.md}
rc=0

wrong() {
	echo "$readme: $*"
	rc=1
}

check_function() { # NAME
	grep -qE "\b$1\(" core/imap/*.h || wrong "no header declares $1()"
}

check_test() { # PATH:NAME
	file=tests/${1%%:*} name=${1#*:}
	if [ "$name" = "$1" ] || [ ! -e "$file" ]; then
		wrong "no such test: $1"
	elif ! grep -qE "^static void $name\(void \*\*state\)|^PROFILE\(${name#test_}," "$file"; then
		wrong "$file does not define $name"
	elif [ "$(grep -cE "\b(test_)?${name#test_}\b" "$file")" -lt 2 ]; then
		wrong "$file never runs $name"
	elif [ -n "${TEST_RESULTS:-}" ] && [ "${1#peers/}" = "$1" ] && ! grep -q "^\[       OK \] $name$" "$TEST_RESULTS"; then
		wrong "$name has not passed"
	fi
}

rows=$(sed -n '/^| server |/,/^$/p' "$readme" | sed 1,2d)
[ "$(printf '%s\n' "$rows" | grep -c '^|')" -ge 20 ] || wrong "the table of servers is not there, or cut"
while IFS='|' read -r _ server different follows tests rest; do
	for cell in "$server" "$different" "$follows" "$tests"; do
		[ -n "$(printf %s "$cell" | tr -d ' ')" ] || wrong "empty cell: $server $different"
	done
	[ -z "$rest" ] || wrong "too many cells: $server $different"
	for test in $tests; do check_test "$test"; done
done <<END
$rows
END

rows=$(sed -n '/^| command or extension |/,/^$/p' "$readme" | sed 1,2d)
[ "$(printf '%s\n' "$rows" | grep -c '^|')" -ge 35 ] || wrong "the table is not there, or cut"
while IFS='|' read -r _ command defined functions live scripted rest; do
	for cell in "$command" "$defined" "$functions" "$live" "$scripted"; do
		[ -n "$(printf %s "$cell" | tr -d ' ')" ] || wrong "empty cell: $command"
	done
	[ -z "$rest" ] || wrong "too many cells: $command"
	for name in $functions; do check_function "$name"; done
	for test in $live; do
		case $test in live/* | peers/*) ;; *) wrong "not a live test: $test" ;; esac
		check_test "$test"
	done
	for test in $scripted; do check_test "$test"; done
done <<END
$rows
END
exit $rc
