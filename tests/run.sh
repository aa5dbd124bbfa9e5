#!/bin/sh
# Run every test program that `make check` built, show each one's closing lines, and end with one line
# of totals. B: the build directory. A program that dies without totals counts as one failure.
set -u
B=${B:-build}
export B TOP="$PWD"
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_stack_use_after_return=1"
passed=0 failed=0 bad=
out=$(mktemp) && TEST_RESULTS=$(mktemp) || exit 1
export TEST_RESULTS # all that tests printed, for the checks at the end
trap 'rm -f "$out" "$TEST_RESULTS"' EXIT

one() { # NAME COMMAND...
	name=$1
	shift
	echo "== $name"
	# A test that hangs is a failure with its output so far, not a run without end.
	timeout -k 10 "${TEST_TIMEOUT:-900}" "$@" >"$out" 2>&1 </dev/null
	rc=$?
	p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\.$/\1/p' "$out" | awk '{s+=$1} END {print s+0}')
	f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s), listed below:$/\1/p' "$out" | awk '{s+=$1} END {print s+0}')
	if [ $rc -ne 0 ] || [ "$f" -ne 0 ] || grep -q '^\[  SKIPPED \]' "$out"; then
		cat "$out"
		bad="$bad $name"
		[ "$f" -gt 0 ] || f=1
	else
		grep -E '^\[ *(PASSED|FAILED|SKIPPED) *\]|^replayed' "$out"
		[ "$p" -gt 0 ] || p=1
	fi
	cat "$out" >>"$TEST_RESULTS"
	passed=$((passed + p))
	failed=$((failed + f))
}

for c in tests/unit tests/conformance tests/scripted tests/cases tests/relay tests/live tests/crash; do
	for t in "$c"/test_*.c "$c"/test_*.sh; do
		[ -e "$t" ] || continue
		case $t in
		*.sh) one "$t" sh "$t" ;;
		*) one "${t%.c}" "$B/${t%.c}" ;;
		esac
	done
done
for t in tests/fuzz/fuzz_*.c; do
	[ -e "$t" ] || continue
	n=${t##*/fuzz_}
	n=${n%.c}
	one "tests/fuzz/$n" "$B/tests/fuzz/replay_$n" tests/fuzz/corpus/"$n"/*
done
for t in tests/check_*.sh; do
	[ -e "$t" ] && one "$t" sh "$t"
done
[ -z "$bad" ] || echo "failed:$bad"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
