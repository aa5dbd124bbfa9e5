# Reads `strace -y -s 200000` of a prune-server, and ends with an error unless, before a message is marked or removed
# at the server, it is durable which ones will be (JOB.run), and after that, that the store keeps them.
function fail(text) {
	print "line " NR ": " text
	failed = 1
	exit 1
}

/^rename(at2?)?\(.*job\.run"/ { noted = 1; noted_durable = kept = kept_durable = 0; next }
/^fsync\([0-9]+<[^>]*state\/mailcask>\) += 0/ { noted_durable = noted; next }

# git: the ref; Maildir: the index.
/^rename(at2?)?\(.*refs\/heads\/main"/ { kept = noted_durable; next }
/^fsync\([0-9]+<[^>]*refs\/heads>\) += 0/ { kept_durable = kept; next }
/^pwrite64\([0-9]+<[^>]*mailcask\.db-wal>/ { kept = noted_durable; kept_durable = 0; next }
/^(fsync|fdatasync)\([0-9]+<[^>]*mailcask\.db-wal>\) += 0/ { kept_durable = kept; next }

/^(write|writev|sendto|sendmsg)\([0-9]+<(socket|TCP).* UID (STORE|EXPUNGE) / {
	if (!noted_durable)
		fail("it is not durable yet which messages go")
	if (!kept_durable)
		fail("it is not durable yet that they are kept")
	told++
}

END {
	if (!failed && told < 2)
		fail("only " told + 0 " commands were seen that remove messages")
	if (!failed)
		print told " commands in order"
}
