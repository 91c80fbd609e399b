#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Named network namespaces, links and host addresses as the inventory tells them: a hundred namespaces that live 50 ms are
# all named, with their addresses and their end; what is not this host's business is not; bridges and veths are
# followed as they come, change and go. Then once more without the right to hear other namespaces' notices.
. "${top_srcdir:-.}/tests/docker/lib.sh"

lab_begin_netns inv
P=$LAB_NS # prefix of all names
OUT=$LAB_DIR/out

start_watch() { # output file, command in front of the probe
	out=$1
	shift
	lab_spawn "$out" "$@" "$top_builddir/tests/netns/inventory_probe" watch "" /run/netns
	WATCH=$LAB_PID
	lab_poll 10 grep -qs '^settled' "$out" || lab_skip "the probe does not start: $(cat "$out")"
}

stop_watch() {
	kill "$WATCH" 2>/dev/null
	wait "$WATCH"
}

# A namespace with one address that ends after 50 ms.
short_life() { # name, veth, address
	ip netns add "$1"
	ip -n "$LAB_NS" link add "$2" type veth peer name eth0 netns "$1"
	ip -n "$LAB_NS" link set "$2" master br0
	ip -n "$LAB_NS" link set "$2" up
	ip -n "$1" addr add "$3" dev eth0
	ip -n "$1" link set eth0 up
	sleep 0.05
	ip netns del "$1"
}

hundred() { # prefix: ten at a time
	jobs=''
	for i in $(seq 1 100); do
		short_life "$P-$1$i" "$1$i" "10.77.1.$i/16" &
		jobs="$jobs $!"
		if [ $((i % 10)) = 0 ]; then
			# shellcheck disable=SC2086
			wait $jobs
			jobs=''
		fi
	done
}

has() { grep -q "$@"; }
has_not() { ! grep -q "$@"; }
count() { [ "$(grep -c "$2" "$3")" -eq "$1" ]; }

ip -n "$LAB_NS" link add br0 type bridge
ip -n "$LAB_NS" link set br0 up
ip -n "$LAB_NS" addr add 10.77.0.1/16 dev br0

start_watch "$OUT"
lab_check "a bridge without veths is not captured" has_not 'link_up name=br0' "$OUT"
lab_check "the host's addresses are told" has 'host addrs=.*10\.77\.0\.1' "$OUT"
# It never has a file: whose file is missed later on is another's business.
lab_spawn "$LAB_DIR/bare" unshare -n sleep 300
BARE=$LAB_PID
lab_net=$(lab_in readlink /proc/self/ns/net)
elsewhere() { # not in the lab's namespace any more, and never in this shell's own
	[ "$(cat "/proc/$BARE/comm")" = sleep ] && [ "$(readlink "/proc/$BARE/ns/net")" != "$lab_net" ] &&
		[ "$(readlink "/proc/$BARE/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}
bare() {
	lab_poll 10 elsewhere && ip -n "$LAB_NS" link add bare type veth peer name eth0 netns "$BARE" &&
		ip -n "$LAB_NS" link set bare master br0 up && nsenter -t "$BARE" -n ip addr add 10.77.5.1/16 dev eth0
}
lab_check "a namespace without a file has an address" bare

hundred s
lab_check "a hundred lives of 50 ms are all named, with their end" lab_poll 20 count 100 "^down name=$P-s" "$OUT"
# Told again where it lived long enough, on a loaded machine, for a link-local address.
lives() { [ "$(sed -n "s/^up name=\($P-s[0-9]*\) .* id=\([0-9a-f]*\) .*/\1 \2/p" "$OUT" | sort -u | wc -l)" -eq 100 ]; }
lab_check "each of them is one workload" lives
for i in $(seq 1 100); do grep -q "^up name=$P-s$i .*addrs=10\.77\.1\.$i\$" "$OUT" || echo "# no address: $P-s$i"; done >"$LAB_DIR/missing"
cat "$LAB_DIR/missing"
lab_check "each with its address" [ ! -s "$LAB_DIR/missing" ]
lab_check "the bridge is captured since it has had veths" has 'link_up name=br0 bridge=1 addrs=10\.77\.0\.1' "$OUT"
lab_check "its ports are not captured" has_not 'link_up name=s' "$OUT"

# Addresses that come later, of both versions; a veth on no bridge.
ip netns add "$P-web-1"
LAB_EXTRA_NS="$LAB_EXTRA_NS $P-web-1 $P-far $P-other"
ip -n "$LAB_NS" link add w1 type veth peer name tmp0
ip -n "$LAB_NS" link set tmp0 netns "$P-web-1" name eth0
ip -n "$LAB_NS" link set w1 up
lab_check "a veth on no bridge is captured" lab_poll 5 has 'link_up name=w1 bridge=0' "$OUT"
lab_check "a namespace without address is no workload" has_not "up name=$P-web-1" "$OUT"
ip -n "$P-web-1" addr add 10.78.0.2/24 dev eth0
ip -n "$P-web-1" addr add fd00:78::2/64 dev eth0 nodad
ip -n "$P-web-1" link set eth0 up
lab_check "both its addresses are told" lab_poll 5 has "^up name=$P-web-1 group=$P-web .*addrs=10\.78\.0\.2,fd00:78::2\$" "$OUT"
ip -n "$P-web-1" addr del 10.78.0.2/24 dev eth0
lab_check "an address taken away is gone" lab_poll 5 has "^up name=$P-web-1 .*addrs=fd00:78::2\$" "$OUT"

# One further on, through the first; and one that nothing leads to, with an address of the first.
ip netns add "$P-far"
ip -n "$P-web-1" link add f1 type veth peer name eth0 netns "$P-far"
ip -n "$P-far" addr add 10.79.0.2/24 dev eth0
ip netns add "$P-other"
ip -n "$P-other" link set lo up
ip -n "$P-other" addr add 10.78.0.2/24 dev lo
lab_check "a namespace behind another is a workload" lab_poll 5 has "^up name=$P-far .*addrs=10\.79\.0\.2\$" "$OUT"
lab_check "a namespace that nothing leads to is none" has_not "name=$P-other" "$OUT"
lab_check "our own namespace is none" has_not "name=$LAB_NS " "$OUT"

# Named by a runtime: told only if no runtime does, at the latest with its end.
uuid=12345678-1234-1234-1234-$(printf %012x $$)
short_life "cni-$uuid" cni1 10.77.3.1/16
lab_check "a runtime's namespace that nobody speaks for is told with its end" lab_poll 20 has "^down name=cni-$uuid .*addrs=10\.77\.3\.1\$" "$OUT"

# Nobody looked while its file was there. It is told of although the kernel has not ended it: something still holds it.
kill -STOP "$WATCH"
ip netns add "$P-held"
nsenter --net="/run/netns/$P-held" sleep 120 &
HOLDER=$!
ip -n "$LAB_NS" link add held type veth peer name eth0 netns "$P-held"
ip -n "$LAB_NS" link set held master br0 up
ip -n "$P-held" addr add 10.77.4.1/16 dev eth0
inside() { [ "$(ip netns identify "$HOLDER")" = "$P-held" ]; }
lab_check "a process is inside" lab_poll 10 inside
ip netns del "$P-held"
kill -CONT "$WATCH"
lab_check "one whose file was gone too soon is told of while it lives" lab_poll 10 \
	has '^unnamed gone-before-lookup addrs=10\.77\.4\.1$' "$OUT"
kill "$HOLDER"
# Its link must not outlive the bridge below: it would be one of its own for a moment, and be let go, too.
held_gone() { ! ip -n "$LAB_NS" link show held >/dev/null 2>&1; }
lab_check "and ends with what held it" lab_poll 20 held_gone

# Its end has been read when what came after it is told.
kill "$BARE"
bare_gone() { ! ip -n "$LAB_NS" link show bare >/dev/null 2>&1; }
lab_check "a namespace that never had a file ends" lab_poll 20 bare_gone
short_life "$P-after" after 10.77.5.2/16
lab_check "what comes after it is told" lab_poll 20 has "^down name=$P-after" "$OUT"
lab_check "nobody says of it that its file was missed" has_not '^unnamed .*10\.77\.5\.1' "$OUT"

# Links change.
ip -n "$LAB_NS" addr add 10.77.0.99/16 dev br0
lab_check "a new address of the bridge is told" lab_poll 5 has 'link_up name=br0 .*10\.77\.0\.99' "$OUT"
lab_check "and is the host's" lab_poll 5 has 'host addrs=.*10\.77\.0\.99' "$OUT"
ip -n "$LAB_NS" link set w1 master br0
lab_check "a veth that joins a bridge is let go" lab_poll 5 has "link_down index=$(lab_in cat /proc/net/dev_snmp6/w1 | awk '/ifIndex/ { print $2 }')" "$OUT"
bridge=$(lab_in cat /proc/net/dev_snmp6/br0 | awk '/ifIndex/ { print $2 }')
ip -n "$LAB_NS" link del br0
lab_check "a bridge that is gone is let go" lab_poll 5 has "^link_down index=$bridge\$" "$OUT"
lab_check "once, and nothing but it and the veth" count 2 '^link_down' "$OUT"
# What is left of the host's addresses is w1's link-local one, which comes when the kernel has seen that nobody else has it.
no_10_77() { grep '^host addrs=' "$OUT" | tail -n 1 | grep -qv '10\.77\.'; }
lab_check "and its addresses with it" lab_poll 5 no_10_77

# A second listener, started late, finds what is there, under the same ids.
id=$(sed -n "s/^up name=$P-web-1 .* id=\([0-9a-f]*\) .*/\1/p" "$OUT" | tail -1)
start_watch "$LAB_DIR/late"
stop_watch
lab_check "a later start finds the same workload" has "^up name=$P-web-1 .* id=$id " "$LAB_DIR/late"
ip netns del "$P-web-1"
lab_check "its end is told" lab_poll 20 has "^down name=$P-web-1 .* id=$id " "$OUT"
lab_check "nothing went wrong" has_not '^problem\|ERROR\|runtime error' "$OUT"

# With CAP_NET_ADMIN alone: by asking.
if command -v setpriv >/dev/null; then
	ip -n "$LAB_NS" link add br0 type bridge
	ip -n "$LAB_NS" link set br0 up
	start_watch "$LAB_DIR/deaf" setpriv --bounding-set -all,+net_admin --inh-caps -all --
	lab_check "it says what it cannot" has '^notice named network namespaces: .*CAP_NET_BROADCAST' "$LAB_DIR/deaf"
	hundred d
	# It must be given the processor within the 50 ms; where it is not, it says so.
	asked() {
		named=$(grep -c "^down name=$P-d" "$LAB_DIR/deaf")
		[ "$named" -eq 100 ] || { [ "$named" -ge 20 ] && grep -q '^unnamed gone-before-lookup' "$LAB_DIR/deaf"; }
	}
	lab_check "without hearing, short lives are named all the same, or it is said that some are not" lab_poll 20 asked
	stop_watch
fi
lab_end
