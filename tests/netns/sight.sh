#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One record per conversation, with the right client and the real ends, whichever way it goes: over one bridge, routed
# across two, through a published port (from outside, from another bridge, and back into its own), masqueraded to the
# outside; and one that was there before anybody looked, told by who began it.
. "${top_srcdir:-.}/tests/docker/lib.sh"
lab_begin_netns sight
for tool in jq nft busybox; do command -v $tool >/dev/null || lab_skip "needs $tool: apt-get install $tool"; done
state=$LAB_DIR/state
log=$LAB_DIR/weir.log
mkdir "$state"
chmod 755 "$LAB_DIR"
w() { verb=$1; shift; "$WEIR" "$verb" --state "$state" "$@"; }
inside() { side=$1; shift; nsenter --net="/run/netns/$LAB_NS-$side" "$@"; }

# Two bridges as Docker makes them (one: a and b, two: s) and the outside, o, on a link of its own.
workload() { # name, bridge or -, address, router
	lab_netns "$LAB_NS-$1" || lab_skip "no network namespaces here"
	ip -n "$LAB_NS-$1" link set lo up
	lab_in ip link add "v$1" type veth peer name eth0 netns "$LAB_NS-$1"
	[ "$2" = - ] || lab_in ip link set "v$1" master "$2"
	[ "$2" = - ] && lab_in ip addr add "$4/24" dev "v$1"
	ip -n "$LAB_NS-$1" addr add "$3/24" dev eth0
	ip -n "$LAB_NS-$1" link set eth0 up
	lab_in ip link set "v$1" up
	ip -n "$LAB_NS-$1" route add default via "$4"
}
for n in one two; do
	lab_in ip link add br-$n type bridge
	[ $n = one ] && net=1 || net=2
	lab_in ip addr add 10.90.$net.1/24 dev br-$n
	lab_in ip link set br-$n up
done
workload a br-one 10.90.1.2 10.90.1.1
workload b br-one 10.90.1.3 10.90.1.1
workload s br-two 10.90.2.2 10.90.2.1
workload o - 10.90.9.2 10.90.9.1
lab_in sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
# What crosses a bridge is nobody's to translate, as where br_netfilter is not loaded.
lab_in sh -c '[ ! -e /proc/sys/net/bridge ] || echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables'
lab_in nft -f - <<'NFT' || lab_skip "nftables has no NAT here"
table ip nat {
	chain pre { type nat hook prerouting priority dstnat;
		ip daddr { 10.90.1.1, 10.90.9.1 } tcp dport 8080 dnat to 10.90.2.2:80
		ip daddr { 10.90.1.1, 10.90.9.1 } tcp dport 8081 dnat to 10.90.1.3:81
	}
	chain post { type nat hook postrouting priority srcnat;
		ip saddr 10.90.1.0/24 oifname "vo" masquerade
		ip saddr 10.90.1.0/24 ip daddr 10.90.1.0/24 oifname "br-one" masquerade
	}
}
NFT

serve() { # namespace, port
	nsenter --net="/run/netns/$LAB_NS-$1" busybox nc -ll -p "$2" -e cat >/dev/null 2>&1 </dev/null &
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 listening "$1" "$2"
}
listening() { inside "$1" busybox netstat -ltn | grep -q ":$2 "; }
serve s 80
serve b 81
serve o 443
serve b 7000
speak() { # namespace, address, port: a line there and back
	echo hello | inside "$1" timeout 0.7 busybox nc "$2" "$3" | grep -q hello
}

# Connections that are there before weir, with data both ways all the time: one that the kernel's connection tracking
# sees, being routed, and one within a bridge, which it does not.
serve s 7001
steady() { # address, port
	: >"$LAB_DIR/echo.$2"
	nsenter --net="/run/netns/$LAB_NS-a" sh -c "while sleep 0.1; do echo line; done | exec busybox nc $1 $2" \
		>"$LAB_DIR/echo.$2" 2>/dev/null &
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 test -s "$LAB_DIR/echo.$2" || echo "# the long connection is not there"
}
steady 10.90.1.3 7000
steady 10.90.2.2 7001

printf 'write_through: 1s\nruntime_sockets: []\n' >"$LAB_DIR/weir.yaml"
lab_spawn "$log" "$WEIR" run -c "$LAB_DIR/weir.yaml" --state "$state"
watched() { [ "$(w status -o json 2>/dev/null | jq '[.interfaces[] | select(.attached)] | length')" = 3 ]; }
lab_check "both bridges and the link to the outside are watched" lab_poll 20 watched
settled() { w status -o json | jq -es '.[0].inventory.settled' >/dev/null; }
lab_poll 20 settled

spoke() { lab_check "$1" speak "$2" "$3" "$4"; }
spoke "speaks: over one bridge" a 10.90.1.3 81
spoke "speaks: routed across two" a 10.90.2.2 80
spoke "speaks: masqueraded to the outside" a 10.90.9.2 443
spoke "speaks: published port, from another bridge" b 10.90.1.1 8080
spoke "speaks: published port, from the outside" o 10.90.9.1 8080
spoke "speaks: published port of the client's own bridge" a 10.90.1.1 8081

flows() { w flows -o json 2>/dev/null | jq -c 'select(.proto == "TCP")'; }
# the record: exactly one, answered, these ends, this address before translation
only() { # client, its address, server, its address, port, address before ("null" for none)
	flows >"$LAB_DIR/flows"
	jq -es --arg c "$LAB_NS-$1" --arg ca "$2" --arg s "$LAB_NS-$3" --arg sa "$4" --argjson p "$5" --argjson nat "$6" '
		[.[] | select(.src.workload == $c and .dest.workload == $s and .dest_port == $p and .nat == $nat)] |
		length == 1 and (.[0] | .src_ip == $ca and .dest_ip == $sa and .flow.pkts_toserver > 3 and .flow.pkts_toclient > 2 and
			.direction == "syn" and .flow.state == "closed")' "$LAB_DIR/flows" >/dev/null
}
one_of() { what=$1; shift; lab_check "one record: $what" lab_poll 8 only "$@"; }
one_of "one bridge" a 10.90.1.2 b 10.90.1.3 81 null
one_of "two bridges" a 10.90.1.2 s 10.90.2.2 80 null
one_of "masqueraded" a 10.90.1.2 o 10.90.9.2 443 null
one_of "published, from another bridge" b 10.90.1.3 s 10.90.2.2 80 '{"dest_ip": "10.90.1.1", "dest_port": 8080}'
one_of "published, from outside" o 10.90.9.2 s 10.90.2.2 80 '{"dest_ip": "10.90.9.1", "dest_port": 8080}'
one_of "published, into its own bridge" a 10.90.1.2 b 10.90.1.3 81 '{"dest_ip": "10.90.1.1", "dest_port": 8081}'

midflow() { # port, direction
	flows | jq -es --argjson port "$1" --arg how "$2" '[.[] | select(.dest_port == $port or .src_port == $port)] | length == 1 and
		(.[0] | .direction == $how and .flow.pkts_toclient > 0)' >/dev/null
}
lab_check "in mid-flow, routed: known by conntrack" lab_poll 8 midflow 7001 conntrack
client() {
	flows | jq -es --arg a "$LAB_NS-a" '[.[] | select(.dest_port == 7001)] | length == 1 and
		.[0].src.workload == $a' >/dev/null
}
lab_check "in mid-flow, routed: the right client" client
lab_check "in mid-flow, within a bridge: unknown" midflow 7000 unknown
taught() { w map -o json 2>/dev/null | jq -es 'any(.[]; .dest_port == 7001 and .teaching > 0)' >/dev/null; }
lab_check "what is known teaches" lab_poll 5 taught
untaught() {
	! w map -o json | jq -es 'any(.[]; (.dest_port == 7000 or .dest_port > 30000) and .teaching > 0)' >/dev/null
}
lab_check "what is unknown does not" untaught
total() { n=$(flows | wc -l); echo "# $n records of TCP"; [ "$n" = 8 ]; }
lab_check "and no record beside those eight" total
seen() {
	flows | jq -c '[.src_ip, .src_port, .dest_ip, .dest_port, .src.workload, .dest.workload, .nat, .direction,
		.flow.state, .flow.pkts_toserver, .flow.pkts_toclient]'
	cat "$log"
}
[ "$LAB_FAILED" = 0 ] || seen | sed 's/^/# /'
lab_end
