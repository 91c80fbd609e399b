#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Live capture on a bridge between two namespaces, against the kernel's own counters: nothing is missed without being
# counted, not even when the ring is too small; several workers share a bridge without tearing a conversation apart; and an
# interface that vanishes gives up its last packets.
. "${top_srcdir:-.}/tests/docker/lib.sh"

bench=$PWD/tests/bench
[ -x "$bench/bench_capture" ] || bench=${top_builddir:-.}/tests/bench
lab_begin_netns cap
A=$LAB_NS-a
B=$LAB_NS-b
lab_netns "$A"
lab_netns "$B"
no_ipv6='for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done'
lab_in sh -c "$no_ipv6"
lab_in ip link add br0 type bridge mcast_snooping 0
lab_in ip link set br0 up
for side in a b; do
	lab_in ip link add v$side type veth peer name eth0 netns "$LAB_NS-$side"
	lab_in ip link set v$side master br0
	nsenter --net="/run/netns/$LAB_NS-$side" sh -c "$no_ipv6"
	ip -n "$LAB_NS-$side" link set eth0 up
	lab_in ip link set v$side up
done
ip -n "$A" addr add 10.81.0.1/24 dev eth0
ip -n "$B" addr add 10.81.0.2/24 dev eth0
for i in $(seq 10 40); do ip -n "$A" addr add 10.81.0.$i/24 dev eth0; done
in_a() { nsenter --net="/run/netns/$A" "$@"; }
in_b() { nsenter --net="/run/netns/$B" "$@"; }
carrier() { in_a sh -c 'read -r up </proc/net/arp; ip route get 10.81.0.2 >/dev/null' && lab_in ip link show va | grep -q LOWER_UP; }
lab_poll 10 carrier
# Nobody asks who has an address any more: not a frame crosses but for the loads.
mac_of() { ip -n "$LAB_NS-$1" -o link show eth0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'; }
for i in 1 $(seq 10 40); do ip -n "$B" neigh replace 10.81.0.$i lladdr "$(mac_of a)" dev eth0; done
ip -n "$A" neigh replace 10.81.0.2 lladdr "$(mac_of b)" dev eth0

nsenter --net="/run/netns/$B" "$bench/load" serve 7000 & # not through a function: the process itself is to be ended
LAB_PIDS="$LAB_PIDS $!"
listening() { in_b cat /proc/net/tcp | grep -q ':1B58 .* 0A '; }
lab_poll 10 listening

# Frames that came into the bridge from its ports: what a capture of the bridge should see.
frames() { lab_in cat /proc/net/dev | awk '/ va:| vb:/ { n += $3 } END { print n }'; }

# The same, once nothing crosses any more: the last FINs take the time they take.
quiet() { last=$now_frames; now_frames=$(frames); [ "$last" = "$now_frames" ]; }
still() {
	now_frames=-1
	lab_poll 5 quiet
	sleep 0.3
	lab_poll 5 quiet
	echo "$now_frames"
}

# capture NAME OPTIONS...: watches br0 until capture_end; its flows in NAME.flows, its summary in NAME.sum
capture() {
	name=$1
	shift
	: >"$LAB_DIR/$name.sum"
	nsenter --net="/run/netns/$LAB_NS" "$bench/bench_capture" -f -l 60 "$@" br0 >"$LAB_DIR/$name.flows" 2>"$LAB_DIR/$name.sum" &
	eval "pid_$name=$!"
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 grep -q watching "$LAB_DIR/$name.sum"
}
capture_end() {
	eval "pid=\$pid_$1"
	# shellcheck disable=SC2154
	kill "$pid" && wait "$pid"
}
field() { sed -n "s/.*\b$2 \([0-9]*\).*/\1/p" "$LAB_DIR/$1.sum" | head -1; }
# Packets in the flows and in neither: together they are what crossed the bridge.
balanced() { # name, frames
	got=$(field "$1" packets)
	lost=$(field "$1" lost_by_kernel)
	in_flows=$(awk -F '\t' '{ n += $9 + $11 } END { print n + 0 }' "$LAB_DIR/$1.flows")
	other=$(sed -n 's/.*not IP \([0-9]*\) .*/\1/p' "$LAB_DIR/$1.sum")
	echo "# crossed $2, taken in $got, lost and counted $lost, in flows $in_flows, not IP $other"
	[ $((got + lost)) -eq "$2" ] && [ $((in_flows + other)) -eq "$got" ]
}
lossless() { [ "$(field "$1" lost_by_kernel)" -eq 0 ]; }

# A machine that is busy with other things may not give the reader its turn before the ring is full: then what was lost is
# counted, and it is tried again. What is never to be had would not be had the fifth time either.
for n in 1 2 3 4 5; do
	before=$(still)
	capture tcp
	in_a "$bench/load" tcp 10.81.0.2 7000 2 2 >"$LAB_DIR/n"
	after=$(still)
	capture_end tcp
	lab_check "short connections: every packet is in a flow, or counted as lost" balanced tcp $((after - before))
	lossless tcp && break
done
lab_check "short connections: the default ring loses nothing" lossless tcp
answered() { # every connection that the client finished is one flow with a known client
	n=$(awk -F '\t' '$1 == 6 && $13 == "syn" && $5 == 7000 && $11 > 0' "$LAB_DIR/tcp.flows" | wc -l)
	echo "# $(cat "$LAB_DIR/n") connections, $n flows"
	[ "$n" -ge "$(cat "$LAB_DIR/n")" ] && [ "$n" -le $(($(cat "$LAB_DIR/n") + 4)) ]
}
lab_check "short connections: one flow each, and who began it" answered

# A flood while the reader is held up: the ring overflows, and says by how much.
before=$(still)
capture tiny -r 1048576
eval "kill -STOP \$pid_tiny"
in_a "$bench/load" udp 10.81.0.2 7000 1 >/dev/null
eval "kill -CONT \$pid_tiny"
after=$(still)
capture_end tiny
lab_check "overflow: taken in and counted as lost make the whole" balanced tiny $((after - before))
overflowed() { [ "$(field tiny lost_by_kernel)" -gt 0 ]; }
lab_check "overflow: it did overflow" overflowed

# Two workers, 31 clients with fragmented datagrams and connections.
before=$(still)
capture one -w 0/2
capture two -w 1/2
sources=$(for i in $(seq 10 40); do echo 10.81.0.$i; done)
# shellcheck disable=SC2086
in_a "$bench/load" once 10.81.0.2 7000 5000 $sources || echo "# load failed"
after=$(still)
capture_end one
capture_end two
shared() {
	n=$(($(field one packets) + $(field two packets)))
	echo "# crossed $((after - before)), worker 1 $(field one packets), worker 2 $(field two packets)"
	[ $n -eq $((after - before)) ] && [ "$(field one packets)" -gt 0 ] && [ "$(field two packets)" -gt 0 ]
}
lab_check "two workers: every packet at one of them" shared
whole() {
	cut -f 1-5 "$LAB_DIR/one.flows" "$LAB_DIR/two.flows" | sort | uniq -d >"$LAB_DIR/torn"
	half=$(cat "$LAB_DIR/one.flows" "$LAB_DIR/two.flows" | awk -F '\t' '$1 == 6 && ($9 == 0 || $11 == 0)' | wc -l)
	ports=$(cat "$LAB_DIR/one.flows" "$LAB_DIR/two.flows" | awk -F '\t' '$1 == 17 && $5 != 7000' | wc -l)
	frags=$(cat "$LAB_DIR/one.flows" "$LAB_DIR/two.flows" | awk -F '\t' '$1 == 17 && $9 == 4' | wc -l)
	echo "# torn $(wc -l <"$LAB_DIR/torn"), half $half, fragments without a flow $ports, whole datagrams $frags"
	[ ! -s "$LAB_DIR/torn" ] && [ "$half" -eq 0 ] && [ "$ports" -eq 0 ] && [ "$frags" -eq 31 ]
}
lab_check "two workers: no conversation is torn, fragments lie with their flow" whole

# A veth of its own that is gone right behind its last packet.
vanish() {
	seen=0
	for i in 1 2 3 4 5 6 7 8 9 10; do
		lab_netns "$LAB_NS-v$i" && lab_in ip link add vv type veth peer name eth0 netns "$LAB_NS-v$i"
		lab_in ip addr add 10.82.0.1/24 dev vv && lab_in ip link set vv up
		ip -n "$LAB_NS-v$i" addr add 10.82.0.2/24 dev eth0 && ip -n "$LAB_NS-v$i" link set eth0 up
		# Known beforehand, or the datagram waits for an answer to ARP while the interface goes.
		mac=$(lab_in ip -o link show vv | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')
		ip -n "$LAB_NS-v$i" neigh add 10.82.0.1 lladdr "$mac" dev eth0
		: >"$LAB_DIR/v.sum"
		nsenter --net="/run/netns/$LAB_NS" "$bench/bench_capture" -f -l 20 vv >"$LAB_DIR/v.flows" 2>"$LAB_DIR/v.sum" &
		pid=$!
		lab_poll 10 grep -q watching "$LAB_DIR/v.sum"
		nsenter --net="/run/netns/$LAB_NS-v$i" "$bench/load" once 10.82.0.1 $((9000 + i)) 100
		lab_in ip link del vv
		wait $pid
		grep -q "has gone" "$LAB_DIR/v.sum" && awk -F '\t' -v p=$((9000 + i)) '$1 == 17 && $5 == p { f = 1 } END { exit !f }' \
			"$LAB_DIR/v.flows" && seen=$((seen + 1))
	done
	echo "# last packets seen of 10 interfaces: $seen"
	[ $seen -eq 10 ]
}
lab_check "an interface that vanishes gives up its last packet" vanish
lab_end
