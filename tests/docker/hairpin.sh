#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Published ports on a real engine without its proxy (userland-proxy=false): the kernel translates everything. From outside,
# from a container on the same bridge, and from the serving container to itself, over IPv4 and, where the engine can,
# IPv6: one record each, with the right client, the server's own address, and the address that was asked for.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
. "$top_srcdir/tests/docker/lib.sh"

lab_begin_weir hairpin
# The outside, on a link of its own, before the engine comes: it looks for the host's addresses when it publishes.
lab_netns "$LAB_NS-o"
lab_in ip link add vo type veth peer name eth0 netns "$LAB_NS-o"
lab_in ip addr add 10.78.9.1/24 dev vo
lab_in ip addr add fd00:78:9::1/64 dev vo nodad
lab_in ip link set vo up
ip -n "$LAB_NS-o" link set eth0 up
ip -n "$LAB_NS-o" addr add 10.78.9.2/24 dev eth0
ip -n "$LAB_NS-o" addr add fd00:78:9::2/64 dev eth0 nodad
lab_engine_start --userland-proxy=false --experimental --ip6tables
lab_image box
lab_docker network create --subnet 10.78.0.0/24 --ipv6 --subnet fd00:78::/64 -o com.docker.network.bridge.name=br-hairpin \
	pub >/dev/null
lab_docker run -d --name web --network pub --ip 10.78.0.5 --ip6 fd00:78::5 -p 8080:80 box \
	sh -c 'mkdir -p /w; echo hello >/w/index.html; exec httpd -f -h /w' >/dev/null
lab_docker run -d --name sib --network pub --ip 10.78.0.6 --ip6 fd00:78::6 box sleep 600 >/dev/null
serves() { lab_container web busybox netstat -ltn | grep -q ':80 '; }
lab_check "the server listens" lab_poll 20 serves
# A duplicate address is looked for before an IPv6 address may be used.
usable() { ! lab_container "$1" ip -6 addr show tentative | grep -q inet6; }
lab_poll 10 usable web
lab_poll 10 usable sib

weir_start
lab_check "weir starts" lab_poll 20 status_is '.inventory.settled and ([.interfaces[] | select(.attached)] | length >= 2)'
local_addr() { lab_container "$1" ip -6 -o addr show scope link | sed -n 's/.*inet6 \(fe80[^/]*\).*/\1/p'; }

local=$(local_addr web)
known() { w who "$local" | grep -q ' web '; }
[ -z "$local" ] || lab_check "its link-local address is known" lab_poll 10 known

get() { "$@" 2>>"$LAB_DIR/errors" | grep -q hello; }
asked() { what=$1; shift; lab_check "speaks: $what" lab_poll 5 get "$@"; }
fetch() { # container address
	lab_container "$1" timeout 3 busybox wget -q -O - "http://$2:8080/"
}
outside() { nsenter --net="/run/netns/$LAB_NS-o" timeout 3 busybox wget -q -O - "http://$1:8080/"; }
flows() { w flows -o json 2>/dev/null | jq -c 'select(.proto == "TCP")'; }
# exactly one, answered: client, its address, the server's, the address asked for. The request has some 80 bytes: it is counted
# once, although the bridge shows it as it comes in and as it is sent back.
one() {
	flows >"$LAB_DIR/flows"
	jq -es --arg c "$1" --arg ca "$2" --arg sa "$3" --arg nat "$4" '[.[] | select(.nat.dest_ip == $nat and .src_ip == $ca)] |
		length == 1 and (.[0] | .dest_ip == $sa and .dest_port == 80 and .nat.dest_port == 8080 and
		.dest.workload == "web" and .direction == "syn" and .flow.state == "closed" and .app.proto == "HTTP" and
		.flow.pkts_toserver > 3 and .flow.pkts_toclient > 2 and .flow.payload_toserver < 150 and ($c == "" or .src.workload == $c))' "$LAB_DIR/flows" >/dev/null
}
record() { what=$1; shift; lab_check "one record: $what" lab_poll 8 one "$@"; }
asked "from outside" outside 10.78.9.1
asked "from the same bridge" fetch sib 10.78.9.1
asked "the server to itself" fetch web 10.78.9.1
record "from outside" "" 10.78.9.2 10.78.0.5 10.78.9.1
record "from the same bridge" sib 10.78.0.6 10.78.0.5 10.78.9.1
record "the server to itself" web 10.78.0.5 10.78.0.5 10.78.9.1
n=3
if lab_in ip6tables -t nat -S 2>/dev/null | grep -q 'DNAT.*fd00:78::5'; then
	asked "from outside, IPv6" outside '[fd00:78:9::1]'
	asked "from the same bridge, IPv6" fetch sib '[fd00:78:9::1]'
	asked "the server to itself, IPv6" fetch web '[fd00:78:9::1]'
	record "from outside, IPv6" "" fd00:78:9::2 fd00:78::5 fd00:78:9::1
	record "from the same bridge, IPv6" sib fd00:78::6 fd00:78::5 fd00:78:9::1
	record "the server to itself, IPv6" web fd00:78::5 fd00:78::5 fd00:78:9::1
	n=6
else
	lab_say "this engine does not publish over IPv6"
fi
total() { [ "$(flows | wc -l)" = $n ]; }
lab_check "and no record beside those $n" total
[ "$LAB_FAILED" = 0 ] || {
	flows | jq -c '[.src_ip, .src_port, .dest_ip, .dest_port, .src.workload // .src.group, .dest.workload, .nat, .direction,
		.flow.state, .flow.pkts_toserver, .flow.pkts_toclient]'
	cat "$LAB_DIR/errors" "$log"
} | sed 's/^/# /'
lab_end
