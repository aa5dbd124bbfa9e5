#!/bin/sh
# Install what a fresh Debian 12 lacks to build, test and demonstrate mailcask.
# Does nothing, and needs no root, when all of it is there.
set -eu
build="gcc libc6-dev libssl-dev libsqlite3-dev libinih-dev libgsasl-dev libjansson-dev libcsv-dev zlib1g-dev libgit2-dev libisal-dev"
# The rest is for tests and the demo: a server, other readers of mail, certificates, tracing.
tests="libcmocka-dev dovecot-core dovecot-imapd openssl mutt strace e2fsprogs mount procps git ca-certificates python3"
# To look into mail: GMime, and what knows where its headers are.
build="$build libgmime-3.0-dev pkg-config"
missing=
for p in $build $tests; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing packages:$missing" >&2
	echo "run this as root: apt-get install$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing
