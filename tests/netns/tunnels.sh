#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Tunnels and fragments on a live bridge. Asked to look inside, weir records the conversations in VXLAN (the kernel's own
# devices), Geneve, GRE and IPIP by their inner ends, with the tunnel and its number, and none of the tunnels themselves;
# fragments count to the datagram that they are of, outside and inside. Not asked, it records the tunnels.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon tunnels
load=$PWD/tests/bench/load encap=$PWD/tests/netns/encap
[ -x "$load" ] || load=${top_builddir:-.}/tests/bench/load encap=${top_builddir:-.}/tests/netns/encap
lab_bridge br0 10.95.0.1/24
lab_workload a br0 10.95.0.2/24
lab_workload b br0 10.95.0.3/24
vxlan() { # workload, its address there, the other's
	ip -n "$LAB_NS-$1" link add vx0 type vxlan id 77 dstport 4789 remote "$3" 2>/dev/null || return
	ip -n "$LAB_NS-$1" addr add "$2/24" dev vx0
	ip -n "$LAB_NS-$1" link set vx0 mtu 1450 up
}
has_vxlan=no
vxlan a 192.168.78.1 10.95.0.3 && vxlan b 192.168.78.2 10.95.0.2 && has_vxlan=yes
lab_serve b 7001

flows() { w flows -o json 2>/dev/null; }
# exactly one record that fits, and its measures
one() { # condition
	flows | jq -es "[.[] | select($1)] | length == 1" >/dev/null
}
speak() { # which tunnel, number
	lab_inside a "$encap" "$1" 10.95.0.3 "$2" client 5 && lab_inside b "$encap" "$1" 10.95.0.2 "$2" server 4 &&
		lab_inside a "$encap" "$1" 10.95.0.3 "$2" client 1
}
# The neighbour must be known, or some of the first packets wait and are lost.
known() { lab_inside a "$load" once 10.95.0.3 7001 10 10.95.0.2; }
lab_poll 10 known || lab_skip "the lab's bridge does not carry"
carries() { lab_echo a 192.168.78.2 7001; }
[ $has_vxlan = no ] || lab_poll 10 carries || has_vxlan=no

echo 'look_inside: true' >"$LAB_DIR/inside.yaml"
cat "$LAB_DIR/weir.yaml" >>"$LAB_DIR/inside.yaml"
lab_check "weir starts" weir_start inside
lab_poll 20 weir_settled
lab_poll 20 weir_watches 1
n=100
for kind in geneve gre ipip; do
	n=$((n + 1))
	lab_check "$kind: sent" speak $kind $n
	id=$n
	[ $kind = ipip ] && id=0 # it has no number
	# Who began a conversation of datagrams is only said once the interface has been watched for a while.
	lab_check "$kind: the conversation inside, and in which tunnel" lab_poll 10 one ".proto == \"UDP\" and .tunnel == \"$kind\" and
		(.tunnel_id // 0) == $id and ([.src_ip, .dest_ip] | sort) == [\"192.168.77.1\", \"192.168.77.2\"] and
		([.src_port, .dest_port] | sort) == [7777, 40000] and .flow.state == \"established\" and
		([.flow.pkts_toserver, .flow.pkts_toclient] | sort) == [4, 6]"
done
# VXLAN's are another matter: it carries ARP, too, which is no conversation, so the tunnel is what is left to tell of.
outer() { ! flows | jq -es 'any(.[]; .proto == "47" or .proto == "4" or .dest_port == 6081)' >/dev/null; }
lab_check "the tunnels themselves are no conversations" outer
if [ $has_vxlan = yes ]; then
	lab_check "vxlan: speaks" lab_echo a 192.168.78.2 7001
	lab_check "vxlan: the conversation inside" lab_poll 10 one '.proto == "TCP" and .tunnel == "vxlan" and .tunnel_id == 77 and
		.src_ip == "192.168.78.1" and .dest_ip == "192.168.78.2" and .dest_port == 7001 and .direction == "syn" and
		.flow.state == "closed"'
	lab_inside a "$load" once 192.168.78.2 7002 4000
	lab_check "vxlan: a datagram of three fragments inside" lab_poll 10 one '.proto == "UDP" and .tunnel == "vxlan" and
		.dest_port == 7002 and .flow.pkts_toserver == 3 and .flow.bytes_toserver > 4000'
else
	lab_say "the kernel has no VXLAN here"
fi
lab_inside a "$load" once 10.95.0.3 7003 4000
lab_check "a datagram of three fragments" lab_poll 10 one '.proto == "UDP" and .tunnel == null and .dest_port == 7003 and
	.flow.pkts_toserver == 3 and .flow.bytes_toserver > 4000 and .src.workload == "'"$LAB_NS-a"'"'
shown() { flows | jq -c '[.proto, .src_ip, .src_port, .dest_ip, .dest_port, .tunnel, .tunnel_id, .direction, .flow]' | sed 's/^/# /'; }
[ "$LAB_FAILED" = 0 ] || shown
lab_check "weir ends" weir_stop

state=$LAB_DIR/outside
mkdir "$state"
lab_check "weir starts, not told to look inside" weir_start
lab_poll 20 weir_settled
lab_poll 20 weir_watches 1
speak gre 200
lab_check "gre is a conversation of the two workloads" lab_poll 10 one '.proto == "47" and .tunnel == null and
	([.src.workload, .dest.workload] | sort) == ["'"$LAB_NS-a"'", "'"$LAB_NS-b"'"]'
[ "$LAB_FAILED" = 0 ] || shown
lab_end
