#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Networks that are not what they seem: a container in another one's network is named with it; a macvlan network, which cannot
# be watched, is told of; an ICMP error is no edge of the map, the conversation that it refused is.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
. "$top_srcdir/tests/docker/lib.sh"

lab_begin_weir nets python3
lab_engine_start
lab_image box
lab_docker network create --subnet 10.79.0.0/24 -o com.docker.network.bridge.name=br-nets nets >/dev/null
lab_in ip link add lan0 type veth peer name lan1 && lab_in ip link set lan0 up
lab_docker network create -d macvlan --subnet 10.80.0.0/24 -o parent=lan0 lan >/dev/null || lab_skip "no macvlan here"
lab_docker run -d --name owner --network nets --ip 10.79.0.5 box sleep 900 >/dev/null
lab_docker run -d --name sidecar --network container:owner box sleep 900 >/dev/null
lab_docker run -d --name client --network nets --ip 10.79.0.6 box sleep 900 >/dev/null
weir_start
who() { w who "$@" 2>/dev/null; }
says() { # TEXT, who's arguments...
	text=$1
	shift
	who "$@" | grep -q "$text"
}
lab_check "weir knows all three" lab_poll 20 status_is '.inventory.settled and .inventory.workloads >= 3'
lab_check "the macvlan network is told of" status_is '.inventory.notices | any(.problem and (.text | test("network lan is macvlan")))'
lab_check "in words as well" sh -c "'$WEIR' status --state '$state' | grep -q 'network lan is macvlan'"
lab_check "whoever asks for the guest hears of the owner" says 'that of owner, 10.79.0.5: ' sidecar
lab_check "and whoever asks for the address, of the guest" says 'sidecar (box) share it' 10.79.0.5 --at now
lab_check "without a time too" says 'sidecar (box) shared its network' 10.79.0.5
lab_check "in JSON" sh -c "'$WEIR' who sidecar -o json --state '$state' | jq -es 'length == 1 and .[0].network_of == \"owner\"' >/dev/null"
lab_check "of the other side as well" sh -c "'$WEIR' who owner -o json --state '$state' | jq -es 'length == 1 and (.[0].network_shared_with | test(\"sidecar\"))' >/dev/null"
lab_check "a container on its own is said to share nothing" sh -c "! '$WEIR' who client --state '$state' | grep -q network"

# A datagram to a closed port is answered by an ICMP error.
send() { lab_container "$1" bash -c "echo x >/dev/udp/$2/$3" 2>/dev/null; }
send client 10.79.0.5 999
map() { w map --by workload -o json "$@" 2>/dev/null; }
refused() { map | jq -es 'any(.[]; .src.workload == "client" and .dest.workload == "owner" and .dest_port == 999)' >/dev/null; }
icmp() { w flows -o json icmp 2>/dev/null | jq -es 'any(.[]; .icmp_type == 3)' >/dev/null; }
lab_check "the conversation is an edge" lab_poll 20 refused
lab_check "the error is a flow" lab_poll 20 icmp
lab_check "but no edge" sh -c "! '$WEIR' map --by workload --state '$state' -o json | jq -es 'any(.[]; .icmp_type == 3)' >/dev/null"
lab_check "unless asked for" sh -c "'$WEIR' map --by workload --icmp-errors --state '$state' -o json | jq -es 'any(.[]; .icmp_type == 3)' >/dev/null"
lab_check "which the map says" sh -c "'$WEIR' map --by workload --state '$state' | grep -q '1 edge of ICMP errors alone not shown'"
# One that listens and never answers.
lab_container client timeout 100 \
	python3 -c 'import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 514)); time.sleep(100)' &
LAB_PIDS="$LAB_PIDS $!"
listens() { lab_container client grep -q ':0202 ' /proc/net/udp; }
lab_poll 10 listens
send owner 10.79.0.6 514
one_way() { w trace owner 2>/dev/null | grep -q 'of one-way UDP on the way not followed'; }
lab_check "trace says that it does not follow one-way UDP" lab_poll 20 one_way
lab_check "weir ends" weir_stop
[ "$LAB_FAILED" -eq 0 ] || { tail -n 30 "$log" | sed 's/^/# weir: /'; map | sed 's/^/# map: /'; }
lab_end
