# shellcheck shell=bash
# Packages by their Debian and Ubuntu names, and how to install them without starting anything: a server that the lab wants as
# a program (docker.io, nginx, redis) must not become a service of this host. Sourced by quickstart and runtests.

packages_build="gcc make autoconf automake pkg-config libc6-dev libpcap-dev libndpi-dev liblmdb-dev libmnl-dev libnftnl-dev \
libyaml-dev libjansson-dev libcurl4-openssl-dev libcap-dev libseccomp-dev"
packages_lab="iproute2 procps curl ca-certificates openssl nginx-light redis-server redis-tools python3-minimal \
libpython3-stdlib dnsmasq-base netcat-openbsd busybox-static nftables iptables"
packages_docker="docker.io"
packages_test="git jq python3 conntrack tcpdump mandoc xz-utils time util-linux"

package_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# packages_missing NAME...: prints those that are not installed.
packages_missing() {
	local p
	for p in "$@"; do package_installed "$p" || printf '%s ' "$p"; done
}

# packages_install LOG NAME...: installs what is missing; services stay stopped and disabled. 0 also when all was there.
packages_install() {
	local log=$1 missing p made=
	shift
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || { echo "this needs apt-get (Debian or Ubuntu); missing: $missing" >&2; return 1; }
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		# The packaging system's own switch: 101 means "do not start services" (invoke-rc.d(8)).
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && made=1
	fi
	# shellcheck disable=SC2086
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } \
		>>"$log" 2>&1 </dev/null
	p=$?
	[ -z "$made" ] || rm -f /usr/sbin/policy-rc.d
	if [ -d /run/systemd/system ]; then
		for s in docker.io:docker.socket docker.io:docker.service docker.io:containerd.service nginx-light:nginx.service \
			redis-server:redis-server.service; do
			case " $missing " in *" ${s%%:*} "*) systemctl disable --now "${s#*:}" >>"$log" 2>&1 ;; esac
		done
	fi
	if [ $p -ne 0 ]; then
		echo "installing failed: $missing" >&2
		tail -n 5 "$log" | sed 's/^/    /' >&2
		return 1
	fi
}

# build_weir SOURCE BUILD LOG TARGET [CONFIGURE OPTION...]: out-of-tree build, idempotent.
build_weir() {
	local src=$1 build=$2 log=$3 target=$4
	shift 4
	[ -x "$src/configure" ] && [ "$src/configure" -nt "$src/configure.ac" ] && [ -e "$src/Makefile.in" ] ||
		(cd "$src" && autoreconf -fi) >>"$log" 2>&1 || return 1
	mkdir -p "$build" || return 1
	if [ ! -e "$build/config.status" ] || [ "$(cat "$build/.options" 2>/dev/null)" != "$*" ]; then
		(cd "$build" && "$src/configure" "$@") >>"$log" 2>&1 || return 1
		printf '%s' "$*" >"$build/.options"
	fi
	make -C "$build" -j"$(nproc)" "$target" >>"$log" 2>&1
}
