#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One record per conversation, with the right client and the real ends, whichever way it goes: over one bridge, routed
# across two, through a published port (from outside, from another bridge, and back into its own), masqueraded to the
# outside; and one that was there before anybody looked, told by who began it.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon sight nft python3

# Two bridges as Docker makes them (one: a and b, two: s) and the outside, o, on a link of its own.
lab_bridge br-one 10.90.1.1/24
lab_bridge br-two 10.90.2.1/24
lab_workload a br-one 10.90.1.2/24
lab_workload b br-one 10.90.1.3/24
lab_workload s br-two 10.90.2.2/24
lab_workload o - 10.90.9.2/24
lab_in ip addr add 10.90.9.1/24 dev vo
for n in a:1 b:1 s:2 o:9; do ip -n "$LAB_NS-${n%:*}" route add default via "10.90.${n#*:}.1"; done
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

lab_serve s 80
lab_serve b 81
lab_serve o 443
lab_serve b 7000

# Connections that are there before weir, with data both ways all the time: one that the kernel's connection tracking
# sees, being routed, and one within a bridge, which it does not.
lab_serve s 7001
steady() { # address, port
	: >"$LAB_DIR/echo.$2"
	nsenter --net="/run/netns/$LAB_NS-a" sh -c "while sleep 0.1; do echo line; done | exec busybox nc $1 $2" \
		>"$LAB_DIR/echo.$2" 2>/dev/null &
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 test -s "$LAB_DIR/echo.$2" || echo "# the long connection is not there"
}
steady 10.90.1.3 7000
steady 10.90.2.2 7001

lab_check "weir starts" weir_start
lab_check "both bridges and the link to the outside are watched" lab_poll 20 weir_watches 3
lab_check "the inventory is complete" lab_poll 20 weir_settled

spoke() { lab_check "$1" lab_echo "$2" "$3" "$4"; }
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
	! w map -o json 2>/dev/null | jq -es 'any(.[]; (.dest_port == 7000 or .dest_port > 30000) and .teaching > 0)' >/dev/null
}
lab_check "what is unknown does not" untaught
total() { n=$(flows | wc -l); echo "# $n records of TCP"; [ "$n" = 8 ]; }
lab_check "and no record beside those eight" total

# A workload that writes the bridge's own address into its frames, to be taken for the host in the middle of a conversation: it is
# counted on, whatever the size.
mac() { nsenter --net="/run/netns/$1" ip -o link show "$2" | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'; }
lab_inside a python3 - "$(mac "$LAB_NS-b" eth0)" "$(mac "$LAB_NS-a" eth0)" "$(mac "$LAB_NS" br-one)" <<'FORGE'
import socket, struct, sys
to, own, bridge = (bytes.fromhex(a.replace(":", "")) for a in sys.argv[1:4])
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
def datagram(source, payload):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + payload, 0, 0, 64, 17, 0, bytes((10, 90, 1, 2)), bytes((10, 90, 1, 3)))
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xffff) + ip[12:]
    out.send(to + source + b"\x08\x00" + ip + struct.pack(">HHHH", 40123, 9000, 8 + payload, 0) + b"x" * payload)
for source in own, bridge, own, bridge:
    for payload in 1, 100, 470, 480, 1400:
        datagram(source, payload)
FORGE
forged() { # 20 datagrams, twice 5 of each kind: 28 bytes of headers, 14 of the frame's
	flows_all | jq -es '[.[] | select(.dest_port == 9000)] | length == 1 and (.[0].flow |
		.pkts_toserver == 20 and .payload_toserver == 4 * (1 + 100 + 470 + 480 + 1400))' >/dev/null
}
flows_all() { w flows -o json 2>/dev/null; }
lab_check "frames with the bridge's own address are counted" lab_poll 8 forged

seen() {
	flows | jq -c '[.src_ip, .src_port, .dest_ip, .dest_port, .src.workload, .dest.workload, .nat, .direction,
		.flow.state, .flow.pkts_toserver, .flow.pkts_toclient]'
	cat "$log"
}
[ "$LAB_FAILED" = 0 ] || seen | sed 's/^/# /'
lab_end
