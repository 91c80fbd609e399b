#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What watching costs: the same three loads between two namespaces (short TCP connections, 64-byte datagrams, bulk TCP),
# each watched in turn by nobody, by weir (all its roles), by tcpdump that throws away, and by softflowd. CPU seconds of
# the watcher, packets that crossed, and what each says it lost. No test: the figures are this machine's, at this hour.
#
#	make check TESTS= && top_builddir=$PWD tests/bench/live.sh [SECONDS]
. "${top_srcdir:-$(dirname "$0")/../..}/tests/docker/lib.sh"
top_builddir=${top_builddir:-.}
WEIR=${WEIR:-$top_builddir/weir}
load=$top_builddir/tests/bench/load
span=${1:-5}
[ -x "$load" ] || lab_skip "needs $load: make check TESTS="
command -v jq >/dev/null || lab_skip "needs jq: apt-get install jq"
lab_begin_netns bench
chmod 755 "$LAB_DIR"
lab_in ip link add br0 type bridge mcast_snooping 0
lab_in ip link set br0 up
lab_in sh -c 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables' 2>/dev/null # no packet filter, just the bridge
i=2
for side in a b; do
	lab_netns "$LAB_NS-$side"
	lab_in ip link add v$side type veth peer name eth0 netns "$LAB_NS-$side"
	lab_in ip link set v$side master br0 up
	ip -n "$LAB_NS-$side" addr add 10.94.0.$i/24 dev eth0
	ip -n "$LAB_NS-$side" link set eth0 up
	i=$((i + 1))
done
in_a() { nsenter --net="/run/netns/$LAB_NS-a" "$@"; }
for what in "serve 7000" "sink 7001"; do
	# shellcheck disable=SC2086
	nsenter --net="/run/netns/$LAB_NS-b" "$load" $what &
	LAB_PIDS="$LAB_PIDS $!"
done
carries() { in_a "$load" once 10.94.0.3 7000 10 10.94.0.2; }
lab_poll 10 carries || lab_skip "the bridge does not carry"
frames() { lab_in cat /proc/net/dev | awk '/ va:| vb:/ { n += $3 } END { print n }'; }

# CPU time in seconds, user and system, of a process and all that descend from it, also of children that have ended.
cpu_of() {
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" -v hz="$(getconf CLK_TCK)" '
		{ sub(/ \(.*\) /, " "); up[$1] = $3; used[$1] = $13 + $14 + ($1 == root ? $15 + $16 : 0) }
		END { for (n in used) { for (a = n; a in up && a != root; a = up[a]); if (a == root) sum += used[n] }
			printf "%.2f", sum / hz }'
}

watch_none() { :; }
watch_weir() {
	rm -rf "$LAB_DIR/state"
	printf 'runtime_sockets: []\n' >"$LAB_DIR/weir.yaml"
	lab_spawn "$LAB_DIR/watcher.log" "$WEIR" run -c "$LAB_DIR/weir.yaml" --state "$LAB_DIR/state"
	lab_poll 15 weir_watches
}
weir_watches() {
	"$WEIR" status --state "$LAB_DIR/state" -o json 2>/dev/null |
		jq -es 'length == 1 and (.[0] | [.interfaces[] | select(.attached)] | length == 1)' >/dev/null
}
watch_tcpdump() {
	lab_spawn "$LAB_DIR/watcher.log" tcpdump -i br0 -w /dev/null
	lab_poll 10 grep -q listening "$LAB_DIR/watcher.log"
}
watch_softflowd() {
	lab_spawn "$LAB_DIR/watcher.log" softflowd -d -i br0 -n 127.0.0.1:9 -p "$LAB_DIR/pid" -c "$LAB_DIR/ctl"
	lab_poll 10 test -e "$LAB_DIR/pid" || sleep 1
}
lost_tcpdump() { sed -n 's/ packets* dropped by kernel//p' "$LAB_DIR/watcher.log" | tail -n 1; }
lost_softflowd() { echo -; }

case_of() { # watcher, load: prints CPU seconds, packets, lost
	watcher=$1 kind=$2 port=7000 lost=-
	[ "$kind" = bulk ] && port=7001
	LAB_PID=''
	"watch_$watcher"
	pid=$LAB_PID
	before=$(frames)
	base=${pid:+$(cpu_of "$pid")}
	in_a "$load" "$kind" 10.94.0.3 $port "$span" >/dev/null
	sleep 1 # what is under way
	used=${pid:+$(cpu_of "$pid")}
	crossed=$(($(frames) - before))
	if [ -n "$pid" ]; then
		kill "$pid"
		lab_poll 10 lab_gone "$pid"
		lost=$(case $watcher in weir) "$WEIR" status --state "$LAB_DIR/state" -o json 2>/dev/null | jq .coverage.lost ;; *) "lost_$watcher" ;; esac)
	fi
	awk -v w="$watcher" -v k="$kind" -v a="${base:-0}" -v b="${used:-0}" -v n="$crossed" -v lost="$lost" -v s="$span" 'BEGIN {
		printf "%-6s %-10s %7.2f %12d %10.0f %12.2f %9s\n", k, w, b - a, n, n / s, n ? (b - a) * 1e6 / n : 0, lost }'
}

printf '%-6s %-10s %7s %12s %10s %12s %9s\n' load watcher "CPU s" packets packets/s "us a packet" lost
for kind in tcp udp bulk; do
	for watcher in none weir tcpdump softflowd; do
		case $watcher in tcpdump | softflowd) command -v $watcher >/dev/null || continue ;; esac
		case_of $watcher $kind | tee -a "$LAB_DIR/table"
	done
done
echo
awk '{ per[$1, $2] = $6; kinds[$1] = 1 } END {
	for (k in kinds) for (i = split("tcpdump softflowd", peer); i > 0; i--) if (per[k, peer[i]] > 0)
		printf "%s: weir costs %.2f x %s for each packet\n", k, per[k, "weir"] / per[k, peer[i]], peer[i] }' "$LAB_DIR/table"
