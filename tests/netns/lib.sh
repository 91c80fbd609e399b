# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A weir of its own in a network namespace that plays the host, with workloads (more namespaces) on bridges there. Everything of
# tests/docker/lib.sh but the engine, and:
#
#	lab_daemon name TOOL...         lab_begin_netns; $state, $log and a configuration with which weir asks no runtime
#	lab_bridge br0 10.0.0.1/24      a bridge of the "host", up
#	lab_workload a br0 10.0.0.2/24  namespace $LAB_NS-a with eth0 on that bridge ("-": on none); `va` is the other end
#	lab_inside a CMD...             a command in that workload
#	lab_serve a 80                  an echo server there that always listens; waits until it does
#	lab_echo a 10.0.0.3 80          whether a line from there comes back from that server
#	lab_refused a 10.0.0.3 80       whether a connection from there is refused, which is more than that it fails
#	lab_policy RULE a b...          $LAB_DIR/policy.yaml: b is at enforce and lets in what that inbound rule allows ("": nobody);
#	                                each workload named is a group
. "${top_srcdir:-.}/tests/docker/lib.sh"

lab_daemon() {
	lab_begin_netns "$1"
	shift
	lab_weir busybox "$@"
}

lab_bridge() {
	lab_in ip link add "$1" type bridge &&
		lab_in ip addr add "$2" dev "$1" &&
		lab_in ip link set "$1" up
}

lab_workload() {
	lab_netns "$LAB_NS-$1" || lab_skip "no network namespaces here"
	lab_in ip link add "v$1" type veth peer name eth0 netns "$LAB_NS-$1"
	[ "$2" = - ] || lab_in ip link set "v$1" master "$2"
	lab_in ip link set "v$1" up
	ip -n "$LAB_NS-$1" -b - <<-SET
		link set lo up
		addr add $3 dev eth0
		link set eth0 up
	SET
}

lab_inside() {
	# shellcheck disable=SC3043
	local lab_who=$1
	shift
	nsenter --net="/run/netns/$LAB_NS-$lab_who" "$@"
}

lab_serve() {
	nsenter --net="/run/netns/$LAB_NS-$1" busybox nc -ll -p "$2" -e cat >/dev/null 2>&1 </dev/null &
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 lab_listens "$1" "$2"
}
lab_listens() { lab_inside "$1" busybox netstat -ltn | grep -q ":$2 "; }

lab_echo() {
	echo hello | lab_inside "$1" timeout "${4:-20}" busybox nc "$2" "$3" 2>/dev/null | grep -q hello
}
lab_refused() {
	lab_inside "$1" timeout 20 busybox nc "$2" "$3" </dev/null 2>&1 | grep -q 'Connection refused'
}

lab_policy() {
	# shellcheck disable=SC3043
	local lab_rule=$1 lab_group
	shift
	{
		printf 'weir: 1\ngroups:\n'
		for lab_group; do printf '  %s: {name: %s}\n' "$lab_group" "$LAB_NS-$lab_group"; done
		printf 'policy:\n  b:\n    stage: enforce\n    inbound: [%s]\n    outbound: []\n' "$lab_rule"
	} >"$LAB_DIR/policy.yaml"
}
