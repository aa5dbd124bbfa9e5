#!/bin/sh
# The dependency rule: core/base <- core/mail, core/msgset <- core/imap, core/sync <- backends <- cmd.
# core/sync knows stores only through store.h: it includes nothing from core/imap or backends.
set -u
cd "${TOP:-.}" || exit 1
rc=0

may() { # FOLDER ALLOWED-REGEX
	bad=$(grep -rnE '^#include "' "$1" --include='*.[ch]' | grep -vE "#include \"($2)/")
	[ -z "$bad" ] || { echo "$1 includes what it must not know:"; echo "$bad"; rc=1; }
}

may core/base 'core/base'
may core/mail 'core/(base|mail)'
may core/msgset 'core/(base|msgset)'
may core/imap 'core/(base|mail|msgset|imap)'
may core/sync 'core/(base|mail|msgset|sync)'
for b in backends/*/; do
	may "${b%/}" "core/[a-z]+|${b%/}"
done
may cmd 'core/[a-z]+|backends/[a-z]+|cmd'
# Only cmd/ talks to people.
bad=$(grep -rnE '\b(printf|puts|putchar|perror)\(|fprintf\((stdout|stderr)' core backends --include='*.c' |
	grep -vE 'core/base/(mem|crash)\.c')
[ -z "$bad" ] || { echo "prints outside cmd/:"; echo "$bad"; rc=1; }
exit $rc
