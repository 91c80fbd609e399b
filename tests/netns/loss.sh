#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Loss is data, through the whole daemon. Under three loads (short connections, a flood of small datagrams, bulk) what
# the interfaces counted is what was received and what the ledger says was lost; short connections are stored one by one.
# Two workers never tear a conversation apart. A ring that is too small loses, and every answer over that time says how
# much.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon loss
load=$PWD/tests/bench/load
[ -x "$load" ] || load=${top_builddir:-.}/tests/bench/load
SECONDS_EACH=${WEIR_LOAD_SECONDS:-2}
no_ipv6='for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done'
lab_in sh -c "$no_ipv6"
# The bridge alone, without a look into the packet filter for each frame: it is the heaviest load that is wanted.
lab_in sh -c 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables' 2>/dev/null
lab_in ip link add br0 type bridge mcast_snooping 0
lab_in ip link set br0 up
i=2
for side in a b; do
	lab_netns "$LAB_NS-$side"
	nsenter --net="/run/netns/$LAB_NS-$side" sh -c "$no_ipv6"
	lab_in ip link add v$side type veth peer name eth0 netns "$LAB_NS-$side"
	lab_in ip link set v$side master br0
	ip -n "$LAB_NS-$side" addr add 10.93.0.$i/24 dev eth0
	ip -n "$LAB_NS-$side" link set eth0 up
	lab_in ip link set v$side up
	i=$((i + 1))
done
in_a() { lab_inside a "$@"; }
for n in 20 21 22 23 24 25 26 27 28 29; do ip -n "$LAB_NS-a" addr add 10.93.0.$n/24 dev eth0; done
for what in "serve 7000" "sink 7001"; do
	# shellcheck disable=SC2086
	nsenter --net="/run/netns/$LAB_NS-b" "$load" $what &
	LAB_PIDS="$LAB_PIDS $!"
done
ready() {
	[ "$(lab_inside b cat /proc/net/tcp | grep -c ' 0A ')" -ge 2 ] &&
		in_a "$load" once 10.93.0.3 7000 10 10.93.0.2
}
lab_poll 10 ready || lab_skip "the lab's bridge does not carry"

# Nobody asks who has an address any more: not a frame crosses but for the loads.
mac_of() { ip -n "$LAB_NS-$1" -o link show eth0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'; }
for n in 2 $(seq 20 29); do ip -n "$LAB_NS-b" neigh replace 10.93.0.$n lladdr "$(mac_of a)" dev eth0; done
ip -n "$LAB_NS-a" neigh replace 10.93.0.3 lladdr "$(mac_of b)" dev eth0

# Frames that came into the bridge from its ports: what its capture is to account for.
frames() { lab_in cat /proc/net/dev | awk '/ va:| vb:/ { n += $3 } END { print n }'; }
quiet() { last=$now_frames; now_frames=$(frames); [ "$last" = "$now_frames" ]; }
still() { now_frames=-1; lab_poll 5 quiet; sleep 0.3; lab_poll 5 quiet; echo "$now_frames"; }

# weir from here on with these settings, a state of its own
start() { # name, settings
	still >/dev/null
	state=$LAB_DIR/$1
	mkdir "$state"
	printf 'write_through: 1s\nruntime_sockets: []\n%s\n' "$2" >"$LAB_DIR/weir.yaml"
	log=$LAB_DIR/$1.log
	lab_check "weir starts" weir_start
	lab_poll 20 weir_settled
	lab_check "the bridge is captured" lab_poll 20 weir_watches 1
}
# The ledger's word is of whole intervals; at its end weir tells the rest.
stop() { weir_stop; }
of_iface() { status_of "[.interfaces[] | .$1] | add"; }

balance() { # crossed, received, lost
	echo "# crossed $1, received $2, lost and told $3"
	[ "$1" -gt 0 ] && [ "$1" -eq $(($2 + $3)) ]
}
# account: told of all that crossed since "before", with the end of an interval, ten seconds at most, while the daemon runs
account() {
	crossed=$(($(still) - before))
	lab_poll 13 told
	received=$(of_iface received) lost=$(($(of_iface lost_kernel) + $(of_iface lost_interface)))
	behind=$(($(of_iface lost_ring) + $(of_iface lost_store)))
}
told() { [ $(($(of_iface received) + $(of_iface lost_kernel) + $(of_iface lost_interface))) -ge "$crossed" ]; }
rate() { awk -v s="$SECONDS_EACH" -v unit="$2" -v by="$3" '{ printf "# %.1f %s\n", $1 * by / s, unit }' "$LAB_DIR/$1.n"; }

# A machine that is busy with other things may not give the reader its turn before the ring is full: then what was lost is
# told, and it is tried again. What is never to be had would not be had the fifth time either.
for n in 1 2 3 4 5; do
	start one$n ''
	before=$(still)
	in_a "$load" tcp 10.93.0.3 7000 "$SECONDS_EACH" 2 >"$LAB_DIR/tcp.n"
	in_a "$load" bulk 10.93.0.3 7001 "$SECONDS_EACH" >"$LAB_DIR/bulk.n"
	account
	stop
	rate tcp "connections a second" 1
	rate bulk "Gbit/s of bulk" 8e-9
	lab_check "short connections and bulk: nothing unaccounted" balance "$crossed" "$received" "$lost"
	[ "$lost" = 0 ] && [ "$behind" = 0 ] && break
done
lab_check "short connections and bulk: the default ring loses none" test "$lost" = 0
stored() {
	w flows -o json 2>/dev/null | jq -r 'select(.proto == "TCP" and .dest_port == 7000 and .src.workload and .dest.workload and
		.direction == "syn" and .flow.pkts_toclient > 1) | .src_port' | wc -l >"$LAB_DIR/stored"
	echo "# $(cat "$LAB_DIR/tcp.n") connections, $(cat "$LAB_DIR/stored") flows, $behind lost behind capture"
	[ "$(cat "$LAB_DIR/stored")" -ge "$(cat "$LAB_DIR/tcp.n")" ] && [ "$behind" = 0 ]
}
lab_check "short connections: all stored, named, both ways" stored
no_footer() { ! { w flows -c 5; w map; w status; } 2>&1 | grep 'incomplete'; }
lab_check "it is complete, so no answer says otherwise" no_footer

start two 'workers: 2'
before=$(still)
# shellcheck disable=SC2046
in_a "$load" once 10.93.0.3 7000 3000 $(seq -f 10.93.0.%g 20 29)
in_a "$load" udp 10.93.0.3 7000 "$SECONDS_EACH" >"$LAB_DIR/udp.n"
account
shares=$(status_of '[.roles[] | select(.role | startswith("capture"))] | length')
stop
rate udp "datagrams a second, two workers" 1
lab_check "flood: nothing unaccounted" balance "$crossed" "$received" "$lost"
lab_check "there were two workers" test "$shares" = 2
whole() {
	w flows -o json 2>/dev/null >"$LAB_DIR/two.flows"
	jq -c 'select(.proto == "TCP" or .src_ip != "10.93.0.2") | [.src_ip, .proto, .flow.pkts_toserver, .flow.pkts_toclient]' \
		"$LAB_DIR/two.flows" >"$LAB_DIR/ends"
	jq -es '([.[] | select(.[1] == "TCP")] | length == 10 and all(.[2] > 2 and .[3] > 1)) and
		([.[] | select(.[1] == "UDP")] | length == 10 and all(.[2] == 3))' "$LAB_DIR/ends" >/dev/null && return
	sed 's/^/# /' "$LAB_DIR/ends"
	false
}
lab_check "two workers: ten connections and ten fragmented datagrams, each whole" whole

# ---- overflow ----------------------------------------------------------------------------------------------------
# A ring of one block, and the worker held up while the flood comes.
start small 'kernel_ring: 1MiB'
pid=$(weir_pid capture-0)
before=$(still)
kill -STOP "$pid"
in_a "$load" udp 10.93.0.3 7000 1 >/dev/null
kill -CONT "$pid"
account
lab_check "overflow: it did overflow" test "$lost" -gt 0
lab_check "overflow: what was lost is what is told" balance "$crossed" "$received" "$lost"
says() { w "$@" 2>&1 | grep "incomplete: $lost packets"; }
lab_check "overflow: weir status says it" says status
lab_check "overflow: weir flows says it" says flows -c 3
lab_check "overflow: weir map says it" says map
stop
lab_check "overflow: and without the daemon" says status
[ "$LAB_FAILED" = 0 ] || sed 's/^/# /' "$LAB_DIR"/*.log
lab_end
