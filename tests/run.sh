#!/bin/sh
# Run every test program that `make check` built, JOBS (as many as there are processors) at a time, show
# each one's closing lines, and end with one line of totals. B: the build directory. A program that dies
# without totals counts as one failure.
set -u
B=${B:-build}
export B TOP="$PWD"
# The search for leaks crashes now and then on the thread-local memory of libraries that were loaded late
# (GMime is, by cmd/decode.c) when it keeps count of that; without, it finds the same leaks.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_stack_use_after_return=1:intercept_tls_get_addr=0"

sum() { # REGEX FILE: the sum of the numbers that its group finds
	sed -n "s/$1/\\1/p" "$2" | awk '{s+=$1} END {print s+0}'
}

# Run one test and leave NUMBER.out and NUMBER.count (passed, failed, name) in $results.
one() { # NUMBER NAME COMMAND...
	out=$results/$1.out name=$2 count=$results/$1.count
	shift 2
	# A test that hangs is a failure with its output so far, not a run without end.
	timeout -k 10 "${TEST_TIMEOUT:-900}" "$@" >"$out" 2>&1 </dev/null
	rc=$?
	p=$(sum '^\[  PASSED  \] \([0-9]*\) test(s)\.$' "$out")
	f=$(sum '^\[  FAILED  \] \([0-9]*\) test(s), listed below:$' "$out")
	if [ $rc -ne 0 ] || [ "$f" -ne 0 ] || grep -q '^\[  SKIPPED \]' "$out"; then
		[ "$f" -gt 0 ] || f=1
		said=$(cat "$out")
	else
		[ "$p" -gt 0 ] || p=1
		said=$(grep -E '^\[ *(PASSED|FAILED|SKIPPED) *\]|^replayed' "$out")
	fi
	echo "$p $f $name" >"$count"
	printf '== %s\n%s\n' "$name" "$said" # one write, since others are printing, too
}
if [ "${1:-}" = --one ]; then
	shift
	one "$@"
	exit 0
fi

# The tests, one a line: NUMBER NAME COMMAND...
tests() {
	for c in tests/crash tests/live tests/unit tests/conformance tests/scripted tests/cases tests/relay; do
		for t in "$c"/test_*.c "$c"/test_*.sh; do
			[ -e "$t" ] || continue
			case $t in
			*.sh) echo "$t sh $t" ;;
			*) echo "${t%.c} $B/${t%.c}" ;;
			esac
		done
	done
	for t in tests/fuzz/fuzz_*.c; do
		[ -e "$t" ] || continue
		n=${t##*/fuzz_}
		n=${n%.c}
		echo "tests/fuzz/$n $B/tests/fuzz/replay_$n" tests/fuzz/corpus/"$n"/*
	done
}

results=$(mktemp -d) || exit 1
export results TEST_RESULTS="$results/all" # all that tests printed, for the checks at the end
trap 'rm -rf "$results"' EXIT

# The long ones first, so that no processor waits for the last.
tests | awk '{printf "%04d %s\n", NR, $0}' |
	xargs -P "${JOBS:-$(nproc)}" -L 1 sh "$0" --one
cat "$results"/*.out >"$TEST_RESULTS"
n=9000
for t in tests/check_*.sh; do
	n=$((n + 1))
	one $n "$t" sh "$t"
done
wanted=$(($(tests | wc -l) + n - 9000))
set -- "$results"/*.count
[ $# -eq $wanted ] || echo "only $# of $wanted tests came to an end"
bad=$(awk '$2 > 0 {printf " %s", $3}' "$@")
[ -z "$bad" ] || echo "failed:$bad"
awk -v lost=$((wanted - $#)) '{p += $1; f += $2} END {
	f += lost
	print p " passed, " f " failed"
	exit f > 0
}' "$@"
