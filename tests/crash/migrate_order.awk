# Reads `strace -y -s 200000` of a migration, and ends with an error unless a message goes out only after its intent is
# durable in the ledger, and the record of the run is written only after the ledger is.
function fail(text) {
	print "line " NR ": " text
	failed = 1
	exit 1
}

# Every Message-ID in the line into ids[]; how many.
function ids_of(line, n, at) {
	n = 0
	while ((at = match(line, /<[0-9A-Za-z._-]+@[0-9A-Za-z._-]+>/))) {
		ids[++n] = substr(line, RSTART, RLENGTH)
		line = substr(line, RSTART + RLENGTH)
	}
	return n
}

/^pwrite64\([0-9]+<[^>]*job\.db-wal>/ {
	dirty = 1
	n = ids_of($0)
	for (i = 1; i <= n; i++)
		written[ids[i]] = 1
	next
}
/^(fsync|fdatasync)\([0-9]+<[^>]*job\.db-wal>\) += 0/ {
	dirty = 0
	for (id in written)
		durable[id] = 1
	next
}

# A command may go out in pieces; a body does not begin with one.
/^(write|writev|sendto|sendmsg)\([0-9]+<(socket|TCP)/ {
	if (/ APPEND /)
		appending = 1
	if (!appending)
		next
	line = $0
	while ((at = match(line, /[Mm][Ee][Ss][Ss][Aa][Gg][Ee]-[Ii][Dd]: <[0-9A-Za-z._-]+@[0-9A-Za-z._-]+>/))) {
		id = substr(line, RSTART, RLENGTH)
		sub(/^[^<]*/, "", id)
		line = substr(line, RSTART + RLENGTH)
		if (!(id in durable))
			fail(id " is sent before its intent is durable")
		sent++
	}
	next
}

/^rename(at2?)?\(.*job\.run/ {
	if (dirty)
		fail("the record of the run is written before the ledger is durable")
	recorded++
}

END {
	if (!failed && sent < 30)
		fail("only " sent + 0 " messages were seen on their way")
	if (!failed && !recorded)
		fail("no record was written")
	if (!failed)
		print sent " messages in order"
}
