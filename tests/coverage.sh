#!/bin/sh
# Line coverage by folder, and by file for the folders named as arguments, of what ran since the
# counters in the build directory B were cleared. Only a file's own object counts, not headers.
set -eu
B=${B:-build/cov}
export LC_ALL=C
find "$B"/tobj/core "$B"/tobj/backends "$B"/tobj/cmd -name '*.gcno' | sort |
	xargs gcov -n 2>/dev/null |
	awk -v shown=" $* " '
	/^File / { file = $2; gsub(/\047/, "", file); next }
	/^Lines executed/ && file ~ /\.c$/ {
		split($0, part, /[:% ]+/) # "Lines executed:97.50% of 40"
		n = part[5]
		hit = int(part[3] * n / 100 + 0.5)
		dir = file
		sub(/\/[^\/]*$/, "", dir)
		lines[dir] += n
		hits[dir] += hit
		if (index(shown, " " dir " "))
			printf "%6.2f %%  %5d lines  %s\n", part[3], n, file
		file = ""
	}
	END {
		for (dir in lines) {
			printf "%6.2f %%  %5d lines  %s\n", 100 * hits[dir] / lines[dir],
				lines[dir], dir | "sort -k4"
			all += lines[dir]
			hit_all += hits[dir]
		}
		close("sort -k4")
		if (all)
			printf "%6.2f %%  %5d lines  in all\n", 100 * hit_all / all, all
	}'
