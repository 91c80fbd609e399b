#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A host whose own way out is a veth, as in a container or a namespace: behind it a router, behind that the world. It is
# captured for as long as no default route goes through it, in whatever shape that comes, and a veth that leads to a workload
# stays captured whatever route leads there. Where the way out is captured, since no route tells what it is or a person
# named it, what the host translates still has one record.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon uplink nft

# A namespace without a name, which is no workload's; its process in $LAB_PID.
nameless() {
	unshare --net sleep 3600 >/dev/null 2>&1 </dev/null &
	LAB_PID=$!
	LAB_PIDS="$LAB_PIDS $LAB_PID"
	lab_poll 10 apart "$LAB_PID" || lab_skip "no network namespaces here"
}
apart() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
at() { lab_who=$1; shift; nsenter --net="/proc/$lab_who/ns/net" "$@"; }
nameless
router=$LAB_PID
nameless
world=$LAB_PID
lab_in ip link add up0 type veth peer name eth0 netns "$router"
lab_in ip link set up0 address 02:00:00:00:00:02
at "$router" ip link add eth1 type veth peer name eth0 netns "$world"
at "$router" sh -c 'ip link set lo up; ip link set eth0 up; ip link set eth1 up
	ip addr add 203.0.113.1/24 dev eth0; ip addr add 198.51.100.1/24 dev eth1
	ip addr add 2001:db8:1::1/64 dev eth0 nodad
	echo 1 >/proc/sys/net/ipv4/ip_forward'
at "$world" sh -c 'ip link set lo up; ip link set eth0 up; ip addr add 198.51.100.9/24 dev eth0
	ip route add default via 198.51.100.1'

# One bridge (m and s), and workloads each on a link of its own: x with an address on it; c with a route of its own and none
# on the host's side, as Calico makes them; r, which routes for what is behind it.
lab_bridge br-one 10.94.1.1/24
lab_workload m br-one 10.94.1.2/24
lab_workload s br-one 10.94.1.3/24
lab_workload x - 10.94.9.2/24
lab_workload c - 10.94.7.2/32
lab_workload r - 10.94.8.2/24
lab_in ip addr add 10.94.9.1/24 dev vx
lab_in ip addr add 10.94.8.1/24 dev vr
lab_in ip route add 10.94.7.2/32 dev vc scope link
lab_in ip route add 10.99.0.0/16 via 10.94.8.2
for n in m s; do ip -n "$LAB_NS-$n" route add default via 10.94.1.1; done
lab_in sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
	[ ! -e /proc/sys/net/bridge ] || echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables'
out() { # with its address and the one route that this host needs; what went with the link is no matter
	lab_in sh -c 'ip link set up0 up; ip addr replace 203.0.113.2/24 dev up0; ip addr replace 2001:db8:1::2/64 dev up0 nodad
		ip route replace 198.51.100.0/24 via 203.0.113.1'
}
out
lab_in nft -f - <<'NFT' || lab_skip "nftables has no NAT here"
table ip nat {
	chain pre { type nat hook prerouting priority dstnat; ip daddr 203.0.113.2 tcp dport 8080 dnat to 10.94.1.3:80; }
	chain post { type nat hook postrouting priority srcnat; ip saddr 10.94.1.0/24 oifname "up0" masquerade; }
}
NFT
lab_serve s 80
for port in 443 444 7000; do
	nsenter --net="/proc/$world/ns/net" busybox nc -ll -p $port -e cat >/dev/null 2>&1 </dev/null &
	LAB_PIDS="$LAB_PIDS $!"
done
listening() { at "$world" busybox netstat -ltn | grep -c ':\(443\|444\|7000\) ' | grep -qx 3; }
lab_poll 10 listening || lab_skip "busybox nc serves nobody"

captured() { status_is "any(.interfaces[]; .name == \"$1\" and .attached)"; }
left_out() { status_is ".inventory.settled and all(.interfaces[]; .name != \"$1\" or (.attached | not))"; }
others() { for l in br-one vx vc vr; do captured "$l" || return 1; done; }
told() { # times, what
	[ "$(grep -Ec "^(weir: |  note +)$2" "$log")" = "$1" ] # the notes of the start stand under its headings
}
pings() { lab_inside m busybox ping -c 1 -W 20 198.51.100.9 >/dev/null; }
say() { echo hello | "$@" 2>/dev/null | grep -q hello; }
spoke() {
	lab_check "speaks: world to the published port" say at "$world" timeout 20 busybox nc 203.0.113.2 8080
	lab_check "speaks: masqueraded to the world" say lab_inside m timeout 20 busybox nc 198.51.100.9 443
	lab_check "speaks: pings the world" pings
}
flows() { w flows -o json 2>/dev/null | jq -c 'select(.proto == "TCP" or .proto == "ICMP")'; }
# exactly these, each once: published with the address asked for, masqueraded with the real client; and of none the other side
joined() {
	flows >"$LAB_DIR/flows"
	jq -es --arg m "$LAB_NS-m" --arg s "$LAB_NS-s" '
		map(select((.dest_port == 80 or .dest_port == 8080) and .src_ip != "203.0.113.1")) as $in |
		map(select(.dest_port == 443)) as $out | map(select(.proto == "ICMP")) as $ping |
		($in | length == 1) and ($in[0] | .src_ip == "198.51.100.9" and .src.group == "world" and .src.unnamed == null and
			.dest.workload == $s and .nat == {"dest_ip": "203.0.113.2", "dest_port": 8080} and .direction == "syn" and
			.flow.pkts_toserver > 3 and .flow.pkts_toclient > 2) and
		($out | length == 1) and ($out[0] | .src.workload == $m and .dest_ip == "198.51.100.9" and .dest.unnamed == null and
			.nat == null and .flow.pkts_toserver > 3 and .flow.pkts_toclient > 2) and
		($ping | length == 1) and ($ping[0] | .src.workload == $m)' "$LAB_DIR/flows" >/dev/null
}
own() { # the host's own conversation with that port of the world: how many records, jq condition on each
	flows | jq -es "map(select(.dest_port == $1)) | length == $2 and all(.[]; .src.group == \"host\" and $3)" >/dev/null
}
neighbour() { # the router itself, in the network of the way out: the world's, too, and nobody waited for its name
	flows | jq -es 'map(select(.src_ip == "203.0.113.1")) | length == 1 and (.[0] | .src.group == "world" and
		.src.unnamed == null and .dest_port == 80 and .nat.dest_port == 8080)' >/dev/null
}
lab_explain() {
	flows | jq -c '[.proto, .src_ip, .src_port, .dest_ip, .dest_port, .src.workload // .src.group, .nat, .flow.pkts_toserver]' | tail -n 8
	status_of '[.interfaces[] | {name, attached}] | tojson'
	tail -n 4 "$log"
}

# Without a default route nothing tells the way out from a workload's link.
lab_check "weir starts" weir_start
lab_check "the inventory is complete" lab_poll 20 weir_settled
lab_check "every veth is captured" lab_poll 20 captured up0
lab_check "and those of workloads" lab_poll 20 others
spoke
lab_check "the host's own speaks" say lab_in timeout 20 busybox nc 198.51.100.9 444
lab_check "one record for each" lab_poll 10 joined
lab_check "and one for the host's own" lab_poll 10 own 444 1 'true'
# One that lasts, with an echo of each line: what was seen of it is kept.
nsenter --net="/run/netns/$LAB_NS" sh -c 'while sleep 0.1; do echo line; done | exec busybox nc 198.51.100.9 7000' >"$LAB_DIR/echo" &
LAB_PIDS="$LAB_PIDS $!"
lab_check "one that lasts" lab_poll 10 own 7000 1 '.flow.state == "established" and .flow.pkts_toclient > 2'

lab_in ip route add default via 203.0.113.1
lab_check "a default route comes: it is let go of" lab_poll 20 left_out up0
lab_check "and that is told once" told 1 'up0 has the default route now: it leads outside'
lab_check "what was seen is kept" lab_poll 10 own 7000 1 '.flow.pkts_toclient > 2'
lab_check "the host's own is not seen now" say lab_in timeout 20 busybox nc 198.51.100.9 444
lab_in ip route add default via 203.0.113.1 metric 500
lab_in ip route del default via 203.0.113.1 metric 0
lab_in ip -6 route add default via 2001:db8:1::1
lab_in ip route del default via 203.0.113.1 metric 500
lab_in ip -6 route del default
lab_check "none is left: it is back" lab_poll 20 captured up0
lab_check "and that is told once" told 1 'up0 has no default route any more'
lab_check "with one notice each" told 1 'up0 has the default route'
lab_check "what passed meanwhile was nobody's" own 444 1 'true'

# The shapes that a default route has.
shapes=1
shape() { # what, command that makes it, command that ends it
	shapes=$((shapes + 1))
	lab_in sh -c "$2" || { lab_say "not here: $1"; shapes=$((shapes - 1)); return; }
	lab_check "left out: $1" lab_poll 20 left_out up0
	lab_check "told once: $1" told $shapes 'up0 has the default route'
	lab_in sh -c "$3"
	lab_check "back: $1" lab_poll 20 captured up0
}
shape "IPv6 only" 'ip -6 route add default via 2001:db8:1::1' 'ip -6 route del default'
shape "one of several, not the best" 'ip route add default via 10.94.9.2 metric 10 table 5; ip route add default dev up0 metric 900' \
	'ip route flush table 5; ip route del default'
shape "several next hops" 'ip route add default nexthop via 203.0.113.1 nexthop dev br-one' 'ip route del default'
lab_in ip addr add 2001:db8:9::1/64 dev br-one nodad
shape "IPv6, several next hops" 'ip -6 route add default nexthop via 2001:db8:1::1 nexthop via 2001:db8:9::2' \
	'ip -6 route del default'
shape "a next hop of its own" 'ip nexthop add id 7 via 203.0.113.1 dev up0 && ip route add default nhid 7' \
	'ip nexthop del id 7'
shape "its halves" 'ip route add 0.0.0.0/1 via 203.0.113.1; ip route add 128.0.0.0/1 via 203.0.113.1' \
	'ip route del 0.0.0.0/1; ip route del 128.0.0.0/1'
shape "a table for its address" 'ip rule add from 203.0.113.2 lookup 101; ip route add default via 203.0.113.1 table 101' \
	'ip rule del from 203.0.113.2 lookup 101'
lab_in ip route flush table 101
shape "replaced by another" 'ip route add default via 203.0.113.1' 'ip route replace default dev br-one'
lab_in ip route del default
shape "gone with the link, unsaid" 'ip route add default via 203.0.113.1' 'ip link set up0 down; ip link set up0 up'
out

# A workload's link is one also where others' packets are sent through it, and whatever leads to it; the way out is left out
# with the next route, by when these must have been heard of.
lab_in sh -c 'ip rule add from 10.94.1.0/24 lookup 102; ip route add default via 10.94.9.2 table 102
	ip rule add fwmark 5 lookup 103; ip route add default dev vc table 103
	ip route add 10.0.0.0/8 via 10.94.8.2; ip route add unreachable default metric 4000
	ip route add default via 203.0.113.1'
lab_check "left out at last" lab_poll 20 left_out up0
lab_check "workloads' links are captured all the while" others
lab_check "nothing was told of them" told 0 'v[xcr] has'
lab_in sh -c 'ip rule del from 10.94.1.0/24 lookup 102; ip rule del fwmark 5 lookup 103; ip route del 10.0.0.0/8'
lab_check "weir ends" weir_stop
lab_check "still one record for each, with all that had waited" joined

# Started with the route there, it says so; told by a person to capture on it, it does, and has one record for each.
log=$LAB_DIR/log2 state=$LAB_DIR/state2
mkdir "$state"
lab_check "weir starts once more" weir_start
lab_check "the inventory is complete" lab_poll 20 weir_settled
lab_check "workloads' links are captured" lab_poll 20 others
lab_check "the way out is not" left_out up0
lab_check "and that is told" lab_poll 10 told 1 'up0 has the default route: it leads outside'
spoke
lab_check "one record for each" lab_poll 10 joined
lab_check "weir ends" weir_stop
lab_check "still one record for each, with all that had waited" joined
named() { # patterns
	log=$LAB_DIR/log-$1 state=$LAB_DIR/state-$1
	mkdir "$state"
	printf 'write_through: 1s\nruntime_sockets: []\nbridges: [%s]\n' "$2" >"$LAB_DIR/named.yaml"
	lab_check "weir starts, told to capture on $2" weir_start named
	lab_check "the inventory is complete" lab_poll 20 weir_settled
	lab_check "as asked" lab_poll 20 captured up0
	spoke
	lab_check "one record for each, captured on $2" lab_poll 10 joined
	lab_check "speaks: the router" say at "$router" timeout 20 busybox nc 203.0.113.2 8080
	lab_check "the router is the world's" lab_poll 10 neighbour
	lab_check "weir ends" weir_stop
	lab_check "still one record for each, with all that had waited" joined
}
named both '"br-*", "up0"'
named alone '"up0"'
lab_end
