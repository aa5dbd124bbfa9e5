# Reads `strace -y -s 200000` of a backup, and ends with an error unless, for every message:
# its bytes and its name in tmp were made durable, then the index that records it, and only then
# it was renamed into cur. Files in tmp are known by their last component; a large one gets its final name
# when its size is known.
function last(path) {
	sub(/>.*/, "", path)
	sub(/.*\//, "", path)
	return path
}

function fail(text) {
	print "line " NR ": " text
	failed = 1
	exit 1
}

# A new file in tmp, or more bytes in one: not durable.
/^openat\(.*O_CREAT.* = [0-9]+<.*\/tmp\/[^\/>]*>/ {
	sub(/.* = [0-9]+</, "")
	name = last($0)
	made[name] = 1
	durable[name] = 0
	entry[name] = 0
	next
}
/^(write|writev|pwrite64)\([0-9]+<[^>]*\/tmp\/[^\/>]*>/ { durable[last($0)] = 0; next }

/^syncfs\(.* = 0/ {
	for (name in made)
		durable[name] = entry[name] = 1
	next
}
/^(fsync|fdatasync)\([0-9]+<[^>]*\/tmp\/[^\/>]*>\) += 0/ { durable[last($0)] = 1; next }
/^fsync\([0-9]+<[^>]*\/tmp>\) += 0/ {
	for (name in made)
		entry[name] = 1
	next
}

# The index: what it was told of, and when that became durable.
/^(write|pwrite64)\([0-9]+<[^>]*mailcask\.db[^>]*>/ {
	for (name in made)
		if (!(name in told) && index($0, name))
			told[name] = 1
	next
}
/^(fsync|fdatasync)\([0-9]+<[^>]*mailcask\.db[^>]*>\) += 0/ {
	for (name in told) {
		if (!durable[name] || !entry[name])
			fail(name " is recorded before it is durable")
		recorded[name] = 1
	}
	next
}

/^renameat2?\([0-9]+<[^>]*\/tmp>, ".*", [0-9]+<[^>]*\/tmp>, ".*\) = 0/ {
	split($0, part, "\"")
	if (!(part[2] in made))
		next
	made[part[4]] = 1
	durable[part[4]] = durable[part[2]]
	entry[part[4]] = 0
	delete made[part[2]]
	next
}
/^renameat2?\([0-9]+<[^>]*\/tmp>, ".*\) = 0/ {
	split($0, part, "\"")
	if (!(part[2] in made))
		next
	if (!recorded[part[2]])
		fail(part[2] " is renamed into cur before it is recorded")
	placed++
}

END {
	if (!failed && placed < 1)
		fail("no message was seen on its way")
	if (!failed)
		print placed " messages in order"
}
