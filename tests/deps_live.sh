#!/bin/sh
# Put Courier-IMAP and Cyrus into $B/live for `make check-peers`. As packages they conflict with
# dovecot-imapd (and with each other), so those two are unpacked there instead of installed; what
# they need besides is installed. Does nothing, and needs no root, when all of it is there.
set -eu
live=${B:-build}/live
needed="openssl courier-base courier-authlib-userdb cyrus-common libsasl2-modules sasl2-bin msmtp-mta"
missing=
for p in $needed; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages:$missing" >&2
		echo "run this as root: apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	# shellcheck disable=SC2086 # a list of words; msmtp-mta is there so that no mail server comes along
	apt-get install -y -q --no-install-recommends $missing
fi
unpack() { # PACKAGE DIRECTORY PROGRAM
	[ ! -x "$live/$2/$3" ] || return 0
	mkdir -p "$live/deb"
	(cd "$live/deb" && apt-get -o APT::Sandbox::User=root download -q "$1")
	rm -rf "${live:?}/$2"
	dpkg-deb -x "$live/deb/$1"_*.deb "$live/$2"
}
unpack courier-imap courier usr/bin/imapd
unpack cyrus-imapd cyrus usr/lib/cyrus/bin/imapd
